/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * router - the middle of the data path: samples from sources through the filters into the store, commands from the
 * clouds and from `tidegate send` to the devices, and live readings to whoever watches.
 *
 *   source ─► filter (scale, range, deadband, intervals) ─► derived points (filtered too) ─► body ─► store (number, commit) ─► feeds ─► sessions
 *   session, control ─► command {name, arguments} ─► `set`: one write per point │ other names: the plugin ─► answer
 *
 * COMMANDS  `set` takes an object {"point": value, …}: every point must be writable and every value of a number, boolean or
 *           text within the point's range and one that the plugin's check_value takes, before the first is written. Of one point
 *           the result is what it was answered, of several {"point": what it was answered, …}, those that failed with an `error`.
 *           Other names go to the plugin as they are. Each ends
 *           after TG_COMMAND_TIMEOUT_MS at the latest with status "timeout", or "unknown" when its device or the router goes
 *           before. At most TG_COMMANDS_MAX are under way; more are answered "busy" at once.
 * Loop thread.
 */
#ifndef TG_GATEWAY_ROUTER_H
#define TG_GATEWAY_ROUTER_H

#include "config/config.h"
#include "core/points/derive.h"
#include "core/points/filter.h"
#include "southbound/plugin_host.h"
#include "store/store.h"

#define TG_COMMANDS_MAX       256
#define TG_COMMAND_TIMEOUT_MS 30000
#define TG_WATCHERS_MAX       16

struct tg_router_point {
    struct tg_filter_options options;
    struct tg_filter_state state;
    struct tg_filter_word *words; /* of options.words; owned */
    int64_t every_ms;             /* 0 = as it comes */
    bool urgent;                  /* priority: high */
};

/* A point that is worked out from others of its device; point config->point_count - derived_count + its place. */
struct tg_router_derived {
    struct tg_derive rule;
    struct tg_derive_state state;
};

/* One child device at run time. */
struct tg_router_device {
    const struct tg_config_device *config;
    struct tg_source_host *source; /* set when its source runs */
    uint32_t index;                /* in its source */
    uint32_t store_device;
    struct tg_router_point *points;
    struct tg_router_derived *derived; /* config->derived_count of them */
    enum tg_device_state state;
    char state_text[160];
    int64_t state_since_ms;
    uint64_t accepted, rejected, filtered; /* samples */
    uint64_t last_seq;
    int64_t last_sample_ms; /* monotonic */
    /* Set by who wants to know of each accepted sample (its body, borrowed); NULL = nobody. */
    void (*on_accepted)(const struct tg_router_device *d, struct tg_bytes body);
    void *accepted_user;
};

/* The end of a command. status: "ok", "invalid", "device", "timeout", "unknown", "unsupported", "busy", "error". */
typedef void (*tg_command_done_fn)(void *user, const char *status, const char *json);

/* A live reading, as it would go to a cloud in format json. */
typedef void (*tg_watch_fn)(void *user, const char *device, const char *json, size_t len);

struct tg_router;

int tg_router_new(struct tg_loop *loop, struct tg_store *store, struct tg_router **ret_router) TG_CHECKED;
/* Commands under way end with "unknown" before this returns. */
void tg_router_close(struct tg_router *r, void (*closed)(void *user), void *user);

/* Declares the device to the store and builds its filters. */
int tg_router_add_device(struct tg_router *r, const struct tg_config_device *config, uint32_t index,
                         struct tg_router_device **ret_device, struct tg_error *err) TG_CHECKED;
/* The device's samples and sessions must have ended; its backlog stays in the store. Its commands end with "unknown". */
void tg_router_remove_device(struct tg_router *r, struct tg_router_device *d);
struct tg_router_device *tg_router_device(struct tg_router *r, const char *id); /* NULL = unknown */
uint32_t tg_router_device_count(const struct tg_router *r);
struct tg_router_device *tg_router_device_at(struct tg_router *r, uint32_t i);

/* Options of one point that a cloud has set, in place of what the configuration says for it: every, deadband, min_interval,
 * max_interval, as far as `given` has them; NULL = none. A changed `every` opens the source's instance anew. */
int tg_router_check_options(const struct tg_router_device *d, uint32_t point, const struct tg_settings *given,
                            struct tg_error *err) TG_CHECKED;
void tg_router_use_options(struct tg_router_device *d, uint32_t point, const struct tg_settings *given);

/* The device's source runs (NULL: no more); intervals that a cloud has set are told to it. */
void tg_router_attach_source(struct tg_router_device *d, struct tg_source_host *source);

/* The wall clock: wall time = monotonic time + offset_ms, valid from the first call on; until then samples are stamped since boot.
 * `look` is called for a sample whose stamp does not fit it: the clock may have been set, and tg_router_clock() be called within. */
void tg_router_clock(struct tg_router *r, int64_t offset_ms);
void tg_router_on_odd_time(struct tg_router *r, void (*look)(void *user), void *user);

/* A sample of the device, its stamp wall time or since boot (core/base/clock.h); TG_EFULL when the store has no room (nothing is counted: it is offered again). */
int tg_router_sample(struct tg_router *r, struct tg_router_device *d, int64_t time_ms,
                     struct tg_point_value *values, uint32_t count) TG_CHECKED;
void tg_router_state(struct tg_router *r, struct tg_router_device *d, enum tg_device_state state,
                     const char *text);

/* Runs a command; `arguments` is a JSON text (empty = {}). `done` is called once, maybe before this returns. */
void tg_router_command(struct tg_router *r, const char *device, const char *name, struct tg_bytes arguments,
                       tg_command_done_fn done, void *user);
/* A command in one body: {"command": name, "arguments": {…}}; `name` not empty takes the whole body as arguments. */
void tg_router_command_body(struct tg_router *r, const char *device, struct tg_bytes name,
                            struct tg_bytes body, tg_command_done_fn done, void *user);
void tg_router_answer(struct tg_router *r, uint64_t request, int status, const char *json);
/* The word for a status of an answer (docs/commands.md), and a value of a `set` as the JSON has it (false: an object, an array, null,
 * or a text that is too long; the text is borrowed). */
const char *tg_router_status_name(int status);
struct json_t;
bool tg_router_value_of(const struct json_t *j, struct tg_value *ret);
/* Commands whose `user` this is are finished without calling back: their caller is gone. */
void tg_router_forget(struct tg_router *r, void *user);

/* Watches live readings of one device (NULL = all). Returns a number for unwatch, 0 = too many. */
uint32_t tg_router_watch(struct tg_router *r, const char *device, tg_watch_fn fn, void *user);
void tg_router_unwatch(struct tg_router *r, uint32_t watch);

#endif
