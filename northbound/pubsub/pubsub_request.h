/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pubsub_request - the body and the path of Pub/Sub's publish request (REST v1, projects.topics.publish). Pure.
 *
 *     POST /v1/projects/plant-one/topics/telemetry:publish
 *     {"messages":[{"attributes":{"device":"meter-1",…},"data":"eyJ0cyI6…","orderingKey":"meter-1"},…]}
 *
 * One sample is one message. All messages of a request have the same ordering key, because Pub/Sub takes only one in a
 * request; so a request is of one device.
 */
#ifndef TG_PUBSUB_REQUEST_H
#define TG_PUBSUB_REQUEST_H

#include "northbound/format.h"

/* Pub/Sub's quotas. A request may have 10 MB; requests stay far below (pubsub_core.h). */
#define TG_PUBSUB_MAX_MESSAGES        1000
#define TG_PUBSUB_MAX_ATTRIBUTES      100
#define TG_PUBSUB_MAX_KEY_BYTES       256
#define TG_PUBSUB_MAX_VALUE_BYTES     1024
#define TG_PUBSUB_ORDERED_BYTES_PER_S 1000000 /* of one ordering key */

struct tg_pubsub_attribute {
    struct tg_bytes key, value;
};

struct tg_pubsub_message {
    const struct tg_pubsub_attribute *attributes;
    uint32_t attribute_count;
    struct tg_bytes data;         /* empty = left out: then there must be an attribute */
    struct tg_bytes ordering_key; /* empty = left out */
};

/* Bytes that a message takes at most. */
size_t tg_pubsub_message_bound(const struct tg_pubsub_message *m);
void tg_pubsub_body_begin(struct tg_writer *w);
void tg_pubsub_body_message(struct tg_writer *w, bool first, const struct tg_pubsub_message *m);
void tg_pubsub_body_end(struct tg_writer *w);

/* Who the samples of a request are of. Everything is borrowed. */
struct tg_pubsub_origin {
    const char *device, *gateway;
    struct tg_format_content content;
    const char *const *extra; /* "key=value", checked by tg_pubsub_attribute_check() */
    uint32_t extra_count;
    bool ordered;
};

/* The attributes device, gateway, seq, contentType ("application/json"), contentEncoding (when there is one) and the extra
 * ones. ret_attributes has TG_PUBSUB_MAX_ATTRIBUTES places, `seq_text` 20 bytes; *ret_message views both and the origin. */
#define TG_PUBSUB_SEQ_BYTES 20
void tg_pubsub_message_of(const struct tg_pubsub_origin *o, uint64_t seq, struct tg_bytes data,
                          uint8_t seq_text[TG_PUBSUB_SEQ_BYTES], struct tg_pubsub_attribute *ret_attributes,
                          struct tg_pubsub_message *ret_message);

/* "key=value" as the file has it: TG_EINVAL or TG_ETOOBIG with what is allowed. */
int tg_pubsub_attribute_check(const char *text, struct tg_error *err) TG_CHECKED;
/* The path of a topic's publish method. */
void tg_pubsub_path(struct tg_writer *w, const char *project, const char *topic);
/* Base64 with padding (RFC 4648 section 4). */
void tg_pubsub_base64(struct tg_writer *w, struct tg_bytes data);

#endif
