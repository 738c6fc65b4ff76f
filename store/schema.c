/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/schema.h"

#include <errno.h>
#include <stdio.h>

/* docs/disk-format.md explains every column. No secondary index on the log: one quadruples the bytes written.
 */
static const char version_1[] =
    "CREATE TABLE log(id INTEGER PRIMARY KEY, device INT NOT NULL, seq INT NOT NULL, time_ms INT NOT NULL,"
    " body BLOB NOT NULL);"
    "CREATE TABLE device(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE mark(device INTEGER PRIMARY KEY, last_seq INT NOT NULL, last_id INT NOT NULL,"
    " drop_limit INT NOT NULL DEFAULT 0, drop_age INT NOT NULL DEFAULT 0, drop_disk INT NOT NULL DEFAULT 0,"
    " drop_quarantine INT NOT NULL DEFAULT 0, gap_first INT NOT NULL DEFAULT 0, gap_last INT NOT NULL "
    "DEFAULT 0);"
    "CREATE TABLE cloud(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE cursor(id INTEGER PRIMARY KEY, device INT NOT NULL, cloud INT NOT NULL, active INT NOT "
    "NULL,"
    " base_seq INT NOT NULL, acked_seq INT NOT NULL, acked_id INT NOT NULL, dropped INT NOT NULL DEFAULT 0,"
    " skipped INT NOT NULL DEFAULT 0, UNIQUE(device, cloud));"
    "CREATE TABLE hole(device INT NOT NULL, first_seq INT NOT NULL, last_seq INT NOT NULL,"
    " PRIMARY KEY(device, first_seq)) WITHOUT ROWID;"
    "CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 1), mark_id INT NOT NULL,"
    " rows INT NOT NULL, appended INT NOT NULL, floor_seq INT NOT NULL, clean INT NOT NULL,"
    " durability INT NOT NULL, boot_id TEXT NOT NULL);"
    "INSERT INTO meta VALUES(1, 0, 0, 0, 0, 1, 0, '');";

/* Only what costs the same with an empty and with a full log: no row is rewritten, nothing is scanned. */
static const char version_2[] =
    "ALTER TABLE mark ADD COLUMN drop_quota INT NOT NULL DEFAULT 0;"
    "ALTER TABLE mark ADD COLUMN drop_removed INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN gap_first INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN gap_last INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN gap_count INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN gap_reason INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN tell_seq INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN tell_first INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN tell_last INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN tell_count INT NOT NULL DEFAULT 0;"
    "ALTER TABLE cursor ADD COLUMN tell_reason INT NOT NULL DEFAULT 0;"
    "CREATE TABLE ahead(cursor INT NOT NULL, first_seq INT NOT NULL, last_seq INT NOT NULL,"
    " last_id INT NOT NULL, PRIMARY KEY(cursor, first_seq)) WITHOUT ROWID;"
    "CREATE TABLE urgent(id INTEGER PRIMARY KEY, device INT NOT NULL);"
    "CREATE TABLE boot(n INTEGER PRIMARY KEY, first_id INT NOT NULL, offset_ms INT,"
    " estimated INT NOT NULL DEFAULT 0);"
    "CREATE TABLE jump(id INTEGER PRIMARY KEY, delta_ms INT NOT NULL);"
    "CREATE TABLE clock(id INTEGER PRIMARY KEY CHECK(id = 1), boot INT NOT NULL, offset_ms INT NOT NULL);"
    "CREATE TABLE import(id INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, rows INT NOT NULL,"
    " time_ms INT NOT NULL);";

/* Version 1 as if it were version 2. */
static const char view_1[] =
    "CREATE TEMP VIEW mark AS SELECT *, 0 AS drop_quota, 0 AS drop_removed FROM main.mark;"
    "CREATE TEMP VIEW cursor AS SELECT *, 0 AS gap_first, 0 AS gap_last, 0 AS gap_count, 0 AS gap_reason,"
    " 0 AS tell_seq, 0 AS tell_first, 0 AS tell_last, 0 AS tell_count, 0 AS tell_reason FROM main.cursor;"
    "CREATE TEMP TABLE ahead(cursor, first_seq, last_seq, last_id);"
    "CREATE TEMP TABLE urgent(id INTEGER PRIMARY KEY, device);"
    "CREATE TEMP TABLE boot(n, first_id, offset_ms, estimated);"
    "CREATE TEMP TABLE jump(id, delta_ms);"
    "CREATE TEMP TABLE clock(id, boot, offset_ms);"
    "CREATE TEMP TABLE import(id, file, rows, time_ms);";

static const struct tg_schema_step steps[] = {{1, version_1, view_1}, {2, version_2, NULL}};

const struct tg_schema tg_outbox_schema = {0x7467426f /* "tgBo" */, steps, sizeof steps / sizeof steps[0]};

int tg_schema_code(sqlite3 *db, int rc)
{
    int saved = db ? sqlite3_system_errno(db) : 0;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return TG_OK;
    case SQLITE_FULL:
        return TG_ENOSPACE;
    case SQLITE_NOMEM:
        return TG_ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
        return TG_ECORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return TG_EBUSY;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return TG_EPERM;
    case SQLITE_TOOBIG:
        return TG_ETOOBIG;
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            return TG_ENOMEM;
        /* A shared-memory file that cannot grow is a full disk as well. */
        if (rc == SQLITE_IOERR_SHMSIZE && (saved == ENOSPC || saved == EDQUOT))
            return TG_ENOSPACE;
        return TG_EIO;
    default:
        return TG_EIO;
    }
}

static int fail(sqlite3 *db, int rc, struct tg_error *err, const char *what)
{
    return tg_error_set(err, tg_schema_code(db, rc), "%s: %s (%d)", what, sqlite3_errmsg(db), rc);
}

/* The single integer that `sql` yields. */
static int query_int(sqlite3 *db, const char *sql, int *ret_value, struct tg_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *ret_value = sqlite3_column_int(stmt, 0);
        sqlite3_finalize(stmt);
        return TG_OK;
    }
    int code = fail(db, rc, err, "reading the database header");
    sqlite3_finalize(stmt);
    return code == TG_OK ? tg_error_set(err, TG_ECORRUPT, "%s yields nothing", sql) : code;
}

int tg_schema_inspect(sqlite3 *db, const struct tg_schema *schema, int *ret_version, struct tg_error *err)
{
    int owner = 0, version = 0, objects = 0, code;
    if ((code = query_int(db, "PRAGMA application_id", &owner, err)) != TG_OK ||
        (code = query_int(db, "PRAGMA user_version", &version, err)) != TG_OK ||
        (code = query_int(db, "SELECT count(*) FROM sqlite_schema", &objects, err)) != TG_OK)
        return code;
    if (owner == 0 && version == 0 && objects == 0) {
        *ret_version = 0;
        return TG_OK;
    }
    if (owner != schema->application_id)
        return tg_error_set(err, TG_ECORRUPT, "a database of another program (application id 0x%08x)",
                            (unsigned)owner);
    if (version > schema->count)
        return tg_error_set(err, TG_EVERSION,
                            "schema version %d is newer than %d, the newest this program knows; the file is "
                            "untouched: install the newer program again",
                            version, schema->count);
    if (version < 1)
        return tg_error_set(err, TG_ECORRUPT, "schema version %d does not exist", version);
    *ret_version = version;
    return TG_OK;
}

static int run_step(sqlite3 *db, const struct tg_schema *schema, const struct tg_schema_step *step,
                    struct tg_error *err)
{
    char stamp[96];
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, err, "beginning the schema step");
    rc = sqlite3_exec(db, step->sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        snprintf(stamp, sizeof stamp, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                 schema->application_id, step->version);
        rc = sqlite3_exec(db, stamp, NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK)
        return TG_OK;
    int code = fail(db, rc, err, "changing the schema");
    if (!sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

int tg_schema_migrate(sqlite3 *db, const struct tg_schema *schema, struct tg_error *err)
{
    int version = 0;
    int code = tg_schema_inspect(db, schema, &version, err);
    for (int i = version; code == TG_OK && i < schema->count; i++) {
        code = run_step(db, schema, &schema->steps[i], err);
        if (code != TG_OK)
            (void)tg_error_wrap(err, "from schema version %d to %d", i, schema->steps[i].version);
    }
    return code;
}

int tg_schema_view(sqlite3 *db, const struct tg_schema *schema, int version, struct tg_error *err)
{
    const char *sql = schema->steps[version - 1].view;
    int rc = sqlite3_exec(db, "PRAGMA temp_store=MEMORY", NULL, NULL, NULL);
    if (rc == SQLITE_OK && sql)
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? TG_OK : fail(db, rc, err, "looking at an older schema");
}
