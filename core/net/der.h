/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * der - writes ASN.1 in its distinguished encoding (X.690), as much of it as requests and certificates need. Pure.
 *
 * A constructed value is written first and gets its header when it ends:
 *
 *     size_t name = tg_der_begin(w);
 *     … its members …
 *     tg_der_end(w, TG_DER_SEQUENCE, name);
 */
#ifndef TG_NET_DER_H
#define TG_NET_DER_H

#include "core/base/bytes.h"

enum tg_der_tag {
    TG_DER_BOOLEAN = 0x01,
    TG_DER_INTEGER = 0x02,
    TG_DER_BIT_STRING = 0x03,
    TG_DER_OCTET_STRING = 0x04,
    TG_DER_NULL = 0x05,
    TG_DER_OID = 0x06,
    TG_DER_UTF8_STRING = 0x0c,
    TG_DER_UTC_TIME = 0x17,
    TG_DER_GENERALIZED_TIME = 0x18,
    TG_DER_SEQUENCE = 0x30,
    TG_DER_SET = 0x31,
    TG_DER_CONTEXT_0 = 0xa0,
    TG_DER_CONTEXT_3 = 0xa3
};

static inline size_t tg_der_begin(const struct tg_writer *w)
{
    return w->len;
}
/* Puts tag and length before what was written since `mark`; at most 65535 bytes. */
void tg_der_end(struct tg_writer *w, uint8_t tag, size_t mark);
/* A primitive value as it is. */
void tg_der_put(struct tg_writer *w, uint8_t tag, struct tg_bytes content);
/* A number ≥ 0, big endian; leading zeros do not matter. */
void tg_der_unsigned(struct tg_writer *w, struct tg_bytes number);
/* A bit string of whole bytes. */
void tg_der_bits(struct tg_writer *w, struct tg_bytes bits);
/* UTCTime up to 2049, GeneralizedTime after (RFC 5280 4.1.2.5); 0 ≤ time_s < the year 10000. */
void tg_der_time(struct tg_writer *w, int64_t time_s);

#endif
