/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * random - jitter and identifiers. tg_random_u32 is fast and good enough to spread load; it must not
 * make keys (wolfSSL has its own generator). Any thread.
 */
#ifndef TG_BASE_RANDOM_H
#define TG_BASE_RANDOM_H

#include <stdint.h>

uint32_t tg_random_u32(void);

#endif
