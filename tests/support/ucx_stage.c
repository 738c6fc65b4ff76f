/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/ucx_stage.h"

#include <stdio.h>
#include <string.h>

static void take_events(struct ucx_stage *s)
{
    struct tg_ucx_provision_event e;
    while (tg_ucx_provision_event(&s->run, &e)) {
        if (e.kind == TG_UCX_TELL_COMMAND && s->command_count < 32)
            snprintf(s->commands[s->command_count++], sizeof s->commands[0], "%.199s", e.text);
        if (e.kind == TG_UCX_TELL_REPLY) {
            struct tg_bytes reply = tg_ucx_provision_reply(&s->run);
            char text[TG_UCX_REPLY_MAX_BYTES + 1], operation[TG_UCX_OPERATION_BYTES] = "";
            snprintf(text, sizeof text, "%.*s", (int)reply.len, (const char *)reply.data);
            (void)!sscanf(text, "{\"operationId\":\"%256[^\"]", operation);
            tg_ucx_provision_registered(&s->run,
                                        strstr(text, "\"failed\"")      ? TG_UCX_VERDICT_NO
                                        : strstr(text, "assignedHub")   ? TG_UCX_VERDICT_ASSIGNED
                                        : strstr(text, "\"assigning\"") ? TG_UCX_VERDICT_ASSIGNING
                                                                        : TG_UCX_VERDICT_MORE,
                                        operation, s->now_ms);
        }
        if (e.kind == TG_UCX_TELL_ASSIGNED || e.kind == TG_UCX_TELL_DONE || e.kind == TG_UCX_TELL_FAILED)
            s->last = e.kind;
    }
}

static void collect(struct ucx_stage *s)
{
    struct tg_bytes out = tg_ucx_provision_output(&s->run, s->now_ms);
    size_t n = out.len < sizeof s->sent - s->sent_len ? out.len : sizeof s->sent - s->sent_len;
    if (n > 0)
        memcpy(s->sent + s->sent_len, out.data, n);
    s->sent_len += n;
    tg_ucx_provision_output_ack(&s->run, n, s->now_ms);
}

static void tick(struct ucx_stage *s)
{
    tg_ucx_provision_tick(&s->run, s->now_ms);
    take_events(s);
    tg_ucx_provision_tick(&s->run, s->now_ms);
    collect(s);
}

void ucx_stage_start(struct ucx_stage *s, const struct tg_ucx_plan *plan)
{
    size_t chunk = s->chunk;
    bool mute = s->mute, extended = s->extended;
    memset(s, 0, sizeof *s);
    s->chunk = chunk;
    s->mute = mute;
    s->extended = extended;
    tg_ucx_provision_init(&s->run, plan);
    tg_ucx_provision_start(&s->run, 0);
}

void ucx_stage_take(struct ucx_stage *s, size_t n)
{
    s->sent_len -= n;
    memmove(s->sent, s->sent + n, s->sent_len);
}

void ucx_stage_feed(struct ucx_stage *s, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        size_t part = s->chunk && s->chunk < len ? s->chunk : len, used = 0;
        while (used < part) {
            used += tg_ucx_provision_input(&s->run, tg_bytes(at + used, part - used), s->now_ms);
            take_events(s);
        }
        at += part;
        len -= part;
    }
    tick(s);
}

void ucx_stage_frame(struct ucx_stage *s, uint16_t type, const void *bytes, size_t len)
{
    uint8_t frame[2048] = {0xAA, (uint8_t)((len + 2) >> 8), (uint8_t)(len + 2), (uint8_t)(type >> 8),
                           (uint8_t)type};
    memcpy(frame + 5, bytes, len);
    frame[len + 5] = 0x55;
    ucx_stage_feed(s, frame, len + 6);
}

void ucx_stage_say(struct ucx_stage *s, uint16_t type, const char *text)
{
    char lines[600];
    int n = snprintf(lines, sizeof lines, "\r\n%s\r\n", text);
    if (s->extended)
        ucx_stage_frame(s, type, lines, (size_t)n);
    else
        ucx_stage_feed(s, lines, (size_t)n);
}

/* The bare AT in front of what was sent: answered and taken. */
static bool greeted(struct ucx_stage *s)
{
    static const uint8_t framed[] = {0xAA, 0, 5, 0, 0x44, 'A', 'T', '\r', 0x55};
    bool plain = s->sent_len >= 3 && memcmp(s->sent, "AT\r", 3) == 0;
    bool frame = s->sent_len >= sizeof framed && memcmp(s->sent, framed, sizeof framed) == 0;
    bool escape = s->sent_len >= 3 && memcmp(s->sent, "+++", 3) == 0;
    if (!plain && !frame && !escape)
        return false;
    ucx_stage_take(s, frame ? sizeof framed : 3);
    if (!s->mute && !escape && frame == s->extended)
        ucx_stage_say(s, TG_EDM_AT_RESPONSE, "OK");
    return true;
}

bool ucx_stage_wait(struct ucx_stage *s)
{
    for (int i = 0; i < 10000; i++) {
        tick(s);
        if (s->last == TG_UCX_TELL_DONE || s->last == TG_UCX_TELL_FAILED)
            return false;
        if (greeted(s))
            continue;
        if (s->sent_len > 0)
            return true;
        if (tg_ucx_provision_deadline(&s->run) == INT64_MAX)
            return false;
        if (tg_ucx_provision_deadline(&s->run) > s->now_ms)
            s->now_ms = tg_ucx_provision_deadline(&s->run);
    }
    return false;
}

bool ucx_stage_expect(struct ucx_stage *s, const char *command)
{
    uint8_t want[700];
    size_t n = strlen(command), head = s->extended ? 5 : 0;
    if (!ucx_stage_wait(s))
        return false;
    memcpy(want, (const uint8_t[]){0xAA, (uint8_t)((n + 3) >> 8), (uint8_t)(n + 3), 0, 0x44}, head);
    memcpy(want + head, command, n);
    want[head + n] = '\r';
    if (s->extended)
        want[head + n + 1] = 0x55;
    n += head + (s->extended ? 2 : 1);
    if (s->sent_len < n || memcmp(s->sent, want, n) != 0)
        return false;
    ucx_stage_take(s, n);
    return true;
}
