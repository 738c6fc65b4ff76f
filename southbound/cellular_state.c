/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "southbound/cellular_private.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

#define DEFAULT_EVERY_MS 30000

void tg_cellular_copy_(char *to, size_t size, const char *from)
{
    size_t n = strnlen(from, size - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

void tg_cellular_set_trouble_(struct tg_cellular *c, const char *text)
{
    tg_cellular_copy_(c->trouble, sizeof c->trouble, text);
}

void tg_cellular_forget_(struct tg_cellular *c)
{
    memset(c->known, 0, sizeof c->known);
    c->attached = TG_CELL_NONE;
    c->operator=(struct tg_cell_operator){.act = TG_CELL_NONE};
    c->signal = (struct tg_cell_signal){TG_CELL_NONE, TG_CELL_NONE, TG_CELL_NONE, TG_CELL_NONE, TG_CELL_NONE};
    c->has_clock = false;
    c->asked = 0;
}

void tg_cellular_init(struct tg_cellular *c, const struct tg_cellular_config *config)
{
    memset(c, 0, sizeof *c);
    c->config = *config;
    if (c->config.signal_every_ms <= 0)
        c->config.signal_every_ms = DEFAULT_EVERY_MS;
    if (c->config.status_every_ms <= 0)
        c->config.status_every_ms = DEFAULT_EVERY_MS;
    c->tries = TG_CELL_NONE;
    tg_cellular_end(c);
}

void tg_cellular_end(struct tg_cellular *c)
{
    tg_cellular_forget_(c);
    c->phase = TG_CELL_IDENT;
    c->busy = false;
    c->due_ms = c->down_at_ms = INT64_MAX;
}

/* --- what is known ------------------------------------------------------------------------------------ */

static bool stat_is_registered(uint8_t stat)
{
    return stat == 1 || stat == 5 || stat == 9 || stat == 10;
}

static bool in_domain(const struct tg_cellular *c, enum tg_cell_domain d)
{
    return c->known[d] && stat_is_registered(c->registrations[d].stat);
}

const struct tg_cell_registration *tg_cellular_registration(const struct tg_cellular *c)
{
    static const enum tg_cell_domain newest_first[] = {TG_CELL_NR, TG_CELL_EPS, TG_CELL_PS, TG_CELL_CS};
    const struct tg_cell_registration *first = NULL;
    for (size_t i = 0; i < COUNT(newest_first); i++)
        if (in_domain(c, newest_first[i]))
            return &c->registrations[newest_first[i]];
    for (size_t i = 0; i < COUNT(newest_first); i++) {
        enum tg_cell_domain d = newest_first[i];
        if (c->known[d] && (!first || (c->registrations[d].stat == 3 && first->stat != 3)))
            first = &c->registrations[d];
    }
    return first;
}

/* For packet data; a modem that says nothing about it is taken by its word for calls. */
bool tg_cellular_is_registered(const struct tg_cellular *c)
{
    if (c->known[TG_CELL_PS] || c->known[TG_CELL_EPS] || c->known[TG_CELL_NR])
        return in_domain(c, TG_CELL_PS) || in_domain(c, TG_CELL_EPS) || in_domain(c, TG_CELL_NR);
    return in_domain(c, TG_CELL_CS);
}

bool tg_cellular_all_asked_(const struct tg_cellular *c)
{
    const uint32_t all = 1u << POLL_EPS | 1u << POLL_PS | 1u << POLL_CS;
    return c->phase == TG_CELL_RUN && (c->asked & all) == all;
}

static void judge_registration(struct tg_cellular *c, int64_t now_ms)
{
    const struct tg_cell_registration *r = tg_cellular_registration(c);
    if (tg_cellular_is_registered(c)) {
        c->unregistered_since_ms = INT64_MAX;
        tg_cellular_set_trouble_(
            c, c->attached == 0
                   ? "registered, but not attached to the packet service: check the APN and that "
                     "the SIM's contract has data"
                   : "");
        return;
    }
    if (c->unregistered_since_ms == INT64_MAX)
        c->unregistered_since_ms = now_ms;
    if (r && r->stat == 3)
        tg_cellular_set_trouble_(
            c,
            "the network refuses this SIM (registration denied): check that it is activated and paid, that "
            "its contract allows roaming where this is abroad, the APN, and that the modem's IMEI is not "
            "barred");
    else if (tg_cellular_all_asked_(c) && now_ms - c->unregistered_since_ms >= TG_CELL_SEARCHING_MS)
        tg_cellular_set_trouble_(
            c, "no network: check the antenna, the coverage at this place, and that the modem has its bands");
    else if (tg_cellular_all_asked_(c) && now_ms - c->unregistered_since_ms >= TG_CELL_DOWN_MS)
        tg_cellular_set_trouble_(c, "looking for a network");
}

void tg_cellular_judge_uplink_(struct tg_cellular *c, int64_t now_ms)
{
    bool up = c->phase == TG_CELL_RUN && tg_cellular_is_registered(c) && c->attached != 0;
    bool down = !up && (tg_cellular_all_asked_(c) || (c->phase == TG_CELL_SIM && c->trouble[0] != '\0'));
    if (up) {
        c->uplink = TG_CELL_UPLINK_UP;
        c->down_at_ms = INT64_MAX;
    } else if (!down || c->uplink == TG_CELL_UPLINK_DOWN) {
        c->down_at_ms = INT64_MAX;
    } else if (c->down_at_ms == INT64_MAX) {
        c->down_at_ms = now_ms + TG_CELL_DOWN_MS;
    } else if (now_ms >= c->down_at_ms) {
        c->uplink = TG_CELL_UPLINK_DOWN;
        c->down_at_ms = INT64_MAX;
    }
}

void tg_cellular_tick(struct tg_cellular *c, int64_t now_ms)
{
    if (c->phase == TG_CELL_RUN)
        judge_registration(c, now_ms);
    tg_cellular_judge_uplink_(c, now_ms);
}

void tg_cellular_heard_(struct tg_cellular *c, const struct tg_cell_registration *r, int64_t now_ms)
{
    struct tg_cell_registration *was = &c->registrations[r->domain];
    bool changed = !c->known[r->domain] || was->stat != r->stat;
    struct tg_cell_registration next = *r;
    if (next.act == TG_CELL_NONE && stat_is_registered(r->stat) && !changed)
        next.act = was->act;
    *was = next;
    c->known[r->domain] = true;
    c->news |= TG_CELL_NEWS_REGISTRATION;
    if (changed && c->phase == TG_CELL_RUN)
        c->poll_due_ms[POLL_OPERATOR] = c->poll_due_ms[POLL_CSQ] = c->poll_due_ms[POLL_CESQ] =
            c->poll_due_ms[POLL_CLOCK] = c->poll_due_ms[POLL_ATTACH] = now_ms;
}

/* --- for people, and the time -------------------------------------------------------------------------- */

void tg_cellular_describe(const struct tg_cellular *c, char *ret_text, size_t size)
{
    static const char *const stats[] = {"not looking for a network",
                                        "home network",
                                        "looking for a network",
                                        "registration denied",
                                        "out of coverage",
                                        "roaming",
                                        "SMS only",
                                        "SMS only, roaming",
                                        "emergency calls only",
                                        "home network",
                                        "roaming"};
    const struct tg_cell_registration *r = tg_cellular_registration(c);
    struct tg_writer w = tg_writer_init(ret_text, size - 1);
    int32_t act = r && r->act != TG_CELL_NONE ? r->act : c->operator.act;
    if (c->phase != TG_CELL_RUN || !r) {
        tg_write_str(&w, c->trouble[0] ? c->trouble : "starting");
    } else {
        bool on = stat_is_registered(r->stat);
        tg_write_str(&w, on ? "registered, " : "not registered: ");
        tg_write_str(&w, stats[r->stat]);
        if (on && tg_cell_rat(act)[0]) {
            tg_write_str(&w, ", ");
            tg_write_str(&w, tg_cell_rat(act));
        }
        if (on && c->operator.name[0]) {
            tg_write_str(&w, ", ");
            tg_write_str(&w, c->operator.name);
        }
        if (on && c->attached == 0)
            tg_write_str(&w, ", not attached to the packet service");
    }
    ret_text[w.failed ? 0 : w.len] = '\0';
}

bool tg_cellular_time(const struct tg_cellular *c, bool is_utc, int64_t *ret_wall_ms)
{
    if (!c->has_clock || (!is_utc && !c->clock.has_zone))
        return false;
    *ret_wall_ms = c->clock.local_ms - (is_utc ? 0 : (int64_t)c->clock.zone_quarters * 900000);
    return true;
}

uint32_t tg_cellular_take_news(struct tg_cellular *c)
{
    uint32_t news = c->news;
    c->news = 0;
    return news;
}
