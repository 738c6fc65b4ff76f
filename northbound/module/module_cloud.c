/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/module/module_cloud.h"

#include <stdio.h>
#include <tidegate/plugin.h>

#include "core/base/clock.h"
#include "northbound/aws_iot.h"
#include "northbound/azure_hub.h"
#include "northbound/mqtt_template.h"
#include "northbound/percent.h"

#define DEFAULT_TOPIC    "tidegate/{device}/data"
#define MAX_KEEPALIVE_S  1177
#define NAME_MAX_BYTES   32  /* of what the module holds */
#define TOPIC_MAX_BYTES  256 /* filled in */
#define MESSAGE_BYTES    "2KiB"
#define MAX_CHANNELS     16
#define DEFAULT_CHANNELS "7"

enum service { SERVICE_AZURE, SERVICE_AWS, SERVICE_MQTT };
enum confirm { CONFIRM_SETTLE, CONFIRM_ECHO };
static const char *const services[] = {"azure-iot-hub", "aws-iot-core", "mqtt", NULL};
static const char *const confirms[] = {"settle", "echo", NULL};

#define TEXT(id, most, text)                                                                                 \
    {                                                                                                        \
        .name = (id), .type = TG_OPTION_TEXT, .min = 1, .max = (most), .doc = (text)                         \
    }

static const struct tg_option options[] = {
    {.name = "source",
     .type = TG_OPTION_TEXT,
     .flags = TG_OPTION_REQUIRED,
     .min = 1,
     .max = 64,
     .doc = "The source whose module carries the messages, such as one of the plugin ucx."},
    {.name = "service",
     .type = TG_OPTION_ENUM,
     .choices = services,
     .default_text = "mqtt",
     .doc = "What stands at the other end: its names, topics and tokens are used."},
    {.name = "confirm",
     .type = TG_OPTION_ENUM,
     .choices = confirms,
     .default_text = "settle",
     .doc = "When a message counts as delivered: `settle`, when the module has taken it and its connection "
            "has stayed "
            "up for a while; `echo`, when it has come back from the broker, which needs leave to subscribe "
            "to the topic."},
    {.name = "settle",
     .type = TG_OPTION_DURATION,
     .min = 100,
     .max = 600000,
     .default_text = "5s",
     .doc = "With `confirm: settle`: how long the connection has to stay up after a message."},
    TEXT("ca", NAME_MAX_BYTES,
         "The name, on the module, of the root that signs the server's certificate; required unless `tls: "
         "off`."),
    TEXT("certificate", 64, "The name, on the module, of the device's certificate; {device} is filled in."),
    TEXT("key", 64, "The name, on the module, of its private key; {device} is filled in."),
    {.name = "client_id",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = "{device}",
     .doc = "The MQTT client id; {device} and {gateway} are filled in. IoT Hub: the device's id, always."},
    TEXT("topic", TOPIC_MAX_BYTES,
         "Where samples are published; {device} and {gateway} are filled in. Default: " DEFAULT_TOPIC
         "; IoT Hub has its own."),
    {.name = "max_message",
     .type = TG_OPTION_SIZE,
     .min = 256,
     .max = 4089,
     .default_text = MESSAGE_BYTES,
     .doc = "The largest message that the module takes; batches keep to it."},
    {.name = "max_channels",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = MAX_CHANNELS,
     .default_text = DEFAULT_CHANNELS,
     .doc = "How many connections the module has for devices of this and other clouds; each device needs "
            "one. Those that it needs for Bluetooth peers are not for them."},
    TEXT("hub_host", 255, "IoT Hub: the hub's own name when `host` is something in front of it."),
    {.name = "sas_lifetime",
     .type = TG_OPTION_DURATION,
     .min = 10000,
     .max = 86400000,
     .default_text = "1h",
     .doc = "IoT Hub: how long a SAS token is valid; the connection is made anew when 75 % to 85 % of that "
            "has passed."},
    TEXT("sas_policy", 64, "IoT Hub: the shared access policy that the key belongs to (skn)."),
    TEXT("model_id", 256, "IoT Hub: the IoT Plug and Play model (dtmi:…) that the device announces."),
    {0}};

static enum service service_of(const struct tg_settings *s)
{
    return (enum service)tg_settings_int(s, "service");
}

bool tg_module_wants_echo(const struct tg_settings *s)
{
    return tg_settings_int(s, "confirm") == CONFIRM_ECHO;
}

static bool given(const struct tg_settings *s, const char *name)
{
    return tg_settings_has(s, name) && tg_settings_position(s, name).line > 0;
}

static bool tls_on(const struct tg_settings *common)
{
    return tg_settings_int(common, "tls") != 0;
}

/* --- checks -------------------------------------------------------------------------------------- */

static int check_names(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.{}";
    static const char *const names[] = {"ca", "certificate", "key"};
    const struct tg_settings *s = cloud->settings;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = tg_settings_has(s, names[i]) ? tg_settings_text(s, names[i]) : "a";
        int rc = tg_mqtt_template_check(names[i], text, TG_MQTT_TEMPLATE_ID, false, err);
        if (rc < 0)
            return rc;
        if (strspn(text, allowed) != strlen(text))
            return tg_error_set(err, TG_EINVAL,
                                "%s: a name on the module has letters, digits and - _ . only, as `tidegate "
                                "module provision --names` gave it",
                                names[i]);
    }
    if (tls_on(cloud->common) != tg_settings_has(s, "ca"))
        return tg_error_set(err, TG_EINVAL,
                            tls_on(cloud->common)
                                ? "ca is missing: the module has no roots of its own; put one there with "
                                  "`tidegate module provision` and give its name"
                                : "ca: without TLS there is nothing to check; leave it out with `tls: off`");
    if (tg_settings_has(s, "certificate") != tg_settings_has(s, "key"))
        return tg_error_set(err, TG_EINVAL, "%s: certificate and key need each other",
                            tg_settings_has(s, "key") ? "key" : "certificate");
    return TG_OK;
}

/* Only a message that says which samples are in it can be told from another by its echo. */
static int check_confirm(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const char *format = tg_settings_text(cloud->common, "format");
    bool echo = tg_module_wants_echo(cloud->settings);
    if (echo && service_of(cloud->settings) == SERVICE_AZURE)
        return tg_error_set(err, TG_EINVAL,
                            "confirm: IoT Hub lets nobody subscribe to what devices send, so nothing comes "
                            "back; use settle");
    if (echo && given(cloud->settings, "settle"))
        return tg_error_set(err, TG_EINVAL, "settle: with `confirm: echo` the echo says it; leave it out");
    if (echo && strcmp(format, "template") == 0 &&
        !strstr(tg_settings_text(cloud->common, "template"), "{seq}"))
        return tg_error_set(err, TG_EINVAL,
                            "template: with `confirm: echo` it needs {seq}, so that no message has another "
                            "one's echo");
    return TG_OK;
}

/* Keys that would be ignored here are refused, so that nobody relies on them. */
static int check_foreign(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    static const char *const azure[] = {"hub_host", "sas_policy", "model_id", "sas_lifetime"};
    static const char *const network[] = {"proxy", "ca_file", "websocket_path"};
    const struct tg_settings *s = cloud->settings, *c = cloud->common;
    for (size_t i = 0; i < sizeof network / sizeof network[0]; i++)
        if (tg_settings_has(c, network[i]))
            return tg_error_set(err, TG_EINVAL,
                                "%s: it is the module that connects, which knows no such thing%s", network[i],
                                i == 1 ? "; name the root that it holds with `ca`" : "");
    if (strcmp(tg_settings_text(c, "transport"), "tcp") != 0)
        return tg_error_set(err, TG_EINVAL, "transport: it is the module that connects; there is no choice");
    if (tg_settings_int(c, "compress"))
        return tg_error_set(err, TG_EINVAL,
                            "compress: a module's topic is settled when it connects, so no message can say "
                            "that it is compressed; leave it out");
    for (size_t i = 0; i < sizeof azure / sizeof azure[0]; i++)
        if (service_of(s) != SERVICE_AZURE && given(s, azure[i]))
            return tg_error_set(err, TG_EINVAL, "%s: is for service: azure-iot-hub", azure[i]);
    if (service_of(s) == SERVICE_AZURE && (given(s, "topic") || given(s, "client_id")))
        return tg_error_set(err, TG_EINVAL, "%s: IoT Hub says this itself; leave it out",
                            given(s, "topic") ? "topic" : "client_id");
    return TG_OK;
}

static int check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const struct tg_settings *s = cloud->settings;
    const char *topic = tg_settings_has(s, "topic") ? tg_settings_text(s, "topic") : DEFAULT_TOPIC;
    int rc = check_foreign(cloud, err);
    if (rc == TG_OK)
        rc = tg_mqtt_template_check("topic", topic, TG_MQTT_TEMPLATE_TOPIC, false, err);
    if (rc == TG_OK)
        rc = tg_mqtt_template_check("client_id", tg_settings_text(s, "client_id"), TG_MQTT_TEMPLATE_ID, false,
                                    err);
    if (rc == TG_OK)
        rc = check_names(cloud, err);
    return rc == TG_OK ? check_confirm(cloud, err) : rc;
}

static int check_device(const struct tg_settings *settings, const char *id, struct tg_error *err)
{
    const struct tg_mqtt_names names = {.device = id, .gateway = "g"};
    static const char *const held[] = {"certificate", "key"};
    for (size_t i = 0; i < 2; i++) {
        char memory[NAME_MAX_BYTES + 1];
        struct tg_writer w = tg_writer_init(memory, NAME_MAX_BYTES);
        if (!tg_settings_has(settings, held[i]))
            continue;
        tg_mqtt_template_expand(&w, tg_settings_text(settings, held[i]), &names);
        if (w.failed)
            return tg_error_set(err, TG_EINVAL,
                                "device %s: the name of its %s on the module has more than %d bytes", id,
                                held[i], NAME_MAX_BYTES);
    }
    if (service_of(settings) == SERVICE_AZURE)
        return tg_azure_hub.config.check_device(settings, id, err);
    if (service_of(settings) == SERVICE_AWS && !tg_aws_thing_valid(id))
        return tg_error_set(
            err, TG_EINVAL,
            "device id %s is no name of a thing; AWS IoT Core takes letters, digits and - _ :", id);
    return TG_OK;
}

static int check_route(const struct tg_config_cloud *cloud, const struct tg_config_route *route,
                       struct tg_error *err)
{
    const struct tg_settings *s = cloud->settings;
    const enum tg_identity_kind kind = route->identity.kind;
    bool key = kind == TG_IDENTITY_SAS_KEY || kind == TG_IDENTITY_GROUP;
    bool on_module = tg_settings_has(s, "certificate");
    if (key && service_of(s) != SERVICE_AZURE)
        return tg_error_set(err, TG_EINVAL, "a SAS key is for service: azure-iot-hub, not %s",
                            services[service_of(s)]);
    if (kind == TG_IDENTITY_PASSWORD && service_of(s) != SERVICE_MQTT)
        return tg_error_set(err, TG_EINVAL, "username and password_file are for service: mqtt, not %s",
                            services[service_of(s)]);
    if (service_of(s) != SERVICE_MQTT && key == on_module)
        return tg_error_set(err, TG_EINVAL,
                            key ? "device %s has a SAS key, and the cloud names a certificate on the module: "
                                  "one of the two"
                                : "device %s has nothing to prove itself with: name certificate and key as "
                                  "they are on the module",
                            route->cloud_device_id);
    if (kind == TG_IDENTITY_GROUP && tg_settings_has(s, "sas_policy"))
        return tg_error_set(
            err, TG_EINVAL,
            "derive_from_group and sas_policy exclude each other: a device's own key has no policy");
    return TG_OK;
}

static const struct tg_config_source *source_of(const struct tg_config *config,
                                                const struct tg_config_cloud *cloud)
{
    const char *name = tg_settings_text(cloud->settings, "source");
    for (uint32_t i = 0; i < config->source_count; i++)
        if (config->sources[i].name && strcmp(config->sources[i].name, name) == 0)
            return &config->sources[i];
    return NULL;
}

/* Devices that want a connection of this source's module. */
static uint32_t wanted(const struct tg_config *config, const char *source)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < config->source_count; i++)
        for (uint32_t d = 0; d < config->sources[i].device_count; d++)
            for (uint32_t r = 0; r < config->sources[i].devices[d].route_count; r++) {
                const struct tg_config_cloud *c = config->sources[i].devices[d].routes[r].cloud;
                n += c && c->type && strcmp(c->type, "module") == 0 && c->settings &&
                     tg_settings_has(c->settings, "source") &&
                     strcmp(tg_settings_text(c->settings, "source"), source) == 0;
            }
    return n;
}

static int check_model(const struct tg_config *config, const struct tg_config_cloud *cloud,
                       struct tg_error *err)
{
    const struct tg_config_source *source = source_of(config, cloud);
    const char *name = tg_settings_text(cloud->settings, "source");
    const struct tg_plugin *p = source ? source->plugin : NULL;
    uint32_t max = (uint32_t)tg_settings_int(cloud->settings, "max_channels"), n;
    if (!source)
        return tg_error_set(err, TG_EINVAL, "source: there is no source \"%.64s\"", name);
    if (!p)
        return TG_OK; /* what is wrong with it is told already */
    if (!p->carry_open)
        return tg_error_set(
            err, TG_EINVAL,
            "source: \"%.64s\" has the plugin %.32s, which lends no connection; one that does "
            "is ucx",
            name, p->name);
    if (tg_settings_int(cloud->settings, "max_message") > (int64_t)p->carry_max_bytes)
        return tg_error_set(err, TG_EINVAL, "max_message: the plugin %.32s takes at most %u bytes", p->name,
                            p->carry_max_bytes);
    n = wanted(config, name);
    if (n > max)
        return tg_error_set(err, TG_EINVAL,
                            "max_channels: %u devices want a connection of the module of source \"%.64s\", "
                            "which has %u; each needs one of its own",
                            n, name, max);
    return TG_OK;
}

/* --- names ---------------------------------------------------------------------------------------- */

static struct tg_bytes expand(struct tg_writer *w, const char *text, const struct tg_cloud_target *t)
{
    const struct tg_mqtt_names names = {.device = t->device_id, .gateway = t->gateway};
    size_t begin = w->len;
    tg_mqtt_template_expand(w, text, &names);
    return w->failed ? (struct tg_bytes){0} : tg_bytes(w->data + begin, w->len - begin);
}

static int azure_login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                       int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                       struct tg_error *err)
{
    int rc = tg_azure_hub.login(t, secret, link, wall_s, scratch, ret_login, err);
    struct tg_bytes *user = &ret_login->connect.username;
    const uint8_t *tail = rc == TG_OK ? memmem(user->data, user->len, "&DeviceClientType=", 18) : NULL;
    if (tail) /* it is the module that is the client */
        user->len = (size_t)(tail - user->data);
    return rc;
}

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                 int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                 struct tg_error *err)
{
    struct tg_cloud_login l = {0};
    if (service_of(t->settings) == SERVICE_AZURE)
        return azure_login(t, secret, link, wall_s, scratch, ret_login, err);
    l.connect.client_id = expand(scratch, tg_settings_text(t->settings, "client_id"), t);
    if (scratch->failed)
        return tg_error_set(err, TG_ETOOBIG, "the client id for %s is too long", t->device_id);
    if (secret->kind == TG_IDENTITY_PASSWORD) {
        l.connect.username = secret->username;
        l.connect.password = secret->password;
    }
    *ret_login = l;
    return TG_OK;
}

static int topic(const struct tg_cloud_target *t, const struct tg_format_content *content, const char *point,
                 struct tg_writer *out)
{
    const struct tg_settings *s = t->settings;
    if (service_of(s) == SERVICE_AZURE)
        return tg_azure_hub.topic(t, content, point, out);
    (void)expand(out, tg_settings_has(s, "topic") ? tg_settings_text(s, "topic") : DEFAULT_TOPIC, t);
    return out->failed ? TG_ETOOBIG : TG_OK;
}

/* --- the address ----------------------------------------------------------------------------------- */

static void put(struct tg_writer *out, const char *name, struct tg_bytes value)
{
    if (value.len == 0)
        return;
    if (out->len > 0 && out->data[out->len - 1] != '?')
        tg_write_str(out, "&");
    tg_write_str(out, name);
    tg_write_str(out, "=");
    tg_percent_encode(out, value, TG_PERCENT_SAS);
}

static void put_held(struct tg_writer *out, const char *name, const char *option,
                     const struct tg_cloud_target *t)
{
    char memory[NAME_MAX_BYTES + 1];
    struct tg_writer w = tg_writer_init(memory, NAME_MAX_BYTES);
    if (tg_settings_has(t->settings, option))
        put(out, name, expand(&w, tg_settings_text(t->settings, option), t));
    out->failed |= w.failed;
}

static void put_number(struct tg_writer *out, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    put(out, name, tg_bytes_str(text));
}

static void put_all(struct tg_writer *out, const struct tg_cloud_target *t, const struct tg_cloud_login *l,
                    struct tg_bytes publish)
{
    const struct tg_settings *s = t->settings, *c = t->common;
    bool echo = tg_module_wants_echo(s);
    int64_t keepalive = tg_settings_int(c, "keepalive") / 1000;
    tg_write_str(out, "mqtt://");
    tg_write_str(out, t->host);
    tg_write_str(out, ":");
    tg_write_i64_dec(out, tg_settings_has(c, "port") ? tg_settings_int(c, "port")
                                                     : tg_module_cloud.config.default_port);
    tg_write_str(out, "/?");
    put(out, "client", l->connect.client_id);
    put(out, "user", l->connect.username);
    put(out, "passwd", l->connect.password);
    put(out, "pt", publish);
    if (echo)
        put(out, "st", publish);
    put_number(out, "keepAlive", keepalive > MAX_KEEPALIVE_S ? MAX_KEEPALIVE_S : keepalive);
    put_held(out, "ca", "ca", t);
    put_held(out, "cert", "certificate", t);
    put_held(out, "privKey", "key", t);
    put(out, "confirm", tg_bytes_str(confirms[echo]));
    if (!echo)
        put_number(out, "settle", tg_settings_int(s, "settle"));
}

int tg_module_address(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret,
                      const struct tg_format_content *content, int64_t wall_s, struct tg_writer *out,
                      int64_t *ret_expires_s, struct tg_error *err)
{
    uint8_t memory[TG_CLOUD_SCRATCH_BYTES], topic_memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory),
                     publish = tg_writer_init(topic_memory, sizeof topic_memory);
    struct tg_cloud_login l = {.expires_s = 0};
    bool signs = secret->kind == TG_IDENTITY_SAS_KEY || secret->kind == TG_IDENTITY_GROUP;
    int rc;
    if (signs && !tg_clock_plausible(wall_s * 1000))
        return tg_error_set(err, TG_ECLOCK, "the clock is before 2026, so no token can be made");
    rc = login(t, secret, NULL, wall_s, &scratch, &l, err);
    if (rc == TG_OK) {
        rc = topic(t, content, "", &publish);
        if (rc == TG_OK)
            put_all(out, t, &l, tg_bytes(publish.data, publish.len));
        if (rc < 0 || out->failed)
            rc = tg_error_set(err, TG_ETOOBIG, "names and topics for %s are too long for a module",
                              t->device_id);
    }
    explicit_bzero(memory, sizeof memory);
    if (rc == TG_OK)
        *ret_expires_s = l.expires_s;
    return rc;
}

const struct tg_cloud_type tg_module_cloud = {
    .config = {.type = "module",
               .options = options,
               .identities = 1u << TG_IDENTITY_NONE | 1u << TG_IDENTITY_SAS_KEY | 1u << TG_IDENTITY_GROUP |
                             1u << TG_IDENTITY_PASSWORD | 1u << TG_IDENTITY_X509 | 1u << TG_IDENTITY_PKCS12,
               .identities_text = "sas_key_file or derive_from_group (IoT Hub), username and password_file "
                                  "(mqtt), or what the module holds (certificate and key of the cloud)",
               .host_required = true,
               .default_port = 8883,
               .check_device = check_device,
               .check_cloud = check_cloud,
               .check_route = check_route,
               .check_model = check_model},
    .transport = TG_TRANSPORT_CARRIER,
    .max_message_bytes = 4089,
    .qos = 1,
    .max_in_flight = TG_CARRY_MESSAGES_MAX,
    .login = login,
    .topic = topic,
};
