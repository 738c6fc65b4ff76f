/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_check_plan - what `tidegate check` says of data plan and flash: plan_estimate.h as a few lines, or as JSON.
 */
#ifndef TG_GATEWAY_CMD_CHECK_PLAN_H
#define TG_GATEWAY_CMD_CHECK_PLAN_H

#include "config/config.h"

struct json_t;

/* On stdout. */
void tg_check_say_plan(const struct tg_config *config);
/* NULL: no memory. */
struct json_t *tg_check_plan_json(const struct tg_config *config);

#endif
