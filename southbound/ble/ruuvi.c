/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * RuuviTag: docs.ruuvi.com, data format 5 (RAWv2) and 3 (RAWv1). Big endian, behind company 0499.
 */
#include "southbound/ble/ble_private.h"

#define COMPANY       0x0499
#define BYTES_5       24
#define BYTES_3       14
#define PRESSURE_BASE 50000 /* Pa */

#define NO_SIGNED   INT16_MIN
#define NO_UNSIGNED 0xFFFF
#define NO_POWER    2047 /* of 11 bits */
#define NO_TX       31   /* of 5 bits */
#define NO_BYTE     255

static const char *const axes[3] = {"acceleration_x", "acceleration_y", "acceleration_z"};

static bool find(const struct tg_ble_advert *advert, struct tg_bytes *ret_content)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    uint16_t company;
    while (tg_ble_ad_next_manufacturer(&i, &company, ret_content))
        if (company == COMPANY)
            return true;
    return false;
}

/* raw × factor / divisor, or no value. */
static void add(struct tg_ble_readings *r, const char *name, const char *unit, int32_t raw, int32_t none,
                int32_t divisor)
{
    if (raw == none)
        tg_ble_add_none(r, name, unit, 0);
    else
        tg_ble_add_ratio(r, name, unit, 0, raw, divisor);
}

static void add_pressure(struct tg_ble_readings *r, int32_t raw, int32_t none)
{
    if (raw == none)
        tg_ble_add_none(r, "pressure", "Pa", 0);
    else
        tg_ble_add_ratio(r, "pressure", "Pa", 0, raw + PRESSURE_BASE, 1);
}

static enum tg_ble_verdict format_5(const uint8_t *p, struct tg_ble_readings *r)
{
    static const uint8_t no_address[6] = {255, 255, 255, 255, 255, 255};
    unsigned power = tg_ble_u16be(p + 13), sequence = tg_ble_u16be(p + 16);
    add(r, "temperature", "Cel", tg_ble_s16be(p + 1), NO_SIGNED, 200);
    add(r, "humidity", "%RH", tg_ble_u16be(p + 3), NO_UNSIGNED, 400);
    add_pressure(r, tg_ble_u16be(p + 5), NO_UNSIGNED);
    for (size_t i = 0; i < 3; i++)
        add(r, axes[i], "g", tg_ble_s16be(p + 7 + 2 * i), NO_SIGNED, 1000);
    if (power >> 5 == NO_POWER)
        tg_ble_add_none(r, "voltage", "V", 0);
    else
        tg_ble_add_ratio(r, "voltage", "V", 0, (int32_t)(power >> 5) + 1600, 1000);
    if ((power & 31) == NO_TX)
        tg_ble_add_none(r, "tx_power", "dBm", 0);
    else
        tg_ble_add_ratio(r, "tx_power", "dBm", 0, (int32_t)(power & 31) * 2 - 40, 1);
    add(r, "movement_counter", "", p[15], NO_BYTE, 1);
    add(r, "sequence", "", (int32_t)sequence, NO_UNSIGNED, 1);
    r->has_counter = sequence != NO_UNSIGNED;
    r->counter = r->has_counter ? sequence : 0;
    r->counter_bits = r->has_counter ? 16 : 0;
    r->has_address = memcmp(p + 18, no_address, 6) != 0;
    if (r->has_address)
        memcpy(r->address, p + 18, 6);
    return TG_BLE_OK;
}

static enum tg_ble_verdict format_3(const uint8_t *p, struct tg_ble_readings *r)
{
    int32_t temperature = 100 * (p[2] & 0x7F) + p[3]; /* sign and magnitude, hundredths apart */
    tg_ble_add_ratio(r, "humidity", "%RH", 0, p[1], 2);
    if (p[3] > 99)
        tg_ble_add_none(r, "temperature", "Cel", 0);
    else
        tg_ble_add_ratio(r, "temperature", "Cel", 0, p[2] & 0x80 ? -temperature : temperature, 100);
    add_pressure(r, tg_ble_u16be(p + 4), -1); /* this format has no marker */
    for (size_t i = 0; i < 3; i++)
        tg_ble_add_ratio(r, axes[i], "g", 0, tg_ble_s16be(p + 6 + 2 * i), 1000);
    tg_ble_add_ratio(r, "voltage", "V", 0, tg_ble_u16be(p + 12), 1000);
    return TG_BLE_OK;
}

static enum tg_ble_verdict decode(const struct tg_ble_advert *advert, struct tg_bytes content,
                                  const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    (void)advert;
    (void)key;
    tg_ble_set_model(r, "RuuviTag");
    if (content.len < 1)
        return TG_BLE_MALFORMED;
    r->version = content.data[0];
    if (r->version == 5)
        return content.len == BYTES_5 ? format_5(content.data, r) : TG_BLE_MALFORMED;
    if (r->version == 3)
        return content.len == BYTES_3 ? format_3(content.data, r) : TG_BLE_MALFORMED;
    return TG_BLE_UNSUPPORTED;
}

static const char *const names[] = {"temperature",      "humidity",       "pressure", "acceleration_x",
                                    "acceleration_y",   "acceleration_z", "voltage",  "tx_power",
                                    "movement_counter", "sequence",       NULL};

const struct tg_ble_decoder tg_ble_ruuvi_decoder = {
    .doc = "RuuviTag data formats 3 and 5", .reading_names = names, .find = find, .decode = decode};
