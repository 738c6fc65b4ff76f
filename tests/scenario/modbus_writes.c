/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes and commands: what arrives at the device, what the caller is told, and that nothing is written
 * twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/modbus_stage.h"

#define TIMEOUT "600ms" /* the peer, a script, answers in that time on a busy machine too */

enum { WORD, REAL, BIT, COIL, INPUT, TEXT, HALF };

static uint32_t writable_device(struct fake_host *h, unsigned unit)
{
    static const char *const points[][3] = {
        {"word", "holding:10", "uint16"}, {"real", "holding:20", "float32"}, {"bit", "holding:30.3", "bool"},
        {"coil", "coil:6", "bool"},       {"input", "input:40", "uint16"},   {"text", "holding:50", "string"},
        {"half", "holding:60", "uint8"}};
    uint32_t d = stage_device(h, unit, 0, 0, 1, 0);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        uint32_t p = fake_point(h, d, points[i][0], 20);
        fake_point_set(h, d, p, "address", points[i][1]);
        fake_point_set(h, d, p, "type", points[i][2]);
        if (p == REAL)
            fake_point_set(h, d, p, "order", "CDAB");
        if (p == TEXT)
            fake_point_set(h, d, p, "length", "8");
        if (p == HALF)
            fake_point_set(h, d, p, "half", "high");
        if (p != INPUT)
            fake_point_writable(h, d, p);
    }
    return d;
}

static struct tg_value value_after(struct fake_host *h, uint64_t request, uint32_t d, uint32_t point,
                                   struct fake_event *e)
{
    struct fake_event answer = fake_expect_answer(h, request);
    assert_int_equal(answer.status, 0);
    /* Two turns later the value read is younger than the write. */
    size_t from = fake_mark(h);
    (void)fake_expect_value(h, from, d, point, TG_QUALITY_GOOD);
    *e = fake_expect_value(h, fake_mark(h), d, point, TG_QUALITY_GOOD);
    return e->value;
}

static void read_back(enum stage_transport transport, bool only_multiple)
{
    struct stage s;
    struct fake_event e;
    struct tg_value v;
    stage_begin(&s, transport, "1s");
    uint32_t d = writable_device(s.host, 1);
    if (only_multiple)
        fake_device_set(s.host, d, "only_multiple", "true");
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, WORD, TG_QUALITY_GOOD);
    fake_write(s.host, 1, d, WORD, tg_value_real(215.00000000000003)); /* as scaling leaves it */
    v = value_after(s.host, 1, d, WORD, &e);
    assert_int_equal(v.as.uinteger, 215);
    fake_write(s.host, 2, d, REAL, tg_value_real(-21.5));
    v = value_after(s.host, 2, d, REAL, &e);
    assert_true(v.as.real >= -21.5 && v.as.real <= -21.5);
    fake_write(s.host, 3, d, BIT,
               tg_value_bool(false)); /* 1030 = 0x406: bit 3 is clear, set it and clear it */
    v = value_after(s.host, 3, d, BIT, &e);
    assert_false(v.as.boolean);
    fake_write(s.host, 4, d, BIT, tg_value_bool(true));
    v = value_after(s.host, 4, d, BIT, &e);
    assert_true(v.as.boolean);
    fake_write(s.host, 5, d, COIL, tg_value_bool(true));
    v = value_after(s.host, 5, d, COIL, &e);
    assert_true(v.as.boolean);
    fake_write(s.host, 6, d, TEXT, tg_value_text("pump 7", 6));
    (void)value_after(s.host, 6, d, TEXT, &e);
    assert_string_equal(e.text, "pump 7");
    fake_write(s.host, 7, d, HALF, tg_value_uint(0xAB));
    v = value_after(s.host, 7, d, HALF, &e);
    assert_int_equal(v.as.uinteger, 0xAB);
    assert_int_equal(stage_requests(&s, 1, 22), 3);
    assert_int_equal(stage_requests(&s, 1, 6), only_multiple ? 0 : 1);
    assert_int_equal(stage_requests(&s, 1, 5), only_multiple ? 0 : 1);
    assert_int_equal(stage_requests(&s, 1, 16), only_multiple ? 3 : 2);
    assert_int_equal(stage_requests(&s, 1, 15), only_multiple ? 1 : 0);
    stage_end(&s);
}

static void tcp(void **state)
{
    (void)state;
    read_back(STAGE_TCP, false);
    read_back(STAGE_TCP, true);
}

static void rtu(void **state)
{
    (void)state;
    read_back(STAGE_RTU, false);
}

static void refusals(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = writable_device(s.host, 1);
    fake_start(s.host);
    fake_write(s.host, 1, d, WORD, tg_value_int(-1));
    struct fake_event e = fake_expect_answer(s.host, 1);
    assert_int_equal(e.status, TG_PLUGIN_EINVAL);
    assert_string_equal(e.text, "{\"error\":\"-1 does not fit uint16, which holds 0 to 65535\"}");
    fake_write(s.host, 2, d, INPUT, tg_value_int(1));
    assert_int_equal(fake_expect_answer(s.host, 2).status, TG_PLUGIN_EINVAL);
    fake_write(s.host, 3, d, 99, tg_value_int(1));
    assert_int_equal(fake_expect_answer(s.host, 3).status, TG_PLUGIN_EINVAL);
    fake_write(s.host, 4, d, TEXT, tg_value_text("too long for it", 15));
    assert_int_equal(fake_expect_answer(s.host, 4).status, TG_PLUGIN_EINVAL);
    peer_do(&s.peer, "lie 1 exception:3");
    fake_write(s.host, 5, d, WORD, tg_value_int(1));
    e = fake_expect_answer(s.host, 5);
    assert_int_equal(e.status, TG_PLUGIN_EDEVICE);
    assert_string_equal(e.text, "{\"exception\":3,\"name\":\"illegal_data_value\",\"error\":"
                                "\"the device refused it: exception 3, illegal data value\"}");
    assert_int_equal(stage_requests(&s, 1, 6), 1);
    stage_end(&s);
}

/* A writable point that is read once an hour: what is read sooner is the verification. */
static uint32_t quiet_point(struct stage *s, enum stage_transport transport)
{
    stage_begin(s, transport, TIMEOUT);
    uint32_t d = stage_device(s->host, 1, 1, 10, 1, 3600000);
    fake_point_writable(s->host, d, 0);
    fake_start(s->host);
    (void)fake_expect_value(s->host, 0, d, 0, TG_QUALITY_GOOD);
    return d;
}

/* The device takes the value but its answer is lost, wrong or late: it is read back, found there, and was written
 * once. */
static void verified(enum stage_transport transport)
{
    static const char *const lies[] = {"silent", "wrongecho", "late:1", "half", NULL};
    for (size_t i = 0; lies[i]; i++) {
        struct stage s;
        uint32_t d = quiet_point(&s, transport);
        size_t mark = fake_mark(s.host);
        peer_do(&s.peer, "lie 1 %s 1", lies[i]);
        fake_write(s.host, 1, d, 0, tg_value_int(4242));
        struct fake_event e = fake_expect_answer(s.host, 1);
        assert_string_equal(
            e.text, "{\"function\":6,\"address\":10,\"count\":1,\"words\":[\"1092\"],\"verified\":true}");
        assert_int_equal(e.status, TG_PLUGIN_OK);
        e = fake_expect_value(s.host, mark, d, 0, TG_QUALITY_GOOD);
        assert_int_equal(e.value.as.uinteger, 4242);
        assert_int_equal(stage_requests(&s, 1, 6), 1);
        stage_end(&s);
    }
}

/* It did not take it, or does not say: unknown, with what is there. Never is it sent again. */
static void outcome_unknown(enum stage_transport transport)
{
    struct stage s;
    uint32_t d = quiet_point(&s, transport);
    peer_do(&s.peer, "lie 1 deaf 1");
    fake_write(s.host, 1, d, 0, tg_value_int(4242));
    struct fake_event e = fake_expect_answer(s.host, 1);
    assert_int_equal(e.status, TG_PLUGIN_EUNKNOWN);
    assert_non_null(
        strstr(e.text, "no answer in 600 ms; read back, the device has 03F2 there, not what was written"));
    peer_do(&s.peer, "lie 1 silent");
    fake_write(s.host, 2, d, 0, tg_value_int(4243));
    e = fake_expect_answer(s.host, 2);
    assert_int_equal(e.status, TG_PLUGIN_EUNKNOWN);
    assert_non_null(strstr(e.text, "it is not known whether the value was taken"));
    assert_int_equal(stage_requests(&s, 1, 6), 2);
    stage_end(&s);
}

/* The late answer to an earlier read comes while a write is being verified: it is not taken for what stands there now. */
static void late_answer_is_no_verification(void **state)
{
    (void)state;
    struct stage s;
    uint32_t d = quiet_point(&s, STAGE_RTU);
    peer_do(&s.peer, "lie 1 late:2.6 1");
    fake_command(s.host, 1, d, "read", "{\"address\":\"holding:10\"}");
    assert_int_not_equal(fake_expect_answer(s.host, 1).status, TG_PLUGIN_OK);
    peer_do(&s.peer, "lie 1 silent 2"); /* the write, and what follows it; the late answer comes then */
    fake_write(s.host, 2, d, 0, tg_value_int(4242));
    struct fake_event e = fake_expect_answer(s.host, 2);
    assert_int_equal(e.status, TG_PLUGIN_EUNKNOWN);
    if (!strstr(e.text, "it is not known whether the value was taken"))
        fail_msg("%s", e.text);
    assert_int_equal(stage_requests(&s, 1, 6), 1);
    stage_end(&s);
}

/* Of a bit only the bit is looked at: the others are the device's own. One that was not taken is told. */
static void verified_mask(enum stage_transport transport)
{
    struct stage s;
    stage_begin(&s, transport, TIMEOUT);
    uint32_t d = stage_device(s.host, 1, 0, 0, 1, 0);
    uint32_t p = fake_point(s.host, d, "bit", 3600000);
    fake_point_set(s.host, d, p, "address", "holding:30.4"); /* 1030 = 0x0406 */
    fake_point_writable(s.host, d, p);
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, p, TG_QUALITY_GOOD);
    size_t mark = fake_mark(s.host);
    peer_do(&s.peer, "lie 1 silent 1");
    fake_write(s.host, 1, d, p, tg_value_bool(true));
    struct fake_event e = fake_expect_answer(s.host, 1);
    assert_int_equal(e.status, TG_PLUGIN_OK);
    assert_non_null(strstr(e.text, "\"verified\":true"));
    (void)fake_expect_value(s.host, mark, d, p, TG_QUALITY_GOOD); /* else it would be the next request */
    peer_do(&s.peer, "lie 1 deaf 1");
    fake_write(s.host, 2, d, p, tg_value_bool(false));
    e = fake_expect_answer(s.host, 2);
    assert_int_equal(e.status, TG_PLUGIN_EUNKNOWN);
    assert_non_null(strstr(e.text, "read back, the device has 0416 there, not what was written"));
    assert_int_equal(stage_requests(&s, 1, 22), 2);
    stage_end(&s);
}

static void verified_mask_tcp(void **state)
{
    (void)state;
    verified_mask(STAGE_TCP);
}

static void verified_mask_rtu(void **state)
{
    (void)state;
    verified_mask(STAGE_RTU);
}

static void verified_tcp(void **state)
{
    (void)state;
    verified(STAGE_TCP);
}

static void verified_rtu(void **state)
{
    (void)state;
    verified(STAGE_RTU);
}

/* A device without function 22: the register is read, changed in the one place, and written; it is asked for 22 once. */
static void no_mask_write(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = stage_device(s.host, 1, 0, 0, 1, 0);
    uint32_t p = fake_point(s.host, d, "field", 3600000);
    fake_point_set(s.host, d, p, "address", "holding:30.4-7"); /* 1030 = 0x0406 */
    fake_point_writable(s.host, d, p);
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, p, TG_QUALITY_GOOD);
    for (uint64_t i = 1; i <= 2; i++) {
        size_t mark = fake_mark(s.host);
        if (i == 1)
            peer_do(&s.peer, "lie 1 exception:1 1");
        fake_write(s.host, i, d, p, tg_value_uint(9 + i));
        assert_int_equal(fake_expect_answer(s.host, i).status, TG_PLUGIN_OK);
        assert_int_equal(fake_expect_value(s.host, mark, d, p, TG_QUALITY_GOOD).value.as.uinteger, 9 + i);
    }
    assert_int_equal(stage_requests(&s, 1, 22), 1);
    assert_int_equal(stage_requests(&s, 1, 6), 2);
    fake_command(s.host, 9, d, "read", "{\"address\":\"holding:30\"}");
    assert_non_null(
        strstr(fake_expect_answer(s.host, 9).text, "\"04B6\"")); /* the other bits are as they were */
    stage_end(&s);
}

/* A turn of many slow requests does not hold up a write: it goes after the request that is on the line. */
static void writes_go_first(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "5s");
    uint32_t d = stage_device(s.host, 1, 20, 10, 7, 20);
    fake_point_writable(s.host, d, 0);
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, 19, TG_QUALITY_GOOD);
    peer_do(&s.peer, "lie 1 late:0.1");
    size_t before = stage_requests(&s, 1, 3);
    fake_write(s.host, 1, d, 0, tg_value_int(7));
    assert_int_equal(fake_expect_answer(s.host, 1).status, TG_PLUGIN_OK);
    json_t *log = peer_say(&s.peer, "log"), *entry;
    size_t i, reads = 0;
    json_array_foreach(json_object_get(log, "log"), i, entry)
    {
        if (json_integer_value(json_array_get(entry, 1)) == 6)
            break;
        reads += json_integer_value(json_array_get(entry, 1)) == 3;
    }
    json_decref(log);
    assert_in_range(reads, before, before + 10); /* far less than the rest of a turn and the next */
    stage_end(&s);
}

/* A device without function 16: one register after the other, in order. */
static void only_single(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = writable_device(s.host, 1);
    fake_device_set(s.host, d, "only_single", "true");
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, WORD, TG_QUALITY_GOOD);
    fake_write(s.host, 1, d, REAL, tg_value_real(-21.5));
    struct fake_event e;
    struct tg_value v = value_after(s.host, 1, d, REAL, &e);
    assert_true(v.as.real >= -21.5 && v.as.real <= -21.5);
    assert_int_equal(stage_requests(&s, 1, 6), 2);
    assert_int_equal(stage_requests(&s, 1, 16), 0);
    stage_end(&s);
}

static void unknown_tcp(void **state)
{
    (void)state;
    outcome_unknown(STAGE_TCP);
}

static void unknown_rtu(void **state)
{
    (void)state;
    outcome_unknown(STAGE_RTU);
}

/* Unit 0 on a serial bus: nobody answers, and that is success. */
static void broadcast(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_RTU, "10s");
    uint32_t all = writable_device(s.host, 0), one = stage_device(s.host, 5, 1, 10, 1, 20);
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, one, 0, TG_QUALITY_GOOD);
    fake_write(s.host, 1, all, WORD, tg_value_int(77));
    struct fake_event e = fake_expect_answer(s.host, 1);
    assert_int_equal(e.status, 0);
    assert_null(strstr(e.text, "verified")); /* there is nobody to ask */
    /* A turn that was under way may be told behind the write. */
    (void)fake_expect_value(s.host, fake_mark(s.host), one, 0, TG_QUALITY_GOOD);
    e = fake_expect_value(s.host, fake_mark(s.host), one, 0, TG_QUALITY_GOOD);
    assert_int_equal(e.value.as.uinteger, 77);
    assert_int_equal(stage_requests(&s, 0, 3) + stage_requests(&s, 0, 4), 0); /* and it is never read */
    stage_end(&s);
}

static void read_command(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = writable_device(s.host, 1);
    fake_start(s.host);
    fake_command(s.host, 1, d, "read", "{\"address\":\"holding:100\"}");
    struct fake_event e = fake_expect_answer(s.host, 1);
    assert_int_equal(e.status, 0);
    assert_string_equal(e.text, "{\"value\":1100,\"quality\":\"good\",\"words\":[\"044C\"]}");
    fake_command(s.host, 2, d, "read", "{\"address\":\"input:0\",\"type\":\"uint32\",\"order\":\"CDAB\"}");
    e = fake_expect_answer(s.host, 2);
    assert_string_equal(e.text, "{\"value\":65602536,\"quality\":\"good\",\"words\":[\"03E8\",\"03E9\"]}");
    static const char *const wrong[] = {"",
                                        "{}",
                                        "{\"address\":\"nowhere:1\"}",
                                        "{\"address\":\"holding:1\",\"typ\":\"int16\"}",
                                        "[1]",
                                        "{\"address\":\"coil:1\",\"type\":\"float32\"}",
                                        "{\"address\":\"holding:1\",\"type\":\"string\",\"length\":100000}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fake_command(s.host, 10 + i, d, "read", wrong[i]);
        e = fake_expect_answer(s.host, 10 + i);
        assert_int_equal(e.status, TG_PLUGIN_EINVAL);
        assert_non_null(strstr(e.text, "{\"error\":\""));
    }
    fake_command(s.host, 30, d, "explode", "{}");
    assert_int_equal(fake_expect_answer(s.host, 30).status, TG_PLUGIN_EUNSUPPORTED);
    stage_end(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp),
        cmocka_unit_test(rtu),
        cmocka_unit_test(refusals),
        cmocka_unit_test(unknown_tcp),
        cmocka_unit_test(unknown_rtu),
        cmocka_unit_test(broadcast),
        cmocka_unit_test(read_command),
        cmocka_unit_test(verified_tcp),
        cmocka_unit_test(verified_rtu),
        cmocka_unit_test(only_single),
        cmocka_unit_test(no_mask_write),
        cmocka_unit_test(writes_go_first),
        cmocka_unit_test(late_answer_is_no_verification),
        cmocka_unit_test(verified_mask_tcp),
        cmocka_unit_test(verified_mask_rtu),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
