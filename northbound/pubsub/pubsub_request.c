/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/pubsub/pubsub_request.h"

#include "northbound/format_json.h"

#define ESCAPED_MOST 6 /* \u0001 */

void tg_pubsub_base64(struct tg_writer *w, struct tg_bytes data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t need = (data.len + 2) / 3 * 4;
    uint8_t *out = w->data + w->len;
    if (w->failed || w->cap - w->len < need) {
        w->failed = true;
        return;
    }
    for (size_t i = 0; i < data.len; i += 3, out += 4) {
        size_t n = data.len - i;
        uint32_t bits = (uint32_t)data.data[i] << 16 | (n > 1 ? (uint32_t)data.data[i + 1] << 8 : 0) |
                        (n > 2 ? data.data[i + 2] : 0);
        out[0] = (uint8_t)digits[bits >> 18];
        out[1] = (uint8_t)digits[bits >> 12 & 63];
        out[2] = n > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=';
        out[3] = n > 2 ? (uint8_t)digits[bits & 63] : '=';
    }
    w->len += need;
}

size_t tg_pubsub_message_bound(const struct tg_pubsub_message *m)
{
    size_t n = sizeof ",{\"attributes\":{},\"data\":\"\",\"orderingKey\":\"\"}";
    for (uint32_t i = 0; i < m->attribute_count; i++)
        n += (m->attributes[i].key.len + m->attributes[i].value.len) * ESCAPED_MOST + sizeof "\"\":\"\",";
    return n + m->ordering_key.len * ESCAPED_MOST + (m->data.len + 2) / 3 * 4;
}

void tg_pubsub_body_begin(struct tg_writer *w)
{
    tg_write_str(w, "{\"messages\":[");
}

void tg_pubsub_body_message(struct tg_writer *w, bool first, const struct tg_pubsub_message *m)
{
    tg_write_str(w, first ? "{\"attributes\":{" : ",{\"attributes\":{");
    for (uint32_t i = 0; i < m->attribute_count; i++) {
        if (i > 0)
            tg_write_u8(w, ',');
        tg_format_json_string(w, m->attributes[i].key);
        tg_write_u8(w, ':');
        tg_format_json_string(w, m->attributes[i].value);
    }
    tg_write_u8(w, '}');
    if (m->data.len > 0) {
        tg_write_str(w, ",\"data\":\"");
        tg_pubsub_base64(w, m->data);
        tg_write_u8(w, '"');
    }
    if (m->ordering_key.len > 0) {
        tg_write_str(w, ",\"orderingKey\":");
        tg_format_json_string(w, m->ordering_key);
    }
    tg_write_u8(w, '}');
}

void tg_pubsub_body_end(struct tg_writer *w)
{
    tg_write_str(w, "]}");
}

static void put(struct tg_pubsub_message *m, struct tg_pubsub_attribute *attributes, struct tg_bytes key,
                struct tg_bytes value)
{
    if (m->attribute_count < TG_PUBSUB_MAX_ATTRIBUTES)
        attributes[m->attribute_count++] = (struct tg_pubsub_attribute){key, value};
}

void tg_pubsub_message_of(const struct tg_pubsub_origin *o, uint64_t seq, struct tg_bytes data,
                          uint8_t seq_text[TG_PUBSUB_SEQ_BYTES], struct tg_pubsub_attribute *ret_attributes,
                          struct tg_pubsub_message *ret_message)
{
    struct tg_pubsub_message m = {.attributes = ret_attributes, .data = data};
    struct tg_writer w = tg_writer_init(seq_text, TG_PUBSUB_SEQ_BYTES);
    tg_write_u64_dec(&w, seq);
    put(&m, ret_attributes, tg_bytes_str("device"), tg_bytes_str(o->device));
    put(&m, ret_attributes, tg_bytes_str("gateway"), tg_bytes_str(o->gateway));
    put(&m, ret_attributes, tg_bytes_str("seq"), tg_bytes(w.data, w.len));
    put(&m, ret_attributes, tg_bytes_str("contentType"), tg_bytes_str(o->content.type));
    if (o->content.encoding[0])
        put(&m, ret_attributes, tg_bytes_str("contentEncoding"), tg_bytes_str(o->content.encoding));
    for (uint32_t i = 0; i < o->extra_count; i++) {
        const char *equals = strchr(o->extra[i], '=');
        if (equals)
            put(&m, ret_attributes, tg_bytes(o->extra[i], (size_t)(equals - o->extra[i])),
                tg_bytes_str(equals + 1));
    }
    if (o->ordered)
        m.ordering_key = tg_bytes_str(o->device);
    *ret_message = m;
}

int tg_pubsub_attribute_check(const char *text, struct tg_error *err)
{
    static const char *const own[] = {"device", "gateway", "seq", "contentType", "contentEncoding"};
    const char *equals = strchr(text, '=');
    char quoted[TG_QUOTE_BYTES];
    size_t key_len;
    if (!equals || equals == text)
        return tg_error_set(err, TG_EINVAL, "attributes: %s is not of the form key=value",
                            tg_quote(quoted, text, strlen(text)));
    key_len = (size_t)(equals - text);
    tg_quote(quoted, text, key_len);
    if (key_len > TG_PUBSUB_MAX_KEY_BYTES)
        return tg_error_set(err, TG_ETOOBIG,
                            "attributes: the name of %s has %zu bytes; at most %d are allowed", quoted,
                            key_len, TG_PUBSUB_MAX_KEY_BYTES);
    if (strlen(equals + 1) > TG_PUBSUB_MAX_VALUE_BYTES)
        return tg_error_set(err, TG_ETOOBIG,
                            "attributes: the value of %s has %zu bytes; at most %d are allowed", quoted,
                            strlen(equals + 1), TG_PUBSUB_MAX_VALUE_BYTES);
    if (strncmp(text, "goog", 4) == 0)
        return tg_error_set(err, TG_EINVAL, "attributes: %s: names that begin with goog are Google's",
                            quoted);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (tg_bytes_eq_str(tg_bytes(text, key_len), own[i]))
            return tg_error_set(err, TG_EINVAL, "attributes: %s is one that the gateway sets itself", quoted);
    return TG_OK;
}

/* Ids have no characters that a path segment cannot hold, but for '%', which must not look like an escape. */
static void put_segment(struct tg_writer *w, const char *id)
{
    for (; *id; id++) {
        if (*id == '%')
            tg_write_str(w, "%25");
        else
            tg_write_u8(w, (uint8_t)*id);
    }
}

void tg_pubsub_path(struct tg_writer *w, const char *project, const char *topic)
{
    tg_write_str(w, "/v1/projects/");
    put_segment(w, project);
    tg_write_str(w, "/topics/");
    put_segment(w, topic);
    tg_write_str(w, ":publish");
}
