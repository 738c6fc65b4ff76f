/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fleet provisioning as a conversation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "northbound/aws_fleet.h"
#include "northbound/aws_iot.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

#define CREATE    "$aws/certificates/create-from-csr/json"
#define PROVISION "$aws/provisioning-templates/meters/provision/json"
#define CREATED                                                                                              \
    "{\"certificateId\":\"c\",\"certificatePem\":\"-----BEGIN "                                              \
    "CERTIFICATE-----\\nA\\n\",\"certificateOwnershipToken\":\"to\\\"ken\"}"

static struct tg_settings *provisioning;
static struct tg_cloud_target target;

static int begin(void **state, const char *const *pairs)
{
    static struct talk_rig r;
    provisioning = tg_test_settings(tg_aws_fleet_options, pairs);
    target = (struct tg_cloud_target){
        .host = "endpoint", .device_id = "m1", .gateway = "site", .provisioning = provisioning};
    talk_rig_init(&r, NULL, &tg_aws_fleet, &target);
    r.now_ms = 5000;
    talk_rig_simple(&r, TG_CLOUD_START);
    talk_rig_simple(&r, TG_CLOUD_ONLINE);
    talk_rig_simple(&r, TG_CLOUD_SUBSCRIBED);
    *state = &r;
    return 0;
}

static int setup(void **state)
{
    return begin(state, (const char *[]){"template", "meters", NULL});
}

static int teardown(void **state)
{
    struct talk_rig *r = *state;
    uint8_t zero[64] = {0};
    talk_rig_simple(r, TG_CLOUD_END);
    assert_memory_equal(r->talk.session, zero, sizeof zero); /* the key is not left behind */
    talk_rig_fini(r);
    tg_settings_free(provisioning);
    return 0;
}

static void test_whole(void **state)
{
    struct talk_rig *r = *state;
    assert_int_equal(r->publish_count, 1);
    assert_string_equal(r->publishes[0].topic, CREATE);
    assert_int_equal(r->publishes[0].qos, 1);
    assert_string_equal((const char *)r->publishes[0].payload,
                        "{\"certificateSigningRequest\":\"csr 1 of m1\\u000a\"}");
    assert_true(r->wake_ms == 5000 + 30000);
    assert_int_equal(talk_rig_message(r, CREATE "/accepted", CREATED), TG_OK);
    assert_string_equal(r->publishes[1].topic, PROVISION);
    assert_string_equal((const char *)r->publishes[1].payload,
                        "{\"certificateOwnershipToken\":\"to\\\"ken\",\"parameters\":{\"SerialNumber\":"
                        "\"m1\",\"ThingName\":\"m1\"}}");
    assert_false(r->was_assigned);
    assert_int_equal(talk_rig_message(r, PROVISION "/accepted",
                                      "{\"deviceConfiguration\":{\"a\":1},\"thingName\":\"meter_m1\"}"),
                     TG_OK);
    assert_true(r->was_assigned);
    assert_string_equal(r->assigned_device, "meter_m1");
    assert_string_equal(r->assigned_host, "");
    assert_string_equal(r->assigned_certificate, "-----BEGIN CERTIFICATE-----\nA\n");
    assert_string_equal(r->assigned_key, "key 1");
    assert_string_equal(r->assigned_payload, "{\"a\":1}");
    assert_false(r->gave_up);
    talk_rig_clear(r);
    r->now_ms += 60000;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    talk_rig_message(r, PROVISION "/accepted", "{\"thingName\":\"m2\"}");
    assert_false(r->gave_up || r->was_assigned);
}

static int setup_parameters(void **state)
{
    int rc = begin(state, (const char *[]){"template", "meters", NULL});
    struct talk_rig *r = *state;
    talk_rig_fini(r);
    tg_settings_free(provisioning);
    provisioning = tg_settings_new(tg_aws_fleet_options);
    assert_int_equal(
        tg_settings_set(provisioning, "template", "meters", NULL, (struct tg_settings_position){1, 1}, NULL),
        TG_OK);
    assert_int_equal(tg_settings_set(provisioning, "host", "claims.example", NULL,
                                     (struct tg_settings_position){1, 1}, NULL),
                     TG_OK);
    assert_int_equal(tg_settings_append(provisioning, "parameters", "Site={gateway}",
                                        (struct tg_settings_position){1, 1}, NULL),
                     TG_OK);
    assert_int_equal(tg_settings_append(provisioning, "parameters", "Id=a={device}\"",
                                        (struct tg_settings_position){1, 1}, NULL),
                     TG_OK);
    assert_int_equal(tg_settings_finish(provisioning, NULL), TG_OK);
    target.provisioning = provisioning;
    talk_rig_init(r, NULL, &tg_aws_fleet, &target);
    talk_rig_simple(r, TG_CLOUD_SUBSCRIBED);
    return rc;
}

static void test_parameters(void **state)
{
    struct talk_rig *r = *state;
    assert_string_equal(tg_aws_fleet.host(&target), "claims.example");
    assert_true(tg_aws_fleet.wanted(&target));
    talk_rig_message(r, CREATE "/accepted", CREATED);
    assert_non_null(strstr((const char *)r->publishes[1].payload,
                           "\"parameters\":{\"Site\":\"site\",\"Id\":\"a=m1\\\"\"}}"));
}

static void test_names(void **state)
{
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    struct tg_cloud_login l;
    uint8_t qos[TG_MQTT_MAX_FILTERS], memory[1024];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(tg_aws_fleet.filters(&target, 0, &w, filters, qos), 4);
    assert_true(tg_bytes_eq_str(filters[0], CREATE "/accepted"));
    assert_true(tg_bytes_eq_str(filters[1], CREATE "/rejected"));
    assert_true(tg_bytes_eq_str(filters[2], PROVISION "/accepted"));
    assert_true(tg_bytes_eq_str(filters[3], PROVISION "/rejected"));
    assert_int_equal(tg_aws_fleet.filters(&target, 1, &w, filters, qos), 0);
    w = tg_writer_init(memory, 100);
    assert_int_equal(tg_aws_fleet.filters(&target, 0, &w, filters, qos), TG_ETOOBIG);
    w = tg_writer_init(memory, sizeof memory);
    assert_int_equal(tg_aws_fleet.login(&target, NULL, 0, &w, &l, &err), TG_OK);
    assert_true(tg_bytes_eq_str(l.connect.client_id, "m1"));
    assert_true(l.connect.clean_session);
    assert_string_equal(tg_aws_fleet.host(&target), "endpoint");
}

static void test_rejected(void **state)
{
    struct talk_rig *r = *state;
    talk_rig_message(r, CREATE "/rejected",
                     "{\"statusCode\":429,\"errorCode\":\"Throttled\",\"errorMessage\":\"m\"}");
    assert_true(r->gave_up);
    assert_int_equal(r->retry, TG_RETRY_BACKOFF);
    assert_non_null(strstr(r->give_up_text, "Throttled"));
    /* Another try: another key. */
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    talk_rig_clear(r);
    talk_rig_simple(r, TG_CLOUD_START);
    talk_rig_simple(r, TG_CLOUD_SUBSCRIBED);
    assert_string_equal((const char *)r->publishes[0].payload,
                        "{\"certificateSigningRequest\":\"csr 2 of m1\\u000a\"}");
    talk_rig_message(r, CREATE "/accepted", CREATED);
    talk_rig_message(
        r, PROVISION "/rejected",
        "{\"statusCode\":400,\"errorCode\":\"InvalidParameters\",\"errorMessage\":\"hook says no\"}");
    assert_true(r->gave_up);
    assert_int_equal(r->retry, TG_RETRY_NEVER);
    assert_non_null(
        strstr(r->give_up_text, "the template is refused: 400 InvalidParameters, \"hook says no\""));
    assert_false(r->was_assigned);
}

static void test_nothing_comes(void **state)
{
    struct talk_rig *r = *state;
    r->now_ms = 34999;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_false(r->gave_up);
    r->now_ms++;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_true(r->gave_up);
    assert_int_equal(r->retry, TG_RETRY_BACKOFF);
}

static void test_cannot_begin(void **state)
{
    struct talk_rig *r = *state;
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    talk_rig_clear(r);
    talk_rig_event(r, &(struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = 2});
    assert_true(r->gave_up);
    assert_int_equal(r->retry, TG_RETRY_NEVER);
    assert_int_equal(r->publish_count, 0);
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    talk_rig_clear(r);
    r->new_key_rc = TG_EIO;
    talk_rig_simple(r, TG_CLOUD_SUBSCRIBED);
    assert_true(r->gave_up);
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    talk_rig_clear(r);
    r->new_key_rc = TG_OK;
    r->publish_rc = TG_EFULL;
    talk_rig_simple(r, TG_CLOUD_SUBSCRIBED);
    assert_true(r->gave_up);
    assert_int_equal(r->retry, TG_RETRY_BACKOFF);
}

static void test_hostile(void **state)
{
    static const char *const bad[] = {"{}", "{\"certificatePem\":1,\"certificateOwnershipToken\":\"t\"}",
                                      "{\"certificatePem\":\"x\",\"certificateOwnershipToken\":\"t\"}",
                                      "{\"certificatePem\":\"-----BEGIN CERTIFICATE-----\"}"};
    static const char *const things[] = {"{}", "{\"thingName\":7}", "{\"thingName\":\"\"}",
                                         "{\"thingName\":\"a/b\"}", "{\"thingName\":\"#\"}"};
    struct talk_rig *r = *state;
    assert_int_equal(talk_rig_message(r, CREATE "/accepted", "["), TG_EPROTO);
    assert_int_equal(talk_rig_message(r, CREATE "/other", CREATED), TG_OK);
    assert_int_equal(talk_rig_message(r, CREATE, CREATED), TG_OK);
    assert_int_equal(talk_rig_message(r, PROVISION "/accepted", "{\"thingName\":\"m1\"}"),
                     TG_OK); /* not asked yet */
    assert_false(r->gave_up || r->was_assigned);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0] + sizeof things / sizeof things[0]; i++) {
        talk_rig_simple(r, TG_CLOUD_OFFLINE);
        talk_rig_clear(r);
        talk_rig_simple(r, TG_CLOUD_SUBSCRIBED);
        if (i < sizeof bad / sizeof bad[0]) {
            talk_rig_message(r, CREATE "/accepted", bad[i]);
        } else {
            talk_rig_message(r, CREATE "/accepted", CREATED);
            talk_rig_message(r, PROVISION "/accepted", things[i - sizeof bad / sizeof bad[0]]);
        }
        assert_true(r->gave_up);
        assert_false(r->was_assigned);
    }
}

static void test_check(void **state)
{
    struct tg_config_cloud c = {.provisioning = provisioning, .provisioning_identity.kind = TG_IDENTITY_X509};
    static const struct tg_option common[] = {{.name = "host", .type = TG_OPTION_TEXT}, {0}};
    struct tg_settings *with = tg_test_settings(common, (const char *[]){"host", "h", NULL});
    struct tg_settings *without = tg_test_settings(common, NULL);
    struct tg_settings *bad =
        tg_test_settings(tg_aws_fleet_options, (const char *[]){"template", "a/b", NULL});
    struct tg_error err = {0};
    (void)state;
    c.common = with;
    assert_int_equal(tg_aws_fleet_check(&c, &err), TG_OK);
    c.common = without;
    assert_int_equal(tg_aws_fleet_check(&c, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "host is missing"));
    c.common = with;
    c.provisioning_identity.kind = TG_IDENTITY_NONE;
    assert_int_equal(tg_aws_fleet_check(&c, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "claim"));
    c.provisioning_identity.kind = TG_IDENTITY_PKCS12;
    assert_int_equal(tg_aws_fleet_check(&c, &err), TG_OK);
    c.provisioning = bad;
    assert_int_equal(tg_aws_fleet_check(&c, &err), TG_EINVAL);
    tg_settings_free(bad);
    bad = tg_settings_new(tg_aws_fleet_options);
    assert_int_equal(tg_settings_append(bad, "parameters", "Site", (struct tg_settings_position){1, 1}, NULL),
                     TG_OK);
    c.provisioning = bad;
    assert_int_equal(tg_aws_fleet_check(&c, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "NAME=VALUE"));
    tg_settings_free(with);
    tg_settings_free(without);
    tg_settings_free(bad);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_whole),         cmocka_unit_test_setup_teardown(test_parameters, setup_parameters, teardown),
        ONE(test_names),         ONE(test_rejected),
        ONE(test_nothing_comes), ONE(test_cannot_begin),
        ONE(test_hostile),       ONE(test_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
