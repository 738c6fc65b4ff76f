/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/outbox_model.h"

#include "store/outbox_private.h"

uint32_t model_pick(struct model *m, uint32_t n)
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

bool model_has(const struct model_device *d, uint32_t i, int c)
{
    return d->seqs[i] <= d->cursor[c].acked_seq || (d->flags[i] & 1u << c);
}

/* Rows with above < seq ≤ upto that the cloud has not acknowledged ahead. */
uint64_t model_missing_between(const struct model_device *d, int c, uint64_t above, uint64_t upto)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < d->count; i++)
        n += d->seqs[i] > above && d->seqs[i] <= upto && !(d->flags[i] & 1u << c);
    return n;
}

/* Every cloud has it: it may be deleted. */
static bool is_done(const struct model_device *d, uint32_t i)
{
    for (int c = 0; c < MODEL_CLOUDS; c++)
        if (d->cursor[c].exists && !model_has(d, i, c))
            return false;
    return true;
}

/* A cursor takes in what it has reached. */
void model_absorb(struct model_device *d, int c)
{
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->seqs[i] <= d->cursor[c].acked_seq)
            continue;
        if (!(d->flags[i] & 1u << c))
            return;
        d->cursor[c].acked_seq = d->seqs[i];
    }
}

void model_lose(struct model_cursor *mc, uint64_t seq)
{
    assert_true(mc->lost_count < MODEL_MAX_ROWS);
    mc->lost[mc->lost_count++] = seq;
    mc->lost_ever++;
}

/* The record was acknowledged: what it says is not to be said again. */
void model_hear(struct model *m, struct model_cursor *mc)
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

void model_declare_cursor(struct model *m, int d, int c, bool anew)
{
    static const char *const clouds[MODEL_CLOUDS] = {"hub", "lake", "broker"};
    struct model_cursor *mc = &m->d[d].cursor[c];
    struct fixture *f = m->f;
    OK(tg_outbox_cursor(f->ob, m->d[d].handle, clouds[c], &mc->handle, &f->err));
    if (anew) { /* what its cloud was not told before it left, it is told now */
        for (uint32_t i = 0; mc->ever && i < m->d[d].count; i++)
            if (m->d[d].seqs[i] > mc->acked_seq)
                model_lose(mc, m->d[d].seqs[i]);
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

void model_declare_all(struct model *m)
{
    static const char *const names[MODEL_DEVICES] = {"a", "b", "c", "d"};
    struct fixture *f = m->f;
    for (int d = 0; d < MODEL_DEVICES; d++) {
        OK(tg_outbox_device(f->ob, names[d], &m->d[d].handle, &f->err));
        for (int c = 0; c < MODEL_CLOUDS; c++) {
            if (m->d[d].cursor[c].exists)
                model_declare_cursor(m, d, c, false);
        }
    }
}

struct walk {
    struct model *m;
    bool urgent;
    uint32_t at[MODEL_DEVICES]; /* index of the next expected row */
};

static void pass_over(struct walk *w, int d, uint64_t below)
{
    const struct model_device *md = &w->m->d[d];
    while (w->at[d] < md->count && md->seqs[w->at[d]] < below &&
           (is_done(md, w->at[d]) || (w->urgent && !(md->flags[w->at[d]] & MODEL_URGENT))))
        w->at[d]++;
}

static void walk_row(void *user, const struct tg_outbox_row *row)
{
    struct walk *w = user;
    if (!tg_gap_is_record(row->body))
        tg_test_check_body(row);
    for (int d = 0; d < MODEL_DEVICES; d++) {
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
    for (int d = 0; d < MODEL_DEVICES; d++) {
        uint64_t low = m->d[d].last_seq;
        for (int c = 0; c < MODEL_CLOUDS; c++) {
            if (m->d[d].cursor[c].exists && m->d[d].cursor[c].acked_seq < low)
                low = m->d[d].cursor[c].acked_seq;
        }
        while (w.at[d] < m->d[d].count && m->d[d].seqs[w.at[d]] <= low)
            w.at[d]++;
    }
    while (rc == 1) {
        uint32_t rows = 1 + model_pick(m, 400), bytes = 1 + model_pick(m, 100000);
        rc = urgent ? tg_outbox_read_urgent(f->ob, next, rows, bytes, walk_row, &w, &next, &f->err)
                    : tg_outbox_read(f->ob, next, UINT32_MAX, rows, bytes, walk_row, &w, &next, &f->err);
    }
    assert_int_equal(rc, 0);
    for (int d = 0; d < MODEL_DEVICES; d++) {
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
    uint64_t n = 0, upto[MODEL_CLOUDS] = {0};
    for (int c = 0; c < MODEL_CLOUDS; c++)
        if (md->cursor[c].exists)
            upto[c] = state_of(m->f, md->cursor[c].handle).acked_seq;
    for (uint32_t i = 0; i < md->count; i++) {
        bool missed = false;
        for (int c = 0; c < MODEL_CLOUDS; c++)
            missed = missed || (md->seqs[i] <= upto[c] && !model_has(md, i, c));
        n += missed;
    }
    return n;
}

bool model_was_ahead(const struct model_device *md, int c, uint64_t seq)
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
        if (!model_has(md, i, c) && md->seqs[i] <= s->acked_seq)
            model_lose(mc, md->seqs[i]);
    if (mc->tell_seq > 0 && mc->tell_seq <= s->acked_seq &&
        (mc->tell_seq <= mc->acked_seq || model_was_ahead(md, c, mc->tell_seq)))
        model_hear(m, mc);
    else if (mc->tell_seq > 0 && mc->tell_seq <= s->acked_seq)
        mc->tell_seq = 0; /* dropped on its way */
    assert_int_equal(s->tell_seq, mc->tell_seq);
    assert_int_equal(s->gap.count, mc->lost_ever - mc->told_ever);
    for (uint32_t i = 0; i < mc->lost_count; i++)
        assert_true(mc->lost[i] >= s->gap.first_seq && mc->lost[i] <= s->gap.last_seq);
}

/* `before`: the acked_seq of each cursor when eviction could begin. */
void model_compare(struct model *m)
{
    struct fixture *f = m->f;
    uint64_t dropped[MODEL_DEVICES] = {0};
    assert_int_equal(tg_outbox_last_id(f->ob), m->last_id);
    for (int d = 0; d < MODEL_DEVICES; d++) {
        struct model_device *md = &m->d[d];
        uint64_t evicted = evicted_rows(m, md), one_dropped = 0, all_dropped = 0;
        assert_int_equal(tg_outbox_last_seq(f->ob, md->handle), md->last_seq);
        for (int c = 0; c < MODEL_CLOUDS; c++) {
            struct model_cursor *mc = &md->cursor[c];
            if (!mc->exists)
                continue;
            struct tg_outbox_cursor_state s = state_of(f, mc->handle);
            assert_true(s.acked_seq >= mc->acked_seq);
            compare_gap(m, md, c, &s);
            uint64_t passed = model_missing_between(md, c, mc->acked_seq, s.acked_seq);
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
            assert_int_equal(s.pending, model_missing_between(md, c, mc->acked_seq, UINT64_MAX));
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
    for (int d = 0; d < MODEL_DEVICES;
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
