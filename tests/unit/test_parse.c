/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/settings.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct good {
    const char *text;
    int64_t value;
};
struct bad {
    const char *text, *error;
};

static void durations(void **state)
{
    static const struct good good[] = {
        {"0s", 0},
        {"1ms", 1},
        {"500ms", 500},
        {"2s", 2000},
        {"1.5s", 1500},
        {"1 s", 1000},
        {"15m", 900000},
        {"1h", 3600000},
        {"30d", 2592000000},
        {"0.001s", 1},
        {"0.5d", 43200000},
        {"9223372036854775807ms", INT64_MAX},
        {"106751991167d", INT64_C(9223372036828800000)},
        {"1.50000000000000s", 1500},
    };
    static const struct bad bad[] = {
        {"30", "\"30\" has no unit: write a duration such as 30s (units: ms, s, m, h, d)"},
        {"0", "\"0\" has no unit: write a duration such as 0s (units: ms, s, m, h, d)"},
        {"1.5", "\"1.5\" has no unit: write a duration such as 1.5s (units: ms, s, m, h, d)"},
        {"1234567890123",
         "\"1234567890123\" has no unit: write a duration such as 30s (units: ms, s, m, h, d)"},
        {"", "\"\" is not a duration: write a number and a unit, such as 30s (units: ms, s, m, h, d)"},
        {"s", "\"s\" is not a duration: write a number and a unit, such as 30s (units: ms, s, m, h, d)"},
        {"-1s", "\"-1s\" is not a duration: write a number and a unit, such as 30s (units: ms, s, m, h, d)"},
        {" 1s", "\" 1s\" is not a duration: write a number and a unit, such as 30s (units: ms, s, m, h, d)"},
        {"5sec", "\"5sec\" has an unknown unit: write a duration such as 30s (units: ms, s, m, h, d)"},
        {"5S", "\"5S\" has an unknown unit: write a duration such as 30s (units: ms, s, m, h, d)"},
        {"5us", "\"5us\" has an unknown unit: write a duration such as 30s (units: ms, s, m, h, d)"},
        {"1h30m", "\"1h30m\" has an unknown unit: write a duration such as 30s (units: ms, s, m, h, d)"},
        {"1.s", "\"1.s\" has an unknown unit: write a duration such as 30s (units: ms, s, m, h, d)"},
        {"5 ", "\"5 \" has an unknown unit: write a duration such as 30s (units: ms, s, m, h, d)"},
        {"0.5ms", "\"0.5ms\" is not a duration that can be kept: it is too large or too fine"},
        {"0.00000000001d",
         "\"0.00000000001d\" is not a duration that can be kept: it is too large or too fine"},
        {"9223372036854775808ms",
         "\"9223372036854775808ms\" is not a duration that can be kept: it is too large or too fine"},
        {"106751991168d",
         "\"106751991168d\" is not a duration that can be kept: it is too large or too fine"},
        {"99999999999999999999999d",
         "\"99999999999999999999999d\" is not a duration that can be kept: it is too large or too fine"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t v = -1;
        assert_int_equal(tg_parse_duration_ms(good[i].text, &v, NULL), TG_OK);
        assert_int_equal(v, good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t v = -77;
        struct tg_error err = {0};
        assert_int_equal(tg_parse_duration_ms(bad[i].text, &v, &err), TG_EINVAL);
        assert_string_equal(err.text, bad[i].error);
        assert_int_equal(v, -77);
    }
}

static void sizes(void **state)
{
    static const struct good good[] = {
        {"0B", 0},
        {"17B", 17},
        {"1KiB", 1024},
        {"512MiB", 536870912},
        {"2GiB", 2147483648},
        {"1kB", 1000},
        {"3MB", 3000000},
        {"4GB", 4000000000},
        {"0.5KiB", 512},
        {"1.5GiB", 1610612736},
        {"64 MiB", 67108864},
        {"8589934591GiB", INT64_C(9223372035781033984)},
    };
    static const struct bad bad[] = {
        {"512", "\"512\" has no unit: write a size such as 512MiB (units: B, KiB, MiB, GiB, kB, MB, GB)"},
        {"512M",
         "\"512M\" has an unknown unit: write a size such as 64MiB (units: B, KiB, MiB, GiB, kB, MB, GB)"},
        {"1KB",
         "\"1KB\" has an unknown unit: write a size such as 64MiB (units: B, KiB, MiB, GiB, kB, MB, GB)"},
        {"lots", "\"lots\" is not a size: write a number and a unit, such as 64MiB "
                 "(units: B, KiB, MiB, GiB, kB, MB, GB)"},
        {"8589934592GiB", "\"8589934592GiB\" is not a size that can be kept: it is too large or too fine"},
        {"0.3B", "\"0.3B\" is not a size that can be kept: it is too large or too fine"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t v = -1;
        assert_int_equal(tg_parse_size_bytes(good[i].text, &v, NULL), TG_OK);
        assert_int_equal(v, good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t v = -77;
        struct tg_error err = {0};
        assert_int_equal(tg_parse_size_bytes(bad[i].text, &v, &err), TG_EINVAL);
        assert_string_equal(err.text, bad[i].error);
        assert_int_equal(v, -77);
    }
}

static void integers(void **state)
{
    static const struct good good[] = {
        {"0", 0},
        {"-0", 0},
        {"+7", 7},
        {"0x10", 16},
        {"007", 7},
        {"0XfF", 255},
        {"-0x1", -1},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"0x7fffffffffffffff", INT64_MAX},
    };
    static const char *const bad[] = {"",   "-",  "+",   "0x",  "1.5", "1e3",
                                      " 1", "1 ", "12a", "0xg", "--1", "1_000"};
    static const char *const large[] = {"9223372036854775808", "-9223372036854775809", "0x8000000000000000",
                                        "99999999999999999999999999"};
    struct tg_error err = {0};
    int64_t v = 5;
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(tg_parse_int(good[i].text, &v, NULL), TG_OK);
        assert_int_equal(v, good[i].value);
    }
    v = 5;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(tg_parse_int(bad[i], &v, &err), TG_EINVAL);
    assert_string_equal(err.text,
                        "\"1_000\" is not a whole number: write decimal digits, or 0x and hexadecimal ones");
    for (size_t i = 0; i < COUNT(large); i++)
        assert_int_equal(tg_parse_int(large[i], &v, &err), TG_EINVAL);
    assert_string_equal(err.text, "\"99999999999999999999999999\" does not fit into 64 bits");
    assert_int_equal(v, 5);
}

static void reals(void **state)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"1.5", 1.5}, {"-2.5e3", -2500}, {".5", 0.5}, {"1.", 1}, {"+1E-2", 0.01}};
    static const char *const bad[] = {"",    ".",   "-",   "e5", "1e",   "1e+",  "inf",  "-inf",
                                      "nan", "0x1", "1,5", " 1", "1.5 ", "1..2", "1e5.0"};
    struct tg_error err = {0};
    double v = 7;
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(tg_parse_real(good[i].text, &v, NULL), TG_OK);
        assert_true(v >= good[i].value && v <= good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(tg_parse_real(bad[i], &v, &err), TG_EINVAL);
    assert_string_equal(err.text, "\"1e5.0\" is not a number: write one such as 0.1 or -2.5e3");
    assert_int_equal(tg_parse_real("1e999", &v, &err), TG_EINVAL);
    assert_string_equal(err.text, "\"1e999\" is too large for a number");
}

static void booleans(void **state)
{
    static const struct bad bad[] = {
        {"yes", "\"yes\" is not a boolean in YAML 1.2: write true"},
        {"on", "\"on\" is not a boolean in YAML 1.2: write true"},
        {"True", "\"True\" is not a boolean in YAML 1.2: write true"},
        {"1", "\"1\" is not a boolean in YAML 1.2: write true"},
        {"no", "\"no\" is not a boolean in YAML 1.2: write false"},
        {"off", "\"off\" is not a boolean in YAML 1.2: write false"},
        {"maybe", "\"maybe\" is not a boolean: write true or false"},
        {"", "\"\" is not a boolean: write true or false"},
    };
    bool v = false;
    (void)state;
    assert_int_equal(tg_parse_bool("true", &v, NULL), TG_OK);
    assert_true(v);
    assert_int_equal(tg_parse_bool("false", &v, NULL), TG_OK);
    assert_false(v);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct tg_error err = {0};
        assert_int_equal(tg_parse_bool(bad[i].text, &v, &err), TG_EINVAL);
        assert_string_equal(err.text, bad[i].error);
    }
}

static void numbers_print_as_they_are_written(void **state)
{
    static const struct {
        uint32_t type;
        int64_t value;
        const char *text;
    } cases[] = {
        {TG_OPTION_INT, -5, "-5"},
        {TG_OPTION_DURATION, 0, "0s"},
        {TG_OPTION_DURATION, 1500, "1500ms"},
        {TG_OPTION_DURATION, 1177000, "1177s"},
        {TG_OPTION_DURATION, 240000, "4m"},
        {TG_OPTION_DURATION, 86400000, "1d"},
        {TG_OPTION_SIZE, 0, "0B"},
        {TG_OPTION_SIZE, 3900, "3900B"},
        {TG_OPTION_SIZE, 1 << 29, "512MiB"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[TG_SETTINGS_NUMBER_BYTES];
        tg_format_option_number(cases[i].type, cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void nearest_words(void **state)
{
    static const char *const names[] = {"host", "port", "keepalive", "max_in_flight", "ca_file", ""};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"hots", "host"},
        {"hst", "host"},
        {"prot", "port"},
        {"Keep_Alive", "keepalive"},
        {"max-in-flight", "max_in_flight"},
        {"cafile", "ca_file"},
        {"MAX_IN_FLIGHT", "max_in_flight"},
        {"keep", "keepalive"},
        {"max_in_flight_messages", "max_in_flight"},
        {"max_", "max_in_flight"},
        {"max", NULL},
        {"zzz", NULL},
        {"", NULL},
        {"temperature", NULL},
        {"pt", NULL},
        {"a123456789b123456789c123456789d123456789e123456789f123456789g12345", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *near = tg_nearest_word(cases[i].word, names, COUNT(names));
        if (cases[i].nearest) {
            assert_non_null(near);
            assert_string_equal(near, cases[i].nearest);
        } else {
            assert_null(near);
        }
    }
    assert_null(tg_nearest_word("host", names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),     cmocka_unit_test(sizes),
        cmocka_unit_test(integers),      cmocka_unit_test(reals),
        cmocka_unit_test(booleans),      cmocka_unit_test(numbers_print_as_they_are_written),
        cmocka_unit_test(nearest_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
