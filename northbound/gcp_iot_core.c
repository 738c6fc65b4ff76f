/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/gcp_iot_core.h"

#include "northbound/gcp_talk.h"
#include "northbound/gcp_token.h"

#define ID_MIN_BYTES 3
#define ID_MAX_BYTES 255
#define LETTERS      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ID_BYTES     LETTERS "0123456789-._~%"

enum mode { PER_DEVICE, GATEWAY };
static const char *const modes[] = {"per-device", "gateway", NULL}; /* enum mode */

static const struct tg_option options[] = {
    {.name = "project",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 128,
     .flags = TG_OPTION_REQUIRED,
     .doc = "The id of the project; tokens are made out to it."},
    {.name = "region",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 64,
     .flags = TG_OPTION_REQUIRED,
     .doc = "The region of the registry, such as us-central1."},
    {.name = "registry",
     .type = TG_OPTION_TEXT,
     .min = ID_MIN_BYTES,
     .max = ID_MAX_BYTES,
     .flags = TG_OPTION_REQUIRED,
     .doc = "The id of the registry that the devices are in."},
    {.name = "mode",
     .type = TG_OPTION_ENUM,
     .choices = modes,
     .default_text = "per-device",
     .doc = "`per-device`: each device has a connection and a key of its own. `gateway`: one connection for "
            "all, with the cloud entry's `identity`; devices are attached to it."},
    {.name = "gateway_id",
     .type = TG_OPTION_TEXT,
     .min = ID_MIN_BYTES,
     .max = ID_MAX_BYTES,
     .doc = "The gateway's id in the registry, for `mode: gateway`."},
    {.name = "event_subfolder",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .doc = "Samples go to events/SUBFOLDER instead of events; the registry may route them to another "
            "Pub/Sub topic."},
    {.name = "token_lifetime",
     .type = TG_OPTION_DURATION,
     .min = 10000,
     .max = 86400000,
     .default_text = "1h",
     .doc = "How long a token is valid; it is renewed when 75 % to 85 % of that has passed."},
    {0}};

bool tg_gcp_is_gateway(const struct tg_cloud_target *t)
{
    return tg_settings_int(t->settings, "mode") == GATEWAY;
}

/* --- configuration -------------------------------------------------------------------------------- */

static int check_id(const char *what, const char *id, struct tg_error *err)
{
    size_t n = strlen(id);
    char quoted[TG_QUOTE_BYTES];
    if (n < ID_MIN_BYTES || n > ID_MAX_BYTES)
        return tg_error_set(err, TG_EINVAL, "%s %s has %zu characters; IoT Core takes %d to %d", what,
                            tg_quote(quoted, id, n), n, ID_MIN_BYTES, ID_MAX_BYTES);
    if (strchr(id, '+'))
        return tg_error_set(err, TG_EINVAL,
                            "%s %s has a +, which IoT Core takes in an id but MQTT not in a topic", what,
                            tg_quote(quoted, id, n));
    if (!strchr(LETTERS, id[0]) || strspn(id, ID_BYTES) != n)
        return tg_error_set(err, TG_EINVAL,
                            "%s %s: IoT Core takes letters, digits and - . _ ~ %%, the first a letter", what,
                            tg_quote(quoted, id, n));
    return TG_OK;
}

static int check_device(const struct tg_settings *settings, const char *id, struct tg_error *err)
{
    int rc = check_id("device id", id, err);
    if (rc == TG_OK && tg_settings_has(settings, "gateway_id") &&
        strcmp(id, tg_settings_text(settings, "gateway_id")) == 0)
        rc = tg_error_set(err, TG_EINVAL, "\"%.80s\" is the gateway's id; a device needs one of its own", id);
    return rc;
}

/* Projects of a domain are written example.com:project. */
static int check_project(const char *text, struct tg_error *err)
{
    size_t n = strlen(text);
    char quoted[TG_QUOTE_BYTES];
    tg_quote(quoted, text, n);
    if (strspn(text, "0123456789") == n)
        return tg_error_set(err, TG_EINVAL,
                            "project: %s is the project's number; tokens are made out to its id, such as "
                            "plant-one",
                            quoted);
    if (strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.:") != n)
        return tg_error_set(err, TG_EINVAL,
                            "project: %s is not a project's id: lower-case letters, digits and hyphens, such "
                            "as plant-one (its name is something else)",
                            quoted);
    return TG_OK;
}

static int check_region(const char *text, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    if (strspn(text, LETTERS "0123456789-") == strlen(text))
        return TG_OK;
    return tg_error_set(err, TG_EINVAL, "region: %s is not a region, such as us-central1",
                        tg_quote(quoted, text, strlen(text)));
}

/* Levels that are not empty, without wildcards. */
static int check_subfolder(const char *text, struct tg_error *err)
{
    size_t n = strlen(text);
    char quoted[TG_QUOTE_BYTES];
    if (text[0] != '/' && text[n - 1] != '/' && !strstr(text, "//") && !strpbrk(text, "+#"))
        return TG_OK;
    return tg_error_set(err, TG_EINVAL,
                        "event_subfolder: %s is no path of a topic: names with / between them, without + "
                        "and #",
                        tg_quote(quoted, text, n));
}

static int check_gateway(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    bool named = tg_settings_has(cloud->settings, "gateway_id");
    if (tg_settings_int(cloud->settings, "mode") == PER_DEVICE)
        return named ? tg_error_set(err, TG_EINVAL, "gateway_id: belongs to `mode: gateway`") : TG_OK;
    if (!named)
        return tg_error_set(err, TG_EINVAL, "mode: gateway needs gateway_id");
    if (cloud->identity.kind != TG_IDENTITY_JWT_KEY)
        return tg_error_set(err, TG_EINVAL,
                            "mode: gateway needs the gateway's key in this entry: identity: {jwt_key: F}");
    return check_id("gateway_id", tg_settings_text(cloud->settings, "gateway_id"), err);
}

static int check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const struct tg_settings *s = cloud->settings;
    int rc = check_project(tg_settings_text(s, "project"), err);
    if (rc == TG_OK)
        rc = check_region(tg_settings_text(s, "region"), err);
    if (rc == TG_OK)
        rc = check_id("registry", tg_settings_text(s, "registry"), err);
    if (rc == TG_OK && tg_settings_has(s, "event_subfolder"))
        rc = check_subfolder(tg_settings_text(s, "event_subfolder"), err);
    return rc == TG_OK ? check_gateway(cloud, err) : rc;
}

/* --- connection and topics -------------------------------------------------------------------------- */

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                 int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                 struct tg_error *err)
{
    /* There are no persistent sessions, no will. */
    struct tg_cloud_login l = {.connect = {.username = tg_bytes_str("unused"), .clean_session = true}};
    const struct tg_settings *s = t->settings;
    const char *id = tg_gcp_is_gateway(t) ? tg_settings_text(s, "gateway_id") : t->device_id;
    size_t begin = scratch->len;
    int rc;
    (void)link;
    tg_write_fmt(scratch, "projects/%s/locations/%s/registries/%s/devices/%s", tg_settings_text(s, "project"),
                 tg_settings_text(s, "region"), tg_settings_text(s, "registry"), id);
    if (scratch->failed)
        return tg_error_set(err, TG_ETOOBIG, "the client id for %.100s is too long", id);
    l.connect.client_id = tg_bytes(scratch->data + begin, scratch->len - begin);
    if (!secret->signer)
        return tg_error_set(err, TG_EINVAL,
                            "%.100s has no key to sign its token with: identity: {jwt_key: F}", id);
    begin = scratch->len;
    rc = tg_gcp_token_write(scratch, secret->signer, tg_settings_text(s, "project"), wall_s,
                            tg_settings_int(s, "token_lifetime") / 1000, &l.expires_s, err);
    if (rc < 0)
        return tg_error_wrap(err, "the token for %.100s cannot be made", id);
    l.connect.password = tg_bytes(scratch->data + begin, scratch->len - begin);
    *ret_login = l;
    return TG_OK;
}

static struct tg_bytes device_topic(struct tg_writer *w, const char *id, const char *tail)
{
    size_t begin = w->len;
    tg_write_str(w, "/devices/");
    tg_write_str(w, id);
    tg_write_str(w, tail);
    return tg_bytes(w->data + begin, w->len - begin);
}

static int filters(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos)
{
    /* Commands for the gateway itself are not subscribed to: their senders are told so by the cloud. */
    bool link = tg_gcp_is_gateway(t) && !t->device;
    const char *id = link ? tg_settings_text(t->settings, "gateway_id") : t->device_id;
    if (part > 0)
        return 0;
    ret_filters[0] = device_topic(scratch, id, "/config");
    ret_filters[1] = device_topic(scratch, id, link ? "/errors" : "/commands/#");
    ret_qos[0] = 1;
    ret_qos[1] = link ? 0 : 1; /* error reports are not kept for anybody */
    return scratch->failed ? TG_ETOOBIG : 2;
}

static int topic(const struct tg_cloud_target *t, const struct tg_format_content *content, const char *point,
                 struct tg_writer *out)
{
    (void)content; /* there is no place for it */
    (void)point;
    device_topic(out, t->device_id, "/events");
    if (tg_settings_has(t->settings, "event_subfolder")) {
        tg_write_str(out, "/");
        tg_write_str(out, tg_settings_text(t->settings, "event_subfolder"));
    }
    return out->failed ? TG_ETOOBIG : TG_OK;
}

/* ClearBlade IoT Core wiki "Troubleshooting": 4 is the credential, 5 is not used, 13 is anything else. */
static const char *connack_text(uint8_t code, enum tg_retry *ret_retry)
{
    *ret_retry = code == 3 || code > 5 ? TG_RETRY_BACKOFF : TG_RETRY_NEVER;
    switch (code) {
    case 1:
        return "IoT Core does not speak this protocol version";
    case 2:
        return "IoT Core does not take this client id: project, region, registry or device id is wrong";
    case 3:
        return "IoT Core is unavailable";
    case 4:
    case 5:
        return "not authorised: the key is not the registered one, project or registry is wrong, the clock "
               "is off, or the device is unknown or blocked";
    case 13:
        return "IoT Core refused for a reason that it does not say";
    default:
        return "refused for an unknown reason";
    }
}

const struct tg_cloud_type tg_gcp_iot_core = {
    .config = {.type = "gcp-iot-core",
               .options = options,
               .identities = 1u << TG_IDENTITY_JWT_KEY,
               .identities_text = "jwt_key",
               .host_required = true,
               .default_port = 8883,
               .check_device = check_device,
               .check_cloud = check_cloud},
    .max_message_bytes = 256 * 1024,
    .min_keepalive_s = 60,
    .max_keepalive_s = 1199, /* after 20 minutes without a byte the cloud ends the connection */
    .qos = 1,
    .max_publishes_per_second = 100,
    .gated = true,
    .attaches = true,
    .plain_acks = true,
    .session_bytes = sizeof(struct tg_gcp_session),
    .shared = tg_gcp_is_gateway,
    .login = login,
    .filters = filters,
    .topic = topic,
    .addressee = tg_gcp_addressee,
    .step = tg_gcp_step,
    .connack_text = connack_text,
};
