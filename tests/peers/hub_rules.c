/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_rules - a mosquitto plugin (API v5) that makes the broker enforce what Azure IoT Hub enforces.
 *
 * mosquitto.conf of such a hub (tests/scenario/hub.py writes it):
 *
 *     max_qos 1                          # QoS 2: PUBLISH closes, SUBSCRIBE is granted 1
 *     max_queued_messages 50             # cloud-to-device messages waiting for a device
 *     plugin …/hub_rules.so
 *     plugin_opt_registry …/registry     # hub_registry.h; read again when the file changes
 *     plugin_opt_record …/record.jsonl   # hub_record.h
 *     plugin_opt_hosts localhost         # the hub's names, comma-separated
 *     plugin_opt_service_password …      # of user "service"; without it there is no service client
 *     plugin_opt_keepalive_cap 1767      # seconds
 *
 * A client that logs in as "service" may subscribe to anything and publish to
 * devices/{id}/messages/devicebound/{bag}, and with to/{id}/{topic} it says {topic} to one device that
 * listens to it (methods, twins).
 *
 * A refused login is answered with CONNACK 5; every other offence ends the connection, and the record says
 * why. Not seen from a plugin: PINGREQ (so the keepalive cap counts from the last message of a client that
 * asked for more or for none), the DUP flag, and a Will when it is published.
 */
#include "tests/peers/hub_record.h"
#include "tests/peers/hub_registry.h"
#include "tests/peers/hub_sas.h"
#include "tests/peers/hub_tls.h"
#include "tests/peers/hub_topics.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define BUCKETS 4096
#define SERVICE "service"
#define REFUSE  MOSQ_ERR_AUTH /* CONNACK 5 at login; from any other event: the client is disconnected */

struct session {
    struct session *next; /* in its bucket */
    char name[272];
    struct mosquitto *client; /* NULL while away; kept for its filters, which outlive a connection */
    bool service;
    unsigned filters; /* a bit for each documented filter it holds */
    int64_t expires;  /* Unix seconds; 0 = never (X.509) */
    int keepalive;
    int64_t heard_at; /* monotonic seconds */
    char why_closed[128];
};

static struct {
    mosquitto_plugin_id_t *id;
    struct hub_registry registry;
    struct stat registry_stat;
    const char *registry_path, *hosts, *service_password;
    FILE *record;
    int64_t keepalive_cap, checked_at;
    struct session *sessions[BUCKETS];
} hub;

static int64_t seconds(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return now.tv_sec;
}

static size_t bucket_of(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    }
    return hash % BUCKETS;
}

static struct session *session_named(const char *name)
{
    struct session *s = name ? hub.sessions[bucket_of(name)] : NULL;
    while (s && strcmp(s->name, name) != 0) {
        s = s->next;
    }
    return s;
}

/* The session that this connection owns; NULL for one that was taken over or never logged in. */
static struct session *session_of(struct mosquitto *client)
{
    struct session *s = session_named(mosquitto_client_id(client));
    return s && s->client == client ? s : NULL;
}

static int close_with(struct session *s, const char *why)
{
    snprintf(s->why_closed, sizeof s->why_closed, "%s", why);
    hub_record_event(hub.record, "closed", s->name, why);
    return REFUSE;
}

static bool registry_read(void)
{
    char why[512] = "the registry cannot be read";
    struct stat now;
    if (stat(hub.registry_path, &now) == 0 &&
        hub_registry_load(&hub.registry, hub.registry_path, why, sizeof why)) {
        hub.registry_stat = now;
        return true;
    }
    mosquitto_log_printf(MOSQ_LOG_ERR, "hub_rules: %s", why);
    return false;
}

static bool registry_changed(void)
{
    struct stat now;
    return stat(hub.registry_path, &now) == 0 &&
           (now.st_ino != hub.registry_stat.st_ino || now.st_size != hub.registry_stat.st_size ||
            now.st_mtim.tv_sec != hub.registry_stat.st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != hub.registry_stat.st_mtim.tv_nsec);
}

/* --- login ------------------------------------------------------------------------------------ */

static bool any_key_signed(const struct hub_sas *sas, const struct hub_identity *identity)
{
    char keys[sizeof identity->secret];
    char *rest = NULL;
    memcpy(keys, identity->secret, sizeof keys);
    for (char *key = strtok_r(keys, ",", &rest); key; key = strtok_r(NULL, ",", &rest)) {
        if (hub_sas_verify(sas, key)) {
            return true;
        }
    }
    return false;
}

static bool covered(const struct hub_sas *sas, const char *name)
{
    char host[256], resource[HUB_SAS_FIELD_MAX];
    for (const char *p = hub.hosts; *p;) {
        size_t n = strcspn(p, ",");
        snprintf(host, sizeof host, "%.*s", (int)n, p);
        if (hub_resource(host, name, resource, sizeof resource) && hub_sas_covers(sas, resource)) {
            return true;
        }
        p += n + (p[n] == ',');
    }
    return false;
}

static const char *check_token(const struct hub_identity *identity, const char *name, const char *password,
                               int64_t *ret_expires)
{
    struct hub_sas sas;
    const char *why = hub_sas_parse(password, &sas);
    if (why) {
        return why;
    }
    if (sas.policy[0]) { /* a policy's key signs for any identity; the resource is still this one's */
        char policy[sizeof sas.policy + 8];
        snprintf(policy, sizeof policy, "policy:%s", sas.policy);
        identity = hub_registry_find(&hub.registry, policy);
        if (!identity || !identity->enabled || identity->auth != HUB_AUTH_SAS) {
            return "token: no such policy";
        }
    }
    if (!covered(&sas, name)) {
        return "token: sr does not cover this identity";
    }
    if (!any_key_signed(&sas, identity)) {
        return "token: signed with another key";
    }
    if (sas.expiry <= seconds(CLOCK_REALTIME)) {
        return "token: expired";
    }
    *ret_expires = sas.expiry;
    return NULL;
}

static void hex_of(const uint8_t *bytes, size_t len, char *dst)
{
    for (size_t i = 0; i < len; i++) {
        snprintf(dst + 2 * i, 3, "%02x", bytes[i]);
    }
}

static const char *check_thumbprint(const struct hub_identity *identity, X509 *leaf)
{
    const EVP_MD *const digests[] = {EVP_sha1(), EVP_sha256()};
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        uint8_t digest[EVP_MAX_MD_SIZE];
        char hex[2 * EVP_MAX_MD_SIZE + 1];
        unsigned len = 0;
        if (X509_digest(leaf, digests[i], digest, &len)) {
            hex_of(digest, len, hex);
            if (hub_identity_lists(identity, hex)) {
                return NULL;
            }
        }
    }
    return "x509: the certificate's thumbprint is not registered";
}

static const char *check_ca_signed(X509 *leaf, const char *name)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char cn[272];
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, cn, (int)sizeof cn);
    if (n <= 0 || strlen(cn) != (size_t)n || strcmp(cn, name) != 0) {
        return "x509: the common name is not the client id";
    }
    return X509_digest(leaf, EVP_sha256(), digest, &len) ? hub_tls_chain_problem(digest) : "x509: no digest";
}

static const char *check_certificate(const struct hub_identity *identity, struct mosquitto *client)
{
    X509 *leaf = mosquitto_client_certificate(client);
    if (!leaf) {
        return "x509: no certificate was presented";
    }
    const char *why = X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0 ||
                              X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0
                          ? "x509: outside its validity"
                      : identity->auth == HUB_AUTH_X509_THUMBPRINT ? check_thumbprint(identity, leaf)
                                                                   : check_ca_signed(leaf, identity->id);
    X509_free(leaf);
    return why;
}

static const char *check_device(const struct mosquitto_evt_basic_auth *e, const char *name,
                                int64_t *ret_expires, const char **ret_how)
{
    const struct hub_identity *identity = hub_registry_find(&hub.registry, name);
    if (!hub_name_valid(name)) {
        return "client id: characters or length";
    }
    if (!identity || !identity->enabled) {
        return identity ? "identity: disabled" : "identity: unknown";
    }
    const char *why = hub_username_check(e->username, name, hub.hosts);
    if (why) {
        return why;
    }
    bool token = e->password && e->password[0];
    if (token != (identity->auth == HUB_AUTH_SAS)) {
        return token ? "identity: registered for X.509, came with a token" : "identity: came without a token";
    }
    *ret_how = token ? "sas" : "x509";
    return token ? check_token(identity, name, e->password, ret_expires)
                 : check_certificate(identity, e->client);
}

static struct session *session_begin(struct mosquitto *client, const char *name)
{
    struct session *s = session_named(name);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s) {
            return NULL;
        }
        size_t bucket = bucket_of(name);
        snprintf(s->name, sizeof s->name, "%s", name);
        s->next = hub.sessions[bucket];
        hub.sessions[bucket] = s;
    }
    if (mosquitto_client_clean_session(client)) {
        s->filters = 0;
    }
    s->client = client;
    s->keepalive = mosquitto_client_keepalive(client);
    s->heard_at = seconds(CLOCK_MONOTONIC);
    s->expires = 0;
    s->service = false;
    s->why_closed[0] = '\0';
    return s;
}

static int on_login(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_basic_auth *e = event_data;
    const char *name = mosquitto_client_id(e->client);
    bool service = e->username && strcmp(e->username, SERVICE) == 0;
    int64_t expires = 0;
    const char *why = NULL, *how = SERVICE;

    if (!name || !e->username) {
        return REFUSE;
    }
    if (registry_changed()) {
        (void)registry_read();
    }
    if (service) {
        why = hub.service_password && e->password && strcmp(e->password, hub.service_password) == 0
                  ? NULL
                  : "service: wrong password";
    } else {
        why = check_device(e, name, &expires, &how);
    }
    struct session *s = why ? NULL : session_begin(e->client, name);
    hub_record_event(hub.record, s ? "connect" : "refused", name, why ? why : how);
    if (!s) {
        return REFUSE;
    }
    s->service = service;
    s->expires = expires;
    return MOSQ_ERR_SUCCESS;
}

static int on_disconnect(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_disconnect *e = event_data;
    const char *name = mosquitto_client_id(e->client);
    struct session *s = session_named(name);
    if (!s) {
        return MOSQ_ERR_SUCCESS;
    }
    if (s->client != e->client) {
        hub_record_event(hub.record, "disconnect", name, "another connection of this identity took over");
        return MOSQ_ERR_SUCCESS;
    }
    s->client = NULL;
    hub_record_event(hub.record, "disconnect", name, s->why_closed[0] ? s->why_closed : "connection ended");
    return MOSQ_ERR_SUCCESS;
}

/* --- what it may say and hear ------------------------------------------------------------------- */

static int subscribe(struct session *s, const char *filter)
{
    int index = hub_filter_index(s->name, filter);
    if (index < 0) {
        return close_with(s, "subscribe: not a documented filter of this identity");
    }
    unsigned filters = s->filters | 1u << index;
    if (__builtin_popcount(filters) > HUB_SUBSCRIPTIONS) {
        return close_with(s, "subscribe: more than 5 subscriptions");
    }
    s->filters = filters;
    hub_record_event(hub.record, "subscribe", s->name, filter);
    return MOSQ_ERR_SUCCESS;
}

static int unsubscribe(struct session *s, const char *filter)
{
    int index = hub_filter_index(s->name, filter);
    if (index >= 0) {
        s->filters &= ~(1u << index);
    }
    return MOSQ_ERR_SUCCESS;
}

static int device_publish(struct session *s, const char *topic, size_t payload_len)
{
    size_t property_bytes;
    bool telemetry;
    const char *why = hub_publish_check(s->name, topic, &property_bytes, &telemetry);
    if (why) {
        return close_with(s, why);
    }
    if (telemetry && payload_len + property_bytes > HUB_MESSAGE_MAX) {
        return close_with(s, "publish: more than 256 KB");
    }
    return MOSQ_ERR_SUCCESS;
}

static int on_acl(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_acl_check *e = event_data;
    /* What a device hears is asked while it is away too: mosquitto queues for its session. */
    bool hears = e->access == MOSQ_ACL_READ;
    struct session *s = hears ? session_named(mosquitto_client_id(e->client)) : session_of(e->client);
    if (!s) {
        return MOSQ_ERR_ACL_DENIED;
    }
    s->heard_at = hears ? s->heard_at : seconds(CLOCK_MONOTONIC);
    if (s->service) {
        return MOSQ_ERR_SUCCESS;
    }
    switch (e->access) {
    case MOSQ_ACL_WRITE:
        return device_publish(s, e->topic, e->payloadlen);
    case MOSQ_ACL_SUBSCRIBE:
        return subscribe(s, e->topic);
    case MOSQ_ACL_UNSUBSCRIBE:
        return unsubscribe(s, e->topic);
    default: /* what was published under $iothub/… is another device's: this one is spoken to with to/{id}/…
              */
        return strncmp(e->topic, "devices/", 8) == 0 && hub_topic_heard(s->name, s->filters, e->topic)
                   ? MOSQ_ERR_SUCCESS
                   : MOSQ_ERR_ACL_DENIED;
    }
}

/* to/{device}/{topic}: to that device alone, when it listens. */
static int say_to_device(const struct mosquitto_evt_message *e)
{
    char name[272];
    const char *begin = e->topic + strlen("to/"), *end = strchr(begin, '/');
    if (!end || (size_t)(end - begin) >= sizeof name) {
        return MOSQ_ERR_SUCCESS;
    }
    snprintf(name, sizeof name, "%.*s", (int)(end - begin), begin);
    const struct session *s = session_named(name);
    if (s && s->client && hub_topic_heard(name, s->filters, end + 1)) {
        return mosquitto_broker_publish_copy(name, end + 1, (int)e->payloadlen, e->payload, 0, false, NULL);
    }
    hub_record_event(hub.record, "unheard", name, end + 1);
    return MOSQ_ERR_SUCCESS;
}

static int service_publish(struct session *s, const struct mosquitto_evt_message *e)
{
    char device[272];
    if (strncmp(e->topic, "to/", 3) == 0) {
        return say_to_device(e);
    }
    if (!hub_devicebound(e->topic, device, sizeof device) || e->payloadlen > HUB_C2D_MAX) {
        return close_with(s, "service: no device-bound topic, or more than 64 KB");
    }
    hub_record_event(hub.record, "c2d", device, e->topic);
    return MOSQ_ERR_SUCCESS;
}

static int on_message(int event, void *event_data, void *user)
{
    (void)event, (void)user;
    struct mosquitto_evt_message *e = event_data;
    struct session *s = session_of(e->client);
    if (!s) {
        return REFUSE;
    }
    if (s->service) {
        return service_publish(s, e);
    }
    hub_record_publish(hub.record, s->name, e->topic, e->qos, e->retain, e->payload, e->payloadlen);
    e->retain = false; /* the hub stores nothing */
    return MOSQ_ERR_SUCCESS;
}

/* --- time --------------------------------------------------------------------------------------- */

static const char *overdue(const struct session *s, int64_t wall, int64_t monotonic)
{
    const struct hub_identity *identity = hub_registry_find(&hub.registry, s->name);
    if (!identity || !identity->enabled) {
        return "identity: removed or disabled";
    }
    if (s->expires != 0 && s->expires <= wall) {
        return "token: expired";
    }
    bool too_long = s->keepalive == 0 || s->keepalive * 3 / 2 > hub.keepalive_cap;
    return too_long && monotonic - s->heard_at > hub.keepalive_cap ? "keepalive: nothing heard for too long"
                                                                   : NULL;
}

static int on_tick(int event, void *event_data, void *user)
{
    (void)event, (void)event_data, (void)user;
    int64_t monotonic = seconds(CLOCK_MONOTONIC), wall = seconds(CLOCK_REALTIME);
    hub_record_flush(hub.record);
    if (monotonic == hub.checked_at) {
        return MOSQ_ERR_SUCCESS;
    }
    hub.checked_at = monotonic;
    if (registry_changed()) {
        (void)registry_read();
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct session *s = hub.sessions[i]; s; s = s->next) {
            const char *why = s->client && !s->service ? overdue(s, wall, monotonic) : NULL;
            if (why) {
                (void)close_with(s, why);
                (void)mosquitto_kick_client_by_clientid(s->name, true);
            }
        }
    }
    hub_record_flush(hub.record);
    return MOSQ_ERR_SUCCESS;
}

/* --- the plugin's three entry points ------------------------------------------------------------- */

static bool read_options(const struct mosquitto_opt *options, int count, const char **ret_record)
{
    hub.keepalive_cap = HUB_KEEPALIVE_CAP_S;
    hub.hosts = "localhost";
    for (int i = 0; i < count; i++) {
        const char *key = options[i].key, *value = options[i].value;
        if (strcmp(key, "registry") == 0) {
            hub.registry_path = value;
        } else if (strcmp(key, "record") == 0) {
            *ret_record = value;
        } else if (strcmp(key, "hosts") == 0) {
            hub.hosts = value;
        } else if (strcmp(key, "service_password") == 0) {
            hub.service_password = value;
        } else if (strcmp(key, "keepalive_cap") == 0) {
            hub.keepalive_cap = strtoll(value, NULL, 10);
        } else {
            mosquitto_log_printf(MOSQ_LOG_ERR, "hub_rules: unknown option %s", key);
            return false;
        }
    }
    return hub.registry_path && *ret_record && hub.keepalive_cap > 0;
}

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++) {
        if (supported_versions[i] == 5) {
            return 5;
        }
    }
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options,
                          int option_count)
{
    static const struct {
        int event;
        MOSQ_FUNC_generic_callback callback;
    } handlers[] = {{MOSQ_EVT_BASIC_AUTH, on_login},
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
    if (!registry_read() || !hub_record_open(&hub.record, record)) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "hub_rules: cannot open %s or %s", hub.registry_path, record);
        return MOSQ_ERR_INVAL;
    }
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        int rc = mosquitto_callback_register(hub.id, handlers[i].event, handlers[i].callback, NULL, NULL);
        if (rc != MOSQ_ERR_SUCCESS) {
            return rc;
        }
    }
    hub_record_event(hub.record, "start", "", "");
    hub_record_flush(hub.record);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    (void)userdata, (void)options, (void)option_count;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (hub.sessions[i]) {
            struct session *s = hub.sessions[i];
            hub.sessions[i] = s->next;
            free(s);
        }
    }
    hub_registry_free(&hub.registry);
    if (hub.record) {
        (void)fclose(hub.record);
        hub.record = NULL;
    }
    return MOSQ_ERR_SUCCESS;
}
