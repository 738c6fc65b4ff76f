/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sparkplug - the profile of a cloud of type `mqtt` with `format: sparkplug-b` (Sparkplug 3.0): one shared link is the edge node,
 * each session one of its devices. docs/clouds/sparkplug-b.md is its manual. Topics are
 * spBv1.0/{group_id}/{NBIRTH|NDEATH|NCMD|DBIRTH|DDEATH|DDATA|DCMD}/{edge_node}[/{device}].
 *
 *     link:     OFFLINE ──CONNACK──► SUBSCRIBING ──SUBACK──► [WAITING for the primary host] ──► BORN
 *                  ▲                                                 ▲                           │ Rebirth: NBIRTH, DBIRTHs
 *                  └───────────── NDEATH, reconnect ◄────────────────┴─ host offline ────────────┘
 *     device:   unborn ──DBIRTH──► born ──DDATA…──► (new metric, other datatype: DBIRTH again) ──DDEATH──► unborn
 *
 * SEQ      0 … 255 over all N and D messages of the link but NDEATH; a number is used up by a message that was taken for
 *          sending, never by one that found no room. NBIRTH has 0.
 * BDSEQ    0 … 255, one more with every CONNECT; the same in the Will (NDEATH) and in each NBIRTH of the connection. It goes on
 *          over restarts (note "bdSeq").
 * BIRTH    Devices are born with their data: types are known from the samples (sparkplug_metrics.h). A device that has data after
 *          NBIRTH is born at once, else before its first DDATA.
 * HISTORY  What was measured before the device's last DBIRTH, and what is sent again, is flagged is_historical: the DBIRTH has the
 *          present values.
 * DOWN     A device that is reported down has a DDEATH; its samples wait until one has a good value or it is reported otherwise.
 *
 * Telemetry is QoS 0, as the specification wants it; the outbox's promise rests on the barrier (mqtt_cloud.h).
 */
#ifndef TG_NORTHBOUND_SPARKPLUG_H
#define TG_NORTHBOUND_SPARKPLUG_H

#include "northbound/cloud.h"

#define TG_SPARKPLUG_ID_BYTES 256 /* of a device; with group and edge node of 128 a topic has at most 529 */

extern const struct tg_cloud_type tg_sparkplug;

#endif
