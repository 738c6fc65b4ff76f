/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session on a real store and a real TCP connection against a broker that does what the test says: which
 * publishes it gets, under which packet ids, with which samples, after acknowledgements out of order, lost
 * connections and refusals.
 */
#include "support/session_stage.h"

#include <sys/stat.h>

#include "northbound/link.h"

static uint32_t dev(uint32_t i)
{
    return device(st.f, st.names[i]);
}

static void begin_online(void **state, const char *const *more)
{
    stage_begin(state, more);
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, stage_online(0) && st.broker.subscribes == 1);
}

static void append(uint64_t n)
{
    assert_int_equal(append_n(st.f, dev(0), n, 60), TG_OK);
}

static void assert_seqs(uint32_t publish, uint64_t first, uint32_t count)
{
    const struct mini_publish *p = &st.broker.publishes[publish];
    assert_true(publish < st.broker.publish_count);
    assert_int_equal(p->seq_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(p->seqs[i], first + i);
}

/* --- the window ---------------------------------------------------------------------------------------- */

static void test_no_more_than_the_window(void **state)
{
    begin_online(state, (const char *const[]){"max_in_flight", "4", NULL});
    st.broker.hold_acks = true;
    append(10);
    RUN_UNTIL(st.f, st.broker.publish_count == 4 && tg_store_last_seq(st.f->store, dev(0)) == 10);
    settle(st.f);
    assert_int_equal(stage_stats(0).in_flight, 4);
    assert_int_equal(st.broker.publish_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_seqs(i, i + 1, 1);
        assert_false(st.broker.publishes[i].dup);
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(st.broker.publishes[k].id, st.broker.publishes[i].id);
    }
    st.broker.hold_acks = false;
    for (uint32_t i = 0; i < 4; i++)
        mini_broker_ack(&st.broker, i);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 10);
    assert_int_equal(st.broker.publish_count, 10);
    for (uint32_t i = 4; i < 10; i++)
        assert_seqs(i, i + 1, 1);
    assert_int_equal(stage_stats(0).pending, 0);
    assert_true(tg_session_idle(st.sessions[0]));
    stage_end();
}

static void test_the_cursor_stops_at_a_hole(void **state)
{
    begin_online(state, (const char *const[]){"max_in_flight", "4", NULL});
    st.broker.hold_acks = true;
    append(6);
    RUN_UNTIL(st.f, st.broker.publish_count == 4);
    mini_broker_ack(&st.broker, 3);
    mini_broker_ack(&st.broker, 1);
    mini_broker_ack(&st.broker, 1); /* twice: of no effect */
    mini_broker_send(&st.broker, 77, "tidegate/device-0/command", "1", 1,
                     false); /* what follows the acks has been read too */
    RUN_UNTIL(st.f, st.command_count == 1);
    assert_int_equal(stage_stats(0).acked_seq, 0);
    assert_int_equal(stage_stats(0).in_flight, 4);
    assert_int_equal(st.broker.publish_count, 4);
    mini_broker_ack(&st.broker, 0);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 2 && st.broker.publish_count == 6);
    assert_seqs(4, 5, 1);
    assert_seqs(5, 6, 1);
    mini_broker_ack(&st.broker, 2);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 4);
    mini_broker_ack(&st.broker, 5);
    mini_broker_ack(&st.broker, 4);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 6);
    stage_end();
}

/* Its memory follows what is in flight: it grows up to the window, keeps what is in it over a broken connection, and shrinks. */
static void test_the_window_grows_and_shrinks(void **state)
{
    struct tg_link *l;
    begin_online(state, (const char *const[]){"max_in_flight", "50", "batch.max_samples", "3",
                                              "batch.max_delay", "1ms", NULL});
    l = st.sessions[0]->link;
    assert_int_equal(l->ring_places, 4);
    assert_int_equal(l->slot_places, 4);
    st.broker.hold_acks = true;
    append(160); /* 54 batches of three */
    RUN_UNTIL(st.f, st.broker.publish_count == 50);
    assert_int_equal(l->ring_places, 50);
    assert_int_equal(l->slot_places, 50);
    mini_broker_ack(&st.broker, 30);
    mini_broker_drop(&st.broker, true);
    mini_broker_forget(&st.broker);
    st.broker.session_present = true;
    RUN_UNTIL(st.f, st.broker.publish_count >= 49);
    st.broker.hold_acks = false;
    for (uint32_t i = 0; i < st.broker.publish_count; i++)
        mini_broker_ack(&st.broker, i);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 160);
    assert_true(tg_session_idle(st.sessions[0]));
    for (int n = 0; n < 300 && l->ring_places > 4; n++) { /* one by one: calm */
        append(1);
        RUN_UNTIL(st.f, stage_stats(0).acked_seq == 161 + (uint64_t)n);
    }
    assert_int_equal(l->ring_places, 4);
    assert_int_equal(l->slot_places, 4);
    append(3);
    RUN_UNTIL(st.f, stage_stats(0).pending == 0);
    stage_end();
}

/* --- lost connections ---------------------------------------------------------------------------------- */

static void lose_and_compare(void **state, bool reset, bool present)
{
    struct mini_publish before[4];
    begin_online(state, (const char *const[]){"max_in_flight", "4", "batch.max_samples", "3", NULL});
    st.broker.hold_acks = true;
    append(3);
    RUN_UNTIL(st.f, st.broker.publish_count >= 1);
    append(20);
    RUN_UNTIL(st.f, st.broker.publish_count == 4);
    mini_broker_ack(&st.broker, 2); /* out of order, before the connection is lost: not sent again */
    mini_broker_send(&st.broker, 9, "tidegate/device-0/command", "1", 1, false);
    RUN_UNTIL(st.f, st.command_count == 1);
    memcpy(before, st.broker.publishes, sizeof before);
    mini_broker_forget(&st.broker);
    st.broker.session_present = present;
    mini_broker_drop(&st.broker, reset);
    append(5); /* more company than there was: the bodies must stay as they were */
    RUN_UNTIL(st.f, st.broker.publish_count == 3);
    assert_int_equal(st.broker.subscribes, present ? 0 : 1);
    for (uint32_t i = 0, k = 0; i < 4; i++) {
        if (i == 2)
            continue;
        const struct mini_publish *p = &st.broker.publishes[k++];
        assert_int_equal(p->id, before[i].id);
        assert_int_equal(p->dup, present);
        assert_int_equal(p->body_hash, before[i].body_hash);
        assert_int_equal(p->body_len, before[i].body_len);
        assert_int_equal(p->seqs[0], before[i].seqs[0]);
    }
    assert_int_equal(stage_stats(0).resent, 3);
    st.broker.hold_acks = false;
    for (uint32_t i = 0; i < 3; i++)
        mini_broker_ack(&st.broker, i);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 28);
    uint64_t next = before[3].seqs[before[3].seq_count - 1] + 1;
    for (uint32_t i = 3; i < st.broker.publish_count; i++)
        for (uint32_t k = 0; k < st.broker.publishes[i].seq_count; k++)
            assert_int_equal(st.broker.publishes[i].seqs[k], next++);
    assert_int_equal(next, 29);
    stage_end();
}

static void test_sent_again_under_the_same_ids(void **state)
{
    lose_and_compare(state, false, true);
}

static void test_sent_again_to_a_broker_that_forgot(void **state)
{
    lose_and_compare(state, false, false);
}

static void test_sent_again_after_a_reset(void **state)
{
    lose_and_compare(state, true, true);
}

static void test_lost_again_and_again(void **state)
{
    begin_online(state, (const char *const[]){"max_in_flight", "3", NULL});
    st.broker.session_present = true;
    st.broker.hold_acks = true;
    append(40);
    for (uint32_t round = 0; round < 12; round++) {
        RUN_UNTIL(st.f, st.broker.publish_count == 3);
        for (uint32_t i = 0; i < 3; i++) { /* always the three oldest ones, in order */
            assert_seqs(i, round * 2 + i + 1, 1);
            assert_int_equal(st.broker.publishes[i].dup, round > 0);
        }
        mini_broker_ack(&st.broker, 0);
        mini_broker_ack(&st.broker, 1);
        RUN_UNTIL(st.f, stage_stats(0).acked_seq == round * 2 + 2 && st.broker.publish_count == 5);
        mini_broker_forget(&st.broker);
        mini_broker_drop(&st.broker, round % 2);
        /* 2 new ones were in flight besides the old third: all three come again. */
        RUN_UNTIL(st.f, st.broker.publish_count == 3);
        for (uint32_t i = 0; i < 3; i++) {
            assert_seqs(i, round * 2 + i + 3, 1);
            assert_true(st.broker.publishes[i].dup);
        }
        mini_broker_forget(&st.broker);
        mini_broker_drop(&st.broker, false);
        RUN_UNTIL(st.f, st.broker.publish_count == 3);
    }
    st.broker.hold_acks = false;
    for (uint32_t i = 0; i < 3; i++)
        mini_broker_ack(&st.broker, i);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 40);
    stage_end();
}

static void test_no_ack_ends_the_connection(void **state)
{
    begin_online(state, (const char *const[]){"ack_timeout", "1s", NULL});
    st.broker.hold_acks = true;
    append(1);
    RUN_UNTIL(st.f, st.broker.publish_count == 2); /* again, on the next connection */
    assert_int_equal(st.broker.publishes[1].connection, 2);
    assert_int_equal(st.broker.publishes[1].id, st.broker.publishes[0].id);
    mini_broker_ack(&st.broker, 1);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 1);
    stage_end();
}

/* --- batches and bodies ----------------------------------------------------------------------------------
 */

static void test_batches_wait_for_company(void **state)
{
    begin_online(state, (const char *const[]){"batch.max_samples", "5", "batch.max_delay", "200ms", NULL});
    append(12);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 12);
    uint64_t next = 1;
    for (uint32_t i = 0; i < st.broker.publish_count; i++)
        for (uint32_t k = 0; k < st.broker.publishes[i].seq_count; k++)
            assert_int_equal(st.broker.publishes[i].seqs[k], next++);
    assert_int_equal(next, 13);
    assert_true(st.broker.publish_count >= 3 && st.broker.publish_count <= 6);
    stage_end();
}

static void test_a_damaged_sample_is_left_out(void **state)
{
    uint64_t seq, id;
    begin_online(state, (const char *const[]){"max_in_flight", "4", "batch.max_samples", "3", NULL});
    st.broker.hold_acks = true;
    append(2);
    assert_int_equal(tg_store_append(st.f->store, dev(0), 1000, tg_bytes_str("\x07 not a sample"), &seq, &id),
                     TG_OK);
    append(2);
    RUN_UNTIL(st.f, stage_stats(0).in_flight > 0 && st.broker.publish_count > 0);
    settle(st.f);
    assert_int_equal(stage_stats(0).acked_seq, 0); /* it does not overtake what is in flight before it */
    st.broker.hold_acks = false;
    for (uint32_t i = 0; i < st.broker.publish_count; i++)
        if (!st.broker.publishes[i].acked)
            mini_broker_ack(&st.broker, i);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 5);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < st.broker.publish_count; i++)
        for (uint32_t k = 0; k < st.broker.publishes[i].seq_count; k++)
            sum += st.broker.publishes[i].seqs[k];
    assert_int_equal(sum, 1 + 2 + 4 + 5);
    stage_end();
}

static void test_samples_larger_than_a_batch(void **state)
{
    begin_online(state, (const char *const[]){"batch.max_samples", "10", "batch.max_bytes", "200",
                                              "max_in_flight", "40", NULL});
    for (int i = 0; i < 12; i++) {
        assert_int_equal(append_n(st.f, dev(0), 1, 40000), TG_OK);
        assert_int_equal(append_n(st.f, dev(0), 1, 40), TG_OK);
    }
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 24);
    uint64_t next = 1;
    for (uint32_t i = 0; i < st.broker.publish_count; i++)
        for (uint32_t k = 0; k < st.broker.publishes[i].seq_count; k++)
            assert_int_equal(st.broker.publishes[i].seqs[k], next++);
    assert_int_equal(next, 25);
    assert_int_equal(stage_stats(0).connects, 1);
    stage_end();
}

/* --- logging in ------------------------------------------------------------------------------------------
 */

static void test_refused_then_taken(void **state)
{
    stage_begin(state, NULL);
    st.broker.code = 5;
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, st.broker.connects >= 3);
    assert_non_null(strstr(stage_stats(0).last_error, "code 5"));
    st.broker.code = 0;
    st.broker.hang_up_at_connect = true;
    unsigned so_far = st.broker.connects;
    RUN_UNTIL(st.f, st.broker.connects >= so_far + 3);
    assert_int_equal(stage_stats(0).connects, 0);
    st.broker.hang_up_at_connect = false;
    append(3);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 3);
    assert_string_equal(stage_stats(0).last_error, "");
    stage_end();
}

/* A session that the broker kept may lack a subscription whose SUBACK never came. */
static void test_subscribes_again_without_a_suback(void **state)
{
    stage_begin(state, NULL);
    st.broker.hold_suback = true;
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, st.broker.subscribes == 1);
    st.broker.session_present = true;
    st.broker.hold_suback = false;
    mini_broker_drop(&st.broker, false);
    RUN_UNTIL(st.f, st.broker.subscribes == 2 && stage_online(0));
    append(1);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 1); /* the SUBACK has come before */
    mini_broker_drop(&st.broker, false);
    RUN_UNTIL(st.f, st.broker.connects == 3 && stage_online(0));
    append(1);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 2);
    assert_int_equal(st.broker.subscribes, 2);
    stage_end();
}

/* --- renewing a credential -------------------------------------------------------------------------------
 */

/* A token that ends in two seconds, which no configuration may ask for. */
static void begin_with_short_token(void **state)
{
    static struct tg_option options[16];
    static char key_file[300];
    const struct tg_cloud_type *type = tg_cloud_type_find("azure-iot-hub", NULL);
    uint32_t n = 0;
    for (; type->config.options[n].name; n++) {
        options[n] = type->config.options[n];
        if (strcmp(options[n].name, "sas_lifetime") == 0)
            options[n].min = 1000;
    }
    options[n] = (struct tg_option){0};
    stage_begin(state, (const char *const[]){"max_in_flight", "3", NULL});
    snprintf(key_file, sizeof key_file, "%s/device.sas", st.f->dir);
    tg_test_spill(key_file, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", 44);
    assert_int_equal(chmod(key_file, 0600), 0);
    tg_settings_free(st.clouds[0].settings);
    st.clouds[0].settings = tg_settings_new(options);
    stage_put(st.clouds[0].settings, "sas_lifetime", "2s");
    assert_int_equal(tg_settings_finish(st.clouds[0].settings, &st.f->err), TG_OK);
    st.clouds[0].config.type = "azure-iot-hub";
    st.clouds[0].config.settings = st.clouds[0].settings;
    (void)stage_session(&st.clouds[0].config);
    st.routes[0].identity =
        (struct tg_config_identity){.kind = TG_IDENTITY_SAS_KEY, .sas_key_file = key_file};
    tg_session_start(st.sessions[0]);
    RUN_UNTIL(st.f, stage_online(0) && st.broker.subscribes == 1);
}

static void test_renewed_though_the_window_never_empties(void **state)
{
    begin_with_short_token(state);
    st.broker.hold_acks = true;
    st.broker.session_present = true;
    append(5);
    RUN_UNTIL(st.f, st.broker.publish_count == 3);
    RUN_UNTIL(st.f, st.broker.connects == 2 && st.broker.publish_count == 6);
    assert_int_equal(st.broker.disconnects, 1); /* in order, not by a timeout or the hub */
    assert_int_equal(stage_stats(0).failures, 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_seqs(i + 3, i + 1, 1);
        assert_true(st.broker.publishes[i + 3].dup);
        assert_int_equal(st.broker.publishes[i + 3].id, st.broker.publishes[i].id);
    }
    st.broker.hold_acks = false;
    for (uint32_t i = 3; i < 6; i++)
        mini_broker_ack(&st.broker, i);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 5);
    stage_end();
}

/* --- closing in every state --------------------------------------------------------------------------------
 */

static void test_closed_before_it_was_started(void **state)
{
    stage_begin(state, NULL);
    (void)stage_session(&st.clouds[0].config);
    stage_end();
}

static void test_closed_in_the_queue(void **state)
{
    stage_begin(state, NULL);
    tg_session_start(stage_session(&st.clouds[0].config));
    assert_int_equal(stage_stats(0).state, TG_SESSION_QUEUED);
    stage_end();
}

static void test_closed_while_connecting(void **state)
{
    stage_begin(state, NULL);
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, stage_stats(0).state == TG_SESSION_CONNECTING);
    stage_end();
}

static void test_closed_while_logging_in(void **state)
{
    stage_begin(state, NULL);
    st.broker.mute = true;
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, stage_stats(0).state == TG_SESSION_LOGIN && st.broker.connects == 1);
    stage_end();
}

static void test_closed_while_waiting(void **state)
{
    stage_begin(state, (const char *const[]){"min_backoff", "1h", "max_backoff", "1h", NULL});
    st.broker.code = 3;
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, stage_stats(0).state == TG_SESSION_WAITING && st.broker.connects == 1);
    assert_true(stage_stats(0).retry_at_ms > 0);
    stage_end();
}

static void test_closed_with_messages_in_flight(void **state)
{
    begin_online(state, (const char *const[]){"max_in_flight", "4", NULL});
    st.broker.hold_acks = true;
    append(9);
    RUN_UNTIL(st.f, st.broker.publish_count == 4);
    mini_broker_ack(&st.broker, 1);
    tg_session_close(st.sessions[0], stage_on_closed, NULL);
    st.sessions[0] = NULL;
    RUN_UNTIL(st.f, st.broker.disconnects == 1 && st.closed == 1);
    st.session_count = st.closed = 0;
    mini_broker_forget(&st.broker);
    st.broker.hold_acks = false;
    tg_session_start(
        stage_session(&st.clouds[0].config)); /* the next one begins where acknowledgements ended */
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 9);
    assert_seqs(0, 1, 1);
    assert_int_equal(st.broker.publish_count, 9);
    stage_end();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_no_more_than_the_window),
                                       TEST(test_the_cursor_stops_at_a_hole),
                                       TEST(test_the_window_grows_and_shrinks),
                                       TEST(test_sent_again_under_the_same_ids),
                                       TEST(test_sent_again_to_a_broker_that_forgot),
                                       TEST(test_sent_again_after_a_reset),
                                       TEST(test_lost_again_and_again),
                                       TEST(test_no_ack_ends_the_connection),
                                       TEST(test_batches_wait_for_company),
                                       TEST(test_a_damaged_sample_is_left_out),
                                       TEST(test_samples_larger_than_a_batch),
                                       TEST(test_refused_then_taken),
                                       TEST(test_subscribes_again_without_a_suback),
                                       TEST(test_renewed_though_the_window_never_empties),

                                       TEST(test_closed_before_it_was_started),
                                       TEST(test_closed_in_the_queue),
                                       TEST(test_closed_while_connecting),
                                       TEST(test_closed_while_logging_in),
                                       TEST(test_closed_while_waiting),
                                       TEST(test_closed_with_messages_in_flight)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
