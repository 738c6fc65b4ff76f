/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bytes - views, capped buffers, and checked readers and writers.
 *
 * `struct tg_bytes` is a view: it owns nothing and is passed by value. `struct tg_buffer` owns its
 * memory and never grows past its limit. `tg_reader` and `tg_writer` walk foreign and caller-owned
 * memory with bounds: after the first overrun they are `failed` and every later call is a no-op, so a
 * parser checks once at its end.
 *
 *     struct tg_reader r = tg_reader_init(data, len);
 *     uint16_t id = tg_read_u16be(&r);
 *     struct tg_bytes name = tg_read_bytes(&r, tg_read_u8(&r));
 *     if (r.failed) return TG_EPROTO;
 *
 * Reader and writer are pure: no allocation, no I/O.
 */
#ifndef TG_BASE_BYTES_H
#define TG_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* For a large local of a hot path that is written before it is read: the hardened build clears every other one at each call, which for
 * an array of a batch's rows costs more than the batch. */
#define TG_UNCLEARED __attribute__((uninitialized))

#include "core/base/error.h"

struct tg_bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct tg_bytes tg_bytes(const void *data, size_t len)
{
    struct tg_bytes b = {(const uint8_t *)data, len};
    return b;
}

static inline struct tg_bytes tg_bytes_str(const char *s)
{
    return tg_bytes(s, s ? strlen(s) : 0);
}

static inline bool tg_bytes_eq(struct tg_bytes a, struct tg_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool tg_bytes_eq_str(struct tg_bytes a, const char *s)
{
    return tg_bytes_eq(a, tg_bytes_str(s));
}

static inline bool tg_bytes_starts(struct tg_bytes a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.len >= n && memcmp(a.data, prefix, n) == 0;
}

/* True if it is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms); U+0000 is allowed. */
bool tg_utf8_valid(struct tg_bytes b);

/* --- reader --------------------------------------------------------------------------------- */

struct tg_reader {
    const uint8_t *data;
    size_t len, pos;
    bool failed;
};

static inline struct tg_reader tg_reader_init(const void *data, size_t len)
{
    struct tg_reader r = {(const uint8_t *)data, len, 0, false};
    return r;
}

static inline size_t tg_reader_left(const struct tg_reader *r)
{
    return r->failed ? 0 : r->len - r->pos;
}

uint8_t tg_read_u8(struct tg_reader *r);
uint16_t tg_read_u16be(struct tg_reader *r);
uint32_t tg_read_u32be(struct tg_reader *r);
/* A view of n bytes; empty and failed when fewer are left. */
struct tg_bytes tg_read_bytes(struct tg_reader *r, size_t n);
/* LEB128, at most 10 bytes. */
uint64_t tg_read_varint(struct tg_reader *r);
/* Zig-zag LEB128. */
int64_t tg_read_svarint(struct tg_reader *r);
/* IEEE 754 double, little endian. */
double tg_read_f64(struct tg_reader *r);

/* --- writer --------------------------------------------------------------------------------- */

/* Writes into memory that the caller lends. */
struct tg_writer {
    uint8_t *data;
    size_t cap, len;
    bool failed;
};

static inline struct tg_writer tg_writer_init(void *data, size_t cap)
{
    struct tg_writer w = {(uint8_t *)data, cap, 0, false};
    return w;
}

void tg_write_u8(struct tg_writer *w, uint8_t v);
void tg_write_u16be(struct tg_writer *w, uint16_t v);
void tg_write_u32be(struct tg_writer *w, uint32_t v);
void tg_write_bytes(struct tg_writer *w, struct tg_bytes b);
void tg_write_str(struct tg_writer *w, const char *s);
void tg_write_varint(struct tg_writer *w, uint64_t v);
void tg_write_svarint(struct tg_writer *w, int64_t v);
void tg_write_f64(struct tg_writer *w, double v);
/* printf into the writer, without the NUL. */
void tg_write_fmt(struct tg_writer *w, const char *fmt, ...) TG_PRINTF(2, 3);
/* Decimal digits: far cheaper than printf on the hot path. */
void tg_write_u64_dec(struct tg_writer *w, uint64_t v);
void tg_write_i64_dec(struct tg_writer *w, int64_t v);
/* Terminates the text for C; the NUL is not counted in len. TG_ETOOBIG when it did not all fit. */
int tg_writer_cstr(struct tg_writer *w) TG_CHECKED;

/* --- buffer --------------------------------------------------------------------------------- */

/* Owned memory, grown on demand up to limit_bytes. Zero-initialised except for limit_bytes it is
 * valid and empty. */
struct tg_buffer {
    uint8_t *data;
    size_t len, cap, limit_bytes;
};

static inline struct tg_buffer tg_buffer_init(size_t limit_bytes)
{
    struct tg_buffer b = {NULL, 0, 0, limit_bytes};
    return b;
}

static inline struct tg_bytes tg_buffer_view(const struct tg_buffer *b)
{
    return tg_bytes(b->data, b->len);
}

/* Makes room for n more bytes. TG_ETOOBIG past the limit, TG_ENOMEM; the content stays either way. */
int tg_buffer_reserve(struct tg_buffer *b, size_t n) TG_CHECKED;
int tg_buffer_append(struct tg_buffer *b, struct tg_bytes bytes) TG_CHECKED;
/* Removes n bytes from the front (n ≤ len). */
void tg_buffer_consume(struct tg_buffer *b, size_t n);
/* Frees the memory; the limit stays. */
void tg_buffer_fini(struct tg_buffer *b);

#endif
