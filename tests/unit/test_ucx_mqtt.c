/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AT+UDCP and AT+UDUV for the clouds of the application note, what cannot stand in a URL, what is too long, and what people see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/ucx_mqtt.h"

static struct tg_ucx_command commands[TG_UCX_COMMANDS_MAX];
static size_t count;
static const char *what;

static int make(const struct tg_ucx_mqtt *m, size_t limit)
{
    return tg_ucx_mqtt_commands(m, limit, commands, &count, &what);
}

/* Section 1.2.1; the order of parameters is that of section 3.4. */
static void a_broker_with_user_and_password(void **state)
{
    const struct tg_ucx_mqtt m = {.host = "mqtt.thingstream.io",
                                  .port = 8883,
                                  .client = "device:57014dd-eb16-4848-b3bd-d8953a123456789",
                                  .user = "44Y4OWYTRN3JJM3123456789",
                                  .password = "KgpOln78MZwuzYw3WCmGMdTePVm123456789",
                                  .publish = "testpub",
                                  .subscribe = "testsub",
                                  .ca = "AmazonRootCA1.pem"};
    char shown[300];
    (void)state;
    assert_int_equal(make(&m, 512), 0);
    assert_int_equal(count, 1);
    assert_string_equal(
        commands[0].text,
        "AT+UDCP=mqtt://mqtt.thingstream.io:8883/?client=device:57014dd-eb16-4848-b3bd-d8953a123456789"
        "&user=44Y4OWYTRN3JJM3123456789&passwd=KgpOln78MZwuzYw3WCmGMdTePVm123456789&pt=testpub&st=testsub"
        "&encr=3&ca=AmazonRootCA1.pem");
    assert_true(commands[0].secret);
    tg_ucx_redact(commands[0].text, true, shown, sizeof shown);
    assert_null(strstr(shown, "Kgp"));
    assert_non_null(strstr(shown, "&passwd=***&pt=testpub"));
}

/* Section 3.3.2: a token has blanks, ampersands and percent signs. */
static void a_token_goes_into_a_variable(void **state)
{
    const struct tg_ucx_mqtt m = {.host = "hub.azure-devices.net",
                                  .port = 8883,
                                  .client = "device2",
                                  .user = "hub.azure-devices.net/device2",
                                  .password =
                                      "SharedAccessSignature sr=hub&sig=ix4n%2FLa%3D&se=1591876214&skn=",
                                  .publish = "devices/device2/messages/events/",
                                  .subscribe = "devices/device2/messages/devicebound/#",
                                  .ca = "ca.pem"};
    char shown[200];
    (void)state;
    assert_int_equal(make(&m, 512), 0);
    assert_int_equal(count, 2);
    assert_string_equal(commands[0].text,
                        "AT+UDUV=0,\"SharedAccessSignature sr=hub&sig=ix4n%2FLa%3D&se=1591876214&skn=\"");
    assert_true(commands[0].secret);
    assert_non_null(strstr(commands[1].text, "&passwd=%%0&pt="));
    assert_false(commands[1].secret);
    tg_ucx_redact(commands[0].text, true, shown, sizeof shown);
    assert_string_equal(shown, "AT+UDUV=0,***");
}

static void what_is_too_long_moves_into_variables(void **state)
{
    char topic[TG_UCX_TOPIC_MAX_BYTES + 1], host[400];
    struct tg_ucx_mqtt m = {.host = "broker.example",
                            .port = 1883,
                            .client = "c",
                            .user = "somebody-with-a-long-name",
                            .publish = topic,
                            .subscribe = "s/#"};
    (void)state;
    memset(topic, 't', sizeof topic - 1);
    topic[sizeof topic - 1] = '\0';
    topic[150] = '\0';
    assert_int_equal(make(&m, 512), 0);
    assert_int_equal(count, 1);
    assert_int_equal(make(&m, 180), 0); /* the topic is the longest */
    assert_int_equal(count, 2);
    assert_string_equal(
        commands[1].text,
        "AT+UDCP=mqtt://broker.example:1883/?client=c&user=somebody-with-a-long-name&pt=%%0&st=s/#");
    assert_int_equal(make(&m, 80), 0);
    assert_int_equal(count, 3);
    assert_string_equal(commands[0].text, "AT+UDUV=0,somebody-with-a-long-name");
    assert_string_equal(commands[2].text,
                        "AT+UDCP=mqtt://broker.example:1883/?client=c&user=%%0&pt=%%1&st=s/#");
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    m.host = host;
    assert_int_equal(make(&m, 80), TG_ETOOBIG);
    assert_string_equal(what, "AT+UDCP");
}

static void nothing_ends_a_command_early(void **state)
{
    struct tg_ucx_mqtt m = {.host = "h", .port = 1, .client = "c", .publish = "a\rAT+UFACTORY"};
    (void)state;
    assert_int_equal(make(&m, 512), TG_EINVAL);
    assert_string_equal(what, "the topic to publish to");
    m.publish = "p";
    m.host = "h/?client=evil&x=";
    assert_int_equal(make(&m, 512), TG_EINVAL);
    m.host = "h";
    m.client = "a\"b\\c,d";
    assert_int_equal(make(&m, 512), 0);
    assert_string_equal(commands[0].text, "AT+UDUV=0,\"a\\\"b\\\\c,d\"");
    assert_string_equal(commands[1].text, "AT+UDCP=mqtt://h:1/?client=%%0&pt=p");
}

static void five_values_that_cannot_stand_in_a_url_are_too_many(void **state)
{
    const struct tg_ucx_mqtt m = {.host = "h",
                                  .port = 1,
                                  .client = "a b",
                                  .user = "a b",
                                  .password = "a b",
                                  .publish = "a b",
                                  .subscribe = "a b"};
    (void)state;
    assert_int_equal(make(&m, 512), TG_ETOOBIG);
}

static void a_small_buffer_shows_less_and_never_the_secret(void **state)
{
    const char *command = "AT+UWSC=0,8,\"a secret, with a comma\"";
    (void)state;
    for (size_t size = 5; size < 60; size++) {
        char shown[60];
        tg_ucx_redact("AT+UDCP=mqtt://h:1/?client=c&passwd=secret&pt=p", true, shown, size);
        assert_true(strlen(shown) < size);
        assert_null(strstr(shown, "secret"));
        tg_ucx_redact("AT+UDUV=0,\"secret,secret\"", true, shown, size);
        assert_null(strstr(shown, "secret"));
        tg_ucx_redact(command, true, shown, size);
        assert_null(strstr(shown, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_broker_with_user_and_password),
                                       cmocka_unit_test(a_token_goes_into_a_variable),
                                       cmocka_unit_test(what_is_too_long_moves_into_variables),
                                       cmocka_unit_test(nothing_ends_a_command_early),
                                       cmocka_unit_test(five_values_that_cannot_stand_in_a_url_are_too_many),
                                       cmocka_unit_test(a_small_buffer_shows_less_and_never_the_secret)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
