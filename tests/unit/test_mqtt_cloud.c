/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "northbound/mqtt_cloud.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

static const struct tg_cloud_type *const type = &tg_mqtt_cloud;

static int check(const char *name, const char *text, struct tg_error *err)
{
    const char *pairs[] = {name, text, NULL};
    struct tg_settings *s = tg_test_settings(type->config.options, pairs);
    int rc = type->config.check_cloud(&(struct tg_config_cloud){.settings = s}, err);
    tg_settings_free(s);
    return rc;
}

static void assert_refused(const char *name, const char *text, const char *says)
{
    struct tg_error err = {0};
    assert_int_equal(check(name, text, &err), TG_EINVAL);
    if (!strstr(err.text, says) || !strstr(err.text, name))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void test_templates(void **state)
{
    static const char *const good[] = {
        "tidegate/{device}/data", "{gateway}", "{device}{gateway}", "plain", "a//b", "}"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(check("topic", good[i], NULL), TG_OK);
    assert_refused("topic", "a/{divice}", "unknown placeholder at \"{divice}\"");
    assert_refused("topic", "a/{device}/{", "unknown placeholder");
    assert_refused("client_id", "{Device}", "unknown placeholder");
    assert_refused("command_topic", "{x}", "unknown placeholder");
    assert_refused("topic", "a/+/b", "wildcard");
    assert_refused("topic", "a/#", "wildcard");
}

static void test_command_filters(void **state)
{
    static const char *const good[] = {"", "#", "+", "a/#", "+/b", "a/+/b/#", "/+", "+/+"};
    static const char *const bad[] = {"a#", "a/#/b", "a+", "+a", "a/b+/c", "##", "#/", "++"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(check("command_topic", good[i], NULL), TG_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused("command_topic", bad[i], "not a whole level");
}

static void test_device_ids(void **state)
{
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(type->config.check_device(NULL, "meter 1", &err), TG_OK);
    assert_int_equal(type->config.check_device(NULL, "a/b", &err), TG_EINVAL);
    assert_int_equal(type->config.check_device(NULL, "a+", &err), TG_EINVAL);
    assert_int_equal(type->config.check_device(NULL, "#", &err), TG_EINVAL);
}

static void test_login(void **state)
{
    static const char *const pairs[] = {"client_id", "{gateway}-{device}-{device}", NULL};
    struct tg_settings *s = tg_test_settings(type->config.options, pairs);
    struct tg_cloud_target t = {.host = "h", .device_id = "m1", .gateway = "site", .settings = s};
    struct tg_cloud_secret secret = {
        .kind = TG_IDENTITY_PASSWORD, .username = tg_bytes_str("u"), .password = tg_bytes_str("p")};
    char scratch[64];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_cloud_login l;
    struct tg_error err = {0};
    (void)state;
    tg_write_str(&w, "before");
    assert_int_equal(type->login(&t, &secret, NULL, 0, &w, &l, &err), TG_OK);
    assert_true(tg_bytes_eq_str(l.connect.client_id, "site-m1-m1"));
    assert_true(tg_bytes_eq_str(l.connect.username, "u"));
    assert_true(tg_bytes_eq_str(l.connect.password, "p"));
    assert_int_equal(l.expires_s, 0);
    secret.kind = TG_IDENTITY_X509;
    w = tg_writer_init(scratch, sizeof scratch);
    assert_int_equal(type->login(&t, &secret, NULL, 0, &w, &l, &err), TG_OK);
    assert_int_equal(l.connect.username.len + l.connect.password.len, 0);
    w = tg_writer_init(scratch, 9);
    assert_int_equal(type->login(&t, &secret, NULL, 0, &w, &l, &err), TG_ETOOBIG);
    tg_settings_free(s);
}

static void test_topics_and_inbound(void **state)
{
    static const struct tg_format_content content = {"application/json", "utf-8", ""};
    enum tg_retry retry;
    struct talk_rig r;
    static const char *const pairs[] = {"command_topic", "", NULL};
    struct tg_settings *s = tg_test_settings(type->config.options, NULL),
                       *quiet = tg_test_settings(type->config.options, pairs);
    struct tg_cloud_target t = {.host = "h", .device_id = "m1", .gateway = "site", .settings = s};
    char out[64];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    (void)state;
    assert_int_equal(type->topic(&t, &content, "", &w), TG_OK);
    assert_true(tg_bytes_eq_str(tg_bytes(w.data, w.len), "tidegate/m1/data"));
    w = tg_writer_init(out, 15);
    assert_int_equal(type->topic(&t, &content, "", &w), TG_ETOOBIG);
    w = tg_writer_init(out, sizeof out);
    assert_int_equal(type->filters(&t, 0, &w, filters, qos), 1);
    assert_true(tg_bytes_eq_str(filters[0], "tidegate/m1/command"));
    w = tg_writer_init(out, 15);
    assert_int_equal(type->filters(&t, 0, &w, filters, qos), TG_ETOOBIG);
    t.settings = quiet;
    assert_int_equal(type->filters(&t, 0, &w, filters, qos), 0);
    talk_rig_init(&r, type, NULL, &t);
    assert_int_equal(talk_rig_message(&r, "any", "{\"command\":\"x\"}"), TG_OK);
    assert_int_equal(r.command_count, 1);
    assert_string_equal(r.commands[0].body, "{\"command\":\"x\"}");
    assert_string_equal(r.commands[0].name, "");
    assert_string_equal(r.commands[0].message_id, "");
    talk_rig_fini(&r);
    for (unsigned i = 0; i < 256; i++)
        assert_non_null(type->connack_text((uint8_t)i, &retry));
    tg_settings_free(s);
    tg_settings_free(quiet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_templates),
                                       cmocka_unit_test(test_command_filters),
                                       cmocka_unit_test(test_device_ids), cmocka_unit_test(test_login),
                                       cmocka_unit_test(test_topics_and_inbound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
