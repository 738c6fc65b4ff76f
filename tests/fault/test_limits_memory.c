/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory runs out where the other fault tests do not look: the configuration, the notes, the kernel's notices of routes, and
 * the whole store while quotas evict, gap records are written, samples wait for the clock and feeds lag. The Nth allocation fails,
 * N = 1 … until a clean pass, alone and with all after it. Nothing is falsely accepted, nothing leaks, and it says so or goes on.
 */
#include "support/config_fixture.h"
#include "core/net/route_watch.h"
#include "support/notes_help.h"
#include "support/store_fixture.h"

/* --- configuration -------------------------------------------------------------------------------------- */

static const char text[] = "clouds:\n"
                           "  - {name: hub, type: mqtt, host: broker.example, batch: {max_samples: 5}}\n"
                           "sources:\n"
                           "  - name: s\n"
                           "    plugin: simulator\n"
                           "    devices:\n"
                           "      - {id: d1, clouds: [hub], points: [{name: p}, {name: q}]}\n"
                           "      - {id: d2, clouds: [{name: hub}], points: [{name: p}]}\n";

static bool load_once(uint64_t nth, int forever)
{
    static struct tg_said said;
    struct tg_config *c = NULL;
    int64_t live = tg_alloc_stats().live;
    said = (struct tg_said){.len = 0};
    tg_alloc_fail_at(nth, forever);
    uint64_t calls = tg_alloc_stats().calls;
    int rc =
        tg_config_load_text("t.yaml", text, strlen(text), &tg_fixture_lookups, tg_fixture_say, &said, &c);
    calls = tg_alloc_stats().calls - calls;
    tg_alloc_fail_at(0, 0);
    if (rc == TG_OK)
        tg_config_free(c);
    else if (!strstr(said.text, "out of memory") || c)
        fail_msg("allocation %llu failed and this was said: %s", (unsigned long long)nth, said.text);
    assert_int_equal(tg_alloc_stats().live, live);
    return calls < nth;
}

static void test_a_configuration_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    for (int forever = 0; forever <= 1; forever++) {
        uint64_t n = 1;
        while (!load_once(n, forever))
            n++;
        assert_true(n > 20);
    }
}

/* --- notes ---------------------------------------------------------------------------------------------- */

static bool keep_notes(struct notes_fixture *x, uint64_t nth, int forever)
{
    struct tg_error err = {0};
    int kept = TG_ENOMEM, replaced = TG_ENOMEM;
    uint64_t calls = tg_alloc_stats().calls;
    tg_alloc_fail_at(nth, forever);
    int rc = tg_notes_open(&x->loop, x->dir, &x->notes, &err);
    if (rc == TG_OK) {
        kept = tg_notes_set(x->notes, "cloud/hub/meter-1", "assigned", tg_bytes_str("hub-7.example"));
        replaced = tg_notes_set(x->notes, "cloud/hub/meter-1", "assigned", tg_bytes_str("hub-8.example"));
        tg_notes_drop(x->notes, "cloud/gone");
    }
    calls = tg_alloc_stats().calls - calls;
    tg_alloc_fail_at(0, 0);
    if (rc != TG_OK) {
        assert_int_equal(rc, TG_ENOMEM);
        return false;
    }
    struct tg_bytes now = tg_notes_get(x->notes, "cloud/hub/meter-1", "assigned");
    if (replaced == TG_OK)
        assert_true(tg_bytes_eq(now, tg_bytes_str("hub-8.example")));
    else if (kept == TG_OK)
        assert_true(tg_bytes_eq(now, tg_bytes_str("hub-7.example"))); /* the old one stays */
    tg_notes_drop(x->notes, "cloud/hub");
    notes_shut(x);
    return calls < nth;
}

static void test_notes_keep_what_they_have(void **state)
{
    struct notes_fixture x;
    (void)state;
    notes_setup(&x);
    for (int forever = 0; forever <= 1; forever++) {
        uint64_t n = 1;
        while (!keep_notes(&x, n, forever))
            n++;
        assert_true(n > 5);
    }
    notes_teardown(&x);
}

/* --- the kernel's notices ----------------------------------------------------------------------------------- */

static void on_route(void *user, const struct tg_route_change *change)
{
    (void)user;
    (void)change;
}

static void test_routes_are_not_known_without_memory(void **state)
{
    struct fixture *f = *state;
    for (uint64_t n = 1; n < 50; n++) {
        struct tg_route_watch *w = NULL;
        struct tg_way way;
        const struct tg_ip loopback = {.family = 4, .bytes = {127, 0, 0, 1}};
        uint64_t calls = tg_alloc_stats().calls;
        tg_alloc_fail_at(n, 1);
        int rc = tg_route_watch_new(&f->loop, on_route, f, &w, &f->err);
        tg_route_watch_ask(rc == TG_OK ? w : NULL, &loopback, &way);
        calls = tg_alloc_stats().calls - calls;
        tg_alloc_fail_at(0, 0);
        if (rc == TG_OK)
            tg_route_watch_close(w);
        else
            assert_string_not_equal(f->err.text, "");
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        if (calls < n)
            return;
    }
    fail_msg("it never came through");
}

/* --- the store ---------------------------------------------------------------------------------------------- */

/* Evicts for a quota, tells the gap, waits for the clock and reads behind, all in one short life. */
static uint64_t busy_life(struct fixture *f, uint64_t nth, int forever)
{
    struct cloud hub = {.holes_allowed = true, .eager = true}, lake = {.holes_allowed = true};
    const struct tg_outbox_quota quota = {.max_pending = 10};
    uint64_t calls = tg_alloc_stats().calls, accepted = 0;
    uint32_t d = 0;
    bool limited = false;
    f->committed_id = 0;
    tg_alloc_fail_at(nth, forever);
    int rc = open_store(f);
    if (rc == TG_OK && tg_store_device(f->store, "meter-1", &d, &f->err) == TG_OK) {
        hub.device = lake.device = d;
        if (tg_feed_open(f->store, d, "hub", on_rows, &hub, &hub.feed, &f->err) == TG_OK)
            tg_feed_resume(hub.feed);
        if (tg_feed_open(f->store, d, "lake", on_rows, &lake, &lake.feed, &f->err) == TG_OK)
            limited = tg_store_set_quota(f->store, d, "lake", &quota, &f->err) == TG_OK;
        for (int i = 0; i < 40; i++)
            accepted += append_n(f, d, 1, 100) == TG_OK;
        tg_store_clock(f->store, 1700000000000);
        tg_store_flush(f->store);
        for (int i = 0; i < 30; i++)
            uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        if (lake.feed) {
            lake.eager = true;
            tg_feed_resume(lake.feed);
        }
        for (int i = 0; i < 30; i++)
            uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        if (forever)
            tg_alloc_fail_at(0, 0);
        RUN_UNTIL(f, stats_of(f).uncommitted_rows == 0);
        if (hub.feed) {
            RUN_UNTIL(f, tg_feed_pending(hub.feed) == 0);
            assert_true(hub.got >= accepted);
        }
        if (lake.feed)
            RUN_UNTIL(f, tg_feed_pending(lake.feed) == 0);
        if (lake.feed && !limited)
            assert_true(lake.got >= accepted);
    }
    calls = tg_alloc_stats().calls - calls;
    tg_alloc_fail_at(0, 0);
    if (hub.feed)
        tg_feed_close(hub.feed);
    if (lake.feed)
        tg_feed_close(lake.feed);
    if (rc == TG_OK)
        close_store(f);
    else if (!strstr(f->err.text, "memory"))
        fail_msg("allocation %llu failed and this was said: %s (%d)", (unsigned long long)nth, f->err.text,
                 rc);
    return calls;
}

static void test_a_busy_store_goes_on(void **state)
{
    struct fixture *f = *state;
    for (int forever = 0; forever <= 1; forever++) {
        uint64_t n = 1;
        while (busy_life(f, n, forever) >= n)
            n++;
        assert_true(n > 40);
    }
    verify(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_configuration_that_does_not_fit_changes_nothing),
        cmocka_unit_test(test_notes_keep_what_they_have),
        T(test_routes_are_not_known_without_memory),
        T(test_a_busy_store_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
