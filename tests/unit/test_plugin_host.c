/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/allocator.h"
#include "core/base/sample.h"
#include "support/host_rig.h"

/* --- samples ---------------------------------------------------------------------------------------- */

static void test_flood_into_a_small_consumer(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    tg_levers.flood = 60000;
    r.check_order = true;
    r.room = 0;
    tg_rig_start(&r);
    /* The queue is full and says so, and the consumer has been asked. */
    TG_RIG_RUN_UNTIL(&r, atomic_load(&tg_levers.refused) > 0 && r.refused > 0);
    assert_int_equal(r.taken, 0);
    r.refill = 400;
    TG_RIG_RUN_UNTIL(&r, r.taken == tg_levers.flood && atomic_load(&tg_levers.emitted) == tg_levers.flood);
    assert_int_equal(tg_rig_stats(&r).emitted, tg_levers.flood);
    assert_int_equal(tg_rig_stats(&r).rejected, atomic_load(&tg_levers.refused));
    assert_true(tg_rig_stats(&r).open);
    tg_rig_end(&r);
    assert_int_equal(atomic_load(&tg_levers.closes), 1);
}

static void test_answers_and_states_overtake_samples_that_wait(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    tg_levers.flood = UINT64_MAX;
    r.room = 0;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, atomic_load(&tg_levers.refused) > 0);
    tg_source_host_command(r.host, 1, 0, "echo", "{\"a\":1}");
    TG_RIG_RUN_UNTIL(&r, r.answers[1]);
    assert_string_equal(r.json, "{\"a\":1}");
    assert_int_equal(r.states, 1);
    assert_string_equal(r.state_text, "open");
    assert_int_equal(r.opens, 1);
    assert_int_equal(r.taken, 0);
    tg_rig_end(&r); /* with both boxes full of samples */
}

static void try_wrong_samples(const struct tg_host *h)
{
    static char text[TG_TEXT_MAX_BYTES + 1];
    static struct tg_point_value many[TG_SAMPLE_MAX_VALUES + 1];
    struct tg_point_value v = {.point = 0, .value = tg_value_int(1)}, wrong;
    assert_int_equal(h->emit(h->source, 1, 0, &v, 1), TG_PLUGIN_EINVAL); /* one device: number 0 */
    assert_int_equal(h->emit(h->source, 0, 0, &v, 0), TG_PLUGIN_EINVAL);
    for (uint32_t i = 0; i <= TG_SAMPLE_MAX_VALUES; i++)
        many[i] = v;
    assert_int_equal(h->emit(h->source, 0, 0, many, TG_SAMPLE_MAX_VALUES + 1), TG_PLUGIN_EINVAL);
    wrong = v;
    wrong.point = 2;
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong = v;
    wrong.quality = TG_QUALITY_DOWN + 1;
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong = v;
    wrong.value.type = TG_VALUE_TEXT + 1;
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong.value = (struct tg_value){.type = TG_VALUE_NONE};
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL); /* good without a value */
    wrong.value =
        (struct tg_value){.type = TG_VALUE_TEXT, .text_len = TG_TEXT_MAX_BYTES + 1, .as.text = text};
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong.value = (struct tg_value){.type = TG_VALUE_TEXT, .text_len = 1};
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong.value = (struct tg_value){.type = TG_VALUE_TEXT}; /* an empty text needs no memory */
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_OK);
    assert_int_equal(h->emit(h->source, 0, 0, many, TG_SAMPLE_MAX_VALUES), TG_PLUGIN_OK);
    h->device_state(h->source, 7, TG_DEVICE_DOWN, "no such device");
    h->device_state(h->source, 0, 99, "no such state");
    h->log(h->source, TG_LOG_DEBUG, "%s", "a line");
    assert_true(h->now_ms(h->source) > 0);
    assert_true(h->wall_ms(h->source) > 0);
}

static void test_wrong_samples_are_refused(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    tg_levers.in_open = try_wrong_samples;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.taken == 2 && r.states == 1);
    assert_int_equal(tg_rig_stats(&r).emitted, 2);
    assert_int_equal(tg_rig_stats(&r).rejected, 0); /* a mistake is no overflow */
    tg_rig_end(&r);
}

/* --- requests ------------------------------------------------------------------------------------------ */

static void test_round_trips(void **state)
{
    struct tg_host_rig r;
    char text[] = "ventil auf";
    struct tg_value v[] = {tg_value_bool(true), tg_value_int(-5), tg_value_uint(UINT64_MAX),
                           tg_value_real(0.5), tg_value_text(text, strlen(text))};
    static const char *const want[] = {"[0,1,true]", "[0,1,-5]", "[0,1,18446744073709551615]", "[0,1,0.5]",
                                       "[0,1,\"ventil auf\"]"};
    tg_rig_begin(&r, *state);
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens == 1);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        tg_source_host_write(r.host, 10 + i, 0, 1, &v[i]);
        if (v[i].type == TG_VALUE_TEXT)
            memset(text, 'x', sizeof text); /* borrowed for the call only */
        TG_RIG_RUN_UNTIL(&r, r.answers[10 + i]);
        assert_int_equal(r.status[10 + i], TG_PLUGIN_OK);
        assert_string_equal(r.json, want[i]);
    }
    tg_source_host_command(r.host, 1, 0, "refuse", "{}");
    TG_RIG_RUN_UNTIL(&r, r.answers[1]);
    assert_int_equal(r.status[1], TG_PLUGIN_EDEVICE);
    assert_string_equal(r.json, "(none)");
    atomic_store(&tg_levers.hold_answers, true);
    tg_source_host_command(r.host, 2, 0, "hold", "{}");
    tg_source_host_command(r.host, 3, 0, "echo", "[]");
    TG_RIG_RUN_UNTIL(&r, r.answers[3]);
    assert_int_equal(r.answers[2], 0);
    atomic_store(&tg_levers.hold_answers, false);
    TG_RIG_RUN_UNTIL(&r, r.answers[2]);
    assert_string_equal(r.json, "{\"held\":true}");
    tg_rig_end(&r);
}

static void test_a_plugin_that_takes_no_requests(void **state)
{
    struct tg_host_rig r;
    struct tg_value v = tg_value_bool(false);
    (void)state;
    tg_rig_begin(&r, &tg_levers_deaf);
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens == 1);
    tg_source_host_write(r.host, 1, 0, 0, &v);
    tg_source_host_command(r.host, 2, 0, "echo", "{}");
    TG_RIG_RUN_UNTIL(&r, r.answers[1] && r.answers[2]);
    assert_int_equal(r.status[1], TG_PLUGIN_EUNSUPPORTED);
    assert_int_equal(r.status[2], TG_PLUGIN_EUNSUPPORTED);
    tg_rig_end(&r);
}

static int picky(const struct tg_host *host, const struct tg_settings *device, const struct tg_point *point,
                 const struct tg_value *value, char *error, size_t error_size)
{
    (void)device;
    assert_non_null(host->get_int);
    assert_null(host->answer); /* it is lent what check_point is lent */
    assert_true(point->writable);
    if (value->as.integer > 1)
        snprintf(error, error_size, "%s takes 0 or 1", point->name);
    return value->as.integer > 0 ? TG_PLUGIN_EINVAL : TG_PLUGIN_OK;
}

/* Without the instance: a value is looked at while it is not open, and while its thread is busy. */
static void test_values_are_checked_by_the_description(void **state)
{
    struct tg_plugin plugin = *(const struct tg_plugin *)*state;
    struct tg_host_rig r;
    struct tg_value v[] = {tg_value_int(0), tg_value_int(1), tg_value_int(2)};
    char error[64];
    tg_rig_begin(&r, &plugin);
    atomic_store(&tg_levers.open_failures, -1);
    tg_rig_start(&r);
    assert_int_equal(tg_source_host_check_value(r.host, 0, 1, &v[2], error, sizeof error), TG_PLUGIN_OK);
    plugin.check_value = picky;
    assert_int_equal(tg_source_host_check_value(r.host, 0, 1, &v[0], error, sizeof error), TG_PLUGIN_OK);
    assert_int_equal(tg_source_host_check_value(r.host, 0, 1, &v[1], error, sizeof error), TG_PLUGIN_EINVAL);
    assert_non_null(strstr(error, "does not take this value")); /* never without a reason */
    assert_int_equal(tg_source_host_check_value(r.host, 0, 1, &v[2], error, sizeof error), TG_PLUGIN_EINVAL);
    assert_string_equal(error, "p1 takes 0 or 1");
    plugin.write = NULL;
    assert_int_equal(tg_source_host_check_value(r.host, 0, 1, &v[0], error, sizeof error),
                     TG_PLUGIN_EUNSUPPORTED);
    tg_rig_end(&r);
}

static void test_requests_beyond_the_bound_are_busy(void **state)
{
    struct tg_host_rig r;
    int busy = 0;
    tg_rig_begin(&r, *state);
    if (r.plugin->thread_model == TG_THREAD_OWN)
        atomic_store(&tg_levers.block, true);
    tg_rig_start(&r);
    if (r.plugin->thread_model == TG_THREAD_OWN)
        TG_RIG_RUN_UNTIL(&r, atomic_load(&tg_levers.blocked));
    else
        TG_RIG_RUN_UNTIL(&r, r.opens);
    for (uint64_t i = 1; i <= TG_SOURCE_QUEUE_REQUESTS + 40; i++)
        tg_source_host_command(r.host, i, 0, "echo", "{}");
    for (uint64_t i = 1; i <= TG_SOURCE_QUEUE_REQUESTS + 40; i++)
        if (r.answers[i]) {
            busy++;
            assert_int_equal(r.status[i], TG_PLUGIN_EFULL);
        }
    assert_int_equal(busy, 40); /* at once, on this stack */
    atomic_store(&tg_levers.block, false);
    for (uint64_t i = 1; i <= TG_SOURCE_QUEUE_REQUESTS + 40; i++) {
        TG_RIG_RUN_UNTIL(&r, r.answers[i]);
        assert_int_equal(r.answers[i], 1);
        assert_int_equal(r.status[i], i <= TG_SOURCE_QUEUE_REQUESTS ? TG_PLUGIN_OK : TG_PLUGIN_EFULL);
    }
    tg_rig_end(&r);
}

static void test_no_memory_for_a_request_is_answered(void **state)
{
    struct tg_host_rig r;
    struct tg_value v = tg_value_int(1);
    tg_rig_begin(&r, *state);
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens && r.states);
    tg_alloc_fail_at(1, 1);
    tg_source_host_command(r.host, 5, 0, "echo", "{}");
    tg_source_host_write(r.host, 6, 0, 0, &v);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(r.answers[5], 1);
    assert_int_equal(r.answers[6], 1);
    assert_int_equal(r.status[5], TG_PLUGIN_EFULL);
    assert_non_null(strstr(r.json, "out of memory"));
    tg_rig_end(&r);
}

/* --- opening and closing -----------------------------------------------------------------------------------
 */

static void test_open_keeps_failing(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    atomic_store(&tg_levers.open_failures, -1);
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.open_failures == 1);
    assert_string_equal(r.open_text, "the lever says no");
    assert_in_range(r.retry_ms, 1000, 60000);
    assert_false(tg_rig_stats(&r).open);
    tg_source_host_command(r.host, 1, 0, "echo", "{}");
    TG_RIG_RUN_UNTIL(&r, r.answers[1]);
    assert_int_equal(r.status[1], TG_PLUGIN_EIO);
    assert_non_null(strstr(r.json, "not open"));
    tg_rig_end(&r);
    assert_int_equal(atomic_load(&tg_levers.closes), 0);
    assert_int_equal(atomic_load(&tg_levers.commands), 0);
}

static void test_open_succeeds_the_second_time(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    atomic_store(&tg_levers.open_failures, 1);
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens == 1);
    assert_int_equal(r.open_failures, 1);
    assert_int_equal(atomic_load(&tg_levers.opens), 2);
    assert_true(tg_rig_stats(&r).open);
    tg_rig_end(&r);
    assert_int_equal(atomic_load(&tg_levers.closes), 1);
}

static void test_close_while_the_plugin_blocks(void **state)
{
    struct tg_host_rig r;
    (void)state;
    tg_rig_begin(&r, &tg_levers_own);
    atomic_store(&tg_levers.block, true);
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, atomic_load(&tg_levers.blocked));
    tg_source_host_command(r.host, 1, 0, "echo", "{}"); /* stays in its box */
    tg_rig_end(&r);
    assert_int_equal(atomic_load(&tg_levers.closes), 1);
    assert_int_equal(atomic_load(&tg_levers.commands), 0);
    assert_int_equal(r.answers[1], 0);
}

static void test_close_while_mail_waits_both_ways(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    tg_levers.flood = UINT64_MAX;
    r.room = 100;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.refused > 0);
    atomic_store(&tg_levers.hold_answers, true);
    for (uint64_t i = 1; i <= 100; i++)
        tg_source_host_command(r.host, i, 0, "hold", "{}");
    tg_rig_end(&r);
    assert_int_equal(r.taken, 100);
    assert_int_equal(atomic_load(&tg_levers.closes), 1);
}

static void test_close_at_once(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    tg_rig_start(&r);
    tg_rig_end(&r); /* before the first round, or in it */
    assert_int_equal(atomic_load(&tg_levers.closes), atomic_load(&tg_levers.opens));
}

static void test_poll_that_wants_to_run_at_once_lets_the_loop_turn(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    tg_levers.poll_returns = 0;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, atomic_load(&tg_levers.polls) >= 5);
    if (r.plugin->thread_model == TG_THREAD_LOOP) {
        int before = atomic_load(&tg_levers.polls);
        tg_rig_turn(&r);
        assert_true(atomic_load(&tg_levers.polls) <= before + 1);
    }
    tg_rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TG_RIG_BOTH(test_flood_into_a_small_consumer),
                                       TG_RIG_BOTH(test_answers_and_states_overtake_samples_that_wait),
                                       TG_RIG_BOTH(test_wrong_samples_are_refused),
                                       TG_RIG_BOTH(test_round_trips),
                                       cmocka_unit_test(test_a_plugin_that_takes_no_requests),
                                       TG_RIG_BOTH(test_values_are_checked_by_the_description),
                                       TG_RIG_BOTH(test_requests_beyond_the_bound_are_busy),
                                       TG_RIG_BOTH(test_no_memory_for_a_request_is_answered),
                                       TG_RIG_BOTH(test_open_keeps_failing),
                                       TG_RIG_BOTH(test_open_succeeds_the_second_time),
                                       cmocka_unit_test(test_close_while_the_plugin_blocks),
                                       TG_RIG_BOTH(test_close_while_mail_waits_both_ways),
                                       TG_RIG_BOTH(test_close_at_once),
                                       TG_RIG_BOTH(test_poll_that_wants_to_run_at_once_lets_the_loop_turn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
