/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_hub - Azure IoT Hub over MQTT 3.1.1 (Azure docs "iot-mqtt-connect-to-iot-hub"): client id is the device id, the
 * user name routes to the hub and carries the API version, the password is a SAS token (absent with X.509). Telemetry goes to
 * devices/{id}/messages/events/{bag}; cloud-to-device messages arrive at devices/{id}/messages/devicebound/{bag}. Twin and direct
 * methods are azure_twin's and azure_methods's, finding the hub azure_dps's.
 */
#include "northbound/azure_hub.h"

#include <stdio.h>

#include "northbound/azure_dps.h"
#include "northbound/azure_methods.h"
#include "northbound/azure_sas.h"
#include "northbound/azure_twin.h"
#include "northbound/percent.h"
#include "northbound/property_bag.h"

#define API_VERSION     "2021-04-12"
#define CLIENT_TYPE     "tidegate/0.1"
#define ID_MAX_BYTES    128
#define MAX_KEEPALIVE_S 1177 /* the hub cuts at 1.5 × keepalive, capped at 1767 s */

struct hub_session {
    struct tg_azure_twin twin;
    struct tg_azure_methods methods;
};

static const char *const tiers[] = {"standard", "basic", NULL};

static const struct tg_option options[] = {
    {.name = "hub_host",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 255,
     .doc = "The hub's own name when `host` is something in front of it (an edge gateway, a local broker); "
            "default: `host`."},
    {.name = "sas_lifetime",
     .type = TG_OPTION_DURATION,
     .min = 10000,
     .max = 86400000,
     .default_text = "1h",
     .doc = "How long a SAS token is valid; it is renewed when 75 % to 85 % of that has passed."},
    {.name = "sas_policy",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 64,
     .doc = "The shared access policy that the key belongs to (skn); leave out for a device's own key."},
    {.name = "model_id",
     .type = TG_OPTION_TEXT,
     .min = 6,
     .max = 256,
     .doc = "The IoT Plug and Play model (dtmi:…) that the device announces."},
    {.name = "tier",
     .type = TG_OPTION_ENUM,
     .choices = tiers,
     .default_text = "standard",
     .doc = "The hub's tier. One of the `basic` tier has no twins, direct methods and cloud-to-device "
            "messages; asking "
            "for them would end the connection."},
    {0}};

static bool is_basic(const struct tg_cloud_target *t)
{
    return tg_settings_int(t->settings, "tier") == 1;
}

static const char *hub_host(const struct tg_cloud_target *t)
{
    return tg_settings_has(t->settings, "hub_host") ? tg_settings_text(t->settings, "hub_host") : t->host;
}

static int check_device(const struct tg_settings *settings, const char *id, struct tg_error *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.%_*?!(),:=@$'";
    size_t n = strlen(id), good = strspn(id, allowed), wrong = 1;
    char quoted[TG_QUOTE_BYTES], character[TG_QUOTE_BYTES];
    (void)settings;
    if (n == 0 || n > ID_MAX_BYTES)
        return tg_error_set(err, TG_EINVAL, "device id %s has %zu bytes; IoT Hub takes 1 to %d",
                            tg_quote(quoted, id, n), n, ID_MAX_BYTES);
    while (good != n && ((unsigned char)id[good + wrong] & 0xC0u) == 0x80)
        wrong++; /* the whole of a character beyond ASCII */
    if (good != n)
        return tg_error_set(
            err, TG_EINVAL,
            "device id %s has the character %s, which IoT Hub does not take in an MQTT topic; "
            "allowed are letters, digits and - . %% _ * ? ! ( ) , : = @ $ '",
            tg_quote(quoted, id, n), tg_quote(character, id + good, wrong));
    return TG_OK;
}

static int check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    if (tg_settings_int(cloud->common, "keepalive") > INT64_C(1000) * MAX_KEEPALIVE_S)
        return tg_error_set(err, TG_ERANGE, "keepalive is longer than IoT Hub allows (at most %ds)",
                            MAX_KEEPALIVE_S);
    if (cloud->provisioning) {
        int rc = tg_azure_dps_check(cloud, err);
        if (rc < 0)
            return rc;
    }
    return TG_OK;
}

static int check_route(const struct tg_config_cloud *cloud, const struct tg_config_route *route,
                       struct tg_error *err)
{
    char id[TG_AZURE_REGISTRATION_ID_BYTES];
    if (route->identity.kind == TG_IDENTITY_GROUP && tg_settings_has(cloud->settings, "sas_policy"))
        return tg_error_set(
            err, TG_EINVAL,
            "derive_from_group and sas_policy exclude each other: a device's own key has no policy");
    return cloud->provisioning
               ? tg_azure_registration_id(cloud->provisioning, route->cloud_device_id, id, err)
               : TG_OK;
}

static int sas_password(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, int64_t wall_s,
                        struct tg_writer *scratch, struct tg_cloud_login *login, struct tg_error *err)
{
    char resource[sizeof "/devices/" + 255 + ID_MAX_BYTES];
    uint8_t derived[TG_AZURE_DERIVED_KEY_BYTES];
    struct tg_bytes key = secret->sas_key;
    const char *policy =
        tg_settings_has(t->settings, "sas_policy") ? tg_settings_text(t->settings, "sas_policy") : NULL;
    size_t begin = scratch->len;
    int rc = TG_OK;
    if (secret->kind == TG_IDENTITY_GROUP) {
        /* Of an enrolment group the device id is the registration id. */
        rc = tg_azure_derive_key(secret->sas_key, tg_bytes_str(t->device_id), derived);
        key = tg_bytes(derived, sizeof derived);
    }
    snprintf(resource, sizeof resource, "%s/devices/%s", hub_host(t), t->device_id);
    login->expires_s = wall_s + tg_settings_int(t->settings, "sas_lifetime") / 1000;
    if (rc == TG_OK)
        rc = tg_azure_sas_token(scratch, tg_bytes_str(resource), key, policy, login->expires_s);
    explicit_bzero(derived, sizeof derived);
    if (rc < 0)
        return tg_error_set(err, rc, "cannot make a SAS token for %s: %s", resource, tg_code_text(rc));
    login->connect.password = tg_bytes(scratch->data + begin, scratch->len - begin);
    return TG_OK;
}

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, void *link,
                 int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *ret_login,
                 struct tg_error *err)
{
    struct tg_cloud_login l = {.connect = {.client_id = tg_bytes_str(t->device_id)}};
    size_t begin = scratch->len;
    (void)link;
    tg_write_str(scratch, hub_host(t));
    tg_write_str(scratch, "/");
    tg_write_str(scratch, t->device_id);
    tg_write_str(scratch, "/?api-version=" API_VERSION);
    if (tg_settings_has(t->settings, "model_id")) {
        tg_write_str(scratch, "&model-id="); /* literal: only DeviceClientType is percent-encoded */
        tg_write_str(scratch, tg_settings_text(t->settings, "model_id"));
    }
    tg_write_str(scratch, "&DeviceClientType=");
    tg_percent_encode(scratch, tg_bytes_str(CLIENT_TYPE), TG_PERCENT_PROPERTY);
    if (scratch->failed)
        return tg_error_set(err, TG_ETOOBIG, "the user name for %s is too long", t->device_id);
    l.connect.username = tg_bytes(scratch->data + begin, scratch->len - begin);
    if (secret->kind == TG_IDENTITY_SAS_KEY || secret->kind == TG_IDENTITY_GROUP) {
        int rc = sas_password(t, secret, wall_s, scratch, &l, err);
        if (rc < 0)
            return rc;
    }
    *ret_login = l;
    return TG_OK;
}

static int filters(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos)
{
    static const char *const more[] = {TG_AZURE_TWIN_RESULTS_FILTER, TG_AZURE_TWIN_DESIRED_FILTER,
                                       TG_AZURE_METHODS_FILTER};
    size_t begin = scratch->len;
    if (part > 0 || is_basic(t))
        return 0;
    tg_write_str(scratch, "devices/");
    tg_write_str(scratch, t->device_id);
    tg_write_str(scratch, "/messages/devicebound/#");
    if (scratch->failed)
        return TG_ETOOBIG;
    ret_filters[0] = tg_bytes(scratch->data + begin, scratch->len - begin);
    ret_qos[0] = 1;
    /* The hub takes at most five; these as its own SDK subscribes them. */
    for (int i = 0; i < 3; i++) {
        ret_filters[1 + i] = tg_bytes_str(more[i]);
        ret_qos[1 + i] = 0;
    }
    return 4;
}

static int topic(const struct tg_cloud_target *t, const struct tg_format_content *content, const char *point,
                 struct tg_writer *out)
{
    char type[96];
    bool first = true;
    (void)point;
    snprintf(type, sizeof type, "%s%s%s", content->type, content->charset[0] ? ";charset=" : "",
             content->charset);
    tg_write_str(out, "devices/");
    tg_write_str(out, t->device_id);
    tg_write_str(out, "/messages/events/");
    /* Both are needed for the hub to route on the body. */
    tg_property_bag_put(out, &first, tg_bytes_str("$.ct"), tg_bytes_str(type));
    if (content->encoding[0] || content->charset[0])
        tg_property_bag_put(out, &first, tg_bytes_str("$.ce"),
                            tg_bytes_str(content->encoding[0] ? content->encoding : content->charset));
    return out->failed ? TG_ETOOBIG : TG_OK;
}

static int cloud_to_device(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                           struct tg_error *err)
{
    struct tg_bytes full = event->topic;
    uint8_t memory[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
    char prefix[sizeof "devices//messages/devicebound/" + ID_MAX_BYTES];
    struct tg_cloud_command c = {.body = event->payload, .hold = true};
    struct tg_property_reader r;
    struct tg_property p;
    char quoted[TG_QUOTE_BYTES];
    int rc;
    snprintf(prefix, sizeof prefix, "devices/%s/messages/devicebound/", talk->target->device_id);
    if (!tg_bytes_starts(full, prefix))
        return tg_error_set(err, TG_EPROTO, "the topic %s is not this device's",
                            tg_quote(quoted, (const char *)full.data, full.len));
    r.rest = tg_bytes(full.data + strlen(prefix), full.len - strlen(prefix));
    while ((rc = tg_property_bag_next(&r, &scratch, &p)) > 0) {
        if (tg_bytes_eq_str(p.name, "$.mid"))
            c.message_id = p.value;
        else if (tg_bytes_eq_str(p.name, "command"))
            c.name = p.value;
    }
    if (rc < 0)
        return tg_error_set(err, TG_EPROTO, "the property list of a cloud-to-device message is damaged: %s",
                            tg_code_text(rc));
    talk->io->command(talk->user, &c);
    return TG_OK;
}

static int step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    struct hub_session *s = talk->session;
    int64_t twin_ms, methods_ms;
    int rc, twin;
    if (!s)
        return TG_OK; /* the link's own events */
    if (event->type == TG_CLOUD_MESSAGE && tg_bytes_starts(event->topic, "devices/"))
        return cloud_to_device(talk, event, err);
    if (is_basic(talk->target))
        return TG_OK;
    rc = tg_azure_methods_step(&s->methods, talk, event, err);
    twin = tg_azure_twin_step(&s->twin, talk, event, rc < 0 ? NULL : err);
    twin_ms = tg_azure_twin_wake_ms(&s->twin);
    methods_ms = tg_azure_methods_wake_ms(&s->methods);
    talk->io->wake_at(talk->user, twin_ms < methods_ms ? twin_ms : methods_ms);
    return rc < 0 ? rc : twin;
}

static const char *connack_text(uint8_t code, enum tg_retry *ret_retry)
{
    *ret_retry = code == 3 || code > 5 ? TG_RETRY_BACKOFF : TG_RETRY_NEVER;
    switch (code) {
    case 1:
        return "the hub does not speak this protocol version";
    case 2:
        return "the hub does not take this client id";
    case 3:
        return "the hub is unavailable or this address is blocked by its IP filter";
    case 4:
    case 5:
        return "not authorised: key, certificate or clock is wrong, or the device is unknown or disabled";
    default:
        return "refused for an unknown reason";
    }
}

const struct tg_cloud_type tg_azure_hub = {
    .config = {.type = "azure-iot-hub",
               .options = options,
               .provisioning_options = tg_azure_dps_options,
               .identities = 1u << TG_IDENTITY_SAS_KEY | 1u << TG_IDENTITY_X509 | 1u << TG_IDENTITY_PKCS12 |
                             1u << TG_IDENTITY_GROUP,
               .identities_text =
                   "sas_key_file, derive_from_group, certificate and key, or pkcs12 and password_file",
               .host_required = true,
               .default_port = 8883,
               .check_device = check_device,
               .check_cloud = check_cloud,
               .check_route = check_route},
    .websocket_path = "/$iothub/websocket",
    .max_message_bytes = 256 * 1024,
    .max_keepalive_s = MAX_KEEPALIVE_S,
    .qos = 1,
    .login = login,
    .filters = filters,
    .topic = topic,
    .session_bytes = sizeof(struct hub_session),
    .step = step,
    .connack_text = connack_text,
    .errand = &tg_azure_dps,
};
