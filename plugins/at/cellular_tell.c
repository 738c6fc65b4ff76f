/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "plugins/at/cellular.h"
#include "plugins/at/cellular_ppp.h"

#define TIME_UNCERTAINTY_MS 2000 /* whole seconds, and what networks are off by */
#define LEAST_EVERY_MS      1000

/* As tg_at_cellular_values (at_scripts.c). */
enum value { RSSI, RSCP, ECNO, RSRQ, RSRP, REGISTRATION, ROAMING, ATTACHED, OPERATOR, RAT, AREA, CELL, SIM };

static bool is_signal(int32_t v)
{
    return v <= RSRP;
}

/* How often the modem is asked: as often as a point wants it. */
void at_cellular_intervals(struct at_source *s, struct tg_cellular_config *config)
{
    for (uint32_t i = 0; i < s->point_count; i++) {
        const struct at_point *p = &s->points[i];
        int64_t every = s->config->devices[p->device].points[p->index].every_ms;
        int64_t *to = is_signal(p->cellular) ? &config->signal_every_ms : &config->status_every_ms;
        if (p->cellular < 0 || every <= 0)
            continue;
        if (every < LEAST_EVERY_MS)
            every = LEAST_EVERY_MS;
        if (*to == 0 || every < *to)
            *to = every;
    }
}

/* --- points -------------------------------------------------------------------------------------------- */

static bool tenths(int32_t v, struct tg_value *ret)
{
    if (v == TG_CELL_NONE)
        return false;
    *ret = tg_value_real((double)v / 10.0);
    return true;
}

static bool text(const char *t, struct tg_value *ret)
{
    *ret = tg_value_text(t, strlen(t));
    return t[0] != '\0';
}

static bool number(const struct tg_cell_registration *r, uint64_t v, struct tg_value *ret)
{
    *ret = tg_value_uint(v);
    return r != NULL;
}

static bool value_of(const struct tg_cellular *c, int32_t which, struct tg_value *ret)
{
    const struct tg_cell_registration *r = tg_cellular_registration(c);
    switch ((enum value)which) {
    case RSSI:
        return tenths(c->signal.rssi, ret);
    case RSCP:
        return tenths(c->signal.rscp, ret);
    case ECNO:
        return tenths(c->signal.ecno, ret);
    case RSRQ:
        return tenths(c->signal.rsrq, ret);
    case RSRP:
        return tenths(c->signal.rsrp, ret);
    case REGISTRATION:
        return number(r, r ? r->stat : 0, ret);
    case ROAMING:
        *ret = tg_value_bool(r && (r->stat == 5 || r->stat == 7 || r->stat == 10));
        return r != NULL;
    case ATTACHED:
        *ret = tg_value_bool(c->attached == 1);
        return c->attached != TG_CELL_NONE;
    case OPERATOR:
        return text(c->operator.name, ret);
    case RAT:
        return text(tg_cell_rat(r && r->act != TG_CELL_NONE ? r->act : c->operator.act), ret);
    case AREA:
        return number(r && r->has_cell ? r : NULL, r ? r->area : 0, ret);
    case CELL:
        return number(r && r->has_cell ? r : NULL, r ? r->cell : 0, ret);
    case SIM:
        return text(c->sim_text, ret);
    }
    return false;
}

static uint32_t news_of(int32_t which)
{
    if (is_signal(which))
        return TG_CELL_NEWS_SIGNAL;
    if (which == SIM)
        return TG_CELL_NEWS_SIM;
    return which == OPERATOR ? TG_CELL_NEWS_OPERATOR : TG_CELL_NEWS_REGISTRATION | TG_CELL_NEWS_OPERATOR;
}

/* Two values alike have the same; only to see that something has changed. */
static uint64_t mark_of(const struct tg_point_value *v)
{
    uint64_t mark = 14695981039346656037u ^ v->quality;
    const uint8_t *bytes = (const uint8_t *)&v->value.as;
    size_t n = sizeof v->value.as.integer;
    if (v->quality != TG_QUALITY_GOOD)
        return mark;
    if (v->value.type == TG_VALUE_TEXT) {
        bytes = (const uint8_t *)v->value.as.text;
        n = v->value.text_len;
    } else if (v->value.type == TG_VALUE_BOOL) {
        return mark ^ (v->value.as.boolean ? 2u : 1u) << 8;
    }
    for (size_t i = 0; i < n; i++)
        mark = (mark ^ bytes[i]) * 1099511628211u;
    return mark;
}

/* A value goes out when it has changed, and when its interval is over. */
static void tell_points(struct at_cellular *c, uint32_t news, int64_t now_ms)
{
    struct at_source *s = c->source;
    uint32_t i = 0;
    for (uint32_t d = 0; d < s->config->device_count; d++) {
        uint32_t n = 0;
        for (; i < s->point_count && s->points[i].device == d; i++) {
            struct at_point *p = &s->points[i];
            int64_t every = s->config->devices[d].points[p->index].every_ms;
            struct tg_point_value v = {.point = p->index};
            uint64_t mark;
            if (p->cellular < 0 || !(news & news_of(p->cellular)))
                continue;
            if (!value_of(&c->core, p->cellular, &v.value)) {
                v.quality = TG_QUALITY_SENSOR;
                v.value = (struct tg_value){.type = TG_VALUE_NONE};
            }
            mark = mark_of(&v);
            if (mark == p->told_mark && (every <= 0 || now_ms - p->told_ms < every - every / 8))
                continue;
            p->told_mark = mark;
            p->told_ms = now_ms;
            s->values[n++] = v;
        }
        if (n > 0)
            (void)s->host->emit(s->host->source, d, 0, s->values,
                                n); /* a full queue is counted by the host */
    }
}

/* --- facts --------------------------------------------------------------------------------------------- */

static void fact(const struct at_cellular *c, const char *name, const char *told)
{
    const struct tg_host *h = c->source->host;
    struct tg_value v = tg_value_text(told, strlen(told));
    if (told[0] == '\0' || !TG_HOST_HAS(h, device_fact))
        return;
    for (uint32_t d = 0; d < c->source->config->device_count; d++)
        (void)h->device_fact(h->source, d, name,
                             &v); /* lost when the queue is full: told again at the next start */
}

static void identifier(const struct at_cellular *c, const char *name, const char *digits)
{
    char told[40];
    if (digits[0] && at_secret_identifier(c, name, digits, told))
        fact(c, name, told);
}

static void tell_facts(const struct at_cellular *c, uint32_t news)
{
    if (news & TG_CELL_NEWS_IDENTITY) {
        fact(c, "manufacturer", c->core.manufacturer);
        fact(c, "model", c->core.model);
        fact(c, "firmware", c->core.firmware);
        identifier(c, "imei", c->core.imei);
        identifier(c, "imsi", c->core.imsi);
        identifier(c, "iccid", c->core.iccid);
    }
    if (news & TG_CELL_NEWS_OPERATOR)
        fact(c, "operator", c->core.operator.name);
}

/* --- the site -------------------------------------------------------------------------------------------- */

void at_cellular_tell_uplink(struct at_cellular *c)
{
    const struct tg_host *h = c->source->host;
    enum tg_cell_uplink now = c->core.uplink;
    char why[160];
    tg_cellular_describe(&c->core, why, sizeof why);
    if (c->ppp)
        now = at_ppp_uplink(c->ppp, now, why, sizeof why);
    if (!c->tells_uplink || now == c->told || now == TG_CELL_UPLINK_UNKNOWN || !TG_HOST_HAS(h, uplink))
        return;
    c->told = now;
    h->uplink(h->source, now == TG_CELL_UPLINK_UP, why);
}

static void tell_time(struct at_cellular *c)
{
    const struct tg_host *h = c->source->host;
    int64_t wall_ms;
    if (!c->takes_time || !TG_HOST_HAS(h, offer_time))
        return;
    if (tg_cellular_time(&c->core, c->time_is_utc, &wall_ms)) {
        h->offer_time(h->source, wall_ms + 500,
                      TIME_UNCERTAINTY_MS); /* +500: its seconds are cut, not rounded */
    } else if (!c->told_no_zone) {
        c->told_no_zone = true;
        h->log(h->source, TG_LOG_INFO,
               "the modem tells its time without a time zone: it is not used (`time: utc` where it is UTC)");
    }
}

void at_cellular_tell(struct at_cellular *c, uint32_t news, int64_t now_ms)
{
    if (news) {
        tell_points(c, news, now_ms);
        tell_facts(c, news);
    }
    if (news & TG_CELL_NEWS_CLOCK)
        tell_time(c);
    at_cellular_tell_uplink(c);
}
