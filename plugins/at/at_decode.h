/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_decode - `tidegate decode at`: a transcript as text, into results, unsolicited lines and readings.
 */
#ifndef TG_PLUGINS_AT_DECODE_H
#define TG_PLUGINS_AT_DECODE_H

#include <stdbool.h>

/* `struct tg_plugin`.decode. */
int tg_at_decode(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
                 void *user);

#endif
