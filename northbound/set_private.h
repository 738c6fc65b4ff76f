/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * set_private - what all links of a gateway share: the clouds with their connect slots, meters and reach, and the set itself. Private
 * to northbound: session_set.h is what others see, link.h has the single link.
 *
 *   session_set.c    pacing over all links
 *   set_plan.c       what a cloud's month costs, and how long its messages wait for that
 */
#ifndef TG_NORTHBOUND_SET_PRIVATE_H
#define TG_NORTHBOUND_SET_PRIVATE_H

#include "core/base/histogram.h"
#include "core/net/route_watch.h"
#include "northbound/carrier.h"
#include "northbound/delay_plan.h"
#include "northbound/quiet.h"
#include "northbound/reach.h"
#include "northbound/session_set.h"
#include "store/notes.h"

#define TG_SESSION_SET_MAGIC 0x5e5510ffu

struct tg_link;

/* One cloud of the configuration, with its queue for connect slots. Models that describe the same cloud share it, so it
 * points into none of them. */
struct tg_set_cloud {
    char *name;                     /* NULL = free place */
    uint64_t fingerprint, ca_stamp; /* of its configuration; of the CA file's state when it was read */
    const struct tg_cloud_type *type;
    uint32_t links, handshakes; /* slots that its links hold */
    uint32_t sessions;
    struct tg_link *shared;          /* the link for all its sessions, or NULL */
    struct tg_histogram ack_latency; /* sample taken → acknowledged */
    struct tg_wire_meter wire;
    struct tg_delay_plan delay;  /* of `batch.max_delay`; not looked at without a budget */
    uint64_t month_budget_bytes; /* 0 = none */
    uint64_t noted_bytes;        /* of wire.calendar's month, when it was last noted */
    bool replaced;               /* another place of this name has its calendar now */
    struct tg_reach reach;
    struct tg_quiet quiet;
    struct tg_tls_context *tls; /* NULL = `tls: off` */
    double tokens, tokens_per_ms, tokens_max;
    int64_t refilled_ms;
    struct tg_link *queue_head, **queue_tail;
};

struct tg_session_set {
    uint32_t magic;
    struct tg_loop *loop;
    struct tg_store *store;
    struct tg_notes *notes; /* NULL = nothing is remembered over a restart */
    char *gateway, *state_dir;
    enum tg_uplink uplink;
    struct tg_route_watch *routes; /* lent; NULL = nobody can say */
    struct tg_reach reach;         /* of all clouds together */
    int64_t path_changed_ms; /* when links, addresses or routes last changed, or a modem's word; 0 = never */
    struct tg_session_callbacks cb;
    void *user;
    struct tg_set_cloud clouds[TG_SET_MAX_CLOUDS];
    uint32_t cloud_count, next_cloud, handshakes, session_count;
    uint64_t generation;   /* the last one given to a connection */
    uint64_t command_next; /* the last number given to a command */
    uint32_t session_next; /* the last number given to a session */
    uint32_t channel;      /* the last number given to a carried connection */
    struct tg_carrier carrier;
    struct tg_module_link *modules; /* links that are carried */
    struct tg_session *sessions, **sessions_tail;
    struct tg_deadline plan; /* set_plan.c looks */
    int64_t plan_noted_ms;
    struct tg_deadline deadline; /* a bucket refills, or trim_ms */
    int64_t trim_ms;             /* give memory of finished handshakes back; INT64_MAX = done */
    struct tg_writer out;        /* packets of the link that is at work */
    uint8_t *body, *packed;
    void (*closed)(void *user);
    void *closed_user;
};

/* --- session_set.c --- */
/* The slot is given by tg_link_slot_granted(), from the loop. */
void tg_set_want_slot(struct tg_link *l);
void tg_set_cancel_slot(struct tg_link *l);
void tg_set_release_slot(struct tg_link *l);
void tg_set_add(struct tg_session *s);
void tg_set_remove(struct tg_session *s);
/* Frees it when no link uses it. */
void tg_set_drop_unused(struct tg_set_cloud *cloud);
/* The link's streams are closed: its cloud's TLS context goes with the last one. */
void tg_set_leave_cloud(struct tg_link *l);
struct tg_set_cloud *tg_set_cloud_for(struct tg_session_set *set, const struct tg_config_cloud *config,
                                      struct tg_error *err);

/* --- set_plan.c --- */
void tg_plan_open(struct tg_session_set *set);
/* Closes what it began; then `closed`. */
void tg_plan_close(struct tg_session_set *set, void (*closed)(void *user));
/* A cloud has come: its meter, with what is known of the month, and its delay. */
void tg_plan_cloud(struct tg_session_set *set, struct tg_set_cloud *cloud,
                   const struct tg_config_cloud *config);
/* Its last link has gone: notes what its month has cost. */
void tg_plan_cloud_goes(struct tg_session_set *set, struct tg_set_cloud *cloud);
/* Its meter as of now. */
void tg_plan_meter(struct tg_session_set *set, struct tg_set_cloud *cloud, int64_t now_ms);

#endif
