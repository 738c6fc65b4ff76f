/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/aws_fleet.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "northbound/aws_iot.h"
#include "northbound/json_document.h"
#include "northbound/csr.h"
#include "northbound/format_json.h"

#define CREATE          "$aws/certificates/create-from-csr/json"
#define ANSWER_MS       30000
#define CODE_TOO_MANY   429
#define CODE_SERVER     500
#define REQUEST_BYTES   16384
#define PARAMETERS_MAX  32
#define CERTIFICATE_MAX 16384

enum fleet_state {
    FLEET_IDLE = 0,
    FLEET_CREATING,     /* accepted → PROVISIONING */
    FLEET_PROVISIONING, /* accepted → DONE; both: rejected, no answer → DONE */
    FLEET_DONE          /* assigned or given up */
};

struct fleet {
    enum fleet_state state;
    int64_t limit_ms;
    uint8_t key[TG_CSR_KEY_PEM_BYTES];
    size_t key_len;
    struct tg_json_text certificate;
};

const struct tg_option tg_aws_fleet_options[] = {
    {.name = "template",
     .type = TG_OPTION_TEXT,
     .flags = TG_OPTION_REQUIRED,
     .min = 1,
     .max = 36,
     .doc = "The name of the provisioning template."},
    {.name = "host",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 255,
     .doc = "The endpoint to ask, when it is not the cloud's `host`."},
    {.name = "port",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 65535,
     .doc = "The port there; default: the cloud's."},
    {.name = "client_id",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 256,
     .default_text = "{device}",
     .doc = "The MQTT client id for asking, which the claim's policy allows; {device} and {gateway} are "
            "filled in."},
    {.name = "parameters",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "The template's parameters, each NAME=VALUE with {device} and {gateway} filled in; default: "
            "SerialNumber={device} and ThingName={device}."},
    {0}};

/* --- the configuration ------------------------------------------------------------------------------------- */

int tg_aws_fleet_check(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const char *template = tg_settings_text(cloud->provisioning, "template");
    enum tg_identity_kind kind = cloud->provisioning_identity.kind;
    const char *const *items;
    uint32_t n = tg_settings_list(cloud->provisioning, "parameters", &items);
    if (!tg_settings_has(cloud->common, "host"))
        return tg_error_set(err, TG_EINVAL,
                            "host is missing: fleet provisioning gives no endpoint; it is your account's own "
                            "(aws iot describe-endpoint --endpoint-type iot:Data-ATS)");
    if (template && strspn(template, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
                        strlen(template))
        return tg_error_set(
            err, TG_EINVAL,
            "provisioning.template: \"%s\" is no name of a template; allowed are letters, digits, _ "
            "and -",
            template);
    if (kind != TG_IDENTITY_X509 && kind != TG_IDENTITY_PKCS12)
        return tg_error_set(err, TG_EINVAL,
                            "provisioning.identity: the claim is needed, certificate and key, or pkcs12");
    if (n > PARAMETERS_MAX)
        return tg_error_set(err, TG_ERANGE, "provisioning.parameters: at most %d are taken", PARAMETERS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        int rc = tg_aws_check_template("provisioning.parameters", items[i], err);
        if (rc < 0)
            return rc;
        if (strcspn(items[i], "=") == 0 || !strchr(items[i], '='))
            return tg_error_set(err, TG_EINVAL, "provisioning.parameters: \"%.60s\" is not NAME=VALUE",
                                items[i]);
    }
    return tg_aws_check_template("provisioning.client_id", tg_settings_text(cloud->provisioning, "client_id"),
                                 err);
}

static bool wanted(const struct tg_cloud_target *t)
{
    return t->provisioning != NULL;
}

static const char *host(const struct tg_cloud_target *t)
{
    return tg_settings_has(t->provisioning, "host") ? tg_settings_text(t->provisioning, "host") : t->host;
}

static int login(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, int64_t wall_s,
                 struct tg_writer *scratch, struct tg_cloud_login *ret_login, struct tg_error *err)
{
    size_t begin = scratch->len;
    (void)secret;
    (void)wall_s;
    tg_aws_expand(scratch, tg_settings_text(t->provisioning, "client_id"), t);
    if (scratch->failed || scratch->len - begin > 128)
        return tg_error_set(err, TG_ETOOBIG, "the client id for provisioning %s has more than 128 bytes",
                            t->device_id);
    *ret_login = (struct tg_cloud_login){
        .connect = {.client_id = tg_bytes(scratch->data + begin, scratch->len - begin),
                    .clean_session = true}};
    return TG_OK;
}

static void write_provision(const struct tg_cloud_target *t, struct tg_writer *w)
{
    tg_write_str(w, "$aws/provisioning-templates/");
    tg_write_str(w, tg_settings_text(t->provisioning, "template"));
    tg_write_str(w, "/provision/json");
}

static int filters(const struct tg_cloud_target *t, uint32_t part, struct tg_writer *scratch,
                   struct tg_bytes *ret_filters, uint8_t *ret_qos)
{
    if (part > 0)
        return 0;
    for (unsigned i = 0; i < 4; i++) {
        size_t begin = scratch->len;
        if (i < 2)
            tg_write_str(scratch, CREATE);
        else
            write_provision(t, scratch);
        tg_write_str(scratch, i % 2 == 0 ? "/accepted" : "/rejected");
        ret_filters[i] = tg_bytes(scratch->data + begin, scratch->len - begin);
        ret_qos[i] = 1;
    }
    return scratch->failed ? TG_ETOOBIG : 4;
}

/* --- the talk -------------------------------------------------------------------------------------------------- */

static void end(struct fleet *f, const struct tg_cloud_talk *talk, enum tg_retry retry, const char *text)
{
    f->state = FLEET_DONE;
    talk->io->give_up(talk->user, retry, text);
}

/* Sends what was written; a request that cannot be sent ends the errand, to be tried again. */
static void ask(struct fleet *f, const struct tg_cloud_talk *talk, enum fleet_state state,
                struct tg_bytes topic, const struct tg_writer *body, int64_t now_ms)
{
    if (body->failed ||
        talk->io->publish(talk->user, topic, tg_bytes(body->data, body->len), 1, false, 0) < 0) {
        end(f, talk, TG_RETRY_BACKOFF, "fleet provisioning: the request cannot be sent");
        return;
    }
    f->state = state;
    f->limit_ms = now_ms + ANSWER_MS;
    talk->io->wake_at(talk->user, f->limit_ms);
}

/* The common name is for people: AWS takes the thing's name from the template. */
static void begin(struct fleet *f, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    char csr[TG_CSR_PEM_BYTES], text[TG_CSR_PEM_BYTES + 256];
    struct tg_writer key = tg_writer_init(f->key, sizeof f->key), request = tg_writer_init(csr, sizeof csr);
    struct tg_writer body = tg_writer_init(text, sizeof text);
    struct tg_error err = {0};
    if (talk->io->new_key(talk->user, talk->target->device_id, &key, &request, &err) < 0) {
        end(f, talk, TG_RETRY_BACKOFF, err.text);
        return;
    }
    f->key_len = key.len;
    tg_write_str(&body, "{\"certificateSigningRequest\":");
    tg_format_json_string(&body, tg_bytes(request.data, request.len));
    tg_write_str(&body, "}");
    ask(f, talk, FLEET_CREATING, tg_bytes_str(CREATE), &body, now_ms);
}

static void write_parameter(struct tg_writer *w, const struct tg_cloud_target *t, const char *item)
{
    char memory[1024];
    struct tg_writer value = tg_writer_init(memory, sizeof memory);
    const char *equals = strchr(item, '=');
    tg_aws_expand(&value, equals + 1, t);
    tg_format_json_string(w, tg_bytes(item, (size_t)(equals - item)));
    tg_write_str(w, ":");
    tg_format_json_string(w, tg_bytes(value.data, value.len));
    w->failed = w->failed || value.failed;
}

static void provision(struct fleet *f, const struct tg_cloud_talk *talk, const char *token, int64_t now_ms)
{
    static const char *const defaults[] = {"SerialNumber={device}", "ThingName={device}"};
    const char *const *items = defaults;
    uint32_t n = 2;
    char text[REQUEST_BYTES], where[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer body = tg_writer_init(text, sizeof text), topic = tg_writer_init(where, sizeof where);
    if (tg_settings_has(talk->target->provisioning, "parameters"))
        n = tg_settings_list(talk->target->provisioning, "parameters", &items);
    tg_write_str(&body, "{\"certificateOwnershipToken\":");
    tg_format_json_string(&body, tg_bytes_str(token));
    tg_write_str(&body, ",\"parameters\":{");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            tg_write_str(&body, ",");
        write_parameter(&body, talk->target, items[i]);
    }
    tg_write_str(&body, "}}");
    write_provision(talk->target, &topic);
    ask(f, talk, FLEET_PROVISIONING, tg_bytes(topic.data, topic.len), &body, now_ms);
}

static void rejected(struct fleet *f, const struct tg_cloud_talk *talk, const json_t *body)
{
    uint64_t code = tg_json_member_number(body, "statusCode");
    const char *kind = tg_json_member_text(body, "errorCode"),
               *why = tg_json_member_text(body, "errorMessage");
    char quoted[TG_QUOTE_BYTES], text[400];
    bool again = code == CODE_TOO_MANY || code >= CODE_SERVER;
    snprintf(text, sizeof text, "fleet provisioning: %s is refused: %llu %.40s, %s",
             f->state == FLEET_CREATING ? "the certificate request" : "the template",
             (unsigned long long)code, kind ? kind : "", tg_quote(quoted, why, why ? strlen(why) : 0));
    end(f, talk, again ? TG_RETRY_BACKOFF : TG_RETRY_NEVER, text);
}

static int created(struct fleet *f, const struct tg_cloud_talk *talk, const json_t *body, int64_t now_ms,
                   struct tg_error *err)
{
    const char *pem = tg_json_member_text(body, "certificatePem");
    const char *token = tg_json_member_text(body, "certificateOwnershipToken");
    if (!pem || strlen(pem) > CERTIFICATE_MAX || !strstr(pem, "-----BEGIN CERTIFICATE-----") || !token ||
        !token[0]) {
        end(f, talk, TG_RETRY_BACKOFF,
            "fleet provisioning: the answer has no certificate or no ownership token");
        return TG_OK;
    }
    f->certificate.data = (uint8_t *)tg_strdup(pem);
    if (!f->certificate.data)
        return tg_error_set(err, TG_ENOMEM, "fleet provisioning: out of memory");
    f->certificate.len = strlen(pem);
    provision(f, talk, token, now_ms);
    return TG_OK;
}

static void provisioned(struct fleet *f, const struct tg_cloud_talk *talk, const json_t *body)
{
    const char *thing = tg_json_member_text(body, "thingName");
    json_t *configuration = json_object_get(body, "deviceConfiguration");
    struct tg_json_text payload = {0};
    char quoted[TG_QUOTE_BYTES], text[400];
    if (!thing || !tg_aws_thing_valid(thing)) {
        snprintf(text, sizeof text, "fleet provisioning: the thing's name %s is none",
                 tg_quote(quoted, thing, thing ? strlen(thing) : 0));
        end(f, talk, TG_RETRY_NEVER, text);
        return;
    }
    if (json_object_size(configuration) > 0 &&
        tg_json_keep(configuration, TG_JSON_MAX_BYTES, "deviceConfiguration", &payload, NULL) < 0)
        payload = (struct tg_json_text){0}; /* nobody needs it in order to connect */
    f->state = FLEET_DONE;
    talk->io->assigned(talk->user,
                       &(struct tg_cloud_assigned){.device_id = thing,
                                                   .certificate_pem = tg_json_text_view(&f->certificate),
                                                   .key_pem = tg_bytes(f->key, f->key_len),
                                                   .payload = tg_json_text_view(&payload)});
    tg_json_text_free(&payload);
}

static int message(struct fleet *f, const struct tg_cloud_talk *talk, const struct tg_cloud_event *event,
                   struct tg_error *err)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer topic = tg_writer_init(memory, sizeof memory);
    struct tg_bytes rest;
    json_t *body;
    int rc = TG_OK;
    if (f->state != FLEET_CREATING && f->state != FLEET_PROVISIONING)
        return TG_OK;
    if (f->state == FLEET_CREATING)
        tg_write_str(&topic, CREATE);
    else
        write_provision(talk->target, &topic);
    if (topic.failed || event->topic.len < topic.len || memcmp(event->topic.data, topic.data, topic.len) != 0)
        return TG_OK;
    rest = tg_bytes(event->topic.data + topic.len, event->topic.len - topic.len);
    body = tg_json_parse(event->payload, "an answer of fleet provisioning is left out", err);
    if (!body)
        return err->code;
    if (tg_bytes_eq_str(rest, "/rejected"))
        rejected(f, talk, body);
    else if (tg_bytes_eq_str(rest, "/accepted") && f->state == FLEET_CREATING)
        rc = created(f, talk, body, event->now_ms, err);
    else if (tg_bytes_eq_str(rest, "/accepted"))
        provisioned(f, talk, body);
    json_decref(body);
    return rc;
}

static void forget(struct fleet *f)
{
    tg_json_text_free(&f->certificate);
    explicit_bzero(f, sizeof *f);
}

static int step(const struct tg_cloud_talk *talk, const struct tg_cloud_event *event, struct tg_error *err)
{
    struct fleet *f = talk->session;
    switch (event->type) {
    case TG_CLOUD_SUBSCRIBED:
        if (event->code > 0)
            end(f, talk, TG_RETRY_NEVER,
                "fleet provisioning: the claim's policy does not allow to subscribe to the answers");
        else if (f->state == FLEET_IDLE)
            begin(f, talk, event->now_ms);
        return TG_OK;
    case TG_CLOUD_MESSAGE:
        return message(f, talk, event, err);
    case TG_CLOUD_WAKE:
        if ((f->state == FLEET_CREATING || f->state == FLEET_PROVISIONING) && event->now_ms >= f->limit_ms)
            end(f, talk, TG_RETRY_BACKOFF, "fleet provisioning: no answer in 30 s");
        return TG_OK;
    case TG_CLOUD_START:
    case TG_CLOUD_OFFLINE:
    case TG_CLOUD_END:
        forget(f);
        return TG_OK;
    default:
        return TG_OK;
    }
}

const struct tg_cloud_errand tg_aws_fleet = {.session_bytes = sizeof(struct fleet),
                                             .wanted = wanted,
                                             .host = host,
                                             .login = login,
                                             .filters = filters,
                                             .step = step};
