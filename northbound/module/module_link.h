/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * module_link - how a link speaks through a module (link.h: struct tg_link_protocol): no stream, but a channel that a source's plugin
 * has (carrier.h). One link, one device, one channel.
 *
 *   CONNECTING ──carrier up──► ONLINE: batch ► carry ► carried ► the cursor moves …
 *        │ not up, or nothing for connect_timeout + handshake_timeout *   │ not up, a message refused, or none of
 *        └────────────► WAITING (rows are offered again) ◄────────────────┘ its outcomes for ack_timeout + settle
 *
 *   * times the devices that the module carries: it connects one at a time
 *
 * Batches may be confirmed in any order; the cursor moves over what is confirmed without a hole. What is in flight when a channel
 * ends is not known to have arrived: it goes back to the feed and is sent again. At most TG_CARRY_MESSAGES_MAX are in flight.
 * A new channel has a new number, so what is still told of the old one changes nothing.
 */
#ifndef TG_NORTHBOUND_MODULE_LINK_H
#define TG_NORTHBOUND_MODULE_LINK_H

#include "northbound/carrier.h"
#include "northbound/link.h"

extern const struct tg_link_protocol tg_link_module;

#endif
