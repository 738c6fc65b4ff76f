/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_host - runs one source: an instance of a plugin, its thread if it wants one, and the services lent to it.
 *
 *   plugin (own thread, or the loop) ── emit ──► mailbox (bounded) ──► loop: on_sample
 *                                    ── device_state, answer ──► mailbox (bounded) ──► loop: the other callbacks
 *   loop ── write, command ──► mailbox (bounded) ──► plugin
 *
 * Samples keep their order, and so do states and answers; the latter may overtake samples, so that an answer does not
 * wait until a full store has room again.
 *
 * Overflow: when on_sample says TG_EFULL (the store is full) samples stay in the mailbox until
 * tg_source_host_resume(); a full mailbox makes emit() say TG_PLUGIN_EFULL, which is counted per source. A request
 * that finds its mailbox full is answered TG_PLUGIN_EFULL at once.
 *
 * A failing open() is logged with the plugin's reason and tried again with back-off (1 s … 60 s).
 * With `isolation: process` the same runs in a child process (plugin_process.h); nothing here differs, but a child that ends is
 * told through on_open(false) and started again, its devices are down meanwhile, and requests that it was at work on are answered
 * TG_PLUGIN_EUNKNOWN.
 * All functions are called on the loop thread, all callbacks run there.
 */
#ifndef TG_SOUTHBOUND_PLUGIN_HOST_H
#define TG_SOUTHBOUND_PLUGIN_HOST_H

#include "config/config.h"
#include "core/base/sample.h"
#include "core/net/loop.h"

#define TG_SOURCE_QUEUE_SAMPLES  4096
#define TG_SOURCE_QUEUE_BYTES    (2 * 1024 * 1024)
#define TG_SOURCE_QUEUE_REQUESTS 256
#define TG_SOURCE_CANDIDATES     16

struct tg_source_callbacks {
    /* Values are borrowed and may be changed in place. TG_EFULL: not taken, offer again after resume. */
    int (*on_sample)(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *values,
                     uint32_t count);
    void (*on_state)(void *user, uint32_t device, enum tg_device_state state, const char *text);
    /* status: 0 or enum tg_plugin_error; json may be NULL. */
    void (*on_answer)(void *user, uint64_t request, int status, const char *json);
    /* The instance opened, or its open failed with this text and is tried again in retry_ms. */
    void (*on_open)(void *user, bool open, const char *text, int64_t retry_ms);
    /* A lasting fact about the device (tidegate/plugin.h, device_fact). May be NULL. */
    void (*on_fact)(void *user, uint32_t device, const char *name, const struct tg_value *value);
    /* A device that is not in the list and that the `discover` section lets in; each id once. `profile` may be NULL. May be
     * NULL itself. */
    void (*on_discovered)(void *user, const char *id, const char *profile);
    /* The site's way to the network, and a time from outside; tidegate/plugin.h, uplink and offer_time. `text` and the callbacks may
     * be NULL. The time is as of monotonic at_ms. */
    void (*on_uplink)(void *user, bool up, const char *text);
    void (*on_time)(void *user, int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms);
    /* What the source remembers (tidegate/plugin.h, note_set). recall: called once, before the instance is opened, gives each note to
     * `take`. on_note: remember this (empty = forget), and call tg_source_host_note_kept(number) when it is on disk. May be NULL:
     * nothing is remembered and no note is ever kept. */
    void (*recall_notes)(void *user, void (*take)(void *taker, const char *key, struct tg_bytes text),
                         void *taker);
    void (*on_note)(void *user, const char *key, const char *text, uint64_t number);
    /* Of a plugin that carries: tidegate/plugin.h, carrier and carried. May be NULL. */
    void (*on_carrier)(void *user, uint32_t channel, bool up, const char *text);
    void (*on_carried)(void *user, uint32_t channel, uint64_t message, int status);
    /* A line that the instance logs; NULL: it goes to the program's log. */
    void (*on_log)(void *user, enum tg_log_level level, const char *text);
    /* A device that is not in the list and did not come in; once for as long as it is among the candidates. May be NULL. */
    void (*on_candidate)(void *user, const char *id);
};

struct tg_source_host;

/* `config` is borrowed and must outlive the host. */
int tg_source_host_new(struct tg_loop *loop, const struct tg_config_source *config,
                       const struct tg_source_callbacks *cb, void *user, struct tg_source_host **ret_host,
                       struct tg_error *err) TG_CHECKED;
void tg_source_host_resume(struct tg_source_host *h);
/* The answer comes through on_answer, once, except when the source is closed first. */
void tg_source_host_write(struct tg_source_host *h, uint64_t request, uint32_t device, uint32_t point,
                          const struct tg_value *value);
void tg_source_host_command(struct tg_source_host *h, uint64_t request, uint32_t device, const char *name,
                            const char *json);
/* Whether the plugin would take the value (raw, unscaled): tg_plugin.check_value. Pure; whether the instance is open does not matter.
 * 0, or an enum tg_plugin_error with the reason in `error`. */
int tg_source_host_check_value(const struct tg_source_host *h, uint32_t device, uint32_t point,
                               const struct tg_value *value, char *error, size_t error_size) TG_CHECKED;

/* The time that the process uses has been offered anew (core/base/clock.h): an isolated plugin's process is told. */
void tg_source_host_clock(struct tg_source_host *h);
/* All notes up to this number are on disk. */
void tg_source_host_note_kept(struct tg_source_host *h, uint64_t number);

/* From now on the point is read every so often (0 = as the plugin does by itself): the instance is closed and opened again with that.
 * Commands that it was at work on end without an answer. Nothing happens when it is so already. */
void tg_source_host_set_interval(struct tg_source_host *h, uint32_t device, uint32_t point, int64_t every_ms);

/* Channels of a plugin that carries (plugin_carry.c); on_carrier() answers. While the instance is not open a channel is told down.
 * TG_EUNSUPPORTED: the plugin does not carry; TG_EFULL: too much waits for the instance; TG_ENOMEM. The copy of the address is
 * wiped. */
int tg_source_host_carry_open(struct tg_source_host *h, uint32_t channel, const char *address) TG_CHECKED;
int tg_source_host_carry(struct tg_source_host *h, uint32_t channel, uint64_t message,
                         struct tg_bytes body) TG_CHECKED;
int tg_source_host_carry_close(struct tg_source_host *h, uint32_t channel) TG_CHECKED;

/* Of a source with `isolation: process`. */
struct tg_process_stats {
    bool isolated;
    int64_t pid;            /* 0: it is not running */
    uint64_t restarts;      /* after a crash, an end or a kill */
    int64_t resident_bytes; /* as last measured */
    uint32_t confined; /* TG_CONFINED_… as the process told when it began; southbound/plugin_confine.h */
    uint32_t landlock_abi; /* version in force; 0 = none */
    const char *last_end;  /* why it ended the last time; "" = it never did */
};

struct tg_source_stats {
    uint64_t emitted, rejected; /* samples taken from, and refused to, the plugin */
    bool open;
    struct tg_process_stats process;
};
void tg_source_host_stats(const struct tg_source_host *h, struct tg_source_stats *ret_stats);

/* What the instance has told of devices that are not in the file, since the host was made. */
struct tg_source_candidate {
    char id[TG_NAME_MAX_BYTES + 1];
    bool allowed;     /* there was no room for it; false: no pattern of the allow list has it */
    int64_t heard_ms; /* monotonic: when last */
};
struct tg_source_discovery {
    uint32_t used, max; /* discovered devices, those told since included */
    uint64_t denied,
        without_room;         /* ids; one that is heard again counts again when it is no candidate any more */
    uint32_t candidate_count; /* in no order; the one heard the longest ago makes room for a new one */
    struct tg_source_candidate candidates[TG_SOURCE_CANDIDATES];
};
/* False: the source has no `discover` section. */
bool tg_source_host_discovery(struct tg_source_host *h, struct tg_source_discovery *ret_seen);

/* Ends the instance; `closed` runs on the loop when the thread has ended and the memory is gone. No other callback
 * comes after this call. */
void tg_source_host_close(struct tg_source_host *h, void (*closed)(void *user), void *user);

/* has/get_… only: lent to check_point and to `tidegate decode`. */
const struct tg_host *tg_source_check_host(void);

#endif
