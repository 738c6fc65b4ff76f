/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_at_lines - any bytes, as one read and byte by byte: both must give the same lines, prompts and
 * payload. A line "=N" announces N bytes, +U:n,"… announces those in its quotes, and 01 begins a block.
 */
#include <stdlib.h>

#include "core/base/assert.h"
#include "southbound/at_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* FNV-1a over what came out; the parts of a payload run together. */
struct story {
    struct tg_at_lines lines;
    uint64_t hash;
};

static void mix(struct story *s, uint8_t byte)
{
    s->hash = (s->hash ^ byte) * 1099511628211u;
}

static void tell(struct story *s, const struct tg_at_item *item)
{
    TG_ASSERT(item->bytes.len <= TG_AT_LINE_MAX_BYTES || item->kind == TG_AT_ITEM_PAYLOAD);
    TG_ASSERT(item->kind != TG_AT_ITEM_LINE || item->bytes.len > 0);
    if (item->kind != TG_AT_ITEM_PAYLOAD && item->kind != TG_AT_ITEM_NONE)
        mix(s, (uint8_t)item->kind);
    for (size_t i = 0; i < item->bytes.len; i++)
        mix(s, item->bytes.data[i]);
    if (item->kind == TG_AT_ITEM_LINE && item->bytes.len > 1 && item->bytes.data[0] == '=')
        tg_at_lines_payload(&s->lines, item->bytes.data[1]);
    if (item->kind == TG_AT_ITEM_PROMPT)
        tg_at_lines_expect(&s->lines, "> ");
}

static void feed(struct story *s, struct tg_bytes in)
{
    do {
        struct tg_at_item item;
        size_t n = tg_at_lines_input(&s->lines, in, &item);
        TG_ASSERT(n <= in.len && (n > 0 || item.kind != TG_AT_ITEM_NONE || in.len == 0));
        in = tg_at_rest(in, n);
        tell(s, &item);
    } while (in.len > 0 || tg_at_lines_more(&s->lines));
}

static void begin(struct story *s)
{
    static const struct tg_at_announce announce = {.prefix = "+U:", .quoted = true};
    tg_at_lines_init(&s->lines);
    tg_at_lines_expect(&s->lines, "> ");
    tg_at_lines_announce(&s->lines, &announce);
    tg_at_lines_blocks(&s->lines, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct story a, b;
    a.hash = b.hash = 14695981039346656037u;
    begin(&a);
    begin(&b);
    feed(&a, tg_bytes(data, size));
    for (size_t i = 0; i < size; i++)
        feed(&b, tg_bytes(data + i, 1));
    tg_at_lines_release(&a.lines);
    tg_at_lines_release(&b.lines);
    feed(&a, tg_bytes(NULL, 0));
    feed(&b, tg_bytes(NULL, 0));
    TG_ASSERT(a.hash == b.hash);
    TG_ASSERT(a.lines.overlong_lines == b.lines.overlong_lines &&
              a.lines.garbage_bytes == b.lines.garbage_bytes && a.lines.lies == b.lines.lies);
    return 0;
}
