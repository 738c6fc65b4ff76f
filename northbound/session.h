/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * session - one child device at one cloud: its feed, its MQTT client, its TLS stream, its credential, put together on
 * the loop.
 *
 *   WAITING ──slot──► CONNECTING ──TLS──► LOGIN ──CONNACK 0──► ONLINE ──► RENEWING (drain, DISCONNECT) ─┐
 *      ▲  back-off, full jitter  │ error      │ refused           │ lost                                 │
 *      └─────────────────────────┴────────────┴───────────────────┴──────────── at once ◄────────────────┘
 *
 * Data: rows are taken from the feed into batches (max_samples, max_bytes, max_delay), encoded and published at QoS 1;
 * a batch leaves the in-flight window with its PUBACK and, in order, moves the cursor. In-flight batches survive a broken
 * connection and are sent again with the same packet ids and bodies before anything new: never another body under a seq.
 * A credential that ends (SAS token) is renewed before: no new publishes, the window empties (bounded wait), DISCONNECT,
 * connect with the new token, so that a renewal neither loses nor repeats.
 *
 * Memory, besides TLS: slots and batches of what is in flight (at least 4 × 64 bytes, at most max_in_flight × (64 + 8·max_samples);
 * it grows and shrinks), and the rows in flight.
 * The set (session_set.h) paces connects; sessions ask it for a slot. Loop thread.
 */
#ifndef TG_NORTHBOUND_SESSION_H
#define TG_NORTHBOUND_SESSION_H

#include "config/config.h"
#include "northbound/cloud.h"
#include "store/store.h"

struct tg_session_set;
struct tg_session;

enum tg_session_state {
    TG_SESSION_WAITING,    /* for its back-off */
    TG_SESSION_QUEUED,     /* for a connect slot */
    TG_SESSION_CONNECTING, /* name, TCP, TLS */
    TG_SESSION_LOGIN,      /* CONNECT sent */
    TG_SESSION_ONLINE,
    TG_SESSION_RENEWING,
    TG_SESSION_CLOSING,
    TG_SESSION_PROVISIONING, /* asks where it belongs (Azure DPS), or for its certificate */
    TG_SESSION_ATTACHING     /* the connection that it shares is up, its own part in it is not yet */
};

const char *tg_session_state_name(enum tg_session_state state);

/* What a session that waits waits for. */
enum tg_session_wait {
    TG_SESSION_WAITS_NOT,
    TG_SESSION_WAITS_BACKOFF, /* the time of its back-off */
    TG_SESSION_WAITS_CLOCK, /* the time to be set: no token or certificate can be judged before, or (online) no sample be sent */
    TG_SESSION_WAITS_WAY, /* a route: none leads to its host now */
    TG_SESSION_WAITS_CHANGE /* the cloud said no for good: another credential or configuration, or a long back-off */
};

/* "back-off", "clock", "way", "change"; "" for NOT. */
const char *tg_session_wait_name(enum tg_session_wait wait);

/* A command that arrived. The handler answers with tg_session_command_done(), once, at once or later. */
struct tg_session_command {
    const char *device; /* the gateway's id of the device */
    struct tg_cloud_command command;
};

struct tg_session_callbacks {
    /* False = it cannot be taken now (no memory): the connection is given up, so that the cloud sends it again. */
    bool (*on_command)(void *user, struct tg_session *session, uint64_t token,
                       const struct tg_session_command *command);
    /* May be NULL. Must not close a session. */
    void (*on_state)(void *user, struct tg_session *session, enum tg_session_state state);
    /* What the cloud wants of the device; views. May be NULL. What comes of it is told with tg_session_report(). */
    void (*on_desired)(void *user, struct tg_session *session, const struct tg_cloud_desired *desired);
    /* The whole document of the device's reported properties, a JSON object borrowed until the next call; may be NULL = {}. */
    struct tg_bytes (*reported)(void *user, struct tg_session *session);
};

#define TG_SESSION_ERROR_BYTES 320 /* why the last attempt failed, for people */

struct tg_session_stats {
    enum tg_session_state state;
    uint64_t connects, failures, published, resent, acked_samples, acked_messages, commands, bytes_out,
        bytes_in;
    uint64_t pending, acked_seq;
    uint64_t acked_ahead;                 /* samples above acked_seq that went ahead of a backlog */
    int64_t online_since_ms, retry_at_ms; /* monotonic; 0 = not */
    uint32_t in_flight;
    uint64_t body_bytes; /* of messages published */
    uint64_t left_out;   /* samples that can never be sent */
    struct tg_gap gap;   /* what its cloud will not get and has not acknowledged to know */
    bool resumed,
        shared; /* shared: connects, failures, bytes_in and bytes_out are of a connection of several devices */
    enum tg_session_wait wait;
    const char *identity; /* its kind: identity.h; static storage */
    bool key_in_token;
    int64_t not_after_s;                   /* of the certificate, Unix time; 0 = none, or not read yet */
    int64_t credential_expires_s;          /* of the token that the connection was made with; 0 = none */
    uint64_t messages_today, blocks_today; /* published since midnight UTC: day_meter.h */
    char host[256];                        /* configured or assigned */
    char last_error[TG_SESSION_ERROR_BYTES];
    int64_t notice_ms; /* monotonic, when `notice` was told; 0 = never */
    char notice[320];  /* what was last left out without giving up the connection, and why */
};

/* `device` is the store's handle; config objects are borrowed for the session's life. */
/* `config`: the device's points, NULL = none are known. */
int tg_session_new(struct tg_session_set *set, const char *device_id, const struct tg_config_device *config,
                   uint32_t device, const struct tg_config_route *route, struct tg_session **ret_session,
                   struct tg_error *err) TG_CHECKED;
/* Begins: asks for its first connect slot. */
void tg_session_start(struct tg_session *s);
/* DISCONNECT when online, then everything goes; `closed` runs on the loop. Unacknowledged rows stay in the store. */
void tg_session_close(struct tg_session *s, void (*closed)(void *user), void *user);
/* Waits for the window to empty before close would lose nothing more: true when nothing is in flight. */
bool tg_session_idle(const struct tg_session *s);

/* The command has ended: acknowledges its message to the cloud and, where the cloud takes one, sends the answer (status as in
 * router.h, json its result). Of a token of an earlier connection only the answer is told, to types with `late_answers`. */
void tg_session_command_done(struct tg_session *s, uint64_t token, const char *status, const char *json);
/* True when the profile wants to hear of samples when they are accepted. */
bool tg_session_wants_samples(const struct tg_session *s);
/* A sample of the device was accepted; its body (core/base/sample.h). */
void tg_session_sample(struct tg_session *s, struct tg_bytes body);
/* Reported properties have changed: `patch` is a JSON merge patch (RFC 7386) of the document. Clouds that take none ignore it;
 * while the session is not online nothing is kept: the whole document is asked for when it comes online. */
void tg_session_report(struct tg_session *s, struct tg_bytes patch);

void tg_session_stats(const struct tg_session *s, struct tg_session_stats *ret_stats);
const char *tg_session_device(const struct tg_session *s);
const char *tg_session_cloud(const struct tg_session *s);

#endif
