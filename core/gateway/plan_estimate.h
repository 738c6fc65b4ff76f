/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plan_estimate - what a configuration will cost a month, on the wire and on flash, before it runs (`tidegate check`). Pure but for
 * memory: connects to nothing, reads no file.
 *
 * DATA       Messages are really written, with the cloud's topic and format, from samples with the points' names and numbers that vary
 *            as a meter's do, filled as far as `every`, max_delay, max_samples and max_bytes fill them, and deflated if the file says so.
 * WORST CASE Every point changes all the time: deadbands and "only on change" are not known beforehand. A point without `every` is counted
 *            at one a second, its `min_interval` if that is longer, and said to be assumed. A month has 30 days.
 *            A point with priority and without a deadband sends each of its samples at once; with one it is an alarm, taken for rare.
 * WIRE       TCP payload with TLS records, MQTT and acknowledgements; pings while a session is silent for a keepalive; a connect a day with a
 *            full handshake, and a resumed one for each token; `ip_bytes` adds 52 bytes for each segment.
 * FLASH      A page of the log for each commit of samples, one for the acknowledgements of each, and the rows.
 * Sparkplug B, Pub/Sub and modules are reckoned by formula, not by writing a message.
 */
#ifndef TG_GATEWAY_PLAN_ESTIMATE_H
#define TG_GATEWAY_PLAN_ESTIMATE_H

#include "config/config.h"

struct tg_plan_cloud {
    const char *name;
    uint32_t sessions;            /* connections: 1 when they share one */
    double samples, messages;     /* a month */
    double data, pings, connects; /* TCP payload bytes a month */
    double ping_count, connect_count;
    double segments;                /* a month */
    double body_bytes, topic_bytes; /* of a message, on average */
    double longest_ip_bytes;        /* with month_budget: when messages wait for longest_delay; else 0 */
    uint64_t month_budget_bytes;    /* 0 = none */
};

struct tg_plan_flash {
    double samples;      /* a month */
    double bytes;        /* written a month, steady and with a good link; 0 with `lazy` */
    double outage_bytes; /* with `lazy`: when no cloud is reached */
};

struct tg_plan {
    struct tg_plan_cloud clouds[TG_CONFIG_MAX_CLOUDS];
    uint32_t cloud_count;
    struct tg_plan_flash flash;
    uint32_t assumed_points; /* counted at one a second */
};

static inline double tg_plan_payload(const struct tg_plan_cloud *c)
{
    return c->data + c->pings + c->connects;
}
double tg_plan_ip_bytes(const struct tg_plan_cloud *c);

/* TG_ENOMEM. */
int tg_plan_estimate(const struct tg_config *config, struct tg_plan *ret_plan) TG_CHECKED;

#endif
