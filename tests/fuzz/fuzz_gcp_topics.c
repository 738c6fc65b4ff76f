/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any topic and payload from IoT Core. The first byte says who hears it (bit 0: behind a gateway; bit 1: the link itself)
 * and which topic it comes at; from there on it is topic, NUL, payload, or only the payload of a known topic.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "support/gcp_stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tg_config_device device = {.id = "m-1"};

static void split(const uint8_t *data, size_t size, unsigned which, struct tg_bytes *ret_topic,
                  struct tg_bytes *ret_payload)
{
    static const char *const known[] = {"/devices/m-1/config", "/devices/m-1/commands/set",
                                        "/devices/gate-1/errors", "/devices/gate-1/config"};
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    if (which < 4) {
        *ret_topic = tg_bytes_str(known[which]);
        *ret_payload = tg_bytes(data, size);
        return;
    }
    *ret_topic = tg_bytes(data, nul ? (size_t)(nul - data) : size);
    *ret_payload = nul ? tg_bytes(nul + 1, size - ret_topic->len - 1) : (struct tg_bytes){0};
}

/* On a session that may be attached, then everything that can follow. */
static void play(struct talk_rig *r, struct talk_rig *child, struct tg_bytes topic, struct tg_bytes payload)
{
    int rc = talk_rig_event(
        r, &(struct tg_cloud_event){.type = TG_CLOUD_MESSAGE, .topic = topic, .payload = payload});
    TG_ASSERT(rc == TG_OK || r->err.text[0]);
    TG_ASSERT(rc == TG_OK || (r->command_count == 0 && r->desired_count == 0 && !child->gave_up));
    TG_ASSERT(tg_utf8_valid(tg_bytes_str(r->err.text)));
    TG_ASSERT(!child->gave_up || (child->give_up_text[0] && child->forgone_mark == 0));
}

static void fuzz(bool gateway, bool link, struct tg_bytes topic, struct tg_bytes payload)
{
    static const char *const pairs[] = {"mode", "gateway", "gateway_id", "gate-1", NULL};
    struct tg_settings *s = gcp_stage_settings(gateway ? pairs : NULL);
    struct tg_cloud_target base = {.host = "h", .device_id = "site", .settings = s}, own = base;
    struct talk_rig link_rig, child;
    void *memory, *session;
    struct tg_bytes id;
    own.device_id = "m-1";
    own.device = &device;
    talk_rig_init(&link_rig, &tg_gcp_iot_core, NULL, &base);
    talk_rig_init(&child, &tg_gcp_iot_core, NULL, &own);
    memory = child.talk.link;
    session = link_rig.talk.session;
    child.talk.link = link_rig.talk.link;
    link_rig.talk.session = NULL;
    link_rig.others[0] = &child;
    link_rig.other_count = 1;
    child.now_ms = link_rig.now_ms = 1;
    (void)talk_rig_simple(&link_rig, TG_CLOUD_ONLINE);
    (void)talk_rig_simple(&child, TG_CLOUD_ONLINE);
    if (child.publish_count)
        (void)talk_rig_event(
            &child, &(struct tg_cloud_event){.type = TG_CLOUD_PUBLISHED, .code = child.publishes[0].mark});
    id = gateway ? tg_gcp_iot_core.addressee(&base, topic) : tg_bytes_str("m-1");
    TG_ASSERT(id.len <= topic.len || !gateway);
    play(link && gateway ? &link_rig : &child, &child, topic, payload);
    link_rig.talk.session = session;
    child.talk.link = memory;
    talk_rig_fini(&child);
    talk_rig_fini(&link_rig);
    tg_settings_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_bytes topic, payload;
    if (size < 1 || size > 100000)
        return 0;
    split(data + 1, size - 1, data[0] >> 2 & 7u, &topic, &payload);
    fuzz(data[0] & 1u, data[0] & 2u, topic, payload);
    return 0;
}
