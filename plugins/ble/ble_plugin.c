/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble - hears Bluetooth LE sensors, and reads and writes those that take connections. On a thread of its own: switching an adapter on or
 * resetting it blocks for seconds, and a thousand sensors should not hold up the loop.
 *
 *   radio (radio.h) ──advertisement──► device known: ble_device.h, gatt_set.h
 *                                      not known:    ble_strangers.h ──► host->discovered
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/ble/ble_decode_cmd.h"
#include "plugins/ble/ble_device.h"
#include "plugins/ble/ble_discover.h"
#include "plugins/ble/ble_keys.h"
#include "plugins/ble/ble_options.h"
#include "plugins/ble/ble_strangers.h"
#include "plugins/ble/gatt_set.h"
#include "plugins/ble/radio.h"

#define COUNTERS_BYTES 640

struct ble {
    const struct tg_host *host;
    const struct tg_source *source;
    uint32_t formats;
    const char *key_folder; /* or NULL */
    struct ble_devices devices;
    struct ble_strangers strangers;
    struct tg_ble_readings stranger_readings;
    struct tg_gatt_set *gatt;
    struct ble_radio radio;
};

/* --- what the radio tells --- */

/* What `bind_keys` makes of an encrypted advertisement. */
static enum tg_ble_verdict stranger_decrypted(struct ble *b, struct ble_stranger *entry,
                                              const struct tg_ble_advert *advert)
{
    enum tg_ble_verdict verdict = TG_BLE_NEEDS_KEY;
    struct tg_ble_key key;
    char text[256], id[TG_BLE_ADDRESS_BYTES];
    if (ble_key_of(b->key_folder, &advert->address, &key, text, sizeof text)) {
        verdict = tg_ble_decode(b->formats, advert, &key, NULL, &b->stranger_readings);
        explicit_bzero(&key, sizeof key);
        if (verdict != TG_BLE_OK && verdict != TG_BLE_EMPTY) {
            tg_ble_address_id(&advert->address, id);
            snprintf(text, sizeof text, "%s is not let in: %s", id, tg_ble_verdict_text(verdict));
        }
    }
    if (text[0] && !entry->told)
        b->host->log(b->host->source, TG_LOG_WARN, "bind_keys: %s", text);
    entry->told |= text[0] != '\0';
    return verdict;
}

/* A sensor that speaks an accepted format, under an address that it keeps, is announced. One whose key is not known is not: it would give no
 * value. */
static void stranger(struct ble *b, const struct tg_ble_advert *advert)
{
    char id[TG_BLE_ADDRESS_BYTES];
    enum tg_ble_verdict verdict;
    struct ble_stranger *entry = ble_stranger_heard(&b->strangers, advert);
    if (!entry || !ble_address_lasts(&advert->address) || !TG_HOST_HAS(b->host, discovered))
        return;
    verdict = tg_ble_decode(b->formats, advert, NULL, NULL, &b->stranger_readings);
    if (verdict == TG_BLE_NEEDS_KEY)
        verdict = stranger_decrypted(b, entry, advert);
    if (verdict != TG_BLE_OK && verdict != TG_BLE_EMPTY)
        return;
    tg_ble_address_id(&advert->address, id);
    (void)b->host->discovered(b->host->source, id,
                              ble_profile_of(b->stranger_readings.format)); /* a refusal is in the status */
}

static void on_advert(void *user, const struct tg_ble_advert *advert)
{
    struct ble *b = user;
    struct ble_device *device = ble_devices_find(&b->devices, &advert->address);
    if (!device) {
        stranger(b, advert);
        return;
    }
    ble_device_advert(&b->devices, device, advert);
    if (device->gatt) {
        tg_gatt_address_type(b->gatt, device->index, advert->address.type);
        tg_gatt_advert(b->gatt, device->index, advert->rssi, advert->time_ms);
    }
}

static void on_state(void *user, bool up, const struct tg_ble_address *own, const char *text)
{
    struct ble *b = user;
    if (!up && text[0])
        b->host->log(b->host->source, TG_LOG_WARN, "%s", text);
    ble_devices_adapter(&b->devices, up, text, b->host->now_ms(b->host->source));
    tg_gatt_adapter(b->gatt, up, own);
}

static void on_log(void *user, bool warn, const char *text)
{
    const struct ble *b = user;
    b->host->log(b->host->source, warn ? TG_LOG_WARN : TG_LOG_INFO, "%s", text);
}

static void on_watch(void *user, int fd, bool on)
{
    const struct ble *b = user;
    if (b->host->watch_fd(b->host->source, fd, on ? TG_FD_READ : 0) < 0 && on)
        b->host->log(b->host->source, TG_LOG_ERROR,
                     "the host watches no further descriptor: nothing will be heard");
}

static bool on_stopping(void *user)
{
    const struct ble *b = user;
    return b->host->stopping(b->host->source);
}

static int64_t on_now(void *user)
{
    const struct ble *b = user;
    return b->host->now_ms(b->host->source);
}

static const struct ble_radio_callbacks radio_callbacks = {on_advert, on_state,    on_log,
                                                           on_watch,  on_stopping, on_now};

/* --- the plugin's functions --- */

static void ble_close(void *self)
{
    struct ble *b = self;
    ble_radio_close(&b->radio);
    tg_gatt_free(b->gatt);
    ble_devices_fini(&b->devices);
    free(b);
}

/* `accept` into bits; false: *ret_wrong is no format. */
static bool formats_of(const struct tg_host *host, const struct tg_settings *source, uint32_t *ret_formats,
                       const char **ret_wrong)
{
    const char *const *names = NULL;
    const uint32_t count = host->get_list(source, "accept", &names);
    *ret_formats = BLE_SENSOR_FORMATS;
    return count == 0 || ble_formats_parse(names, count, ret_formats, ret_wrong);
}

static int ble_check_source(const struct tg_host *host, const struct tg_settings *source,
                            const char **ret_option, char *error, size_t error_size)
{
    const char *adapter = host->get_text(source, "adapter"), *wrong = "";
    struct ble_adapter unused;
    uint32_t formats;
    if (!formats_of(host, source, &formats, &wrong)) {
        *ret_option = "accept";
        snprintf(
            error, error_size,
            "\"%s\" is no format; there are bthome, ruuvi, mibeacon, atc, pvvx, govee, eddystone, ibeacon",
            wrong);
    } else if (host->get_int(source, "scan") == 1 && host->get_int(source, "method") == BLE_METHOD_MONITOR) {
        *ret_option = "method";
        snprintf(error, error_size, "monitor listens only; scan: active needs method: raw, or auto");
    } else if (!ble_adapter_init(&unused, adapter)) {
        *ret_option = "adapter";
        snprintf(error, error_size, "\"%s\" is neither hciN nor an address such as 00:1a:7d:da:71:13",
                 adapter);
    } else {
        return TG_PLUGIN_OK;
    }
    return TG_PLUGIN_EINVAL;
}

static bool gatt_address(void *user, uint32_t device, struct tg_ble_address *ret_address)
{
    const struct ble *b = user;
    *ret_address = b->devices.items[device].address;
    return b->devices.items[device].has_address;
}

static int open_radio(struct ble *b, char *error, size_t error_size)
{
    const struct tg_host *h = b->host;
    const struct tg_settings *o = b->source->settings;
    const struct ble_radio_config config = {
        .adapter = h->get_text(o, "adapter"),
        .method = (enum ble_method)h->get_int(o, "method"),
        .active = h->get_int(o, "scan") == 1,
        .formats = b->formats,
        .silence_ms = ble_devices_broadcast(&b->devices) ? h->get_int(o, "watchdog") : 0,
        .check_ms = h->get_int(o, "watchdog_check"),
        .power_wait_ms = h->get_int(o, "power_wait"),
        .note_folder = h->get_text(o, "notes")};
    if (ble_radio_init(&b->radio, &config, &radio_callbacks, b))
        return TG_PLUGIN_OK;
    snprintf(error, error_size, "adapter: \"%s\" cannot be used", config.adapter);
    return TG_PLUGIN_EINVAL;
}

static int open_gatt(struct ble *b, char *error, size_t error_size)
{
    struct tg_gatt_config config = {0};
    int rc;
    tg_gatt_config_read(b->host, b->source->settings, &config);
    config.address = gatt_address;
    config.user = b;
    rc = tg_gatt_new(b->host, b->source, &config, &b->gatt, error, error_size);
    for (uint32_t i = 0; rc == TG_PLUGIN_OK && i < b->devices.count; i++)
        b->devices.items[i].gatt = tg_gatt_has(b->gatt, i);
    return rc;
}

static int open_parts(struct ble *b, char *error, size_t error_size)
{
    const char *option = NULL;
    char why[200];
    int rc = ble_check_source(b->host, b->source->settings, &option, why, sizeof why);
    if (rc < 0) {
        snprintf(error, error_size, "%s: %s", option, why);
        return rc;
    }
    (void)formats_of(b->host, b->source->settings, &b->formats, &option);
    b->key_folder = b->host->get_text(b->source->settings, "bind_keys");
    rc = ble_devices_init(&b->devices, b->host, b->source, b->formats, b->key_folder, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = open_radio(b, error, error_size);
    return rc == TG_PLUGIN_OK ? open_gatt(b, error, error_size) : rc;
}

static int ble_open(const struct tg_host *host, const struct tg_source *source, void **ret_instance,
                    char *error, size_t error_size)
{
    struct ble *b = calloc(1, sizeof *b);
    int rc;
    if (!b)
        return TG_PLUGIN_ENOMEM;
    b->host = host;
    b->source = source;
    rc = open_parts(b, error, error_size);
    if (rc < 0) {
        if (rc == TG_PLUGIN_ENOMEM)
            snprintf(error, error_size, "out of memory");
        tg_gatt_free(b->gatt);
        ble_devices_fini(&b->devices);
        free(b);
        return rc;
    }
    *ret_instance = b;
    return TG_PLUGIN_OK;
}

static int32_t ble_poll(void *self, int64_t now_ms)
{
    struct ble *b = self;
    int64_t next_ms, sweep_ms;
    int32_t gatt_ms;
    ble_radio_connecting(&b->radio, tg_gatt_connecting(b->gatt));
    next_ms = ble_radio_poll(&b->radio, now_ms);
    now_ms = on_now(b);
    sweep_ms = ble_devices_sweep(&b->devices, now_ms);
    gatt_ms = tg_gatt_poll(b->gatt, now_ms);
    ble_radio_connecting(&b->radio, tg_gatt_connecting(b->gatt));
    if (sweep_ms < next_ms)
        next_ms = sweep_ms;
    if (gatt_ms >= 0 && now_ms + gatt_ms < next_ms)
        next_ms = now_ms + gatt_ms;
    return next_ms <= now_ms ? 0 : next_ms - now_ms > INT32_MAX ? INT32_MAX : (int32_t)(next_ms - now_ms);
}

static void ble_fd_ready(void *self, int fd, uint32_t events)
{
    struct ble *b = self;
    if (!ble_radio_fd_ready(&b->radio, fd))
        (void)tg_gatt_fd_ready(b->gatt, fd, events, on_now(b));
}

static int ble_check_value(const struct tg_host *host, const struct tg_settings *device,
                           const struct tg_point *point, const struct tg_value *value, char *error,
                           size_t error_size)
{
    (void)device;
    if (tg_gatt_is_point(host, point->settings))
        return tg_gatt_check_value(host, point, value, error, error_size);
    snprintf(error, error_size, "a reading of an advertisement cannot be written");
    return TG_PLUGIN_EUNSUPPORTED;
}

static void ble_write(void *self, uint64_t request, uint32_t device, uint32_t point,
                      const struct tg_value *value)
{
    struct ble *b = self;
    if (!tg_gatt_write(b->gatt, request, device, point, value))
        b->host->answer(b->host->source, request, TG_PLUGIN_EUNSUPPORTED,
                        "{\"error\":\"a reading of an advertisement cannot be written\"}");
}

static void ble_command(void *self, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct ble *b = self;
    char counters[COUNTERS_BYTES];
    if (strcmp(name, "counters") == 0) {
        ble_device_counters(&b->devices.items[device], on_now(b), counters, sizeof counters);
        b->host->answer(b->host->source, request, TG_PLUGIN_OK, counters);
        return;
    }
    if (!tg_gatt_command(b->gatt, request, device, name, json))
        b->host->answer(b->host->source, request, TG_PLUGIN_EUNSUPPORTED,
                        "{\"error\":\"known commands: set, counters, read, write\"}");
}

static const struct tg_plugin ble = {
    TG_PLUGIN_INIT(TG_THREAD_OWN),
    .name = "ble",
    .version = "1.0",
    .summary = "Bluetooth LE sensors: advertisements of many formats, and GATT",
    .source_options = ble_source_options,
    .device_options = ble_device_options,
    .point_options = ble_point_options,
    .profiles = ble_profiles,
    .check_point = ble_check_point,
    .check_source = ble_check_source,
    .open = ble_open,
    .poll = ble_poll,
    .close = ble_close,
    .write = ble_write,
    .check_value = ble_check_value,
    .command = ble_command,
    .fd_ready = ble_fd_ready,
    .decode = tg_ble_decode_cmd,
    .needs = TG_NEEDS_BLUETOOTH | TG_NEEDS_STATED,
    .discover = ble_discover,
    .check_device = ble_check_device,
};
TG_PLUGIN_EXPORT(ble)
