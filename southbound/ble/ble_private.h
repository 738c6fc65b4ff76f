/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_private - what the decoders share: how a format describes itself, and how readings are written down.
 */
#ifndef TG_SOUTHBOUND_BLE_PRIVATE_H
#define TG_SOUTHBOUND_BLE_PRIVATE_H

#include "southbound/ble/ble_decode.h"

/* A format. `find` looks for its structure in the advertisement and lends its content; `decode` fills readings that are empty
 * but for `format`, and returns any verdict but DUPLICATE, NOT_MINE and REPLAYED. */
struct tg_ble_decoder {
    const char *doc;
    bool takes_key;
    const char *const *reading_names; /* ends with NULL */
    bool (*find)(const struct tg_ble_advert *advert, struct tg_bytes *ret_content);
    enum tg_ble_verdict (*decode)(const struct tg_ble_advert *advert, struct tg_bytes content,
                                  const struct tg_ble_key *key, struct tg_ble_readings *r);
};

extern const struct tg_ble_decoder tg_ble_bthome_decoder, tg_ble_ruuvi_decoder, tg_ble_mibeacon_decoder,
    tg_ble_atc_decoder, tg_ble_pvvx_decoder, tg_ble_govee_decoder, tg_ble_eddystone_decoder,
    tg_ble_ibeacon_decoder;

/* --- bytes --------------------------------------------------------------------------------------- */

static inline uint16_t tg_ble_u16le(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint16_t tg_ble_u16be(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline int16_t tg_ble_s16le(const uint8_t *p)
{
    return (int16_t)tg_ble_u16le(p);
}

static inline int16_t tg_ble_s16be(const uint8_t *p)
{
    return (int16_t)tg_ble_u16be(p);
}

static inline uint32_t tg_ble_u32be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* n bytes, least significant first; n at most 4. */
uint32_t tg_ble_unsigned_le(const uint8_t *p, size_t n);
int32_t tg_ble_signed_le(const uint8_t *p, size_t n);

/* Six bytes in the other order: the air has addresses least significant first. */
void tg_ble_address_reverse(const uint8_t from[6], uint8_t ret_to[6]);
/* The frame's own address (most significant first) goes into the readings. False when the advertisement came from another: then
 * somebody repeats what he has heard, or the layout is another one. An advertisement without address fits any. */
bool tg_ble_address_claim(const struct tg_ble_advert *advert, const uint8_t claimed[6],
                          struct tg_ble_readings *r);

/* --- readings ------------------------------------------------------------------------------------- */

/* Adds one under the name, or name_2 … when it is there. When there is no room, `stopped` says so and nothing is added. */
void tg_ble_add(struct tg_ble_readings *r, const char *name, const char *unit, unsigned object,
                struct tg_value value);
/* raw / divisor as a real; a divisor of 1 is a whole number. */
void tg_ble_add_ratio(struct tg_ble_readings *r, const char *name, const char *unit, unsigned object,
                      int64_t raw, int32_t divisor);
/* The format's own marker of "no value". */
void tg_ble_add_none(struct tg_ble_readings *r, const char *name, const char *unit, unsigned object);
/* Copies the text, which is UTF-8 or becomes "no value"; or bytes as hexadecimal digits. */
void tg_ble_add_text(struct tg_ble_readings *r, const char *name, unsigned object, struct tg_bytes text);
void tg_ble_add_hex(struct tg_ble_readings *r, const char *name, unsigned object, struct tg_bytes bytes);
/* `battery` in percent; above 100 is no value. */
void tg_ble_add_battery(struct tg_ble_readings *r, unsigned percent);
void tg_ble_set_model(struct tg_ble_readings *r, const char *model);

static inline enum tg_ble_verdict tg_ble_done(const struct tg_ble_readings *r)
{
    return r->count > 0                          ? TG_BLE_OK
           : r->stopped == TG_BLE_STOP_OBJECT    ? TG_BLE_UNSUPPORTED
           : r->stopped == TG_BLE_STOP_TRUNCATED ? TG_BLE_MALFORMED
                                                 : TG_BLE_EMPTY;
}

/* The key is there and has the length; r->encrypted is set. */
static inline bool tg_ble_has_key(const struct tg_ble_key *key, size_t len)
{
    return key && key->len == len && key->crypto;
}

#endif
