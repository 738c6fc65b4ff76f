/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * real32 - a 32-bit float as the decimal number that a person would call it. Pure.
 *
 * A meter that shows 230.1 sends the float nearest to it; widened to double that prints as 230.10000610351562. The result
 * is the double nearest to the shortest decimal number (up to nine places) that rounds to the same float, so nothing is
 * lost: (float)tg_real32_shortest(f) == f. NaN and infinity stay what they are.
 */
#ifndef TG_SOUTHBOUND_REAL32_H
#define TG_SOUTHBOUND_REAL32_H

double tg_real32_shortest(float f);

#endif
