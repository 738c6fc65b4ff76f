/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_talk - what a device says at IoT Core besides telemetry, and what it hears: state, config, commands, and of a
 * gateway the error reports. The step() of gcp_iot_core.h.
 *
 *     OFFLINE ──ONLINE──► attach (gateway mode) ──► MAY SPEAK: gate open, state and telemetry flow ──OFFLINE──►
 *
 *     deadline of a session     what is done
 *     STATE_EVERY_MS after the last state, when a newer one waits   it is published
 *     RETRY_MS after one for which there was no room                 it is tried again
 *     those of gcp_attach.h
 */
#ifndef TG_NORTHBOUND_GCP_TALK_H
#define TG_NORTHBOUND_GCP_TALK_H

#include "northbound/gcp_attach.h"

/* A session's memory. */
struct tg_gcp_session {
    struct tg_gcp_attach attach; /* gateway mode only */
    bool may_speak, state_waits;
    bool told;           /* that the state is too large, and it has not fitted since */
    int64_t state_at_ms; /* no state before this; kept over reconnects */
};

struct tg_bytes tg_gcp_addressee(const struct tg_cloud_target *link_target, struct tg_bytes topic);
int tg_gcp_step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err);

#endif
