/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rows that nobody is to get any more: of devices and clouds that left the configuration, and what an operator drops.
 */
#include "store/store_thread.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/plural.h"

#define NAMES_MAX 3 /* told by name */

/* What a note for people says of several cursors. */
struct telling {
    char names[200];
    uint32_t cursors;
    uint64_t rows;
};

static void add(struct telling *y, const struct tg_store_thread *t, const struct tg_thread_cursor *c,
                uint64_t rows)
{
    size_t n = strlen(y->names);
    if (y->cursors++ < NAMES_MAX)
        snprintf(y->names + n, sizeof y->names - n, "%s%.40s at %.40s", n ? ", " : "",
                 t->devices[c->device].name, c->cloud);
    else if (y->cursors == NAMES_MAX + 1)
        snprintf(y->names + n, sizeof y->names - n, " and others");
    y->rows += rows;
}

static int by_name(const void *a, const void *b)
{
    const struct tg_outbox_declaration *x = a, *y = b;
    int order = strcmp(x->device, y->device);
    return order ? order : strcmp(x->cloud ? x->cloud : "", y->cloud ? y->cloud : "");
}

int tg_store_thread_left(struct tg_store_thread *t, const struct tg_outbox_declaration *configured,
                         uint32_t count, struct tg_error *err)
{
    struct telling kept = {0};
    struct tg_outbox_declaration *sorted = tg_calloc(count + 1, sizeof *sorted);
    int64_t now = tg_clock_mono_ms();
    if (!sorted)
        return tg_error_set(err, TG_ENOMEM, "out of memory while looking for what left the configuration");
    if (count > 0)
        memcpy(sorted, configured, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_name);
    int rc = t->ob ? tg_store_thread_write_acks(t, err) : TG_OK;
    if (rc < 0)
        rc = TG_OK; /* the next transaction says what is wrong */
    for (uint32_t i = 0; i < t->cursor_count; i++) {
        struct tg_thread_cursor *c = &t->cursors[i];
        struct tg_outbox_declaration key = {t->devices[c->device].name, c->cloud};
        struct tg_outbox_cursor_state s;
        if (c->declared || c->left_at_ms > 0 || c->retired || c->number == UINT32_MAX ||
            bsearch(&key, sorted, count, sizeof key, by_name))
            continue;
        c->left_at_ms = now;
        if (t->ob && tg_outbox_cursor_state(t->ob, c->number, &s) == TG_OK && s.pending > 0)
            add(&kept, t, c, s.pending);
    }
    tg_free(sorted);
    pthread_mutex_lock(&t->lock);
    if (t->care_at_ms > now + t->o.keep_removed_ms)
        t->care_at_ms = now + t->o.keep_removed_ms;
    if (kept.rows > 0 && t->o.keep_removed_ms > 0) {
        snprintf(
            t->news.note, sizeof t->news.note,
            "no longer configured: %s. Their %llu %s kept for %lld s: "
            "configured again until then, nothing is lost",
            kept.names, (unsigned long long)kept.rows,
            tg_plural(kept.rows, "sample that is not delivered is", "samples that are not delivered are"),
            (long long)(t->o.keep_removed_ms / 1000));
        tg_store_thread_tell(t);
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

int tg_store_thread_retire_undeclared(struct tg_store_thread *t, uint64_t *ret_rows, struct tg_error *err)
{
    struct tg_outbox_stats before, after;
    int rc = tg_outbox_stats(t->ob, &before, err);
    if (rc == TG_OK)
        rc = tg_outbox_retire_undeclared(t->ob, err);
    if (rc == TG_OK)
        rc = tg_outbox_stats(t->ob, &after, err);
    if (rc == TG_OK)
        *ret_rows = after.dropped[TG_DROP_REMOVED] - before.dropped[TG_DROP_REMOVED];
    return rc;
}

int tg_store_thread_retire_left(struct tg_store_thread *t, int64_t now, int64_t *ret_next_ms,
                                struct tg_error *err)
{
    struct telling gone = {0};
    int64_t next = INT64_MAX;
    int rc = TG_OK;
    for (uint32_t i = 0; i < t->cursor_count && rc == TG_OK; i++) {
        struct tg_thread_cursor *c = &t->cursors[i];
        int64_t at = c->left_at_ms + t->o.keep_removed_ms;
        uint64_t rows = 0;
        if (c->left_at_ms == 0 || c->declared)
            continue;
        if (at > now) {
            next = at < next ? at : next;
            continue;
        }
        if (c->number != UINT32_MAX && (rc = tg_outbox_retire(t->ob, c->number, &rows, err)) < 0)
            break;
        c->left_at_ms = 0;
        c->retired = true;
        pthread_mutex_lock(&t->lock);
        if (!t->moves[i].set)
            t->moves[i] = (struct tg_thread_slot){.set = true};
        t->moves[i].retired = t->news.moved = true;
        tg_store_thread_tell(t);
        pthread_mutex_unlock(&t->lock);
        if (rows > 0)
            add(&gone, t, c, rows);
    }
    *ret_next_ms = next;
    if (gone.rows == 0)
        return rc;
    pthread_mutex_lock(&t->lock);
    snprintf(t->news.note, sizeof t->news.note,
             "not configured for %lld s: %s. Their %llu %s given up (counted as "
             "removed); those of the others are not held back by them any more",
             (long long)(t->o.keep_removed_ms / 1000), gone.names, (unsigned long long)gone.rows,
             tg_plural(gone.rows, "sample that was not delivered is", "samples that were not delivered are"));
    pthread_mutex_unlock(&t->lock);
    return rc;
}

void tg_store_thread_run_drop(struct tg_store_thread *t)
{
    struct tg_thread_drop asked = t->drop;
    struct tg_outbox_drop drop = {.device = asked.device[0] ? asked.device : NULL,
                                  .cloud = asked.cloud[0] ? asked.cloud : NULL,
                                  .before_ms = asked.before_ms};
    struct tg_outbox_stats stats;
    struct tg_error err = {0};
    uint64_t rows = 0;
    bool counted = false;
    int rc;
    t->drop.asked = false;
    tg_store_thread_take_acks(t);
    pthread_mutex_unlock(&t->lock);
    if (!t->ob)
        rc = tg_error_set(&err, TG_EBUSY, "the outbox in %s cannot be written now", t->dir);
    else if ((rc = tg_store_thread_write_acks(t, &err)) == TG_OK)
        rc = tg_outbox_drop(t->ob, &drop, &rows, &err);
    if (t->ob)
        counted = tg_outbox_stats(t->ob, &stats, NULL) == TG_OK;
    pthread_mutex_lock(&t->lock);
    if (counted)
        tg_store_thread_publish(t, &stats);
    t->news.drop_done = true;
    t->news.drop_rc = rc;
    t->news.drop_rows = rows;
    snprintf(t->news.drop_text, sizeof t->news.drop_text, "%.299s", err.text);
    tg_store_thread_tell(t);
}
