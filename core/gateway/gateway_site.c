/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What sources tell about the site. Its uplink: down only when everybody who says something says so, for a second modem may be the way
 * out. Its time: used while the system has none (core/base/clock.h).
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/gateway/gateway_private.h"

#define LOOK_MS       1000
#define TELL_AGAIN_MS 3600000
#define APART_MS                                                                                             \
    5000 /* the system's time and an offered one may differ by so much and the latter's uncertainty */

static const char *uplink_name(enum tg_uplink uplink)
{
    static const char *const names[] = {"unknown", "up", "down"};
    return names[uplink];
}

/* --- the way to the network ------------------------------------------------------------------------ */

static enum tg_uplink together(const struct tg_gateway *g)
{
    enum tg_uplink all = TG_UPLINK_UNKNOWN;
    for (const struct tg_running_source *rs = g->sources; rs; rs = rs->next) {
        if (rs->uplink == TG_UPLINK_UP)
            return TG_UPLINK_UP;
        if (rs->uplink == TG_UPLINK_DOWN)
            all = TG_UPLINK_DOWN;
    }
    return all;
}

static void settle(struct tg_gateway *g, const char *source, const char *text)
{
    struct tg_site *site = &g->site;
    enum tg_uplink now = together(g);
    if (now == site->uplink)
        return;
    site->uplink = now;
    site->since_ms = tg_clock_mono_ms();
    site->changes++;
    snprintf(site->source, sizeof site->source, "%s", source);
    snprintf(site->text, sizeof site->text, "%s", text);
    if (now == TG_UPLINK_UP)
        tg_log(TG_LOG_INFO, "gateway",
               "source=%s the uplink is up (%s): sessions that wait connect now, the others look after their "
               "connection",
               source, text);
    else if (now == TG_UPLINK_DOWN)
        tg_log(TG_LOG_WARN, "gateway",
               "source=%s the uplink is down (%s): samples are kept; sessions look after their connection "
               "and try "
               "again at the slow end of their back-off, at once when it is back",
               source, text);
    else
        tg_log(TG_LOG_INFO, "gateway", "source=%s nothing says how the uplink is (%s)", source, text);
    if (g->sessions)
        tg_session_set_uplink(g->sessions, now);
}

void tg_gateway_uplink(struct tg_running_source *rs, bool up, const char *text)
{
    rs->uplink = up ? TG_UPLINK_UP : TG_UPLINK_DOWN;
    snprintf(rs->uplink_text, sizeof rs->uplink_text, "%.159s", text ? text : "no reason given");
    settle(rs->gateway, rs->config->name, rs->uplink_text);
}

void tg_gateway_site_forget(struct tg_running_source *rs)
{
    rs->uplink = TG_UPLINK_UNKNOWN;
    settle(rs->gateway, rs->config->name, "the source has ended");
}

json_t *tg_gateway_uplink_json(const struct tg_gateway *g)
{
    const struct tg_site *site = &g->site;
    return json_pack("{s:s,s:s,s:s,s:I,s:I}", "state", uplink_name(site->uplink), "source", site->source,
                     "text", site->text, "since_ms", (json_int_t)(tg_clock_mono_ms() - site->since_ms),
                     "changes", (json_int_t)site->changes);
}

/* --- the time -------------------------------------------------------------------------------------- */

static void on_look(void *user)
{
    struct tg_gateway *g = TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC);
    enum tg_clock_source now = tg_clock_source();
    if (g->site.clock == TG_CLOCK_OFFERED && now == TG_CLOCK_SYSTEM)
        tg_log(
            TG_LOG_INFO, "gateway",
            "the system's clock has been set: its time counts from now on, no longer the one from source=%s",
            g->site.clock_by);
    g->site.clock = now;
    if (now == TG_CLOCK_OFFERED)
        tg_deadline_set(&g->site.look, tg_clock_mono_ms() + LOOK_MS);
}

void tg_gateway_site_init(struct tg_gateway *g)
{
    tg_deadline_init(&g->site.look, &g->loop, on_look, g);
}

void tg_gateway_site_close(struct tg_gateway *g)
{
    tg_deadline_close(&g->site.look, NULL);
}

/* The system has a time: it wins. When the other one is far from it somebody should know, for one of them is wrong. */
static void compare(struct tg_running_source *rs, int64_t offered_ms, uint32_t uncertainty_ms, int64_t now)
{
    struct tg_site *site = &rs->gateway->site;
    char system[TG_CLOCK_ISO8601_BYTES], offered[TG_CLOCK_ISO8601_BYTES];
    int64_t apart;
    site->difference_ms = tg_clock_system_ms() - offered_ms;
    site->has_difference = true;
    apart = llabs((long long)site->difference_ms);
    if (apart <= APART_MS + (int64_t)uncertainty_ms ||
        (site->difference_told_ms && now - site->difference_told_ms < TELL_AGAIN_MS))
        return;
    site->difference_told_ms = now;
    tg_clock_iso8601(tg_clock_system_ms(), system);
    tg_clock_iso8601(offered_ms, offered);
    tg_log(
        TG_LOG_WARN, "gateway",
        "source=%s its time and the system's are %.1f s apart (%.19sZ there, %.19sZ here); the system's "
        "counts. "
        "Check the time synchronisation of this machine, and the time zone that the device's network tells",
        rs->config->name, (double)apart / 1000.0, offered, system);
}

void tg_gateway_time(struct tg_running_source *rs, int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms)
{
    struct tg_gateway *g = rs->gateway;
    struct tg_site *site = &g->site;
    enum tg_clock_source before = tg_clock_source();
    int64_t now = tg_clock_mono_ms();
    char text[TG_CLOCK_ISO8601_BYTES];
    tg_clock_iso8601(wall_ms, text);
    if (!tg_clock_offer(wall_ms, at_ms, uncertainty_ms)) {
        if (before == TG_CLOCK_NONE)
            tg_log(TG_LOG_WARN, "gateway",
                   "source=%s offers a time that cannot be (%.19sZ): not taken, the clock stays without a "
                   "valid time",
                   rs->config->name, text);
        if (tg_clock_plausible(wall_ms) && before == TG_CLOCK_SYSTEM)
            compare(rs, wall_ms + now - at_ms, uncertainty_ms, now);
        return;
    }
    for (struct tg_running_source *each = g->sources; each; each = each->next)
        if (each->host)
            tg_source_host_clock(each->host);
    snprintf(site->clock_by, sizeof site->clock_by, "%s", rs->config->name);
    site->uncertainty_ms = uncertainty_ms;
    site->clock = tg_clock_source();
    tg_gateway_clock_look(g);
    if (site->clock == TG_CLOCK_SYSTEM) {
        compare(rs, wall_ms + now - at_ms, uncertainty_ms, now);
    } else if (before == TG_CLOCK_NONE) {
        tg_log(TG_LOG_WARN, "gateway",
               "source=%s the system's clock has no valid time; stamps, tokens and certificates go by the "
               "time from "
               "this source, %.19sZ, right within %.1f s, until it has been set. The system's clock itself "
               "is left alone",
               rs->config->name, text, (double)uncertainty_ms / 1000.0);
        tg_deadline_set(&site->look, now + LOOK_MS);
    }
}

json_t *tg_gateway_clock_json(const struct tg_gateway *g)
{
    const struct tg_site *site = &g->site;
    enum tg_clock_source source = tg_clock_source();
    json_t *j = json_pack("{s:s}", "source", tg_clock_source_name(source));
    if (j && source == TG_CLOCK_OFFERED) {
        json_object_set_new(j, "offered_by", json_string(site->clock_by));
        json_object_set_new(j, "uncertainty_ms", json_integer(site->uncertainty_ms));
    }
    if (j && source == TG_CLOCK_SYSTEM && site->has_difference)
        json_object_set_new(j, "difference_ms", json_integer(site->difference_ms));
    if (j)
        tg_gateway_clock_describe(g, j);
    return j;
}
