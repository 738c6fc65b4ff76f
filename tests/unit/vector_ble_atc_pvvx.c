/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/ble_atc_pvvx.json: thermometers with ATC1441 and pvvx firmware.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/ble_vectors.h"

#define FORMATS (TG_BLE_FORMAT_BIT(TG_BLE_ATC) | TG_BLE_FORMAT_BIT(TG_BLE_PVVX))

static void check_entry(const struct ble_case *c, const struct tg_ble_readings *r, const json_t *expect)
{
    const char *key;
    json_t *want;
    struct tg_ble_address address = {0};
    char id[TG_BLE_ADDRESS_BYTES];
    memcpy(address.bytes, r->address, 6);
    tg_ble_address_id(&address, id);
    json_object_foreach((json_t *)(uintptr_t)expect, key, want)
    {
        if (strcmp(key, "format") == 0) {
            const char *format = json_string_value(want);
            assert_int_equal(r->format, strncmp(format, "atc", 3) == 0 ? TG_BLE_ATC : TG_BLE_PVVX);
            assert_int_equal(r->encrypted, strstr(format, "encrypted") != NULL);
            assert_int_equal(r->authentic, r->encrypted);
        } else if (strcmp(key, "mac") == 0) {
            assert_true(r->has_address);
            assert_string_equal(id, json_string_value(want));
        } else if (strcmp(key, "counter") == 0) {
            assert_true(r->has_counter);
            assert_int_equal(r->counter, json_integer_value(want));
        } else {
            ble_same(c, ble_reading(c, r, key), want);
        }
    }
}

static void run(const json_t *v)
{
    static struct tg_ble_readings r;
    struct ble_case c;
    ble_case_load(v, 0x181A, &c);
    assert_int_equal(tg_ble_decode(FORMATS, &c.advert, ble_case_key(&c), NULL, &r), TG_BLE_OK);
    check_entry(&c, &r, json_object_get(v, "expect"));
    ble_same(&c, ble_reading(&c, &r, "rssi"), json_object_get(v, "rssi"));
    ble_truncations(&c, FORMATS, true);
    if (c.has_key) {
        ble_flips(&c, FORMATS, 0);
        assert_int_equal(tg_ble_decode(FORMATS, &c.advert, NULL, NULL, &r), TG_BLE_NEEDS_KEY);
        c.key.bytes[3] ^= 1;
        assert_int_equal(tg_ble_decode(FORMATS, &c.advert, &c.key, NULL, &r), TG_BLE_WRONG_KEY);
    }
    /* Sent by another than it says: repeated by somebody. */
    c.advert.address.bytes[0] ^= 1;
    assert_int_equal(tg_ble_decode(FORMATS, &c.advert, NULL, NULL, &r),
                     c.has_key ? TG_BLE_NEEDS_KEY : TG_BLE_MALFORMED);
}

int main(void)
{
    return ble_vectors_main("southbound/ble_atc_pvvx.json", run);
}
