/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_cloud - the cloud type `mqtt`: any MQTT 3.1.1 broker, with topic templates. {device} and {gateway} stand for
 * the device's id in that cloud and the gateway's name. Identities: user name and password, X.509, none.
 */
#ifndef TG_NORTHBOUND_MQTT_CLOUD_H
#define TG_NORTHBOUND_MQTT_CLOUD_H

#include "northbound/cloud.h"

extern const struct tg_cloud_type tg_mqtt_cloud;

#endif
