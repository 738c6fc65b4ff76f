/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/der.h"

#include "core/base/clock.h"

#define YEAR_2050_S 2524608000

void tg_der_end(struct tg_writer *w, uint8_t tag, size_t mark)
{
    size_t len = w->len - mark, header = len < 0x80 ? 2 : len < 0x100 ? 3 : 4;
    if (w->failed || len > 0xffff || w->cap - w->len < header) {
        w->failed = true;
        return;
    }
    uint8_t *at = w->data + mark;
    memmove(at + header, at, len);
    w->len += header;
    at[0] = tag;
    if (header == 2) {
        at[1] = (uint8_t)len;
        return;
    }
    at[1] = (uint8_t)(0x80 + header - 2);
    if (header == 4)
        at[2] = (uint8_t)(len >> 8);
    at[header - 1] = (uint8_t)len;
}

void tg_der_put(struct tg_writer *w, uint8_t tag, struct tg_bytes content)
{
    size_t mark = tg_der_begin(w);
    tg_write_bytes(w, content);
    tg_der_end(w, tag, mark);
}

void tg_der_unsigned(struct tg_writer *w, struct tg_bytes number)
{
    size_t mark = tg_der_begin(w);
    while (number.len > 0 && number.data[0] == 0)
        number = tg_bytes(number.data + 1, number.len - 1);
    if (number.len == 0 || number.data[0] & 0x80) /* else it would be negative */
        tg_write_u8(w, 0);
    tg_write_bytes(w, number);
    tg_der_end(w, TG_DER_INTEGER, mark);
}

void tg_der_bits(struct tg_writer *w, struct tg_bytes bits)
{
    size_t mark = tg_der_begin(w);
    tg_write_u8(w, 0); /* unused bits in the last byte */
    tg_write_bytes(w, bits);
    tg_der_end(w, TG_DER_BIT_STRING, mark);
}

void tg_der_time(struct tg_writer *w, int64_t time_s)
{
    char iso[TG_CLOCK_ISO8601_BYTES]; /* 2026-11-20T13:00:00.123Z */
    uint8_t digits[16];
    struct tg_writer d = tg_writer_init(digits, sizeof digits);
    bool utc = time_s < YEAR_2050_S;
    tg_clock_iso8601(time_s * 1000, iso);
    for (const char *c = iso + (utc ? 2 : 0); *c != '.' && *c != '\0'; c++)
        if (*c >= '0' && *c <= '9')
            tg_write_u8(&d, (uint8_t)*c);
    tg_write_u8(&d, 'Z');
    if (d.failed)
        w->failed = true;
    tg_der_put(w, utc ? TG_DER_UTC_TIME : TG_DER_GENERALIZED_TIME, tg_bytes(d.data, d.len));
}
