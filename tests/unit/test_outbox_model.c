/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random lives of an outbox against a model [C4, C5, C6]: several devices and clouds; append (some
 * urgent), skip, reject, acknowledge, acknowledge ahead, commit, roll back, crash, restart, expire, make room, new clouds and clouds that leave,
 * quotas, gap records, an operator who drops things; and the wall clock is set to and fro at random, which
 * expires nothing and keeps nothing [C9].
 *
 * After every step, for every cursor: accepted = acknowledged + dropped + pending, each number is the
 * model's, and what is pending can be read, in order, every row of it, and what of it is urgent is found as such. What the cloud was told to have lost,
 * and what it is still to be told, is together what was dropped: as a count, and each number in a range.
 */
#include "support/outbox_model.h"
#include "support/proof.h"

#include "store/outbox_private.h"
#include "support/gap_help.h"

/* Small enough that marks and compaction happen all the time. */
static void reopen_small(struct model *m, bool clean)
{
    struct fixture *f = m->f;
    reopen(f, clean);
    f->ob->mark_rows = 16 + model_pick(m, 200);
    f->ob->compact_rows = 16 + model_pick(m, 300);
}

static int append_some(struct model *m, struct model_device *d, uint32_t n)
{
    struct fixture *f = m->f;
    for (uint32_t i = 0; i < n && d->count < MODEL_MAX_ROWS; i++) {
        uint64_t skip = model_pick(m, 60) == 0 ? 1 + model_pick(m, 5) : 0;
        struct tg_outbox_row row = {.id = m->last_id + 1 + model_pick(m, 3) * model_pick(m, 2),
                                    .seq = d->last_seq + 1 + skip};
        row.device = d->handle;
        row.time_ms = m->now_ms;
        row.body = tg_test_body(row.device, row.seq, 40 + model_pick(m, model_pick(m, 20) == 0 ? 9000 : 600));
        /* Neither a number nor an id is ever given twice. */
        assert_true(row.seq > d->highest_given || row.seq > d->last_seq);
        bool urgent = model_pick(m, 25) == 0;
        int code =
            urgent ? tg_outbox_append_urgent(f->ob, &row, &f->err) : tg_outbox_append(f->ob, &row, &f->err);
        if (code == TG_ENOSPACE)
            return code;
        OK(code);
        assert_true(row.id < MODEL_IDS);
        m->stored_ms[row.id] = m->mono_ms;
        m->last_id = row.id;
        d->last_seq = row.seq;
        d->flags[d->count] = urgent ? MODEL_URGENT : 0;
        d->seqs[d->count++] = row.seq;
    }
    return TG_OK;
}

/* The gap record of a cursor, if there is something to tell. */
static int tell(struct model *m, struct model_device *d, struct model_cursor *c)
{
    struct fixture *f = m->f;
    uint8_t memory[400];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    if (!c->exists || d->count == MODEL_MAX_ROWS)
        return TG_OK;
    struct tg_gap gap = state_of(f, c->handle).gap;
    if (!tg_gap_is(&gap) || c->tell_seq > 0)
        return TG_OK;
    gap_write(&w, m->now_ms, &gap, "hub");
    struct tg_outbox_row row = {.id = m->last_id + 1,
                                .seq = d->last_seq + 1,
                                .device = d->handle,
                                .time_ms = m->now_ms,
                                .body = tg_bytes(w.data, w.len)};
    int code = tg_outbox_append(f->ob, &row, &f->err);
    if (code == TG_ENOSPACE)
        return code;
    OK(code);
    m->stored_ms[row.id] = m->mono_ms;
    OK(tg_outbox_tell(f->ob, c->handle, row.seq, &gap, &f->err));
    m->last_id = row.id;
    d->last_seq = row.seq;
    d->flags[d->count] = 0;
    d->seqs[d->count++] = row.seq;
    c->tell = gap;
    c->tell_seq = row.seq;
    return TG_OK;
}

/* Some rows, somewhere above the cursor. */
static void ack_ahead(struct model *m, struct model_device *d, int c)
{
    struct fixture *f = m->f;
    struct model_cursor *mc = &d->cursor[c];
    uint32_t i = 0, end;
    while (i < d->count && d->seqs[i] <= mc->acked_seq)
        i++;
    if (!mc->exists || i == d->count)
        return;
    i += model_pick(m, d->count - i);
    end = i + 1;
    /* Over numbers that were never stored, too. */
    for (uint32_t n = model_pick(m, 3) ? model_pick(m, 40) : 0; n > 0 && end < d->count; n--)
        end++;
    OK(tg_outbox_ack_ahead(f->ob, mc->handle, d->seqs[i], d->seqs[end - 1], 0, &f->err));
    for (; i < end; i++) {
        mc->acked += !model_has(d, i, c);
        d->flags[i] |= (uint8_t)(1u << c);
    }
    model_absorb(d, c);
}

/* What a transaction that does not happen has changed. */
static void save_flags(struct model *m, bool back)
{
    static uint8_t saved[MODEL_DEVICES][MODEL_MAX_ROWS];
    for (int d = 0; d < MODEL_DEVICES; d++)
        memcpy(back ? m->d[d].flags : saved[d], back ? saved[d] : m->d[d].flags, MODEL_MAX_ROWS);
}

static void transact(struct model *m)
{
    struct model was = *m;
    struct fixture *f = m->f;
    uint32_t parts = 1 + model_pick(m, 6);
    int code = TG_OK;
    save_flags(m, false);
    for (uint32_t p = 0; p < parts && code == TG_OK; p++) {
        struct model_device *d = &m->d[model_pick(m, MODEL_DEVICES)];
        int cloud = (int)model_pick(m, MODEL_CLOUDS);
        struct model_cursor *c = &d->cursor[cloud];
        uint32_t what = model_pick(m, 14);
        if (what >= 10) {
            ack_ahead(m, d, cloud);
        } else if (what < 6) {
            code = append_some(m, d, model_pick(m, 60));
        } else if (what == 6 && model_pick(m, 4) == 0) {
            uint64_t n = 1 + model_pick(m, 4);
            OK(tg_outbox_reject(f->ob, d->handle, d->last_seq + n, TG_DROP_LIMIT, &f->err));
            d->last_seq += n;
            d->rejected += n;
        } else if (what == 7 && model_pick(m, 3) == 0) {
            code = tell(m, d, c);
        } else if (c->exists && d->last_seq > c->acked_seq) {
            uint64_t to = model_pick(m, 3) == 0
                              ? d->last_seq
                              : c->acked_seq + 1 + model_pick(m, (uint32_t)(d->last_seq - c->acked_seq));
            OK(tg_outbox_set_cursor(f->ob, c->handle, to, 0, &f->err));
            c->acked += model_missing_between(d, cloud, c->acked_seq, to);
            c->acked_seq = to;
            model_absorb(d, cloud);
        }
    }
    uint32_t end = code == TG_OK ? model_pick(m, 12) : 0;
    if (end >= 2) {
        code = tg_outbox_commit(f->ob, &f->err);
        if (code == TG_OK)
            return;
        assert_int_equal(code, TG_ENOSPACE);
    }
    /* Full, rolled back, or crashed before the commit: nothing of it happened. */
    uint64_t random = m->random;
    *m = was;
    m->random = random;
    save_flags(m, true);
    if (end == 1) {
        reopen_small(m, false);
        model_declare_all(m);
        return;
    }
    tg_outbox_rollback(f->ob);
    if (code == TG_ENOSPACE) {
        m->full++;
        OK(tg_outbox_make_room(f->ob, 150000, &f->err));
    }
}

static void retire_one(struct model *m)
{
    struct model_device *d = &m->d[model_pick(m, MODEL_DEVICES)];
    struct model_cursor *c = &d->cursor[1 + model_pick(m, MODEL_CLOUDS - 1)];
    struct fixture *f = m->f;
    if (!c->exists) {
        model_declare_cursor(m, (int)(d - m->d), (int)(c - d->cursor), true);
        return;
    }
    reopen_small(m, model_pick(m, 2) == 0);
    c->exists = false;
    model_declare_all(m);
    OK(tg_outbox_retire_undeclared(f->ob, &f->err));
    for (uint32_t i = 0; i < d->count; i++)
        if (!model_has(d, i, (int)(c - d->cursor))) {
            model_lose(c, d->seqs[i]);
            d->dropped++; /* REMOVED: once for each cloud */
            d->least_dropped++;
            d->most_dropped++;
        }
    if (c->tell_seq > c->acked_seq && model_was_ahead(d, (int)(c - d->cursor), c->tell_seq))
        model_hear(m, c);
    else if (c->tell_seq > c->acked_seq)
        c->tell_seq = 0;
    c->acked_seq = d->last_seq;
}

/* What an operator drops: of one device, or of all, for one cloud. */
static void drop_some(struct model *m)
{
    struct fixture *f = m->f;
    uint64_t rows = 0, counted = 0;
    struct tg_outbox_drop drop = {.device = model_pick(m, 2) ? "a" : NULL,
                                  .cloud = "lake",
                                  .before_ms = model_pick(m, 2) ? m->now_ms - model_pick(m, 10 * 60000) : 0,
                                  .dry = true};
    int code = tg_outbox_drop(f->ob, &drop, &counted, &f->err);
    if (code == TG_ENOTFOUND) /* nobody has a cursor there yet */
        return;
    OK(code);
    drop.dry = false;
    OK(tg_outbox_drop(f->ob, &drop, &rows, &f->err));
    assert_int_equal(rows, counted);
    for (int d = 0; d < MODEL_DEVICES; d++) {
        struct model_device *md = &m->d[d];
        const struct model_cursor *mc = &md->cursor[1];
        struct tg_outbox_cursor_state s;
        if (!mc->exists)
            continue;
        s = state_of(f, mc->handle);
        uint64_t n = model_missing_between(md, 1, mc->acked_seq, s.acked_seq);
        md->removed += n;
        rows -= n;
    }
    assert_int_equal(rows, 0);
}

/* The clock is set, by seconds or by years; sometimes while no gateway runs. */
static void jump(struct model *m)
{
    static const int64_t by[] = {3000, 3600000, 86400000, INT64_C(31536000000)};
    struct fixture *f = m->f;
    if (model_pick(m, 4) == 0) {
        reopen_small(m, model_pick(m, 2) == 0);
        model_declare_all(m);
    }
    m->now_ms +=
        by[model_pick(m, 4)] * (model_pick(m, 2) && m->now_ms > MODEL_START_MS + 31536000000 ? -1 : 1);
    OK(tg_outbox_clock(f->ob, MODEL_BOOT, m->now_ms - m->mono_ms, m->last_id, &f->err));
    m->jumps++;
}

struct oldest {
    const struct model *m;
    int64_t stored_ms; /* 0 = there is no row */
};

static void take_oldest(void *user, const struct tg_outbox_row *row)
{
    struct oldest *o = user;
    if (o->stored_ms == 0)
        o->stored_ms = o->m->stored_ms[row->id];
}

static int64_t oldest_stored_ms(struct model *m)
{
    struct oldest o = {.m = m};
    struct fixture *f = m->f;
    uint64_t next = 0;
    assert_true(tg_outbox_read(f->ob, 0, UINT32_MAX, 1, 1, take_oldest, &o, &next, &f->err) >= 0);
    return o.stored_ms;
}

/* What is older than it may be goes, and nothing else. */
static void expire(struct model *m)
{
    struct fixture *f = m->f;
    struct tg_outbox_stats before, after;
    int64_t limit = m->mono_ms - MODEL_MAX_AGE_MS, oldest = oldest_stored_ms(m);
    OK(tg_outbox_stats(f->ob, &before, &f->err));
    OK(tg_outbox_enforce(f->ob, m->now_ms, &f->err));
    OK(tg_outbox_stats(f->ob, &after, &f->err));
    if (m->quotas) /* some expire sooner, for one cloud */
        m->expired++;
    else if (oldest == 0 || oldest >= limit)
        assert_int_equal(after.dropped[TG_DROP_AGE], before.dropped[TG_DROP_AGE]);
    else
        m->expired++;
    oldest = oldest_stored_ms(m);
    assert_true(oldest == 0 || oldest >= limit);
}

static void step(struct model *m)
{
    struct fixture *f = m->f;
    uint32_t what = model_pick(m, 40);
    int64_t passed = model_pick(m, 60000);
    m->now_ms += passed;
    m->mono_ms += passed;
    if (model_pick(m, 8) == 0)
        jump(m);
    if (what < 33) {
        transact(m);
    } else if (what < 36) {
        reopen_small(m, model_pick(m, 2) == 0);
        model_declare_all(m);
    } else if (what == 36) {
        expire(m);
    } else if (what == 37) {
        int code = tg_outbox_make_room(f->ob, model_pick(m, 60000), &f->err);
        assert_true(code == TG_OK || code == TG_ENOSPACE);
    } else if (what == 38 && model_pick(m, 3) == 0) {
        retire_one(m);
    } else if (what == 38 && model_pick(m, 4) == 0) {
        drop_some(m);
    } else {
        tg_test_verify(f->ob);
    }
}

static void live(struct fixture *f, uint64_t seed, uint32_t *ret_expired, uint32_t *told)
{
    struct model m = {
        .f = f, .random = seed, .now_ms = MODEL_START_MS, .mono_ms = 1000, .quotas = seed % 2 == 0};
    f->o.limit_bytes = 640 << 10;
    f->o.max_age_ms = MODEL_MAX_AGE_MS;
    reopen_small(&m, true);
    m.stored_ms = calloc(MODEL_IDS, sizeof *m.stored_ms);
    assert_non_null(m.stored_ms);
    OK(tg_outbox_clock(f->ob, MODEL_BOOT, m.now_ms - m.mono_ms, 0, &f->err));
    for (int d = 0; d < MODEL_DEVICES; d++) {
        m.d[d].seqs = calloc(MODEL_MAX_ROWS, sizeof *m.d[d].seqs);
        m.d[d].flags = calloc(MODEL_MAX_ROWS, 1);
        assert_non_null(m.d[d].seqs);
        assert_non_null(m.d[d].flags);
        for (int c = 0; c < MODEL_CLOUDS; c++) {
            m.d[d].cursor[c].lost = calloc(MODEL_MAX_ROWS, sizeof *m.d[d].cursor[c].lost);
            assert_non_null(m.d[d].cursor[c].lost);
        }
    }
    model_declare_all(&m);
    for (int d = 0; d < MODEL_DEVICES - 1; d++) { /* the last device has no cloud at first */
        for (int c = 0; c <= d % MODEL_CLOUDS; c++)
            model_declare_cursor(&m, d, c, true);
    }
    for (int i = 0; i < 250; i++) {
        step(&m);
        model_compare(&m);
    }
    tg_test_verify(f->ob);
    uint64_t dropped = 0, acked = 0;
    for (int d = 0; d < MODEL_DEVICES; d++) {
        dropped += m.d[d].dropped;
        acked += m.d[d].cursor[0].acked;
        free(m.d[d].seqs);
        free(m.d[d].flags);
        for (int c = 0; c < MODEL_CLOUDS; c++)
            free(m.d[d].cursor[c].lost);
    }
    free(m.stored_ms);
    /* The life was a full one. */
    assert_true(m.jumps > 10);
    *ret_expired += m.expired;
    assert_true(dropped > 100);
    assert_true(acked > 100);
    *told += m.told;
}

static void test_random_lives(void **state)
{
    const char *text = getenv("TIDEGATE_MODEL_SEED");
    (void)state;
    uint64_t last = tg_proof_count("TIDEGATE_MODEL_LIVES", 12);
    uint32_t told = 0;
    uint32_t expired = 0;
    for (uint64_t seed = 1; seed <= last; seed++) {
        struct fixture *f = NULL;
        if (text)
            seed = strtoull(text, NULL, 10);
        assert_int_equal(set_up((void **)&f), 0);
        /* Read it when the test fails: TIDEGATE_MODEL_SEED repeats this one. */
        print_message("seed %llu\n", (unsigned long long)seed);
        live(f, seed, &expired, &told);
        tear_down((void **)&f);
        if (text)
            break;
    }
    assert_true(told > 0);
    if (!text)
        tg_proof("C6", "outbox_model", last, 0,
                 "Random lives of 250 steps each (samples, holes, acknowledgements, limits, ages, "
                 "quarantine, new and lost clouds, crashes, "
                 "stops) beside a plain model: after each step accepted = acknowledged + dropped + pending "
                 "for every "
                 "device and cloud, and every count and number is the model's",
                 "\"comparisons\":%llu", (unsigned long long)last * 250);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
