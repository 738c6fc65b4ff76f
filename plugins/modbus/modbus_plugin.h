/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_plugin - the instance of the Modbus source, shared by its files:
 *   modbus_plugin.c  options, open, close
 *   modbus_check.c   what is wrong with settings
 *   modbus_loop.c    an instance on the loop: its turns are fibers
 *   modbus_poll.c    turns: probes, reads, what is emitted
 *   modbus_write.c   writes
 *   modbus_command.c commands
 *   modbus_sunspec.c where SunSpec points are
 *   modbus_discover.c, modbus_scan.c, modbus_decode.c
 *
 * One instance is one bus. A serial line has a thread of its own, a connection is on the loop (thread_model_of); nothing here is shared with
 * other threads. The code is the same for both: what waits takes the instance's waiter (modbus_wait.h).
 */
#ifndef TG_PLUGINS_MODBUS_PLUGIN_H
#define TG_PLUGINS_MODBUS_PLUGIN_H

#include <tidegate/plugin.h>

#include "core/base/backoff.h"
#include "plugins/modbus/modbus_link.h"
#include "plugins/modbus/modbus_sunspec.h"
#include "southbound/modbus_bus.h"
#include "southbound/modbus_plan.h"
#include "southbound/modbus_points.h"

#define TG_MODBUS_INSTANCE_MAGIC   0x6d6f6462u
#define TG_MODBUS_MAX_RANGES       64
#define TG_MODBUS_DEFAULT_EVERY_MS 1000
/* Values of one sample; a device with more has several per turn. The store takes 512 (core/base/sample.h). */
#define TG_MODBUS_SAMPLE_VALUES 512

/* What happened with a device since the source was opened; `stats` shows it. */
struct tg_modbus_counts {
    uint64_t requests, answers, exceptions, busy, writes, verified, forgotten;
    uint64_t faults[TG_MODBUS_FAULTS];
    int64_t late_ms, worst_late_ms; /* of a turn: from when it was due to when it was served */
};

struct tg_modbus_device {
    const struct tg_device *config;
    struct tg_modbus_point *points;
    uint32_t *groups;                  /* of each point, in its unit's poll plan */
    bool *complained;                  /* of each point: an exception was logged */
    char **texts;                      /* of each string point: TG_MODBUS_TEXT_BYTES, else NULL */
    struct tg_modbus_item *items;      /* sorted */
    size_t item_count, hidden_count;   /* hidden ones stand behind them: SunSpec points without a place */
    struct tg_modbus_sunspec *sunspec; /* NULL: no such points */
    struct tg_modbus_range ranges[TG_MODBUS_MAX_RANGES];
    struct tg_modbus_limits limits;
    struct tg_point_value *values; /* of the sample being collected */
    uint32_t value_count;
    int64_t timeout_ms;
    int64_t forget_ms;  /* how long refusals are remembered */
    int64_t learned_ms; /* when the first of them was found; 0 = none */
    bool only_multiple; /* write with FC15 and FC16 only */
    bool only_single;   /* write registers with FC6 only */
    struct tg_modbus_counts counts;
    bool no_mask_write; /* it refused FC22 */
    uint32_t reported;  /* enum tg_device_state */
};

/* The reading of what is due of one device, one request at a time. */
struct tg_modbus_job {
    bool active;
    uint32_t device, groups;
    size_t pos;
};

/* What the host asks for between two reads: a point to write, or any register to read. */
struct tg_modbus_errand {
    struct tg_modbus_errand *next;
    uint64_t request;
    uint32_t device;
    bool is_write;
    uint32_t point;               /* write */
    struct tg_modbus_write write; /* write */
    struct tg_modbus_point read;  /* read */
};

struct tg_modbus_instance {
    uint32_t magic;
    const struct tg_host *host;
    const struct tg_source *source;
    struct tg_modbus_waiter waiter;
    struct tg_modbus_fiber fiber;     /* on the loop: the turn that is under way */
    struct tg_modbus_errand *errands; /* on the loop: those that wait, oldest first */
    uint32_t errand_count;
    int64_t due_ms; /* on the loop: when the next turn begins */
    struct tg_modbus_link_config link_config;
    struct tg_modbus_link *link;
    struct tg_modbus_bus bus;
    struct tg_modbus_unit *units; /* as many as devices, same index */
    struct tg_modbus_device *devices;
    struct tg_modbus_job job;
    struct tg_backoff backoff; /* of the link */
    int64_t retry_ms;          /* when a closed link is opened again */
    int64_t opened_ms;
    bool outage; /* the link does not open, and that was reported */
    bool latency_told;
    bool noisy;             /* the line is never silent, and that was reported */
    int64_t quiet_since_ms; /* since when silence is waited for; 0 = it is not */
    uint16_t words[TG_MODBUS_MAX_READ_BITS];
};

static inline int64_t tg_modbus_now(const struct tg_modbus_instance *m)
{
    return m->host->now_ms(m->host->source);
}

/* What a device has said where addresses count from: 0, 1, or -1 for nothing. */
int tg_modbus_address_base(const struct tg_host *host, const struct tg_settings *device);
/* Fills *ret from a point's (and its device's) settings. `host` lends has/get_… only. */
int tg_modbus_point_from_settings(const struct tg_host *host, const struct tg_settings *device,
                                  const struct tg_settings *point, struct tg_modbus_point *ret,
                                  const char **ret_option, struct tg_error *err) TG_CHECKED;

/* What a source's settings make; the option at fault, if one is. `host` lends has/get_… only. */
int tg_modbus_link_config(const struct tg_host *host, const struct tg_settings *source,
                          struct tg_modbus_link_config *ret_config, const char **ret_option,
                          struct tg_error *err) TG_CHECKED;
extern const char *const tg_modbus_transport_names[]; /* by enum tg_modbus_transport */

/* modbus_check.c: the plugin's check_source, check_device and check_point, and what open() shares with them. `host` lends has/get_… only. */
int tg_modbus_check_source(const struct tg_host *host, const struct tg_settings *source,
                           const char **ret_option, char *error, size_t error_size);
int tg_modbus_check_device(const struct tg_host *host, const char *id, const struct tg_settings *device,
                           const char **ret_option, char *error, size_t error_size);
int tg_modbus_check_point(const struct tg_host *host, const struct tg_settings *device,
                          const struct tg_point *point, const char **ret_option, char *error,
                          size_t error_size);
int tg_modbus_device_check(const struct tg_host *host, const struct tg_settings *device,
                           const char **ret_option, struct tg_error *err) TG_CHECKED;
int tg_modbus_check_against_device(const struct tg_host *host, const struct tg_settings *device,
                                   const struct tg_modbus_point *p, bool sunspec, bool writable,
                                   struct tg_error *err) TG_CHECKED;
/* The ranges of `no_read`, as many as are good: how many. */
uint32_t tg_modbus_no_read(const struct tg_host *host, const struct tg_settings *device,
                           struct tg_modbus_range ret_ranges[TG_MODBUS_MAX_RANGES]);

/* Two points of which each has a register of the other's and one of its own: that is logged, once a device. The items are sorted. */
void tg_modbus_tell_overlap(const struct tg_host *host, const struct tg_modbus_device *device);

/* modbus_poll.c */
int32_t tg_modbus_poll(void *instance, int64_t now_ms);
/* Does what is due until nothing is, an errand waits, or it is others' turn: the ms until it wants to go on, 0 = at once, TG_POLL_IDLE = never. */
int64_t tg_modbus_work(struct tg_modbus_instance *m);
/* 0 when the link is open (it may be opened now); else the ms until it is tried again, at least 1. */
int64_t tg_modbus_ensure_link(struct tg_modbus_instance *m);
/* Tells the bus that the exchange failed, forgets the job, and says so to the host where that is due. `what`
 * names the request. True when it was only the first failure of a healthy unit: not reported, tried again. */
bool tg_modbus_note_failure(struct tg_modbus_instance *m, uint32_t device, const struct tg_modbus_request *r,
                            enum tg_modbus_outcome outcome, unsigned exception, uint32_t groups);
/* Tells how the device is, with the text that `tidegate status` shows. */
void tg_modbus_report_state(struct tg_modbus_instance *m, uint32_t device, uint32_t state, const char *fmt,
                            ...) TG_PRINTF(4, 5);
/* The unit is alive. */
void tg_modbus_note_answer(struct tg_modbus_instance *m, uint32_t device, bool sync, bool refused);
/* One request, counted; a connection that was closed while idle is opened again for it. */
enum tg_modbus_outcome tg_modbus_exchange(struct tg_modbus_instance *m, uint32_t device,
                                          const struct tg_modbus_request *r, struct tg_modbus_answer *ret);
/* The end of a turn that got no answer; `from`: the first item whose points are told so. */
void tg_modbus_turn_failed(struct tg_modbus_instance *m, uint32_t device, const struct tg_modbus_request *r,
                           enum tg_modbus_outcome outcome, unsigned exception, uint32_t groups, size_t from);
/* A gateway's own exception (10, 11): the unit behind it was not reached. */
static inline bool tg_modbus_gateway_exception(unsigned code)
{
    return code == 10 || code == 11;
}
/* One read whose answer nothing outstanding can be taken for; its value is not used. */
void tg_modbus_sync_turn(struct tg_modbus_instance *m, uint32_t device);
/* "FC3 holding:100+8" */
void tg_modbus_describe(const struct tg_modbus_request *r, char *ret_text, size_t cap);

/* modbus_write.c */
int tg_modbus_check_value(const struct tg_host *host, const struct tg_settings *device,
                          const struct tg_point *point, const struct tg_value *value, char *error,
                          size_t error_size);
void tg_modbus_write(void *instance, uint64_t request, uint32_t device, uint32_t point,
                     const struct tg_value *value);
/* Runs an errand and answers it. */
void tg_modbus_errand_write(struct tg_modbus_instance *m, const struct tg_modbus_errand *o);
void tg_modbus_errand_read(struct tg_modbus_instance *m, const struct tg_modbus_errand *o);
/* modbus_command.c */
void tg_modbus_command(void *instance, uint64_t request, uint32_t device, const char *name, const char *json);

/* One request between two turns: waits until the bus is free, counts, and tells the bus how it went. */
enum tg_modbus_outcome tg_modbus_ask(struct tg_modbus_instance *m, uint32_t device,
                                     const struct tg_modbus_request *r, struct tg_modbus_answer *ret);
void tg_modbus_answer_error(struct tg_modbus_instance *m, uint64_t request, int status, const char *text);
void tg_modbus_answer_exception(struct tg_modbus_instance *m, uint64_t request, unsigned code);

/* modbus_text.c: values as JSON */
struct tg_writer;
void tg_modbus_json_value(struct tg_writer *w, const struct tg_value *v);
void tg_modbus_json_text(struct tg_writer *w, const char *text, size_t len);

extern const char *const tg_modbus_parity_names[]; /* none, even, odd */
int tg_modbus_discover(const struct tg_discover *request);

extern const struct tg_profile tg_modbus_profiles[];
int tg_modbus_decode(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
                     void *user);

#endif
