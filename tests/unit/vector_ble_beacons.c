/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/ble_beacons.json: Eddystone and iBeacon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/ble_vectors.h"

#define FORMATS (TG_BLE_FORMAT_BIT(TG_BLE_EDDYSTONE) | TG_BLE_FORMAT_BIT(TG_BLE_IBEACON))

/* A UUID as the vectors have it, without dashes. */
static void same_uuid(const struct ble_case *c, const struct tg_ble_readings *r, const json_t *want)
{
    const struct tg_ble_reading *item = ble_reading(c, r, "uuid");
    char plain[40];
    size_t n = 0;
    for (size_t i = 0; i < item->value.text_len && n < sizeof plain - 1; i++)
        if (item->value.as.text[i] != '-')
            plain[n++] = item->value.as.text[i];
    plain[n] = 0;
    assert_int_equal(item->value.text_len, 36);
    assert_string_equal(plain, json_string_value(want));
}

static void check_entry(const struct ble_case *c, const struct tg_ble_readings *r, const json_t *expect)
{
    const char *key;
    json_t *want;
    json_object_foreach((json_t *)(uintptr_t)expect, key, want)
    {
        if (strcmp(key, "frame") == 0)
            assert_int_equal(strcasecmp(r->model, json_string_value(want)), 0);
        else if (strcmp(key, "uuid") == 0)
            same_uuid(c, r, want);
        else /* a battery in volts is a voltage in every format */
            ble_same(c,
                     ble_reading(c, r,
                                 strcmp(key, "battery") == 0    ? "voltage"
                                 : strcmp(key, "uptime_s") == 0 ? "uptime"
                                                                : key),
                     want);
    }
}

static void run(const json_t *v)
{
    static struct tg_ble_readings r;
    const json_t *expect = json_object_get(v, "expect");
    const char *frame = json_string_value(json_object_get(expect, "frame"));
    struct ble_case c;
    ble_case_load(v, 0xFEAA, &c);
    enum tg_ble_verdict verdict = tg_ble_decode(FORMATS, &c.advert, NULL, NULL, &r);
    if (json_object_get(expect, "error")) {
        assert_string_equal(json_string_value(json_object_get(expect, "error")), "not_ibeacon");
        assert_int_equal(verdict, TG_BLE_NOT_MINE);
        return;
    }
    assert_int_equal(verdict, TG_BLE_OK);
    check_entry(&c, &r, expect);
    /* A URL does not say how long it is, and a UID may leave out its last two bytes: there the structure's length counts. */
    ble_truncations(&c, FORMATS, !frame || strcmp(frame, "tlm") == 0);
}

int main(void)
{
    return ble_vectors_main("southbound/ble_beacons.json", run);
}
