/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * aws_iot - the cloud type `aws-iot-core`: AWS IoT Core over MQTT 3.1.1 with X.509 (AWS docs "Device communication protocols",
 * "AWS IoT Core endpoints and quotas"; cloud.md D). The device's id in the cloud is its thing name. Telemetry goes to a topic
 * template, or past the message broker straight into a rule (Basic Ingest, $aws/rules/{rule}/…). What comes down comes by the
 * device shadow (aws_shadow.h) and by jobs (aws_jobs.h); a first certificate by fleet provisioning (aws_fleet.h).
 *
 * Limits that are kept by construction: client id 128 bytes, topic 256 bytes and 7 slashes (Basic Ingest's prefix not counted),
 * payload 128 KiB, at most 2 SUBSCRIBEs of at most 5 filters, 100 publishes a second and 100 in flight.
 */
#ifndef TG_NORTHBOUND_AWS_IOT_H
#define TG_NORTHBOUND_AWS_IOT_H

#include "northbound/cloud.h"

#define TG_AWS_THING_MAX_BYTES 128

extern const struct tg_cloud_type tg_aws_iot;

/* "letters, digits and - _ :", 1 to 128 of them: what AWS takes for the name of a thing. */
bool tg_aws_thing_valid(const char *name);
/* Appends the template with {device} and {gateway} filled in. */
/* TG_EINVAL: a brace that begins neither {device} nor {gateway}; the text begins with `name`. */
int tg_aws_check_template(const char *name, const char *text, struct tg_error *err) TG_CHECKED;
void tg_aws_expand(struct tg_writer *w, const char *template, const struct tg_cloud_target *t);
/* What a CONNACK code means here. */
const char *tg_aws_connack_text(uint8_t code, enum tg_retry *ret_retry);

#endif
