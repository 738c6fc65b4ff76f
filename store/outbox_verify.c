/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate outbox verify`: SQLite's own check, then ours, over every row.
 */
#include "store/outbox_private.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/plural.h"
#include "core/base/sample.h"

#define FINDINGS_MAX 100 /* that are told one by one */

struct check {
    struct tg_outbox *ob;
    void (*say)(void *user, const char *finding);
    void *user;
    uint64_t findings;
    uint64_t *last_seq;    /* per device, of the rows seen so far */
    uint64_t *cursor_rows; /* per cursor, rows above it */
};

TG_PRINTF(2, 3) static void found(struct check *c, const char *fmt, ...)
{
    char text[320];
    va_list ap;
    if (c->findings++ >= FINDINGS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->say(c->user, text);
}

static int check_pages(struct check *c, struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(c->ob->db, "PRAGMA integrity_check", -1, &st, NULL), code = TG_OK;
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(st);
        const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
        if (text && strcmp(text, "ok") != 0)
            found(c, "SQLite: %s", text);
    }
    if (rc != SQLITE_DONE)
        code = tg_outbox_fail(c->ob, rc, err, "checking the pages");
    (void)sqlite3_finalize(st);
    return code;
}

static bool body_parses(struct tg_bytes body)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    int rc = tg_sample_reader_init(&r, body);
    while (rc == TG_OK || rc == 1) {
        rc = tg_sample_reader_next(&r, &v);
        if (rc == 0)
            return true;
    }
    return false;
}

/* Numbers between two stored ones that the table `hole` explains. */
static int explained(struct check *c, uint32_t device, uint64_t above, uint64_t below, uint64_t *ret_sum,
                     struct tg_error *err)
{
    sqlite3_stmt *st = c->ob->st[ST_HOLE_SUM];
    (void)sqlite3_bind_int64(st, 1, device);
    (void)sqlite3_bind_int64(st, 2, (int64_t)above);
    (void)sqlite3_bind_int64(st, 3, (int64_t)below - 1);
    int rc = sqlite3_step(st), code = TG_OK;
    if (rc == SQLITE_ROW)
        *ret_sum = (uint64_t)sqlite3_column_int64(st, 0);
    else
        code = tg_outbox_fail(c->ob, rc, err, "looking for numbers that were not stored");
    (void)sqlite3_reset(st);
    return code;
}

static int check_row(struct check *c, const struct tg_outbox_row *row, struct tg_error *err)
{
    const struct tg_outbox *ob = c->ob;
    unsigned long long id = row->id, seq = row->seq;
    uint64_t low = UINT64_MAX;
    if (row->device >= ob->device_count) {
        found(c, "row %llu: device number %u does not exist", id, row->device);
        return TG_OK;
    }
    const struct tg_outbox_device_entry *d = &ob->devices[row->device];
    if (!body_parses(row->body))
        found(c, "row %llu (device %s, seq %llu): its body is damaged", id, d->name, seq);
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        if (row->seq > ob->cursors[i].acked_seq && !tg_runs_has(&ob->cursors[i].ahead, row->seq))
            c->cursor_rows[i]++;
        if (ob->cursors[i].active && ob->cursors[i].acked_seq < low)
            low = ob->cursors[i].acked_seq;
    }
    uint64_t before = c->last_seq[row->device];
    c->last_seq[row->device] = row->seq;
    if (row->seq <= before || row->seq > d->last_seq) {
        found(c, "row %llu (device %s): seq %llu follows %llu, the newest is %llu", id, d->name, seq,
              (unsigned long long)before, (unsigned long long)d->last_seq);
        return TG_OK;
    }
    /* Rows that everybody has may have been deleted in any order: only what is waited for must be complete.
     */
    if (before < low)
        before = low;
    if (row->seq > before + 1 && low != UINT64_MAX) {
        uint64_t sum = 0;
        int code = explained(c, row->device, before, row->seq, &sum, err);
        if (code != TG_OK)
            return code;
        /* What went ahead to every cloud may be deleted too. */
        sum += tg_outbox_covered_between(ob, d, before, row->seq);
        if (sum != row->seq - before - 1)
            found(c, "device %s: between seq %llu and %llu samples are missing without a record of it",
                  d->name, (unsigned long long)before, seq);
    }
    return TG_OK;
}

static int check_rows(struct check *c, struct tg_error *err)
{
    sqlite3_stmt *st = c->ob->st[ST_READ];
    uint64_t rows = 0, before = 0;
    int rc = SQLITE_DONE, code = TG_OK;
    (void)sqlite3_bind_int64(st, 1, 0);
    (void)sqlite3_bind_int64(st, 2, INT64_MAX);
    while (code == TG_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t device = sqlite3_column_int64(st, 1);
        struct tg_outbox_row row = {
            .id = (uint64_t)sqlite3_column_int64(st, 0),
            .seq = (uint64_t)sqlite3_column_int64(st, 2),
            .device = device < 0 || device > UINT32_MAX ? UINT32_MAX : (uint32_t)device,
            .time_ms = sqlite3_column_int64(st, 3),
        };
        if (row.id <= before || row.id > INT64_MAX) {
            found(c, "row %llu follows row %llu: the page is damaged, the rest was not looked at",
                  (unsigned long long)row.id, (unsigned long long)before);
            break;
        }
        before = row.id;
        const void *body = sqlite3_column_blob(st, 4);
        row.body = tg_bytes(body, (size_t)sqlite3_column_bytes(st, 4));
        rows++;
        code = check_row(c, &row, err);
    }
    if (code == TG_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        code = tg_outbox_fail(c->ob, rc, err, "reading samples");
    (void)sqlite3_reset(st);
    if (code == TG_OK && rows != c->ob->t.rows)
        found(c, "%llu %s stored, %llu should be", (unsigned long long)rows,
              tg_plural(rows, "row is", "rows are"), (unsigned long long)c->ob->t.rows);
    return code;
}

static void check_accounts(struct check *c)
{
    const struct tg_outbox *ob = c->ob;
    for (uint32_t i = 0; i < ob->cursor_count; i++) {
        const struct tg_outbox_cursor_entry *cursor = &ob->cursors[i];
        uint64_t pending = tg_outbox_pending(ob, cursor);
        if (cursor->active && pending != c->cursor_rows[i])
            found(c, "device %s, cloud %s: %llu %s, the accounts say %llu", ob->devices[cursor->device].name,
                  ob->clouds[cursor->cloud], (unsigned long long)c->cursor_rows[i],
                  tg_plural(c->cursor_rows[i], "row waits", "rows wait"), (unsigned long long)pending);
    }
}

/* Runs are sorted and within bounds, or the database could not have been opened. */
static int check_runs(struct check *c, struct tg_error *err)
{
    const struct tg_outbox *ob = c->ob;
    for (uint32_t i = 0; i < ob->cursor_count; i++) {
        const struct tg_outbox_cursor_entry *cursor = &ob->cursors[i];
        for (uint32_t k = 0; k < cursor->ahead.count; k++) {
            const struct tg_run *run = &cursor->ahead.at[k];
            uint64_t holes = 0;
            int code = tg_outbox_sum_holes(c->ob, cursor->device, run->first - 1, run->last, &holes, err);
            if (code != TG_OK)
                return code;
            if (holes > 0 || run->last_id > ob->t.last_id)
                found(c, "device %s, cloud %s: samples %llu to %llu cannot be acknowledged ahead",
                      ob->devices[cursor->device].name, ob->clouds[cursor->cloud],
                      (unsigned long long)run->first, (unsigned long long)run->last);
        }
        if (cursor->ahead.count > 2 * TG_RUNS_MAX)
            found(c, "device %s, cloud %s: %u runs went ahead, %u is the most",
                  ob->devices[cursor->device].name, ob->clouds[cursor->cloud], cursor->ahead.count,
                  TG_RUNS_MAX);
    }
    return TG_OK;
}

static int check_urgent(struct check *c, struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int code = TG_OK, rc = sqlite3_prepare_v2(c->ob->db,
                                              "SELECT count(*) FROM urgent u LEFT JOIN log l ON l.id = u.id"
                                              " WHERE l.id IS NULL OR l.device <> u.device",
                                              -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc != SQLITE_ROW)
        code = tg_outbox_fail(c->ob, rc, err, "looking for samples with priority");
    else if (sqlite3_column_int64(st, 0) > 0)
        found(c, "%lld %s with priority not in the log", (long long)sqlite3_column_int64(st, 0),
              tg_plural((uint64_t)sqlite3_column_int64(st, 0), "sample", "samples"));
    (void)sqlite3_finalize(st);
    return code;
}

static int check_everything(struct check *c, struct tg_error *err)
{
    int code;
    c->last_seq = tg_calloc(c->ob->device_count, sizeof *c->last_seq);
    c->cursor_rows = tg_calloc(c->ob->cursor_count, sizeof *c->cursor_rows);
    if (!c->last_seq || !c->cursor_rows) {
        code = tg_error_set(err, TG_ENOMEM, "out of memory while verifying %s", c->ob->path);
    } else if ((code = check_pages(c, err)) == TG_OK && (code = check_rows(c, err)) == TG_OK &&
               (code = check_runs(c, err)) == TG_OK && (code = check_urgent(c, err)) == TG_OK) {
        check_accounts(c);
    }
    tg_free(c->last_seq);
    tg_free(c->cursor_rows);
    return code;
}

/* A gateway may be writing: the accounts are those of the very moment whose rows are looked at. */
static int check_beside_writer(struct check *c, struct tg_error *err)
{
    int code = tg_outbox_exec(c->ob, "BEGIN", err);
    if (code != TG_OK)
        return code;
    tg_outbox_unload(c->ob);
    code = tg_outbox_load_snapshot(c->ob, err);
    if (code == TG_OK)
        code = check_everything(c, err);
    (void)sqlite3_exec(c->ob->db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

int tg_outbox_verify(struct tg_outbox *ob, void (*say)(void *user, const char *finding), void *user,
                     struct tg_error *err)
{
    struct check c = {.ob = ob, .say = say, .user = user};
    int code;
    if (ob->tx != TG_OUTBOX_TX_NONE)
        return tg_error_set(err, TG_ESTATE, "an outbox is verified outside of transactions");
    code = ob->o.read_only ? check_beside_writer(&c, err) : check_everything(&c, err);
    if (code == TG_OK && c.findings > 0)
        code = tg_error_set(err, TG_ECORRUPT, "%s: %llu findings", ob->path, (unsigned long long)c.findings);
    return code;
}
