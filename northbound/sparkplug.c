/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clauses in brackets are ids of the Sparkplug 3.0.0 specification ("tck-id-…").
 */
#include "northbound/sparkplug.h"

#include <stdio.h>

#include "northbound/mqtt_cloud.h"
#include "northbound/mqtt_template.h"
#include "northbound/sparkplug_inbound.h"
#include "northbound/sparkplug_private.h"

#define BD_SEQ_NOTE     "bdSeq"
#define RETRY_MS        100
#define SUBSCRIBE_MS    10000 /* births do not wait longer for the answers to SUBSCRIBE */
#define REBIRTH_EACH_MS 1000  /* hosts that miss a number ask all at once */

/* --- names ------------------------------------------------------------------------------------- */

static const char *primary_host(const struct tg_cloud_target *t)
{
    return tg_mqtt_text(t->settings, "primary_host", NULL);
}

static struct tg_bytes state_topic(struct tg_writer *w, const struct tg_cloud_target *t)
{
    size_t begin = w->len;
    tg_write_str(w, TG_SPARKPLUG_NAMESPACE "STATE/");
    tg_write_str(w, primary_host(t));
    return tg_bytes(w->data + begin, w->len - begin);
}

static bool shared(const struct tg_cloud_target *t)
{
    (void)t;
    return true;
}

static int topic(const struct tg_cloud_target *t, const struct tg_format_content *content, const char *point,
                 struct tg_writer *out)
{
    (void)content;
    (void)point;
    (void)tg_sparkplug_topic_of(out, t, "DDATA", t->device_id);
    return out->failed ? TG_ETOOBIG : TG_OK;
}

/* All are the link's; a device's commands are told apart by their topic. */
static int filters(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos)
{
    int n = 0;
    if (part > 0 || t->device)
        return 0;
    ret_filters[n++] = tg_sparkplug_topic_of(scratch, t, "NCMD", NULL);
    ret_filters[n++] = tg_sparkplug_topic_of(scratch, t, "DCMD", "#");
    if (primary_host(t))
        ret_filters[n++] = state_topic(scratch, t);
    for (int i = 0; i < n; i++)
        ret_qos[i] =
            1; /* [message-flow-edge-node-ncmd-subscribe, -dcmd-subscribe, primary-application-state-subscribe] */
    return scratch->failed ? TG_ETOOBIG : n;
}

static struct tg_bytes addressee(const struct tg_cloud_target *link_target, struct tg_bytes full)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_bytes prefix = tg_sparkplug_topic_of(&w, link_target, "DCMD", "");
    if (w.failed || full.len <= prefix.len || memcmp(full.data, prefix.data, prefix.len) != 0 ||
        memchr(full.data + prefix.len, '/', full.len - prefix.len))
        return (struct tg_bytes){0};
    return tg_bytes(full.data + prefix.len, full.len - prefix.len);
}

/* --- births ------------------------------------------------------------------------------------ */

/* Opens a device's gate and has it born when there is something to say of it. */
static void begin_device(const struct tg_cloud_talk *talk, const struct tg_sparkplug_moment *at)
{
    struct tg_sparkplug_session *s = talk->session;
    struct tg_sparkplug_link *l = talk->link;
    talk->io->open_gate(talk->user, l->born && !s->down);
    if (!l->born || s->down || s->metrics.count == 0)
        return;
    if (tg_sparkplug_device_birth(talk, at->wall_ms) < 0)
        l->births_due = true;
}

static void begin_each(void *arg, const struct tg_cloud_talk *talk)
{
    struct tg_sparkplug_session *s = talk->session;
    s->born = false;
    if (s->online)
        begin_device(talk, arg);
}

static void begin_due(void *arg, const struct tg_cloud_talk *talk)
{
    const struct tg_sparkplug_session *s = talk->session;
    if (s->online && s->birth_due)
        begin_device(talk, arg);
}

static void close_each(void *arg, const struct tg_cloud_talk *talk)
{
    struct tg_sparkplug_session *s = talk->session;
    (void)arg;
    s->born = false;
    if (s->online)
        talk->io->open_gate(talk->user, false);
}

static bool may_be_born(const struct tg_cloud_talk *talk)
{
    const struct tg_sparkplug_link *l = talk->link;
    return l->online && l->subscribed && (!primary_host(talk->target) || l->host_online);
}

/* The births that are still to be said, as far as there is room; wakes for the rest. */
static int go_on(const struct tg_cloud_talk *talk, const struct tg_sparkplug_moment *at, struct tg_error *err)
{
    struct tg_sparkplug_link *l = talk->link;
    struct tg_sparkplug_moment moment = *at;
    int rc;
    if (!may_be_born(talk))
        return TG_OK;
    if (!l->born && at->now_ms < l->birth_at_ms) {
        talk->io->wake_at(talk->user, l->birth_at_ms);
        return TG_OK;
    }
    if (!l->born) {
        rc = tg_sparkplug_node_birth(talk, at->wall_ms);
        if (rc == TG_EFULL) {
            talk->io->wake_at(talk->user, at->now_ms + RETRY_MS);
            return TG_OK;
        }
        if (rc < 0)
            return tg_error_set(err, rc, "NBIRTH cannot be published: %s", tg_code_text(rc));
        l->born = true;
        l->births_due = false;
        l->birth_at_ms = at->now_ms + REBIRTH_EACH_MS;
        talk->io->each_session(talk->user, begin_each, &moment);
    } else if (l->births_due) {
        l->births_due = false;
        talk->io->each_session(talk->user, begin_due, &moment);
    }
    talk->io->wake_at(talk->user, l->births_due ? at->now_ms + RETRY_MS : INT64_MAX);
    return TG_OK;
}

/* --- the link ---------------------------------------------------------------------------------- */

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                 int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                 struct tg_error *err)
{
    const struct tg_mqtt_names names = {t->device_id, t->gateway, NULL};
    struct tg_sparkplug_link *m = link;
    struct tg_cloud_login l = {.connect = {.clean_session = true, .will_qos = 1}};
    size_t begin = scratch->len;
    m->bd_seq = m->bd_seq_known ? (uint8_t)(m->bd_seq + 1) : 0; /* [topics-nbirth-bdseq-increment] */
    m->bd_seq_known = true;
    tg_mqtt_template_expand(scratch, tg_settings_text(t->settings, "client_id"), &names);
    l.connect.client_id = tg_bytes(scratch->data + begin, scratch->len - begin);
    l.connect.will_topic = tg_sparkplug_topic_of(scratch, t, "NDEATH", NULL);
    l.connect.will_payload = tg_sparkplug_node_death(scratch, m->bd_seq, wall_s * 1000);
    if (scratch->failed)
        return tg_error_set(err, TG_ETOOBIG, "client id and will of the edge node are too long");
    if (secret->kind == TG_IDENTITY_PASSWORD) {
        l.connect.username = secret->username;
        l.connect.password = secret->password;
    }
    *ret_login = l;
    return TG_OK;
}

static void recall_bd_seq(const struct tg_cloud_talk *talk)
{
    struct tg_sparkplug_link *l = talk->link;
    struct tg_bytes note = talk->io->recall(talk->user, BD_SEQ_NOTE);
    unsigned value = 0;
    bool good = note.len > 0 && note.len <= 3;
    for (size_t i = 0; good && i < note.len; i++) {
        good = note.data[i] >= '0' && note.data[i] <= '9';
        value = 10 * value + (unsigned)(note.data[i] - '0');
    }
    l->bd_seq_known = good && value <= UINT8_MAX;
    l->bd_seq = (uint8_t)value;
}

static int link_online(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event)
{
    struct tg_sparkplug_link *l = talk->link;
    char text[8];
    int n = snprintf(text, sizeof text, "%u", l->bd_seq);
    talk->io->remember(talk->user, BD_SEQ_NOTE, tg_bytes(text, (size_t)n));
    l->online = true;
    l->subscribed = l->host_online = l->born = l->births_due = false;
    l->birth_at_ms = event->now_ms;
    l->subscribe_limit_ms = event->now_ms + SUBSCRIBE_MS;
    talk->io->wake_at(talk->user, l->subscribe_limit_ms);
    return TG_OK;
}

/* A host may ask for everything anew at once, but not in a loop. */
static int rebirth(const struct tg_cloud_talk *talk, const struct tg_sparkplug_moment *at,
                   struct tg_error *err)
{
    struct tg_sparkplug_link *l = talk->link;
    if (!l->born)
        return TG_OK; /* it is to come anyway */
    l->born = false;
    talk->io->each_session(talk->user, close_each,
                           NULL); /* [operational-behavior-data-commands-rebirth-action-1] */
    return go_on(talk, at, err);
}

static int host_state(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                      const struct tg_sparkplug_moment *at, struct tg_error *err)
{
    struct tg_sparkplug_link *l = talk->link;
    struct tg_sparkplug_state state;
    char text[256];
    int rc = tg_sparkplug_read_state(event->payload, &state, err);
    if (rc < 0)
        return rc;
    if (state.time_ms < l->host_time_ms) /* [message-flow-edge-node-birth-publish-phid-wait-timestamp] */
        return tg_error_set(err, TG_EINVAL, "STATE of the primary host %s is older than the last one",
                            primary_host(talk->target));
    l->host_time_ms = state.time_ms;
    l->host_online = state.online;
    if (state.online)
        return go_on(talk, at, err);
    if (!l->born)
        return TG_OK;
    /* [operational-behavior-edge-node-termination-host-offline]: NDEATH, a new connection, and waiting there. */
    talk->io->each_session(talk->user, close_each, NULL);
    tg_sparkplug_say_node_death(talk, event->wall_ms);
    snprintf(text, sizeof text,
             "the primary host %.128s is offline; data waits in the outbox until it is back",
             primary_host(talk->target));
    talk->io->give_up(talk->user, TG_RETRY_NOW, text);
    return TG_OK;
}

static int link_message(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                        const struct tg_sparkplug_moment *at, struct tg_error *err)
{
    uint8_t memory[2 * TG_CLOUD_TOPIC_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    bool wanted = false;
    int rc, again = TG_OK;
    if (primary_host(talk->target) && tg_bytes_eq(event->topic, state_topic(&w, talk->target)))
        return host_state(talk, event, at, err);
    if (!tg_bytes_eq(event->topic, tg_sparkplug_topic_of(&w, talk->target, "NCMD", NULL)))
        return tg_error_set(err, TG_ENOTFOUND, "this edge node has no such device");
    if (event->retain)
        return tg_error_set(err, TG_EPROTO, "a retained NCMD is an old one");
    rc = tg_sparkplug_read_node_command(event->payload, &wanted, err);
    if (wanted)
        again = rebirth(talk, at, rc < 0 ? NULL : err);
    return rc < 0 ? rc : again;
}

static int link_step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                     const struct tg_sparkplug_moment *at, struct tg_error *err)
{
    struct tg_sparkplug_link *l = talk->link;
    switch (event->type) {
    case TG_CLOUD_START:
        recall_bd_seq(talk);
        return TG_OK;
    case TG_CLOUD_ONLINE:
        return link_online(talk, event);
    case TG_CLOUD_SUBSCRIBED:
        if (event->code > 0 && primary_host(talk->target)) {
            talk->io->give_up(
                talk->user, TG_RETRY_BACKOFF,
                "the broker refuses a subscription of the edge node, so it cannot follow its primary host");
            return TG_OK;
        }
        l->subscribed = true;
        return go_on(talk, at, err);
    case TG_CLOUD_WAKE:
        l->subscribed = l->subscribed || event->now_ms >= l->subscribe_limit_ms;
        return go_on(talk, at, err);
    case TG_CLOUD_MESSAGE:
        return link_message(talk, event, at, err);
    case TG_CLOUD_CLOSING:
        tg_sparkplug_say_node_death(talk, event->wall_ms);
        return TG_OK;
    case TG_CLOUD_OFFLINE:
        l->online = l->subscribed = l->host_online = l->born = l->births_due = false;
        return TG_OK;
    default:
        return TG_OK;
    }
}

/* --- a device ---------------------------------------------------------------------------------- */

static void take_sample(const struct tg_cloud_talk *talk, struct tg_bytes body,
                        const struct tg_sparkplug_moment *at)
{
    struct tg_sparkplug_session *s = talk->session;
    /* What cannot be learned now (no memory) is learned when it is sent; until then a birth lacks it. */
    (void)!tg_sparkplug_metrics_learn(&s->metrics, body, TG_SPARKPLUG_NEWEST, tg_sparkplug_aliases(talk));
    if (s->down && tg_sparkplug_sample_is_good(body)) {
        s->down = false;
        if (s->online)
            begin_device(talk, at);
    }
}

static void take_state(const struct tg_cloud_talk *talk, struct tg_bytes patch,
                       const struct tg_sparkplug_moment *at)
{
    struct tg_sparkplug_session *s = talk->session;
    bool down = s->down;
    if (!tg_sparkplug_read_device_state(patch, &down) || down == s->down)
        return;
    s->down = down;
    if (!s->online)
        return;
    if (down) {
        tg_sparkplug_say_device_death(talk, at->wall_ms); /* [operational-behavior-device-ddeath] */
        talk->io->open_gate(talk->user, false);
    } else {
        begin_device(talk, at);
    }
}

static int take_command(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                        struct tg_error *err)
{
    const struct tg_sparkplug_session *s = talk->session;
    struct tg_cloud_command command = {.name = tg_bytes_str("set"), .hold = true};
    struct tg_buffer arguments;
    int rc;
    if (event->retain)
        return tg_error_set(err, TG_EPROTO, "a retained DCMD is an old one");
    rc = tg_sparkplug_read_device_command(event->payload, &s->metrics, &arguments, err);
    if (rc < 0)
        return rc;
    command.body = tg_buffer_view(&arguments);
    talk->io->command(talk->user, &command);
    tg_buffer_fini(&arguments);
    return TG_OK;
}

static int session_step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                        const struct tg_sparkplug_moment *at, struct tg_error *err)
{
    struct tg_sparkplug_session *s = talk->session;
    switch (event->type) {
    case TG_CLOUD_ONLINE:
        s->online = true;
        s->born = s->birth_due = false;
        (void)tg_sparkplug_read_device_state(talk->io->reported(talk->user), &s->down);
        begin_device(talk, at);
        if (s->birth_due)
            talk->io->wake_at(talk->user, event->now_ms + RETRY_MS);
        return TG_OK;
    case TG_CLOUD_WAKE:
        if (s->online && s->birth_due)
            begin_device(talk, at);
        if (s->birth_due)
            talk->io->wake_at(talk->user, event->now_ms + RETRY_MS);
        return TG_OK;
    case TG_CLOUD_SAMPLE:
        take_sample(talk, event->payload, at);
        return TG_OK;
    case TG_CLOUD_MESSAGE:
        return take_command(talk, event, err);
    case TG_CLOUD_REPORT:
        take_state(talk, event->payload, at);
        return TG_OK;
    case TG_CLOUD_CLOSING:
        tg_sparkplug_say_device_death(talk, event->wall_ms);
        return TG_OK;
    case TG_CLOUD_OFFLINE:
        s->online = s->born = s->birth_due = false;
        return TG_OK;
    case TG_CLOUD_END:
        tg_sparkplug_metrics_fini(&s->metrics);
        return TG_OK;
    default:
        return TG_OK;
    }
}

static int step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    const struct tg_sparkplug_moment at = {event->now_ms, event->wall_ms};
    return talk->session ? session_step(talk, event, &at, err) : link_step(talk, event, &at, err);
}

const struct tg_cloud_type tg_sparkplug = {
    .config = TG_MQTT_CONFIG,
    .websocket_path = "/mqtt",
    .max_message_bytes = TG_SPARKPLUG_MESSAGE,
    .max_keepalive_s = 65535,
    .qos = 0, /* [payloads-ddata-qos] */
    .gated = true,
    .wants_samples = true,
    .needs_time = true,
    .session_bytes = sizeof(struct tg_sparkplug_session),
    .link_bytes = sizeof(struct tg_sparkplug_link),
    .shared = shared,
    .login = login,
    .filters = filters,
    .topic = topic,
    .encode = tg_sparkplug_encode,
    .sent = tg_sparkplug_sent,
    .addressee = addressee,
    .step = step,
    .connack_text = tg_mqtt_connack_text,
};
