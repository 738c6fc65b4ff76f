/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/at_baud.h"

static void add(struct tg_at_baud *b, int64_t rate)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->rates[i] == rate)
            return;
    }
    if (b->count < TG_AT_BAUD_MAX)
        b->rates[b->count++] = rate;
}

void tg_at_baud_begin(struct tg_at_baud *b, const int64_t *rates, uint32_t count, int64_t first,
                      int64_t now_ms)
{
    memset(b, 0, sizeof *b);
    if (first > 0)
        add(b, first);
    for (uint32_t i = 0; i < count; i++)
        add(b, rates[i]);
    b->step = b->count > 0 ? TG_AT_BAUD_SET : TG_AT_BAUD_NONE;
    b->deadline_ms = now_ms;
}

static void try_next(struct tg_at_baud *b)
{
    if (b->tries < TG_AT_BAUD_TRIES) {
        b->step = TG_AT_BAUD_SEND;
        return;
    }
    b->tries = 0;
    b->step = ++b->index < b->count ? TG_AT_BAUD_SET : TG_AT_BAUD_NONE;
}

enum tg_at_baud_step tg_at_baud_next(struct tg_at_baud *b, int64_t now_ms, int64_t *ret_rate)
{
    enum tg_at_baud_step step;
    if (b->step == TG_AT_BAUD_WAIT && now_ms >= b->deadline_ms) {
        tg_at_lines_release(&b->lines); /* a quote in the noise */
        tg_at_baud_input(b, tg_bytes(NULL, 0));
        if (b->step == TG_AT_BAUD_WAIT)
            try_next(b);
    }
    step = b->step;
    if (step != TG_AT_BAUD_NONE)
        *ret_rate = b->rates[b->index];
    if (step == TG_AT_BAUD_SET) {
        tg_at_lines_init(&b->lines); /* what came at another rate is noise */
        b->step = TG_AT_BAUD_SEND;
    } else if (step == TG_AT_BAUD_SEND) {
        b->tries++;
        b->deadline_ms = now_ms + TG_AT_BAUD_WAIT_MS;
        b->step = TG_AT_BAUD_WAIT;
    }
    return step;
}

void tg_at_baud_skip(struct tg_at_baud *b)
{
    b->tries = TG_AT_BAUD_TRIES;
    try_next(b);
}

void tg_at_baud_input(struct tg_at_baud *b, struct tg_bytes in)
{
    struct tg_at_item item;
    while ((in.len > 0 || tg_at_lines_more(&b->lines)) && b->step == TG_AT_BAUD_WAIT) {
        in = tg_at_rest(in, tg_at_lines_input(&b->lines, in, &item));
        if (item.kind == TG_AT_ITEM_LINE &&
            (tg_bytes_eq_str(item.bytes, "OK") || tg_bytes_eq_str(item.bytes, "ERROR") ||
             tg_bytes_eq_str(item.bytes, "0")))
            b->step = TG_AT_BAUD_FOUND;
    }
}

int64_t tg_at_baud_deadline(const struct tg_at_baud *b)
{
    if (b->step == TG_AT_BAUD_WAIT)
        return b->deadline_ms;
    return b->step == TG_AT_BAUD_NONE || b->step == TG_AT_BAUD_FOUND ? INT64_MAX : INT64_MIN;
}
