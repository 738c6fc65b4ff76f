/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Advertisements as the kernel's management interface tells them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/ble/mgmt_events.h"

static const uint8_t monitored[] = {0x2F, 0x00, 0x01, 0x00, 19,   0x00, 0x05, 0x00, 0x22,
                                    0x11, 0xAA, 0xBB, 0xCC, 0xC0, 0x02, 0xC4, 0x04, 0x00,
                                    0x00, 0x00, 0x03, 0x00, 0x02, 0x01, 0x06};
static const uint8_t found[] = {0x12, 0x00, 0x00, 0x00, 17,   0x00, 0x21, 0x93, 0x35, 0x34, 0x2D, 0x58,
                                0x01, 0x7F, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x02, 0x01, 0x06};

static void both(void **state)
{
    struct tg_mgmt_found f;
    char text[TG_BLE_ADDRESS_BYTES];
    (void)state;
    assert_int_equal(tg_mgmt_found(monitored, sizeof monitored, 5, &f), TG_MGMT_OK);
    tg_ble_address_text(&f.advert.address, text);
    assert_string_equal(text, "C0:CC:BB:AA:11:22");
    assert_int_equal(f.advert.address.type, TG_BLE_ADDRESS_RANDOM);
    assert_int_equal(f.advert.rssi, -60);
    assert_int_equal(f.advert.time_ms, 5);
    assert_true(f.adapter == 1 && f.monitor == 5 && f.flags == 4 && f.event == TG_MGMT_MONITOR_DEVICE_FOUND);
    assert_true(f.advert.len == 3 && f.advert.data == monitored + sizeof monitored - 3);
    assert_int_equal(tg_mgmt_found(found, sizeof found, 6, &f), TG_MGMT_OK);
    tg_ble_address_id(&f.advert.address, text);
    assert_string_equal(text, "582d34359321");
    assert_int_equal(f.advert.address.type, TG_BLE_ADDRESS_PUBLIC);
    assert_int_equal(f.advert.rssi, TG_BLE_RSSI_UNKNOWN);
    assert_true(f.adapter == 0 && f.monitor == 0 && f.event == TG_MGMT_DEVICE_FOUND && f.advert.len == 3);
}

static void cut_or_longer(void **state)
{
    (void)state;
    for (int event = 0; event < 2; event++) {
        const uint8_t *packet = event ? monitored : found;
        size_t n = event ? sizeof monitored : sizeof found;
        for (size_t k = 0; k < n; k++) {
            struct tg_mgmt_found f;
            uint8_t *exact = malloc(k + !k);
            assert_non_null(exact);
            memcpy(exact, packet, k);
            assert_int_equal(tg_mgmt_found(exact, k, 0, &f), TG_MGMT_TRUNCATED);
            if (k >= TG_MGMT_HEAD_BYTES)
                exact[4] = (uint8_t)(k - TG_MGMT_HEAD_BYTES); /* the head agrees, the rest does not */
            assert_int_equal(tg_mgmt_found(exact, k, 0, &f), TG_MGMT_TRUNCATED);
            free(exact);
        }
    }
    assert_string_equal(tg_mgmt_verdict_name(TG_MGMT_TRUNCATED), "truncated");
}

static void others(void **state)
{
    uint8_t packet[sizeof found];
    struct tg_mgmt_found f = {.adapter = 77};
    (void)state;
    memcpy(packet, found, sizeof found);
    packet[12] = 0; /* BR/EDR */
    assert_int_equal(tg_mgmt_found(packet, sizeof packet, 0, &f), TG_MGMT_OTHER);
    packet[0] = 0x13; /* Discovering */
    assert_int_equal(tg_mgmt_found(packet, sizeof packet, 0, &f), TG_MGMT_OTHER);
    assert_int_equal(f.adapter, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both), cmocka_unit_test(cut_or_longer),
                                       cmocka_unit_test(others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
