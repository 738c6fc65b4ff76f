/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every allocation of a session's life fails in turn: made, connected, samples published and acknowledged, a
 * command, a lost connection, closed. Nothing crashes or leaks, and once there is memory again everything is
 * delivered.
 */
#include "support/session_stage.h"

#define SAMPLES 6

static void append_all(uint32_t d, uint64_t last)
{
    while (tg_store_last_seq(st.f->store, d) < last)
        if (append_n(st.f, d, 1, 300) < 0)
            uv_run(&st.f->loop.uv, UV_RUN_ONCE);
}

static bool delivered(uint64_t before)
{
    bool got[SAMPLES + 1] = {false};
    for (uint32_t i = 0; i < st.broker.publish_count; i++)
        for (uint32_t k = 0; k < st.broker.publishes[i].seq_count; k++)
            got[st.broker.publishes[i].seqs[k] - before] = true;
    for (uint32_t i = 1; i <= SAMPLES; i++)
        if (!got[i])
            return false;
    return true;
}

/* Returns true when the nth allocation was never asked for. */
static bool life(void **state, uint64_t nth)
{
    struct tg_error err = {0};
    uint64_t calls, before;
    uint32_t d;
    stage_begin(state, (const char *const[]){"max_in_flight", "2", "batch.max_samples", "2", NULL});
    d = device(st.f, "device-0");
    before = tg_store_last_seq(st.f->store, d); /* lives follow each other on one store */
    calls = tg_alloc_stats().calls;
    tg_alloc_fail_at(nth, 0);
    while (stage_try_session(0, &st.clouds[0].config, &err) < 0) {
        assert_true(err.code == TG_ENOMEM && err.text[0] != '\0');
        err = (struct tg_error){0};
    }
    tg_session_start(st.sessions[0]);
    RUN_UNTIL(st.f, stage_online(0));
    mini_broker_send(&st.broker, 5, "tidegate/device-0/command", "1", 1, false);
    append_all(d, before + SAMPLES);
    RUN_UNTIL(st.f, st.broker.publish_count > 0);
    mini_broker_drop(&st.broker, false);
    RUN_UNTIL(st.f, stage_stats(0).acked_seq == before + SAMPLES);
    bool clean = tg_alloc_stats().calls - calls < nth;
    tg_alloc_fail_at(0, 0);
    assert_true(delivered(before));
    stage_end();
    return clean;
}

static void test_every_allocation(void **state)
{
    uint64_t nth = 1;
    while (!life(state, nth))
        nth++;
    assert_true(nth > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_allocation, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
