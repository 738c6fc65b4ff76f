/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/ble_mibeacon.json: Xiaomi's MiBeacon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/ble_vectors.h"

#define FORMAT TG_BLE_FORMAT_BIT(TG_BLE_MIBEACON)

static const char *id;

#define CHECK(cond) BLE_CHECK(id, cond)

static void check_objects(const struct ble_case *c, const struct tg_ble_readings *r, const json_t *objects)
{
    const json_t *o;
    size_t i;
    uint32_t values = r->count - (c->advert.rssi != TG_BLE_RSSI_UNKNOWN);
    CHECK(values == json_array_size(objects));
    json_array_foreach((json_t *)(uintptr_t)objects, i, o)
    {
        CHECK(r->items[i].object == json_integer_value(json_object_get(o, "id")));
        if (json_object_get(o, "name"))
            assert_string_equal(r->items[i].name, json_string_value(json_object_get(o, "name")));
        ble_same(c, &r->items[i], json_object_get(o, json_object_get(o, "raw") ? "raw" : "value"));
    }
}

static void check_head(const struct ble_case *c, const struct tg_ble_readings *r, const json_t *expect)
{
    const json_t *ext = json_object_get(expect, "ext_counter"), *mac = json_object_get(expect, "mac");
    uint32_t counter = (uint32_t)json_integer_value(json_object_get(expect, "frame_counter"));
    struct tg_ble_address address = {0};
    CHECK(r->version == (uint32_t)json_integer_value(json_object_get(expect, "version")));
    CHECK(r->product == (uint32_t)json_integer_value(json_object_get(expect, "product_id")));
    CHECK(r->encrypted == json_is_true(json_object_get(expect, "encrypted")));
    CHECK(r->authentic == (r->encrypted && r->version >= 4));
    CHECK(r->has_counter && r->counter == (counter | (uint32_t)json_integer_value(ext) << 8));
    CHECK(r->has_address == (mac != NULL));
    CHECK(!mac ||
          (tg_ble_address_parse(json_string_value(mac), &address) &&
           tg_ble_address_eq(&address, &c->advert.address) && memcmp(r->address, address.bytes, 6) == 0));
}

static void run(const json_t *v)
{
    static struct tg_ble_readings r;
    const json_t *expect = json_object_get(v, "expect");
    struct ble_case c;
    ble_case_load(v, 0xFE95, &c);
    id = c.id;
    CHECK(tg_ble_decode(FORMAT, &c.advert, ble_case_key(&c), NULL, &r) == TG_BLE_OK);
    check_head(&c, &r, expect);
    check_objects(&c, &r, json_object_get(expect, "objects"));
    bool authentic = r.authentic;
    ble_truncations(&c, FORMAT, true);
    if (!c.has_key)
        return;
    CHECK(tg_ble_decode(FORMAT, &c.advert, NULL, NULL, &r) == TG_BLE_NEEDS_KEY);
    c.key.bytes[5] ^= 0x10;
    CHECK(tg_ble_decode(FORMAT, &c.advert, &c.key, NULL, &r) == TG_BLE_WRONG_KEY);
    c.key.bytes[5] ^= 0x10;
    c.key.len = c.key.len == TG_BLE_KEY_BYTES ? TG_BLE_LEGACY_BYTES : TG_BLE_KEY_BYTES;
    CHECK(tg_ble_decode(FORMAT, &c.advert, &c.key, NULL, &r) == TG_BLE_NEEDS_KEY);
    c.key.len = c.key.len == TG_BLE_KEY_BYTES ? TG_BLE_LEGACY_BYTES : TG_BLE_KEY_BYTES;
    if (authentic) /* frame control is not under the tag */
        ble_flips(&c, FORMAT, 2);
}

int main(void)
{
    return ble_vectors_main("southbound/ble_mibeacon.json", run);
}
