/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "plugins/ble/gatt_private.h"
#include "southbound/ble/gatt_known.h"

#define FOREVER INT64_MAX

const char *const tg_gatt_security_names[] = {"low", "medium", "high", NULL};
const char *const tg_gatt_notify_names[] = {"auto", "true", "false", NULL};

/* --- options ------------------------------------------------------------------------------------------ */

bool tg_gatt_is_point(const struct tg_host *host, const struct tg_settings *point)
{
    return host->has(point, "characteristic");
}

int gatt_point_options(const struct tg_host *host, const struct tg_point *point,
                       struct gatt_point_options *ret, const char **ret_option, struct tg_error *err)
{
    const struct tg_settings *s = point->settings;
    const char *text = host->get_text(s, "characteristic");
    *ret_option = "characteristic";
    int rc = tg_gatt_selector_parse(tg_bytes_str(text), &ret->selector, err);
    if (rc < 0)
        return rc;
    ret->selector.instance = (uint8_t)host->get_int(s, "instance");
    ret->notify = (uint8_t)host->get_int(s, "notify");
    const struct tg_gatt_known *k = tg_gatt_known_uuid(&ret->selector.uuid);
    const char *format = host->has(s, "format") ? host->get_text(s, "format") : k ? k->format : NULL;
    if (!format)
        return tg_error_set(err, TG_EINVAL,
                            "characteristic %.60s is not a known one: it needs `format`, like s16le*0.01",
                            text);
    *ret_option = "format";
    rc = tg_gatt_format_parse(tg_bytes_str(format), &ret->format, err);
    if (rc < 0)
        return rc;
    if (point->writable && !tg_gatt_format_writable(&ret->format))
        return tg_error_set(err, TG_EINVAL,
                            "writable: format %.40s can only be read; a value that is written is the whole "
                            "characteristic, an integer, a real, utf8 or hex",
                            format);
    return TG_OK;
}

int tg_gatt_check_point(const struct tg_host *host, const struct tg_settings *device,
                        const struct tg_point *point, const char **ret_option, char *error, size_t error_size)
{
    struct gatt_point_options o;
    struct tg_error err = {0};
    const char *option = NULL;
    (void)device;
    if (gatt_point_options(host, point, &o, &option, &err) == TG_OK)
        return TG_PLUGIN_OK;
    if (ret_option)
        *ret_option = option;
    snprintf(error, error_size, "%s", err.text);
    return TG_PLUGIN_EINVAL;
}

/* --- when ------------------------------------------------------------------------------------------------ */

static int64_t every_ms(const struct gatt_device *d, uint32_t i)
{
    int64_t every = d->config->points[i].every_ms;
    if (every > 0)
        return every;
    return d->wants[i].subscribe ? 0 : GATT_EVERY_MS;
}

void gatt_points_all_due(struct gatt_device *d, int64_t now_ms)
{
    for (uint32_t i = 0; i < d->point_count; i++)
        d->points[i].due_ms = now_ms;
}

int64_t gatt_points_next_ms(const struct gatt_device *d)
{
    int64_t next = FOREVER;
    for (uint32_t i = 0; i < d->point_count; i++) {
        if (!d->wants[i].off && d->points[i].due_ms < next)
            next = d->points[i].due_ms;
    }
    return next;
}

static void set_next_due(struct gatt_device *d, uint32_t i, int64_t now_ms)
{
    int64_t every = every_ms(d, i), *due = &d->points[i].due_ms;
    if (every == 0) {
        *due = FOREVER;
        return;
    }
    if (*due > now_ms + GATT_MERGE_MS)
        return;
    *due = *due == FOREVER ? now_ms : *due + every;
    if (*due <= now_ms) /* turns that were missed are not made up for */
        *due = now_ms + every;
}

void gatt_points_mark_due(struct gatt_device *d, int64_t now_ms)
{
    for (uint32_t i = 0; i < d->point_count; i++) {
        int64_t every = every_ms(d, i), early = every / 10 < GATT_MERGE_MS ? every / 10 : GATT_MERGE_MS;
        if (d->wants[i].off || d->points[i].due_ms > now_ms + early)
            continue;
        d->wants[i].due = true;
        set_next_due(d, i, now_ms);
    }
}

/* --- values ------------------------------------------------------------------------------------------------ */

static void emit(struct tg_gatt_set *set, const struct gatt_device *d, const struct tg_point_value *v,
                 uint32_t count)
{
    /* A full queue is counted by the host; the next value comes. */
    if (count)
        (void)set->host->emit(set->host->source, d->index, 0, v, count);
}

void gatt_points_flush(struct tg_gatt_set *set, struct gatt_device *d)
{
    emit(set, d, d->pending, d->pending_count);
    d->pending_count = 0;
}

static void hold(struct tg_gatt_set *set, struct gatt_device *d, const struct tg_point_value *v)
{
    if (v->value.type == TG_VALUE_TEXT) { /* lives on the stack of the caller */
        emit(set, d, v, 1);
        return;
    }
    if (d->pending_count == d->point_count)
        gatt_points_flush(set, d);
    d->pending[d->pending_count++] = *v;
}

static void take_fact(struct tg_gatt_set *set, struct gatt_device *d, uint32_t i, struct tg_bytes value)
{
    const struct tg_gatt_known *k = tg_gatt_known_uuid(&d->wants[i].selector.uuid);
    struct tg_gatt_format utf8 = {.type = TG_GATT_UTF8, .bit = -1};
    char text[TG_GATT_TEXT_BYTES];
    struct tg_value v;
    if (!k || !k->fact || !TG_HOST_HAS(set->host, device_fact))
        return;
    if (tg_gatt_decode(&utf8, value, text, &v) == TG_GATT_READING_GOOD && v.text_len)
        (void)set->host->device_fact(set->host->source, d->index, k->fact, &v);
}

void gatt_points_take(struct tg_gatt_set *set, struct gatt_device *d, uint16_t handle, struct tg_bytes value,
                      bool told)
{
    char text[TG_GATT_TEXT_BYTES];
    for (uint32_t i = 0; i < d->point_count + GATT_FACTS; i++) {
        const struct tg_gatt_want *w = &d->wants[i];
        if (w->off || w->handle != handle || w->finding != TG_GATT_FOUND || (told ? !w->subscribe : !w->due))
            continue;
        if (i >= d->point_count) {
            take_fact(set, d, i, value);
            continue;
        }
        struct tg_point_value v = {.point = i};
        enum tg_gatt_reading r = tg_gatt_decode(&d->points[i].format, value, text, &v.value);
        v.quality = tg_gatt_reading_quality(r);
        if (v.quality == TG_QUALITY_CONFIG && d->points[i].told != 0xFF) {
            d->points[i].told = 0xFF;
            set->host->log(
                set->host->source, TG_LOG_WARN,
                "device %s, point %s: the %zu bytes received are not of its format (%s); it has no value",
                d->config->id, d->config->points[i].name, value.len, tg_gatt_reading_name(r));
        }
        hold(set, d, &v);
    }
    if (told)
        gatt_points_flush(set, d);
}

void gatt_points_none(struct tg_gatt_set *set, struct gatt_device *d, uint32_t quality, bool all,
                      int64_t now_ms)
{
    for (uint32_t i = 0; i < d->point_count; i++) {
        struct tg_gatt_want *w = &d->wants[i];
        if (w->off || (!all && !w->due && d->points[i].due_ms > now_ms))
            continue;
        if (d->config->points[i].every_ms > 0 && d->points[i].due_ms <= now_ms)
            set_next_due(d, i, now_ms);
        w->due = false;
        hold(set, d, &(struct tg_point_value){.point = i, .quality = quality});
    }
    gatt_points_flush(set, d);
}

/* --- what cannot be had --------------------------------------------------------------------------------- */

static void tell(struct tg_gatt_set *set, struct gatt_device *d, uint32_t i, uint8_t what, const char *text)
{
    if (d->trouble[0] == '\0') /* the first one is told; the log has all */
        snprintf(d->trouble, sizeof d->trouble, "point %.40s: %.100s", d->config->points[i].name, text);
    if (d->points[i].told == what)
        return;
    d->points[i].told = what;
    set->host->log(set->host->source, TG_LOG_WARN, "device %s, point %s: %s; it has no value", d->config->id,
                   d->config->points[i].name, text);
}

void gatt_points_refused(struct tg_gatt_set *set, struct gatt_device *d, uint16_t handle, uint8_t code)
{
    char text[120];
    for (uint32_t i = 0; i < d->point_count; i++) {
        const struct tg_gatt_want *w = &d->wants[i];
        if (w->off || w->handle != handle || !w->due || w->finding != TG_GATT_FOUND)
            continue;
        snprintf(text, sizeof text, "the device refused to let it be read: %s (0x%02x)",
                 tg_att_code_name(code), code);
        tell(set, d, i, code, text);
        hold(set, d, &(struct tg_point_value){.point = i, .quality = TG_QUALITY_DEVICE});
    }
}

static const char *finding_text(const struct tg_gatt_want *w)
{
    switch (w->finding) {
    case TG_GATT_ABSENT:
        return "the device has no such characteristic";
    case TG_GATT_NO_NOTIFY:
        return "the characteristic does not notify, and `notify: true` asks for it";
    case TG_GATT_NOT_READABLE:
        return "the characteristic can neither be read nor does it notify";
    default:
        return NULL;
    }
}

void gatt_points_review(struct tg_gatt_set *set, struct gatt_device *d, int64_t now_ms)
{
    char text[120];
    d->subscriber = false;
    for (uint32_t i = 0; i < d->point_count; i++) {
        struct tg_gatt_want *w = &d->wants[i];
        const char *why = finding_text(w);
        d->subscriber |= w->subscribed;
        if (w->subscribe && d->config->points[i].every_ms == 0 && !w->due)
            d->points[i].due_ms = FOREVER;
        if (w->subscribe && w->settled && !w->subscribed && w->code) {
            snprintf(text, sizeof text, "the device refused the subscription: %s (0x%02x)",
                     tg_att_code_name(w->code), w->code);
            if (d->points[i].told != w->code)
                hold(set, d, &(struct tg_point_value){.point = i, .quality = TG_QUALITY_DEVICE});
            tell(set, d, i, w->code, text);
            if (d->points[i].due_ms == FOREVER) /* asked again on a later connection */
                d->points[i].due_ms = now_ms + GATT_EVERY_MS;
        }
        if (!why || (w->finding == TG_GATT_NOT_READABLE && d->config->points[i].writable)) {
            if (why)
                d->points[i].due_ms = FOREVER;
            continue;
        }
        tell(set, d, i, (uint8_t)(0xF0 + w->finding), why);
        if (w->due)
            hold(set, d, &(struct tg_point_value){.point = i, .quality = TG_QUALITY_CONFIG});
        w->due = false;
    }
    if (d->plan.table.overflow && d->trouble[0] == '\0')
        snprintf(d->trouble, sizeof d->trouble,
                 "it has more than %d services or %d characteristics; the others are not looked at",
                 TG_GATT_MAX_SERVICES, TG_GATT_MAX_CHARACTERISTICS);
    d->facts_told = true;
    for (uint32_t i = d->point_count; i < d->point_count + GATT_FACTS; i++)
        d->wants[i].off = true;
}
