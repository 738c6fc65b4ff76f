/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Type gcp-iot-core with one connection for all devices: attaching, error reports, and that a device with trouble
 * disturbs no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/gcp_stage.h"
#include "support/vectors.h"

#define WALL_MS INT64_C(1700000000000)
#define LINK                                                                                                 \
    "{\"error_type\":\"%s\",\"device_id\":\"%s\",\"description\":\"d\",\"mqtt_message_info\":{\"topic\":\"%" \
    "s\"}}"
#define CHILDREN 3

static json_t *vectors;
static struct tg_signer *gateway_key, *own_key;
static struct tg_settings *settings;
static const char *const ids[CHILDREN] = {"meter-1", "meter-2", "meter-3"};
static const struct tg_config_device device = {.id = "d"};

/* The link and its sessions, as the session code holds them. */
struct stage {
    struct talk_rig link, child[CHILDREN];
    struct tg_cloud_target link_target, targets[CHILDREN];
    void *link_memory[CHILDREN]; /* of the rigs: they share the link's */
};

static int setup(void **state)
{
    static const char *const pairs[] = {"mode",           "gateway", "gateway_id", "gate-1",
                                        "token_lifetime", "1h",      NULL};
    (void)state;
    vectors = tg_vectors_load("cloud/jwt.json");
    gateway_key = gcp_stage_signer(vectors, "es256");
    own_key = gcp_stage_other_signer();
    settings = gcp_stage_settings(pairs);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tg_settings_free(settings);
    tg_signer_free(own_key);
    tg_signer_free(gateway_key);
    json_decref(vectors);
    return 0;
}

static void tell(struct stage *s, enum tg_cloud_event_type type)
{
    talk_rig_simple(&s->link, type);
    for (uint32_t i = 0; i < CHILDREN; i++)
        talk_rig_simple(&s->child[i], type);
}

static void pass(struct stage *s, int64_t ms)
{
    s->link.now_ms += ms;
    s->link.wall_ms += ms;
    for (uint32_t i = 0; i < CHILDREN; i++) {
        s->child[i].now_ms = s->link.now_ms;
        s->child[i].wall_ms = s->link.wall_ms;
    }
}

static struct stage *begin(void)
{
    struct stage *s = calloc(1, sizeof *s);
    const struct tg_cloud_target base = {.host = "h", .gateway = "site-7", .settings = settings};
    assert_non_null(s);
    s->link_target = base;
    s->link_target.device_id = "site-7";
    talk_rig_init(&s->link, &tg_gcp_iot_core, NULL, &s->link_target);
    s->link.secret = (struct tg_cloud_secret){.kind = TG_IDENTITY_JWT_KEY, .signer = gateway_key};
    free(s->link.talk.session);
    s->link.talk.session = NULL;
    for (uint32_t i = 0; i < CHILDREN; i++) {
        struct talk_rig *r = &s->child[i];
        s->targets[i] = base;
        s->targets[i].device_id = ids[i];
        s->targets[i].device = &device;
        talk_rig_init(r, &tg_gcp_iot_core, NULL, &s->targets[i]);
        s->link_memory[i] = r->talk.link;
        r->talk.link = s->link.talk.link;
        s->link.others[i] = r;
    }
    s->link.other_count = CHILDREN;
    s->link.now_ms = 1000;
    s->link.wall_ms = WALL_MS;
    pass(s, 0);
    tell(s, TG_CLOUD_START);
    return s;
}

static void end(struct stage *s)
{
    for (uint32_t i = 0; i < CHILDREN; i++) {
        s->child[i].talk.link = s->link_memory[i];
        talk_rig_fini(&s->child[i]);
    }
    talk_rig_fini(&s->link);
    free(s);
}

static void acknowledge(struct talk_rig *r)
{
    const struct talk_rig_publish *p = &r->publishes[r->publish_count - 1];
    assert_true(p->mark != 0);
    talk_rig_event(r, &(struct tg_cloud_event){.type = TG_CLOUD_PUBLISHED, .code = p->mark});
}

static struct stage *begin_attached(void)
{
    struct stage *s = begin();
    tell(s, TG_CLOUD_ONLINE);
    for (uint32_t i = 0; i < CHILDREN; i++) {
        acknowledge(&s->child[i]);
        talk_rig_clear(&s->child[i]);
        s->child[i].gate = true;
    }
    return s;
}

static int report(struct stage *s, const char *type, const char *id, const char *topic)
{
    char json[512];
    snprintf(json, sizeof json, LINK, type, id, topic);
    return talk_rig_message(&s->link, "/devices/gate-1/errors", json);
}

static void test_login_and_filters_of_the_link(void **state)
{
    struct stage *s = begin();
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES], qos[TG_MQTT_MAX_FILTERS];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    struct tg_cloud_login login;
    (void)state;
    assert_true(tg_gcp_iot_core.shared(&s->link_target));
    assert_int_equal(
        tg_gcp_iot_core.login(&s->link_target, &s->link.secret, NULL, WALL_MS / 1000, &w, &login, NULL),
        TG_OK);
    assert_true(tg_bytes_eq_str(login.connect.client_id,
                                "projects/plant-one/locations/us-central1/registries/meters/devices/gate-1"));
    w.len = 0;
    assert_int_equal(tg_gcp_iot_core.filters(&s->link_target, 0, &w, filters, qos), 2);
    assert_true(tg_bytes_eq_str(filters[0], "/devices/gate-1/config"));
    assert_true(tg_bytes_eq_str(filters[1], "/devices/gate-1/errors"));
    assert_int_equal(qos[1], 0);
    assert_int_equal(tg_gcp_iot_core.filters(&s->link_target, 1, &w, filters, qos), 0);
    assert_int_equal(tg_gcp_iot_core.filters(&s->targets[1], 0, &w, filters, qos), 2);
    assert_true(tg_bytes_eq_str(filters[1], "/devices/meter-2/commands/#"));
    end(s);
}

static void test_addressee(void **state)
{
    static const struct {
        const char *topic, *id;
    } cases[] = {{"/devices/meter-1/config", "meter-1"},
                 {"/devices/meter-1/commands/a/b", "meter-1"},
                 {"/devices/gate-1/errors", ""},
                 {"/devices/gate-1/config", ""},
                 {"/devices/gate-10/config", "gate-10"},
                 {"/devices/meter-1", ""},
                 {"/devices//config", ""},
                 {"devices/meter-1/config", ""},
                 {"/devices/", ""},
                 {"", ""}};
    struct stage *s = begin();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(tg_bytes_eq_str(tg_gcp_iot_core.addressee(&s->link_target, tg_bytes_str(cases[i].topic)),
                                    cases[i].id));
    end(s);
}

static void test_attach_then_subscribe_then_speak(void **state)
{
    struct stage *s = begin();
    struct talk_rig *r = &s->child[0];
    (void)state;
    r->reported = "{\"a\":1}";
    tell(s, TG_CLOUD_ONLINE);
    assert_int_equal(s->link.publish_count, 0);
    assert_int_equal(r->publish_count, 1); /* no state before it is attached */
    assert_string_equal(r->publishes[0].topic, "/devices/meter-1/attach");
    assert_int_equal(r->publishes[0].len, 0); /* no key of its own: being associated is enough */
    assert_int_equal(r->publishes[0].qos, 1);
    assert_false(r->gate);
    assert_int_equal(r->subscribe_count, 0);
    /* The acknowledgement of something else opens nothing. */
    talk_rig_event(r, &(struct tg_cloud_event){.type = TG_CLOUD_PUBLISHED, .code = r->publishes[0].mark + 7});
    assert_false(r->gate);
    acknowledge(r);
    assert_true(r->gate);
    assert_int_equal(r->subscribe_count, 1);
    assert_string_equal(r->publishes[1].topic, "/devices/meter-1/state");
    assert_false(s->child[1].gate);
    /* Commands are acknowledged at once: one slow device must not hold up the others. */
    assert_int_equal(talk_rig_message(r, "/devices/meter-1/commands/set", "{}"), TG_OK);
    assert_false(r->commands[0].hold);
    end(s);
}

static void test_attach_without_room_is_tried_again(void **state)
{
    struct stage *s = begin();
    struct talk_rig *r = &s->child[0];
    (void)state;
    r->publish_rc = TG_EFULL;
    tell(s, TG_CLOUD_ONLINE);
    assert_int_equal(r->publish_count, 0);
    assert_true(r->wake_ms > r->now_ms && r->wake_ms < r->now_ms + 1000);
    r->publish_rc = TG_OK;
    pass(s, r->wake_ms - r->now_ms);
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_non_null(talk_rig_find(r, "/devices/meter-1/attach"));
    acknowledge(r);
    assert_true(r->gate);
    assert_true(r->wake_ms == INT64_MAX);
    end(s);
}

static json_t *token_of(const struct talk_rig_publish *p)
{
    json_t *body = json_loadb((char *)p->payload, p->len, 0, NULL), *claims;
    assert_int_equal(json_object_size(body), 1);
    claims =
        gcp_stage_claims(tg_bytes_str(json_string_value(json_object_get(body, "authorization"))), own_key);
    json_decref(body);
    return claims;
}

static void test_a_key_of_its_own_is_shown_and_renewed(void **state)
{
    struct stage *s = begin();
    struct talk_rig *r = &s->child[1];
    json_t *claims;
    uint32_t mark;
    (void)state;
    r->secret.signer = own_key;
    tell(s, TG_CLOUD_ONLINE);
    claims = token_of(&r->publishes[0]);
    assert_non_null(claims);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), WALL_MS / 1000 + 3600);
    json_decref(claims);
    acknowledge(r);
    mark = r->publishes[0].mark;
    /* Renewed at 75 … 85 % of its hour, while the gate stays open. */
    assert_true(r->wake_ms - r->now_ms >= 2700000 && r->wake_ms - r->now_ms < 3060000);
    pass(s, r->wake_ms - r->now_ms - 1);
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_int_equal(r->publish_count, 1);
    pass(s, 1);
    talk_rig_clear(r);
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_int_equal(r->publish_count, 1);
    assert_string_equal(r->publishes[0].topic, "/devices/meter-2/attach");
    assert_true(r->publishes[0].mark != mark);
    claims = token_of(&r->publishes[0]);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), r->wall_ms / 1000 + 3600);
    json_decref(claims);
    acknowledge(r);
    assert_false(r->gate_told);
    assert_int_equal(r->subscribe_count, 0);
    assert_true(r->wake_ms > r->now_ms);
    end(s);
}

static void test_a_refused_device_disturbs_no_other(void **state)
{
    struct stage *s = begin();
    (void)state;
    tell(s, TG_CLOUD_ONLINE);
    assert_int_equal(report(s, "GATEWAY_ATTACHMENT_ERROR", "meter-2", "/devices/meter-2/attach"), TG_OK);
    assert_true(s->child[1].gave_up);
    assert_int_equal(s->child[1].retry, TG_RETRY_BACKOFF);
    assert_non_null(strstr(s->child[1].give_up_text, "not attached to gateway gate-1"));
    assert_non_null(strstr(s->child[1].give_up_text, "GATEWAY_ATTACHMENT_ERROR \"d\""));
    assert_int_equal(s->child[1].forgone_mark, s->child[1].publishes[0].mark);
    acknowledge(&s->child[1]); /* late: it means nothing any more */
    assert_false(s->child[1].gate);
    acknowledge(&s->child[0]);
    acknowledge(&s->child[2]);
    assert_true(s->child[0].gate && s->child[2].gate);
    assert_false(s->child[0].gave_up || s->child[2].gave_up || s->link.gave_up);
    /* It comes again after its back-off. */
    talk_rig_clear(&s->child[1]);
    talk_rig_simple(&s->child[1], TG_CLOUD_START);
    talk_rig_simple(&s->child[1], TG_CLOUD_ONLINE);
    assert_non_null(talk_rig_find(&s->child[1], "/devices/meter-2/attach"));
    acknowledge(&s->child[1]);
    assert_true(s->child[1].gate);
    end(s);
}

static void test_detached_by_the_cloud(void **state)
{
    static const char *const types[] = {"GATEWAY_DETACHMENT_DEVICE_ERROR", "GATEWAY_DEVICE_NOT_FOUND"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stage *s = begin_attached();
        assert_int_equal(report(s, types[i], "meter-3", "/devices/meter-3/events"), TG_OK);
        assert_true(s->child[2].gave_up);
        assert_int_equal(s->child[2].retry, TG_RETRY_NOW);
        assert_non_null(strstr(s->child[2].give_up_text, types[i]));
        assert_false(s->child[0].gave_up || s->child[1].gave_up);
        /* Reports of the other messages on their way change nothing; they are only told. */
        talk_rig_clear(&s->child[2]);
        assert_int_equal(report(s, types[i], "meter-3", "/devices/meter-3/events"), TG_EPROTO);
        talk_rig_simple(&s->child[2], TG_CLOUD_START);
        talk_rig_simple(&s->child[2], TG_CLOUD_ONLINE);
        assert_int_equal(report(s, types[i], "meter-3", "/devices/meter-3/events"), TG_EPROTO);
        assert_false(s->child[2].gave_up);
        acknowledge(&s->child[2]);
        assert_true(s->child[2].gate);
        end(s);
    }
}

static void test_other_reports_are_told(void **state)
{
    struct stage *s = begin_attached();
    (void)state;
    assert_int_equal(report(s, "GATEWAY_INVALID_MQTT_TOPIC", "meter-1", "/devices/meter-1/even"), TG_EPROTO);
    assert_non_null(strstr(s->link.err.text, "GATEWAY_INVALID_MQTT_TOPIC"));
    assert_non_null(strstr(s->link.err.text, "\"meter-1\""));
    assert_int_equal(report(s, "GATEWAY_ATTACHMENT_ERROR", "stranger", "/devices/stranger/attach"),
                     TG_EPROTO);
    assert_non_null(strstr(s->link.err.text, "does not have"));
    assert_int_equal(talk_rig_message(&s->link, "/devices/gate-1/errors", "no JSON"), TG_EPROTO);
    assert_int_equal(talk_rig_message(&s->link, "/devices/gate-1/errors", "[]"), TG_EPROTO);
    assert_int_equal(talk_rig_message(&s->link, "/devices/gate-1/errors", "{\"error_type\":5}"), TG_EPROTO);
    assert_int_equal(talk_rig_message(&s->link, "/devices/gate-1/errors", "{\"error_type\":\"evil\\n\"}"),
                     TG_EPROTO);
    /* Without device_id the topic says whose it is. */
    assert_int_equal(talk_rig_message(&s->link, "/devices/gate-1/errors",
                                      "{\"error_type\":\"GATEWAY_DEVICE_NOT_FOUND\",\"mqtt_message_info\":"
                                      "{\"topic\":\"/devices/meter-1/state\"}}"),
                     TG_OK);
    assert_true(s->child[0].gave_up);
    for (uint32_t i = 1; i < CHILDREN; i++)
        assert_false(s->child[i].gave_up);
    end(s);
}

static void test_what_comes_for_the_gateway_itself(void **state)
{
    struct stage *s = begin_attached();
    (void)state;
    assert_int_equal(talk_rig_message(&s->link, "/devices/gate-1/config", ""), TG_OK);
    assert_int_equal(talk_rig_message(&s->link, "/devices/gate-1/config", "{\"a\":1}"), TG_EUNSUPPORTED);
    assert_non_null(strstr(s->link.err.text, "not used"));
    assert_int_equal(talk_rig_message(&s->link, "/elsewhere", ""), TG_EPROTO);
    assert_int_equal(s->link.desired_count, 0);
    end(s);
}

static void test_detaches_when_it_closes(void **state)
{
    struct stage *s = begin_attached();
    (void)state;
    talk_rig_simple(&s->child[0], TG_CLOUD_CLOSING);
    assert_int_equal(s->child[0].publish_count, 1);
    assert_string_equal(s->child[0].publishes[0].topic, "/devices/meter-1/detach");
    assert_int_equal(s->child[0].publishes[0].qos, 1);
    talk_rig_simple(&s->child[1], TG_CLOUD_OFFLINE);
    talk_rig_simple(&s->child[1], TG_CLOUD_CLOSING);
    assert_int_equal(s->child[1].publish_count, 0); /* not attached any more */
    end(s);
}

static void test_a_new_connection_begins_anew(void **state)
{
    struct stage *s = begin_attached();
    (void)state;
    tell(s, TG_CLOUD_OFFLINE);
    talk_rig_simple(&s->child[0], TG_CLOUD_REPORT);
    assert_int_equal(s->child[0].publish_count, 0);
    tell(s, TG_CLOUD_ONLINE);
    for (uint32_t i = 0; i < CHILDREN; i++) {
        assert_int_equal(s->child[i].publish_count, 1);
        acknowledge(&s->child[i]);
        assert_int_equal(s->child[i].subscribe_count, 1);
    }
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_and_filters_of_the_link),
        cmocka_unit_test(test_addressee),
        cmocka_unit_test(test_attach_then_subscribe_then_speak),
        cmocka_unit_test(test_attach_without_room_is_tried_again),
        cmocka_unit_test(test_a_key_of_its_own_is_shown_and_renewed),
        cmocka_unit_test(test_a_refused_device_disturbs_no_other),
        cmocka_unit_test(test_detached_by_the_cloud),
        cmocka_unit_test(test_other_reports_are_told),
        cmocka_unit_test(test_what_comes_for_the_gateway_itself),
        cmocka_unit_test(test_detaches_when_it_closes),
        cmocka_unit_test(test_a_new_connection_begins_anew),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
