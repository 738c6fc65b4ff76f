/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/gcp_fault.h"

#include <stdio.h>
#include <string.h>

#include "northbound/json_document.h"

#define MAX_BYTES 16384
#define DEVICES   "/devices/"

static struct tg_bytes text_of(const json_t *object, const char *key)
{
    const json_t *j = json_object_get(object, key);
    return tg_bytes(json_string_value(j), json_string_length(j));
}

static bool copy_type(struct tg_bytes type, char *ret, size_t size)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (type.len == 0 || type.len >= size)
        return false;
    memcpy(ret, type.data, type.len);
    ret[type.len] = '\0';
    return strspn(ret, allowed) == type.len;
}

/* The id of /devices/{id}/…; empty when the topic has another form. */
static struct tg_bytes device_of(struct tg_bytes topic)
{
    const uint8_t *begin, *end;
    if (!tg_bytes_starts(topic, DEVICES))
        return (struct tg_bytes){0};
    begin = topic.data + strlen(DEVICES);
    end = memchr(begin, '/', topic.len - strlen(DEVICES));
    return end ? tg_bytes(begin, (size_t)(end - begin)) : (struct tg_bytes){0};
}

static bool ends_with(struct tg_bytes text, const char *end)
{
    size_t n = strlen(end);
    return text.len >= n && memcmp(text.data + text.len - n, end, n) == 0;
}

static enum tg_gcp_fault_kind kind_of(const char *type)
{
    if (strcmp(type, "GATEWAY_ATTACHMENT_ERROR") == 0)
        return TG_GCP_FAULT_REFUSED;
    if (strcmp(type, "GATEWAY_DETACHMENT_DEVICE_ERROR") == 0)
        return TG_GCP_FAULT_DETACHED;
    if (strcmp(type, "GATEWAY_DEVICE_NOT_FOUND") == 0)
        return TG_GCP_FAULT_ABSENT;
    return TG_GCP_FAULT_OTHER;
}

static void quote(char ret[TG_QUOTE_BYTES], struct tg_bytes text)
{
    if (text.len)
        tg_quote(ret, (const char *)text.data, text.len);
    else
        ret[0] = '\0';
}

int tg_gcp_fault_read(struct tg_bytes payload, struct tg_gcp_fault *ret_fault, struct tg_error *err)
{
    struct tg_gcp_fault f = {0};
    struct tg_bytes topic, device;
    json_t *root;
    if (payload.len > MAX_BYTES)
        return tg_error_set(err, TG_EPROTO, "an error report has %zu bytes; at most %d are read", payload.len,
                            MAX_BYTES);
    root = tg_json_parse(payload, "an error report", NULL);
    if (!copy_type(text_of(root, "error_type"), f.type, sizeof f.type)) {
        json_decref(root);
        return tg_error_set(err, TG_EPROTO, "an error report is no JSON object with an error_type");
    }
    topic = text_of(json_object_get(root, "mqtt_message_info"), "topic");
    device = text_of(root, "device_id");
    if (device.len == 0)
        device = device_of(topic);
    if (device.len < sizeof f.device && (device.len == 0 || !memchr(device.data, 0, device.len)))
        snprintf(f.device, sizeof f.device, "%.*s", (int)device.len, (const char *)device.data);
    f.kind = kind_of(f.type);
    f.about_attach = ends_with(topic, "/attach");
    quote(f.topic, topic);
    quote(f.description, text_of(root, "description"));
    json_decref(root);
    *ret_fault = f;
    return TG_OK;
}
