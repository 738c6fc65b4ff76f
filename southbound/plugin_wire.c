/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/plugin_wire.h"

#define NUMBER_BYTES 10 /* of the longest LEB128 */
#define FIELDS_BYTES (TG_WIRE_HEAD_BYTES + 9 * NUMBER_BYTES + 1 + NUMBER_BYTES)

/* The fields of each message in their order: d device, p point, s state, f flags, r status (a result), n number, t time_ms,
 * a at_ms, N name, X text (may be absent), B body, V value. */
static const char *const rows[] = {
    [TG_WIRE_SOURCE] = "sfdntaNX", [TG_WIRE_DISCOVER] = "n",   [TG_WIRE_OPTION] = "sfNX",
    [TG_WIRE_DEVICE] = "fpN",      [TG_WIRE_POINT] = "ftN",    [TG_WIRE_START] = "",
    [TG_WIRE_WRITE] = "ndpV",      [TG_WIRE_COMMAND] = "ndNX", [TG_WIRE_INTERVAL] = "dpt",
    [TG_WIRE_CONFINED] = "fs",     [TG_WIRE_TROUBLE] = "X",    [TG_WIRE_OPENED] = "rtX",
    [TG_WIRE_STATE] = "dsX",       [TG_WIRE_ANSWER] = "nrX",   [TG_WIRE_FACT] = "dNV",
    [TG_WIRE_FOUND] = "NX",        [TG_WIRE_UPLINK] = "sX",    [TG_WIRE_TIME] = "tas",
    [TG_WIRE_LOG] = "sX",          [TG_WIRE_ALIVE] = "nt",     [TG_WIRE_RECALL] = "NX",
    [TG_WIRE_KEPT] = "n",          [TG_WIRE_CLOCK] = "tas",    [TG_WIRE_NOTE] = "NX",
    [TG_WIRE_CARRY_OPEN] = "dX",   [TG_WIRE_CARRY] = "dnB",    [TG_WIRE_CARRY_CLOSE] = "d",
    [TG_WIRE_CARRIER] = "dsX",     [TG_WIRE_CARRIED] = "dnr",
};

static const char *row_of(uint8_t type)
{
    return type < sizeof rows / sizeof rows[0] ? rows[type] : NULL;
}

/* --- frames ------------------------------------------------------------------------------------- */

int tg_wire_next(struct tg_bytes in, struct tg_wire_frame *ret)
{
    struct tg_reader r = tg_reader_init(in.data, in.len);
    uint32_t len;
    if (in.len < 4)
        return 0;
    len = tg_read_u32be(&r);
    if (len < 1 || len > TG_WIRE_FRAME_MAX_BYTES)
        return TG_EPROTO;
    if (in.len - 4 < len)
        return 0;
    ret->type = tg_read_u8(&r);
    ret->payload = tg_read_bytes(&r, len - 1);
    ret->size = 4 + (size_t)len;
    return 1;
}

size_t tg_wire_wants(struct tg_bytes in)
{
    struct tg_reader r = tg_reader_init(in.data, in.len);
    return in.len < 4 ? TG_WIRE_HEAD_BYTES : 4 + (size_t)tg_read_u32be(&r);
}

static size_t begin(struct tg_writer *w, uint8_t type)
{
    size_t at = w->len;
    tg_write_u32be(w, 0);
    tg_write_u8(w, type);
    return at;
}

static void end(struct tg_writer *w, size_t at)
{
    size_t len = w->len - at - 4;
    struct tg_writer head;
    if (w->failed)
        return;
    if (len > TG_WIRE_FRAME_MAX_BYTES) {
        w->failed = true;
        return;
    }
    head = tg_writer_init(w->data + at, 4);
    tg_write_u32be(&head, (uint32_t)len);
}

/* --- values --------------------------------------------------------------------------------------- */

static void put_counted(struct tg_writer *w, struct tg_bytes b)
{
    tg_write_varint(w, b.len);
    tg_write_bytes(w, b);
}

static void put_value(struct tg_writer *w, const struct tg_value *v)
{
    tg_write_u8(w, (uint8_t)v->type);
    switch (v->type) {
    case TG_VALUE_BOOL:
        tg_write_u8(w, v->as.boolean);
        break;
    case TG_VALUE_INT:
        tg_write_svarint(w, v->as.integer);
        break;
    case TG_VALUE_UINT:
        tg_write_varint(w, v->as.uinteger);
        break;
    case TG_VALUE_REAL:
        tg_write_f64(w, v->as.real);
        break;
    case TG_VALUE_TEXT:
        put_counted(w, tg_bytes(v->as.text, v->text_len));
        break;
    default:
        break;
    }
}

static uint32_t read_u32(struct tg_reader *r)
{
    uint64_t v = tg_read_varint(r);
    if (v > UINT32_MAX)
        r->failed = true;
    return (uint32_t)v;
}

static int32_t read_i32(struct tg_reader *r)
{
    int64_t v = tg_read_svarint(r);
    if (v < INT32_MIN || v > INT32_MAX)
        r->failed = true;
    return (int32_t)v;
}

static bool read_flag(struct tg_reader *r)
{
    uint8_t v = tg_read_u8(r);
    if (v > 1)
        r->failed = true;
    return v == 1;
}

static struct tg_bytes read_counted(struct tg_reader *r)
{
    uint64_t n = tg_read_varint(r);
    if (n > TG_WIRE_FRAME_MAX_BYTES) {
        r->failed = true;
        return tg_bytes(NULL, 0);
    }
    return tg_read_bytes(r, (size_t)n);
}

static struct tg_bytes read_text(struct tg_reader *r)
{
    struct tg_bytes b = read_counted(r);
    if (b.len && memchr(b.data, '\0', b.len))
        r->failed = true;
    return b;
}

static void read_value(struct tg_reader *r, struct tg_value *v)
{
    struct tg_bytes text;
    *v = (struct tg_value){.type = tg_read_u8(r)};
    switch (v->type) {
    case TG_VALUE_NONE:
        break;
    case TG_VALUE_BOOL:
        v->as.boolean = read_flag(r);
        break;
    case TG_VALUE_INT:
        v->as.integer = tg_read_svarint(r);
        break;
    case TG_VALUE_UINT:
        v->as.uinteger = tg_read_varint(r);
        break;
    case TG_VALUE_REAL:
        v->as.real = tg_read_f64(r);
        break;
    case TG_VALUE_TEXT:
        text = read_counted(r);
        if (text.len > TG_TEXT_MAX_BYTES)
            r->failed = true;
        v->text_len = (uint32_t)text.len;
        v->as.text = (const char *)text.data;
        break;
    default:
        r->failed = true;
        break;
    }
}

static int finished(const struct tg_reader *r)
{
    return r->failed || r->pos != r->len ? TG_EPROTO : TG_OK;
}

/* --- messages --------------------------------------------------------------------------------------- */

size_t tg_wire_message_bound(const struct tg_wire_message *m)
{
    return FIELDS_BYTES + m->name.len + m->text.len + m->body.len +
           (m->value.type == TG_VALUE_TEXT ? m->value.text_len : 0);
}

static void put_field(struct tg_writer *w, char field, const struct tg_wire_message *m)
{
    switch (field) {
    case 'd':
        tg_write_varint(w, m->device);
        break;
    case 'p':
        tg_write_varint(w, m->point);
        break;
    case 's':
        tg_write_varint(w, m->state);
        break;
    case 'f':
        tg_write_varint(w, m->flags);
        break;
    case 'r':
        tg_write_svarint(w, m->status);
        break;
    case 'n':
        tg_write_varint(w, m->number);
        break;
    case 't':
        tg_write_svarint(w, m->time_ms);
        break;
    case 'a':
        tg_write_svarint(w, m->at_ms);
        break;
    case 'N':
        put_counted(w, m->name);
        break;
    case 'X':
        tg_write_u8(w, m->has_text);
        if (m->has_text)
            put_counted(w, m->text);
        break;
    case 'B':
        put_counted(w, m->body);
        break;
    default: /* 'V' */
        put_value(w, &m->value);
        break;
    }
}

void tg_wire_put_message(struct tg_writer *w, const struct tg_wire_message *m)
{
    const char *row = row_of(m->type);
    size_t at = begin(w, m->type);
    if (!row)
        w->failed = true;
    for (; row && *row; row++)
        put_field(w, *row, m);
    end(w, at);
}

static void read_field(struct tg_reader *r, char field, struct tg_wire_message *m)
{
    switch (field) {
    case 'd':
        m->device = read_u32(r);
        break;
    case 'p':
        m->point = read_u32(r);
        break;
    case 's':
        m->state = read_u32(r);
        break;
    case 'f':
        m->flags = read_u32(r);
        break;
    case 'r':
        m->status = read_i32(r);
        break;
    case 'n':
        m->number = tg_read_varint(r);
        break;
    case 't':
        m->time_ms = tg_read_svarint(r);
        break;
    case 'a':
        m->at_ms = tg_read_svarint(r);
        break;
    case 'N':
        m->name = read_text(r);
        break;
    case 'X':
        m->has_text = read_flag(r);
        if (m->has_text)
            m->text = read_text(r);
        break;
    case 'B':
        m->body = read_counted(r);
        break;
    default: /* 'V' */
        read_value(r, &m->value);
        break;
    }
}

int tg_wire_read_message(const struct tg_wire_frame *frame, struct tg_wire_message *ret)
{
    struct tg_reader r = tg_reader_init(frame->payload.data, frame->payload.len);
    struct tg_wire_message m = {.type = frame->type};
    const char *row = row_of(frame->type);
    if (!row)
        return TG_EPROTO;
    for (; *row; row++)
        read_field(&r, *row, &m);
    if (finished(&r) < 0)
        return TG_EPROTO;
    *ret = m;
    return TG_OK;
}

/* --- samples ------------------------------------------------------------------------------------------ */

size_t tg_wire_sample_bound(const struct tg_point_value *values, uint32_t count)
{
    /* point, quality, type, and a number or the length of a text */
    size_t n = TG_WIRE_HEAD_BYTES + 3 * NUMBER_BYTES + (size_t)count * (NUMBER_BYTES + 2 + NUMBER_BYTES);
    for (uint32_t i = 0; i < count; i++)
        if (values[i].value.type == TG_VALUE_TEXT)
            n += values[i].value.text_len;
    return n;
}

void tg_wire_put_sample(struct tg_writer *w, uint32_t device, int64_t time_ms,
                        const struct tg_point_value *values, uint32_t count)
{
    size_t at = begin(w, TG_WIRE_SAMPLE);
    tg_write_varint(w, device);
    tg_write_svarint(w, time_ms);
    tg_write_varint(w, count);
    for (uint32_t i = 0; i < count; i++) {
        tg_write_varint(w, values[i].point);
        tg_write_u8(w, (uint8_t)values[i].quality);
        put_value(w, &values[i].value);
    }
    end(w, at);
}

int tg_wire_read_sample(const struct tg_wire_frame *frame, struct tg_wire_sample *ret)
{
    struct tg_reader r = tg_reader_init(frame->payload.data, frame->payload.len);
    if (frame->type != TG_WIRE_SAMPLE)
        return TG_EPROTO;
    ret->device = read_u32(&r);
    ret->time_ms = tg_read_svarint(&r);
    ret->count = read_u32(&r);
    if (r.failed || ret->count == 0 || ret->count > TG_SAMPLE_MAX_VALUES)
        return TG_EPROTO;
    for (uint32_t i = 0; i < ret->count && !r.failed; i++) {
        struct tg_point_value *v = &ret->values[i];
        v->point = read_u32(&r);
        v->quality = tg_read_u8(&r);
        read_value(&r, &v->value);
    }
    return finished(&r);
}
