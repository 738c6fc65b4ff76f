/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_set - all GATT work of one source: connections to the devices that have GATT points, what is read there and when,
 * subscriptions, writes, and who may use one of the adapter's few connections next.
 *
 * It is not the scanner: advertisements reach it as tg_gatt_advert(), the adapter's comings and goings as tg_gatt_adapter().
 *
 * WHO GETS A CONNECTION (`connections` slots)
 *     WAITING ──due, a slot is free──► CONNECTING ──► OPEN ──nothing due, or others wait──► WAITING
 *        ▲ back-off 1 to 60 s, jittered    │ one at a time; own deadline    │ link lost
 *        └─────────────────────────────────┴───────────────────────────────┘
 *   A device with subscriptions keeps its connection. When others wait it keeps it for 30 s at a time, and at most slots − 1
 *   such devices do, so that one slot (of two or more) always goes round. All others connect when their points are due, read
 *   everything that is due, and leave when somebody waits or nothing is due within ten seconds.
 *   A device that was not reached waits for its back-off, or until it is heard.
 *
 * HANDLES are discovered once and kept over reconnects for the life of the set; Service Changed or another Database Hash has
 * them discovered again. Subscriptions are written anew on every connection.
 *
 * THREADS   Everything on the instance's thread. Never blocks: sockets are non-blocking and watched by host->watch_fd.
 * MEMORY    About 5 KiB for each device that is connected to, 1.3 KiB for each slot, 16 jobs (writes and commands) of 700 bytes; one more job is
 *           refused with TG_PLUGIN_EFULL.
 *
 *     check_point:  if (tg_gatt_is_point(host, point->settings)) return tg_gatt_check_point(host, device, point, …);
 *     open:         tg_gatt_config_read(host, source->settings, &config); config.address = …; tg_gatt_new(host, source, &config, …)
 *     poll:         next = min(next, tg_gatt_poll(set, now_ms)); then pause the raw scan while tg_gatt_connecting(set)
 *     fd_ready:     if (tg_gatt_fd_ready(set, fd, events, now_ms)) return;
 *     write:        if (tg_gatt_write(set, request, device, point, value)) return;
 *     command:      if (tg_gatt_command(set, request, device, name, json)) return;
 *     close:        tg_gatt_free(set)
 */
#ifndef TG_PLUGINS_BLE_GATT_SET_H
#define TG_PLUGINS_BLE_GATT_SET_H

#include <tidegate/plugin.h>

struct tg_ble_address;     /* southbound/ble/ble_advert.h */
struct tg_gatt_socket_ops; /* plugins/ble/gatt_link.h */

#define TG_GATT_MAX_SLOTS 10 /* the host watches 16 descriptors for an instance; the scanner has some */

/* Rows for the plugin's option tables. */
#define TG_GATT_SOURCE_OPTIONS                                                                               \
    {.name = "connections",                                                                                  \
     .type = TG_OPTION_INT,                                                                                  \
     .min = 1,                                                                                               \
     .max = TG_GATT_MAX_SLOTS,                                                                               \
     .default_text = "3",                                                                                    \
     .doc = "How many devices are connected (GATT) at the same time; adapters hold five to seven."},         \
    {                                                                                                        \
        .name = "connect_timeout", .type = TG_OPTION_DURATION, .min = 1000, .max = 60000,                    \
        .default_text = "12s", .doc = "How long a connection attempt (GATT) may take."                       \
    }

#define TG_GATT_DEVICE_OPTIONS                                                                               \
    {                                                                                                        \
        .name = "security", .type = TG_OPTION_ENUM, .choices = tg_gatt_security_names,                       \
        .default_text = "low",                                                                               \
        .doc = "The security level of a connection (GATT) from its start; it is raised when the device "     \
               "asks for it."                                                                                \
    }

#define TG_GATT_POINT_OPTIONS                                                                                \
    {.name = "characteristic",                                                                               \
     .type = TG_OPTION_TEXT,                                                                                 \
     .min = 1,                                                                                               \
     .max = 80,                                                                                              \
     .doc = "A GATT characteristic: its name (battery_level), its UUID (2a19 or 128 bits), or "              \
            "SERVICE/CHARACTERISTIC (180f/2a19)."},                                                          \
        {.name = "format",                                                                                   \
         .type = TG_OPTION_TEXT,                                                                             \
         .min = 1,                                                                                           \
         .max = 80,                                                                                          \
         .doc = "What the characteristic's bytes mean, like s16le*0.01?8000; known characteristics need "    \
                "none."},                                                                                    \
        {.name = "notify",                                                                                   \
         .type = TG_OPTION_ENUM,                                                                             \
         .choices = tg_gatt_notify_names,                                                                    \
         .default_text = "auto",                                                                             \
         .doc = "Whether the device is asked to tell the characteristic by itself; auto: when it cannot be " \
                "read, or no `every` is given."},                                                            \
    {                                                                                                        \
        .name = "instance", .type = TG_OPTION_INT, .min = 1, .max = 64, .default_text = "1",                 \
        .doc = "Which one, counted from 1 in the order of handles, when the device has the characteristic "  \
               "more than once."                                                                             \
    }

extern const char *const tg_gatt_security_names[]; /* "low", "medium", "high" */
extern const char *const tg_gatt_notify_names[];   /* "auto", "true", "false" */

struct tg_gatt_config {
    uint32_t slots; /* 1 to TG_GATT_MAX_SLOTS */
    int64_t connect_timeout_ms;
    /* Address of a device of the source; false: it has none (then it has no GATT). Called by tg_gatt_new only. */
    bool (*address)(void *user, uint32_t device, struct tg_ble_address *ret_address);
    void *user;
    /* How sockets are made; NULL: L2CAP. Lives as long as the set. */
    const struct tg_gatt_socket_ops *sockets;
};

struct tg_gatt_set;

/* Fills *ret_config from TG_GATT_SOURCE_OPTIONS; `address` and `user` are left to the caller. */
void tg_gatt_config_read(const struct tg_host *host, const struct tg_settings *source,
                         struct tg_gatt_config *ret_config);

/* Builds the set; connects nothing before tg_gatt_adapter(set, true, …). TG_PLUGIN_EINVAL (a point's options, a device with GATT points
 * and no address) with text, TG_PLUGIN_ENOMEM. Works on a source without a GATT point too; only commands connect then. */
int tg_gatt_new(const struct tg_host *host, const struct tg_source *source,
                const struct tg_gatt_config *config, struct tg_gatt_set **ret, char *error,
                size_t error_size);
/* Closes all connections; jobs that were not done are answered. NULL is allowed. */
void tg_gatt_free(struct tg_gatt_set *set);

/* Does what is due; in how many milliseconds it wants to be called again, or TG_POLL_IDLE. */
int32_t tg_gatt_poll(struct tg_gatt_set *set, int64_t now_ms);
/* False: the descriptor is not its own. */
bool tg_gatt_fd_ready(struct tg_gatt_set *set, int fd, uint32_t events, int64_t now_ms);

/* `struct tg_plugin`.check_value of a GATT point. */
int tg_gatt_check_value(const struct tg_host *host, const struct tg_point *point,
                        const struct tg_value *value, char *error, size_t error_size);
/* Sets a point. False: it is no GATT point, nothing was answered. */
bool tg_gatt_write(struct tg_gatt_set *set, uint64_t request, uint32_t device, uint32_t point,
                   const struct tg_value *value);
/* The commands `read` and `write` of any characteristic. False: the name is not its own, nothing was answered. */
bool tg_gatt_command(struct tg_gatt_set *set, uint64_t request, uint32_t device, const char *name,
                     const char *json);

/* The device was heard: one that waits for its back-off is tried at once. */
void tg_gatt_advert(struct tg_gatt_set *set, uint32_t device, int rssi, int64_t now_ms);
/* Whether its address is a public (1) or a random one (2), from an advertisement: for a device whose configuration does not say. Until it
 * is known, or for ten seconds, such a device is not tried; then both are, in turn. */
void tg_gatt_address_type(struct tg_gatt_set *set, uint32_t device, uint8_t type);
/* A connection attempt is under way, or the next poll begins one: a raw scan pauses meanwhile. To be asked after every tg_gatt_poll(), which
 * is called again at once when it has said so for the first time. */
bool tg_gatt_connecting(const struct tg_gatt_set *set);
/* The adapter is there (its own address, public as a rule), or has gone: then all connections are closed. The same again does nothing. */
void tg_gatt_adapter(struct tg_gatt_set *set, bool up, const struct tg_ble_address *own);

/* True when the point has `characteristic`. */
bool tg_gatt_is_point(const struct tg_host *host, const struct tg_settings *point);
/* For check_point: syntax of characteristic and format, and what may be written. */
int tg_gatt_check_point(const struct tg_host *host, const struct tg_settings *device,
                        const struct tg_point *point, const char **ret_option, char *error,
                        size_t error_size);
/* True when the set has points of this device: its state (OK, suspect, down) is then told by the set. */
bool tg_gatt_has(const struct tg_gatt_set *set, uint32_t device);

#endif
