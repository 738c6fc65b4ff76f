/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What kind of connection a link has, and what is said of it.
 */
#include "northbound/link.h"

#include "northbound/module/module_link.h"
#include "northbound/pubsub/pubsub_link.h"

const struct tg_link_protocol *tg_link_protocol_of(const struct tg_cloud_type *type)
{
    switch (type->transport) {
    case TG_TRANSPORT_HTTPS:
        return &tg_link_pubsub;
    case TG_TRANSPORT_CARRIER:
        return &tg_link_module;
    case TG_TRANSPORT_MQTT:
        break;
    }
    return &tg_link_mqtt;
}

uint64_t tg_link_pending_rows(const struct tg_link *l)
{
    const struct tg_session *s;
    uint64_t rows = 0;
    TAILQ_FOREACH(s, &l->sessions, in_link)
    rows += tg_feed_pending(s->feed);
    return rows;
}

const char *tg_link_what_failed(enum tg_session_state state)
{
    if (state == TG_SESSION_ONLINE || state == TG_SESSION_RENEWING)
        return "connection lost";
    return state == TG_SESSION_PROVISIONING ? "cannot be provisioned" : "cannot connect";
}
