/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Joins plugins that lend connections (tidegate/plugin.h, CARRYING) with clouds of the type `module` (northbound/carrier.h). Neither
 * knows of the other; sources are found by name, so a reload may put another instance in the place of one.
 */
#include <string.h>

#include "core/base/assert.h"
#include "core/gateway/gateway_private.h"
#include "northbound/carrier.h"

static struct tg_source_host *host_of(struct tg_gateway *g, const char *source)
{
    for (struct tg_running_source *rs = g->sources; rs; rs = rs->next)
        if (!rs->closing && rs->host && strcmp(rs->config->name, source) == 0)
            return rs->host;
    return NULL;
}

static int open_channel(void *user, const char *source, uint32_t channel, const char *address)
{
    struct tg_source_host *host = host_of(TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC), source);
    return host ? tg_source_host_carry_open(host, channel, address) : TG_ENOTFOUND;
}

static int carry(void *user, const char *source, uint32_t channel, uint64_t message, struct tg_bytes body)
{
    struct tg_source_host *host = host_of(TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC), source);
    return host ? tg_source_host_carry(host, channel, message, body) : TG_ENOTFOUND;
}

static int close_channel(void *user, const char *source, uint32_t channel)
{
    struct tg_source_host *host = host_of(TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC), source);
    return host ? tg_source_host_carry_close(host, channel) : TG_ENOTFOUND;
}

void tg_gateway_lend_carrier(struct tg_gateway *g)
{
    tg_session_set_lend(
        g->sessions,
        &(struct tg_carrier){.open = open_channel, .carry = carry, .close = close_channel, .user = g});
}

void tg_gateway_on_carrier(void *user, uint32_t channel, bool up, const char *text)
{
    struct tg_running_source *rs = TG_OBJECT(user, struct tg_running_source, TG_RUNNING_SOURCE_MAGIC);
    tg_session_set_carrier(rs->gateway->sessions, channel, up, text);
}

void tg_gateway_on_carried(void *user, uint32_t channel, uint64_t message, int status)
{
    struct tg_running_source *rs = TG_OBJECT(user, struct tg_running_source, TG_RUNNING_SOURCE_MAGIC);
    tg_session_set_carried(rs->gateway->sessions, channel, message, status);
}

void tg_gateway_carrier_gone(struct tg_running_source *rs, const char *text)
{
    if (rs->gateway->sessions && !rs->gateway->drained) /* else the sessions end with it */
        tg_session_set_carrier_gone(rs->gateway->sessions, rs->config->name, text);
}
