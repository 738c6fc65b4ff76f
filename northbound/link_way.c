/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The way to where a link connects, as the kernel sees it: ways.h.
 */
#include <stdio.h>

#include "core/base/clock.h"
#include "northbound/link.h"
#include "northbound/ways.h"

#define UNANSWERED                                                                                           \
    3 /* TCP has sent three times: the next time is 1.6 s and more away, a new connection is quicker */

/* Answers of one round: sessions of a cloud mostly lead to one place. */
struct round {
    struct tg_session_set *set;
    const struct tg_route_change *change; /* NULL = only a look */
    struct tg_way out[2];
    struct tg_ip last;
    struct tg_way last_way;
    struct tg_ways *ways;
    int64_t now;
};

/* Documentation addresses (RFC 5737, RFC 3849): nobody has a route of their own to these, so the answer is the default route. */
static const struct tg_ip outside[2] = {{4, {192, 0, 2, 1}}, {6, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}};

static void look_outside(struct tg_route_watch *routes, struct tg_way out[2])
{
    for (int i = 0; i < 2; i++)
        tg_route_watch_ask(routes, &outside[i], &out[i]);
}

static bool leads_out(const struct tg_way out[2])
{
    return out[0].state == TG_WAY_THERE || out[1].state == TG_WAY_THERE;
}

/* The kernel's word, and whether it is to be believed that nothing leads there. */
static void judge(const struct tg_link *l, const struct tg_way out[2], struct tg_way *way)
{
    if (l->far.family == 0) {
        *way = out[0].state == TG_WAY_THERE ? out[0] : out[1];
        if (way->state != TG_WAY_THERE)
            *way = (struct tg_way){.state = TG_WAY_UNKNOWN};
    } else if (tg_way_is_gone(way) && !l->far_is_fixed && leads_out(out)) {
        way->state = TG_WAY_UNKNOWN;
    }
}

static bool has_ways(const struct tg_link *l)
{
    return l->set->routes && !l->protocol->connect;
}

static void note(struct tg_link *l, const struct tg_way *way)
{
    bool was_gone = tg_way_is_gone(&l->way);
    if (tg_way_is_gone(way) && !was_gone)
        l->way_gone_ms = tg_clock_mono_ms();
    l->way = *way;
}

bool tg_link_has_no_way(struct tg_link *l)
{
    struct tg_way way, out[2];
    if (!has_ways(l))
        return false;
    tg_route_watch_ask(l->set->routes, &l->far, &way);
    if (way.state == TG_WAY_LOCAL || way.state == TG_WAY_THERE) {
        note(l, &way);
        return false;
    }
    look_outside(l->set->routes, out);
    judge(l, out, &way);
    note(l, &way);
    return tg_way_is_gone(&way);
}

void tg_link_way_text(const struct tg_link *l, char *text, size_t size)
{
    char what[100];
    tg_way_text(&l->way, &l->far, what, sizeof what);
    snprintf(text, size, "%s for %.0f s; samples are kept, it connects within a second when the way is back",
             what, (double)(tg_clock_mono_ms() - l->way_gone_ms) / 1000.0);
}

void tg_link_aims_at(struct tg_link *l, const char *host)
{
    struct tg_ip ip = tg_ip_parse(host);
    l->far_is_fixed = ip.family != 0;
    if (ip.family)
        l->far = ip;
}

void tg_link_arrived(struct tg_link *l)
{
    struct sockaddr_storage here, there;
    if (l->stream && !l->errand && tg_stream_ends(l->stream, &here, &there))
        l->far = tg_ip_of((const struct sockaddr *)&there);
}

/* --- a round over all links ---------------------------------------------------------------------- */

static bool has_come(const struct tg_route_change *c, uint32_t link)
{
    for (uint32_t i = 0; i < c->came_count; i++)
        if (c->came[i] == link)
            return true;
    return c->all;
}

static bool address_is_gone(struct tg_link *l, struct tg_ip *ret_here)
{
    struct sockaddr_storage here, there;
    if (!l->stream || !tg_stream_ends(l->stream, &here, &there))
        return false;
    *ret_here = tg_ip_of((const struct sockaddr *)&here);
    return !tg_route_watch_is_ours(l->set->routes, ret_here);
}

static void start_over(struct tg_link *l, int64_t now, const char *text)
{
    l->failed_as = TG_FAILURE_SILENT;
    tg_link_fail(l, text);
    if (l->state == TG_SESSION_WAITING && !l->waits_for_way)
        tg_link_hurry(l, now, true);
}

static void way_is_back(struct tg_link *l, int64_t now, bool sure)
{
    bool waits = l->state == TG_SESSION_WAITING && !l->waits_for_clock && !l->waits_for_change;
    struct tg_stream_stats st = {0};
    if (waits) {
        tg_link_hurry(l, now, sure);
        return;
    }
    if (!sure || !l->stream)
        return;
    tg_stream_stats(l->stream, &st);
    if (!st.connected)
        start_over(l, now, "the network has changed while it was connecting");
    else if (l->state == TG_SESSION_ONLINE && tg_stream_unanswered(l->stream) >= UNANSWERED)
        start_over(l, now, "nothing was answered while the way out was away");
    else if (l->state == TG_SESSION_ONLINE && l->protocol->probe) {
        l->protocol->probe(l, now);
        tg_link_go_on(l, now);
    }
}

static void way_is_gone(struct tg_link *l, int64_t now)
{
    if (l->state == TG_SESSION_WAITING && !l->waits_for_clock && !l->waits_for_change) {
        tg_link_wait_for_way(l);
    } else if (l->state == TG_SESSION_ONLINE && l->stream && l->protocol->probe) {
        l->protocol->probe(l, now);
        tg_link_go_on(l, now);
    }
}

static void count(struct tg_ways *w, const struct tg_link *l, const struct tg_way *way)
{
    if (tg_way_is_gone(way)) {
        if (w->gone++ == 0)
            tg_way_text(way, &l->far, w->text, sizeof w->text);
    } else if (way->state == TG_WAY_THERE) {
        if (w->there++ == 0 && w->gone == 0)
            tg_way_text(way, l->far.family ? &l->far : &outside[way->source.family == 6], w->text,
                        sizeof w->text);
    } else {
        w->unknown++;
    }
}

static void act(struct round *r, struct tg_link *l, const struct tg_way *before, const struct tg_way *way)
{
    char text[TG_SESSION_ERROR_BYTES], name[TG_IP_TEXT_BYTES];
    struct tg_ip here;
    bool was_gone = tg_way_is_gone(before),
         is_other = before->state == TG_WAY_THERE && way->state == TG_WAY_THERE &&
                    (before->link != way->link || !tg_ip_same(&before->source, &way->source));
    if (was_gone || is_other || tg_way_is_gone(way))
        r->set->path_changed_ms = r->now;
    if (r->change->address_gone && address_is_gone(l, &here)) {
        snprintf(text, sizeof text, "its address here, %s, is gone: the network has changed",
                 tg_ip_text(&here, name));
        start_over(l, r->now, text);
    } else if (tg_way_is_gone(way)) {
        if (!was_gone)
            way_is_gone(l, r->now);
    } else if (was_gone || is_other) {
        way_is_back(l, r->now, true);
    } else if (way->state == TG_WAY_THERE && has_come(r->change, way->link)) {
        way_is_back(l, r->now, false);
    }
}

static void look(struct round *r, struct tg_link *l)
{
    struct tg_way before = l->way, way;
    if (!has_ways(l) || l->closing)
        return;
    if (l->far.family == 0 || !tg_ip_same(&l->far, &r->last)) {
        r->last = l->far;
        tg_route_watch_ask(r->set->routes, &l->far, &r->last_way);
    }
    way = r->last_way;
    judge(l, r->out, &way);
    count(r->ways, l, &way);
    if (!r->change)
        return;
    note(l, &way);
    act(r, l, &before, &way);
}

static void go_round(struct round *r)
{
    *r->ways = (struct tg_ways){0};
    if (!r->set->routes)
        return;
    look_outside(r->set->routes, r->out);
    memcpy(r->ways->out, r->out, sizeof r->out);
    for (struct tg_session *s = r->set->sessions, *next; s; s = next) {
        next = s->next;
        if (TAILQ_FIRST(&s->link->sessions) == s) /* a shared link once */
            look(r, s->link);
    }
}

void tg_session_set_routes(struct tg_session_set *set, struct tg_route_watch *routes)
{
    set->routes = routes;
}

void tg_session_set_ways_changed(struct tg_session_set *set, const struct tg_route_change *change,
                                 struct tg_ways *ret_ways)
{
    struct round r = {.set = set, .change = change, .ways = ret_ways, .now = tg_clock_mono_ms()};
    go_round(&r);
}

void tg_session_set_ways(struct tg_session_set *set, struct tg_ways *ret_ways)
{
    struct round r = {.set = set, .ways = ret_ways, .now = tg_clock_mono_ms()};
    go_round(&r);
}
