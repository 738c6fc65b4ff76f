/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Govee thermometers. There is no specification; the layouts are those of GoveeBTTempLogger and ble_monitor. Behind the company:
 *
 *     EC88, 6 bytes   H5072, H5075          00, packed u24be, battery, 00
 *     EC88, 7         H5074                 00, temperature s16le /100, humidity u16le /100, battery, …
 *     EC88, 9         H5051, H5052, H5071   the same
 *     0001, 6         H5101, H5102, H5177   01 01, packed u24be, battery
 *     0001, 9         H5178                 01 00, sensor u8 (1: outdoors), packed u24be, battery, …
 *     8801, 9         H5179                 EC 00 01 01, temperature s16le /100, humidity u16le /100, battery
 *
 * packed: bit 23 is the sign of the temperature, the rest temperature × 10 × 1000 + humidity × 10. Bit 7 of the battery beside it
 * says that the sensor has failed. Company 0001 is Nokia's, and the name or the UUID EC88 must say that it is a Govee.
 * Several send an iBeacon along, which is not looked at.
 */
#include "southbound/ble/ble_private.h"

#define COMPANY       0xEC88
#define COMPANY_NOKIA 0x0001
#define COMPANY_H5179 0x8801

/* The name begins with GV or Govee, or EC88 is among the 16-bit UUIDs. */
static bool says_govee(const struct tg_ble_advert *advert)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    struct tg_ble_ad ad;
    while (tg_ble_ad_next(&i, &ad)) {
        bool name = ad.type == TG_BLE_AD_NAME || ad.type == TG_BLE_AD_NAME_SHORT;
        bool uuids = ad.type == TG_BLE_AD_UUID16_SOME || ad.type == TG_BLE_AD_UUID16_ALL;
        if (name && ((ad.len >= 3 && memcmp(ad.data, "GVH", 3) == 0) ||
                     (ad.len >= 5 && memcmp(ad.data, "Govee", 5) == 0)))
            return true;
        for (size_t k = 0; uuids && k + 1 < ad.len; k += 2)
            if (tg_ble_u16le(ad.data + k) == COMPANY)
                return true;
    }
    return false;
}

static const char *model_of(uint16_t company, struct tg_bytes c)
{
    if (company == COMPANY)
        return c.len == 6 ? "H5072/H5075" : c.len == 7 ? "H5074" : c.len == 9 ? "H5051/H5052/H5071" : NULL;
    if (company == COMPANY_H5179)
        return c.len == 9 && memcmp(c.data, "\xEC\x00\x01\x01", 4) == 0 ? "H5179" : NULL;
    if (company == COMPANY_NOKIA && c.len >= 2 && c.data[0] == 1)
        return c.len == 6 && c.data[1] == 1   ? "H5101/H5102/H5177"
               : c.len == 9 && c.data[1] == 0 ? "H5178"
                                              : NULL;
    return NULL;
}

static bool look(const struct tg_ble_advert *advert, uint16_t *ret_company, struct tg_bytes *ret_content)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    while (tg_ble_ad_next_manufacturer(&i, ret_company, ret_content))
        if (model_of(*ret_company, *ret_content) && (*ret_company != COMPANY_NOKIA || says_govee(advert)))
            return true;
    return false;
}

static bool find(const struct tg_ble_advert *advert, struct tg_bytes *ret_content)
{
    uint16_t company;
    return look(advert, &company, ret_content);
}

static void add_packed(struct tg_ble_readings *r, const uint8_t *p)
{
    uint32_t packed = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2], size = packed & 0x7FFFFF;
    if (p[3] & 0x80) {
        tg_ble_add_none(r, "temperature", "Cel", 0);
        tg_ble_add_none(r, "humidity", "%RH", 0);
    } else {
        int64_t tenths = size / 1000;
        tg_ble_add_ratio(r, "temperature", "Cel", 0, packed & 0x800000 ? -tenths : tenths, 10);
        tg_ble_add_ratio(r, "humidity", "%RH", 0, size % 1000, 10);
    }
    tg_ble_add_battery(r, p[3] & 0x7F);
}

static void add_hundredths(struct tg_ble_readings *r, const uint8_t *p)
{
    tg_ble_add_ratio(r, "temperature", "Cel", 0, tg_ble_s16le(p), 100);
    tg_ble_add_ratio(r, "humidity", "%RH", 0, tg_ble_u16le(p + 2), 100);
    tg_ble_add_battery(r, p[4]);
}

static enum tg_ble_verdict decode(const struct tg_ble_advert *advert, struct tg_bytes content,
                                  const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    const uint8_t *p;
    uint16_t company;
    (void)key;
    if (!look(advert, &company, &content))
        return TG_BLE_MALFORMED;
    p = content.data;
    tg_ble_set_model(r, model_of(company, content));
    if (company == COMPANY && content.len == 6)
        add_packed(r, p + 1);
    else if (company == COMPANY)
        add_hundredths(r, p + 1);
    else if (company == COMPANY_H5179)
        add_hundredths(r, p + 4);
    else if (content.len == 6)
        add_packed(r, p + 2);
    else if (p[2] > 1)
        return TG_BLE_UNSUPPORTED;
    else {
        tg_ble_set_model(r, p[2] == 1 ? "H5178 outdoors" : "H5178");
        add_packed(r, p + 3);
    }
    return TG_BLE_OK;
}

static const char *const names[] = {"temperature", "humidity", "battery", NULL};

const struct tg_ble_decoder tg_ble_govee_decoder = {
    .doc = "Govee thermometers H5051 to H5179", .reading_names = names, .find = find, .decode = decode};
