/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * kill -9, again and again, at any moment of a busy store. What was reported as accepted before the kill is
 * there after it; what was acknowledged stays acknowledged only if it was there; numbers are never given
 * twice.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/proof.h"
#include "support/store_fixture.h"

#define DEVICES 4

struct child {
    struct fixture f;
    uint32_t devices[DEVICES];
    struct cloud clouds[DEVICES];
    int out;
};

/* A report to the parent: an id that is accepted. Smaller than PIPE_BUF: whole or not at all. */
static void tell_committed(void *user, uint64_t id)
{
    struct child *c = user;
    if (write(c->out, &id, sizeof id) != (ssize_t)sizeof id)
        _exit(3);
}

static void tell_state(void *user, enum tg_store_state state, const char *text)
{
    (void)user;
    (void)state;
    (void)fprintf(stderr, "child: %s\n", text);
    _exit(4);
}

static _Noreturn void run_child(const char *dir, int out)
{
    static struct child c;
    struct fixture *f = &c.f;
    struct tg_store_callbacks cb = {.on_committed = tell_committed, .on_state = tell_state};
    c.out = out;
    f->o = (struct tg_store_options){
        .outbox = tg_test_options(dir), .commit_interval_ms = 1, .commit_max_rows = 50};
    if (tg_loop_init(&f->loop, &f->err) < 0 ||
        tg_store_open(&f->loop, &f->o, &cb, &c, &f->store, f->aside, &f->err) < 0 || f->aside[0] != '\0')
        _exit(5);
    for (int i = 0; i < DEVICES; i++) {
        char name[24];
        struct cloud *lake = calloc(1, sizeof *lake);
        snprintf(name, sizeof name, "meter-%d", i);
        c.devices[i] = device(f, name);
        c.clouds[i].eager = true;
        open_feed(f, &c.clouds[i], c.devices[i], "hub");
        open_feed(f, lake, c.devices[i], "lake"); /* never acknowledges anything */
        tg_feed_resume(c.clouds[i].feed);
    }
    for (uint32_t n = 0;; n++) {
        if (stats_of(f).uncommitted_rows < 200)
            (void)append_n(f, c.devices[n % DEVICES], 1 + n % 7, 80);
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    }
}

struct found {
    uint64_t rows[DEVICES], last_seq[DEVICES];
};

static void find(void *user, const struct tg_outbox_row *row)
{
    struct found *found = user;
    assert_true(row->device < DEVICES);
    assert_int_equal(row->seq, ++found->last_seq[row->device]); /* the lake has acknowledged nothing */
    tg_test_check_body(row);
    found->rows[row->device]++;
}

/* What the parent sees after the kill. */
static void look(const char *dir, uint64_t accepted_id)
{
    struct tg_outbox_options o = tg_test_options(dir);
    struct tg_outbox *ob = tg_test_open(&o);
    struct tg_error err = {0};
    struct found found = {0};
    uint64_t next = 1;
    int rc;
    tg_test_verify(ob);
    assert_true(tg_outbox_last_id(ob) >= accepted_id);
    do
        rc = tg_outbox_read(ob, next, UINT32_MAX, 1000, 1 << 20, find, &found, &next, &err);
    while (rc == 1);
    assert_int_equal(rc, 0);
    for (uint32_t d = 0; d < DEVICES; d++)
        assert_int_equal(found.last_seq[d], tg_outbox_last_seq(ob, d));
    tg_outbox_close(ob, false);
}

static void test_killed_at_any_moment(void **state)
{
    char *dir = tg_test_memory_dir();
    uint64_t random = 7, accepted = 0;
    uint32_t kills = tg_proof_count("TIDEGATE_KILLS", 25);
    (void)state;
    for (uint32_t cycle = 0; cycle < kills; cycle++) {
        int fds[2];
        uint64_t id;
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(fds[0]);
            run_child(dir, fds[1]);
        }
        close(fds[1]);
        uint32_t reports = 1 + tg_test_random(&random) % 40;
        for (uint32_t n = 0; n < reports; n++) {
            assert_int_equal(read(fds[0], &id, sizeof id), sizeof id);
            assert_true(id > accepted);
            accepted = id;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (read(fds[0], &id, sizeof id) == (ssize_t)sizeof id) /* told before it died */
            accepted = id;
        close(fds[0]);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        look(dir, accepted);
    }
    assert_true(accepted > kills);
    tg_proof("C1", "store_kill", kills, 0,
             "The store with its thread and four devices is killed (SIGKILL) at a random moment; every "
             "sample that it had "
             "reported as accepted through a pipe is there, and goes on being there through the later kills",
             "\"accepted\":%llu,\"accepted_and_lost\":0", (unsigned long long)accepted);
    tg_test_dir_remove(dir);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_at_any_moment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
