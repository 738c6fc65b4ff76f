/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * iBeacon: Apple's "Proximity Beacon Specification". Manufacturer data of company 004C: 02 15, UUID, major and minor u16be,
 * power at one metre s8. What else the company sends is not looked at.
 */
#include "southbound/ble/ble_private.h"

#define COMPANY 0x004C
#define BYTES   23

static bool find(const struct tg_ble_advert *advert, struct tg_bytes *ret_content)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    uint16_t company;
    while (tg_ble_ad_next_manufacturer(&i, &company, ret_content))
        if (company == COMPANY && ret_content->len >= 1 && ret_content->data[0] == 0x02)
            return true;
    return false;
}

static void add_uuid(struct tg_ble_readings *r, const uint8_t *p)
{
    static const char digits[] = "0123456789abcdef";
    char text[36];
    size_t n = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[n++] = '-';
        text[n++] = digits[p[i] >> 4];
        text[n++] = digits[p[i] & 15];
    }
    tg_ble_add_text(r, "uuid", 0, tg_bytes(text, n));
}

static enum tg_ble_verdict decode(const struct tg_ble_advert *advert, struct tg_bytes content,
                                  const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    const uint8_t *p = content.data;
    (void)advert;
    (void)key;
    if (content.len != BYTES || p[1] != BYTES - 2)
        return TG_BLE_MALFORMED;
    add_uuid(r, p + 2);
    tg_ble_add_ratio(r, "major", "", 0, tg_ble_u16be(p + 18), 1);
    tg_ble_add_ratio(r, "minor", "", 0, tg_ble_u16be(p + 20), 1);
    tg_ble_add(r, "tx_power_1m", "dBm", 0, tg_value_int((int8_t)p[22]));
    return TG_BLE_OK;
}

static const char *const names[] = {"uuid", "major", "minor", "tx_power_1m", NULL};

const struct tg_ble_decoder tg_ble_ibeacon_decoder = {
    .doc = "iBeacon", .reading_names = names, .find = find, .decode = decode};
