/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What official Azure clients put on the wire must come out of the same fields byte by byte, and what
 * servers answered must be understood. Every entry of the files is run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "northbound/mqtt/mqtt_decoder.h"
#include "support/vectors.h"

#define MAX_PACKET 300000

static uint8_t golden[MAX_PACKET], written[MAX_PACKET];
static size_t golden_len;
static const char *what; /* the entry at hand, for the message of a failing test */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* A JSON string as bytes; absent or null: no data. Strings in JSON may hold U+0000. */
static struct tg_bytes bytes_of(const json_t *object, const char *key)
{
    const json_t *s = json_object_get(object, key);
    return json_is_string(s) ? tg_bytes(json_string_value(s), json_string_length(s)) : tg_bytes(NULL, 0);
}

static unsigned number_of(const json_t *object, const char *key)
{
    return (unsigned)json_integer_value(json_object_get(object, key));
}

static void load_hex(const char *hex)
{
    long n;
    assert_non_null(hex);
    n = tg_vectors_hex(hex, golden, sizeof golden);
    assert_true(n > 0);
    golden_len = (size_t)n;
}

static void expect_golden(const struct tg_writer *w)
{
    if (w->len != golden_len || memcmp(w->data, golden, golden_len) != 0)
        fail_msg("%s: %zu bytes written, %zu expected, or another content", what, w->len, golden_len);
}

/* --- client to server: fields → bytes --- */

static int write_connect(struct tg_writer *w, const json_t *d)
{
    const json_t *will = json_object_get(d, "will");
    struct tg_mqtt_connect c = {.client_id = bytes_of(d, "clientId"),
                                .username = bytes_of(d, "username"),
                                .password = bytes_of(d, "password"),
                                .clean_session = json_is_true(json_object_get(d, "clean")),
                                .keepalive_s = (uint16_t)number_of(d, "keepalive")};
    const char *flaw = NULL;
    if (json_is_object(will)) {
        c.will_topic = bytes_of(will, "topic");
        c.will_payload = bytes_of(will, "payload");
        c.will_qos = (uint8_t)number_of(will, "qos");
        c.will_retain = json_is_true(json_object_get(will, "retain"));
    }
    return tg_mqtt_write_connect(w, &c, MAX_PACKET, &flaw);
}

static int write_publish(struct tg_writer *w, const json_t *d)
{
    struct tg_mqtt_publish p = {.topic = bytes_of(d, "topic"),
                                .payload = bytes_of(d, "payload"),
                                .packet_id = (uint16_t)number_of(d, "messageId"),
                                .qos = (uint8_t)number_of(d, "qos"),
                                .retain = json_is_true(json_object_get(d, "retain")),
                                .dup = json_is_true(json_object_get(d, "dup"))};
    const char *flaw = NULL;
    return tg_mqtt_write_publish(w, &p, MAX_PACKET, &flaw);
}

static int write_filters(struct tg_writer *w, const json_t *d, bool subscribe)
{
    const json_t *list = json_object_get(d, subscribe ? "subscriptions" : "unsubscriptions");
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    size_t count = json_array_size(list);
    uint16_t id = (uint16_t)number_of(d, "messageId");
    const char *flaw = NULL;
    assert_in_range(count, 1, TG_MQTT_MAX_FILTERS);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        filters[i] = subscribe ? bytes_of(item, "topic") : tg_bytes_str(json_string_value(item));
        qos[i] = (uint8_t)number_of(item, "qos");
    }
    return subscribe ? tg_mqtt_write_subscribe(w, id, filters, qos, (uint8_t)count, MAX_PACKET, &flaw)
                     : tg_mqtt_write_unsubscribe(w, id, filters, (uint8_t)count, MAX_PACKET, &flaw);
}

static void check_sent(const json_t *packet)
{
    const json_t *d = json_object_get(packet, "decoded");
    const char *cmd = text_of(d, "cmd");
    struct tg_writer w = tg_writer_init(written, sizeof written);
    int r;
    load_hex(text_of(packet, "hex"));
    if (strcmp(cmd, "connect") == 0)
        r = write_connect(&w, d);
    else if (strcmp(cmd, "publish") == 0)
        r = write_publish(&w, d);
    else if (strcmp(cmd, "subscribe") == 0)
        r = write_filters(&w, d, true);
    else if (strcmp(cmd, "unsubscribe") == 0)
        r = write_filters(&w, d, false);
    else if (strcmp(cmd, "puback") == 0)
        r = tg_mqtt_write_puback(&w, (uint16_t)number_of(d, "messageId"));
    else if (strcmp(cmd, "pingreq") == 0)
        r = tg_mqtt_write_pingreq(&w);
    else if (strcmp(cmd, "disconnect") == 0)
        r = tg_mqtt_write_disconnect(&w);
    else
        fail_msg("%s: a packet '%s' that this client does not send", what, cmd);
    assert_int_equal(r, 0);
    expect_golden(&w);
}

/* --- server to client: bytes → fields --- */

static void check_received_publish(const json_t *d, const struct tg_mqtt_publish *p)
{
    assert_true(tg_bytes_eq(p->topic, bytes_of(d, "topic")));
    assert_true(tg_bytes_eq(p->payload, bytes_of(d, "payload")));
    assert_int_equal(p->qos, number_of(d, "qos"));
    assert_int_equal(p->packet_id, number_of(d, "messageId"));
    assert_int_equal(p->dup, json_is_true(json_object_get(d, "dup")));
    assert_int_equal(p->retain, json_is_true(json_object_get(d, "retain")));
}

static void check_received(const json_t *packet)
{
    const json_t *d = json_object_get(packet, "decoded");
    const char *cmd = text_of(d, "cmd"), *flaw = NULL;
    const json_t *granted = json_object_get(d, "granted");
    struct tg_mqtt_packet p;
    size_t size = 0;
    load_hex(text_of(packet, "hex"));
    for (size_t cut = 0; cut < golden_len; cut++)
        assert_int_equal(tg_mqtt_decode(tg_bytes(golden, cut), MAX_PACKET, &p, &size, &flaw), 0);
    assert_int_equal(tg_mqtt_decode(tg_bytes(golden, golden_len), MAX_PACKET, &p, &size, &flaw), 1);
    assert_int_equal(size, golden_len);
    if (strcmp(cmd, "connack") == 0) {
        assert_int_equal(p.type, TG_MQTT_TYPE_CONNACK);
        assert_int_equal(p.return_code, number_of(d, "returnCode"));
        assert_int_equal(p.session_present, json_is_true(json_object_get(d, "sessionPresent")));
    } else if (strcmp(cmd, "publish") == 0) {
        assert_int_equal(p.type, TG_MQTT_TYPE_PUBLISH);
        check_received_publish(d, &p.publish);
    } else if (strcmp(cmd, "suback") == 0) {
        assert_int_equal(p.type, TG_MQTT_TYPE_SUBACK);
        assert_int_equal(p.packet_id, number_of(d, "messageId"));
        assert_int_equal(p.codes.len, json_array_size(granted));
        for (size_t i = 0; i < p.codes.len; i++)
            assert_int_equal(p.codes.data[i], json_integer_value(json_array_get(granted, i)));
    } else if (strcmp(cmd, "puback") == 0 || strcmp(cmd, "unsuback") == 0) {
        assert_int_equal(p.type, cmd[0] == 'p' ? TG_MQTT_TYPE_PUBACK : TG_MQTT_TYPE_UNSUBACK);
        assert_int_equal(p.packet_id, number_of(d, "messageId"));
    } else if (strcmp(cmd, "pingresp") == 0) {
        assert_int_equal(p.type, TG_MQTT_TYPE_PINGRESP);
    } else {
        fail_msg("%s: a packet '%s' that a server does not send", what, cmd);
    }
}

/* --- files --- */

static void connect_packets(void **state)
{
    json_t *root = tg_vectors_load("cloud/azure_connect_packets.json"), *entry;
    size_t i, n = 0;
    (void)state;
    json_array_foreach(json_object_get(root, "connects"), i, entry)
    {
        what = text_of(entry, "name");
        check_sent(entry);
        n++;
    }
    print_message("%zu CONNECT packets\n", n);
    assert_true(n > 0);
    json_decref(root);
}

static void run_trace(const char *file)
{
    json_t *root = tg_vectors_load(file), *entry;
    size_t i, sent = 0, received = 0;
    json_array_foreach(json_object_get(root, "packets"), i, entry)
    {
        const char *dir = text_of(entry, "dir");
        char name[64];
        snprintf(name, sizeof name, "packet %zu", i);
        what = name;
        if (dir && strcmp(dir, "C>S") == 0) {
            check_sent(entry);
            sent++;
        } else if (dir && strcmp(dir, "S>C") == 0) {
            check_received(entry);
            received++;
        }
    }
    print_message("%s: %zu packets sent, %zu received\n", file, sent, received);
    assert_true(sent > 0 && received > 0);
    json_decref(root);
}

static void session_trace(void **state)
{
    (void)state;
    run_trace("cloud/azure_session_trace.json");
}

static void provisioning_trace(void **state)
{
    (void)state;
    run_trace("cloud/dps_session_trace.json");
}

/* The packet holds id and payload; topic comes from the entry. Written again: the same bytes. */
static void property_bags(void **state)
{
    json_t *root = tg_vectors_load("cloud/azure_property_bags.json"), *entry;
    size_t i, n = 0;
    (void)state;
    json_array_foreach(json_object_get(root, "d2c"), i, entry)
    {
        struct tg_writer w = tg_writer_init(written, sizeof written);
        struct tg_mqtt_packet p;
        const char *payload_hex = text_of(entry, "payload_hex"), *flaw = NULL;
        size_t size = 0;
        what = text_of(entry, "topic");
        load_hex(text_of(entry, "packet_hex"));
        assert_int_equal(tg_mqtt_decode(tg_bytes(golden, golden_len), MAX_PACKET, &p, &size, &flaw), 1);
        assert_true(tg_bytes_eq_str(p.publish.topic, what));
        if (payload_hex) {
            uint8_t payload[1024];
            long len = tg_vectors_hex(payload_hex, payload, sizeof payload);
            assert_true(len >= 0);
            assert_true(tg_bytes_eq(p.publish.payload, tg_bytes(payload, (size_t)len)));
        }
        p.publish.topic = tg_bytes_str(what);
        assert_int_equal(tg_mqtt_write_publish(&w, &p.publish, MAX_PACKET, &flaw), 0);
        expect_golden(&w);
        n++;
    }
    print_message("%zu PUBLISH packets\n", n);
    assert_true(n > 0);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_packets),
        cmocka_unit_test(session_trace),
        cmocka_unit_test(provisioning_trace),
        cmocka_unit_test(property_bags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
