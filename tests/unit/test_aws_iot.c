/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "northbound/aws_iot.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

static const struct tg_cloud_type *const type = &tg_aws_iot;

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

static void test_options(void **state)
{
    (void)state;
    assert_int_equal(check("topic", "a/b/c/d/e/f/g/{device}", NULL), TG_OK);
    assert_refused("topic", "a/b/c/d/e/f/g/h/{device}", "8 slashes");
    assert_refused("topic", "$aws/rules/r/{device}", "begins with $");
    assert_refused("topic", "a/+/b", "wildcard");
    assert_refused("topic", "a/{thing}", "unknown placeholder");
    assert_refused("client_id", "{thing}", "unknown placeholder");
    assert_int_equal(check("rule", "store_meters", NULL), TG_OK);
    assert_refused("rule", "store-meters", "name of a rule");
    assert_refused("rule", "a/b", "name of a rule");
    assert_int_equal(check("shadow", "classic", NULL), TG_OK);
    assert_int_equal(check("shadow", "config-1", NULL), TG_OK);
    assert_refused("shadow", "a/b", "neither off");
    assert_refused("shadow", "#", "neither off");
}

static void test_device_ids(void **state)
{
    struct tg_settings *s = tg_test_settings(type->config.options, NULL);
    const char *pairs[] = {"client_id", "{device}-{device}", "topic", "{device}/{device}/{device}", NULL};
    struct tg_settings *twice = tg_test_settings(type->config.options, pairs);
    char longest[TG_AWS_THING_MAX_BYTES + 2];
    struct tg_error err = {0};
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[TG_AWS_THING_MAX_BYTES] = '\0';
    assert_int_equal(type->config.check_device(s, "meter-1:a_B", &err), TG_OK);
    assert_int_equal(type->config.check_device(s, longest, &err), TG_OK);
    assert_int_equal(type->config.check_device(twice, longest, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "the topic"));
    longest[64] = '\0';
    assert_int_equal(type->config.check_device(twice, longest, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "the client id"));
    longest[63] = '\0';
    assert_int_equal(type->config.check_device(twice, longest, &err), TG_OK);
    memset(longest, 'x', sizeof longest);
    longest[TG_AWS_THING_MAX_BYTES + 1] = '\0';
    assert_int_equal(type->config.check_device(s, longest, &err), TG_EINVAL);
    assert_int_equal(type->config.check_device(s, "", &err), TG_EINVAL);
    assert_int_equal(type->config.check_device(s, "a.b", &err), TG_EINVAL);
    assert_int_equal(type->config.check_device(s, "a/b", &err), TG_EINVAL);
    tg_settings_free(s);
    tg_settings_free(twice);
}

static void assert_topic(const char *const *pairs, const char *want)
{
    static const struct tg_format_content content = {"application/json", "utf-8", ""};
    struct tg_settings *s = tg_test_settings(type->config.options, pairs);
    struct tg_cloud_target t = {.device_id = "m1", .gateway = "site", .settings = s};
    char out[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    int rc = type->topic(&t, &content, "", &w);
    if (want) {
        assert_int_equal(rc, TG_OK);
        assert_int_equal(tg_writer_cstr(&w), TG_OK);
        assert_string_equal(out, want);
    } else {
        assert_int_equal(rc, TG_ETOOBIG);
    }
    tg_settings_free(s);
}

static void test_topics(void **state)
{
    const char *rule[] = {"rule", "store", NULL};
    const char *both[] = {"topic", "a/{gateway}/b/{device}", "rule", "store", NULL};
    char exact[TG_AWS_THING_MAX_BYTES * 2 + 1];
    const char *longest[] = {"topic", exact, "rule", "store", NULL};
    struct tg_settings *s;
    struct tg_cloud_target t;
    char out[TG_CLOUD_TOPIC_BYTES], name[130];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    (void)state;
    assert_topic(NULL, "dt/tidegate/site/m1");
    assert_topic(rule, "$aws/rules/store/dt/tidegate/site/m1");
    assert_topic(both, "$aws/rules/store/a/site/b/m1");
    /* 256 bytes, Basic Ingest's prefix not counted. */
    memset(exact, 't', 256);
    exact[256] = '\0';
    snprintf(out, sizeof out, "$aws/rules/store/%s", exact);
    assert_topic(longest, out);
    /* One more, through a long name of the gateway. */
    s = tg_test_settings(type->config.options, (const char *[]){"topic", "{gateway}/{gateway}", NULL});
    memset(name, 'g', sizeof name);
    name[128] = '\0';
    t = (struct tg_cloud_target){.device_id = "m1", .gateway = name, .settings = s};
    w = tg_writer_init(out, sizeof out);
    assert_int_equal(type->topic(&t, NULL, "", &w), TG_ETOOBIG);
    name[127] = '\0';
    w = tg_writer_init(out, sizeof out);
    assert_int_equal(type->topic(&t, NULL, "", &w), TG_OK);
    tg_settings_free(s);
}

static void test_login(void **state)
{
    struct tg_settings *s = tg_test_settings(type->config.options, NULL);
    struct tg_cloud_target t = {.device_id = "m1", .gateway = "site", .settings = s};
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_X509};
    struct tg_cloud_login l;
    struct tg_error err = {0};
    char scratch[256];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    (void)state;
    assert_int_equal(type->login(&t, &secret, NULL, 0, &w, &l, &err), TG_OK);
    assert_true(tg_bytes_eq_str(l.connect.client_id, "m1"));
    assert_null(l.connect.username.data);
    assert_null(l.connect.password.data);
    assert_int_equal(l.expires_s, 0);
    w = tg_writer_init(scratch, 1);
    assert_int_equal(type->login(&t, &secret, NULL, 0, &w, &l, &err), TG_ETOOBIG);
    tg_settings_free(s);
}

static int filters_of(const char *const *pairs, uint32_t part, char *ret_text, size_t size)
{
    struct tg_settings *s = tg_test_settings(type->config.options, pairs);
    struct tg_cloud_target t = {.device_id = "m1", .gateway = "site", .settings = s};
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS], scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch), all = tg_writer_init(ret_text, size);
    int n = type->filters(&t, part, &w, filters, qos);
    for (int i = 0; i < n; i++) {
        assert_int_equal(qos[i], 1);
        tg_write_bytes(&all, filters[i]);
        tg_write_str(&all, "\n");
    }
    assert_int_equal(tg_writer_cstr(&all), TG_OK);
    w = tg_writer_init(scratch, 30);
    if (n > 0)
        assert_int_equal(type->filters(&t, part, &w, filters, qos), TG_ETOOBIG);
    tg_settings_free(s);
    return n;
}

static void test_filters(void **state)
{
    static const char shadow_filters[] =
        "$aws/things/m1/shadow/get/accepted\n$aws/things/m1/shadow/get/rejected\n"
        "$aws/things/m1/shadow/update/delta\n"
        "$aws/things/m1/shadow/update/accepted\n"
        "$aws/things/m1/shadow/update/rejected\n";
    static const char job_filters[] =
        "$aws/things/m1/jobs/notify-next\n$aws/things/m1/jobs/start-next/accepted\n"
        "$aws/things/m1/jobs/start-next/rejected\n$aws/things/m1/jobs/+/update/accepted\n"
        "$aws/things/m1/jobs/+/update/rejected\n";
    const char *shadow[] = {"shadow", "classic", NULL}, *jobs[] = {"jobs", "on", NULL};
    const char *both[] = {"shadow", "net", "jobs", "on", NULL};
    char text[2048];
    (void)state;
    assert_int_equal(filters_of(NULL, 0, text, sizeof text), 0);
    assert_int_equal(filters_of(shadow, 0, text, sizeof text), 5);
    assert_string_equal(text, shadow_filters);
    assert_int_equal(filters_of(shadow, 1, text, sizeof text), 0);
    assert_int_equal(filters_of(jobs, 0, text, sizeof text), 5);
    assert_string_equal(text, job_filters);
    assert_int_equal(filters_of(jobs, 1, text, sizeof text), 0);
    assert_int_equal(filters_of(both, 0, text, sizeof text), 5);
    assert_non_null(strstr(text, "$aws/things/m1/shadow/name/net/update/delta\n"));
    assert_int_equal(filters_of(both, 1, text, sizeof text), 5);
    assert_string_equal(text, job_filters);
    assert_int_equal(filters_of(both, 2, text, sizeof text), 0);
}

/* Nothing is said with nothing switched on, nor when a subscription was refused: that might end the connection. */
static void test_silent(void **state)
{
    struct tg_settings *off = tg_test_settings(type->config.options, NULL);
    struct tg_settings *on =
        tg_test_settings(type->config.options, (const char *[]){"shadow", "classic", "jobs", "on", NULL});
    struct tg_cloud_target t = {.device_id = "m1", .gateway = "site", .settings = off};
    struct talk_rig r;
    (void)state;
    for (int i = 0; i < 2; i++) {
        talk_rig_init(&r, type, NULL, &t);
        talk_rig_simple(&r, TG_CLOUD_START);
        talk_rig_simple(&r, TG_CLOUD_ONLINE);
        talk_rig_event(&r, &(struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = (uint32_t)i});
        talk_rig_event(
            &r, &(struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = tg_bytes_str("{\"a\":1}")});
        talk_rig_message(&r, "$aws/things/m1/shadow/update/delta", "{\"version\":1,\"state\":{\"a\":1}}");
        talk_rig_message(&r, "$aws/things/m1/jobs/notify-next", "{\"execution\":{\"jobId\":\"j\"}}");
        r.now_ms = 1000000;
        talk_rig_simple(&r, TG_CLOUD_WAKE);
        assert_int_equal(r.publish_count, 0);
        assert_int_equal(r.desired_count, 0);
        assert_true(r.wake_ms == INT64_MAX);
        talk_rig_fini(&r);
        t.settings = on;
    }
    tg_settings_free(off);
    tg_settings_free(on);
}

static void test_connack(void **state)
{
    enum tg_retry retry;
    (void)state;
    for (unsigned i = 0; i < 256; i++)
        assert_non_null(type->connack_text((uint8_t)i, &retry));
    assert_non_null(strstr(type->connack_text(7, &retry), "not authorised"));
    assert_int_equal(retry, TG_RETRY_NEVER);
    assert_non_null(strstr(type->connack_text(3, &retry), "unavailable"));
    assert_int_equal(retry, TG_RETRY_BACKOFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_options), cmocka_unit_test(test_device_ids),
                                       cmocka_unit_test(test_topics),  cmocka_unit_test(test_login),
                                       cmocka_unit_test(test_filters), cmocka_unit_test(test_silent),
                                       cmocka_unit_test(test_connack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
