/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/link.h"

#include <stdio.h>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"

/* --- logging in -------------------------------------------------------------------------------------- */

static void on_connack(struct tg_link *l, const struct tg_mqtt_event *e, int64_t now)
{
    if (e->return_code != 0) {
        char text[TG_SESSION_ERROR_BYTES];
        enum tg_retry retry = TG_RETRY_BACKOFF;
        l->failed_as = e->return_code == 3 ? TG_FAILURE_THROTTLED : TG_FAILURE_LOGIN;
        snprintf(text, sizeof text, "refused by the %s, code %u: %s",
                 l->errand ? "provisioning service" : "broker", e->return_code,
                 l->cloud->type->connack_text(e->return_code, &retry));
        tg_link_fail_as(l, retry, text);
        return;
    }
    /* What was sent at QoS 0 and not confirmed is offered anew: no packet id waits for it, and gates count for it as well. */
    if (l->qos == 0)
        tg_link_rewind(l);
    /* What the old place has not acknowledged is nothing for this one, and would hold up every question: it is offered anew to whoever
     * the device belongs to then. */
    if (l->errand) {
        tg_link_rewind(l);
        tg_mqtt_client_forget(&l->mqtt);
    }
    tg_link_is_online(l, now, e->session_present);
}

/* --- subscribing ------------------------------------------------------------------------------------- */

static int write_subscribe(struct tg_link *l, struct tg_session *s, uint32_t part)
{
    uint8_t memory[TG_MQTT_MAX_FILTERS * TG_CLOUD_TOPIC_BYTES / 2], qos[TG_MQTT_MAX_FILTERS];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    const struct tg_cloud_type *type = l->cloud->type;
    const struct tg_cloud_target *t = s ? &s->target : &l->target;
    int n = l->errand ? (type->errand->filters ? type->errand->filters(t, part, &scratch, filters, qos) : 0)
                      : (type->filters ? type->filters(t, part, &scratch, filters, qos) : 0);
    if (n <= 0)
        return n;
    if (!tg_link_room(l, scratch.len + 64))
        return TG_EFULL;
    n = tg_mqtt_client_subscribe(&l->mqtt, tg_clock_mono_ms(), filters, qos, (uint8_t)n, &l->set->out);
    return n < 0 ? n : 1;
}

/* The next part of what s (NULL: the link) wants. True when a SUBSCRIBE is on its way or the link has failed. */
static bool subscribe_part(struct tg_link *l, struct tg_session *s)
{
    uint32_t *part = s ? &s->sub_part : &l->sub_part;
    int rc = write_subscribe(l, s, *part);
    if (rc > 0) {
        l->sub_busy = true;
        l->sub_session = s;
        ++*part;
        return true;
    }
    if (rc < 0)
        tg_log(TG_LOG_ERROR, "session", "device=%s cloud=%s cannot subscribe: %s; commands will not arrive",
               s ? s->device_id : l->target.device_id, l->config->name, tg_code_text(rc));
    *part = 0;
    if (!s) {
        l->want_subscribe = false;
        return !tg_link_event(
            l, NULL, (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = l->sub_refused + (rc < 0)});
    }
    s->want_subscribe = false;
    s->subscribed = rc == 0;
    return !tg_link_event(
        l, s, (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = s->sub_refused + (rc < 0)});
}

void tg_link_subscribe(struct tg_link *l)
{
    struct tg_session *s;
    uint64_t generation = l->generation;
    if (l->sub_busy || !l->stream || l->stepping ||
        (l->state != TG_SESSION_ONLINE && l->state != TG_SESSION_PROVISIONING))
        return;
    if (l->want_subscribe && (subscribe_part(l, NULL) || l->sub_busy))
        return;
    TAILQ_FOREACH(s, &l->sessions, in_link)
    {
        if (!s->want_subscribe || !s->online)
            continue;
        /* Its SUBSCRIBED may have led to the next SUBSCRIBE already. */
        if (subscribe_part(l, s) || l->sub_busy || l->generation != generation)
            return;
    }
}

static void on_suback(struct tg_link *l, const struct tg_mqtt_event *e)
{
    struct tg_session *s = l->sub_session;
    uint32_t refused = 0;
    for (uint8_t i = 0; i < e->code_count; i++)
        refused += e->codes[i] == 0x80;
    if (refused)
        tg_log(TG_LOG_ERROR, "session",
               "device=%s cloud=%s the broker refuses the subscription: commands will not arrive; "
               "telemetry goes on",
               s ? s->device_id : l->target.device_id, l->config->name);
    *(s ? &s->sub_refused : &l->sub_refused) += refused;
    l->sub_busy = false;
    l->sub_session = NULL;
    tg_link_subscribe(l);
}

/* --- what arrives ------------------------------------------------------------------------------------ */

static struct tg_session *addressee(struct tg_link *l, struct tg_bytes topic)
{
    const struct tg_cloud_type *type = l->cloud->type;
    struct tg_session *s;
    struct tg_bytes device;
    if (!l->shared)
        return TAILQ_FIRST(&l->sessions);
    device = type->addressee ? type->addressee(&l->target, topic) : (struct tg_bytes){0};
    if (device.len > 0)
        TAILQ_FOREACH(s, &l->sessions, in_link)
    if (tg_bytes_eq_str(device, s->target.device_id))
        return s;
    return NULL;
}

static void on_message(struct tg_link *l, const struct tg_mqtt_event *e)
{
    uint64_t generation = l->generation;
    bool held = false;
    if (!tg_link_message(l, addressee(l, e->topic), e, &held))
        return;
    if (!held && e->qos > 0)
        tg_link_ack_message(l, generation, e->packet_id);
}

void tg_link_ack_message(struct tg_link *l, uint64_t generation, uint16_t packet_id)
{
    if (generation != l->generation || packet_id == 0 || !l->stream)
        return;
    /* On a connection without this PUBACK the cloud would wait for it for ever: on the next one it sends the message again. */
    if (!tg_link_room(l, 4 * TG_MQTT_MAX_UNACKED_IN) ||
        tg_mqtt_client_ack(&l->mqtt, tg_clock_mono_ms(), packet_id, &l->set->out) < 0 || !tg_link_flush(l)) {
        tg_link_fail(l, "the acknowledgement of a command could not be sent; the command comes again");
        return;
    }
    if (l->input_held)
        tg_deadline_set(&l->deadline, tg_clock_mono_ms());
}

static void on_puback(struct tg_link *l, uint64_t tag)
{
    struct tg_session *s;
    uint32_t mark = (uint32_t)tag;
    if (!(tag & TG_TAG_CONTROL)) {
        tg_link_acked(l, tag);
        return;
    }
    /* A mark is the profile's own; the session that made it is in the upper half. */
    if (mark == 0)
        return;
    if ((tag >> 32 & 0x7FFFFFFF) == 0) {
        (void)tg_link_event(l, NULL, (struct tg_cloud_event){.type = TG_CLOUD_PUBLISHED, .code = mark});
        return;
    }
    TAILQ_FOREACH(s, &l->sessions, in_link)
    if (s->number == (tag >> 32 & 0x7FFFFFFF)) {
        (void)tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_PUBLISHED, .code = mark});
        return;
    }
}

/* False: the connection is gone. */
static bool take_event(struct tg_link *l, const struct tg_mqtt_event *e, int64_t now)
{
    uint64_t generation = l->generation;
    switch (e->type) {
    case TG_MQTT_EVENT_CONNACK:
        on_connack(l, e, now);
        break;
    case TG_MQTT_EVENT_PUBACK:
        on_puback(l, e->tag);
        break;
    case TG_MQTT_EVENT_MESSAGE:
        on_message(l, e);
        break;
    case TG_MQTT_EVENT_SUBACK:
        on_suback(l, e);
        break;
    case TG_MQTT_EVENT_BARRIER:
        tg_link_barrier_passed(l);
        break;
    case TG_MQTT_EVENT_NONE:
        break;
    }
    return l->generation == generation;
}

/* Takes whole packets from `in`; returns the bytes used, SIZE_MAX when the connection is gone. */
static size_t take_packets(struct tg_link *l, struct tg_bytes in, int64_t now)
{
    size_t used = 0;
    l->input_held = false;
    for (;;) {
        struct tg_mqtt_event e = {0};
        size_t consumed = 0;
        int rc = tg_mqtt_client_input(&l->mqtt, now, tg_bytes(in.data + used, in.len - used), &l->set->out,
                                      &e, &consumed);
        used += consumed;
        if (rc == TG_EFULL) { /* 32 commands wait for the device: the rest is read when one is done */
            l->input_held = true;
            tg_stream_hold(l->stream, true);
            return used;
        }
        if (rc < 0) {
            tg_link_fail(l, l->mqtt.reason);
            return SIZE_MAX;
        }
        if (rc == 0 && consumed == 0) {
            tg_stream_hold(l->stream, false);
            return used;
        }
        if (rc > 0 && !take_event(l, &e, now))
            return SIZE_MAX;
    }
}

bool tg_link_take_held(struct tg_link *l, int64_t now)
{
    size_t used;
    if (!l->input_held || l->in.len == 0)
        return true;
    used = take_packets(l, tg_buffer_view(&l->in), now);
    if (used == SIZE_MAX)
        return false;
    tg_buffer_consume(&l->in, used);
    return true;
}

static void on_data(struct tg_link *l, struct tg_bytes data)
{
    int64_t now = tg_clock_mono_ms();
    size_t used;
    if (l->in.len > 0) {
        if (tg_buffer_append(&l->in, data) < 0) {
            tg_link_fail(l, "out of memory for a packet from the broker");
            return;
        }
        used = take_packets(l, tg_buffer_view(&l->in), now);
        if (used == SIZE_MAX)
            return;
        tg_buffer_consume(&l->in, used);
        if (l->in.len == 0)
            tg_buffer_fini(&l->in);
    } else {
        used = take_packets(l, data, now);
        if (used == SIZE_MAX)
            return;
        if (used < data.len && tg_buffer_append(&l->in, tg_bytes(data.data + used, data.len - used)) < 0) {
            tg_link_fail(l, "out of memory for a packet from the broker");
            return;
        }
    }
    tg_link_go_on(l, now);
}

/* --- the protocol's table ---------------------------------------------------------------------------- */

static int64_t deadline(const struct tg_link *l)
{
    return tg_mqtt_client_deadline(&l->mqtt);
}

static bool tick(struct tg_link *l, int64_t now)
{
    tg_link_look_at_quiet(l, now);
    tg_link_window_shrink(l); /* nothing was sent for a keepalive interval, or something is wrong */
    if (tg_mqtt_client_tick(&l->mqtt, now, &l->set->out) >= 0)
        return true;
    l->fail_code = TG_ETIMEOUT;
    tg_link_fail(l, l->mqtt.reason);
    return false;
}

static void goodbye(struct tg_link *l)
{
    if (tg_mqtt_client_disconnect(&l->mqtt, tg_clock_mono_ms(), &l->set->out) == TG_OK)
        (void)tg_link_flush(l); /* the connection ends either way */
}

static void probe(struct tg_link *l, int64_t now)
{
    if (tg_mqtt_client_ping(&l->mqtt, now, &l->set->out) == TG_OK)
        (void)tg_link_flush(l); /* without room a later tick writes it */
}

static void lost(struct tg_link *l)
{
    tg_mqtt_client_transport_lost(&l->mqtt);
}

const struct tg_link_protocol tg_link_mqtt = {
    .ready = tg_link_log_in,
    .data = on_data,
    .pump = tg_link_pump,
    .deadline = deadline,
    .tick = tick,
    .goodbye = goodbye,
    .lost = lost,
    .probe = probe,
};
