/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * kill -9 at any moment, again and again on the same notes: a child sets notes to rising numbers and reports through a
 * pipe every one that it was told is on disk; the parent kills it, opens what is left and compares.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/notes.h"
#include "support/outbox_help.h"

#define KEYS   7
#define CYCLES 25

struct child {
    struct tg_loop loop;
    struct tg_notes *notes;
    int out;
    uint64_t random, number;
    uint64_t values[KEYS];
};

static void next(struct child *c);

/* What was set before the question: all of it is reported. */
static void on_durable(void *user, int rc)
{
    struct child *c = user;
    if (rc != TG_OK || write(c->out, c->values, sizeof c->values) != (ssize_t)sizeof c->values)
        _exit(3);
    next(c);
}

static void next(struct child *c)
{
    for (uint32_t i = 1 + tg_test_random(&c->random) % 5; i > 0; i--) {
        uint32_t k = tg_test_random(&c->random) % KEYS;
        char key[16];
        uint8_t value[3000] = {0};
        snprintf(key, sizeof key, "%u", k);
        c->values[k] = ++c->number;
        memcpy(value, &c->values[k], sizeof c->values[k]);
        if (tg_notes_set(c->notes, "scope", key,
                         tg_bytes(value, 8 + tg_test_random(&c->random) % (sizeof value - 8))) != TG_OK)
            _exit(4);
    }
    if (tg_notes_when_durable(c->notes, on_durable, c) != TG_OK)
        _exit(5);
}

static void run_child(const char *dir, int out, uint64_t random, const uint64_t values[KEYS])
{
    static struct child c;
    c.out = out;
    c.random = random;
    memcpy(c.values, values, sizeof c.values);
    for (int k = 0; k < KEYS; k++)
        c.number = values[k] > c.number ? values[k] : c.number;
    if (tg_loop_init(&c.loop, NULL) != TG_OK || tg_notes_open(&c.loop, dir, &c.notes, NULL) != TG_OK)
        _exit(2);
    next(&c);
    tg_loop_run(&c.loop);
    _exit(6);
}

/* At least what was reported is there; what is there is where the next cycle begins. */
static void judge(const char *dir, uint64_t values[KEYS])
{
    struct tg_loop loop;
    struct tg_notes *notes = NULL;
    struct tg_error err = {0};
    assert_int_equal(tg_loop_init(&loop, &err), TG_OK);
    assert_int_equal(tg_notes_open(&loop, dir, &notes, &err), TG_OK);
    for (unsigned k = 0; k < KEYS; k++) {
        char key[16];
        uint64_t got = 0;
        snprintf(key, sizeof key, "%u", k);
        struct tg_bytes b = tg_notes_get(notes, "scope", key);
        if (b.len >= sizeof got)
            memcpy(&got, b.data, sizeof got);
        assert_true(got >= values[k]);
        values[k] = got;
    }
    tg_notes_close(notes, 30000, NULL, NULL);
    tg_loop_run(&loop);
    tg_loop_fini(&loop);
}

static void test_kill(void **state)
{
    char *dir = tg_test_memory_dir();
    uint64_t values[KEYS] = {0}, got[KEYS], random = 7, reports_seen = 0;
    (void)state;
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        int fds[2], status = 0;
        uint32_t reports = 1 + tg_test_random(&random) % 60;
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(fds[0]);
            run_child(dir, fds[1], random, values);
        }
        close(fds[1]);
        for (uint32_t i = 0; i < reports && read(fds[0], got, sizeof got) == (ssize_t)sizeof got; i++) {
            memcpy(values, got, sizeof values);
            reports_seen++;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status)); /* it was at work until then */
        while (read(fds[0], got, sizeof got) == (ssize_t)sizeof got)
            memcpy(values, got, sizeof values);
        close(fds[0]);
        judge(dir, values);
        assert_false(tg_test_exists(dir, "notes.db.bad-1"));
    }
    assert_true(reports_seen > CYCLES);
    tg_test_dir_remove(dir);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
