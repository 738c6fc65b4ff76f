/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_hub - the cloud type `azure-iot-hub` (see cloud.h). Identities: SAS key, X.509 signed by a CA, X.509
 * self-signed (thumbprint): for the last two the hub sees the certificate in TLS and no password is sent.
 */
#ifndef TG_NORTHBOUND_AZURE_HUB_H
#define TG_NORTHBOUND_AZURE_HUB_H

#include "northbound/cloud.h"

extern const struct tg_cloud_type tg_azure_hub;

#endif
