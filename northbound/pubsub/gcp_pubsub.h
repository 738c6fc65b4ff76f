/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_pubsub - the cloud type `gcp-pubsub`: its options and rules. Samples are published over HTTPS by a service account, all
 * devices over one connection, the device's id as ordering key; nothing comes down. How it speaks: pubsub_core.h.
 */
#ifndef TG_GCP_PUBSUB_H
#define TG_GCP_PUBSUB_H

#include "northbound/cloud.h"

#define TG_PUBSUB_HOST "pubsub.googleapis.com"
#define TG_PUBSUB_AUDIENCE                                                                                   \
    "https://pubsub.googleapis.com/" /* of a self-signed token, whatever host stands in for it */

enum tg_pubsub_auth { TG_PUBSUB_AUTH_SELF_SIGNED, TG_PUBSUB_AUTH_EXCHANGE, TG_PUBSUB_AUTH_NONE };

extern const struct tg_cloud_type tg_gcp_pubsub;

/* What a session keeps over connections: until when its ordering key has used its rate. */
struct tg_pubsub_pace {
    int64_t free_at_ms;
};
/* So many bytes go now; when the next may: TG_PUBSUB_ORDERED_BYTES_PER_S on average, one second's worth at once. */
void tg_pubsub_pace_take(struct tg_pubsub_pace *pace, int64_t now_ms, size_t bytes);
int64_t tg_pubsub_pace_due_ms(const struct tg_pubsub_pace *pace);

#endif
