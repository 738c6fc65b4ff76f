/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cloud - the contract of a cloud type: everything that differs between hubs, and nothing else. Sans-I/O: profiles
 * build names, credentials, topics and control messages in memory that the caller lends, and take messages apart; they
 * never do I/O and never read a clock or a random source.
 *
 * A profile is a `static const struct tg_cloud_type` in a file of its own (azure_hub.c, mqtt_cloud.c) and stands in
 * the table of cloud_types.c. Its options and rules come from `config`, so `tidegate check`, the schema and the manual
 * need no further code.
 *
 * LINK AND SESSION   A link is one connection; a session is one child device at one cloud. Mostly a link carries one
 * session. A type whose shared() says so has one link for all devices of the cloud, with the cloud's own `identity`:
 * GCP gateway mode, a shared MQTT session, a Sparkplug edge node.
 *
 * TALK   What a profile says besides telemetry (twins, shadows, attach, births, jobs) is a state machine: step() gets
 * one event with its time and answers by calling the io functions that it was lent, which only note what is to be done.
 * Its memory is `session_bytes` for each session and `link_bytes` for each link, zeroed when they are made; both live
 * as long as the session or link, over reconnects. What it allocates beyond (tg_malloc) it frees in its END event.
 *
 *     link:     START … ONLINE (CONNACK 0) [SUBSCRIBED] … MESSAGE … WAKE … OFFLINE … ONLINE … END
 *     session:  START … ONLINE [SUBSCRIBED] (MESSAGE | PUBLISHED | ANSWER | REPORT | SAMPLE | WAKE)… OFFLINE … END
 *
 * On connecting the link's ONLINE comes first, then each session's. A session that joins a link which is online gets
 * START and ONLINE one after the other. On a private link the two are told apart by `session` being NULL.
 *
 * RETRY   enum tg_retry says when a refused or lost connection is tried again. NOW: at once, once, then as BACKOFF. BACKOFF: full
 * jitter from min_backoff to max_backoff. NEVER: the cloud said no for good; the session tries again at once when the
 * credential's files or the configuration change, and else only after 5 to 10 times max_backoff, because somebody may
 * have mended it on the other side.
 *
 * ERRAND   Before a session can connect, some clouds must be asked where it belongs (Azure DPS) or for a certificate
 * (AWS fleet provisioning): `errand` is a profile of its own kind, with its own host, credential and step(), that ends
 * with io->assigned() or io->give_up(). What it found is kept (store/notes.h) and used until the cloud refuses it.
 */
#ifndef TG_NORTHBOUND_CLOUD_H
#define TG_NORTHBOUND_CLOUD_H

#include "config/config.h"
#include "core/base/log.h" /* enum tg_log_level */
#include "northbound/format.h"
#include "northbound/mqtt/mqtt_client.h"
#include "northbound/signer.h"

#define TG_CLOUD_SCRATCH_BYTES                                                                               \
    8192 /* user name (host 255 + id 128 + model 256) and token (SAS: sr 3 × 400, sig 140; JWT RS256: 1 KiB) fit */
#define TG_CLOUD_TOPIC_BYTES 1024
#define TG_CLOUD_REPLY_BYTES 256 /* what a profile needs to answer a command: a request id, a job id */
#define TG_CLOUD_HOST_BYTES  256

/* Who connects where. Everything is borrowed. */
struct tg_cloud_target {
    const char *host;      /* configured or assigned */
    const char *device_id; /* in that cloud; of a shared link: the gateway's name */
    const char *gateway;
    const struct tg_settings *settings;     /* of the type's own option table */
    const struct tg_settings *common;       /* of the cloud: keepalive, format, … */
    const struct tg_settings *provisioning; /* NULL = none */
    const struct tg_config_device *device;  /* its points; NULL for a shared link */
};

/* What proves it, as loaded by identity.c. For X.509 the proof is in TLS. */
struct tg_cloud_secret {
    enum tg_identity_kind kind;
    struct tg_bytes
        sas_key; /* raw bytes; with TG_IDENTITY_GROUP the group's: the profile derives the device's */
    struct tg_bytes username, password;
    const struct tg_signer *signer; /* the key of a JWT or a CSR; NULL = none */
};

struct tg_cloud_login {
    struct tg_mqtt_connect connect; /* keepalive is the session's; views into the scratch and the secret */
    int64_t expires_s;              /* Unix time when the credential ends; 0 = never */
};

/* A message from the cloud that is a command. Views, copied by the callee. */
struct tg_cloud_command {
    struct tg_bytes message_id; /* empty = none: cannot be recognised when redelivered */
    struct tg_bytes name;       /* empty = in the body */
    struct tg_bytes body;
    struct tg_bytes
        reply; /* at most TG_CLOUD_REPLY_BYTES; comes back with the ANSWER. Empty = no ANSWER is wanted */
    bool hold; /* the MESSAGE that is being handled is acknowledged to the cloud when the command has ended */
};

/* What the cloud wants of the device (twin desired, shadow delta, config). */
struct tg_cloud_desired {
    bool whole;           /* all of it; else a patch: what is not named stays, null removes */
    uint64_t version;     /* 0 = the cloud numbers nothing */
    struct tg_bytes json; /* an object, without $version and other metadata */
};

struct tg_cloud_assigned {
    const char *host, *device_id;             /* NULL = as configured */
    struct tg_bytes certificate_pem, key_pem; /* empty = none; they become the session's identity */
    struct tg_bytes payload;                  /* JSON of the allocation; empty = none */
};

enum tg_cloud_event_type {
    TG_CLOUD_START,
    TG_CLOUD_ONLINE, /* code: 1 = the broker kept the session */
    TG_CLOUD_SUBSCRIBED, /* all filters of the session (or shared link) have been answered; code: how many were refused */
    TG_CLOUD_MESSAGE, /* topic, payload, retain. What step() returns < 0 for is logged with err and left out */
    TG_CLOUD_PUBLISHED, /* the publish that was made with this mark (code) is acknowledged */
    TG_CLOUD_ANSWER, /* a command ended: reply, status ("ok", "invalid", … router.h), payload = its JSON result. Only on the
                        connection that the command came by; with late_answers at any time, also when there is none */
    TG_CLOUD_REPORT, /* payload = what changed of the reported properties, as a JSON merge patch */
    TG_CLOUD_SAMPLE, /* types with wants_samples: payload = the body (sample.h) of a sample that was just accepted; the
                        connection may be down. Those of before a restart come only to encode() */
    TG_CLOUD_WAKE,
    TG_CLOUD_OFFLINE, /* the connection ended; nothing can be published */
    TG_CLOUD_CLOSING, /* about to disconnect in order: last words may be published */
    TG_CLOUD_END
};

struct tg_cloud_event {
    enum tg_cloud_event_type type;
    int64_t now_ms, wall_ms;
    uint32_t code;
    bool retain;
    struct tg_bytes topic, payload, reply;
    const char *status;
};

struct tg_cloud_talk;

/* What step() may do. None of it calls step() again before it has returned. */
struct tg_cloud_io {
    /* A control message: `mark` ≠ 0 asks for PUBLISHED (QoS 1 only). TG_EFULL: no room (QoS 1 window or buffer); what
     * matters is published again at the next WAKE. Control messages are not sent again after a reconnect: ONLINE begins anew. */
    int (*publish)(void *user, struct tg_bytes topic, struct tg_bytes payload, uint8_t qos, bool retain,
                   uint32_t mark);
    /* The publish with this mark will not be acknowledged: the cloud has refused it by a message. It counts as done, without
     * PUBLISHED; else its missing PUBACK would end the connection. An unknown mark is ignored. */
    void (*forgo)(void *user, uint32_t mark);
    void (*command)(void *user, const struct tg_cloud_command *command);
    void (*desired)(void *user, const struct tg_cloud_desired *desired);
    /* The whole document of reported properties (JSON object, borrowed until step() returns). */
    struct tg_bytes (*reported)(void *user);
    /* Telemetry of the session may flow, or not. False after every ONLINE when the type has `gated`, else true. */
    void (*open_gate)(void *user, bool open);
    /* Subscribes filters() of this session anew (e.g. after it was attached). */
    void (*subscribe)(void *user);
    void (*wake_at)(void *user, int64_t at_ms); /* INT64_MAX = not; one time a session and one a link */
    /* Ends the connection (of a session on a shared link: only its gate is closed and its START comes again): with TG_RETRY_NOW in
     * order, after what was published; else at once, so that the broker sends the will. */
    void (*give_up)(void *user, enum tg_retry retry, const char *text);
    void (*assigned)(void *user, const struct tg_cloud_assigned *assigned); /* errands only */
    /* Errands only: makes an EC P-256 key and a certificate request for it, both PEM (csr.h): profiles have no
     * random source. The profile wipes the key's memory. */
    int (*new_key)(void *user, const char *common_name, struct tg_writer *key_pem, struct tg_writer *csr_pem,
                   struct tg_error *err);
    /* Small durable memory (store/notes.h), key at most 64 bytes, value at most 64 KiB; remember with an empty value forgets. */
    struct tg_bytes (*recall)(void *user, const char *key);
    void (*remember)(void *user, const char *key, struct tg_bytes value);
    /* A line in the log about this session (its device and cloud are put before it), also seen as `notice` in its status: something
     * was left out here, why, and what happens next. The link goes on; give_up() says its own text. What repeats is the
     * profile's to hold back. */
    void (*say)(void *user, enum tg_log_level level, const char *text);
    /* For shared links: each session in turn. */
    void (*each_session)(void *user, void (*each)(void *arg, const struct tg_cloud_talk *talk), void *arg);
};

/* Lent to step() for one call. */
struct tg_cloud_talk {
    const struct tg_cloud_target *target;
    const struct tg_cloud_secret *secret; /* of this session */
    void *session;                        /* session_bytes; NULL in a link's event */
    void *link;                           /* link_bytes */
    const struct tg_cloud_io *io;
    void *user; /* first argument of every io function */
};

/* An errand: see above. Its sessions are its own; only START … WAKE, OFFLINE, END come. */
struct tg_cloud_errand {
    size_t session_bytes;
    uint16_t
        default_port; /* when the provisioning section's option `port`, which it must have, is absent; 0 = the cloud's */
    /* False: nothing to ask with this configuration. */
    bool (*wanted)(const struct tg_cloud_target *t);
    const char *(*host)(const struct tg_cloud_target *t);
    /* As below; may differ from the cloud's (claim certificate: `identity` of the provisioning section). */
    int (*login)(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, int64_t wall_s,
                 struct tg_writer *scratch, struct tg_cloud_login *ret_login, struct tg_error *err);
    int (*filters)(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos);
    int (*step)(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err);
};

enum tg_cloud_transport {
    TG_TRANSPORT_MQTT = 0,
    TG_TRANSPORT_HTTPS,  /* pubsub/pubsub_link.c */
    TG_TRANSPORT_CARRIER /* module/module_link.c */
};

struct tg_cloud_type {
    struct tg_config_cloud_type config;
    enum tg_cloud_transport transport;
    const char *default_host;                  /* where the file names none; NULL = it must */
    uint32_t max_message_bytes;                /* body plus what the cloud counts with it */
    uint16_t min_keepalive_s, max_keepalive_s; /* 0 = no limit below */
    uint8_t qos;                               /* of telemetry; qos() when it is a choice */
    uint32_t max_publishes_per_second;         /* of one link; 0 = no limit */
    uint32_t max_in_flight;                    /* of one link; 0 = no limit beyond the file's */
    bool gated, wants_samples;
    bool needs_time; /* what is said on connecting has the time in it: a link waits for a valid clock */
    bool
        late_answers; /* ANSWER is wanted even if the connection that the command came by is gone: the profile keeps it */
    /* gated, and on a shared link nobody may speak or be heard for a session before its gate is open: its filters() are
     * subscribed only by io->subscribe(), and when the session gives up or the connection ends, what is in flight goes back to
     * the outbox, to be sent after the gate has opened again. */
    bool attaches;
    bool plain_acks; /* the cloud compares desired and reported: core/gateway/twin.h */
    size_t session_bytes, link_bytes;
    const char *alpn_443;       /* protocol to offer in TLS on port 443; NULL = none */
    const char *websocket_path; /* where it speaks MQTT over WebSocket; NULL = it does not */

    bool (*shared)(const struct tg_cloud_target *t);        /* NULL = never */
    uint8_t (*choose_qos)(const struct tg_cloud_target *t); /* NULL = `qos` */
    /* Samples that are sent together, at once and without a delay; NULL = as `batch` in the file says. */
    uint32_t (*choose_batch)(const struct tg_cloud_target *t);
    bool (*retain)(const struct tg_cloud_target *t); /* of telemetry; NULL = no */

    /* Client id, user name, password for a connect at `wall_s`; of a shared link, the link's. `link` = link_bytes (bdSeq).
     * May run on another thread when the key is in a token. TG_ETOOBIG, TG_EINVAL with text. */
    int (*login)(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                 int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                 struct tg_error *err);
    /* Topic filters of a session, `part` by part (0, 1, …; at most TG_MQTT_MAX_FILTERS each), texts in the scratch;
     * returns their number, 0 = no more. With t->device NULL: of the shared link itself. */
    int (*filters)(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos);
    /* The topic of a telemetry message: its content type and encoding ("" = none), and the point it is of when the format
     * writes one message a point (else ""). */
    int (*topic)(const struct tg_cloud_target *t, const struct tg_format_content *content, const char *point,
                 struct tg_writer *out);
    /* True when each point has a topic of its own ({point} in the template). */
    bool (*topic_per_point)(const struct tg_cloud_target *t);
    /* Instead of a format (NULL = the format): writes the message of these samples (Sparkplug B), as many as fit `out`, and may
     * publish what must go before it. `again`: a resend, which may differ only in what the protocol wants to differ. Returns how
     * many of the samples are in it, or with err: TG_EFULL = not now, asked again when there is room; TG_ECORRUPT, TG_ETOOBIG =
     * samples[0] can never be sent; else the connection is given up. It may be called in vain: what it wrote last has gone out
     * when sent() is called, at once after the publish and before anything else of the link. */
    int (*encode)(const struct tg_cloud_talk *talk, const struct tg_format_sample *samples, uint32_t count,
                  bool again, int64_t wall_ms, struct tg_writer *out, struct tg_error *err);
    void (*sent)(const struct tg_cloud_talk *talk); /* NULL without encode */
    /* Of a shared link: the device that an inbound topic is for, as a view of it; empty = the link itself. */
    struct tg_bytes (*addressee)(const struct tg_cloud_target *link_target, struct tg_bytes topic);
    /* Negative with err: the message is left out (logged) or, for other events, the link is given up. NULL = no talk. */
    int (*step)(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err);

    /* What a CONNACK return code means here, for people, and when to try again. */
    const char *(*connack_text)(uint8_t return_code, enum tg_retry *ret_retry);
    const struct tg_cloud_errand *errand; /* NULL = none */
};

/* All types of this build, in the order of the manual. */
const struct tg_cloud_type *const *tg_cloud_types(size_t *ret_count);
/* NULL and err with the known ones and the nearest. */
const struct tg_cloud_type *tg_cloud_type_find(const char *type, struct tg_error *err);
/* The profile that serves a cloud of the file: its type's, or, with `format: sparkplug-b`, sparkplug.h's. NULL as above. */
const struct tg_cloud_type *tg_cloud_type_of(const struct tg_config_cloud *cloud, struct tg_error *err);

#endif
