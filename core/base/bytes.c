/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/bytes.h"

#include <endian.h>
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"

bool tg_utf8_valid(struct tg_bytes b)
{
    size_t i = 0;
    while (i < b.len) {
        uint8_t c = b.data[i];
        size_t more;
        uint32_t cp, least;
        if (c < 0x80) {
            i++;
            continue;
        }
        if (c >= 0xC2 && c <= 0xDF) {
            more = 1, cp = c & 0x1Fu, least = 0x80;
        } else if ((c & 0xF0u) == 0xE0) {
            more = 2, cp = c & 0x0Fu, least = 0x800;
        } else if (c >= 0xF0 && c <= 0xF4) {
            more = 3, cp = c & 0x07u, least = 0x10000;
        } else {
            return false;
        }
        if (b.len - i <= more)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if ((b.data[i + k] & 0xC0u) != 0x80)
                return false;
            cp = cp << 6 | (b.data[i + k] & 0x3Fu);
        }
        if (cp < least || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
            return false;
        i += more + 1;
    }
    return true;
}

/* --- reader --- */

static const uint8_t *take(struct tg_reader *r, size_t n)
{
    const uint8_t *p;
    if (r->failed || r->len - r->pos < n) {
        r->failed = true;
        return NULL;
    }
    p = r->data + r->pos;
    r->pos += n;
    return p;
}

uint8_t tg_read_u8(struct tg_reader *r)
{
    const uint8_t *p = take(r, 1);
    return p ? p[0] : 0;
}

uint16_t tg_read_u16be(struct tg_reader *r)
{
    const uint8_t *p = take(r, 2);
    return p ? (uint16_t)((unsigned)p[0] << 8 | p[1]) : 0;
}

uint32_t tg_read_u32be(struct tg_reader *r)
{
    const uint8_t *p = take(r, 4);
    return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

struct tg_bytes tg_read_bytes(struct tg_reader *r, size_t n)
{
    const uint8_t *p = take(r, n);
    return p ? tg_bytes(p, n) : tg_bytes(NULL, 0);
}

uint64_t tg_read_varint(struct tg_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t c = tg_read_u8(r);
        if (r->failed)
            return 0;
        if (shift == 63 && c > 1)
            break; /* more than 64 bits */
        v |= (uint64_t)(c & 0x7Fu) << shift;
        if (c < 0x80)
            return v;
    }
    r->failed = true;
    return 0;
}

int64_t tg_read_svarint(struct tg_reader *r)
{
    uint64_t u = tg_read_varint(r);
    return (int64_t)(u >> 1 ^ (0 - (u & 1)));
}

double tg_read_f64(struct tg_reader *r)
{
    const uint8_t *p = take(r, 8);
    uint64_t u = 0;
    double d = 0;
    if (!p)
        return 0;
    memcpy(&u, p, sizeof u);
    u = le64toh(u);
    memcpy(&d, &u, sizeof d);
    return d;
}

/* --- writer --- */

static uint8_t *room(struct tg_writer *w, size_t n)
{
    uint8_t *p;
    if (w->failed || w->cap - w->len < n) {
        w->failed = true;
        return NULL;
    }
    p = w->data + w->len;
    w->len += n;
    return p;
}

void tg_write_u8(struct tg_writer *w, uint8_t v)
{
    uint8_t *p = room(w, 1);
    if (p)
        p[0] = v;
}

void tg_write_u16be(struct tg_writer *w, uint16_t v)
{
    uint8_t *p = room(w, 2);
    if (p) {
        p[0] = (uint8_t)(v >> 8);
        p[1] = (uint8_t)v;
    }
}

void tg_write_u32be(struct tg_writer *w, uint32_t v)
{
    tg_write_u16be(w, (uint16_t)(v >> 16));
    tg_write_u16be(w, (uint16_t)v);
}

void tg_write_bytes(struct tg_writer *w, struct tg_bytes b)
{
    uint8_t *p = room(w, b.len);
    if (p && b.len)
        memcpy(p, b.data, b.len);
}

void tg_write_str(struct tg_writer *w, const char *s)
{
    tg_write_bytes(w, tg_bytes_str(s));
}

void tg_write_varint(struct tg_writer *w, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;
    if (v < 0x80) { /* nearly all: lengths, counts, qualities */
        tg_write_u8(w, (uint8_t)v);
        return;
    }
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80u);
    bytes[n++] = (uint8_t)v;
    tg_write_bytes(w, tg_bytes(bytes, n));
}

void tg_write_svarint(struct tg_writer *w, int64_t v)
{
    tg_write_varint(w, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void tg_write_f64(struct tg_writer *w, double v)
{
    uint64_t u;
    uint8_t *p = room(w, 8);
    if (!p)
        return;
    memcpy(&u, &v, sizeof u);
    u = htole64(u);
    memcpy(p, &u, sizeof u);
}

void tg_write_fmt(struct tg_writer *w, const char *fmt, ...)
{
    va_list ap;
    int n;
    if (w->failed)
        return;
    va_start(ap, fmt);
    n = vsnprintf((char *)w->data + w->len, w->cap - w->len, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= w->cap - w->len)
        w->failed = true; /* vsnprintf's NUL needs its place too */
    else
        w->len += (size_t)n;
}

void tg_write_u64_dec(struct tg_writer *w, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do {
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    tg_write_bytes(w, tg_bytes(digits + sizeof digits - n, n));
}

void tg_write_i64_dec(struct tg_writer *w, int64_t v)
{
    if (v < 0)
        tg_write_u8(w, '-');
    tg_write_u64_dec(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

int tg_writer_cstr(struct tg_writer *w)
{
    if (w->failed || w->len == w->cap)
        return TG_ETOOBIG;
    w->data[w->len] = '\0';
    return TG_OK;
}

/* --- buffer --- */

int tg_buffer_reserve(struct tg_buffer *b, size_t n)
{
    size_t want, cap;
    uint8_t *fresh;
    if (n > b->limit_bytes || b->len > b->limit_bytes - n)
        return TG_ETOOBIG;
    want = b->len + n;
    if (want <= b->cap)
        return TG_OK;
    cap = b->cap ? b->cap : 256;
    while (cap < want)
        cap *= 2;
    if (cap > b->limit_bytes)
        cap = b->limit_bytes;
    fresh = tg_realloc(b->data, cap);
    if (!fresh)
        return TG_ENOMEM;
    b->data = fresh;
    b->cap = cap;
    return TG_OK;
}

int tg_buffer_append(struct tg_buffer *b, struct tg_bytes bytes)
{
    int rc = tg_buffer_reserve(b, bytes.len);
    if (rc < 0)
        return rc;
    if (bytes.len)
        memcpy(b->data + b->len, bytes.data, bytes.len);
    b->len += bytes.len;
    return TG_OK;
}

void tg_buffer_consume(struct tg_buffer *b, size_t n)
{
    TG_ASSERT(n <= b->len);
    b->len -= n;
    if (b->len)
        memmove(b->data, b->data + n, b->len);
}

void tg_buffer_fini(struct tg_buffer *b)
{
    tg_free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}
