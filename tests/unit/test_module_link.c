/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sessions whose connection somebody else has: a carrier that does what the test says. Which addresses it gets, which bodies, what
 * moves the cursor, and what a channel's end takes back.
 */
#include "support/session_stage.h"

#include <tidegate/plugin.h>

#include "northbound/carrier.h"

#define MAX_BODIES 256

static struct {
    uint32_t channel, opens, closes; /* of the last open */
    char address[1024];
    int open_says, carry_says;
    uint32_t count;
    struct {
        uint32_t channel, seqs;
        uint64_t message, first_seq;
        size_t len;
    } bodies[MAX_BODIES];
} fake;

static int fake_open(void *user, const char *source, uint32_t channel, const char *address)
{
    assert_ptr_equal(user, &fake);
    assert_string_equal(source, "radio");
    assert_true(channel > fake.channel);
    fake.channel = channel;
    fake.opens++;
    snprintf(fake.address, sizeof fake.address, "%s", address);
    return fake.open_says;
}

static int fake_carry(void *user, const char *source, uint32_t channel, uint64_t message,
                      struct tg_bytes body)
{
    char text[5000];
    (void)user;
    (void)source;
    if (fake.carry_says < 0)
        return fake.carry_says;
    assert_true(fake.count < MAX_BODIES && body.len < sizeof text);
    memcpy(text, body.data, body.len);
    text[body.len] = '\0';
    fake.bodies[fake.count].channel = channel;
    fake.bodies[fake.count].message = message;
    fake.bodies[fake.count].len = body.len;
    fake.bodies[fake.count].seqs = 0;
    for (const char *p = strstr(text, "\"seq\":"); p; p = strstr(p + 1, "\"seq\":"))
        if (fake.bodies[fake.count].seqs++ == 0)
            fake.bodies[fake.count].first_seq = strtoull(p + 6, NULL, 10);
    fake.count++;
    return TG_OK;
}

static int fake_close(void *user, const char *source, uint32_t channel)
{
    (void)user;
    (void)source;
    assert_int_equal(channel, fake.channel);
    fake.closes++;
    return TG_OK;
}

static const char *const plain[] = {"source", "radio", NULL};

/* A session through the fake, not online yet. `own` of the type, `more` as for stage_begin(). */
static void begin(void **state, const char *const *own, const char *const *more)
{
    const struct tg_carrier carrier = {fake_open, fake_carry, fake_close, &fake};
    struct tg_error err = {0};
    memset(&fake, 0, sizeof fake);
    stage_begin(state, more);
    tg_settings_free(st.clouds[0].settings);
    st.clouds[0].settings = tg_settings_new(tg_cloud_type_find("module", &err)->config.options);
    for (; *own; own += 2)
        stage_put(st.clouds[0].settings, own[0], own[1]);
    assert_int_equal(tg_settings_finish(st.clouds[0].settings, &err), TG_OK);
    st.clouds[0].config.settings = st.clouds[0].settings;
    st.clouds[0].config.type = "module";
    tg_session_set_lend(st.set, &carrier);
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, fake.opens == 1);
}

static void begin_online(void **state, const char *const *own, const char *const *more)
{
    begin(state, own, more);
    assert_int_equal(stage_stats(0).state, TG_SESSION_CONNECTING);
    tg_session_set_carrier(st.set, fake.channel, true, NULL);
    assert_true(stage_online(0));
}

static void append(uint64_t n)
{
    assert_int_equal(append_n(st.f, device(st.f, st.names[0]), n, 60), TG_OK);
}

static void confirm(uint32_t body)
{
    tg_session_set_carried(st.set, fake.bodies[body].channel, fake.bodies[body].message, 0);
}

static void an_address_and_a_message(void **state)
{
    begin_online(state, (const char *const[]){"source", "radio", "topic", "a b/{device}", NULL}, NULL);
    assert_non_null(strstr(fake.address, "mqtt://127.0.0.1:"));
    assert_non_null(strstr(fake.address,
                           "/?client=device-0&pt=a%20b%2Fdevice-0&keepAlive=240&confirm=settle&settle=5000"));
    append(1);
    RUN_UNTIL(st.f, fake.count == 1);
    assert_int_equal(fake.bodies[0].first_seq, 1);
    assert_int_equal(stage_stats(0).in_flight, 1);
    assert_int_equal(stage_stats(0).acked_seq, 0);
    confirm(0);
    assert_int_equal(stage_stats(0).acked_seq, 1);
    assert_int_equal(stage_stats(0).published, 1);
    assert_int_equal(stage_stats(0).acked_samples, 1);
    confirm(0); /* told twice */
    tg_session_set_carried(st.set, fake.channel, 99, 0);
    tg_session_set_carried(st.set, fake.channel + 1, 1, 0);
    assert_int_equal(stage_stats(0).acked_seq, 1);
    stage_end();
    assert_int_equal(fake.closes, 1);
}

static void echo_asks_for_its_own_topic(void **state)
{
    begin_online(state, (const char *const[]){"source", "radio", "confirm", "echo", "topic", "t", NULL},
                 NULL);
    assert_non_null(strstr(fake.address, "&pt=t&st=t&"));
    assert_non_null(strstr(fake.address, "&confirm=echo"));
    assert_null(strstr(fake.address, "settle"));
    stage_end();
}

/* The window is what the carrier takes; outcomes come in any order, and the cursor has no hole. */
static void the_window_and_its_order(void **state)
{
    begin_online(state, plain, NULL);
    append(40);
    settle(st.f);
    RUN_UNTIL(st.f, fake.count == TG_CARRY_MESSAGES_MAX);
    assert_int_equal(stage_stats(0).in_flight, TG_CARRY_MESSAGES_MAX);
    for (uint32_t i = 1; i < TG_CARRY_MESSAGES_MAX; i++)
        confirm(i);
    assert_int_equal(stage_stats(0).acked_seq, 0);
    confirm(0);
    assert_int_equal(stage_stats(0).acked_seq, TG_CARRY_MESSAGES_MAX);
    for (uint32_t i = TG_CARRY_MESSAGES_MAX; i < 40; i++) {
        RUN_UNTIL(st.f, fake.count > i);
        assert_int_equal(fake.bodies[i].first_seq, i + 1);
        confirm(i);
    }
    assert_int_equal(stage_stats(0).acked_seq, 40);
    assert_int_equal(stage_stats(0).pending, 0);
    stage_end();
}

static void batches_keep_to_max_message(void **state)
{
    begin_online(state, (const char *const[]){"source", "radio", "max_message", "512B", NULL},
                 (const char *const[]){"batch.max_samples", "100", "batch.max_bytes", "65536",
                                       "batch.max_delay", "20ms", NULL});
    append(50);
    for (uint32_t i = 0; stage_stats(0).acked_seq < 50; i++) {
        RUN_UNTIL(st.f, fake.count > i);
        assert_true(fake.bodies[i].len <= 512);
        confirm(i);
    }
    assert_true(fake.count < 50);
    /* one that is larger than any message is left out, and told */
    assert_int_equal(append_n(st.f, device(st.f, st.names[0]), 1, 3000), TG_OK);
    append(1);
    RUN_UNTIL(st.f, fake.bodies[fake.count - 1].first_seq == 52);
    assert_int_equal(stage_stats(0).left_out, 1);
    assert_non_null(strstr(stage_stats(0).notice, "seq=51"));
    confirm(fake.count - 1);
    assert_int_equal(stage_stats(0).acked_seq, 52);
    stage_end();
}

/* What was in flight is sent again on another channel; what is still told of the old one changes nothing. */
static void a_channel_ends(void **state)
{
    uint32_t old;
    begin_online(state, plain, NULL);
    append(5);
    RUN_UNTIL(st.f, fake.count == 5);
    confirm(0);
    confirm(2);
    old = fake.channel;
    tg_session_set_carrier(st.set, old, false, "the module's connection to the broker ended");
    assert_int_equal(stage_stats(0).state, TG_SESSION_WAITING);
    assert_string_equal(stage_stats(0).last_error, "the module's connection to the broker ended");
    assert_int_equal(stage_stats(0).in_flight, 0);
    assert_int_equal(fake.closes, 1);
    confirm(1);
    confirm(3);
    tg_session_set_carrier(st.set, old, true, NULL);
    assert_int_equal(stage_stats(0).acked_seq, 1);
    assert_int_equal(stage_stats(0).state, TG_SESSION_WAITING);
    RUN_UNTIL(st.f, fake.opens == 2);
    tg_session_set_carrier(st.set, fake.channel, true, NULL);
    RUN_UNTIL(st.f, fake.count == 9);
    for (uint32_t i = 5; i < 9; i++) {
        assert_int_equal(fake.bodies[i].first_seq, i - 3); /* 2, 3, 4, 5 */
        assert_int_equal(fake.bodies[i].channel, fake.channel);
        confirm(i);
    }
    assert_int_equal(stage_stats(0).acked_seq, 5);
    assert_string_equal(stage_stats(0).last_error, "");
    stage_end();
}

static void nothing_comes_of_it(void **state)
{
    begin(
        state, (const char *const[]){"source", "radio", "settle", "100ms", NULL},
        (const char *const[]){"connect_timeout", "1s", "handshake_timeout", "1s", "ack_timeout", "1s", NULL});
    RUN_UNTIL(st.f, strstr(stage_stats(0).last_error, "its module has not connected in 2 s"));
    RUN_UNTIL(st.f, fake.opens == 2);
    tg_session_set_carrier(st.set, fake.channel, true, NULL);
    append(1);
    RUN_UNTIL(st.f, fake.count == 1);
    RUN_UNTIL(st.f, strstr(stage_stats(0).last_error, "the outcome of a message has not come in 1 s"));
    RUN_UNTIL(st.f, fake.opens == 3);
    tg_session_set_carrier(st.set, fake.channel, true, NULL);
    RUN_UNTIL(st.f, fake.count == 2);
    tg_session_set_carried(st.set, fake.channel, fake.bodies[1].message, TG_PLUGIN_EINVAL);
    assert_string_equal(stage_stats(0).last_error,
                        "the module did not take a message (it is too large for it)");
    assert_int_equal(stage_stats(0).pending, 1);
    stage_end();
}

static void a_source_that_has_no_room_or_is_gone(void **state)
{
    begin_online(state, plain, NULL);
    fake.carry_says = TG_EFULL;
    append(3);
    settle(st.f);
    assert_int_equal(stage_stats(0).in_flight, 0);
    fake.carry_says = TG_OK;
    RUN_UNTIL(st.f, fake.count == 3); /* it looks again by itself */
    fake.open_says = TG_ENOTFOUND;
    assert_true(tg_session_set_is_carried(st.set, "radio"));
    assert_false(tg_session_set_is_carried(st.set, "another"));
    tg_session_set_carrier_gone(st.set, "another", "not this one");
    assert_true(stage_online(0));
    tg_session_set_carrier_gone(st.set, "radio", "the source that carries it has ended");
    assert_string_equal(stage_stats(0).last_error, "the source that carries it has ended");
    assert_false(tg_session_set_is_carried(st.set, "radio"));
    RUN_UNTIL(st.f, strstr(stage_stats(0).last_error, "source radio: its source is not running"));
    fake.open_says = TG_OK;
    RUN_UNTIL(st.f, stage_stats(0).state == TG_SESSION_CONNECTING);
    tg_session_set_carrier(st.set, fake.channel, true, NULL);
    RUN_UNTIL(st.f, fake.count == 6);
    stage_end();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(an_address_and_a_message),
                                       TEST(echo_asks_for_its_own_topic),
                                       TEST(the_window_and_its_order),
                                       TEST(batches_keep_to_max_message),
                                       TEST(a_channel_ends),
                                       TEST(nothing_comes_of_it),
                                       TEST(a_source_that_has_no_room_or_is_gone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
