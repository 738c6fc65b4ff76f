/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lives_life.h"

#include <string.h>

uint32_t lives_pick(struct life *l, uint32_t n)
{
    return tg_test_random(&l->w->random) % n;
}

bool lives_dead(const struct life *l)
{
    return l->ending == LIVES_CUT && tg_crash_happened();
}

/* --- samples ------------------------------------------------------------------------------------------- */

void lives_offer(struct life *l)
{
    uint32_t d = lives_pick(l, LIVES_DEVICES), n = 1 + lives_pick(l, 24);
    bool alarms = lives_pick(l, 6) == 0;
    for (uint32_t i = 0; i < n && l->device[d] != UINT32_MAX && !lives_dead(l); i++) {
        size_t size = lives_pick(l, 50) == 0 ? 8000 : 40 + lives_pick(l, 400);
        bool urgent = alarms && lives_pick(l, 3) == 0;
        struct tg_outbox_row row = {.device = d, .time_ms = tg_clock_mono_ms() + l->w->clock_ms};
        int rc;
        row.body = tg_test_body(lives_pick(l, 1000), l->w->tally.offered, size);
        rc = urgent
                 ? tg_store_append_urgent(l->f.store, l->device[d], row.time_ms, row.body, &row.seq, &row.id)
                 : tg_store_append(l->f.store, l->device[d], row.time_ms, row.body, &row.seq, &row.id);
        if (rc == TG_OK)
            lives_offered(l->w, d, &row, urgent, l->f.state != TG_STORE_OK);
    }
    l->w->dropped_memory = l->dropped_before + stats_of(&l->f).dropped_memory;
}

void lives_flush(struct life *l)
{
    tg_store_flush(l->f.store);
    for (uint32_t d = 0; d < LIVES_DEVICES && !l->w->lazy; d++) {
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            struct lives_account *a = &l->w->account[d][c];
            if (a->sent_ack > a->durable_ack)
                continue; /* one at a time */
            a->sent_ack = a->acked;
            a->sent_at_id = l->f.committed_id + stats_of(&l->f).uncommitted_rows;
        }
    }
}

/* --- sessions ------------------------------------------------------------------------------------------ */

static void on_some_rows(void *user)
{
    (void)user;
}

void lives_take(struct life *l, uint32_t d, uint32_t c)
{
    struct lives_session *s = &l->session[d][c];
    uint32_t n = tg_feed_available(s->feed), room = LIVES_WINDOW - s->count;
    struct tg_row *rows[LIVES_WINDOW];
    bool ahead;
    n = n < room ? n : room;
    n = n ? 1 + lives_pick(l, n) : 0;
    if (!n || lives_dead(l))
        return;
    ahead = tg_feed_take(s->feed, n, rows);
    for (uint32_t i = 0; i < n; i++) {
        struct tg_outbox_row row = {.id = rows[i]->id,
                                    .seq = rows[i]->seq,
                                    .device = d,
                                    .time_ms = rows[i]->time_ms,
                                    .body = tg_bytes(rows[i]->body, rows[i]->body_len)};
        uint64_t before = l->w->tally.duplicates;
        lives_delivered(l->w, d, c, &row, ahead, s->liberal);
        if (l->w->tally.duplicates > before && s->repeats-- == 0)
            fail_msg("%u/%llu is given to %s again, and was not in its window", d,
                     (unsigned long long)row.seq, lives_clouds[c]);
        if (ahead && row.seq <= s->ahead_seq)
            fail_msg("%u/%llu goes ahead to %s behind %llu", d, (unsigned long long)row.seq, lives_clouds[c],
                     (unsigned long long)s->ahead_seq);
        if (ahead)
            s->ahead_seq = row.seq;
        s->taken[(s->first + s->count++) % LIVES_WINDOW] = (struct lives_taken){rows[i], ahead};
    }
}

/* In the order of taking, as the broker does. */
void lives_ack(struct life *l, uint32_t d, uint32_t c)
{
    struct lives_session *s = &l->session[d][c];
    uint32_t n = s->count ? 1 + lives_pick(l, s->count) : 0;
    if (lives_dead(l))
        return;
    while (n > 0) {
        struct tg_row *rows[LIVES_WINDOW];
        uint32_t same = 0;
        bool ahead = s->taken[s->first].ahead;
        for (; same < n && s->taken[(s->first + same) % LIVES_WINDOW].ahead == ahead; same++) {
            rows[same] = s->taken[(s->first + same) % LIVES_WINDOW].row;
            if (ahead)
                lives_acked_ahead(l->w, d, c, rows[same]->seq);
        }
        if (ahead) {
            tg_feed_ack_ahead(s->feed, same, rows);
        } else {
            lives_acked(l->w, d, c, rows[same - 1]->seq);
            tg_feed_ack(s->feed, rows[same - 1]->seq, rows[same - 1]->id);
        }
        for (uint32_t i = 0; i < same; i++)
            tg_row_unref(rows[i]);
        s->first = (s->first + same) % LIVES_WINDOW;
        s->count -= same;
        n -= same;
    }
}

static void let_go(struct lives_session *s)
{
    for (; s->count > 0; s->count--, s->first = (s->first + 1) % LIVES_WINDOW)
        tg_row_unref(s->taken[s->first].row);
    s->ahead_seq = 0;
}

void lives_forget_window(struct life *l, uint32_t d, uint32_t c)
{
    struct lives_session *s = &l->session[d][c];
    s->repeats += s->count;
    let_go(s);
    tg_feed_pause(s->feed);
    tg_feed_rewind(s->feed);
    s->awake = false;
    l->w->tally.rewinds++;
}

void lives_wake(struct life *l, uint32_t d, uint32_t c)
{
    struct lives_session *s = &l->session[d][c];
    if (!s->awake)
        tg_feed_resume(s->feed);
    s->awake = true;
}

void lives_close_sessions(struct life *l, uint32_t d)
{
    for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
        struct lives_session *s = &l->session[d][c];
        let_go(s);
        if (s->feed)
            tg_feed_close(s->feed);
        s->feed = NULL;
    }
}

/* --- their choices ------------------------------------------------------------------------------------- */

void lives_choose_drain(struct life *l, uint32_t d, uint32_t c)
{
    static const enum tg_drain drains[] = {TG_DRAIN_IN_ORDER, TG_DRAIN_FAIR, TG_DRAIN_NEWEST_FIRST};
    struct lives_session *s = &l->session[d][c];
    enum tg_drain drain = drains[lives_pick(l, 3)];
    tg_feed_set_drain(s->feed, drain);
    s->liberal = s->liberal || drain != TG_DRAIN_IN_ORDER;
}

void lives_choose_quota(struct life *l, uint32_t d, uint32_t c)
{
    struct tg_outbox_quota q = {0};
    uint32_t dice = lives_pick(l, 8);
    if (dice == 0)
        q.max_pending = 30 + lives_pick(l, 300);
    else if (dice == 1)
        q.cloud_max_pending = 60 + lives_pick(l, 600);
    else if (dice == 2)
        q.max_age_ms = 30 + lives_pick(l, 300);
    /* Refused by a disk that takes nothing: the old one holds. */
    if (tg_store_set_quota(l->f.store, l->device[d], lives_clouds[c], &q, &l->f.err) == TG_OK)
        l->w->tally.quotas += dice < 3;
}

static void on_dropped(void *user, int rc, const char *text, uint64_t rows)
{
    struct life *l = user;
    (void)text;
    l->dropping = false;
    l->w->tally.hand_drops += rc == TG_OK;
    l->w->tally.dropped_by_hand += rc == TG_OK ? rows : 0;
}

void lives_drop_by_hand(struct life *l)
{
    char name[24];
    uint32_t d = lives_pick(l, LIVES_DEVICES + 1), c = lives_pick(l, LIVES_CLOUDS + 1);
    int64_t before = lives_pick(l, 2) ? 0 : tg_clock_mono_ms() + l->w->clock_ms - (int64_t)lives_pick(l, 100);
    if (l->dropping)
        return;
    lives_device_name(d, name);
    l->dropping =
        tg_store_drop(l->f.store, d < LIVES_DEVICES ? name : NULL, c < LIVES_CLOUDS ? lives_clouds[c] : NULL,
                      before, on_dropped, l, &l->f.err) == TG_OK;
}

void lives_remove_device(struct life *l, uint32_t d)
{
    struct tg_outbox_declaration list[LIVES_DEVICES * (LIVES_CLOUDS + 1)];
    char names[LIVES_DEVICES][24];
    uint32_t n = 0;
    for (uint32_t i = 0; i < LIVES_DEVICES; i++) {
        lives_device_name(i, names[i]);
        for (uint32_t c = 0; c < LIVES_CLOUDS && i != d; c++)
            if (l->w->account[i][c].exists && !l->w->account[i][c].leaving)
                list[n++] = (struct tg_outbox_declaration){names[i], lives_clouds[c]};
    }
    lives_close_sessions(l, d);
    l->device[d] = UINT32_MAX;
    for (uint32_t c = 0; c < LIVES_CLOUDS; c++)
        lives_left(l->w, d, c);
    /* A disk that takes nothing refuses: then the next start gives them up. */
    if (tg_store_left(l->f.store, list, n, &l->f.err) == TG_OK)
        l->w->tally.devices_left++;
}

/* --- their beginning ----------------------------------------------------------------------------------- */

/* What was given and is not acknowledged may come again. */
bool lives_open(struct life *l, uint32_t d, uint32_t c, uint64_t *ret_pending)
{
    struct lives_session *s = &l->session[d][c];
    uint64_t acked;
    if (tg_feed_open(l->f.store, l->device[d], lives_clouds[c], on_some_rows, s, &s->feed, &l->f.err) !=
        TG_OK)
        return false;
    if (lives_dead(l))
        return false; /* without the disk the store has begun with what it could guess */
    *ret_pending = tg_feed_pending(s->feed);
    acked = tg_feed_acked_seq(s->feed);
    lives_resumed(l->w, d, c, acked);
    s->repeats = 0;
    s->liberal = false;
    for (uint32_t i = 0; i < l->w->count[d]; i++) {
        const struct lives_sample *x = &l->w->sample[d][i];
        s->repeats += x->seq > acked && x->delivered[c];
    }
    if (s->repeats > l->w->tally.most_duplicates)
        l->w->tally.most_duplicates = s->repeats;
    lives_choose_drain(l, d, c);
    lives_choose_quota(l, d, c);
    return true;
}

void lives_replace(struct life *l, uint32_t d, uint32_t c)
{
    struct lives_session *s = &l->session[d][c];
    uint64_t before, pending;
    if (l->f.state != TG_STORE_OK || l->ending == LIVES_CUT)
        return;
    lives_forget_window(l, d, c);
    before = tg_feed_pending(s->feed);
    tg_feed_close(s->feed);
    s->feed = NULL;
    /* Refused by a disk that takes nothing: without it until the next life. Meanwhile some may have been evicted. */
    if (lives_open(l, d, c, &pending) && pending > before)
        fail_msg("%u %s: %llu were pending, after a reload %llu are", d, lives_clouds[c],
                 (unsigned long long)before, (unsigned long long)pending);
    l->w->tally.reloads++;
}
