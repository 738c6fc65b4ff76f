/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/ble_advert.h"

#include "southbound/ble/ble_private.h"

bool tg_ble_ad_next(struct tg_ble_ad_iter *i, struct tg_ble_ad *ret_ad)
{
    if (i->malformed || i->pos >= i->len)
        return false;
    size_t n = i->data[i->pos];
    if (n == 0) { /* the rest is padding */
        i->pos = i->len;
        return false;
    }
    if (n > i->len - i->pos - 1) {
        i->malformed = true;
        return false;
    }
    ret_ad->type = i->data[i->pos + 1];
    ret_ad->len = (uint8_t)(n - 1);
    ret_ad->data = i->data + i->pos + 2;
    i->pos += 1 + n;
    return true;
}

/* The content of the next structure of the type, behind two bytes that are a number, least significant first. */
static bool next_numbered(struct tg_ble_ad_iter *i, uint8_t type, uint16_t *ret_number,
                          struct tg_bytes *ret_content)
{
    struct tg_ble_ad ad;
    while (tg_ble_ad_next(i, &ad)) {
        if (ad.type != type || ad.len < 2)
            continue;
        *ret_number = tg_ble_u16le(ad.data);
        *ret_content = tg_bytes(ad.data + 2, ad.len - 2u);
        return true;
    }
    return false;
}

bool tg_ble_ad_next_service(struct tg_ble_ad_iter *i, uint16_t uuid, struct tg_bytes *ret_content)
{
    uint16_t number;
    struct tg_bytes content;
    while (next_numbered(i, TG_BLE_AD_SERVICE_DATA_16, &number, &content)) {
        if (number == uuid) {
            *ret_content = content;
            return true;
        }
    }
    return false;
}

bool tg_ble_ad_next_manufacturer(struct tg_ble_ad_iter *i, uint16_t *ret_company,
                                 struct tg_bytes *ret_content)
{
    return next_numbered(i, TG_BLE_AD_MANUFACTURER, ret_company, ret_content);
}

static bool is_name(const struct tg_ble_ad *ad)
{
    for (size_t k = 0; k < ad->len; k++)
        if (ad->data[k] < 0x20 || ad->data[k] == 0x7F)
            return false;
    return ad->len > 0 && ad->len < TG_BLE_NAME_BYTES && tg_utf8_valid(tg_bytes(ad->data, ad->len));
}

size_t tg_ble_local_name(const struct tg_ble_advert *advert, char ret_name[TG_BLE_NAME_BYTES])
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    struct tg_ble_ad ad;
    size_t n = 0;
    bool complete = false;
    while (!complete && tg_ble_ad_next(&i, &ad)) {
        complete = ad.type == TG_BLE_AD_NAME;
        if (!(complete || (ad.type == TG_BLE_AD_NAME_SHORT && n == 0)) || !is_name(&ad))
            continue;
        n = ad.len;
        memcpy(ret_name, ad.data, n);
    }
    ret_name[n] = 0;
    return n;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool tg_ble_address_parse(const char *text, struct tg_ble_address *ret_address)
{
    uint8_t bytes[6];
    char separator = text[0] && text[1] && (text[2] == ':' || text[2] == '-') ? text[2] : 0;
    for (size_t i = 0; i < 6; i++) {
        int high = digit_of(text[0]), low = high < 0 ? -1 : digit_of(text[1]);
        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
        if (separator && i < 5 && *text++ != separator)
            return false;
    }
    if (*text)
        return false;
    memcpy(ret_address->bytes, bytes, 6);
    return true;
}

static void write_address(const struct tg_ble_address *address, const char *digits, bool colons, char *ret)
{
    for (size_t i = 0; i < 6; i++) {
        if (i > 0 && colons)
            *ret++ = ':';
        *ret++ = digits[address->bytes[i] >> 4];
        *ret++ = digits[address->bytes[i] & 15];
    }
    *ret = 0;
}

void tg_ble_address_text(const struct tg_ble_address *address, char ret_text[TG_BLE_ADDRESS_BYTES])
{
    write_address(address, "0123456789ABCDEF", true, ret_text);
}

void tg_ble_address_id(const struct tg_ble_address *address, char ret_id[TG_BLE_ADDRESS_BYTES])
{
    write_address(address, "0123456789abcdef", false, ret_id);
}

bool tg_ble_address_eq(const struct tg_ble_address *a, const struct tg_ble_address *b)
{
    return memcmp(a->bytes, b->bytes, 6) == 0;
}

bool tg_ble_key_parse(const char *text, size_t len, const struct tg_ble_crypto *crypto,
                      struct tg_ble_key *ret_key)
{
    uint8_t bytes[TG_BLE_KEY_BYTES] = {0};
    bool good;
    while (len > 0 && memchr(" \t\r\n", text[len - 1], 4))
        len--;
    while (len > 0 && memchr(" \t\r\n", text[0], 4)) {
        text++;
        len--;
    }
    good = len == 2 * TG_BLE_KEY_BYTES || len == 2 * TG_BLE_LEGACY_BYTES;
    for (size_t i = 0; good && i < len / 2; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        if (good)
            bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (good) {
        memcpy(ret_key->bytes, bytes, sizeof bytes);
        ret_key->len = (uint8_t)(len / 2);
        ret_key->crypto = crypto;
    }
    explicit_bzero(bytes, sizeof bytes);
    return good;
}
