/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Arbitrary bytes as a stream from a server: every decoded packet must hold together, and the verdict must be
 * the same however much of the stream is there.
 */
#include "core/base/assert.h"
#include "northbound/mqtt/mqtt_decoder.h"

#define LIMIT 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_packet(struct tg_bytes in, const struct tg_mqtt_packet *p, size_t packet_size)
{
    TG_ASSERT(packet_size >= 2 && packet_size <= in.len && packet_size <= LIMIT);
    if (p->type == TG_MQTT_TYPE_PUBLISH) {
        TG_ASSERT(p->publish.topic.data >= in.data);
        TG_ASSERT(p->publish.payload.data + p->publish.payload.len == in.data + packet_size);
        TG_ASSERT(tg_mqtt_topic_flaw(p->publish.topic) == NULL);
        TG_ASSERT((p->publish.qos > 0) == (p->publish.packet_id != 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_bytes in = tg_bytes(data, size);
    struct tg_mqtt_packet packet;
    const char *flaw = NULL;
    size_t used = 0;
    int r;
    while ((r = tg_mqtt_decode(in, LIMIT, &packet, &used, &flaw)) == 1) {
        size_t again = 0;
        check_packet(in, &packet, used);
        TG_ASSERT(tg_mqtt_decode(tg_bytes(in.data, used - 1), LIMIT, &packet, &again, &flaw) == 0);
        in = tg_bytes(in.data + used, in.len - used);
    }
    TG_ASSERT(r == 0 || flaw != NULL);
    return 0;
}
