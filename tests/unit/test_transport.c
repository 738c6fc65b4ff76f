/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From the options of a cloud to those of a stream, and what is wrong with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "northbound/transport.h"

/* "name=value" … into the common options of a cloud. */
static struct tg_settings *settings(const char *const *pairs)
{
    struct tg_settings *s = tg_settings_new(tg_config_cloud_options);
    struct tg_error err = {0};
    assert_non_null(s);
    for (; *pairs; pairs++) {
        char name[64];
        const char *equals = strchr(*pairs, '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals - *pairs), *pairs);
        if (tg_settings_set(s, name, equals + 1, NULL, (struct tg_settings_position){1, 1}, &err) != TG_OK)
            fail_msg("%s: %s", *pairs, err.text);
    }
    assert_int_equal(tg_settings_finish(s, &err), TG_OK);
    return s;
}

#define SETTINGS(...) settings((const char *const[]){__VA_ARGS__, NULL})

static void check(const char *type, struct tg_settings *s, const char *says)
{
    struct tg_config_cloud cloud = {.type = type, .common = s};
    struct tg_error err = {0};
    int rc = tg_cloud_check_common(&cloud, &err);
    if (says ? rc != TG_EINVAL || !strstr(err.text, says) : rc != TG_OK)
        fail_msg("%s: %d %s, expected: %s", type, rc, err.text, says ? says : "nothing");
    tg_settings_free(s);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    check("mqtt", SETTINGS("host=h"), NULL);
    check("mqtt", SETTINGS("transport=websocket"), NULL);
    check("azure-iot-hub", SETTINGS("transport=websocket", "websocket_path=/$iothub/websocket?x=1"), NULL);
    check("mqtt", SETTINGS("transport=websocket", "websocket_path=mqtt"),
          "websocket_path: \"mqtt\" is not a path");
    check("mqtt", SETTINGS("websocket_path=/mqtt"), "websocket_path: it needs `transport: websocket`");
    check("aws-iot-core", SETTINGS("transport=websocket"), "`port: 443` passes the same firewalls");
    check("gcp-iot-core", SETTINGS("transport=websocket"), "transport: gcp-iot-core does not take");
    check("mqtt", SETTINGS("proxy=http://p:3128"), NULL);
    check("mqtt", SETTINGS("proxy=http://p:3128", "proxy_user=u", "proxy_password_file=/f"), NULL);
    check("mqtt", SETTINGS("proxy=p:3128xx"), "proxy: \"p:3128xx\" does not begin");
    check("mqtt", SETTINGS("proxy=http://p:3128", "proxy_user=u"),
          "proxy_user: proxy_user and proxy_password_file");
    check("mqtt", SETTINGS("proxy=http://p:3128", "proxy_password_file=/f"),
          "proxy_password_file: proxy_user and");
    check("mqtt", SETTINGS("proxy_user=u"), "proxy_user: it needs a `proxy`");
    check("mqtt", SETTINGS("proxy=http://p:3128", "proxy_user=u:v", "proxy_password_file=/f"),
          "proxy_user: a colon");
    check("mqtt", SETTINGS("format=template", "template={device} {seq}"), NULL);
    check("mqtt", SETTINGS("format=template", "template={devise}"),
          "template: unknown placeholder \"{devise}\"");
}

static struct tg_stream_options prepared(const char *type, struct tg_settings *s, uint16_t port,
                                         struct tg_transport *t, int want)
{
    static struct tg_tls_context *const some = (struct tg_tls_context *)(uintptr_t)16; /* never looked at */
    struct tg_stream_options o = {.host = "h", .port = port, .tls = some};
    struct tg_error err = {0};
    int rc = tg_transport_prepare(t, s, tg_cloud_type_find(type, NULL), &o, &err);
    if (rc != want)
        fail_msg("%d %s", rc, err.text);
    return o;
}

static void streams_get_what_the_file_says(void **state)
{
    struct tg_transport t = {0};
    struct tg_settings *s = SETTINGS("host=h");
    (void)state;
    struct tg_stream_options o = prepared("aws-iot-core", s, 443, &t, TG_OK);
    assert_string_equal(o.alpn, "x-amzn-mqtt-ca");
    assert_null(o.websocket_path);
    assert_null(o.proxy_host);
    assert_null(prepared("aws-iot-core", s, 8883, &t, TG_OK).alpn);
    assert_null(prepared("azure-iot-hub", s, 443, &t, TG_OK).alpn);
    assert_int_equal(tg_transport_default_port(s, tg_cloud_type_find("azure-iot-hub", NULL)), 8883);
    tg_settings_free(s);

    s = SETTINGS("transport=websocket", "proxy=http://[::1]:3128");
    o = prepared("azure-iot-hub", s, 443, &t, TG_OK);
    assert_string_equal(o.websocket_path, "/$iothub/websocket");
    assert_string_equal(o.proxy_host, "::1");
    assert_int_equal(o.proxy_port, 3128);
    assert_null(o.proxy_user);
    assert_int_equal(tg_transport_default_port(s, tg_cloud_type_find("azure-iot-hub", NULL)), 443);
    tg_transport_fini(&t);
    tg_settings_free(s);

    s = SETTINGS("transport=websocket", "websocket_path=/x", "tls=off");
    assert_string_equal(prepared("mqtt", s, 80, &t, TG_OK).websocket_path, "/x");
    assert_int_equal(tg_transport_default_port(s, tg_cloud_type_find("mqtt", NULL)), 80);
    tg_settings_free(s);
}

static void the_password_is_read_each_time(void **state)
{
    char path[] = "/tmp/tg proxy password XXXXXX", pair[128];
    struct tg_transport t = {0};
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "one\n", 4), 4);
    snprintf(pair, sizeof pair, "proxy_password_file=%s", path);
    struct tg_settings *s = SETTINGS("proxy=http://p:3128", "proxy_user=gate", pair);
    assert_true(tg_bytes_eq_str(prepared("mqtt", s, 8883, &t, TG_OK).proxy_password, "one"));
    tg_transport_fini(&t);
    assert_int_equal(pwrite(fd, "two\n", 4, 0), 4);
    struct tg_stream_options o = prepared("mqtt", s, 8883, &t, TG_OK);
    assert_true(tg_bytes_eq_str(o.proxy_password, "two"));
    assert_string_equal(o.proxy_user, "gate");
    tg_transport_fini(&t);
    assert_int_equal(fchmod(fd, 0644), 0);
    (void)prepared("mqtt", s, 8883, &t, TG_EPERM);
    tg_transport_fini(&t);
    assert_int_equal(unlink(path), 0);
    (void)prepared("mqtt", s, 8883, &t, TG_ENOTFOUND);
    tg_transport_fini(&t);
    close(fd);
    tg_settings_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(streams_get_what_the_file_says),
        cmocka_unit_test(the_password_is_read_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
