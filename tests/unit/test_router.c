/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Samples on their way through the router, and who watches them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "support/captured.h"
#include "support/router_rig.h"

/* --- samples ----------------------------------------------------------------------------------------- */

static void test_samples_are_numbered_filtered_and_committed(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    (void)state;
    tg_test_model_point(&r->model, 0, 0, "deadband", "0.5");
    tg_test_model_point(&r->model, 0, 0, "scale", "0.1");
    router_rig_add_devices(r);
    assert_int_equal(router_rig_sample(r, r->d0, 0, tg_value_int(2300)), TG_OK);
    assert_int_equal(router_rig_sample(r, r->d0, 0, tg_value_int(2304)),
                     TG_OK); /* 230.4: within the deadband */
    assert_int_equal(router_rig_sample(r, r->d0, 0, tg_value_int(2306)), TG_OK);
    assert_int_equal(router_rig_sample(r, r->d1, 0, tg_value_int(1)), TG_OK);
    assert_int_equal(r->d0->accepted, 2);
    assert_int_equal(r->d0->filtered, 1);
    assert_int_equal(r->d0->last_seq, 2);
    assert_int_equal(r->d1->last_seq, 1);
    RUN_UNTIL(r, r->committed == 3);
    assert_int_equal(tg_store_last_seq(r->store, r->d0->store_device), 2);
    router_rig_end(r);
}

/* p2 = p0 + p1, p3 = the rate of p0 a second; both pass filters of their own. */
static void derive_two_points(struct router_rig *r)
{
    tg_test_model_point(&r->model, 0, 0, "scale", "0.5");
    tg_test_model_append(&r->model, 0, 2, "sum", "p0");
    tg_test_model_append(&r->model, 0, 2, "sum", "p1");
    tg_test_model_point(&r->model, 0, 2, "deadband", "5");
    tg_test_model_point(&r->model, 0, 3, "rate", "p0");
    tg_test_model_point(&r->model, 0, 3, "max", "100");
    r->model.devices[0].derived_count = 2;
    router_rig_add_devices(r);
}

static void test_derived_points(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    struct tg_point_value both[] = {{.point = 0, .value = tg_value_int(100)},
                                    {.point = 1, .value = tg_value_int(5)}};
    (void)state;
    derive_two_points(r);
    assert_true(tg_router_watch(r->router, NULL, router_rig_on_reading, r) > 0);
    assert_int_equal(tg_router_sample(r->router, r->d0, 1000, both, 2), TG_OK);
    assert_non_null(strstr(r->told_json, "{\"p0\":50,\"p1\":5,\"p2\":55}")); /* scaled first; no rate yet */
    both[0].value = tg_value_int(104);
    assert_int_equal(tg_router_sample(r->router, r->d0, 3000, both, 1), TG_OK);
    assert_non_null(strstr(r->told_json, "{\"p0\":52,\"p3\":1}")); /* 57 is within the deadband */
    both[0].value = tg_value_int(9998);
    assert_int_equal(tg_router_sample(r->router, r->d0, 4000, both, 1), TG_OK);
    assert_non_null(strstr(r->told_json, "{\"p0\":4999,\"p2\":5004},\"quality\":{\"p3\":\"range\"}"));
    both[0] = (struct tg_point_value){.point = 0, .quality = TG_QUALITY_TIMEOUT};
    assert_int_equal(tg_router_sample(r->router, r->d0, 5000, both, 1), TG_OK);
    assert_non_null(strstr(r->told_json, "\"p2\":\"timeout\",\"p3\":\"timeout\""));
    router_rig_end(r);
}

/* The rate of a sample that the store had no room for is that of the same sample offered again. */
static void test_a_rate_of_a_sample_offered_again(void **state)
{
    struct router_rig *r = router_rig_begin(8192, 60000);
    struct tg_point_value v = {.point = 0, .value = tg_value_int(0)};
    int64_t time_ms = 1000;
    (void)state;
    derive_two_points(r);
    assert_true(tg_router_watch(r->router, NULL, router_rig_on_reading, r) > 0);
    for (; tg_router_sample(r->router, r->d0, time_ms, &v, 1) == TG_OK; time_ms += 1000)
        assert_in_range(v.value.as.integer += 20, 0, 20000);
    tg_store_flush(r->store);
    RUN_UNTIL(r, r->committed == r->d0->accepted);
    assert_int_equal(tg_router_sample(r->router, r->d0, time_ms, &v, 1), TG_OK);
    assert_non_null(strstr(r->told_json, "\"p3\":10}"));
    router_rig_end(r);
}

static void test_an_enumeration_is_text_both_ways(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    (void)state;
    tg_test_model_append(&r->model, 0, 0, "enum", "0=off");
    tg_test_model_append(&r->model, 0, 0, "enum", "3=boost");
    tg_test_model_point(&r->model, 0, 0, "writable", "true");
    router_rig_add_devices(r);
    assert_true(tg_router_watch(r->router, NULL, router_rig_on_reading, r) > 0);
    assert_int_equal(router_rig_sample(r, r->d0, 0, tg_value_uint(3)), TG_OK);
    assert_non_null(strstr(r->told_json, "{\"p0\":\"boost\"}"));
    tg_router_command(r->router, "d0", "set", tg_bytes_str("{\"p0\":\"high\"}"), router_rig_on_done, r);
    assert_string_equal(r->status, "invalid");
    assert_non_null(strstr(r->json, "none of its texts: off, boost; nothing"));
    tg_router_command(r->router, "d0", "set", tg_bytes_str("{\"p0\":\"boost\"}"), router_rig_on_done, r);
    assert_int_equal(r->source.count, 1);
    assert_int_equal(r->source.requests[0].value.as.integer, 3);
    router_rig_end(r);
}

static void test_a_refused_sample_can_be_offered_again(void **state)
{
    struct router_rig *r = router_rig_begin(8192, 60000);
    struct tg_point_value v = {.point = 0, .value = tg_value_int(1000)};
    uint64_t accepted;
    (void)state;
    tg_test_model_point(&r->model, 0, 0, "deadband", "0.5");
    tg_test_model_point(&r->model, 0, 0, "scale", "2");
    router_rig_add_devices(r);
    for (v.value.as.integer = 0; tg_router_sample(r->router, r->d0, 1, &v, 1) == TG_OK; v.value.as.integer++)
        assert_in_range(v.value.as.integer, 0, 1000);
    accepted = r->d0->accepted;
    assert_int_equal(accepted, v.value.as.integer);
    assert_int_equal(r->d0->filtered + r->d0->rejected, 0);
    assert_int_equal(v.value.type, TG_VALUE_INT); /* not scaled in place */
    tg_store_flush(r->store);
    RUN_UNTIL(r, r->committed == accepted);
    assert_int_equal(tg_router_sample(r->router, r->d0, 1, &v, 1),
                     TG_OK); /* the filter has not seen it before */
    assert_int_equal(r->d0->accepted, accepted + 1);
    router_rig_end(r);
}

static void test_what_the_outbox_can_never_take_is_left_out(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    static char text[TG_TEXT_MAX_BYTES];
    struct tg_point_value many[70];
    (void)state;
    router_rig_add_devices(r);
    memset(text, 'a', sizeof text);
    for (uint32_t i = 0; i < 70; i++)
        many[i] = (struct tg_point_value){.point = i % 4, .value = tg_value_text(text, sizeof text)};
    assert_int_equal(tg_router_sample(r->router, r->d0, 1, many, 70),
                     TG_OK); /* 70 KiB: never fits, so it must not block */
    assert_int_equal(r->d0->rejected, 1);
    assert_int_equal(r->d0->accepted, 0);
    r->d0->store_device = 4711; /* the store knows no such device */
    assert_int_equal(router_rig_sample(r, r->d0, 0, tg_value_int(1)), TG_OK);
    assert_int_equal(r->d0->rejected, 2);
    router_rig_end(r);
}

static void test_device_states(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    char long_text[400];
    (void)state;
    router_rig_add_devices(r);
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    tg_router_state(r->router, r->d0, TG_DEVICE_OK, NULL);
    assert_int_equal(r->d0->state, TG_DEVICE_OK);
    tg_router_state(r->router, r->d0, TG_DEVICE_DOWN, long_text);
    assert_int_equal(r->d0->state, TG_DEVICE_DOWN);
    assert_int_equal(strlen(r->d0->state_text), sizeof r->d0->state_text - 1);
    tg_router_state(r->router, r->d0, TG_DEVICE_DOWN, "again");
    assert_string_equal(r->d0->state_text, "again");
    router_rig_end(r);
}

/* A source whose process is started again: the log says what that means, the state keeps its name. */
static struct router_rig *told;

static void look_again(void)
{
    tg_router_state(told->router, told->d0, TG_DEVICE_UNKNOWN, NULL);
    tg_router_state(told->router, told->d0, TG_DEVICE_OK, NULL);
}

static void test_a_device_that_is_looked_at_again(void **state)
{
    const char *text;
    (void)state;
    told = router_rig_begin(0, 1);
    router_rig_add_devices(told);
    assert_null(
        strstr(captured(look_again), "device=d0")); /* at the start: a line for each would say nothing */
    tg_router_state(told->router, told->d0, TG_DEVICE_DOWN, "its plugin crashed");
    text = captured(look_again);
    assert_non_null(strstr(text, "info  router: device=d0 is being looked at again\n"));
    assert_non_null(strstr(text, "info  router: device=d0 is ok\n"));
    router_rig_end(told);
}

/* --- watching ------------------------------------------------------------------------------------------- */

static void on_reading_once(void *user, const char *device, const char *json, size_t len)
{
    struct router_rig *r = user;
    router_rig_on_reading(user, device, json, len);
    tg_router_unwatch(r->router, r->watch);
}

static void test_watchers(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    uint32_t one, all;
    (void)state;
    router_rig_add_devices(r);
    one = tg_router_watch(r->router, "d1", router_rig_on_reading, r);
    assert_true(one > 0);
    assert_int_equal(router_rig_sample(r, r->d0, 0, tg_value_bool(true)), TG_OK);
    assert_int_equal(r->told, 0);
    assert_int_equal(router_rig_sample(r, r->d1, 2, tg_value_real(0.5)), TG_OK);
    assert_int_equal(r->told, 1);
    assert_string_equal(r->told_device, "d1");
    assert_non_null(strstr(r->told_json, "\"seq\":1,\"values\":{\"p2\":0.5}"));
    all = tg_router_watch(r->router, NULL, router_rig_on_reading, r);
    assert_int_equal(router_rig_sample(r, r->d0, 0, tg_value_bool(false)), TG_OK);
    assert_int_equal(r->told, 2);
    tg_router_unwatch(r->router, one);
    tg_router_unwatch(r->router, all);
    assert_int_equal(router_rig_sample(r, r->d1, 0, tg_value_bool(false)), TG_OK);
    assert_int_equal(r->told, 2);
    r->watch = tg_router_watch(r->router, NULL, on_reading_once, r);
    assert_int_equal(router_rig_sample(r, r->d1, 0, tg_value_bool(true)), TG_OK);
    assert_int_equal(router_rig_sample(r, r->d1, 0, tg_value_bool(false)), TG_OK);
    assert_int_equal(r->told, 3);
    for (int i = 0; i < TG_WATCHERS_MAX; i++)
        assert_true(tg_router_watch(r->router, NULL, router_rig_on_reading, r) > 0);
    assert_int_equal(tg_router_watch(r->router, NULL, router_rig_on_reading, r), 0);
    router_rig_end(r);
}

static void test_the_largest_sample_is_shown_whole(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    static char text[TG_TEXT_MAX_BYTES];
    struct tg_point_value many[60];
    json_t *j;
    (void)state;
    router_rig_add_devices(r);
    memset(text, 1, sizeof text); /* each byte becomes \u0001 */
    for (uint32_t i = 0; i < 60; i++)
        many[i] = (struct tg_point_value){.point = i % 4, .value = tg_value_text(text, sizeof text)};
    assert_true(tg_router_watch(r->router, NULL, router_rig_on_reading, r) > 0);
    assert_int_equal(tg_router_sample(r->router, r->d0, 1, many, 60), TG_OK);
    assert_int_equal(r->told, 1);
    j = json_loads(r->told_json, 0, NULL);
    assert_non_null(j);
    json_decref(j);
    router_rig_end(r);
}

static void test_wrong_deadband(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    struct tg_error err = {0};
    struct tg_router_device *d = NULL;
    (void)state;
    tg_test_model_point(&r->model, 0, 1, "deadband", "some");
    assert_int_equal(tg_router_add_device(r->router, &r->model.devices[0], 0, &d, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "deadband \"some\""));
    assert_null(d);
    router_rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples_are_numbered_filtered_and_committed),
                                       cmocka_unit_test(test_derived_points),
                                       cmocka_unit_test(test_a_rate_of_a_sample_offered_again),
                                       cmocka_unit_test(test_an_enumeration_is_text_both_ways),
                                       cmocka_unit_test(test_a_refused_sample_can_be_offered_again),
                                       cmocka_unit_test(test_what_the_outbox_can_never_take_is_left_out),
                                       cmocka_unit_test(test_device_states),
                                       cmocka_unit_test(test_a_device_that_is_looked_at_again),
                                       cmocka_unit_test(test_watchers),
                                       cmocka_unit_test(test_the_largest_sample_is_shown_whole),
                                       cmocka_unit_test(test_wrong_deadband)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
