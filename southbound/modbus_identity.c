/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/modbus_identity.h"

#include <string.h>

#include "core/base/bytes.h"

#define MEI_DEVICE_ID 0x0E
#define BASIC         0x01
#define OBJECTS_AT    8 /* unit, function, MEI, code, conformity, more, next, count */

size_t tg_modbus_identity_request(enum tg_modbus_identity_kind kind, uint8_t unit, bool tcp, uint16_t tid,
                                  uint8_t ret_frame[16])
{
    struct tg_writer w = tg_writer_init(ret_frame, 16);
    if (tcp) {
        tg_write_u16be(&w, tid);
        tg_write_u16be(&w, 0);
        tg_write_u16be(&w, kind == TG_MODBUS_DEVICE_ID ? 5 : 2);
    }
    tg_write_u8(&w, unit);
    tg_write_u8(&w, (uint8_t)kind);
    if (kind == TG_MODBUS_DEVICE_ID) {
        tg_write_u8(&w, MEI_DEVICE_ID);
        tg_write_u8(&w, BASIC);
        tg_write_u8(&w, 0);
    }
    if (!tcp) {
        uint16_t crc = tg_modbus_crc(ret_frame, w.len);
        tg_write_u8(&w, (uint8_t)crc);
        tg_write_u8(&w, (uint8_t)(crc >> 8));
    }
    return w.len;
}

/* Of unit, function and body. */
static size_t body_need(const uint8_t *b, size_t len)
{
    if (len < 3)
        return 3;
    if (b[1] & 0x80)
        return 3;
    if (b[1] == TG_MODBUS_SERVER_ID)
        return 3u + b[2];
    if (b[1] != TG_MODBUS_DEVICE_ID || b[2] != MEI_DEVICE_ID)
        return 0;
    if (len < OBJECTS_AT)
        return OBJECTS_AT;
    size_t at = OBJECTS_AT;
    for (unsigned i = 0; i < b[7]; i++) {
        if (len < at + 2)
            return at + 2;
        at += 2u + b[at + 1];
    }
    return at;
}

size_t tg_modbus_identity_need(bool tcp, const uint8_t *data, size_t len)
{
    if (tcp)
        return tg_modbus_tcp_need(data, len);
    size_t body = body_need(data, len);
    return body == 0 || body + 2 > TG_MODBUS_RTU_MAX_BYTES ? 0 : body + 2;
}

static void copy_text(char ret[TG_MODBUS_IDENTITY_TEXT], const uint8_t *data, size_t len)
{
    size_t n = 0;
    while (len > 0 && (data[len - 1] == ' ' || data[len - 1] == 0))
        len--;
    for (size_t i = 0; i < len && n + 1 < TG_MODBUS_IDENTITY_TEXT; i++)
        ret[n++] = data[i] >= 0x20 && data[i] < 0x7F ? (char)data[i] : '?';
    ret[n] = 0;
}

/* Function 17's data is the maker's own: a byte or more of id, a run indicator, and mostly some text. */
static void copy_printable(char ret[TG_MODBUS_IDENTITY_TEXT], const uint8_t *data, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < TG_MODBUS_IDENTITY_TEXT; i++)
        if (data[i] >= 0x20 && data[i] < 0x7F)
            ret[n++] = (char)data[i];
    ret[n] = 0;
}

static void take_objects(const uint8_t *b, struct tg_modbus_identity *ret)
{
    size_t at = OBJECTS_AT;
    for (unsigned i = 0; i < b[7]; i++) {
        char *into = b[at] == 0 ? ret->vendor : b[at] == 1 ? ret->product : b[at] == 2 ? ret->revision : NULL;
        if (into)
            copy_text(into, b + at + 2, b[at + 1]);
        at += 2u + b[at + 1];
    }
}

enum tg_modbus_verdict tg_modbus_identity_check(enum tg_modbus_identity_kind kind, uint8_t unit, bool tcp,
                                                uint16_t tid, const uint8_t *frame, size_t len,
                                                struct tg_modbus_identity *ret)
{
    const uint8_t *b = frame;
    size_t n = len;
    if (len < (tcp ? 9u : 5u))
        return TG_MODBUS_INCOMPLETE;
    if (tcp) {
        if (frame[2] != 0 || frame[3] != 0)
            return TG_MODBUS_BAD_PROTOCOL_ID;
        if (tg_modbus_tcp_need(frame, len) != len)
            return TG_MODBUS_LENGTH_MISMATCH;
        if ((frame[0] << 8 | frame[1]) != tid)
            return TG_MODBUS_STALE_TID;
        b += 6;
        n -= 6;
    } else {
        if (tg_modbus_crc(frame, len) != 0) /* over data and its CRC it is 0 */
            return TG_MODBUS_BAD_CRC;
        n -= 2;
    }
    if (b[0] != unit)
        return TG_MODBUS_WRONG_UNIT;
    if (b[1] == ((unsigned)kind | 0x80)) {
        if (n != 3)
            return TG_MODBUS_LENGTH_MISMATCH;
        ret->exception = b[2];
        return TG_MODBUS_EXCEPTION;
    }
    if (b[1] != (uint8_t)kind)
        return TG_MODBUS_WRONG_FUNCTION;
    if (body_need(b, n) != n)
        return TG_MODBUS_LENGTH_MISMATCH;
    if (kind == TG_MODBUS_SERVER_ID)
        copy_printable(ret->server_id, b + 3, b[2]);
    else
        take_objects(b, ret);
    return TG_MODBUS_ANSWER;
}
