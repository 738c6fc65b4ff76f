/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/pubsub/pubsub_reply.h"

#include <jansson.h>
#include <stdio.h>

#include "core/base/plural.h"

#define NAME_MAX_BYTES 40 /* the longest is FAILED_PRECONDITION */

static enum tg_pubsub_verdict verdict_of(uint16_t status)
{
    if (status == 401)
        return TG_PUBSUB_TOKEN_REFUSED;
    if (status >= 400 && status < 500 && status != 408 && status != 409 && status != 429 && status != 499)
        return TG_PUBSUB_REFUSED;
    return TG_PUBSUB_LATER;
}

static const char *advice(uint16_t status)
{
    switch (status) {
    case 400:
        return "; the request is not what Pub/Sub takes: check project, topic and attributes";
    case 401:
        return "; the key was deleted, belongs to another account, or the clock is wrong";
    case 403:
        return "; give the service account the role roles/pubsub.publisher on the topic, and enable the "
               "Pub/Sub API in the project";
    case 404:
        return "; create the topic, or correct project and topic";
    case 429:
        return "; the project's quota is used up";
    default:
        return "";
    }
}

/* {"error":{"code":403,"message":"…","status":"PERMISSION_DENIED"}} */
static void describe(uint16_t status, const json_t *root, char text[TG_PUBSUB_TEXT_BYTES])
{
    const json_t *error = json_object_get(root, "error"), *message = json_object_get(error, "message");
    const char *name = json_string_value(json_object_get(error, "status"));
    char quoted[TG_QUOTE_BYTES] = "";
    if (!name || strlen(name) > NAME_MAX_BYTES || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != strlen(name))
        name = "";
    if (json_is_string(message))
        tg_quote(quoted, json_string_value(message), json_string_length(message));
    snprintf(text, TG_PUBSUB_TEXT_BYTES, "Pub/Sub answers %u%s%s%s%s%s", status, name[0] ? " " : "", name,
             quoted[0] ? ": " : "", quoted, advice(status));
}

static bool ids_are_there(const json_t *root, uint32_t messages, size_t *ret_count)
{
    const json_t *ids = json_object_get(root, "messageIds");
    *ret_count = json_array_size(ids);
    if (*ret_count != messages)
        return false;
    for (size_t i = 0; i < messages; i++)
        if (json_string_length(json_array_get(ids, i)) == 0)
            return false;
    return true;
}

void tg_pubsub_reply_read(uint16_t status, struct tg_bytes body, uint32_t messages,
                          struct tg_pubsub_reply *ret_reply)
{
    json_t *root = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    size_t count;
    *ret_reply = (struct tg_pubsub_reply){.verdict = verdict_of(status)};
    if (status == 200 && ids_are_there(root, messages, &count))
        ret_reply->verdict = TG_PUBSUB_STORED;
    else if (status == 200 && root)
        snprintf(ret_reply->text, sizeof ret_reply->text,
                 "Pub/Sub answers with %zu %s to %u %s, so it is not known which are stored", count,
                 tg_plural(count, "message id", "message ids"), messages,
                 tg_plural(messages, "message", "messages"));
    else if (status == 200)
        snprintf(ret_reply->text, sizeof ret_reply->text,
                 "the answer to a publish request is not JSON, so it is not known whether the messages are "
                 "stored");
    else
        describe(status, root, ret_reply->text);
    json_decref(root);
}
