/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/ble_govee.json: Govee thermometers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/ble_vectors.h"

#define FORMAT TG_BLE_FORMAT_BIT(TG_BLE_GOVEE)

static void run(const json_t *v)
{
    static struct tg_ble_readings r;
    const json_t *expect = json_object_get(v, "expect");
    struct ble_case c;
    const char *key;
    json_t *want;
    ble_case_load(v, 0, &c);
    assert_int_equal(tg_ble_decode(TG_BLE_ANY_FORMAT, &c.advert, NULL, NULL, &r), TG_BLE_OK);
    assert_int_equal(r.format, TG_BLE_GOVEE);
    json_object_foreach((json_t *)(uintptr_t)expect, key, want)
    {
        if (strcmp(key, "model") == 0)
            assert_string_equal(r.model, json_string_value(want));
        else if (strcmp(key, "error") == 0) /* the sensor's: its readings would have no value */
            assert_int_equal(ble_reading(&c, &r, "temperature")->quality,
                             json_is_true(want) ? TG_QUALITY_SENSOR : TG_QUALITY_GOOD);
        else
            ble_same(&c, ble_reading(&c, &r, key), want);
    }
    ble_truncations(&c, FORMAT, false); /* these layouts are told apart by their length alone */
}

int main(void)
{
    return ble_vectors_main("southbound/ble_govee.json", run);
}
