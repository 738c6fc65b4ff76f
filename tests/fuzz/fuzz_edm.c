/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_edm - any bytes, as one read and byte by byte: both must give the same frames and skip the same bytes; no byte gets lost,
 * and a healthy frame behind a longest frame's worth of anything is found. A frame that was read is written again, the same.
 */
#include "core/base/assert.h"
#include "southbound/at_lines.h"
#include "southbound/edm_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct story {
    struct tg_edm_parser p;
    uint64_t hash;
    size_t bytes; /* that items were made of */
    bool started;
};

static void mix(struct story *s, uint8_t byte)
{
    s->hash = (s->hash ^ byte) * 1099511628211u;
}

static void write_again(const struct story *s, const struct tg_edm_frame *f)
{
    static uint8_t memory[TG_EDM_FRAME_MAX];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    int rc = TG_EINVAL;
    if (f->type == TG_EDM_AT_REQUEST)
        rc = tg_edm_write_at_request(&w, f->bytes);
    else if (f->type == TG_EDM_DATA_COMMAND)
        rc = tg_edm_write_data(&w, f->channel, f->bytes);
    TG_ASSERT(rc != TG_ETOOBIG);
    TG_ASSERT(rc != TG_OK || (w.len == s->p.given && memcmp(memory, s->p.buf, w.len) == 0));
}

static void tell(struct story *s, const struct tg_edm_item *it)
{
    char text[TG_EDM_ADDRESS_TEXT];
    s->bytes += s->p.given;
    if (it->kind == TG_EDM_ITEM_SKIPPED) {
        for (size_t i = 0; i < it->skipped.len; i++)
            mix(s, it->skipped.data[i]);
        return;
    }
    mix(s, (uint8_t)it->kind);
    mix(s, (uint8_t)it->frame.type);
    mix(s, it->frame.channel);
    for (size_t i = 0; i < it->frame.bytes.len; i++)
        mix(s, it->frame.bytes.data[i]);
    if (it->kind != TG_EDM_ITEM_FRAME)
        return;
    TG_ASSERT(strcmp(tg_edm_type_name(it->frame.type), "unknown") != 0);
    if (it->frame.type == TG_EDM_CONNECT)
        tg_edm_address_text(&it->frame.connect, false, text);
    s->started |= it->frame.type == TG_EDM_START;
    write_again(s, &it->frame);
}

static void feed(struct story *s, struct tg_bytes in)
{
    struct tg_edm_item it;
    do {
        in = tg_at_rest(in, tg_edm_input(&s->p, in, &it));
        if (it.kind != TG_EDM_ITEM_NONE)
            tell(s, &it);
    } while (it.kind != TG_EDM_ITEM_NONE || in.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t healthy[] = {0xAA, 0x00, 0x02, 0x00, 0x71, 0x55};
    static const uint8_t silence[TG_EDM_FRAME_MAX];
    static struct story a, b;
    a = b = (struct story){.hash = 14695981039346656037u};
    feed(&a, tg_bytes(data, size));
    for (size_t i = 0; i < size; i++)
        feed(&b, tg_bytes(data + i, 1));
    TG_ASSERT(a.hash == b.hash && a.bytes == b.bytes);
    TG_ASSERT(a.bytes + tg_edm_pending(&a.p).len == size);
    feed(&a, tg_bytes(silence, sizeof silence));
    a.started = false;
    feed(&a, tg_bytes(healthy, sizeof healthy));
    TG_ASSERT(a.started);
    return 0;
}
