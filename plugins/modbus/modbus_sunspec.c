/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/modbus/modbus_sunspec.h"

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/bytes.h"
#include "plugins/modbus/modbus_plugin.h"

#define RETRY_MS 60000

/* --- configuration ---------------------------------------------------------------------------------------------- */

bool tg_modbus_is_sunspec(const struct tg_host *host, const struct tg_settings *point)
{
    return strncmp(host->get_text(point, "address"), TG_SUNSPEC_PREFIX, sizeof TG_SUNSPEC_PREFIX - 1) == 0;
}

static int parse(const struct tg_host *host, const struct tg_settings *point, struct tg_sunspec_ref *ret,
                 struct tg_error *err)
{
    return tg_sunspec_parse(host->get_text(point, "address") + sizeof TG_SUNSPEC_PREFIX - 1, ret, err);
}

int tg_modbus_sunspec_from_settings(const struct tg_host *host, const struct tg_settings *point,
                                    struct tg_modbus_point *ret, const char **ret_option,
                                    struct tg_error *err)
{
    static const char *const by_model[] = {"type", "order", "length", "bit", "sentinel"};
    struct tg_sunspec_ref ref;
    int rc;
    *ret_option = "address";
    rc = parse(host, point, &ref, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; ref.point >= 0 && i < sizeof by_model / sizeof by_model[0]; i++)
        if (host->has(point, by_model[i])) {
            *ret_option = by_model[i];
            return tg_error_set(err, TG_EINVAL,
                                "the SunSpec model says this itself for a point that it names; remove it");
        }
    tg_modbus_point_init(ret);
    ret->table = TG_MODBUS_HOLDING;
    if (host->has(point, "bit"))
        ret->bit = (int8_t)host->get_int(point, "bit");
    ret->type = host->has(point, "type") ? (uint8_t)host->get_int(point, "type")
                : ret->bit >= 0          ? TG_MODBUS_BOOL
                                         : TG_MODBUS_UINT16;
    ret->length = (uint16_t)(host->has(point, "length") ? host->get_int(point, "length") : 0);
    return tg_modbus_point_finish(ret, ret_option, err);
}

int tg_modbus_sunspec_open(const struct tg_host *host, struct tg_modbus_device *d, struct tg_error *err)
{
    const struct tg_device *c = d->config;
    struct tg_modbus_sunspec *s;
    bool any = false;
    for (uint32_t i = 0; i < c->point_count; i++)
        any |= tg_modbus_is_sunspec(host, c->points[i].settings);
    if (!any)
        return TG_OK;
    d->sunspec = s = tg_calloc(1, sizeof *s);
    if (!s)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    s->refs = tg_calloc(c->point_count, sizeof *s->refs);
    s->factors = tg_calloc(c->point_count, sizeof *s->factors);
    s->optional = tg_calloc(c->point_count, sizeof *s->optional);
    s->seen = tg_calloc(c->point_count, sizeof *s->seen);
    if (!s->refs || !s->factors || !s->optional || !s->seen)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < c->point_count; i++) {
        int rc = tg_modbus_is_sunspec(host, c->points[i].settings)
                     ? parse(host, c->points[i].settings, &s->refs[i], err)
                     : TG_OK;
        if (rc < 0)
            return rc;
        s->factors[i] = -1;
        s->optional[i] = host->get_int(c->points[i].settings, "optional") != 0;
    }
    return TG_OK;
}

void tg_modbus_sunspec_close(struct tg_modbus_device *d)
{
    if (!d->sunspec)
        return;
    tg_free(d->sunspec->refs);
    tg_free(d->sunspec->factors);
    tg_free(d->sunspec->optional);
    tg_free(d->sunspec->seen);
    tg_free(d->sunspec);
}

/* --- after the walk ------------------------------------------------------------------------------------------------- */

/* The item of a point: from its value to its scale factor, whichever comes first. */
static bool place(struct tg_modbus_device *d, struct tg_modbus_item *item, struct tg_error *err)
{
    struct tg_modbus_sunspec *s = d->sunspec;
    struct tg_modbus_point *p = &d->points[item->tag];
    uint32_t from, to;
    int32_t *factor = &s->factors[item->tag];
    if (tg_sunspec_resolve(&s->refs[item->tag], &s->walk.map, p, factor, err) < 0)
        return false;
    from = p->address;
    to = from + p->count;
    if (*factor >= 0 && (uint32_t)*factor < from)
        from = (uint32_t)*factor;
    if (*factor >= 0 && (uint32_t)*factor >= to)
        to = (uint32_t)*factor + 1;
    if (to - from > d->limits.max_registers) {
        tg_error_set(err, TG_ETOOBIG,
                     "the value and its scale factor are %u registers apart, max_count is %u", to - from,
                     d->limits.max_registers);
        return false;
    }
    item->table = p->table;
    item->address = (uint16_t)from;
    item->count = (uint16_t)(to - from);
    return true;
}

/* Those with a place come first and are sorted, the others stay hidden behind them. */
static void place_all(struct tg_modbus_instance *m, struct tg_modbus_device *d)
{
    const size_t n = d->item_count + d->hidden_count;
    struct tg_modbus_sunspec *s = d->sunspec;
    size_t shown = 0;
    for (size_t i = 0; i < n; i++) {
        struct tg_modbus_item item = d->items[i];
        struct tg_error err = {0};
        bool ordinary = s->refs[item.tag].instance == 0, here = ordinary || place(d, &item, &err);
        item.fence = false;
        if (!here && !s->optional[item.tag] && !d->complained[item.tag]) {
            d->complained[item.tag] = true;
            m->host->log(m->host->source, TG_LOG_WARN, "device %s, point %s: %s", d->config->id,
                         d->config->points[item.tag].name, err.text);
        }
        d->items[i] = item;
        if (here) { /* swap: what is hidden moves behind */
            d->items[i] = d->items[shown];
            d->items[shown++] = item;
        }
    }
    d->item_count = shown;
    d->hidden_count = n - shown;
    tg_modbus_plan_sort(d->items, d->item_count);
}

static void tell_models(struct tg_modbus_instance *m, uint32_t device)
{
    const struct tg_modbus_device *d = &m->devices[device];
    const struct tg_sunspec_walk *w = &d->sunspec->walk;
    char text[256] = "";
    struct tg_writer out = tg_writer_init(text, sizeof text - 1);
    for (uint32_t i = 0; i < w->map.count; i++)
        tg_write_fmt(&out, "%s%u", i ? ", " : "", w->map.models[i].id);
    text[out.len] = '\0';
    if (!w->found) {
        m->host->log(m->host->source, TG_LOG_WARN,
                     "device %s: no SunSpec models: %s; looked for again in %d s", d->config->id, w->trouble,
                     RETRY_MS / 1000);
        tg_modbus_report_state(m, device, TG_DEVICE_OK,
                               "unit %u answers, but has no SunSpec models: %s; looked for again every %d s",
                               m->units[device].id, w->trouble, RETRY_MS / 1000);
    } else {
        tg_modbus_report_state(m, device, TG_DEVICE_OK, "unit %u answers, SunSpec models %s",
                               m->units[device].id, text);
        m->host->log(m->host->source, TG_LOG_INFO, "device %s: SunSpec models %s%s%s", d->config->id, text,
                     w->trouble ? "; " : "", w->trouble ? w->trouble : "");
    }
}

/* --- turns ------------------------------------------------------------------------------------------------------------- */

void tg_modbus_sunspec_begin_turn(struct tg_modbus_instance *m, uint32_t device)
{
    struct tg_modbus_sunspec *s = m->devices[device].sunspec;
    int64_t now = tg_modbus_now(m);
    bool fresh = !s || s->walked;
    if (!s)
        return;
    if (s->link_opened_ms != m->opened_ms || m->units[device].state == TG_MODBUS_UNIT_DOWN ||
        (s->walked && !s->walk.found && now >= s->again_ms))
        fresh = false;
    if (fresh || (!s->walked && s->walk.in_chain && s->link_opened_ms == m->opened_ms))
        return; /* done, or in the middle of it */
    s->walked = false;
    s->link_opened_ms = m->opened_ms;
    tg_sunspec_walk_begin(&s->walk);
}

bool tg_modbus_sunspec_step(struct tg_modbus_instance *m)
{
    const uint32_t device = m->job.device;
    struct tg_modbus_device *d = &m->devices[device];
    struct tg_modbus_sunspec *s = d->sunspec;
    struct tg_modbus_request r = {.unit = m->units[device].id, .function = TG_MODBUS_READ_HOLDING};
    struct tg_modbus_answer a;
    uint16_t words[2];
    enum tg_modbus_outcome o;
    if (!s || s->walked)
        return false;
    if (!tg_sunspec_walk_next(&s->walk, &r.address, &r.count)) {
        s->walked = true;
        s->again_ms = tg_modbus_now(m) + RETRY_MS;
        tell_models(m, device);
        place_all(m, d);
        m->job.active = false; /* its points are still due, and now they have places */
        return true;
    }
    o = tg_modbus_exchange(m, device, &r, &a);
    if (o == TG_MODBUS_GOT_ANSWER) {
        tg_modbus_note_answer(m, device, false, false);
        tg_modbus_answer_words(&r, &a, words);
        tg_sunspec_walk_words(&s->walk, words);
    } else if (o == TG_MODBUS_GOT_EXCEPTION && !tg_modbus_gateway_exception(a.exception)) {
        tg_modbus_note_answer(m, device, false, true);
        tg_sunspec_walk_refused(&s->walk);
    } else {
        tg_modbus_turn_failed(m, device, &r, o, a.exception, m->job.groups, 0);
    }
    return true;
}

void tg_modbus_sunspec_scale(const struct tg_modbus_device *d, uint32_t point, const uint16_t *words,
                             uint16_t first, struct tg_point_value *v)
{
    const int32_t factor = d->sunspec ? d->sunspec->factors[point] : -1;
    if (factor < 0 || v->quality != TG_QUALITY_GOOD || tg_sunspec_scale(&v->value, words[factor - first]))
        return;
    *v = (struct tg_point_value){.point = point, .quality = TG_QUALITY_SENSOR};
}

bool tg_modbus_sunspec_shown(struct tg_modbus_device *d, const struct tg_point_value *v)
{
    struct tg_modbus_sunspec *s = d->sunspec;
    if (!s)
        return true;
    s->seen[v->point] |= v->quality == TG_QUALITY_GOOD;
    return !s->optional[v->point] || s->seen[v->point];
}
