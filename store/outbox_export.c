/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A backlog goes out into a file (move.h).
 */
#include "store/move.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "store/backlog_file.h"
#include "store/outbox_private.h"

struct export
{
    struct tg_outbox *ob;
    const struct tg_move_out *out;
    struct tg_move_sum *sum;
    struct tg_timeline timeline;
    uint32_t *index; /* per device, its number in the file; TG_OUTBOX_NONE = not in it */
    char *line;
    uint8_t *body;
    wc_Sha256 sha;
};

int tg_outbox_in_use(const char *dir, struct tg_error *err)
{
    char path[PATH_MAX];
    int fd, code = TG_OK;
    snprintf(path, sizeof path, "%s/outbox.lock", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return TG_OK;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        code = tg_error_set(err, TG_EBUSY, "the outbox in %s is in use by a running gateway", dir);
    close(fd);
    return code;
}

static int put(struct export *e, const struct tg_backlog_line *l, struct tg_error *err)
{
    struct tg_writer w = tg_writer_init(e->line, TG_BACKLOG_LINE_MAX + 1);
    tg_backlog_write(&w, l);
    if (w.failed)
        return tg_error_set(err, TG_ETOOBIG, "a line of the file would be too long");
    if (l->kind != TG_BACKLOG_END && wc_Sha256Update(&e->sha, w.data, (word32)w.len) != 0)
        return tg_error_set(err, TG_EIO, "the check sum cannot be computed");
    if (fwrite(w.data, 1, w.len, e->out->to) != w.len)
        return tg_error_set(err, tg_code_from_errno(errno), "the file cannot be written: %s",
                            strerror(errno));
    return TG_OK;
}

/* How far beyond what is stored numbers may have been given: what an opening would leap over (start_session()), or what a running
 * gateway's memory may hold. */
static int find_leap(struct export *e, struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    char boot_id[40];
    int code = TG_OK,
        rc = sqlite3_prepare_v2(e->ob->db, "SELECT clean, durability, boot_id FROM meta", -1, &st, NULL);
    tg_outbox_boot_id(boot_id);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *was = (const char *)sqlite3_column_text(st, 2);
        int durability = sqlite3_column_int(st, 1);
        bool clean = sqlite3_column_int(st, 0) != 0;
        bool other_boot = durability == TG_DURABILITY_NORMAL && !tg_outbox_same_boot(boot_id, was ? was : "");
        if (tg_outbox_is_beyond(e->ob))
            e->sum->leap = TG_OUTBOX_LEAP;
        else if (!clean &&
                 (e->out->running || e->ob->wal_missing || durability == TG_DURABILITY_LAZY || other_boot))
            e->sum->leap = TG_OUTBOX_JUMP;
    } else {
        code = tg_outbox_fail(e->ob, rc, err, "reading the table meta");
    }
    (void)sqlite3_finalize(st);
    return code;
}

/* --- devices and clouds --------------------------------------------------------------------------- */

static int check_name(const char *what, const char *name, struct tg_error *err)
{
    return tg_name_is_valid(name)
               ? TG_OK
               : tg_error_set(err, TG_EINVAL, "the %s %s has a name that a file cannot carry", what, name);
}

static int put_devices(struct export *e, struct tg_error *err)
{
    const struct tg_outbox *ob = e->ob;
    int code = TG_OK;
    for (uint32_t i = 0; i < ob->device_count && code == TG_OK; i++) {
        const struct tg_outbox_device_entry *d = &ob->devices[i];
        e->index[i] = TG_OUTBOX_NONE;
        if (e->out->device && strcmp(d->name, e->out->device) != 0)
            continue;
        if ((code = check_name("device", d->name, err)) != TG_OK)
            return code;
        e->index[i] = e->sum->devices++;
        code = put(e,
                   &(struct tg_backlog_line){.kind = TG_BACKLOG_DEVICE,
                                             .text = tg_bytes_str(d->name),
                                             .seq = d->last_seq + e->sum->leap},
                   err);
    }
    if (code == TG_OK && e->out->device && e->sum->devices == 0)
        return tg_error_set(err, TG_ENOTFOUND, "there is no device %s", e->out->device);
    return code;
}

static int put_clouds(struct export *e, struct tg_error *err)
{
    const struct tg_outbox *ob = e->ob;
    int code = TG_OK;
    for (uint32_t i = 0; i < ob->cursor_count && code == TG_OK; i++) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        uint64_t last = ob->devices[c->device].last_seq;
        struct tg_backlog_line l = {
            .kind = TG_BACKLOG_CLOUD, .index = e->index[c->device], .seq = c->acked_seq};
        if (!c->active || l.index == TG_OUTBOX_NONE)
            continue;
        if ((code = check_name("cloud", ob->clouds[c->cloud], err)) != TG_OK)
            return code;
        l.text = tg_bytes_str(ob->clouds[c->cloud]);
        if (tg_gap_is(&c->gap))
            l.gap = c->gap;
        if (e->sum->leap > 0)
            tg_gap_unite(&l.gap, &(struct tg_gap){last + 1, last + e->sum->leap, e->sum->leap, TG_GAP_CRASH});
        if (c->tell_seq > 0 && tg_gap_is(&c->tell)) {
            l.tell_seq = c->tell_seq;
            l.tell = c->tell;
        }
        e->sum->cursors++;
        code = put(e, &l, err);
    }
    return code;
}

static int put_ahead(struct export *e, struct tg_error *err)
{
    const struct tg_outbox *ob = e->ob;
    uint32_t number = 0;
    int code = TG_OK;
    for (uint32_t i = 0; i < ob->cursor_count; i++) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        if (!c->active || e->index[c->device] == TG_OUTBOX_NONE)
            continue;
        for (uint32_t k = 0; k < c->ahead.count && code == TG_OK; k++)
            code = put(e,
                       &(struct tg_backlog_line){.kind = TG_BACKLOG_AHEAD,
                                                 .index = number,
                                                 .first = c->ahead.at[k].first,
                                                 .last = c->ahead.at[k].last},
                       err);
        number++;
    }
    return code;
}

/* --- rows ------------------------------------------------------------------------------------------- */

static bool is_waited_for(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d, uint64_t seq)
{
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        if (c->active && seq > c->acked_seq && !tg_runs_has(&c->ahead, seq))
            return true;
    }
    return false;
}

static bool is_urgent(struct tg_outbox *ob, uint64_t id)
{
    sqlite3_stmt *st = ob->st[ST_URGENT_IS];
    if (id > ob->t.urgent_high)
        return false;
    (void)sqlite3_bind_int64(st, 1, (int64_t)id);
    bool urgent = sqlite3_step(st) == SQLITE_ROW;
    (void)sqlite3_reset(st);
    return urgent;
}

/* The samples of this very boot have a time as soon as the machine has. */
static void learn_time(struct tg_timeline *t)
{
    struct tg_timeline_boot *b = tg_timeline_boot(t, tg_clock_boot());
    if (!b || b->state != TG_BOOT_UNKNOWN || !tg_clock_plausible(tg_clock_system_ms()))
        return;
    b->offset_ms = tg_clock_system_ms() - tg_clock_mono_ms();
    b->state = TG_BOOT_KNOWN;
}

/* With its wall time where that is known: boots of this machine say nothing to another one. */
static struct tg_bytes stamped(struct export *e, uint64_t id, struct tg_bytes body)
{
    struct tg_writer w = tg_writer_init(e->body, TG_SAMPLE_MAX_BYTES);
    struct tg_sample_reader r;
    struct tg_sample_time time;
    if (!tg_sample_is_unstamped(body) || tg_sample_reader_init(&r, body) < 0)
        return body;
    time = tg_timeline_resolve(&e->timeline, id, &(struct tg_sample_time){TG_TIME_BOOT, r.boot, r.time_ms});
    if (time.kind == TG_TIME_BOOT || tg_sample_restamp(body, &time, &w) < 0 || w.failed) {
        e->sum->waiting_for_clock++;
        return body;
    }
    return tg_bytes(w.data, w.len);
}

static int put_row(struct export *e, sqlite3_stmt *st, struct tg_error *err)
{
    struct tg_backlog_line l = {.kind = TG_BACKLOG_ROW};
    uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
    int64_t device = sqlite3_column_int64(st, 1);
    const struct tg_outbox_device_entry *d;
    if (device < 0 || device >= e->ob->device_count || e->index[device] == TG_OUTBOX_NONE)
        return TG_OK;
    d = &e->ob->devices[device];
    l.index = e->index[device];
    l.seq = (uint64_t)sqlite3_column_int64(st, 2);
    /* What damage on the disk has made of a row cannot be delivered, here or there. */
    if (l.seq > d->last_seq || !is_waited_for(e->ob, d, l.seq))
        return TG_OK;
    l.time_ms = sqlite3_column_int64(st, 3);
    (void)tg_timeline_stored(&e->timeline, id, l.time_ms, &l.time_ms);
    if (l.time_ms == INT64_MIN)
        l.time_ms = 0;
    l.urgent = is_urgent(e->ob, id);
    l.body = stamped(e, id, tg_bytes(sqlite3_column_blob(st, 4), (size_t)sqlite3_column_bytes(st, 4)));
    if (l.body.len > TG_SAMPLE_MAX_BYTES)
        return TG_OK;
    e->sum->rows++;
    return put(e, &l, err);
}

static int put_rows(struct export *e, struct tg_error *err)
{
    sqlite3_stmt *st = e->ob->st[ST_READ];
    int rc = SQLITE_DONE, code = TG_OK;
    (void)sqlite3_bind_int64(st, 1, 1);
    (void)sqlite3_bind_int64(st, 2, INT64_MAX);
    while (code == TG_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        code = put_row(e, st, err);
    if (code == TG_OK && rc != SQLITE_DONE)
        code = tg_outbox_fail(e->ob, rc, err, "reading samples");
    (void)sqlite3_reset(st);
    return code;
}

static int put_end(struct export *e, struct tg_error *err)
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    char hex[TG_BACKLOG_DIGEST_SIZE + 1];
    if (wc_Sha256Final(&e->sha, digest) != 0)
        return tg_error_set(err, TG_EIO, "the check sum cannot be computed");
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return put(
        e, &(struct tg_backlog_line){.kind = TG_BACKLOG_END, .seq = e->sum->rows, .text = tg_bytes_str(hex)},
        err);
}

static int put_all(struct export *e, struct tg_error *err)
{
    int code;
    tg_outbox_unload(e->ob);
    if ((code = tg_outbox_load_snapshot(e->ob, err)) != TG_OK || (code = find_leap(e, err)) != TG_OK)
        return code;
    e->timeline = e->ob->timeline;
    learn_time(&e->timeline);
    if (!(e->index = tg_calloc(e->ob->device_count, sizeof *e->index)))
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    e->sum->exported_ms = tg_clock_system_ms();
    snprintf(e->sum->gateway, sizeof e->sum->gateway, "%s", e->out->gateway);
    code = put(e,
               &(struct tg_backlog_line){.kind = TG_BACKLOG_HEAD,
                                         .text = tg_bytes_str(e->sum->gateway),
                                         .time_ms = e->sum->exported_ms},
               err);
    if (code != TG_OK || (code = put_devices(e, err)) != TG_OK || (code = put_clouds(e, err)) != TG_OK ||
        (code = put_ahead(e, err)) != TG_OK || (code = put_rows(e, err)) != TG_OK)
        return code;
    return put_end(e, err);
}

int tg_outbox_export(struct tg_outbox *ob, const struct tg_move_out *out, struct tg_move_sum *ret_sum,
                     struct tg_error *err)
{
    struct export e = {.ob = ob, .out = out, .sum = ret_sum};
    int code;
    *ret_sum = (struct tg_move_sum){0};
    if (wc_InitSha256(&e.sha) != 0)
        return tg_error_set(err, TG_EIO, "the check sum cannot be computed");
    e.line = tg_malloc(TG_BACKLOG_LINE_MAX + 1);
    e.body = tg_malloc(TG_SAMPLE_MAX_BYTES);
    code =
        e.line && e.body ? tg_outbox_exec(ob, "BEGIN", err) : tg_error_set(err, TG_ENOMEM, "out of memory");
    if (code == TG_OK) {
        /* One moment, whoever is writing. */
        code = put_all(&e, err);
        (void)sqlite3_exec(ob->db, "ROLLBACK", NULL, NULL, NULL);
    }
    wc_Sha256Free(&e.sha);
    tg_free(e.index);
    tg_free(e.line);
    tg_free(e.body);
    return code;
}
