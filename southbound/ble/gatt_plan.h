/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_plan - what is asked of one GATT server, in which order: MTU, discovery of what is wanted and no more, subscriptions, reads.
 *
 *     start (a connection) ──► next: a step ──► the driver has att_client ask it ──► done(event) ──► next …  IDLE: nothing to ask
 *
 *   1. MTU, once a connection.
 *   2. The Database Hash (2B2A), when the table is known and has one: another hash empties the table.
 *   3. Primary services; then the characteristics of those services that somebody wants, of Device Information (180A) and of
 *      Generic Attribute (1801).
 *   4. Service Changed (2A05) is subscribed to; when it comes the table is emptied and 3 begins again.
 *   5. Subscriptions: the descriptors of the characteristic are looked through for its CCCD (2902), which is written 0001 (notify) or
 *      0002 (indicate) on every connection.
 *   6. Reads of what is due; wants of the same characteristic share one.
 *   A handle that the server calls invalid (01), or "database out of sync" (12), has the table emptied too, once a connection.
 *
 * The table outlives connections: it is the cache of handles. It is bounded: further services and characteristics are left out and
 * `overflow` says so.
 *
 * Pure: no I/O, no clock, no allocation; the caller lends the wants. One thread. 3.5 KiB, and 46 bytes for each want.
 */
#ifndef TG_SOUTHBOUND_BLE_GATT_PLAN_H
#define TG_SOUTHBOUND_BLE_GATT_PLAN_H

#include "southbound/ble/att_client.h"

#define TG_GATT_MAX_SERVICES        32
#define TG_GATT_MAX_CHARACTERISTICS 96
#define TG_GATT_MAX_ASKS            16 /* requests for the descriptors of one characteristic */

enum tg_gatt_property { /* of a characteristic */
                        TG_GATT_READ = 0x02,
                        TG_GATT_WRITE_NO_RESPONSE = 0x04,
                        TG_GATT_WRITE = 0x08,
                        TG_GATT_NOTIFY = 0x10,
                        TG_GATT_INDICATE = 0x20
};

struct tg_gatt_service {
    struct tg_att_uuid uuid;
    uint16_t start, end;
    bool known; /* its characteristics have been discovered */
};

struct tg_gatt_characteristic {
    struct tg_att_uuid uuid;
    uint16_t declaration, value;
    uint16_t end;  /* its last descriptor's handle at most */
    uint16_t cccd; /* 0: none, or not looked for */
    uint8_t properties;
    uint8_t service;        /* index */
    bool descriptors_known; /* they were looked through for the CCCD */
};

struct tg_gatt_table {
    bool services_known, overflow, has_hash;
    uint8_t hash[16];
    uint8_t service_count, characteristic_count;
    struct tg_gatt_service services[TG_GATT_MAX_SERVICES];
    struct tg_gatt_characteristic characteristics[TG_GATT_MAX_CHARACTERISTICS];
};

/* Which characteristic. */
struct tg_gatt_selector {
    struct tg_att_uuid uuid, service;
    bool has_service;
    uint8_t instance; /* from 1, in the order of handles */
};

/* "battery_level", "2a19", "180f/2a19", "SERVICE/CHARACTERISTIC" of any UUIDs. TG_EINVAL. */
int tg_gatt_selector_parse(struct tg_bytes text, struct tg_gatt_selector *ret,
                           struct tg_error *err) TG_CHECKED;
/* The characteristic in the table, or NULL. */
const struct tg_gatt_characteristic *tg_gatt_table_find(const struct tg_gatt_table *t,
                                                        const struct tg_gatt_selector *s);

enum tg_gatt_notify { TG_GATT_NOTIFY_AUTO = 0, TG_GATT_NOTIFY_TRUE = 1, TG_GATT_NOTIFY_FALSE = 2 };

enum tg_gatt_finding {
    TG_GATT_UNKNOWN = 0, /* not discovered yet */
    TG_GATT_FOUND,
    TG_GATT_ABSENT,      /* the device has no such characteristic */
    TG_GATT_NO_NOTIFY,   /* `notify: true`, and it can neither notify nor indicate, or has no CCCD */
    TG_GATT_NOT_READABLE /* it can be neither read nor subscribed to */
};

struct tg_gatt_want {
    struct tg_gatt_selector selector;
    uint8_t notify;  /* enum tg_gatt_notify */
    bool periodic;   /* it is to be read from time to time */
    bool off;        /* nobody wants it */
    bool due;        /* to be read now; cleared when it was, or was refused */
    uint8_t finding; /* enum tg_gatt_finding */
    uint8_t code;    /* of the last refusal (read, CCCD), 0 = none */
    bool subscribe;  /* set by the plan: it is told by the device */
    bool subscribed; /* on this connection */
    bool settled;    /* what was to be done for its subscription on this connection is done */
    uint16_t handle; /* of its value; 0 unless FOUND */
};

enum tg_gatt_step_kind {
    TG_GATT_STEP_IDLE = 0,
    TG_GATT_STEP_MTU,
    TG_GATT_STEP_HASH,
    TG_GATT_STEP_SERVICES,        /* from handle */
    TG_GATT_STEP_CHARACTERISTICS, /* handle to end */
    TG_GATT_STEP_DESCRIPTORS,     /* handle to end */
    TG_GATT_STEP_SUBSCRIBE,       /* write value to handle (a CCCD) */
    TG_GATT_STEP_READ             /* handle */
};

struct tg_gatt_step {
    enum tg_gatt_step_kind kind;
    uint16_t handle, end;
    uint8_t value[2];
    uint8_t characteristic; /* DESCRIPTORS, SUBSCRIBE: index in the table */
    bool service_changed;   /* they are for Service Changed itself */
};

struct tg_gatt_plan {
    struct tg_gatt_table table;
    struct tg_gatt_want *wants; /* lent */
    uint16_t count;
    bool skip_mtu; /* the server answers badly when asked for its MTU */
    bool mtu_done, hash_done, changes_settled, resolved, rediscovered;
    bool doubtful;            /* discovery ended with an error: done again on the next connection */
    uint16_t cursor;          /* where the discovery under way goes on; 0 = it begins */
    uint8_t descriptor_asks;  /* for one characteristic; at most TG_GATT_MAX_ASKS */
    struct tg_gatt_step step; /* the one that was given last */
};

void tg_gatt_plan_init(struct tg_gatt_plan *p, struct tg_gatt_want *wants, uint16_t count);
/* A connection begins: nothing is subscribed, the MTU is the default. The table stays. */
void tg_gatt_plan_start(struct tg_gatt_plan *p);
/* The next step, the same again until done() was told of it. */
struct tg_gatt_step tg_gatt_plan_next(struct tg_gatt_plan *p);
/* Has the client ask a step. As the client's requests. */
int tg_gatt_plan_ask(const struct tg_gatt_step *step, struct tg_att_client *c, int64_t now_ms) TG_CHECKED;
/* The client's answer to the step (any kind but NONE, NOTIFIED, BROKEN, TIMEOUT). */
void tg_gatt_plan_done(struct tg_gatt_plan *p, const struct tg_att_event *e);
/* A notification or indication; true when it was Service Changed: the table is empty now. */
bool tg_gatt_plan_notified(struct tg_gatt_plan *p, const struct tg_att_event *e);
/* A want was changed: it is looked up, and its service discovered, before anything else is read. Only when tg_gatt_plan_steady(). */
void tg_gatt_plan_changed(struct tg_gatt_plan *p);
/* No list is half taken: wants may be changed. */
static inline bool tg_gatt_plan_steady(const struct tg_gatt_plan *p)
{
    return p->resolved && p->cursor == 0;
}

#endif
