/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * lives_life - one life of a store: a process that offers samples, and the sessions that take them. Every choice comes from the
 * seed. What the world gets to see is written into the model (lives_model.h) at once.
 */
#ifndef TG_TESTS_LIVES_LIFE_H
#define TG_TESTS_LIVES_LIFE_H

#include "lives_model.h"
#include "support/crash_vfs.h"
#include "support/store_fixture.h"

#define LIVES_WINDOW 48 /* a session takes no more without an acknowledgement */
#define LIVES_NOW_MS INT64_C(1900000000000)

enum lives_ending { LIVES_STOPPED, LIVES_KILLED, LIVES_CUT };

struct lives_taken {
    struct tg_row *row;
    bool ahead;
};

struct lives_session {
    struct tg_feed *feed;
    struct lives_taken taken[LIVES_WINDOW]; /* ring, the oldest at `first` */
    uint32_t first, count, repeats;         /* repeats: deliveries that are no surprise */
    uint64_t ahead_seq;                     /* newest taken ahead since the last rewind */
    bool awake, liberal;                    /* liberal: its drain lets, or let, every row go ahead */
};

struct life {
    struct fixture f;
    struct lives *w;
    struct lives_session session[LIVES_DEVICES][LIVES_CLOUDS];
    uint32_t device[LIVES_DEVICES]; /* UINT32_MAX: not configured in this life */
    enum lives_ending ending;
    uint64_t dropped_before;
    bool gone, may_fill, dropping;
    char filler[4200];
};

uint32_t lives_pick(struct life *l, uint32_t n);
/* The power has gone. */
bool lives_dead(const struct life *l);

/* False: refused, or the power has gone. */
bool lives_open(struct life *l, uint32_t d, uint32_t c, uint64_t *ret_pending);
void lives_offer(struct life *l);
void lives_take(struct life *l, uint32_t d, uint32_t c);
void lives_ack(struct life *l, uint32_t d, uint32_t c);
/* The connection breaks. */
void lives_forget_window(struct life *l, uint32_t d, uint32_t c);
void lives_wake(struct life *l, uint32_t d, uint32_t c);
/* A reload replaces the session. */
void lives_replace(struct life *l, uint32_t d, uint32_t c);
void lives_choose_drain(struct life *l, uint32_t d, uint32_t c);
void lives_choose_quota(struct life *l, uint32_t d, uint32_t c);
/* An operator drops what waits somewhere. */
void lives_drop_by_hand(struct life *l);
/* A reload without the device: its rows are given up while the life goes on. */
void lives_remove_device(struct life *l, uint32_t d);
/* What is acknowledged by now is stored at the latest with the next sample. */
void lives_flush(struct life *l);
void lives_close_sessions(struct life *l, uint32_t d);

#endif
