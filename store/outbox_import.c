/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A backlog comes in from a file (move.h): first the whole file is read and checked, then it is read again and stored.
 */
#include "store/move.h"

#include <errno.h>
#include <stdlib.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "store/backlog_file.h"
#include "store/outbox_private.h"

#define DEVICES_MAX 1000000u
#define CURSORS_MAX 4000000u
#define IMPORTS_MAX 64 /* files that are remembered */

struct import_device {
    char *name;
    uint64_t first_seq; /* the lowest number of the file: where its slowest cloud is, and one more */
    uint64_t last_seq, seen_seq, rows;
    uint32_t device;
};

struct import_cursor {
    struct tg_backlog_line line; /* its name is the next member */
    char *name;
    uint32_t cursor;
    struct tg_runs ahead;
};

struct import {
    struct tg_outbox *ob;
    const struct tg_move_in *in;
    struct tg_move_sum *sum;
    struct import_device *devices;
    struct import_cursor *cursors;
    uint32_t device_cap, cursor_cap;
    char *line;
    uint8_t *body;
    char digest[TG_BACKLOG_DIGEST_SIZE + 1];
    uint64_t number; /* of the line */
};

static const char no_backlog[] = "this is no backlog that was exported with --backlog";

/* --- reading the file ------------------------------------------------------------------------------- */

TG_PRINTF(3, 4)
static int wrong(const struct import *im, struct tg_error *err, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return tg_error_set(err, TG_ECORRUPT,
                        "%s, line %llu: %s; nothing was imported: copy the file again, or export again",
                        im->in->name, (unsigned long long)im->number, text);
}

/* The next line, without its line feed. */
static int next_line(struct import *im, struct tg_bytes *ret_line, struct tg_error *err)
{
    size_t len = 0;
    int c;
    im->number++;
    while ((c = getc(im->in->from)) != EOF && c != '\n') {
        if (len >= TG_BACKLOG_LINE_MAX)
            return wrong(im, err, "%s", im->number == 1 ? no_backlog : "the line is too long");
        im->line[len++] = (char)c;
    }
    if (ferror(im->in->from))
        return tg_error_set(err, TG_EIO, "%s cannot be read: %s; nothing was imported", im->in->name,
                            strerror(errno));
    if (c == EOF)
        return wrong(im, err, "%s", im->number == 1 ? no_backlog : "the file is cut off here");
    im->line[len] = '\n';
    *ret_line = tg_bytes(im->line, len);
    return TG_OK;
}

typedef int (*each_line)(struct import *im, const struct tg_backlog_line *l, struct tg_error *err);

/* The next line, where `at` says what came before it. */
static int parse_line(struct import *im, struct tg_bytes line, enum tg_backlog_kind at,
                      struct tg_backlog_line *ret_line, struct tg_error *err)
{
    const char *why;
    int code = tg_backlog_parse(line, im->body, ret_line, &why);
    if (code == TG_EVERSION)
        return tg_error_set(err, code,
                            "%s was written by a newer program; nothing was imported: update this one",
                            im->in->name);
    if (im->number == 1 && (code < 0 || ret_line->kind != TG_BACKLOG_HEAD))
        return wrong(im, err, "%s", no_backlog);
    if (code < 0)
        return wrong(im, err, "%s", why);
    if (ret_line->kind < at || (im->number > 1 && ret_line->kind == TG_BACKLOG_HEAD))
        return wrong(im, err, "it does not belong there");
    return TG_OK;
}

/* The last line against the lines before it. */
static int check_end(struct import *im, const struct tg_backlog_line *l, uint64_t rows, wc_Sha256 *sha,
                     struct tg_error *err)
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    char hex[TG_BACKLOG_DIGEST_SIZE + 1];
    if (wc_Sha256Final(sha, digest) != 0)
        return tg_error_set(err, TG_EIO, "the check sum cannot be computed");
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    if (!tg_bytes_eq_str(l->text, hex) || l->seq != rows)
        return wrong(im, err, "the file was changed: its check sum is another one");
    if (getc(im->in->from) != EOF)
        return wrong(im, err, "something follows the end");
    if (im->digest[0] && strcmp(im->digest, hex) != 0)
        return wrong(im, err, "the file was changed while it was read");
    memcpy(im->digest, hex, sizeof im->digest);
    return TG_OK;
}

/* Reads the whole file; `each` sees all lines but the last one, whose check sum is compared. */
static int read_file(struct import *im, each_line each, struct tg_error *err)
{
    struct tg_backlog_line l = {.kind = TG_BACKLOG_HEAD};
    struct tg_bytes line = {0};
    uint64_t rows = 0;
    wc_Sha256 sha;
    int code;
    rewind(im->in->from);
    im->number = 0;
    if (wc_InitSha256(&sha) != 0)
        return tg_error_set(err, TG_EIO, "the check sum cannot be computed");
    do {
        if ((code = next_line(im, &line, err)) != TG_OK ||
            (code = parse_line(im, line, l.kind, &l, err)) != TG_OK)
            break;
        rows += l.kind == TG_BACKLOG_ROW;
        if (l.kind == TG_BACKLOG_END)
            code = check_end(im, &l, rows, &sha, err);
        else if (wc_Sha256Update(&sha, (const uint8_t *)im->line, (word32)line.len + 1) != 0)
            code = tg_error_set(err, TG_EIO, "the check sum cannot be computed");
        else
            code = each(im, &l, err);
    } while (code == TG_OK && l.kind != TG_BACKLOG_END);
    wc_Sha256Free(&sha);
    return code;
}

/* --- the first pass: what it says ---------------------------------------------------------------------- */

static int no_memory(struct tg_error *err)
{
    return tg_error_set(err, TG_ENOMEM, "out of memory; nothing was imported");
}

/* A copy of a valid name; NULL: out of memory. */
static char *copy_name(struct tg_bytes text)
{
    char name[TG_BACKLOG_TEXT_MAX + 1];
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    return tg_strdup(name);
}

static bool is_name(struct tg_bytes text)
{
    char name[TG_BACKLOG_TEXT_MAX + 1];
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    return tg_name_is_valid(name);
}

static int take_device(struct import *im, const struct tg_backlog_line *l, struct tg_error *err)
{
    if (!is_name(l->text))
        return wrong(im, err, "this is no name of a device");
    if (im->sum->devices >= DEVICES_MAX)
        return wrong(im, err, "there are too many devices");
    if (tg_outbox_grow(&im->devices, im->sum->devices, &im->device_cap, sizeof *im->devices) != TG_OK)
        return no_memory(err);
    struct import_device *d = &im->devices[im->sum->devices];
    *d = (struct import_device){.name = copy_name(l->text), .last_seq = l->seq, .first_seq = l->seq + 1};
    if (!d->name)
        return no_memory(err);
    im->sum->devices++;
    return TG_OK;
}

static int take_cloud(struct import *im, const struct tg_backlog_line *l, struct tg_error *err)
{
    struct import_device *d;
    if (!im->devices || l->index >= im->sum->devices || !is_name(l->text))
        return wrong(im, err, "this is no name of a cloud, or there is no such device");
    d = &im->devices[l->index];
    if (l->seq > d->last_seq || l->tell_seq > d->last_seq || (l->tell_seq > 0 && l->tell_seq <= l->seq))
        return wrong(im, err, "the cloud contradicts its device");
    if (im->sum->cursors >= CURSORS_MAX)
        return wrong(im, err, "there are too many clouds");
    for (uint32_t i = im->sum->cursors; i-- > 0 && im->cursors[i].line.index == l->index;)
        if (tg_bytes_eq_str(l->text, im->cursors[i].name))
            return wrong(im, err, "the cloud is there twice");
    if (tg_outbox_grow(&im->cursors, im->sum->cursors, &im->cursor_cap, sizeof *im->cursors) != TG_OK)
        return no_memory(err);
    struct import_cursor *c = &im->cursors[im->sum->cursors];
    *c = (struct import_cursor){.line = *l, .name = copy_name(l->text)};
    if (!c->name)
        return no_memory(err);
    c->line.text = tg_bytes(NULL, 0);
    im->sum->cursors++;
    if (l->seq + 1 < d->first_seq)
        d->first_seq = l->seq + 1;
    return TG_OK;
}

static int take_ahead(struct import *im, const struct tg_backlog_line *l, struct tg_error *err)
{
    struct import_cursor *c = l->index < im->sum->cursors ? &im->cursors[l->index] : NULL;
    const struct tg_run *before = c && c->ahead.count > 0 ? &c->ahead.at[c->ahead.count - 1] : NULL;
    if (!c || l->first <= c->line.seq || l->last > im->devices[c->line.index].last_seq ||
        (before && l->first <= before->last) || c->ahead.count >= TG_RUNS_MAX)
        return wrong(im, err, "what went ahead contradicts its cloud");
    if (tg_runs_reserve(&c->ahead, c->ahead.count + 1) != TG_OK)
        return no_memory(err);
    tg_runs_add(&c->ahead, l->first, l->last, 0);
    return TG_OK;
}

static int take_row(struct import *im, const struct tg_backlog_line *l, struct tg_error *err)
{
    struct import_device *d = l->index < im->sum->devices ? &im->devices[l->index] : NULL;
    if (!d || l->seq < d->first_seq || l->seq <= d->seen_seq || l->seq > d->last_seq)
        return wrong(im, err, "the number of the sample does not belong to its device");
    d->seen_seq = l->seq;
    d->rows++;
    im->sum->rows++;
    im->sum->waiting_for_clock += tg_sample_is_unstamped(l->body);
    return TG_OK;
}

static int look_at(struct import *im, const struct tg_backlog_line *l, struct tg_error *err)
{
    switch (l->kind) {
    case TG_BACKLOG_HEAD:
        memcpy(im->sum->gateway, l->text.data, l->text.len);
        im->sum->exported_ms = l->time_ms;
        return TG_OK;
    case TG_BACKLOG_DEVICE:
        return take_device(im, l, err);
    case TG_BACKLOG_CLOUD:
        return take_cloud(im, l, err);
    case TG_BACKLOG_AHEAD:
        return take_ahead(im, l, err);
    case TG_BACKLOG_ROW:
        return take_row(im, l, err);
    case TG_BACKLOG_END:
        break;
    }
    return TG_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_names(const struct import *im, struct tg_error *err)
{
    char **names = tg_calloc(im->sum->devices, sizeof *names);
    int code = TG_OK;
    if (!names)
        return no_memory(err);
    for (uint32_t i = 0; i < im->sum->devices; i++)
        names[i] = im->devices[i].name;
    qsort(names, im->sum->devices, sizeof *names, by_name);
    for (uint32_t i = 1; i < im->sum->devices && code == TG_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            code = tg_error_set(err, TG_ECORRUPT, "%s: the device %s is there twice; nothing was imported",
                                im->in->name, names[i]);
    tg_free(names);
    return code;
}

/* --- against what is there ----------------------------------------------------------------------------- */

static int was_imported(struct import *im, bool *ret_was, struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int code = TG_OK,
        rc = sqlite3_prepare_v2(im->ob->db, "SELECT 1 FROM import WHERE file=?1", -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, im->digest, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = tg_outbox_fail(im->ob, rc, err, "looking for earlier imports");
    *ret_was = rc == SQLITE_ROW;
    (void)sqlite3_finalize(st);
    return code;
}

/* A device that is here already must not have given any of these numbers, and nothing may wait that would have to come before. */
static int check_device(const struct import *im, const struct import_device *d, struct tg_error *err)
{
    uint32_t device = 0, cursor;
    uint64_t last;
    if (d->last_seq == 0)
        return TG_OK; /* it never had a sample, so nothing is said of it */
    if (!tg_outbox_find(im->ob, d->name, NULL, &device, &cursor))
        last = im->ob->floor_seq;
    else
        last = im->ob->devices[device].last_seq;
    if (last >= d->first_seq)
        return tg_error_set(err, TG_EEXISTS,
                            "device %s has given its numbers up to %llu on this box itself, and the file "
                            "brings %llu and above: "
                            "they would mean two things. Nothing was imported. Use an empty state_dir for "
                            "this box, or, once what waits "
                            "here is delivered, move its outbox.* files aside; then import again before the "
                            "gateway is started",
                            d->name, (unsigned long long)last, (unsigned long long)d->first_seq);
    if (!tg_outbox_find(im->ob, d->name, NULL, &device, &cursor))
        return TG_OK;
    for (uint32_t i = im->ob->devices[device].first_cursor; i != TG_OUTBOX_NONE; i = im->ob->cursors[i].next)
        if (im->ob->cursors[i].active && tg_outbox_pending(im->ob, &im->ob->cursors[i]) > 0)
            return tg_error_set(err, TG_EEXISTS,
                                "samples of device %s wait on this box for the cloud %s, and have to go "
                                "before those of the file. "
                                "Nothing was imported. Let the gateway deliver them first, or give them up: "
                                "tidegate outbox drop %s",
                                d->name, im->ob->clouds[im->ob->cursors[i].cloud], d->name);
    return TG_OK;
}

/* --- the second pass: it is stored ---------------------------------------------------------------------- */

static int declare(struct import *im, struct tg_error *err)
{
    struct tg_outbox_declaration *list = tg_calloc(im->sum->devices + im->sum->cursors + 1, sizeof *list);
    uint32_t n = 0;
    int code;
    if (!list)
        return no_memory(err);
    for (uint32_t i = 0; i < im->sum->devices; i++)
        list[n++] = (struct tg_outbox_declaration){im->devices[i].name, NULL};
    for (uint32_t i = 0; i < im->sum->cursors; i++)
        list[n++] =
            (struct tg_outbox_declaration){im->devices[im->cursors[i].line.index].name, im->cursors[i].name};
    code = tg_outbox_declare(im->ob, list, n, err);
    tg_free(list);
    for (uint32_t i = 0; i < im->sum->devices && code == TG_OK; i++)
        code = tg_outbox_device(im->ob, im->devices[i].name, &im->devices[i].device, err);
    for (uint32_t i = 0; i < im->sum->cursors && code == TG_OK; i++)
        code = tg_outbox_cursor(im->ob, im->devices[im->cursors[i].line.index].device, im->cursors[i].name,
                                &im->cursors[i].cursor, err);
    return code;
}

/* Before the first row: numbers go on from the first one of the file, and nobody waits for what is below. */
static int begin_device(struct import *im, const struct import_device *in, struct tg_error *err)
{
    struct tg_outbox *ob = im->ob;
    struct tg_outbox_device_entry *d = tg_outbox_touch_device(ob, in->device);
    if (in->last_seq == 0)
        return TG_OK;
    if (!d)
        return no_memory(err);
    d->last_seq = in->first_seq - 1;
    d->dirty = true;
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        struct tg_outbox_cursor_entry *c = tg_outbox_touch_cursor(ob, i);
        if (!c)
            return no_memory(err);
        if (!c->active)
            continue;
        c->base_seq = c->acked_seq = d->last_seq;
        c->acked_id = ob->t.last_id;
        c->dropped = c->skipped = c->holes_ahead = 0;
    }
    d->idle = true;
    return TG_OK;
}

static int store_row(struct import *im, const struct tg_backlog_line *l, struct tg_error *err)
{
    struct tg_outbox *ob = im->ob;
    struct tg_outbox_row row = {
        .id = ob->t.last_id + 1, .seq = l->seq, .time_ms = l->time_ms, .body = l->body};
    if (l->kind != TG_BACKLOG_ROW)
        return TG_OK;
    row.device = im->devices[l->index].device;
    ob->t.tx_rows = 0; /* the bound is the memory that others have for a transaction */
    return l->urgent ? tg_outbox_append_urgent(ob, &row, err) : tg_outbox_append(ob, &row, err);
}

/* After the rows: up to the last number that may have been given. */
static int end_device(struct import *im, const struct import_device *in, struct tg_error *err)
{
    if (in->last_seq <= im->ob->devices[in->device].last_seq)
        return TG_OK;
    tg_outbox_high_reserve(im->ob, in->last_seq, im->ob->t.last_id);
    return tg_outbox_hole(im->ob, in->device, in->last_seq, err);
}

static int set_cursor(struct import *im, const struct import_cursor *in, struct tg_error *err)
{
    struct tg_outbox *ob = im->ob;
    struct tg_outbox_cursor_entry *c;
    if (im->devices[in->line.index].last_seq == 0)
        return TG_OK;
    int code = tg_outbox_advance(ob, in->cursor, in->line.seq, 0, 0, err);
    if (code == TG_OK && tg_gap_is(&in->line.gap))
        code = tg_outbox_note_gap(ob, in->cursor, &in->line.gap, err);
    for (uint32_t i = 0; i < in->ahead.count && code == TG_OK; i++)
        code = tg_outbox_ack_ahead(ob, in->cursor, in->ahead.at[i].first, in->ahead.at[i].last, 0, err);
    if (code != TG_OK)
        return code;
    if (!(c = tg_outbox_touch_cursor(ob, in->cursor)))
        return no_memory(err);
    if (in->line.tell_seq > c->acked_seq) {
        c->tell_seq = in->line.tell_seq;
        c->tell = in->line.tell;
    }
    return TG_OK;
}

/* A cloud that this box has for the device and the file does not: it gets what comes from now on. */
static int pass_others(struct import *im, const struct import_device *in, struct tg_error *err)
{
    struct tg_outbox *ob = im->ob;
    uint64_t last = ob->devices[in->device].last_seq;
    int code = TG_OK;
    if (in->last_seq == 0)
        return TG_OK;
    for (uint32_t i = ob->devices[in->device].first_cursor; i != TG_OUTBOX_NONE && code == TG_OK;
         i = ob->cursors[i].next) {
        /* Those of the file were declared a moment ago. */
        if (ob->cursors[i].active && !ob->cursors[i].declared)
            code = tg_outbox_advance(ob, i, last, ob->t.last_id, 0, err);
    }
    return code;
}

static int remember(struct import *im, struct tg_error *err)
{
    char sql[320];
    snprintf(sql, sizeof sql,
             "INSERT INTO import(file, rows, time_ms) VALUES('%s', %llu, %lld);"
             "DELETE FROM import WHERE id <= (SELECT max(id) FROM import) - %d",
             im->digest, (unsigned long long)im->sum->rows, (long long)tg_clock_system_ms(), IMPORTS_MAX);
    return tg_outbox_exec(im->ob, sql, err);
}

static int store_all(struct import *im, struct tg_error *err)
{
    int code = TG_OK;
    for (uint32_t i = 0; i < im->sum->devices && code == TG_OK; i++)
        code = begin_device(im, &im->devices[i], err);
    if (code == TG_OK)
        code = read_file(im, store_row, err);
    for (uint32_t i = 0; i < im->sum->devices && code == TG_OK; i++)
        code = end_device(im, &im->devices[i], err);
    for (uint32_t i = 0; i < im->sum->cursors && code == TG_OK; i++)
        code = set_cursor(im, &im->cursors[i], err);
    for (uint32_t i = 0; i < im->sum->devices && code == TG_OK; i++)
        code = pass_others(im, &im->devices[i], err);
    return code == TG_OK ? remember(im, err) : code;
}

static int import(struct import *im, struct tg_error *err)
{
    bool was = false;
    int code = read_file(im, look_at, err);
    if (code != TG_OK || (code = check_names(im, err)) != TG_OK)
        return code;
    if (im->ob && ((code = was_imported(im, &was, err)) != TG_OK || was)) {
        im->sum->done_before = was;
        return code;
    }
    for (uint32_t i = 0; i < im->sum->devices && im->ob; i++)
        if ((code = check_device(im, &im->devices[i], err)) != TG_OK)
            return code;
    if (!im->in->dry) {
        if ((code = declare(im, err)) != TG_OK || (code = tg_outbox_begin(im->ob, err)) != TG_OK)
            return code;
        if ((code = store_all(im, err)) != TG_OK) {
            tg_outbox_rollback(im->ob);
            return code;
        }
        if ((code = tg_outbox_end(im->ob, true, err)) != TG_OK)
            return code;
    }
    for (uint32_t i = 0; i < im->sum->devices && im->in->each; i++)
        im->in->each(im->in->user, im->devices[i].name, im->devices[i].rows);
    return TG_OK;
}

int tg_outbox_import(struct tg_outbox *ob, const struct tg_move_in *in, struct tg_move_sum *ret_sum,
                     struct tg_error *err)
{
    struct import im = {.ob = ob, .in = in, .sum = ret_sum};
    int code;
    *ret_sum = (struct tg_move_sum){0};
    im.line = tg_malloc(TG_BACKLOG_LINE_MAX + 1);
    im.body = tg_malloc(TG_SAMPLE_MAX_BYTES);
    code = im.line && im.body ? import(&im, err) : no_memory(err);
    for (uint32_t i = 0; im.devices && i < ret_sum->devices; i++)
        tg_free(im.devices[i].name);
    for (uint32_t i = 0; im.cursors && i < ret_sum->cursors; i++) {
        tg_free(im.cursors[i].name);
        tg_runs_fini(&im.cursors[i].ahead);
    }
    tg_free(im.devices);
    tg_free(im.cursors);
    tg_free(im.line);
    tg_free(im.body);
    return code;
}
