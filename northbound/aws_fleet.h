/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * aws_fleet - AWS IoT fleet provisioning by claim (AWS docs "Device provisioning MQTT API"; cloud.md D) as an errand of
 * `aws-iot-core`: with the claim certificate that many gateways share, each device gets a certificate of its own, for a key
 * that is made here and never leaves, and the name of its thing.
 *
 *     ONLINE ─► subscribe ─► new key, CSR ─► $aws/certificates/create-from-csr/json ─► certificate, ownership token
 *            ─► $aws/provisioning-templates/{template}/provision/json ─► thing name ─► assigned()
 *
 *     provisioning:
 *       template: meters
 *       identity: {certificate: claim.pem, key: claim.key}
 *       parameters: [SerialNumber={device}, Site={gateway}]
 *
 * CRASHES  Nothing is kept between the steps. A try that ends half-way (power cut, lost connection, a refusal) begins again
 *          with a new key; the certificate of the one before was never made active by the template, and its token ends
 *          after an hour. Only when the thing is there is anything stored, key and certificate together.
 * REFUSED  429 and 5xx are tried again with back-off, anything else about once an hour: the template, its
 *          pre-provisioning hook or the claim's policy has to be mended by somebody.
 *
 * The key is wiped from this memory at END.
 */
#ifndef TG_NORTHBOUND_AWS_FLEET_H
#define TG_NORTHBOUND_AWS_FLEET_H

#include "northbound/cloud.h"

extern const struct tg_option tg_aws_fleet_options[];
extern const struct tg_cloud_errand tg_aws_fleet;

/* Of a cloud with a `provisioning` section. */
int tg_aws_fleet_check(const struct tg_config_cloud *cloud, struct tg_error *err) TG_CHECKED;

#endif
