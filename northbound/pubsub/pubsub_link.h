/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pubsub_link - how a link speaks to Pub/Sub (link.h: struct tg_link_protocol): the connection core (pubsub_core.h) on the
 * link's stream, requests built from the feeds of its sessions, tokens from the service account.
 *
 *   CONNECTING ──TLS──► LOGIN ──token──► ONLINE: build ► write ► answer ► acknowledge ► build …
 *                         │ key file read, token made, or fetched over a stream of its own (auth: exchange)
 *
 * One link serves all devices of the cloud. The devices take turns, a request each; a device whose ordering key has had its
 * megabyte for this second is passed over. The batch that is under way stands in the link's ring as its only one, so whatever
 * counts batches in flight counts it; its rows are let go and its cursor moves when Pub/Sub has given every message an id.
 */
#ifndef TG_PUBSUB_LINK_H
#define TG_PUBSUB_LINK_H

#include "northbound/link.h"

extern const struct tg_link_protocol tg_link_pubsub;

#endif
