/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * lookups - what a configuration is read with in a gateway: these plugins, all cloud types, their checks. config/ knows none of
 * them, for dependencies point the other way; whoever reads a file in a gateway's name takes them from here.
 */
#ifndef TG_GATEWAY_LOOKUPS_H
#define TG_GATEWAY_LOOKUPS_H

#include "config/config.h"
#include "southbound/plugin_loader.h"

/* `plugins` stays the caller's and outlives what is read. A device that was discovered and does not fit is logged and left
 * out; `discovered`, `only_plugin` and the like are the caller's to set. Any thread. */
struct tg_config_lookups tg_gateway_lookups(struct tg_plugin_set *plugins);

#endif
