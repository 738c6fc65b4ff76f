/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The router without memory: the Nth allocation fails, N = 1 … until a clean pass, once and then for good. */
#include <string.h>

#include "core/base/allocator.h"
#include "core/gateway/router.h"
#include "support/fake_source.h"
#include "support/fake_store.h"
#include "support/host_model.h"

static struct tg_source_host source;
static int ends;

static void on_flag(void *user)
{
    *(bool *)user = true;
}

static void on_done(void *user, const char *status, const char *json)
{
    (void)user;
    assert_non_null(status);
    assert_non_null(json);
    ends++;
}

static void on_reading(void *user, const char *device, const char *json, size_t len)
{
    (void)device;
    assert_int_equal(json[len - 1], '}');
    ++*(int *)user;
}

/* One life of a router; true when nothing failed. */
static bool live(struct tg_loop *loop, struct tg_test_model *m)
{
    static struct tg_store store;
    struct tg_router *r;
    struct tg_error err = {0};
    struct tg_router_device *d[2] = {0};
    struct tg_point_value v = {.point = 0, .value = tg_value_int(1)};
    bool closed = false, clean = true;
    int told = 0, rc;
    ends = 0;
    source.count = 0;
    if (tg_router_new(loop, &store, &r) < 0)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        rc = tg_router_add_device(r, &m->devices[i], i, &d[i], &err);
        assert_true(rc == TG_OK || rc == TG_ENOMEM);
        clean = clean && rc == TG_OK;
        if (d[i])
            d[i]->source = &source;
    }
    if (d[0]) {
        uint32_t watch = tg_router_watch(r, NULL, on_reading, &told);
        store.append_rc = 0;
        assert_int_equal(tg_router_sample(r, d[0], 1, &v, 1), TG_OK);
        clean = clean && told == 1;
        store.append_rc = TG_ENOMEM;
        v.value = tg_value_int(2);
        assert_int_equal(tg_router_sample(r, d[0], 1, &v, 1), TG_EFULL); /* to be offered again */
        assert_int_equal(d[0]->accepted, 1);
        tg_router_unwatch(r, watch);
        tg_router_command(r, "d0", "set", tg_bytes_str("{\"p0\":1}"), on_done, NULL);
        tg_router_command(r, "d0", "reset", tg_bytes_str("{}"), on_done, NULL);
        tg_router_command_body(r, "d0", tg_bytes(NULL, 0), tg_bytes_str("{\"command\":\"x\"}"), on_done,
                               NULL);
        tg_router_answer(r, source.requests[0].request, 0, NULL);
    }
    tg_router_close(r, on_flag, &closed);
    assert_int_equal(ends, d[0] ? 3 : 0); /* each command ends, once */
    while (!closed)
        uv_run(&loop->uv, UV_RUN_ONCE);
    return clean;
}

static void sweep(int forever)
{
    struct tg_loop loop;
    struct tg_test_model m;
    bool clean = false;
    int64_t before;
    uint64_t nth;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    tg_test_model_init(&m, NULL, 2, 2);
    tg_test_model_point(&m, 0, 0, "writable", "true");
    before = tg_alloc_stats().live;
    for (nth = 1; !clean; nth++) {
        assert_true(nth < 100);
        tg_alloc_fail_at(nth, forever);
        clean = live(&loop, &m);
        tg_alloc_fail_at(0, 0);
        assert_int_equal(tg_alloc_stats().live, before);
    }
    assert_true(nth > 6);
    tg_test_model_fini(&m);
    tg_loop_fini(&loop);
}

static void test_once(void **state)
{
    (void)state;
    sweep(0);
}

static void test_for_good(void **state)
{
    (void)state;
    sweep(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_once), cmocka_unit_test(test_for_good)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
