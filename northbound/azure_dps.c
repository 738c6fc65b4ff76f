/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/azure_dps.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "northbound/json_document.h"
#include "northbound/azure_hub.h"
#include "northbound/azure_sas.h"
#include "northbound/azure_topic.h"
#include "northbound/format_json.h"
#include "northbound/percent.h"

#define API_VERSION       "2019-03-31"
#define CLIENT_TYPE       "tidegate/0.1"
#define POLICY            "registration"
#define FILTER            "$dps/registrations/res/#"
#define RESULT_PREFIX     "$dps/registrations/res/"
#define REGISTER_PREFIX   "$dps/registrations/PUT/iotdps-register/?$rid="
#define POLL_PREFIX       "$dps/registrations/GET/iotdps-get-operationstatus/?$rid="
#define DEVICE_MARK       "{device}"
#define OPERATION_BYTES   257
#define PAYLOAD_MAX_BYTES ((size_t)32 * 1024)
#define JOIN_MS           5000
#define SILENCE_MS        30000
#define ROOM_MS           1000
#define LIMIT_MS          120000
#define RETRY_AFTER_S     3
#define RETRY_AFTER_MAX_S 120

enum dps_state {
    DPS_OFF = 0, /* ONLINE → JOINING */
    DPS_JOINING, /* SUBSCRIBED or 5 s → ASKED */
    DPS_ASKED,   /* an answer → WAITING or DONE; 30 s → ASKED */
    DPS_WAITING, /* at_ms → ASKED */
    DPS_DONE     /* assigned or given up: nothing more is said */
};

struct dps_session {
    enum dps_state state;
    bool polling; /* else registering */
    uint32_t last_rid, rid, refusals;
    int64_t at_ms, limit_ms;
    char operation[OPERATION_BYTES];
};

const struct tg_option tg_azure_dps_options[] = {
    {.name = "id_scope",
     .type = TG_OPTION_TEXT,
     .flags = TG_OPTION_REQUIRED,
     .min = 1,
     .max = 64,
     .doc = "The ID scope of the provisioning service, as its overview page shows it (0ne…)."},
    {.name = "host",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 255,
     .default_text = "global.azure-devices-provisioning.net",
     .doc = "The name or address of the provisioning service."},
    {.name = "port",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 65535,
     .doc = "Its TCP port; default: 8883, with `transport: websocket` 443."},
    {.name = "registration_id",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = DEVICE_MARK,
     .doc = "The name under which a device registers; {device} is its id in this cloud. Lower-case letters, "
            "digits "
            "and - . _ : are allowed."},
    {.name = "payload",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 16384,
     .doc = "A JSON text for the service's custom allocation; default: the modelId when `model_id` is set, "
            "else none."},
    {0}};

/* --- configuration --- */

static int check_id(const char *id, struct tg_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-._:";
    char quoted[TG_QUOTE_BYTES];
    size_t n = strlen(id);
    if (n > 0 && n < TG_AZURE_REGISTRATION_ID_BYTES && strspn(id, allowed) == n && !strchr("._:", id[n - 1]))
        return TG_OK;
    return tg_error_set(
        err, TG_EINVAL,
        "registration id %s: 1 to %d lower-case letters, digits and - . _ : are allowed, the last "
        "a letter, digit or dash; give the device another id in this cloud ({name: …, id: …}) or "
        "set registration_id",
        tg_quote(quoted, id, n), TG_AZURE_REGISTRATION_ID_BYTES - 1);
}

int tg_azure_registration_id(const struct tg_settings *provisioning, const char *device_id,
                             char ret_id[TG_AZURE_REGISTRATION_ID_BYTES], struct tg_error *err)
{
    const char *template = tg_settings_text(provisioning, "registration_id"), *mark;
    char id[512];
    struct tg_writer w = tg_writer_init(id, sizeof id);
    int rc;
    while ((mark = strstr(template, DEVICE_MARK)) != NULL) {
        tg_write_bytes(&w, tg_bytes(template, (size_t)(mark - template)));
        tg_write_str(&w, device_id);
        template = mark + sizeof DEVICE_MARK - 1;
    }
    tg_write_str(&w, template);
    if (tg_writer_cstr(&w) < 0)
        return tg_error_set(err, TG_EINVAL, "the registration id of device %.128s is too long", device_id);
    rc = check_id(id, err);
    if (rc == TG_OK)
        memcpy(ret_id, id, strlen(id) + 1);
    return rc;
}

static bool is_host(const char *host)
{
    size_t n = strlen(host);
    return n > 0 && n < TG_CLOUD_HOST_BYTES &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == n;
}

static int check_payload(const char *text, struct tg_error *err)
{
    json_error_t e;
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    char quoted[TG_QUOTE_BYTES];
    if (!j)
        return tg_error_set(err, TG_EINVAL, "provisioning.payload: no JSON: line %d, column %d: %s", e.line,
                            e.column, tg_quote(quoted, e.text, strlen(e.text)));
    json_decref(j);
    return TG_OK;
}

int tg_azure_dps_check(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const char *scope = tg_settings_text(cloud->provisioning, "id_scope"),
               *host = tg_settings_text(cloud->provisioning, "host"),
               *payload = tg_settings_text(cloud->provisioning, "payload");
    char quoted[TG_QUOTE_BYTES];
    if (scope && strspn(scope, alnum) != strlen(scope))
        return tg_error_set(
            err, TG_EINVAL,
            "provisioning.id_scope: %s has other characters than letters and digits; it is the "
            "service's ID scope (0ne…), not its name",
            tg_quote(quoted, scope, strlen(scope)));
    if (host && !is_host(host))
        return tg_error_set(
            err, TG_EINVAL,
            "provisioning.host: %s is neither a host name nor an IPv4 address; the port has a key "
            "of its own",
            tg_quote(quoted, host, strlen(host)));
    if (cloud->provisioning_identity.kind != TG_IDENTITY_NONE)
        return tg_error_set(
            err, TG_EINVAL,
            "provisioning takes no identity of its own here: a device registers with the credential "
            "that it has for the hub");
    if (tg_settings_has(cloud->common, "host") || tg_settings_has(cloud->settings, "hub_host"))
        return tg_error_set(
            err, TG_EINVAL,
            "%s and provisioning exclude each other: the provisioning service says which hub a "
            "device belongs to",
            tg_settings_has(cloud->common, "host") ? "host" : "hub_host");
    if (tg_settings_has(cloud->settings, "sas_policy"))
        return tg_error_set(err, TG_EINVAL,
                            "sas_policy and provisioning exclude each other: a policy's key opens one hub, a "
                            "registration needs the device's or its group's key");
    return payload ? check_payload(payload, err) : TG_OK;
}

/* --- connecting --- */

static bool wanted(const struct tg_cloud_target *t)
{
    return t->provisioning != NULL;
}

static const char *host(const struct tg_cloud_target *t)
{
    return tg_settings_text(t->provisioning, "host");
}

static int sas_password(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, const char *id,
                        int64_t wall_s, struct tg_writer *scratch, struct tg_cloud_login *login,
                        struct tg_error *err)
{
    char resource[64 + sizeof "/registrations/" + TG_AZURE_REGISTRATION_ID_BYTES];
    uint8_t derived[TG_AZURE_DERIVED_KEY_BYTES];
    struct tg_bytes key = secret->sas_key;
    size_t begin = scratch->len;
    int rc = TG_OK;
    if (secret->kind == TG_IDENTITY_GROUP) {
        rc = tg_azure_derive_key(secret->sas_key, tg_bytes_str(id), derived);
        key = tg_bytes(derived, sizeof derived);
    }
    snprintf(resource, sizeof resource, "%s/registrations/%s", tg_settings_text(t->provisioning, "id_scope"),
             id);
    login->expires_s = wall_s + tg_settings_int(t->settings, "sas_lifetime") / 1000;
    if (rc == TG_OK)
        rc = tg_azure_sas_token(scratch, tg_bytes_str(resource), key, POLICY, login->expires_s);
    explicit_bzero(derived, sizeof derived);
    if (rc < 0)
        return tg_error_set(err, rc, "cannot make a SAS token for %s: %s", resource, tg_code_text(rc));
    login->connect.password = tg_bytes(scratch->data + begin, scratch->len - begin);
    return TG_OK;
}

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, int64_t wall_s,
                 struct tg_writer *scratch, struct tg_cloud_login *ret_login, struct tg_error *err)
{
    struct tg_cloud_login l = {.connect = {.clean_session = true}};
    char id[TG_AZURE_REGISTRATION_ID_BYTES];
    size_t begin = scratch->len, user;
    int rc = tg_azure_registration_id(t->provisioning, t->device_id, id, err);
    if (rc < 0)
        return rc;
    tg_write_str(scratch, id);
    user = scratch->len;
    tg_write_str(scratch, tg_settings_text(t->provisioning, "id_scope"));
    tg_write_str(scratch, "/registrations/");
    tg_write_str(scratch, id);
    tg_write_str(scratch, "/api-version=" API_VERSION "&ClientVersion="); /* no '?', unlike the hub */
    tg_percent_encode(scratch, tg_bytes_str(CLIENT_TYPE), TG_PERCENT_PROPERTY);
    if (scratch->failed)
        return tg_error_set(err, TG_ETOOBIG, "the user name for registration %s is too long", id);
    l.connect.client_id = tg_bytes(scratch->data + begin, user - begin);
    l.connect.username = tg_bytes(scratch->data + user, scratch->len - user);
    if (secret->kind == TG_IDENTITY_SAS_KEY || secret->kind == TG_IDENTITY_GROUP) {
        rc = sas_password(t, secret, id, wall_s, scratch, &l, err);
        if (rc < 0)
            return rc;
    }
    *ret_login = l;
    return TG_OK;
}

static int filters(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos)
{
    (void)t;
    (void)scratch;
    if (part > 0)
        return 0;
    ret_filters[0] = tg_bytes_str(FILTER);
    ret_qos[0] = 1;
    return 1;
}

/* --- asking --- */

static void end(struct dps_session *s, const struct tg_cloud_talk *talk)
{
    s->state = DPS_DONE;
    talk->io->wake_at(talk->user, INT64_MAX);
}

static void give_up(struct dps_session *s, const struct tg_cloud_talk *talk, enum tg_retry retry,
                    const char *fmt, ...) TG_PRINTF(4, 5);
static void give_up(struct dps_session *s, const struct tg_cloud_talk *talk, enum tg_retry retry,
                    const char *fmt, ...)
{
    char text[360], said[200], id[TG_AZURE_REGISTRATION_ID_BYTES] = "";
    va_list args;
    if (tg_azure_registration_id(talk->target->provisioning, talk->target->device_id, id, NULL) < 0)
        id[0] = '\0';
    va_start(args, fmt);
    vsnprintf(said, sizeof said, fmt, args);
    va_end(args);
    snprintf(text, sizeof text, "registration %.60s: %s", id, said);
    end(s, talk);
    talk->io->give_up(talk->user, retry, text);
}

static void arm(const struct dps_session *s, const struct tg_cloud_talk *talk)
{
    talk->io->wake_at(talk->user, s->at_ms < s->limit_ms ? s->at_ms : s->limit_ms);
}

/* {"registrationId":"…","payload":…}; the caller frees. NULL when out of memory. */
static uint8_t *registration(const struct tg_cloud_target *t, const char *id, struct tg_bytes *ret_body)
{
    const char *payload = tg_settings_text(t->provisioning, "payload");
    const char *model =
        tg_settings_has(t->settings, "model_id") ? tg_settings_text(t->settings, "model_id") : NULL;
    size_t cap = 256 + strlen(id) + (payload ? strlen(payload) : 0) + (model ? 6 * strlen(model) : 0);
    uint8_t *memory = tg_malloc(cap);
    struct tg_writer w = tg_writer_init(memory, cap);
    if (!memory)
        return NULL;
    tg_write_str(&w, "{\"registrationId\":");
    tg_format_json_string(&w, tg_bytes_str(id));
    if (payload) {
        tg_write_str(&w, ",\"payload\":");
        tg_write_str(&w, payload);
    } else if (model) {
        tg_write_str(&w, ",\"payload\":{\"modelId\":");
        tg_format_json_string(&w, tg_bytes_str(model));
        tg_write_str(&w, "}");
    }
    tg_write_str(&w, "}");
    *ret_body = tg_bytes(w.data, w.len);
    return memory;
}

static int publish(struct dps_session *s, const struct tg_cloud_talk *talk, uint32_t rid)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES], *body = NULL;
    struct tg_writer topic = tg_writer_init(memory, sizeof memory);
    struct tg_bytes payload = {0};
    char id[TG_AZURE_REGISTRATION_ID_BYTES];
    int rc;
    tg_write_str(&topic, s->polling ? POLL_PREFIX : REGISTER_PREFIX);
    tg_write_u64_dec(&topic, rid);
    if (s->polling) {
        tg_write_str(&topic, "&operationId=");
        tg_percent_encode(&topic, tg_bytes_str(s->operation), TG_PERCENT_PROPERTY);
    } else {
        rc = tg_azure_registration_id(talk->target->provisioning, talk->target->device_id, id, NULL);
        if (rc < 0)
            return rc;
        body = registration(talk->target, id, &payload);
        if (!body)
            return TG_ENOMEM;
    }
    rc = talk->io->publish(talk->user, tg_bytes(topic.data, topic.len), payload, 1, false, 0);
    tg_free(body);
    return rc;
}

/* Registers or polls; no room or memory is waited for. */
static void ask(struct dps_session *s, const struct tg_cloud_talk *talk, int64_t now)
{
    s->rid = ++s->last_rid;
    if (publish(s, talk, s->rid) < 0) {
        s->rid = 0;
        s->state = DPS_WAITING;
        s->at_ms = now + ROOM_MS;
    } else {
        s->state = DPS_ASKED;
        s->at_ms = now + SILENCE_MS;
    }
    arm(s, talk);
}

static void ask_later(struct dps_session *s, const struct tg_cloud_talk *talk, struct tg_bytes query,
                      int64_t now)
{
    uint64_t wait_s = RETRY_AFTER_S;
    (void)tg_azure_query_u64(query, "retry-after", &wait_s);
    wait_s = wait_s < 1 ? 1 : wait_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : wait_s;
    s->rid = 0;
    s->state = DPS_WAITING;
    s->at_ms = now + (int64_t)wait_s * 1000;
    arm(s, talk);
}

/* --- answers --- */

/* "400209 \"what it said\"", from the service's names for them. */
static void explain(const json_t *o, const char *message_key, char *ret_text, size_t size)
{
    const char *message = json_string_value(json_object_get(o, message_key));
    char quoted[TG_QUOTE_BYTES];
    snprintf(ret_text, size, "code %lld: %s", (long long)json_integer_value(json_object_get(o, "errorCode")),
             message ? tg_quote(quoted, message, strlen(message)) : "no reason given");
}

static void assigned(struct dps_session *s, const struct tg_cloud_talk *talk, const json_t *state)
{
    const char *hub = json_string_value(json_object_get(state, "assignedHub")),
               *device = json_string_value(json_object_get(state, "deviceId"));
    const json_t *payload = json_object_get(state, "payload");
    char *text = NULL;
    if (!hub || !is_host(hub) || !device || tg_azure_hub.config.check_device(NULL, device, NULL) < 0) {
        give_up(s, talk, TG_RETRY_BACKOFF, "the service's answer names no usable hub and device id");
        return;
    }
    if (payload && !json_is_null(payload)) {
        text = json_dumps(payload, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!text || strlen(text) > PAYLOAD_MAX_BYTES) {
            give_up(s, talk, TG_RETRY_BACKOFF, "%s",
                    text ? "the payload of the assignment is larger than 32 KiB"
                         : "out of memory for the assignment");
            free(text);
            return;
        }
    }
    end(s, talk);
    talk->io->assigned(talk->user, &(struct tg_cloud_assigned){
                                       .host = hub, .device_id = device, .payload = tg_bytes_str(text)});
    free(text);
}

static void take_status(struct dps_session *s, const struct tg_cloud_talk *talk, const json_t *body,
                        struct tg_bytes query, int64_t now)
{
    const char *status = json_string_value(json_object_get(body, "status")),
               *operation = json_string_value(json_object_get(body, "operationId"));
    const json_t *state = json_object_get(body, "registrationState");
    char why[TG_QUOTE_BYTES + 40];
    if (status && strcmp(status, "assigned") == 0) {
        assigned(s, talk, state);
    } else if (status && (strcmp(status, "failed") == 0 || strcmp(status, "disabled") == 0)) {
        explain(state, "errorMessage", why, sizeof why);
        if (strcmp(status, "failed") == 0)
            give_up(s, talk, TG_RETRY_NEVER, "the registration failed, %s; the enrolment must be mended",
                    why);
        else
            give_up(s, talk, TG_RETRY_NEVER,
                    "the enrolment is disabled; enable it in the provisioning service");
    } else if (status && (strcmp(status, "assigning") == 0 || strcmp(status, "unassigned") == 0)) {
        if (operation && *operation && strlen(operation) < sizeof s->operation)
            snprintf(s->operation, sizeof s->operation, "%s", operation);
        s->polling = s->operation[0] != '\0';
        ask_later(s, talk, query, now);
    } else {
        give_up(s, talk, TG_RETRY_BACKOFF,
                "the service's answer has no status that is known; it is asked again");
    }
}

static void answer(struct dps_session *s, const struct tg_cloud_talk *talk, uint32_t status,
                   struct tg_bytes query, const struct tg_cloud_event *event)
{
    struct tg_error err = {0};
    char why[TG_QUOTE_BYTES + 40];
    json_t *body;
    if (status >= 429) {
        s->refusals++;
        ask_later(s, talk, query, event->now_ms);
        return;
    }
    body = tg_json_parse(event->payload, "the service's answer", &err);
    if (status >= 300) {
        explain(body, "message", why, sizeof why);
        give_up(s, talk, TG_RETRY_NEVER,
                "refused with %u, %s; check id scope, enrolment and the device's key or certificate", status,
                why);
    } else if (!body) {
        give_up(s, talk, TG_RETRY_BACKOFF, "%s; it is asked again", err.text);
    } else {
        take_status(s, talk, body, query, event->now_ms);
    }
    json_decref(body);
}

static void wake(struct dps_session *s, const struct tg_cloud_talk *talk, int64_t now)
{
    if (s->state == DPS_OFF || s->state == DPS_DONE)
        return;
    if (now >= s->limit_ms) {
        give_up(s, talk, TG_RETRY_BACKOFF,
                "no hub was assigned within %d s (%s%u answers said to come later)", LIMIT_MS / 1000,
                s->polling ? "the registration was taken; " : "", s->refusals);
        return;
    }
    if (now >= s->at_ms)
        ask(s, talk, now);
    else
        arm(s, talk);
}

static int step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    struct dps_session *s = talk->session;
    struct tg_bytes query;
    uint32_t status = 0;
    uint64_t rid = 0;
    (void)err; /* what is wrong ends the errand, with its text */
    switch (event->type) {
    case TG_CLOUD_ONLINE:
        *s = (struct dps_session){.state = DPS_JOINING,
                                  .last_rid = s->last_rid,
                                  .at_ms = event->now_ms + JOIN_MS,
                                  .limit_ms = event->now_ms + LIMIT_MS};
        arm(s, talk);
        break;
    case TG_CLOUD_SUBSCRIBED:
        if (s->state == DPS_JOINING && event->code > 0)
            give_up(s, talk, TG_RETRY_BACKOFF, "the service refuses the subscription to its answers");
        else if (s->state == DPS_JOINING)
            ask(s, talk, event->now_ms);
        break;
    case TG_CLOUD_MESSAGE:
        if (s->state == DPS_ASKED && tg_azure_topic_reply(event->topic, RESULT_PREFIX, &status, &query) &&
            tg_azure_query_u64(query, "$rid", &rid) && rid == s->rid)
            answer(s, talk, status, query, event);
        break;
    case TG_CLOUD_WAKE:
        wake(s, talk, event->now_ms);
        break;
    case TG_CLOUD_OFFLINE:
        s->state = DPS_OFF;
        break;
    default:
        break;
    }
    return TG_OK;
}

const struct tg_cloud_errand tg_azure_dps = {
    .session_bytes = sizeof(struct dps_session),
    .default_port = 8883,
    .wanted = wanted,
    .host = host,
    .login = login,
    .filters = filters,
    .step = step,
};
