/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/sparkplug_node.h"

static void test_login_has_the_death(void **state)
{
    struct sparkplug_node n;
    struct sparkplug_sent s;
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    assert_true(n.login.connect.clean_session);
    assert_true(tg_bytes_eq_str(n.login.connect.client_id, "site"));
    assert_true(tg_bytes_eq_str(n.login.connect.will_topic, "spBv1.0/G/NDEATH/E"));
    assert_int_equal(n.login.connect.will_qos, 1);
    assert_false(n.login.connect.will_retain);
    sent_open(&s, n.login.connect.will_payload.data, n.login.connect.will_payload.len);
    assert_false(s.reader.has_seq);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.m[0].name, "bdSeq");
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_INT64);
    assert_int_equal(metric_value(&s.m[0]).as.integer, 0);
    sent_close(&s);
    node_fini(&n);
}

static void test_filters_and_addressee(void **state)
{
    char out[512];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_bytes f[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    struct sparkplug_node n;
    (void)state;
    node_init(&n, "H");
    assert_int_equal(tg_sparkplug.filters(&n.link_target, 0, &w, f, qos), 3);
    assert_true(tg_bytes_eq_str(f[0], "spBv1.0/G/NCMD/E") && tg_bytes_eq_str(f[1], "spBv1.0/G/DCMD/E/#"));
    assert_true(tg_bytes_eq_str(f[2], "spBv1.0/STATE/H"));
    assert_int_equal(qos[0] + qos[1] + qos[2], 3);
    assert_int_equal(tg_sparkplug.filters(&n.link_target, 1, &w, f, qos), 0);
    assert_int_equal(tg_sparkplug.filters(&n.targets[0], 0, &w, f, qos), 0);
    w = tg_writer_init(out, 20);
    assert_int_equal(tg_sparkplug.filters(&n.link_target, 0, &w, f, qos), TG_ETOOBIG);
    assert_true(
        tg_bytes_eq_str(tg_sparkplug.addressee(&n.link_target, tg_bytes_str("spBv1.0/G/DCMD/E/d0")), "d0"));
    assert_int_equal(tg_sparkplug.addressee(&n.link_target, tg_bytes_str("spBv1.0/G/DCMD/E/d0/x")).len, 0);
    assert_int_equal(tg_sparkplug.addressee(&n.link_target, tg_bytes_str("spBv1.0/G/DCMD/E/")).len, 0);
    assert_int_equal(tg_sparkplug.addressee(&n.link_target, tg_bytes_str("spBv1.0/G/DCMD/E")).len, 0);
    assert_int_equal(tg_sparkplug.addressee(&n.link_target, tg_bytes_str("spBv1.0/G/NCMD/E")).len, 0);
    assert_int_equal(tg_sparkplug.addressee(&n.link_target, tg_bytes_str("spBv1.0/H/DCMD/E/d0")).len, 0);
    w = tg_writer_init(out, sizeof out);
    assert_int_equal(tg_sparkplug.topic(&n.targets[1], NULL, "", &w), TG_OK);
    assert_true(tg_bytes_eq_str(tg_bytes(w.data, w.len), "spBv1.0/G/DDATA/E/d1"));
    node_fini(&n);
}

static void test_birth_before_data(void **state)
{
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one;
    uint64_t alias;
    (void)state;
    node_init(&n, NULL);
    node_at(&n, 1000);
    assert_int_equal(node_simple(&n, TG_CLOUD_START), TG_OK);
    node_connect(&n);
    assert_int_equal(n.link.publish_count,
                     0); /* not before the subscriptions [message-flow-edge-node-ncmd-subscribe] */
    assert_false(n.devices[0].gate);
    one = sample_one(&b, 900, "flow", tg_value_real(21.5));
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), TG_EFULL);
    assert_int_equal(node_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
    sent_open_publish(&s, talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"));
    sent_assert_seq(&s, 0);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.m[0].name, "bdSeq");
    assert_int_equal(metric_value(&s.m[0]).as.integer, 0);
    assert_true(s.m[0].has_time && s.m[1].has_time);
    assert_string_equal(s.m[1].name, "Node Control/Rebirth");
    assert_false(metric_value(&s.m[1]).as.boolean);
    sent_close(&s);
    assert_true(n.devices[0].gate && n.devices[1].gate);
    assert_int_equal(n.devices[0].publish_count, 0); /* nothing is known of it yet */

    one = sample_one(&b, 1000, "flow", tg_value_real(21.5));
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    sent_assert_seq(&s, 2);
    assert_int_equal(s.count, 1);
    assert_null(s.m[0].name);
    assert_true(s.m[0].has_alias && s.m[0].has_time && !s.m[0].historical);
    assert_int_equal(s.m[0].time_ms, NODE_T0 + 1000);
    assert_int_equal(s.reader.time_ms, NODE_T0 + 1000);
    alias = s.m[0].alias;
    assert_true(metric_value(&s.m[0]).as.real > 21.4);
    sent_close(&s);
    sent_open_publish(&s, talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"));
    sent_assert_seq(&s, 1);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.m[0].name, "flow");
    assert_int_equal(s.m[0].alias, alias);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_DOUBLE);
    assert_true(metric_value(&s.m[0]).as.real > 21.4 && s.m[0].has_time);
    sent_close(&s);
    /* An alias is unique over all devices of the node. */
    assert_int_equal(node_send(&n, 1, &one, 1, false, &s), 1);
    sent_assert_seq(&s, 4);
    assert_true(s.m[0].alias != alias);
    sent_close(&s);
    assert_int_equal(n.devices[0].publish_count, 1);
    node_fini(&n);
}

static void test_bd_seq(void **state)
{
    struct sparkplug_node n;
    struct sparkplug_sent s;
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    for (int i = 1; i < 300; i++) {
        node_disconnect(&n);
        node_clear(&n);
        node_connect(&n);
        assert_int_equal(node_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
        sent_open(&s, n.login.connect.will_payload.data, n.login.connect.will_payload.len);
        assert_int_equal(metric_value(&s.m[0]).as.integer, i & 0xFF);
        sent_close(&s);
        sent_open_publish(&s, talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"));
        assert_int_equal(metric_value(&s.m[0]).as.integer, i & 0xFF);
        sent_assert_seq(&s, 0);
        sent_close(&s);
    }
    /* A gateway that starts anew goes on from its note. */
    node_disconnect(&n);
    memset(n.link.talk.link, 0, tg_sparkplug.link_bytes);
    assert_int_equal(node_simple(&n, TG_CLOUD_START), TG_OK);
    node_connect(&n);
    sent_open(&s, n.login.connect.will_payload.data, n.login.connect.will_payload.len);
    assert_int_equal(metric_value(&s.m[0]).as.integer, 300 & 0xFF);
    sent_close(&s);
    node_fini(&n);
}

static void test_a_damaged_note_begins_anew(void **state)
{
    static const char *const notes[] = {"x", "256", "99999999999", "-1", "1x"};
    (void)state;
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        struct sparkplug_node n;
        struct sparkplug_sent s;
        node_init(&n, NULL);
        n.link.talk.io->remember(&n.link, "bdSeq", tg_bytes_str(notes[i]));
        node_begin(&n);
        sent_open(&s, n.login.connect.will_payload.data, n.login.connect.will_payload.len);
        assert_int_equal(metric_value(&s.m[0]).as.integer, 0);
        sent_close(&s);
        node_fini(&n);
    }
}

static void test_births_wait_for_room(void **state)
{
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one;
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    one = sample_one(&b, 1000, "flow", tg_value_int(1));
    n.devices[0].publish_rc = TG_EFULL;
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), TG_EFULL);
    n.devices[0].publish_rc = TG_OK;
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    sent_assert_seq(&s, 2); /* the birth that found no room has used up no number */
    sent_close(&s);
    node_clear(&n);
    node_at(&n, 3000);
    n.link.publish_rc = TG_EFULL;
    assert_int_equal(node_command(&n, &node_rebirth, false), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    assert_true(n.link.wake_ms > 3000 && n.link.wake_ms < 4000);
    n.link.publish_rc = TG_OK;
    n.devices[0].publish_rc = TG_EFULL;
    node_at(&n, n.link.wake_ms);
    assert_int_equal(node_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    assert_int_equal(n.devices[0].publish_count, 0);
    assert_true(n.link.wake_ms < 4000);
    n.devices[0].publish_rc = TG_OK;
    node_at(&n, n.link.wake_ms);
    assert_int_equal(node_simple(&n, TG_CLOUD_WAKE), TG_OK);
    publish_assert_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 1);
    assert_int_equal(n.link.wake_ms, INT64_MAX);
    n.link.publish_rc = TG_EINVAL;
    node_at(&n, 9000);
    assert_int_equal(node_command(&n, &node_rebirth, false), TG_EINVAL);
    node_fini(&n);
}

static void test_refused_subscriptions(void **state)
{
    struct sparkplug_node n;
    (void)state;
    node_init(&n, "H");
    node_at(&n, 1000);
    node_connect(&n);
    assert_int_equal(node_event(&n, (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = 1}), TG_OK);
    assert_true(n.link.gave_up);
    assert_int_equal(n.link.publish_count, 0);
    node_fini(&n);
    node_init(&n, NULL); /* without a primary host data is worth more than commands */
    node_at(&n, 1000);
    node_connect(&n);
    assert_int_equal(node_event(&n, (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = 2}), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    node_fini(&n);
    node_init(&n, NULL); /* no answer at all */
    node_at(&n, 1000);
    node_connect(&n);
    assert_true(n.link.wake_ms < INT64_MAX);
    node_at(&n, n.link.wake_ms - 1);
    assert_int_equal(node_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    node_at(&n, n.link.now_ms + 1);
    assert_int_equal(node_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    node_fini(&n);
}

static void test_deaths(void **state)
{
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one = sample_one(&b, 1000, "flow", tg_value_int(1));
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    sent_close(&s);
    assert_int_equal(talk_rig_simple(&n.devices[1], TG_CLOUD_CLOSING),
                     TG_OK); /* never born: nothing to say */
    assert_int_equal(n.devices[1].publish_count, 0);
    assert_int_equal(talk_rig_simple(&n.devices[0], TG_CLOUD_CLOSING), TG_OK);
    publish_assert_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DDEATH/E/d0"), 3);
    assert_int_equal(node_simple(&n, TG_CLOUD_CLOSING), TG_OK);
    assert_non_null(talk_rig_find(&n.link, "spBv1.0/G/NDEATH/E"));
    node_clear(&n);
    assert_int_equal(node_simple(&n, TG_CLOUD_CLOSING), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    node_fini(&n);
}

static void report(struct sparkplug_node *n, int device, const char *patch)
{
    assert_int_equal(
        talk_rig_event(&n->devices[device],
                       &(struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = tg_bytes_str(patch)}),
        TG_OK);
}

static void test_a_device_that_is_down(void **state)
{
    struct tg_named_value bad = {tg_bytes_str("flow"), TG_QUALITY_DOWN, {0}};
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one = sample_one(&b, 1000, "flow", tg_value_int(1));
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    sent_close(&s);
    report(&n, 0, "{\"other\":1}");
    report(&n, 0, "{\"state\":\"down\"}");
    report(&n, 0, "no JSON");
    report(&n, 0, "");
    report(&n, 0, "{\"state\":{\"is\":\"suspect\",\"text\":\"\"}}");
    assert_int_equal(n.devices[0].publish_count, 1);
    report(&n, 0, "{\"state\":{\"is\":\"down\",\"text\":\"\"}}");
    publish_assert_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DDEATH/E/d0"), 3);
    assert_false(n.devices[0].gate);
    sample_values(&b, 1001, &bad, 1);
    node_accept(&n, 0, (struct tg_format_sample){.body = b.view});
    assert_false(n.devices[0].gate);
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), TG_EFULL);
    report(&n, 0, "{\"state\":{\"is\":\"ok\",\"text\":\"\"}}");
    publish_assert_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 4);
    assert_true(n.devices[0].gate);
    report(&n, 0, "{\"state\":{\"is\":\"down\",\"text\":\"\"}}");
    node_clear(&n);
    one = sample_one(&b, 1002, "flow", tg_value_int(2));
    node_accept(&n, 0, one); /* it speaks */
    publish_assert_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 6);
    assert_true(n.devices[0].gate);
    /* A rebirth leaves a device out that is down. */
    report(&n, 0, "{\"state\":{\"is\":\"down\",\"text\":\"\"}}");
    node_clear(&n);
    node_at(&n, 5000);
    assert_int_equal(node_command(&n, &node_rebirth, false), TG_OK);
    assert_int_equal(n.devices[0].publish_count, 0);
    assert_false(n.devices[0].gate);
    /* What was reported while nobody listened is asked for with the next connection. */
    node_disconnect(&n);
    node_clear(&n);
    n.devices[0].reported = "{\"gateway\":\"site\",\"state\":{\"is\":\"ok\"}}";
    n.devices[1].reported = "{\"state\":{\"is\":\"down\"}}";
    node_connect(&n);
    assert_int_equal(node_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
    assert_true(n.devices[0].gate);
    assert_false(n.devices[1].gate);
    assert_int_equal(n.devices[0].publish_count, 1);
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_has_the_death),        cmocka_unit_test(test_filters_and_addressee),
        cmocka_unit_test(test_birth_before_data),          cmocka_unit_test(test_bd_seq),
        cmocka_unit_test(test_a_damaged_note_begins_anew), cmocka_unit_test(test_births_wait_for_room),
        cmocka_unit_test(test_refused_subscriptions),      cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_a_device_that_is_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
