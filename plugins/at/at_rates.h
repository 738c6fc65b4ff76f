/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_rates - the rate of a source's port: fixed, or searched for with `baud: auto` and remembered.
 */
#ifndef TG_PLUGINS_AT_RATES_H
#define TG_PLUGINS_AT_RATES_H

#include "plugins/at/at_instance.h"

/* The candidates in their order when nothing else is said: what modules are delivered with, then the others in use. */
extern const char *const at_rates_usual[];

/* One list of rates as texts into ret_rates[TG_AT_BAUD_MAX]: how many; 0 with the reason in `error`. */
uint32_t at_rates_read(const char *const *texts, uint32_t count, int64_t *ret_rates, char *error,
                       size_t error_size);
/* From the options `baud` and `baud_candidates`. 0, or TG_PLUGIN_EINVAL with the reason. */
int at_rates_build(struct at_source *s, char *error, size_t error_size);
/* The port was opened: begins the search. False when the rate is fixed. */
bool at_rates_begin(struct at_source *s, int64_t now_ms);
enum at_rates_outcome { AT_RATES_SEARCHING, AT_RATES_FOUND, AT_RATES_NONE };
/* Does what can be done now; FOUND: the port is set to s->baud. */
enum at_rates_outcome at_rates_run(struct at_source *s, int64_t now_ms);

#endif
