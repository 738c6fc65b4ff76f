/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lives_control.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "support/outbox_help.h"

enum wrong { AS_IT_IS, VANISHED, ONE_TOO_MANY, DELETED, PASSED, NEVER_STORED, WRONGS };

#define NOTHING_TO_TAMPER 3 /* exit status: no sample of this device waits for this cloud */

#define OF_CURSOR                                                                                            \
    " WHERE device = (SELECT id FROM device WHERE name = ?1) AND cloud = (SELECT id FROM cloud WHERE name "  \
    "= "                                                                                                     \
    "?2) AND active"
/* ?3: one more than what the model cannot say; ?4: the newest sample that surely waits. */
static const char *const statements[WRONGS] = {
    [VANISHED] = "UPDATE cursor SET skipped = skipped + ?3" OF_CURSOR,
    [ONE_TOO_MANY] = "UPDATE cursor SET skipped = skipped - ?3" OF_CURSOR " AND skipped >= ?3",
    [DELETED] = "DELETE FROM log WHERE device = (SELECT id FROM device WHERE name = ?1) AND seq = ?4",
    [PASSED] =
        "UPDATE cursor SET acked_seq = ?4, acked_id = (SELECT id FROM log l WHERE l.device = cursor.device "
        "AND l.seq = ?4)" OF_CURSOR,
};

/* Samples that surely wait; *ret_newest is the number of the newest, 0 = there is none. */
static uint64_t count_waiting(const struct lives *w, uint32_t d, uint32_t c, uint64_t *ret_newest)
{
    uint64_t n = 0;
    *ret_newest = 0;
    for (uint32_t i = 0; i < w->count[d]; i++) {
        const struct lives_sample *s = &w->sample[d][i];
        if (!s->accepted || !s->stored || s->uncertain || s->acked[c] || s->seq <= w->account[d][c].passed)
            continue;
        n++;
        *ret_newest = s->seq;
    }
    return n;
}

static bool tamper(const struct lives *w, const char *dir, uint32_t d, uint32_t c, enum wrong wrong)
{
    const struct lives_account *a = &w->account[d][c];
    uint64_t newest, waiting = count_waiting(w, d, c, &newest);
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    char name[24];
    bool changed;
    lives_device_name(d, name);
    if (newest == 0 && (wrong == DELETED || wrong == PASSED))
        return false;
    /* So many may have been dropped while they were acknowledged, or the other way round. */
    if (wrong == PASSED && waiting <= a->either)
        return false;
    if (sqlite3_open(tg_test_path(dir, TG_OUTBOX_FILE), &db) != SQLITE_OK ||
        sqlite3_prepare_v2(db, statements[wrong], -1, &st, NULL) != SQLITE_OK)
        _exit(9);
    (void)sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(st, 2, lives_clouds[c], -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(st, 3, (int64_t)a->unknown + 1);
    (void)sqlite3_bind_int64(st, 4, (int64_t)newest);
    if (sqlite3_step(st) != SQLITE_DONE)
        _exit(9);
    changed = sqlite3_changes(db) == 1;
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
    return changed;
}

/* A sample of which the world was told that it is accepted. */
static bool tell_too_much(struct lives *w, uint32_t d)
{
    uint32_t n = w->count[d];
    uint64_t highest = n > 0 ? w->sample[d][n - 1].seq : 0;
    for (uint32_t c = 0; c < LIVES_CLOUDS; c++)
        highest = w->account[d][c].passed > highest ? w->account[d][c].passed : highest;
    if (n == 0 || n == LIVES_SAMPLES)
        return false;
    w->sample[d][n] = (struct lives_sample){
        .seq = highest + 1, .id = UINT64_MAX / 2, .hash = 1, .time_ms = 1, .accepted = true};
    w->count[d]++;
    return true;
}

static _Noreturn void judge_copy(struct lives *own, const struct tg_outbox_options *options, uint32_t d,
                                 uint32_t c, enum wrong wrong)
{
    const struct rlimit no_core = {0, 0};
    struct tg_outbox_options o = *options;
    int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool changed = wrong == AS_IT_IS;
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (nothing < 0)
        _exit(9);
    if (wrong != AS_IT_IS && (dup2(nothing, STDERR_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0))
        _exit(9);
    if (wrong == NEVER_STORED)
        changed = tell_too_much(own, d);
    else if (wrong != AS_IT_IS)
        changed = tamper(own, o.dir, d, c, wrong);
    if (!changed)
        _exit(NOTHING_TO_TAMPER);
    lives_judge(own, &o, false);
    _exit(0);
}

static void try_one(struct lives *w, const struct tg_outbox_options *o, uint32_t d, uint32_t c,
                    enum wrong wrong, struct lives_control *k)
{
    struct tg_outbox_options copy = *o;
    char *dir = tg_test_memory_dir();
    int status = 0;
    pid_t pid;
    tg_test_copy_outbox(o->dir, dir);
    copy.dir = dir;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        judge_copy(w, &copy, d, c, wrong);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    tg_test_dir_remove(dir);
    free(dir);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOTHING_TO_TAMPER)
        return;
    if (wrong == AS_IT_IS) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("the copy is judged otherwise than the original (%x)", (unsigned)status);
        return;
    }
    k->tampered++;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        k->noticed++;
    else
        fail_msg("%u %s: what was made wrong (%d) went unnoticed (%x)", d, lives_clouds[c], (int)wrong,
                 (unsigned)status);
}

void lives_control(const struct lives *w, const struct tg_outbox_options *o,
                   struct lives_control *ret_control)
{
    struct lives_control k = {0};
    struct lives *own =
        malloc(sizeof *own); /* of this process: what a child makes of it stays in the child */
    assert_non_null(own);
    memcpy(own, w, sizeof *own);
    try_one(own, o, 0, 0, AS_IT_IS, &k);
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            const struct lives_account *a = &w->account[d][c];
            if (!a->exists)
                continue;
            if (a->unknown > k.widest)
                k.widest = a->unknown;
            for (int wrong = VANISHED; wrong < WRONGS; wrong++)
                try_one(own, o, d, c, (enum wrong)wrong, &k);
        }
    }
    free(own);
    *ret_control = k;
}
