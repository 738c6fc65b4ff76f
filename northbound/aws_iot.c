/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/aws_iot.h"

#include <stdio.h>

#include "northbound/aws_fleet.h"
#include "northbound/aws_jobs.h"
#include "northbound/aws_shadow.h"

#define CLIENT_MAX_BYTES  128
#define TOPIC_MAX_BYTES   256
#define TOPIC_MAX_SLASHES 7
#define PAYLOAD_MAX_BYTES 131072
#define MAX_IN_FLIGHT     100

struct aws_session {
    struct tg_aws_shadow shadow;
    struct tg_aws_jobs jobs;
};

static const char *const switches[] = {"off", "on", NULL}; /* the index is the truth value */

static const struct tg_option options[] = {
    {.name = "client_id",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = "{device}",
     .doc = "The MQTT client id, which the policy allows; {device} and {gateway} are filled in."},
    {.name = "topic",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = "dt/tidegate/{gateway}/{device}",
     .doc = "Where samples are published: at most 7 slashes and, filled in, 256 bytes."},
    {.name = "rule",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 128,
     .doc = "Sends samples to this rule by Basic Ingest ($aws/rules/RULE/TOPIC), which costs no message."},
    {.name = "shadow",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 64,
     .default_text = "off",
     .doc = "The device shadow that is kept: `off`, `classic`, or the name of a named shadow."},
    {.name = "jobs",
     .type = TG_OPTION_ENUM,
     .choices = switches,
     .default_text = "off",
     .doc = "Takes jobs of AWS IoT Device Management as commands."},
    {0}};

static const char thing_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-";

bool tg_aws_thing_valid(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= TG_AWS_THING_MAX_BYTES && strspn(name, thing_characters) == n;
}

void tg_aws_expand(struct tg_writer *w, const char *template, const struct tg_cloud_target *t)
{
    for (const char *p = template; *p; p++) {
        if (strncmp(p, "{device}", 8) == 0) {
            tg_write_str(w, t->device_id);
            p += 7;
        } else if (strncmp(p, "{gateway}", 9) == 0) {
            tg_write_str(w, t->gateway);
            p += 8;
        } else {
            tg_write_u8(w, (uint8_t)*p);
        }
    }
}

/* --- the configuration ----------------------------------------------------------------------------------- */

int tg_aws_check_template(const char *name, const char *text, struct tg_error *err)
{
    for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{'))
        if (strncmp(p, "{device}", 8) != 0 && strncmp(p, "{gateway}", 9) != 0)
            return tg_error_set(err, TG_EINVAL,
                                "%s: unknown placeholder at \"%.20s\"; known are {device} and {gateway}",
                                name, p);
    return TG_OK;
}

static int check_topic(const char *topic, struct tg_error *err)
{
    unsigned slashes = 0;
    if (topic[0] == '$')
        return tg_error_set(err, TG_EINVAL,
                            "topic: \"%s\" begins with $, which AWS keeps for itself; for Basic "
                            "Ingest name the rule with `rule`",
                            topic);
    if (strpbrk(topic, "+#"))
        return tg_error_set(err, TG_EINVAL,
                            "topic: \"%s\" has a wildcard (+ or #); a topic to publish to has none", topic);
    for (const char *p = topic; (p = strchr(p, '/')) != NULL; p++)
        slashes++;
    if (slashes > TOPIC_MAX_SLASHES)
        return tg_error_set(err, TG_EINVAL, "topic: \"%s\" has %u slashes; AWS IoT Core takes at most %d",
                            topic, slashes, TOPIC_MAX_SLASHES);
    return TG_OK;
}

static int check_names(const struct tg_settings *s, struct tg_error *err)
{
    const char *rule = tg_settings_text(s, "rule"), *shadow = tg_settings_text(s, "shadow");
    if (rule &&
        strspn(rule, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(rule))
        return tg_error_set(err, TG_EINVAL,
                            "rule: \"%s\" is no name of a rule; allowed are letters, digits and _", rule);
    if (strcmp(shadow, "on") == 0 || strcmp(shadow, "true") == 0 || strcmp(shadow, "yes") == 0)
        return tg_error_set(
            err, TG_EINVAL,
            "shadow: \"%s\" says not which: classic is the unnamed shadow, anything else the name "
            "of a named one",
            shadow);
    if (strspn(shadow, "$") + strspn(shadow + strspn(shadow, "$"), thing_characters) != strlen(shadow))
        return tg_error_set(
            err, TG_EINVAL,
            "shadow: \"%s\" is neither off, classic nor a name of letters, digits and - _ :", shadow);
    return TG_OK;
}

static int check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const struct tg_settings *s = cloud->settings;
    int rc = tg_aws_check_template("topic", tg_settings_text(s, "topic"), err);
    if (rc == TG_OK)
        rc = tg_aws_check_template("client_id", tg_settings_text(s, "client_id"), err);
    if (rc == TG_OK)
        rc = check_topic(tg_settings_text(s, "topic"), err);
    if (rc == TG_OK)
        rc = check_names(s, err);
    if (rc == TG_OK && cloud->common && tg_settings_int(cloud->common, "max_in_flight") > MAX_IN_FLIGHT)
        rc = tg_error_set(err, TG_ERANGE, "max_in_flight: AWS IoT Core takes at most %d", MAX_IN_FLIGHT);
    if (rc == TG_OK && cloud->batch && tg_settings_int(cloud->batch, "max_bytes") > PAYLOAD_MAX_BYTES)
        rc =
            tg_error_set(err, TG_ERANGE, "batch.max_bytes: AWS IoT Core takes at most %d", PAYLOAD_MAX_BYTES);
    if (rc == TG_OK && cloud->provisioning)
        rc = tg_aws_fleet_check(cloud, err);
    return rc;
}

static int check_device(const struct tg_settings *settings, const char *id, struct tg_error *err)
{
    /* The gateway's name is not known here, and is one byte at least; topic() looks at the whole. */
    const struct tg_cloud_target t = {.device_id = id, .gateway = "g"};
    char memory[2 * TOPIC_MAX_BYTES + 1], quoted[TG_QUOTE_BYTES];
    struct tg_writer topic = tg_writer_init(memory, TOPIC_MAX_BYTES);
    struct tg_writer client = tg_writer_init(memory + TOPIC_MAX_BYTES, CLIENT_MAX_BYTES);
    if (!tg_aws_thing_valid(id))
        return tg_error_set(
            err, TG_EINVAL,
            "device id %s is no name of a thing; AWS IoT Core takes 1 to %d letters, digits and - _ :",
            tg_quote(quoted, id, strlen(id)), TG_AWS_THING_MAX_BYTES);
    tg_aws_expand(&topic, tg_settings_text(settings, "topic"), &t);
    if (topic.failed)
        return tg_error_set(err, TG_EINVAL, "the topic for device %s has more than %d bytes", id,
                            TOPIC_MAX_BYTES);
    tg_aws_expand(&client, tg_settings_text(settings, "client_id"), &t);
    if (client.failed)
        return tg_error_set(err, TG_EINVAL, "the client id for device %s has more than %d bytes", id,
                            CLIENT_MAX_BYTES);
    return TG_OK;
}

/* --- names --------------------------------------------------------------------------------------------------- */

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                 int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                 struct tg_error *err)
{
    size_t begin = scratch->len;
    (void)secret; /* the proof is in TLS */
    (void)link;
    (void)wall_s;
    tg_aws_expand(scratch, tg_settings_text(t->settings, "client_id"), t);
    if (scratch->failed || scratch->len - begin > CLIENT_MAX_BYTES)
        return tg_error_set(err, TG_ETOOBIG, "the client id for %s has more than %d bytes", t->device_id,
                            CLIENT_MAX_BYTES);
    *ret_login =
        (struct tg_cloud_login){.connect.client_id = tg_bytes(scratch->data + begin, scratch->len - begin)};
    return TG_OK;
}

static int filters(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos)
{
    int n = 0;
    if (part == 0)
        n = tg_aws_shadow_filters(t, scratch, ret_filters);
    if (part == 1 || (part == 0 && n == 0)) {
        const char *name;
        n = part == 1 && !tg_aws_shadow_wanted(t, &name) ? 0 : tg_aws_jobs_filters(t, scratch, ret_filters);
    }
    for (int i = 0; i < n; i++)
        ret_qos[i] = 1;
    return n;
}

static int topic(const struct tg_cloud_target *t, const struct tg_format_content *content, const char *point,
                 struct tg_writer *out)
{
    size_t begin;
    (void)content; /* MQTT 3.1.1 has no place for it */
    (void)point;
    if (tg_settings_has(t->settings, "rule")) {
        tg_write_str(out, "$aws/rules/");
        tg_write_str(out, tg_settings_text(t->settings, "rule"));
        tg_write_str(out, "/");
    }
    begin = out->len;
    tg_aws_expand(out, tg_settings_text(t->settings, "topic"), t);
    return out->failed || out->len - begin > TOPIC_MAX_BYTES ? TG_ETOOBIG : TG_OK;
}

/* --- talk ------------------------------------------------------------------------------------------------------ */

/* True when the topic is prefix/rest. */
static bool below(struct tg_bytes topic, const struct tg_writer *prefix, struct tg_bytes *ret_rest)
{
    if (prefix->failed || topic.len <= prefix->len || memcmp(topic.data, prefix->data, prefix->len) != 0 ||
        topic.data[prefix->len] != '/')
        return false;
    *ret_rest = tg_bytes(topic.data + prefix->len + 1, topic.len - prefix->len - 1);
    return true;
}

static int message(struct aws_session *s, const struct tg_cloud_talk *talk,
                   const struct tg_cloud_event *event, struct tg_error *err)
{
    uint8_t a[TG_CLOUD_TOPIC_BYTES], b[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer shadow = tg_writer_init(a, sizeof a), jobs = tg_writer_init(b, sizeof b);
    char quoted[TG_QUOTE_BYTES];
    struct tg_bytes rest;
    tg_aws_shadow_prefix(talk->target, &shadow);
    tg_write_fmt(&jobs, "$aws/things/%s/jobs", talk->target->device_id);
    if (below(event->topic, &shadow, &rest))
        return tg_aws_shadow_message(&s->shadow, talk, rest, event, err);
    if (below(event->topic, &jobs, &rest))
        return tg_aws_jobs_message(&s->jobs, talk, rest, event, err);
    /* Or of a subscription from before, with other options. */
    return tg_error_set(err, TG_EPROTO, "nothing is expected at the topic %s",
                        tg_quote(quoted, (const char *)event->topic.data, event->topic.len));
}

static int step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    struct aws_session *s = talk->session;
    int64_t jobs_ms, wake_ms;
    int rc = TG_OK;
    if (!s)
        return TG_OK;
    switch (event->type) {
    case TG_CLOUD_SUBSCRIBED:
        /* Without all of them an answer might never come, and what is not allowed to be heard is hardly allowed to be said:
         * a publish that is denied ends the connection. The refusal itself is logged by the session. */
        if (event->code == 0) {
            tg_aws_shadow_begin(&s->shadow, talk, event);
            tg_aws_jobs_begin(&s->jobs, talk, event);
        }
        break;
    case TG_CLOUD_MESSAGE:
        rc = message(s, talk, event, err);
        break;
    case TG_CLOUD_REPORT:
        tg_aws_shadow_report(&s->shadow, talk, event->now_ms);
        break;
    case TG_CLOUD_ANSWER:
        tg_aws_jobs_answer(&s->jobs, talk, event);
        break;
    case TG_CLOUD_WAKE:
        tg_aws_shadow_wake(&s->shadow, talk, event->now_ms);
        tg_aws_jobs_wake(&s->jobs, talk, event->now_ms);
        break;
    default: /* START, ONLINE, OFFLINE, END: a connection ended or has not begun to talk; the rest is not asked for */
        if (event->type == TG_CLOUD_START || event->type == TG_CLOUD_ONLINE ||
            event->type == TG_CLOUD_OFFLINE || event->type == TG_CLOUD_END) {
            tg_aws_shadow_end(&s->shadow);
            tg_aws_jobs_end(&s->jobs);
        }
        return TG_OK;
    }
    wake_ms = s->shadow.request.wake_ms;
    jobs_ms = s->jobs.request.wake_ms;
    talk->io->wake_at(talk->user, jobs_ms < wake_ms ? jobs_ms : wake_ms);
    return rc;
}

const char *tg_aws_connack_text(uint8_t code, enum tg_retry *ret_retry)
{
    *ret_retry = code == 3 ? TG_RETRY_BACKOFF : TG_RETRY_NEVER;
    switch (code) {
    case 0:
        return "accepted";
    case 1:
        return "AWS IoT Core does not speak this protocol version";
    case 2:
        return "AWS IoT Core does not take this client id";
    case 3:
        return "AWS IoT Core is unavailable or throttles connections";
    case 4:
        return "user name or password is malformed";
    case 5:
    case 7: /* what AWS says instead of 5 */
        return "not authorised: the certificate is not active, has no policy, or its policy does not allow "
               "iot:Connect with this client id";
    default:
        return "refused for an unknown reason";
    }
}

const struct tg_cloud_type tg_aws_iot = {
    .config = {.type = "aws-iot-core",
               .options = options,
               .provisioning_options = tg_aws_fleet_options,
               .identities = 1u << TG_IDENTITY_X509 | 1u << TG_IDENTITY_PKCS12,
               .identities_text = "certificate and key, or pkcs12 and password_file",
               .host_required = true,
               .default_port = 8883,
               .check_device = check_device,
               .check_cloud = check_cloud},
    .max_message_bytes = PAYLOAD_MAX_BYTES,
    .min_keepalive_s = 30,
    .max_keepalive_s = 1200,
    .qos = 1,
    .max_publishes_per_second = 100,
    .max_in_flight = MAX_IN_FLIGHT,
    .late_answers = true,
    .plain_acks = true,
    .session_bytes = sizeof(struct aws_session),
    .alpn_443 = "x-amzn-mqtt-ca",
    .login = login,
    .filters = filters,
    .topic = topic,
    .step = step,
    .connack_text = tg_aws_connack_text,
    .errand = &tg_aws_fleet,
};
