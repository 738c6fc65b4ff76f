/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * att_pdu - one Attribute Protocol PDU ↔ bytes (Bluetooth Core, volume 3, part F, section 3.4).
 *
 * Multi-byte fields are little endian on the wire. Handles are 1 to 0xFFFF, 0 is never one. A PDU is as long as the packet that brought
 * it; every length is checked against its opcode, so that what is parsed can be used without looking again. What is parsed encodes to
 * the same bytes.
 *
 * Pure: no I/O, no clock, no allocation. Any thread. Views point into the bytes that were parsed.
 */
#ifndef TG_SOUTHBOUND_BLE_ATT_PDU_H
#define TG_SOUTHBOUND_BLE_ATT_PDU_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

#define TG_ATT_DEFAULT_MTU 23
#define TG_ATT_MAX_MTU     517
#define TG_ATT_MAX_VALUE   512 /* octets of an attribute value (part F, 3.2.9) */

enum tg_att_op {
    TG_ATT_ERROR = 0x01,
    TG_ATT_MTU_REQUEST = 0x02,
    TG_ATT_MTU_RESPONSE = 0x03,
    TG_ATT_FIND_REQUEST = 0x04, /* Find Information: handles and types of descriptors */
    TG_ATT_FIND_RESPONSE = 0x05,
    TG_ATT_READ_TYPE_REQUEST = 0x08,
    TG_ATT_READ_TYPE_RESPONSE = 0x09,
    TG_ATT_READ_REQUEST = 0x0A,
    TG_ATT_READ_RESPONSE = 0x0B,
    TG_ATT_BLOB_REQUEST = 0x0C,
    TG_ATT_BLOB_RESPONSE = 0x0D,
    TG_ATT_READ_GROUP_REQUEST = 0x10,
    TG_ATT_READ_GROUP_RESPONSE = 0x11,
    TG_ATT_WRITE_REQUEST = 0x12,
    TG_ATT_WRITE_RESPONSE = 0x13,
    TG_ATT_PREPARE_REQUEST = 0x16,
    TG_ATT_PREPARE_RESPONSE = 0x17,
    TG_ATT_EXECUTE_REQUEST = 0x18,
    TG_ATT_EXECUTE_RESPONSE = 0x19,
    TG_ATT_NOTIFICATION = 0x1B,
    TG_ATT_INDICATION = 0x1D,
    TG_ATT_CONFIRMATION = 0x1E,
    TG_ATT_WRITE_COMMAND = 0x52
};

enum tg_att_code { /* of TG_ATT_ERROR; those that decide something here */
                   TG_ATT_INVALID_HANDLE = 0x01,
                   TG_ATT_INVALID_PDU = 0x04,
                   TG_ATT_AUTHENTICATION = 0x05,
                   TG_ATT_NOT_SUPPORTED = 0x06,
                   TG_ATT_INVALID_OFFSET = 0x07,
                   TG_ATT_NOT_FOUND = 0x0A,
                   TG_ATT_NOT_LONG = 0x0B,
                   TG_ATT_KEY_SIZE = 0x0C,
                   TG_ATT_ENCRYPTION = 0x0F,
                   TG_ATT_OUT_OF_SYNC = 0x12
};

/* "write not permitted", "insufficient authentication", "application error 0x80" …; static storage. */
const char *tg_att_code_name(uint8_t code);

/* --- UUIDs ------------------------------------------------------------------------------------ */

/* 128 bits, most significant byte first. Short ones are those on Bluetooth's base 0000xxxx-0000-1000-8000-00805F9B34FB. */
struct tg_att_uuid {
    uint8_t bytes[16];
};

#define TG_ATT_UUID_TEXT 37

struct tg_att_uuid tg_att_uuid16(uint16_t value);
bool tg_att_uuid_eq(const struct tg_att_uuid *a, const struct tg_att_uuid *b);
/* The 16 bits of a short one, else 0 (which no UUID of Bluetooth's has). */
uint16_t tg_att_uuid_short(const struct tg_att_uuid *u);
/* 2 or 16 bytes off the wire, least significant first. TG_EPROTO for another length. */
int tg_att_uuid_read(struct tg_bytes wire, struct tg_att_uuid *ret) TG_CHECKED;
/* "2a6e", "0x2A6E", or 32 hexadecimal digits with or without the four hyphens. TG_EINVAL. */
int tg_att_uuid_parse(struct tg_bytes text, struct tg_att_uuid *ret) TG_CHECKED;
/* "2a6e" or the long form; returns ret_text. */
const char *tg_att_uuid_text(const struct tg_att_uuid *u, char ret_text[TG_ATT_UUID_TEXT]);

/* --- PDUs --------------------------------------------------------------------------------------- */

struct tg_att_pdu {
    uint8_t op;      /* enum tg_att_op */
    uint8_t request; /* ERROR: the opcode that failed */
    uint8_t code;    /* ERROR: enum tg_att_code */
    uint8_t flags;   /* EXECUTE_REQUEST: 0 drops what was prepared, 1 writes it */
    uint8_t
        uuid_bytes; /* READ_TYPE_REQUEST, READ_GROUP_REQUEST: 2 or 16; encoding: 0 = the shortest that its UUID has */
    uint8_t item_bytes;   /* FIND (4 or 18), READ_TYPE, READ_GROUP responses: bytes of an item of `value` */
    uint16_t mtu;         /* MTU: as sent, may be below 23 */
    uint16_t handle, end; /* a handle, or the range [handle, end] */
    uint16_t offset;      /* BLOB_REQUEST, PREPARE */
    struct tg_att_uuid uuid;
    struct tg_bytes value; /* the value, or one to many whole items */
};

/* 0; TG_EPROTO: empty, or its length or a field is impossible; TG_EUNSUPPORTED: an opcode that is not above. */
int tg_att_parse(struct tg_bytes bytes, struct tg_att_pdu *ret) TG_CHECKED;
/* The number of bytes written; TG_EINVAL for an opcode that is not above, TG_ETOOBIG beyond cap. */
int tg_att_encode(const struct tg_att_pdu *p, uint8_t *ret_bytes, size_t cap) TG_CHECKED;

/* An item of a FIND, READ_TYPE or READ_GROUP response; i < tg_att_items(p). */
size_t tg_att_items(const struct tg_att_pdu *p);
struct tg_bytes tg_att_item(const struct tg_att_pdu *p, size_t i);

static inline uint16_t tg_att_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

#endif
