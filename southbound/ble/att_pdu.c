/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/att_pdu.h"

static const struct {
    uint8_t code;
    const char *name;
} codes[] = {
    {0x01, "invalid handle"},
    {0x02, "read not permitted"},
    {0x03, "write not permitted"},
    {0x04, "invalid PDU"},
    {0x05, "insufficient authentication"},
    {0x06, "request not supported"},
    {0x07, "invalid offset"},
    {0x08, "insufficient authorization"},
    {0x09, "prepare queue full"},
    {0x0A, "attribute not found"},
    {0x0B, "attribute not long"},
    {0x0C, "encryption key too short"},
    {0x0D, "invalid value length"},
    {0x0E, "unlikely error"},
    {0x0F, "insufficient encryption"},
    {0x10, "unsupported group type"},
    {0x11, "insufficient resources"},
    {0x12, "database out of sync"},
    {0x13, "value not allowed"},
    {0xFC, "write request rejected"},
    {0xFD, "client configuration improperly configured"},
    {0xFE, "procedure already in progress"},
    {0xFF, "out of range"},
};

const char *tg_att_code_name(uint8_t code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].code == code)
            return codes[i].name;
    }
    return code >= 0x80 && code <= 0x9F ? "an error of the application's own"
           : code >= 0xE0               ? "an error of the profile"
                                        : "an unknown error";
}

/* --- UUIDs -------------------------------------------------------------------------------------- */

static const uint8_t base[16] = {0, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0x80, 0x5F, 0x9B, 0x34, 0xFB};

struct tg_att_uuid tg_att_uuid16(uint16_t value)
{
    struct tg_att_uuid u;
    memcpy(u.bytes, base, sizeof base);
    u.bytes[2] = (uint8_t)(value >> 8);
    u.bytes[3] = (uint8_t)value;
    return u;
}

bool tg_att_uuid_eq(const struct tg_att_uuid *a, const struct tg_att_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

uint16_t tg_att_uuid_short(const struct tg_att_uuid *u)
{
    if (u->bytes[0] || u->bytes[1] || memcmp(u->bytes + 4, base + 4, 12) != 0)
        return 0;
    return (uint16_t)(u->bytes[2] << 8 | u->bytes[3]);
}

int tg_att_uuid_read(struct tg_bytes wire, struct tg_att_uuid *ret)
{
    if (wire.len == 2) {
        *ret = tg_att_uuid16(tg_att_u16(wire.data));
        return TG_OK;
    }
    if (wire.len != 16)
        return TG_EPROTO;
    for (size_t i = 0; i < 16; i++)
        ret->bytes[i] = wire.data[15 - i];
    return TG_OK;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int tg_att_uuid_parse(struct tg_bytes text, struct tg_att_uuid *ret)
{
    uint8_t digits[32];
    size_t n = 0;
    bool hyphens = text.len == 36;
    if (text.len == 6 && text.data[0] == '0' && (text.data[1] == 'x' || text.data[1] == 'X'))
        text = tg_bytes(text.data + 2, 4);
    for (size_t i = 0; i < text.len; i++) {
        if (hyphens && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (text.data[i] != '-')
                return TG_EINVAL;
            continue;
        }
        int d = hex_digit(text.data[i]);
        if (d < 0 || n == sizeof digits)
            return TG_EINVAL;
        digits[n++] = (uint8_t)d;
    }
    if (n == 4 && !hyphens) {
        uint16_t v = (uint16_t)(digits[0] << 12 | digits[1] << 8 | digits[2] << 4 | digits[3]);
        if (v == 0)
            return TG_EINVAL;
        *ret = tg_att_uuid16(v);
        return TG_OK;
    }
    if (n != 32)
        return TG_EINVAL;
    for (size_t i = 0; i < 16; i++)
        ret->bytes[i] = (uint8_t)(digits[2 * i] << 4 | digits[2 * i + 1]);
    return TG_OK;
}

const char *tg_att_uuid_text(const struct tg_att_uuid *u, char ret_text[TG_ATT_UUID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    bool is_short = tg_att_uuid_short(u) != 0;
    size_t n = 0;
    for (size_t i = is_short ? 2 : 0; i < (is_short ? 4u : 16u); i++) {
        if (!is_short && (i == 4 || i == 6 || i == 8 || i == 10))
            ret_text[n++] = '-';
        ret_text[n++] = digits[u->bytes[i] >> 4];
        ret_text[n++] = digits[u->bytes[i] & 15];
    }
    ret_text[n] = '\0';
    return ret_text;
}

/* --- parsing ------------------------------------------------------------------------------------ */

static uint16_t read_u16(struct tg_reader *r)
{
    struct tg_bytes b = tg_read_bytes(r, 2);
    return r->failed ? 0 : tg_att_u16(b.data);
}

static void read_value(struct tg_reader *r, struct tg_att_pdu *p)
{
    p->value = tg_read_bytes(r, tg_reader_left(r));
    if (p->value.len > TG_ATT_MAX_VALUE)
        r->failed = true;
}

static void read_range(struct tg_reader *r, struct tg_att_pdu *p)
{
    p->handle = read_u16(r);
    p->end = read_u16(r);
    if (p->handle == 0 || p->handle > p->end)
        r->failed = true;
}

static void read_typed_range(struct tg_reader *r, struct tg_att_pdu *p)
{
    read_range(r, p);
    p->uuid_bytes = (uint8_t)(tg_reader_left(r) == 16 ? 16 : 2);
    struct tg_bytes wire = tg_read_bytes(r, p->uuid_bytes);
    if (r->failed || tg_att_uuid_read(wire, &p->uuid) < 0)
        r->failed = true;
}

/* Whole items, at least one; an item has `least` bytes or more. */
static void read_items(struct tg_reader *r, struct tg_att_pdu *p, size_t least)
{
    p->value = tg_read_bytes(r, tg_reader_left(r));
    if (p->item_bytes < least || p->value.len == 0 || p->value.len % p->item_bytes != 0 ||
        p->value.len > TG_ATT_MAX_MTU - 2)
        r->failed = true;
}

static void read_find_items(struct tg_reader *r, struct tg_att_pdu *p)
{
    uint8_t format = tg_read_u8(r);
    if (format != 1 && format != 2)
        r->failed = true;
    p->item_bytes = (uint8_t)(format == 2 ? 18 : 4);
    read_items(r, p, 4);
}

static void read_handle(struct tg_reader *r, struct tg_att_pdu *p)
{
    p->handle = read_u16(r);
    if (p->handle == 0)
        r->failed = true;
}

static int read_body(struct tg_reader *r, struct tg_att_pdu *p)
{
    switch (p->op) {
    case TG_ATT_ERROR:
        p->request = tg_read_u8(r);
        p->handle = read_u16(r); /* 0 where the request had none */
        p->code = tg_read_u8(r);
        break;
    case TG_ATT_MTU_REQUEST:
    case TG_ATT_MTU_RESPONSE:
        p->mtu = read_u16(r);
        break;
    case TG_ATT_FIND_REQUEST:
        read_range(r, p);
        break;
    case TG_ATT_FIND_RESPONSE:
        read_find_items(r, p);
        break;
    case TG_ATT_READ_TYPE_REQUEST:
    case TG_ATT_READ_GROUP_REQUEST:
        read_typed_range(r, p);
        break;
    case TG_ATT_READ_TYPE_RESPONSE:
        p->item_bytes = tg_read_u8(r);
        read_items(r, p, 2);
        break;
    case TG_ATT_READ_GROUP_RESPONSE:
        p->item_bytes = tg_read_u8(r);
        read_items(r, p, 4);
        break;
    case TG_ATT_READ_REQUEST:
        read_handle(r, p);
        break;
    case TG_ATT_READ_RESPONSE:
    case TG_ATT_BLOB_RESPONSE:
        read_value(r, p);
        break;
    case TG_ATT_BLOB_REQUEST:
        read_handle(r, p);
        p->offset = read_u16(r);
        break;
    case TG_ATT_WRITE_REQUEST:
    case TG_ATT_WRITE_COMMAND:
    case TG_ATT_NOTIFICATION:
    case TG_ATT_INDICATION:
        read_handle(r, p);
        read_value(r, p);
        break;
    case TG_ATT_PREPARE_REQUEST:
    case TG_ATT_PREPARE_RESPONSE:
        read_handle(r, p);
        p->offset = read_u16(r);
        read_value(r, p);
        break;
    case TG_ATT_EXECUTE_REQUEST:
        p->flags = tg_read_u8(r);
        if (p->flags > 1)
            r->failed = true;
        break;
    case TG_ATT_WRITE_RESPONSE:
    case TG_ATT_EXECUTE_RESPONSE:
    case TG_ATT_CONFIRMATION:
        break;
    default:
        return TG_EUNSUPPORTED;
    }
    return r->failed || tg_reader_left(r) ? TG_EPROTO : TG_OK;
}

int tg_att_parse(struct tg_bytes bytes, struct tg_att_pdu *ret)
{
    struct tg_reader r = tg_reader_init(bytes.data, bytes.len);
    struct tg_att_pdu p = {.op = tg_read_u8(&r)};
    if (r.failed || bytes.len > TG_ATT_MAX_MTU)
        return TG_EPROTO;
    int rc = read_body(&r, &p);
    if (rc == TG_OK)
        *ret = p;
    return rc;
}

size_t tg_att_items(const struct tg_att_pdu *p)
{
    return p->item_bytes ? p->value.len / p->item_bytes : 0;
}

struct tg_bytes tg_att_item(const struct tg_att_pdu *p, size_t i)
{
    return tg_bytes(p->value.data + i * p->item_bytes, p->item_bytes);
}

/* --- encoding ------------------------------------------------------------------------------------- */

static void write_u16(struct tg_writer *w, uint16_t v)
{
    tg_write_u8(w, (uint8_t)v);
    tg_write_u8(w, (uint8_t)(v >> 8));
}

static void write_uuid(struct tg_writer *w, const struct tg_att_pdu *p)
{
    bool is_short = p->uuid_bytes ? p->uuid_bytes == 2 : tg_att_uuid_short(&p->uuid) != 0;
    if (is_short) {
        write_u16(w, (uint16_t)(p->uuid.bytes[2] << 8 | p->uuid.bytes[3]));
        return;
    }
    for (size_t i = 16; i-- > 0;)
        tg_write_u8(w, p->uuid.bytes[i]);
}

int tg_att_encode(const struct tg_att_pdu *p, uint8_t *ret_bytes, size_t cap)
{
    struct tg_writer w = tg_writer_init(ret_bytes, cap);
    tg_write_u8(&w, p->op);
    switch (p->op) {
    case TG_ATT_ERROR:
        tg_write_u8(&w, p->request);
        write_u16(&w, p->handle);
        tg_write_u8(&w, p->code);
        break;
    case TG_ATT_MTU_REQUEST:
    case TG_ATT_MTU_RESPONSE:
        write_u16(&w, p->mtu);
        break;
    case TG_ATT_FIND_REQUEST:
        write_u16(&w, p->handle);
        write_u16(&w, p->end);
        break;
    case TG_ATT_READ_TYPE_REQUEST:
    case TG_ATT_READ_GROUP_REQUEST:
        write_u16(&w, p->handle);
        write_u16(&w, p->end);
        write_uuid(&w, p);
        break;
    case TG_ATT_FIND_RESPONSE:
        tg_write_u8(&w, p->item_bytes == 18 ? 2 : 1);
        tg_write_bytes(&w, p->value);
        break;
    case TG_ATT_READ_TYPE_RESPONSE:
    case TG_ATT_READ_GROUP_RESPONSE:
        tg_write_u8(&w, p->item_bytes);
        tg_write_bytes(&w, p->value);
        break;
    case TG_ATT_READ_REQUEST:
        write_u16(&w, p->handle);
        break;
    case TG_ATT_READ_RESPONSE:
    case TG_ATT_BLOB_RESPONSE:
        tg_write_bytes(&w, p->value);
        break;
    case TG_ATT_BLOB_REQUEST:
        write_u16(&w, p->handle);
        write_u16(&w, p->offset);
        break;
    case TG_ATT_WRITE_REQUEST:
    case TG_ATT_WRITE_COMMAND:
    case TG_ATT_NOTIFICATION:
    case TG_ATT_INDICATION:
        write_u16(&w, p->handle);
        tg_write_bytes(&w, p->value);
        break;
    case TG_ATT_PREPARE_REQUEST:
    case TG_ATT_PREPARE_RESPONSE:
        write_u16(&w, p->handle);
        write_u16(&w, p->offset);
        tg_write_bytes(&w, p->value);
        break;
    case TG_ATT_EXECUTE_REQUEST:
        tg_write_u8(&w, p->flags);
        break;
    case TG_ATT_WRITE_RESPONSE:
    case TG_ATT_EXECUTE_RESPONSE:
    case TG_ATT_CONFIRMATION:
        break;
    default:
        return TG_EINVAL;
    }
    return w.failed ? TG_ETOOBIG : (int)w.len;
}
