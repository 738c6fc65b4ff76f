/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_device - what is known of one configured sensor: its key, what was heard of it, whether it is still there; and all of a source, found
 * by address.
 *
 *   UNKNOWN ──heard──► OK ⇄ SUSPECT (it is heard, and nothing can be made of it: wrong key, no key, damaged)
 *                      ▲        │
 *                      └─ DOWN ◄┘ nothing heard for stale_after, or the adapter has gone
 *
 * An advertisement gives at most one sample, with all points that it has readings for. Repeats of the same packet give none, but show that the
 * device is there. A flood is cut to `max_rate` advertisements a second before anything is decoded: somebody who imitates a sensor, or a
 * sensor gone mad, costs neither the gateway nor its neighbours anything. Every advertisement is counted, once: as flooded, or under its verdict.
 */
#ifndef TG_PLUGINS_BLE_DEVICE_H
#define TG_PLUGINS_BLE_DEVICE_H

#include <tidegate/plugin.h>

#include "plugins/ble/ble_points.h"
#include "southbound/ble/ble_decode.h"

#define BLE_STALE_MIN_MS   60000
#define BLE_STALE_FIRST_MS 600000 /* never heard yet, or once only: nothing is known of its pauses */
#define BLE_STALE_MAX_MS   INT64_C(86400000)
#define BLE_STATE_TEXT     160

struct ble_device {
    uint32_t index;
    bool gatt; /* the device's state is told by the GATT set */
    bool has_address, has_key;
    struct tg_ble_address address;
    uint32_t formats;
    struct tg_ble_key key;
    struct tg_ble_guard guard;
    struct ble_points points;
    bool stale_given;
    int64_t stale_after_ms;             /* when given; 0: never */
    int64_t heard_ms;                   /* 0: never */
    int64_t pause_ms;                   /* the longest between two, slowly forgotten */
    int64_t good_ms;                    /* the last that something was made of */
    int64_t rate, tokens_ms, refill_ms; /* token bucket: an advertisement costs 1000 / rate */
    bool flooding;
    uint64_t heard, flooded, refused; /* refused: samples that the host did not take */
    uint64_t verdicts[TG_BLE_VERDICTS];
    uint32_t state; /* enum tg_device_state */
    int8_t rssi;
    char model[TG_BLE_MODEL_BYTES];
};

struct ble_devices {
    const struct tg_host *host;
    const struct tg_source *source;
    struct ble_device *items;
    uint32_t count;
    uint32_t *slots; /* index + 1 by hash of the address; 0: free */
    uint32_t slot_mask;
    struct tg_point_value *values; /* room for a sample of the device with the most points */
    struct tg_ble_readings readings;
    int64_t since_ms; /* when the adapter began to listen; 0: it does not */
    int64_t sweep_ms;
};

/* TG_PLUGIN_EINVAL with text, TG_PLUGIN_ENOMEM. `formats`: the source's. After an error ble_devices_fini() is due as well. */
int ble_devices_init(struct ble_devices *d, const struct tg_host *host, const struct tg_source *source,
                     uint32_t formats, char *error, size_t error_size);
/* Wipes the keys. */
void ble_devices_fini(struct ble_devices *d);

/* NULL: none has the address. */
struct ble_device *ble_devices_find(struct ble_devices *d, const struct tg_ble_address *address);
/* True: some device has points that come by advertisement, so silence is not right. */
bool ble_devices_broadcast(const struct ble_devices *d);

void ble_device_advert(struct ble_devices *d, struct ble_device *device, const struct tg_ble_advert *advert);

/* The adapter listens (those that are down are unknown then), or does not any more: all are down, and each point says "comm" once. */
void ble_devices_adapter(struct ble_devices *d, bool up, const char *text, int64_t now_ms);
/* Finds those that have gone silent, once a second; when it is due again. */
int64_t ble_devices_sweep(struct ble_devices *d, int64_t now_ms);

/* What was counted, as a JSON object. */
void ble_device_counters(const struct ble_device *device, int64_t now_ms, char *json, size_t size);

#endif
