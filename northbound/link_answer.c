/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the gateway has for the profile: answers to commands, reports, samples. While step() is at work they wait until it has
 * returned.
 */
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/log.h"
#include "northbound/link.h"

#define DEFERRED_LIMIT_BYTES (512 * 1024) /* one answer or report */

bool tg_link_drain_deferred(struct tg_link *l)
{
    struct tg_deferred *d;
    uint64_t generation = l->generation;
    while (!l->stepping && (d = STAILQ_FIRST(&l->deferred)) != NULL) {
        struct tg_cloud_event e = {.type = d->type,
                                   .status = d->status,
                                   .reply = tg_bytes(d->data, d->reply_len),
                                   .payload = tg_bytes(d->data + d->reply_len, d->payload_len)};
        STAILQ_REMOVE_HEAD(&l->deferred, entry);
        (void)tg_link_event(l, d->session, e);
        tg_free(d);
    }
    return l->generation == generation;
}

/* An answer that the profile wants on whatever connection there is, or on none. */
static bool is_late(const struct tg_link *l, enum tg_cloud_event_type type)
{
    return type == TG_CLOUD_ANSWER && l->cloud->type->late_answers;
}

void tg_link_forget_deferred(struct tg_link *l, const struct tg_session *s, bool all)
{
    struct tg_deferred *d, *next;
    for (d = STAILQ_FIRST(&l->deferred); d; d = next) {
        next = STAILQ_NEXT(d, entry);
        if ((s && d->session != s) || (!all && is_late(l, d->type)))
            continue;
        STAILQ_REMOVE(&l->deferred, d, tg_deferred, entry);
        tg_free(d);
    }
}

static void tell(struct tg_session *s, struct tg_cloud_event event)
{
    struct tg_link *l = s->link;
    struct tg_deferred *d;
    if ((!l->stream || !s->online) && !is_late(l, event.type))
        return;
    if (!l->stepping) {
        if (tg_link_event(l, s, event))
            tg_link_arm(l);
        return;
    }
    d = event.payload.len + event.reply.len <= DEFERRED_LIMIT_BYTES
            ? tg_calloc(1, sizeof *d + event.reply.len + event.payload.len)
            : NULL;
    if (!d) {
        tg_log(TG_LOG_WARN, "session", "device=%s cloud=%s an answer to the cloud is lost: no memory for it",
               s->device_id, s->route->cloud->name);
        return;
    }
    d->session = s;
    d->type = event.type;
    snprintf(d->status, sizeof d->status, "%s", event.status ? event.status : "");
    d->reply_len = (uint32_t)event.reply.len;
    d->payload_len = (uint32_t)event.payload.len;
    if (d->reply_len)
        memcpy(d->data, event.reply.data, d->reply_len);
    if (d->payload_len)
        memcpy(d->data + d->reply_len, event.payload.data, d->payload_len);
    STAILQ_INSERT_TAIL(&l->deferred, d, entry);
}

bool tg_session_wants_samples(const struct tg_session *s)
{
    return s->link->cloud->type->wants_samples;
}

void tg_session_sample(struct tg_session *s, struct tg_bytes body)
{
    const struct tg_cloud_event event = {.type = TG_CLOUD_SAMPLE, .payload = body};
    if (s->link->stepping)
        tell(s, event);
    else if (s->started && tg_link_event(s->link, s, event) && s->link->state == TG_SESSION_ONLINE)
        tg_link_arm(s->link);
}

void tg_session_report(struct tg_session *s, struct tg_bytes patch)
{
    tell(s, (struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = patch});
}

void tg_session_command_done(struct tg_session *s, uint64_t token, const char *status, const char *json)
{
    struct tg_session_pending *p;
    LIST_FOREACH(p, &s->pending, entry)
    {
        if (p->token != token)
            continue;
        LIST_REMOVE(p, entry);
        if (p->reply_len > 0 && (p->generation == s->link->generation || is_late(s->link, TG_CLOUD_ANSWER)))
            tell(s, (struct tg_cloud_event){.type = TG_CLOUD_ANSWER,
                                            .status = status,
                                            .reply = tg_bytes(p->data, p->reply_len),
                                            .payload = tg_bytes_str(json)});
        tg_link_ack_message(s->link, p->generation, p->packet_id);
        tg_free(p);
        return;
    }
}
