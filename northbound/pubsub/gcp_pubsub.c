/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/pubsub/gcp_pubsub.h"

#include "northbound/pubsub/pubsub_request.h"

#define PACE_AHEAD_MS  1000
#define OWN_ATTRIBUTES 5 /* device, gateway, seq, contentType, contentEncoding */

static const char *const auth_choices[] = {"self-signed", "exchange", "none", NULL}; /* enum tg_pubsub_auth */

static const char *const switches[] = {"off", "on", NULL}; /* the index is the truth value */

static const struct tg_option options[] = {
    {.name = "project",
     .type = TG_OPTION_TEXT,
     .flags = TG_OPTION_REQUIRED,
     .min = 6,
     .max = 128,
     .doc = "The id (not the name, not the number) of the project that the topic is in."},
    {.name = "topic",
     .type = TG_OPTION_TEXT,
     .flags = TG_OPTION_REQUIRED,
     .min = 3,
     .max = 255,
     .doc = "The topic's id, without projects/…/topics/."},
    {.name = "service_account_file",
     .type = TG_OPTION_SECRET_FILE,
     .doc = "The service account's key file as Google gives it, JSON."},
    {.name = "auth",
     .type = TG_OPTION_ENUM,
     .choices = auth_choices,
     .default_text = "self-signed",
     .doc = "`self-signed` presents a token of the gateway's own making; `exchange` gets one from the key "
            "file's "
            "token_uri; `none` is for an emulator with `tls: off`."},
    {.name = "ordering",
     .type = TG_OPTION_ENUM,
     .choices = switches,
     .default_text = "on",
     .doc = "Gives each message its device as ordering key, so that subscriptions that ask for it get a "
            "device's samples in order."},
    {.name = "attributes",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "Further attributes of every message, each as key=value."},
    {.name = "max_messages",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = TG_PUBSUB_MAX_MESSAGES,
     .default_text = "500",
     .doc = "Messages, one a sample, that go in one request at most."},
    {0}};

/* Google's rules for project ids; "example.com:plant" is one of a domain. */
static int check_project(const char *id, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    const char *colon = strrchr(id, ':');
    const char *own = colon ? colon + 1 : id;
    size_t n = strlen(own);
    bool good = n >= 6 && n <= 30 && own[0] >= 'a' && own[0] <= 'z' && own[n - 1] != '-' &&
                strspn(own, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
                (!colon || (colon != id &&
                            strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-.") == (size_t)(colon - id)));
    if (good)
        return TG_OK;
    return tg_error_set(err, TG_EINVAL,
                        "project: %s is not a project id: 6 to 30 lower-case letters, digits and hyphens, "
                        "beginning with a letter",
                        tg_quote(quoted, id, strlen(id)));
}

static int check_topic(const char *id, struct tg_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~+%";
    char quoted[TG_QUOTE_BYTES];
    if (strchr(letters, id[0]) && id[0] && strspn(id, allowed) == strlen(id) && strncmp(id, "goog", 4) != 0)
        return TG_OK;
    return tg_error_set(err, TG_EINVAL,
                        "topic: %s is not a topic id: a letter, then letters, digits and - _ . ~ + %%; not "
                        "beginning with goog",
                        tg_quote(quoted, id, strlen(id)));
}

static int check_auth(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    bool tls = !tg_settings_has(cloud->common, "tls") || tg_settings_int(cloud->common, "tls") != 0;
    bool file = tg_settings_has(cloud->settings, "service_account_file");
    bool none = tg_settings_int(cloud->settings, "auth") == TG_PUBSUB_AUTH_NONE;
    if (none && tls)
        return tg_error_set(err, TG_EINVAL,
                            "auth: none is for an emulator: it needs `tls: off` and its host");
    if (!tls && !tg_settings_has(cloud->common, "host"))
        return tg_error_set(err, TG_EINVAL, "tls: off needs the `host` of an emulator on this machine");
    if (!none && !file)
        return tg_error_set(err, TG_EINVAL,
                            "service_account_file is missing: name the service account's key file");
    return TG_OK;
}

static int check_attributes(const struct tg_settings *settings, struct tg_error *err)
{
    const char *const *items;
    uint32_t n = tg_settings_list(settings, "attributes", &items);
    int rc = TG_OK;
    if (n > TG_PUBSUB_MAX_ATTRIBUTES - OWN_ATTRIBUTES)
        return tg_error_set(err, TG_ETOOBIG, "attributes: %u are given; at most %d are allowed", n,
                            TG_PUBSUB_MAX_ATTRIBUTES - OWN_ATTRIBUTES);
    for (uint32_t i = 0; i < n && rc == TG_OK; i++) {
        rc = tg_pubsub_attribute_check(items[i], err);
        for (uint32_t k = 0; k < i && rc == TG_OK; k++)
            if (strncmp(items[i], items[k], strcspn(items[i], "=") + 1) == 0)
                rc = tg_error_set(err, TG_EINVAL, "attributes: \"%.60s\" is given twice", items[i]);
    }
    return rc;
}

/* Keys of other clouds that would be ignored here are refused, so that nobody relies on them. */
static int check_foreign(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    static const char *const batch[] = {"max_samples", "max_bytes", "max_delay"};
    const struct tg_settings *common = cloud->common;
    for (size_t i = 0; cloud->batch && i < sizeof batch / sizeof batch[0]; i++)
        if (tg_settings_position(cloud->batch, batch[i]).line > 0)
            return tg_error_set(err, TG_EINVAL,
                                "batch: Pub/Sub takes one sample a message and as many messages in a request "
                                "as are ready; `max_messages` bounds them");
    if (tg_settings_has(common, "format") && strcmp(tg_settings_text(common, "format"), "sparkplug-b") == 0)
        return tg_error_set(err, TG_EINVAL, "format: sparkplug-b is for clouds of type mqtt");
    if (tg_settings_has(common, "transport") && strcmp(tg_settings_text(common, "transport"), "tcp") != 0)
        return tg_error_set(err, TG_EINVAL, "transport: Pub/Sub is spoken over HTTPS; there is no choice");
    return TG_OK;
}

static int check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    int rc = check_project(tg_settings_text(cloud->settings, "project"), err);
    if (rc == TG_OK)
        rc = check_topic(tg_settings_text(cloud->settings, "topic"), err);
    if (rc == TG_OK)
        rc = check_auth(cloud, err);
    if (rc == TG_OK)
        rc = check_attributes(cloud->settings, err);
    return rc == TG_OK ? check_foreign(cloud, err) : rc;
}

void tg_pubsub_pace_take(struct tg_pubsub_pace *pace, int64_t now_ms, size_t bytes)
{
    if (pace->free_at_ms < now_ms)
        pace->free_at_ms = now_ms;
    pace->free_at_ms += (int64_t)bytes * 1000 / TG_PUBSUB_ORDERED_BYTES_PER_S;
}

int64_t tg_pubsub_pace_due_ms(const struct tg_pubsub_pace *pace)
{
    return pace->free_at_ms - PACE_AHEAD_MS;
}

static bool shared(const struct tg_cloud_target *t)
{
    (void)t;
    return true;
}

static uint32_t choose_batch(const struct tg_cloud_target *t)
{
    return (uint32_t)tg_settings_int(t->settings, "max_messages");
}

const struct tg_cloud_type tg_gcp_pubsub = {
    .config =
        {.type = "gcp-pubsub",
         .options = options,
         /* The service account speaks for all devices: what identity a device has for other clouds does not matter. */
         .identities = (1u << (TG_IDENTITY_PASSWORD + 1)) - 1,
         .identities_text = "none: the cloud's service_account_file speaks for all its devices",
         .default_port = 443,
         .check_cloud = check_cloud},
    .transport = TG_TRANSPORT_HTTPS,
    .max_message_bytes = 512 * 1024,
    .default_host = TG_PUBSUB_HOST,
    .qos = 1,
    .max_in_flight = 1, /* request: HTTP/1.1 without pipelining */
    .session_bytes = sizeof(struct tg_pubsub_pace),
    .shared = shared,
    .choose_batch = choose_batch,
};
