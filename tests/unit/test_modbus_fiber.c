/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugins/modbus/modbus_wait.h"

#define MANY 200 /* more than the pool keeps */

/* --- fibers ------------------------------------------------------------------------------------------------ */

struct counter {
    struct tg_modbus_fiber fiber;
    int turns, left;
    uint8_t proof;
};

/* Fills a good part of its stack, waits with that, and looks whether it is as it was. */
static void count_down(void *user)
{
    struct counter *c = user;
    volatile uint8_t mine[TG_MODBUS_STACK_BYTES / 2];
    for (size_t i = 0; i < sizeof mine; i += 64)
        mine[i] = (uint8_t)(c->proof + i / 64);
    while (c->left > 0) {
        c->left--;
        c->turns++;
        tg_modbus_fiber_yield(&c->fiber);
    }
    for (size_t i = 0; i < sizeof mine; i += 64)
        assert_int_equal(mine[i], (uint8_t)(c->proof + i / 64));
}

static void many_take_turns(void **state)
{
    static struct counter all[MANY];
    (void)state;
    tg_modbus_fibers_hold();
    for (int again = 0; again < 2; again++) { /* the second time on stacks that were used before */
        for (int i = 0; i < MANY; i++) {
            all[i] = (struct counter){.left = 1 + i % 3, .proof = (uint8_t)i};
            all[i].fiber = (struct tg_modbus_fiber){.run = count_down, .user = &all[i]};
            assert_false(tg_modbus_fiber_under_way(&all[i].fiber));
        }
        for (int turn = 0; turn < 4; turn++)
            for (int i = 0; i < MANY; i++) {
                if (turn > 0 && !tg_modbus_fiber_under_way(&all[i].fiber))
                    continue;
                assert_int_equal(tg_modbus_fiber_resume(&all[i].fiber), TG_OK);
                assert_int_equal(tg_modbus_fiber_under_way(&all[i].fiber), turn < 1 + i % 3);
            }
        for (int i = 0; i < MANY; i++)
            assert_int_equal(all[i].turns, 1 + i % 3);
    }
    tg_modbus_fibers_release();
}

/* --- waiting: a host whose clock stands still unless it is moved --------------------------------------------------- */

struct tg_host_source {
    int64_t now_ms;
    bool stopping;
    int fd; /* that is watched; -1 = none */
    uint32_t events;
    unsigned calls;
};

static int64_t host_now(struct tg_host_source *s)
{
    return s->now_ms;
}

static bool host_stopping(struct tg_host_source *s)
{
    return s->stopping;
}

static int host_watch(struct tg_host_source *s, int fd, uint32_t events)
{
    s->fd = events ? fd : -1;
    s->events = events;
    s->calls++;
    return TG_PLUGIN_OK;
}

struct rig {
    struct tg_host_source source;
    struct tg_host host;
    struct tg_modbus_waiter waiter;
    struct tg_modbus_fiber fiber;
    int pipe[2], result;
    short events;
    int64_t until_ms;
};

static void wait_once(void *user)
{
    struct rig *r = user;
    r->result = tg_modbus_wait(&r->waiter, r->pipe[0], r->events, r->until_ms);
}

static void begin(struct rig *r, short events, int64_t until_ms)
{
    *r = (struct rig){
        .source = {.now_ms = 1000, .fd = -1}, .events = events, .until_ms = until_ms, .result = -1000};
    r->host = (struct tg_host){.struct_size = sizeof r->host,
                               .source = &r->source,
                               .now_ms = host_now,
                               .stopping = host_stopping,
                               .watch_fd = host_watch};
    r->fiber = (struct tg_modbus_fiber){.run = wait_once, .user = r};
    r->waiter = (struct tg_modbus_waiter){.host = &r->host, .fiber = &r->fiber};
    assert_int_equal(pipe2(r->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    tg_modbus_fibers_hold();
}

static void end(struct rig *r)
{
    assert_false(tg_modbus_fiber_under_way(&r->fiber));
    tg_modbus_forget(&r->waiter, r->pipe[0]);
    assert_int_equal(r->source.fd, -1);
    close(r->pipe[0]);
    close(r->pipe[1]);
    tg_modbus_fibers_release();
}

static void go_on(struct rig *r)
{
    assert_int_equal(tg_modbus_fiber_resume(&r->fiber), TG_OK);
}

static void data_ends_the_wait_and_the_watch_stays(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, POLLIN, 1500);
    go_on(&r);
    assert_int_equal(r.source.fd, r.pipe[0]);
    assert_int_equal(r.source.events, TG_FD_READ);
    assert_int_equal(tg_modbus_waiter_due(&r.waiter, 1100), 400);
    tg_modbus_waiter_ready(&r.waiter, r.pipe[0], TG_FD_READ);
    assert_int_equal(tg_modbus_waiter_due(&r.waiter, 1100), 0);
    go_on(&r);
    assert_int_equal(r.result, POLLIN);
    assert_int_equal(r.source.fd, r.pipe[0]);
    go_on(&r); /* the next wait asks the host for nothing */
    assert_int_equal(r.source.calls, 1);
    tg_modbus_waiter_ready(&r.waiter, r.pipe[0], TG_FD_READ);
    go_on(&r);
    /* What comes between two exchanges is nobody's: told once, not again and again. */
    tg_modbus_waiter_ready(&r.waiter, r.pipe[0], TG_FD_READ);
    assert_int_equal(r.source.fd, -1);
    end(&r);
}

static void time_ends_the_wait(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, POLLIN, 1500);
    go_on(&r);
    r.source.now_ms = 1500;
    assert_int_equal(tg_modbus_waiter_due(&r.waiter, 1500), 0);
    go_on(&r);
    assert_int_equal(r.result, 0);
    end(&r);
    begin(&r, 0, 1200); /* for a moment only: nothing is watched */
    go_on(&r);
    assert_int_equal(r.source.calls, 0);
    r.source.now_ms = 1200;
    go_on(&r);
    assert_int_equal(r.result, 0);
    end(&r);
}

static void a_hang_up_is_what_poll_says(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, POLLIN, 1500);
    go_on(&r);
    assert_int_equal(write(r.pipe[1], "x", 1), 1);
    tg_modbus_waiter_ready(&r.waiter, r.pipe[0], TG_FD_HANGUP);
    assert_int_equal(r.source.fd, -1); /* an error stays one: it would be told for ever */
    go_on(&r);
    assert_int_equal(r.result, POLLIN);
    end(&r);
    begin(&r, POLLIN, 1500); /* it was nothing: the wait goes on */
    go_on(&r);
    tg_modbus_waiter_ready(&r.waiter, r.pipe[0], TG_FD_HANGUP);
    go_on(&r);
    assert_int_equal(r.result, -1000);
    assert_int_equal(r.source.fd, r.pipe[0]);
    r.waiter.ending = true;
    go_on(&r);
    assert_int_equal(r.result, TG_ECANCELED);
    end(&r);
}

static void the_end_ends_the_wait(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, POLLIN, INT64_MAX);
    go_on(&r);
    r.source.stopping = true;
    assert_int_equal(tg_modbus_waiter_due(&r.waiter, 1001), 0);
    go_on(&r);
    assert_int_equal(r.result, TG_ECANCELED);
    go_on(&r); /* and no other begins */
    assert_int_equal(r.result, TG_ECANCELED);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_take_turns),       cmocka_unit_test(data_ends_the_wait_and_the_watch_stays),
        cmocka_unit_test(time_ends_the_wait),    cmocka_unit_test(a_hang_up_is_what_poll_says),
        cmocka_unit_test(the_end_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
