/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes, the commands `read` and `write`, and the check of points: a whole gatt_set against servers on socket pairs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/gatt_rig.h"

static void writes(void **state)
{
    (void)state;
    struct gatt_rig *r = gatt_rig_new("3");
    uint32_t d = gatt_rig_device(r, "a4c138000000");
    uint32_t p = gatt_rig_point(r, d, "setpoint", 60000, true);
    gatt_rig_set(r, d, p, "characteristic", "6e400002-b5a3-f393-e0a9-e50e24dcca9e");
    gatt_rig_set(r, d, p, "format", "s16le*0.1");
    gatt_rig_sensor(r, d);
    gatt_rig_start(r);
    gatt_rig_run(r, 1000);
    struct tg_value v = tg_value_real(21.5), large = tg_value_real(4000);
    assert_true(tg_gatt_write(r->set, 1, d, p, &v));
    gatt_rig_run(r, 0);
    assert_int_equal(gatt_rig_answer(r, 1)->status, TG_PLUGIN_OK);
    assert_memory_equal(att_server_at(&r->peers[d].server, RIG_SETPOINT)->value, "\xd7\x00", 2);
    gatt_rig_run(r, 1000);
    assert_true(gatt_rig_is(gatt_rig_last(r, RIG_VALUE, 0, (int)p), 21.5)); /* read back */
    assert_true(tg_gatt_write(r->set, 2, d, p, &large));
    assert_int_equal(gatt_rig_answer(r, 2)->status, TG_PLUGIN_EINVAL);
    assert_non_null(strstr(gatt_rig_answer(r, 2)->text, "does not fit"));
    att_server_at(&r->peers[d].server, RIG_SETPOINT)->write_error = 0x13;
    assert_true(tg_gatt_write(r->set, 3, d, p, &v));
    gatt_rig_run(r, 0);
    assert_int_equal(gatt_rig_answer(r, 3)->status, TG_PLUGIN_EDEVICE);
    assert_string_equal(gatt_rig_answer(r, 3)->text,
                        "{\"error\":\"the device refused: value not allowed\",\"att_error\":19}");
    /* Sent, and then the link breaks. */
    gatt_rig_run(r, 1000);
    r->peers[d].server.silent = true;
    assert_true(tg_gatt_write(r->set, 4, d, p, &v));
    gatt_rig_run(r, 100);
    assert_null(gatt_rig_answer(r, 4));
    r->peers[d].server.silent = false;
    gatt_rig_run(r, 40000);
    assert_int_equal(gatt_rig_answer(r, 4)->status,
                     TG_PLUGIN_ETIMEOUT); /* only the MTU was asked when it fell silent */
    /* Out of reach. */
    gatt_rig_run(r, 60000);
    r->peers[d].absent = true;
    assert_true(tg_gatt_write(r->set, 5, d, p, &v));
    gatt_rig_run(r, 30000);
    assert_int_equal(gatt_rig_answer(r, 5)->status, TG_PLUGIN_ETIMEOUT);
    assert_non_null(strstr(gatt_rig_answer(r, 5)->text, "no connection within 12 s"));
    gatt_rig_free(r);
}

static void a_write_of_unknown_outcome(void **state)
{
    (void)state;
    struct gatt_rig *r = gatt_rig_new("3");
    uint32_t d = gatt_rig_device(r, "a4c138000000");
    uint32_t p = gatt_rig_point(r, d, "setpoint", 5000, true);
    gatt_rig_set(r, d, p, "characteristic", "6e400002b5a3f393e0a9e50e24dcca9e");
    gatt_rig_set(r, d, p, "format", "u16");
    gatt_rig_sensor(r, d);
    gatt_rig_start(r);
    gatt_rig_run(r, 1000);
    assert_true(r->peers[d].fd >= 0);
    r->peers[d].server.silent = true;
    struct tg_value v = tg_value_uint(7);
    assert_true(tg_gatt_write(r->set, 1, d, p, &v));
    gatt_rig_run(r, 10);
    gatt_rig_drop(r, d);
    gatt_rig_run(r, 10);
    assert_int_equal(gatt_rig_answer(r, 1)->status, TG_PLUGIN_EUNKNOWN);
    gatt_rig_free(r);
}

static void commands(void **state)
{
    (void)state;
    struct gatt_rig *r = gatt_rig_new("3");
    uint32_t d = gatt_rig_device(r, "a4c138000000"); /* without a point: connected for the command only */
    gatt_rig_sensor(r, d);
    struct att_server *s = &r->peers[d].server;
    uint16_t plain = att_server_characteristic(s, "fff4", 0x04, "", 0);
    gatt_rig_start(r);
    gatt_rig_run(r, 1000);
    assert_int_equal(r->peers[d].attempts, 0);
    assert_false(tg_gatt_command(r->set, 1, d, "reboot", "{}"));
    assert_true(tg_gatt_command(r->set, 2, d, "read", "{\"characteristic\": \"temperature\"}"));
    assert_true(
        tg_gatt_command(r->set, 3, d, "write",
                        "{\"characteristic\": \"6e400002b5a3f393e0a9e50e24dcca9e\", \"hex\": \"0aFF\"}"));
    assert_true(
        tg_gatt_command(r->set, 4, d, "read",
                        "{\"characteristic\": \"6e400002b5a3f393e0a9e50e24dcca9e\", \"format\": \"u16be\"}"));
    assert_true(tg_gatt_command(r->set, 5, d, "write",
                                "{\"characteristic\": \"fff4\", \"value\": 5, \"format\": \"u8\"}"));
    assert_true(tg_gatt_command(r->set, 6, d, "read", "{\"characteristic\": \"fff9\"}"));
    assert_true(tg_gatt_command(r->set, 7, d, "read", "{\"characteristic\": \"zzz\"}"));
    assert_true(tg_gatt_command(r->set, 8, d, "write", "{\"characteristic\": \"fff4\"}"));
    assert_true(tg_gatt_command(r->set, 9, d, "write", "[]"));
    gatt_rig_run(r, 0);
    assert_string_equal(gatt_rig_answer(r, 2)->text,
                        "{\"handle\":3,\"hex\":\"0a09\",\"value\":23.140000000000001}");
    assert_string_equal(gatt_rig_answer(r, 3)->text, "{\"handle\":9,\"confirmed\":true}");
    assert_string_equal(gatt_rig_answer(r, 4)->text, "{\"handle\":9,\"hex\":\"0aff\",\"value\":2815}");
    assert_int_equal(gatt_rig_answer(r, 5)->status, TG_PLUGIN_OK);
    assert_memory_equal(att_server_at(s, plain)->value, "\x05", 1);
    assert_int_equal(gatt_rig_answer(r, 6)->status, TG_PLUGIN_EDEVICE);
    for (uint64_t i = 7; i <= 9; i++)
        assert_int_equal(gatt_rig_answer(r, i)->status, TG_PLUGIN_EINVAL);
    gatt_rig_run(r, 1000);
    assert_int_equal(r->peers[d].fd, -1);
    assert_int_equal(r->peers[d].connections, 1);
    assert_int_equal(gatt_rig_count(r, 0, RIG_STATE, 0, -1), 0);
    for (uint64_t i = 100; i < 117; i++)
        assert_true(tg_gatt_command(r->set, i, d, "read", "{\"characteristic\": \"2a19\"}"));
    assert_int_equal(gatt_rig_answer(r, 116)->status, TG_PLUGIN_EFULL);
    gatt_rig_free(r); /* answers what is left: the record is gone, the sanitizer sees */
}

static void commands_in_the_midst_of_discovery(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 20; at++) {
        struct gatt_rig *r = gatt_rig_new("1");
        uint32_t d = gatt_rig_device(r, "a4c138000000");
        gatt_rig_reads(r, d, "temperature", 0, "181a/temperature", NULL);
        gatt_rig_sensor(r, d);
        r->peers[d].server.own_mtu = 23;
        r->peers[d].command_at = at;
        gatt_rig_start(r);
        gatt_rig_run(r, 0);
        gatt_rig_tell(r, d, RIG_TEMPERATURE);
        gatt_rig_run(r, 1000);
        assert_true(gatt_rig_is(gatt_rig_last(r, RIG_VALUE, 0, 0), 23.14));
        if (r->peers[d].received >= at) {
            assert_non_null(gatt_rig_answer(r, 1));
            assert_string_equal(gatt_rig_answer(r, 1)->text, "{\"handle\":7,\"hex\":\"57\",\"value\":87}");
        }
        gatt_rig_free(r);
    }
}

static void checks(void **state)
{
    (void)state;
    static const struct {
        const char *characteristic, *format, *text;
        bool writable;
    } cases[] = {{"battery_level", NULL, NULL, false},
                 {"fff1", "u8", NULL, true},
                 {"fff1", NULL, "needs `format`", false},
                 {"batery", NULL, "no characteristic", false},
                 {"18/2a19", NULL, "no UUID of a service", false},
                 {"fff1", "u8*", "the factor", false},
                 {"fff1", "u8@1", "can only be read", true},
                 {"heart_rate_measurement", NULL, "can only be read", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[RIG_TEXT];
        struct gatt_rig *r = gatt_rig_new("3");
        uint32_t d = gatt_rig_device(r, "a4c138000000");
        uint32_t p = gatt_rig_reads(r, d, "point", 0, cases[i].characteristic, cases[i].format);
        r->points[d][p].writable = cases[i].writable;
        int rc = gatt_rig_check(r, d, p, error);
        if (cases[i].text && (rc == 0 || !strstr(error, cases[i].text)))
            fail_msg("case %zu: %d \"%s\"", i, rc, error);
        if (!cases[i].text && rc != 0)
            fail_msg("case %zu: %s", i, error);
        gatt_rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes),   cmocka_unit_test(a_write_of_unknown_outcome),
        cmocka_unit_test(commands), cmocka_unit_test(commands_in_the_midst_of_discovery),
        cmocka_unit_test(checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
