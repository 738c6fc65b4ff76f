/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A server that falls silent at any moment is found within 1.5 × keepalive, whatever the client does meanwhile; pings go sooner where they are
 * told to; and what silence there was before a packet without an answer is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "northbound/mqtt/mqtt_client.h"

#define SLOTS 4

static struct tg_mqtt_client c;
static struct tg_mqtt_slot slots[SLOTS];
static uint8_t memory[8192];
static struct tg_writer out;

static void input(const char *bytes, size_t len, int64_t now)
{
    struct tg_mqtt_event event;
    size_t used;
    assert_true(tg_mqtt_client_input(&c, now, tg_bytes(bytes, len), &out, &event, &used) >= 0);
    assert_int_equal(used, len);
}

static void begin(uint16_t keepalive_s, uint32_t ack_timeout_ms, int64_t now)
{
    const struct tg_mqtt_limits limits = {.ping_timeout_ms = 10000, .ack_timeout_ms = ack_timeout_ms};
    const struct tg_mqtt_connect connect = {
        .client_id = tg_bytes_str("d"), .clean_session = true, .keepalive_s = keepalive_s};
    tg_mqtt_client_init(&c, &limits, slots, SLOTS);
    out = tg_writer_init(memory, sizeof memory);
    assert_int_equal(tg_mqtt_client_connect(&c, now, &connect, &out), 0);
    input("\x20\x02\0\0", 4, now);
    out.len = 0;
}

static void publish(uint8_t qos, int64_t now)
{
    int rc = tg_mqtt_client_publish(&c, now, tg_bytes_str("t"), tg_bytes_str("b"), qos, false, 1, NULL, &out);
    assert_true(rc == 0 || rc == TG_EFULL);
    out.len = 0;
}

/* The last byte came at `now`; the client goes on publishing every `every_ms` (0 = nothing). When it notices. */
static int64_t found_at(int64_t now, int64_t every_ms, uint8_t qos)
{
    int64_t next = every_ms ? now + every_ms : INT64_MAX;
    for (;;) {
        int64_t due = tg_mqtt_client_deadline(&c);
        now = due < next ? due : next;
        if (now == next) {
            publish(qos, now);
            next += every_ms;
        }
        if (now == due && tg_mqtt_client_tick(&c, now, &out) < 0)
            return now;
        out.len = 0;
    }
}

static void found_within_one_and_a_half_keepalive(void **state)
{
    static const uint16_t keepalives[] = {30, 60, 240, 1177};
    static const int64_t paces[] = {0, 100, 1000, 20000, 100000};
    (void)state;
    for (size_t k = 0; k < sizeof keepalives / sizeof keepalives[0]; k++)
        for (size_t p = 0; p < sizeof paces / sizeof paces[0]; p++)
            for (uint8_t qos = 0; qos < 2; qos++) {
                int64_t limit = (int64_t)keepalives[k] * 1500;
                begin(keepalives[k], 600000,
                      5000); /* acknowledgements may take ten minutes: the ping finds it */
                assert_in_range(found_at(5000, paces[p], qos), 5000, (uint64_t)(5000 + limit));
            }
}

static void pings_go_sooner_when_told(void **state)
{
    (void)state;
    begin(240, 30000, 1000);
    assert_int_equal(tg_mqtt_client_deadline(&c), 1000 + 230000);
    tg_mqtt_client_ping_every(&c, 11000);
    assert_int_equal(tg_mqtt_client_deadline(&c), 1000 + 11000);
    assert_int_equal(tg_mqtt_client_tick(&c, 12000, &out), 0);
    assert_int_equal(out.len, 2);
    input("\xd0\0", 2, 12100);
    assert_int_equal(tg_mqtt_client_deadline(&c), 12000 + 11000);
    tg_mqtt_client_ping_every(&c, 500000); /* later than the keepalive: the keepalive */
    assert_int_equal(tg_mqtt_client_deadline(&c), 12000 + 230000);
    tg_mqtt_client_ping_every(&c, 0);
    assert_int_equal(tg_mqtt_client_deadline(&c), 12000 + 230000);
}

static void the_silence_before_what_is_unanswered(void **state)
{
    (void)state;
    begin(240, 30000, 1000);
    publish(1, 2000);
    assert_int_equal(c.quiet_ms, 0); /* a second is no silence */
    input("\x40\x02\0\1", 4, 2100);
    publish(1, 102100);
    assert_int_equal(c.quiet_ms, 100000);
    publish(1, 112100); /* what follows says nothing of it */
    assert_int_equal(c.quiet_ms, 100000);
    input("\x40\x02\0\2", 4, 112200);
    assert_int_equal(c.quiet_ms, 0);
    assert_int_equal(c.survived_ms, 100000);
    input("\x40\x02\0\3", 4, 112300);
    assert_int_equal(tg_mqtt_client_tick(&c, 112300 + 230000, &out), 0); /* the ping */
    assert_int_equal(tg_mqtt_client_tick(&c, 112300 + 240000, &out), TG_ETIMEOUT);
    assert_int_equal(c.quiet_ms, 230000);
}

/* A ping costs 62 bytes of TCP and three segments: data that is acknowledged makes it needless. */
static void no_ping_while_data_is_acknowledged(void **state)
{
    uint8_t ack[] = {0x40, 2, 0, 0};
    int64_t now = 1000;
    (void)state;
    begin(30, 30000, now);
    for (int i = 1; i <= 200; i++) {
        publish(1, now += 15000);
        ack[3] = (uint8_t)i;
        input((const char *)ack, sizeof ack, now += 50);
        assert_true(tg_mqtt_client_deadline(&c) > now + 15000);
        assert_int_equal(tg_mqtt_client_tick(&c, now + 14999, &out), 0);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(c.pings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_within_one_and_a_half_keepalive),
        cmocka_unit_test(pings_go_sooner_when_told),
        cmocka_unit_test(the_silence_before_what_is_unanswered),
        cmocka_unit_test(no_ping_while_data_is_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
