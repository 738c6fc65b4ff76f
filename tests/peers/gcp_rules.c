/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_rules - a mosquitto plugin (API v5) that makes the broker enforce what IoT Core's MQTT bridge enforces.
 *
 * mosquitto.conf of such a bridge (tests/scenario/gcp.py writes it):
 *
 *     max_qos 1                          # QoS 2: PUBLISH closes, SUBSCRIBE is granted 1
 *     plugin …/gcp_rules.so
 *     plugin_opt_registry …/registry     # JSON, read again when the file changes:
 *                                        # {"gate-1": {"gateway": true, "key": PEM, "method": "ASSOCIATION_ONLY"},
 *                                        #  "meter-1": {"key": PEM, "bound": "gate-1", "blocked": false}}
 *     plugin_opt_record …/record.jsonl   # hub_record.h; devices by their short id
 *     plugin_opt_name projects/plant-one/locations/us-central1/registries/meters
 *     plugin_opt_service_password …      # of user "service"; without it there is no service client
 *     plugin_opt_skew 600                # seconds that clocks may differ
 *
 * A client that logs in as "service" plays the cloud's other side: config/{device} sets a config and sends it,
 * command/{device}[/{subfolder}] sends a command, detach/{device} makes the bridge detach a device from its gateway.
 *
 * Two things a plugin cannot keep mosquitto from: it answers a refused login with CONNACK 5, not 4, and acknowledges a refused
 * attach. gcp_front.py in front of the broker makes them right; for that each attach is followed by a message
 * verdict/{device}, "ok" or "no".
 */
#include "tests/peers/broker_plugin.h"
#include "tests/peers/gcp_jwt.h"
#include "tests/peers/gcp_session.h"
#include "tests/peers/hub_record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SERVICE      "service"
#define REFUSE       MOSQ_ERR_AUTH /* CONNACK 5 at login; from any other event: the client is disconnected */
#define EVENT_MAX    (256 * 1024)
#define DOCUMENT_MAX (64 * 1024)
#define STATE_MS     1000

static struct {
    mosquitto_plugin_id_t *id;
    json_t *registry;
    struct stat registry_stat;
    const char *registry_path, *name, *service_password;
    char project[129];
    FILE *record;
    int64_t skew_s, checked_at;
} bridge;

static int64_t milliseconds(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t wall_s(void)
{
    return milliseconds(CLOCK_REALTIME) / 1000;
}

static void note(const char *event, const char *device, const char *reason)
{
    hub_record_event(bridge.record, event, device, reason);
}

static int close_with(struct gcp_session *s, const char *why)
{
    snprintf(s->why_closed, sizeof s->why_closed, "%s", why);
    note("closed", s->voices ? s->voices->id : SERVICE, why);
    return REFUSE;
}

/* --- registry ------------------------------------------------------------------------------------- */

static void registry_read(void)
{
    struct stat now;
    json_t *fresh;
    if (stat(bridge.registry_path, &now) != 0 ||
        (bridge.registry && now.st_ino == bridge.registry_stat.st_ino &&
         now.st_mtim.tv_sec == bridge.registry_stat.st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == bridge.registry_stat.st_mtim.tv_nsec)) {
        return;
    }
    fresh = json_load_file(bridge.registry_path, 0, NULL);
    if (!fresh) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "gcp_rules: %s is no JSON", bridge.registry_path);
        return;
    }
    json_decref(bridge.registry);
    bridge.registry = fresh;
    bridge.registry_stat = now;
}

static const json_t *device_named(const char *id)
{
    return json_object_get(bridge.registry, id);
}

static const char *text_of(const char *id, const char *key)
{
    return json_string_value(json_object_get(device_named(id), key));
}

static bool is_true(const char *id, const char *key)
{
    return json_is_true(json_object_get(device_named(id), key));
}

static const char *token_problem(const char *id, const char *token, int64_t *ret_expires)
{
    const char *key = text_of(id, "key");
    return !key     ? "identity: has no key"
           : !token ? "token: missing"
                    : gcp_jwt_problem(token, key, bridge.project, wall_s(), bridge.skew_s, ret_expires);
}

/* --- login ------------------------------------------------------------------------------------------ */

/* The device of {name}/devices/{id}; NULL = another form, another registry. */
static const char *device_of_client(const char *client_id)
{
    size_t n = strlen(bridge.name);
    if (strncmp(client_id, bridge.name, n) != 0 || strncmp(client_id + n, "/devices/", 9) != 0) {
        return NULL;
    }
    client_id += n + 9;
    return *client_id && !strchr(client_id, '/') && strlen(client_id) < GCP_ID_MAX ? client_id : NULL;
}

static const char *check_device(const char *id, const char *password, int64_t *ret_expires)
{
    if (!device_named(id)) {
        return "identity: unknown";
    }
    return is_true(id, "blocked") ? "identity: blocked" : token_problem(id, password, ret_expires);
}

static int on_login(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_basic_auth *e = event_data;
    const char *client_id = mosquitto_client_id(e->client), *why = NULL, *device;
    bool service = e->username && strcmp(e->username, SERVICE) == 0;
    struct gcp_session *s;
    int64_t expires = 0;
    registry_read();
    if (!client_id) {
        return REFUSE;
    }
    device = service ? SERVICE : device_of_client(client_id);
    if (service) {
        why = bridge.service_password && e->password && strcmp(e->password, bridge.service_password) == 0
                  ? NULL
                  : "service: wrong password";
    } else if (!device) {
        why = "client id: not a device of this registry";
    } else if (!e->username) {
        why = "user name: missing";
    } else {
        why = check_device(device, e->password, &expires);
    }
    s = why ? NULL : gcp_session_begin(client_id, device);
    note(s ? "connect" : "refused", device ? device : client_id, why ? why : service ? SERVICE : "jwt");
    if (!s) {
        return REFUSE;
    }
    s->client = e->client;
    s->service = service;
    s->gateway = is_true(device, "gateway");
    s->expires = expires;
    return MOSQ_ERR_SUCCESS;
}

static int on_disconnect(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_disconnect *e = event_data;
    struct gcp_session *s = gcp_session_named(mosquitto_client_id(e->client));
    if (s && s->client == e->client && s->voices) {
        note("disconnect", s->voices->id, s->why_closed[0] ? s->why_closed : "connection ended");
        gcp_session_end(s);
    }
    return MOSQ_ERR_SUCCESS;
}

/* --- attaching ------------------------------------------------------------------------------------------ */

static void say(const struct gcp_session *s, const char *topic, const void *payload, size_t len, int qos)
{
    (void)mosquitto_broker_publish_copy(s->client_id, topic, (int)len, payload, qos, false, NULL);
}

static void report(const struct gcp_session *s, const char *type, const char *device, const char *topic,
                   const char *why)
{
    char to[GCP_ID_MAX + 32];
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:i}}", "error_type", type, "description", why, "device_id",
                  device, "mqtt_message_info", "message_type", "PUBLISH", "topic", topic, "packet_id", 0);
    char *text = json_dumps(j, JSON_COMPACT);
    note("error", device, type);
    snprintf(to, sizeof to, "/devices/%s/errors", s->voices->id);
    if (text && s->voices->heard & GCP_ERRORS) {
        say(s, to, text, strlen(text), 0);
    }
    free(text);
    json_decref(j);
}

static const char *attach_problem(const struct gcp_session *s, const char *device, const void *payload,
                                  size_t len, int64_t *ret_expires)
{
    const char *method = text_of(s->voices->id, "method"), *bound = text_of(device, "bound"), *why = NULL;
    json_t *body;
    if (!device_named(device) || is_true(device, "blocked") || is_true(device, "gateway")) {
        return "the device is unknown, blocked or a gateway";
    }
    if (strstr(method, "ASSOCIATION") && (!bound || strcmp(bound, s->voices->id) != 0)) {
        return "the device is not associated with the gateway";
    }
    if (strstr(method, "TOKEN")) {
        body = json_loadb(payload, len, 0, NULL);
        why = token_problem(device, json_string_value(json_object_get(body, "authorization")), ret_expires);
        json_decref(body);
    }
    return why;
}

static int control(struct gcp_session *s, const char *device, const struct mosquitto_evt_acl_check *e,
                   bool attach)
{
    char verdict[GCP_ID_MAX + 16];
    int64_t expires = 0;
    const char *why;
    struct gcp_voice *v;
    if (!s->gateway) {
        return close_with(s, "control: not a gateway");
    }
    if (e->qos != 1) {
        return close_with(s, "control: not at QoS 1");
    }
    if (!attach) {
        note("detach", device, "");
        gcp_voice_remove(s, strcmp(device, s->voices->id) == 0 ? "" : device);
        return MOSQ_ERR_SUCCESS;
    }
    why = attach_problem(s, device, e->payload, e->payloadlen, &expires);
    v = why ? NULL : gcp_voice_add(s, device);
    snprintf(verdict, sizeof verdict, "verdict/%s", device);
    say(s, verdict, v ? "ok" : "no", 2, 0);
    if (!v) {
        report(s, "GATEWAY_ATTACHMENT_ERROR", device, e->topic, why ? why : "no memory");
        return MOSQ_ERR_ACL_DENIED;
    }
    note("attach", device, e->payloadlen ? "token" : "");
    v->expires = expires;
    return MOSQ_ERR_SUCCESS;
}

/* --- what it may say and hear ------------------------------------------------------------------------------ */

/* /devices/{id}/{tail}: the id, and where the tail begins; NULL = another form. */
static const char *split(const char *topic, char ret_id[GCP_ID_MAX])
{
    const char *end;
    if (strncmp(topic, "/devices/", 9) != 0) {
        return NULL;
    }
    topic += 9;
    end = strchr(topic, '/');
    if (!end || end == topic || (size_t)(end - topic) >= GCP_ID_MAX) {
        return NULL;
    }
    snprintf(ret_id, GCP_ID_MAX, "%.*s", (int)(end - topic), topic);
    return end + 1;
}

static bool is_under(const char *tail, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(tail, folder, n) == 0 && (tail[n] == '\0' || tail[n] == '/');
}

static const char *state_problem(struct gcp_voice *v, uint32_t len)
{
    int64_t now = milliseconds(CLOCK_MONOTONIC), since = now - v->state_ms;
    bool too_soon = v->state_ms && since < STATE_MS;
    v->state_ms = now;
    return len > DOCUMENT_MAX ? "state: more than 64 KB" : too_soon ? "state: more than one a second" : NULL;
}

static int publish(struct gcp_session *s, const struct mosquitto_evt_acl_check *e)
{
    char id[GCP_ID_MAX];
    const char *tail = split(e->topic, id), *why = NULL;
    struct gcp_voice *v;
    if (!tail || e->retain) {
        return close_with(s, tail ? "publish: retained" : "publish: not a topic of a device");
    }
    if (strcmp(tail, "attach") == 0 || strcmp(tail, "detach") == 0) {
        return control(s, id, e, tail[0] == 'a');
    }
    if (!is_under(tail, "events") && strcmp(tail, "state") != 0) {
        return close_with(s, "publish: neither events nor state");
    }
    v = gcp_voice_of(s, id);
    if (!v && s->gateway) {
        report(s, "GATEWAY_DEVICE_NOT_FOUND", id, e->topic, "the device is not attached");
        return MOSQ_ERR_ACL_DENIED;
    }
    if (!v) {
        why = "publish: for another device";
    } else if (tail[0] == 's') {
        why = state_problem(v, e->payloadlen);
    } else if (e->payloadlen > EVENT_MAX) {
        why = "publish: more than 256 KB";
    }
    return why ? close_with(s, why) : MOSQ_ERR_SUCCESS;
}

static int subscribe(struct gcp_session *s, const char *filter)
{
    char id[GCP_ID_MAX];
    const char *tail = split(filter, id);
    struct gcp_voice *v = tail ? gcp_voice_of(s, id) : NULL;
    if (!v) {
        return close_with(s, "subscribe: not a topic of a device that it speaks for");
    }
    if (strcmp(tail, "config") == 0) {
        v->heard |= GCP_CONFIG;
        v->config_due = true;
    } else if (strcmp(tail, "commands/#") == 0) {
        v->heard |= GCP_COMMANDS;
    } else if (strcmp(tail, "errors") == 0) {
        v->heard |= GCP_ERRORS;
    } else {
        return close_with(s, "subscribe: neither config, commands/# nor errors");
    }
    note("subscribe", id, tail);
    return MOSQ_ERR_SUCCESS;
}

static int on_acl(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_acl_check *e = event_data;
    struct gcp_session *s = gcp_session_named(mosquitto_client_id(e->client));
    if (!s || s->client != e->client) {
        return MOSQ_ERR_ACL_DENIED;
    }
    if (s->service) {
        return MOSQ_ERR_SUCCESS;
    }
    switch (e->access) {
    case MOSQ_ACL_WRITE:
        return publish(s, e);
    case MOSQ_ACL_SUBSCRIBE:
        return subscribe(s, e->topic);
    default: /* what is said to a device was judged when it was said */
        return MOSQ_ERR_SUCCESS;
    }
}

/* --- the cloud's other side ------------------------------------------------------------------------------------ */

static void send_config(const struct gcp_session *s, struct gcp_voice *v)
{
    char topic[GCP_ID_MAX + 32];
    size_t len;
    const void *payload = gcp_config_get(v->id, &len);
    v->config_due = false;
    snprintf(topic, sizeof topic, "/devices/%s/config", v->id);
    say(s, topic, payload, len, 1);
}

static void send_command(const char *device, const char *subfolder, const struct mosquitto_evt_message *e)
{
    char topic[GCP_ID_MAX + 512];
    struct gcp_voice *v;
    const struct gcp_session *s = gcp_session_for(device, &v);
    if (!s || !(v->heard & GCP_COMMANDS)) {
        note("unheard", device, subfolder);
        return;
    }
    snprintf(topic, sizeof topic, "/devices/%s/commands%s", device, subfolder);
    say(s, topic, e->payload, e->payloadlen, e->qos);
}

static void service_publish(const struct mosquitto_evt_message *e)
{
    char word[16], device[GCP_ID_MAX];
    struct gcp_voice *v;
    struct gcp_session *s;
    int used = 0;
    if (sscanf(e->topic, "%15[^/]/%255[^/]%n", word, device, &used) != 2) {
        return;
    }
    s = gcp_session_for(device, &v);
    if (strcmp(word, "command") == 0) {
        send_command(device, e->topic + used, e);
    } else if (strcmp(word, "config") == 0 && gcp_config_put(device, e->payload, e->payloadlen)) {
        if (s && v->heard & GCP_CONFIG) {
            send_config(s, v);
        }
    } else if (strcmp(word, "detach") == 0 && s && v != s->voices) {
        gcp_voice_remove(s, device);
        report(s, "GATEWAY_DETACHMENT_DEVICE_ERROR", device, "", "detached by an operator");
    }
}

static int on_message(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_message *e = event_data;
    struct gcp_session *s = gcp_session_named(mosquitto_client_id(e->client));
    char id[GCP_ID_MAX];
    if (!s || s->client != e->client) {
        return REFUSE;
    }
    if (s->service) {
        service_publish(e);
    } else if (split(e->topic, id)) {
        hub_record_message(bridge.record, "publish", id, e->topic, e->qos, e->retain, e->payload,
                           e->payloadlen);
    }
    return MOSQ_ERR_SUCCESS;
}

/* --- time ----------------------------------------------------------------------------------------------------- */

static void look_after_voices(struct gcp_session *s)
{
    struct gcp_voice *next;
    for (struct gcp_voice *v = s->voices; v; v = next) {
        next = v->next;
        if (v->config_due) {
            send_config(s, v);
        }
        if (v->expires && v->expires + bridge.skew_s <= wall_s()) {
            char id[GCP_ID_MAX];
            snprintf(id, sizeof id, "%s", v->id);
            gcp_voice_remove(s, id);
            report(s, "GATEWAY_DETACHMENT_DEVICE_ERROR", id, "", "its token has expired");
        }
    }
}

static void look_after(struct gcp_session *s)
{
    const char *why = NULL;
    if (!s->client || s->service) {
        return;
    }
    look_after_voices(s);
    if (s->expires + bridge.skew_s <= wall_s()) {
        why = "token: expired";
    } else if (!device_named(s->voices->id) || is_true(s->voices->id, "blocked")) {
        why = "identity: removed or blocked";
    }
    if (why) {
        (void)close_with(s, why);
        (void)mosquitto_kick_client_by_clientid(s->client_id, true);
    }
}

static int on_tick(int event, void *event_data, void *user)
{
    (void)event, (void)event_data, (void)user;
    registry_read();
    gcp_sessions_each(look_after);
    hub_record_flush(bridge.record);
    return MOSQ_ERR_SUCCESS;
}

/* --- the plugin's entry points ---------------------------------------------------------------------------- */

static bool read_options(const struct mosquitto_opt *options, int count, const char **ret_record)
{
    const char *skew = "600";
    const struct broker_option known[] = {{"registry", &bridge.registry_path},
                                          {"record", ret_record},
                                          {"name", &bridge.name},
                                          {"service_password", &bridge.service_password},
                                          {"skew", &skew}};
    if (!broker_options_read("gcp_rules", options, count, known, sizeof known / sizeof known[0])) {
        return false;
    }
    bridge.skew_s = strtoll(skew, NULL, 10);
    return bridge.registry_path && *ret_record && bridge.name &&
           sscanf(bridge.name, "projects/%128[^/]/", bridge.project) == 1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options,
                          int option_count)
{
    static const struct broker_handler handlers[] = {{MOSQ_EVT_BASIC_AUTH, on_login},
                                                     {MOSQ_EVT_DISCONNECT, on_disconnect},
                                                     {MOSQ_EVT_ACL_CHECK, on_acl},
                                                     {MOSQ_EVT_MESSAGE, on_message},
                                                     {MOSQ_EVT_TICK, on_tick}};
    const char *record = NULL;
    (void)userdata;
    bridge.id = identifier;
    if (!read_options(options, option_count, &record)) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "gcp_rules: options registry, record and name are needed");
        return MOSQ_ERR_INVAL;
    }
    registry_read();
    if (!bridge.registry || !hub_record_open(&bridge.record, record)) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "gcp_rules: cannot open %s or %s", bridge.registry_path, record);
        return MOSQ_ERR_INVAL;
    }
    int rc = broker_handlers_register(bridge.id, handlers, sizeof handlers / sizeof handlers[0]);
    if (rc != MOSQ_ERR_SUCCESS) {
        return rc;
    }
    note("start", "", "");
    hub_record_flush(bridge.record);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    (void)userdata, (void)options, (void)option_count;
    gcp_session_free_all();
    json_decref(bridge.registry);
    bridge.registry = NULL;
    if (bridge.record) {
        (void)fclose(bridge.record);
        bridge.record = NULL;
    }
    return MOSQ_ERR_SUCCESS;
}
