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
#include "support/outbox_fixture.h"
#include "support/proof.h"

#include "store/outbox_private.h"
#include "support/gap_help.h"

#define DEVICES    4
#define CLOUDS     3
#define MAX_ROWS   20000
#define START_MS   INT64_C(1900000000000)
#define MAX_AGE_MS (45 * INT64_C(60000))
#define BOOT       4711
#define IDS        (1 << 20)
#define URGENT     0x80u /* in `flags`, beside a bit for each cloud that has acknowledged the row ahead */

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
    struct model_cursor cursor[CLOUDS];
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
    struct model_device d[DEVICES];
};

static uint32_t pick(struct model *m, uint32_t n)
{
    return tg_test_random(&m->random) % n;
}

/* Accepted rows with above < seq ≤ upto. */
static uint64_t rows_between(const struct model_device *d, uint64_t above, uint64_t upto)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < d->count; i++)
        n += d->seqs[i] > above && d->seqs[i] <= upto;
    return n;
}

static bool has(const struct model_device *d, uint32_t i, int c)
{
    return d->seqs[i] <= d->cursor[c].acked_seq || (d->flags[i] & 1u << c);
}

/* Rows with above < seq ≤ upto that the cloud has not acknowledged ahead. */
static uint64_t missing_between(const struct model_device *d, int c, uint64_t above, uint64_t upto)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < d->count; i++)
        n += d->seqs[i] > above && d->seqs[i] <= upto && !(d->flags[i] & 1u << c);
    return n;
}

/* Every cloud has it: it may be deleted. */
static bool is_done(const struct model_device *d, uint32_t i)
{
    for (int c = 0; c < CLOUDS; c++)
        if (d->cursor[c].exists && !has(d, i, c))
            return false;
    return true;
}

/* A cursor takes in what it has reached. */
static void absorb(struct model_device *d, int c)
{
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->seqs[i] <= d->cursor[c].acked_seq)
            continue;
        if (!(d->flags[i] & 1u << c))
            return;
        d->cursor[c].acked_seq = d->seqs[i];
    }
}

static void lose(struct model_cursor *mc, uint64_t seq)
{
    assert_true(mc->lost_count < MAX_ROWS);
    mc->lost[mc->lost_count++] = seq;
    mc->lost_ever++;
}

/* The record was acknowledged: what it says is not to be said again. */
static void hear(struct model *m, struct model_cursor *mc)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < mc->lost_count; i++)
        if (mc->lost[i] < mc->tell.first_seq || mc->lost[i] > mc->tell.last_seq)
            mc->lost[kept++] = mc->lost[i];
    mc->lost_count = kept;
    mc->told_ever += mc->tell.count;
    mc->tell_seq = 0;
    m->told++;
}

static void declare_cursor(struct model *m, int d, int c, bool anew)
{
    static const char *const clouds[CLOUDS] = {"hub", "lake", "broker"};
    struct model_cursor *mc = &m->d[d].cursor[c];
    struct fixture *f = m->f;
    OK(tg_outbox_cursor(f->ob, m->d[d].handle, clouds[c], &mc->handle, &f->err));
    if (anew) { /* what its cloud was not told before it left, it is told now */
        for (uint32_t i = 0; mc->ever && i < m->d[d].count; i++)
            if (m->d[d].seqs[i] > mc->acked_seq)
                lose(mc, m->d[d].seqs[i]);
        /* Numbers in between that were never stored may be counted with them. */
        uint64_t untold = state_of(f, mc->handle).gap.count;
        assert_in_range(untold, mc->lost_ever - mc->told_ever,
                        mc->lost_ever - mc->told_ever + (mc->ever ? m->d[d].last_seq - mc->acked_seq : 0));
        mc->lost_ever = untold + mc->told_ever;
        mc->exists = mc->ever = true;
        mc->base = mc->acked_seq = m->d[d].last_seq;
        mc->acked = mc->dropped = 0;
        for (uint32_t i = 0; i < m->d[d].count; i++)
            m->d[d].flags[i] &= (uint8_t) ~(1u << c);
    }
    if (m->quotas && c < 2) { /* the last cloud has none */
        struct tg_outbox_quota q = {.max_pending = d == 0 ? 120 : 0,
                                    .cloud_max_pending = c == 1 ? 500 : 0,
                                    .max_age_ms = d == 1 ? 20 * 60000 : 0};
        OK(tg_outbox_set_quota(f->ob, mc->handle, &q, &f->err));
    }
}

static void declare_all(struct model *m)
{
    static const char *const names[DEVICES] = {"a", "b", "c", "d"};
    struct fixture *f = m->f;
    for (int d = 0; d < DEVICES; d++) {
        OK(tg_outbox_device(f->ob, names[d], &m->d[d].handle, &f->err));
        for (int c = 0; c < CLOUDS; c++) {
            if (m->d[d].cursor[c].exists)
                declare_cursor(m, d, c, false);
        }
    }
}

/* --- the outbox against the model -------------------------------------------------------------------------
 */

struct walk {
    struct model *m;
    bool urgent;
    uint32_t at[DEVICES]; /* index of the next expected row */
};

static void pass_over(struct walk *w, int d, uint64_t below)
{
    const struct model_device *md = &w->m->d[d];
    while (w->at[d] < md->count && md->seqs[w->at[d]] < below &&
           (is_done(md, w->at[d]) || (w->urgent && !(md->flags[w->at[d]] & URGENT))))
        w->at[d]++;
}

static void walk_row(void *user, const struct tg_outbox_row *row)
{
    struct walk *w = user;
    if (!tg_gap_is_record(row->body))
        tg_test_check_body(row);
    for (int d = 0; d < DEVICES; d++) {
        const struct model_device *md = &w->m->d[d];
        if (row->device != md->handle || w->at[d] == md->count || row->seq < md->seqs[w->at[d]])
            continue;
        pass_over(w, d, row->seq);
        assert_int_equal(row->seq, md->seqs[w->at[d]]);
        w->at[d]++;
    }
}

static void compare_rows(struct model *m, bool urgent)
{
    struct walk w = {.m = m, .urgent = urgent};
    struct fixture *f = m->f;
    uint64_t next = 0;
    int rc = 1;
    for (int d = 0; d < DEVICES; d++) {
        uint64_t low = m->d[d].last_seq;
        for (int c = 0; c < CLOUDS; c++) {
            if (m->d[d].cursor[c].exists && m->d[d].cursor[c].acked_seq < low)
                low = m->d[d].cursor[c].acked_seq;
        }
        while (w.at[d] < m->d[d].count && m->d[d].seqs[w.at[d]] <= low)
            w.at[d]++;
    }
    while (rc == 1) {
        uint32_t rows = 1 + pick(m, 400), bytes = 1 + pick(m, 100000);
        rc = urgent ? tg_outbox_read_urgent(f->ob, next, rows, bytes, walk_row, &w, &next, &f->err)
                    : tg_outbox_read(f->ob, next, UINT32_MAX, rows, bytes, walk_row, &w, &next, &f->err);
    }
    assert_int_equal(rc, 0);
    for (int d = 0; d < DEVICES; d++) {
        pass_over(&w, d, UINT64_MAX);
        assert_int_equal(w.at[d], m->d[d].count);
    }
}

static void sum_dropped(void *user, const struct tg_outbox_device_stats *s)
{
    uint64_t *sums = user;
    for (int r = 0; r < TG_DROP_REASONS; r++)
        sums[s->name[0] - 'a'] += s->dropped[r];
}

/* Rows that went from the log although some cloud did not have them. */
static uint64_t evicted_rows(const struct model *m, const struct model_device *md)
{
    uint64_t n = 0, upto[CLOUDS] = {0};
    for (int c = 0; c < CLOUDS; c++)
        if (md->cursor[c].exists)
            upto[c] = state_of(m->f, md->cursor[c].handle).acked_seq;
    for (uint32_t i = 0; i < md->count; i++) {
        bool missed = false;
        for (int c = 0; c < CLOUDS; c++)
            missed = missed || (md->seqs[i] <= upto[c] && !has(md, i, c));
        n += missed;
    }
    return n;
}

static bool was_ahead(const struct model_device *md, int c, uint64_t seq)
{
    for (uint32_t i = 0; i < md->count; i++)
        if (md->seqs[i] == seq)
            return md->flags[i] & 1u << c;
    return false;
}

static void compare_gap(struct model *m, struct model_device *md, int c,
                        const struct tg_outbox_cursor_state *s)
{
    struct model_cursor *mc = &md->cursor[c];
    for (uint32_t i = 0; i < md->count && s->dropped > mc->dropped; i++)
        if (!has(md, i, c) && md->seqs[i] <= s->acked_seq)
            lose(mc, md->seqs[i]);
    if (mc->tell_seq > 0 && mc->tell_seq <= s->acked_seq &&
        (mc->tell_seq <= mc->acked_seq || was_ahead(md, c, mc->tell_seq)))
        hear(m, mc);
    else if (mc->tell_seq > 0 && mc->tell_seq <= s->acked_seq)
        mc->tell_seq = 0; /* dropped on its way */
    assert_int_equal(s->tell_seq, mc->tell_seq);
    assert_int_equal(s->gap.count, mc->lost_ever - mc->told_ever);
    for (uint32_t i = 0; i < mc->lost_count; i++)
        assert_true(mc->lost[i] >= s->gap.first_seq && mc->lost[i] <= s->gap.last_seq);
}

/* `before`: the acked_seq of each cursor when eviction could begin. */
static void compare(struct model *m)
{
    struct fixture *f = m->f;
    uint64_t dropped[DEVICES] = {0};
    assert_int_equal(tg_outbox_last_id(f->ob), m->last_id);
    for (int d = 0; d < DEVICES; d++) {
        struct model_device *md = &m->d[d];
        uint64_t evicted = evicted_rows(m, md), one_dropped = 0, all_dropped = 0;
        assert_int_equal(tg_outbox_last_seq(f->ob, md->handle), md->last_seq);
        for (int c = 0; c < CLOUDS; c++) {
            struct model_cursor *mc = &md->cursor[c];
            if (!mc->exists)
                continue;
            struct tg_outbox_cursor_state s = state_of(f, mc->handle);
            assert_true(s.acked_seq >= mc->acked_seq);
            compare_gap(m, md, c, &s);
            uint64_t passed = missing_between(md, c, mc->acked_seq, s.acked_seq);
            if (s.dropped > mc->dropped) {
                all_dropped += passed;
                one_dropped = passed > one_dropped ? passed : one_dropped;
            }
            if (s.dropped > mc->dropped)
                assert_int_equal(s.dropped - mc->dropped, passed);
            else
                assert_int_equal(s.acked_seq, mc->acked_seq);
            mc->acked_seq = s.acked_seq;
            mc->dropped = s.dropped;
            assert_int_equal(s.acked, mc->acked);
            assert_int_equal(s.accepted, rows_between(md, mc->base, UINT64_MAX));
            assert_int_equal(s.pending, missing_between(md, c, mc->acked_seq, UINT64_MAX));
            assert_int_equal(s.ahead, rows_between(md, mc->acked_seq, UINT64_MAX) - s.pending);
        }
        if (md->removed > 0)
            md->dropped += md->removed; /* the only ones in this step, once for each cloud */
        else
            md->dropped += evicted;
        md->removed = 0;
        md->least_dropped += one_dropped;
        md->most_dropped += all_dropped;
    }
    OK(tg_outbox_each_device(f->ob, sum_dropped, dropped, &f->err));
    for (int d = 0; d < DEVICES;
         d++) { /* a row that is over a quota counts once for each cloud, another one once */
        if (m->quotas)
            assert_in_range(dropped[d], m->d[d].least_dropped + m->d[d].rejected,
                            m->d[d].most_dropped + m->d[d].rejected);
        else
            assert_int_equal(dropped[d], m->d[d].dropped + m->d[d].rejected);
    }
    compare_rows(m, false);
    compare_rows(m, true);
}

/* --- steps
 * -------------------------------------------------------------------------------------------------- */

/* Small enough that marks and compaction happen all the time. */
static void reopen_small(struct model *m, bool clean)
{
    struct fixture *f = m->f;
    reopen(f, clean);
    f->ob->mark_rows = 16 + pick(m, 200);
    f->ob->compact_rows = 16 + pick(m, 300);
}

static int append_some(struct model *m, struct model_device *d, uint32_t n)
{
    struct fixture *f = m->f;
    for (uint32_t i = 0; i < n && d->count < MAX_ROWS; i++) {
        uint64_t skip = pick(m, 60) == 0 ? 1 + pick(m, 5) : 0;
        struct tg_outbox_row row = {.id = m->last_id + 1 + pick(m, 3) * pick(m, 2),
                                    .seq = d->last_seq + 1 + skip};
        row.device = d->handle;
        row.time_ms = m->now_ms;
        row.body = tg_test_body(row.device, row.seq, 40 + pick(m, pick(m, 20) == 0 ? 9000 : 600));
        /* Neither a number nor an id is ever given twice. */
        assert_true(row.seq > d->highest_given || row.seq > d->last_seq);
        bool urgent = pick(m, 25) == 0;
        int code =
            urgent ? tg_outbox_append_urgent(f->ob, &row, &f->err) : tg_outbox_append(f->ob, &row, &f->err);
        if (code == TG_ENOSPACE)
            return code;
        OK(code);
        assert_true(row.id < IDS);
        m->stored_ms[row.id] = m->mono_ms;
        m->last_id = row.id;
        d->last_seq = row.seq;
        d->flags[d->count] = urgent ? URGENT : 0;
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
    if (!c->exists || d->count == MAX_ROWS)
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
    i += pick(m, d->count - i);
    end = i + 1;
    /* Over numbers that were never stored, too. */
    for (uint32_t n = pick(m, 3) ? pick(m, 40) : 0; n > 0 && end < d->count; n--)
        end++;
    OK(tg_outbox_ack_ahead(f->ob, mc->handle, d->seqs[i], d->seqs[end - 1], 0, &f->err));
    for (; i < end; i++) {
        mc->acked += !has(d, i, c);
        d->flags[i] |= (uint8_t)(1u << c);
    }
    absorb(d, c);
}

/* What a transaction that does not happen has changed. */
static void save_flags(struct model *m, bool back)
{
    static uint8_t saved[DEVICES][MAX_ROWS];
    for (int d = 0; d < DEVICES; d++)
        memcpy(back ? m->d[d].flags : saved[d], back ? saved[d] : m->d[d].flags, MAX_ROWS);
}

static void transact(struct model *m)
{
    struct model was = *m;
    struct fixture *f = m->f;
    uint32_t parts = 1 + pick(m, 6);
    int code = TG_OK;
    save_flags(m, false);
    for (uint32_t p = 0; p < parts && code == TG_OK; p++) {
        struct model_device *d = &m->d[pick(m, DEVICES)];
        int cloud = (int)pick(m, CLOUDS);
        struct model_cursor *c = &d->cursor[cloud];
        uint32_t what = pick(m, 14);
        if (what >= 10) {
            ack_ahead(m, d, cloud);
        } else if (what < 6) {
            code = append_some(m, d, pick(m, 60));
        } else if (what == 6 && pick(m, 4) == 0) {
            uint64_t n = 1 + pick(m, 4);
            OK(tg_outbox_reject(f->ob, d->handle, d->last_seq + n, TG_DROP_LIMIT, &f->err));
            d->last_seq += n;
            d->rejected += n;
        } else if (what == 7 && pick(m, 3) == 0) {
            code = tell(m, d, c);
        } else if (c->exists && d->last_seq > c->acked_seq) {
            uint64_t to = pick(m, 3) == 0
                              ? d->last_seq
                              : c->acked_seq + 1 + pick(m, (uint32_t)(d->last_seq - c->acked_seq));
            OK(tg_outbox_set_cursor(f->ob, c->handle, to, 0, &f->err));
            c->acked += missing_between(d, cloud, c->acked_seq, to);
            c->acked_seq = to;
            absorb(d, cloud);
        }
    }
    uint32_t end = code == TG_OK ? pick(m, 12) : 0;
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
        declare_all(m);
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
    struct model_device *d = &m->d[pick(m, DEVICES)];
    struct model_cursor *c = &d->cursor[1 + pick(m, CLOUDS - 1)];
    struct fixture *f = m->f;
    if (!c->exists) {
        declare_cursor(m, (int)(d - m->d), (int)(c - d->cursor), true);
        return;
    }
    reopen_small(m, pick(m, 2) == 0);
    c->exists = false;
    declare_all(m);
    OK(tg_outbox_retire_undeclared(f->ob, &f->err));
    for (uint32_t i = 0; i < d->count; i++)
        if (!has(d, i, (int)(c - d->cursor))) {
            lose(c, d->seqs[i]);
            d->dropped++; /* REMOVED: once for each cloud */
            d->least_dropped++;
            d->most_dropped++;
        }
    if (c->tell_seq > c->acked_seq && was_ahead(d, (int)(c - d->cursor), c->tell_seq))
        hear(m, c);
    else if (c->tell_seq > c->acked_seq)
        c->tell_seq = 0;
    c->acked_seq = d->last_seq;
}

/* What an operator drops: of one device, or of all, for one cloud. */
static void drop_some(struct model *m)
{
    struct fixture *f = m->f;
    uint64_t rows = 0, counted = 0;
    struct tg_outbox_drop drop = {.device = pick(m, 2) ? "a" : NULL,
                                  .cloud = "lake",
                                  .before_ms = pick(m, 2) ? m->now_ms - pick(m, 10 * 60000) : 0,
                                  .dry = true};
    int code = tg_outbox_drop(f->ob, &drop, &counted, &f->err);
    if (code == TG_ENOTFOUND) /* nobody has a cursor there yet */
        return;
    OK(code);
    drop.dry = false;
    OK(tg_outbox_drop(f->ob, &drop, &rows, &f->err));
    assert_int_equal(rows, counted);
    for (int d = 0; d < DEVICES; d++) {
        struct model_device *md = &m->d[d];
        const struct model_cursor *mc = &md->cursor[1];
        struct tg_outbox_cursor_state s;
        if (!mc->exists)
            continue;
        s = state_of(f, mc->handle);
        uint64_t n = missing_between(md, 1, mc->acked_seq, s.acked_seq);
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
    if (pick(m, 4) == 0) {
        reopen_small(m, pick(m, 2) == 0);
        declare_all(m);
    }
    m->now_ms += by[pick(m, 4)] * (pick(m, 2) && m->now_ms > START_MS + 31536000000 ? -1 : 1);
    OK(tg_outbox_clock(f->ob, BOOT, m->now_ms - m->mono_ms, m->last_id, &f->err));
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
    int64_t limit = m->mono_ms - MAX_AGE_MS, oldest = oldest_stored_ms(m);
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
    uint32_t what = pick(m, 40);
    int64_t passed = pick(m, 60000);
    m->now_ms += passed;
    m->mono_ms += passed;
    if (pick(m, 8) == 0)
        jump(m);
    if (what < 33) {
        transact(m);
    } else if (what < 36) {
        reopen_small(m, pick(m, 2) == 0);
        declare_all(m);
    } else if (what == 36) {
        expire(m);
    } else if (what == 37) {
        int code = tg_outbox_make_room(f->ob, pick(m, 60000), &f->err);
        assert_true(code == TG_OK || code == TG_ENOSPACE);
    } else if (what == 38 && pick(m, 3) == 0) {
        retire_one(m);
    } else if (what == 38 && pick(m, 4) == 0) {
        drop_some(m);
    } else {
        tg_test_verify(f->ob);
    }
}

static void live(struct fixture *f, uint64_t seed, uint32_t *ret_expired, uint32_t *told)
{
    struct model m = {.f = f, .random = seed, .now_ms = START_MS, .mono_ms = 1000, .quotas = seed % 2 == 0};
    f->o.limit_bytes = 640 << 10;
    f->o.max_age_ms = MAX_AGE_MS;
    reopen_small(&m, true);
    m.stored_ms = calloc(IDS, sizeof *m.stored_ms);
    assert_non_null(m.stored_ms);
    OK(tg_outbox_clock(f->ob, BOOT, m.now_ms - m.mono_ms, 0, &f->err));
    for (int d = 0; d < DEVICES; d++) {
        m.d[d].seqs = calloc(MAX_ROWS, sizeof *m.d[d].seqs);
        m.d[d].flags = calloc(MAX_ROWS, 1);
        assert_non_null(m.d[d].seqs);
        assert_non_null(m.d[d].flags);
        for (int c = 0; c < CLOUDS; c++) {
            m.d[d].cursor[c].lost = calloc(MAX_ROWS, sizeof *m.d[d].cursor[c].lost);
            assert_non_null(m.d[d].cursor[c].lost);
        }
    }
    declare_all(&m);
    for (int d = 0; d < DEVICES - 1; d++) { /* the last device has no cloud at first */
        for (int c = 0; c <= d % CLOUDS; c++)
            declare_cursor(&m, d, c, true);
    }
    for (int i = 0; i < 250; i++) {
        step(&m);
        compare(&m);
    }
    tg_test_verify(f->ob);
    uint64_t dropped = 0, acked = 0;
    for (int d = 0; d < DEVICES; d++) {
        dropped += m.d[d].dropped;
        acked += m.d[d].cursor[0].acked;
        free(m.d[d].seqs);
        free(m.d[d].flags);
        for (int c = 0; c < CLOUDS; c++)
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
