/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * BTHome version 2: bthome.io/format and bthome.io/encryption.
 *
 *     device information u8      bit 0 encrypted, bit 1 the address follows, bit 2 sent by an event, bits 5 to 7 version
 *     [address, least significant byte first]
 *     objects: id u8, value      or, encrypted: ciphertext, counter u32, tag of 4 bytes
 *
 * AES-CCM without additional data; the nonce is the address (most significant byte first), D2 FC, the device information
 * and the counter.
 */
#include "southbound/ble/bthome.h"

#include "southbound/ble/ble_private.h"

#define UUID          0xFCD2
#define COUNTER_BYTES 4
#define TAG_BYTES     4
#define NONCE_BYTES   13

#define ENCRYPTED 0x01
#define ADDRESS   0x02
#define EVENT     0x04

static bool find(const struct tg_ble_advert *advert, struct tg_bytes *ret_content)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    return tg_ble_ad_next_service(&i, UUID, ret_content);
}

static void add_version(struct tg_ble_readings *r, const struct tg_bthome_object *o, const uint8_t *p)
{
    char text[sizeof "255.255.255.255"];
    struct tg_writer w = tg_writer_init(text, sizeof text);
    for (size_t i = o->bytes; i > 0; i--) {
        tg_write_u64_dec(&w, p[i - 1]);
        if (i > 1)
            tg_write_u8(&w, '.');
    }
    tg_ble_add_text(r, o->name, o->id, tg_bytes(text, w.len));
}

static void add_word(struct tg_ble_readings *r, const struct tg_bthome_object *o, const uint8_t *p)
{
    const char *word = tg_bthome_button(p[0]);
    r->event = true;
    if (word)
        tg_ble_add_text(r, o->name, o->id, tg_bytes_str(word));
    else
        tg_ble_add_none(r, o->name, o->unit, o->id);
}

static void add_dimmer(struct tg_ble_readings *r, const struct tg_bthome_object *o, const uint8_t *p)
{
    r->event = true;
    if (p[0] > 2)
        tg_ble_add_none(r, o->name, o->unit, o->id);
    else
        tg_ble_add(r, o->name, o->unit, o->id, tg_value_int(p[0] == 0 ? 0 : p[0] == 1 ? -p[1] : p[1]));
}

static void add_number(struct tg_ble_readings *r, const struct tg_bthome_object *o, const uint8_t *p)
{
    int64_t raw = o->kind == TG_BTHOME_SIGNED ? tg_ble_signed_le(p, o->bytes)
                                              : (int64_t)tg_ble_unsigned_le(p, o->bytes);
    if (o->kind == TG_BTHOME_PACKET) {
        r->has_counter = true;
        r->counter = p[0];
        r->counter_bits = 8;
    }
    tg_ble_add_ratio(r, o->name, o->unit, o->id, raw * o->factor, o->divisor);
}

static void add_object(struct tg_ble_readings *r, const struct tg_bthome_object *o, struct tg_bytes value)
{
    switch ((enum tg_bthome_kind)o->kind) {
    case TG_BTHOME_UNSIGNED:
    case TG_BTHOME_SIGNED:
    case TG_BTHOME_PACKET:
        add_number(r, o, value.data);
        break;
    case TG_BTHOME_BOOL:
        if (value.data[0] > 1)
            tg_ble_add_none(r, o->name, o->unit, o->id);
        else
            tg_ble_add(r, o->name, o->unit, o->id, tg_value_bool(value.data[0] == 1));
        break;
    case TG_BTHOME_BUTTON:
        add_word(r, o, value.data);
        break;
    case TG_BTHOME_DIMMER:
        add_dimmer(r, o, value.data);
        break;
    case TG_BTHOME_TEXT:
        tg_ble_add_text(r, o->name, o->id, value);
        break;
    case TG_BTHOME_RAW:
        tg_ble_add_hex(r, o->name, o->id, value);
        break;
    case TG_BTHOME_VERSION:
        add_version(r, o, value.data);
        break;
    }
}

/* "If a receiver meets an object that it does not know, it stops and uses what came before." */
static enum tg_ble_verdict objects(struct tg_bytes b, struct tg_ble_readings *r)
{
    struct tg_reader in = tg_reader_init(b.data, b.len);
    while (!r->stopped && tg_reader_left(&in) > 0) {
        uint8_t id = tg_read_u8(&in);
        const struct tg_bthome_object *o = tg_bthome_object(id);
        if (!o) {
            r->stopped = TG_BLE_STOP_OBJECT;
            r->stop_object = id;
            break;
        }
        size_t n = o->bytes ? o->bytes : tg_read_u8(&in);
        struct tg_bytes value = tg_read_bytes(&in, n);
        if (in.failed)
            r->stopped = TG_BLE_STOP_TRUNCATED;
        else
            add_object(r, o, value);
    }
    return tg_ble_done(r);
}

static enum tg_ble_verdict decrypt(struct tg_bytes content, const uint8_t address[6], struct tg_bytes body,
                                   const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    uint8_t plain[256], nonce[NONCE_BYTES];
    r->encrypted = true;
    if (body.len <= COUNTER_BYTES + TAG_BYTES || body.len > sizeof plain)
        return TG_BLE_MALFORMED;
    if (!tg_ble_has_key(key, TG_BLE_KEY_BYTES))
        return TG_BLE_NEEDS_KEY;
    size_t n = body.len - COUNTER_BYTES - TAG_BYTES;
    const uint8_t *counter = body.data + n;
    memcpy(nonce, address, 6);
    nonce[6] = UUID & 0xFF;
    nonce[7] = UUID >> 8;
    nonce[8] = content.data[0];
    memcpy(nonce + 9, counter, COUNTER_BYTES);
    if (!key->crypto->ccm_decrypt(key->bytes, nonce, sizeof nonce, NULL, 0, body.data, n,
                                  counter + COUNTER_BYTES, TAG_BYTES, plain))
        return TG_BLE_WRONG_KEY;
    r->authentic = true;
    enum tg_ble_verdict verdict = objects(tg_bytes(plain, n), r);
    r->has_counter = true; /* it outranks a packet id: it is the one that must rise */
    r->counter = tg_ble_unsigned_le(counter, COUNTER_BYTES);
    r->counter_bits = 32;
    return verdict;
}

static enum tg_ble_verdict decode(const struct tg_ble_advert *advert, struct tg_bytes content,
                                  const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    const uint8_t *address = advert->address.bytes;
    struct tg_bytes body;
    if (content.len < 1)
        return TG_BLE_MALFORMED;
    uint8_t info = content.data[0];
    r->version = info >> 5;
    r->event = info & EVENT;
    if (r->version != 2)
        return TG_BLE_UNSUPPORTED;
    body = tg_bytes(content.data + 1, content.len - 1);
    if (info & ADDRESS) {
        uint8_t claimed[6];
        if (body.len < 6)
            return TG_BLE_MALFORMED;
        tg_ble_address_reverse(body.data, claimed);
        if (!tg_ble_address_claim(advert, claimed, r))
            return TG_BLE_MALFORMED;
        address = r->address;
        body = tg_bytes(body.data + 6, body.len - 6);
    }
    if (info & ENCRYPTED)
        return decrypt(content, address, body, key, r);
    if (key)
        return TG_BLE_PLAINTEXT;
    return objects(body, r);
}

const struct tg_ble_decoder tg_ble_bthome_decoder = {.doc = "BTHome version 2, plain and encrypted",
                                                     .takes_key = true,
                                                     .reading_names = tg_bthome_names,
                                                     .find = find,
                                                     .decode = decode};
