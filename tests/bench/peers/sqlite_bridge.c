/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sqlite_bridge - a bridge with a store as a competent integrator writes one in an afternoon: every sample goes into SQLite
 * (WAL, synchronous FULL, one commit for what came within 50 ms), from there by libmosquitto over TLS at QoS 1 with a window, and
 * its row is deleted with the commit after its PUBACK. One connection for all.
 *
 *     sqlite_bridge PORT CA DIR RATE COUNT          (source.h)
 *
 * Threads: `collect` owns the writing connection of the database; main owns the network and the reading connection. They share
 * the list of acknowledged rows. A row that was sent but not deleted is sent again after a restart: at least once.
 */
#include "source.h"

#include <mosquitto.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    COMMIT_MS = 50,
    BACKLOG_MAX = 20000, /* of a source that has no rate of its own: it waits instead of filling the disk */
    READ_ROWS = 100,
    ACKED_MAX = 32768 /* then nothing is sent until the collector has caught up */
};

static struct source source;
static sqlite3 *writer, *reader;
static _Atomic int64_t stored, deleted_rows; /* the newest row on disk; how many are gone */
static atomic_bool ending;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t
    acked[65536]; /* rows whose PUBACK came, until their deletion is committed; a window is far less */
static size_t acked_count;

static int64_t row_of[65536]; /* by packet id */
static int64_t sent_row;
static int in_flight;
static bool connected;

static sqlite3 *open_store(const char *dir)
{
    char path[4096];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/bridge.db", dir);
    if (sqlite3_open(path, &db) ||
        sqlite3_exec(
            db,
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;"
            "CREATE TABLE IF NOT EXISTS sample(id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)",
            NULL, NULL, NULL))
        source_fail(path, sqlite3_errmsg(db));
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL))
        source_fail(text, sqlite3_errmsg(db));
    return stmt;
}

static void step(sqlite3 *db, sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE)
        source_fail("the store", sqlite3_errmsg(db));
    sqlite3_reset(stmt);
}

/* Takes what was acknowledged since the last call. */
static size_t take_acked(int64_t *rows)
{
    size_t count;
    pthread_mutex_lock(&lock);
    count = acked_count;
    memcpy(rows, acked, count * sizeof *rows);
    acked_count = 0;
    pthread_mutex_unlock(&lock);
    return count;
}

static void *collect(void *unused)
{
    static int64_t rows[sizeof acked / sizeof *acked];
    sqlite3_stmt *begin = prepare(writer, "BEGIN IMMEDIATE"), *commit = prepare(writer, "COMMIT");
    sqlite3_stmt *insert = prepare(writer, "INSERT INTO sample(body) VALUES(?)");
    sqlite3_stmt *delete = prepare(writer, "DELETE FROM sample WHERE id=?");
    char text[SOURCE_SAMPLE_MAX];
    (void)unused;
    while (!ending) {
        size_t gone = take_acked(rows);
        uint64_t due = source_due(&source);
        if (source.rate <= 0 && stored - deleted_rows > BACKLOG_MAX)
            due = 0;
        if (due || gone) {
            step(writer, begin);
            for (; due > 0; due--) {
                int len = source_text(text, ++source.made);
                sqlite3_bind_blob(insert, 1, text, len, SQLITE_STATIC);
                step(writer, insert);
            }
            for (size_t i = 0; i < gone; i++) {
                sqlite3_bind_int64(delete, 1, rows[i]);
                step(writer, delete);
            }
            step(writer, commit);
            deleted_rows += (int64_t)gone;
            stored = (int64_t)source.made;
            *source.accepted = source.made;
        }
        if (source.rate > 0 || source.made == source.count || stored - deleted_rows > BACKLOG_MAX)
            nanosleep(&(struct timespec){.tv_nsec = (source.rate > 0 ? COMMIT_MS : 1) * 1000000L}, NULL);
    }
    return NULL;
}

static void on_connect(struct mosquitto *m, void *user, int code)
{
    (void)m;
    (void)user;
    connected = code == 0;
}

static void on_disconnect(struct mosquitto *m, void *user, int code)
{
    (void)m;
    (void)user;
    (void)code;
    connected = false; /* what is in flight libmosquitto sends again itself */
}

static void on_publish(struct mosquitto *m, void *user, int id)
{
    (void)m;
    (void)user;
    pthread_mutex_lock(&lock);
    acked[acked_count++] = row_of[id];
    pthread_mutex_unlock(&lock);
    in_flight--;
}

static size_t acked_waiting(void)
{
    size_t count;
    pthread_mutex_lock(&lock);
    count = acked_count;
    pthread_mutex_unlock(&lock);
    return count;
}

/* Fills the window from the store: as many on their way as may be, and as many ready behind them. */
static void send_rows(struct mosquitto *m, sqlite3_stmt *select)
{
    while (connected && in_flight < 2 * SOURCE_WINDOW && sent_row < stored && acked_waiting() < ACKED_MAX) {
        int room = 2 * SOURCE_WINDOW - in_flight, found = 0;
        sqlite3_bind_int64(select, 1, sent_row);
        sqlite3_bind_int(select, 2, room < READ_ROWS ? room : READ_ROWS);
        while (sqlite3_step(select) == SQLITE_ROW) {
            int id;
            if (mosquitto_publish(m, &id, "bench/sqlite/data", sqlite3_column_bytes(select, 1),
                                  sqlite3_column_blob(select, 1), 1, false) != MOSQ_ERR_SUCCESS)
                break;
            row_of[id] = sent_row = sqlite3_column_int64(select, 0);
            in_flight++;
            found++;
        }
        sqlite3_reset(select);
        if (!found)
            return;
    }
}

static void on_signal(int number)
{
    (void)number;
    ending = true;
}

/* Where a restart begins: the oldest row that is left was perhaps sent, but not deleted. */
static void look_what_is_there(void)
{
    sqlite3_stmt *stmt = prepare(
        writer,
        "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name='sample'), 0), count(*) FROM sample");
    sqlite3_step(stmt);
    stored = sqlite3_column_int64(stmt, 0);
    deleted_rows = stored - sqlite3_column_int64(stmt, 1);
    sqlite3_finalize(stmt);
    source.made = source.from_made = (uint64_t)stored; /* its own rows count, not the file beside them */
}

int main(int argc, char **argv)
{
    struct mosquitto *m;
    sqlite3_stmt *select;
    pthread_t thread;
    if (argc != 6)
        return 2;
    signal(SIGTERM, on_signal);
    source_open(&source, argv);
    writer = open_store(argv[3]);
    reader = open_store(argv[3]);
    look_what_is_there();
    select = prepare(reader, "SELECT id, body FROM sample WHERE id>? ORDER BY id LIMIT ?");
    mosquitto_lib_init();
    m = mosquitto_new("sqlite-bridge", true, NULL);
    if (!m || mosquitto_tls_set(m, argv[2], NULL, NULL, NULL, NULL))
        source_fail(argv[2], "TLS");
    mosquitto_max_inflight_messages_set(m, SOURCE_WINDOW);
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_disconnect_callback_set(m, on_disconnect);
    mosquitto_publish_callback_set(m, on_publish);
    if (pthread_create(&thread, NULL, collect, NULL))
        source_fail("thread", "cannot be started");
    mosquitto_connect(m, "localhost", atoi(argv[1]), 60);
    while (!ending) {
        if (mosquitto_loop(m, 10, 1) != MOSQ_ERR_SUCCESS && !ending) {
            sleep(1);
            mosquitto_reconnect(m);
        }
        send_rows(m, select);
    }
    pthread_join(thread, NULL);
    mosquitto_disconnect(m);
    mosquitto_destroy(m);
    sqlite3_finalize(select);
    return 0;
}
