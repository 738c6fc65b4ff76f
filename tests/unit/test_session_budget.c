/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sessions whose cloud has a month's budget: how long their messages wait, that full ones and a backlog do not, and that nothing is lost.
 */
#include "support/session_stage.h"

#include "northbound/link.h"

static struct tg_set_cloud *begin_online(void **state)
{
    stage_begin(state, (const char *const[]){"batch.max_samples", "5", "batch.max_delay", "20ms",
                                             "batch.month_budget", "1GB", NULL});
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, stage_online(0) && st.broker.subscribes == 1);
    return st.sessions[0]->link->cloud;
}

static void append(uint64_t n)
{
    assert_int_equal(append_n(st.f, device(st.f, st.names[0]), n, 60), TG_OK);
}

static void a_stretched_wait_is_kept_and_a_full_message_goes(void **state)
{
    struct tg_set_cloud *cloud = begin_online(state);
    assert_int_equal(cloud->month_budget_bytes, 1000000000);
    assert_int_equal(cloud->delay.delay_ms, 20);
    append(1);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 1);
    cloud->delay.delay_ms = 3600 * 1000;
    append(2);
    RUN_UNTIL(st.f, tg_store_last_seq(st.f->store, device(st.f, st.names[0])) == 3);
    settle(st.f);
    assert_int_equal(st.broker.publish_count, 1); /* they wait */
    append(3);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 6); /* five are a full message */
    assert_int_equal(st.broker.publishes[1].seq_count, 5);
    append(12); /* and so are ten of a backlog; the rest waits */
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 16);
    settle(st.f);
    assert_int_equal(stage_stats(0).acked_seq, 16);
    assert_int_equal(stage_stats(0).pending, 2);
    stage_end();
}

static void a_wait_that_was_shortened_overtakes(void **state)
{
    struct tg_set_cloud *cloud = begin_online(state);
    struct tg_session *s = st.sessions[0], later = {.link = s->link};
    cloud->delay.delay_ms = 3600 * 1000;
    append(1);
    RUN_UNTIL(st.f, s->queue == TG_QUEUE_DELAYED);
    cloud->delay.delay_ms = 1000;
    tg_link_delay(&later, tg_clock_mono_ms());
    assert_ptr_equal(TAILQ_FIRST(&s->link->delayed), &later);
    assert_ptr_equal(TAILQ_LAST(&s->link->delayed, tg_session_list), s);
    tg_link_unqueue(&later);
    stage_end();
}

static void what_the_wire_cost_is_metered(void **state)
{
    struct tg_set_cloud *cloud = begin_online(state);
    append(5);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 5);
    tg_plan_meter(st.set, cloud, tg_clock_mono_ms());
    const struct tg_session_stats now = stage_stats(0);
    assert_int_equal(cloud->wire.total.samples, 5);
    assert_true(cloud->wire.total.messages >= 1 && cloud->wire.total.messages <= 5);
    assert_int_equal(cloud->wire.total.bytes_in, now.bytes_in);
    assert_int_equal(cloud->wire.total.bytes_out, now.bytes_out);
    assert_true(cloud->wire.total.segments >= 6);           /* SYNs, CONNECT, PUBLISH and their answers */
    assert_int_equal(cloud->wire.total.full_handshakes, 0); /* there is no TLS here */
    tg_plan_meter(st.set, cloud, tg_clock_mono_ms());       /* what was counted is not counted again */
    assert_int_equal(cloud->wire.total.bytes_out, now.bytes_out);
    stage_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stretched_wait_is_kept_and_a_full_message_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wait_that_was_shortened_overtakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_wire_cost_is_metered, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
