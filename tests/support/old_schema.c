/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/old_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/schema.h"
#include "support/outbox_help.h"

static void sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
}

void tg_test_old_outbox(const char *dir, uint64_t rows, uint64_t acked)
{
    struct tg_schema first = {tg_outbox_schema.application_id, tg_outbox_schema.steps, 1};
    struct tg_error err = {0};
    sqlite3_stmt *st = NULL;
    sqlite3 *db = NULL;
    char text[512];
    assert_int_equal(sqlite3_open(tg_test_path(dir, TG_OUTBOX_FILE), &db), SQLITE_OK);
    sql(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF");
    if (tg_schema_migrate(db, &first, &err) != TG_OK)
        fail_msg("%s", err.text);
    sql(db, "BEGIN");
    assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO log VALUES(?1, 0, ?1, ?2, ?3)", -1, &st, NULL),
                     SQLITE_OK);
    for (uint64_t seq = 1; seq <= rows; seq++) {
        struct tg_bytes body = tg_test_body(0, seq, 100);
        sqlite3_bind_int64(st, 1, (int64_t)seq);
        sqlite3_bind_int64(st, 2, INT64_C(1780000000000) + (int64_t)seq);
        sqlite3_bind_blob(st, 3, body.data, (int)body.len, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(st), SQLITE_DONE);
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    snprintf(
        text, sizeof text,
        "INSERT INTO device VALUES(0, 'meter-1'); INSERT INTO mark VALUES(0, %llu, %llu, 0, 0, 0, 0, 0, 0);"
        "INSERT INTO cloud VALUES(0, 'hub'), (1, 'lake');"
        "INSERT INTO cursor VALUES(0, 0, 0, 1, 0, %llu, %llu, 0, 0), (1, 0, 1, 1, 0, 0, 0, 0, 0);"
        "UPDATE meta SET mark_id=%llu, rows=%llu, appended=%llu; COMMIT",
        (unsigned long long)rows, (unsigned long long)rows, (unsigned long long)acked,
        (unsigned long long)acked, (unsigned long long)rows, (unsigned long long)rows,
        (unsigned long long)rows);
    sql(db, text);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
