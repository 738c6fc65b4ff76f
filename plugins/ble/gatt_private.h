/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_private - what the parts of gatt_set share.
 *
 *     gatt_set.c       life, the API
 *     gatt_slots.c     who is connected next, how attempts and connections end
 *     gatt_session.c   the conversation on one connection
 *     gatt_points.c    options of points; bytes to values, facts
 *     gatt_jobs.c      writes and commands
 */
#ifndef TG_PLUGINS_BLE_GATT_PRIVATE_H
#define TG_PLUGINS_BLE_GATT_PRIVATE_H

#include "core/base/backoff.h"
#include "plugins/ble/gatt_link.h"
#include "plugins/ble/gatt_set.h"
#include "southbound/ble/gatt_format.h"
#include "southbound/ble/gatt_plan.h"

#define GATT_FACTS      3 /* model, firmware, serial */
#define GATT_MAX_JOBS   16
#define GATT_MAX_POINTS 512   /* of a device */
#define GATT_EVERY_MS   60000 /* of a point without `every` that can only be read */
#define GATT_MERGE_MS   1000  /* points that are due so soon are read along */
#define GATT_KEEP_MS    10000 /* a connection is kept when something is due within */
#define GATT_SHARE_MS   30000 /* how long a subscriber keeps its connection when others wait */
#define GATT_SECURE_MS  30000 /* how long raising the security may take */
#define GATT_JOB_MS     25000 /* the host gives up after 30 s */
#define GATT_GUESS_MS   10000 /* a device whose address type is not known waits so long to be heard */
#define GATT_DOWN_AFTER 3     /* failures in a row */
#define GATT_UNHEARD_MS                                                                                      \
    15000 /* a device that failed and was not heard since stands so far back in the queue */

struct gatt_job {
    bool taken;
    uint64_t request;
    struct gatt_device *device;
    bool is_write, no_response, has_format, on_wire;
    int64_t deadline_ms;
    struct tg_gatt_selector selector;
    struct tg_gatt_format format;
    int32_t point; /* or −1 */
    uint64_t order;
    uint16_t len;
    uint8_t bytes[TG_ATT_MAX_VALUE];
};

struct gatt_point {
    struct tg_gatt_format format;
    int64_t due_ms;
    uint8_t told; /* finding or code that people were told of */
};

struct gatt_slot;

struct gatt_device {
    uint32_t index;
    const struct tg_device *config;
    struct tg_ble_address address;
    bool guess_type; /* the address's type is not known: public and random are tried in turn */
    struct tg_gatt_plan plan;
    struct tg_gatt_want *wants; /* one for each point, the facts, the job's */
    struct gatt_point *points;
    uint32_t point_count;
    struct tg_point_value *pending; /* read on this connection, not yet handed over */
    uint32_t pending_count;
    struct gatt_slot *slot; /* NULL: not connected */
    struct gatt_job *job;   /* the one whose selector the last want has */
    struct tg_backoff backoff;
    int64_t ready_ms; /* no attempt before */
    int64_t failed_ms, heard_ms, opened_ms, queued_ms;
    uint32_t failures; /* in a row */
    uint8_t security;  /* enum tg_gatt_security */
    uint8_t state;     /* enum tg_device_state as told */
    bool unreachable;  /* the last failure was one that hearing the device mends */
    bool subscriber;   /* it has subscriptions: it keeps its connection */
    bool facts_told, settled, needs_pairing;
    char trouble[160]; /* what people are told beside "OK" */
    char told[160];    /* the text that was told last */
    char failure[160]; /* why it was not reached, or lost, last */
};

enum gatt_slot_state {
    GATT_FREE = 0,
    GATT_PREPARING, /* tg_gatt_connecting() says so, and the next poll connects: a raw scan must have ended by then, or the kernel's own
                       search for the device is refused by the controller */
    GATT_CONNECTING,
    GATT_SECURING,
    GATT_OPEN
};

struct gatt_slot {
    enum gatt_slot_state state;
    struct gatt_device *device;
    struct tg_gatt_link link;
    struct tg_att_client client;
    int64_t deadline_ms; /* PREPARING: when it connects; CONNECTING, SECURING */
    uint32_t watched;    /* TG_FD_… */
    uint8_t security;
    bool blocked; /* the socket took no more */
    bool job_on_wire;
    bool idle; /* nothing to ask */
};

struct tg_gatt_set {
    const struct tg_host *host;
    const struct tg_source *source;
    struct tg_gatt_config config;
    struct gatt_device **devices; /* by index; NULL: no GATT points and no command yet */
    struct gatt_slot slots[TG_GATT_MAX_SLOTS];
    struct gatt_job jobs[GATT_MAX_JOBS];
    uint64_t job_order;
    bool up;
    struct tg_ble_address own;
};

static inline struct tg_gatt_want *gatt_job_want(struct gatt_device *d)
{
    return &d->wants[d->point_count + GATT_FACTS];
}

/* gatt_points.c */

struct gatt_point_options {
    struct tg_gatt_selector selector;
    struct tg_gatt_format format;
    uint8_t notify;
};
int gatt_point_options(const struct tg_host *host, const struct tg_point *point,
                       struct gatt_point_options *ret, const char **ret_option, struct tg_error *err);
/* Marks what is due on a connection; the earliest moment when something will be due next. */
void gatt_points_mark_due(struct gatt_device *d, int64_t now_ms);
int64_t gatt_points_next_ms(const struct gatt_device *d);
/* All points are due at once. */
void gatt_points_all_due(struct gatt_device *d, int64_t now_ms);
/* A characteristic was read (`told`: notified). */
void gatt_points_take(struct tg_gatt_set *set, struct gatt_device *d, uint16_t handle, struct tg_bytes value,
                      bool told);
/* It was refused. */
void gatt_points_refused(struct tg_gatt_set *set, struct gatt_device *d, uint16_t handle, uint8_t code);
/* After discovery and subscriptions: points that cannot be had are told of, and have no value when they are due. */
void gatt_points_review(struct tg_gatt_set *set, struct gatt_device *d, int64_t now_ms);
/* No values: of all points, or of those that are due. */
void gatt_points_none(struct tg_gatt_set *set, struct gatt_device *d, uint32_t quality, bool all,
                      int64_t now_ms);
void gatt_points_flush(struct tg_gatt_set *set, struct gatt_device *d);

/* gatt_session.c */

void gatt_session_begin(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms);
void gatt_session_readable(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms);
/* Asks what is to be asked, sends what is to be sent, until an answer is awaited or nothing is left. */
void gatt_session_drive(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms);

/* gatt_slots.c */

void gatt_slot_watch(struct tg_gatt_set *set, struct gatt_slot *s, uint32_t events);
/* The connection is left in good order. */
void gatt_slot_leave(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms);
/* It ended, or was never reached. `heals`: hearing the device is a reason to try again. */
void gatt_slot_failed(struct tg_gatt_set *set, struct gatt_slot *s, bool heals, const char *text,
                      int64_t now_ms);
void gatt_slot_ready(struct tg_gatt_set *set, struct gatt_slot *s, uint32_t events, int64_t now_ms);
void gatt_slots_tick(struct tg_gatt_set *set, int64_t now_ms);
void gatt_slots_schedule(struct tg_gatt_set *set, int64_t now_ms);
int64_t gatt_slots_next_ms(const struct tg_gatt_set *set, int64_t now_ms);
void gatt_slots_close_all(struct tg_gatt_set *set, const char *text, int64_t now_ms);
void gatt_device_tell(struct tg_gatt_set *set, struct gatt_device *d, uint32_t state, const char *text);
/* "a device": its address for people. */
const char *gatt_address_text(const struct tg_ble_address *a, char ret_text[18]);

/* gatt_jobs.c */

/* The next job of this device, made its current one; NULL: none. */
struct gatt_job *gatt_job_next(struct tg_gatt_set *set, struct gatt_device *d);
bool gatt_job_waits(const struct tg_gatt_set *set, const struct gatt_device *d);
/* Its characteristic has been looked up: asks it, or answers it at once. */
void gatt_job_run(struct tg_gatt_set *set, struct gatt_slot *s, struct gatt_job *j, int64_t now_ms);
void gatt_job_event(struct tg_gatt_set *set, struct gatt_slot *s, const struct tg_att_event *e,
                    int64_t now_ms);
/* The connection has gone: what was sent has an unknown outcome. */
void gatt_job_lost(struct tg_gatt_set *set, struct gatt_device *d, const char *text);
void gatt_jobs_tick(struct tg_gatt_set *set, int64_t now_ms);
int64_t gatt_jobs_next_ms(const struct tg_gatt_set *set);
void gatt_jobs_end(struct tg_gatt_set *set);

/* gatt_set.c */

/* The device, made when it is needed for the first time; NULL: no memory, or no address. */
struct gatt_device *gatt_device_of(struct tg_gatt_set *set, uint32_t index, struct tg_error *err);

#endif
