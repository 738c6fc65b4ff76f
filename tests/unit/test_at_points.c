/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From lines to values, from values to commands, and `tidegate decode at`.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <jansson.h>

#include "plugins/at/at_decode.h"
#include "plugins/at/at_points.h"
#include "plugins/at/at_write.h"

/* "good int 17", "sensor", "range" … */
static const char *read_as(enum tg_at_type type, const char *text)
{
    static char out[256];
    static const char *const nulls[] = {"99", "n/a"};
    static const char *const quality[] = {"good", "timeout", "comm", "device", "config", "range", "sensor"};
    const struct tg_at_reader r = {.type = type, .nulls = nulls, .null_count = 2};
    struct tg_point_value v;
    bool of_type = tg_at_read_value(&r, tg_bytes_str(text), NULL, &v);
    const char *mark = of_type ? "" : "!"; /* deserves a log line */
    switch (v.value.type) {
    case TG_VALUE_INT:
        snprintf(out, sizeof out, "int %lld", (long long)v.value.as.integer);
        break;
    case TG_VALUE_REAL:
        snprintf(out, sizeof out, "real %.17g", v.value.as.real);
        break;
    case TG_VALUE_BOOL:
        snprintf(out, sizeof out, "bool %d", v.value.as.boolean);
        break;
    case TG_VALUE_TEXT:
        snprintf(out, sizeof out, "text %.*s", (int)v.value.text_len, v.value.as.text);
        break;
    default:
        snprintf(out, sizeof out, "%s%s", mark, quality[v.quality]);
        return out;
    }
    assert_int_equal(v.quality, TG_QUALITY_GOOD);
    return out;
}

static void test_values(void **state)
{
    (void)state;
    assert_string_equal(read_as(TG_AT_AUTO, "17"), "int 17");
    assert_string_equal(read_as(TG_AT_AUTO, " -017 "), "int -17");
    assert_string_equal(read_as(TG_AT_AUTO, "21.5"), "real 21.5");
    assert_string_equal(read_as(TG_AT_AUTO, "1e3"), "real 1000");
    assert_string_equal(read_as(TG_AT_AUTO, "-.5"), "real -0.5");
    assert_string_equal(read_as(TG_AT_AUTO, "99"), "sensor");
    assert_string_equal(read_as(TG_AT_TEXT, "n/a"), "sensor");
    static const char *const none[] = {"",     " ",   "-",   ".",   "e5",  "1e", "1.2.3",
                                       "0x10", "nan", "inf", "1,5", "12a", "1 2"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_string_equal(read_as(TG_AT_AUTO, none[i]), "!sensor");
    assert_string_equal(read_as(TG_AT_INT, "1.0"), "!sensor");
    assert_string_equal(read_as(TG_AT_INT, "9223372036854775807"), "int 9223372036854775807");
    assert_string_equal(read_as(TG_AT_INT, "9223372036854775808"), "range");
    assert_string_equal(read_as(TG_AT_REAL, "17"), "real 17");
    assert_string_equal(read_as(TG_AT_REAL, "1e999"), "range");
    assert_string_equal(read_as(TG_AT_HEX, "01A2b"), "int 6699");
    assert_string_equal(read_as(TG_AT_HEX, "0xff"), "int 255");
    assert_string_equal(read_as(TG_AT_HEX, "0x"), "!sensor");
    assert_string_equal(read_as(TG_AT_HEX, "-1"), "!sensor");
    assert_string_equal(read_as(TG_AT_HEX, "10000000000000000"), "range");
    assert_string_equal(read_as(TG_AT_BOOL, "ON"), "bool 1");
    assert_string_equal(read_as(TG_AT_BOOL, "0"), "bool 0");
    assert_string_equal(read_as(TG_AT_BOOL, "2"), "!sensor");
    assert_string_equal(read_as(TG_AT_TEXT, "caf\xc3\xa9"), "text caf\xc3\xa9");
    assert_string_equal(read_as(TG_AT_TEXT, "caf\xe9"), "!sensor");
    char *longest = calloc(1, TG_TEXT_MAX_BYTES + 2);
    memset(longest, 'x', TG_TEXT_MAX_BYTES + 1);
    assert_string_equal(read_as(TG_AT_TEXT, longest), "range");
    free(longest);
}

static void test_decimal_comma(void **state)
{
    const struct tg_at_reader r = {.type = TG_AT_REAL, .decimal_comma = true};
    struct tg_point_value v;
    (void)state;
    assert_true(tg_at_read_value(&r, tg_bytes_str("21,5"), NULL, &v));
    assert_true(v.value.as.real == 21.5);
    assert_false(tg_at_read_value(&r, tg_bytes_str("1,2,3"), NULL, &v));
}

static void test_patterns(void **state)
{
    struct tg_at_pattern p;
    struct tg_bytes line = tg_bytes_str("+CSQ: 17,99"), g;
    char error[256];
    (void)state;
    assert_int_equal(tg_at_pattern_compile(&p, "^\\+CSQ: (\\d+),(\\d+)(x)?$", error, sizeof error), 0);
    assert_int_equal(p.groups, 3);
    assert_int_equal(tg_at_pattern_match(&p, tg_bytes_str("+CSQ: 17,99\n")), TG_AT_NO_MATCH);
    assert_int_equal(tg_at_pattern_match(&p, line), TG_AT_MATCH);
    assert_true(tg_at_pattern_group(&p, 1, line, &g));
    assert_true(tg_bytes_eq_str(g, "17"));
    assert_false(tg_at_pattern_group(&p, 3, line, &g));
    assert_false(tg_at_pattern_group(&p, 4, line, &g));
    tg_at_pattern_fini(&p);
    assert_int_equal(tg_at_pattern_compile(&p, "^(a", error, sizeof error), TG_PLUGIN_EINVAL);
    assert_non_null(strstr(error, "character 4"));
    assert_int_equal(tg_at_pattern_compile(&p, "(*UTF)a", error, sizeof error), TG_PLUGIN_EINVAL);
    tg_at_pattern_fini(&p); /* after a failure too */
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A pattern that backtracks without end and a line made for it. */
static void test_matching_is_bounded(void **state)
{
    struct tg_at_pattern p;
    char error[256], line[2049];
    double began;
    (void)state;
    memset(line, 'a', sizeof line - 1);
    line[sizeof line - 2] = 'b';
    line[sizeof line - 1] = 0;
    assert_int_equal(tg_at_pattern_compile(&p, "^(a+)+$", error, sizeof error), 0);
    began = cpu_ms();
    for (int i = 0; i < 100; i++)
        assert_int_equal(tg_at_pattern_match(&p, tg_bytes(line, 2048)), TG_AT_TOO_COSTLY);
    assert_true(cpu_ms() - began <
                5000); /* without the bound one match takes longer than the universe is old */
    tg_at_pattern_fini(&p);
    assert_int_equal(tg_at_pattern_compile(&p, "^((?:a|b)*)c", error, sizeof error), 0);
    assert_int_not_equal(tg_at_pattern_match(&p, tg_bytes(line, 2048)), TG_AT_MATCH);
    tg_at_pattern_fini(&p);
}

/* The command, or "!" and the reason. */
static const char *written(const char *text, struct tg_value value)
{
    static const char *const allow[] = {"0", "1", "auto"};
    static char out[600];
    static struct tg_at_written ret;
    struct tg_at_write w = {.text = text};
    char error[256];
    if (strncmp(text, "allow ", 6) == 0) {
        w.allow = allow;
        w.allow_count = 3;
    }
    if (tg_at_write_format(&w, &value, &ret, error, sizeof error) < 0)
        snprintf(out, sizeof out, "!%s", error);
    else
        snprintf(out, sizeof out, "%s", ret.text);
    return out;
}

static struct tg_value text(const char *t)
{
    return tg_value_text(t, strlen(t));
}

static void test_writes(void **state)
{
    (void)state;
    assert_string_equal(written("AT+G=16,{value}", tg_value_bool(true)), "AT+G=16,1");
    assert_string_equal(written("AT+G={value};+X", tg_value_int(-7)), "AT+G=-7;+X");
    assert_string_equal(written("AT+G={value}", tg_value_uint(UINT64_MAX)), "AT+G=18446744073709551615");
    assert_string_equal(written("AT+G={value}", tg_value_real(0.1)), "AT+G=0.1");
    assert_string_equal(written("AT+G={value}", tg_value_real(1)), "AT+G=1");
    assert_string_equal(written("AT+G={value}", tg_value_real(1.0 / 3)), "AT+G=0.3333333333333333");
    assert_string_equal(written("AT+N=\"{value}\"", text("a,b;c")), "AT+N=\"a,b;c\"");
    assert_string_equal(written("AT+N={value}", text("off")), "AT+N=off");
    assert_string_equal(written("allow {value}", text("auto")), "allow auto");
}

/* NULL: it was taken. */
static const char *refused(enum tg_at_type type, struct tg_value value)
{
    static char error[256];
    struct tg_at_written out;
    struct tg_at_write w = {.text = "AT+X={value}", .type = type};
    return tg_at_write_format(&w, &value, &out, error, sizeof error) < 0 ? error : NULL;
}

static void test_writes_are_of_the_type(void **state)
{
    (void)state;
    assert_null(refused(TG_AT_INT, tg_value_int(-1)));
    assert_null(refused(TG_AT_INT, tg_value_real(5)));
    assert_non_null(strstr(refused(TG_AT_INT, tg_value_real(5.5)), "a whole number"));
    assert_non_null(refused(TG_AT_INT, text("5")));
    assert_non_null(refused(TG_AT_INT, tg_value_bool(true)));
    assert_null(refused(TG_AT_REAL, tg_value_real(5.5)));
    assert_null(refused(TG_AT_REAL, tg_value_uint(5)));
    assert_non_null(strstr(refused(TG_AT_REAL, text("5.5")), "takes a number"));
    assert_null(refused(TG_AT_BOOL, tg_value_bool(false)));
    assert_null(refused(TG_AT_BOOL, tg_value_int(1)));
    assert_non_null(strstr(refused(TG_AT_BOOL, tg_value_int(2)), "true, false, 1 or 0"));
    assert_non_null(refused(TG_AT_BOOL, text("on")));
    assert_null(refused(TG_AT_AUTO, text("on")));
    assert_null(refused(TG_AT_TEXT, tg_value_int(5)));
    assert_string_equal(written("allow {value}", tg_value_bool(true)), "allow 1");
}

/* The option that is at fault, "" = none. */
static const char *fault_of(struct tg_at_write w)
{
    const char *option = "";
    return tg_at_write_fault(&w, &option) ? option : "";
}

/* Command and data as "AT+X|data", with \xHH for control bytes; "!" and the reason. */
static const char *sent(struct tg_at_write w, struct tg_value value)
{
    static char out[5000];
    static struct tg_at_written ret;
    char error[256];
    size_t n;
    assert_string_equal(fault_of(w), "");
    if (tg_at_write_format(&w, &value, &ret, error, sizeof error) < 0) {
        snprintf(out, sizeof out, "!%s", error);
        return out;
    }
    n = (size_t)snprintf(out, sizeof out, "%s|", ret.text);
    for (size_t i = 0; i < ret.data_len; i++)
        n += (size_t)snprintf(out + n, sizeof out - n,
                              ret.data[i] < 0x20 || ret.data[i] > 0x7E ? "<%02x>" : "%c", ret.data[i]);
    return out;
}

static void test_data_behind_a_prompt(void **state)
{
    struct tg_at_write sms = {.text = "AT+CMGS=\"+49\"", .prompt = "> ", .data = "T: {value} C"};
    struct tg_at_write raw = {
        .text = "AT+USOWR=0,{length}", .prompt = "@", .end = TG_AT_END_NONE, .hex = true};
    struct tg_at_write block = {.text = "AT+USOWB=0", .block = true, .hex = true};
    char digits[2 * TG_AT_WRITE_DATA_MAX_BYTES + 2];
    (void)state;
    assert_string_equal(sent(sms, text("a,\"b\"")), "AT+CMGS=\"+49\"|T: a,\"b\" C<1a>");
    assert_string_equal(sent(sms, tg_value_int(7)), "AT+CMGS=\"+49\"|T: 7 C<1a>");
    sms.end = TG_AT_END_CRLF;
    assert_string_equal(sent(sms, text("x")), "AT+CMGS=\"+49\"|T: x C<0d><0a>");
    for (const char *c = "\r\n\x1a\x1b\x01\x7f"; *c; c++) {
        char value[] = {'a', *c, 0};
        assert_int_equal(sent(sms, text(value))[0], '!');
        assert_int_equal(
            sent((struct tg_at_write){.text = "AT+W={length}", .prompt = ">", .end = TG_AT_END_NONE},
                 text(value))[0],
            '!');
    }
    assert_int_equal(sent(sms, tg_value_text("a\0b", 3))[0], '!');
    assert_string_equal(sent(raw, text("00ff1A0d")),
                        "AT+USOWR=0,4|<00><ff><1a><0d>"); /* counted: any byte may be in it */
    assert_string_equal(sent(block, text("411a")), "AT+USOWB=0|<01><00><02>A<1a>");
    assert_string_equal(sent(block, text("")), "AT+USOWB=0|<01><00><00>");
    raw.end = TG_AT_END_CTRL_Z;
    assert_string_equal(sent(raw, text("4142")), "AT+USOWR=0,2|AB<1a>");
    assert_int_equal(sent(raw, text("411a"))[0], '!');
    assert_int_equal(sent(raw, text("411b"))[0], '!');
    assert_int_equal(sent(raw, text("4100"))[0], '!');
    assert_int_equal(sent(raw, text("410"))[0], '!');
    assert_int_equal(sent(raw, text("4x"))[0], '!');
    memset(digits, 'x', sizeof digits);
    assert_int_equal(sent(sms, tg_value_text(digits, TG_TEXT_MAX_BYTES))[0], '!');
}

static void test_templates_that_are_wrong(void **state)
{
    (void)state;
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+S={value}", .prompt = ">"}), "write");
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+S={length},{length}", .prompt = ">"}),
                        "write");
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+S={value},{length}"}), "write");
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+S", .prompt = ">", .data = "x"}), "data");
    assert_string_equal(
        fault_of((struct tg_at_write){.text = "AT+S", .prompt = ">", .data = "{value}{value}"}), "data");
    assert_string_equal(
        fault_of((struct tg_at_write){.text = "AT+S", .prompt = ">", .hex = true, .data = "a{value}"}),
        "data");
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+S", .prompt = ">", .end = TG_AT_END_NONE}),
                        "data_end");
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+S", .prompt = ">", .block = true}),
                        "write_block");
}

static void test_map_and_bytes(void **state)
{
    static const char *const entries[] = {"OPEN=1", "SHUT=0", "a=b=7"};
    static const char *const nulls[] = {"?"};
    struct tg_at_reader r = {.maps = entries, .map_count = 3, .nulls = nulls, .null_count = 1};
    struct tg_point_value v;
    char hex[TG_TEXT_MAX_BYTES];
    uint8_t bytes[600] = {0, 0x0d, 0xff};
    (void)state;
    assert_true(tg_at_read_value(&r, tg_bytes_str(" OPEN "), NULL, &v));
    assert_int_equal(v.value.as.integer, 1);
    assert_true(tg_at_read_value(&r, tg_bytes_str("a=b"), NULL, &v));
    assert_int_equal(v.value.as.integer, 7);
    assert_true(tg_at_read_value(&r, tg_bytes_str("?"), NULL, &v));
    assert_int_equal(v.quality, TG_QUALITY_SENSOR);
    assert_false(tg_at_read_value(&r, tg_bytes_str("1"), NULL,
                                  &v)); /* not in the map: no value, rather than a guess */
    assert_int_equal(v.quality, TG_QUALITY_SENSOR);
    assert_non_null(tg_at_map_fault("OPEN"));
    assert_non_null(tg_at_map_fault("=1"));
    assert_non_null(tg_at_map_fault("OPEN="));
    assert_null(tg_at_map_fault("OPEN=1"));
    r = (struct tg_at_reader){.type = TG_AT_RAW};
    assert_true(tg_at_read_value(&r, tg_bytes(bytes, 3), hex, &v));
    assert_int_equal(v.value.text_len, 6);
    assert_memory_equal(v.value.as.text, "000dff", 6);
    assert_true(tg_at_read_value(&r, tg_bytes(bytes, 513), hex, &v));
    assert_int_equal(v.quality, TG_QUALITY_RANGE);
}

/* Nothing that the cloud sends becomes a second command, a second parameter or a key press. */
static void test_writes_that_are_refused(void **state)
{
    static const char *const never[] = {"1\r", "1\n", "a\x1a", "a\x1b", "\x7f", "a\"", "a\\"};
    char huge[600];
    (void)state;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        assert_int_equal(written("AT+N=\"{value}\"", text(never[i]))[0], '!');
        assert_int_equal(written("AT+N={value}", text(never[i]))[0], '!');
    }
    assert_int_equal(written("AT+N=\"{value}\"", tg_value_text("a\0b", 3))[0], '!');
    assert_int_equal(written("AT+N={value}", text("1;+CPWROFF"))[0], '!');
    assert_int_equal(written("AT+N={value}", text("1,2"))[0], '!');
    assert_int_equal(written("AT+N=\"x\",{value}", text("1,2"))[0], '!'); /* those quotes are closed */
    assert_int_equal(written("AT+N={value}", tg_value_real(1.0 / 0.0))[0], '!');
    assert_int_equal(written("AT+N={value}", (struct tg_value){.type = TG_VALUE_NONE})[0], '!');
    assert_int_equal(written("allow {value}", tg_value_int(2))[0], '!');
    memset(huge, 'x', sizeof huge);
    assert_int_equal(written("AT+N=\"{value}\"", tg_value_text(huge, sizeof huge))[0], '!');
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+N=1"}), "write");
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+N={value},{value}"}), "write");
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+N={value}\r"}), "write");
    assert_string_equal(fault_of((struct tg_at_write){.text = "AT+N={value}"}), "");
}

/* A host that has set a locale with a decimal comma does not change what is read and sent. */
static void test_locale(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        print_message("no locale with a decimal comma on this machine: tried in the C locale\n");
    assert_string_equal(written("AT+G={value}", tg_value_real(0.5)), "AT+G=0.5");
    const struct tg_at_reader r = {.type = TG_AT_REAL};
    struct tg_point_value v;
    assert_true(tg_at_read_value(&r, tg_bytes_str("21.5"), NULL, &v));
    assert_true(v.value.as.real == 21.5);
    setlocale(LC_ALL, "C");
}

/* --- decode --- */

static char said[65536];

static void hear(void *user, const char *t)
{
    (void)user;
    strncat(said, t, sizeof said - strlen(said) - 1);
}

static int decode(bool json, int argc, const char *const *argv)
{
    said[0] = 0;
    return tg_at_decode(argc, argv, json, hear, NULL);
}

#define DECODE(json, ...)                                                                                    \
    decode(json, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                              \
           (const char *const[]){__VA_ARGS__})

static void test_decode(void **state)
{
    (void)state;
    assert_int_equal(
        DECODE(false, "--command", "AT+CSQ", "--match", "^\\+CSQ: (\\d+),", "+CSQ: 17,99", "+CREG: 5", "OK"),
        0);
    assert_string_equal(said, "command  \"AT+CSQ\"\nstatus   \"ok\"\nline     \"+CSQ: 17,99\"\nurc      "
                              "\"+CREG: 5\"\nvalue    17\n");
    assert_int_equal(DECODE(true, "AT+CSQ\\r\\r\\n+CSQ: 17,99\\r\\n\\r\\nOK", "AT+CPIN?", "+CME ERROR: 10"),
                     1);
    assert_string_equal(
        said, "{\"exchanges\":[{\"command\":\"AT+CSQ\",\"status\":\"ok\",\"lines\":[\"+CSQ: 17,99\"]},"
              "{\"command\":\"AT+CPIN?\",\"status\":\"cme_error\",\"lines\":[],\"code\":10}],"
              "\"urcs\":[],\"other\":[],\"readings\":[]}\n");
    assert_int_equal(DECODE(true, "--command", "AT+X", "--match", "x(.*)", "--type", "text", "x\\xff\\x00"),
                     1);
    assert_non_null(strstr(said, "\"incomplete\""));
    assert_int_equal(DECODE(false, "+X: 1", "--urc", "+X:"), 0);
    assert_string_equal(said, "urc      \"+X: 1\"\n");
    assert_int_equal(DECODE(true, "--numeric", "--command", "ATV0", "0"), 0);
    assert_int_equal(DECODE(true, "--command", "AT+N?", "+N: \"half", "OK"), 0); /* a stray quote */
    assert_int_equal(DECODE(false, "--command", "AT+CSQ", "--match", "(nothing)", "+CSQ: 1", "OK"), 1);
}

static void test_decode_wrong_usage(void **state)
{
    (void)state;
    assert_int_equal(decode(false, 0, NULL), 2);
    assert_non_null(strstr(said, "usage"));
    assert_int_equal(DECODE(false, "--match"), 2);
    assert_int_equal(DECODE(false, "--nonsense", "x", "OK"), 2);
    assert_int_equal(DECODE(false, "--match", "(", "OK"), 2);
    assert_int_equal(DECODE(false, "--match", "a", "--group", "1", "OK"), 2);
    assert_int_equal(DECODE(false, "--group", "x", "OK"), 2);
    assert_int_equal(DECODE(false, "--type", "x", "OK"), 2);
    assert_int_equal(DECODE(false, "--file", "/nonexistent"), 2);
    assert_int_equal(DECODE(false, "--help"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_decimal_comma),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_matching_is_bounded),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_writes_are_of_the_type),
        cmocka_unit_test(test_writes_that_are_refused),
        cmocka_unit_test(test_data_behind_a_prompt),
        cmocka_unit_test(test_templates_that_are_wrong),
        cmocka_unit_test(test_map_and_bytes),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_decode_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
