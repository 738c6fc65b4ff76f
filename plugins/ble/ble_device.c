/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/ble_device.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/plural.h"
#include "plugins/ble/ble_keys.h"
#include "plugins/ble/gatt_set.h"

#define SWEEP_MS      1000
#define BURST_SECONDS 2
#define SUSPECT_MS    60000 /* nothing could be made of what it said for so long */

/* --- from settings --- */

/* Of the file that the device names, else of the folder. One in the folder that cannot be used is no reason to open nothing: the device says
 * that its key is missing, the log says why. */
static int find_key(const struct ble_devices *d, struct ble_device *device, const char *path,
                    const char *key_folder, char *error, size_t error_size)
{
    char text[256];
    if (path) {
        device->has_key = ble_key_read(path, &device->key, text, sizeof text);
        if (!device->has_key)
            snprintf(error, error_size, "bind_key_file: %s", text);
        return device->has_key ? TG_PLUGIN_OK : TG_PLUGIN_EINVAL;
    }
    device->has_key = ble_key_of(key_folder, &device->address, &device->key, text, sizeof text);
    if (text[0])
        d->host->log(d->host->source, TG_LOG_ERROR, "bind_keys: %s; %s has no key", text,
                     d->source->devices[device->index].id);
    return TG_PLUGIN_OK;
}

static int init_device(struct ble_devices *d, struct ble_device *device, uint32_t formats,
                       const char *key_folder, char *error, size_t error_size)
{
    const struct tg_host *h = d->host;
    const struct tg_device *from = &d->source->devices[device->index];
    const char *address = h->get_text(from->settings, "address");
    device->formats =
        h->has(from->settings, "format") ? TG_BLE_FORMAT_BIT(h->get_int(from->settings, "format")) : formats;
    device->stale_given = h->has(from->settings, "stale_after");
    if (device->stale_given)
        device->stale_after_ms = h->get_int(from->settings, "stale_after");
    device->rate = h->get_int(from->settings, "max_rate");
    device->tokens_ms = BURST_SECONDS * 1000;
    device->rssi = TG_BLE_RSSI_UNKNOWN;
    device->has_address = tg_ble_address_parse(address ? address : from->id, &device->address);
    if (!device->has_address) {
        snprintf(error, error_size,
                 "device %s: %s \"%s\" is no Bluetooth address such as a4:c1:38:00:00:01%s", from->id,
                 address ? "address" : "its id", address ? address : from->id,
                 address ? "" : ", and it has no `address`");
        return TG_PLUGIN_EINVAL;
    }
    if (find_key(d, device, h->get_text(from->settings, "bind_key_file"), key_folder, error, error_size) < 0)
        return TG_PLUGIN_EINVAL;
    return ble_points_init(&device->points, h, from);
}

static uint32_t slot_of(const struct ble_devices *d, const struct tg_ble_address *address)
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < 6; i++)
        hash = (hash ^ address->bytes[i]) * 16777619u;
    return (hash ^ hash >> 15) & d->slot_mask;
}

static int index_device(struct ble_devices *d, uint32_t index, char *error, size_t error_size)
{
    const struct ble_device *device = &d->items[index], *other;
    uint32_t slot = slot_of(d, &device->address);
    other = ble_devices_find(d, &device->address);
    if (other) {
        snprintf(error, error_size, "devices %s and %s have the same address",
                 d->source->devices[other->index].id, d->source->devices[index].id);
        return TG_PLUGIN_EINVAL;
    }
    while (d->slots[slot])
        slot = (slot + 1) & d->slot_mask;
    d->slots[slot] = index + 1;
    return TG_PLUGIN_OK;
}

int ble_devices_init(struct ble_devices *d, const struct tg_host *host, const struct tg_source *source,
                     uint32_t formats, const char *key_folder, char *error, size_t error_size)
{
    uint32_t slots = 16, points = 0;
    memset(d, 0, sizeof *d);
    d->host = host;
    d->source = source;
    while (slots < 2 * source->device_count)
        slots *= 2;
    for (uint32_t i = 0; i < source->device_count; i++) {
        if (source->devices[i].point_count > points)
            points = source->devices[i].point_count;
    }
    d->items = calloc(source->device_count + 1u, sizeof *d->items);
    d->slots = calloc(slots, sizeof *d->slots);
    d->values = calloc(points + 1u, sizeof *d->values);
    if (!d->items || !d->slots || !d->values)
        return TG_PLUGIN_ENOMEM;
    d->slot_mask = slots - 1;
    for (uint32_t i = 0; i < source->device_count; i++) {
        int rc;
        d->items[i].index = i;
        d->count = i + 1;
        rc = init_device(d, &d->items[i], formats, key_folder, error, error_size);
        if (rc == TG_PLUGIN_OK)
            rc = index_device(d, i, error, error_size);
        if (rc < 0)
            return rc;
    }
    return TG_PLUGIN_OK;
}

void ble_devices_fini(struct ble_devices *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        explicit_bzero(&d->items[i].key, sizeof d->items[i].key);
        ble_points_fini(&d->items[i].points);
    }
    free(d->items);
    free(d->slots);
    free(d->values);
}

struct ble_device *ble_devices_find(struct ble_devices *d, const struct tg_ble_address *address)
{
    for (uint32_t slot = slot_of(d, address); d->slots[slot]; slot = (slot + 1) & d->slot_mask) {
        struct ble_device *device = &d->items[d->slots[slot] - 1];
        if (tg_ble_address_eq(&device->address, address))
            return device;
    }
    return NULL;
}

bool ble_devices_broadcast(const struct ble_devices *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->items[i].points.count)
            return true;
    }
    return false;
}

/* --- an advertisement --- */

static void set_state(struct ble_devices *d, struct ble_device *device, uint32_t state, const char *text)
{
    if (device->state == state)
        return;
    device->state = state;
    if (!device->gatt) /* its readings are in this state; the GATT set tells that of the device */
        d->host->device_state(d->host->source, device->index, state, text);
}

/* Tokens are milliseconds of time: one advertisement costs 1000 / rate of them. */
static bool let_in(struct ble_devices *d, struct ble_device *device, int64_t now_ms)
{
    const int64_t cost_ms = 1000 / device->rate > 0 ? 1000 / device->rate : 1;
    const char *id = d->source->devices[device->index].id;
    device->tokens_ms += now_ms - device->refill_ms;
    device->refill_ms = now_ms;
    if (device->tokens_ms > BURST_SECONDS * 1000)
        device->tokens_ms = BURST_SECONDS * 1000;
    if (device->tokens_ms < cost_ms) {
        device->flooded++;
        if (!device->flooding)
            d->host->log(d->host->source, TG_LOG_WARN,
                         "%s sends more than %" PRId64 " advertisements a second: the rest is left out", id,
                         device->rate);
        device->flooding = true;
        return false;
    }
    device->tokens_ms -= cost_ms;
    if (device->flooding && device->tokens_ms >= 1000) {
        device->flooding = false;
        d->host->log(d->host->source, TG_LOG_INFO,
                     "%s is within its rate again; %" PRIu64 " %s left out so far", id, device->flooded,
                     tg_plural(device->flooded, "advertisement was", "advertisements were"));
    }
    return true;
}

static void note_pause(struct ble_device *device, int64_t now_ms)
{
    const int64_t pause_ms = device->heard_ms ? now_ms - device->heard_ms : 0;
    device->pause_ms -= device->pause_ms / 64;
    if (pause_ms > device->pause_ms)
        device->pause_ms = pause_ms;
    device->heard_ms = now_ms ? now_ms : 1;
    device->heard++;
}

static void tell_model(struct ble_devices *d, struct ble_device *device)
{
    struct tg_value model;
    if (!d->readings.model[0] || strcmp(device->model, d->readings.model) == 0 ||
        !TG_HOST_HAS(d->host, device_fact))
        return;
    memcpy(device->model, d->readings.model, sizeof device->model);
    model = tg_value_text(device->model, strlen(device->model));
    (void)d->host->device_fact(d->host->source, device->index, "model",
                               &model); /* a full queue: told with the next model */
}

static void emit_readings(struct ble_devices *d, struct ble_device *device)
{
    const uint32_t count = ble_points_take(&device->points, &d->readings, d->values);
    if (count && d->host->emit(d->host->source, device->index, 0, d->values, count) < 0)
        device->refused++;
    tell_model(d, device);
}

void ble_device_advert(struct ble_devices *d, struct ble_device *device, const struct tg_ble_advert *advert)
{
    enum tg_ble_verdict verdict;
    note_pause(device, advert->time_ms);
    device->rssi = advert->rssi;
    if (device->points.count == 0 || !let_in(d, device, advert->time_ms))
        return;
    verdict = tg_ble_decode(device->formats, advert, device->has_key ? &device->key : NULL, &device->guard,
                            &d->readings);
    device->verdicts[verdict]++;
    switch (verdict) {
    case TG_BLE_OK:
        emit_readings(d, device);
        device->good_ms = advert->time_ms;
        set_state(d, device, TG_DEVICE_OK, NULL);
        break;
    case TG_BLE_DUPLICATE:
    case TG_BLE_EMPTY:
        device->good_ms = advert->time_ms;
        set_state(d, device, TG_DEVICE_OK, NULL);
        break;
    case TG_BLE_NOT_MINE: /* sensors send other frames in between: names, beacons */
        break;
    default:
        if (device->state != TG_DEVICE_OK || advert->time_ms - device->good_ms >= SUSPECT_MS)
            set_state(d, device, TG_DEVICE_SUSPECT, tg_ble_verdict_text(verdict));
        break;
    }
}

/* --- silence --- */

static void all_points(struct ble_devices *d, struct ble_device *device, uint32_t quality)
{
    const uint32_t count = ble_points_all(&device->points, quality, d->values);
    if (count && d->host->emit(d->host->source, device->index, 0, d->values, count) < 0)
        device->refused++;
}

void ble_devices_adapter(struct ble_devices *d, bool up, const char *text, int64_t now_ms)
{
    const bool was_up = d->since_ms != 0;
    d->since_ms = up ? (now_ms ? now_ms : 1) : 0;
    for (uint32_t i = 0; i < d->count; i++) {
        struct ble_device *device = &d->items[i];
        if (up && device->state == TG_DEVICE_DOWN)
            set_state(d, device, TG_DEVICE_UNKNOWN, "not heard yet");
        if (!up && !was_up && device->state == TG_DEVICE_DOWN && !device->gatt) /* another reason */
            d->host->device_state(d->host->source, device->index, TG_DEVICE_DOWN, text);
        if (up || device->state == TG_DEVICE_DOWN)
            continue;
        all_points(d, device, TG_QUALITY_COMM);
        set_state(d, device, TG_DEVICE_DOWN, text);
    }
}

/* 0: never. */
static int64_t stale_after(const struct ble_device *device)
{
    int64_t after_ms = 3 * device->pause_ms;
    if (device->stale_given)
        return device->stale_after_ms;
    if (device->pause_ms == 0)
        return BLE_STALE_FIRST_MS;
    if (after_ms > BLE_STALE_MAX_MS)
        after_ms = BLE_STALE_MAX_MS;
    return after_ms > BLE_STALE_MIN_MS ? after_ms : BLE_STALE_MIN_MS;
}

static void look_after(struct ble_devices *d, struct ble_device *device, int64_t now_ms)
{
    const int64_t after_ms = stale_after(device);
    const int64_t since_ms = device->heard_ms > d->since_ms ? device->heard_ms : d->since_ms;
    char text[BLE_STATE_TEXT];
    if (device->state == TG_DEVICE_DOWN || device->points.count == 0 || after_ms == 0 ||
        now_ms - since_ms < after_ms)
        return;
    if (device->heard_ms)
        snprintf(text, sizeof text, "not heard for %" PRId64 " s", (now_ms - device->heard_ms) / 1000);
    else
        snprintf(text, sizeof text,
                 "not heard since the source was opened: is it near, and is its address right?");
    all_points(d, device, TG_QUALITY_STALE);
    set_state(d, device, TG_DEVICE_DOWN, text);
}

int64_t ble_devices_sweep(struct ble_devices *d, int64_t now_ms)
{
    if (now_ms < d->sweep_ms)
        return d->sweep_ms;
    d->sweep_ms = now_ms + SWEEP_MS;
    for (uint32_t i = 0; d->since_ms && i < d->count; i++)
        look_after(d, &d->items[i], now_ms);
    return d->sweep_ms;
}

void ble_device_counters(const struct ble_device *device, int64_t now_ms, char *json, size_t size)
{
    size_t at =
        (size_t)snprintf(json, size, "{\"heard\":%" PRIu64 ",\"flooded\":%" PRIu64 ",\"refused\":%" PRIu64,
                         device->heard, device->flooded, device->refused);
    if (device->heard_ms)
        at += (size_t)snprintf(json + at, size - at, ",\"heard_ms_ago\":%" PRId64 ",\"rssi\":%d",
                               now_ms - device->heard_ms, device->rssi);
    for (int v = 0; v < TG_BLE_VERDICTS; v++)
        at += (size_t)snprintf(json + at, size - at, ",\"%s\":%" PRIu64,
                               tg_ble_verdict_name((enum tg_ble_verdict)v), device->verdicts[v]);
    snprintf(json + at, size - at, "}");
}
