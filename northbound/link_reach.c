/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a link's life says of its cloud: reach.h, and quiet.h for what a silence did to it.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "northbound/link.h"

#define BLAME_MS 15000 /* a new connection within so long of a failure shows that the path itself stands */
#define STILL_MS 60000 /* a path that changed so lately says nothing of silences */

static enum tg_failure class_of(const struct tg_link *l)
{
    struct tg_stream_stats st = {0};
    if (l->failed_as != TG_FAILURES)
        return l->failed_as;
    switch (l->state) {
    case TG_SESSION_ONLINE:
    case TG_SESSION_RENEWING:
        return l->fail_code == TG_ETIMEOUT ? TG_FAILURE_SILENT : TG_FAILURE_CLOSED;
    case TG_SESSION_LOGIN:
    case TG_SESSION_PROVISIONING:
        return TG_FAILURE_LOGIN;
    default:
        break;
    }
    if (!l->stream)
        return l->carried ? TG_FAILURE_TCP : TG_FAILURE_LOCAL;
    tg_stream_stats(l->stream, &st);
    if (st.connected)
        return st.ready ? TG_FAILURE_LOGIN : TG_FAILURE_TLS;
    return l->fail_code == TG_EDNS ? TG_FAILURE_DNS : TG_FAILURE_TCP;
}

void tg_link_reach_wanted(struct tg_link *l)
{
    int64_t now = tg_clock_mono_ms();
    tg_reach_wanted(&l->cloud->reach, now);
    tg_reach_wanted(&l->set->reach, now);
}

/* --- silences ------------------------------------------------------------------------------------- */

static void apply_interval(struct tg_set_cloud *c, struct tg_session_set *set)
{
    for (struct tg_session *s = set->sessions; s; s = s->next)
        if (s->link->cloud == c) {
            tg_mqtt_client_ping_every(&s->link->mqtt, c->quiet.interval_ms);
            if (s->link->state == TG_SESSION_ONLINE)
                tg_link_arm(s->link);
        }
}

/* The connection that has just failed: was a silence to blame? It shows when the next one stands at once. */
static void suspect(struct tg_link *l, enum tg_failure what, int64_t now)
{
    bool stood = l->state == TG_SESSION_ONLINE && (what == TG_FAILURE_SILENT || what == TG_FAILURE_CLOSED);
    bool still = l->set->path_changed_ms == 0 || now - l->set->path_changed_ms > STILL_MS;
    if (l->protocol != &tg_link_mqtt)
        return;
    l->suspect_quiet_ms = stood && still && l->fail_code != TG_EEOF ? l->mqtt.quiet_ms : 0;
    l->suspect_at_ms = now;
}

static void convict(struct tg_link *l, int64_t now)
{
    struct tg_set_cloud *c = l->cloud;
    int64_t quiet = l->suspect_quiet_ms;
    l->suspect_quiet_ms = 0;
    if (quiet > 0 && l->failures_in_a_row == 1 && now - l->suspect_at_ms < BLAME_MS &&
        tg_quiet_killed(&c->quiet, quiet, now)) {
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s something on the way forgets connections that are silent for %.0f s: from "
               "now on its "
               "sessions ping after %.0f s",
               l->target.device_id, l->config->name, (double)quiet / 1000.0,
               (double)c->quiet.interval_ms / 1000.0);
        apply_interval(c, l->set);
    }
    tg_mqtt_client_ping_every(&l->mqtt, c->quiet.interval_ms);
}

void tg_link_look_at_quiet(struct tg_link *l, int64_t now_ms)
{
    int64_t survived = l->mqtt.survived_ms;
    l->mqtt.survived_ms = 0;
    if (survived > 0 && tg_quiet_survived(&l->cloud->quiet, survived, now_ms))
        apply_interval(l->cloud, l->set);
}

/* --- connects and failures ------------------------------------------------------------------------ */

void tg_link_reach_online(struct tg_link *l, int64_t now_ms)
{
    tg_link_arrived(l);
    convict(l, now_ms);
    l->counted = true;
    tg_reach_online(&l->cloud->reach, now_ms);
    tg_reach_online(&l->set->reach, now_ms);
}

void tg_link_reach_offline(struct tg_link *l)
{
    if (!l->counted)
        return;
    l->counted = false;
    tg_reach_offline(&l->cloud->reach);
    tg_reach_offline(&l->set->reach);
}

enum tg_failure tg_link_reach_failed(struct tg_link *l, int64_t now_ms)
{
    enum tg_failure what = class_of(l);
    suspect(l, what, now_ms);
    tg_link_reach_offline(l);
    tg_reach_failed(&l->cloud->reach, now_ms, what);
    tg_reach_failed(&l->set->reach, now_ms, what);
    l->failed_as = TG_FAILURES;
    l->fail_code = TG_OK;
    return what;
}

void tg_link_reach_throttled(struct tg_link *l)
{
    l->cloud->reach.failures[TG_FAILURE_THROTTLED]++;
    l->set->reach.failures[TG_FAILURE_THROTTLED]++;
}

void tg_link_reach_back(struct tg_link *l, int64_t now_ms)
{
    tg_reach_link_back(&l->cloud->reach, now_ms);
    tg_reach_link_back(&l->set->reach, now_ms);
}
