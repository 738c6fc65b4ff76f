/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/twin_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/host_model.h"

struct twin_rig twin;

int twin_begin(void **state)
{
    (void)state;
    twin.settings = tg_test_settings(tg_azure_hub.config.options, NULL);
    twin.target = (struct tg_cloud_target){
        .host = "h.azure-devices.net", .device_id = "m1", .gateway = "site", .settings = twin.settings};
    talk_rig_init(&twin.rig, &tg_azure_hub, NULL, &twin.target);
    twin.rig.now_ms = TWIN_BEGIN;
    return 0;
}

int twin_end(void **state)
{
    (void)state;
    talk_rig_fini(&twin.rig);
    tg_settings_free(twin.settings);
    return 0;
}

void twin_online(void)
{
    assert_int_equal(talk_rig_simple(&twin.rig, TG_CLOUD_ONLINE), TG_OK);
    assert_int_equal(twin.rig.publish_count, 0);
    assert_int_equal(talk_rig_simple(&twin.rig, TG_CLOUD_SUBSCRIBED), TG_OK);
}

void twin_wake_at(int64_t ms)
{
    assert_int_equal(twin.rig.wake_ms, ms);
    twin.rig.now_ms = ms;
    talk_rig_clear(&twin.rig);
    assert_int_equal(talk_rig_simple(&twin.rig, TG_CLOUD_WAKE), TG_OK);
}

int twin_report(const char *twin_patch)
{
    return talk_rig_event(
        &twin.rig, &(struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = tg_bytes_str(twin_patch)});
}

/* The last request of that kind; its number. */
static unsigned twin_asked(const char *prefix)
{
    size_t n = strlen(prefix);
    for (uint32_t i = twin.rig.publish_count; i-- > 0;)
        if (strncmp(twin.rig.publishes[i].topic, prefix, n) == 0) {
            assert_int_equal(twin.rig.publishes[i].qos, 0);
            assert_false(twin.rig.publishes[i].retain);
            return (unsigned)strtoul(twin.rig.publishes[i].topic + n, NULL, 10);
        }
    return 0;
}

unsigned twin_get_asked(void)
{
    return twin_asked("$iothub/twin/GET/?$rid=");
}

unsigned twin_report_sent(const char *body)
{
    unsigned rid = twin_asked("$iothub/twin/PATCH/properties/reported/?$rid=");
    assert_int_not_equal(rid, 0);
    assert_string_equal((const char *)twin.rig.publishes[twin.rig.publish_count - 1].payload, body);
    return rid;
}

int twin_answer(unsigned status, unsigned rid, const char *body)
{
    char topic[80];
    snprintf(topic, sizeof topic, "$iothub/twin/res/%u/?$rid=%u", status, rid);
    talk_rig_clear(&twin.rig);
    return talk_rig_message(&twin.rig, topic, body);
}

void twin_know(const char *body)
{
    twin_online();
    assert_int_equal(twin_answer(200, twin_get_asked(), body), TG_OK);
}

void twin_patch(const char *version, const char *body, int rc)
{
    char topic[100];
    snprintf(topic, sizeof topic, TWIN_DESIRED "%s", version);
    talk_rig_clear(&twin.rig);
    assert_int_equal(talk_rig_message(&twin.rig, topic, body), rc);
}

void twin_desired_is(bool whole, uint64_t version, const char *json)
{
    assert_int_equal(twin.rig.desired_count, 1);
    assert_int_equal(twin.rig.desired[0].whole, whole);
    assert_int_equal(twin.rig.desired[0].version, version);
    assert_string_equal(twin.rig.desired[0].json, json);
}
