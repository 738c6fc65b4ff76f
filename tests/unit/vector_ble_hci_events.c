/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/ble_hci_events.json: reports of a controller.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/ble_vectors.h"

#include "southbound/ble/hci_events.h"

static const char *id;

#define CHECK(cond) BLE_CHECK(id, cond)

static bool same_number(const json_t *want, long value, long none)
{
    return !want || (json_is_null(want) ? value == none : json_integer_value(want) == value);
}

static void check_structures(const struct tg_ble_advert *a, const json_t *list)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(a->data, a->len);
    struct tg_ble_ad ad;
    const json_t *want;
    size_t k;
    json_array_foreach((json_t *)(uintptr_t)list, k, want)
    {
        uint8_t data[256];
        long n = tg_vectors_hex(json_string_value(json_object_get(want, "data")), data, sizeof data);
        CHECK(tg_ble_ad_next(&i, &ad));
        CHECK(ad.type == json_integer_value(json_object_get(want, "type")));
        CHECK(ad.len == n && memcmp(ad.data, data, (size_t)n) == 0);
    }
    CHECK(!tg_ble_ad_next(&i, &ad) && !i.malformed);
}

static void check_report(const struct tg_hci_report *r, const json_t *want)
{
    struct tg_ble_address address = {0};
    CHECK(r->event_type == json_integer_value(json_object_get(want, "event_type")));
    CHECK(r->address_type == json_integer_value(json_object_get(want, "addr_type")));
    CHECK(r->advert.address.type == (r->address_type ? TG_BLE_ADDRESS_RANDOM : TG_BLE_ADDRESS_PUBLIC));
    CHECK(tg_ble_address_parse(json_string_value(json_object_get(want, "addr")), &address));
    CHECK(tg_ble_address_eq(&address, &r->advert.address));
    CHECK(same_number(json_object_get(want, "rssi"), r->advert.rssi, TG_BLE_RSSI_UNKNOWN));
    CHECK(same_number(json_object_get(want, "data_status"), r->data_status, -1));
    CHECK(same_number(json_object_get(want, "primary_phy"), r->primary_phy, -1));
    CHECK(same_number(json_object_get(want, "secondary_phy"), r->secondary_phy, -1));
    CHECK(same_number(json_object_get(want, "sid"), r->sid, TG_HCI_NO_SID));
    CHECK(same_number(json_object_get(want, "tx_power"), r->tx_power, TG_HCI_NO_POWER));
    if (json_object_get(want, "legacy"))
        CHECK(r->legacy == json_is_true(json_object_get(want, "legacy")));
    check_structures(&r->advert, json_object_get(want, "ad"));
}

/* Cut after any byte, with its own length or one that fits: nothing is taken from it. */
static void truncations(const uint8_t *packet, size_t n)
{
    struct tg_hci_event event;
    for (size_t k = 0; k < n; k++) {
        uint8_t *exact = malloc(k + !k);
        assert_non_null(exact);
        memcpy(exact, packet, k);
        CHECK(tg_hci_event_begin(&event, exact, k, 0) == TG_HCI_TRUNCATED);
        if (k >= 3) {
            exact[2] = (uint8_t)(k - 3);
            CHECK(tg_hci_event_begin(&event, exact, k, 0) == TG_HCI_TRUNCATED);
        }
        free(exact);
    }
}

static void run(const json_t *v)
{
    const json_t *expect = json_object_get(v, "expect"), *reports = json_object_get(expect, "reports"), *want;
    uint8_t packet[TG_HCI_EVENT_MAX];
    struct tg_hci_event event;
    struct tg_hci_report report;
    size_t i;
    id = json_string_value(json_object_get(v, "id"));
    long n = tg_vectors_hex(json_string_value(json_object_get(v, "hci_event")), packet, sizeof packet);
    CHECK(n > 0);
    enum tg_hci_verdict verdict = tg_hci_event_begin(&event, packet, (size_t)n, 77);
    if (json_object_get(expect, "error")) {
        assert_string_equal(tg_hci_verdict_name(verdict),
                            json_string_value(json_object_get(expect, "error")));
        return;
    }
    CHECK(verdict == TG_HCI_OK && event.subevent == json_integer_value(json_object_get(expect, "subevent")));
    json_array_foreach(reports, i, want)
    {
        CHECK(tg_hci_event_next(&event, &report));
        CHECK(report.advert.time_ms == 77);
        check_report(&report, want);
    }
    CHECK(!tg_hci_event_next(&event, &report));
    truncations(packet, (size_t)n);
}

int main(void)
{
    return ble_vectors_main("southbound/ble_hci_events.json", run);
}
