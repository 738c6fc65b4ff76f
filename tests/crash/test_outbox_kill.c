/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * kill -9 at any moment, again and again on the same outbox [C1]: a child stores samples and reports each
 * commit that returned through a pipe; the parent kills it after a random number of reports, opens what is
 * left and compares.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/outbox_help.h"
#include "support/proof.h"

#define DEVICES 3

/* After a commit: everything up to these numbers is accepted, up to those acknowledged. */
struct report {
    uint64_t id, seq[DEVICES], acked[DEVICES];
};

static void declare(struct tg_outbox *ob, uint32_t *device, uint32_t *cursor)
{
    static const char *const names[DEVICES] = {"a", "b", "c"};
    struct tg_error err = {0};
    for (int d = 0; d < DEVICES; d++) {
        if (tg_outbox_device(ob, names[d], &device[d], &err) != TG_OK ||
            tg_outbox_cursor(ob, device[d], "hub", &cursor[d], &err) != TG_OK) {
            fprintf(stderr, "%s\n", err.text);
            abort();
        }
    }
}

static int one_commit(struct tg_outbox *ob, const uint32_t *device, const uint32_t *cursor, uint64_t *random,
                      struct report *r)
{
    struct report next = *r;
    uint32_t rows = 1 + tg_test_random(random) % 60;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t d = tg_test_random(random) % DEVICES;
        if (tg_test_append(ob, device[d], &next.id, &next.seq[d], 40 + tg_test_random(random) % 400, NULL) !=
            TG_OK)
            return -1;
    }
    for (int d = 0; d < DEVICES; d++) {
        if (tg_test_random(random) % 2 == 0)
            continue;
        next.acked[d] += tg_test_random(random) % (r->seq[d] - r->acked[d] + 1);
        if (tg_outbox_set_cursor(ob, cursor[d], next.acked[d], 0, NULL) != TG_OK)
            return -1;
    }
    if (tg_outbox_commit(ob, NULL) != TG_OK)
        return -1;
    *r = next;
    return 0;
}

static void child(const struct tg_outbox_options *o, int out, uint64_t random, struct report r)
{
    uint32_t device[DEVICES], cursor[DEVICES];
    struct tg_outbox *ob = NULL;
    if (tg_outbox_open(o, &ob, NULL, NULL) != TG_OK)
        _exit(2);
    declare(ob, device, cursor);
    while (one_commit(ob, device, cursor, &random, &r) == 0) {
        if (write(out, &r, sizeof r) != (ssize_t)sizeof r)
            _exit(3);
    }
    _exit(4);
}

struct expected {
    uint64_t next[DEVICES];
    uint32_t device[DEVICES];
};

static void check_row(void *user, const struct tg_outbox_row *row)
{
    struct expected *e = user;
    tg_test_check_body(row);
    for (int d = 0; d < DEVICES; d++) {
        if (row->device == e->device[d] && row->seq >= e->next[d]) {
            assert_int_equal(row->seq, e->next[d]);
            e->next[d]++;
        }
    }
}

/* What was reported is there; what is there becomes the beginning of the next cycle. */
static void judge(const struct tg_outbox_options *o, struct report *r, uint32_t cycle)
{
    uint32_t cursor[DEVICES];
    struct expected e;
    uint64_t next = 0;
    int rc = 1;
    struct tg_outbox *ob = tg_test_open(o);
    declare(ob, e.device, cursor);
    assert_true(tg_outbox_last_id(ob) >= r->id);
    for (int d = 0; d < DEVICES; d++) {
        struct tg_outbox_cursor_state s;
        assert_int_equal(tg_outbox_cursor_state(ob, cursor[d], &s), TG_OK);
        assert_true(tg_outbox_last_seq(ob, e.device[d]) >= r->seq[d]);
        assert_true(s.acked_seq >= r->acked[d]);
        e.next[d] = s.acked_seq + 1;
        r->acked[d] = s.acked_seq;
        r->seq[d] = tg_outbox_last_seq(ob, e.device[d]);
    }
    r->id = tg_outbox_last_id(ob);
    while (rc == 1) {
        rc = tg_outbox_read(ob, next, UINT32_MAX, 1000, SIZE_MAX, check_row, &e, &next, NULL);
        assert_true(rc >= 0);
    }
    for (int d = 0; d < DEVICES; d++)
        assert_int_equal(e.next[d], r->seq[d] + 1);
    if (cycle % 5 == 0)
        tg_test_verify(ob);
    tg_outbox_close(ob, cycle % 4 == 0);
}

static void kill_again_and_again(enum tg_durability durability)
{
    char *dir = tg_test_memory_dir();
    struct tg_outbox_options o = tg_test_options(dir);
    struct report r = {0}, got;
    uint64_t random = 42 + (uint64_t)durability;
    uint32_t kills = tg_proof_count("TIDEGATE_KILLS", 30);
    o.durability = durability;
    for (uint32_t cycle = 0; cycle < kills; cycle++) {
        int fds[2], status = 0;
        uint32_t reports = tg_test_random(&random) % 60;
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(fds[0]);
            child(&o, fds[1], random, r);
        }
        close(fds[1]);
        for (uint32_t i = 0; i < reports && read(fds[0], &got, sizeof got) == (ssize_t)sizeof got; i++)
            r = got;
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status)); /* it was at work until then */
        while (read(fds[0], &got, sizeof got) == (ssize_t)sizeof got)
            r = got;
        close(fds[0]);
        judge(&o, &r, cycle);
    }
    print_message("%u kills, %llu rows, 0 lost\n", kills, (unsigned long long)r.id);
    tg_proof("C1", durability == TG_DURABILITY_FULL ? "outbox_kill_full" : "outbox_kill_normal", kills, 0,
             "A process that stores and reports each commit is killed (SIGKILL) at a random moment, again "
             "and again on "
             "the same database; all that was reported is there, acknowledgements too",
             "\"accepted\":%llu,\"accepted_and_lost\":0", (unsigned long long)r.id);
    assert_true(r.id > 1000);
    tg_test_dir_remove(dir);
    free(dir);
}

static void test_full(void **state)
{
    (void)state;
    kill_again_and_again(TG_DURABILITY_FULL);
}

static void test_normal(void **state)
{
    (void)state;
    kill_again_and_again(TG_DURABILITY_NORMAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full), cmocka_unit_test(test_normal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
