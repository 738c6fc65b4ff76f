/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_frame - one Modbus request or answer as bytes: RTU (with CRC) and TCP (with MBAP header).
 *
 * The client's side, and strict: an answer is believed only if everything in it agrees with the request:
 * transaction and protocol id (TCP) or CRC (RTU), unit, function, byte count, length of the frame, and for
 * writes the echo of address and value. What is not believed never yields a value.
 *
 *     n = tg_modbus_rtu_encode(&request, buf, sizeof buf);              send buf
 *     while ((need = tg_modbus_rtu_need(buf, len)) > len) receive …;    until need bytes or the deadline
 *     verdict = tg_modbus_rtu_check(&request, buf, len, &answer);
 *     if (verdict == TG_MODBUS_ANSWER) tg_modbus_answer_words(&request, &answer, words);
 *
 * Pure: no I/O, no clock, no allocation. Any thread. [Modbus application protocol 1.1b3; serial line 1.02;
 * messaging on TCP/IP 1.0b]
 */
#ifndef TG_SOUTHBOUND_MODBUS_FRAME_H
#define TG_SOUTHBOUND_MODBUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

#define TG_MODBUS_RTU_MAX_BYTES       256
#define TG_MODBUS_TCP_MAX_BYTES       260
#define TG_MODBUS_MAX_READ_REGISTERS  125
#define TG_MODBUS_MAX_READ_BITS       2000
#define TG_MODBUS_MAX_WRITE_REGISTERS 123
#define TG_MODBUS_MAX_WRITE_BITS      1968

enum tg_modbus_function {
    TG_MODBUS_READ_COILS = 1,
    TG_MODBUS_READ_DISCRETE = 2,
    TG_MODBUS_READ_HOLDING = 3,
    TG_MODBUS_READ_INPUT = 4,
    TG_MODBUS_WRITE_ONE_COIL = 5,
    TG_MODBUS_WRITE_ONE_REGISTER = 6,
    TG_MODBUS_WRITE_COILS = 15,
    TG_MODBUS_WRITE_REGISTERS = 16,
    TG_MODBUS_MASK_WRITE = 22
};

struct tg_modbus_request {
    uint8_t unit, function;
    uint16_t address;
    uint16_t count;             /* registers or bits; 1 for FC5, FC6, FC22 */
    uint16_t and_mask, or_mask; /* FC22 */
    const uint16_t *words;      /* FC5, 6, 15, 16: count values, borrowed; bits are 0 or 1 */
};

enum tg_modbus_verdict {
    TG_MODBUS_ANSWER,     /* valid */
    TG_MODBUS_EXCEPTION,  /* valid: the device refuses; answer.exception says why */
    TG_MODBUS_INCOMPLETE, /* more bytes are needed */
    TG_MODBUS_BAD_CRC,
    TG_MODBUS_LENGTH_MISMATCH, /* frame length, byte count and request do not agree */
    TG_MODBUS_BAD_PROTOCOL_ID,
    TG_MODBUS_STALE_TID, /* answer to another request: skip this frame, keep waiting */
    TG_MODBUS_WRONG_UNIT,
    TG_MODBUS_WRONG_FUNCTION,
    TG_MODBUS_WRONG_ECHO /* the echoed address, value or count of a write differs */
};

/* "ok", "exception", "incomplete", "bad_crc", "length_mismatch", … */
const char *tg_modbus_verdict_name(enum tg_modbus_verdict v);
/* "illegal_data_address" for 2; "vendor_specific" for a code that the standard does not define. */
const char *tg_modbus_exception_name(unsigned code);

struct tg_modbus_answer {
    uint8_t exception;
    const uint8_t *data; /* behind the byte count of a read; borrowed from the frame */
    size_t data_len;
};

/* CRC-16/MODBUS; on the wire its low byte comes first. */
uint16_t tg_modbus_crc(const uint8_t *data, size_t len);

/* Writes the whole frame; its length, or TG_EINVAL (function, or count beyond the protocol's limit) or
 * TG_ETOOBIG (cap). A buffer of TG_MODBUS_RTU_MAX_BYTES or TG_MODBUS_TCP_MAX_BYTES always suffices. */
int tg_modbus_rtu_encode(const struct tg_modbus_request *r, uint8_t *ret_frame, size_t cap) TG_CHECKED;
int tg_modbus_tcp_encode(const struct tg_modbus_request *r, uint16_t tid, uint8_t *ret_frame,
                         size_t cap) TG_CHECKED;

/* How many bytes the answer that begins with these bytes has in all, as far as they tell: more than len
 * while bytes are missing. 0: this is no beginning of an answer (RTU: unknown function; TCP: a length
 * outside 2 to 254). */
size_t tg_modbus_rtu_need(const uint8_t *data, size_t len);
size_t tg_modbus_tcp_need(const uint8_t *data, size_t len);

/* Judges one frame of exactly len bytes against its request. */
enum tg_modbus_verdict tg_modbus_rtu_check(const struct tg_modbus_request *r, const uint8_t *frame,
                                           size_t len, struct tg_modbus_answer *ret);
enum tg_modbus_verdict tg_modbus_tcp_check(const struct tg_modbus_request *r, uint16_t tid,
                                           const uint8_t *frame, size_t len, struct tg_modbus_answer *ret);

/* Spreads a read's data over r->count words, bits as 0 or 1. Only after TG_MODBUS_ANSWER to a read. */
void tg_modbus_answer_words(const struct tg_modbus_request *r, const struct tg_modbus_answer *a,
                            uint16_t *ret_words);

/* Bytes of the RTU answer that r gets when all is well, CRC included. */
size_t tg_modbus_rtu_answer_bytes(const struct tg_modbus_request *r);

/* Reads a request frame (for `decode`, servers in tests): fills *ret, whose words are put into `words` (room
 * for TG_MODBUS_MAX_READ_BITS). ret_tid may be NULL. */
enum tg_modbus_verdict tg_modbus_rtu_parse_request(const uint8_t *frame, size_t len,
                                                   struct tg_modbus_request *ret, uint16_t *words);
enum tg_modbus_verdict tg_modbus_tcp_parse_request(const uint8_t *frame, size_t len,
                                                   struct tg_modbus_request *ret, uint16_t *words,
                                                   uint16_t *ret_tid);

#endif
