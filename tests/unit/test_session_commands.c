/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands at a session on a real store and a real TCP connection: floods, commands that come again, answers that come late.
 */
#include "support/session_stage.h"

#include "northbound/link.h"

static void begin_online(void **state, const char *const *more)
{
    stage_begin(state, more);
    tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, stage_online(0) && st.broker.subscribes == 1);
}

static void append(uint64_t n)
{
    assert_int_equal(append_n(st.f, device(st.f, st.names[0]), n, 60), TG_OK);
}

/* More than may wait, and more bytes than a session buffers: the broker is held back, nothing is lost or cut
 * off. */
static void test_a_flood_of_commands_is_held_back(void **state)
{
    enum { COUNT = 200, BYTES = 8000 };
    char body[BYTES];
    begin_online(state, NULL);
    memset(body, ' ', sizeof body);
    for (unsigned i = 0; i < COUNT; i++) {
        memcpy(body, (char[]){(char)('0' + i / 100), (char)('0' + i / 10 % 10), (char)('0' + i % 10)}, 3);
        mini_broker_send(&st.broker, (uint16_t)(1000 + i), "tidegate/device-0/command", body, sizeof body,
                         false);
    }
    RUN_UNTIL(st.f, st.command_count == 32);
    append(1);
    settle(st.f);
    assert_int_equal(st.command_count, 32);
    for (unsigned done = 0; done < COUNT; done++) {
        RUN_UNTIL(st.f, st.command_count > done);
        assert_int_equal(st.numbers[done], done);
        tg_session_command_done(st.sessions[0], st.tokens[done], "ok", "{}");
    }
    RUN_UNTIL(st.f, st.broker.pubacks == COUNT && stage_stats(0).acked_seq == 1);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(st.broker.pubacked[i], 1000 + i);
    assert_int_equal(st.command_count, COUNT);
    assert_int_equal(st.broker.connects, 1);
    stage_end();
}

static void test_a_command_that_cannot_be_taken_comes_again(void **state)
{
    begin_online(state, NULL);
    st.refuse_command = true;
    mini_broker_send(&st.broker, 7, "tidegate/device-0/command", "5", 1, false);
    RUN_UNTIL(st.f, st.broker.connects == 2 && stage_online(0));
    assert_int_equal(st.broker.pubacks, 0);
    st.refuse_command = false;
    mini_broker_send(&st.broker, 7, "tidegate/device-0/command", "5", 1, true);
    RUN_UNTIL(st.f, st.command_count == 1);
    tg_session_command_done(st.sessions[0], st.tokens[0], "ok", "{}");
    RUN_UNTIL(st.f, st.broker.pubacks == 1);
    assert_int_equal(st.broker.pubacked[0], 7);
    stage_end();
}

/* A token is of one connection: an answer that comes later acknowledges nothing on the next, nor on another
 * session. */
static void test_an_old_token_acknowledges_nothing(void **state)
{
    begin_online(state, NULL);
    mini_broker_send(&st.broker, 7, "tidegate/device-0/command", "5", 1, false);
    RUN_UNTIL(st.f, st.command_count == 1);
    mini_broker_drop(&st.broker, false);
    RUN_UNTIL(st.f, st.broker.connects == 2 && stage_online(0));
    mini_broker_send(&st.broker, 7, "tidegate/device-0/command", "6", 1,
                     false); /* another message under this id */
    RUN_UNTIL(st.f, st.command_count == 2);
    tg_session_command_done(st.sessions[0], st.tokens[0], "ok", "{}");
    append(1);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 1);
    assert_int_equal(st.broker.pubacks, 0);
    uint64_t old = st.tokens[1];
    tg_session_close(st.sessions[0], stage_on_closed, NULL);
    st.sessions[0] = NULL;
    RUN_UNTIL(st.f, st.closed == 1);
    st.session_count = st.closed = 0;
    tg_session_start(stage_session(&st.clouds[0].config)); /* maybe at the same address */
    RUN_UNTIL(st.f, stage_online(0));
    mini_broker_send(&st.broker, 7, "tidegate/device-0/command", "8", 1, false);
    RUN_UNTIL(st.f, st.command_count == 3);
    tg_session_command_done(st.sessions[0], old, "ok", "{}");
    append(1);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == 2);
    assert_int_equal(st.broker.pubacks, 0);
    stage_end();
}

/* A profile that keeps answers for later. */
static struct {
    bool online;
    uint32_t online_answers, offline_answers;
    char reply[8], status[8], payload[16];
} late;

static int late_step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                     struct tg_error *err)
{
    (void)err;
    if (!talk->session)
        return TG_OK;
    if (event->type == TG_CLOUD_ONLINE || event->type == TG_CLOUD_OFFLINE)
        late.online = event->type == TG_CLOUD_ONLINE;
    if (event->type == TG_CLOUD_MESSAGE)
        talk->io->command(talk->user,
                          &(struct tg_cloud_command){.body = event->payload, .reply = tg_bytes_str("id-7")});
    if (event->type == TG_CLOUD_ANSWER) {
        late.online ? late.online_answers++ : late.offline_answers++;
        snprintf(late.reply, sizeof late.reply, "%.*s", (int)event->reply.len,
                 (const char *)event->reply.data);
        snprintf(late.status, sizeof late.status, "%s", event->status);
        snprintf(late.payload, sizeof late.payload, "%.*s", (int)event->payload.len,
                 (const char *)event->payload.data);
    }
    return TG_OK;
}

static void lose_under_a_command(bool wants_late)
{
    static struct tg_cloud_type type;
    struct tg_session *s = st.sessions[0];
    uint32_t connects = st.broker.connects, commands = st.command_count;
    type = *s->link->cloud->type;
    type.step = late_step;
    type.late_answers = wants_late;
    s->link->cloud->type = &type;
    mini_broker_send(&st.broker, 7, "tidegate/device-0/command", "5", 1, false);
    RUN_UNTIL(st.f, st.command_count == commands + 1);
    mini_broker_drop(&st.broker, false);
    RUN_UNTIL(st.f, st.broker.connects == connects + 1 && stage_online(0));
}

/* An answer whose connection is gone goes to profiles that want it, on the present connection or without one. */
static void test_late_answers(void **state)
{
    memset(&late, 0, sizeof late);
    begin_online(state, (const char *const[]){"min_backoff", "100ms", "max_backoff", "200ms", NULL});
    lose_under_a_command(false);
    tg_session_command_done(st.sessions[0], st.tokens[0], "ok", "{}");
    assert_int_equal(late.online_answers + late.offline_answers, 0);
    lose_under_a_command(true);
    tg_session_command_done(st.sessions[0], st.tokens[1], "ok", "{\"a\":1}");
    assert_int_equal(late.online_answers, 1);
    assert_string_equal(late.reply, "id-7");
    assert_string_equal(late.status, "ok");
    assert_string_equal(late.payload, "{\"a\":1}");
    tg_session_command_done(st.sessions[0], st.tokens[1], "ok", "{}"); /* once */
    assert_int_equal(late.online_answers, 1);
    lose_under_a_command(true);
    st.broker.code = 3;
    mini_broker_drop(&st.broker, false);
    RUN_UNTIL(st.f, stage_stats(0).state == TG_SESSION_WAITING);
    tg_session_command_done(st.sessions[0], st.tokens[2], "device", "{}");
    assert_int_equal(late.offline_answers, 1);
    assert_string_equal(late.status, "device");
    stage_end();
}

static void test_a_huge_packet_ends_the_connection(void **state)
{
    char *body = calloc(1, 200000);
    begin_online(state, NULL);
    mini_broker_send(&st.broker, 7, "tidegate/device-0/command", body, 200000, false);
    RUN_UNTIL(st.f, st.broker.connects == 2 && stage_online(0));
    mini_broker_send(&st.broker, 8, "tidegate/device-0/command", body, 100000, false); /* in many pieces */
    RUN_UNTIL(st.f, st.command_count == 1);
    free(body);
    stage_end();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_a_flood_of_commands_is_held_back),
                                       TEST(test_a_command_that_cannot_be_taken_comes_again),
                                       TEST(test_an_old_token_acknowledges_nothing), TEST(test_late_answers),
                                       TEST(test_a_huge_packet_ends_the_connection)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
