/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/mqtt_cloud.h"

static const struct tg_option options[] = {
    {.name = "client_id",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = "{device}",
     .doc = "The MQTT client id; {device} and {gateway} are filled in."},
    {.name = "topic",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = "tidegate/{device}/data",
     .doc = "Where samples are published."},
    {.name = "command_topic",
     .type = TG_OPTION_TEXT,
     .min = 0,
     .max = 256,
     .default_text = "tidegate/{device}/command",
     .doc = "Where commands are taken from; empty takes none."},
    {.name = "qos",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 1,
     .default_text = "1",
     .doc = "Quality of service of samples. Only 1 keeps the outbox's promise, so only 1 is taken."},
    {0}};

/* Fills {device} and {gateway} in. */
static void expand(struct tg_writer *w, const char *template, const struct tg_cloud_target *t)
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

static int check_template(const char *name, const char *text, bool plain_topic, struct tg_error *err)
{
    for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{'))
        if (strncmp(p, "{device}", 8) != 0 && strncmp(p, "{gateway}", 9) != 0)
            return tg_error_set(err, TG_EINVAL,
                                "%s: unknown placeholder at \"%.20s\"; known are {device} and {gateway}",
                                name, p);
    if (plain_topic && strpbrk(text, "+#"))
        return tg_error_set(err, TG_EINVAL,
                            "%s: \"%s\" has a wildcard (+ or #); a topic to publish to has none", name, text);
    return TG_OK;
}

/* '+' is a whole level, '#' a whole and the last one [MQTT-4.7.1-2, 4.7.1-3]; a broker closes the connection otherwise. */
static int check_filter(const char *name, const char *text, struct tg_error *err)
{
    for (const char *p = text; (p = strpbrk(p, "+#")) != NULL; p++)
        if ((p > text && p[-1] != '/') || (p[1] != '\0' && (*p == '#' || p[1] != '/')))
            return tg_error_set(err, TG_EINVAL, "%s: in \"%s\" a '%c' is not a whole level%s", name, text, *p,
                                *p == '#' ? " at the end" : "");
    return TG_OK;
}

static int check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const struct tg_settings *settings = cloud->settings;
    int rc = check_template("topic", tg_settings_text(settings, "topic"), true, err);
    if (rc == TG_OK)
        rc = check_template("command_topic", tg_settings_text(settings, "command_topic"), false, err);
    if (rc == TG_OK)
        rc = check_filter("command_topic", tg_settings_text(settings, "command_topic"), err);
    if (rc == TG_OK)
        rc = check_template("client_id", tg_settings_text(settings, "client_id"), false, err);
    return rc;
}

static int check_device(const struct tg_settings *settings, const char *id, struct tg_error *err)
{
    (void)settings;
    if (strpbrk(id, "+#/"))
        return tg_error_set(err, TG_EINVAL,
                            "device id \"%s\" has one of + # /, which an MQTT topic level cannot hold", id);
    return TG_OK;
}

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                 int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                 struct tg_error *err)
{
    struct tg_cloud_login l = {0};
    size_t begin = scratch->len;
    (void)link;
    (void)wall_s;
    expand(scratch, tg_settings_text(t->settings, "client_id"), t);
    if (scratch->failed)
        return tg_error_set(err, TG_ETOOBIG, "the client id for %s is too long", t->device_id);
    l.connect.client_id = tg_bytes(scratch->data + begin, scratch->len - begin);
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
    const char *template = tg_settings_text(t->settings, "command_topic");
    size_t begin = scratch->len;
    if (part > 0 || !template || !*template)
        return 0;
    expand(scratch, template, t);
    if (scratch->failed)
        return TG_ETOOBIG;
    ret_filters[0] = tg_bytes(scratch->data + begin, scratch->len - begin);
    ret_qos[0] = 1;
    return 1;
}

static int topic(const struct tg_cloud_target *t, const struct tg_format_content *content, const char *point,
                 struct tg_writer *out)
{
    (void)content; /* MQTT 3.1.1 has no place for it */
    (void)point;
    expand(out, tg_settings_text(t->settings, "topic"), t);
    return out->failed ? TG_ETOOBIG : TG_OK;
}

/* The only subscription is the command topic, so whatever arrives is a command. */
static int step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    struct tg_cloud_command command = {.body = event->payload, .hold = true};
    (void)err;
    if (event->type == TG_CLOUD_MESSAGE && talk->session)
        talk->io->command(talk->user, &command);
    return TG_OK;
}

static const char *connack_text(uint8_t code, enum tg_retry *ret_retry)
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

const struct tg_cloud_type tg_mqtt_cloud = {
    .config = {.type = "mqtt",
               .options = options,
               .identities = 1u << TG_IDENTITY_NONE | 1u << TG_IDENTITY_PASSWORD | 1u << TG_IDENTITY_X509,
               .identities_text = "username and password_file, certificate and key, or none",
               .host_required = true,
               .default_port = 8883,
               .check_device = check_device,
               .check_cloud = check_cloud},
    .max_message_bytes = 256 * 1024,
    .max_keepalive_s = 65535,
    .qos = 1,
    .login = login,
    .filters = filters,
    .topic = topic,
    .session_bytes = 1,
    .step = step,
    .connack_text = connack_text,
};
