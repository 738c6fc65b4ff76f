/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/modbus_frame.h"

#include <string.h>

#include "core/base/bytes.h"

#define MBAP_BYTES 7

const char *tg_modbus_verdict_name(enum tg_modbus_verdict v)
{
    static const char *const names[] = {
        "ok",        "exception",  "incomplete",     "bad_crc",   "length_mismatch", "bad_protocol_id",
        "stale_tid", "wrong_unit", "wrong_function", "wrong_echo"};
    return (unsigned)v < sizeof names / sizeof *names ? names[v] : "unknown";
}

const char *tg_modbus_exception_name(unsigned code)
{
    switch (code) {
    case 1:
        return "illegal_function";
    case 2:
        return "illegal_data_address";
    case 3:
        return "illegal_data_value";
    case 4:
        return "slave_failure";
    case 5:
        return "acknowledge";
    case 6:
        return "slave_busy";
    case 7:
        return "negative_acknowledge";
    case 8:
        return "memory_parity";
    case 10:
        return "gateway_path_unavailable";
    case 11:
        return "gateway_target_no_response";
    default:
        return "vendor_specific";
    }
}

uint16_t tg_modbus_crc(const uint8_t *data, size_t len)
{
    /* The reflected polynomial A001, four bits at a time: 32 bytes of table instead of 512. */
    static const uint16_t nibble[16] = {0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
                                        0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400};
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(nibble[(crc ^ data[i]) & 0xF] ^ crc >> 4);
        crc = (uint16_t)(nibble[(crc ^ data[i] >> 4) & 0xF] ^ crc >> 4);
    }
    return crc;
}

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static bool reads_bits(unsigned function)
{
    return function == TG_MODBUS_READ_COILS || function == TG_MODBUS_READ_DISCRETE;
}

static bool is_read(unsigned function)
{
    return function >= TG_MODBUS_READ_COILS && function <= TG_MODBUS_READ_INPUT;
}

/* Bytes of data in the answer to a read. */
static size_t read_bytes(const struct tg_modbus_request *r)
{
    return reads_bits(r->function) ? (r->count + 7u) / 8u : 2u * r->count;
}

static unsigned max_count(unsigned function)
{
    switch (function) {
    case TG_MODBUS_READ_COILS:
    case TG_MODBUS_READ_DISCRETE:
        return TG_MODBUS_MAX_READ_BITS;
    case TG_MODBUS_READ_HOLDING:
    case TG_MODBUS_READ_INPUT:
        return TG_MODBUS_MAX_READ_REGISTERS;
    case TG_MODBUS_WRITE_COILS:
        return TG_MODBUS_MAX_WRITE_BITS;
    case TG_MODBUS_WRITE_REGISTERS:
        return TG_MODBUS_MAX_WRITE_REGISTERS;
    case TG_MODBUS_WRITE_ONE_COIL:
    case TG_MODBUS_WRITE_ONE_REGISTER:
    case TG_MODBUS_MASK_WRITE:
        return 1;
    default:
        return 0;
    }
}

/* --- requests --------------------------------------------------------------------------------- */

/* Unit, function and what follows; the same in both transports. */
static void write_pdu(const struct tg_modbus_request *r, struct tg_writer *w)
{
    tg_write_u8(w, r->unit);
    tg_write_u8(w, r->function);
    tg_write_u16be(w, r->address);
    switch (r->function) {
    case TG_MODBUS_WRITE_ONE_COIL:
        tg_write_u16be(w, r->words[0] ? 0xFF00 : 0);
        break;
    case TG_MODBUS_WRITE_ONE_REGISTER:
        tg_write_u16be(w, r->words[0]);
        break;
    case TG_MODBUS_MASK_WRITE:
        tg_write_u16be(w, r->and_mask);
        tg_write_u16be(w, r->or_mask);
        break;
    case TG_MODBUS_WRITE_COILS:
        tg_write_u16be(w, r->count);
        tg_write_u8(w, (uint8_t)((r->count + 7u) / 8u));
        for (unsigned i = 0; i < r->count; i += 8) {
            unsigned byte = 0;
            for (unsigned k = 0; k < 8 && i + k < r->count; k++)
                byte |= (r->words[i + k] ? 1u : 0u) << k;
            tg_write_u8(w, (uint8_t)byte);
        }
        break;
    case TG_MODBUS_WRITE_REGISTERS:
        tg_write_u16be(w, r->count);
        tg_write_u8(w, (uint8_t)(2u * r->count));
        for (unsigned i = 0; i < r->count; i++)
            tg_write_u16be(w, r->words[i]);
        break;
    default:
        tg_write_u16be(w, r->count);
    }
}

int tg_modbus_rtu_encode(const struct tg_modbus_request *r, uint8_t *ret_frame, size_t cap)
{
    struct tg_writer w = tg_writer_init(ret_frame, cap);
    if (r->count == 0 || r->count > max_count(r->function))
        return TG_EINVAL;
    write_pdu(r, &w);
    if (w.failed)
        return TG_ETOOBIG;
    uint16_t crc = tg_modbus_crc(ret_frame, w.len);
    tg_write_u8(&w, (uint8_t)crc);
    tg_write_u8(&w, (uint8_t)(crc >> 8));
    return w.failed ? TG_ETOOBIG : (int)w.len;
}

int tg_modbus_tcp_encode(const struct tg_modbus_request *r, uint16_t tid, uint8_t *ret_frame, size_t cap)
{
    struct tg_writer w = tg_writer_init(ret_frame, cap);
    if (r->count == 0 || r->count > max_count(r->function))
        return TG_EINVAL;
    tg_write_u16be(&w, tid);
    tg_write_u16be(&w, 0);
    tg_write_u16be(&w, 0); /* the length, once it is known */
    write_pdu(r, &w);
    if (w.failed)
        return TG_ETOOBIG;
    ret_frame[4] = (uint8_t)((w.len - 6) >> 8);
    ret_frame[5] = (uint8_t)(w.len - 6);
    return (int)w.len;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Bytes of unit, function and body (no CRC) that start at `data`; 0 = no answer that this client knows. */
static size_t body_need(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 3;
    if (data[1] & 0x80)
        return 3;
    if (is_read(data[1]))
        return len < 3 ? 3 : 3u + data[2];
    if (data[1] == TG_MODBUS_MASK_WRITE)
        return 8;
    return max_count(data[1]) > 0 ? 6 : 0;
}

size_t tg_modbus_rtu_need(const uint8_t *data, size_t len)
{
    size_t body = body_need(data, len);
    return body == 0 ? 0 : body + 2;
}

size_t tg_modbus_tcp_need(const uint8_t *data, size_t len)
{
    if (len < MBAP_BYTES)
        return MBAP_BYTES;
    size_t n = be16(data + 4);
    return n < 2 || n > 254 ? 0 : 6 + n;
}

size_t tg_modbus_rtu_answer_bytes(const struct tg_modbus_request *r)
{
    if (is_read(r->function))
        return 5 + read_bytes(r);
    return r->function == TG_MODBUS_MASK_WRITE ? 10 : 8;
}

/* Unit, function and body, len bytes. */
static enum tg_modbus_verdict check_body(const struct tg_modbus_request *r, const uint8_t *b, size_t len,
                                         struct tg_modbus_answer *ret)
{
    uint8_t echo[16];
    if (len < 3)
        return TG_MODBUS_LENGTH_MISMATCH;
    if (b[0] != r->unit)
        return TG_MODBUS_WRONG_UNIT;
    if (b[1] == (r->function | 0x80)) {
        if (len != 3)
            return TG_MODBUS_LENGTH_MISMATCH;
        ret->exception = b[2];
        return TG_MODBUS_EXCEPTION;
    }
    if (b[1] != r->function)
        return TG_MODBUS_WRONG_FUNCTION;
    if (is_read(r->function)) {
        if (b[2] != read_bytes(r) || len != 3u + b[2])
            return TG_MODBUS_LENGTH_MISMATCH;
        ret->data = b + 3;
        ret->data_len = b[2];
        return TG_MODBUS_ANSWER;
    }
    if (len != body_need(b, len))
        return TG_MODBUS_LENGTH_MISMATCH;
    /* A write answers with its first six (FC22: eight) bytes. */
    struct tg_writer w = tg_writer_init(echo, sizeof echo);
    struct tg_modbus_request head = *r;
    if (r->function == TG_MODBUS_WRITE_COILS || r->function == TG_MODBUS_WRITE_REGISTERS)
        head.function = TG_MODBUS_READ_HOLDING; /* address and count, without the data */
    write_pdu(&head, &w);
    return w.failed || w.len != len || memcmp(echo + 2, b + 2, len - 2) != 0 ? TG_MODBUS_WRONG_ECHO
                                                                             : TG_MODBUS_ANSWER;
}

enum tg_modbus_verdict tg_modbus_rtu_check(const struct tg_modbus_request *r, const uint8_t *frame,
                                           size_t len, struct tg_modbus_answer *ret)
{
    memset(ret, 0, sizeof *ret);
    if (len < 5)
        return TG_MODBUS_INCOMPLETE;
    if (tg_modbus_crc(frame, len - 2) != (frame[len - 2] | frame[len - 1] << 8))
        return TG_MODBUS_BAD_CRC;
    return check_body(r, frame, len - 2, ret);
}

enum tg_modbus_verdict tg_modbus_tcp_check(const struct tg_modbus_request *r, uint16_t tid,
                                           const uint8_t *frame, size_t len, struct tg_modbus_answer *ret)
{
    memset(ret, 0, sizeof *ret);
    if (len < MBAP_BYTES)
        return TG_MODBUS_INCOMPLETE;
    if (be16(frame + 2) != 0) /* both bytes: libmodbus 3.1.6 lets 0100 and 0001 through */
        return TG_MODBUS_BAD_PROTOCOL_ID;
    size_t need = tg_modbus_tcp_need(frame, len);
    if (need == 0 || len > need)
        return TG_MODBUS_LENGTH_MISMATCH;
    if (len < need)
        return TG_MODBUS_INCOMPLETE;
    if (be16(frame) != tid)
        return TG_MODBUS_STALE_TID;
    return check_body(r, frame + 6, len - 6, ret);
}

static void spread_bits(const uint8_t *data, unsigned count, uint16_t *ret_words)
{
    for (unsigned i = 0; i < count; i++)
        ret_words[i] = data[i / 8] >> (i % 8) & 1;
}

void tg_modbus_answer_words(const struct tg_modbus_request *r, const struct tg_modbus_answer *a,
                            uint16_t *ret_words)
{
    if (reads_bits(r->function)) {
        spread_bits(a->data, r->count, ret_words);
        return;
    }
    for (unsigned i = 0; i < r->count; i++)
        ret_words[i] = be16(a->data + 2u * i);
}

/* --- requests, read --------------------------------------------------------------------------- */

static enum tg_modbus_verdict parse_body(const uint8_t *b, size_t len, struct tg_modbus_request *ret,
                                         uint16_t *words)
{
    struct tg_modbus_request q = {.count = 1, .words = words};
    if (len < 6)
        return TG_MODBUS_LENGTH_MISMATCH;
    q.unit = b[0];
    q.function = b[1];
    q.address = be16(b + 2);
    uint16_t second = be16(b + 4);
    size_t expect = 6;
    switch (q.function) {
    case TG_MODBUS_WRITE_ONE_COIL:
        if (second != 0 && second != 0xFF00)
            return TG_MODBUS_LENGTH_MISMATCH;
        words[0] = second != 0;
        break;
    case TG_MODBUS_WRITE_ONE_REGISTER:
        words[0] = second;
        break;
    case TG_MODBUS_MASK_WRITE:
        expect = 8;
        q.and_mask = second;
        q.or_mask = len >= 8 ? be16(b + 6) : 0;
        break;
    case TG_MODBUS_WRITE_COILS:
    case TG_MODBUS_WRITE_REGISTERS: {
        size_t bytes = q.function == TG_MODBUS_WRITE_COILS ? (second + 7u) / 8u : 2u * second;
        q.count = second;
        expect = 7 + bytes;
        if (second == 0 || second > max_count(q.function) || len != expect || b[6] != bytes)
            return TG_MODBUS_LENGTH_MISMATCH;
        if (q.function == TG_MODBUS_WRITE_COILS)
            spread_bits(b + 7, second, words);
        else
            for (unsigned i = 0; i < second; i++)
                words[i] = be16(b + 7 + 2u * i);
        break;
    }
    default:
        if (!is_read(q.function))
            return TG_MODBUS_WRONG_FUNCTION;
        q.count = second;
        if (second == 0 || second > max_count(q.function))
            return TG_MODBUS_LENGTH_MISMATCH;
    }
    if (len != expect)
        return TG_MODBUS_LENGTH_MISMATCH;
    *ret = q;
    return TG_MODBUS_ANSWER;
}

enum tg_modbus_verdict tg_modbus_rtu_parse_request(const uint8_t *frame, size_t len,
                                                   struct tg_modbus_request *ret, uint16_t *words)
{
    if (len < 8)
        return TG_MODBUS_INCOMPLETE;
    if (tg_modbus_crc(frame, len - 2) != (frame[len - 2] | frame[len - 1] << 8))
        return TG_MODBUS_BAD_CRC;
    return parse_body(frame, len - 2, ret, words);
}

enum tg_modbus_verdict tg_modbus_tcp_parse_request(const uint8_t *frame, size_t len,
                                                   struct tg_modbus_request *ret, uint16_t *words,
                                                   uint16_t *ret_tid)
{
    if (len < MBAP_BYTES)
        return TG_MODBUS_INCOMPLETE;
    if (be16(frame + 2) != 0)
        return TG_MODBUS_BAD_PROTOCOL_ID;
    if (tg_modbus_tcp_need(frame, len) != len)
        return TG_MODBUS_LENGTH_MISMATCH;
    if (ret_tid)
        *ret_tid = be16(frame);
    return parse_body(frame + 6, len - 6, ret, words);
}
