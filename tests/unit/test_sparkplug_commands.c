/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/sparkplug_node.h"

static void test_rebirth(void **state)
{
    struct tg_sparkplug_metric other = node_rebirth;
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one;
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    one = sample_one(&b, 1000, "flow", tg_value_int(1));
    for (int d = 0; d < NODE_DEVICES; d++) {
        assert_int_equal(node_send(&n, d, &one, 1, false, &s), 1);
        sent_close(&s);
    }
    node_clear(&n);
    node_at(&n, 3000);
    assert_int_equal(node_command(&n, &node_rebirth, false), TG_OK);
    publish_assert_seq(talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"), 0);
    publish_assert_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 1);
    publish_assert_seq(talk_rig_find(&n.devices[1], "spBv1.0/G/DBIRTH/E/d1"), 2);
    sent_open_publish(&s, talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"));
    assert_int_equal(metric_value(&s.m[0]).as.integer, 0); /* bdSeq is of the connection */
    sent_close(&s);
    /* Hosts that all ask get one answer: data stops, and the births come a second after the last. */
    node_at(&n, 3001);
    node_clear(&n);
    assert_int_equal(node_command(&n, &node_rebirth, false), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    assert_false(n.devices[0].gate);
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), TG_EFULL);
    assert_int_equal(node_command(&n, &node_rebirth, false), TG_OK);
    assert_int_equal(n.link.wake_ms, 4000);
    node_at(&n, 4000);
    assert_int_equal(node_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    assert_true(n.devices[0].gate);
    node_clear(&n);
    node_at(&n, 9000);
    assert_int_equal(node_command(&n, &node_rebirth, true), TG_EPROTO);
    other.as.boolean = false;
    assert_int_equal(node_command(&n, &other, false), TG_OK);
    other.name = "Node Control/Reboot";
    assert_int_equal(node_command(&n, &other, false), TG_EUNSUPPORTED);
    assert_non_null(strstr(n.link.err.text, "Node Control/Reboot"));
    assert_int_equal(node_event(&n, (struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                            .topic = tg_bytes_str("spBv1.0/G/NCMD/E"),
                                                            .payload = tg_bytes_str("\x12\xff")}),
                     TG_EPROTO);
    assert_int_equal(
        node_event(&n, (struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                               .topic = tg_bytes_str("spBv1.0/G/DCMD/E/unknown")}),
        TG_ENOTFOUND);
    assert_int_equal(n.link.publish_count, 0);
    node_fini(&n);
}

static int host_state(struct sparkplug_node *n, const char *json)
{
    return node_event(n, (struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                 .topic = tg_bytes_str("spBv1.0/STATE/H"),
                                                 .payload = tg_bytes_str(json),
                                                 .retain = true});
}

static void test_primary_host(void **state)
{
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one = sample_one(&b, 1000, "flow", tg_value_int(1));
    const struct talk_rig_publish *p;
    (void)state;
    node_init(&n, "H");
    node_begin(&n);
    node_accept(&n, 0, one);
    assert_int_equal(n.link.publish_count, 0);
    assert_false(n.devices[0].gate);
    assert_int_equal(host_state(&n, "{\"online\":false,\"timestamp\":50}"), TG_OK);
    assert_false(n.link.gave_up);                                                      /* it had not begun */
    assert_int_equal(host_state(&n, "{\"online\":true,\"timestamp\":49}"), TG_EINVAL); /* an old one */
    assert_int_equal(n.link.publish_count, 0);
    assert_int_equal(host_state(&n, "ONLINE"), TG_EPROTO);
    assert_int_equal(host_state(&n, "{\"online\":\"true\",\"timestamp\":60}"), TG_EPROTO);
    assert_int_equal(host_state(&n, "{\"online\":true}"), TG_EPROTO);
    assert_int_equal(host_state(&n, ""), TG_EPROTO);
    assert_int_equal(host_state(&n, "{\"online\":true,\"timestamp\":50}"), TG_OK);
    publish_assert_seq(talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"), 0);
    publish_assert_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 1);
    assert_true(n.devices[0].gate);
    assert_int_equal(host_state(&n, "{\"online\":true,\"timestamp\":70}"), TG_OK);
    assert_int_equal(n.link.publish_count, 1); /* it is born already */
    assert_int_equal(host_state(&n, "{\"online\":false,\"timestamp\":69}"), TG_EINVAL);
    assert_false(n.link.gave_up);
    assert_int_equal(host_state(&n, "{\"online\":false,\"timestamp\":80}"), TG_OK);
    p = talk_rig_find(&n.link, "spBv1.0/G/NDEATH/E");
    assert_non_null(p);
    assert_int_equal(p->qos, 1);
    sent_open(&s, p->payload, p->len);
    assert_false(s.reader.has_seq);
    assert_int_equal(metric_value(&s.m[0]).as.integer, 0);
    sent_close(&s);
    assert_true(n.link.gave_up);
    assert_int_equal(n.link.retry, TG_RETRY_NOW);
    assert_false(n.devices[0].gate);
    /* The next connection waits, and does not believe what it knew. */
    node_disconnect(&n);
    node_clear(&n);
    node_connect(&n);
    assert_int_equal(node_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
    assert_int_equal(host_state(&n, "{\"online\":false,\"timestamp\":80}"), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    assert_false(n.link.gave_up);
    assert_int_equal(host_state(&n, "{\"online\":true,\"timestamp\":90}"), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    node_fini(&n);
}

static void test_device_commands(void **state)
{
    struct tg_sparkplug_metric m = {
        .name = "set\"point", .datatype = TG_SPARKPLUG_INT8, .field = TG_SPARKPLUG_FIELD_INT};
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one = sample_one(&b, 1000, "flow", tg_value_int(-1));
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    m.as.u32 = 0xFFFFFFFF;
    assert_int_equal(node_device_command(&n, &m), TG_OK);
    assert_string_equal(n.devices[0].commands[0].name, "set");
    assert_string_equal(n.devices[0].commands[0].body, "{\"set\\\"point\":-1}");
    assert_true(n.devices[0].commands[0].hold);
    assert_int_equal(n.devices[0].commands[0].reply_len, 0);
    m = (struct tg_sparkplug_metric){
        .has_alias = true, .alias = s.m[0].alias, .field = TG_SPARKPLUG_FIELD_LONG};
    m.as.u64 = UINT64_MAX; /* without a datatype it is that of the birth */
    sent_close(&s);
    assert_int_equal(node_device_command(&n, &m), TG_OK);
    assert_string_equal(n.devices[0].commands[1].body, "{\"flow\":-1}");
    m.alias += 100;
    assert_int_equal(node_device_command(&n, &m), TG_ENOTFOUND);
    m.has_alias = false;
    assert_int_equal(node_device_command(&n, &m), TG_EPROTO);
    m.name = "flow";
    m.null = true;
    assert_int_equal(node_device_command(&n, &m), TG_EINVAL);
    assert_int_equal(node_device_command(&n, NULL), TG_EPROTO);
    m = (struct tg_sparkplug_metric){.name = "mode", .field = TG_SPARKPLUG_FIELD_STRING, .as.text = "a\nb"};
    assert_int_equal(node_device_command(&n, &m), TG_OK);
    assert_string_equal(n.devices[0].commands[2].body, "{\"mode\":\"a\\u000ab\"}");
    assert_int_equal(
        talk_rig_event(&n.devices[0], &(struct tg_cloud_event){.type = TG_CLOUD_MESSAGE, .retain = true}),
        TG_EPROTO);
    assert_int_equal(n.devices[0].command_count, 3);
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rebirth), cmocka_unit_test(test_primary_host),
                                       cmocka_unit_test(test_device_commands)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
