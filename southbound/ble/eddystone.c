/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Eddystone: github.com/google/eddystone, protocol-specification.md and its frames UID, URL and TLM. Service data FEAA, big
 * endian. Encrypted telemetry (TLM version 1) and ephemeral identifiers need a resolver and are not supported.
 */
#include "southbound/ble/ble_private.h"

#define UUID 0xFEAA

#define FRAME_UID 0x00
#define FRAME_URL 0x10
#define FRAME_TLM 0x20

#define UID_BYTES      18 /* and two reserved ones, which some leave out */
#define TLM_BYTES      14
#define NO_TEMPERATURE INT16_MIN
#define URL_MAX_BYTES  17 /* encoded */
#define URL_TEXT_BYTES (12 + URL_MAX_BYTES * 6)

static bool find(const struct tg_ble_advert *advert, struct tg_bytes *ret_content)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    return tg_ble_ad_next_service(&i, UUID, ret_content);
}

static enum tg_ble_verdict telemetry(struct tg_bytes c, struct tg_ble_readings *r)
{
    const uint8_t *p = c.data;
    tg_ble_set_model(r, "TLM");
    if (c.len < 2)
        return TG_BLE_MALFORMED;
    if (p[1] != 0) {
        r->encrypted = p[1] == 1;
        return TG_BLE_UNSUPPORTED;
    }
    if (c.len != TLM_BYTES)
        return TG_BLE_MALFORMED;
    if (tg_ble_u16be(p + 2) == 0)
        tg_ble_add_none(r, "voltage", "V", 0);
    else
        tg_ble_add_ratio(r, "voltage", "V", 0, tg_ble_u16be(p + 2), 1000);
    if (tg_ble_s16be(p + 4) == NO_TEMPERATURE)
        tg_ble_add_none(r, "temperature", "Cel", 0);
    else
        tg_ble_add_ratio(r, "temperature", "Cel", 0, tg_ble_s16be(p + 4), 256);
    tg_ble_add_ratio(r, "adv_count", "", 0, tg_ble_u32be(p + 6), 1);
    tg_ble_add_ratio(r, "uptime", "s", 0, tg_ble_u32be(p + 10), 10);
    return TG_BLE_OK;
}

static enum tg_ble_verdict identity(struct tg_bytes c, struct tg_ble_readings *r)
{
    tg_ble_set_model(r, "UID");
    if (c.len != UID_BYTES && c.len != UID_BYTES + 2)
        return TG_BLE_MALFORMED;
    tg_ble_add_hex(r, "namespace", 0, tg_bytes(c.data + 2, 10));
    tg_ble_add_hex(r, "instance", 0, tg_bytes(c.data + 12, 6));
    tg_ble_add(r, "tx_power_0m", "dBm", 0, tg_value_int((int8_t)c.data[1]));
    return TG_BLE_OK;
}

static enum tg_ble_verdict url(struct tg_bytes c, struct tg_ble_readings *r)
{
    static const char *const schemes[] = {"http://www.", "https://www.", "http://", "https://"};
    static const char *const endings[] = {".com/", ".org/", ".edu/", ".net/", ".info/", ".biz/", ".gov/",
                                          ".com",  ".org",  ".edu",  ".net",  ".info",  ".biz",  ".gov"};
    char text[URL_TEXT_BYTES];
    struct tg_writer w = tg_writer_init(text, sizeof text);
    tg_ble_set_model(r, "URL");
    if (c.len < 4 || c.len > 3 + URL_MAX_BYTES || c.data[2] >= sizeof schemes / sizeof *schemes)
        return TG_BLE_MALFORMED;
    tg_write_str(&w, schemes[c.data[2]]);
    for (size_t i = 3; i < c.len; i++) {
        uint8_t b = c.data[i];
        if (b < sizeof endings / sizeof *endings)
            tg_write_str(&w, endings[b]);
        else if (b <= 0x20 || b >= 0x7F) /* reserved */
            return TG_BLE_MALFORMED;
        else
            tg_write_u8(&w, b);
    }
    tg_ble_add_text(r, "url", 0, tg_bytes(text, w.len));
    tg_ble_add(r, "tx_power_0m", "dBm", 0, tg_value_int((int8_t)c.data[1]));
    return TG_BLE_OK;
}

static enum tg_ble_verdict decode(const struct tg_ble_advert *advert, struct tg_bytes content,
                                  const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    (void)advert;
    (void)key;
    if (content.len < 1)
        return TG_BLE_MALFORMED;
    switch (content.data[0]) {
    case FRAME_TLM:
        return telemetry(content, r);
    case FRAME_UID:
        return identity(content, r);
    case FRAME_URL:
        return url(content, r);
    default:
        return TG_BLE_UNSUPPORTED;
    }
}

static const char *const names[] = {"voltage",  "temperature", "adv_count",   "uptime", "namespace",
                                    "instance", "url",         "tx_power_0m", NULL};

const struct tg_ble_decoder tg_ble_eddystone_decoder = {
    .doc = "Eddystone TLM, UID and URL", .reading_names = names, .find = find, .decode = decode};
