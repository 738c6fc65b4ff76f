/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opening and closing: who may, what is set aside, and what must hold before the first append.
 */
#include "store/outbox_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/random.h"

#define BUSY_TIMEOUT_MS 2000
#define CACHE_KIB       2048

static int on_wal(void *user, sqlite3 *db, const char *name, int frames)
{
    struct tg_outbox *ob = user;
    (void)db;
    (void)name;
    ob->wal_frames = frames;
    return SQLITE_OK;
}

void tg_outbox_boot_id(char ret_id[40])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, ret_id, 36) : -1;
    if (fd >= 0)
        close(fd);
    ret_id[n > 0 ? n : 0] = '\0';
}

bool tg_outbox_same_boot(const char *boot_id, const char *was_boot_id)
{
    return boot_id[0] != '\0' && strcmp(boot_id, was_boot_id) == 0;
}

/* --- the connection ----------------------------------------------------------------------------------------
 */

static void close_database(struct tg_outbox *ob)
{
    tg_outbox_finalize(ob);
    (void)sqlite3_close_v2(ob->db);
    ob->db = NULL;
    tg_outbox_unload(ob);
}

/* `immutable`: as a URI; whatever in the path could mean something in one is escaped. */
static int open_connection(struct tg_outbox *ob, int flags)
{
    const char *vfs = ob->written ? tg_written_vfs(ob->written) : ob->o.vfs;
    char *uri, *to;
    if (!ob->o.immutable)
        return sqlite3_open_v2(ob->path, &ob->db, flags, vfs);
    uri = to = tg_malloc(3 * strlen(ob->path) + sizeof "file:?immutable=1");
    if (!uri)
        return SQLITE_NOMEM;
    to += sprintf(to, "file:");
    for (const char *from = ob->path; *from; from++)
        to += strchr("%?#", *from) ? sprintf(to, "%%%02x", (unsigned)*from) : sprintf(to, "%c", *from);
    strcpy(to, "?immutable=1");
    int rc = sqlite3_open_v2(uri, &ob->db, flags | SQLITE_OPEN_URI, vfs);
    tg_free(uri);
    return rc;
}

static int connect_file(struct tg_outbox *ob, struct tg_error *err)
{
    struct stat st;
    int flags = ob->o.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (ob->o.read_only && lstat(ob->path, &st) != 0)
        return tg_error_set(err, TG_ENOTFOUND, "%s: %s", ob->path, strerror(errno));
    if (!ob->o.read_only) {
        if (tg_outbox_unusable(ob))
            return tg_error_set(err, TG_ECORRUPT, "%s is not a regular file that can be read and written",
                                ob->path);
        /* Ours alone; -wal and -shm take the mode over. O_EXCL: a file that exists is never opened here. */
        int fd = open(ob->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0)
            close(fd);
        else if (errno != EEXIST)
            return tg_error_set(err, errno == EROFS ? TG_EPERM : tg_code_from_errno(errno),
                                "%s cannot be created: %s", ob->path, strerror(errno));
    }
    int rc = open_connection(ob, flags | SQLITE_OPEN_NOMUTEX);
    if (!ob->db)
        return tg_error_set(err, TG_ENOMEM, "%s: out of memory", ob->path);
    (void)sqlite3_extended_result_codes(ob->db, 1);
    if (rc != SQLITE_OK)
        return tg_outbox_fail(ob, rc, err, "opening");
    if (!ob->o.read_only && sqlite3_db_readonly(ob->db, "main") == 1)
        return tg_error_set(err, TG_EPERM, "%s cannot be written (read-only file system?)", ob->path);
    (void)sqlite3_busy_timeout(ob->db, BUSY_TIMEOUT_MS);
    (void)sqlite3_db_config(ob->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(ob->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* Closing must not write: a handle that is given up after an error, or a newer schema, stays as it is. */
    (void)sqlite3_db_config(ob->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_limit(ob->db, SQLITE_LIMIT_LENGTH, 1 << 20);
    return TG_OK;
}

/* The first column of the first row, as text, must be `want`. */
static int expect(struct tg_outbox *ob, const char *sql, const char *want, int otherwise,
                  struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int code = TG_OK, rc = sqlite3_prepare_v2(ob->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const char *got = (const char *)sqlite3_column_text(st, 0);
        if (!got || strcmp(got, want) != 0)
            code = tg_error_set(err, got ? otherwise : TG_ENOMEM, "%s: %s answers: %s", ob->path, sql,
                                got ? got : "");
    } else {
        code = tg_outbox_fail(ob, rc, err, sql);
        code = code == TG_OK ? TG_EIO : code;
    }
    (void)sqlite3_finalize(st);
    return code;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static int configure(struct tg_outbox *ob, struct tg_error *err)
{
    char sql[256];
    int64_t wal = TG_OUTBOX_WAL_MAX, disk = tg_outbox_disk_size(ob);
    int code, version = 0;
    if ((code = tg_schema_inspect(ob->db, &tg_outbox_schema, &version, err)) != TG_OK) {
        (void)tg_error_wrap(err, "%s", ob->path);
        return code;
    }
    if (version == 0 &&
        (code = tg_outbox_exec(ob, "PRAGMA page_size=4096; PRAGMA auto_vacuum=NONE", err)) != TG_OK)
        return code;
    if ((code = expect(ob, "PRAGMA journal_mode=WAL", "wal", TG_EIO, err)) != TG_OK)
        return code;
    /* FULL while opening, whatever comes after. */
    snprintf(sql, sizeof sql,
             "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=OFF; PRAGMA "
             "cache_size=-%d;"
             "PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0",
             CACHE_KIB);
    if ((code = tg_outbox_exec(ob, sql, err)) != TG_OK)
        return code;
    if (ob->o.limit_bytes > 0 && ob->o.limit_bytes / 8 < wal)
        wal = ob->o.limit_bytes / 8;
    if (disk > 0 && disk / 16 < wal)
        wal = disk / 16;
    ob->wal_limit = clamp(wal, TG_OUTBOX_WAL_MIN, TG_OUTBOX_WAL_MAX);
    ob->wal_soft_frames = ob->wal_next_frames = ob->wal_limit / TG_OUTBOX_PAGE / 2;
    ob->wal_frames = 0;
    (void)sqlite3_wal_hook(ob->db, on_wal, ob);
    ob->quota_pages = ob->o.limit_bytes > 0 ? clamp(ob->o.limit_bytes / TG_OUTBOX_PAGE, 64, INT32_MAX) : 0;
    return TG_OK;
}

/* After a commit whose fsync failed, what the kernel shows need not be on the disk, and a later fsync may say
 * nothing of it. Copying the whole log writes it again: what is visible after this is durable. A reader that
 * is in the way only delays that to the next checkpoint. */
static int settle_wal(struct tg_outbox *ob, struct tg_error *err)
{
    int rc = sqlite3_wal_checkpoint_v2(ob->db, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);
    if (rc == SQLITE_OK || rc == SQLITE_BUSY)
        return TG_OK;
    return tg_outbox_fail(ob, rc, err, "copying the write-ahead log into the database");
}

/* --- before the first append
 * --------------------------------------------------------------------------------- */

/* What came last is gone but may have been sent: after a power cut under `normal`, what followed the last
 * fsync; when somebody took the write-ahead log away, all that was in it. */
static int jump_ahead(struct tg_outbox *ob, uint64_t jump, struct tg_error *err)
{
    for (uint32_t i = 0; i < ob->device_count; i++) {
        struct tg_gap gap = {ob->devices[i].last_seq + 1, ob->devices[i].last_seq + jump, jump, TG_GAP_CRASH};
        int code = tg_outbox_hole(ob, i, gap.last_seq, err);
        for (uint32_t k = ob->devices[i].first_cursor; k != TG_OUTBOX_NONE && code == TG_OK;
             k = ob->cursors[k].next)
            code = ob->cursors[k].active ? tg_outbox_note_gap(ob, k, &gap, err) : TG_OK;
        if (code != TG_OK)
            return code;
    }
    ob->t.last_id += jump;
    return TG_OK;
}

/* `lazy`: whoever wrote last had given numbers that only its memory knew, also when it merely crashed. The same owner
 * goes on with them. */
static bool was_ahead(const struct tg_outbox *ob, int durability)
{
    return durability == TG_DURABILITY_LAZY && !ob->o.same_owner;
}

static int start_session(struct tg_outbox *ob, bool high_found, struct tg_error *err)
{
    char boot_id[40], was_boot_id[40] = "", sql[256];
    sqlite3_stmt *st = NULL;
    bool clean = true, mark = false;
    int was_durability = 0, code;
    tg_outbox_boot_id(boot_id);
    int rc = sqlite3_prepare_v2(ob->db, "SELECT clean, durability, boot_id FROM meta", -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 2);
        clean = sqlite3_column_int(st, 0) != 0;
        was_durability = sqlite3_column_int(st, 1);
        snprintf(was_boot_id, sizeof was_boot_id, "%s", text ? text : "");
    }
    (void)sqlite3_finalize(st);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? tg_error_set(err, TG_ECORRUPT, "%s: the table meta is empty", ob->path)
                                 : tg_outbox_fail(ob, rc, err, "reading the table meta");
    if ((code = tg_outbox_begin(ob, err)) != TG_OK)
        return code;
    if (ob->t.appended == 0 && ob->device_count == 0 && high_found && ob->floor_seq < ob->high_seq) {
        /* A database that was lost lies behind this one: go on above whatever it had given out. */
        ob->floor_seq = ob->high_seq;
        ob->t.last_id = ob->high_id;
        mark = true;
        if (err && err->code == TG_OK) /* not set aside: there was nothing that could be */
            (void)tg_error_set(
                err, TG_ENOTFOUND,
                "%s was not there or empty although samples had been stored; they are lost unless they "
                "were delivered",
                ob->path);
    } else if (tg_outbox_is_beyond(ob) && !ob->o.same_owner) {
        code = jump_ahead(ob, TG_OUTBOX_LEAP, err);
        mark = true;
    } else if (!clean &&
               (ob->wal_missing || was_ahead(ob, was_durability) ||
                (was_durability == TG_DURABILITY_NORMAL && !tg_outbox_same_boot(boot_id, was_boot_id)))) {
        code = jump_ahead(ob, TG_OUTBOX_JUMP, err);
        mark = true;
    }
    snprintf(sql, sizeof sql, "UPDATE meta SET clean=0, durability=%d, boot_id='%s', floor_seq=%llu",
             (int)ob->o.durability, boot_id, (unsigned long long)ob->floor_seq);
    if (code == TG_OK)
        code = tg_outbox_exec(ob, sql, err);
    if (code != TG_OK) {
        tg_outbox_abort(ob);
        return code;
    }
    code = tg_outbox_end(ob, mark, err);
    if (code == TG_OK && !ob->o.same_owner)
        tg_outbox_mark_beyond(ob->dir, false);
    return code;
}

static int open_database(struct tg_outbox *ob, bool high_found, struct tg_error *err)
{
    char sql[128];
    int code;
    ob->wal_missing = tg_outbox_wal_bytes(ob) == 0;
    if ((code = connect_file(ob, err)) != TG_OK)
        return code;
    if (ob->o.read_only) {
        int version = 0;
        if ((code = tg_schema_inspect(ob->db, &tg_outbox_schema, &version, err)) != TG_OK)
            return code;
        if (version == 0)
            return tg_error_set(err, TG_ENOTFOUND, "%s is empty", ob->path);
        if ((code = tg_schema_view(ob->db, &tg_outbox_schema, version, err)) != TG_OK ||
            (code = tg_outbox_exec(ob, "PRAGMA query_only=ON; PRAGMA mmap_size=0", err)) != TG_OK)
            return code;
        if ((code = tg_outbox_prepare(ob, err)) != TG_OK)
            return code;
        tg_outbox_give_way(ob);
        return tg_outbox_load(ob, err);
    }
    if ((code = configure(ob, err)) != TG_OK || (code = settle_wal(ob, err)) != TG_OK)
        return code;
    if (tg_outbox_is_suspect(ob)) {
        if ((code = expect(ob, "PRAGMA integrity_check(1)", "ok", TG_ECORRUPT, err)) != TG_OK)
            return code;
        tg_outbox_unsuspect(ob);
    }
    if ((code = tg_schema_migrate(ob->db, &tg_outbox_schema, err)) != TG_OK ||
        (code = tg_outbox_prepare(ob, err)) != TG_OK || (code = tg_outbox_load(ob, err)) != TG_OK ||
        (code = start_session(ob, high_found, err)) != TG_OK || (code = settle_wal(ob, err)) != TG_OK)
        return code;
    if ((code = tg_outbox_bound(ob, err)) != TG_OK)
        return code;
    snprintf(sql, sizeof sql, "PRAGMA synchronous=%s",
             ob->o.durability == TG_DURABILITY_NORMAL ? "NORMAL" : "FULL");
    return tg_outbox_exec(ob, sql, err);
}

/* --- open and close
 * -------------------------------------------------------------------------------------------- */

static void free_outbox(struct tg_outbox *ob)
{
    close_database(ob);
    tg_written_free(ob->written);
    tg_outbox_unlock(ob);
    tg_free(ob->dir);
    tg_free(ob->path);
    tg_free(ob);
}

/* Where numbering goes on when neither the database nor outbox.high can tell: above any number that counting
 * one sample a millisecond since 1970 could have reached. */
static uint64_t number_from_clock(void)
{
    int64_t wall_ms = tg_clock_wall_ms();
    return tg_clock_plausible(wall_ms) ? (uint64_t)wall_ms : (UINT64_C(1) << 41) + tg_random_u32();
}

/* Tries, and takes the two ways out: give up the ballast when the disk is full, set aside what cannot be
 * used. */
static int open_or_recover(struct tg_outbox *ob, char ret_set_aside[256], struct tg_error *err)
{
    bool high_found = false, ballast_tried = false, aside_tried = false;
    int code = tg_outbox_high_load(ob, &high_found, err);
    if (code != TG_OK)
        return code;
    tg_outbox_finish_set_aside(ob);
    for (;;) {
        code = open_database(ob, high_found, err);
        if (code == TG_ENOSPACE && !ballast_tried) {
            ballast_tried = true;
            close_database(ob);
            (void)tg_outbox_ballast_drop(ob);
        } else if (code == TG_ECORRUPT && !aside_tried) {
            char *later = err ? strstr(err->text, TG_OUTBOX_CHECKED_LATER) : NULL;
            if (later)
                *later = '\0';
            aside_tried = true;
            close_database(ob);
            if ((code = tg_outbox_set_aside(ob, ret_set_aside, err)) != TG_OK)
                return code;
            tg_outbox_unsuspect(ob);
            if (!high_found) {
                uint64_t number = number_from_clock();
                tg_outbox_high_reserve(ob, number, number);
                high_found = ob->high_seq != 0;
            }
        } else {
            return code;
        }
        ob->dead = false;
    }
}

int tg_outbox_open(const struct tg_outbox_options *o, struct tg_outbox **ret_outbox, char ret_set_aside[256],
                   struct tg_error *err)
{
    char aside[256] = "";
    int code;
    if (ret_set_aside)
        ret_set_aside[0] = '\0';
    struct tg_outbox *ob = tg_calloc(1, sizeof *ob);
    if (!ob)
        return tg_error_set(err, TG_ENOMEM, "out of memory while opening the outbox in %s", o->dir);
    ob->o = *o;
    ob->lock_fd = ob->high_fd = -1;
    ob->mark_rows = TG_OUTBOX_MARK_ROWS;
    ob->compact_rows = TG_OUTBOX_COMPACT_ROWS;
    ob->dir = tg_strdup(o->dir);
    ob->path = ob->dir ? tg_malloc(strlen(o->dir) + sizeof "/" TG_OUTBOX_FILE) : NULL;
    if (!ob->path || strlen(o->dir) > PATH_MAX - 64) {
        code = tg_error_set(err, ob->path ? TG_EINVAL : TG_ENOMEM, "the outbox in %s cannot be opened: %s",
                            o->dir, ob->path ? "the path is too long" : "out of memory");
        free_outbox(ob);
        return code;
    }
    ob->o.dir = ob->dir;
    memcpy(ob->path, o->dir, strlen(o->dir));
    memcpy(ob->path + strlen(o->dir), "/" TG_OUTBOX_FILE, sizeof "/" TG_OUTBOX_FILE);
    if (o->read_only) {
        code = open_database(ob, false, err);
    } else {
        ob->written = tg_written_new(o->vfs); /* without memory for it, it is not counted */
        code = tg_outbox_lock(ob, err);
        if (code == TG_OK)
            code = open_or_recover(ob, aside, err);
    }
    if (code != TG_OK) {
        free_outbox(ob);
        return code;
    }
    if (!o->read_only)
        tg_outbox_sync_dir(ob);
    if (ret_set_aside)
        memcpy(ret_set_aside, aside, sizeof aside);
    *ret_outbox = ob;
    return TG_OK;
}

static void close_cleanly(struct tg_outbox *ob)
{
    if (tg_outbox_begin(ob, NULL) != TG_OK)
        return;
    if (tg_outbox_exec(ob, "UPDATE meta SET clean=1", NULL) != TG_OK) {
        tg_outbox_abort(ob);
        return;
    }
    if (tg_outbox_end(ob, true, NULL) != TG_OK)
        return;
    /* On a full disk the write-ahead log keeps the space it has: the next start needs it. */
    if (sqlite3_wal_checkpoint_v2(ob->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL) == SQLITE_OK &&
        !ob->disk_full)
        (void)sqlite3_db_config(ob->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
}

void tg_outbox_close(struct tg_outbox *ob, bool checkpoint)
{
    if (!ob)
        return;
    if (ob->tx == TG_OUTBOX_TX_OPEN)
        tg_outbox_abort(ob);
    ob->tx = TG_OUTBOX_TX_NONE;
    if (checkpoint && !ob->dead && !ob->o.read_only) {
        /* `normal`: the word "clean" must not be on the disk before what it vouches for. */
        ob->rows_since_sync = TG_OUTBOX_SYNC_ROWS;
        close_cleanly(ob);
    }
    free_outbox(ob);
}
