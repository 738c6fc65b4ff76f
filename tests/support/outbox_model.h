/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * outbox_model - what an outbox must hold, kept in plain arrays, and the comparison of the two (test_outbox_model lives with it).
 */
#ifndef TESTS_SUPPORT_OUTBOX_MODEL_H
#define TESTS_SUPPORT_OUTBOX_MODEL_H

#include "support/outbox_fixture.h"

#define MODEL_DEVICES    4
#define MODEL_CLOUDS     3
#define MODEL_MAX_ROWS   20000
#define MODEL_START_MS   INT64_C(1900000000000)
#define MODEL_MAX_AGE_MS (45 * INT64_C(60000))
#define MODEL_BOOT       4711
#define MODEL_IDS        (1 << 20)
#define MODEL_URGENT     0x80u /* in `flags`, beside a bit for each cloud that has acknowledged the row ahead */

struct model_cursor {
    bool exists, ever;
    uint32_t handle;
    uint64_t base, acked_seq; /* acked_seq as the outbox says after each step */
    uint64_t acked, dropped;
    uint64_t *lost; /* numbers of which its cloud has not been told yet, in no order */
    uint32_t lost_count;
    uint64_t lost_ever, told_ever;
    struct tg_gap tell; /* the gap record under way, and its number */
    uint64_t tell_seq;
};

struct model_device {
    uint32_t handle;
    uint64_t last_seq, highest_given;
    uint64_t *seqs; /* accepted, ascending */
    uint8_t *flags; /* of each */
    uint32_t count;
    uint64_t rejected, dropped, removed;
    uint64_t least_dropped, most_dropped; /* with quotas */
    struct model_cursor cursor[MODEL_CLOUDS];
};

struct model {
    struct fixture *f;
    uint64_t random, last_id, highest_id;
    int64_t now_ms, mono_ms; /* now_ms: what the wall clock says */
    int64_t *stored_ms;      /* of the row with this id: monotonic */
    uint32_t jumps, expired;
    uint32_t full; /* times the outbox had no room */
    bool quotas;
    uint32_t told; /* gap records that were acknowledged */
    struct model_device d[MODEL_DEVICES];
};

uint32_t model_pick(struct model *m, uint32_t n);
bool model_has(const struct model_device *d, uint32_t i, int c);
/* Rows with above < seq ≤ upto that the cloud has not acknowledged ahead. */
uint64_t model_missing_between(const struct model_device *d, int c, uint64_t above, uint64_t upto);
/* A cursor takes in what it has reached. */
void model_absorb(struct model_device *d, int c);
void model_lose(struct model_cursor *mc, uint64_t seq);
/* The record was acknowledged: what it says is not to be said again. */
void model_hear(struct model *m, struct model_cursor *mc);
void model_declare_cursor(struct model *m, int d, int c, bool anew);
void model_declare_all(struct model *m);
bool model_was_ahead(const struct model_device *md, int c, uint64_t seq);
/* The whole of the outbox with the model; the model takes over what eviction has done. */
void model_compare(struct model *m);

#endif
