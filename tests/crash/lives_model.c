/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lives_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/gap.h"
#include "store/runs.h"
#include "support/outbox_help.h"

const char *const lives_clouds[LIVES_CLOUDS] = {"hub", "lake", "broker"};

void lives_device_name(uint32_t d, char name[24])
{
    snprintf(name, 24, "meter-%u", d);
}

uint64_t lives_hash(struct tg_bytes body)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < body.len; i++)
        hash = (hash ^ body.data[i]) * UINT64_C(1099511628211);
    return hash;
}

/* Index of the first sample whose number is not below seq. */
static uint32_t place(const struct lives *w, uint32_t d, uint64_t seq)
{
    uint32_t low = 0, high = w->count[d];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (w->sample[d][middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct lives_sample *lives_find(struct lives *w, uint32_t d, uint64_t seq)
{
    uint32_t at = place(w, d, seq);
    return at < w->count[d] && w->sample[d][at].seq == seq ? &w->sample[d][at] : NULL;
}

/* A number that the store gave to a record of its own: what is in it is not known before it is seen. */
static struct lives_sample *add_record(struct lives *w, uint32_t d, uint64_t seq)
{
    uint32_t at = place(w, d, seq);
    if (w->count[d] == LIVES_SAMPLES)
        fail_msg("the model is too small for this history");
    memmove(&w->sample[d][at + 1], &w->sample[d][at], (w->count[d] - at) * sizeof w->sample[d][0]);
    w->count[d]++;
    w->sample[d][at] = (struct lives_sample){.seq = seq, .record = true, .uncertain = true};
    return &w->sample[d][at];
}

/* It was offered to a process that was killed before it was stored: its number may be given again. */
static bool nobody_knows(const struct lives_sample *s)
{
    bool known = s->accepted;
    for (int c = 0; c < LIVES_CLOUDS; c++)
        known = known || s->delivered[c];
    return !known;
}

/* The sample of a row that comes out of the store; a record of its own is known from then on. */
static struct lives_sample *know(struct lives *w, uint32_t d, const struct tg_outbox_row *row)
{
    struct lives_sample *s = lives_find(w, d, row->seq);
    if (tg_gap_is_record(row->body) && (!s || s->id == 0 || nobody_knows(s))) {
        s = s ? s : add_record(w, d, row->seq);
        s->record = s->uncertain = true;
        s->id = row->id;
        s->hash = lives_hash(row->body);
        s->time_ms = row->time_ms;
        w->tally.records++;
    }
    return s;
}

void lives_offered(struct lives *w, uint32_t d, const struct tg_outbox_row *row, bool urgent, bool uncertain)
{
    uint32_t at = place(w, d, row->seq);
    for (uint32_t i = at; i < w->count[d]; i++) {
        const struct lives_sample *s = &w->sample[d][i];
        if (s->accepted)
            fail_msg("%u/%llu was accepted and is given to another sample", d, (unsigned long long)s->seq);
        for (int c = 0; c < LIVES_CLOUDS; c++) {
            if (s->delivered[c])
                fail_msg("%u/%llu was delivered to %s and is given to another sample", d,
                         (unsigned long long)s->seq, lives_clouds[c]);
        }
    }
    w->count[d] = at;
    /* Between two samples of a life the store has appended a record of its own. */
    while (at > w->life_start[d] && w->sample[d][w->count[d] - 1].seq + 1 < row->seq)
        (void)add_record(w, d, w->sample[d][w->count[d] - 1].seq + 1);
    at = w->count[d];
    if (w->life_start[d] > at)
        w->life_start[d] = at;
    if (w->count[d] == LIVES_SAMPLES)
        fail_msg("the model is too small for this history");
    w->sample[d][w->count[d]++] = (struct lives_sample){.seq = row->seq,
                                                        .id = row->id,
                                                        .hash = lives_hash(row->body),
                                                        .time_ms = row->time_ms,
                                                        .urgent = urgent,
                                                        .uncertain = uncertain};
    w->tally.offered++;
    w->tally.urgent += urgent;
}

void lives_not_stored(struct lives *w)
{
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        for (uint32_t i = w->life_start[d]; i < w->count[d]; i++)
            w->sample[d][i].uncertain |= !w->sample[d][i].accepted;
    }
}

void lives_committed(struct lives *w, uint64_t id)
{
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        for (uint32_t i = w->count[d]; i-- > w->life_start[d];) {
            struct lives_sample *s = &w->sample[d][i];
            if (s->id > id)
                continue;
            if (s->accepted)
                break;
            s->accepted = true;
            w->tally.accepted++;
        }
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            struct lives_account *a = &w->account[d][c];
            if (a->sent_ack > a->durable_ack && id > a->sent_at_id)
                a->durable_ack = a->sent_ack;
        }
    }
}

static void check_row(const struct lives_sample *s, uint32_t d, const struct tg_outbox_row *row,
                      const char *where)
{
    if (!s)
        fail_msg("%u/%llu %s: no such number was ever given", d, (unsigned long long)row->seq, where);
    if (s->id != row->id || s->hash != lives_hash(row->body) || s->time_ms != row->time_ms)
        fail_msg("%u/%llu %s: it is not what was offered under this number", d, (unsigned long long)row->seq,
                 where);
}

void lives_delivered(struct lives *w, uint32_t d, uint32_t c, const struct tg_outbox_row *row, bool ahead,
                     bool liberal)
{
    struct lives_account *a = &w->account[d][c];
    struct lives_sample *s = know(w, d, row);
    check_row(s, d, row, lives_clouds[c]);
    if (row->seq <= a->base)
        fail_msg("%u/%llu is given to %s, which came later", d, (unsigned long long)row->seq,
                 lives_clouds[c]);
    if (ahead && !liberal && !s->urgent)
        fail_msg("%u/%llu goes ahead to %s, and nobody had asked for it", d, (unsigned long long)row->seq,
                 lives_clouds[c]);
    /* What was dropped from memory while the disk was gone may turn out to be stored all the same, after a restart. */
    if (!ahead && row->seq <= a->highest && !s->delivered[c] && !s->uncertain)
        fail_msg("%u/%llu comes to %s for the first time after %llu", d, (unsigned long long)row->seq,
                 lives_clouds[c], (unsigned long long)a->highest);
    if (s->delivered[c])
        w->tally.duplicates++;
    else
        w->tally.delivered++;
    if (s->delivered[c] < UINT8_MAX)
        s->delivered[c]++;
    w->tally.ahead += ahead;
    if (!ahead && row->seq > a->highest)
        a->highest = row->seq;
}

void lives_acked(struct lives *w, uint32_t d, uint32_t c, uint64_t seq)
{
    struct lives_account *a = &w->account[d][c];
    for (uint32_t i = place(w, d, a->acked + 1); i < w->count[d] && w->sample[d][i].seq <= seq; i++)
        w->sample[d][i].acked[c] = w->sample[d][i].delivered[c] > 0;
    a->acked = seq;
}

void lives_acked_ahead(struct lives *w, uint32_t d, uint32_t c, uint64_t seq)
{
    struct lives_sample *s = lives_find(w, d, seq);
    if (s)
        s->acked[c] = true;
}

void lives_begin(struct lives *w)
{
    for (uint32_t d = 0; d < LIVES_DEVICES; d++)
        w->life_start[d] = w->count[d];
    w->tally.lives++;
}

void lives_resumed(struct lives *w, uint32_t d, uint32_t c, uint64_t acked_seq)
{
    struct lives_account *a = &w->account[d][c];
    if (!a->exists)
        *a = (struct lives_account){
            .exists = true, .base = acked_seq, .highest = acked_seq, .begun = w->tally.lives};
    a->leaving = false;
    a->acked = acked_seq;
    a->sent_ack = a->sent_at_id = 0;
}

void lives_left(struct lives *w, uint32_t d, uint32_t c)
{
    w->account[d][c].leaving = w->account[d][c].exists;
}

/* --- the judge ----------------------------------------------------------------------------------------- */

struct reading {
    struct lives *w;
    uint32_t number[LIVES_DEVICES]; /* the outbox's */
};

static void on_row(void *user, const struct tg_outbox_row *row)
{
    struct reading *r = user;
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        if (row->device != r->number[d])
            continue;
        struct lives_sample *s = know(r->w, d, row);
        check_row(s, d, row, "in the log");
        s->stored = s->seen = true;
        if (!s->accepted) { /* the outcome of its commit was not known: it is now */
            s->accepted = true;
            r->w->tally.accepted++;
        }
        return;
    }
}

/* What the outbox says of one cloud of a device. */
struct finding {
    struct tg_outbox_cursor_state cs;
    uint64_t unheard;
    const struct tg_runs *ahead;
};

static bool passed(const struct finding *f, uint64_t seq)
{
    return seq <= f->cs.acked_seq || tg_runs_has(f->ahead, seq);
}

/* Every cloud had acknowledged it from memory, from a lazy store or while nothing could be stored: it need never have been written. */
static void judge_spared(struct lives *w, uint32_t d)
{
    for (uint32_t i = 0; i < w->count[d]; i++) {
        struct lives_sample *s = &w->sample[d][i];
        bool all = s->accepted && !s->seen && (w->lazy || s->uncertain);
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++)
            all = all && (!w->account[d][c].exists || s->seq <= w->account[d][c].base || s->acked[c]);
        w->tally.spared += all && !s->spared && w->lazy;
        s->spared = s->spared || all;
    }
}

/* What was accepted, is not in the log, and was not passed by every cloud. */
static void judge_losses(struct lives *w, uint32_t d, const struct finding *found, bool forgets)
{
    for (uint32_t i = 0; i < w->count[d]; i++) {
        struct lives_sample *s = &w->sample[d][i];
        const char *waits = NULL;
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            if (w->account[d][c].exists && !passed(&found[c], s->seq))
                waits = lives_clouds[c];
        }
        if (!waits || !s->accepted || s->stored || s->spared)
            continue;
        s->accepted = false;
        if (forgets)
            w->tally.lost_as_allowed++;
        else if (s->uncertain)
            w->tally.unstored += !s->record;
        else
            fail_msg("%u/%llu was accepted, %s has not passed it, and it is gone", d,
                     (unsigned long long)s->seq, waits);
    }
}

#define LEAP 65536 /* numbers, at least, that a store passes over when it cannot know which it has given */

/* Numbers up to `upto` that the outbox has stored and the world never heard of: records of the store's own that went again within a life. Of a leap nothing is left when it was passed: one before and one behind it. */
static uint64_t unheard(const struct lives *w, struct tg_outbox *ob, uint32_t d, uint32_t number,
                        uint64_t base, uint64_t upto)
{
    struct tg_error err = {0};
    uint64_t next = base + 1, sum = 0;
    for (uint32_t i = place(w, d, next); next <= upto; i++) {
        uint64_t seq = i < w->count[d] ? w->sample[d][i].seq : UINT64_MAX, holes;
        uint64_t last = seq <= upto ? seq - 1 : upto;
        if (last >= next) {
            if (tg_outbox_unstored(ob, number, next, last, &holes, &err) != TG_OK)
                fail_msg("holes cannot be read: %s", err.text);
            sum += last - next < LEAP ? last - next + 1 - holes : 2;
        }
        if (seq > upto)
            break;
        next = seq + 1;
    }
    return sum;
}

/* The acknowledgements that came ahead of others: those that are stored were given, the others were lost with the life. */
static void judge_ahead(struct lives *w, uint32_t d, uint32_t c, const struct finding *f)
{
    uint64_t ahead = 0;
    for (uint32_t i = place(w, d, f->cs.acked_seq + 1); i < w->count[d]; i++) {
        struct lives_sample *s = &w->sample[d][i];
        bool has = tg_runs_has(f->ahead, s->seq);
        if (has && !s->acked[c] && !s->uncertain)
            fail_msg("%u/%llu: the outbox says that %s has acknowledged it, which is not so", d,
                     (unsigned long long)s->seq, lives_clouds[c]);
        ahead += has;
        s->acked[c] = has;
    }
    if (ahead != f->cs.ahead)
        fail_msg("%u %s: %llu are acknowledged ahead of others, the outbox says %llu", d, lives_clouds[c],
                 (unsigned long long)ahead, (unsigned long long)f->cs.ahead);
}

/* accepted = delivered + dropped + pending, for one cloud of a device. Tells how many samples wait, the store's own records left out. */
static uint64_t judge_account(struct lives *w, uint32_t d, uint32_t c, const struct finding *f, bool forgets)
{
    struct lives_account *a = &w->account[d][c];
    const struct tg_outbox_cursor_state *cs = &f->cs;
    uint64_t dropped = 0, acked = 0, pending = 0, unknown = f->unheard, waiting = 0;
    judge_ahead(w, d, c, f);
    for (uint32_t i = place(w, d, a->base + 1); i < w->count[d]; i++) {
        const struct lives_sample *s = &w->sample[d][i];
        bool over = passed(f, s->seq), known = s->accepted && !s->uncertain && !s->spared;
        pending += !over && s->stored;
        waiting += !over && s->stored && !s->record;
        acked += over && s->acked[c] && known;
        dropped += over && !s->acked[c] && known;
        unknown += over && !known;
    }
    a->unknown = unknown;
    a->either = unknown + acked;
    a->passed = cs->acked_seq;
    a->pending = pending;
    if (cs->pending != pending)
        fail_msg("%u %s: %llu are pending, the outbox says %llu", d, lives_clouds[c],
                 (unsigned long long)pending, (unsigned long long)cs->pending);
    /* What was evicted while its acknowledgement was on the way may be either. */
    if (cs->acked > acked + unknown || cs->dropped < dropped || cs->acked + cs->dropped < acked + dropped ||
        cs->acked + cs->dropped > acked + dropped + unknown)
        fail_msg("%u %s: %llu were acknowledged, %llu to %llu dropped; the outbox says %llu and %llu", d,
                 lives_clouds[c], (unsigned long long)acked, (unsigned long long)dropped,
                 (unsigned long long)(dropped + unknown), (unsigned long long)cs->acked,
                 (unsigned long long)cs->dropped);
    if (cs->acked + cs->dropped + cs->pending != cs->accepted)
        fail_msg("%u %s: the outbox's own account does not add up", d, lives_clouds[c]);
    if (forgets && cs->acked_seq < a->durable_ack)
        a->durable_ack = cs->acked_seq;
    if (forgets && cs->acked_seq < a->highest)
        a->highest = cs->acked_seq; /* the cut may have taken an eviction back */
    if (cs->acked_seq < a->durable_ack)
        fail_msg("%u %s: acknowledged up to %llu and stored, the outbox says %llu", d, lives_clouds[c],
                 (unsigned long long)a->durable_ack, (unsigned long long)cs->acked_seq);
    return waiting;
}

static void read_log(struct tg_outbox *ob, struct reading *r)
{
    struct tg_error err = {0};
    uint64_t next = 1;
    int rc = 1;
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        char name[24];
        lives_device_name(d, name);
        assert_int_equal(tg_outbox_device(ob, name, &r->number[d], &err), TG_OK);
        for (uint32_t i = 0; i < r->w->count[d]; i++)
            r->w->sample[d][i].stored = false;
    }
    while (rc == 1)
        rc = tg_outbox_read(ob, next, UINT32_MAX, 1000, SIZE_MAX, on_row, r, &next, &err);
    if (rc < 0)
        fail_msg("the log cannot be read: %s", err.text);
}

/* A cloud that is being removed may be gone by now, and one that came in this life with it; no other is. */
static void find_cursors(struct lives *w, struct tg_outbox *ob, uint32_t d, uint32_t number, bool forgets,
                         struct finding found[LIVES_CLOUDS])
{
    struct tg_error err = {0};
    char name[24];
    lives_device_name(d, name);
    for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
        struct lives_account *a = &w->account[d][c];
        uint32_t cursor = UINT32_MAX, same;
        if (!a->exists)
            continue;
        if (!tg_outbox_find(ob, name, lives_clouds[c], &same, &cursor) || cursor == UINT32_MAX) {
            if (!a->leaving && !(forgets && a->begun == w->tally.lives))
                fail_msg("%u %s: its cursor is gone, and nobody had removed it", d, lives_clouds[c]);
            w->tally.retired += a->leaving;
            a->exists = a->leaving = false;
            continue;
        }
        assert_int_equal(tg_outbox_cursor(ob, number, lives_clouds[c], &cursor, &err), TG_OK);
        assert_int_equal(tg_outbox_cursor_state(ob, cursor, &found[c].cs), TG_OK);
        found[c].ahead = tg_outbox_ahead(ob, cursor);
        found[c].unheard = unheard(w, ob, d, number, a->base, found[c].cs.acked_seq);
    }
}

static uint64_t judge_all(struct lives *w, const struct tg_outbox_options *options, bool forgets,
                          uint64_t *ret_pending)
{
    struct tg_outbox_options o = *options;
    struct reading r = {.w = w};
    uint64_t dropped = 0;
    o.vfs = NULL;
    struct tg_outbox *ob = tg_test_open(&o);
    read_log(ob, &r);
    *ret_pending = 0;
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        struct finding found[LIVES_CLOUDS];
        find_cursors(w, ob, d, r.number[d], forgets, found);
        judge_spared(w, d);
        judge_losses(w, d, found, forgets);
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            if (!w->account[d][c].exists)
                continue;
            *ret_pending += judge_account(w, d, c, &found[c], forgets);
            dropped += found[c].cs.dropped;
        }
    }
    if (w->tally.unstored > w->dropped_memory)
        fail_msg("%llu samples are gone that were dropped from memory, the store has counted %llu",
                 (unsigned long long)w->tally.unstored, (unsigned long long)w->dropped_memory);
    tg_test_verify(ob);
    tg_outbox_close(ob, false);
    return dropped;
}

/* What was not stored is gone for good: its numbers may be given again where nobody heard of it. */
void lives_judge(struct lives *w, const struct tg_outbox_options *o, bool cut)
{
    uint64_t pending;
    for (uint32_t d = 0; w->lazy && d < LIVES_DEVICES; d++) { /* numbers never come again */
        for (uint32_t i = w->life_start[d]; i < w->count[d]; i++)
            w->tally.lost_as_allowed += !w->sample[d][i].accepted && !w->sample[d][i].uncertain;
    }
    w->tally.dropped = judge_all(w, o, cut && w->power_forgets, &pending);
}

void lives_judge_end(struct lives *w, const struct tg_outbox_options *o)
{
    uint64_t pending;
    w->tally.dropped = judge_all(w, o, false, &pending);
    if (pending > 0)
        fail_msg("%llu samples wait although everything was delivered", (unsigned long long)pending);
}
