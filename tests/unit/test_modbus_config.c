/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the plugin says about a configuration: which option is at fault, and why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/settings.h"
#include "support/fake_host.h"

struct option {
    const char *name, *text;
};

static void points(void **state)
{
    (void)state;
    static const struct {
        struct option device[2], point[3];
        bool writable;
        const char *fault, *text;
    } cases[] = {
        {{{0}}, {{"address", "holding:1"}}, true, NULL, ""},
        {{{0}}, {{"address", "holding:1.3"}}, true, NULL, ""},
        {{{0}}, {{"address", "holding:1"}, {"bit", "3"}}, true, NULL, ""},
        {{{0}}, {{"address", "holding:1"}, {"type", "int16+sf"}}, false, NULL, ""},
        {{{0}}, {{"address", "40001"}}, true, NULL, ""},
        {{{0}}, {{"address", "30001"}}, true, "address", "writable: input cannot be written"},
        {{{"address_base", "0"}}, {{"address", "40001"}}, false, "address", "is ambiguous"},
        {{{0}}, {{"address", "holding:40001"}}, false, "address", "is ambiguous"},
        {{{"address_base", "1"}}, {{"address", "holding:40001"}}, false, NULL, ""},
        {{{"address_base", "1"}},
         {{"address", "holding:0"}},
         false,
         "address",
         "allowed is 1 to 65536 (0x1 to 0x10000), because address_base is 1"},
        {{{0}}, {{"address", "holding:5.3-7"}}, true, NULL, ""},
        {{{0}},
         {{"address", "holding:5.3-7"}, {"type", "bool"}},
         false,
         "type",
         "a field of 5 bits is a uint16"},
        {{{0}}, {{"address", "holding:1.3"}, {"bit", "4"}}, false, "bit", "names a bit already"},
        {{{0}}, {{"address", "coil:1"}, {"bit", "4"}}, false, "bit", "a coil is one bit already"},
        {{{0}}, {{"address", "coil:1"}, {"type", "int16"}}, false, "type", "a coil is a bool, not int16"},
        {{{0}}, {{"address", "holding:1"}, {"type", "string"}}, false, "length", "needs a length"},
        {{{0}}, {{"address", "holding:1"}, {"length", "3"}}, false, "length", "for strings only"},
        {{{0}}, {{"address", "holding:65535"}, {"type", "float64"}}, false, "address", "beyond 65535"},
        {{{"max_count", "3"}},
         {{"address", "holding:1"}, {"type", "float64"}},
         false,
         "address",
         "max_count is 3"},
        {{{0}}, {{"address", "input:1"}}, true, "address", "writable: input cannot be written"},
        {{{0}}, {{"address", "holding:1"}, {"type", "uint16+sf"}}, true, "address", "cannot be written"},
        {{{0}},
         {{"address", "holding:1"}, {"type", "string"}, {"length", "250"}},
         true,
         "address",
         "one write carries"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host *h = fake_host_new("modbus");
        char error[FAKE_TEXT];
        const char *fault = NULL;
        uint32_t d = fake_device(h, "d"), p = fake_point(h, d, "p", 1000);
        for (size_t k = 0; k < 2 && cases[i].device[k].name; k++)
            fake_device_set(h, d, cases[i].device[k].name, cases[i].device[k].text);
        for (size_t k = 0; k < 3 && cases[i].point[k].name; k++)
            fake_point_set(h, d, p, cases[i].point[k].name, cases[i].point[k].text);
        if (cases[i].writable)
            fake_point_writable(h, d, p);
        int rc = fake_check(h, d, p, &fault, error);
        if (!cases[i].fault) {
            if (rc != 0)
                fail_msg("case %zu: %s", i, error);
        } else {
            assert_int_equal(rc, TG_PLUGIN_EINVAL);
            assert_string_equal(fault, cases[i].fault);
            if (!strstr(error, cases[i].text))
                fail_msg("case %zu: %s", i, error);
        }
        fake_host_free(h);
    }
}

static void sentinel_is_checked(void **state)
{
    (void)state;
    struct fake_host *h = fake_host_new("modbus");
    char error[FAKE_TEXT];
    const char *fault = NULL;
    uint32_t d = fake_device(h, "d"), p = fake_point(h, d, "p", 1000);
    fake_point_set(h, d, p, "address", "holding:1");
    fake_point_append(h, d, p, "sentinel", "8000");
    fake_point_append(h, d, p, "sentinel", "nix");
    assert_int_equal(fake_check(h, d, p, &fault, error), TG_PLUGIN_EINVAL);
    assert_string_equal(fault, "sentinel");
    assert_non_null(strstr(error, "sentinel \"nix\" is no register content"));
    fake_host_free(h);
}

/* One that the value cannot have would let what it means pass for a reading. */
static void sentinel_fits_its_value(void **state)
{
    (void)state;
    static const struct {
        struct option point[3];
        const char *sentinel, *text;
    } cases[] = {
        {{{"address", "holding:1"}, {"type", "int16"}}, "8000", NULL},
        {{{"address", "holding:1"}, {"type", "int16"}},
         "FFFF8000",
         "FFFF8000 never stands there: the value has 16 bits"},
        {{{"address", "holding:1"}, {"type", "int32"}}, "80000000", NULL},
        {{{"address", "holding:1"}, {"type", "int32"}}, "180000000", "at most 8 hexadecimal digits"},
        {{{"address", "holding:1"}, {"type", "uint64"}}, "FFFFFFFFFFFFFFFF", NULL},
        {{{"address", "holding:1"}, {"type", "int8"}}, "80", NULL},
        {{{"address", "holding:1"}, {"type", "int8"}}, "FF80", "the value has 8 bits"},
        {{{"address", "holding:1.4-7"}}, "F", NULL},
        {{{"address", "holding:1.4-7"}}, "FF", "the value has 4 bits, so at most 1 hexadecimal digits"},
        {{{"address", "holding:1"}, {"type", "string"}, {"length", "8"}}, "0", "a string has no sentinel"},
        {{{"address", "coil:1"}}, "1", "a coil has no sentinel"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host *h = fake_host_new("modbus");
        char error[FAKE_TEXT];
        const char *fault = NULL;
        uint32_t d = fake_device(h, "d"), p = fake_point(h, d, "p", 1000);
        for (size_t k = 0; k < 3 && cases[i].point[k].name; k++)
            fake_point_set(h, d, p, cases[i].point[k].name, cases[i].point[k].text);
        fake_point_append(h, d, p, "sentinel", cases[i].sentinel);
        int rc = fake_check(h, d, p, &fault, error);
        if (cases[i].text ? rc != TG_PLUGIN_EINVAL || !strstr(error, cases[i].text) : rc != 0)
            fail_msg("case %zu: %s", i, error);
        if (cases[i].text)
            assert_string_equal(fault, "sentinel");
        fake_host_free(h);
    }
}

/* What only a serial port has is refused where there is none, and not passed over. */
static void lines(void **state)
{
    (void)state;
    static const struct {
        const char *transport, *option, *value;
        bool good;
    } cases[] = {{"tcp", "rs485", "true", false},  {"tcp", "baud", "19200", false},
                 {"tcp", "parity", "even", false}, {"rtu-over-tcp", "stop_bits", "2", false},
                 {"tcp", "baud", "9600", true},    {"rtu", "rs485", "true", true},
                 {"rtu", "baud", "19200", true},   {"rtu", "parity", "even", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host *h = fake_host_new("modbus");
        char error[FAKE_TEXT];
        const char *fault = NULL;
        fake_source_set(h, "transport", cases[i].transport);
        fake_source_set(h, "host", "127.0.0.1");
        fake_source_set(h, cases[i].option, cases[i].value);
        if (strcmp(cases[i].transport, "rtu") == 0)
            fake_source_set(h, "port", "/dev/ttyS0");
        int rc = fake_check_source(h, &fault, error);
        if (cases[i].good ? rc != 0 : rc != TG_PLUGIN_EINVAL || !strstr(error, "belongs to a serial port"))
            fail_msg("case %zu: %s", i, error);
        if (!cases[i].good)
            assert_string_equal(fault, cases[i].option);
        fake_host_free(h);
    }
}

/* Two values that are shifted against each other are told when the source is opened; one inside the other is not. */
static void overlaps(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *told;
    } cases[] = {
        {"holding:10", "holding:11",
         "device d: points a (holding:10 to 11) and b (11 to 12) have registers in common"},
        {"holding:11", "holding:10",
         "device d: points b (holding:10 to 11) and a (11 to 12) have registers in common"},
        {"holding:10", "holding:12", NULL},
        {"holding:10", "holding:10", NULL},
        {"holding:10", "input:11", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host *h = fake_host_new("modbus");
        char error[FAKE_TEXT];
        fake_source_set(h, "host", "127.0.0.1");
        uint32_t d = fake_device(h, "d");
        const char *const at[] = {cases[i].a, cases[i].b, "holding:10"};
        for (size_t k = 0; k < 3; k++) {
            uint32_t p = fake_point(h, d, k == 0 ? "a" : k == 1 ? "b" : "word", 1000);
            fake_point_set(h, d, p, "address", at[k]);
            fake_point_set(h, d, p, "type", k < 2 ? "float32" : "uint16");
        }
        assert_int_equal(fake_open(h, error), 0);
        size_t told = 0;
        for (size_t k = 0; k < fake_count(h); k++)
            told += fake_at(h, k)->kind == FAKE_LOG &&
                    strstr(fake_at(h, k)->text, "have registers in common") &&
                    (!cases[i].told || strstr(fake_at(h, k)->text, cases[i].told));
        if (told != (cases[i].told ? 1 : 0))
            fail_msg("case %zu: told %zu times", i, told);
        fake_host_free(h);
    }
}

static void sources(void **state)
{
    (void)state;
    static const struct {
        struct option source[3];
        const char *no_read, *text;
    } cases[] = {
        {{{"host", "127.0.0.1"}}, "8-11", NULL},
        {{{"host", "127.0.0.1"}}, "input:0x10-0x1F", NULL},
        {{{"host", "127.0.0.1"}, {"port", "1502"}}, "holding:7", NULL},
        {{{0}}, NULL, "transport tcp needs host"},
        {{{"host", "127.0.0.1"}, {"port", "/dev/ttyUSB0"}}, NULL, "is no TCP port: allowed are 1 to 65535"},
        {{{"host", "127.0.0.1"}, {"port", "0"}}, NULL, "is no TCP port"},
        {{{"host", "127.0.0.1"}, {"port", "65536"}}, NULL, "is no TCP port"},
        {{{"transport", "rtu"}}, NULL, "transport rtu needs port: the path of a serial port"},
        {{{"transport", "rtu"}, {"port", "502"}},
         NULL,
         "\"502\" is no path of a serial port, like /dev/ttyUSB0"},
        {{{"host", "127.0.0.1"}}, "11-8", "device d: no_read entry \"11-8\" is no range"},
        {{{"host", "127.0.0.1"}}, "foo:8", "is no range"},
        {{{"host", "127.0.0.1"}}, "1-70000", "is no range"},
        {{{"host", "127.0.0.1"}}, "-1", "is no range"},
        {{{"host", "127.0.0.1"}}, "", "is no range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host *h = fake_host_new("modbus");
        char error[FAKE_TEXT];
        uint32_t d = fake_device(h, "d");
        if (cases[i].no_read)
            fake_device_append(h, d, "no_read", cases[i].no_read);
        for (size_t k = 0; k < 3 && cases[i].source[k].name; k++)
            fake_source_set(h, cases[i].source[k].name, cases[i].source[k].text);
        int rc = fake_open(h, error);
        if (!cases[i].text && rc != 0)
            fail_msg("case %zu: %s", i, error);
        if (cases[i].text) {
            assert_int_equal(rc, TG_PLUGIN_EINVAL);
            if (!strstr(error, cases[i].text))
                fail_msg("case %zu: %s", i, error);
        }
        fake_host_free(h);
    }
}

static void devices(void **state)
{
    (void)state;
    static const struct {
        struct option device[2];
        const char *no_read, *text, *fault;
    } cases[] = {
        {{{"only_multiple", "true"}, {"only_single", "true"}}, NULL, "exclude each other", "only_single"},
        {{{"unit", "250"}}, NULL, "unit 250 is reserved: allowed are 0 to 247 and 255", "unit"},
        {{{"unit", "255"}}, NULL, NULL, NULL},
        {{{0}}, "11-8", "no_read entry \"11-8\" is no range", "no_read"},
        {{{"address_base", "1"}}, "1-65536", NULL, NULL},
        {{{"address_base", "1"}}, "0-5", "addresses from 1 to 65536", "no_read"},
        {{{"address_base", "0"}}, "1-65536", "addresses from 0 to 65535", "no_read"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host *h = fake_host_new("modbus");
        char error[FAKE_TEXT] = "";
        const char *fault = NULL;
        fake_source_set(h, "host", "127.0.0.1");
        uint32_t d = fake_device(h, "d");
        for (size_t k = 0; k < 2 && cases[i].device[k].name; k++)
            fake_device_set(h, d, cases[i].device[k].name, cases[i].device[k].text);
        if (cases[i].no_read)
            fake_device_append(h, d, "no_read", cases[i].no_read);
        int rc = fake_check_device(h, d, &fault, error); /* so `tidegate check` says it */
        if (cases[i].text ? !strstr(error, cases[i].text) : rc != 0)
            fail_msg("case %zu: %s", i, error);
        if (cases[i].fault)
            assert_string_equal(fault, cases[i].fault);
        rc = fake_open(h, error);
        if (cases[i].text ? !strstr(error, cases[i].text) : rc != 0)
            fail_msg("case %zu: %s", i, error);
        fake_host_free(h);
    }
}

static void too_many_intervals(void **state)
{
    (void)state;
    struct fake_host *h = fake_host_new("modbus");
    char error[FAKE_TEXT];
    fake_source_set(h, "host", "127.0.0.1");
    uint32_t d = fake_device(h, "d");
    for (int i = 0; i < 33; i++)
        fake_point_set(h, d, fake_point(h, d, "p", 1000 + i), "address", "holding:1");
    assert_int_equal(fake_open(h, error), TG_PLUGIN_EINVAL);
    assert_string_equal(error, "device d has more than 32 different intervals");
    fake_host_free(h);
}

/* libmodbus sets 9600 for a speed that it does not know and says nothing: each offered one is really set,
 * others are not offered. */
static void speeds(void **state)
{
    (void)state;
    struct fake_host *probe = fake_host_new("modbus");
    const struct tg_option *o = fake_plugin(probe)->source_options;
    while (strcmp(o->name, "baud") != 0)
        o++;
    struct tg_settings *s = tg_settings_new(fake_plugin(probe)->source_options);
    static const char *const unknown[] = {"14400", "128000", "250000", "0", "9601"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        struct tg_error err = {0};
        assert_true(tg_settings_set(s, "baud", unknown[i], NULL, (struct tg_settings_position){1, 1}, &err) <
                    0);
    }
    tg_settings_free(s);
    for (size_t i = 0; o->choices[i]; i++) {
        int master, slave;
        char path[64], error[FAKE_TEXT];
        struct termios t;
        assert_int_equal(openpty(&master, &slave, path, NULL, NULL), 0);
        struct fake_host *h = fake_host_new("modbus");
        fake_source_set(h, "transport", "rtu");
        fake_source_set(h, "port", path);
        fake_source_set(h, "baud", o->choices[i]);
        (void)fake_device(h, "d");
        assert_int_equal(fake_open(h, error), 0);
        (void)fake_poll(h);
        assert_int_equal(tcgetattr(slave, &t), 0);
        if ((cfgetospeed(&t) == B9600) != (strcmp(o->choices[i], "9600") == 0))
            fail_msg("%s is not set", o->choices[i]);
        fake_host_free(h);
        close(slave);
        close(master);
    }
    fake_host_free(probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(points),  cmocka_unit_test(sentinel_is_checked),
                                       cmocka_unit_test(sources), cmocka_unit_test(sentinel_fits_its_value),
                                       cmocka_unit_test(lines),   cmocka_unit_test(overlaps),
                                       cmocka_unit_test(devices), cmocka_unit_test(too_many_intervals),
                                       cmocka_unit_test(speeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
