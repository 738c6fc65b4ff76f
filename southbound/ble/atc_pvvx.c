/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Xiaomi thermometers with other firmware: ATC1441 and pvvx's "custom" format (github.com/pvvx/ATC_MiThermometer, "Bluetooth
 * Advertising Formats"), all in service data 181A. The length tells them apart, and the address that is in the plain ones:
 *
 *     ATC1441    13  address (most significant first), temperature s16be /10, humidity u8, battery u8, mV u16be, counter u8
 *     encrypted   8  counter u8, ciphertext 3, tag 4       temperature u8 /2 − 40, humidity u8 /2, battery u8 (bit 7: trigger)
 *     pvvx       15  address (least significant first), temperature s16le /100, humidity u16le /100, mV u16le, battery u8,
 *                    counter u8, flags u8
 *     encrypted  11  counter u8, ciphertext 6, tag 4       temperature s16le /100, humidity u16le /100, battery u8, flags u8
 *
 * AES-CCM, additional data 11; the nonce is the address (least significant byte first), the head of the AD structure (length, 16,
 * 1A 18) and the counter. The counter has 8 bits, so a replay is only seen for a while.
 */
#include "southbound/ble/ble_private.h"

#define UUID      0x181A
#define ATC       13
#define ATC_CODED 8
#define PVVX      15
#define CODED     11
#define TAG_BYTES 4

static bool find_length(const struct tg_ble_advert *advert, size_t plain, size_t coded,
                        struct tg_bytes *ret_content)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    while (tg_ble_ad_next_service(&i, UUID, ret_content))
        if (ret_content->len == plain || ret_content->len == coded)
            return true;
    return false;
}

static bool find_atc(const struct tg_ble_advert *advert, struct tg_bytes *ret_content)
{
    return find_length(advert, ATC, ATC_CODED, ret_content);
}

static bool find_pvvx(const struct tg_ble_advert *advert, struct tg_bytes *ret_content)
{
    return find_length(advert, PVVX, CODED, ret_content);
}

static void set_counter(struct tg_ble_readings *r, uint8_t counter)
{
    r->has_counter = true;
    r->counter = counter;
    r->counter_bits = 8;
}

/* The content without counter and tag into `plain`. */
static enum tg_ble_verdict decrypt(const struct tg_ble_advert *advert, struct tg_bytes content,
                                   const struct tg_ble_key *key, struct tg_ble_readings *r, uint8_t *plain)
{
    static const uint8_t additional[1] = {0x11};
    size_t n = content.len - 1 - TAG_BYTES;
    uint8_t nonce[11];
    r->encrypted = true;
    if (!tg_ble_has_key(key, TG_BLE_KEY_BYTES))
        return TG_BLE_NEEDS_KEY;
    tg_ble_address_reverse(advert->address.bytes, nonce);
    nonce[6] = (uint8_t)(content.len + 3);
    nonce[7] = TG_BLE_AD_SERVICE_DATA_16;
    nonce[8] = UUID & 0xFF;
    nonce[9] = UUID >> 8;
    nonce[10] = content.data[0];
    if (!key->crypto->ccm_decrypt(key->bytes, nonce, sizeof nonce, additional, sizeof additional,
                                  content.data + 1, n, content.data + 1 + n, TAG_BYTES, plain))
        return TG_BLE_WRONG_KEY;
    r->authentic = true;
    set_counter(r, content.data[0]);
    return TG_BLE_OK;
}

static enum tg_ble_verdict decode_atc(const struct tg_ble_advert *advert, struct tg_bytes content,
                                      const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    const uint8_t *p = content.data;
    uint8_t plain[3];
    if (content.len == ATC_CODED) {
        enum tg_ble_verdict verdict = decrypt(advert, content, key, r, plain);
        if (verdict != TG_BLE_OK)
            return verdict;
        tg_ble_add_ratio(r, "temperature", "Cel", 0, (int64_t)plain[0] - 80, 2);
        tg_ble_add_ratio(r, "humidity", "%RH", 0, plain[1], 2);
        tg_ble_add_battery(r, plain[2] & 0x7F);
        tg_ble_add(r, "trigger", "", 0, tg_value_bool(plain[2] & 0x80));
        return TG_BLE_OK;
    }
    if (!tg_ble_address_claim(advert, p, r))
        return TG_BLE_MALFORMED;
    if (key)
        return TG_BLE_PLAINTEXT;
    tg_ble_add_ratio(r, "temperature", "Cel", 0, tg_ble_s16be(p + 6), 10);
    tg_ble_add_ratio(r, "humidity", "%RH", 0, p[8], 1);
    tg_ble_add_ratio(r, "voltage", "V", 0, tg_ble_u16be(p + 10), 1000);
    tg_ble_add_battery(r, p[9]);
    set_counter(r, p[12]);
    return TG_BLE_OK;
}

static enum tg_ble_verdict decode_pvvx(const struct tg_ble_advert *advert, struct tg_bytes content,
                                       const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    const uint8_t *p = content.data;
    uint8_t plain[6], claimed[6];
    if (content.len == CODED) {
        enum tg_ble_verdict verdict = decrypt(advert, content, key, r, plain);
        if (verdict != TG_BLE_OK)
            return verdict;
        tg_ble_add_ratio(r, "temperature", "Cel", 0, tg_ble_s16le(plain), 100);
        tg_ble_add_ratio(r, "humidity", "%RH", 0, tg_ble_u16le(plain + 2), 100);
        tg_ble_add_battery(r, plain[4]);
        tg_ble_add_ratio(r, "flags", "", 0, plain[5], 1);
        return TG_BLE_OK;
    }
    tg_ble_address_reverse(p, claimed);
    if (!tg_ble_address_claim(advert, claimed, r))
        return TG_BLE_MALFORMED;
    if (key)
        return TG_BLE_PLAINTEXT;
    tg_ble_add_ratio(r, "temperature", "Cel", 0, tg_ble_s16le(p + 6), 100);
    tg_ble_add_ratio(r, "humidity", "%RH", 0, tg_ble_u16le(p + 8), 100);
    tg_ble_add_ratio(r, "voltage", "V", 0, tg_ble_u16le(p + 10), 1000);
    tg_ble_add_battery(r, p[12]);
    tg_ble_add_ratio(r, "flags", "", 0, p[14], 1);
    set_counter(r, p[13]);
    return TG_BLE_OK;
}

static const char *const atc_names[] = {"temperature", "humidity", "voltage", "battery", "trigger", NULL};
static const char *const pvvx_names[] = {"temperature", "humidity", "voltage", "battery", "flags", NULL};

const struct tg_ble_decoder tg_ble_atc_decoder = {.doc = "Xiaomi thermometers with ATC1441 firmware",
                                                  .takes_key = true,
                                                  .reading_names = atc_names,
                                                  .find = find_atc,
                                                  .decode = decode_atc};
const struct tg_ble_decoder tg_ble_pvvx_decoder = {
    .doc = "Xiaomi thermometers with pvvx firmware, custom format",
    .takes_key = true,
    .reading_names = pvvx_names,
    .find = find_pvvx,
    .decode = decode_pvvx};
