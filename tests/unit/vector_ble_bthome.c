/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/ble_bthome.json: BTHome version 2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/ble_vectors.h"

#define FORMAT TG_BLE_FORMAT_BIT(TG_BLE_BTHOME)

static const char *id;

#define CHECK(cond) BLE_CHECK(id, cond)

/* The name, then with _2, _3 … for what came before with the same. */
static void check_name(const json_t *objects, size_t at, const struct tg_ble_reading *item)
{
    const char *name = json_string_value(json_object_get(json_array_get(objects, at), "name"));
    char numbered[64];
    unsigned same = 1;
    for (size_t i = 0; i < at; i++)
        same += strcmp(name, json_string_value(json_object_get(json_array_get(objects, i), "name"))) == 0;
    if (same > 1)
        snprintf(numbered, sizeof numbered, "%s_%u", name, same);
    assert_string_equal(item->name, same > 1 ? numbered : name);
}

static void check_objects(const struct ble_case *c, const struct tg_ble_readings *r, const json_t *objects)
{
    const json_t *o;
    size_t i;
    CHECK(r->count == json_array_size(objects));
    json_array_foreach((json_t *)(uintptr_t)objects, i, o)
    {
        const struct tg_ble_reading *item = &r->items[i];
        const char *unit = json_string_value(json_object_get(o, "unit"));
        CHECK(item->object == json_integer_value(json_object_get(o, "id")));
        check_name(objects, i, item);
        ble_same(c, item, json_object_get(o, "value"));
        assert_string_equal(item->unit, unit ? unit : "");
    }
}

static void check_stop(const struct tg_ble_readings *r, const char *stopped_at)
{
    unsigned object;
    if (!stopped_at)
        CHECK(r->stopped == TG_BLE_WHOLE);
    else if (sscanf(stopped_at, "unknown_id_%x", &object) == 1)
        CHECK(r->stopped == TG_BLE_STOP_OBJECT && r->stop_object == object);
    else
        assert_string_equal(tg_ble_stop_name(r->stopped), stopped_at);
}

static enum tg_ble_verdict verdict_of(const json_t *expect)
{
    const char *error = json_string_value(json_object_get(expect, "error"));
    if (!error)
        return json_array_size(json_object_get(expect, "objects")) > 0 ? TG_BLE_OK : TG_BLE_UNSUPPORTED;
    if (strcmp(error, "key_required") == 0)
        return TG_BLE_NEEDS_KEY;
    assert_true(strcmp(error, "version") == 0 || strcmp(error, "too_short") == 0);
    return strcmp(error, "version") == 0 ? TG_BLE_UNSUPPORTED : TG_BLE_MALFORMED;
}

/* Objects before a cut are kept; what is kept is what was there. */
static void truncated_plain(struct ble_case *c, const struct tg_ble_readings *whole)
{
    static struct tg_ble_readings r;
    for (size_t n = c->advert.len - 1; n > 4; n--) {
        c->data[0] = (uint8_t)(n - 1);
        c->advert.len = n;
        enum tg_ble_verdict verdict = tg_ble_decode(FORMAT, &c->advert, NULL, NULL, &r);
        CHECK(verdict == TG_BLE_OK ? r.count > 0 && r.count <= whole->count : r.count == 0);
        for (uint32_t i = 0; i < r.count; i++) {
            const struct tg_value *is = &r.items[i].value, *was = &whole->items[i].value;
            assert_string_equal(r.items[i].name, whole->items[i].name);
            CHECK(is->type == was->type &&
                  (is->type == TG_VALUE_TEXT || is->as.uinteger == was->as.uinteger));
        }
    }
}

static void run(const json_t *v)
{
    static struct tg_ble_readings r;
    const json_t *expect = json_object_get(v, "expect");
    struct ble_case c;
    ble_case_load(v, 0xFCD2, &c);
    id = c.id;
    enum tg_ble_verdict verdict = tg_ble_decode(FORMAT, &c.advert, ble_case_key(&c), NULL, &r);
    CHECK(verdict == verdict_of(expect));
    if (json_object_get(expect, "objects")) {
        CHECK(r.version == (uint32_t)json_integer_value(json_object_get(expect, "version")));
        CHECK(r.encrypted == json_is_true(json_object_get(expect, "encrypted")));
        CHECK(r.event == (json_is_true(json_object_get(expect, "trigger_based")) || strstr(id, "button")));
        CHECK(r.has_address == json_is_true(json_object_get(expect, "mac_included")));
        check_objects(&c, &r, json_object_get(expect, "objects"));
        check_stop(&r, json_string_value(json_object_get(expect, "stopped_at")));
    }
    if (json_object_get(expect, "mac")) {
        struct tg_ble_address address = {0};
        CHECK(tg_ble_address_parse(json_string_value(json_object_get(expect, "mac")), &address));
        CHECK(memcmp(address.bytes, r.address, 6) == 0);
    }
    if (json_object_get(expect, "counter"))
        CHECK(r.has_counter && r.counter == json_integer_value(json_object_get(expect, "counter")));
    if (verdict == TG_BLE_OK && c.has_key) {
        ble_truncations(&c, FORMAT, true);
        ble_flips(&c, FORMAT, 0);
    } else if (verdict == TG_BLE_OK) {
        truncated_plain(&c, &r);
    }
}

int main(void)
{
    return ble_vectors_main("southbound/ble_bthome.json", run);
}
