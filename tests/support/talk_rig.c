/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/talk_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy(struct tg_bytes b)
{
    char *text = malloc(b.len + 1);
    if (!text)
        abort();
    if (b.len)
        memcpy(text, b.data, b.len);
    text[b.len] = '\0';
    return text;
}

static void room(uint32_t count)
{
    if (count >= TALK_RIG_MAX)
        abort();
}

static int rig_publish(void *user, struct tg_bytes topic, struct tg_bytes payload, uint8_t qos, bool retain,
                       uint32_t mark)
{
    struct talk_rig *r = user;
    if (r->publish_rc != TG_OK)
        return r->publish_rc;
    room(r->publish_count);
    r->publishes[r->publish_count++] = (struct talk_rig_publish){.topic = copy(topic),
                                                                 .payload = (uint8_t *)copy(payload),
                                                                 .len = payload.len,
                                                                 .qos = qos,
                                                                 .retain = retain,
                                                                 .mark = mark};
    return TG_OK;
}

static void rig_forgo(void *user, uint32_t mark)
{
    ((struct talk_rig *)user)->forgone_mark = mark;
}

static void rig_command(void *user, const struct tg_cloud_command *c)
{
    struct talk_rig *r = user;
    struct talk_rig_command *to = &r->commands[r->command_count];
    room(r->command_count++);
    *to = (struct talk_rig_command){.message_id = copy(c->message_id),
                                    .name = copy(c->name),
                                    .body = copy(c->body),
                                    .reply_len = c->reply.len,
                                    .hold = c->hold};
    if (c->reply.len > sizeof to->reply)
        abort();
    if (c->reply.len)
        memcpy(to->reply, c->reply.data, c->reply.len);
}

static void rig_desired(void *user, const struct tg_cloud_desired *d)
{
    struct talk_rig *r = user;
    room(r->desired_count);
    r->desired[r->desired_count++] =
        (struct talk_rig_desired){.whole = d->whole, .version = d->version, .json = copy(d->json)};
}

static struct tg_bytes rig_reported(void *user)
{
    struct talk_rig *r = user;
    return tg_bytes_str(r->reported ? r->reported : "{}");
}

static void rig_open_gate(void *user, bool open)
{
    struct talk_rig *r = user;
    r->gate = open;
    r->gate_told = true;
}

static void rig_subscribe(void *user)
{
    ((struct talk_rig *)user)->subscribe_count++;
}

static void rig_wake_at(void *user, int64_t at_ms)
{
    ((struct talk_rig *)user)->wake_ms = at_ms;
}

static void rig_give_up(void *user, enum tg_retry retry, const char *text)
{
    struct talk_rig *r = user;
    r->gave_up = true;
    r->retry = retry;
    snprintf(r->give_up_text, sizeof r->give_up_text, "%s", text);
}

static char *copy_or_null(struct tg_bytes b)
{
    return b.len ? copy(b) : NULL;
}

static void rig_assigned(void *user, const struct tg_cloud_assigned *a)
{
    struct talk_rig *r = user;
    r->was_assigned = true;
    snprintf(r->assigned_host, sizeof r->assigned_host, "%s", a->host ? a->host : "");
    snprintf(r->assigned_device, sizeof r->assigned_device, "%s", a->device_id ? a->device_id : "");
    r->assigned_certificate = copy_or_null(a->certificate_pem);
    r->assigned_key = copy_or_null(a->key_pem);
    r->assigned_payload = copy_or_null(a->payload);
}

static int rig_new_key(void *user, const char *common_name, struct tg_writer *key_pem,
                       struct tg_writer *csr_pem, struct tg_error *err)
{
    struct talk_rig *r = user;
    if (r->new_key_rc != TG_OK)
        return tg_error_set(err, r->new_key_rc, "no key");
    r->key_count++;
    tg_write_fmt(key_pem, "key %u", r->key_count);
    tg_write_fmt(csr_pem, "csr %u of %s\n", r->key_count, common_name);
    return key_pem->failed || csr_pem->failed ? TG_ETOOBIG : TG_OK;
}

static struct tg_bytes rig_recall(void *user, const char *key)
{
    struct talk_rig *r = user;
    for (size_t i = 0; i < sizeof r->notes / sizeof r->notes[0]; i++)
        if (r->notes[i].value && strcmp(r->notes[i].key, key) == 0)
            return tg_bytes(r->notes[i].value, r->notes[i].len);
    return (struct tg_bytes){0};
}

static void rig_remember(void *user, const char *key, struct tg_bytes value)
{
    struct talk_rig *r = user;
    size_t at = sizeof r->notes / sizeof r->notes[0];
    if (strlen(key) > 64)
        abort();
    for (size_t i = sizeof r->notes / sizeof r->notes[0]; i-- > 0;)
        if (!r->notes[i].value || strcmp(r->notes[i].key, key) == 0)
            at = r->notes[i].value || at == sizeof r->notes / sizeof r->notes[0] || !r->notes[at].value ? i
                                                                                                        : at;
    if (at == sizeof r->notes / sizeof r->notes[0])
        abort();
    free(r->notes[at].value);
    r->notes[at].value = value.len ? (uint8_t *)copy(value) : NULL;
    r->notes[at].len = value.len;
    snprintf(r->notes[at].key, sizeof r->notes[at].key, "%s", key);
}

static void rig_say(void *user, enum tg_log_level level, const char *text)
{
    struct talk_rig *r = user;
    if (!text[0])
        abort();
    r->said_count++;
    r->said_level = level;
    snprintf(r->said_text, sizeof r->said_text, "%s", text);
}

static void rig_each_session(void *user, void (*each)(void *arg, const struct tg_cloud_talk *talk), void *arg)
{
    struct talk_rig *r = user;
    each(arg, &r->talk);
    for (uint32_t i = 0; i < r->other_count; i++)
        each(arg, &r->others[i]->talk);
}

static const struct tg_cloud_io io = {
    .publish = rig_publish,
    .forgo = rig_forgo,
    .command = rig_command,
    .desired = rig_desired,
    .reported = rig_reported,
    .open_gate = rig_open_gate,
    .subscribe = rig_subscribe,
    .wake_at = rig_wake_at,
    .give_up = rig_give_up,
    .assigned = rig_assigned,
    .new_key = rig_new_key,
    .recall = rig_recall,
    .remember = rig_remember,
    .say = rig_say,
    .each_session = rig_each_session,
};

void talk_rig_init(struct talk_rig *r, const struct tg_cloud_type *type, const struct tg_cloud_errand *errand,
                   const struct tg_cloud_target *target)
{
    size_t session_bytes = type ? type->session_bytes : errand->session_bytes;
    *r = (struct talk_rig){.type = type, .errand = errand, .wake_ms = INT64_MAX};
    r->talk = (struct tg_cloud_talk){.target = target,
                                     .secret = &r->secret,
                                     .session = calloc(1, session_bytes ? session_bytes : 1),
                                     .link = calloc(1, type && type->link_bytes ? type->link_bytes : 1),
                                     .io = &io,
                                     .user = r};
    if (!r->talk.session || !r->talk.link)
        abort();
}

void talk_rig_clear(struct talk_rig *r)
{
    for (uint32_t i = 0; i < r->publish_count; i++) {
        free(r->publishes[i].topic);
        free(r->publishes[i].payload);
    }
    for (uint32_t i = 0; i < r->command_count; i++) {
        free(r->commands[i].message_id);
        free(r->commands[i].name);
        free(r->commands[i].body);
    }
    for (uint32_t i = 0; i < r->desired_count; i++)
        free(r->desired[i].json);
    free(r->assigned_certificate);
    free(r->assigned_key);
    free(r->assigned_payload);
    r->assigned_certificate = r->assigned_key = r->assigned_payload = NULL;
    r->publish_count = r->command_count = r->desired_count = r->subscribe_count = r->forgone_mark =
        r->said_count = 0;
    r->gate = r->gate_told = r->gave_up = r->was_assigned = false;
    r->wake_ms = INT64_MAX;
    r->give_up_text[0] = r->said_text[0] = '\0';
}

void talk_rig_fini(struct talk_rig *r)
{
    void *session = r->talk.session, *link = r->talk.link;
    talk_rig_simple(r, TG_CLOUD_END);
    talk_rig_clear(r);
    for (size_t i = 0; i < sizeof r->notes / sizeof r->notes[0]; i++)
        free(r->notes[i].value);
    free(session);
    free(link);
}

int talk_rig_event(struct talk_rig *r, const struct tg_cloud_event *event)
{
    struct tg_cloud_event e = *event;
    if (e.now_ms == 0)
        e.now_ms = r->now_ms;
    if (e.wall_ms == 0)
        e.wall_ms = r->wall_ms;
    r->err = (struct tg_error){0};
    return r->type ? r->type->step(&r->talk, &e, &r->err) : r->errand->step(&r->talk, &e, &r->err);
}

int talk_rig_simple(struct talk_rig *r, enum tg_cloud_event_type type)
{
    return talk_rig_event(r, &(struct tg_cloud_event){.type = type});
}

int talk_rig_message(struct talk_rig *r, const char *topic, const char *payload)
{
    return talk_rig_event(r, &(struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                      .topic = tg_bytes_str(topic),
                                                      .payload = tg_bytes_str(payload)});
}

const struct talk_rig_publish *talk_rig_find(const struct talk_rig *r, const char *topic)
{
    for (uint32_t i = r->publish_count; i-- > 0;)
        if (strcmp(r->publishes[i].topic, topic) == 0)
            return &r->publishes[i];
    return NULL;
}
