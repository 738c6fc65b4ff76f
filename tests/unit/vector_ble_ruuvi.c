/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/ble_ruuvi.json: RuuviTag data formats 3 and 5.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/ble_vectors.h"

#define FORMAT TG_BLE_FORMAT_BIT(TG_BLE_RUUVI)

static void run(const json_t *v)
{
    static struct tg_ble_readings r;
    struct tg_ble_address address = {0};
    struct ble_case c;
    const char *key;
    json_t *want;
    ble_case_load(v, 0x0499, &c);
    assert_int_equal(tg_ble_decode(FORMAT, &c.advert, NULL, NULL, &r), TG_BLE_OK);
    assert_int_equal(r.count, json_object_size(json_object_get(v, "expect")) - (r.version == 5));
    json_object_foreach(json_object_get(v, "expect"), key, want)
    {
        if (strcmp(key, "mac") != 0) {
            ble_same(&c, ble_reading(&c, &r, strcmp(key, "battery") == 0 ? "voltage" : key), want);
            continue;
        }
        assert_int_equal(r.has_address, !json_is_null(want));
        if (r.has_address) {
            assert_true(tg_ble_address_parse(json_string_value(want), &address));
            assert_memory_equal(address.bytes, r.address, 6);
        }
    }
    if (r.version == 5)
        assert_int_equal(r.has_counter,
                         !json_is_null(json_object_get(json_object_get(v, "expect"), "sequence")));
    ble_truncations(&c, FORMAT, true);
}

int main(void)
{
    return ble_vectors_main("southbound/ble_ruuvi.json", run);
}
