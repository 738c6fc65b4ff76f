/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/json_document.h"

#include "core/base/allocator.h"
#include "northbound/format_json.h"

void tg_json_text_free(struct tg_json_text *t)
{
    tg_free(t->data);
    *t = (struct tg_json_text){0};
}

/* jansson's own limit is 2048 levels, and it recurses; brackets within strings do not count. */
static bool too_deep(struct tg_bytes text)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && ++depth > TG_JSON_MAX_DEPTH)
            return true;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return false;
}

json_t *tg_json_parse(struct tg_bytes text, const char *what, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    json_error_t e;
    json_t *j;
    if (text.len > TG_JSON_MAX_BYTES) {
        tg_error_set(err, TG_ETOOBIG, "%s: %zu bytes of JSON, at most %d are taken", what, text.len,
                     TG_JSON_MAX_BYTES);
        return NULL;
    }
    if (too_deep(text)) {
        tg_error_set(err, TG_ETOOBIG, "%s: JSON nested more than %d levels deep", what, TG_JSON_MAX_DEPTH);
        return NULL;
    }
    if (text.len > 0 && memchr(text.data, 0, text.len)) { /* jansson passes over it behind a number */
        tg_error_set(err, TG_EPROTO, "%s: no JSON: it has a NUL byte", what);
        return NULL;
    }
    j = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (json_is_object(j))
        return j;
    if (j)
        tg_error_set(err, TG_EPROTO, "%s: JSON, but no object: %s", what,
                     tg_quote(quoted, (const char *)text.data, text.len));
    else if (json_error_code(&e) == json_error_out_of_memory)
        tg_error_set(err, TG_ENOMEM, "%s: out of memory", what);
    else
        tg_error_set(err, TG_EPROTO, "%s: no JSON: %s at byte %d", what,
                     tg_quote(quoted, e.text, strlen(e.text)), e.position);
    json_decref(j);
    return NULL;
}

static void write_object(struct tg_writer *w, json_t *object)
{
    const char *key;
    json_t *value;
    bool first = true;
    tg_write_u8(w, '{');
    json_object_foreach(object, key, value)
    {
        if (!first)
            tg_write_u8(w, ',');
        first = false;
        tg_format_json_string(w, tg_bytes_str(key));
        tg_write_u8(w, ':');
        tg_json_write(w, value);
    }
    tg_write_u8(w, '}');
}

void tg_json_write(struct tg_writer *w, json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        write_object(w, j);
        break;
    case JSON_ARRAY:
        tg_write_u8(w, '[');
        for (size_t i = 0; i < json_array_size(j); i++) {
            if (i)
                tg_write_u8(w, ',');
            tg_json_write(w, json_array_get(j, i));
        }
        tg_write_u8(w, ']');
        break;
    case JSON_STRING:
        tg_format_json_string(w, tg_bytes(json_string_value(j), json_string_length(j)));
        break;
    case JSON_INTEGER:
        tg_write_i64_dec(w, json_integer_value(j));
        break;
    case JSON_REAL:
        tg_format_json_real(w, json_real_value(j));
        break;
    default:
        tg_write_str(w, json_is_null(j) ? "null" : json_is_true(j) ? "true" : "false");
        break;
    }
}

int tg_json_keep(json_t *object, size_t limit_bytes, const char *what, struct tg_json_text *ret_text,
                 struct tg_error *err)
{
    uint8_t *memory = tg_malloc(limit_bytes), *fitted;
    struct tg_writer w = tg_writer_init(memory, limit_bytes);
    if (!memory)
        return tg_error_set(err, TG_ENOMEM, "%s: out of memory", what);
    tg_json_write(&w, object);
    if (w.failed) {
        tg_free(memory);
        return tg_error_set(err, TG_ETOOBIG, "%s: more than %zu bytes", what, limit_bytes);
    }
    fitted = tg_realloc(memory, w.len);
    *ret_text = (struct tg_json_text){fitted ? fitted : memory, w.len};
    return TG_OK;
}

unsigned tg_json_depth(json_t *value)
{
    unsigned most = 0, n;
    const char *key;
    json_t *below;
    size_t i;
    if (!json_is_object(value) && !json_is_array(value))
        return 0;
    json_object_foreach(value, key, below)
    {
        n = tg_json_depth(below);
        most = n > most ? n : most;
    }
    json_array_foreach(value, i, below)
    {
        n = tg_json_depth(below);
        most = n > most ? n : most;
    }
    return most + 1;
}

const char *tg_json_member_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

uint64_t tg_json_member_number(const json_t *object, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(object, name));
    return v > 0 ? (uint64_t)v : 0;
}

static bool diff_into(json_t *patch, json_t *have, json_t *want)
{
    const char *key;
    json_t *value;
    json_object_foreach(want, key, value)
    {
        json_t *had = json_object_get(have, key);
        if (had ? json_equal(had, value) : json_is_null(value))
            continue;
        if (json_is_object(had) && json_is_object(value)) {
            json_t *below = json_object();
            if (json_object_set_new(patch, key, below) < 0 || !diff_into(below, had, value))
                return false;
        } else if (json_object_set(patch, key, value) < 0) {
            return false;
        }
    }
    json_object_foreach(have, key, value)
    {
        if (!json_object_get(want, key) && json_object_set_new(patch, key, json_null()) < 0)
            return false;
    }
    return true;
}

json_t *tg_json_diff(json_t *have, json_t *want)
{
    json_t *patch = json_object();
    if (patch && diff_into(patch, have, want))
        return patch;
    json_decref(patch);
    return NULL;
}

int tg_json_patch(json_t *document, json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach(patch, key, value)
    {
        json_t *below = json_object_get(document, key);
        int rc = TG_OK;
        if (json_is_null(value)) {
            (void)json_object_del(document, key); /* it need not be there */
            continue;
        }
        if (!json_is_object(value)) {
            rc = json_object_set(document, key, value) < 0 ? TG_ENOMEM : TG_OK;
        } else {
            if (!json_is_object(below)) {
                below = json_object();
                rc = json_object_set_new(document, key, below) < 0 ? TG_ENOMEM : TG_OK;
            }
            if (rc == TG_OK)
                rc = tg_json_patch(below, value);
        }
        if (rc < 0)
            return rc;
    }
    return TG_OK;
}

int tg_json_then(json_t *first, json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach(patch, key, value)
    {
        json_t *before = json_object_get(first, key);
        if (before && json_is_object(value)) {
            int rc = json_is_object(before) ? tg_json_then(before, value) : TG_ESTATE;
            if (rc < 0)
                return rc;
        } else if (json_object_set(first, key, value) < 0) {
            return TG_ENOMEM;
        }
    }
    return TG_OK;
}

bool tg_json_removes(json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach(patch, key, value)
    {
        if (json_is_null(value) || tg_json_removes(value))
            return true;
    }
    return false;
}
