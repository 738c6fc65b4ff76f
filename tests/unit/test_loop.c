/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/mailbox.h"
#include "core/net/loop.h"

static void init(struct tg_loop *loop)
{
    struct tg_error err = {0};
    assert_int_equal(tg_loop_init(loop, &err), TG_OK);
}

/* --- wake-up --------------------------------------------------------------------------------- */

enum { THREADS = 4, MAILS = 5000 };

struct wake_test {
    struct tg_loop loop;
    struct tg_wakeup wakeup;
    struct tg_mailbox box;
    struct tg_mail mails[THREADS][MAILS];
    atomic_int next_thread;
    unsigned received, woken;
    pthread_t loop_thread;
};

static void on_wake(void *user)
{
    struct wake_test *t = user;
    assert_true(pthread_equal(pthread_self(), t->loop_thread));
    t->woken++;
    for (struct tg_mail *m = tg_mailbox_take_all(&t->box); m; m = m->next)
        t->received++;
    if (t->received == THREADS * MAILS)
        tg_loop_stop(&t->loop);
}

static void *send_mails(void *arg)
{
    struct wake_test *t = arg;
    int me = atomic_fetch_add(&t->next_thread, 1);
    for (int i = 0; i < MAILS; i++)
        if (tg_mailbox_put(&t->box, &t->mails[me][i]) < 0)
            abort();
    return NULL;
}

static void wakeups_from_threads_lose_no_mail(void **state)
{
    struct wake_test *t = calloc(1, sizeof *t);
    pthread_t threads[THREADS];
    (void)state;
    assert_non_null(t);
    t->loop_thread = pthread_self();
    init(&t->loop);
    assert_int_equal(tg_wakeup_init(&t->wakeup, &t->loop, on_wake, t), TG_OK);
    tg_mailbox_init(&t->box, THREADS * MAILS, SIZE_MAX, tg_wakeup_fire, &t->wakeup);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_mails, t), 0);
    tg_loop_run(&t->loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(t->received, THREADS * MAILS);
    assert_true(t->woken >= 1 && t->woken <= THREADS * MAILS);
    tg_wakeup_close(&t->wakeup);
    tg_loop_fini(&t->loop);
    tg_mailbox_fini(&t->box);
    free(t);
}

static void count_and_stop(void *user)
{
    struct wake_test *t = user;
    t->woken++;
    tg_loop_stop(&t->loop);
}

static void many_fires_are_one_call(void **state)
{
    static struct wake_test t;
    (void)state;
    init(&t.loop);
    assert_int_equal(tg_wakeup_init(&t.wakeup, &t.loop, count_and_stop, &t), TG_OK);
    for (int i = 0; i < 100; i++)
        tg_wakeup_fire(&t.wakeup);
    tg_loop_run(&t.loop);
    uv_run(&t.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(t.woken, 1);
    tg_wakeup_close(&t.wakeup);
    tg_loop_fini(&t.loop);
}

/* --- deadlines ------------------------------------------------------------------------------- */

struct deadline_test {
    struct tg_loop loop;
    struct tg_deadline a, b, c;
    char order[16];
    int64_t due_ms;
    unsigned closed;
};

static void fired(struct deadline_test *t, char who)
{
    size_t n = strlen(t->order);
    assert_true(n + 1 < sizeof t->order);
    t->order[n] = who;
}

static void on_a(void *user)
{
    fired(user, 'a');
}

static void on_b(void *user)
{
    struct deadline_test *t = user;
    assert_true(tg_loop_now_ms(&t->loop) >= t->due_ms); /* never early */
    assert_true(tg_clock_mono_ms() >= t->due_ms);
    fired(t, 'b');
}

static void on_c(void *user)
{
    fired(user, 'c');
}

static void on_closed(void *user)
{
    struct deadline_test *t = user;
    t->closed++;
}

static void deadline_begin(struct deadline_test *t)
{
    memset(t, 0, sizeof *t);
    init(&t->loop);
    tg_deadline_init(&t->a, &t->loop, on_a, t);
    tg_deadline_init(&t->b, &t->loop, on_b, t);
    tg_deadline_init(&t->c, &t->loop, on_c, t);
}

static void deadline_end(struct deadline_test *t)
{
    tg_deadline_close(&t->a, on_closed);
    tg_deadline_close(&t->b, on_closed);
    tg_deadline_close(&t->c, NULL);
    tg_loop_fini(&t->loop);
    assert_int_equal(t->closed, 2);
}

static void deadlines_fire_in_order_once_and_never_early(void **state)
{
    struct deadline_test t;
    (void)state;
    deadline_begin(&t);
    int64_t now = tg_loop_now_ms(&t.loop);
    t.due_ms = now + 30;
    tg_deadline_set(&t.b, t.due_ms);
    tg_deadline_set(&t.c, now + 60);
    tg_deadline_set(&t.a, now - 1000); /* passed: fires in the next turn */
    tg_loop_run(&t.loop);
    assert_string_equal(t.order, "abc");
    deadline_end(&t);
}

static void a_deadline_can_be_moved_and_disarmed(void **state)
{
    struct deadline_test t;
    (void)state;
    deadline_begin(&t);
    int64_t now = tg_loop_now_ms(&t.loop);
    tg_deadline_set(&t.a, now + 5);
    tg_deadline_set(&t.a, now + 40); /* moved behind c */
    tg_deadline_set(&t.c, now + 20);
    tg_deadline_set(&t.b, now + 10);
    tg_deadline_set(&t.b, INT64_MAX);
    tg_loop_run(&t.loop);
    assert_string_equal(t.order, "ca");
    deadline_end(&t);
}

static void set_again_at_once(void *user)
{
    struct deadline_test *t = user;
    fired(t, 'a');
    if (strlen(t->order) < 3)
        tg_deadline_set(&t->a, tg_loop_now_ms(&t->loop));
}

static void count_turn(uv_prepare_t *prepare)
{
    unsigned *turns = prepare->data;
    ++*turns;
}

static void a_deadline_that_sets_itself_lets_the_loop_turn(void **state)
{
    struct deadline_test t;
    uv_prepare_t prepare;
    unsigned turns = 0;
    (void)state;
    deadline_begin(&t);
    uv_prepare_init(&t.loop.uv, &prepare);
    prepare.data = &turns;
    uv_prepare_start(&prepare, count_turn);
    uv_unref((uv_handle_t *)&prepare);
    t.a.cb = set_again_at_once;
    tg_deadline_set(&t.a, tg_loop_now_ms(&t.loop));
    tg_loop_run(&t.loop);
    assert_string_equal(t.order, "aaa");
    assert_true(turns >= 2);
    uv_close((uv_handle_t *)&prepare, NULL);
    deadline_end(&t);
}

static void a_closed_deadline_never_fires(void **state)
{
    struct deadline_test t;
    (void)state;
    deadline_begin(&t);
    tg_deadline_set(&t.a, tg_loop_now_ms(&t.loop));
    tg_deadline_close(&t.a, on_closed);
    tg_deadline_set(&t.a, tg_loop_now_ms(&t.loop)); /* ignored */
    uv_run(&t.loop.uv, UV_RUN_DEFAULT);
    assert_string_equal(t.order, "");
    tg_deadline_close(&t.b, on_closed);
    tg_deadline_close(&t.c, NULL);
    tg_loop_fini(&t.loop);
    assert_int_equal(t.closed, 2);
}

static void loop_time_follows_the_monotonic_clock(void **state)
{
    struct tg_loop loop;
    (void)state;
    init(&loop);
    int64_t before = tg_clock_mono_ms();
    int64_t last = 0;
    for (int i = 0; i < 50; i++) {
        uv_run(&loop.uv, UV_RUN_NOWAIT);
        int64_t now = tg_loop_now_ms(&loop);
        assert_true(now >= last);
        last = now;
    }
    assert_true(last >= before - 1 && last <= tg_clock_mono_ms());
    tg_loop_fini(&loop);
}

/* --- shutdown -------------------------------------------------------------------------------- */

static void on_late(void *user)
{
    struct deadline_test *t = user;
    fired(t, 'a');
    tg_deadline_close(&t->a, on_closed);
    tg_loop_release(&t->loop);
}

static void fini_waits_for_what_is_held(void **state)
{
    struct deadline_test t;
    (void)state;
    memset(&t, 0, sizeof t);
    init(&t.loop);
    tg_deadline_init(&t.a, &t.loop, on_late, &t);
    tg_deadline_set(&t.a, tg_loop_now_ms(&t.loop) + 20);
    tg_loop_hold(&t.loop);
    tg_loop_fini(&t.loop);
    assert_string_equal(t.order, "a");
    assert_int_equal(t.closed, 1);
}

static void fini_names_a_handle_left_open(void **state)
{
    int out[2], status;
    char text[512] = "";
    (void)state;
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct tg_loop loop;
        struct tg_deadline forgotten;
        struct tg_error err = {0};
        dup2(out[1], 2);
        signal(SIGABRT, SIG_DFL);
        if (tg_loop_init(&loop, &err) == 0) {
            tg_deadline_init(&forgotten, &loop, on_a, NULL);
            tg_loop_fini(&loop);
        }
        _exit(0);
    }
    close(out[1]);
    size_t got = 0;
    ssize_t n;
    while (got < sizeof text - 1 && (n = read(out[0], text + got, sizeof text - 1 - got)) > 0)
        got += (size_t)n;
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "handle of type timer was left open"));
}

static void out_of_memory_is_an_error(void **state)
{
    struct tg_loop loop;
    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct tg_error err = {0};
        int64_t live = tg_alloc_stats().live;
        tg_alloc_fail_at(nth, 0);
        assert_int_equal(tg_loop_init(&loop, &err), TG_ENOMEM);
        tg_alloc_fail_at(0, 0);
        assert_int_equal(tg_alloc_stats().live, live);
        tg_loop_fini(&loop); /* nothing to do */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wakeups_from_threads_lose_no_mail),
        cmocka_unit_test(many_fires_are_one_call),
        cmocka_unit_test(deadlines_fire_in_order_once_and_never_early),
        cmocka_unit_test(a_deadline_can_be_moved_and_disarmed),
        cmocka_unit_test(a_deadline_that_sets_itself_lets_the_loop_turn),
        cmocka_unit_test(a_closed_deadline_never_fires),
        cmocka_unit_test(loop_time_follows_the_monotonic_clock),
        cmocka_unit_test(fini_waits_for_what_is_held),
        cmocka_unit_test(fini_names_a_handle_left_open),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
