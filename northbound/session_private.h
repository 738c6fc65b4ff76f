/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * session_private - what session.c (connection), session_receive.c (packets), session_send.c (batches and in-flight window) and session_set.c (pacing)
 * share.
 */
#ifndef TG_NORTHBOUND_SESSION_PRIVATE_H
#define TG_NORTHBOUND_SESSION_PRIVATE_H

#include "core/base/backoff.h"
#include "core/base/histogram.h"
#include "northbound/identity.h"
#include "northbound/session_set.h"

#define TG_SESSION_MAGIC     0x5e551011u
#define TG_SESSION_SET_MAGIC 0x5e5510ffu

#define TG_SESSION_MAX_IN_BYTES (128 * 1024) /* inbound packet: C2D messages have at most 64 KiB */
#define TG_SESSION_IN_LIMIT                                                                                  \
    (TG_SESSION_MAX_IN_BYTES + TG_LOOP_WIRE_BYTES + TG_LOOP_PLAIN_BYTES) /* and what came with its end */
#define TG_SET_BODY_BYTES  (128 * 1024)                                  /* one encoded message */
#define TG_SET_FLUSH_BYTES (32 * 1024) /* hand the records over, go on encoding */
#define TG_RECENT_COMMANDS 32

/* One published message: the rows whose samples it carries. */
struct tg_batch {
    struct tg_row **rows; /* max_samples places */
    uint32_t count;
    bool acked;
};

/* One cloud of the configuration, with its queue for connect slots. Models that describe the same cloud share it, so it
 * points into none of them. */
struct tg_set_cloud {
    char *name;                     /* NULL = free place */
    uint64_t fingerprint, ca_stamp; /* of its configuration; of the CA file's state when it was read */
    const struct tg_cloud_type *type;
    uint32_t sessions, handshakes;   /* slots that its sessions hold */
    struct tg_histogram ack_latency; /* sample taken → PUBACK */
    struct tg_tls_context *tls;      /* NULL = `tls: off` */
    double tokens, tokens_per_ms, tokens_max;
    int64_t refilled_ms;
    struct tg_session *queue_head, **queue_tail;
};

struct tg_session_set {
    uint32_t magic;
    struct tg_loop *loop;
    struct tg_store *store;
    char *gateway;
    struct tg_session_callbacks cb;
    void *user;
    struct tg_set_cloud clouds[TG_SET_MAX_CLOUDS];
    uint32_t cloud_count, next_cloud, handshakes, session_count;
    uint64_t generation; /* the last one given to a connection */
    struct tg_session *sessions, **sessions_tail;
    struct tg_deadline deadline; /* a bucket refills, or trim_ms */
    int64_t trim_ms;             /* give memory of finished handshakes back; INT64_MAX = done */
    struct tg_writer out;        /* packets of the session that is at work */
    uint8_t *body;
    void (*closed)(void *user);
    void *closed_user;
};

struct tg_session {
    uint32_t magic;
    struct tg_session_set *set;
    struct tg_set_cloud *cloud;
    const struct tg_config_route *route;
    const char *device_id;
    struct tg_session *next, *queue_next;

    enum tg_session_state state;
    bool holds_slot, started, subscribed, input_held;
    bool waits_for_clock; /* within WAITING: for the time to be set, not for the cloud */
    bool window_was_full; /* and has not opened again */
    bool had_rows;        /* after the last pump some were left */
    struct tg_identity identity;
    struct tg_cloud_target target;
    struct tg_backoff backoff;
    struct tg_deadline deadline;
    struct tg_stream *stream;
    struct tg_tls_ticket ticket;
    struct tg_buffer in; /* an inbound packet that has not wholly arrived */
    struct tg_mqtt_client mqtt;
    struct tg_mqtt_slot *slots;

    struct tg_feed *feed;
    struct tg_batch *batches; /* ring: tag % batch_cap */
    struct tg_row **batch_rows;
    uint64_t first_tag, next_tag;
    uint32_t batch_cap, max_samples;
    size_t max_bytes;
    int64_t max_delay_ms, batch_due_ms, pumped_ms;

    int64_t told_ms, retry_at_ms, renew_at_ms, renew_limit_ms, online_ms;
    uint64_t generation; /* of the connection, unique in the set: part of a command's token */
    uint64_t recent_commands[TG_RECENT_COMMANDS]; /* hashes of message ids */
    uint32_t recent_next;
    struct tg_session_stats stats;

    void (*closed)(void *user);
    void *closed_user;
};

/* session_send.c */
int tg_session_send_init(struct tg_session *s);
void tg_session_send_fini(struct tg_session *s);
/* Sends what may be sent; sets batch_due_ms. False when that failed: the connection has been given up. */
bool tg_session_pump(struct tg_session *s, int64_t now_ms);
void tg_session_acked(struct tg_session *s, uint64_t tag);
/* Hands what is in set->out to the stream. */
bool tg_session_flush(struct tg_session *s);

/* session_set.c: the slot is given by tg_session_slot_granted(), from the loop, maybe before this returns. */
void tg_set_want_slot(struct tg_session *s);
void tg_set_cancel_slot(struct tg_session *s);
void tg_set_release_slot(struct tg_session *s);
void tg_set_remove(struct tg_session *s);
/* The session's streams are closed: its cloud's TLS context goes with the last one. */
void tg_set_leave_cloud(struct tg_session *s);
struct tg_set_cloud *tg_set_cloud_for(struct tg_session_set *set, const struct tg_config_cloud *config,
                                      struct tg_error *err);

/* session.c */
void tg_session_slot_granted(struct tg_session *s);
void tg_session_set_state(struct tg_session *s, enum tg_session_state state);
/* Sets the deadline for what is due next in the present state; after every change. */
void tg_session_arm(struct tg_session *s);
/* Gives the connection up and waits for the next attempt; text is for people. */
void tg_session_fail(struct tg_session *s, const char *text);
void tg_session_renew_now(struct tg_session *s);
void tg_session_go_on(struct tg_session *s, int64_t now);

/* session_receive.c: bytes from the stream. */
void tg_session_on_data(void *session, struct tg_bytes data);
/* What was held back while too many commands waited. False when the connection is gone. */
bool tg_session_take_held(struct tg_session *s, int64_t now);

#endif
