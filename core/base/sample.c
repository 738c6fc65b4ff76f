/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/sample.h"

#define BODY_VERSION       1
#define BODY_VERSION_TIMED 2

const char *tg_quality_name(unsigned quality)
{
    static const char *const names[] = {"good",  "timeout", "comm",  "device", "config",
                                        "range", "sensor",  "stale", "down"};
    return quality < sizeof names / sizeof names[0] ? names[quality] : "unknown";
}

bool tg_name_is_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@";
    size_t n = strspn(name, allowed);
    return n > 0 && n <= TG_NAME_MAX_BYTES && name[n] == '\0' && !strchr("-.:@", name[0]);
}

static void write_time(struct tg_writer *w, const struct tg_sample_time *time)
{
    tg_write_u8(w, time->kind == TG_TIME_KNOWN ? BODY_VERSION : BODY_VERSION_TIMED);
    if (time->kind != TG_TIME_KNOWN)
        tg_write_varint(w, time->kind == TG_TIME_BOOT ? time->boot : 0);
    tg_write_svarint(w, time->ms);
}

void tg_sample_begin_at(struct tg_writer *w, const struct tg_sample_time *time, uint32_t count)
{
    write_time(w, time);
    tg_write_varint(w, count);
}

void tg_sample_begin(struct tg_writer *w, int64_t time_ms, uint32_t count)
{
    tg_sample_begin_at(w, &(struct tg_sample_time){.ms = time_ms}, count);
}

int tg_sample_restamp(struct tg_bytes body, const struct tg_sample_time *time, struct tg_writer *w)
{
    struct tg_sample_reader r;
    int rc = tg_sample_reader_init(&r, body);
    if (rc < 0)
        return rc;
    tg_sample_begin_at(w, time, r.count);
    tg_write_bytes(w, tg_read_bytes(&r.reader, tg_reader_left(&r.reader)));
    return TG_OK;
}

void tg_sample_value(struct tg_writer *w, const struct tg_named_value *v)
{
    tg_write_varint(w, v->name.len);
    tg_write_bytes(w, v->name);
    tg_write_u8(w, v->quality);
    tg_write_u8(w, (uint8_t)v->value.type);
    switch (v->value.type) {
    case TG_VALUE_BOOL:
        tg_write_u8(w, v->value.as.boolean);
        break;
    case TG_VALUE_INT:
        tg_write_svarint(w, v->value.as.integer);
        break;
    case TG_VALUE_UINT:
        tg_write_varint(w, v->value.as.uinteger);
        break;
    case TG_VALUE_REAL:
        tg_write_f64(w, v->value.as.real);
        break;
    case TG_VALUE_TEXT:
        tg_write_varint(w, v->value.text_len);
        tg_write_bytes(w, tg_bytes(v->value.as.text, v->value.text_len));
        break;
    default:
        break;
    }
}

int tg_sample_reader_init(struct tg_sample_reader *r, struct tg_bytes body)
{
    uint64_t count;
    uint8_t version;
    r->reader = tg_reader_init(body.data, body.len);
    r->done = 0;
    r->boot = 0;
    r->time = TG_TIME_KNOWN;
    version = tg_read_u8(&r->reader);
    if (version == BODY_VERSION_TIMED) {
        r->boot = tg_read_varint(&r->reader);
        if (r->boot == 0 && tg_sample_is_unstamped(body)) /* a 0 in more than one byte */
            return TG_ECORRUPT;
        r->time = r->boot ? TG_TIME_BOOT : TG_TIME_ESTIMATED;
    } else if (version != BODY_VERSION) {
        return TG_ECORRUPT;
    }
    r->time_ms = tg_read_svarint(&r->reader);
    count = tg_read_varint(&r->reader);
    if (r->reader.failed || count == 0 || count > TG_SAMPLE_MAX_VALUES)
        return TG_ECORRUPT;
    r->count = (uint32_t)count;
    return TG_OK;
}

int tg_sample_reader_next(struct tg_sample_reader *r, struct tg_named_value *ret_value)
{
    struct tg_named_value v = {0};
    uint64_t n;
    if (r->done == r->count)
        return tg_reader_left(&r->reader) ? TG_ECORRUPT : 0;
    n = tg_read_varint(&r->reader);
    if (n > TG_NAME_MAX_BYTES)
        return TG_ECORRUPT;
    v.name = tg_read_bytes(&r->reader, (size_t)n);
    v.quality = tg_read_u8(&r->reader);
    v.value.type = tg_read_u8(&r->reader);
    switch (v.value.type) {
    case TG_VALUE_NONE:
        break;
    case TG_VALUE_BOOL:
        v.value.as.boolean = tg_read_u8(&r->reader) != 0;
        break;
    case TG_VALUE_INT:
        v.value.as.integer = tg_read_svarint(&r->reader);
        break;
    case TG_VALUE_UINT:
        v.value.as.uinteger = tg_read_varint(&r->reader);
        break;
    case TG_VALUE_REAL:
        v.value.as.real = tg_read_f64(&r->reader);
        break;
    case TG_VALUE_TEXT:
        n = tg_read_varint(&r->reader);
        if (n > TG_TEXT_MAX_BYTES)
            return TG_ECORRUPT;
        v.value.text_len = (uint32_t)n;
        v.value.as.text = (const char *)tg_read_bytes(&r->reader, (size_t)n).data;
        break;
    default:
        return TG_ECORRUPT;
    }
    if (r->reader.failed)
        return TG_ECORRUPT;
    r->done++;
    *ret_value = v;
    return 1;
}
