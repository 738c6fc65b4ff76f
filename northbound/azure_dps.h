/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_dps - the errand of `azure-iot-hub` with a `provisioning` section (see ERRAND in cloud.h): asks Azure's Device
 * Provisioning Service over MQTT to which IoT Hub a device belongs (Azure docs "iot-dps-mqtt-support"; cloud.md B).
 *
 *     ONLINE ─ SUBSCRIBED ─► register ─► 202 assigning ─► wait retry-after ─► poll ─► … ─► 200 assigned ─► io->assigned()
 *
 * The device proves itself with its own credential: a key of an individual enrolment, the key derived from an enrolment group's,
 * or its certificate (whose common name must be the registration id). Answers and what follows:
 *     assigned              io->assigned(hub, device id, payload)
 *     assigning, unassigned poll after retry-after (3 s when not said; 1 s to 120 s)
 *     429 and above         the same request again after retry-after
 *     failed, disabled, 300 to 428
 *                           given up, TG_RETRY_NEVER: the enrolment has to be mended; the text has the service's code and message
 *     anything unreadable   given up, TG_RETRY_BACKOFF
 * A request without an answer is repeated after 30 s; a registration that takes more than 120 s is given up, TG_RETRY_BACKOFF.
 */
#ifndef TG_NORTHBOUND_AZURE_DPS_H
#define TG_NORTHBOUND_AZURE_DPS_H

#include "northbound/cloud.h"

#define TG_AZURE_REGISTRATION_ID_BYTES 129 /* with its NUL */

extern const struct tg_option tg_azure_dps_options[];
extern const struct tg_cloud_errand tg_azure_dps;

/* The registration id of a device, from the section's template. TG_EINVAL with what is allowed: at most 128 of a-z, 0-9 and
 * - . _ : and at the end a letter, digit or dash. */
int tg_azure_registration_id(const struct tg_settings *provisioning, const char *device_id,
                             char ret_id[TG_AZURE_REGISTRATION_ID_BYTES], struct tg_error *err) TG_CHECKED;
/* What `tidegate check` says of a cloud with a provisioning section. */
int tg_azure_dps_check(const struct tg_config_cloud *cloud, struct tg_error *err) TG_CHECKED;

#endif
