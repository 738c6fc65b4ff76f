/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any payload and topic to a Sparkplug edge node. The first byte says to whom: NCMD, DCMD of a device with a metric, STATE of
 * the primary host, or the rest of the first line as a topic.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/sample.h"
#include "northbound/sparkplug.h"
#include "northbound/sparkplug_payload.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start(struct talk_rig *r)
{
    uint8_t memory[64];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_named_value v = {tg_bytes_str("p"), TG_QUALITY_GOOD, tg_value_int(1)};
    void *session = r->talk.session;
    r->now_ms = 1;
    tg_sample_begin(&w, 1, 1);
    tg_sample_value(&w, &v);
    TG_ASSERT(talk_rig_event(r, &(struct tg_cloud_event){.type = TG_CLOUD_SAMPLE,
                                                         .payload = tg_bytes(memory, w.len)}) == TG_OK);
    r->talk.session = NULL;
    TG_ASSERT(talk_rig_simple(r, TG_CLOUD_ONLINE) == TG_OK);
    r->talk.session = session;
    TG_ASSERT(talk_rig_simple(r, TG_CLOUD_ONLINE) == TG_OK);
}

/* What is read is written and read again: the same. */
static void round_trip(struct tg_bytes payload)
{
    struct tg_sparkplug_reader r, again;
    struct tg_sparkplug_metric m, n;
    struct tg_error err = {0};
    struct tg_writer w = {0};
    if (tg_sparkplug_read(payload, &r, &err) < 0) {
        TG_ASSERT(err.text[0]);
        return;
    }
    w.cap = 2 * payload.len + 64 * (r.count + 1);
    w.data = malloc(w.cap);
    if (!w.data)
        abort();
    tg_sparkplug_begin(&w, (int64_t)r.time_ms);
    while (tg_sparkplug_next(&r, &m))
        tg_sparkplug_put(&w, &m);
    tg_sparkplug_end(&w, (uint8_t)r.seq);
    TG_ASSERT(!w.failed);
    if (tg_sparkplug_read(tg_bytes(w.data, w.len), &again, &err) == TG_OK) {
        TG_ASSERT(again.count == r.count && again.time_ms == r.time_ms);
        r.next = 0;
        while (tg_sparkplug_next(&r, &m)) {
            TG_ASSERT(tg_sparkplug_next(&again, &n));
            TG_ASSERT(n.field == m.field && n.datatype == m.datatype && n.alias == m.alias &&
                      n.null == m.null);
            TG_ASSERT(!m.name == !n.name && (!m.name || strcmp(m.name, n.name) == 0));
        }
        tg_sparkplug_read_end(&again);
    }
    tg_sparkplug_read_end(&r);
    free(w.data);
}

static void talk(uint8_t to, struct tg_bytes topic, struct tg_bytes payload)
{
    static const char *const topics[] = {"spBv1.0/G/NCMD/E", "spBv1.0/G/DCMD/E/d", "spBv1.0/STATE/H"};
    static const char *const pairs[] = {"group_id", "G", "edge_node", "E", "primary_host", "H", NULL};
    struct tg_settings *s = tg_test_settings(tg_sparkplug.config.options, pairs);
    const struct tg_cloud_target target = {.device_id = "d", .gateway = "E", .settings = s};
    struct tg_cloud_event event = {.type = TG_CLOUD_MESSAGE, .payload = payload};
    struct talk_rig r;
    void *session;
    int rc;
    talk_rig_init(&r, &tg_sparkplug, NULL, &target);
    start(&r);
    session = r.talk.session;
    event.topic = to % 4 < 3 ? tg_bytes_str(topics[to % 4]) : topic;
    if (to % 4 == 3)
        TG_ASSERT(tg_sparkplug.addressee(&target, topic).len <= topic.len);
    if (to % 4 != 1)
        r.talk.session = NULL;
    rc = talk_rig_event(&r, &event);
    TG_ASSERT(rc == TG_OK || r.err.text[0]);
    TG_ASSERT(rc == TG_OK || r.command_count == 0);
    r.talk.session = session;
    talk_rig_fini(&r);
    tg_settings_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line;
    size_t head;
    uint8_t *exact;
    if (size < 1 || size > 128 * 1024)
        return 0;
    line = data[0] % 4 == 3 ? memchr(data, '\n', size) : NULL;
    head = line ? (size_t)(line - data) + 1 : 1;
    exact = malloc(size - head + 1);
    if (!exact)
        abort();
    memcpy(exact, data + head, size - head);
    talk(data[0], tg_bytes(data + 1, head > 1 ? head - 2 : 0), tg_bytes(exact, size - head));
    round_trip(tg_bytes(exact, size - head));
    free(exact);
    return 0;
}
