/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cellular_private - what cellular.c (phases, commands, answers) and cellular_state.c (what is known, and what it means) share. Not for
 * others.
 */
#ifndef TG_SOUTHBOUND_CELLULAR_PRIVATE_H
#define TG_SOUTHBOUND_CELLULAR_PRIVATE_H

#include "southbound/cellular.h"

#define TG_CELL_SEARCHING_MS 60000 /* then somebody should look at the antenna */

enum {
    POLL_EPS,
    POLL_PS,
    POLL_CS,
    POLL_ATTACH,
    POLL_OPERATOR,
    POLL_CSQ,
    POLL_CESQ,
    POLL_CLOCK,
    POLL_SIM,
    DO_ATTACH
};

void tg_cellular_copy_(char *to, size_t size, const char *from);
void tg_cellular_set_trouble_(struct tg_cellular *c, const char *text);
/* Nothing is known of the network. */
void tg_cellular_forget_(struct tg_cellular *c);
/* A line about the registration, asked or told. */
void tg_cellular_heard_(struct tg_cellular *c, const struct tg_cell_registration *r, int64_t now_ms);
/* RUN, and each kind of registration was asked for once. */
bool tg_cellular_all_asked_(const struct tg_cellular *c);
void tg_cellular_judge_uplink_(struct tg_cellular *c, int64_t now_ms);

#endif
