/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "northbound/azure_dps.h"
#include "northbound/azure_hub.h"
#include "northbound/azure_sas.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

#define ID128                                                                                                \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct tg_option common_options[] = {
    {.name = "keepalive", .type = TG_OPTION_DURATION, .default_text = "4m"}, {0}};

static struct tg_settings *settings_of(const char *const *pairs)
{
    return tg_test_settings(tg_azure_hub.config.options, pairs);
}

static int check_id(const char *id, struct tg_error *err)
{
    return tg_azure_hub.config.check_device(NULL, id, err);
}

static void test_device_ids(void **state)
{
    struct tg_error err = {0};
    char allowed[] = "azAZ09-.%_*?!(),:=@$'", all[2] = {0};
    (void)state;
    assert_int_equal(check_id(allowed, &err), TG_OK);
    assert_int_equal(check_id(ID128, &err), TG_OK);
    assert_int_equal(check_id("", &err), TG_EINVAL);
    assert_int_equal(check_id(ID128 "a", &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "129 bytes"));
    for (int c = 1; c < 256; c++) {
        all[0] = (char)c;
        assert_int_equal(check_id(all, &err) == TG_OK, strchr(allowed, c) != NULL ||
                                                           (c < 128 && (c | 32) >= 'a' && (c | 32) <= 'z') ||
                                                           (c >= '0' && c <= '9'));
    }
    assert_int_equal(check_id("pump/1", &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "character \"/\""));
    assert_int_equal(check_id("m\xc3\xa4h", &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "character \"\xc3\xa4\"")); /* the whole character */
    assert_true(tg_utf8_valid(tg_bytes_str(err.text)));
    assert_int_equal(check_id("bad\xff", &err), TG_EINVAL);
    assert_true(tg_utf8_valid(tg_bytes_str(err.text)));
    assert_int_equal(check_id("line\n", &err), TG_EINVAL);
    assert_null(strchr(err.text, '\n'));
}

static void test_keepalive(void **state)
{
    static const char *const most[] = {"keepalive", "1177s", NULL}, *const more[] = {"keepalive", "1178s",
                                                                                     NULL};
    struct tg_settings *good = tg_test_settings(common_options, most),
                       *bad = tg_test_settings(common_options, more);
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(tg_azure_hub.config.check_cloud(&(struct tg_config_cloud){.common = good}, &err), TG_OK);
    assert_int_equal(tg_azure_hub.config.check_cloud(&(struct tg_config_cloud){.common = bad}, &err),
                     TG_ERANGE);
    assert_non_null(strstr(err.text, "1177s"));
    tg_settings_free(good);
    tg_settings_free(bad);
}

static void test_login_with_a_key(void **state)
{
    static const char *const pairs[] = {
        "sas_lifetime", "1h", "sas_policy", "device", "model_id", "dtmi:com:example:Meter;1", NULL};
    struct tg_settings *s = settings_of(pairs);
    struct tg_cloud_target t = {
        .host = "hub.azure-devices.net", .device_id = "meter-1", .gateway = "site", .settings = s};
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_SAS_KEY,
                                     .sas_key = tg_bytes_str("0123456789abcdef")};
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_cloud_login login;
    struct tg_error err = {0};
    char sr[128];
    (void)state;
    assert_int_equal(tg_azure_hub.login(&t, &secret, NULL, 1700000000, &w, &login, &err), TG_OK);
    assert_true(tg_bytes_eq_str(login.connect.client_id, "meter-1"));
    assert_true(
        tg_bytes_eq_str(login.connect.username,
                        "hub.azure-devices.net/meter-1/?api-version=2021-04-12&model-id=dtmi:com:example:"
                        "Meter;1&DeviceClientType=tidegate%2F0.1"));
    assert_int_equal(login.expires_s, 1700003600);
    snprintf(sr, sizeof sr, "SharedAccessSignature sr=hub.azure-devices.net%%2Fdevices%%2Fmeter-1&sig=");
    assert_true(tg_bytes_starts(login.connect.password, sr));
    assert_non_null(
        memmem(login.connect.password.data, login.connect.password.len, "&skn=device&se=1700003600", 25));
    tg_settings_free(s);
}

static void test_login_with_a_certificate(void **state)
{
    static const char *const pairs[] = {"hub_host", "real.azure-devices.net", NULL};
    struct tg_settings *s = settings_of(pairs);
    struct tg_cloud_target t = {
        .host = "127.0.0.1", .device_id = "meter-2", .gateway = "site", .settings = s};
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_X509};
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_cloud_login login;
    (void)state;
    assert_int_equal(tg_azure_hub.login(&t, &secret, NULL, 1700000000, &w, &login, NULL), TG_OK);
    assert_true(tg_bytes_starts(login.connect.username, "real.azure-devices.net/meter-2/?"));
    assert_int_equal(login.connect.password.len, 0);
    assert_int_equal(login.expires_s, 0);
    tg_settings_free(s);
}

/* The hub's token is made with the key that the group's key and the device's id give. */
static void test_login_with_a_group_key(void **state)
{
    static const uint8_t group[] = "0123456789abcdef0123456789abcdef";
    struct tg_settings *s = settings_of(NULL);
    struct tg_cloud_target t = {.host = "myhub.azure-devices.net", .device_id = "dev-a", .settings = s};
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_GROUP, .sas_key = tg_bytes(group, 32)};
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES], derived[TG_AZURE_DERIVED_KEY_BYTES], want[512];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch), token = tg_writer_init(want, sizeof want);
    struct tg_cloud_login login;
    (void)state;
    assert_int_equal(tg_azure_hub.login(&t, &secret, NULL, 1700000000, &w, &login, NULL), TG_OK);
    assert_int_equal(tg_azure_derive_key(secret.sas_key, tg_bytes_str("dev-a"), derived), TG_OK);
    assert_int_equal(tg_azure_sas_token(&token, tg_bytes_str("myhub.azure-devices.net/devices/dev-a"),
                                        tg_bytes(derived, sizeof derived), NULL, 1700003600),
                     TG_OK);
    assert_true(tg_bytes_eq(login.connect.password, tg_bytes(token.data, token.len)));
    tg_settings_free(s);
}

static void assert_check(const char *const *common, const char *const *own, const char *const *dps,
                         const char *says)
{
    static const struct tg_option table[] = {
        {.name = "keepalive", .type = TG_OPTION_DURATION, .default_text = "4m"},
        {.name = "host", .type = TG_OPTION_TEXT, .min = 1, .max = 255},
        {.name = "format", .type = TG_OPTION_TEXT, .default_text = "json"},
        {0}};
    struct tg_settings *c = tg_test_settings(table, common), *s = settings_of(own),
                       *p = tg_test_settings(tg_azure_dps_options, dps);
    struct tg_error err = {0};
    int rc = tg_azure_hub.config.check_cloud(
        &(struct tg_config_cloud){.common = c, .settings = s, .provisioning = p}, &err);
    assert_int_equal(rc, says ? TG_EINVAL : TG_OK);
    if (says && !strstr(err.text, says))
        fail_msg("\"%s\" is not in \"%s\"", says, err.text);
    tg_settings_free(c);
    tg_settings_free(s);
    tg_settings_free(p);
}

static void test_what_does_not_go_with_provisioning(void **state)
{
    static const char *const good[] = {"id_scope", "0ne00A", "payload", "{\"a\": 1}", NULL},
                             *const scope[] = {"id_scope", "0ne/1", NULL},
                             *const payload[] = {"id_scope", "0ne1", "payload", "{a: 1}", NULL},
                             *const address[] = {"id_scope", "0ne1", "host", "h:8883", NULL},
                             *const host[] = {"host", "contoso.azure-devices.net", NULL},
                             *const hub_host[] = {"hub_host", "contoso.azure-devices.net", NULL},
                             *const policy[] = {"sas_policy", "device", NULL};
    (void)state;
    assert_check(NULL, NULL, good, NULL);
    assert_check(NULL, NULL, scope, "id_scope: \"0ne/1\"");
    assert_check(NULL, NULL, payload, "payload: no JSON: line 1");
    assert_check(NULL, NULL, address, "host: \"h:8883\"");
    assert_check(host, NULL, good, "host and provisioning exclude each other");
    assert_check(NULL, hub_host, good, "hub_host and provisioning exclude each other");
    assert_check(NULL, policy, good, "sas_policy and provisioning exclude each other");
}

static void test_devices_with_provisioning_and_groups(void **state)
{
    static const char *const pairs[] = {"sas_policy", "device", NULL}, *const scope[] = {"id_scope", "0ne1",
                                                                                         NULL};
    struct tg_settings *plain = settings_of(NULL), *policy = settings_of(pairs),
                       *dps = tg_test_settings(tg_azure_dps_options, scope);
    struct tg_config_cloud hub = {.settings = plain}, dpsed = {.settings = plain, .provisioning = dps},
                           by_policy = {.settings = policy};
    struct tg_config_route r = {.cloud_device_id = "Pump-1", .identity = {.kind = TG_IDENTITY_GROUP}};
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(tg_azure_hub.config.check_route(&hub, &r, &err), TG_OK);
    assert_int_equal(tg_azure_hub.config.check_route(&dpsed, &r, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "registration id \"Pump-1\""));
    assert_int_equal(tg_azure_hub.config.check_route(&by_policy, &r, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "derive_from_group and sas_policy"));
    r.cloud_device_id = "pump-1";
    assert_int_equal(tg_azure_hub.config.check_route(&dpsed, &r, &err), TG_OK);
    tg_settings_free(plain);
    tg_settings_free(policy);
    tg_settings_free(dps);
}

/* Everything as long as it may be fits what the session lends, and less room is an error, not a cut name. */
static void test_the_longest_login(void **state)
{
    char host[256], model[257];
    const char *pairs[] = {"hub_host",   host,
                           "model_id",   model,
                           "sas_policy", "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp",
                           NULL};
    struct tg_settings *s;
    struct tg_cloud_target t = {.host = host, .device_id = ID128, .gateway = "site"};
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_SAS_KEY,
                                     .sas_key = tg_bytes_str("0123456789abcdef")};
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_cloud_login login;
    struct tg_error err = {0};
    size_t need;
    (void)state;
    memset(host, '/', sizeof host - 1); /* each becomes three bytes in the token */
    host[255] = '\0';
    memset(model, 'm', sizeof model - 1);
    model[256] = '\0';
    t.settings = s = settings_of(pairs);
    for (need = 0;; need++) {
        struct tg_writer w = tg_writer_init(scratch, need);
        int rc = tg_azure_hub.login(&t, &secret, NULL, 1700000000, &w, &login, &err);
        assert_true(need < sizeof scratch);
        if (rc == TG_OK)
            break;
        assert_int_equal(rc, TG_ETOOBIG);
    }
    tg_settings_free(s);
}

static void test_topics(void **state)
{
    static const struct tg_format_content content = {"application/json", "utf-8", ""};
    static const char *const filter_texts[] = {"devices/m1/messages/devicebound/#", "$iothub/twin/res/#",
                                               "$iothub/twin/PATCH/properties/desired/#",
                                               "$iothub/methods/POST/#"};
    struct tg_settings *s = settings_of(NULL);
    struct tg_cloud_target t = {.host = "h", .device_id = "m1", .settings = s};
    char out[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    (void)state;
    assert_int_equal(tg_azure_hub.topic(&t, &content, "", &w), TG_OK);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(
        out, "devices/m1/messages/events/%24.ct=application%2Fjson%3Bcharset%3Dutf-8&%24.ce=utf-8");
    w = tg_writer_init(out, 40);
    assert_int_equal(tg_azure_hub.topic(&t, &content, "", &w), TG_ETOOBIG);
    w = tg_writer_init(out, sizeof out);
    assert_int_equal(tg_azure_hub.filters(&t, 0, &w, filters, qos), 4); /* the hub takes five */
    for (size_t i = 0; i < 4; i++) {
        assert_true(tg_bytes_eq_str(filters[i], filter_texts[i]));
        assert_int_equal(qos[i], i == 0); /* messages are kept for the device, the rest is said again */
    }
    assert_int_equal(tg_azure_hub.filters(&t, 1, &w, filters, qos), 0);
    w = tg_writer_init(out, 10);
    assert_int_equal(tg_azure_hub.filters(&t, 0, &w, filters, qos), TG_ETOOBIG);
    tg_settings_free(s);
}

static void test_inbound(void **state)
{
    struct tg_settings *s = settings_of(NULL);
    struct tg_cloud_target t = {.host = "h", .device_id = "m1", .settings = s};
    struct talk_rig r;
    (void)state;
    talk_rig_init(&r, &tg_azure_hub, NULL, &t);
    assert_int_equal(talk_rig_message(&r,
                                      "devices/m1/messages/devicebound/"
                                      "%24.mid=a%2Fb&%24.to=%2Fdevices%2Fm1&command=re%20set&other&empty=",
                                      "{}"),
                     TG_OK);
    assert_int_equal(r.command_count, 1);
    assert_string_equal(r.commands[0].message_id, "a/b");
    assert_string_equal(r.commands[0].name, "re set");
    assert_string_equal(r.commands[0].body, "{}");
    assert_true(r.commands[0].hold);
    talk_rig_clear(&r);
    assert_int_equal(talk_rig_message(&r, "devices/m1/messages/devicebound/", "{}"), TG_OK);
    assert_int_equal(r.command_count, 1);
    assert_string_equal(r.commands[0].message_id, "");
    assert_string_equal(r.commands[0].name, "");
    talk_rig_clear(&r);
    (void)talk_rig_message(&r, "devices/m1/messages/devicebound", "{}");
    (void)talk_rig_message(&r, "devices/m2/messages/devicebound/x=1", "{}");
    (void)talk_rig_message(&r, "xdevices/m1/messages/devicebound/x=1", "{}");
    (void)talk_rig_message(&r, "", "{}");
    assert_int_equal(r.command_count, 0);
    assert_int_equal(talk_rig_message(&r, "devices/m1/messages/devicebound/command=%4", "{}"), TG_EPROTO);
    assert_int_equal(talk_rig_message(&r, "devices/m1/messages/devicebound/command=%zz", "{}"), TG_EPROTO);
    assert_non_null(strstr(r.err.text, "property list"));
    assert_int_equal(r.command_count, 0);
    talk_rig_fini(&r);
    tg_settings_free(s);
}

static void test_connack_texts_and_lookup(void **state)
{
    struct tg_error err = {0};
    enum tg_retry retry;
    size_t count;
    (void)state;
    for (unsigned i = 1; i < 256; i++)
        assert_non_null(tg_azure_hub.connack_text((uint8_t)i, &retry));
    assert_non_null(strstr(tg_azure_hub.connack_text(5, &retry), "not authorised"));
    assert_int_equal(retry, TG_RETRY_NEVER);
    (void)tg_azure_hub.connack_text(3, &retry);
    assert_int_equal(retry, TG_RETRY_BACKOFF);
    (void)tg_azure_hub.connack_text(77, &retry);
    assert_int_equal(retry, TG_RETRY_BACKOFF);
    assert_int_equal(tg_cloud_types(&count)[0] == &tg_azure_hub, 1);
    assert_true(count >= 2);
    assert_ptr_equal(tg_cloud_type_find("azure-iot-hub", &err), &tg_azure_hub);
    assert_null(tg_cloud_type_find("azure-iothub", &err));
    assert_int_equal(err.code, TG_ENOTFOUND);
    assert_non_null(strstr(err.text, "did you mean \"azure-iot-hub\""));
    assert_null(tg_cloud_type_find("", &err));
    assert_non_null(strstr(err.text, "known are azure-iot-hub, "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_device_ids),
                                       cmocka_unit_test(test_keepalive),
                                       cmocka_unit_test(test_login_with_a_key),
                                       cmocka_unit_test(test_login_with_a_certificate),
                                       cmocka_unit_test(test_login_with_a_group_key),
                                       cmocka_unit_test(test_what_does_not_go_with_provisioning),
                                       cmocka_unit_test(test_devices_with_provisioning_and_groups),
                                       cmocka_unit_test(test_the_longest_login),
                                       cmocka_unit_test(test_topics),
                                       cmocka_unit_test(test_inbound),
                                       cmocka_unit_test(test_connack_texts_and_lookup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
