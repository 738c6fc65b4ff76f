/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/network.h"

#include <jansson.h>
#include <stdio.h>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define LOOK_MS 1000
#define OUT_MS  2000 /* a cloud that is out for less is told by its sessions only */

static const char *state_name(enum tg_network_state state)
{
    static const char *const names[] = {"unknown", "up", "down"};
    return names[state];
}

/* --- the kernel's word ------------------------------------------------------------------------------ */

static void take_ways(struct tg_network *n)
{
    const struct tg_ways *w = &n->ways;
    enum tg_network_state now = w->there > 0  ? TG_NETWORK_UP
                                : w->gone > 0 ? TG_NETWORK_DOWN
                                              : TG_NETWORK_UNKNOWN;
    bool was_down = n->state == TG_NETWORK_DOWN;
    int64_t lasted = tg_clock_mono_ms() - n->since_ms;
    if (now == n->state)
        return;
    n->state = now;
    n->since_ms = tg_clock_mono_ms();
    n->changes++;
    if (now == TG_NETWORK_DOWN)
        tg_log(TG_LOG_WARN, "network",
               "the way out is gone: %s; samples are kept, no connects are tried, sessions connect within a "
               "second "
               "when it is back",
               w->text);
    else if (was_down)
        tg_log(TG_LOG_INFO, "network", "the way out is back after %.1f s: %s; sessions that wait connect now",
               (double)lasted / 1000.0, w->text[0] ? w->text : "no session needs one");
}

static void on_changed(void *user, const struct tg_route_change *change)
{
    struct tg_network *n = TG_OBJECT(user, struct tg_network, TG_NETWORK_MAGIC);
    if (!n->sessions)
        return;
    tg_session_set_ways_changed(n->sessions, change, &n->ways);
    take_ways(n);
}

/* --- the sessions' word ------------------------------------------------------------------------------- */

struct round {
    struct tg_network *n;
    int64_t now;
    uint32_t clouds, out, soon; /* soon: out, but not for long enough to be told */
    uint64_t pending;
};

static struct tg_network_cloud *find(struct tg_network *n, const char *name)
{
    uint32_t i;
    for (i = 0; i < n->cloud_count; i++)
        if (strcmp(n->clouds[i].name, name) == 0)
            return &n->clouds[i];
    if (i == TG_SET_MAX_CLOUDS)
        return NULL;
    n->cloud_count++;
    n->clouds[i] = (struct tg_network_cloud){0};
    snprintf(n->clouds[i].name, sizeof n->clouds[i].name, "%s", name);
    return &n->clouds[i];
}

static bool is_out(const struct round *r, const struct tg_cloud_stats *c)
{
    return c->sessions > 0 && tg_reach_out_ms(c->reach, r->now) >= OUT_MS;
}

static void count(void *user, const struct tg_cloud_stats *c)
{
    struct round *r = user;
    if (c->sessions == 0)
        return;
    r->clouds++;
    r->out += is_out(r, c);
    r->soon += c->reach->out_since_ms != 0 && !is_out(r, c);
}

static void tell_cloud(const struct round *r, const struct tg_cloud_stats *c, bool out)
{
    const struct tg_reach *reach = c->reach;
    char after[80] = "";
    if (out && r->out < r->clouds) {
        tg_log(TG_LOG_WARN, "network",
               "cloud=%s cannot be reached while %u of %u can: the trouble is there or on the way to it, not "
               "this site's "
               "way out; its samples are kept, `tidegate status` has its last error",
               c->name, r->clouds - r->out, r->clouds);
    } else if (!out) {
        if (reach->last_recovery_ms >= 0)
            snprintf(after, sizeof after, ", the last time %.2f s after the way out was back",
                     (double)reach->last_recovery_ms / 1000.0);
        tg_log(TG_LOG_INFO, "network", "cloud=%s is reached again, after %.1f s%s", c->name,
               (double)reach->last_outage_ms / 1000.0, after);
    }
}

static void judge(void *user, const struct tg_cloud_stats *c)
{
    struct round *r = user;
    struct tg_network_cloud *known = find(r->n, c->name);
    bool out = is_out(r, c);
    if (!known)
        return;
    known->seen = true;
    if (known->out != out && (out || c->reach->out_since_ms == 0)) {
        known->out = out;
        tell_cloud(r, c, out);
    }
}

static void forget_unseen(struct tg_network *n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->cloud_count; i++)
        if (n->clouds[i].seen)
            n->clouds[kept++] = n->clouds[i];
    n->cloud_count = kept;
    for (uint32_t i = 0; i < kept; i++)
        n->clouds[i].seen = false;
}

static void judge_all(struct tg_network *n)
{
    struct round r = {.n = n, .now = tg_clock_mono_ms()};
    tg_session_set_each_cloud(n->sessions, count, &r);
    tg_session_set_each_cloud(n->sessions, judge, &r);
    forget_unseen(n);
    n->clouds_out = r.out;
    if (r.out > 0 && r.out == r.clouds && !n->all_out) {
        n->all_out = true;
        tg_log(TG_LOG_WARN, "network",
               "no cloud can be reached (%u of %u; %s): samples are kept and sent when one is reached again",
               r.out, r.clouds,
               n->state == TG_NETWORK_DOWN ? n->ways.text
               : n->state == TG_NETWORK_UP
                   ? "a route leads there, so the trouble is farther out or a firewall"
                   : "the kernel says nothing of the way");
    } else if (r.out < r.clouds) {
        n->all_out = false;
    }
    if (r.soon > 0)
        tg_network_stir(n);
}

static void on_look(void *user)
{
    struct tg_network *n = TG_OBJECT(user, struct tg_network, TG_NETWORK_MAGIC);
    n->looking = false;
    if (!n->sessions)
        return;
    tg_session_set_ways(n->sessions, &n->ways);
    take_ways(n);
    judge_all(n);
}

void tg_network_stir(struct tg_network *n)
{
    if (!n->open || n->looking)
        return;
    n->looking = true;
    tg_deadline_set(&n->look, tg_clock_mono_ms() + LOOK_MS);
}

/* --- status ------------------------------------------------------------------------------------------- */

static json_t *route_json(const struct tg_way *way)
{
    return way->state == TG_WAY_THERE ? json_string(way->name) : json_null();
}

json_t *tg_network_json(struct tg_network *n)
{
    const struct tg_ways *w = &n->ways;
    json_t *j =
        json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "state", state_name(n->state), "text",
                  n->trouble[0] ? n->trouble : w->text, "since_ms",
                  (json_int_t)(n->since_ms ? tg_clock_mono_ms() - n->since_ms : 0), "changes",
                  (json_int_t)n->changes, "ways", (json_int_t)w->there, "ways_gone", (json_int_t)w->gone,
                  "clouds", (json_int_t)n->cloud_count, "clouds_out", (json_int_t)n->clouds_out);
    if (j && n->watch) {
        json_object_set_new(j, "default_ipv4", route_json(&w->out[0]));
        json_object_set_new(j, "default_ipv6", route_json(&w->out[1]));
    }
    return j;
}

json_t *tg_reach_json(const struct tg_reach *r, int64_t ping_every_ms)
{
    int64_t now = tg_clock_mono_ms();
    json_t *failures = json_object(), *j;
    for (int i = 0; i < TG_FAILURES; i++)
        json_object_set_new(failures, tg_failure_name((enum tg_failure)i),
                            json_integer((json_int_t)r->failures[i]));
    j = json_pack("{s:I,s:I,s:I,s:I,s:I,s:o}", "connects", (json_int_t)r->connects, "connects_last_hour",
                  (json_int_t)tg_reach_connects_last_hour(r, now), "out_ms",
                  (json_int_t)tg_reach_out_ms(r, now), "outages", (json_int_t)r->outages, "last_outage_ms",
                  (json_int_t)r->last_outage_ms, "failures", failures);
    if (j && r->last_recovery_ms >= 0)
        json_object_set_new(j, "last_recovery_ms", json_integer((json_int_t)r->last_recovery_ms));
    if (j && ping_every_ms)
        json_object_set_new(j, "ping_every_ms", json_integer((json_int_t)ping_every_ms));
    return j;
}

/* --- life ----------------------------------------------------------------------------------------------- */

void tg_network_open(struct tg_network *n, struct tg_loop *loop, struct tg_session_set *sessions)
{
    struct tg_error err = {0};
    n->magic = TG_NETWORK_MAGIC;
    n->sessions = sessions;
    tg_deadline_init(&n->look, loop, on_look, n);
    n->open = true;
    if (tg_route_watch_new(loop, on_changed, n, &n->watch, &err) < 0) {
        n->watch = NULL;
        snprintf(n->trouble, sizeof n->trouble, "the kernel cannot be asked (%.100s)", err.text);
        tg_log(TG_LOG_WARN, "network",
               "%s: that a link is gone or back shows only in the time-outs of connections; everything else "
               "works",
               n->trouble);
    }
    tg_session_set_routes(sessions, n->watch);
}

void tg_network_close(struct tg_network *n)
{
    if (!n->open)
        return;
    n->open = false;
    tg_session_set_routes(n->sessions, NULL);
    n->sessions = NULL;
    if (n->watch)
        tg_route_watch_close(n->watch);
    n->watch = NULL;
    tg_deadline_close(&n->look, NULL);
}
