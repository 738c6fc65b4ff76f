/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "northbound/azure_dps.h"
#include "northbound/azure_hub.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

#define BEGIN     1000000
#define REGISTER  "$dps/registrations/PUT/iotdps-register/?$rid="
#define POLL      "$dps/registrations/GET/iotdps-get-operationstatus/?$rid="
#define ASSIGNING "{\"operationId\":\"4.d0a6.e717-0e54\",\"status\":\"assigning\"}"
#define ASSIGNED                                                                                             \
    "{\"operationId\":\"x\",\"status\":\"assigned\",\"registrationState\":{\"registrationId\":\"dev-a\","    \
    "\"assignedHub\":\"myhub.azure-devices.net\",\"deviceId\":\"dev-a\",\"status\":\"assigned\"}}"

static struct talk_rig rig;
static struct tg_cloud_target target;
static struct tg_settings *settings, *provisioning;
static const char *const scope[] = {"id_scope", "0ne00A1B2C3", NULL};

static void begin_with(const char *const *hub, const char *const *dps)
{
    settings = tg_test_settings(tg_azure_hub.config.options, hub);
    provisioning = tg_test_settings(tg_azure_dps_options, dps);
    target = (struct tg_cloud_target){
        .device_id = "dev-a", .gateway = "site", .settings = settings, .provisioning = provisioning};
    talk_rig_init(&rig, NULL, &tg_azure_dps, &target);
    rig.now_ms = BEGIN;
}

static int begin(void **state)
{
    (void)state;
    begin_with(NULL, scope);
    return 0;
}

static int end(void **state)
{
    (void)state;
    talk_rig_fini(&rig);
    tg_settings_free(settings);
    tg_settings_free(provisioning);
    return 0;
}

static void online(void)
{
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_ONLINE), TG_OK);
    assert_int_equal(rig.publish_count, 0);
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_SUBSCRIBED), TG_OK);
}

/* The last publish is to {prefix}{rid}{tail}; the rid. */
static unsigned sent(const char *prefix, const char *tail, const char *body)
{
    const struct talk_rig_publish *p = &rig.publishes[rig.publish_count - 1];
    char *rest = NULL;
    unsigned rid;
    assert_int_not_equal(rig.publish_count, 0);
    assert_int_equal(strncmp(p->topic, prefix, strlen(prefix)), 0);
    rid = (unsigned)strtoul(p->topic + strlen(prefix), &rest, 10);
    assert_string_equal(rest, tail);
    assert_string_equal((const char *)p->payload, body);
    assert_int_equal(p->qos, 1);
    return rid;
}

static unsigned registered(void)
{
    return sent(REGISTER, "", "{\"registrationId\":\"dev-a\"}");
}

static unsigned polled(void)
{
    return sent(POLL, "&operationId=4.d0a6.e717-0e54", "");
}

static void answer(unsigned status, unsigned rid, const char *more, const char *body)
{
    char topic[120];
    snprintf(topic, sizeof topic, "$dps/registrations/res/%u/?$rid=%u%s", status, rid, more);
    talk_rig_clear(&rig);
    assert_int_equal(talk_rig_message(&rig, topic, body), TG_OK);
}

static void wake_at(int64_t ms)
{
    assert_int_equal(rig.wake_ms, ms);
    rig.now_ms = ms;
    talk_rig_clear(&rig);
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_WAKE), TG_OK);
}

static void gave_up(enum tg_retry retry, const char *text)
{
    assert_true(rig.gave_up);
    assert_int_equal(rig.retry, retry);
    if (!strstr(rig.give_up_text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, rig.give_up_text);
    assert_non_null(strstr(rig.give_up_text, "dev-a"));
    assert_false(rig.was_assigned);
    assert_int_equal(rig.wake_ms, INT64_MAX);
    /* and says nothing more */
    talk_rig_clear(&rig);
    talk_rig_simple(&rig, TG_CLOUD_WAKE);
    talk_rig_simple(&rig, TG_CLOUD_SUBSCRIBED);
    assert_int_equal(rig.publish_count, 0);
    assert_false(rig.gave_up);
}

static void a_device_is_assigned(void **state)
{
    unsigned rid, next;
    (void)state;
    online();
    rid = registered();
    answer(202, rid, "&retry-after=5", ASSIGNING);
    assert_int_equal(rig.publish_count, 0);
    wake_at(BEGIN + 5000);
    next = polled();
    assert_int_not_equal(next, rid);
    answer(202, next, "", ASSIGNING);
    wake_at(BEGIN + 8000); /* 3 s when not said */
    answer(200, polled(), "", ASSIGNED);
    assert_true(rig.was_assigned);
    assert_string_equal(rig.assigned_host, "myhub.azure-devices.net");
    assert_string_equal(rig.assigned_device, "dev-a");
    assert_null(rig.assigned_payload);
    assert_null(rig.assigned_certificate);
    assert_false(rig.gave_up);
    assert_int_equal(rig.wake_ms, INT64_MAX);
}

static void a_payload_comes_with_it(void **state)
{
    (void)state;
    online();
    answer(200, registered(), "",
           "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h.x\",\"deviceId\":\"D\","
           "\"payload\":{\"any\":[\"json\",1.5]}}}");
    assert_string_equal(rig.assigned_payload, "{\"any\":[\"json\",1.5]}");
    assert_string_equal(rig.assigned_device, "D");
}

static void throttling_repeats_the_same_request(void **state)
{
    (void)state;
    online();
    answer(429, registered(), "&retry-after=2", "{\"errorCode\":429001}");
    wake_at(BEGIN + 2000);
    answer(503, registered(), "", "<html>");
    wake_at(BEGIN + 5000);
    answer(202, registered(), "&retry-after=3", ASSIGNING);
    wake_at(BEGIN + 8000);
    answer(429, polled(), "&retry-after=0", "");
    wake_at(BEGIN + 9000); /* at least a second */
    answer(500, polled(), "&retry-after=9999", "");
    wake_at(BEGIN + 120000); /* the limit is before retry-after */
    gave_up(TG_RETRY_BACKOFF, "no hub was assigned within 120 s");
}

static void unassigned_is_polled_too(void **state)
{
    (void)state;
    online();
    answer(200, registered(), "", "{\"operationId\":\"4.d0a6.e717-0e54\",\"status\":\"unassigned\"}");
    wake_at(BEGIN + 3000);
    (void)polled();
    /* Without an operation there is nothing to poll. */
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    talk_rig_clear(&rig);
    rig.now_ms = BEGIN;
    online();
    answer(202, registered(), "", "{\"status\":\"assigning\"}");
    wake_at(BEGIN + 3000);
    (void)registered();
}

static void silence_repeats_the_request(void **state)
{
    unsigned first, second;
    (void)state;
    online();
    first = registered();
    wake_at(BEGIN + 30000);
    second = registered();
    answer(200, first, "", ASSIGNED); /* too late: its request was given up */
    assert_false(rig.was_assigned);
    answer(200, second, "", ASSIGNED);
    assert_true(rig.was_assigned);
}

static void the_whole_has_a_limit(void **state)
{
    (void)state;
    online();
    for (int64_t at = 30000; at <= 90000; at += 30000)
        wake_at(BEGIN + at);
    wake_at(BEGIN + 120000);
    gave_up(TG_RETRY_BACKOFF, "within 120 s");
    /* The next connection begins anew. */
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    online();
    (void)registered();
}

static void what_is_refused_for_good(void **state)
{
    static const struct {
        unsigned status;
        const char *body, *says, *also;
    } cases[] = {
        {200,
         "{\"operationId\":\"x\",\"status\":\"failed\",\"registrationState\":{\"errorCode\":400209,"
         "\"errorMessage\":\"Custom allocation failed\"}}",
         "code 400209: \"Custom allocation failed\"", "must be mended"},
        {200,
         "{\"operationId\":\"\",\"status\":\"disabled\",\"registrationState\":{\"status\":\"disabled\"}}",
         "the enrolment is disabled", "enable it"},
        {401, "{\"errorCode\":401002,\"trackingId\":\"8a\",\"message\":\"Invalid certificate.\"}",
         "refused with 401, code 401002: \"Invalid certificate.\"", "key or certificate"},
        {404, "not json", "refused with 404", "no reason given"},
        {300, "", "refused with 300", "id scope"},
        {428, "{\"errorCode\":\"x\",\"message\":7}", "refused with 428", "code 0"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        online();
        answer(cases[i].status, registered(), "", cases[i].body);
        assert_non_null(strstr(rig.give_up_text, cases[i].also));
        gave_up(TG_RETRY_NEVER, cases[i].says);
        talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    }
}

static void what_cannot_be_read_is_asked_again(void **state)
{
    static const char *const bodies[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"status\":7}",
        "{\"status\":\"other\"}",
        "{\"status\":\"assigned\"}",
        "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h\"}}",
        "{\"status\":\"assigned\",\"registrationState\":{\"deviceId\":\"d\"}}",
        "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"\",\"deviceId\":\"d\"}}",
        "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h/../x\",\"deviceId\":\"d\"}}",
        "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h\",\"deviceId\":\"d/#\"}}",
        "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h\",\"deviceId\":\"\"}}"};
    char *big = malloc(40000);
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        online();
        answer(200, registered(), "", bodies[i]);
        gave_up(TG_RETRY_BACKOFF, "answer");
        talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    }
    memset(big, 'x', 39999);
    memcpy(big,
           "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h\",\"deviceId\":\"d\","
           "\"payload\":\"",
           86);
    memcpy(big + 39990, "\"}}", 4);
    online();
    answer(200, registered(), "", big);
    gave_up(TG_RETRY_BACKOFF, "payload of the assignment is larger than 32 KiB");
    free(big);
}

static void stray_messages_do_nothing(void **state)
{
    (void)state;
    online();
    answer(200, registered() + 1, "", ASSIGNED);
    assert_int_equal(talk_rig_message(&rig, "$dps/registrations/res/200/", ASSIGNED), TG_OK);
    assert_int_equal(talk_rig_message(&rig, "$dps/registrations/res/200/?$rid=x", ASSIGNED), TG_OK);
    assert_int_equal(talk_rig_message(&rig, "other", ASSIGNED), TG_OK);
    assert_false(rig.was_assigned);
    assert_int_equal(rig.publish_count, 0);
}

static void operations_go_encoded(void **state)
{
    char body[400], id[300];
    (void)state;
    online();
    answer(202, registered(), "", "{\"operationId\":\"a/+#&=\xc3\xa4\",\"status\":\"assigning\"}");
    wake_at(BEGIN + 3000);
    (void)sent(POLL, "&operationId=a%2F%2B%23%26%3D%C3%A4", "");
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    talk_rig_clear(&rig);
    rig.now_ms = BEGIN;
    online();
    memset(id, 'i', 257);
    id[257] = '\0';
    snprintf(body, sizeof body, "{\"operationId\":\"%s\",\"status\":\"assigning\"}", id);
    answer(202, registered(), "", body);
    wake_at(BEGIN + 3000);
    (void)registered(); /* one that does not fit cannot be polled */
}

static void a_refused_subscription_and_a_missing_one(void **state)
{
    (void)state;
    talk_rig_simple(&rig, TG_CLOUD_ONLINE);
    wake_at(BEGIN + 5000);
    (void)registered();
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    talk_rig_simple(&rig, TG_CLOUD_ONLINE);
    assert_int_equal(talk_rig_event(&rig, &(struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = 1}),
                     TG_OK);
    gave_up(TG_RETRY_BACKOFF, "subscription");
}

static void no_room_and_no_memory_are_waited_for(void **state)
{
    (void)state;
    rig.publish_rc = TG_EFULL;
    online();
    rig.publish_rc = TG_OK;
    rig.now_ms += 1000;
    assert_int_equal(rig.wake_ms, rig.now_ms);
    tg_alloc_fail_at(1, 0);
    talk_rig_simple(&rig, TG_CLOUD_WAKE);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(rig.publish_count, 0);
    wake_at(BEGIN + 2000);
    answer(200, registered(), "", ASSIGNED);
    assert_true(rig.was_assigned);
}

static void payloads_that_are_sent(void **state)
{
    static const char *const with_payload[] = {
        "id_scope", "0ne1", "payload", "{\"a\": [\"b c\"]}", "registration_id", "site-{device}-{device}",
        NULL};
    static const char *const model[] = {"model_id", "dtmi:com:example:Thermostat;1", NULL};
    (void)state;
    begin_with(model, with_payload);
    online();
    (void)sent(REGISTER, "", "{\"registrationId\":\"site-dev-a-dev-a\",\"payload\":{\"a\": [\"b c\"]}}");
    end(state);
    begin_with(model, scope);
    online();
    (void)sent(REGISTER, "",
               "{\"registrationId\":\"dev-a\",\"payload\":{\"modelId\":\"dtmi:com:example:Thermostat;1\"}}");
    end(state);
}

static void logins(void **state)
{
    static const uint8_t group[] = "0123456789abcdef0123456789abcdef"; /* vectors: derived key of dev-a */
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_GROUP, .sas_key = tg_bytes(group, 32)};
    uint8_t memory[TG_CLOUD_SCRATCH_BYTES], filter_memory[64], qos[TG_MQTT_MAX_FILTERS];
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_cloud_login login;
    struct tg_error err = {0};
    (void)state;
    assert_true(tg_azure_dps.wanted(&target));
    assert_false(tg_azure_dps.wanted(&(struct tg_cloud_target){.device_id = "x"}));
    assert_string_equal(tg_azure_dps.host(&target), "global.azure-devices-provisioning.net");
    assert_int_equal(tg_azure_dps.login(&target, &secret, 1700000000, &w, &login, &err), TG_OK);
    assert_true(tg_bytes_eq_str(login.connect.client_id, "dev-a"));
    assert_true(tg_bytes_eq_str(login.connect.username,
                                "0ne00A1B2C3/registrations/dev-a/"
                                "api-version=2019-03-31&ClientVersion=tidegate%2F0.1"));
    assert_true(tg_bytes_starts(login.connect.password,
                                "SharedAccessSignature sr=0ne00A1B2C3%2Fregistrations%2Fdev-a&sig="));
    assert_non_null(memmem(login.connect.password.data, login.connect.password.len,
                           "&skn=registration&se=1700003600", 31));
    assert_int_equal(login.expires_s, 1700003600);
    assert_true(login.connect.clean_session);
    secret = (struct tg_cloud_secret){.kind = TG_IDENTITY_PKCS12};
    w = tg_writer_init(memory, sizeof memory);
    assert_int_equal(tg_azure_dps.login(&target, &secret, 1700000000, &w, &login, &err), TG_OK);
    assert_int_equal(login.connect.password.len, 0);
    assert_int_equal(login.expires_s, 0);
    w = tg_writer_init(memory, 40);
    assert_int_equal(tg_azure_dps.login(&target, &secret, 1700000000, &w, &login, &err), TG_ETOOBIG);
    w = tg_writer_init(filter_memory, sizeof filter_memory);
    assert_int_equal(tg_azure_dps.filters(&target, 0, &w, filters, qos), 1);
    assert_true(tg_bytes_eq_str(filters[0], "$dps/registrations/res/#"));
    assert_int_equal(qos[0], 1);
    assert_int_equal(tg_azure_dps.filters(&target, 1, &w, filters, qos), 0);
}

static void registration_ids(void **state)
{
    static const char *const good[] = {"a", "0", "sn-007.a_b:c-d5", "x-"};
    static const char *const wrong[] = {"", "Pump", "a b", "a/b", "x.", "x_", "x:", "\xc3\xa4", "a+"};
    char id[TG_AZURE_REGISTRATION_ID_BYTES], longest[130];
    struct tg_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(tg_azure_registration_id(provisioning, good[i], id, &err), TG_OK);
        assert_string_equal(id, good[i]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(tg_azure_registration_id(provisioning, wrong[i], id, &err), TG_EINVAL);
    assert_int_equal(tg_azure_registration_id(provisioning, "Pump", id, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "registration id \"Pump\""));
    assert_non_null(strstr(err.text, "lower-case"));
    memset(longest, 'a', 129);
    longest[129] = '\0';
    assert_int_equal(tg_azure_registration_id(provisioning, longest, id, &err), TG_EINVAL);
    longest[128] = '\0';
    assert_int_equal(tg_azure_registration_id(provisioning, longest, id, &err), TG_OK);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {T(a_device_is_assigned),
                                       T(a_payload_comes_with_it),
                                       T(throttling_repeats_the_same_request),
                                       T(unassigned_is_polled_too),
                                       T(silence_repeats_the_request),
                                       T(the_whole_has_a_limit),
                                       T(what_is_refused_for_good),
                                       T(what_cannot_be_read_is_asked_again),
                                       T(stray_messages_do_nothing),
                                       T(operations_go_encoded),
                                       T(a_refused_subscription_and_a_missing_one),
                                       T(no_room_and_no_memory_are_waited_for),
                                       cmocka_unit_test(payloads_that_are_sent),
                                       T(logins),
                                       T(registration_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
