/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/sparkplug_payload.h"

#include <math.h>

#include "core/base/allocator.h"
#include "sparkplug_b.pb-c.h"

#define TAG_TIMESTAMP 0x08 /* field 1, varint */
#define TAG_METRIC    0x12 /* field 2, length-delimited */
#define TAG_SEQ       0x18 /* field 3, varint */

#define EXACT_BITS 53 /* integers up to 2^53 are the same as a double */

/* --- writing --- */

void tg_sparkplug_begin(struct tg_writer *w, int64_t wall_ms)
{
    tg_write_u8(w, TAG_TIMESTAMP);
    tg_write_varint(w, (uint64_t)wall_ms);
}

void tg_sparkplug_end(struct tg_writer *w, uint8_t seq)
{
    tg_write_u8(w, TAG_SEQ);
    tg_write_varint(w, seq);
}

/* protobuf-c's structures have no const; it does not write to what it packs. */
static char *unconst(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {text};
    return u.out;
}

static void set_field(Tg__Sparkplug__Metric *p, const struct tg_sparkplug_metric *m)
{
    switch (m->field) {
    case TG_SPARKPLUG_FIELD_INT:
        p->value_case = TG__SPARKPLUG__METRIC__VALUE_INT_VALUE;
        p->int_value = m->as.u32;
        break;
    case TG_SPARKPLUG_FIELD_LONG:
        p->value_case = TG__SPARKPLUG__METRIC__VALUE_LONG_VALUE;
        p->long_value = m->as.u64;
        break;
    case TG_SPARKPLUG_FIELD_FLOAT:
        p->value_case = TG__SPARKPLUG__METRIC__VALUE_FLOAT_VALUE;
        p->float_value = m->as.f32;
        break;
    case TG_SPARKPLUG_FIELD_DOUBLE:
        p->value_case = TG__SPARKPLUG__METRIC__VALUE_DOUBLE_VALUE;
        p->double_value = m->as.f64;
        break;
    case TG_SPARKPLUG_FIELD_BOOLEAN:
        p->value_case = TG__SPARKPLUG__METRIC__VALUE_BOOLEAN_VALUE;
        p->boolean_value = m->as.boolean;
        break;
    case TG_SPARKPLUG_FIELD_STRING:
        p->value_case = TG__SPARKPLUG__METRIC__VALUE_STRING_VALUE;
        p->string_value = unconst(m->as.text);
        break;
    case TG_SPARKPLUG_NO_VALUE:
        break;
    }
}

void tg_sparkplug_put(struct tg_writer *w, const struct tg_sparkplug_metric *m)
{
    Tg__Sparkplug__Metric p = TG__SPARKPLUG__METRIC__INIT;
    Tg__Sparkplug__PropertySet set = TG__SPARKPLUG__PROPERTY_SET__INIT;
    Tg__Sparkplug__PropertyValue quality = TG__SPARKPLUG__PROPERTY_VALUE__INIT,
                                 unit = TG__SPARKPLUG__PROPERTY_VALUE__INIT, *values[2];
    char *keys[2];
    size_t size;
    p.name = unconst(m->name);
    p.has_alias = m->has_alias;
    p.alias = m->alias;
    p.has_timestamp = m->has_time;
    p.timestamp = m->time_ms;
    p.has_datatype = m->datatype != TG_SPARKPLUG_UNKNOWN;
    p.datatype = m->datatype;
    p.has_is_historical = p.is_historical = m->historical;
    p.has_is_null = p.is_null = m->null;
    if (m->has_quality) {
        quality.has_type = true;
        quality.type = TG_SPARKPLUG_INT32;
        quality.value_case = TG__SPARKPLUG__PROPERTY_VALUE__VALUE_INT_VALUE;
        quality.int_value = (uint32_t)m->quality;
        keys[set.n_keys] = unconst("Quality");
        values[set.n_keys++] = &quality;
    }
    if (m->unit) {
        unit.has_type = true;
        unit.type = TG_SPARKPLUG_STRING;
        unit.value_case = TG__SPARKPLUG__PROPERTY_VALUE__VALUE_STRING_VALUE;
        unit.string_value = unconst(m->unit);
        keys[set.n_keys] = unconst("engUnit");
        values[set.n_keys++] = &unit;
    }
    if (set.n_keys) {
        set.n_values = set.n_keys;
        set.keys = keys;
        set.values = values;
        p.properties = &set;
    }
    set_field(&p, m);
    size = tg__sparkplug__metric__get_packed_size(&p);
    tg_write_u8(w, TAG_METRIC);
    tg_write_varint(w, size);
    if (w->failed || w->cap - w->len < size) {
        w->failed = true;
        return;
    }
    w->len += tg__sparkplug__metric__pack(&p, w->data + w->len);
}

/* --- reading --- */

/* What a peer's message may make us allocate. Sums what is asked for: a payload is read in one go. */
struct budget {
    size_t left;
    bool missed; /* there was no memory for what it allows */
};

static void *budget_alloc(void *data, size_t size)
{
    struct budget *b = data;
    void *memory;
    if (size > b->left)
        return NULL;
    b->left -= size;
    memory = tg_malloc(size);
    b->missed = b->missed || !memory;
    return memory;
}

static void budget_free(void *data, void *pointer)
{
    (void)data;
    tg_free(pointer);
}

static ProtobufCAllocator allocator_of(struct budget *b)
{
    ProtobufCAllocator a = {.alloc = budget_alloc, .free = budget_free, .allocator_data = b};
    return a;
}

static bool is_text(const char *s)
{
    return !s || tg_utf8_valid(tg_bytes_str(s));
}

static bool texts_are_good(const Tg__Sparkplug__Payload *p)
{
    for (size_t i = 0; i < p->n_metrics; i++) {
        const Tg__Sparkplug__Metric *m = p->metrics[i];
        if (!is_text(m->name) || (m->value_case == TG__SPARKPLUG__METRIC__VALUE_STRING_VALUE &&
                                  (!m->string_value || !is_text(m->string_value))))
            return false;
    }
    return true;
}

int tg_sparkplug_read(struct tg_bytes bytes, struct tg_sparkplug_reader *ret_reader, struct tg_error *err)
{
    struct budget budget = {.left = TG_SPARKPLUG_READ_BYTES};
    ProtobufCAllocator allocator = allocator_of(&budget);
    Tg__Sparkplug__Payload *p =
        tg__sparkplug__payload__unpack(&allocator, bytes.len, bytes.data ? bytes.data : (const uint8_t *)"");
    if (!p && budget.missed)
        return tg_error_set(err, TG_ENOMEM, "a Sparkplug B payload of %zu bytes: out of memory", bytes.len);
    if (!p)
        return tg_error_set(err, TG_EPROTO,
                            "%zu bytes are no Sparkplug B payload, or one that needs too much memory",
                            bytes.len);
    if (!texts_are_good(p)) {
        tg__sparkplug__payload__free_unpacked(p, &allocator);
        return tg_error_set(err, TG_EPROTO, "a name or text in a Sparkplug B payload is not UTF-8");
    }
    *ret_reader = (struct tg_sparkplug_reader){.payload = p,
                                               .count = p->n_metrics,
                                               .has_time = p->has_timestamp,
                                               .has_seq = p->has_seq,
                                               .time_ms = p->timestamp,
                                               .seq = p->seq};
    return TG_OK;
}

bool tg_sparkplug_next(struct tg_sparkplug_reader *r, struct tg_sparkplug_metric *ret_metric)
{
    const Tg__Sparkplug__Payload *p = r->payload;
    const Tg__Sparkplug__Metric *m;
    struct tg_sparkplug_metric out = {0};
    if (r->next == r->count)
        return false;
    m = p->metrics[r->next++];
    out.name = m->name;
    out.has_alias = m->has_alias;
    out.alias = m->alias;
    out.has_time = m->has_timestamp;
    out.time_ms = m->timestamp;
    out.datatype = m->has_datatype ? m->datatype : TG_SPARKPLUG_UNKNOWN;
    out.historical = m->has_is_historical && m->is_historical;
    out.null = m->has_is_null && m->is_null;
    switch (m->value_case) {
    case TG__SPARKPLUG__METRIC__VALUE_INT_VALUE:
        out.field = TG_SPARKPLUG_FIELD_INT;
        out.as.u32 = m->int_value;
        break;
    case TG__SPARKPLUG__METRIC__VALUE_LONG_VALUE:
        out.field = TG_SPARKPLUG_FIELD_LONG;
        out.as.u64 = m->long_value;
        break;
    case TG__SPARKPLUG__METRIC__VALUE_FLOAT_VALUE:
        out.field = TG_SPARKPLUG_FIELD_FLOAT;
        out.as.f32 = m->float_value;
        break;
    case TG__SPARKPLUG__METRIC__VALUE_DOUBLE_VALUE:
        out.field = TG_SPARKPLUG_FIELD_DOUBLE;
        out.as.f64 = m->double_value;
        break;
    case TG__SPARKPLUG__METRIC__VALUE_BOOLEAN_VALUE:
        out.field = TG_SPARKPLUG_FIELD_BOOLEAN;
        out.as.boolean = m->boolean_value;
        break;
    case TG__SPARKPLUG__METRIC__VALUE_STRING_VALUE:
        out.field = TG_SPARKPLUG_FIELD_STRING;
        out.as.text = m->string_value;
        break;
    default:
        out.field = TG_SPARKPLUG_NO_VALUE;
        break;
    }
    *ret_metric = out;
    return true;
}

void tg_sparkplug_read_end(struct tg_sparkplug_reader *r)
{
    struct budget budget = {0};
    ProtobufCAllocator allocator = allocator_of(&budget);
    if (r->payload)
        tg__sparkplug__payload__free_unpacked(r->payload, &allocator);
    r->payload = NULL;
    r->count = r->next = 0;
}

/* --- values --- */

uint32_t tg_sparkplug_datatype_of(const struct tg_value *v)
{
    switch (v->type) {
    case TG_VALUE_BOOL:
        return TG_SPARKPLUG_BOOLEAN;
    case TG_VALUE_INT:
        return TG_SPARKPLUG_INT64;
    case TG_VALUE_UINT:
        return TG_SPARKPLUG_UINT64;
    case TG_VALUE_REAL:
        return TG_SPARKPLUG_DOUBLE;
    case TG_VALUE_TEXT:
        return TG_SPARKPLUG_STRING;
    default:
        return TG_SPARKPLUG_UNKNOWN;
    }
}

static void copy_text(char *to, const struct tg_value *v)
{
    bool valid = tg_utf8_valid(tg_bytes(v->as.text, v->text_len));
    for (uint32_t i = 0; i < v->text_len; i++) {
        to[i] = v->as.text[i];
        if (to[i] == '\0' || (!valid && (unsigned char)to[i] >= 0x80))
            to[i] = '?';
    }
    to[v->text_len] = '\0';
}

static bool set_integer(struct tg_sparkplug_metric *m, bool negative, uint64_t bits)
{
    uint64_t size = negative ? 0 - bits : bits;
    if (m->datatype == TG_SPARKPLUG_DOUBLE) {
        if (size > UINT64_C(1) << EXACT_BITS)
            return false;
        m->field = TG_SPARKPLUG_FIELD_DOUBLE;
        m->as.f64 = negative ? -(double)size : (double)size;
        return true;
    }
    if (m->datatype == TG_SPARKPLUG_INT64 ? !negative && bits > INT64_MAX
                                          : m->datatype != TG_SPARKPLUG_UINT64 || negative)
        return false;
    m->field = TG_SPARKPLUG_FIELD_LONG;
    m->as.u64 = bits;
    return true;
}

bool tg_sparkplug_set(struct tg_sparkplug_metric *m, const struct tg_value *v,
                      char text[TG_TEXT_MAX_BYTES + 1])
{
    if (v->type == TG_VALUE_INT)
        return set_integer(m, v->as.integer < 0, (uint64_t)v->as.integer);
    if (v->type == TG_VALUE_UINT)
        return set_integer(m, false, v->as.uinteger);
    if (v->type == TG_VALUE_NONE || m->datatype != tg_sparkplug_datatype_of(v))
        return false;
    if (v->type == TG_VALUE_TEXT && v->text_len > TG_TEXT_MAX_BYTES)
        return false;
    switch (v->type) {
    case TG_VALUE_BOOL:
        m->field = TG_SPARKPLUG_FIELD_BOOLEAN;
        m->as.boolean = v->as.boolean;
        return true;
    case TG_VALUE_REAL:
        m->field = TG_SPARKPLUG_FIELD_DOUBLE;
        m->as.f64 = v->as.real;
        return true;
    default:
        copy_text(text, v);
        m->field = TG_SPARKPLUG_FIELD_STRING;
        m->as.text = text;
        return true;
    }
}

/* `bits` as a signed number of that many bits. */
static int64_t sign_extend(uint64_t bits, unsigned width)
{
    uint64_t sign = UINT64_C(1) << (width - 1), mask = sign | (sign - 1);
    bits &= mask;
    return (int64_t)((bits ^ sign) - sign);
}

static bool get_integer(const struct tg_sparkplug_metric *m, uint32_t datatype, struct tg_value *ret_value)
{
    static const unsigned width[] = {0, 8, 16, 32, 64, 8, 16, 32, 64};
    uint64_t bits = m->field == TG_SPARKPLUG_FIELD_INT ? m->as.u32 : m->as.u64;
    if (datatype >= TG_SPARKPLUG_INT8 && datatype <= TG_SPARKPLUG_INT64) {
        *ret_value = tg_value_int(sign_extend(bits, width[datatype]));
        return true;
    }
    if (datatype >= TG_SPARKPLUG_UINT8 && datatype <= TG_SPARKPLUG_UINT64 && width[datatype] < 64)
        bits &= (UINT64_C(1) << width[datatype]) - 1;
    if (datatype > TG_SPARKPLUG_UINT64 && datatype != TG_SPARKPLUG_DATETIME &&
        datatype != TG_SPARKPLUG_DOUBLE && datatype != TG_SPARKPLUG_FLOAT)
        return false;
    *ret_value = tg_value_uint(bits);
    return true;
}

bool tg_sparkplug_get(const struct tg_sparkplug_metric *m, uint32_t datatype, struct tg_value *ret_value)
{
    if (m->null)
        return false;
    switch (m->field) {
    case TG_SPARKPLUG_FIELD_INT:
    case TG_SPARKPLUG_FIELD_LONG:
        return get_integer(m, m->datatype ? m->datatype : datatype, ret_value);
    case TG_SPARKPLUG_FIELD_FLOAT:
        *ret_value = tg_value_real((double)m->as.f32);
        return isfinite(m->as.f32);
    case TG_SPARKPLUG_FIELD_DOUBLE:
        *ret_value = tg_value_real(m->as.f64);
        return isfinite(m->as.f64);
    case TG_SPARKPLUG_FIELD_BOOLEAN:
        *ret_value = tg_value_bool(m->as.boolean);
        return true;
    case TG_SPARKPLUG_FIELD_STRING: {
        size_t n = strlen(m->as.text);
        *ret_value = tg_value_text(m->as.text, n);
        return n <= TG_TEXT_MAX_BYTES;
    }
    default:
        return false;
    }
}
