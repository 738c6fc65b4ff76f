/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/azure_document.h"

#include "core/base/allocator.h"
#include "northbound/format_json.h"

void tg_azure_text_free(struct tg_azure_text *t)
{
    tg_free(t->data);
    *t = (struct tg_azure_text){0};
}

json_t *tg_azure_document_parse(struct tg_bytes text, const char *what, struct tg_error *err)
{
    json_error_t e;
    char quoted[TG_QUOTE_BYTES];
    json_t *j = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &e);
    if (json_is_object(j))
        return j;
    if (!j && json_error_code(&e) == json_error_out_of_memory)
        tg_error_set(err, TG_ENOMEM, "out of memory for %s", what);
    else if (!j)
        tg_error_set(err, TG_EPROTO, "%s: no JSON: %s", what, tg_quote(quoted, e.text, strlen(e.text)));
    else
        tg_error_set(err, TG_EPROTO, "%s: no JSON object", what);
    json_decref(j);
    return NULL;
}

static bool is_own(const char *key)
{
    return key[0] == '$';
}

/* --- writing --- */

static void write_value(struct tg_writer *w, json_t *j, unsigned depth);

static void write_object(struct tg_writer *w, json_t *object, unsigned depth)
{
    const char *key;
    json_t *value;
    bool first = true;
    tg_write_u8(w, '{');
    json_object_foreach(object, key, value)
    {
        if (depth == 0 && is_own(key))
            continue;
        if (!first)
            tg_write_u8(w, ',');
        first = false;
        tg_format_json_string(w, tg_bytes_str(key));
        tg_write_u8(w, ':');
        write_value(w, value, depth + 1);
    }
    tg_write_u8(w, '}');
}

static void write_value(struct tg_writer *w, json_t *j, unsigned depth)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        write_object(w, j, depth);
        break;
    case JSON_ARRAY:
        tg_write_u8(w, '[');
        for (size_t i = 0; i < json_array_size(j); i++) {
            if (i)
                tg_write_u8(w, ',');
            write_value(w, json_array_get(j, i), depth + 1);
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

/* Levels below `j`, counted up to one more than is allowed. */
static unsigned levels(json_t *j, unsigned room)
{
    unsigned most = 0;
    const char *key;
    json_t *value;
    size_t i;
    if (!json_is_object(j) && !json_is_array(j))
        return 0;
    if (room == 0)
        return 1;
    json_object_foreach(j, key, value)
    {
        unsigned n = levels(value, room - 1);
        most = n > most ? n : most;
    }
    json_array_foreach(j, i, value)
    {
        unsigned n = levels(value, room - 1);
        most = n > most ? n : most;
    }
    return most + 1;
}

static bool too_deep(json_t *object)
{
    /* The document itself is level 1 of those counted. */
    return levels(object, TG_AZURE_DOCUMENT_MAX_DEPTH + 1) > TG_AZURE_DOCUMENT_MAX_DEPTH + 1;
}

int tg_azure_document_write(json_t *object, size_t limit_bytes, const char *what,
                            struct tg_azure_text *ret_text, struct tg_error *err)
{
    struct tg_writer w;
    uint8_t *memory, *fitted;
    if (too_deep(object))
        return tg_error_set(err, TG_ETOOBIG, "%s: nested more than %d levels deep", what,
                            TG_AZURE_DOCUMENT_MAX_DEPTH);
    memory = tg_malloc(limit_bytes);
    if (!memory)
        return tg_error_set(err, TG_ENOMEM, "out of memory for %s", what);
    w = tg_writer_init(memory, limit_bytes);
    write_object(&w, object, 0);
    if (w.failed) {
        tg_free(memory);
        return tg_error_set(err, TG_ETOOBIG, "%s: larger than %zu bytes", what, limit_bytes);
    }
    fitted = tg_realloc(memory, w.len);
    *ret_text = (struct tg_azure_text){fitted ? fitted : memory, w.len};
    return TG_OK;
}

/* --- merge patches --- */

/* Returns false when out of memory. */
static bool diff_into(json_t *patch, json_t *have, json_t *want, unsigned depth)
{
    const char *key;
    json_t *value;
    json_object_foreach(want, key, value)
    {
        json_t *had = json_object_get(have, key);
        if ((depth == 0 && is_own(key)) || (had ? json_equal(had, value) : json_is_null(value)))
            continue;
        if (json_is_object(had) && json_is_object(value) && depth < TG_AZURE_DOCUMENT_MAX_DEPTH) {
            json_t *below = json_object();
            if (json_object_set_new(patch, key, below) < 0 || !diff_into(below, had, value, depth + 1))
                return false;
        } else if (json_object_set(patch, key, value) < 0) {
            return false;
        }
    }
    json_object_foreach(have, key, value)
    {
        if (!(depth == 0 && is_own(key)) && !json_object_get(want, key) &&
            json_object_set_new(patch, key, json_null()) < 0)
            return false;
    }
    return true;
}

json_t *tg_azure_document_diff(json_t *have, json_t *want)
{
    json_t *patch = json_object();
    if (patch && diff_into(patch, have, want, 0))
        return patch;
    json_decref(patch);
    return NULL;
}

int tg_azure_document_then(json_t *first, json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach(patch, key, value)
    {
        json_t *before = json_object_get(first, key);
        if (before && json_is_object(value)) {
            int rc = json_is_object(before) ? tg_azure_document_then(before, value) : TG_ESTATE;
            if (rc < 0)
                return rc;
        } else if (json_object_set(first, key, value) < 0) {
            return TG_ENOMEM;
        }
    }
    return TG_OK;
}
