/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The plan against servers that are large, odd or hostile: what is asked, in which order, and that it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/ble/gatt_plan.h"
#include "support/att_server.h"

#define STEPS_MAX 2000

static struct tg_gatt_plan plan;
static struct att_server server;

/* One connection, until there is nothing to ask, or `most` requests; what was asked, a letter a step. */
static const char *connection_of(size_t most)
{
    static char trace[STEPS_MAX + 1];
    static const char letters[] =
        ".mhscdbr"; /* as enum tg_gatt_step_kind: mtu hash services characteristics descriptors subscribe read */
    struct tg_att_client c;
    size_t n = 0, asked = 0;
    tg_att_client_init(&c, TG_ATT_MAX_MTU);
    tg_gatt_plan_start(&plan);
    att_server_connected(&server);
    for (struct tg_gatt_step s = tg_gatt_plan_next(&plan); s.kind != TG_GATT_STEP_IDLE;
         s = tg_gatt_plan_next(&plan)) {
        uint8_t answer[520];
        if (asked++ == most)
            break;
        struct tg_att_event e = {0};
        if (n == STEPS_MAX)
            fail_msg("it does not end: %.60s…", trace);
        if (n == 0 || trace[n - 1] != letters[s.kind])
            trace[n++] = letters[s.kind];
        assert_int_equal(tg_gatt_plan_ask(&s, &c, 0), TG_OK);
        while (tg_att_client_out(&c).len) {
            size_t len =
                att_server_answer(&server, tg_att_client_out(&c).data, tg_att_client_out(&c).len, answer);
            tg_att_client_sent(&c);
            if (len)
                tg_att_client_receive(&c, tg_bytes(answer, len), 0, &e);
        }
        assert_true(e.kind != TG_ATT_EVENT_NONE && e.kind != TG_ATT_EVENT_BROKEN);
        tg_gatt_plan_done(&plan, &e);
    }
    trace[n] = '\0';
    return trace;
}

static const char *connection(void)
{
    return connection_of(STEPS_MAX);
}

static struct tg_gatt_want want(const char *text, uint8_t notify)
{
    struct tg_gatt_want w = {.notify = notify, .due = true};
    struct tg_error err = {0};
    if (tg_gatt_selector_parse(tg_bytes_str(text), &w.selector, &err) < 0)
        fail_msg("%s", err.text);
    return w;
}

static void the_order(void **state)
{
    (void)state;
    struct tg_gatt_want wants[] = {
        want("181a/temperature", TG_GATT_NOTIFY_AUTO), want("180f/2a19", TG_GATT_NOTIFY_FALSE),
        want("180f/2a19", TG_GATT_NOTIFY_TRUE), want("fff0/fff1", TG_GATT_NOTIFY_AUTO)};
    att_server_init(&server);
    att_server_service(&server, "1801");
    att_server_characteristic(&server, "2a05", 0x20, "", 0);
    att_server_characteristic(&server, "2b2a", 0x02, "0123456789abcdef", 16);
    att_server_service(&server, "181a");
    att_server_characteristic(&server, "2a6e", 0x12, "\x0a\x09", 2);
    att_server_service(&server, "fff8"); /* nobody wants it */
    att_server_characteristic(&server, "fff9", 0x12, "", 0);
    att_server_service(&server, "180f");
    att_server_characteristic(&server, "2a19", 0x02, "\x57", 1);
    tg_gatt_plan_init(&plan, wants, 4);
    assert_string_equal(connection(), "mschdbdbr");
    assert_int_equal(plan.table.characteristic_count, 4);
    assert_true(wants[0].subscribed && wants[0].finding == TG_GATT_FOUND && !wants[0].due);
    assert_true(wants[1].finding == TG_GATT_FOUND && !wants[1].subscribe && !wants[1].due);
    assert_int_equal(wants[2].finding, TG_GATT_NO_NOTIFY);
    assert_int_equal(wants[3].finding, TG_GATT_ABSENT);
    assert_string_equal(connection(),
                        "mhb"); /* known: the hash is the same, subscriptions are written anew */
    wants[3] = want("fff8/fff9", TG_GATT_NOTIFY_FALSE);
    tg_gatt_plan_changed(&plan);
    assert_string_equal(connection(), "mhcbr"); /* only what is missing */
}

static void instances_in_the_order_of_handles(void **state)
{
    (void)state;
    struct tg_gatt_want wants[] = {want("fff2/2a19", TG_GATT_NOTIFY_FALSE),
                                   want("2a19", TG_GATT_NOTIFY_FALSE)};
    att_server_init(&server);
    att_server_service(&server, "fff1");
    uint16_t first = att_server_characteristic(&server, "2a19", 0x02, "\x01", 1);
    att_server_service(&server, "fff2");
    uint16_t second = att_server_characteristic(&server, "2a19", 0x02, "\x02", 1);
    wants[1].off = true;
    tg_gatt_plan_init(&plan, wants, 2);
    (void)connection();
    assert_int_equal(wants[0].handle, second);
    wants[1].off = false; /* its service is discovered later than the one behind it */
    tg_gatt_plan_changed(&plan);
    (void)connection();
    assert_int_equal(wants[1].handle, first);
    wants[1].selector.instance = 2;
    tg_gatt_plan_changed(&plan);
    (void)connection();
    assert_int_equal(wants[1].handle, second);
}

static void too_much(void **state)
{
    (void)state;
    char uuid[5];
    struct tg_gatt_want wants[] = {want("a003", TG_GATT_NOTIFY_FALSE), want("afff", TG_GATT_NOTIFY_FALSE)};
    att_server_init(&server);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(uuid, sizeof uuid, "%04x", 0xB000 + i);
        att_server_service(&server, uuid);
        snprintf(uuid, sizeof uuid, "%04x", 0xA000 + i);
        att_server_characteristic(&server, uuid, 0x02, "\x01", 1);
    }
    tg_gatt_plan_init(&plan, wants, 2);
    (void)connection();
    assert_true(plan.table.overflow);
    assert_int_equal(plan.table.service_count, TG_GATT_MAX_SERVICES);
    assert_int_equal(wants[0].finding, TG_GATT_FOUND);
    assert_int_equal(wants[1].finding, TG_GATT_ABSENT);
    att_server_init(&server);
    att_server_service(&server, "b000");
    for (unsigned i = 0; i < 75; i++)
        att_server_characteristic(&server, i < 74 ? "a000" : "a003", 0x02, "\x01", 1);
    tg_gatt_plan_init(&plan, wants, 2);
    (void)connection();
    assert_false(plan.table.overflow);
    assert_int_equal(wants[0].finding, TG_GATT_FOUND);
}

static void descriptors_without_end(void **state)
{
    (void)state;
    struct tg_gatt_want wants[] = {want("fff1", TG_GATT_NOTIFY_TRUE)};
    att_server_init(&server);
    att_server_service(&server, "fff0");
    att_server_characteristic(&server, "fff1", 0x12, "\x01", 1);
    memset(server.attributes[server.count - 1].uuid, 0xEE, 2); /* no CCCD */
    for (unsigned i = 0; i < 120; i++)
        att_server_descriptor(&server, "6e400002b5a3f393e0a9e50e24dcca9e", "", 0);
    server.own_mtu = 23; /* one a request */
    tg_gatt_plan_init(&plan, wants, 1);
    (void)connection();
    assert_in_range(server.requests[0x04], 1, TG_GATT_MAX_ASKS);
    assert_int_equal(wants[0].finding, TG_GATT_NO_NOTIFY);
    assert_false(wants[0].subscribe);
}

static void stale_handles_once(void **state)
{
    (void)state;
    struct tg_gatt_want wants[] = {want("fff1", TG_GATT_NOTIFY_FALSE)};
    att_server_init(&server);
    att_server_service(&server, "fff0");
    uint16_t h = att_server_characteristic(&server, "fff1", 0x02, "\x01", 1);
    att_server_at(&server, h)->read_error = 0x01; /* it says so for ever */
    tg_gatt_plan_init(&plan, wants, 1);
    assert_string_equal(connection(), "mscrscr");
    assert_int_equal(wants[0].code, 1);
    assert_false(wants[0].due);
}

static void links_lost_at_every_step(void **state)
{
    (void)state;
    for (size_t most = 0; most < 30; most++) {
        struct tg_gatt_want wants[] = {want("2a6e", TG_GATT_NOTIFY_AUTO), want("fff9", TG_GATT_NOTIFY_FALSE)};
        att_server_init(&server);
        server.own_mtu = 23;
        att_server_service(&server, "1801");
        att_server_characteristic(&server, "2a05", 0x20, "", 0);
        for (unsigned i = 0; i < 5; i++)
            att_server_service(&server, "180f");
        att_server_service(&server, "181a");
        for (unsigned i = 0; i < 7; i++)
            att_server_characteristic(&server, "2a6e", 0x12, "\x0a\x09", 2);
        att_server_service(&server, "fff8");
        att_server_characteristic(&server, "fff9", 0x02, "x", 1);
        tg_gatt_plan_init(&plan, wants, 2);
        (void)connection_of(most);
        wants[0].due = wants[1].due = true;
        (void)connection();
        assert_int_equal(plan.table.service_count, 8);
        assert_int_equal(plan.table.characteristic_count, 9);
        assert_true(wants[0].subscribed && !wants[0].due && !wants[1].due);
    }
}

/* The client's events by hand. */
static struct tg_att_event listed(enum tg_att_event_kind kind, uint8_t item, const char *bytes, size_t len)
{
    return (struct tg_att_event){.kind = kind, .pdu = {.item_bytes = item, .value = tg_bytes(bytes, len)}};
}

static void lists_that_go_backwards(void **state)
{
    (void)state;
    struct tg_gatt_want wants[] = {want("fff1", TG_GATT_NOTIFY_FALSE)};
    tg_gatt_plan_init(&plan, wants, 1);
    plan.skip_mtu = true;
    tg_gatt_plan_start(&plan);
    assert_int_equal(tg_gatt_plan_next(&plan).kind, TG_GATT_STEP_SERVICES);
    struct tg_att_event e =
        listed(TG_ATT_EVENT_SERVICES, 6, "\x05\x00\x09\x00\xf0\xff\x01\x00\x04\x00\xf1\xff", 12);
    tg_gatt_plan_done(&plan, &e);
    struct tg_gatt_step s = tg_gatt_plan_next(&plan);
    assert_int_equal(s.kind, TG_GATT_STEP_CHARACTERISTICS);
    assert_int_equal(plan.table.service_count, 1);
    e = listed(TG_ATT_EVENT_CHARACTERISTICS, 7, "\x06\x00\x02\x05\x00\xf1\xff",
               7); /* its value lies before it */
    tg_gatt_plan_done(&plan, &e);
    assert_int_equal(tg_gatt_plan_next(&plan).kind, TG_GATT_STEP_IDLE);
    assert_int_equal(wants[0].finding, TG_GATT_ABSENT);
    tg_gatt_plan_start(&plan); /* what was doubtful is asked again */
    assert_int_equal(tg_gatt_plan_next(&plan).kind, TG_GATT_STEP_SERVICES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order),
        cmocka_unit_test(instances_in_the_order_of_handles),
        cmocka_unit_test(too_much),
        cmocka_unit_test(descriptors_without_end),
        cmocka_unit_test(stale_handles_once),
        cmocka_unit_test(links_lost_at_every_step),
        cmocka_unit_test(lists_that_go_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
