/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_rules - a mosquitto plugin (API v5) that makes the broker enforce what Azure IoT Hub enforces, or the
 * provisioning service, or another cloud that a test describes.
 *
 * mosquitto.conf of such a hub (tests/scenario/hub.py writes it):
 *
 *     max_qos 1                          # QoS 2: PUBLISH closes, SUBSCRIBE is granted 1
 *     max_queued_messages 50             # cloud-to-device messages waiting for a device
 *     plugin …/hub_rules.so
 *     plugin_opt_registry …/registry     # hub_registry.h; read again when the file changes
 *     plugin_opt_record …/record.jsonl   # hub_record.h
 *     plugin_opt_rules hub               # hub, dps or open (hub_login.h)
 *     plugin_opt_hosts localhost         # rules hub: the hub's names, comma-separated
 *     plugin_opt_id_scope 0ne00000001    # rules dps
 *     plugin_opt_judge …/judge.sock      # rules open: who decides about logins (hub_judge.h)
 *     plugin_opt_publish devices/%c/+,…  # rules open: topics that a client may publish to, as filters; %c is its
 *                                        # client id, %d what follows the last slash of it. Default: #
 *     plugin_opt_subscribe …             # rules open: topics under which it may subscribe, likewise
 *     plugin_opt_deny_subscribe on       # a filter that is not allowed is answered 0x80 instead of ending the connection
 *     plugin_opt_subscriptions 50        # how many filters a session may hold; 5 at the hub
 *     plugin_opt_forward $aws/,…         # prefixes of topics that are for the service alone; default: what starts
 *                                        # with $iothub/ (hub), $dps/ (dps), none (open)
 *     plugin_opt_service_password …      # of user "service"; without it there is no service client
 *     plugin_opt_keepalive_cap 1767      # seconds
 *
 * A client that logs in as "service" is the cloud's side. It may subscribe to anything, and
 *
 *     hears  from/{client}/{topic}       what a client published under a forwarded prefix; nobody else hears it
 *     hears  event/{client}/{what}       connect, disconnect, subscribe, unsubscribe, unheard; payload: how, why, the filter
 *     says   to/{client}/{topic}         to that client alone, if it is there and has subscribed; with the lower of
 *                                        the two QoS. The record says "told" or "unheard".
 *     says   lever/{client}/{what}       see hub_levers.h
 *     says   devices/{id}/messages/devicebound/{bag}     rules hub; with the open rules any topic
 *
 * {client} is a client id with % / + # written %25 %2F %2B %23.
 *
 * A refused login is answered with CONNACK 5; every other offence ends the connection, and the record says
 * why. Not seen from a plugin: PINGREQ (so the keepalive cap counts from the last message of a client that
 * asked for more or for none), the DUP flag, and a Will when it is published.
 */
#include "tests/peers/broker_plugin.h"
#include "tests/peers/hub_levers.h"
#include "tests/peers/hub_login.h"
#include "tests/peers/hub_patterns.h"
#include "tests/peers/hub_record.h"
#include "tests/peers/hub_session.h"
#include "tests/peers/hub_tls.h"
#include "tests/peers/hub_topics.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVICE    "service"
#define REFUSE     MOSQ_ERR_AUTH /* CONNACK 5 at login; from any other event: the client is disconnected */
#define SWALLOW    MOSQ_ERR_ACL_DENIED /* from a message event: acknowledged, and passed on to nobody */
#define TOPIC_MAX  1536
#define CLIENT_MAX 512

static struct {
    mosquitto_plugin_id_t *id;
    struct hub_login login;
    const char *service_password, *forward, *may_publish, *may_subscribe, *deny_subscribe;
    FILE *record;
    int64_t keepalive_cap, checked_at;
    size_t subscriptions;
    bool quota_due; /* somebody's quota is 0 */
} hub;

static int64_t seconds(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return now.tv_sec;
}

/* The session that this connection owns; NULL for one that was taken over or never logged in. */
static struct hub_session *session_of(struct mosquitto *client)
{
    struct hub_session *s = hub_session_find(mosquitto_client_id(client));
    return s && s->client == client ? s : NULL;
}

static int close_with(struct hub_session *s, const char *why)
{
    snprintf(s->why_closed, sizeof s->why_closed, "%s", why);
    hub_record_event(hub.record, "closed", s->name, why);
    return REFUSE;
}

/* root/{client}/{topic}, for the service. */
static int tell_service(const char *root, const char *name, const char *topic, const void *payload,
                        size_t len)
{
    char client[CLIENT_MAX], full[TOPIC_MAX];
    if (!hub_level_encode(name, client, sizeof client)) {
        return MOSQ_ERR_INVAL;
    }
    int n = snprintf(full, sizeof full, "%s/%s/%s", root, client, topic);
    return n < 0 || (size_t)n >= sizeof full
               ? MOSQ_ERR_INVAL
               : mosquitto_broker_publish_copy(NULL, full, (int)len, payload, 1, false, NULL);
}

static void note(const char *event, const char *name, const char *reason)
{
    hub_record_event(hub.record, event, name, reason);
    (void)tell_service("event", name, event, reason, strlen(reason));
}

static bool registry_refresh(void)
{
    char why[512];
    bool ok = hub_login_refresh(&hub.login, why, sizeof why);
    if (!ok) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "hub_rules: %s", why);
    }
    return ok;
}

/* --- login ------------------------------------------------------------------------------------ */

static struct hub_session *session_begin(struct mosquitto *client, const char *name)
{
    struct hub_session *s = hub_session_get(name);
    if (!s) {
        return NULL;
    }
    if (mosquitto_client_clean_session(client)) {
        hub_session_forget_filters(s);
    }
    s->client = client;
    s->keepalive = mosquitto_client_keepalive(client);
    s->heard_at = seconds(CLOCK_MONOTONIC);
    s->expires = 0;
    s->quota = hub_lever_number(name, "quota", -1);
    hub.quota_due |= s->quota == 0;
    s->service = false;
    s->why_closed[0] = '\0';
    return s;
}

static const char *check_login(const struct mosquitto_evt_basic_auth *e, const char *name, bool service,
                               int64_t *ret_expires, const char **ret_how)
{
    if (service) {
        *ret_how = SERVICE;
        return hub.service_password && e->password && strcmp(e->password, hub.service_password) == 0
                   ? NULL
                   : "service: wrong password";
    }
    const char *why = hub_lever(name, "refuse");
    return why ? why : hub_login_check(&hub.login, e, ret_expires, ret_how);
}

static int on_login(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_basic_auth *e = event_data;
    const char *name = mosquitto_client_id(e->client);
    bool service = e->username && strcmp(e->username, SERVICE) == 0;
    int64_t expires = 0;
    const char *how = "";

    if (!name) {
        return REFUSE;
    }
    (void)registry_refresh();
    const char *why = check_login(e, name, service, &expires, &how);
    struct hub_session *s = why ? NULL : session_begin(e->client, name);
    if (!s) {
        hub_record_event(hub.record, "refused", name, why ? why : "no memory");
        return REFUSE;
    }
    s->service = service;
    s->expires = expires;
    note("connect", name, how);
    return MOSQ_ERR_SUCCESS;
}

static int on_disconnect(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_disconnect *e = event_data;
    const char *name = mosquitto_client_id(e->client);
    struct hub_session *s = hub_session_find(name);
    if (!s) {
        return MOSQ_ERR_SUCCESS;
    }
    if (s->client != e->client) {
        hub_record_event(hub.record, "disconnect", name, "another connection of this identity took over");
        return MOSQ_ERR_SUCCESS;
    }
    s->client = NULL;
    note("disconnect", name, s->why_closed[0] ? s->why_closed : "connection ended");
    return MOSQ_ERR_SUCCESS;
}

/* --- what it may say and hear ------------------------------------------------------------------- */

static bool may_subscribe(const struct hub_session *s, const char *filter)
{
    switch (hub.login.rules) {
    case HUB_RULES_HUB:
        return hub_filter_documented(s->name, filter);
    case HUB_RULES_DPS:
        return strcmp(filter, DPS_FILTER) == 0;
    default:
        return hub_pattern_allows(hub.may_subscribe, s->name, filter);
    }
}

static int subscribe(struct hub_session *s, const char *filter, int qos)
{
    if (!may_subscribe(s, filter)) {
        if (hub.deny_subscribe) {
            hub_record_event(hub.record, "denied", s->name, filter);
            return MOSQ_ERR_ACL_DENIED;
        }
        return close_with(s, "subscribe: not a documented filter of this identity");
    }
    if (!hub_session_subscribe(s, filter, qos) || s->filter_count > hub.subscriptions) {
        char why[64];
        snprintf(why, sizeof why, "subscribe: more than %zu subscriptions", hub.subscriptions);
        return close_with(s, why);
    }
    note("subscribe", s->name, filter);
    return MOSQ_ERR_SUCCESS;
}

static int unsubscribe(struct hub_session *s, const char *filter)
{
    hub_session_unsubscribe(s, filter);
    note("unsubscribe", s->name, filter);
    return MOSQ_ERR_SUCCESS;
}

static const char *publish_problem(const struct hub_session *s, const char *topic, size_t payload_len)
{
    size_t property_bytes;
    bool telemetry;
    if (hub.login.rules == HUB_RULES_DPS) {
        return dps_publish_check(topic);
    }
    if (hub.login.rules == HUB_RULES_OPEN) {
        return hub_pattern_allows(hub.may_publish, s->name, topic) ? NULL
                                                                   : "publish: not a topic of this identity";
    }
    const char *why = hub_publish_check(s->name, topic, &property_bytes, &telemetry);
    return why || !telemetry || payload_len + property_bytes <= HUB_MESSAGE_MAX ? why
                                                                                : "publish: more than 256 KB";
}

/* What was published under $iothub/… is another device's: a device is spoken to with to/{client}/…, which asks
 * nobody. */
static bool may_hear(const struct hub_session *s, const char *topic)
{
    static const char *const service_only[] = {"from/", "event/", "to/", "lever/"};
    for (size_t i = 0; i < sizeof service_only / sizeof service_only[0]; i++) {
        if (strncmp(topic, service_only[i], strlen(service_only[i])) == 0) {
            return false;
        }
    }
    return (hub.login.rules == HUB_RULES_OPEN || strncmp(topic, "devices/", 8) == 0) &&
           hub_session_hears(s, topic) >= 0;
}

static int on_acl(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_acl_check *e = event_data;
    /* What a device hears is asked while it is away too: mosquitto queues for its session. */
    bool hears = e->access == MOSQ_ACL_READ;
    struct hub_session *s = hears ? hub_session_find(mosquitto_client_id(e->client)) : session_of(e->client);
    if (!s) {
        return MOSQ_ERR_ACL_DENIED;
    }
    s->heard_at = hears ? s->heard_at : seconds(CLOCK_MONOTONIC);
    if (s->service) {
        return MOSQ_ERR_SUCCESS;
    }
    const char *why;
    switch (e->access) {
    case MOSQ_ACL_WRITE:
        why = publish_problem(s, e->topic, e->payloadlen);
        return why ? close_with(s, why) : MOSQ_ERR_SUCCESS;
    case MOSQ_ACL_SUBSCRIBE:
        return subscribe(s, e->topic, e->qos);
    case MOSQ_ACL_UNSUBSCRIBE:
        return unsubscribe(s, e->topic);
    default:
        return may_hear(s, e->topic) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
    }
}

/* root/{client}/{rest}: the parts; false when it is not such a topic. */
static bool addressed(const char *topic, const char *root, char *client, const char **ret_rest)
{
    size_t len = strlen(root);
    const char *begin = topic + len, *end = strncmp(topic, root, len) == 0 ? strchr(begin, '/') : NULL;
    if (!end || !hub_level_decode(begin, (size_t)(end - begin), client, CLIENT_MAX)) {
        return false;
    }
    *ret_rest = end + 1;
    return true;
}

static int say_to_device(const struct mosquitto_evt_message *e, const char *client, const char *topic)
{
    const struct hub_session *s = hub_session_find(client);
    int granted = s && s->client ? hub_session_hears(s, topic) : -1;
    if (granted < 0) {
        note("unheard", client, topic);
        return SWALLOW;
    }
    int qos = e->qos < granted ? e->qos : granted;
    hub_record_message(hub.record, "told", client, topic, qos, false, e->payload, e->payloadlen);
    (void)mosquitto_broker_publish_copy(client, topic, (int)e->payloadlen, e->payload, qos, false, NULL);
    return SWALLOW;
}

static void kick(struct hub_session *s, const char *why)
{
    (void)close_with(s, why);
    (void)mosquitto_kick_client_by_clientid(s->name, true);
}

struct pull {
    const char *client, *what, *value;
};

static void pull_one(struct hub_session *s, void *user)
{
    const struct pull *pull = user;
    if (!s->client || s->service || (strcmp(pull->client, "*") != 0 && strcmp(pull->client, s->name) != 0)) {
        return;
    }
    if (strcmp(pull->what, "kick") == 0) {
        kick(s, pull->value[0] ? pull->value : "service: kicked");
    } else if (strcmp(pull->what, "quota") == 0) {
        s->quota = hub_lever_number(s->name, "quota", -1);
        hub.quota_due |= s->quota == 0;
    }
}

static int pull_lever(struct hub_session *service, const struct mosquitto_evt_message *e, const char *client,
                      const char *what)
{
    static const char *const known[] = {"refuse", "quota", "kick", "slow"};
    char value[128];
    size_t i = 0, levers = sizeof known / sizeof known[0];
    while (i < levers && strcmp(known[i], what) != 0) {
        i++;
    }
    snprintf(value, sizeof value, "%.*s", (int)e->payloadlen, e->payload ? (const char *)e->payload : "");
    if (i == levers || (strcmp(what, "kick") != 0 && !hub_lever_set(client, what, value, strlen(value)))) {
        return close_with(service, "service: no such lever");
    }
    struct pull pull = {client, what, value};
    hub_session_each(pull_one, &pull);
    return SWALLOW;
}

static int service_publish(struct hub_session *s, const struct mosquitto_evt_message *e)
{
    char client[CLIENT_MAX];
    const char *rest;
    if (addressed(e->topic, "to/", client, &rest)) {
        return say_to_device(e, client, rest);
    }
    if (addressed(e->topic, "lever/", client, &rest)) {
        return pull_lever(s, e, client, rest);
    }
    if (hub.login.rules == HUB_RULES_OPEN) {
        return MOSQ_ERR_SUCCESS;
    }
    if (!hub_devicebound(e->topic, client, sizeof client) || e->payloadlen > HUB_C2D_MAX) {
        return close_with(s, "service: no device-bound topic, or more than 64 KB");
    }
    hub_record_event(hub.record, "c2d", client, e->topic);
    return MOSQ_ERR_SUCCESS;
}

static bool for_the_service(const char *topic)
{
    for (const char *p = hub.forward; *p;) {
        size_t n = strcspn(p, ",");
        if (n > 0 && strncmp(topic, p, n) == 0) {
            return true;
        }
        p += n + (p[n] == ',');
    }
    return false;
}

static int device_publish(struct hub_session *s, struct mosquitto_evt_message *e)
{
    long long slow_ms = hub_lever_number("*", "slow", 0);
    if (slow_ms > 0) {
        struct timespec pause = {slow_ms / 1000, slow_ms % 1000 * 1000000};
        (void)nanosleep(&pause, NULL);
    }
    if (s->quota > 0 && --s->quota == 0) {
        return close_with(s, "quota: used up");
    }
    hub_record_message(hub.record, "publish", s->name, e->topic, e->qos, e->retain, e->payload,
                       e->payloadlen);
    if (for_the_service(e->topic)) {
        int rc = tell_service("from", s->name, e->topic, e->payload, e->payloadlen);
        return rc == MOSQ_ERR_SUCCESS ? SWALLOW : close_with(s, "publish: the topic is too long");
    }
    e->retain = hub.login.rules == HUB_RULES_OPEN && e->retain; /* the hub stores nothing */
    return MOSQ_ERR_SUCCESS;
}

static int on_message(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_message *e = event_data;
    struct hub_session *s = session_of(e->client);
    if (!s) {
        return REFUSE;
    }
    return s->service ? service_publish(s, e) : device_publish(s, e);
}

/* --- time --------------------------------------------------------------------------------------- */

static const char *overdue(const struct hub_session *s, int64_t wall, int64_t monotonic)
{
    const char *why = hub_login_ended(&hub.login, s->name);
    if (why) {
        return why;
    }
    if (s->expires != 0 && s->expires <= wall) {
        return "token: expired";
    }
    bool too_long = s->keepalive == 0 || s->keepalive * 3 / 2 > hub.keepalive_cap;
    return too_long && monotonic - s->heard_at > hub.keepalive_cap ? "keepalive: nothing heard for too long"
                                                                   : NULL;
}

static void check_quota(struct hub_session *s, void *user)
{
    (void)user;
    if (s->client && !s->service && s->quota == 0) {
        kick(s, "quota: used up");
    }
}

static void check_time(struct hub_session *s, void *user)
{
    (void)user;
    const char *why =
        s->client && !s->service ? overdue(s, seconds(CLOCK_REALTIME), seconds(CLOCK_MONOTONIC)) : NULL;
    if (why) {
        kick(s, why);
    }
}

static int on_tick(int event, void *event_data, void *user)
{
    (void)event, (void)event_data, (void)user;
    int64_t monotonic = seconds(CLOCK_MONOTONIC);
    hub_record_flush(hub.record);
    if (hub.quota_due) {
        hub.quota_due = false;
        hub_session_each(check_quota, NULL);
    }
    if (monotonic == hub.checked_at) {
        return MOSQ_ERR_SUCCESS;
    }
    hub.checked_at = monotonic;
    (void)registry_refresh();
    hub_session_each(check_time, NULL);
    hub_record_flush(hub.record);
    return MOSQ_ERR_SUCCESS;
}

/* --- the plugin's entry points ------------------------------------------------------------- */

static bool read_rules(const char *name)
{
    static const struct {
        const char *name, *forward;
        size_t subscriptions;
    } kinds[] = {[HUB_RULES_HUB] = {"hub", "$iothub/", HUB_SUBSCRIPTIONS},
                 [HUB_RULES_DPS] = {"dps", "$dps/", 1},
                 [HUB_RULES_OPEN] = {"open", "", HUB_FILTERS_MAX}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            hub.login.rules = (enum hub_rules)i;
            hub.forward = hub.forward ? hub.forward : kinds[i].forward;
            hub.subscriptions = hub.subscriptions ? hub.subscriptions : kinds[i].subscriptions;
            return true;
        }
    }
    mosquitto_log_printf(MOSQ_LOG_ERR, "hub_rules: rules %s: expected hub, dps or open", name);
    return false;
}

static bool read_options(const struct mosquitto_opt *options, int count, const char **ret_record)
{
    const char *rules = "hub", *keepalive_cap = NULL, *subscriptions = NULL;
    const struct broker_option known[] = {{"registry", &hub.login.registry_path},
                                          {"record", ret_record},
                                          {"rules", &rules},
                                          {"hosts", &hub.login.hosts},
                                          {"id_scope", &hub.login.id_scope},
                                          {"judge", &hub.login.judge},
                                          {"publish", &hub.may_publish},
                                          {"subscribe", &hub.may_subscribe},
                                          {"deny_subscribe", &hub.deny_subscribe},
                                          {"subscriptions", &subscriptions},
                                          {"forward", &hub.forward},
                                          {"service_password", &hub.service_password},
                                          {"keepalive_cap", &keepalive_cap}};
    hub.login.hosts = "localhost";
    hub.login.id_scope = "0ne00000001";
    hub.may_publish = hub.may_subscribe = "#";
    if (!broker_options_read("hub_rules", options, count, known, sizeof known / sizeof known[0])) {
        return false;
    }
    hub.keepalive_cap = keepalive_cap ? strtoll(keepalive_cap, NULL, 10) : HUB_KEEPALIVE_CAP_S;
    hub.subscriptions = subscriptions ? strtoul(subscriptions, NULL, 10) : 0;
    return read_rules(rules) && hub.login.registry_path && *ret_record && hub.keepalive_cap > 0;
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
    hub.id = identifier;
    if (!hub_tls_preloaded()) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "hub_rules: must be preloaded too, see hub_tls.h");
        return MOSQ_ERR_INVAL;
    }
    if (!read_options(options, option_count, &record)) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "hub_rules: options registry and record are needed");
        return MOSQ_ERR_INVAL;
    }
    if (!registry_refresh() || !hub_record_open(&hub.record, record)) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "hub_rules: no registry, or cannot open %s", record);
        return MOSQ_ERR_INVAL;
    }
    int rc = broker_handlers_register(hub.id, handlers, sizeof handlers / sizeof handlers[0]);
    if (rc != MOSQ_ERR_SUCCESS) {
        return rc;
    }
    hub_record_event(hub.record, "start", "", "");
    hub_record_flush(hub.record);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    (void)userdata, (void)options, (void)option_count;
    hub_session_free_all();
    hub_levers_free();
    hub_registry_free(&hub.login.registry);
    if (hub.record) {
        (void)fclose(hub.record);
        hub.record = NULL;
    }
    return MOSQ_ERR_SUCCESS;
}
