/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * lives_control - the negative control of the judge (lives_model.h): an account that is wrong by one has to be noticed.
 */
#ifndef TG_TESTS_LIVES_CONTROL_H
#define TG_TESTS_LIVES_CONTROL_H

#include "lives_model.h"

struct lives_control {
    uint32_t tampered,
        noticed;     /* judgements of a copy in which one thing was wrong, and how many of them failed */
    uint64_t widest; /* what the model cannot say of a device and cloud, at most: samples */
};

/* `o` names what a life has left, as judged last. For each device and cloud, on copies: one sample vanishes from what was counted, one
 * too many is counted, one that waits is deleted, one is passed that was not acknowledged, and one is reported as accepted that is not stored.
 * The copy as it is has to pass. */
void lives_control(const struct lives *w, const struct tg_outbox_options *o,
                   struct lives_control *ret_control);

#endif
