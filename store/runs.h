/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * runs - a small sorted set of sequence numbers, kept as runs: what of a device went ahead of its backlog. Private to the
 * store. No thread of its own: whoever owns the set calls.
 *
 * Runs are disjoint, ascending, and never touch (those that would are merged). Looking up is a binary search; adding and
 * removing move what lies behind. Nothing allocates but tg_runs_reserve() and tg_runs_copy(): who must not fail later
 * reserves before.
 */
#ifndef TG_STORE_RUNS_H
#define TG_STORE_RUNS_H

#include "core/base/bytes.h"
#include "core/base/error.h"

/* Runs that a cursor keeps at most, acknowledged and on their way together. Then nothing more goes ahead until
 * half of them are gone: the order is in-order meanwhile. */
#define TG_RUNS_MAX 256u

struct tg_run {
    uint64_t first, last; /* numbers, both in it */
    uint64_t last_id;     /* the log's id of the row `last`; 0 = of no interest to the owner */
};

/* All zero is empty. */
struct tg_runs {
    struct tg_run *at;
    uint32_t count, cap;
    uint64_t rows; /* numbers in it */
};

void tg_runs_fini(struct tg_runs *r);
/* Room for so many runs. TG_ENOMEM: nothing has changed. */
int tg_runs_reserve(struct tg_runs *r, uint32_t runs) TG_CHECKED;
/* Whatever `to` held is replaced; its memory is used again. TG_ENOMEM: `to` is as it was. */
int tg_runs_copy(struct tg_runs *to, const struct tg_runs *from) TG_CHECKED;

/* The first run that ends at `seq` or later; NULL = none. */
const struct tg_run *tg_runs_from(const struct tg_runs *r, uint64_t seq);
bool tg_runs_has(const struct tg_runs *r, uint64_t seq);
/* How many numbers of first … last are in it. */
uint64_t tg_runs_between(const struct tg_runs *r, uint64_t first, uint64_t last);

/* The first stretch of first … last that has none of them. False: all are in it. */
bool tg_runs_outside(const struct tg_runs *r, uint64_t first, uint64_t last, struct tg_run *ret_stretch);

/* Adds a run, which may touch and overlap others. There must be room for one more. */
void tg_runs_add(struct tg_runs *r, uint64_t first, uint64_t last, uint64_t last_id);
/* Removes one number, if it is in it. When that splits a run there must be room for one more. */
void tg_runs_remove(struct tg_runs *r, uint64_t seq);
/* Removes everything up to `seq`; returns how many numbers that were. */
uint64_t tg_runs_cut(struct tg_runs *r, uint64_t seq);
/* Empty, with its memory. */
void tg_runs_clear(struct tg_runs *r);

#endif
