/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * descriptors - when the process, or the whole system, has no file descriptor left (EMFILE, ENFILE).
 *
 * Whoever fails to get one says so here. The first time a line is logged, once until none was missed for five seconds, which is logged too;
 * each miss is counted (tidegate_descriptors_missed_total). Thread-safe.
 */
#ifndef TG_BASE_DESCRIPTORS_H
#define TG_BASE_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

/* `error`: an errno; only EMFILE and ENFILE count. True when it was one of them. */
bool tg_descriptors_missed(int error);
/* Tries whether there is one: after a failure whose cause was lost on the way (a resolver, a library). False: there is none; noted. */
bool tg_descriptors_are_left(void);
uint64_t tg_descriptors_missed_count(void);
/* Now and then: says that it is over. */
void tg_descriptors_look(void);

#endif
