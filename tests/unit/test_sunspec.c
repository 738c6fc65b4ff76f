/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "southbound/sunspec.h"

/* A unit with a chain at `base`; everything else is an illegal address. */
struct unit {
    uint32_t base;
    uint16_t registers[400];
    uint32_t count, reads;
};

static struct unit unit_at(uint32_t base)
{
    struct unit u = {.base = base, .registers = {0x5375, 0x6E53}, .count = 2};
    return u;
}

static void add_model(struct unit *u, uint16_t id, uint16_t length)
{
    u->registers[u->count++] = id;
    u->registers[u->count++] = length;
    u->count += id == 0xFFFF ? 0 : length;
    assert_in_range(u->count, 0, 400);
}

static struct tg_sunspec_walk walk(struct unit *u)
{
    struct tg_sunspec_walk w;
    uint16_t address, count;
    tg_sunspec_walk_begin(&w);
    while (tg_sunspec_walk_next(&w, &address, &count)) {
        assert_int_equal(count, 2);
        assert_in_range(++u->reads, 1, 200);
        if (address >= u->base && address + 2u <= u->base + u->count)
            tg_sunspec_walk_words(&w, &u->registers[address - u->base]);
        else
            tg_sunspec_walk_refused(&w);
    }
    return w;
}

static void resolve(const struct tg_sunspec_map *map, const char *text, uint16_t address, uint8_t type,
                    int32_t scale)
{
    struct tg_error err = {0};
    struct tg_sunspec_ref ref;
    struct tg_modbus_point p;
    int32_t at;
    tg_modbus_point_init(&p);
    p.type = TG_MODBUS_UINT16;
    if (tg_sunspec_parse(text, &ref, &err) < 0 || tg_sunspec_resolve(&ref, map, &p, &at, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(p.table, TG_MODBUS_HOLDING);
    assert_int_equal(p.address, address);
    assert_int_equal(p.type, type);
    assert_int_equal(at, scale);
}

static void refused(const struct tg_sunspec_map *map, const char *text, const char *why)
{
    struct tg_error err = {0};
    struct tg_sunspec_ref ref;
    struct tg_modbus_point p;
    int32_t at = 4711;
    tg_modbus_point_init(&p);
    p.type = TG_MODBUS_UINT32;
    assert_int_equal(tg_sunspec_parse(text, &ref, &err), TG_OK);
    assert_int_equal(tg_sunspec_resolve(&ref, map, &p, &at, &err), TG_ENOTFOUND);
    assert_non_null(strstr(err.text, why));
    assert_int_equal(at, 4711);
}

static void test_a_chain_is_walked(void **state)
{
    struct unit u = unit_at(40000);
    struct tg_sunspec_walk w;
    (void)state;
    add_model(&u, 1, 65);
    add_model(&u, 103, 50);
    add_model(&u, 203, 105);
    add_model(&u, 213, 124);
    add_model(&u, 0xFFFF, 0);
    w = walk(&u);
    assert_true(w.found);
    assert_null(w.trouble);
    assert_int_equal(w.map.count, 4);
    assert_int_equal(u.reads, 6);
    resolve(&w.map, "common/Md", 40002 + 18, TG_MODBUS_STRING, -1);
    resolve(&w.map, "inverter/W", 40069 + 14, TG_MODBUS_INT16, 40069 + 15);
    resolve(&w.map, "103/WH", 40069 + 24, TG_MODBUS_UINT32, 40069 + 26);
    resolve(&w.map, "inverter/St", 40069 + 38, TG_MODBUS_UINT16, -1);
    resolve(&w.map, "meter/TotWhImp", 40121 + 46, TG_MODBUS_UINT32, 40121 + 54);
    resolve(&w.map, "meter#2/W", 40228 + 28, TG_MODBUS_FLOAT32, -1);
    resolve(&w.map, "103/+40", 40069 + 40, TG_MODBUS_UINT16, -1);
    refused(&w.map, "meter#3/W", "no SunSpec model for meter");
    refused(&w.map, "160/+2", "no SunSpec model 160");
    refused(&w.map, "103/+51", "behind its end"); /* two registers, and 51 is the last */
}

static void test_other_places(void **state)
{
    static const uint32_t places[] = {50000, 0};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct unit u = unit_at(places[i]);
        struct tg_sunspec_walk w;
        add_model(&u, 1, 66);
        add_model(&u, 111, 60);
        add_model(&u, 0xFFFF, 0);
        w = walk(&u);
        assert_true(w.found);
        resolve(&w.map, "inverter/W", (uint16_t)(places[i] + 70 + 22), TG_MODBUS_FLOAT32, -1);
        resolve(&w.map, "inverter/St", (uint16_t)(places[i] + 70 + 48), TG_MODBUS_UINT16, -1);
    }
}

static void test_hostile_chains(void **state)
{
    struct unit none = {.base = 100, .count = 10}, nothing = unit_at(0), cut = unit_at(40000),
                loop = unit_at(40000), beyond = unit_at(50000), wrong = unit_at(40000);
    struct tg_sunspec_walk w;
    (void)state;
    w = walk(&none);
    assert_false(w.found);
    assert_non_null(strstr(w.trouble, "marker"));
    add_model(&nothing, 0xFFFF, 0);
    w = walk(&nothing);
    assert_false(w.found);
    assert_non_null(strstr(w.trouble, "empty"));
    add_model(&cut, 1, 66);
    add_model(&cut, 103, 50);
    w = walk(&cut); /* no end: what was found counts */
    assert_true(w.found);
    assert_int_equal(w.map.count, 2);
    assert_non_null(strstr(w.trouble, "refuses"));
    for (int i = 0; i < 150; i++)
        add_model(&loop, 7, 0);
    w = walk(&loop);
    assert_int_equal(w.map.count, TG_SUNSPEC_MAX_MODELS);
    assert_non_null(strstr(w.trouble, "more than 64"));
    beyond.registers[2] = 1;
    beyond.registers[3] = 15600;
    beyond.count = 4;
    w = walk(&beyond);
    assert_false(w.found);
    assert_non_null(strstr(w.trouble, "65535"));
    wrong.registers[1] = 0x6E54;
    w = walk(&wrong);
    assert_false(w.found);
}

static void test_a_short_model_has_no_point_behind_its_end(void **state)
{
    struct unit u = unit_at(40000);
    struct tg_sunspec_walk w;
    (void)state;
    add_model(&u, 101, 13); /* up to PhVphC and V_SF and W, without W_SF */
    add_model(&u, 0xFFFF, 0);
    w = walk(&u);
    resolve(&w.map, "inverter/PhVphA", 40002 + 10, TG_MODBUS_UINT16, 40002 + 13);
    refused(&w.map, "inverter/W", "behind its end");
    refused(&w.map, "inverter/WH", "behind its end");
}

static void test_wrong_addresses(void **state)
{
    static const char *const bad[] = {
        "",          "/",        "W",     "inverter", "inverter/",  "inverter/Watt", "inverters/W",
        "0/W",       "65535/+1", "103",   "103/WHX",  "meter#/W",   "meter#0/W",     "meter#65/W",
        "meter#x/W", "160/W",    "103/+", "103/+1x",  "103/+65536", "99999/W",       "-1/W"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tg_sunspec_ref ref;
        struct tg_error err = {0};
        if (tg_sunspec_parse(bad[i], &ref, &err) != TG_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_true(err.text[0] != '\0');
    }
}

/* Who has mistyped a name sees all that there are, whole. */
static void test_a_wrong_name_gets_the_right_ones(void **state)
{
    struct tg_sunspec_ref ref;
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(tg_sunspec_parse("inverter/Watt", &ref, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "are A, AphA, AphB, "));
    assert_non_null(strstr(err.text, "TmpOt, St, StVnd, and +N for register N of the model (its id is +0)"));
    assert_int_equal(tg_sunspec_parse("103/Watt", &ref, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "St, StVnd, and +N"));
    assert_int_equal(tg_sunspec_parse("160/Watt", &ref, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "are +N for"));
}

static void test_scale(void **state)
{
    struct tg_value v = tg_value_int(-2305);
    (void)state;
    assert_true(tg_sunspec_scale(&v, 0xFFFF)); /* −1 */
    assert_true(v.as.real == -230.5);
    v = tg_value_uint(12);
    assert_true(tg_sunspec_scale(&v, 3));
    assert_true(v.as.real == 12000);
    v = tg_value_uint(12);
    assert_false(tg_sunspec_scale(&v, 0x8000));
    assert_false(tg_sunspec_scale(&v, 11));
    assert_int_equal(v.as.uinteger, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_chain_is_walked),
                                       cmocka_unit_test(test_other_places),
                                       cmocka_unit_test(test_hostile_chains),
                                       cmocka_unit_test(test_a_short_model_has_no_point_behind_its_end),
                                       cmocka_unit_test(test_wrong_addresses),
                                       cmocka_unit_test(test_a_wrong_name_gets_the_right_ones),
                                       cmocka_unit_test(test_scale)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
