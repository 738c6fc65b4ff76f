/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Time and resynchronisation of at_chat. Why the probe alone is not enough: a device that is slow, not dead,
 * answers the command that timed out *and then* the probe, so the first OK may be the late one. Each thing
 * sent owes one final result; the conversation goes on when all have come, or when the device has been silent
 * for settle_ms after answering at all (a device works off its input in order: what it has not said then, it
 * will not say).
 */
#include "core/base/assert.h"
#include "southbound/at_chat_private.h"

#define TG_AT_OWED_MAX 16u

bool tg_at_chat_syncing_(const struct tg_at_chat *c)
{
    return c->state == TG_AT_QUIET || c->state == TG_AT_PROBE || c->state == TG_AT_SETTLE ||
           c->state == TG_AT_LOST;
}

static void owe(struct tg_at_chat *c)
{
    if (c->owed < TG_AT_OWED_MAX)
        c->owed++;
}

static void quiet(struct tg_at_chat *c, int64_t now_ms)
{
    c->state = TG_AT_QUIET;
    c->sync_began_ms = now_ms;
    c->deadline_ms = now_ms + c->config.quiet_ms;
}

/* The command's texts are the caller's again once its result is out, so what a late answer looks like is kept
 * here: its prefix, or the one that its name implies (AT+CSQ → "+CSQ"). */
static void remember_late(struct tg_at_chat *c)
{
    const char *from = c->current.prefix;
    size_t n = 0;
    c->at_prompt = c->current.prompt && c->prompted;
    if (!from) {
        from = c->current.text + (strncmp(c->current.text, "AT+", 3) == 0 ? 2 : 0);
        while (from[n] && !strchr("=?;", from[n]))
            n++;
        n = from == c->current.text ? 0 : n;
    } else {
        n = strlen(from);
    }
    if (n >= sizeof c->late_prefix)
        n = 0;
    memcpy(c->late_prefix, from, n);
    c->late_prefix[n] = 0;
}

static void begin_sync(struct tg_at_chat *c, int64_t now_ms)
{
    c->counters.resyncs++;
    c->sync_tries = 0;
    c->escaping = false;
    c->out = tg_bytes(NULL, 0);
    tg_at_lines_reset(&c->lines);
    c->urc_len = 0;
    c->blocked_ms = INT64_MIN;
    quiet(c, now_ms);
}

void tg_at_chat_sync_heard_(struct tg_at_chat *c, int64_t now_ms)
{
    int64_t latest = c->sync_began_ms + c->config.quiet_max_ms;
    if (c->state != TG_AT_QUIET)
        return;
    c->deadline_ms = now_ms + c->config.quiet_ms < latest ? now_ms + c->config.quiet_ms : latest;
}

void tg_at_chat_sync_final_(struct tg_at_chat *c, int64_t now_ms)
{
    if (c->owed > 0)
        c->owed--;
    if (c->state == TG_AT_PROBE)
        c->state = TG_AT_SETTLE;
    if (c->state == TG_AT_SETTLE)
        c->deadline_ms = now_ms + (c->owed > 0 ? c->config.settle_ms : c->config.pause_ms);
}

void tg_at_chat_sync(struct tg_at_chat *c, int64_t now_ms)
{
    static const struct tg_at_final none = {.status = TG_AT_TIMEOUT, .code = -1};
    if (c->state == TG_AT_WAIT || c->state == TG_AT_ABORTING) {
        if (c->event_waits)
            return; /* the result that waits ends the command */
        remember_late(c);
        tg_at_chat_finish_(c, &none, tg_bytes(NULL, 0));
        owe(c);
    }
    if (c->state == TG_AT_CLOSED)
        owe(c); /* nobody knows what the device was asked before the port was opened */
    begin_sync(c, now_ms);
}

void tg_at_chat_hangup(struct tg_at_chat *c)
{
    if (c->state == TG_AT_WAIT || c->state == TG_AT_ABORTING) {
        c->queue_head = (c->queue_head + TG_AT_SLOTS - 1) % TG_AT_SLOTS; /* so that all end alike */
        c->queue[c->queue_head] = c->current;
        c->queue_count++;
    }
    c->failing = c->queue_count;
    c->out = tg_bytes(NULL, 0);
    tg_at_lines_reset(&c->lines);
    c->urc_len = 0;
    c->state = TG_AT_CLOSED;
}

void tg_at_chat_leave_data(struct tg_at_chat *c, int64_t now_ms)
{
    if (c->state != TG_AT_DATA)
        return;
    c->state = TG_AT_GUARD;
    c->escaping = false;
    c->plus_sent = false;
    c->deadline_ms = now_ms + c->config.guard_ms;
}

/* --- time --- */

static void timed_out(struct tg_at_chat *c, int64_t now_ms)
{
    static const struct tg_at_final none = {.status = TG_AT_TIMEOUT, .code = -1};
    c->counters.timeouts++;
    remember_late(c);
    tg_at_chat_finish_(c, &none, tg_bytes(NULL, 0));
    owe(c);
    begin_sync(c, now_ms);
}

static void probe(struct tg_at_chat *c, int64_t now_ms)
{
    c->counters.probes++;
    c->sync_tries++;
    tg_at_lines_reset(&c->lines);
    /* Never Ctrl-Z: it would send what lies half-written at a prompt. */
    tg_at_chat_send_(c, c->sync_tries == TG_AT_PROBES || c->at_prompt ? "\x1b"
                                                                        "AT\r"
                                                                      : "AT\r");
    c->at_prompt = false;
    owe(c);
    c->state = TG_AT_PROBE;
    c->deadline_ms = now_ms + c->config.probe_ms;
}

static void probe_unanswered(struct tg_at_chat *c, int64_t now_ms)
{
    c->out = tg_bytes(NULL, 0);
    if (c->sync_tries < TG_AT_PROBES) {
        quiet(c, now_ms);
        return;
    }
    if (c->config.escape && !c->escaping) {
        tg_at_lines_reset(&c->lines); /* what is held back would not be looked at */
        c->state = TG_AT_GUARD;
        c->escaping = true;
        c->plus_sent = false;
        c->deadline_ms = now_ms + c->config.guard_ms;
        return;
    }
    c->state = TG_AT_LOST;
    c->deadline_ms = INT64_MAX;
    tg_at_chat_simple_event_(c, TG_AT_EVENT_LOST);
}

static void guard_over(struct tg_at_chat *c, int64_t now_ms)
{
    if (c->plus_sent && c->escaping) {
        probe(c, now_ms);
        return;
    }
    if (c->plus_sent) {
        owe(c);
        begin_sync(c, now_ms);
        return;
    }
    tg_at_chat_send_(c, "+++");
    c->plus_sent = true;
    c->deadline_ms = now_ms + c->config.guard_ms;
}

/* When the next queued command may start. */
static int64_t start_at(const struct tg_at_chat *c)
{
    int64_t at = c->not_before_ms, quiet_at, latest;
    if (!tg_at_lines_partial(&c->lines))
        return at;
    quiet_at = c->last_rx_ms + TG_AT_PARTIAL_MS;
    latest = c->blocked_ms == INT64_MIN ? INT64_MAX : c->blocked_ms + TG_AT_PARTIAL_MAX_MS;
    quiet_at = quiet_at < latest ? quiet_at : latest;
    return quiet_at > at ? quiet_at : at;
}

static void idle(struct tg_at_chat *c, int64_t now_ms)
{
    if (c->queue_count == 0)
        return;
    if (c->blocked_ms == INT64_MIN)
        c->blocked_ms = now_ms;
    if (now_ms < start_at(c))
        return;
    if (tg_at_lines_partial(&c->lines))
        tg_at_lines_reset(&c->lines);
    c->blocked_ms = INT64_MIN;
    tg_at_chat_start_next_(c, now_ms);
}

static void waiting(struct tg_at_chat *c, int64_t now_ms)
{
    if (now_ms >= c->data_at_ms) {
        c->data_at_ms = INT64_MAX;
        c->out = c->current.data;
        c->deadline_ms = now_ms + c->current.timeout_ms;
    }
    if (now_ms >= c->deadline_ms)
        timed_out(c, now_ms);
}

static void settled(struct tg_at_chat *c)
{
    c->owed = 0;
    c->late_prefix[0] = 0;
    c->out = tg_bytes(NULL, 0);
    c->state = TG_AT_IDLE;
    tg_at_chat_simple_event_(c, TG_AT_EVENT_SYNCED);
}

static void aborted(struct tg_at_chat *c, int64_t now_ms)
{
    static const struct tg_at_final none = {.status = TG_AT_ABORTED, .code = -1};
    remember_late(c);
    tg_at_chat_finish_(c, &none, tg_bytes(NULL, 0));
    owe(c);
    begin_sync(c, now_ms);
}

void tg_at_chat_tick(struct tg_at_chat *c, int64_t now_ms)
{
    if (c->event_waits || c->failing > 0)
        return;
    if (tg_at_lines_held(&c->lines) && now_ms >= c->last_rx_ms + TG_AT_HELD_MS)
        tg_at_lines_release(&c->lines);
    if (tg_at_lines_more(&c->lines))
        tg_at_chat_input(c, tg_bytes(NULL, 0), now_ms);
    if (c->event_waits)
        return;
    if (c->urc_len > 0 && now_ms >= c->urc_deadline_ms) {
        tg_at_chat_urc_alone_(c);
        return;
    }
    if (c->state == TG_AT_IDLE)
        idle(c, now_ms);
    if (c->state == TG_AT_WAIT)
        waiting(c, now_ms);
    else if (c->state == TG_AT_ABORTING && now_ms >= c->deadline_ms)
        aborted(c, now_ms);
    else if (c->state == TG_AT_QUIET && now_ms >= c->deadline_ms)
        probe(c, now_ms);
    else if (c->state == TG_AT_PROBE && now_ms >= c->deadline_ms)
        probe_unanswered(c, now_ms);
    else if (c->state == TG_AT_SETTLE && now_ms >= c->deadline_ms)
        settled(c);
    else if (c->state == TG_AT_GUARD && now_ms >= c->deadline_ms)
        guard_over(c, now_ms);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t tg_at_chat_deadline(const struct tg_at_chat *c)
{
    int64_t at = INT64_MAX;
    if (c->event_waits || c->failing > 0 || tg_at_lines_more(&c->lines))
        return INT64_MIN;
    if (tg_at_lines_held(&c->lines))
        at = c->last_rx_ms + TG_AT_HELD_MS;
    if (c->urc_len > 0)
        at = earlier(at, c->urc_deadline_ms);
    switch (c->state) {
    case TG_AT_IDLE:
        return c->queue_count > 0 ? earlier(at, start_at(c)) : at;
    case TG_AT_WAIT:
        return earlier(at, earlier(c->data_at_ms, c->deadline_ms));
    case TG_AT_ABORTING:
    case TG_AT_QUIET:
    case TG_AT_PROBE:
    case TG_AT_SETTLE:
    case TG_AT_GUARD:
        return earlier(at, c->deadline_ms);
    case TG_AT_LOST:
    case TG_AT_DATA:
    case TG_AT_CLOSED:
        break;
    }
    return at;
}
