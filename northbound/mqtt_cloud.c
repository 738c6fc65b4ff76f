/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/mqtt_cloud.h"

#include <jansson.h>

#include "core/base/allocator.h"
#include "northbound/format_json.h"
#include "northbound/json_document.h"
#include "northbound/mqtt_template.h"

#define RETRY_MS 100

struct answer {
    struct answer *next;
    size_t len;
    uint8_t payload[];
};

/* Of a session, and of a link that is shared. */
struct memory {
    bool birth_due;
    uint32_t answer_count;
    struct answer *answers; /* in order, the oldest first */
};

static bool shared(const struct tg_cloud_target *t)
{
    return tg_settings_int(t->settings, "session") != 0;
}

static uint8_t choose_qos(const struct tg_cloud_target *t)
{
    return (uint8_t)tg_settings_int(t->settings, "qos");
}

static bool retain(const struct tg_cloud_target *t)
{
    return tg_settings_int(t->settings, "retain") != 0;
}

static bool topic_per_point(const struct tg_cloud_target *t)
{
    return tg_mqtt_template_count(tg_settings_text(t->settings, "topic"), "{point}") > 0;
}

static struct tg_bytes expand(struct tg_writer *w, const char *text, const struct tg_cloud_target *t,
                              const char *point)
{
    const struct tg_mqtt_names names = {t->device_id, t->gateway, point};
    size_t begin = w->len;
    tg_mqtt_template_expand(w, text, &names);
    return w->failed ? (struct tg_bytes){0} : tg_bytes(w->data + begin, w->len - begin);
}

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                 int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                 struct tg_error *err)
{
    struct tg_cloud_login l = {0};
    (void)link;
    (void)wall_s;
    l.connect.client_id = expand(scratch, tg_settings_text(t->settings, "client_id"), t, NULL);
    if (tg_settings_has(t->settings, "will_topic")) {
        l.connect.will_topic = expand(scratch, tg_settings_text(t->settings, "will_topic"), t, NULL);
        l.connect.will_payload =
            expand(scratch, tg_mqtt_text(t->settings, "will_message", "offline"), t, NULL);
        l.connect.will_qos = 1;
        l.connect.will_retain = tg_settings_int(t->settings, "will_retain") != 0;
    }
    if (scratch->failed)
        return tg_error_set(err, TG_ETOOBIG, "client id and will for %s are too long", t->device_id);
    if (secret->kind == TG_IDENTITY_PASSWORD) {
        l.connect.username = secret->username;
        l.connect.password = secret->password;
    }
    *ret_login = l;
    return TG_OK;
}

static int filters(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos)
{
    const char *text = tg_settings_text(t->settings, "command_topic");
    if (part > 0 || !*text || (shared(t) && !t->device))
        return 0;
    ret_filters[0] = expand(scratch, text, t, NULL);
    ret_qos[0] = 1;
    return scratch->failed ? TG_ETOOBIG : 1;
}

static int topic(const struct tg_cloud_target *t, const struct tg_format_content *content, const char *point,
                 struct tg_writer *out)
{
    (void)content; /* MQTT 3.1.1 has no place for it */
    (void)expand(out, tg_settings_text(t->settings, "topic"), t, point);
    return out->failed ? TG_ETOOBIG : TG_OK;
}

static struct tg_bytes addressee(const struct tg_cloud_target *link_target, struct tg_bytes full)
{
    return tg_mqtt_template_device(tg_settings_text(link_target->settings, "command_topic"),
                                   link_target->gateway, full);
}

/* --- birth and goodbye --- */

/* Publishes a text of the connection to a topic, both templates. */
static int say(const struct tg_cloud_talk *talk, const char *topic_text, const char *message)
{
    const struct tg_settings *s = talk->target->settings;
    uint8_t topic_memory[TG_CLOUD_TOPIC_BYTES], message_memory[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer t = tg_writer_init(topic_memory, sizeof topic_memory),
                     m = tg_writer_init(message_memory, sizeof message_memory);
    struct tg_bytes at = expand(&t, topic_text, talk->target, NULL),
                    body = expand(&m, message, talk->target, NULL);
    bool keep = tg_settings_int(s, "will_retain") != 0;
    int rc;
    if (t.failed || m.failed)
        return TG_ETOOBIG;
    rc = talk->io->publish(talk->user, at, body, 1, keep, 0);
    return rc == TG_EFULL ? talk->io->publish(talk->user, at, body, 0, keep, 0) : rc;
}

static int announce(const struct tg_cloud_talk *talk, struct memory *m, int64_t now_ms, struct tg_error *err)
{
    const struct tg_settings *s = talk->target->settings;
    int rc;
    m->birth_due = false;
    if (!tg_settings_has(s, "birth_topic"))
        return TG_OK;
    rc = say(talk, tg_settings_text(s, "birth_topic"), tg_mqtt_text(s, "birth_message", "online"));
    if (rc == TG_EFULL) {
        m->birth_due = true;
        talk->io->wake_at(talk->user, now_ms + RETRY_MS);
        return TG_OK;
    }
    return rc < 0 ? tg_error_set(err, rc, "birth_topic: the birth message cannot be published: %s",
                                 tg_code_text(rc))
                  : TG_OK;
}

/* The last words: when they find no room, the broker's will is not sent either, and nothing more can be done. */
static void take_leave(const struct tg_cloud_talk *talk)
{
    const struct tg_settings *s = talk->target->settings;
    if (tg_settings_has(s, "will_topic"))
        (void)say(talk, tg_settings_text(s, "will_topic"),
                  tg_mqtt_text(s, "goodbye_message", tg_mqtt_text(s, "will_message", "offline")));
}

/* --- commands and answers --- */

/* The `id` of a command's body as it would stand in JSON, with its quotes; empty when there is none. */
static int read_id(struct tg_bytes body, struct tg_writer *out, struct tg_error *err)
{
    struct tg_error why = {0};
    json_t *root = tg_json_parse(body, "the body", &why);
    const json_t *id =
        json_object_get(root, "id"); /* NULL for NULL: no JSON is found wrong where it is run */
    if (json_is_string(id))
        tg_format_json_string(out, tg_bytes(json_string_value(id), json_string_length(id)));
    else if (json_is_integer(id))
        tg_write_i64_dec(out, json_integer_value(id));
    else if (id && !json_is_null(id))
        tg_error_set(err, TG_EINVAL, "the id of a command is neither a text nor a whole number");
    if (out->failed)
        tg_error_set(err, TG_EINVAL, "the id of a command has more than %zu bytes", out->cap);
    json_decref(root);
    return err->code;
}

/* A broker that mixes its clients up must not write one device's commands to another. */
static bool is_for_us(const struct tg_cloud_target *t, struct tg_bytes topic)
{
    static const char group[] = "$share/"; /* brokers' extension to 3.1.1: $share/{group}/{filter} */
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_bytes filter = expand(&w, tg_settings_text(t->settings, "command_topic"), t, NULL);
    const uint8_t *slash;
    if (tg_bytes_starts(filter, group)) {
        filter = tg_bytes(filter.data + sizeof group - 1, filter.len - (sizeof group - 1));
        slash = memchr(filter.data, '/', filter.len);
        if (slash)
            filter = tg_bytes(slash + 1, (size_t)(filter.data + filter.len - slash) - 1);
    }
    return filter.len > 0 && tg_mqtt_filter_matches(filter, topic);
}

static int take_command(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                        struct tg_error *err)
{
    uint8_t memory[TG_CLOUD_REPLY_BYTES - 1], reply[TG_CLOUD_REPLY_BYTES] = {'?'};
    struct tg_writer id = tg_writer_init(memory, sizeof memory);
    struct tg_cloud_command command = {.body = event->payload, .hold = true};
    struct tg_error why = {0};
    char quoted[TG_QUOTE_BYTES];
    int rc;
    if (!is_for_us(talk->target, event->topic))
        return tg_error_set(err, TG_EPROTO, "the topic %s is not this device's",
                            tg_quote(quoted, (const char *)event->topic.data, event->topic.len));
    rc = read_id(event->payload, &id, &why);
    if (rc < 0)
        return tg_error_set(err, rc, "%s", why.text);
    command.message_id = tg_bytes(memory, id.len);
    if (tg_settings_has(talk->target->settings, "reply_topic")) {
        memcpy(reply + 1, memory,
               id.len); /* the first byte makes it an answer that is wanted, with or without an id */
        command.reply = tg_bytes(reply, 1 + id.len);
    }
    talk->io->command(talk->user, &command);
    return TG_OK;
}

/* Sends what waits; with the rest it comes again. */
static int send_answers(const struct tg_cloud_talk *talk, struct memory *m, int64_t now_ms,
                        struct tg_error *err)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_bytes at;
    if (!m->answers)
        return TG_OK;
    at = expand(&w, tg_settings_text(talk->target->settings, "reply_topic"), talk->target, NULL);
    while (m->answers) {
        struct answer *a = m->answers;
        int rc = talk->io->publish(talk->user, at, tg_bytes(a->payload, a->len), 1, false, 0);
        if (rc == TG_EFULL || rc == TG_ESTATE) { /* ESTATE: not connected; ONLINE sends it */
            talk->io->wake_at(talk->user, now_ms + RETRY_MS);
            return TG_OK;
        }
        m->answers = a->next;
        m->answer_count--;
        tg_free(a);
        if (rc < 0)
            return tg_error_set(err, rc, "the answer to a command cannot be published: %s", tg_code_text(rc));
    }
    return TG_OK;
}

static int answer(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    struct memory *m = talk->session;
    struct tg_bytes result = event->payload.len ? event->payload : tg_bytes_str("{}");
    struct tg_bytes id = tg_bytes(event->reply.data + 1, event->reply.len - 1);
    size_t size = sizeof "{'id':,'status':'','result':}" + id.len + result.len + 6 * strlen(event->status);
    struct answer *a, **at = &m->answers;
    struct tg_writer w;
    if (m->answer_count >= TG_MQTT_ANSWERS_MAX)
        return tg_error_set(err, TG_EFULL, "%d answers to commands wait and none leaves",
                            TG_MQTT_ANSWERS_MAX);
    a = tg_malloc(sizeof *a + size);
    if (!a)
        return tg_error_set(err, TG_ENOMEM, "out of memory for the answer to a command");
    w = tg_writer_init(a->payload, size);
    tg_write_str(&w, "{");
    if (id.len) {
        tg_write_str(&w, "\"id\":");
        tg_write_bytes(&w, id);
        tg_write_str(&w, ",");
    }
    tg_write_str(&w, "\"status\":");
    tg_format_json_string(&w, tg_bytes_str(event->status));
    tg_write_str(&w, ",\"result\":");
    tg_write_bytes(&w, result);
    tg_write_str(&w, "}");
    a->len = w.len;
    a->next = NULL;
    while (*at)
        at = &(*at)->next;
    *at = a;
    m->answer_count++;
    return send_answers(talk, m, event->now_ms, err);
}

static void forget(struct memory *m)
{
    while (m->answers) {
        struct answer *a = m->answers;
        m->answers = a->next;
        tg_free(a);
    }
    m->answer_count = 0;
}

/* What one connection says once is said by the link when devices share it, else by the session. */
static int step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    struct memory *m = talk->session ? talk->session : talk->link;
    bool speaks = shared(talk->target) == !talk->session;
    int rc = TG_OK;
    switch (event->type) {
    case TG_CLOUD_ONLINE:
    case TG_CLOUD_WAKE:
        if (speaks && (event->type == TG_CLOUD_ONLINE || m->birth_due))
            rc = announce(talk, m, event->now_ms, err);
        return rc == TG_OK ? send_answers(talk, m, event->now_ms, err) : rc;
    case TG_CLOUD_CLOSING:
        if (speaks)
            take_leave(talk);
        return TG_OK;
    case TG_CLOUD_MESSAGE:
        if (talk->session)
            return take_command(talk, event, err);
        return tg_error_set(err, TG_ENOTFOUND, "no device of this gateway takes commands at its topic");
    case TG_CLOUD_ANSWER:
        return talk->session && event->reply.len ? answer(talk, event, err) : TG_OK;
    case TG_CLOUD_END:
        forget(m);
        return TG_OK;
    default:
        return TG_OK;
    }
}

const struct tg_cloud_type tg_mqtt_cloud = {
    .config = TG_MQTT_CONFIG,
    .websocket_path = "/mqtt",
    .max_message_bytes = 256 * 1024,
    .max_keepalive_s = 65535,
    .qos = 1,
    .session_bytes = sizeof(struct memory),
    .link_bytes = sizeof(struct memory),
    .shared = shared,
    .choose_qos = choose_qos,
    .retain = retain,
    .login = login,
    .filters = filters,
    .topic = topic,
    .topic_per_point = topic_per_point,
    .addressee = addressee,
    .step = step,
    .connack_text = tg_mqtt_connack_text,
};
