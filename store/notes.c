/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When the notes are written, and who is told. One work item at a time:
 *
 *     idle ──change, next turn──► writing ──stored──► idle
 *                                    │
 *                                    └─failed──► waiting (back-off) ──► writing
 *     close: [writing ──►] writing the rest and closing the file ──► gone; at the limit `closed` runs before that
 */
#include "store/notes_private.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/backoff.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/base/random.h"

#define NOTES_MAGIC 0x6e6f7465u

struct waiter {
    struct waiter *next;
    uint64_t change; /* the newest change it waits for */
    void (*done)(void *user, int rc);
    void *user;
};

/* What the work item is given and gives back. */
struct job {
    struct tg_note *first; /* linked by next_writing */
    uint64_t change;       /* the newest change in it */
    bool everything;       /* every note there is */
    bool last;             /* closes the file */
    int code;
    struct tg_error err;
    char aside[64]; /* the damaged file was renamed to this */
    struct tg_error aside_err;
};

struct tg_notes {
    uint32_t magic;
    struct tg_loop *loop;
    struct tg_notes_file file; /* the work item's while `working` */
    struct tg_notes_table table;
    struct tg_note *changed;
    struct waiter *waiters, **waiters_end;
    uint64_t change, durable; /* changes since the start; those on disk */
    uint64_t left_out;        /* in the file, but beyond the limit */
    uv_work_t work;
    struct job job;
    bool working;
    int trouble; /* why the last attempt failed; TG_OK */
    struct tg_backoff backoff;
    struct tg_deadline turn, retry;           /* retry: the limit, once closing */
    enum { OPEN, CLOSING, LATE, GONE } state; /* LATE: `closed` has run, the work item not ended yet */
    uint8_t deadlines_open;
    void (*closed)(void *user);
    void *closed_user;
};

static void mark_changed(struct tg_notes *t, struct tg_note *n)
{
    if (n->changed)
        return;
    n->changed = true;
    n->next_changed = t->changed;
    t->changed = n;
}

/* --- writing ------------------------------------------------------------------------------------------------ */

/* Begins a turn's end: several changes of one turn are one transaction. */
static void soon(struct tg_notes *t)
{
    if (t->state == OPEN)
        tg_deadline_set(&t->turn, tg_loop_now_ms(t->loop));
}

/* A damaged file is set aside once; then everything has to be written. */
static void run_job(uv_work_t *work)
{
    struct tg_notes *t = TG_OBJECT(work->data, struct tg_notes, NOTES_MAGIC);
    struct tg_notes_file *f = &t->file;
    struct job *j = &t->job;
    for (;;) {
        int code = f->db ? TG_OK : tg_notes_file_open(f, &j->err);
        if (code == TG_OK && f->incomplete && !j->everything)
            code = TG_EAGAIN;
        else if (code == TG_OK && j->first)
            code = tg_notes_file_write(f, j->first, &j->err);
        j->code = code;
        if (code == TG_OK)
            f->incomplete = false;
        if (code == TG_OK || code == TG_EAGAIN)
            break;
        tg_notes_file_close(f);
        if (code != TG_ECORRUPT || j->aside[0])
            break;
        j->aside_err = j->err;
        if ((j->code = tg_notes_file_set_aside(f, j->aside, &j->err)) != TG_OK)
            break;
    }
    if (j->last && j->code != TG_EAGAIN)
        tg_notes_file_close(f);
}

static void job_done(uv_work_t *work, int status);

static void start_job(struct tg_notes *t, bool everything)
{
    struct job *j = &t->job;
    TG_ASSERT(!t->working);
    memset(j, 0, sizeof *j);
    if (everything)
        for (size_t i = 0; i < t->table.count; i++)
            mark_changed(t, t->table.notes[i]);
    for (struct tg_note *n = t->changed; n; n = n->next_changed) {
        n->changed = false;
        n->in_write = true;
        n->writing = n->value;
        n->next_writing = j->first;
        j->first = n;
    }
    t->changed = NULL;
    j->change = t->change;
    j->everything = everything;
    j->last = t->state != OPEN;
    t->working = true;
    t->work.data = t;
    int rc = uv_queue_work(&t->loop->uv, &t->work, run_job, job_done);
    TG_ASSERT(rc == 0); /* fails only without a function */
}

static void take_back(struct tg_notes *t, bool stored)
{
    struct tg_note *next;
    for (struct tg_note *n = t->job.first; n; n = next) {
        next = n->next_writing;
        if (n->writing != n->value)
            tg_notes_table_free_value(&t->table, n->writing);
        n->writing = NULL;
        n->in_write = false;
        if (!stored)
            mark_changed(t, n);
        else if (!n->changed && !n->value)
            tg_notes_table_forget(&t->table, n);
    }
    t->job.first = NULL;
}

/* Tells those whose changes are on disk; with `code`, everybody. They may call anything. */
static void answer(struct tg_notes *t, int code)
{
    struct waiter *first = t->waiters, **end = &first;
    while (*end && (code != TG_OK || (*end)->change <= t->durable))
        end = &(*end)->next;
    t->waiters = *end;
    if (!t->waiters)
        t->waiters_end = &t->waiters;
    *end = NULL;
    while (first) {
        struct waiter *w = first;
        first = w->next;
        w->done(w->user, code);
        tg_free(w);
    }
}

static void log_outcome(struct tg_notes *t, int64_t wait_ms)
{
    const struct job *j = &t->job;
    if (j->aside[0])
        tg_log(
            TG_LOG_WARN, "notes",
            "%s; it was set aside as %s/%s; nothing is lost: what is in memory is written into an empty one",
            j->aside_err.text, t->file.dir, j->aside);
    if (j->code == TG_OK && t->trouble != TG_OK)
        tg_log(TG_LOG_INFO, "notes", "%s is written again; it holds everything", t->file.path);
    else if (j->code != TG_OK && t->trouble == TG_OK)
        tg_log(
            TG_LOG_WARN, "notes",
            "%s; the notes (assigned addresses, last commands, desired properties) are kept in memory, and "
            "would be lost by a restart; %s",
            j->err.text, wait_ms < 0 ? "the gateway stops now" : "tried again until it works");
}

static void finish(struct tg_notes *t);

static void job_done(uv_work_t *work, int status)
{
    struct tg_notes *t = TG_OBJECT(work->data, struct tg_notes, NOTES_MAGIC);
    struct job *j = &t->job;
    int code = status < 0 ? TG_ECANCELED : j->code;
    int64_t wait_ms = -1;
    t->working = false;
    take_back(t, code == TG_OK);
    if (code == TG_EAGAIN) { /* the file is new: it needs everything */
        log_outcome(t, 0);
        j->aside[0] = '\0';
        start_job(t, true);
        return;
    }
    if (code != TG_OK && t->state == OPEN) {
        wait_ms = tg_backoff_next(&t->backoff, tg_random_u32());
        tg_deadline_set(&t->retry, tg_loop_now_ms(t->loop) + wait_ms);
    }
    log_outcome(t, wait_ms);
    t->trouble = code;
    if (code == TG_OK) {
        t->backoff.attempt = 0;
        t->durable = j->change;
    }
    bool was_last = j->last;
    answer(t, code);
    if (t->state == OPEN) {
        if (code == TG_OK && (t->changed || t->waiters))
            soon(t);
    } else if (was_last) {
        finish(t);
    } else if (!t->working) { /* closed meanwhile, or by one of those that were told */
        start_job(t, false);
    }
}

/* Several changes, or only somebody who asks. */
static void on_turn(void *user)
{
    struct tg_notes *t = TG_OBJECT(user, struct tg_notes, NOTES_MAGIC);
    if (t->working || t->state != OPEN)
        return;
    if (t->trouble != TG_OK)
        answer(t, t->trouble); /* told at once: the next attempt may be a minute away */
    else if (t->changed)
        start_job(t, false);
    else
        answer(t, TG_OK);
}

static void on_retry(void *user)
{
    struct tg_notes *t = TG_OBJECT(user, struct tg_notes, NOTES_MAGIC);
    if (t->state == OPEN) {
        if (!t->working)
            start_job(t, false);
        return;
    }
    /* The limit of closing. The work item still needs our memory, and ends it. */
    tg_log(TG_LOG_WARN, "notes",
           "%s: the last writing has not ended in time; what it was to store may be lost", t->file.path);
    t->state = LATE;
    answer(t, TG_ETIMEOUT);
    if (t->closed)
        t->closed(t->closed_user);
}

/* --- open and close ------------------------------------------------------------------------------------------ */

static void free_notes(struct tg_notes *t)
{
    tg_notes_table_empty(&t->table);
    tg_notes_file_fini(&t->file);
    TG_OBJECT_POISON(t);
    tg_free(t);
}

static void on_deadline_closed(void *user)
{
    struct tg_notes *t = TG_OBJECT(user, struct tg_notes, NOTES_MAGIC);
    if (--t->deadlines_open > 0)
        return;
    struct tg_loop *loop = t->loop;
    void (*closed)(void *user) = t->state == GONE ? t->closed : NULL;
    void *closed_user = t->closed_user;
    free_notes(t);
    tg_loop_release(loop);
    if (closed)
        closed(closed_user);
}

static void finish(struct tg_notes *t)
{
    if (t->state != LATE)
        t->state = GONE;
    tg_deadline_close(&t->turn, on_deadline_closed);
    tg_deadline_close(&t->retry, on_deadline_closed);
}

static int loaded(void *user, struct tg_bytes scope, struct tg_bytes key, struct tg_bytes value)
{
    struct tg_notes *t = user;
    if (scope.len == 0 || scope.len > TG_NOTE_NAME_BYTES || key.len == 0 || key.len > TG_NOTE_NAME_BYTES ||
        value.len == 0 || value.len > TG_NOTE_MAX_BYTES || memchr(scope.data, 0, scope.len) ||
        memchr(key.data, 0, key.len))
        return TG_ECORRUPT;
    if (t->table.used_bytes + tg_note_cost_names(scope.len + key.len) + tg_note_cost_value(value.len) >
        TG_NOTES_LIMIT_BYTES) {
        t->left_out++;
        return TG_OK;
    }
    struct tg_note_value *v = tg_note_value_new(value);
    struct tg_note *n = v ? tg_notes_table_insert(&t->table, t->table.count, scope, key) : NULL;
    if (!n) {
        tg_free(v);
        return TG_ENOMEM;
    }
    n->value = v;
    t->table.used_bytes += tg_note_cost_value(v->len);
    return TG_OK;
}

static void unload(struct tg_notes *t)
{
    tg_notes_table_empty(&t->table);
    t->left_out = 0;
}

static int read_file(struct tg_notes *t, struct tg_error *err)
{
    int code = tg_notes_file_open(&t->file, err);
    if (code == TG_OK && (code = tg_notes_file_load(&t->file, loaded, t, err)) != TG_OK) {
        tg_notes_file_close(&t->file);
        unload(t);
    }
    return code;
}

/* Set aside when damaged; read only when it cannot be written. What remains is `trouble`. */
static int first_read(struct tg_notes *t, struct tg_error *err)
{
    char aside[64];
    struct tg_error why = {0}, other = {0};
    int code = read_file(t, &why);
    if (code == TG_ECORRUPT && (code = tg_notes_file_set_aside(&t->file, aside, &other)) == TG_OK) {
        tg_log(
            TG_LOG_WARN, "notes",
            "%s; it was set aside as %s/%s and an empty one is begun: assigned addresses, last commands and "
            "desired properties are asked for again",
            why.text, t->file.dir, aside);
        code = read_file(t, &why);
    } else if (code == TG_EPERM && other.code == TG_OK) {
        if (tg_notes_file_open_read_only(&t->file, &other) == TG_OK &&
            tg_notes_file_load(&t->file, loaded, t, &other) != TG_OK)
            unload(t);
        tg_notes_file_close(&t->file);
    } else if (other.code != TG_OK) {
        why = other;
    }
    if (code == TG_ENOMEM || code == TG_EVERSION)
        return tg_error_set(err, code, "%s", why.text);
    if (code != TG_OK)
        tg_log(TG_LOG_WARN, "notes",
               "%s; notes that could be read: %zu; the notes (assigned addresses, last commands, desired "
               "properties) are "
               "kept in memory, and would be lost by a restart; tried again until it works",
               why.text, t->table.count);
    if (t->left_out > 0)
        tg_log(TG_LOG_WARN, "notes", "%s holds more than %u MiB: %llu %s not used", t->file.path,
               TG_NOTES_LIMIT_BYTES >> 20, (unsigned long long)t->left_out,
               tg_plural(t->left_out, "note stays there and is", "notes stay there and are"));
    t->trouble = code;
    return TG_OK;
}

int tg_notes_open(struct tg_loop *loop, const char *dir, struct tg_notes **ret_notes, struct tg_error *err)
{
    struct tg_notes *t = tg_calloc(1, sizeof *t);
    int code = t ? tg_notes_file_init(&t->file, dir) : TG_ENOMEM;
    if (code != TG_OK) {
        tg_free(t);
        return tg_error_set(err, code, "the notes in %s cannot be opened: %s", dir,
                            code == TG_EINVAL ? "the path is too long" : tg_code_text(code));
    }
    t->magic = NOTES_MAGIC;
    t->loop = loop;
    t->waiters_end = &t->waiters;
    t->backoff = (struct tg_backoff){.floor_ms = 500, .base_ms = 1000, .cap_ms = 60000};
    if ((code = first_read(t, err)) != TG_OK) {
        free_notes(t);
        return code;
    }
    t->file.incomplete = false; /* there is nothing yet that it could lack */
    tg_deadline_init(&t->turn, loop, on_turn, t);
    tg_deadline_init(&t->retry, loop, on_retry, t);
    t->deadlines_open = 2;
    if (t->trouble != TG_OK)
        tg_deadline_set(&t->retry, tg_loop_now_ms(loop) + tg_backoff_next(&t->backoff, tg_random_u32()));
    *ret_notes = t;
    return TG_OK;
}

void tg_notes_close(struct tg_notes *t, uint32_t limit_ms, void (*closed)(void *user), void *user)
{
    if (!t)
        return;
    TG_ASSERT(t->state == OPEN);
    tg_loop_hold(t->loop);
    t->state = CLOSING;
    t->closed = closed;
    t->closed_user = user;
    tg_deadline_set(&t->turn, INT64_MAX);
    tg_deadline_set(&t->retry, tg_loop_now_ms(t->loop) + limit_ms);
    if (!t->working)
        start_job(t, false);
}

/* --- what callers do ------------------------------------------------------------------------------------------ */

struct tg_bytes tg_notes_get(const struct tg_notes *t, const char *scope, const char *key)
{
    bool found;
    size_t at = tg_notes_table_find(&t->table, scope, key, &found);
    const struct tg_note_value *v = found ? t->table.notes[at]->value : NULL;
    return v ? tg_bytes(v->data, v->len) : tg_bytes(NULL, 0);
}

/* Drops the value or puts `v` (given) in its place. */
static void replace(struct tg_notes *t, struct tg_note *n, struct tg_note_value *v)
{
    if (n->value && !(n->in_write && n->writing == n->value))
        tg_notes_table_free_value(&t->table, n->value);
    n->value = v;
    if (v)
        t->table.used_bytes += tg_note_cost_value(v->len);
    t->change++;
    mark_changed(t, n);
    soon(t);
}

int tg_notes_set(struct tg_notes *t, const char *scope, const char *key, struct tg_bytes value)
{
    size_t scope_len = strlen(scope), key_len = strlen(key);
    bool found;
    if (t->state != OPEN)
        return TG_ESTATE;
    if (scope_len == 0 || key_len == 0)
        return TG_EINVAL;
    if (scope_len > TG_NOTE_NAME_BYTES || key_len > TG_NOTE_NAME_BYTES || value.len > TG_NOTE_MAX_BYTES)
        return TG_ETOOBIG;
    size_t at = tg_notes_table_find(&t->table, scope, key, &found);
    struct tg_note *n = found ? t->table.notes[at] : NULL;
    size_t was = n && n->value ? tg_note_cost_value(n->value->len) : 0;
    if (value.len == 0) {
        if (n && n->value)
            replace(t, n, NULL);
        return TG_OK;
    }
    if (n && n->value && tg_bytes_eq(tg_bytes(n->value->data, n->value->len), value))
        return TG_OK;
    size_t more = tg_note_cost_value(value.len) + (n ? 0 : tg_note_cost_names(scope_len + key_len));
    if (t->table.used_bytes - was + more > TG_NOTES_LIMIT_BYTES)
        return TG_EFULL;
    struct tg_note_value *v = tg_note_value_new(value);
    if (v && !n)
        n = tg_notes_table_insert(&t->table, at, tg_bytes(scope, scope_len), tg_bytes(key, key_len));
    if (!v || !n) {
        tg_free(v);
        return TG_ENOMEM;
    }
    replace(t, n, v);
    return TG_OK;
}

void tg_notes_drop(struct tg_notes *t, const char *scope)
{
    size_t len = strlen(scope);
    bool found;
    if (t->state != OPEN)
        return;
    /* The scopes below need not follow at once ("a-1" lies between "a" and "a/b"), but none is before. Removing
     * leaves the notes in the table until that is on disk, so that this needs no memory. */
    for (size_t i = tg_notes_table_find(&t->table, scope, "", &found); i < t->table.count; i++) {
        struct tg_note *n = t->table.notes[i];
        if (strncmp(tg_note_scope(n), scope, len) != 0)
            break;
        if (n->value && (n->scope_len == len || tg_note_scope(n)[len] == '/'))
            replace(t, n, NULL);
    }
}

int tg_notes_when_durable(struct tg_notes *t, void (*done)(void *user, int rc), void *user)
{
    if (t->state != OPEN)
        return TG_ESTATE;
    struct waiter *w = tg_calloc(1, sizeof *w);
    if (!w)
        return TG_ENOMEM;
    w->change = t->change;
    w->done = done;
    w->user = user;
    *t->waiters_end = w;
    t->waiters_end = &w->next;
    if (!t->working)
        soon(t);
    return TG_OK;
}

void tg_notes_each(const struct tg_notes *t,
                   void (*each)(void *user, const char *scope, const char *key, struct tg_bytes value),
                   void *user)
{
    for (size_t i = 0; i < t->table.count; i++) {
        const struct tg_note *n = t->table.notes[i];
        if (n->value)
            each(user, tg_note_scope(n), tg_note_key(n), tg_bytes(n->value->data, n->value->len));
    }
}

bool tg_notes_unsaved(const struct tg_notes *t)
{
    return t->trouble != TG_OK;
}
