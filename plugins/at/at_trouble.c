/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_trouble.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const at_trouble_names[AT_TROUBLE_KINDS] = {
    [AT_TROUBLE_TIMEOUT] = "timeout",
    [AT_TROUBLE_ERROR] = "error",
    [AT_TROUBLE_EMPTY] = "empty",
    [AT_TROUBLE_NO_MATCH] = "no_match",
    [AT_TROUBLE_TYPE] = "type",
    [AT_TROUBLE_COST] = "pattern_cost",
    [AT_TROUBLE_ANSWER_SIZE] = "answer_size",
    [AT_TROUBLE_PAYLOAD_LENGTH] = "payload_length",
    [AT_TROUBLE_PAYLOAD_SIZE] = "payload_size",
    [AT_TROUBLE_FLOOD] = "flood",
    [AT_TROUBLE_URC_FLOOD] = "urc_flood",
    [AT_TROUBLE_RESTART] = "restart",
    [AT_TROUBLE_INIT] = "init",
    [AT_TROUBLE_UNPLUGGED] = "unplugged",
};

void at_troubles_init(struct at_troubles *t, int64_t now_ms)
{
    memset(t, 0, sizeof *t);
    t->summary_ms = now_ms + AT_TROUBLE_SUMMARY_MS;
}

bool at_trouble_count(struct at_troubles *t, enum at_trouble_kind kind, int64_t now_ms,
                      uint64_t *ret_held_back)
{
    struct at_trouble_line *k = &t->kinds[kind];
    int64_t minutes = (now_ms - k->since_ms) / AT_TROUBLE_AGAIN_MS;
    k->count++;
    if (minutes >= (int64_t)k->tokens_used) {
        k->tokens_used = 0;
        k->since_ms = now_ms;
    } else if (minutes > 0) {
        k->tokens_used -= (uint32_t)minutes;
        k->since_ms += minutes * AT_TROUBLE_AGAIN_MS;
    }
    if (k->tokens_used == AT_TROUBLE_BURST) {
        k->held_back++;
        return false;
    }
    k->tokens_used++;
    *ret_held_back = k->held_back;
    k->held_back = 0;
    return true;
}

bool at_trouble_summary(struct at_troubles *t, int64_t now_ms, char *buf, size_t size)
{
    uint64_t total = 0;
    size_t n = 0;
    if (now_ms < t->summary_ms)
        return false;
    t->summary_ms = now_ms + AT_TROUBLE_SUMMARY_MS;
    buf[0] = 0;
    for (int i = 0; i < AT_TROUBLE_KINDS; i++) {
        total += t->kinds[i].count;
        if (t->kinds[i].count == 0 || n >= size)
            continue;
        n += (size_t)snprintf(buf + n, size - n, "%s%s %" PRIu64, n > 0 ? ", " : "", at_trouble_names[i],
                              t->kinds[i].count);
    }
    if (total == t->told_total)
        return false;
    t->told_total = total;
    return true;
}

void at_bucket_init(struct at_bucket *b, int64_t per_s, int64_t burst, int64_t now_ms)
{
    *b = (struct at_bucket){.per_s = per_s, .burst = burst, .level = burst, .at_ms = now_ms};
}

int64_t at_bucket_room(struct at_bucket *b, int64_t now_ms)
{
    int64_t passed = now_ms - b->at_ms, grown;
    if (passed > 60000)
        passed = 60000; /* fills any burst; bounds the product below */
    grown = passed * b->per_s / 1000;
    if (grown > 0) {
        b->level = b->level + grown < b->burst ? b->level + grown : b->burst;
        b->at_ms = now_ms;
    }
    return b->level;
}

void at_bucket_take(struct at_bucket *b, int64_t n)
{
    b->level -= n;
}
