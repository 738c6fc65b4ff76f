/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/gatt.json: values of known characteristics, and transcripts that the client has to reproduce byte for byte.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/ble/att_client.h"
#include "southbound/ble/gatt_format.h"
#include "southbound/ble/gatt_known.h"
#include "southbound/ble/gatt_plan.h"
#include "support/vectors.h"

static const char *id;

#define CHECK(cond)                                                                                          \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            fail_msg("%s: %s is false (line %d)", id, #cond, __LINE__);                                      \
    } while (0)

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(1, fabs(a));
}

static const char *text_of(const json_t *v, const char *key)
{
    const char *s = json_string_value(json_object_get(v, key));
    return s ? s : "";
}

static double as_double(const struct tg_value *v)
{
    return v->type == TG_VALUE_INT    ? (double)v->as.integer
           : v->type == TG_VALUE_UINT ? (double)v->as.uinteger
           : v->type == TG_VALUE_REAL ? v->as.real
                                      : nan("");
}

/* --- values ------------------------------------------------------------------------------------------------ */

static void heart_rate(struct tg_bytes b, const json_t *expect)
{
    struct tg_gatt_heart_rate h;
    const json_t *contact = json_object_get(expect, "contact"), *rr = json_object_get(expect, "rr_s");
    CHECK(tg_gatt_heart_rate(b, &h) == TG_OK);
    CHECK(h.bpm == json_integer_value(json_object_get(expect, "bpm")));
    CHECK(h.contact == (json_is_boolean(contact) ? json_is_true(contact) : -1));
    CHECK(h.rr_count == json_array_size(rr));
    for (size_t i = 0; i < h.rr_count; i++)
        CHECK(near(h.rr_1024[i] / 1024.0, json_number_value(json_array_get(rr, i))));
}

static void thermometer(struct tg_bytes b, const json_t *expect)
{
    struct tg_gatt_thermometer t;
    char time[32];
    CHECK(tg_gatt_thermometer(b, &t) == TG_OK && t.has_value);
    CHECK(near(t.value, json_number_value(json_object_get(expect, "value"))));
    CHECK(t.fahrenheit == (strcmp(text_of(expect, "unit"), "Fahrenheit") == 0));
    CHECK(t.has_time == (json_object_get(expect, "time") != NULL));
    snprintf(time, sizeof time, "%04u-%02u-%02uT%02u:%02u:%02u", t.year, t.month, t.day, t.hour, t.minute,
             t.second);
    if (t.has_time)
        CHECK(strcmp(time, text_of(expect, "time")) == 0);
}

static void value_vector(const json_t *v)
{
    const json_t *expect = json_object_get(v, "expect"), *value = json_object_get(expect, "value");
    uint8_t bytes[512];
    char text[TG_GATT_TEXT_BYTES];
    struct tg_att_uuid uuid;
    struct tg_gatt_format f;
    struct tg_value got;
    long n = tg_vectors_hex(text_of(v, "value_hex"), bytes, sizeof bytes);
    CHECK(n >= 0 && tg_att_uuid_parse(tg_bytes_str(text_of(v, "uuid")), &uuid) == TG_OK);
    const struct tg_gatt_known *k = tg_gatt_known_uuid(&uuid);
    CHECK(k != NULL);
    CHECK(tg_gatt_format_parse(tg_bytes_str(k->format), &f, NULL) == TG_OK);
    enum tg_gatt_reading r = tg_gatt_decode(&f, tg_bytes(bytes, (size_t)n), text, &got);
    if (json_object_get(expect, "bpm")) {
        heart_rate(tg_bytes(bytes, (size_t)n), expect);
        CHECK(r == TG_GATT_READING_GOOD &&
              near(as_double(&got), json_number_value(json_object_get(expect, "bpm"))));
        return;
    }
    if (f.type == TG_GATT_THERMOMETER)
        thermometer(tg_bytes(bytes, (size_t)n), expect);
    if (json_is_null(value)) {
        CHECK(r == TG_GATT_READING_NULL && got.type == TG_VALUE_NONE);
        return;
    }
    CHECK(r == TG_GATT_READING_GOOD);
    if (strcmp(text_of(expect, "unit"), "Fahrenheit") == 0) { /* a point's is in degrees Celsius always */
        CHECK(near(as_double(&got), (json_number_value(value) - 32) / 1.8));
        return;
    }
    CHECK(near(as_double(&got), json_number_value(value)));
    CHECK(strcmp(k->unit, text_of(expect, "unit")) == 0);
}

/* --- transcripts --------------------------------------------------------------------------------------------- */

struct tale {
    const json_t *expect;
    struct tg_att_client client;
    struct tg_gatt_plan plan;
    struct tg_gatt_want wants[8];
    bool by_plan;
    size_t services, chars, descriptors, notified, refused;
    size_t read_len;
};

static uint16_t u16(const struct tg_bytes b, size_t at)
{
    return tg_att_u16(b.data + at);
}

static void expect_uuid(const json_t *item, struct tg_bytes wire)
{
    struct tg_att_uuid wanted, got;
    CHECK(tg_att_uuid_parse(tg_bytes_str(text_of(item, "uuid")), &wanted) == TG_OK);
    CHECK(tg_att_uuid_read(wire, &got) == TG_OK && tg_att_uuid_eq(&wanted, &got));
}

static long number(const json_t *item, const char *key)
{
    return (long)json_integer_value(json_object_get(item, key));
}

static void listed(struct tale *t, const struct tg_att_event *e)
{
    for (size_t i = 0; i < tg_att_items(&e->pdu); i++) {
        struct tg_bytes b = tg_att_item(&e->pdu, i);
        if (e->kind == TG_ATT_EVENT_SERVICES) {
            const json_t *s = json_array_get(json_object_get(t->expect, "services"), t->services++);
            CHECK(s && u16(b, 0) == number(s, "start") && u16(b, 2) == number(s, "end"));
            expect_uuid(s, tg_bytes(b.data + 4, b.len - 4));
        } else if (e->kind == TG_ATT_EVENT_CHARACTERISTICS) {
            const json_t *c = json_array_get(json_object_get(t->expect, "chars"), t->chars++);
            CHECK(c && u16(b, 0) == number(c, "decl") && u16(b, 3) == number(c, "value"));
            CHECK(b.data[2] == number(c, "properties"));
            expect_uuid(c, tg_bytes(b.data + 5, b.len - 5));
        } else {
            struct tg_att_uuid uuid;
            char text[TG_ATT_UUID_TEXT];
            CHECK(tg_att_uuid_read(tg_bytes(b.data + 2, b.len - 2), &uuid) == TG_OK);
            tg_att_uuid_text(&uuid, text);
            for (char *c = text; *c; c++)
                *c = (char)(*c >= 'a' && *c <= 'f' ? *c - 32 : *c);
            CHECK(number(json_object_get(t->expect, "descriptors"), text) == u16(b, 0));
            t->descriptors++;
        }
    }
}

static void told(struct tale *t, const struct tg_att_event *e)
{
    const json_t *list = json_object_get(t->expect, e->indicated ? "indicate" : "notify"), *changed;
    uint8_t bytes[512];
    changed = json_object_get(t->expect, "service_changed");
    if (changed) {
        CHECK(e->value.len == 4 && u16(e->value, 0) == number(changed, "start") &&
              u16(e->value, 2) == number(changed, "end"));
        /* In a table that has Service Changed there, everything is forgotten. */
        t->plan.table.services_known = true;
        t->plan.table.service_count = t->plan.table.characteristic_count = 1;
        t->plan.table.services[0] =
            (struct tg_gatt_service){.uuid = tg_att_uuid16(0x1801), .start = 1, .end = 9};
        t->plan.table.characteristics[0] =
            (struct tg_gatt_characteristic){.uuid = tg_att_uuid16(0x2A05), .value = e->handle};
        CHECK(tg_gatt_plan_notified(&t->plan, e) && !t->plan.table.services_known);
        return;
    }
    const json_t *n = json_array_get(list, t->notified++);
    long len = tg_vectors_hex(text_of(n, "hex"), bytes, sizeof bytes);
    CHECK(n && e->handle == number(n, "handle") && tg_bytes_eq(e->value, tg_bytes(bytes, (size_t)len)));
    if (json_object_get(n, "value")) {
        struct tg_gatt_format f;
        struct tg_value v;
        char text[TG_GATT_TEXT_BYTES];
        CHECK(tg_gatt_format_parse(tg_bytes_str("s16*0.01"), &f, NULL) == TG_OK);
        CHECK(tg_gatt_decode(&f, e->value, text, &v) == TG_GATT_READING_GOOD);
        CHECK(near(v.as.real, json_number_value(json_object_get(n, "value"))));
    }
}

static void take(struct tale *t, const struct tg_att_event *e)
{
    const json_t *read = json_object_get(t->expect, "read");
    switch (e->kind) {
    case TG_ATT_EVENT_SERVICES:
    case TG_ATT_EVENT_CHARACTERISTICS:
    case TG_ATT_EVENT_DESCRIPTORS:
        listed(t, e);
        break;
    case TG_ATT_EVENT_NOTIFIED:
        told(t, e);
        break;
    case TG_ATT_EVENT_READ:
        CHECK(read && e->handle == number(read, "handle") && e->value.len == (size_t)number(read, "length"));
        t->read_len = e->value.len;
        break;
    case TG_ATT_EVENT_REFUSED:
        t->refused++;
        if (json_object_get(t->expect, "error"))
            CHECK(e->code == number(t->expect, "error"));
        break;
    case TG_ATT_EVENT_BROKEN:
    case TG_ATT_EVENT_TIMEOUT:
        fail_msg("%s: %s", id, e->text);
        break;
    default:
        break;
    }
    if (t->by_plan && e->kind != TG_ATT_EVENT_NONE && e->kind != TG_ATT_EVENT_NOTIFIED)
        tg_gatt_plan_done(&t->plan, e);
}

/* Has the client begin what the transcript's PDU begins. */
static int begin(struct tale *t, const struct tg_att_pdu *p)
{
    switch (p->op) {
    case TG_ATT_MTU_REQUEST:
        return tg_att_client_exchange_mtu(&t->client, 0);
    case TG_ATT_READ_GROUP_REQUEST:
        return tg_att_client_services(&t->client, p->handle, 0);
    case TG_ATT_READ_TYPE_REQUEST:
        return tg_att_client_characteristics(&t->client, p->handle, p->end, 0);
    case TG_ATT_FIND_REQUEST:
        return tg_att_client_descriptors(&t->client, p->handle, p->end, 0);
    case TG_ATT_READ_REQUEST:
        return tg_att_client_read(&t->client, p->handle, 0);
    case TG_ATT_WRITE_REQUEST:
        return tg_att_client_write(&t->client, p->handle, p->value, 0);
    default:
        return TG_EINVAL;
    }
}

static void tell(struct tale *t, const json_t *lines)
{
    const json_t *line;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)lines, i, line)
    {
        uint8_t bytes[TG_ATT_MAX_MTU];
        struct tg_att_pdu p;
        struct tg_att_event e;
        bool ours = strcmp(json_string_value(json_array_get(line, 0)), "c2s") == 0;
        long n = tg_vectors_hex(json_string_value(json_array_get(line, 1)), bytes, sizeof bytes);
        CHECK(n > 0 && tg_att_parse(tg_bytes(bytes, (size_t)n), &p) == TG_OK);
        if (!ours) {
            CHECK(tg_att_client_out(&t->client).len == 0);
            tg_att_client_receive(&t->client, tg_bytes(bytes, (size_t)n), 0, &e);
            take(t, &e);
            continue;
        }
        if (tg_att_client_out(&t->client).len == 0 && t->by_plan) {
            struct tg_gatt_step step = tg_gatt_plan_next(&t->plan);
            CHECK(tg_gatt_plan_ask(&step, &t->client, 0) == TG_OK);
        } else if (tg_att_client_out(&t->client).len == 0) {
            CHECK(begin(t, &p) == TG_OK);
        }
        CHECK(tg_bytes_eq(tg_att_client_out(&t->client), tg_bytes(bytes, (size_t)n)));
        tg_att_client_sent(&t->client);
    }
    CHECK(tg_att_client_out(&t->client).len == 0 && !tg_att_client_busy(&t->client));
}

/* Our MTU is the one that the transcript has us say. */
static uint16_t own_mtu(const json_t *lines)
{
    const json_t *line;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)lines, i, line)
    {
        uint8_t b[TG_ATT_MAX_MTU];
        long n = tg_vectors_hex(json_string_value(json_array_get(line, 1)), b, sizeof b);
        if (n == 3 && json_string_value(json_array_get(line, 0))[0] == 'c' && (b[0] == 2 || b[0] == 3))
            return tg_att_u16(b + 1);
    }
    return TG_ATT_DEFAULT_MTU;
}

static void want(struct tale *t, const json_t *expect)
{
    const json_t *c, *s;
    size_t i, j;
    json_array_foreach(json_object_get(expect, "chars"), i, c)
    {
        struct tg_gatt_want *w = &t->wants[i];
        CHECK(i < 8 && tg_att_uuid_parse(tg_bytes_str(text_of(c, "uuid")), &w->selector.uuid) == TG_OK);
        w->selector.instance = 1;
        w->selector.has_service = true;
        json_array_foreach(json_object_get(expect, "services"), j, s)
        {
            if (number(s, "start") <= number(c, "decl") && number(c, "decl") <= number(s, "end"))
                CHECK(tg_att_uuid_parse(tg_bytes_str(text_of(s, "uuid")), &w->selector.service) == TG_OK);
        }
    }
    tg_gatt_plan_init(&t->plan, t->wants, (uint16_t)i);
    t->plan.skip_mtu = true;
    t->by_plan = true;
}

static void transcript(const json_t *v, bool by_plan)
{
    const json_t *lines = json_object_get(v, "transcript"), *expect = json_object_get(v, "expect");
    struct tale t = {.expect = expect};
    tg_att_client_init(&t.client, own_mtu(lines));
    if (by_plan)
        want(&t, expect);
    tell(&t, lines);
    CHECK(t.services == json_array_size(json_object_get(expect, "services")));
    CHECK(t.chars == json_array_size(json_object_get(expect, "chars")));
    CHECK(t.descriptors == json_object_size(json_object_get(expect, "descriptors")));
    CHECK(t.notified == json_array_size(json_object_get(expect, "notify")) +
                            json_array_size(json_object_get(expect, "indicate")));
    if (json_object_get(expect, "mtu"))
        CHECK(t.client.mtu == number(expect, "mtu"));
    if (json_object_get(expect, "error"))
        CHECK(t.refused == 1);
    if (json_object_get(expect, "read"))
        CHECK(t.read_len > 0);
    if (by_plan) {
        CHECK(tg_gatt_plan_next(&t.plan).kind == TG_GATT_STEP_IDLE);
        CHECK(t.wants[0].subscribed);
    }
}

static void all(void **state)
{
    (void)state;
    json_t *root = tg_vectors_load("southbound/gatt.json"), *v;
    json_t *vectors = json_object_get(root, "vectors");
    size_t i;
    assert_true(json_array_size(vectors) > 0);
    json_array_foreach(vectors, i, v)
    {
        id = text_of(v, "id");
        if (!json_object_get(v, "transcript")) {
            value_vector(v);
            continue;
        }
        transcript(v, false);
        if (json_object_get(json_object_get(v, "expect"), "chars"))
            transcript(v, true);
    }
    print_message("%zu vectors\n", json_array_size(vectors));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
