/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What sessions share: the pace of their connects, the slots for handshakes, and one place for each cloud
 * however often its configuration is read.
 */
#include "support/session_stage.h"

static uint32_t online(uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++)
        n += stage_online(i);
    return n;
}

static void count_cloud(void *user, const struct tg_cloud_stats *cloud)
{
    (void)cloud;
    ++*(uint32_t *)user;
}

static uint32_t cloud_count(void)
{
    uint32_t n = 0;
    tg_session_set_each_cloud(st.set, count_cloud, &n);
    return n;
}

/* Fifty sessions at once: the first second's worth goes at once, then never more than the rate allows in any
 * span. */
static void test_connects_are_paced(void **state)
{
    enum { SESSIONS = 50, RATE = 20 };
    stage_begin(state, (const char *const[]){"max_connects_per_second", "20", NULL});
    for (uint32_t i = 0; i < SESSIONS; i++)
        tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, online(0, SESSIONS) == SESSIONS);
    assert_int_equal(st.broker.connects, SESSIONS);
    assert_true(st.broker.most_open <= SESSIONS);
    for (uint32_t i = 0; i < SESSIONS; i++)
        for (uint32_t k = i + 1; k < SESSIONS; k++) {
            int64_t span_ms = st.broker.connect_ms[k] - st.broker.connect_ms[i];
            /* The bucket's depth, what flows in meanwhile, and the slots that were granted before the span
             * began. */
            assert_true(k - i + 1 <= RATE + span_ms * RATE / 1000 + 1 + TG_SET_MAX_HANDSHAKES);
        }
    stage_end();
}

static void test_no_more_handshakes_than_slots(void **state)
{
    enum { SESSIONS = 30 };
    stage_begin(state, (const char *const[]){"connect_timeout", "5m", NULL});
    st.broker.mute = true;
    for (uint32_t i = 0; i < SESSIONS; i++)
        tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, st.broker.connects == TG_SET_MAX_HANDSHAKES);
    settle(st.f); /* the loop has turned */
    for (int i = 0; i < 20; i++)
        uv_run(&st.f->loop.uv, UV_RUN_ONCE);
    assert_int_equal(st.broker.accepted, TG_SET_MAX_HANDSHAKES);
    /* A slot that is given up, in whatever way, goes to the next. */
    st.broker.mute = false;
    mini_broker_drop(&st.broker, false);
    RUN_UNTIL(st.f, online(0, SESSIONS) == SESSIONS);
    assert_true(st.broker.most_open <= SESSIONS);
    stage_end();
}

/* The other cloud's sessions all come online while every connect to the first one is still unanswered. */
static void test_a_silent_cloud_holds_up_nobody_else(void **state)
{
    enum { SILENT = 30, LIVELY = 30 };
    struct mini_broker other;
    stage_begin(state, (const char *const[]){"connect_timeout", "5m", NULL});
    st.broker.mute = true;
    mini_broker_start(&other, &st.f->loop);
    stage_cloud_make(&st.clouds[1], "lake", other.port, NULL);
    for (uint32_t i = 0; i < SILENT; i++)
        tg_session_start(stage_session(&st.clouds[0].config));
    tg_session_start(stage_session(&st.clouds[1].config));
    RUN_UNTIL(st.f, st.broker.connects == TG_SET_MAX_HANDSHAKES - 1 && stage_online(SILENT));
    for (uint32_t i = 1; i < LIVELY; i++)
        tg_session_start(stage_session(&st.clouds[1].config));
    RUN_UNTIL(st.f, online(SILENT, SILENT + LIVELY) == LIVELY);
    assert_int_equal(st.broker.accepted, TG_SET_MAX_HANDSHAKES - 1);
    assert_int_equal(online(0, SILENT), 0);
    mini_broker_stop(&other);
    stage_end();
    RUN_UNTIL(st.f, other.closed);
}

/* Sessions that are closed give their slots and places in the queue back, in every order. */
static void test_closing_gives_slots_back(void **state)
{
    enum { SESSIONS = 24 };
    stage_begin(state, (const char *const[]){"connect_timeout", "5m", NULL});
    st.broker.mute = true;
    for (uint32_t i = 0; i < SESSIONS; i++)
        tg_session_start(stage_session(&st.clouds[0].config));
    RUN_UNTIL(st.f, st.broker.connects == TG_SET_MAX_HANDSHAKES);
    for (uint32_t i = 0; i < SESSIONS; i += 3) { /* some connecting, some queued: first, middle, and last */
        tg_session_close(st.sessions[i], stage_on_closed, NULL);
        st.sessions[i] = NULL;
    }
    tg_session_close(st.sessions[SESSIONS - 1], stage_on_closed, NULL);
    st.sessions[SESSIONS - 1] = NULL;
    RUN_UNTIL(st.f, st.closed == 9);
    st.closed = 0;
    st.broker.mute = false;
    mini_broker_drop(&st.broker, true);
    uint32_t left = 0;
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (st.sessions[i])
            st.sessions[left++] = st.sessions[i];
    st.session_count = left;
    assert_int_equal(left, SESSIONS - 9);
    RUN_UNTIL(st.f, online(0, left) == left);
    assert_int_equal(tg_session_set_count(st.set), left);
    stage_end();
}

/* Forty loads of one file, each with a device more: still one cloud. A changed one is another. */
static void test_models_share_a_cloud(void **state)
{
    static struct stage_cloud loads[40];
    struct tg_error err = {0};
    stage_begin(state, NULL);
    for (uint32_t i = 0; i < 40; i++) {
        stage_cloud_make(&loads[i], "hub", st.broker.port, NULL);
        tg_session_start(stage_session(&loads[i].config));
    }
    assert_int_equal(cloud_count(), 1);
    RUN_UNTIL(st.f, online(0, 40) == 40);
    /* The model of the first one goes: nothing points into it any more. */
    tg_session_close(st.sessions[0], stage_on_closed, NULL);
    st.sessions[0] = NULL;
    RUN_UNTIL(st.f, st.closed == 1);
    st.closed = 0;
    stage_cloud_free(&loads[0]);
    assert_int_equal(cloud_count(), 1);
    stage_cloud_make(&loads[0], "hub", st.broker.port, (const char *const[]){"max_in_flight", "7", NULL});
    tg_session_start(stage_session(&loads[0].config));
    assert_int_equal(cloud_count(), 2);
    RUN_UNTIL(st.f, stage_online(40));
    /* As many different ones as there are places, and one more. */
    static struct stage_cloud others[TG_SET_MAX_CLOUDS];
    char limit[8];
    uint32_t made = 0;
    for (; made < TG_SET_MAX_CLOUDS; made++) {
        snprintf(limit, sizeof limit, "%u", 100 + made);
        stage_cloud_make(&others[made], "hub", st.broker.port,
                         (const char *const[]){"max_in_flight", limit, NULL});
        if (stage_try_session(st.session_count, &others[made].config, &err) < 0)
            break;
    }
    assert_int_equal(made, TG_SET_MAX_CLOUDS - 2);
    assert_int_equal(err.code, TG_EFULL);
    stage_end();
    for (uint32_t i = 0; i < 40; i++)
        stage_cloud_free(&loads[i]);
    for (uint32_t i = 0; i <= made; i++)
        stage_cloud_free(&others[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_connects_are_paced),
                                       TEST(test_no_more_handshakes_than_slots),
                                       TEST(test_a_silent_cloud_holds_up_nobody_else),
                                       TEST(test_closing_gives_slots_back), TEST(test_models_share_a_cloud)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
