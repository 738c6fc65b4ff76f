/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands from the cloud: told to the owner once, acknowledged when they are done.
 */
#include "northbound/session_private.h"

#include "core/base/clock.h"
#include "core/base/log.h"

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

/* A command's token names the connection and the packet; 0 in the low half = QoS 0, nothing to acknowledge.
 */
static uint64_t token_of(const struct tg_session *s, uint16_t packet_id)
{
    return s->generation << 16 | packet_id;
}

void tg_session_message(struct tg_session *s, const struct tg_mqtt_event *e)
{
    uint8_t memory[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
    struct tg_session_command command = {.device = s->device_id};
    struct tg_error err = {0};
    uint64_t token = token_of(s, e->qos ? e->packet_id : 0);
    int rc = s->cloud->type->inbound(&s->target, e->topic, e->payload, &scratch, &command.command, &err);
    if (rc < 0)
        tg_log(TG_LOG_WARN, "session", "device=%s cloud=%s a message from the cloud is left out: %s",
               s->device_id, s->route->cloud->name, err.text);
    if (rc > 0 && seen_before(s, command.command.message_id)) {
        tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s a command came again and is not run twice",
               s->device_id, s->route->cloud->name);
        rc = 0;
    }
    if (rc <= 0) {
        tg_session_command_done(s, token);
        return;
    }
    s->stats.commands++;
    s->set->cb.on_command(s->set->user, s, token, &command);
}

void tg_session_command_done(struct tg_session *s, uint64_t token)
{
    if (token >> 16 != s->generation || (token & 0xFFFF) == 0 || !s->stream)
        return;
    if (tg_mqtt_client_ack(&s->mqtt, tg_clock_mono_ms(), (uint16_t)(token & 0xFFFF), &s->set->out) < 0 ||
        !tg_session_flush(s))
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s the acknowledgement of a command could not be sent; it will come again",
               s->device_id, s->route->cloud->name);
    if (s->input_held)
        tg_deadline_set(&s->deadline, tg_clock_mono_ms());
}
