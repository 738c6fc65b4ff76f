/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_hub - the cloud type `azure-iot-hub` (see cloud.h): telemetry, cloud-to-device messages, device twin (azure_twin.h),
 * direct methods (azure_methods.h), and the Device Provisioning Service as its errand (azure_dps.h).
 *
 * Identities: SAS key; the key of an enrolment group, from which the device's is derived; X.509 signed by a CA or self-signed
 * (thumbprint), as PEM or PKCS#12: with a certificate the hub sees it in TLS and no password is sent.
 */
#ifndef TG_NORTHBOUND_AZURE_HUB_H
#define TG_NORTHBOUND_AZURE_HUB_H

#include "northbound/cloud.h"

extern const struct tg_cloud_type tg_azure_hub;

#endif
