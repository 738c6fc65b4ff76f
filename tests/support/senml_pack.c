/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/senml_pack.h"

#include <cbor.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static json_t *refuse(const char *why)
{
    fprintf(stderr, "senml: %s\n", why);
    return NULL;
}

json_t *senml_from_json(const void *text, size_t len)
{
    json_error_t error;
    json_t *pack = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!pack)
        return refuse(error.text);
    return pack;
}

/* --- CBOR ---------------------------------------------------------------------------------------- */

static const char *label_name(const cbor_item_t *key, char *memory, size_t size)
{
    static const struct {
        int64_t label;
        const char *name;
    } labels[] = {{-1, "bver"}, {-2, "bn"}, {-3, "bt"}, {-4, "bu"}, {-5, "bv"},
                  {-6, "bs"},   {0, "n"},   {1, "u"},   {2, "v"},   {3, "vs"},
                  {4, "vb"},    {5, "s"},   {6, "t"},   {7, "ut"},  {8, "vd"}};
    if (cbor_isa_string(key)) {
        if (cbor_string_length(key) >= size)
            return NULL;
        memcpy(memory, cbor_string_handle(key), cbor_string_length(key));
        memory[cbor_string_length(key)] = '\0';
        return memory;
    }
    if (!cbor_is_int(key))
        return NULL;
    int64_t n = (int64_t)cbor_get_int(key);
    n = cbor_isa_negint(key) ? -1 - n : n;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (labels[i].label == n)
            return labels[i].name;
    return NULL;
}

static json_t *base64url(const uint8_t *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[400];
    size_t n = 0;
    if (len > 256)
        return NULL;
    for (size_t bit = 0; bit < len * 8; bit += 6) {
        unsigned window = (unsigned)data[bit / 8] << 8 | (bit / 8 + 1 < len ? data[bit / 8 + 1] : 0u);
        text[n++] = digits[window >> (10 - bit % 8) & 63];
    }
    return json_stringn(text, n);
}

static json_t *value_of(const cbor_item_t *item)
{
    if (cbor_isa_uint(item)) {
        uint64_t v = cbor_get_int(item);
        return v <= INT64_MAX ? json_integer((json_int_t)v) : json_real((double)v);
    }
    if (cbor_isa_negint(item)) {
        uint64_t v = cbor_get_int(item);
        return v <= INT64_MAX ? json_integer(-1 - (json_int_t)v) : json_real(-1.0 - (double)v);
    }
    if (cbor_isa_string(item))
        return json_stringn((const char *)cbor_string_handle(item), cbor_string_length(item));
    if (cbor_isa_bytestring(item))
        return base64url(cbor_bytestring_handle(item), cbor_bytestring_length(item));
    if (!cbor_isa_float_ctrl(item))
        return NULL;
    if (!cbor_float_ctrl_is_ctrl(item))
        return json_real(cbor_float_get_float(item));
    if (cbor_is_bool(item))
        return json_boolean(cbor_get_bool(item));
    return NULL;
}

static json_t *map_of(const cbor_item_t *item)
{
    json_t *record = json_object();
    struct cbor_pair *pairs = cbor_map_handle(item);
    for (size_t i = 0; i < cbor_map_size(item); i++) {
        char memory[64];
        const char *name = label_name(pairs[i].key, memory, sizeof memory);
        json_t *value = value_of(pairs[i].value);
        if (!name || !value || json_object_get(record, name)) {
            json_decref(value);
            json_decref(record);
            return refuse("a field that RFC 8428 does not know, or one twice");
        }
        json_object_set_new(record, name, value);
    }
    return record;
}

json_t *senml_from_cbor(const uint8_t *data, size_t len)
{
    struct cbor_load_result result;
    cbor_item_t *item = cbor_load(data, len, &result);
    json_t *pack = json_array();
    bool good = item && result.read == len && cbor_isa_array(item);
    for (size_t i = 0; good && i < cbor_array_size(item); i++) {
        cbor_item_t *map = cbor_array_handle(item)[i];
        json_t *record = cbor_isa_map(map) ? map_of(map) : NULL;
        good = record && json_array_append_new(pack, record) == 0;
    }
    if (item)
        cbor_decref(&item);
    if (good)
        return pack;
    json_decref(pack);
    return refuse("not a CBOR array of maps, or bytes after it");
}

/* --- resolving -------------------------------------------------------------------------------------- */

struct base {
    char name[512], unit[64];
    double time, value;
    bool has_value;
};

static bool take_base(struct base *b, const json_t *r)
{
    const json_t *bver = json_object_get(r, "bver"), *v;
    if (bver && !json_is_integer(bver))
        return false;
    if ((v = json_object_get(r, "bn")) != NULL)
        snprintf(b->name, sizeof b->name, "%s", json_string_value(v));
    if ((v = json_object_get(r, "bu")) != NULL)
        snprintf(b->unit, sizeof b->unit, "%s", json_string_value(v));
    if ((v = json_object_get(r, "bt")) != NULL)
        b->time = json_number_value(v);
    if ((v = json_object_get(r, "bv")) != NULL) {
        b->value = json_number_value(v);
        b->has_value = true;
    }
    return true;
}

static bool name_is_valid(const char *name)
{
    static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-:./_";
    return name[0] && strspn(name, allowed) == strlen(name) && !strchr("-:./_", name[0]);
}

static json_t *resolve_one(const struct base *b, const json_t *r)
{
    static const char *const values[] = {"v", "vs", "vb", "vd"};
    char name[1024];
    const char *own = json_string_value(json_object_get(r, "n"));
    const json_t *unit = json_object_get(r, "u"), *seq = json_object_get(r, "seq");
    json_t *out = json_object();
    int count = 0;
    snprintf(name, sizeof name, "%s%s", b->name, own ? own : "");
    for (size_t i = 0; i < 4; i++) {
        json_t *v = json_object_get(r, values[i]);
        if (!v)
            continue;
        count++;
        if (i == 0 && b->has_value)
            json_object_set_new(out, "v", json_real(json_number_value(v) + b->value));
        else
            json_object_set(out, values[i], v);
    }
    if (!name_is_valid(name) || count != 1) {
        json_decref(out);
        return refuse(count != 1 ? "a record without exactly one value" : "a name that is not allowed");
    }
    json_object_set_new(out, "n", json_string(name));
    json_object_set_new(out, "t", json_real(b->time + json_number_value(json_object_get(r, "t"))));
    if (unit || b->unit[0])
        json_object_set_new(out, "u", json_string(unit ? json_string_value(unit) : b->unit));
    if (seq)
        json_object_set(out, "seq", (json_t *)(uintptr_t)seq);
    return out;
}

json_t *senml_resolve(const json_t *pack)
{
    struct base base = {0};
    json_t *out = json_array(), *record;
    size_t i;
    if (!json_is_array(pack) || json_array_size(pack) == 0) {
        json_decref(out);
        return refuse("a pack is an array of one record at least");
    }
    json_array_foreach(pack, i, record)
    {
        json_t *one = json_is_object(record) && take_base(&base, record) ? resolve_one(&base, record) : NULL;
        if (!one) {
            json_decref(out);
            return NULL;
        }
        json_array_append_new(out, one);
    }
    return out;
}
