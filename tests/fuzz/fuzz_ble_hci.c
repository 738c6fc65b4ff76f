/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A controller's packets and the kernel's management events. The input is a row of them: a length, then the bytes. Beside not crashing: what
 * comes out of an event lies inside it, and what is put together is never longer than an advertisement.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "southbound/ble/hci_events.h"
#include "southbound/ble/mgmt_events.h"

static void demand(int condition)
{
    if (!condition)
        abort();
}

static void inside(const struct tg_ble_advert *a, const uint8_t *packet, size_t len)
{
    demand(a->len == 0 || (a->data >= packet && a->data + a->len <= packet + len));
}

static void walk(const struct tg_ble_advert *a)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(a->data, a->len);
    struct tg_ble_ad ad;
    size_t sum = 0;
    while (tg_ble_ad_next(&i, &ad))
        sum += 2u + ad.len;
    demand(sum <= a->len);
}

static void hear(struct tg_hci_fragments *f, const uint8_t *packet, size_t len, int64_t time_ms)
{
    struct tg_hci_event event;
    struct tg_hci_report report;
    struct tg_ble_advert whole;
    struct tg_mgmt_found found;
    unsigned reports = 0;
    if (tg_hci_event_begin(&event, packet, len, time_ms) == TG_HCI_OK) {
        while (tg_hci_event_next(&event, &report)) {
            reports++;
            inside(&report.advert, packet, len);
            if (tg_hci_join(f, &report, &whole)) {
                demand(whole.len <= TG_BLE_ADVERT_MAX);
                walk(&whole);
            }
        }
        demand(reports == packet[4]);
    }
    if (tg_mgmt_found(packet, len, time_ms, &found) == TG_MGMT_OK) {
        inside(&found.advert, packet, len);
        walk(&found.advert);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tg_hci_fragments fragments;
    int64_t now_ms = 0;
    memset(&fragments, 0, sizeof fragments);
    while (size > 2) {
        size_t n = (size_t)data[0] | (size_t)(data[1] & 3) << 8;
        now_ms += 100 * (data[1] >> 2);
        data += 2;
        size -= 2;
        n = n < size ? n : size;
        uint8_t *exact = malloc(n + !n);
        demand(exact != NULL);
        memcpy(exact, data, n);
        hear(&fragments, exact, n, now_ms);
        free(exact);
        data += n;
        size -= n;
    }
    return 0;
}
