/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_trial - one plugin by itself, in the host that the gateway runs it in, on a loop of its own: no store, no cloud, no control
 * socket. What it gives is printed on standard output as it gives it, before scale, deadband and intervals.
 *
 *     tg_plugin_trial_run():
 *     hosts open ──► samples, states, facts … ──► enough samples, time is up, or a signal ──► hosts close ──► verdict
 *
 * A plugin that does not come back from its functions within 5 s of the end, or before a second signal, is named and left: the process
 * ends there and then. For `tidegate plugin test`.
 */
#ifndef TG_GATEWAY_PLUGIN_TRIAL_H
#define TG_GATEWAY_PLUGIN_TRIAL_H

#include <jansson.h>

#include "config/config.h"
#include "core/base/error.h"

#define TG_TRIAL_SENDS_MAX 8

/* A command to a device, sent when its source opens. */
struct tg_trial_send {
    const char *device, *command, *json;
    json_t *arguments; /* the same as an object */
    uint32_t open;     /* answers that are still to come */
    bool sent;
    int worst; /* first status that is not 0 */
};

/* What is wanted; `open`, `sent` and `worst` of the sends begin as zero. */
struct tg_trial {
    uint64_t wanted; /* ends after so many samples; 0 = no limit */
    bool must_have;  /* fewer than that are a no */
    int64_t for_ms;  /* ends after that time at the latest */
    bool json;       /* a JSON object a line, instead of text */
    struct tg_trial_send sends[TG_TRIAL_SENDS_MAX];
    uint32_t send_count;
};

/* Runs all sources of the configuration and prints the verdict. 0: samples came, at least one with a value, no device is down at the
 * end, every source is open and every command was taken; 1: not so. Does not return when the plugin does not, nor when a source cannot
 * even be made. */
int tg_plugin_trial_run(struct tg_trial *ask, const struct tg_config *config);

#endif
