/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session whose backlog is not all that it has to send: what messages are made of, what a resend repeats, and where
 * the cursor is meanwhile.
 */
#include "support/session_stage.h"

#include "northbound/link.h"

static uint32_t dev(void)
{
    return device(st.f, st.names[0]);
}

static void begin(void **state, enum tg_drain drain)
{
    stage_begin(state, (const char *const[]){"max_in_flight", "4", "batch.max_samples", "10", NULL});
    st.clouds[0].config.drain = drain;
    (void)stage_session(&st.clouds[0].config);
}

static void append_urgent(void)
{
    uint64_t seq, id;
    struct tg_bytes body = tg_test_body(dev(), tg_store_last_seq(st.f->store, dev()) + 1, 60);
    assert_int_equal(tg_store_append_urgent(st.f->store, dev(), 1000, body, &seq, &id), TG_OK);
}

static void append(uint64_t n)
{
    assert_int_equal(append_n(st.f, dev(), n, 60), TG_OK);
    settle(st.f);
}

static bool is_in_order(const struct mini_publish *p)
{
    for (uint32_t i = 1; i < p->seq_count; i++)
        if (p->seqs[i] <= p->seqs[i - 1])
            return false;
    return true;
}

static void test_an_alarm_of_the_outage_is_the_first_message(void **state)
{
    begin(state, TG_DRAIN_IN_ORDER);
    append(300);
    append_urgent();
    append(300);
    tg_session_start(st.sessions[0]);
    RUN_UNTIL(st.f, st.broker.publish_count >= 2);
    assert_int_equal(st.broker.publishes[0].seq_count, 1);
    assert_int_equal(st.broker.publishes[0].seqs[0], 301);
    assert_int_equal(st.broker.publishes[1].seqs[0], 1);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 601);
    assert_int_equal(stage_stats(0).acked_ahead, 0);
    assert_int_equal(stage_stats(0).acked_samples, 601);
    stage_end();
}

/* Messages of the two streams in the window when the connection breaks: the same go again, under the same packet ids. */
static void test_a_resend_keeps_both_streams(void **state)
{
    uint32_t before, again, ahead = 0;
    begin(state, TG_DRAIN_FAIR);
    append(2000);
    st.broker.hold_acks = true;
    tg_session_start(st.sessions[0]);
    RUN_UNTIL(st.f, st.broker.publish_count == 4);
    append(200);
    mini_broker_ack(&st.broker, 0);
    mini_broker_ack(&st.broker, 1);
    RUN_UNTIL(st.f, st.broker.publish_count == 6);
    before = st.broker.publish_count;
    for (uint32_t i = 2; i < before; i++) {
        assert_true(is_in_order(&st.broker.publishes[i]));
        ahead += st.broker.publishes[i].seqs[0] > 2000;
    }
    assert_true(ahead > 0 && ahead < 4);
    mini_broker_drop(&st.broker, true);
    RUN_UNTIL(st.f, st.broker.publish_count >= before + 4);
    for (uint32_t i = 2; i < before; i++) {
        const struct mini_publish *p = &st.broker.publishes[i];
        bool found = false;
        for (again = before; again < before + 4; again++) {
            const struct mini_publish *q = &st.broker.publishes[again];
            found = found || (q->id == p->id && q->seq_count == p->seq_count && q->seqs[0] == p->seqs[0]);
        }
        assert_true(found);
    }
    st.broker.hold_acks = false;
    for (uint32_t i = before; i < st.broker.publish_count; i++)
        mini_broker_ack(&st.broker, i);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 2200);
    assert_int_equal(stage_stats(0).pending, 0);
    assert_int_equal(stage_stats(0).acked_samples, 2200);
    stage_end();
}

/* A damaged row among those that go ahead is left out, and the others go on. */
static void test_a_damaged_urgent_row_is_left_out(void **state)
{
    uint64_t seq, id;
    begin(state, TG_DRAIN_IN_ORDER);
    append(200);
    assert_int_equal(
        tg_store_append_urgent(st.f->store, dev(), 1000, tg_bytes_str("\x07 not a sample"), &seq, &id),
        TG_OK);
    append_urgent();
    append(50);
    tg_session_start(st.sessions[0]);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 252);
    assert_int_equal(stage_stats(0).left_out, 1);
    assert_int_equal(st.broker.publishes[0].seqs[0], 202);
    stage_end();
}

static void begin_slow(void **state, const char *max_delay)
{
    stage_begin(state, (const char *const[]){"max_in_flight", "4", "batch.max_samples", "10",
                                             "batch.max_delay", max_delay, NULL});
    (void)stage_session(&st.clouds[0].config);
}

/* While the link is up: the batch goes at once with what waits in it, in order, and what comes after waits as before. */
static void test_an_urgent_sample_does_not_wait(void **state)
{
    begin_slow(state, "1h");
    tg_session_start(st.sessions[0]);
    RUN_UNTIL(st.f, stage_online(0));
    append(3);
    RUN_UNTIL(st.f, tg_feed_ready(st.sessions[0]->feed) == 3);
    assert_int_equal(st.broker.publish_count, 0);
    append_urgent();
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 4);
    assert_int_equal(st.broker.publish_count, 1);
    assert_int_equal(st.broker.publishes[0].seq_count, 4);
    assert_true(is_in_order(&st.broker.publishes[0]));
    append_urgent();
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 5);
    append(2);
    RUN_UNTIL(st.f, tg_feed_ready(st.sessions[0]->feed) == 2);
    assert_int_equal(st.broker.publish_count, 2);
    assert_int_equal(stage_stats(0).acked_ahead, 0);
    stage_end();
}

/* A short backlog waits for its batch to fill: what goes ahead of it does not put it off. */
static void test_urgent_samples_do_not_put_off_the_others(void **state)
{
    struct tg_session *s;
    int64_t due;
    begin_slow(state, "1h");
    s = st.sessions[0];
    append(3);
    append_urgent();
    settle(st.f);
    st.broker.hold_acks = true;
    tg_session_start(st.sessions[0]);
    RUN_UNTIL(st.f,
              st.broker.publish_count == 1 && tg_feed_ready(s->feed) == 3 && s->queue == TG_QUEUE_DELAYED);
    assert_int_equal(st.broker.publishes[0].seqs[0], 4);
    due = s->batch_due_ms -= 60000; /* it has waited for a minute */
    append_urgent();
    RUN_UNTIL(st.f, st.broker.publish_count == 2 && s->queue == TG_QUEUE_DELAYED);
    assert_int_equal(st.broker.publishes[1].seqs[0], 5);
    assert_true(s->batch_due_ms == due);
    st.broker.hold_acks = false;
    mini_broker_ack(&st.broker, 0);
    mini_broker_ack(&st.broker, 1);
    RUN_UNTIL(st.f, stage_stats(0).acked_samples == 2);
    append_urgent();
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 6);
    stage_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_alarm_of_the_outage_is_the_first_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_urgent_sample_does_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_urgent_samples_do_not_put_off_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_resend_keeps_both_streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_damaged_urgent_row_is_left_out, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
