/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_attach - one device behind a gateway of IoT Core: it may be spoken for only while it is attached (Google Cloud IoT docs
 * "Using gateways with the MQTT bridge").
 *
 *     DETACHED ──online: /attach, QoS 1──► ATTACHING ──PUBACK: subscribe, gate open──► ATTACHED ─┐
 *        ▲                                     │ error report                    │   ▲  token at  │
 *        └─────────── give_up() ◄──────────────┴────────── error report ◄────────┘   └─ 75…85 % ──┘
 *
 *     state       its deadline                     past it
 *     DETACHED    none, or RETRY_MS (no room)      /attach is published
 *     ATTACHING   none: the link's ack timeout     –
 *     ATTACHED    the device's token nears its end /attach again with a new one, the gate stays open
 *
 * A device with a key of its own (not only the cloud entry's) is attached with {"authorization": JWT}, others with an empty body:
 * both gateway authentication methods and their combination work without an option. Giving up ends only this device's
 * turn; the session comes back with START and ONLINE after its own back-off. Control messages are built on the loop,
 * so a device's own key must not lie in a token.
 */
#ifndef TG_NORTHBOUND_GCP_ATTACH_H
#define TG_NORTHBOUND_GCP_ATTACH_H

#include "northbound/cloud.h"
#include "northbound/gcp_fault.h"

enum tg_gcp_attach_state { TG_GCP_DETACHED, TG_GCP_ATTACHING, TG_GCP_ATTACHED };

/* Part of the session's memory; zero = detached. */
struct tg_gcp_attach {
    enum tg_gcp_attach_state state;
    uint32_t mark, last_mark; /* of the attach that waits for its PUBACK (0 = none); the last one used */
    int64_t at_ms;            /* the next attach; 0 = none */
};

/* Session events: START and OFFLINE; ONLINE; PUBLISHED (true: it has just become attached); WAKE; CLOSING. */
void tg_gcp_attach_reset(struct tg_gcp_attach *a);
void tg_gcp_attach_begin(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                         const struct tg_cloud_event *event);
bool tg_gcp_attach_published(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                             const struct tg_cloud_event *event);
void tg_gcp_attach_wake(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                        const struct tg_cloud_event *event);
void tg_gcp_attach_end(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a);
/* The cloud reports an error of this device. False: it does not concern its being attached now. */
bool tg_gcp_attach_fault(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                         const struct tg_gcp_fault *fault);

#endif
