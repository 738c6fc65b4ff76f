/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any topic and payload from a hub: the first byte says how much scratch there is, the second which part is
 * read: a bag by itself, a cloud-to-device topic with that bag, or the bytes as a topic.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "northbound/azure_hub.h"
#include "support/host_model.h"
#include "support/talk_rig.h"
#include "northbound/property_bag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct tg_bytes part, const uint8_t *begin, size_t len)
{
    return part.len == 0 ||
           (part.data >= begin && part.len <= len && (size_t)(part.data - begin) <= len - part.len);
}

static void read_bag(const uint8_t *data, size_t size, uint8_t *scratch, size_t room)
{
    struct tg_property_reader r = {tg_bytes(data, size)};
    struct tg_writer w = tg_writer_init(scratch, room);
    struct tg_property p;
    size_t items = 0;
    int rc;
    while ((rc = tg_property_bag_next(&r, &w, &p)) > 0) {
        TG_ASSERT(within(p.name, scratch, w.len) && within(p.value, scratch, w.len));
        TG_ASSERT(!p.is_null || p.value.len == 0);
        TG_ASSERT(++items <= size); /* every item has a byte of its own */
    }
    TG_ASSERT(rc == 0 || rc == TG_EPROTO || rc == TG_ETOOBIG);
}

static void read_topic(struct tg_bytes topic)
{
    struct tg_settings *settings = tg_test_settings(tg_azure_hub.config.options, NULL);
    const struct tg_cloud_target target = {
        .host = "h", .device_id = "m1", .gateway = "g", .settings = settings};
    struct talk_rig r;
    int rc;
    talk_rig_init(&r, &tg_azure_hub, NULL, &target);
    rc = talk_rig_event(&r, &(struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                     .topic = topic,
                                                     .payload = tg_bytes(topic.data, topic.len / 2)});
    TG_ASSERT(rc == TG_OK || r.err.text[0]);
    TG_ASSERT(rc == TG_OK || r.command_count == 0);
    talk_rig_fini(&r);
    tg_settings_free(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char prefix[] = "devices/m1/messages/devicebound/";
    uint8_t *scratch, *topic;
    size_t room;
    if (size < 2 || size > 65536)
        return 0;
    room = (size_t)data[0] * 16;
    scratch = malloc(room ? room : 1);
    topic = malloc(sizeof prefix - 1 + size);
    if (!scratch || !topic)
        abort();
    memcpy(topic, prefix, sizeof prefix - 1);
    memcpy(topic + sizeof prefix - 1, data + 2, size - 2);
    switch (data[1] % 3) {
    case 0:
        read_bag(data + 2, size - 2, scratch, room);
        break;
    case 1:
        read_topic(tg_bytes(topic, sizeof prefix - 1 + size - 2));
        break;
    default:
        read_topic(tg_bytes(data + 2, size - 2));
        break;
    }
    free(scratch);
    free(topic);
    return 0;
}
