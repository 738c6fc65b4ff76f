/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/session_private.h"

#include <stdio.h>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"

static struct tg_session *checked(void *user)
{
    return TG_OBJECT(user, struct tg_session, TG_SESSION_MAGIC);
}

static void subscribe(struct tg_session *s, int64_t now)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES], qos[TG_MQTT_MAX_FILTERS];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    int n = s->cloud->type->filters(&s->target, 0, &scratch, filters, qos);
    if (n > 0 && tg_mqtt_client_subscribe(&s->mqtt, now, filters, qos, (uint8_t)n, &s->set->out) < 0)
        tg_log(TG_LOG_ERROR, "session", "device=%s cloud=%s cannot subscribe: commands will not arrive",
               s->device_id, s->route->cloud->name);
}

static void on_connack(struct tg_session *s, const struct tg_mqtt_event *e, int64_t now)
{
    struct tg_stream_stats st;
    if (e->return_code != 0) {
        char text[160];
        enum tg_retry retry;
        snprintf(text, sizeof text, "refused by the broker, code %u: %s", e->return_code,
                 s->cloud->type->connack_text(e->return_code, &retry));
        tg_session_fail(s, text);
        return;
    }
    tg_set_release_slot(s);
    s->online_ms = now;
    s->stats.connects++;
    tg_stream_stats(s->stream, &st);
    s->stats.resumed = st.resumed;
    tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s online (%s%s%s)%s", s->device_id,
           s->route->cloud->name, s->cloud->tls ? st.version : "no TLS", st.resumed ? ", resumed" : "",
           e->session_present ? ", session present" : "",
           s->next_tag > s->first_tag ? ", sending again what was in flight" : "");
    s->stats.last_error[0] = '\0';
    s->told_ms = 0;
    if (!e->session_present || !s->subscribed)
        subscribe(s, now);
    s->batch_due_ms = now;
    tg_session_set_state(s, TG_SESSION_ONLINE);
    tg_feed_resume(s->feed);
}

static uint64_t hash_of(struct tg_bytes b)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < b.len; i++)
        h = (h ^ b.data[i]) * 1099511628211u;
    return h ? h : 1;
}

/* True when a message with this id was taken before: a redelivery, or the cloud sent it twice. */
static bool seen_before(struct tg_session *s, struct tg_bytes id)
{
    uint64_t h = hash_of(id);
    if (id.len == 0)
        return false;
    for (uint32_t i = 0; i < TG_RECENT_COMMANDS; i++)
        if (s->recent_commands[i] == h)
            return true;
    s->recent_commands[s->recent_next++ % TG_RECENT_COMMANDS] = h;
    return false;
}

/* It was not taken after all. */
static void forget_last(struct tg_session *s, struct tg_bytes id)
{
    if (id.len > 0)
        s->recent_commands[--s->recent_next % TG_RECENT_COMMANDS] = 0;
}

/* A command's token names the connection and the packet; 0 in the low half = QoS 0, nothing to acknowledge. */
static uint64_t token_of(const struct tg_session *s, uint16_t packet_id)
{
    return s->generation << 16 | packet_id;
}

struct heard {
    struct tg_session *session;
    uint64_t token;
    bool taken;
};

static void take_command(void *user, const struct tg_cloud_command *c)
{
    struct heard *h = user;
    struct tg_session *s = h->session;
    const struct tg_session_command command = {.device = s->device_id, .command = *c};
    if (seen_before(s, c->message_id)) {
        tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s a command came again and is not run twice",
               s->device_id, s->route->cloud->name);
        return;
    }
    h->taken = true;
    s->stats.commands++;
    if (!s->set->cb.on_command(s->set->user, s, h->token, &command)) {
        forget_last(s, c->message_id);
        tg_session_fail(s, "a command cannot be taken: out of memory; the cloud sends it again");
    }
}

static void on_message(struct tg_session *s, const struct tg_mqtt_event *e)
{
    static const struct tg_cloud_io io = {.command = take_command};
    struct tg_error err = {0};
    uint64_t token = token_of(s, e->qos ? e->packet_id : 0);
    struct heard heard = {s, token, false};
    const struct tg_cloud_talk talk = {
        .target = &s->target, .secret = &s->identity.secret, .session = s, .io = &io, .user = &heard};
    const struct tg_cloud_event event = {
        .type = TG_CLOUD_MESSAGE, .topic = e->topic, .payload = e->payload, .retain = e->retain};
    int rc = s->cloud->type->step(&talk, &event, &err);
    if (rc < 0)
        tg_log(TG_LOG_WARN, "session", "device=%s cloud=%s a message from the cloud is left out: %s",
               s->device_id, s->route->cloud->name, err.text);
    if (!heard.taken)
        tg_session_command_done(s, token, "ok", "{}");
}

void tg_session_report(struct tg_session *s, struct tg_bytes patch)
{
    (void)s; /* no cloud type of this build takes reported properties */
    (void)patch;
}

void tg_session_command_done(struct tg_session *s, uint64_t token, const char *status, const char *json)
{
    (void)status;
    (void)json;
    if (token >> 16 != s->generation || (token & 0xFFFF) == 0 || !s->stream)
        return;
    /* On a connection without this PUBACK the cloud would wait for it for ever: on the next one it sends the command again. */
    if (tg_mqtt_client_ack(&s->mqtt, tg_clock_mono_ms(), (uint16_t)(token & 0xFFFF), &s->set->out) < 0 ||
        !tg_session_flush(s)) {
        tg_session_fail(s, "the acknowledgement of a command could not be sent; the command comes again");
        return;
    }
    if (s->input_held)
        tg_deadline_set(&s->deadline, tg_clock_mono_ms());
}

static void on_suback(struct tg_session *s, const struct tg_mqtt_event *e)
{
    s->subscribed =
        true; /* only now: a session that the broker kept may not have it when the connection broke before */
    for (uint8_t i = 0; i < e->code_count; i++)
        if (e->codes[i] == 0x80)
            tg_log(TG_LOG_ERROR, "session",
                   "device=%s cloud=%s the broker refuses the subscription: commands will not arrive; "
                   "telemetry goes on",
                   s->device_id, s->route->cloud->name);
}

/* Takes whole packets from `in`; returns the bytes used, SIZE_MAX when the connection is gone. */
static size_t take_packets(struct tg_session *s, struct tg_bytes in, int64_t now)
{
    uint64_t generation = s->generation;
    size_t used = 0;
    s->input_held = false;
    for (;;) {
        struct tg_mqtt_event e = {0};
        size_t consumed = 0;
        int rc = tg_mqtt_client_input(&s->mqtt, now, tg_bytes(in.data + used, in.len - used), &s->set->out,
                                      &e, &consumed);
        used += consumed;
        if (rc == TG_EFULL) { /* 32 commands wait for the device: the rest is read when one is done */
            s->input_held = true;
            tg_stream_hold(s->stream, true);
            return used;
        }
        if (rc < 0) {
            tg_session_fail(s, s->mqtt.reason);
            return SIZE_MAX;
        }
        if (rc == 0 && consumed == 0) {
            tg_stream_hold(s->stream, false);
            return used;
        }
        if (rc == 0)
            continue;
        switch (e.type) {
        case TG_MQTT_EVENT_CONNACK:
            on_connack(s, &e, now);
            break;
        case TG_MQTT_EVENT_PUBACK:
            tg_session_acked(s, e.tag);
            break;
        case TG_MQTT_EVENT_MESSAGE:
            on_message(s, &e);
            break;
        case TG_MQTT_EVENT_SUBACK:
            on_suback(s, &e);
            break;
        case TG_MQTT_EVENT_NONE:
            break;
        }
        if (s->generation != generation)
            return SIZE_MAX;
    }
}

/* What is held back in `in`, once a command is done. False when the connection is gone. */
bool tg_session_take_held(struct tg_session *s, int64_t now)
{
    size_t used;
    if (!s->input_held || s->in.len == 0)
        return true;
    used = take_packets(s, tg_buffer_view(&s->in), now);
    if (used == SIZE_MAX)
        return false;
    tg_buffer_consume(&s->in, used);
    return true;
}

void tg_session_on_data(void *session, struct tg_bytes data)
{
    struct tg_session *s = checked(session);
    int64_t now = tg_clock_mono_ms();
    size_t used;
    if (s->in.len > 0) {
        if (tg_buffer_append(&s->in, data) < 0) {
            tg_session_fail(s, "out of memory for a packet from the broker");
            return;
        }
        used = take_packets(s, tg_buffer_view(&s->in), now);
        if (used == SIZE_MAX)
            return;
        tg_buffer_consume(&s->in, used);
        if (s->in.len == 0)
            tg_buffer_fini(&s->in);
    } else {
        used = take_packets(s, data, now);
        if (used == SIZE_MAX)
            return;
        if (used < data.len && tg_buffer_append(&s->in, tg_bytes(data.data + used, data.len - used)) < 0) {
            tg_session_fail(s, "out of memory for a packet from the broker");
            return;
        }
    }
    tg_session_go_on(s, now);
}
