/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/gcp_talk.h"

#include <stdio.h>

#include "northbound/gcp_iot_core.h"
#include "northbound/json_document.h"

#define DEVICES "/devices/"
#define STATE_EVERY_MS                                                                                       \
    1100 /* the cloud takes one a second; a tenth for what the network may bring nearer together */
#define RETRY_MS           250
#define DOCUMENT_MAX_BYTES 65536 /* state and config */

/* What follows /devices/{id}/; empty when the topic is another one's. */
static struct tg_bytes tail_of(struct tg_bytes topic, const char *id)
{
    size_t skip = strlen(DEVICES) + strlen(id);
    if (!tg_bytes_starts(topic, DEVICES) || topic.len <= skip || topic.data[skip] != '/' ||
        memcmp(topic.data + strlen(DEVICES), id, strlen(id)) != 0)
        return (struct tg_bytes){0};
    return tg_bytes(topic.data + skip + 1, topic.len - skip - 1);
}

static int unexpected(struct tg_bytes topic, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    return tg_error_set(err, TG_EPROTO, "nothing is expected at the topic %s",
                        tg_quote(quoted, (const char *)topic.data, topic.len));
}

/* --- config and commands ------------------------------------------------------------------------- */

static int on_config(const struct tg_cloud_talk *talk, struct tg_bytes payload, struct tg_error *err)
{
    struct tg_cloud_desired d = {.whole = true, .json = payload};
    json_t *j;
    if (payload.len == 0) {
        d.json = tg_bytes_str("{}");
        talk->io->desired(talk->user, &d);
        return TG_OK;
    }
    if (payload.len > DOCUMENT_MAX_BYTES)
        return tg_error_set(err, TG_ETOOBIG, "the config has %zu bytes; at most %d are taken", payload.len,
                            DOCUMENT_MAX_BYTES);
    j = tg_json_parse(payload, "the config is left out, what was wanted before stays", err);
    if (!j)
        return err->code;
    json_decref(j);
    talk->io->desired(talk->user, &d);
    return TG_OK;
}

static int on_message(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                      struct tg_error *err)
{
    static const char commands[] = "commands";
    struct tg_bytes tail = tail_of(event->topic, talk->target->device_id);
    struct tg_cloud_command c = {.body = event->payload, .hold = !tg_gcp_is_gateway(talk->target)};
    if (tg_bytes_eq_str(tail, "config"))
        return on_config(talk, event->payload, err);
    if (!tg_bytes_starts(tail, commands) ||
        (tail.len > strlen(commands) && tail.data[strlen(commands)] != '/'))
        return unexpected(event->topic, err);
    if (tail.len > sizeof commands) /* and a character behind the slash */
        c.name = tg_bytes(tail.data + sizeof commands, tail.len - sizeof commands);
    talk->io->command(talk->user, &c);
    return TG_OK;
}

/* --- state ------------------------------------------------------------------------------------------ */

static void want_state(const struct tg_cloud_talk *talk, struct tg_gcp_session *s)
{
    /* An empty document is what the cloud supposes anyway. */
    s->state_waits = !tg_bytes_eq_str(talk->io->reported(talk->user), "{}");
}

static void flush_state(const struct tg_cloud_talk *talk, struct tg_gcp_session *s, int64_t now_ms)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer topic = tg_writer_init(memory, sizeof memory);
    struct tg_bytes document;
    char text[120];
    if (!s->may_speak || !s->state_waits || now_ms < s->state_at_ms)
        return;
    document = talk->io->reported(talk->user);
    if (document.len > DOCUMENT_MAX_BYTES) {
        snprintf(text, sizeof text, "the state is not sent: %zu bytes; the cloud takes at most %d",
                 document.len, DOCUMENT_MAX_BYTES);
        if (!s->told)
            talk->io->say(talk->user, TG_LOG_WARN, text);
        s->told = true;
        s->state_waits = false;
        return;
    }
    s->told = false;
    tg_write_str(&topic, DEVICES);
    tg_write_str(&topic, talk->target->device_id);
    tg_write_str(&topic, "/state");
    if (talk->io->publish(talk->user, tg_bytes(topic.data, topic.len), document, 1, false, 0) < 0) {
        s->state_at_ms = now_ms + RETRY_MS;
        return;
    }
    s->state_waits = false;
    s->state_at_ms = now_ms + STATE_EVERY_MS;
}

/* --- the link of a gateway ---------------------------------------------------------------------------- */

struct search {
    const struct tg_gcp_fault *fault;
    bool known, handled;
};

static void arm(const struct tg_cloud_talk *talk, const struct tg_gcp_session *s)
{
    int64_t at = s->may_speak && s->state_waits ? s->state_at_ms : INT64_MAX;
    if (s->attach.at_ms && s->attach.at_ms < at)
        at = s->attach.at_ms;
    talk->io->wake_at(talk->user, at);
}

static void tell_session(void *arg, const struct tg_cloud_talk *talk)
{
    struct search *search = arg;
    struct tg_gcp_session *s = talk->session;
    if (!s || strcmp(talk->target->device_id, search->fault->device) != 0)
        return;
    search->known = true;
    search->handled = tg_gcp_attach_fault(talk, &s->attach, search->fault);
    if (search->handled) {
        s->may_speak = false;
        arm(talk, s);
    }
}

static int on_fault(const struct tg_cloud_talk *talk, struct tg_bytes payload, struct tg_error *err)
{
    struct tg_gcp_fault fault;
    struct search search = {.fault = &fault};
    char device[TG_QUOTE_BYTES];
    int rc = tg_gcp_fault_read(payload, &fault, err);
    if (rc < 0)
        return rc;
    if (fault.device[0])
        talk->io->each_session(talk->user, tell_session, &search);
    if (search.handled)
        return TG_OK;
    tg_quote(device, fault.device, strlen(fault.device));
    return tg_error_set(err, TG_EPROTO, "the cloud reports %s for device %s%s about topic %s: %s", fault.type,
                        device, search.known ? "" : ", which this gateway does not have,",
                        fault.topic[0] ? fault.topic : "(none)",
                        fault.description[0] ? fault.description : "no description");
}

static int link_message(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                        struct tg_error *err)
{
    const char *gateway = tg_settings_text(talk->target->settings, "gateway_id");
    struct tg_bytes tail = tail_of(event->topic, gateway);
    if (tg_bytes_eq_str(tail, "errors"))
        return on_fault(talk, event->payload, err);
    if (!tg_bytes_eq_str(tail, "config"))
        return unexpected(event->topic, err);
    if (event->payload.len == 0)
        return TG_OK;
    return tg_error_set(err, TG_EUNSUPPORTED,
                        "the gateway's own config (%zu bytes) is not used: the configs of its devices are",
                        event->payload.len);
}

static int link_step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                     struct tg_error *err)
{
    if (!tg_gcp_is_gateway(talk->target))
        return TG_OK;
    return event->type == TG_CLOUD_MESSAGE ? link_message(talk, event, err) : TG_OK;
}

/* The id between /devices/ and the next slash. */
struct tg_bytes tg_gcp_addressee(const struct tg_cloud_target *link_target, struct tg_bytes topic)
{
    const uint8_t *begin, *end;
    struct tg_bytes id;
    if (!tg_bytes_starts(topic, DEVICES))
        return (struct tg_bytes){0};
    begin = topic.data + strlen(DEVICES);
    end = memchr(begin, '/', topic.len - strlen(DEVICES));
    if (!end)
        return (struct tg_bytes){0};
    id = tg_bytes(begin, (size_t)(end - begin));
    return tg_bytes_eq_str(id, tg_settings_text(link_target->settings, "gateway_id")) ? (struct tg_bytes){0}
                                                                                      : id;
}

/* --- a session's event ---------------------------------------------------------------------------------- */

static void stop(struct tg_gcp_session *s)
{
    s->may_speak = false;
    tg_gcp_attach_reset(&s->attach);
}

static void begin(const struct tg_cloud_talk *talk, struct tg_gcp_session *s,
                  const struct tg_cloud_event *event)
{
    want_state(talk, s);
    if (tg_gcp_is_gateway(talk->target)) {
        tg_gcp_attach_begin(talk, &s->attach, event);
    } else {
        s->may_speak = true;
        talk->io->open_gate(talk->user, true);
    }
}

int tg_gcp_step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    struct tg_gcp_session *s = talk->session;
    int rc = TG_OK;
    if (!s)
        return link_step(talk, event, err);
    switch (event->type) {
    case TG_CLOUD_START:
    case TG_CLOUD_OFFLINE:
        stop(s);
        break;
    case TG_CLOUD_ONLINE:
        begin(talk, s, event);
        break;
    case TG_CLOUD_MESSAGE:
        rc = on_message(talk, event, err);
        break;
    case TG_CLOUD_PUBLISHED:
        if (tg_gcp_attach_published(talk, &s->attach, event))
            s->may_speak = true;
        break;
    case TG_CLOUD_REPORT:
        s->state_waits = true;
        break;
    case TG_CLOUD_WAKE:
        tg_gcp_attach_wake(talk, &s->attach, event);
        break;
    case TG_CLOUD_CLOSING:
        tg_gcp_attach_end(talk, &s->attach);
        s->may_speak = false;
        break;
    case TG_CLOUD_SUBSCRIBED: /* a refused filter is told by the session; telemetry goes on */
    case TG_CLOUD_ANSWER:     /* there is no place for one */
    case TG_CLOUD_SAMPLE:
    case TG_CLOUD_END:
        return TG_OK;
    }
    flush_state(talk, s, event->now_ms);
    arm(talk, s);
    return rc;
}
