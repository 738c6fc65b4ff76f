/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_options - what the cloud type `mqtt` takes in the file, for topic templates and for Sparkplug B, and the rules that a
 * table cannot state.
 */
#include "core/base/sample.h"
#include "northbound/mqtt_cloud.h"
#include "northbound/mqtt_template.h"
#include "northbound/sparkplug.h"

static const char *const switches[] = {"off", "on", NULL}; /* the index is the truth value */
static const char *const sessions[] = {"per-device", "shared", NULL};

#define TEXT(id, most, text)                                                                                 \
    {                                                                                                        \
        .name = (id), .type = TG_OPTION_TEXT, .min = 1, .max = (most), .doc = (text)                         \
    }

const struct tg_option tg_mqtt_options[] = {
    {.name = "client_id",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = "{device}",
     .doc = "The MQTT client id; {device} and {gateway} are filled in. On a shared session {device} is the "
            "gateway's name."},
    {.name = "session",
     .type = TG_OPTION_ENUM,
     .choices = sessions,
     .default_text = "per-device",
     .doc = "One connection for each device with its identity, or one for all with the cloud's."},
    {.name = "topic",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = "tidegate/{device}/data",
     .doc = "Where samples are published; with {point} each point has messages of its own."},
    {.name = "command_topic",
     .type = TG_OPTION_TEXT,
     .min = 0,
     .max = 256,
     .default_text = "tidegate/{device}/command",
     .doc = "Where commands are taken from; empty takes none."},
    TEXT("reply_topic", 256, "Where the answers to commands are published; default: they are not."),
    {.name = "qos",
     .type = TG_OPTION_INT,
     .min = 0,
     .max = 1,
     .default_text = "1",
     .doc = "Quality of service of samples; with 0 the broker's answer to a later ping stands for its "
            "acknowledgements."},
    {.name = "retain",
     .type = TG_OPTION_ENUM,
     .choices = switches,
     .default_text = "off",
     .doc = "Whether the broker keeps the last message of a topic for later subscribers."},
    TEXT("will_topic", 256, "Where the broker says that the connection was lost; default: nowhere."),
    TEXT("will_message", 1024, "What it says there; default: offline."),
    TEXT("goodbye_message", 1024,
         "What is published to will_topic before an orderly end; default: will_message."),
    TEXT("birth_topic", 256, "Where each new connection is announced; default: nowhere."),
    TEXT("birth_message", 1024, "What is published there; default: online."),
    {.name = "will_retain",
     .type = TG_OPTION_ENUM,
     .choices = switches,
     .default_text = "off",
     .doc = "Whether the broker keeps will, goodbye and birth for later subscribers."},
    TEXT("group_id", 128, "Sparkplug B: the group of the edge node."),
    TEXT("edge_node", 128, "Sparkplug B: the id of the edge node; default: the gateway's name."),
    TEXT("primary_host", 128,
         "Sparkplug B: the host application that must be online for data to be sent; default: none is waited "
         "for."),
    {0}};

const char *tg_mqtt_text(const struct tg_settings *settings, const char *name, const char *otherwise)
{
    return tg_settings_has(settings, name) ? tg_settings_text(settings, name) : otherwise;
}

/* --- Sparkplug B --- */

/* A default has no position. */
static bool is_given(const struct tg_settings *s, const char *name)
{
    return tg_settings_has(s, name) && tg_settings_position(s, name).line > 0;
}

static int check_sparkplug(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    static const char *const not_taken[] = {
        "session",    "topic",        "command_topic",   "reply_topic", "qos",           "retain",
        "will_topic", "will_message", "goodbye_message", "birth_topic", "birth_message", "will_retain"};
    static const char *const ids[] = {"group_id", "edge_node", "primary_host"};
    const struct tg_settings *s = cloud->settings;
    if (!tg_settings_has(s, "group_id"))
        return tg_error_set(err, TG_EINVAL, "format: sparkplug-b needs a group_id");
    for (size_t i = 0; i < sizeof not_taken / sizeof not_taken[0]; i++)
        if (is_given(s, not_taken[i]))
            return tg_error_set(err, TG_EINVAL,
                                "%s: Sparkplug B says this itself; leave it out with format: sparkplug-b",
                                not_taken[i]);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (tg_settings_has(s, ids[i]) && strpbrk(tg_settings_text(s, ids[i]), "+#/"))
            return tg_error_set(err, TG_EINVAL,
                                "%s: \"%s\" has one of + # /, which a Sparkplug id cannot have", ids[i],
                                tg_settings_text(s, ids[i]));
    if (tg_settings_int(cloud->common, "compress"))
        return tg_error_set(err, TG_EINVAL,
                            "compress: Sparkplug B payloads are not compressed; leave it out");
    return tg_mqtt_template_check("client_id", tg_settings_text(s, "client_id"), TG_MQTT_TEMPLATE_ID, false,
                                  err);
}

/* --- topic templates --- */

static const struct {
    const char *name;
    enum tg_mqtt_template_kind kind;
    bool point,
        of_connection; /* of_connection: said once for each connection, so on a shared one of no device */
} templates[] = {
    {"client_id", TG_MQTT_TEMPLATE_ID, false, false},
    {"topic", TG_MQTT_TEMPLATE_TOPIC, true, false},
    {"command_topic", TG_MQTT_TEMPLATE_FILTER, false, false},
    {"reply_topic", TG_MQTT_TEMPLATE_TOPIC, false, false},
    {"will_topic", TG_MQTT_TEMPLATE_TOPIC, false, true},
    {"will_message", TG_MQTT_TEMPLATE_MESSAGE, false, true},
    {"goodbye_message", TG_MQTT_TEMPLATE_MESSAGE, false, true},
    {"birth_topic", TG_MQTT_TEMPLATE_TOPIC, false, true},
    {"birth_message", TG_MQTT_TEMPLATE_MESSAGE, false, true},
};
#define TEMPLATE_COUNT (sizeof templates / sizeof templates[0])

static size_t limit_bytes(size_t i)
{
    return templates[i].kind == TG_MQTT_TEMPLATE_MESSAGE ? TG_CLOUD_SCRATCH_BYTES / 2 : TG_CLOUD_TOPIC_BYTES;
}

static int check_templates(const struct tg_settings *s, bool shared, struct tg_error *err)
{
    for (size_t i = 0; i < TEMPLATE_COUNT; i++) {
        const char *name = templates[i].name, *text = tg_mqtt_text(s, name, "");
        size_t longest =
            tg_mqtt_template_bytes(text, TG_NAME_MAX_BYTES, TG_NAME_MAX_BYTES, TG_NAME_MAX_BYTES);
        int rc = tg_mqtt_template_check(name, text, templates[i].kind, templates[i].point, err);
        if (rc < 0)
            return rc;
        if (longest > limit_bytes(i))
            return tg_error_set(err, TG_EINVAL,
                                "%s: becomes %zu bytes with names of %d characters; at most %zu are allowed",
                                name, longest, TG_NAME_MAX_BYTES, limit_bytes(i));
        if (shared && templates[i].of_connection && tg_mqtt_template_count(text, "{device}"))
            return tg_error_set(err, TG_EINVAL,
                                "%s: with session: shared it is said once for all devices; use {gateway} "
                                "instead of {device}",
                                name);
    }
    return TG_OK;
}

static int check_needs(const struct tg_settings *s, struct tg_error *err)
{
    static const char *const pairs[][2] = {
        {"will_message", "will_topic"}, {"goodbye_message", "will_topic"}, {"birth_message", "birth_topic"}};
    static const char *const sparkplug[] = {"group_id", "edge_node", "primary_host"};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (tg_settings_has(s, pairs[i][0]) && !tg_settings_has(s, pairs[i][1]))
            return tg_error_set(err, TG_EINVAL, "%s: has no effect without %s", pairs[i][0], pairs[i][1]);
    for (size_t i = 0; i < sizeof sparkplug / sizeof sparkplug[0]; i++)
        if (tg_settings_has(s, sparkplug[i]))
            return tg_error_set(err, TG_EINVAL, "%s: is for format: sparkplug-b", sparkplug[i]);
    return TG_OK;
}

/* An answer that comes back as a command would be answered, and so on without end. */
static int check_reply(const struct tg_settings *s, struct tg_error *err)
{
    static const struct tg_mqtt_names sample = {.device = "d", .gateway = "g"};
    const char *reply = tg_mqtt_text(s, "reply_topic", ""), *command = tg_mqtt_text(s, "command_topic", "");
    uint8_t topic_memory[TG_CLOUD_TOPIC_BYTES], filter_memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer topic = tg_writer_init(topic_memory, sizeof topic_memory),
                     filter = tg_writer_init(filter_memory, sizeof filter_memory);
    if (!*reply)
        return TG_OK;
    if (!*command)
        return tg_error_set(err, TG_EINVAL, "reply_topic: has no effect with an empty command_topic");
    tg_mqtt_template_expand(&topic, reply, &sample);
    tg_mqtt_template_expand(&filter, command, &sample);
    if (tg_mqtt_filter_matches(tg_bytes(filter.data, filter.len), tg_bytes(topic.data, topic.len)))
        return tg_error_set(err, TG_EINVAL,
                            "reply_topic: \"%s\" is within command_topic \"%s\"; each answer would be taken "
                            "for a command",
                            reply, command);
    return TG_OK;
}

int tg_mqtt_check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const struct tg_settings *s = cloud->settings;
    bool shared = tg_settings_int(s, "session") != 0;
    const char *command = tg_settings_text(s, "command_topic");
    int rc;
    if (strcmp(tg_settings_text(cloud->common, "format"), "sparkplug-b") == 0)
        return check_sparkplug(cloud, err);
    rc = check_templates(s, shared, err);
    if (rc == TG_OK)
        rc = check_needs(s, err);
    if (rc == TG_OK)
        rc = check_reply(s, err);
    if (rc == TG_OK && shared && *command && tg_mqtt_template_count(command, "{device}") != 1)
        rc = tg_error_set(err, TG_EINVAL,
                          "command_topic: with session: shared it has {device} once, so that a command finds "
                          "its device; or it is empty");
    return rc;
}

int tg_mqtt_check_device(const struct tg_settings *settings, const char *id, struct tg_error *err)
{
    size_t n = strlen(id);
    char quoted[TG_QUOTE_BYTES];
    if (n == 0 || strpbrk(id, "+#/"))
        return tg_error_set(err, TG_EINVAL, "device id \"%s\" %s", id,
                            n ? "has one of + # /, which an MQTT topic level cannot hold" : "is empty");
    if (tg_settings_has(settings, "group_id")) {
        if (n > TG_SPARKPLUG_ID_BYTES)
            return tg_error_set(err, TG_EINVAL, "device id %s has %zu bytes; with Sparkplug B at most %d",
                                tg_quote(quoted, id, n), n, TG_SPARKPLUG_ID_BYTES);
        return TG_OK;
    }
    for (size_t i = 0; i < TEMPLATE_COUNT; i++) {
        const char *text = tg_mqtt_text(settings, templates[i].name, "");
        size_t longest = tg_mqtt_template_bytes(text, n, TG_NAME_MAX_BYTES, TG_NAME_MAX_BYTES);
        if (longest > limit_bytes(i))
            return tg_error_set(err, TG_EINVAL,
                                "device id %s: %s becomes %zu bytes with it; at most %zu are allowed",
                                tg_quote(quoted, id, n), templates[i].name, longest, limit_bytes(i));
    }
    return TG_OK;
}

const char *tg_mqtt_connack_text(uint8_t code, enum tg_retry *ret_retry)
{
    static const char *const texts[] = {"accepted",
                                        "the broker does not speak MQTT 3.1.1",
                                        "the broker refuses this client id",
                                        "the broker is unavailable",
                                        "user name or password is malformed",
                                        "not authorised: user name, password or certificate is wrong"};
    *ret_retry = code == 3 ? TG_RETRY_BACKOFF : TG_RETRY_NEVER;
    return code < sizeof texts / sizeof texts[0] ? texts[code] : "refused for an unknown reason";
}
