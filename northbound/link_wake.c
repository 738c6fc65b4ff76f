/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/link.h"

int64_t tg_link_next_wake(const struct tg_link *l)
{
    const struct tg_session *s;
    int64_t at = l->wake_ms;
    TAILQ_FOREACH(s, &l->sessions, in_link)
    {
        at = s->wake_ms < at ? s->wake_ms : at;
        at = s->restart_ms < at ? s->restart_ms : at;
    }
    return at;
}

static bool wake_session(struct tg_session *s, int64_t now_ms)
{
    if (s->restart_ms <= now_ms) {
        s->restart_ms = INT64_MAX;
        if (!tg_link_event(s->link, s, (struct tg_cloud_event){.type = TG_CLOUD_START}) ||
            !tg_session_come_online(s, false))
            return false;
    }
    if (s->wake_ms <= now_ms) {
        s->wake_ms = INT64_MAX;
        return tg_link_event(s->link, s, (struct tg_cloud_event){.type = TG_CLOUD_WAKE});
    }
    return true;
}

bool tg_link_wake(struct tg_link *l, int64_t now_ms)
{
    struct tg_session *s, *next;
    if (l->wake_ms <= now_ms) {
        l->wake_ms = INT64_MAX;
        if (!tg_link_event(l, NULL, (struct tg_cloud_event){.type = TG_CLOUD_WAKE}))
            return false;
    }
    for (s = TAILQ_FIRST(&l->sessions); s; s = next) {
        next = TAILQ_NEXT(s, in_link);
        if (!wake_session(s, now_ms))
            return false;
    }
    return true;
}
