/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every format: what a message looks like to the byte, how many samples fit, what is damaged, and that another parser reads
 * back what was put in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "northbound/format_senml.h"
#include "support/senml_pack.h"

static const char *const all[] = {"json", "senml", "senml-cbor", "template"};

static const char *unit_of(void *user, struct tg_bytes point)
{
    (void)user;
    return tg_bytes_eq_str(point, "voltage") ? "V" : tg_bytes_eq_str(point, "energy") ? "kWh" : "";
}

static struct tg_format_context context(void)
{
    return (struct tg_format_context){.device = "meter-1", .gateway = "site-7", .unit = unit_of};
}

static struct tg_bytes body(uint8_t *memory, size_t size, int64_t time_ms,
                            const struct tg_named_value *values, uint32_t count)
{
    struct tg_writer w = tg_writer_init(memory, size);
    tg_sample_begin(&w, time_ms, count);
    for (uint32_t i = 0; i < count; i++)
        tg_sample_value(&w, &values[i]);
    assert_false(w.failed);
    return tg_bytes(w.data, w.len);
}

/* Two samples of a second apart, the second with a point that could not be read. */
static uint32_t two(struct tg_format_sample *samples)
{
    static uint8_t memory[2][256];
    struct tg_named_value values[] = {{tg_bytes_str("voltage"), TG_QUALITY_GOOD, tg_value_real(230.1)},
                                      {tg_bytes_str("relay"), TG_QUALITY_GOOD, tg_value_bool(true)}};
    samples[0] = (struct tg_format_sample){4711, body(memory[0], 256, 1795179600123, values, 2)};
    values[0].value = tg_value_real(230.25);
    values[1].quality = TG_QUALITY_TIMEOUT;
    values[1].value = (struct tg_value){.type = TG_VALUE_NONE};
    samples[1] = (struct tg_format_sample){4712, body(memory[1], 256, 1795179601123, values, 2)};
    return 2;
}

static const char *message(const char *format, const struct tg_format_context *c,
                           const struct tg_format_sample *samples, uint32_t count, size_t limit, int want)
{
    static char out[65536];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    assert_int_equal(tg_format_find(format)->write(c, samples, count, limit, &w), want);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    return out;
}

#define FIRST                                                                                                \
    "{\"ts\":\"2026-11-20T13:00:00.123Z\",\"seq\":4711,\"values\":{\"voltage\":230.1,\"relay\":true}}"
#define SECOND                                                                                               \
    "{\"ts\":\"2026-11-20T13:00:01.123Z\",\"seq\":4712,\"values\":{\"voltage\":230.25},"                     \
    "\"quality\":{\"relay\":\"timeout\"}}"

static void json_is_an_object_or_an_array(void **state)
{
    struct tg_format_sample s[2];
    struct tg_format_context c = context();
    (void)state;
    two(s);
    assert_string_equal(message("json", &c, s, 1, 10, 1), FIRST);
    assert_string_equal(message("json", &c, s, 2, 1000, 2), "[" FIRST "," SECOND "]");
    assert_string_equal(message("json", &c, s, 2, strlen("[" FIRST "," SECOND "]"), 2),
                        "[" FIRST "," SECOND "]");
    assert_string_equal(message("json", &c, s, 2, strlen("[" FIRST "," SECOND "]") - 1, 1), FIRST);
    c.point = "relay";
    assert_string_equal(message("json", &c, s, 1, 1000, 1),
                        "{\"ts\":\"2026-11-20T13:00:00.123Z\",\"seq\":4711,\"values\":{\"relay\":true}}");
    assert_string_equal(
        message("json", &c, s + 1, 1, 1000, 1),
        "{\"ts\":\"2026-11-20T13:00:01.123Z\",\"seq\":4712,\"values\":{},\"quality\":{\"relay\":"
        "\"timeout\"}}");
    c.point = "voltage";
    assert_string_equal(message("json", &c, s + 1, 1, 1000, 1),
                        "{\"ts\":\"2026-11-20T13:00:01.123Z\",\"seq\":4712,\"values\":{\"voltage\":230.25}}");
}

static void senml_names_times_and_units(void **state)
{
    struct tg_format_sample s[2];
    struct tg_format_context c = context();
    static const char first[] =
        "[{\"bn\":\"site-7/meter-1/\",\"bt\":1795179600.123,\"seq\":4711,\"n\":\"voltage\","
        "\"u\":\"V\",\"v\":230.1},{\"n\":\"relay\",\"vb\":true}";
    static const char second[] = ",{\"seq\":4712,\"n\":\"voltage\",\"u\":\"V\",\"t\":1,\"v\":230.25},"
                                 "{\"n\":\"relay/quality\",\"t\":1,\"vs\":\"timeout\"}]";
    char whole[512];
    (void)state;
    two(s);
    snprintf(whole, sizeof whole, "%s%s", first, second);
    assert_string_equal(message("senml", &c, s, 2, 1000, 2), whole);
    assert_string_equal(message("senml", &c, s, 2, strlen(whole), 2), whole);
    snprintf(whole, sizeof whole, "%s]", first);
    assert_string_equal(message("senml", &c, s, 2, sizeof first + sizeof second - 3, 1), whole);
    c.point = "relay";
    assert_string_equal(
        message("senml", &c, s + 1, 1, 1000, 1),
        "[{\"bn\":\"site-7/meter-1/\",\"bt\":1795179601.123,\"seq\":4712,\"n\":\"relay/quality\","
        "\"vs\":\"timeout\"}]");
    c.device = "urn:dev:mac:0024befffe804ff1";
    c.point = "voltage";
    c.unit = NULL;
    assert_string_equal(message("senml", &c, s, 1, 1000, 1),
                        "[{\"bn\":\"urn:dev:mac:0024befffe804ff1:\",\"bt\":1795179600.123,\"seq\":4711,"
                        "\"n\":\"voltage\",\"v\":230.1}]");
    c.gateway = "_gw@7";
    c.device = "m@1";
    assert_non_null(strstr(message("senml", &c, s, 1, 1000, 1), "\"bn\":\"x_gw_7/m_1/\""));
}

static void senml_says_when_a_unit_is_secondary(void **state)
{
    uint8_t memory[128], out[256];
    struct tg_named_value v[] = {{tg_bytes_str("energy"), TG_QUALITY_GOOD, tg_value_uint(UINT64_MAX)}};
    struct tg_format_sample s = {1, body(memory, sizeof memory, 1795179600000, v, 1)};
    struct tg_format_context c = context();
    static const uint8_t cbor[] = "\x81\xa7\x20\x18\x1a\x21\x6fsite-7/meter-1/\x22\x1a\x6b\x00\x44\x50\x63"
                                  "seq\x01\x00\x66"
                                  "energy\x01\x63kWh\x02\x1b\xff\xff\xff\xff\xff\xff\xff\xff";
    (void)state;
    assert_string_equal(
        message("senml", &c, &s, 1, 1000, 1),
        "[{\"bver\":26,\"bn\":\"site-7/meter-1/\",\"bt\":1795179600,\"seq\":1,\"n\":\"energy\","
        "\"u\":\"kWh\",\"v\":18446744073709551615}]");
    struct tg_writer w = tg_writer_init(out, sizeof out);
    assert_int_equal(tg_format_find("senml-cbor")->write(&c, &s, 1, 1000, &w), 1);
    assert_int_equal(w.len, sizeof cbor - 1);
    assert_memory_equal(out, cbor, w.len);
}

static void units_as_people_write_them(void **state)
{
    static const struct {
        const char *text, *symbol;
        bool secondary;
    } cases[] = {{"\xC2\xB0"
                  "C",
                  "Cel", false},
                 {"degC", "Cel", false},
                 {"Cel", "Cel", false},
                 {"lux", "lx", false},
                 {"%RH", "%RH", false},
                 {"Pa", "Pa", false},
                 {"kWh", "kWh", true},
                 {"hPa", "hPa", true},
                 {"m\xC2\xB3", "m3", false},
                 {"", NULL, false},
                 {"C", NULL, false},
                 {"furlong", NULL, false},
                 {"\xE2\x84\xA6", "Ohm", false},
                 {"%", "%", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool secondary = true;
        const char *symbol = tg_senml_unit(cases[i].text, &secondary);
        if (cases[i].symbol)
            assert_string_equal(symbol, cases[i].symbol);
        else
            assert_null(symbol);
        assert_int_equal(secondary, cases[i].secondary);
    }
}

static void senml_has_no_place_for_what_is_no_number(void **state)
{
    uint8_t memory[256];
    struct tg_named_value v[] = {{tg_bytes_str("a"), TG_QUALITY_GOOD, tg_value_real(NAN)},
                                 {tg_bytes_str("b"), TG_QUALITY_GOOD, {.type = TG_VALUE_NONE}},
                                 {tg_bytes_str("c d"), TG_QUALITY_GOOD, tg_value_int(INT64_MIN)},
                                 {tg_bytes_str("e"), TG_QUALITY_GOOD, tg_value_text("\xff\"", 2)}};
    struct tg_format_sample s = {1, body(memory, sizeof memory, -1500, v, 4)};
    struct tg_format_context c = context();
    (void)state;
    assert_string_equal(
        message("senml", &c, &s, 1, 1000, 1),
        "[{\"bn\":\"site-7/meter-1/\",\"bt\":-1.5,\"seq\":1,\"n\":\"a/quality\",\"vs\":\"range\"},"
        "{\"n\":\"b/quality\",\"vs\":\"sensor\"},{\"n\":\"c_d\",\"v\":-9223372036854775808},"
        "{\"n\":\"e\",\"vs\":\"\xEF\xBF\xBD\\\"\"}]");
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    uint8_t copy[256];
    memcpy(copy, s.body.data, s.body.len);
    s.body.data = copy;
    assert_int_equal(tg_format_find("senml-cbor")->write(&c, &s, 1, 1000, &w), 1);
    json_t *pack = senml_from_cbor(w.data, w.len), *records = senml_resolve(pack);
    assert_true(json_integer_value(json_object_get(json_array_get(records, 2), "v")) == INT64_MIN);
    assert_string_equal(json_string_value(json_object_get(json_array_get(records, 3), "vs")),
                        "\xEF\xBF\xBD\"");
    json_decref(records);
    json_decref(pack);
}

/* --- template ------------------------------------------------------------------------------------ */

static const char *rendered(const char *text, const char *point, uint32_t count)
{
    struct tg_format_sample s[2];
    struct tg_format_context c = context();
    struct tg_error err = {0};
    two(s);
    c.template_text = text;
    c.point = point;
    if (tg_format_template_check(text, &err) != TG_OK)
        fail_msg("%s: %s", text, err.text);
    return message("template", &c, s, count, 1000, (int)count);
}

static void templates_are_filled_in(void **state)
{
    (void)state;
    assert_string_equal(rendered("{device} {gateway} {seq} {ts} {ts_ms}", NULL, 1),
                        "meter-1 site-7 4711 2026-11-20T13:00:00.123Z 1795179600123");
    assert_string_equal(rendered("{{{seq}}}", NULL, 1), "{4711}");
    assert_string_equal(rendered("{{\"v\":{values}}}", NULL, 1),
                        "{\"v\":{\"voltage\":230.1,\"relay\":true}}");
    assert_string_equal(rendered("{point:voltage};{point:relay};{point:none}", NULL, 2),
                        "230.1;true;null\n230.25;null;null");
    assert_string_equal(rendered("{value}", NULL, 1), "null");
    assert_string_equal(rendered("{point}={value} {values} {quality}", "voltage", 1),
                        "voltage=230.1 {\"voltage\":230.1} {}");
    assert_string_equal(rendered("{quality}", NULL, 2), "{}\n{\"relay\":\"timeout\"}");
    assert_string_equal(rendered("plain", NULL, 1), "plain");
}

/* An estimated time is said where the format has a place for it; a sample whose time is not known is not sent, but never a crash. */
static void an_estimated_time_is_marked(void **state)
{
    static const char *const formats[] = {"json", "senml", "senml-cbor", "template"};
    struct tg_named_value v = {tg_bytes_str("flow"), TG_QUALITY_GOOD, tg_value_int(7)};
    struct tg_sample_time time = {.kind = TG_TIME_ESTIMATED, .ms = 1795179600123};
    struct tg_format_context c = context();
    uint8_t memory[128];
    (void)state;
    for (int unknown = 0; unknown < 2; unknown++) {
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        tg_sample_begin_at(&w, &time, 1);
        tg_sample_value(&w, &v);
        assert_false(w.failed);
        struct tg_format_sample s = {5, tg_bytes(memory, w.len)};
        c.template_text = "{ts_ms};{time}";
        for (int i = 0; i < 4; i++) {
            const char *out = message(formats[i], &c, &s, 1, 1000, 1);
            if (!unknown && i < 3)
                assert_non_null(strstr(out, "estimated"));
            else if (!unknown)
                assert_string_equal(out, "1795179600123;estimated");
            if (i == 0)
                assert_string_equal(
                    out, unknown ? "{\"ts\":null,\"time\":\"unknown\",\"since_boot_ms\":77,\"seq\":5,"
                                   "\"values\":{\"flow\":7}}"
                                 : "{\"ts\":\"2026-11-20T13:00:00.123Z\",\"time\":\"estimated\",\"seq\":5,"
                                   "\"values\":{\"flow\":7}}");
        }
        time = (struct tg_sample_time){TG_TIME_BOOT, 9, 77};
    }
    assert_string_equal(rendered("{time}|", NULL, 1), "|");
}

static void a_text_can_end_neither_line_nor_string(void **state)
{
    uint8_t memory[128];
    struct tg_named_value v[] = {{tg_bytes_str("state"), TG_QUALITY_GOOD, tg_value_text("a\"b\n\xff", 5)}};
    struct tg_format_sample s = {1, body(memory, sizeof memory, 0, v, 1)};
    struct tg_format_context c = context();
    (void)state;
    c.template_text = "{{\"s\":\"{point:state}\",\"t\":\"{value}\"}}";
    const char *out = message("template", &c, &s, 1, 1000, 1);
    assert_string_equal(out, "{\"s\":\"a\\\"b\\u000a\xEF\xBF\xBD\",\"t\":\"a\\\"b\\u000a\xEF\xBF\xBD\"}");
    json_t *parsed = json_loads(out, 0, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
}

static void a_template_that_is_wrong_is_told(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {{"{devise}", "unknown placeholder \"{devise}\""},
                 {"{point:}", "unknown placeholder"},
                 {"{}", "unknown placeholder"},
                 {"a {device", "is not closed"},
                 {"a {", "is not closed"},
                 {"{a{b}", "is not closed"},
                 {"ab}", "a single } at character 3"},
                 {"\xff", "UTF-8"},
                 {"{Device}", "{device}, {gateway}"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tg_error err = {0};
        assert_int_equal(tg_format_template_check(cases[i].text, &err), TG_EINVAL);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

/* --- every format ---------------------------------------------------------------------------------- */

static void damage_and_want_of_room_are_told(void **state)
{
    struct tg_format_sample s[2], cut;
    struct tg_format_context c = context();
    uint8_t out[1024];
    (void)state;
    two(s);
    c.template_text = "{device} {seq} {values} {quality} {value}";
    for (size_t f = 0; f < 4; f++) {
        const struct tg_format *format = tg_format_find(all[f]);
        size_t need;
        assert_string_equal(format->name, all[f]);
        for (size_t len = 0; len < s[0].body.len; len++) {
            struct tg_writer w = tg_writer_init(out, sizeof out);
            cut = (struct tg_format_sample){1, tg_bytes(s[0].body.data, len)};
            assert_int_equal(format->write(&c, &cut, 1, 1000, &w), TG_ECORRUPT);
            /* As the second it ends the message before it. */
            struct tg_format_sample pair[] = {s[0], cut};
            w = tg_writer_init(out, sizeof out);
            assert_int_equal(format->write(&c, pair, 2, 1000, &w), 1);
        }
        struct tg_writer w = tg_writer_init(out, sizeof out);
        assert_int_equal(format->write(&c, s, 1, 1000, &w), 1);
        need = w.len;
        for (size_t cap = 0; cap < need; cap++) {
            w = tg_writer_init(out, cap);
            assert_int_equal(format->write(&c, s, 1, 1000, &w), TG_ETOOBIG);
        }
        /* A second one that has no room in the writer stays out. */
        w = tg_writer_init(out, need + 20);
        assert_int_equal(format->write(&c, s, 2, 1000, &w), 1);
        assert_int_equal(w.len, need);
    }
    assert_null(tg_format_find("sparkplug-b"));
    assert_null(tg_format_find(""));
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x;
}

static struct tg_named_value random_value(uint64_t *x, char *name, char *text)
{
    static const double reals[] = {0,    -0.0, 1.5,     65504, 65505,    5.9604644775390625e-08, 6.1e-05, 0.1,
                                   1e-3, 1e30, -1e-300, 1e308, 16777217, 3.4028235e38,           3.5e38};
    struct tg_named_value v = {.quality = TG_QUALITY_GOOD};
    sprintf(name, "p%u", (unsigned)(next_random(x) % 1000));
    v.name = tg_bytes_str(name);
    switch (next_random(x) % 7) {
    case 0:
        v.value = tg_value_bool(next_random(x) & 1);
        break;
    case 1:
        v.value =
            tg_value_int((int64_t)(next_random(x) >> next_random(x) % 64) * (next_random(x) & 1 ? 1 : -1));
        break;
    case 2:
        v.value = tg_value_uint(next_random(x) >> (1 + next_random(x) % 63));
        break;
    case 3:
        v.value = tg_value_real(reals[next_random(x) % (sizeof reals / sizeof reals[0])]);
        break;
    case 4:
        v.value = tg_value_real((double)(int64_t)next_random(x) / 1e9);
        break;
    case 5:
        v.value = tg_value_text(text, (uint32_t)sprintf(text, "t\xC3\xA4\"%llu", (unsigned long long)*x));
        break;
    default:
        v.quality = (uint8_t)(1 + next_random(x) % 8);
        v.value = (struct tg_value){.type = TG_VALUE_NONE};
        break;
    }
    return v;
}

static void check_number(const json_t *got, const struct tg_value *v)
{
    switch (v->type) {
    case TG_VALUE_INT:
        assert_true(json_integer_value(got) == v->as.integer);
        break;
    case TG_VALUE_UINT:
        assert_true((uint64_t)json_integer_value(got) == v->as.uinteger);
        break;
    default:
        assert_true(json_number_value(got) == v->as.real);
        break;
    }
}

static void check_record(const json_t *r, const struct tg_named_value *v, int64_t time_ms)
{
    char name[256];
    snprintf(name, sizeof name, "site-7/meter-1/%.*s%s", (int)v->name.len, (const char *)v->name.data,
             v->quality ? "/quality" : "");
    assert_string_equal(json_string_value(json_object_get(r, "n")), name);
    assert_true(fabs(json_number_value(json_object_get(r, "t")) - (double)time_ms / 1000) < 1e-6);
    if (v->quality)
        assert_string_equal(json_string_value(json_object_get(r, "vs")), tg_quality_name(v->quality));
    else if (v->value.type == TG_VALUE_BOOL)
        assert_int_equal(json_is_true(json_object_get(r, "vb")), v->value.as.boolean);
    else if (v->value.type == TG_VALUE_TEXT)
        assert_true(tg_bytes_eq_str(tg_bytes(v->value.as.text, v->value.text_len),
                                    json_string_value(json_object_get(r, "vs"))));
    else
        check_number(json_object_get(r, "v"), &v->value);
}

/* A pack of either encoding has every value as it was put in, with other people's parsers. */
static void packs_read_back(void **state)
{
    static struct tg_named_value values[40][8];
    static char names[40][8][16], texts[40][8][64];
    static uint8_t memory[40][1024], out[65536];
    uint64_t x = 88172645463325252u;
    struct tg_format_context c = context();
    (void)state;
    for (int round = 0; round < 400; round++) {
        struct tg_format_sample s[40];
        uint32_t counts[40], count = 1 + (uint32_t)(next_random(&x) % 40);
        int64_t times[40];
        for (uint32_t i = 0; i < count; i++) {
            counts[i] = 1 + (uint32_t)(next_random(&x) % 8);
            times[i] = 1795179600123 + (int64_t)(next_random(&x) % 100000000) - 50000000;
            for (uint32_t k = 0; k < counts[i]; k++)
                values[i][k] = random_value(&x, names[i][k], texts[i][k]);
            s[i] = (struct tg_format_sample){i + 1, body(memory[i], 1024, times[i], values[i], counts[i])};
        }
        for (int cbor = 0; cbor < 2; cbor++) {
            size_t limit = 200 + next_random(&x) % 8000, at = 0;
            struct tg_writer w = tg_writer_init(out, sizeof out);
            int n = tg_format_find(cbor ? "senml-cbor" : "senml")->write(&c, s, count, limit, &w);
            assert_true(n >= 1 && n <= (int)count);
            assert_true(n == 1 || w.len <= limit);
            json_t *pack = cbor ? senml_from_cbor(out, w.len) : senml_from_json(out, w.len);
            json_t *records = senml_resolve(pack);
            assert_non_null(records);
            for (int i = 0; i < n; i++)
                for (uint32_t k = 0; k < counts[i]; k++, at++) {
                    const json_t *r = json_array_get(records, at), *seq = json_object_get(r, "seq");
                    assert_int_equal(k == 0 ? json_integer_value(seq) : i + 1, i + 1);
                    assert_true((k == 0) == (seq != NULL));
                    check_record(r, &values[i][k], times[i]);
                }
            assert_int_equal(json_array_size(records), at);
            json_decref(records);
            json_decref(pack);
        }
    }
}

static void content_types(void **state)
{
    static const char *const types[] = {"application/json", "application/senml+json",
                                        "application/senml+cbor", "text/plain"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const struct tg_format_content *content = &tg_format_find(all[i])->content;
        assert_string_equal(content->type, types[i]);
        assert_string_equal(content->charset, i == 2 ? "" : "utf-8");
        assert_string_equal(content->encoding, "");
    }
}

/* --- compression ------------------------------------------------------------------------------------- */

static void bodies_are_deflated_when_that_helps(void **state)
{
    static uint8_t in[40000], packed[40000], back[40000];
    uint64_t x = 1;
    (void)state;
    for (int round = 0; round < 20; round++) {
        size_t len = 10 + next_random(&x) % (sizeof in - 10);
        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t) "{\"voltage\":230.1},"[i % 18];
        struct tg_writer w = tg_writer_init(packed, sizeof packed);
        uLongf back_len = sizeof back;
        int rc = tg_format_deflate(tg_bytes(in, len), &w);
        if (len < 60) {
            assert_true(rc == TG_OK || rc == TG_ETOOBIG);
            continue;
        }
        assert_int_equal(rc, TG_OK);
        assert_true(w.len < len);
        assert_int_equal(uncompress(back, &back_len, packed, w.len), Z_OK);
        assert_int_equal(back_len, len);
        assert_memory_equal(back, in, len);
        w = tg_writer_init(packed, w.len - 1); /* no room for it */
        assert_int_equal(tg_format_deflate(tg_bytes(in, len), &w), TG_ETOOBIG);
    }
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)next_random(&x);
    struct tg_writer w = tg_writer_init(packed, sizeof packed);
    assert_int_equal(tg_format_deflate(tg_bytes(in, sizeof in), &w), TG_ETOOBIG);
    assert_int_equal(tg_format_deflate(tg_bytes(in, 0), &w), TG_ETOOBIG);
    assert_int_equal(w.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_an_object_or_an_array),
        cmocka_unit_test(senml_names_times_and_units),
        cmocka_unit_test(senml_says_when_a_unit_is_secondary),
        cmocka_unit_test(units_as_people_write_them),
        cmocka_unit_test(senml_has_no_place_for_what_is_no_number),
        cmocka_unit_test(templates_are_filled_in),
        cmocka_unit_test(an_estimated_time_is_marked),
        cmocka_unit_test(a_text_can_end_neither_line_nor_string),
        cmocka_unit_test(a_template_that_is_wrong_is_told),
        cmocka_unit_test(damage_and_want_of_room_are_told),
        cmocka_unit_test(packs_read_back),
        cmocka_unit_test(content_types),
        cmocka_unit_test(bodies_are_deflated_when_that_helps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
