/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * link - one connection to a cloud and the sessions that it carries. Private to northbound: session.h and session_set.h
 * are what others see; set_private.h has what all links share.
 *
 *   session.c        a child device at a cloud: its feed, names, gate, commands under way
 *   link.c           the connection's life: slot, stream, login, back-off, renewal
 *   pubsub/          the same for Pub/Sub over HTTPS: pubsub_link.c, pubsub_login.c
 *   module/          the same through a radio module's own connection: module_link.c
 *   link_kinds.c     which protocol it has, what is said of it
 *   link_login.c     CONNECT with the profile's login, off the loop when a token has to sign
 *   link_mqtt.c      MQTT packets that arrive, subscriptions, time-outs
 *   link_send.c      batches, telemetry
 *   link_feed.c      from the feed into batches, and acknowledgements back; which of its two streams is next
 *   link_gap.c       gap records, where a format has a place for them
 *   link_window.c    the memory of the in-flight window
 *   link_talk.c      the profile's step(): events to it, and what it may do
 *   link_answer.c    answers, reports and samples for step()
 *   link_wake.c      whose turn has come by the clock
 *   link_expiry.c    certificates that end soon
 *   link_clock.c     what a wall clock that was set means for it
 *   link_uplink.c    what the site's way to the network means for it
 *   link_wait.c      how long it waits, what for, and what ends it
 *   link_way.c       what the kernel says of that way
 *   link_delay.c     batches that wait for more samples
 *   link_wire.c      what its connections carry, for the cloud's meter
 *   link_reach.c     what its connects and failures say of the cloud
 *   link_assign.c    errands before the connection proper, and what they found
 *
 * A private link belongs to one session and dies with it; a shared one to all sessions of its cloud, and dies with the last.
 * What a link borrows from a configuration model (cloud, identity) it borrows from one of its sessions' models; when that session
 * leaves, it borrows from another one, which says the same (the set shares links by fingerprint).
 *
 * BATCHES   The ring of batches is in the order of sending. A batch belongs to one session; its rows are acknowledged to that
 * session's feed when the batch and all before it are. With one topic a point a batch is several messages (parts), which may
 * go out over several pumps; nothing else starts before the last has gone. The batch of a session that has left stays until
 * it is acknowledged, and is not sent again.
 * QOS 0     Has no acknowledgement. A PINGREQ after the messages is a barrier: brokers take packets in order, so its PINGRESP
 * says that they were taken. Batches before it count as acknowledged then. After a broken connection the others are forgotten
 * and their rows offered again by the feeds.
 */
#ifndef TG_NORTHBOUND_LINK_H
#define TG_NORTHBOUND_LINK_H

#include <sys/queue.h>

#include "core/base/backoff.h"
#include "northbound/day_meter.h"
#include "northbound/identity.h"
#include "northbound/set_private.h"

#define TG_SESSION_MAGIC 0x5e551011u
#define TG_LINK_MAGIC    0x5e5510abu

#define TG_LINK_MAX_IN_BYTES                                                                                 \
    (160 * 1024) /* inbound packet: methods have at most 128 KiB, C2D and config 64 */
#define TG_LINK_IN_LIMIT                                                                                     \
    (TG_LINK_MAX_IN_BYTES + TG_LOOP_WIRE_BYTES + TG_LOOP_PLAIN_BYTES) /* and what came with its end */
#define TG_SET_BODY_BYTES  (264 * 1024)                               /* one encoded message */
#define TG_SET_FLUSH_BYTES (32 * 1024) /* hand the records over, go on encoding */
#define TG_RECENT_COMMANDS 32

#define TG_TAG_CONTROL     (UINT64_C(1) << 63) /* of a control message: | mark */
#define TG_TAG_PART_BITS   10
#define TG_BATCH_MAX_PARTS (1u << TG_TAG_PART_BITS)

/* Some samples of one session that were sent together. */
struct tg_batch {
    struct tg_session *session; /* NULL = it has left */
    struct tg_row *one, **many; /* its rows: `many` when there can be more than one (tg_batch_rows()) */
    uint32_t count;
    uint16_t parts, parts_sent, parts_acked; /* messages */
    bool acked;
    bool ahead; /* of the stream that goes ahead of the backlog: acknowledged row by row */
};

/* A command that the gateway is at work on, or that waits until its id is on disk. */
struct tg_session_pending {
    LIST_ENTRY(tg_session_pending) entry;
    struct tg_session *session; /* NULL = it has left */
    uint64_t token, generation; /* generation: of the connection that it came by */
    bool waits;                 /* for the disk */
    uint16_t packet_id;         /* to acknowledge when it ends; 0 = none */
    uint16_t reply_len;
    uint32_t name_len, body_len; /* kept only while it waits for the disk */
    uint8_t data[];              /* reply, name, body */
};

/* What came up while step() was at work. */
struct tg_deferred {
    STAILQ_ENTRY(tg_deferred) entry;
    struct tg_session *session;
    enum tg_cloud_event_type type; /* ANSWER, REPORT, SAMPLE */
    char status[16];
    uint32_t reply_len, payload_len;
    uint8_t data[]; /* reply, payload */
};

struct tg_session_counts {
    uint64_t published, resent, acked_samples, acked_messages, commands, body_bytes, left_out;
};

enum tg_session_queue { TG_QUEUE_NONE, TG_QUEUE_DELAYED, TG_QUEUE_READY };

struct tg_session {
    uint32_t magic;
    struct tg_session_set *set;
    struct tg_link *link;
    const struct tg_config_route *route;
    uint32_t number; /* in the set, never 0: part of the tag of a control message */
    char *device_id;
    struct tg_session *next;          /* of the set */
    TAILQ_ENTRY(tg_session) in_link;  /* all of the link */
    TAILQ_ENTRY(tg_session) in_queue; /* delayed or ready */
    enum tg_session_queue queue;
    bool started, online, gate, subscribed;
    struct tg_cloud_target target;
    struct tg_identity identity; /* of its own on a shared link; else the link's counts */
    void *memory;                /* of the profile */
    struct tg_feed *feed;
    int64_t batch_due_ms;
    int64_t kept_due_ms; /* what waits was due then, when an urgent sample came between; 0 = none did */
    int64_t
        ahead_due_ms; /* when the batch of rows that go ahead has waited long enough; 0 = there are none */
    int64_t wake_ms, restart_ms; /* INT64_MAX = not; changed by tg_session_wake_at() and _restart_at() only */
    uint32_t wake_place;         /* in the link's heap, from 1; 0 = not in it */
    struct tg_backoff backoff;   /* of its restarts on a shared link */
    /* subscribing */
    bool want_subscribe;
    uint32_t sub_part, sub_refused;
    /* commands */
    LIST_HEAD(, tg_session_pending) pending;
    uint64_t *recent_commands; /* TG_RECENT_COMMANDS hashes of message ids; NULL = there were none yet */
    uint32_t recent_next;
    struct tg_session_counts stats;
    struct tg_day_meter day;
    char *gate_text; /* why the gate is closed; NULL = it is not, or for no reason to tell */
    char *notice;    /* what was last left out, and why; NULL = nothing */
    int64_t notice_ms;
    void (*closed)(void *user);
    void *closed_user;
    struct tg_deadline *
        closing; /* of a session that leaves a shared link: `closed` runs on the loop; NULL on a link of its own */
};

TAILQ_HEAD(tg_session_list, tg_session);

/* How a link speaks once its stream is up. */
struct tg_link_protocol {
    int (*open)(struct tg_link *l);   /* makes protocol_memory; TG_ENOMEM. NULL = there is none */
    void (*close)(struct tg_link *l); /* frees it */
    /* Makes the connection, which is no stream: sets l->carried. NULL = a stream is opened. */
    int (*connect)(struct tg_link *l, struct tg_error *err);
    void (*ready)(struct tg_link *l); /* the stream is up: log in. Not with `connect`, nor is data() */
    void (*data)(struct tg_link *l, struct tg_bytes data);
    /* The connection ended. True: dealt with; false: it is a failure. NULL = always that. */
    bool (*ended)(struct tg_link *l, const struct tg_error *err);
    bool (*pump)(struct tg_link *l,
                 int64_t now_ms); /* sends what may be sent; false: the link has failed meanwhile */
    int64_t (*deadline)(const struct tg_link *l);
    bool (*tick)(struct tg_link *l, int64_t now_ms); /* false: the link has failed */
    void (*goodbye)(struct tg_link *l);              /* writes the last words, if any */
    void (*lost)(struct tg_link *l);                 /* the connection is gone */
    void (*probe)(struct tg_link *l,
                  int64_t now_ms); /* writes what shows whether the connection still stands; NULL = cannot */
    void (*clock_set)(struct tg_link *l,
                      int64_t now_ms); /* the wall clock was set; NULL = it does not matter */
    const char *identity; /* what proves it when that is not the cloud's `identity`; NULL = it is */
};

/* What an errand found (link_assign.c). */
struct tg_link_assignment {
    char host[TG_CLOUD_HOST_BYTES], device[TG_NAME_MAX_BYTES + 1];
    char *certificate, *key; /* file paths */
    struct tg_config_identity identity;
};

struct tg_link {
    uint32_t magic;
    struct tg_session_set *set;
    struct tg_set_cloud *cloud;
    const struct tg_config_cloud *config;
    const struct tg_config_identity *identity_config;
    const struct tg_link_protocol *protocol;
    struct tg_link_login *login; /* a token is signing for this link; NULL = none */
    struct tg_link *queue_next;
    bool shared;
    struct tg_session_list sessions, ready, delayed;
    uint32_t session_count;
    void *memory;          /* of the profile */
    void *protocol_memory; /* of the protocol */

    enum tg_session_state state;
    bool holds_slot, started, input_held, closing, timer_closed;
    bool waits_for_clock;  /* within WAITING: for the time to be set, not for the cloud */
    bool waits_for_change; /* within WAITING: the cloud said no; a changed credential ends the wait */
    bool waits_for_way;    /* within WAITING: no route leads there (ways.h) */
    bool window_was_full;  /* and has not opened again */
    bool errand;           /* this connection is for an errand */
    uint32_t stepping;     /* step() is at work */
    STAILQ_HEAD(, tg_deferred) deferred;
    struct tg_identity identity;
    struct tg_cloud_target target; /* device_id: the session's, or the gateway's name */
    struct tg_backoff backoff;
    struct tg_deadline deadline;
    struct tg_stream *stream;
    bool carried; /* the connection, or what is being made of it, is no stream (protocol->connect) */
    struct tg_tls_ticket ticket;
    struct tg_buffer in; /* an inbound packet that has not wholly arrived */
    struct tg_mqtt_client mqtt;
    struct tg_mqtt_slot *slots;
    int64_t wake_ms;
    struct tg_session **wakes; /* heap of the sessions that wait for a moment (link_wake.c) */
    uint32_t wake_count, wake_room;

    /* subscribing: NULL with sub_busy = the link's own */
    bool sub_busy, want_subscribe;
    struct tg_session *sub_session;
    uint32_t sub_part, sub_refused;

    struct tg_batch *batches;          /* ring: tag % ring_places (tg_link_batch()) */
    uint32_t ring_places, slot_places; /* that there is memory for; up to batch_cap */
    uint32_t calm_rounds;
    uint64_t first_tag, next_tag;
    uint64_t barrier_tag; /* what the barrier that is under way confirms; 0 = none */
    uint32_t batch_cap, max_samples;
    size_t max_bytes;
    int64_t max_delay_ms, pumped_ms;
    uint8_t qos;
    bool retain, per_point, deflate;
    const struct tg_format *format;
    double publish_tokens;
    int64_t publish_refilled_ms; /* bucket of max_publishes_per_second */

    struct tg_ip far;    /* where it was last connected to, or its numeric host; family 0 = not known */
    bool far_is_fixed;   /* the host is numeric */
    struct tg_way way;   /* there, as last seen */
    int64_t way_gone_ms; /* since when it has been gone */
    bool counted;        /* as online, in reach */
    int fail_code;       /* of the error that is being told; TG_OK = none */
    enum tg_failure
        failed_as;      /* what is about to fail, when who fails it knows; TG_FAILURES = to be found out */
    bool was_throttled; /* the last failure */
    int64_t
        wait_at_least_ms; /* before the next attempt, as the other side asked (Retry-After); 0 = did not */
    int64_t suspect_quiet_ms,
        suspect_at_ms;          /* the silence before the last failure, and when that was; 0 = none */
    int64_t hurried_ms;         /* when an uplink that came back last ended the wait; 0 = never */
    enum tg_failure fail_class; /* of the last failure */
    int64_t told_ms, retry_at_ms, renew_at_ms, renew_limit_ms, online_ms;
    int64_t renew_plan_ms,
        credential_life_ms;       /* renew_at_ms as it was when the token was made; how long that lives */
    uint64_t credential_stamp;    /* of the credential's files when they were last read */
    int64_t credential_expires_s; /* of the token of this connection, Unix time; 0 = none */
    int64_t expiry_look_ms, expiry_told_ms; /* monotonic: of the certificate; 0 = none, never told */
    uint64_t generation;                    /* of the connection, unique in the set */

    struct tg_link_assignment *assigned; /* NULL = there are no errands */
    bool is_assigned, doubt;             /* doubt: ask again before the next connection */
    uint32_t failures_in_a_row;
    void *errand_memory;

    uint64_t connects, failures, bytes_in, bytes_out, segments; /* of connections that are over */
    uint64_t metered_in, metered_out, metered_segments;         /* what the cloud's meter has of them */
    bool resumed;
    char last_error[TG_SESSION_ERROR_BYTES];
    uint32_t short_lives; /* connections in a row that the other side closed soon after the login */
    void (*closed)(void *user);
    void *closed_user;
};

extern const struct tg_link_protocol tg_link_mqtt;

/* --- link.c --- */
int tg_link_new(struct tg_session_set *set, struct tg_set_cloud *cloud, const struct tg_config_route *route,
                bool shared, struct tg_link **ret_link, struct tg_error *err) TG_CHECKED;
/* Its sessions leave (mostly one): DISCONNECT when online, then everything goes; `closed` runs on the loop. */
void tg_link_close(struct tg_link *l, void (*closed)(void *user), void *user);
void tg_link_start(struct tg_link *l);
void tg_link_slot_granted(struct tg_link *l);
void tg_link_set_state(struct tg_link *l, enum tg_session_state state);
/* Sets the deadline for what is due next in the present state; after every change. */
void tg_link_arm(struct tg_link *l);
/* Gives the connection up and waits for the next attempt; text is for people. */
void tg_link_fail(struct tg_link *l, const char *text);
void tg_link_fail_as(struct tg_link *l, enum tg_retry retry, const char *text);
void tg_link_fail_error(struct tg_link *l, const struct tg_error *err);
/* DISCONNECT and a new connection at once: a renewed credential, the end of an errand. */
void tg_link_reconnect(struct tg_link *l, const char *why);
/* After something has happened on the connection: sends what may be sent, or connects anew once the window is empty. */
void tg_link_go_on(struct tg_link *l, int64_t now_ms);
/* The login went through: sessions come online. */
void tg_link_is_online(struct tg_link *l, int64_t now_ms, bool session_present);
/* The model that `config` belongs to goes with this session: borrow from another one. */
void tg_link_borrow_elsewhere(struct tg_link *l, const struct tg_session *leaving);

/* The timer is closed, and no thread is at work for the link: frees it and tells. */
void tg_link_close_finish(struct tg_link *l);

/* --- link_wait.c --- */
#define TG_LINK_CLOCK_LOOK_MS 1000
#define TG_LINK_SHORT_LIVES   2 /* so many connections in a row that end soon may be accidents */
/* The wait after a failure. */
int64_t tg_link_wait_time(struct tg_link *l, enum tg_retry retry);
/* WAITING, for so long. */
void tg_link_wait(struct tg_link *l, int64_t wait_ms);
/* WAITING, until a way leads there. */
void tg_link_wait_for_way(struct tg_link *l);
/* Connects when it gets a slot, or waits for its way. */
void tg_link_ask_for_slot(struct tg_link *l);
/* WAITING, and its deadline has passed: what for? */
void tg_link_waited(struct tg_link *l, int64_t now_ms);
/* A number for the state of its credential's files. */
uint64_t tg_link_credential_stamp(const struct tg_link *l);

/* --- link_kinds.c --- */
const struct tg_link_protocol *tg_link_protocol_of(const struct tg_cloud_type *type);
/* There is a connection, or one is being made. */
static inline bool tg_link_has_connection(const struct tg_link *l)
{
    return l->stream || l->carried;
}
/* Of all its sessions: what waits in the outbox. */
uint64_t tg_link_pending_rows(const struct tg_link *l);
/* "cannot connect", "connection lost": what a failure in this state is. */
const char *tg_link_what_failed(enum tg_session_state state);

/* --- link_login.c --- */
/* Makes the login and sends CONNECT, at once or when the key has signed. */
void tg_link_log_in(struct tg_link *l);
/* A credential that ends is renewed before: when the connection is made with it. expires_s: Unix time; 0 = never. */
void tg_link_plan_renewal(struct tg_link *l, int64_t expires_s, int64_t wall_s, int64_t now_ms);

/* --- link_mqtt.c --- */
/* Asks for what sessions (and the link) still want to subscribe, one SUBSCRIBE at a time. */
void tg_link_subscribe(struct tg_link *l);
/* Writes a PUBACK for a message of this connection. */
void tg_link_ack_message(struct tg_link *l, uint64_t generation, uint16_t packet_id);
/* What was held back while too many commands waited. False when the connection is gone. */
bool tg_link_take_held(struct tg_link *l, int64_t now_ms);

/* --- link_feed.c --- */
/* Before rows are looked at: chooses the stream that the next batch is of. */
void tg_link_choose(struct tg_session *s, int64_t now_ms);
/* The batch is the session's now, with the first `count` rows that its feed offers. Parts are the caller's to set. */
void tg_link_fill(struct tg_session *s, struct tg_batch *b, uint32_t count);
/* The rows of an acknowledged batch; `more`: the next one in the ring is acknowledged too, which speaks for this one if it is the
 * same session's. */
void tg_link_confirm(struct tg_session *s, struct tg_batch *b, const struct tg_batch *more);

/* Takes the first row out that can never be sent. */
void tg_link_quarantine(struct tg_session *s, int rc);

/* --- link_window.c --- */
static inline struct tg_batch *tg_link_batch(const struct tg_link *l, uint64_t tag)
{
    return &l->batches[tag % l->ring_places];
}
static inline struct tg_row **tg_batch_rows(struct tg_batch *b)
{
    return b->many ? b->many : &b->one;
}
/* TG_ENOMEM. In any case tg_link_window_fini() may follow. */
int tg_link_window_init(struct tg_link *l) TG_CHECKED;
void tg_link_window_fini(struct tg_link *l);
/* How many messages at QoS 1 may be sent now; makes room for at least one of them. */
uint32_t tg_link_window(struct tg_link *l);
/* The place of the next batch (next_tag, which stays), with room for so many rows; below batch_cap batches must be in flight. When it is not used:
 * tg_link_let_go(). NULL: out of memory. */
struct tg_batch *tg_link_new_batch(struct tg_link *l, uint32_t rows);
/* Its rows and their memory. */
void tg_link_let_go(struct tg_batch *b);
/* Gives memory back that nothing in flight needs: an idle link. */
void tg_link_window_shrink(struct tg_link *l);
/* The last batch has just been acknowledged. */
void tg_link_window_emptied(struct tg_link *l);

/* --- link_send.c --- */
void tg_link_send_fini(struct tg_link *l);
bool tg_link_pump(struct tg_link *l, int64_t now_ms);
void tg_link_acked(struct tg_link *l, uint64_t tag);
void tg_link_barrier_passed(struct tg_link *l);
/* On a new connection, at QoS 0 or of another server: forgets the batches that nothing has confirmed; their rows are offered again. */
void tg_link_rewind(struct tg_link *l);
/* Hands what is in set->out to the stream. False: it does not take it. */
bool tg_link_flush(struct tg_link *l);
/* Room for a control message of so many bytes (flushing when that makes it). */
bool tg_link_room(struct tg_link *l, size_t bytes);
/* Puts the session into the queue that its rows want. */
void tg_link_queue(struct tg_session *s, int64_t now_ms);
void tg_link_unqueue(struct tg_session *s);
/* The session leaves: its batches are nobody's. */
void tg_link_orphan(struct tg_link *l, struct tg_session *s);
/* For types with `attaches` on a shared link: what is in flight goes back to the outbox, of one session whose gate closes; of
 * all, with what control messages are in flight, when the connection is gone. */
void tg_link_take_back(struct tg_link *l, struct tg_session *s);
void tg_link_take_all_back(struct tg_link *l);
int64_t tg_link_send_due(const struct tg_link *l);
/* Writes the message of as many as fit of the first `count` rows of the session's feed; the body is valid until the next call. How many;
 * negative when the first cannot be written. */
int tg_link_write_rows(struct tg_link *l, struct tg_session *s, uint32_t count,
                       struct tg_bytes *ret_body) TG_CHECKED;
/* The unit of a point of a session, as formats ask for it. */
const char *tg_link_unit_of(void *session, struct tg_bytes point);

/* --- link_gap.c --- */
bool tg_link_is_gap(const struct tg_row *row);
/* How many of the rows come before a gap record that the format has no place for. */
uint32_t tg_link_sayable(const struct tg_link *l, const struct tg_format_context *c,
                         const struct tg_row *const *rows, uint32_t count);

/* --- link_talk.c --- */
/* Gives one event to the profile: of the link (s NULL) or of a session. False: the link has failed meanwhile. */
bool tg_link_event(struct tg_link *l, struct tg_session *s, struct tg_cloud_event event);
/* For a message: as above; *ret_held = a command keeps its acknowledgement. */
bool tg_link_message(struct tg_link *l, struct tg_session *s, const struct tg_mqtt_event *e, bool *ret_held);
/* The profile's encode() and sent(). */
int tg_link_encode(struct tg_link *l, struct tg_session *s, const struct tg_format_sample *samples,
                   uint32_t count, bool again, struct tg_writer *out, struct tg_error *err) TG_CHECKED;
void tg_link_sent(struct tg_link *l, struct tg_session *s);
/* ONLINE for this session, and its gate. False: the link has failed meanwhile. */
bool tg_session_come_online(struct tg_session *s, bool session_present);
void tg_session_go_offline(struct tg_session *s);
/* What `notice` in its status says from now on. */
void tg_session_notice(struct tg_session *s, const char *text);
const char *tg_session_scope(const struct tg_session *s, char ret_scope[TG_NOTE_NAME_BYTES]);

/* --- link_delay.c --- */
/* The first row of a new batch has come: it waits for more. */
void tg_link_delay(struct tg_session *s, int64_t now_ms);
/* What is ready does not wait for more: an urgent sample is in it, or it was due and one came between. */
bool tg_link_hurries(struct tg_session *s, int64_t now_ms);
/* Batches whose max_delay is over are ready. */
void tg_link_ripen(struct tg_link *l, int64_t now_ms);

/* --- link_wire.c --- */
/* Gives what its connections have carried since the last call to the cloud's meter. */
void tg_link_meter(struct tg_link *l);
/* The stream is up: the handshake is counted. */
void tg_link_meter_handshake(struct tg_link *l);

/* --- link_answer.c --- */
/* Gives what came up while step() was at work. False: the link has failed meanwhile. */
bool tg_link_drain_deferred(struct tg_link *l);
/* Of the session, or of all (NULL). Late answers stay, unless `all`. */
void tg_link_forget_deferred(struct tg_link *l, const struct tg_session *s, bool all);

/* --- link_wake.c --- */
/* Before a session joins: room for its moments. TG_ENOMEM. */
int tg_link_wake_room(struct tg_link *l) TG_CHECKED;
/* When the session is to be woken, or begun again; INT64_MAX = not. */
void tg_session_wake_at(struct tg_session *s, int64_t at_ms);
void tg_session_restart_at(struct tg_session *s, int64_t at_ms);
/* WAKE of whoever is due; false: the link has failed. */
bool tg_link_wake(struct tg_link *l, int64_t now_ms);
int64_t tg_link_next_wake(const struct tg_link *l);

/* --- link_assign.c --- */
/* Once the link has its configuration. TG_ENOMEM. */
int tg_link_assign_init(struct tg_link *l) TG_CHECKED;
/* Reads what an earlier errand found; called once when the link is made. */
void tg_link_recall_assignment(struct tg_link *l);
/* True when the next connection is to be the errand's. Sets the target and the identity to be used for it. */
bool tg_link_wants_errand(struct tg_link *l);
void tg_link_keep_assignment(struct tg_link *l, const struct tg_cloud_assigned *a);
/* The cloud refused, or could not be reached: maybe the assignment is old. */
void tg_link_doubt(struct tg_link *l, bool refused);
void tg_link_assign_fini(struct tg_link *l);

/* --- link_expiry.c --- */
/* A new credential was read: from now on its certificate is looked at once a day, and told when it ends soon. */
void tg_link_watch_expiry(struct tg_link *l, int64_t now_ms);
/* When that is due next: INT64_MAX = never. */
int64_t tg_link_expiry_due(const struct tg_link *l);
void tg_link_look_at_expiry(struct tg_link *l, int64_t now_ms);

/* --- link_uplink.c --- */
/* The wait before the next attempt as the uplink makes it, from what the back-off says. */
int64_t tg_link_uplink_wait(const struct tg_link *l, int64_t wait_ms);
/* Somewhere in the upper half of the longest wait. */
int64_t tg_link_slow_end(const struct tg_link *l);
/* For one that waits for its back-off or its way: it connects within TG_WAYS_SPREAD_MS, not twice in ten seconds. `sure`: the way was
 * gone and is back, so the back-off begins anew. */
void tg_link_hurry(struct tg_link *l, int64_t now_ms, bool sure);

/* --- link_way.c --- */
/* Asks the kernel: nothing leads to where it connects. */
bool tg_link_has_no_way(struct tg_link *l);
/* "no route to 10.9.0.1 for 93 s; …" */
void tg_link_way_text(const struct tg_link *l, char *text, size_t size);
/* It is going to connect to this host, or proxy. */
void tg_link_aims_at(struct tg_link *l, const char *host);
/* It is connected: remembers where to. */
void tg_link_arrived(struct tg_link *l);

/* --- link_reach.c --- */
void tg_link_reach_wanted(struct tg_link *l);
void tg_link_reach_online(struct tg_link *l, int64_t now_ms);
void tg_link_reach_offline(struct tg_link *l);
/* Before its connection is dropped. What it was. */
enum tg_failure tg_link_reach_failed(struct tg_link *l, int64_t now_ms);
/* The cloud asked for a pause without ending the connection. */
void tg_link_reach_throttled(struct tg_link *l);
/* The way to the network is back. */
void tg_link_reach_back(struct tg_link *l, int64_t now_ms);
/* A silence may have been survived. */
void tg_link_look_at_quiet(struct tg_link *l, int64_t now_ms);

/* --- session.c --- */
void tg_session_rows(void *session); /* on_rows of its feed */
void tg_session_gate(struct tg_session *s, bool open);
/* END, and off the link. */
void tg_session_leave(struct tg_session *s);
/* Keeps the hash of a message id in place of the oldest. False: no memory. */
bool tg_session_note_command(struct tg_session *s, uint64_t id) TG_CHECKED;
void tg_session_remember_commands(struct tg_session *s);
void tg_session_recall_commands(struct tg_session *s);

#endif
