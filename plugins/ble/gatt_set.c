/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/gatt_set.h"

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "plugins/ble/gatt_private.h"

static const uint16_t facts[GATT_FACTS] = {0x2A24, 0x2A26, 0x2A25}; /* model, firmware, serial */

void tg_gatt_config_read(const struct tg_host *host, const struct tg_settings *source,
                         struct tg_gatt_config *ret_config)
{
    ret_config->slots = (uint32_t)host->get_int(source, "connections");
    ret_config->connect_timeout_ms = host->get_int(source, "connect_timeout");
    ret_config->sockets = NULL;
}

/* --- devices -------------------------------------------------------------------------------------------- */

static void device_free(struct gatt_device *d)
{
    if (!d)
        return;
    tg_free(d->wants);
    tg_free(d->points);
    tg_free(d->pending);
    tg_free(d);
}

static int open_points(struct tg_gatt_set *set, struct gatt_device *d, struct tg_error *err)
{
    for (uint32_t i = 0; i < d->point_count; i++) {
        const struct tg_point *p = &d->config->points[i];
        struct gatt_point_options o;
        const char *option;
        d->wants[i].off = !tg_gatt_is_point(set->host, p->settings);
        if (d->wants[i].off)
            continue;
        int rc = gatt_point_options(set->host, p, &o, &option, err);
        if (rc < 0)
            return tg_error_wrap(err, "device %s, point %s: %s", d->config->id, p->name, option);
        d->wants[i].selector = o.selector;
        d->wants[i].notify = o.notify;
        d->wants[i].periodic = p->every_ms > 0;
        d->subscriber |= o.notify == TG_GATT_NOTIFY_TRUE; /* until it is known */
        d->points[i].format = o.format;
    }
    for (uint32_t i = 0; i < GATT_FACTS; i++) {
        d->wants[d->point_count + i].notify = TG_GATT_NOTIFY_FALSE;
        d->wants[d->point_count + i].off = d->point_count == 0;
        d->wants[d->point_count + i].selector = (struct tg_gatt_selector){.uuid = tg_att_uuid16(facts[i]),
                                                                          .service = tg_att_uuid16(0x180A),
                                                                          .has_service = true,
                                                                          .instance = 1};
    }
    gatt_job_want(d)->off = true;
    return TG_OK;
}

static int device_new(struct tg_gatt_set *set, uint32_t index, bool has_points, struct gatt_device **ret,
                      struct tg_error *err)
{
    const struct tg_device *config = &set->source->devices[index];
    uint32_t points = has_points ? config->point_count : 0;
    struct gatt_device *d = tg_calloc(1, sizeof *d);
    int rc = TG_ENOMEM;
    if (!d)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    d->index = index;
    d->config = config;
    d->point_count = points;
    d->wants = tg_calloc(points + GATT_FACTS + 1, sizeof *d->wants);
    d->points = tg_calloc(points + 1, sizeof *d->points);
    d->pending = tg_calloc(points + 1, sizeof *d->pending);
    if (!d->wants || !d->points || !d->pending) {
        rc = tg_error_set(err, TG_ENOMEM, "out of memory");
        goto fail;
    }
    if (!set->config.address(set->config.user, index, &d->address)) {
        rc = tg_error_set(err, TG_EINVAL, "device %s has no Bluetooth address: it cannot be connected",
                          config->id);
        goto fail;
    }
    if (d->address.type == 0) {
        d->guess_type = true;
        d->address.type = TG_BLE_ADDRESS_PUBLIC;
    }
    rc = open_points(set, d, err);
    if (rc < 0)
        goto fail;
    d->security = (uint8_t)set->host->get_int(config->settings, "security");
    d->backoff = (struct tg_backoff){.floor_ms = 1000, .base_ms = 2000, .cap_ms = 60000, .stable_ms = 10000};
    d->heard_ms = d->failed_ms = -1;
    tg_gatt_plan_init(&d->plan, d->wants, (uint16_t)(points + GATT_FACTS + 1));
    *ret = d;
    return TG_OK;
fail:
    device_free(d);
    return rc;
}

struct gatt_device *gatt_device_of(struct tg_gatt_set *set, uint32_t index, struct tg_error *err)
{
    if (!set->devices[index] && device_new(set, index, false, &set->devices[index], err) < 0)
        return NULL;
    return set->devices[index];
}

static bool has_gatt_points(const struct tg_gatt_set *set, const struct tg_device *d)
{
    for (uint32_t i = 0; i < d->point_count; i++) {
        if (tg_gatt_is_point(set->host, d->points[i].settings))
            return true;
    }
    return false;
}

static int open_devices(struct tg_gatt_set *set, struct tg_error *err)
{
    int64_t now = set->host->now_ms(set->host->source);
    for (uint32_t i = 0; i < set->source->device_count; i++) {
        const struct tg_device *config = &set->source->devices[i];
        if (!has_gatt_points(set, config))
            continue;
        if (config->point_count > GATT_MAX_POINTS)
            return tg_error_set(err, TG_EINVAL,
                                "device %s has %u points; a device with GATT points has at most %d",
                                config->id, config->point_count, GATT_MAX_POINTS);
        int rc = device_new(set, i, true, &set->devices[i], err);
        if (rc < 0)
            return rc;
        gatt_points_all_due(set->devices[i], now);
    }
    return TG_OK;
}

/* --- life ------------------------------------------------------------------------------------------------- */

int tg_gatt_new(const struct tg_host *host, const struct tg_source *source,
                const struct tg_gatt_config *config, struct tg_gatt_set **ret, char *error, size_t error_size)
{
    struct tg_error err = {0};
    struct tg_gatt_set *set = tg_calloc(1, sizeof *set);
    uint32_t n = source->device_count;
    if (!set) {
        snprintf(error, error_size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    set->host = host;
    set->source = source;
    set->config = *config;
    if (!set->config.sockets)
        set->config.sockets = &tg_gatt_l2cap;
    set->devices = tg_calloc(n ? n : 1, sizeof(struct gatt_device *));
    int rc = set->devices ? open_devices(set, &err) : tg_error_set(&err, TG_ENOMEM, "out of memory");
    if (rc < 0) {
        snprintf(error, error_size, "%s", err.text);
        tg_gatt_free(set);
        return rc == TG_ENOMEM ? TG_PLUGIN_ENOMEM : TG_PLUGIN_EINVAL;
    }
    *ret = set;
    return TG_PLUGIN_OK;
}

void tg_gatt_free(struct tg_gatt_set *set)
{
    if (!set)
        return;
    gatt_jobs_end(set);
    gatt_slots_close_all(set, "the source was stopped", 0);
    for (uint32_t i = 0; set->devices && i < set->source->device_count; i++)
        device_free(set->devices[i]);
    tg_free(set->devices);
    tg_free(set);
}

bool tg_gatt_has(const struct tg_gatt_set *set, uint32_t device)
{
    return set->devices[device] && set->devices[device]->point_count > 0;
}

void tg_gatt_address_type(struct tg_gatt_set *set, uint32_t device, uint8_t type)
{
    struct gatt_device *d = set->devices[device];
    if (!d || !d->guess_type || d->slot || (type != TG_BLE_ADDRESS_PUBLIC && type != TG_BLE_ADDRESS_RANDOM))
        return;
    d->guess_type = false;
    d->address.type = type;
    if (d->failures == 0)
        d->ready_ms = d->queued_ms = set->host->now_ms(set->host->source);
}

/* --- driving --------------------------------------------------------------------------------------------- */

int32_t tg_gatt_poll(struct tg_gatt_set *set, int64_t now_ms)
{
    gatt_jobs_tick(set, now_ms);
    gatt_slots_tick(set, now_ms);
    gatt_slots_schedule(set, now_ms);
    int64_t next = gatt_slots_next_ms(set, now_ms), job = gatt_jobs_next_ms(set);
    if (job < next)
        next = job;
    if (next == INT64_MAX)
        return TG_POLL_IDLE;
    if (next <= now_ms)
        return 0;
    return next - now_ms > 3600000 ? 3600000 : (int32_t)(next - now_ms);
}

bool tg_gatt_fd_ready(struct tg_gatt_set *set, int fd, uint32_t events, int64_t now_ms)
{
    for (uint32_t i = 0; i < set->config.slots; i++) {
        struct gatt_slot *s = &set->slots[i];
        if (s->device && s->link.fd == fd) {
            gatt_slot_ready(set, s, events, now_ms);
            return true;
        }
    }
    return false;
}

void tg_gatt_advert(struct tg_gatt_set *set, uint32_t device, int rssi, int64_t now_ms)
{
    struct gatt_device *d = set->devices[device];
    (void)rssi;
    if (!d)
        return;
    d->heard_ms = now_ms;
    if (d->slot || !d->failures || !d->unreachable)
        return;
    /* Heard and not reached, again and again: each time a second more, so that it does not keep the others out. */
    int64_t soonest = d->failed_ms + (d->failures < 10 ? d->failures : 10) * 1000;
    if (soonest < now_ms)
        soonest = now_ms;
    if (d->ready_ms > soonest)
        d->ready_ms = d->queued_ms = soonest;
}

bool tg_gatt_connecting(const struct tg_gatt_set *set)
{
    for (uint32_t i = 0; i < set->config.slots; i++) {
        if (set->slots[i].state == GATT_PREPARING || set->slots[i].state == GATT_CONNECTING)
            return true;
    }
    return false;
}

void tg_gatt_adapter(struct tg_gatt_set *set, bool up, const struct tg_ble_address *own)
{
    int64_t now = set->host->now_ms(set->host->source);
    bool same = up == set->up && (!up || memcmp(set->own.bytes, own->bytes, sizeof own->bytes) == 0);
    if (same)
        return;
    if (set->up)
        gatt_slots_close_all(set, "the adapter has gone", now);
    set->up = up;
    if (up)
        set->own = *own;
    for (uint32_t i = 0; i < set->source->device_count; i++) {
        struct gatt_device *d = set->devices[i];
        if (!d || d->point_count == 0)
            continue;
        d->ready_ms = d->queued_ms = now + (d->guess_type ? GATT_GUESS_MS : 0);
        d->backoff.attempt = 0;
        if (!up) {
            gatt_points_none(set, d, TG_QUALITY_COMM, true, now);
            gatt_device_tell(
                set, d, TG_DEVICE_DOWN,
                "the Bluetooth adapter is gone or switched off; it is connected when it is back");
        } else {
            gatt_points_all_due(d, now);
        }
    }
}
