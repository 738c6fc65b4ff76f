/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections that a plugin lends, through the host: everything arrives in order, whole and once; an instance that is not open says
 * so; a plugin that lends none is known by it; what waits at the end is freed (under the address sanitizer), addresses wiped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/host_rig.h"

/* --- a plugin that notes what it is told, and confirms every message ------------------------------------ */

static struct {
    const struct tg_host *host;
    char story[4096]; /* written on the instance's thread; read when the answers have come */
    atomic_bool fail_open;
} carrier;

static void note(const char *what, unsigned channel, const char *text, uint32_t n)
{
    size_t used = strlen(carrier.story);
    snprintf(carrier.story + used, sizeof carrier.story - used, "%s %u %.*s|", what, channel, (int)n, text);
}

static int carrier_open(const struct tg_host *h, const struct tg_source *s, void **ret, char *e, size_t n)
{
    (void)s;
    if (atomic_load(&carrier.fail_open)) {
        snprintf(e, n, "not today");
        return TG_PLUGIN_EIO;
    }
    carrier.host = h;
    *ret = &carrier;
    return TG_PLUGIN_OK;
}

static int32_t carrier_poll(void *self, int64_t now_ms)
{
    (void)self;
    (void)now_ms;
    return TG_POLL_IDLE;
}

static void carrier_close(void *self)
{
    (void)self;
}

static void lend(void *self, uint32_t channel, const char *address)
{
    (void)self;
    assert_true(TG_HOST_HAS(carrier.host, carrier) && TG_HOST_HAS(carrier.host, carried));
    note("open", channel, address, (uint32_t)strlen(address));
    carrier.host->carrier(carrier.host->source, channel, true, NULL);
}

static void take(void *self, uint32_t channel, uint64_t message, const void *body, uint32_t size)
{
    (void)self;
    note(message == 9 ? "carry 9" : "carry", channel, body, size);
    carrier.host->carried(carrier.host->source, channel, message, size > 5 ? TG_PLUGIN_EINVAL : TG_PLUGIN_OK);
}

static void end(void *self, uint32_t channel)
{
    (void)self;
    note("close", channel, "", 0);
    carrier.host->carrier(carrier.host->source, channel, false, "as you like");
}

#define CARRIER(model)                                                                                       \
    TG_PLUGIN_INIT(model), .name = "carrier", .version = "1", .summary = "lends", .open = carrier_open,      \
                           .poll = carrier_poll, .close = carrier_close, .carry_open = lend, .carry = take,  \
                           .carry_close = end, .carry_max_bytes = 5
static const struct tg_plugin on_thread = {CARRIER(TG_THREAD_OWN)}, on_loop = {CARRIER(TG_THREAD_LOOP)};

/* --- who borrows ---------------------------------------------------------------------------------------- */

static char heard[2048];
static int ups, downs, outcomes;

static void on_carrier(void *user, uint32_t channel, bool up, const char *text)
{
    size_t used = strlen(heard);
    (void)user;
    ups += up;
    downs += !up;
    snprintf(heard + used, sizeof heard - used, "%s %u %s|", up ? "up" : "down", channel, text ? text : "-");
}

static void on_carried(void *user, uint32_t channel, uint64_t message, int status)
{
    size_t used = strlen(heard);
    (void)user;
    outcomes++;
    snprintf(heard + used, sizeof heard - used, "%u/%u %d|", channel, (unsigned)message, status);
}

static void begin(struct tg_host_rig *r, const struct tg_plugin *plugin)
{
    static struct tg_source_callbacks cb;
    struct tg_error err = {0};
    bool fail = atomic_load(&carrier.fail_open);
    memset(&carrier, 0, sizeof carrier);
    atomic_store(&carrier.fail_open, fail);
    heard[0] = '\0';
    ups = downs = outcomes = 0;
    tg_rig_begin(r, plugin);
    cb = tg_rig_callbacks;
    cb.on_carrier = on_carrier;
    cb.on_carried = on_carried;
    assert_int_equal(tg_source_host_new(&r->loop, &r->model.source, &cb, r, &r->host, &err), 0);
}

static void a_channel_from_its_beginning_to_its_end(void **state)
{
    struct tg_host_rig r;
    char address[] = "mqtt://h:1/?passwd=secret", body[] = "one";
    begin(&r, *state);
    assert_int_equal(tg_source_host_carry_open(r.host, 4000000000u, address), TG_OK);
    memset(address, 'x', sizeof address - 1); /* borrowed for the call only */
    assert_int_equal(tg_source_host_carry(r.host, 4000000000u, 9, tg_bytes_str(body)), TG_OK);
    memset(body, 'x', sizeof body - 1);
    assert_int_equal(tg_source_host_carry(r.host, 4000000000u, 10, tg_bytes_str("too large")), TG_OK);
    assert_int_equal(tg_source_host_carry_close(r.host, 4000000000u), TG_OK);
    TG_RIG_RUN_UNTIL(&r, ups == 1 && outcomes == 2 && downs == 1);
    assert_string_equal(carrier.story, "open 4000000000 mqtt://h:1/?passwd=secret|carry 9 4000000000 one|"
                                       "carry 4000000000 too large|close 4000000000 |");
    assert_string_equal(heard,
                        "up 4000000000 -|4000000000/9 0|4000000000/10 -1|down 4000000000 as you like|");
    tg_rig_end(&r);
}

static void a_source_that_is_not_open(void **state)
{
    struct tg_host_rig r;
    atomic_store(&carrier.fail_open, true);
    begin(&r, *state);
    TG_RIG_RUN_UNTIL(&r, r.open_failures == 1);
    assert_int_equal(tg_source_host_carry_open(r.host, 1, "mqtt://h:1/?"), TG_OK);
    assert_int_equal(tg_source_host_carry(r.host, 2, 1, tg_bytes_str("x")), TG_OK);
    assert_int_equal(tg_source_host_carry_close(r.host, 3), TG_OK);
    TG_RIG_RUN_UNTIL(&r, downs == 2);
    assert_string_equal(heard, "down 1 the source is not open|down 2 the source is not open|");
    assert_string_equal(carrier.story, "");
    atomic_store(&carrier.fail_open, false);
    tg_rig_end(&r);
}

static void what_waits_is_bounded_and_freed(void **state)
{
    struct tg_host_rig r;
    int rc = TG_OK;
    unsigned taken = 0;
    begin(&r, *state);
    assert_int_equal(tg_source_host_carry_open(r.host, 1, "mqtt://h:1/?passwd=secret"), TG_OK);
    if (*state == &on_loop) { /* which has no turn before ours is over */
        for (; taken < 2 * TG_SOURCE_QUEUE_REQUESTS && rc == TG_OK; taken += rc == TG_OK)
            rc = tg_source_host_carry(r.host, 1, taken, tg_bytes_str("body"));
        assert_int_equal(rc, TG_EFULL);
        assert_int_equal(taken, TG_SOURCE_QUEUE_REQUESTS - 1);
        assert_int_equal(tg_source_host_carry_open(r.host, 2, "mqtt://h:1/?passwd=secret"), TG_EFULL);
        assert_int_equal(tg_source_host_carry_close(r.host, 1), TG_EFULL);
    }
    tg_rig_end(&r);
}

static void a_plugin_that_lends_none(void **state)
{
    struct tg_host_rig r;
    begin(&r, *state);
    assert_int_equal(tg_source_host_carry_open(r.host, 1, "mqtt://h:1/?"), TG_EUNSUPPORTED);
    assert_int_equal(tg_source_host_carry(r.host, 1, 1, tg_bytes_str("x")), TG_EUNSUPPORTED);
    assert_int_equal(tg_source_host_carry_close(r.host, 1), TG_EUNSUPPORTED);
    tg_rig_end(&r);
}

#define BOTH(test)                                                                                           \
    {#test " (own thread)", test, NULL, NULL, (void *)(uintptr_t)&on_thread},                                \
    {                                                                                                        \
#test " (on the loop)", test, NULL, NULL, (void *)(uintptr_t)&on_loop                                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_channel_from_its_beginning_to_its_end),
        BOTH(a_source_that_is_not_open),
        BOTH(what_waits_is_bounded_and_freed),
        TG_RIG_BOTH(a_plugin_that_lends_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
