/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_module_plan - from a device of the configuration to what a module needs: files, user name, password, topics.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/md5.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/pkcs11_uri.h"
#include "core/gateway/cmd_module.h"
#include "northbound/azure_dps.h"
#include "northbound/json_document.h"
#include "northbound/pkcs12.h"

#define POLL_TOPIC      "$dps/registrations/GET/iotdps-get-operationstatus/?$rid={request_id}&operationId="
#define REGISTER_TOPIC  "$dps/registrations/PUT/iotdps-register/?$rid={request_id}"
#define REGISTER_FILTER "$dps/registrations/res/#"

/* A copy that lives as long as the plan; NULL: too much text, told when all is there. */
static const char *keep(struct tg_module_plan *p, struct tg_bytes text)
{
    const char *begin = p->text + p->texts.len;
    tg_write_bytes(&p->texts, text);
    tg_write_u8(&p->texts, '\0');
    return p->texts.failed ? NULL : begin;
}

static bool is_azure(const struct tg_module_plan *p)
{
    return strcmp(p->target.route->cloud->type, "azure-iot-hub") == 0;
}

/* --- files ------------------------------------------------------------------------------------------------- */

static int add_file(struct tg_module_plan *p, enum tg_ucx_file_kind kind, struct tg_bytes content)
{
    struct tg_ucx_file *f = &p->files[p->ucx.file_count++];
    uint8_t digest[WC_MD5_DIGEST_SIZE];
    wc_Md5 md5;
    if (wc_InitMd5(&md5) != 0 || wc_Md5Update(&md5, content.data, (word32)content.len) != 0 ||
        wc_Md5Final(&md5, digest) != 0)
        return TG_EUNSUPPORTED;
    wc_Md5Free(&md5);
    *f = (struct tg_ucx_file){.kind = kind, .name = p->names[kind], .content = content};
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(f->md5 + 2 * i, 3, "%02X", digest[i]);
    return TG_OK;
}

static int read_names(const struct tg_module_args *a, struct tg_module_plan *p)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const char *text = a->names ? a->names : "ca.pem,cert.pem,key.pem";
    for (size_t i = 0; i < TG_UCX_FILES_MAX; i++) {
        size_t n = strcspn(text, ",");
        if (n == 0 || n > TG_UCX_NAME_MAX_BYTES || strspn(text, allowed) < n ||
            (text[n] == ',') != (i + 1 < TG_UCX_FILES_MAX)) {
            fprintf(stderr,
                    "tidegate module provision: --names takes three names (CA, certificate, key) with commas "
                    "between, each 1 "
                    "to %d letters, digits and - _ .\n",
                    TG_UCX_NAME_MAX_BYTES);
            return TG_EXIT_USAGE;
        }
        snprintf(p->names[i], sizeof p->names[i], "%.*s", (int)n, text);
        text += n + (text[n] == ',');
    }
    return 0;
}

static int read_pkcs12(struct tg_module_plan *p, struct tg_error *err)
{
    const struct tg_config_identity *i = &p->target.identity;
    struct tg_secret file = {0}, password = {0};
    struct tg_pkcs12 content = {{0}, {0}};
    int rc = tg_secret_read(i->pkcs12, TG_SECRET_PRIVATE, &file, err);
    if (rc == TG_OK)
        rc = tg_secret_read(i->password_file, TG_SECRET_PRIVATE, &password, err);
    if (rc == TG_OK) {
        tg_secret_trim(&password);
        rc = tg_pkcs12_read(tg_secret_view(&file), tg_secret_view(&password), &content, err);
    }
    if (rc == TG_OK) {
        p->certificate = content.chain_pem;
        p->key = content.key_pem;
    }
    tg_secret_free(&file);
    tg_secret_free(&password);
    return rc;
}

static int read_credential(struct tg_module_plan *p, struct tg_error *err)
{
    const struct tg_config_identity *i = &p->target.identity;
    int rc;
    if (i->kind == TG_IDENTITY_PKCS12) {
        rc = read_pkcs12(p, err);
    } else if (i->kind != TG_IDENTITY_X509) {
        return TG_OK;
    } else if (tg_pkcs11_uri_is(i->key)) {
        return tg_error_set(
            err, TG_EUNSUPPORTED,
            "the key is in a PKCS#11 token, which does not give it away; a module needs a key of its own in "
            "a file");
    } else {
        rc = tg_secret_read(i->certificate, TG_SECRET_PUBLIC, &p->certificate, err);
        if (rc == TG_OK)
            rc = tg_secret_read(i->key, TG_SECRET_PRIVATE, &p->key, err);
    }
    if (rc == TG_OK)
        rc = add_file(p, TG_UCX_CERTIFICATE, tg_secret_view(&p->certificate));
    if (rc == TG_OK)
        rc = add_file(p, TG_UCX_KEY, tg_secret_view(&p->key));
    return rc;
}

static int read_files(const struct tg_module_args *a, struct tg_module_plan *p, struct tg_error *err)
{
    const struct tg_settings *common = p->target.route->cloud->common;
    const char *ca = a->ca_file ? a->ca_file : tg_settings_text(common, "ca_file");
    int rc = TG_OK;
    if (tg_settings_int(common, "tls") != 0) {
        if (!ca)
            return tg_error_set(err, TG_EINVAL,
                                "the module has no roots of its own: give the cloud a ca_file, or --ca-file, "
                                "with the root that "
                                "signs its certificates");
        rc = tg_secret_read(ca, TG_SECRET_PUBLIC, &p->ca, err);
        if (rc == TG_OK)
            rc = add_file(p, TG_UCX_CA, tg_secret_view(&p->ca));
    }
    if (rc == TG_OK)
        rc = read_credential(p, err);
    if (rc == TG_OK && a->wifi_password_file) {
        rc = tg_secret_read(a->wifi_password_file, TG_SECRET_PRIVATE, &p->wifi_password, err);
        if (rc == TG_OK) {
            tg_secret_trim(&p->wifi_password);
            p->ucx.wifi_password = (const char *)p->wifi_password.data; /* ends with a NUL */
            if (strlen(p->ucx.wifi_password) != p->wifi_password.len || p->wifi_password.len < 8 ||
                p->wifi_password.len > 64)
                rc = tg_error_set(err, TG_EINVAL,
                                  "%s: a Wi-Fi password has 8 to 63 characters (or 64 hexadecimal digits)",
                                  a->wifi_password_file);
        }
    }
    return rc;
}

/* --- the connection ------------------------------------------------------------------------------------------ */

static void put_names(struct tg_module_plan *p, struct tg_ucx_mqtt *m)
{
    for (size_t i = 0; i < p->ucx.file_count; i++) {
        if (p->files[i].kind == TG_UCX_CA)
            m->ca = p->files[i].name;
        else if (p->files[i].kind == TG_UCX_CERTIFICATE)
            m->certificate = p->files[i].name;
        else
            m->key = p->files[i].name;
    }
    m->keepalive_s = (uint32_t)(tg_settings_int(p->target.route->cloud->common, "keepalive") / 1000);
}

/* Client id, user name and password of a login. `cut`: what the user name ends before; the rest tells of this program. */
static void put_login(struct tg_module_plan *p, struct tg_ucx_mqtt *m, const struct tg_cloud_login *login,
                      const char *cut)
{
    const struct tg_mqtt_connect *c = &login->connect;
    const char *user = c->username.len ? keep(p, c->username) : NULL;
    char *end = user && cut ? strstr((char *)(uintptr_t)user, cut) : NULL; /* of our own copy */
    if (end)
        *end = '\0';
    m->client = c->client_id.len ? keep(p, c->client_id) : NULL;
    m->user = user;
    m->password = c->password.len ? keep(p, c->password) : NULL;
    p->expires_s = login->expires_s;
}

static int put_topics(const struct tg_module_args *a, struct tg_module_plan *p, struct tg_ucx_mqtt *m,
                      struct tg_error *err)
{
    static const struct tg_format_content content = {"", "", ""};
    char memory[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS], topic;
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    if (!p->type->topic || p->type->encode ||
        (p->type->topic_per_point && p->type->topic_per_point(&p->cloud_target))) {
        if (!a->publish)
            return tg_error_set(
                err, TG_EUNSUPPORTED,
                "this cloud's topics are made for each point or message; a module publishes to one: give it "
                "with --publish");
        topic = tg_bytes_str(a->publish);
    } else if (a->publish) {
        topic = tg_bytes_str(a->publish);
    } else {
        if (p->type->topic(&p->cloud_target, &content, "", &w) < 0)
            return tg_error_set(err, TG_ETOOBIG, "the topic for %s is too long", p->cloud_target.device_id);
        topic = tg_bytes(memory, w.len);
    }
    m->publish = keep(p, topic);
    if (is_azure(p) && !a->publish && m->publish) { /* the property bag describes the gateway's own bodies */
        char *bag = strstr((char *)(uintptr_t)m->publish, "/messages/events/");
        if (bag)
            bag[sizeof "/messages/events/" - 1] = '\0';
    }
    w.len = 0;
    if (a->subscribe)
        m->subscribe = *a->subscribe ? a->subscribe : NULL;
    else if (p->type->filters && p->type->filters(&p->cloud_target, 0, &w, filters, qos) > 0)
        m->subscribe = keep(p, filters[0]);
    return p->texts.failed ? tg_error_set(err, TG_ETOOBIG, "names and topics are too long") : TG_OK;
}

static int put_cloud(const struct tg_module_args *a, struct tg_module_plan *p, struct tg_error *err)
{
    char memory[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
    const struct tg_settings *common = p->target.route->cloud->common;
    struct tg_cloud_login login = {.expires_s = 0};
    struct tg_ucx_mqtt *m = &p->cloud;
    void *link = tg_calloc(1, p->type->link_bytes ? p->type->link_bytes : 1);
    int rc = link ? p->type->login(&p->cloud_target, &p->identity.secret, link, tg_clock_wall_ms() / 1000,
                                   &scratch, &login, err)
                  : tg_error_set(err, TG_ENOMEM, "out of memory");
    if (rc == TG_OK) {
        *m = (struct tg_ucx_mqtt){.host = p->cloud_target.host};
        m->port = (uint16_t)(tg_settings_has(common, "port") ? tg_settings_int(common, "port")
                                                             : p->type->config.default_port);
        put_login(p, m, &login, is_azure(p) ? "&DeviceClientType=" : NULL);
        put_names(p, m);
        rc = put_topics(a, p, m, err);
    }
    explicit_bzero(memory, sizeof memory);
    tg_free(link);
    return rc;
}

/* {"payload":…,"registrationId":"…"}: as the application note has it, with the section's payload where there is one. */
static int put_body(struct tg_module_plan *p, struct tg_error *err)
{
    const char *payload = tg_settings_text(p->target.route->cloud->provisioning, "payload");
    json_t *given = payload ? json_loads(payload, JSON_DECODE_ANY, NULL) : json_string("");
    json_t *body = json_pack("{s:o,s:s}", "payload", given, "registrationId", p->registration.client);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    p->ucx.register_body = text ? keep(p, tg_bytes_str(text)) : NULL;
    free(text);
    json_decref(body);
    return p->ucx.register_body
               ? TG_OK
               : tg_error_set(err, TG_ETOOBIG, "the payload of the registration is too long");
}

static int put_registration(struct tg_module_plan *p, struct tg_error *err)
{
    const struct tg_cloud_errand *errand = p->type->errand;
    char memory[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
    struct tg_cloud_login login = {.expires_s = 0};
    int rc = errand->login(&p->cloud_target, &p->identity.secret, tg_clock_wall_ms() / 1000, &scratch, &login,
                           err);
    if (rc == TG_OK) {
        struct tg_ucx_mqtt *m = &p->registration;
        *m = (struct tg_ucx_mqtt){
            .host = errand->host(&p->cloud_target), .publish = REGISTER_TOPIC, .subscribe = REGISTER_FILTER};
        m->port = (uint16_t)(tg_settings_has(p->target.route->cloud->provisioning, "port")
                                 ? tg_settings_int(p->target.route->cloud->provisioning, "port")
                                 : errand->default_port);
        put_login(p, m, &login, "&ClientVersion=");
        put_names(p, m);
        rc = put_body(p, err);
        p->ucx.registration = m;
        p->ucx.poll_topic = POLL_TOPIC;
    }
    explicit_bzero(memory, sizeof memory);
    return rc;
}

int tg_module_plan_cloud(const struct tg_module_args *a, struct tg_module_plan *p, struct tg_error *err)
{
    p->cloud_target.host = p->hub;
    p->cloud_target.device_id = p->device_id;
    return put_cloud(a, p, err);
}

/* --- the whole ----------------------------------------------------------------------------------------------- */

static int check_cloud(const struct tg_module_args *a, const struct tg_module_plan *p)
{
    static const char *const types[] = {"azure-iot-hub", "aws-iot-core", "mqtt"};
    const char *type = p->target.route->cloud->type;
    size_t i = 0;
    while (i < 3 && strcmp(type, types[i]) != 0)
        i++;
    if (i == 3)
        return tg_identity_fail(
            &a->identity,
            "a module cannot connect to %s; the types it can are azure-iot-hub, aws-iot-core and mqtt", type);
    if (a->register_only && !(p->type->errand && p->type->errand->wanted(&p->cloud_target)))
        return tg_identity_fail(&a->identity,
                                "--register-only needs a cloud with a provisioning section; %s has none",
                                p->target.route->cloud->name);
    if (strcmp(type, "aws-iot-core") == 0 && p->type->errand && p->type->errand->wanted(&p->cloud_target))
        return tg_identity_fail(
            &a->identity, "fleet provisioning needs the gateway itself; give the device its certificate "
                          "first (docs/clouds/aws-iot-core.md)");
    return 0;
}

static int fill(const struct tg_module_args *a, struct tg_module_plan *p, struct tg_error *err)
{
    int rc = read_files(a, p, err);
    if (rc == TG_OK && p->type->errand && p->type->errand->wanted(&p->cloud_target)) {
        rc = put_registration(p, err);
    } else if (rc == TG_OK) {
        rc = put_cloud(a, p, err);
        p->ucx.cloud = &p->cloud;
    }
    return rc;
}

int tg_module_plan_make(const struct tg_module_args *a, struct tg_module_plan *p)
{
    struct tg_error err = {0};
    int rc;
    memset(p, 0, sizeof *p);
    p->texts = tg_writer_init(p->text, sizeof p->text);
    p->ucx = (struct tg_ucx_plan){.keep = a->no_reset,
                                  .files = p->files,
                                  .ssid = a->ssid,
                                  .store_wifi = a->store_wifi,
                                  .register_only = a->register_only,
                                  .hello = a->hello,
                                  .restart = a->restart,
                                  .command_limit_bytes = a->limit_bytes};
    rc = read_names(a, p);
    if (rc == 0)
        rc = tg_identity_find(&a->identity, true, &p->target);
    if (rc)
        return rc;
    p->type = tg_identity_cloud(&p->target, &p->cloud_target, &err);
    if (!p->type)
        rc = tg_identity_fail(&a->identity, "%s", err.text);
    if (rc == 0)
        rc = check_cloud(a, p);
    if (rc == 0 && !tg_clock_plausible(tg_clock_wall_ms()))
        rc = tg_identity_fail(
            &a->identity, "the clock of this machine is wrong, and credentials need the time: set it first");
    if (rc == 0 && tg_identity_load(&p->target.identity, &p->identity, &err) < 0)
        rc = tg_identity_fail(&a->identity, "%s", err.text);
    else if (rc == 0 && fill(a, p, &err) < 0)
        rc =
            tg_identity_fail(&a->identity, "%s", err.text[0] ? err.text : "the MD5 of a file cannot be made");
    if (rc)
        tg_module_plan_free(p);
    return rc;
}

void tg_module_plan_free(struct tg_module_plan *p)
{
    tg_secret_free(&p->ca);
    tg_secret_free(&p->certificate);
    tg_secret_free(&p->key);
    tg_secret_free(&p->wifi_password);
    tg_identity_free(&p->identity);
    tg_identity_target_free(&p->target);
    explicit_bzero(p, sizeof *p);
}

/* --- what the provisioning service says ---------------------------------------------------------------------- */

static bool is_host(const char *host)
{
    size_t n = host ? strlen(host) : 0;
    return n > 0 && n < TG_CLOUD_HOST_BYTES &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == n;
}

static enum tg_ucx_verdict refused(struct tg_module_plan *p, const json_t *body)
{
    const json_t *state = json_object_get(body, "registrationState"),
                 *from = json_is_object(state) ? state : body;
    const char *message =
        json_string_value(json_object_get(from, json_is_object(state) ? "errorMessage" : "message"));
    const char *status = json_string_value(json_object_get(body, "status"));
    char quoted[TG_QUOTE_BYTES];
    snprintf(p->verdict, sizeof p->verdict, "%s%scode %lld: %s", status ? status : "", status ? ", " : "",
             (long long)json_integer_value(json_object_get(from, "errorCode")),
             message ? tg_quote(quoted, message, strlen(message)) : "no reason given");
    return TG_UCX_VERDICT_NO;
}

static enum tg_ucx_verdict assigned(struct tg_module_plan *p, const json_t *state)
{
    const char *hub = json_string_value(json_object_get(state, "assignedHub")),
               *device = json_string_value(json_object_get(state, "deviceId"));
    if (!is_host(hub) || !device || p->type->config.check_device(NULL, device, NULL) < 0) {
        snprintf(p->verdict, sizeof p->verdict, "its answer names no usable hub and device id");
        return TG_UCX_VERDICT_NO;
    }
    snprintf(p->hub, sizeof p->hub, "%s", hub);
    snprintf(p->device_id, sizeof p->device_id, "%s", device);
    return TG_UCX_VERDICT_ASSIGNED;
}

enum tg_ucx_verdict tg_module_read_reply(struct tg_module_plan *p, struct tg_bytes reply,
                                         char ret_operation[TG_UCX_OPERATION_BYTES])
{
    json_t *body = tg_json_parse(reply, "the service's answer", NULL);
    const char *status = json_string_value(json_object_get(body, "status")),
               *operation = json_string_value(json_object_get(body, "operationId"));
    enum tg_ucx_verdict verdict;
    ret_operation[0] = '\0';
    if (operation && strlen(operation) < TG_UCX_OPERATION_BYTES)
        snprintf(ret_operation, TG_UCX_OPERATION_BYTES, "%s", operation);
    if (!body)
        verdict = TG_UCX_VERDICT_MORE; /* it may come in several frames */
    else if (status && strcmp(status, "assigned") == 0)
        verdict = assigned(p, json_object_get(body, "registrationState"));
    else if (status && (strcmp(status, "assigning") == 0 || strcmp(status, "unassigned") == 0))
        verdict = TG_UCX_VERDICT_ASSIGNING;
    else
        verdict = refused(p, body);
    json_decref(body);
    return verdict;
}
