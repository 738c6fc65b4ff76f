/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The plugin against an independent implementation: meters served by pymodbus over TCP and RTU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_host.h"
#include "support/peer_process.h"
#include "support/vectors.h"

struct site {
    struct peer_process peer;
    struct fake_host *host;
    bool rtu;
};

static void begin(struct site *s, bool rtu)
{
    char profiles[4400], port[256];
    snprintf(profiles, sizeof profiles, "%s/southbound/modbus_profiles.json", tg_vectors_dir());
    memset(s, 0, sizeof *s);
    s->rtu = rtu;
    peer_start(&s->peer, "meter_server.py",
               rtu ? (const char *[]){"--profiles", profiles, "--units", "1,2", "--rtu", NULL}
                   : (const char *[]){"--profiles", profiles, "--units", "1,2", NULL});
    s->host = fake_host_new("modbus");
    fake_source_set(s->host, "transport", rtu ? "rtu" : "tcp");
    if (rtu) {
        fake_source_set(s->host, "port", json_string_value(json_object_get(s->peer.ready, "path")));
        fake_source_set(s->host, "baud", "115200");
    } else {
        snprintf(port, sizeof port, "%lld",
                 (long long)json_integer_value(json_object_get(s->peer.ready, "port")));
        fake_source_set(s->host, "host", "localhost");
        fake_source_set(s->host, "port", port);
    }
    fake_source_set(s->host, "timeout", "150ms");
}

static uint32_t meter(struct site *s, const char *unit)
{
    static const struct {
        const char *name, *address, *type;
        int64_t every_ms;
    } points[] = {{"voltage_l1", "input:0", "float32", 30},
                  {"power_total", "input:52", "float32", 30},
                  {"total_energy", "input:342", "float32", 90},
                  {"set", "holding:5", "int16", 30},
                  {"relay", "coil:3", "bool", 30}};
    uint32_t d = fake_device(s->host, unit);
    fake_device_set(s->host, d, "unit", unit);
    fake_device_set(s->host, d, "max_count", "80");
    fake_device_set(s->host, d, "max_gap", "60");
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        uint32_t p = fake_point(s->host, d, points[i].name, points[i].every_ms);
        fake_point_set(s->host, d, p, "address", points[i].address);
        fake_point_set(s->host, d, p, "type", points[i].type);
        if (i >= 3)
            fake_point_writable(s->host, d, p);
    }
    return d;
}

static void end(struct site *s)
{
    fake_host_free(s->host);
    peer_stop(&s->peer);
}

static json_int_t ask(struct site *s, const char *what)
{
    json_t *answer = peer_say(&s->peer, "%s", what);
    json_int_t v = json_integer_value(json_object_get(answer, "value"));
    json_decref(answer);
    return v;
}

static void run(bool rtu)
{
    struct site s;
    begin(&s, rtu);
    uint32_t a = meter(&s, "1"), b = meter(&s, "2");
    peer_do(&s.peer, "freeze 1 voltage_l1 231.25");
    peer_do(&s.peer, "freeze 1 total_energy 12345.5");
    peer_do(&s.peer, "freeze 2 voltage_l1 -0.5");
    fake_start(s.host);
    assert_true(fake_expect_value(s.host, 0, a, 0, TG_QUALITY_GOOD).value.as.real == 231.25);
    assert_true(fake_expect_value(s.host, 0, a, 2, TG_QUALITY_GOOD).value.as.real == 12345.5);
    assert_true(fake_expect_value(s.host, 0, b, 0, TG_QUALITY_GOOD).value.as.real == -0.5);
    /* written here, looked at there */
    fake_write(s.host, 1, a, 3, tg_value_int(-1234));
    assert_int_equal(fake_expect_answer(s.host, 1).status, 0);
    assert_int_equal(ask(&s, "holding 1 5"), 0xFFFF & -1234);
    fake_write(s.host, 2, b, 4, tg_value_bool(true));
    assert_int_equal(fake_expect_answer(s.host, 2).status, 0);
    assert_int_equal(ask(&s, "coil 2 3"), 1);
    /* one unit refuses, then dies: the other goes on */
    peer_do(&s.peer, "except 1 4");
    (void)fake_expect_value(s.host, fake_mark(s.host), a, 0, TG_QUALITY_DEVICE);
    peer_do(&s.peer, "except 1 0");
    peer_do(&s.peer, "dead 1");
    (void)fake_expect_state(s.host, fake_mark(s.host), a, TG_DEVICE_DOWN);
    (void)fake_expect_value(s.host, fake_mark(s.host), b, 0, TG_QUALITY_GOOD);
    size_t mark = fake_mark(s.host);
    peer_do(&s.peer, "alive 1");
    (void)fake_expect_state(s.host, mark, a, TG_DEVICE_OK);
    assert_true(fake_expect_value(s.host, mark, a, 0, TG_QUALITY_GOOD).value.as.real == 231.25);
    for (int i = 0; rtu && i < 4; i++) { /* late and damaged answers, to either meter: never a wrong value */
        mark = fake_mark(s.host);
        peer_do(&s.peer, i % 2 ? "damage" : "late 0.4");
        (void)fake_expect_value(s.host, mark, a, 0, TG_QUALITY_GOOD);
        (void)fake_expect_value(s.host, mark, b, 0, TG_QUALITY_GOOD);
    }
    fake_stop(s.host);
    for (size_t i = 0; i < fake_count(s.host); i++) {
        const struct fake_event *e = fake_at(s.host, i);
        if (e->kind != FAKE_VALUE || e->quality != TG_QUALITY_GOOD)
            continue;
        if (e->point == 0)
            assert_true(e->value.as.real == (e->device == a ? 231.25 : -0.5));
        if (e->point == 2 && e->device == a)
            assert_true(e->value.as.real == 12345.5);
    }
    end(&s);
}

static void tcp(void **state)
{
    (void)state;
    run(false);
}

static void rtu(void **state)
{
    (void)state;
    run(true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tcp), cmocka_unit_test(rtu)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
