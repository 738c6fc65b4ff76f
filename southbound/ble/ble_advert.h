/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_advert - one Bluetooth LE advertisement: its sender, and a walk over its AD structures. Pure.
 *
 * The data is what a radio heard and anybody may have sent. It is a row of structures: length, type, content (Core
 * Specification Supplement, part A, section 1; Core, volume 3, part C, section 11). A length of 0 ends the row early. A
 * structure that reaches beyond the data is not given out: the walk ends and says `malformed`.
 *
 *     struct tg_ble_ad ad;
 *     struct tg_ble_ad_iter i = tg_ble_ad_begin(advert.data, advert.len);
 *     while (tg_ble_ad_next(&i, &ad))
 *         if (ad.type == TG_BLE_AD_MANUFACTURER) …
 *
 * Nothing is copied or allocated: views point into the data that the caller lends.
 */
#ifndef TG_SOUTHBOUND_BLE_ADVERT_H
#define TG_SOUTHBOUND_BLE_ADVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

#define TG_BLE_RSSI_UNKNOWN 127 /* Core, volume 4, part E, section 7.7.65.2 */
#define TG_BLE_ADVERT_MAX                                                                                    \
    1650 /* bytes of one extended advertisement: Core, volume 4, part E, section 7.8.57 */
#define TG_BLE_NAME_BYTES     249 /* a local name has at most 248 bytes; and the NUL */
#define TG_BLE_ADDRESS_BYTES  18  /* "A4:C1:38:02:83:F4" and the NUL */
#define TG_BLE_ADDRESS_PUBLIC 1   /* as sockets and mgmt number them */
#define TG_BLE_ADDRESS_RANDOM 2

/* AD types: Assigned Numbers, section 2.3. */
#define TG_BLE_AD_FLAGS           0x01
#define TG_BLE_AD_UUID16_SOME     0x02
#define TG_BLE_AD_UUID16_ALL      0x03
#define TG_BLE_AD_NAME_SHORT      0x08
#define TG_BLE_AD_NAME            0x09
#define TG_BLE_AD_SERVICE_DATA_16 0x16
#define TG_BLE_AD_MANUFACTURER    0xFF

struct tg_ble_address {
    uint8_t bytes[6]; /* as people write it, most significant first */
    uint8_t type;     /* TG_BLE_ADDRESS_PUBLIC or _RANDOM; 0: not known */
};

struct tg_ble_advert {
    struct tg_ble_address address;
    int8_t rssi;         /* dBm; TG_BLE_RSSI_UNKNOWN */
    const uint8_t *data; /* AD structures */
    size_t len;
    int64_t time_ms; /* when it was heard, monotonic */
};

struct tg_ble_ad {
    uint8_t type;
    uint8_t len; /* of the content */
    const uint8_t *data;
};

struct tg_ble_ad_iter {
    const uint8_t *data;
    size_t len, pos;
    bool malformed; /* the walk ended at a structure that reaches beyond the data */
};

static inline struct tg_ble_ad_iter tg_ble_ad_begin(const uint8_t *data, size_t len)
{
    struct tg_ble_ad_iter i = {data, len, 0, false};
    return i;
}

/* The next structure; false at the end. */
bool tg_ble_ad_next(struct tg_ble_ad_iter *i, struct tg_ble_ad *ret_ad);

/* The walk goes on to the next service data of the 16-bit UUID (Supplement, section 1.11), or manufacturer data of any company
 * (section 1.4): a view of what follows the UUID, or of the company and what follows it. */
bool tg_ble_ad_next_service(struct tg_ble_ad_iter *i, uint16_t uuid, struct tg_bytes *ret_content);
bool tg_ble_ad_next_manufacturer(struct tg_ble_ad_iter *i, uint16_t *ret_company,
                                 struct tg_bytes *ret_content);

/* The complete local name, else the shortened one, with a NUL at the end; "" when there is none or it is no UTF-8 or has
 * control characters. Returns its length. */
size_t tg_ble_local_name(const struct tg_ble_advert *advert, char ret_name[TG_BLE_NAME_BYTES]);

/* "A4:C1:38:02:83:F4", "a4-c1-38-02-83-f4" or "a4c1380283f4"; the type stays as it is. False when it is none. */
bool tg_ble_address_parse(const char *text, struct tg_ble_address *ret_address);
/* "A4:C1:38:02:83:F4"; and as an id of a device, "a4c1380283f4". Both with a NUL, in the same room. */
void tg_ble_address_text(const struct tg_ble_address *address, char ret_text[TG_BLE_ADDRESS_BYTES]);
void tg_ble_address_id(const struct tg_ble_address *address, char ret_id[TG_BLE_ADDRESS_BYTES]);

/* The bytes are the same; the type is not looked at (a sensor's address is known to people without it). */
bool tg_ble_address_eq(const struct tg_ble_address *a, const struct tg_ble_address *b);

#endif
