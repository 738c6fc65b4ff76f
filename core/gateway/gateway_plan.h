/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gateway_plan - what the data plan and the flash pay, as `status` says it (docs/data-plan.md). Loop thread.
 */
#ifndef TG_GATEWAY_PLAN_H
#define TG_GATEWAY_PLAN_H

#include "northbound/session_set.h"

struct json_t;

/* One cloud: `wire`. NULL: no memory. */
struct json_t *tg_wire_json(const struct tg_cloud_stats *cloud, int64_t now_ms);
/* All clouds together and the flash; written_bytes and accepted are the outbox's since the start. */
struct json_t *tg_plan_json(struct tg_session_set *sessions, uint64_t written_bytes, uint64_t accepted,
                            int64_t up_ms, int64_t now_ms);

#endif
