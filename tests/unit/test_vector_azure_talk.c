/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the official device SDKs said to IoT Hub and to the provisioning service, played with our profiles in the SDK's place:
 * the same topics, bodies and order (request ids are everybody's own; the SDK's bodies of one space are its habit).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>

#include "northbound/azure_dps.h"
#include "northbound/azure_hub.h"
#include "northbound/azure_sas.h"
#include "support/host_model.h"
#include "support/talk_rig.h"
#include "support/vectors.h"

#define RID_BYTES 128

static struct talk_rig rig;

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool begins(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* What stands between `from` and the next of `ends`. */
static void cut(const char *s, const char *from, const char *ends, char *ret, size_t size)
{
    const char *p = strstr(s, from);
    size_t n;
    assert_non_null(p);
    p += strlen(from);
    n = strcspn(p, ends);
    assert_true(n < size);
    memcpy(ret, p, n);
    ret[n] = '\0';
}

/* The SDK's request ids and ours, in the order of the requests. */
static struct {
    char theirs[RID_BYTES], ours[RID_BYTES];
} rids[32];
static unsigned rid_count;

static void with_rid(const char *topic, const char *rid, char *ret, size_t size)
{
    const char *p = strstr(topic, "$rid=");
    assert_non_null(p);
    p += 5;
    snprintf(ret, size, "%.*s%s%s", (int)(p - topic), topic, rid, p + strcspn(p, "&"));
}

/* Our next publish must be theirs but for the request id. */
static void expect_request(const char *topic, const char *payload, uint32_t at)
{
    char same[512];
    const char *want = strcmp(payload, " ") == 0 ? "" : payload;
    assert_true(at < rig.publish_count && rid_count < 32);
    cut(topic, "$rid=", "&", rids[rid_count].theirs, RID_BYTES);
    cut(rig.publishes[at].topic, "$rid=", "&", rids[rid_count].ours, RID_BYTES);
    with_rid(topic, rids[rid_count++].ours, same, sizeof same);
    assert_string_equal(rig.publishes[at].topic, same);
    assert_string_equal((const char *)rig.publishes[at].payload, want);
}

static void hear(const char *topic, const char *payload)
{
    char rid[RID_BYTES], ours[512];
    snprintf(ours, sizeof ours, "%s", topic);
    if (strstr(topic, "/res/")) {
        cut(topic, "$rid=", "&", rid, sizeof rid);
        for (unsigned i = 0; i < rid_count; i++)
            if (strcmp(rids[i].theirs, rid) == 0)
                with_rid(topic, rids[i].ours, ours, sizeof ours);
    }
    assert_int_equal(talk_rig_message(&rig, ours, payload), TG_OK);
}

/* --- the hub --- */

static void connection_string(const char *all, const char *key, char *ret, size_t size)
{
    cut(all, key, ";", ret, size);
}

static void check_login(const json_t *root, const json_t *connect, const struct tg_cloud_target *t)
{
    char key64[200];
    uint8_t key[200], scratch[TG_CLOUD_SCRATCH_BYTES];
    word32 key_len = sizeof key;
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_SAS_KEY};
    struct tg_cloud_login login;
    const char *username = text(connect, "username"), *end = strstr(username, "DeviceClientType="),
               *se = strstr(text(connect, "password"), "&se=");
    assert_non_null(end);
    assert_non_null(se);
    connection_string(text(root, "connection_string"), "SharedAccessKey=", key64, sizeof key64);
    assert_int_equal(Base64_Decode((const byte *)key64, (word32)strlen(key64), key, &key_len), 0);
    secret.sas_key = tg_bytes(key, key_len);
    assert_int_equal(tg_azure_hub.login(t, &secret, NULL, strtoll(se + 4, NULL, 10) - 3600, &w, &login, NULL),
                     TG_OK);
    assert_true(tg_bytes_eq_str(login.connect.client_id, text(connect, "clientId")));
    assert_true(login.connect.username.len > (size_t)(end - username));
    assert_memory_equal(login.connect.username.data, username, (size_t)(end - username));
    assert_true(tg_bytes_eq_str(login.connect.password, text(connect, "password")));
}

static bool is_our_filter(const struct tg_cloud_target *t, const char *topic, unsigned qos)
{
    uint8_t memory[TG_CLOUD_SCRATCH_BYTES], granted[TG_MQTT_MAX_FILTERS];
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    int n = rig.type ? rig.type->filters(t, 0, &w, filters, granted)
                     : rig.errand->filters(t, 0, &w, filters, granted);
    for (int i = 0; i < n; i++)
        if (tg_bytes_eq_str(filters[i], topic) && granted[i] == qos)
            return true;
    return false;
}

/* The plain SDK answers a method with any number; ours must give the same for one of a command's ends. */
static void expect_method_answer(const char *topic, const char *payload, uint32_t *used)
{
    static const char *const ends[] = {"ok", "invalid", "busy", "unsupported", "device", "timeout", "error"};
    const struct talk_rig_command *c = &rig.commands[rig.command_count - 1];
    bool found = false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0] && !found; i++) {
        assert_int_equal(
            talk_rig_event(&rig, &(struct tg_cloud_event){.type = TG_CLOUD_ANSWER,
                                                          .reply = tg_bytes(c->reply, c->reply_len),
                                                          .status = ends[i],
                                                          .payload = tg_bytes_str(payload)}),
            TG_OK);
        found = strcmp(rig.publishes[rig.publish_count - 1].topic, topic) == 0;
    }
    assert_true(found);
    assert_string_equal((const char *)rig.publishes[rig.publish_count - 1].payload, payload);
    *used = rig.publish_count;
}

static void sdk_said(const struct tg_cloud_target *t, const json_t *d, uint32_t *used)
{
    const char *topic = text(d, "topic");
    if (strcmp(text(d, "cmd"), "subscribe") == 0) {
        size_t i;
        json_t *s;
        json_array_foreach(json_object_get(d, "subscriptions"), i, s) assert_true(
            is_our_filter(t, text(s, "topic"), (unsigned)json_integer_value(json_object_get(s, "qos"))));
    } else if (strcmp(text(d, "cmd"), "publish") != 0 || begins(topic, "devices/")) {
        return;
    } else if (begins(topic, "$iothub/methods/res/")) {
        expect_method_answer(topic, text(d, "payload"), used);
    } else {
        expect_request(topic, text(d, "payload"), (*used)++);
    }
}

static void hub_said(const json_t *d)
{
    const char *topic = text(d, "topic"), *p;
    uint32_t desired = rig.desired_count, commands = rig.command_count;
    if (strcmp(text(d, "cmd"), "publish") != 0)
        return;
    hear(topic, text(d, "payload"));
    if (begins(topic, "$iothub/twin/PATCH/properties/desired/")) {
        p = strstr(topic, "$version=");
        assert_non_null(p);
        assert_int_equal(rig.desired_count, desired + 1);
        assert_int_equal(rig.desired[desired].version, strtoull(p + 9, NULL, 10));
        assert_false(rig.desired[desired].whole);
        assert_null(strstr(rig.desired[desired].json, "$version"));
    } else if (!strstr(topic, "/res/")) {
        assert_int_equal(rig.command_count, commands + 1);
    }
}

/* What the application reported in the trace, for our side to report it. */
static const char *reported_in(const json_t *packets)
{
    size_t i;
    json_t *packet;
    json_array_foreach(packets, i, packet)
    {
        const json_t *d = json_object_get(packet, "decoded");
        if (begins(text(d, "topic"), "$iothub/twin/PATCH/properties/reported/"))
            return text(d, "payload");
    }
    return NULL;
}

static void come_online(void)
{
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_ONLINE), TG_OK);
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_SUBSCRIBED), TG_OK);
}

static void hub_session_trace(void **state)
{
    json_t *root = tg_vectors_load("cloud/azure_session_trace.json"), *packet;
    const json_t *packets = json_object_get(root, "packets");
    struct tg_settings *s = tg_test_settings(tg_azure_hub.config.options, NULL);
    char hub[300], device[200];
    struct tg_cloud_target t = {.host = hub, .device_id = device, .gateway = "g", .settings = s};
    uint32_t used = 0;
    size_t i;
    (void)state;
    connection_string(text(root, "connection_string"), "HostName=", hub, sizeof hub);
    connection_string(text(root, "connection_string"), "DeviceId=", device, sizeof device);
    talk_rig_init(&rig, &tg_azure_hub, NULL, &t);
    rig.reported = reported_in(packets);
    rid_count = 0;
    json_array_foreach(packets, i, packet)
    {
        const json_t *d = json_object_get(packet, "decoded");
        const char *cmd = text(d, "cmd");
        if (strcmp(cmd, "connect") == 0)
            check_login(root, d, &t);
        else if (strcmp(cmd, "connack") == 0)
            come_online();
        else if (strcmp(text(packet, "dir"), "C>S") == 0)
            sdk_said(&t, d, &used);
        else if (strcmp(text(packet, "dir"), "S>C") == 0)
            hub_said(d);
    }
    assert_int_equal(used, rig.publish_count); /* and we say nothing that the SDK does not */
    assert_true(used > 0);
    print_message("%u publishes, %u commands, %u desired\n", used, rig.command_count, rig.desired_count);
    talk_rig_fini(&rig);
    tg_settings_free(s);
    json_decref(root);
}

/* --- provisioning --- */

static struct tg_settings *dps_hub, *dps_provisioning;
static struct tg_cloud_target dps_target;
static char dps_scope[100], dps_device[200];

static void dps_begin(const char *scope, const char *device, const char *payload)
{
    const char *pairs[] = {"id_scope", dps_scope, payload ? "payload" : NULL, payload, NULL};
    snprintf(dps_scope, sizeof dps_scope, "%s", scope);
    snprintf(dps_device, sizeof dps_device, "%s", device);
    dps_hub = tg_test_settings(tg_azure_hub.config.options, NULL);
    dps_provisioning = tg_test_settings(tg_azure_dps_options, pairs);
    dps_target = (struct tg_cloud_target){
        .device_id = dps_device, .gateway = "g", .settings = dps_hub, .provisioning = dps_provisioning};
    talk_rig_init(&rig, NULL, &tg_azure_dps, &dps_target);
    rig.now_ms = 1000;
    rid_count = 0;
}

static void dps_end(void)
{
    talk_rig_fini(&rig);
    tg_settings_free(dps_hub);
    tg_settings_free(dps_provisioning);
}

static char *payload_in(const json_t *packets, json_int_t conn)
{
    size_t i;
    json_t *packet;
    json_array_foreach(packets, i, packet)
    {
        const json_t *d = json_object_get(packet, "decoded");
        if (json_integer_value(json_object_get(packet, "conn")) == conn &&
            begins(text(d, "topic"), "$dps/registrations/PUT/")) {
            json_t *body = json_loads(text(d, "payload"), 0, NULL);
            char *payload = json_dumps(json_object_get(body, "payload"), JSON_COMPACT);
            json_decref(body);
            return payload;
        }
    }
    return NULL;
}

static void dps_login(const json_t *d)
{
    const char *username = text(d, "username"), *end = strstr(username, "ClientVersion=");
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_SAS_KEY,
                                     .sas_key = tg_bytes_str("0123456789abcdef")};
    struct tg_cloud_login login;
    assert_non_null(end);
    assert_int_equal(tg_azure_dps.login(&dps_target, &secret, 1700000000, &w, &login, NULL), TG_OK);
    assert_true(tg_bytes_eq_str(login.connect.client_id, text(d, "clientId")));
    assert_memory_equal(login.connect.username.data, username, (size_t)(end - username));
    assert_int_equal(login.connect.clean_session, json_is_true(json_object_get(d, "clean")));
}

static void dps_connect(const json_t *d)
{
    char scope[100];
    snprintf(scope, sizeof scope, "%.*s", (int)strcspn(text(d, "username"), "/"), text(d, "username"));
    dps_begin(scope, text(d, "clientId"), NULL);
    dps_login(d);
    dps_end();
}

static void connects(void **state)
{
    json_t *root = tg_vectors_load("cloud/azure_connect_packets.json"), *entry;
    size_t i, done = 0;
    (void)state;
    json_array_foreach(json_object_get(root, "connects"), i, entry)
    {
        const json_t *d = json_object_get(entry, "decoded");
        const char *username = text(d, "username"), *password = text(d, "password"), *model, *end;
        char host[300], dtmi[300];
        const char *pairs[] = {NULL, NULL, NULL};
        struct tg_settings *s;
        struct tg_cloud_secret secret = {.kind = *password ? TG_IDENTITY_SAS_KEY : TG_IDENTITY_X509,
                                         .sas_key = tg_bytes_str("0123456789abcdef")};
        uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
        struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
        struct tg_cloud_login login;
        if (strchr(text(d, "clientId"), '/'))
            continue; /* a module of a device: a gateway's children are devices */
        done++;
        if (strstr(username, "/registrations/")) {
            dps_connect(d);
            continue;
        }
        snprintf(host, sizeof host, "%.*s", (int)strcspn(username, "/"), username);
        model = strstr(username, "&model-id=");
        if (model) {
            cut(username, "&model-id=", "&", dtmi, sizeof dtmi);
            pairs[0] = "model_id";
            pairs[1] = dtmi;
        }
        s = tg_test_settings(tg_azure_hub.config.options, pairs);
        assert_int_equal(
            tg_azure_hub.login(
                &(struct tg_cloud_target){.host = host, .device_id = text(d, "clientId"), .settings = s},
                &secret, NULL, 1700000000, &w, &login, NULL),
            TG_OK);
        end = strstr(username, "DeviceClientType=");
        assert_non_null(end);
        assert_true(login.connect.username.len > (size_t)(end - username));
        assert_memory_equal(login.connect.username.data, username, (size_t)(end - username));
        assert_int_equal(login.connect.password.len > 0, *password != '\0');
        if (*password) {
            const char *sig = strstr(password, "&sig=");
            assert_non_null(sig);
            assert_memory_equal(login.connect.password.data, password, (size_t)(sig - password));
        }
        tg_settings_free(s);
    }
    assert_true(done > 0);
    json_decref(root);
}

/* The SDK says something: what we wait for is over, and we say the same. */
static void dps_sdk_said(const json_t *d, uint32_t *used)
{
    if (strcmp(text(d, "cmd"), "subscribe") == 0) {
        const json_t *s = json_array_get(json_object_get(d, "subscriptions"), 0);
        assert_true(is_our_filter(&dps_target, text(s, "topic"),
                                  (unsigned)json_integer_value(json_object_get(s, "qos"))));
        return;
    }
    if (strcmp(text(d, "cmd"), "publish") != 0)
        return;
    if (*used == rig.publish_count) {
        rig.now_ms = rig.wake_ms;
        assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_WAKE), TG_OK);
    }
    expect_request(text(d, "topic"), text(d, "payload"), *used);
    assert_int_equal(rig.publishes[*used].qos, json_integer_value(json_object_get(d, "qos")));
    (*used)++;
}

static void dps_session_trace(void **state)
{
    json_t *root = tg_vectors_load("cloud/dps_session_trace.json"), *packet;
    const json_t *packets = json_object_get(root, "packets");
    json_int_t conn = 0;
    uint32_t used = 0, ended = 0;
    size_t i;
    (void)state;
    json_array_foreach(packets, i, packet)
    {
        const json_t *d = json_object_get(packet, "decoded");
        const char *cmd = text(d, "cmd"), *dir = text(packet, "dir");
        if (strcmp(cmd, "connect") == 0) {
            char scope[100], *payload;
            conn = json_integer_value(json_object_get(packet, "conn"));
            payload = payload_in(packets, conn);
            snprintf(scope, sizeof scope, "%.*s", (int)strcspn(text(d, "username"), "/"),
                     text(d, "username"));
            dps_begin(scope, text(d, "clientId"), payload);
            free(payload);
            used = 0;
            dps_login(d);
        } else if (strcmp(cmd, "connack") == 0) {
            assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_ONLINE), TG_OK);
        } else if (strcmp(cmd, "suback") == 0) {
            assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_SUBSCRIBED), TG_OK);
        } else if (strcmp(cmd, "publish") == 0 && strcmp(dir, "S>C") == 0) {
            hear(text(d, "topic"), text(d, "payload"));
        } else if (strcmp(cmd, "disconnect") == 0) {
            assert_true(rig.was_assigned);
            assert_int_equal(used, rig.publish_count);
            dps_end();
            ended++;
        } else if (strcmp(dir, "C>S") == 0) {
            dps_sdk_said(d, &used);
        }
    }
    assert_true(ended > 0);
    print_message("%u registrations\n", ended);
    json_decref(root);
}

static void check_assigned(const json_t *registration)
{
    const json_t *payload = json_object_get(registration, "payload");
    json_t *given = rig.assigned_payload ? json_loads(rig.assigned_payload, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(rig.was_assigned);
    assert_string_equal(rig.assigned_host, text(registration, "assignedHub"));
    assert_string_equal(rig.assigned_device, text(registration, "deviceId"));
    assert_int_equal(payload != NULL, given != NULL);
    assert_true(!payload || json_equal(payload, given));
    json_decref(given);
}

static void dps_response(const char *name, const json_t *entry)
{
    unsigned long status = strtoul(name, NULL, 10);
    const json_t *body = json_object_get(entry, "payload"),
                 *inner = json_object_get(body, "registrationState");
    char *payload = json_dumps(body, JSON_COMPACT), topic[200], code[32];
    const char *said = text(body, "status"), *after = strstr(text(entry, "topic"), "&retry-after=");
    snprintf(topic, sizeof topic, "$dps/registrations/res/%lu/?$rid=1%s", status, after ? after : "");
    dps_begin("0ne1", "dev-a", NULL);
    talk_rig_simple(&rig, TG_CLOUD_ONLINE);
    talk_rig_simple(&rig, TG_CLOUD_SUBSCRIBED);
    assert_int_equal(talk_rig_message(&rig, topic, payload), TG_OK);
    if (status >= 429 || strcmp(said, "assigning") == 0) {
        assert_int_equal(rig.wake_ms, 1000 + 1000 * (after ? strtol(after + 13, NULL, 10) : 3));
        rig.now_ms = rig.wake_ms;
        talk_rig_simple(&rig, TG_CLOUD_WAKE);
        assert_non_null(strstr(rig.publishes[1].topic, status >= 429 ? "/PUT/" : text(body, "operationId")));
    } else if (strcmp(said, "assigned") == 0) {
        check_assigned(inner);
    } else {
        json_int_t number = json_integer_value(json_object_get(*said ? inner : body, "errorCode"));
        assert_true(rig.gave_up);
        assert_int_equal(rig.retry, TG_RETRY_NEVER);
        snprintf(code, sizeof code, "%lld", (long long)number);
        assert_true(number == 0 || strstr(rig.give_up_text, code));
    }
    free(payload);
    dps_end();
}

static void dps_responses(void **state)
{
    json_t *root = tg_vectors_load("cloud/dps_responses.json"), *entry;
    const char *name;
    size_t n = 0;
    (void)state;
    json_object_foreach(root, name, entry)
    {
        if (!json_is_object(entry))
            continue;
        dps_response(name, entry);
        n++;
    }
    assert_true(n > 0);
    json_decref(root);
}

static void derived_keys(void **state)
{
    json_t *root = tg_vectors_load("cloud/dps_derived_keys.json"), *k;
    size_t i;
    (void)state;
    assert_true(json_array_size(json_object_get(root, "keys")) > 0);
    json_array_foreach(json_object_get(root, "keys"), i, k)
    {
        const char *master = text(k, "master_b64");
        uint8_t key[256], derived[TG_AZURE_DERIVED_KEY_BYTES], base64[64];
        word32 key_len = sizeof key, base64_len = sizeof base64;
        assert_int_equal(Base64_Decode((const byte *)master, (word32)strlen(master), key, &key_len), 0);
        assert_int_equal(
            tg_azure_derive_key(tg_bytes(key, key_len), tg_bytes_str(text(k, "registration_id")), derived),
            TG_OK);
        assert_int_equal(Base64_Encode_NoNl(derived, sizeof derived, base64, &base64_len), 0);
        assert_true(tg_bytes_eq_str(tg_bytes(base64, base64_len), text(k, "derived_b64")));
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hub_session_trace), cmocka_unit_test(connects),
                                       cmocka_unit_test(dps_session_trace), cmocka_unit_test(dps_responses),
                                       cmocka_unit_test(derived_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
