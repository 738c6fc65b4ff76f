/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Long advertisements from their fragments: joined by address and set, bounded, and never half.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/ble/hci_events.h"

static struct tg_hci_fragments fragments;
static struct tg_ble_advert whole;
static uint8_t content[TG_BLE_ADVERT_MAX + 256];

static int setup(void **state)
{
    (void)state;
    memset(&fragments, 0, sizeof fragments);
    memset(&whole, 0, sizeof whole);
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i * 7 + i / 256);
    return 0;
}

/* An extended report with `len` bytes of content from `from` on; true when an advertisement is whole. */
static bool hear(uint8_t device, uint8_t sid, unsigned status, size_t from, size_t len, int64_t time_ms)
{
    uint8_t packet[TG_HCI_EVENT_MAX] = {0x04, 0x3E, (uint8_t)(26 + len), 0x0D, 1, (uint8_t)(status << 5)};
    struct tg_hci_event event;
    struct tg_hci_report report;
    packet[7] = 1; /* random */
    packet[8] = device;
    packet[14] = 1;
    packet[15] = 2;
    packet[16] = sid;
    packet[17] = 127;
    packet[18] = (uint8_t)-50;
    packet[28] = (uint8_t)len;
    memcpy(packet + 29, content + from, len);
    assert_int_equal(tg_hci_event_begin(&event, packet, 29 + len, time_ms), TG_HCI_OK);
    assert_true(tg_hci_event_next(&event, &report));
    assert_int_equal(report.data_status, status);
    bool done = tg_hci_join(&fragments, &report, &whole);
    if (done && whole.data >= packet && whole.data < packet + sizeof packet)
        whole.data = content + from; /* it points into the packet, which goes now */
    return done;
}

static void is_whole(uint8_t device, size_t from, size_t len)
{
    assert_int_equal(whole.len, len);
    assert_memory_equal(whole.data, content + from, len);
    assert_int_equal(whole.address.bytes[5], device);
    assert_int_equal(whole.address.type, TG_BLE_ADDRESS_RANDOM);
    assert_int_equal(whole.rssi, -50);
}

static void at_once(void **state)
{
    (void)state;
    assert_true(hear(1, 0, TG_HCI_COMPLETE, 0, 40, 0));
    is_whole(1, 0, 40);
}

static void joined(void **state)
{
    (void)state;
    assert_false(hear(1, 3, TG_HCI_MORE, 0, 229, 0));
    assert_false(hear(1, 4, TG_HCI_MORE, 500, 10, 1)); /* another set of the same device */
    assert_false(hear(2, 3, TG_HCI_MORE, 700, 10, 1)); /* another device */
    assert_false(hear(1, 3, TG_HCI_MORE, 229, 229, 2));
    assert_true(hear(1, 3, TG_HCI_COMPLETE, 458, 42, 3));
    is_whole(1, 0, 500);
    assert_true(hear(1, 4, TG_HCI_COMPLETE, 510, 5, 3));
    is_whole(1, 500, 15);
    assert_true(hear(2, 3, TG_HCI_COMPLETE, 710, 0, 3)); /* the end may bring nothing more */
    is_whole(2, 700, 10);
    assert_int_equal(fragments.dropped, 0);
    assert_true(hear(1, 3, TG_HCI_COMPLETE, 0, 5, 4)); /* nothing is left of it */
    is_whole(1, 0, 5);
}

static void longest(void **state)
{
    size_t n = 0;
    (void)state;
    for (; n + 225 < TG_BLE_ADVERT_MAX; n += 225)
        assert_false(hear(1, 0, TG_HCI_MORE, n, 225, 0));
    assert_true(hear(1, 0, TG_HCI_COMPLETE, n, TG_BLE_ADVERT_MAX - n, 0));
    is_whole(1, 0, TG_BLE_ADVERT_MAX);
    for (n = 0; n + 225 < TG_BLE_ADVERT_MAX; n += 225)
        assert_false(hear(1, 0, TG_HCI_MORE, n, 225, 0));
    assert_false(hear(1, 0, TG_HCI_MORE, n, TG_BLE_ADVERT_MAX - n + 1, 0));
    assert_int_equal(fragments.dropped, 1);
    assert_false(hear(1, 0, TG_HCI_MORE, 0, 20, 0)); /* still the one that is too long */
    assert_false(hear(1, 0, TG_HCI_COMPLETE, 0, 20, 0));
    assert_int_equal(fragments.dropped, 1);
    assert_true(hear(1, 0, TG_HCI_COMPLETE, 0, 20, 0));
}

static void cut_by_the_controller(void **state)
{
    (void)state;
    assert_false(hear(1, 0, TG_HCI_MORE, 0, 100, 0));
    assert_false(hear(1, 0, TG_HCI_CUT, 100, 50, 0));
    assert_int_equal(fragments.dropped, 1);
    assert_false(hear(1, 0, TG_HCI_CUT, 0, 50, 0));
    assert_int_equal(fragments.dropped, 2);
    assert_true(hear(1, 0, TG_HCI_COMPLETE, 0, 10, 0));
    is_whole(1, 0, 10);
}

static void too_late(void **state)
{
    (void)state;
    assert_false(hear(1, 0, TG_HCI_MORE, 0, 100, 0));
    assert_true(hear(1, 0, TG_HCI_COMPLETE, 300, 50, TG_HCI_FRAGMENT_MS));
    is_whole(1, 300, 50);
    assert_int_equal(fragments.dropped, 1);
}

static void table_full(void **state)
{
    (void)state;
    for (uint8_t d = 0; d < TG_HCI_FRAGMENT_SLOTS + 1; d++)
        assert_false(hear(d, 0, TG_HCI_MORE, d, 10, d));
    assert_int_equal(fragments.dropped, 1); /* the first, which had waited longest */
    for (uint8_t d = 1; d < TG_HCI_FRAGMENT_SLOTS + 1; d++) {
        assert_true(hear(d, 0, TG_HCI_COMPLETE, d + 10u, 10, 20));
        is_whole(d, d, 20);
    }
    assert_int_equal(fragments.dropped, 1);
}

static void other_events(void **state)
{
    static const uint8_t disconnect[] = {0x04, 0x05, 4, 0, 1, 0, 8}, meta[] = {0x04, 0x3E, 2, 0x01, 0},
                         nothing[] = {0x04, 0x3E, 2, 0x02, 0}, acl[] = {0x02, 0x3E, 0};
    struct tg_hci_event event;
    struct tg_hci_report report;
    (void)state;
    assert_int_equal(tg_hci_event_begin(&event, disconnect, sizeof disconnect, 0), TG_HCI_OTHER);
    assert_int_equal(tg_hci_event_begin(&event, meta, sizeof meta, 0), TG_HCI_OTHER);
    assert_int_equal(tg_hci_event_begin(&event, acl, sizeof acl, 0), TG_HCI_OTHER);
    assert_int_equal(tg_hci_event_begin(&event, acl, 2, 0), TG_HCI_TRUNCATED);
    assert_int_equal(tg_hci_event_begin(&event, nothing, sizeof nothing, 0), TG_HCI_OK);
    assert_false(tg_hci_event_next(&event, &report));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(at_once, setup),  cmocka_unit_test_setup(joined, setup),
        cmocka_unit_test_setup(longest, setup),  cmocka_unit_test_setup(cut_by_the_controller, setup),
        cmocka_unit_test_setup(too_late, setup), cmocka_unit_test_setup(table_full, setup),
        cmocka_unit_test(other_events)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
