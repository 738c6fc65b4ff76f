/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The database of the notes: opening, reading, one transaction a write, and what is set aside.
 */
#include "store/notes_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "store/schema.h"

#define ASIDE_PREFIX TG_NOTES_FILE_NAME ".bad-"
#define ASIDE_KEEP   3

static const struct tg_schema_step steps[] = {
    {1,
     "CREATE TABLE note(scope TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
     " PRIMARY KEY(scope, key)) WITHOUT ROWID",
     NULL}};
static const struct tg_schema schema = {0x74674e6f /* "tgNo" */, steps, sizeof steps / sizeof steps[0]};

int tg_notes_file_init(struct tg_notes_file *f, const char *dir)
{
    size_t n = strlen(dir);
    memset(f, 0, sizeof *f);
    if (n > PATH_MAX - 64)
        return TG_EINVAL;
    f->dir = tg_strdup(dir);
    f->path = tg_malloc(n + sizeof "/" TG_NOTES_FILE_NAME);
    if (!f->dir || !f->path) {
        tg_notes_file_fini(f);
        return TG_ENOMEM;
    }
    memcpy(f->path, dir, n);
    memcpy(f->path + n, "/" TG_NOTES_FILE_NAME, sizeof "/" TG_NOTES_FILE_NAME);
    f->written = tg_written_new(NULL);
    return TG_OK;
}

void tg_notes_file_fini(struct tg_notes_file *f)
{
    tg_notes_file_close(f);
    tg_written_free(f->written);
    f->written = NULL;
    tg_free(f->dir);
    tg_free(f->path);
    f->dir = f->path = NULL;
}

void tg_notes_file_close(struct tg_notes_file *f)
{
    (void)sqlite3_finalize(f->put);
    (void)sqlite3_finalize(f->del);
    (void)sqlite3_close_v2(f->db);
    f->put = f->del = NULL;
    f->db = NULL;
}

static int fail(struct tg_notes_file *f, int rc, struct tg_error *err, const char *what)
{
    return tg_error_set(err, tg_schema_code(f->db, rc), "%s: %s: %s (%d)", f->path, what,
                        sqlite3_errmsg(f->db), rc);
}

static int exec(struct tg_notes_file *f, const char *sql, struct tg_error *err)
{
    int rc = sqlite3_exec(f->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? TG_OK : fail(f, rc, err, sql);
}

/* The first column of the first row, as text, must be `want`. */
static int expect(struct tg_notes_file *f, const char *sql, const char *want, int otherwise,
                  struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int code = TG_OK, rc = sqlite3_prepare_v2(f->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    const char *got = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    if (rc != SQLITE_ROW)
        code = fail(f, rc == SQLITE_DONE ? SQLITE_ERROR : rc, err, sql);
    else if (!got)
        code = tg_error_set(err, TG_ENOMEM, "%s: out of memory", f->path);
    else if (strcmp(got, want) != 0)
        code = tg_error_set(err, otherwise, "%s: %s answers: %s", f->path, sql, got);
    (void)sqlite3_finalize(st);
    return code;
}

static void sync_dir(const struct tg_notes_file *f)
{
    int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* Ours alone; -wal and -shm take the mode over. A file that exists is never opened here: closing it would drop
 * SQLite's locks. */
static int create(struct tg_notes_file *f, struct tg_error *err)
{
    struct stat st;
    int fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        sync_dir(f);
        return TG_OK;
    }
    if (errno != EEXIST)
        return tg_error_set(err, errno == EROFS || errno == EACCES ? TG_EPERM : tg_code_from_errno(errno),
                            "%s cannot be created: %s", f->path, strerror(errno));
    if (lstat(f->path, &st) == 0 && !S_ISREG(st.st_mode))
        return tg_error_set(err, TG_ECORRUPT, "%s is not a regular file", f->path);
    return TG_OK;
}

static int connect_file(struct tg_notes_file *f, const char *name, int flags, struct tg_error *err)
{
    int rc = sqlite3_open_v2(name, &f->db, flags | SQLITE_OPEN_NOMUTEX,
                             f->written ? tg_written_vfs(f->written) : NULL);
    if (!f->db)
        return tg_error_set(err, TG_ENOMEM, "%s: out of memory", f->path);
    (void)sqlite3_extended_result_codes(f->db, 1);
    if (rc != SQLITE_OK)
        return fail(f, rc, err, "opening");
    (void)sqlite3_busy_timeout(f->db, 2000);
    (void)sqlite3_db_config(f->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(f->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_limit(f->db, SQLITE_LIMIT_LENGTH, 1 << 20);
    return TG_OK;
}

static int prepare(struct tg_notes_file *f, struct tg_error *err)
{
    int rc = sqlite3_prepare_v3(f->db,
                                "INSERT INTO note(scope, key, value) VALUES(?1, ?2, ?3) ON CONFLICT DO "
                                "UPDATE SET value=excluded.value",
                                -1, SQLITE_PREPARE_PERSISTENT, &f->put, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v3(f->db, "DELETE FROM note WHERE scope=?1 AND key=?2", -1,
                                SQLITE_PREPARE_PERSISTENT, &f->del, NULL);
    if (rc == SQLITE_ERROR) /* a table or column is not there */
        return tg_error_set(err, TG_ECORRUPT, "%s: %s", f->path, sqlite3_errmsg(f->db));
    return rc == SQLITE_OK ? TG_OK : fail(f, rc, err, "preparing a statement");
}

static int open_database(struct tg_notes_file *f, struct tg_error *err)
{
    int code, version = 0;
    if ((code = create(f, err)) != TG_OK ||
        (code = connect_file(f, f->path, SQLITE_OPEN_READWRITE, err)) != TG_OK)
        return code;
    if (sqlite3_db_readonly(f->db, "main") == 1)
        return tg_error_set(err, TG_EPERM, "%s cannot be written (read-only file system?)", f->path);
    if ((code = tg_schema_inspect(f->db, &schema, &version, err)) != TG_OK) {
        (void)tg_error_wrap(err, "%s", f->path);
        return code;
    }
    if ((code = expect(f, "PRAGMA journal_mode=WAL", "wal", TG_EIO, err)) != TG_OK ||
        (code = exec(f,
                     "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;"
                     "PRAGMA mmap_size=0; PRAGMA cache_size=-512",
                     err)) != TG_OK)
        return code;
    /* After a commit whose fsync failed the kernel may show what the disk does not have. Copying the whole log into the
     * database writes it again: what is visible after this is durable. */
    int rc = sqlite3_wal_checkpoint_v2(f->db, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return fail(f, rc, err, "copying the write-ahead log into the database");
    if (version > 0 && (code = expect(f, "PRAGMA integrity_check(1)", "ok", TG_ECORRUPT, err)) != TG_OK)
        return code;
    if ((code = tg_schema_migrate(f->db, &schema, err)) != TG_OK) {
        (void)tg_error_wrap(err, "%s", f->path);
        return code;
    }
    if ((code = prepare(f, err)) == TG_OK && version == 0)
        f->incomplete = true;
    return code;
}

int tg_notes_file_open(struct tg_notes_file *f, struct tg_error *err)
{
    int code = open_database(f, err);
    if (code != TG_OK)
        tg_notes_file_close(f);
    return code;
}

/* `immutable` works without a -shm file, but sees no write-ahead log: only where there is none. */
static int immutable_name(const struct tg_notes_file *f, char ret_name[3 * PATH_MAX + 32])
{
    struct tg_writer w = tg_writer_init(ret_name, 3 * PATH_MAX + 32);
    char wal[PATH_MAX];
    struct stat st;
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    if (lstat(wal, &st) == 0 && st.st_size > 0)
        return TG_ESTATE;
    tg_write_str(&w, "file:");
    for (const char *p = f->path; *p; p++) {
        if (*p == '%' || *p == '?' || *p == '#')
            tg_write_fmt(&w, "%%%02X", (unsigned)(unsigned char)*p);
        else
            tg_write_u8(&w, (uint8_t)*p);
    }
    tg_write_str(&w, "?immutable=1");
    return tg_writer_cstr(&w);
}

int tg_notes_file_open_read_only(struct tg_notes_file *f, struct tg_error *err)
{
    char name[3 * PATH_MAX + 32];
    int code = connect_file(f, f->path, SQLITE_OPEN_READONLY, err), version = 0;
    if (code == TG_OK)
        code = tg_schema_inspect(f->db, &schema, &version, err);
    if (code != TG_OK && immutable_name(f, name) == TG_OK) {
        tg_notes_file_close(f);
        code = connect_file(f, name, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
        if (code == TG_OK)
            code = tg_schema_inspect(f->db, &schema, &version, err);
    }
    if (code == TG_OK && version == 0)
        code = tg_error_set(err, TG_ENOTFOUND, "%s is empty", f->path);
    if (code != TG_OK)
        tg_notes_file_close(f);
    return code;
}

int tg_notes_file_load(struct tg_notes_file *f,
                       int (*each)(void *user, struct tg_bytes scope, struct tg_bytes key,
                                   struct tg_bytes value),
                       void *user, struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int code = TG_OK;
    int rc =
        sqlite3_prepare_v2(f->db, "SELECT scope, key, value FROM note ORDER BY scope, key", -1, &st, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        struct tg_bytes column[3];
        if ((rc = sqlite3_step(st)) != SQLITE_ROW)
            break;
        for (int i = 0; i < 3; i++) {
            const void *data = i < 2 ? (const void *)sqlite3_column_text(st, i) : sqlite3_column_blob(st, i);
            column[i] = tg_bytes(data, (size_t)sqlite3_column_bytes(st, i));
        }
        if ((code = each(user, column[0], column[1], column[2])) != TG_OK)
            break;
    }
    if (code == TG_OK && rc != SQLITE_DONE)
        code = fail(f, rc, err, "reading the notes");
    else if (code != TG_OK)
        (void)tg_error_set(err, code, "%s: a note in it is %s", f->path,
                           code == TG_ECORRUPT ? "not what this program writes" : tg_code_text(code));
    (void)sqlite3_finalize(st);
    return code;
}

static int write_one(struct tg_notes_file *f, const struct tg_note *n)
{
    sqlite3_stmt *st = n->writing ? f->put : f->del;
    const char *key = tg_note_key(n);
    int rc = sqlite3_bind_text(st, 1, tg_note_scope(n), n->scope_len, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 2, key, (int)strlen(key), SQLITE_STATIC);
    if (rc == SQLITE_OK && n->writing)
        rc = sqlite3_bind_blob(st, 3, n->writing->data, (int)n->writing->len, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int tg_notes_file_write(struct tg_notes_file *f, const struct tg_note *first, struct tg_error *err)
{
    int rc = sqlite3_exec(f->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (const struct tg_note *n = first; n && rc == SQLITE_OK; n = n->next_writing)
        rc = write_one(f, n);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(f->db, "COMMIT", NULL, NULL, NULL);
    return rc == SQLITE_OK ? TG_OK : fail(f, rc, err, "writing");
}

/* --- set aside ---------------------------------------------------------------------------------------- */

/* The highest number that lies aside. Of those up to `newest` all but ASIDE_KEEP are deleted; 0 deletes none. */
static unsigned long look_aside(const struct tg_notes_file *f, unsigned long newest)
{
    unsigned long found = 0;
    struct dirent *e;
    DIR *dir = opendir(f->dir);
    if (!dir)
        return 0;
    while ((e = readdir(dir)) != NULL) {
        char *end;
        if (strncmp(e->d_name, ASIDE_PREFIX, strlen(ASIDE_PREFIX)) != 0)
            continue;
        unsigned long n = strtoul(e->d_name + strlen(ASIDE_PREFIX), &end, 10);
        if (n >= UINT_MAX || (*end != '\0' && *end != '-'))
            continue;
        if (n > found)
            found = n;
        if (n + ASIDE_KEEP <= newest)
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
    return found;
}

int tg_notes_file_set_aside(struct tg_notes_file *f, char ret_name[64], struct tg_error *err)
{
    static const char *const companions[] = {"", "-wal", "-shm"};
    unsigned long n = look_aside(f, 0) + 1;
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        char from[PATH_MAX], to[PATH_MAX];
        snprintf(from, sizeof from, "%s%s", f->path, companions[i]);
        snprintf(to, sizeof to, "%s/" ASIDE_PREFIX "%lu%s", f->dir, n, companions[i]);
        /* A -wal that stays behind alone is deleted by SQLite when it finds an empty database. */
        if (rename(from, to) != 0 && i == 0)
            return tg_error_set(err, errno == EROFS || errno == EACCES ? TG_EPERM : tg_code_from_errno(errno),
                                "the unusable %s cannot be renamed: %s; it stays as it is", f->path,
                                strerror(errno));
    }
    sync_dir(f);
    (void)look_aside(f, n);
    snprintf(ret_name, 64, ASIDE_PREFIX "%lu", n);
    return TG_OK;
}
