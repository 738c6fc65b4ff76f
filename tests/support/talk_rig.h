/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * talk_rig - plays the session for a cloud profile's step(): gives it events and keeps what it asked for, so that a test
 * reads as a conversation. Everything is copied, so it may be looked at after the call. Fixed bounds; beyond them it aborts.
 *
 *     struct talk_rig r;
 *     talk_rig_init(&r, &tg_azure_hub, &target, NULL);
 *     talk_rig_event(&r, &(struct tg_cloud_event){.type = TG_CLOUD_ONLINE});
 *     assert_string_equal(r.publishes[0].topic, "$iothub/twin/GET/?$rid=1");
 */
#ifndef TG_TESTS_TALK_RIG_H
#define TG_TESTS_TALK_RIG_H

#include "northbound/cloud.h"

#define TALK_RIG_MAX 64

struct talk_rig_publish {
    char *topic;
    uint8_t *payload; /* NUL-terminated copy */
    size_t len;
    uint8_t qos;
    bool retain;
    uint32_t mark;
};
struct talk_rig_command {
    char *message_id, *name, *body;
    uint8_t reply[TG_CLOUD_REPLY_BYTES];
    size_t reply_len;
    bool hold;
};
struct talk_rig_desired {
    bool whole;
    uint64_t version;
    char *json;
};

struct talk_rig {
    const struct tg_cloud_type *type;     /* or … */
    const struct tg_cloud_errand *errand; /* … this one */
    struct tg_cloud_talk talk;            /* a session's; set talk.session = NULL for a link's event */
    struct tg_cloud_secret secret;
    int64_t now_ms, wall_ms; /* put into events that have 0 there */
    struct tg_error err;     /* of the last event */
    struct talk_rig_publish publishes[TALK_RIG_MAX];
    struct talk_rig_command commands[TALK_RIG_MAX];
    struct talk_rig_desired desired[TALK_RIG_MAX];
    uint32_t publish_count, command_count, desired_count, subscribe_count;
    uint32_t forgone_mark; /* of the last forgo(), 0 = none */
    int publish_rc;        /* what publish() says next; when not TG_OK nothing is kept */
    bool gate, gate_told;
    int64_t wake_ms; /* INT64_MAX = not set */
    bool gave_up;
    enum tg_retry retry;
    char give_up_text[256];
    uint32_t said_count;
    enum tg_log_level said_level; /* of the last say() */
    char said_text[360];
    const char *reported; /* what reported() gives; "{}" when NULL */
    bool was_assigned;
    char assigned_host[256], assigned_device[256];
    char *assigned_certificate, *assigned_key, *assigned_payload; /* NULL = none */
    int new_key_rc;                                               /* what new_key() says next */
    uint32_t key_count; /* keys made: their texts are "key 1" and "csr 1 of NAME\n" */
    struct {
        char key[65];
        uint8_t *value;
        size_t len;
    } notes[16];
    /* For each_session: other sessions of the link (this one is always first). */
    struct talk_rig *others[8];
    uint32_t other_count;
};

/* One of type and errand is NULL. The target is borrowed. */
void talk_rig_init(struct talk_rig *r, const struct tg_cloud_type *type, const struct tg_cloud_errand *errand,
                   const struct tg_cloud_target *target);
/* Gives END and frees everything. */
void talk_rig_fini(struct talk_rig *r);
/* What step() said. */
int talk_rig_event(struct talk_rig *r, const struct tg_cloud_event *event);
int talk_rig_simple(struct talk_rig *r, enum tg_cloud_event_type type);
int talk_rig_message(struct talk_rig *r, const char *topic, const char *payload);
/* Forgets publishes, commands, desired, gate, wake, give-up, what was said and assignment; notes and the profile's memory stay. */
void talk_rig_clear(struct talk_rig *r);
/* The last publish to exactly this topic, or NULL. */
const struct talk_rig_publish *talk_rig_find(const struct talk_rig *r, const char *topic);

#endif
