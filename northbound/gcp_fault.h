/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_fault - reads what IoT Core says at /devices/{gateway}/errors about a device of that gateway (Google Cloud IoT docs
 * "Using gateways with the MQTT bridge", error codes):
 *
 *     {"error_type":"GATEWAY_ATTACHMENT_ERROR","device_id":"meter-1","description":"…",
 *      "mqtt_message_info":{"message_type":"PUBLISH","topic":"/devices/meter-1/attach","packet_id":10}}
 *
 * Hostile input: at most 16 KiB of JSON, everything that is kept is bounded and quoted for people. Any thread.
 */
#ifndef TG_NORTHBOUND_GCP_FAULT_H
#define TG_NORTHBOUND_GCP_FAULT_H

#include "core/base/bytes.h"

enum tg_gcp_fault_kind {
    TG_GCP_FAULT_OTHER,    /* the device goes on */
    TG_GCP_FAULT_REFUSED,  /* GATEWAY_ATTACHMENT_ERROR: not attached; a person must look */
    TG_GCP_FAULT_DETACHED, /* GATEWAY_DETACHMENT_DEVICE_ERROR: was attached, must be attached again */
    TG_GCP_FAULT_ABSENT    /* GATEWAY_DEVICE_NOT_FOUND: a message for a device that is not attached */
};

struct tg_gcp_fault {
    enum tg_gcp_fault_kind kind;
    char type[48];                    /* error_type, capital letters, digits and _ only */
    char device[256];                 /* device_id, else the device of the topic; "" = none */
    char description[TG_QUOTE_BYTES]; /* quoted; "" = none */
    char topic[TG_QUOTE_BYTES];       /* of the message that it is about, quoted; "" = not said */
    bool about_attach;                /* that message was an attach */
};

/* TG_EPROTO with text: no JSON object, or without an error_type. */
int tg_gcp_fault_read(struct tg_bytes payload, struct tg_gcp_fault *ret_fault,
                      struct tg_error *err) TG_CHECKED;

#endif
