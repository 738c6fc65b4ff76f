/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_identity - what a device says it is: function 17 (report server id) and function 43/14 (read device
 * identification, basic: vendor, product code, revision).
 *
 *     n = tg_modbus_identity_request(kind, unit, tcp, tid, frame);     send frame
 *     n = tg_modbus_identity_need(tcp, buf, len);                      0 = no answer to either; > len: more is needed
 *     verdict = tg_modbus_identity_check(kind, unit, tcp, tid, buf, n, &identity);
 *
 * Answers are hostile like every other: what does not agree with its own counts, or does not carry the right ids
 * and CRC, gives no text. Bytes that are not printable ASCII become '?'.
 *
 * Pure: no I/O, no clock, no allocation. Any thread. [Modbus application protocol 1.1b3, 6.13 and 6.21]
 */
#ifndef TG_SOUTHBOUND_MODBUS_IDENTITY_H
#define TG_SOUTHBOUND_MODBUS_IDENTITY_H

#include "southbound/modbus_frame.h"

enum tg_modbus_identity_kind { TG_MODBUS_DEVICE_ID = 43, TG_MODBUS_SERVER_ID = 17 };

#define TG_MODBUS_IDENTITY_TEXT 64

struct tg_modbus_identity { /* texts are "" when the device does not say */
    char vendor[TG_MODBUS_IDENTITY_TEXT];
    char product[TG_MODBUS_IDENTITY_TEXT];
    char revision[TG_MODBUS_IDENTITY_TEXT];
    char server_id[TG_MODBUS_IDENTITY_TEXT]; /* what function 17 reports, as far as it is printable */
    uint8_t exception;                       /* after TG_MODBUS_EXCEPTION */
};

/* The request, at most 13 bytes; returns its length. */
size_t tg_modbus_identity_request(enum tg_modbus_identity_kind kind, uint8_t unit, bool tcp, uint16_t tid,
                                  uint8_t ret_frame[16]);
/* How many bytes the answer that begins with these has in all, as far as they tell: more than len while bytes are
 * missing. 0: this is no answer to either. */
size_t tg_modbus_identity_need(bool tcp, const uint8_t *data, size_t len);
/* Judges one frame of exactly len bytes and adds what it says to *ret, which the caller has zeroed. */
enum tg_modbus_verdict tg_modbus_identity_check(enum tg_modbus_identity_kind kind, uint8_t unit, bool tcp,
                                                uint16_t tid, const uint8_t *frame, size_t len,
                                                struct tg_modbus_identity *ret);

#endif
