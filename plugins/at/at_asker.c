/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_asker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "southbound/serial_port.h"

#define ASK_TIMEOUT_MS 3000
#define STEP_MS        100 /* how often stopping() is looked at */

const char *const at_kind_names[] = {"unopened", "silent", "generic", "modem", "ucx"};

struct asker {
    const struct tg_discover *request;
    int fd;
    bool gone; /* unplugged, or the user has had enough */
    struct tg_at_chat chat;
    struct tg_at_baud search;
};

/* Waits for input until `deadline_ms`, STEP_MS at most; how many bytes came into buf. */
static size_t receive(struct asker *a, int64_t deadline_ms, uint8_t *buf, size_t size)
{
    struct pollfd p = {.fd = a->fd, .events = POLLIN};
    int64_t wait = deadline_ms == INT64_MIN ? 0 : deadline_ms - tg_clock_mono_ms();
    ssize_t n;
    if (a->request->stopping(a->request->user))
        a->gone = true;
    wait = wait < 0 ? 0 : wait > STEP_MS ? STEP_MS : wait;
    if (a->gone || poll(&p, 1, (int)wait) <= 0)
        return 0;
    n = read(a->fd, buf, size);
    if (n > 0)
        return (size_t)n;
    a->gone = n == 0 || (errno != EAGAIN && errno != EINTR);
    return 0;
}

static bool find_rate(struct asker *a, const char *path, const int64_t *rates, uint32_t count,
                      int64_t *ret_rate)
{
    uint8_t buf[256];
    char note[400];
    tg_at_baud_begin(&a->search, rates, count, 0, tg_clock_mono_ms());
    while (!a->gone) {
        switch (tg_at_baud_next(&a->search, tg_clock_mono_ms(), ret_rate)) {
        case TG_AT_BAUD_SET:
            snprintf(note, sizeof note, "%s: trying %lld baud", path, (long long)*ret_rate);
            a->request->note(a->request->user, note);
            if (tg_serial_configure(a->fd, path, *ret_rate, false, note, sizeof note) < 0)
                tg_at_baud_skip(&a->search);
            break;
        case TG_AT_BAUD_SEND:
            if (write(a->fd, TG_AT_BAUD_PROBE, strlen(TG_AT_BAUD_PROBE)) < 0 && errno != EAGAIN)
                a->gone = true;
            break;
        case TG_AT_BAUD_WAIT:
            tg_at_baud_input(&a->search,
                             tg_bytes(buf, receive(a, tg_at_baud_deadline(&a->search), buf, sizeof buf)));
            break;
        case TG_AT_BAUD_FOUND:
            return true;
        case TG_AT_BAUD_NONE:
            return false;
        }
    }
    return false;
}

/* The conversation until an event of this kind, or LOST. */
static bool converse(struct asker *a, enum tg_at_event_kind until, struct tg_at_event *ret)
{
    uint8_t buf[1024];
    struct tg_bytes in = tg_bytes(buf, 0);
    while (!a->gone) {
        int64_t now = tg_clock_mono_ms();
        struct tg_bytes out;
        tg_at_chat_tick(&a->chat, now);
        while (tg_at_chat_event(&a->chat, ret)) {
            if (ret->kind == until || ret->kind == TG_AT_EVENT_LOST)
                return ret->kind == until;
        }
        if (tg_at_chat_state(&a->chat) == TG_AT_DATA)
            return false; /* nothing that was asked goes online: this is no device to go on with */
        out = tg_at_chat_output(&a->chat);
        if (out.len > 0) {
            ssize_t n = write(a->fd, out.data, out.len);
            if (n > 0)
                tg_at_chat_output_ack(&a->chat, (size_t)n, now);
            else if (errno != EAGAIN)
                a->gone = true;
        }
        if (in.len == 0)
            in = tg_bytes(buf, receive(a, tg_at_chat_deadline(&a->chat), buf, sizeof buf));
        in = tg_at_rest(in, tg_at_chat_input(&a->chat, in, tg_clock_mono_ms()));
    }
    return false;
}

/* What may stand in YAML, JSON and on a terminal. */
static void keep(struct tg_bytes line, char *ret, size_t size)
{
    size_t n = strlen(ret);
    if (n > 0 && n + 1 < size)
        ret[n++] = ' ';
    for (size_t i = 0; i < line.len && n + 1 < size; i++) {
        if (line.data[i] >= 0x20 && line.data[i] < 0x7F && line.data[i] != '"' && line.data[i] != '\\')
            ret[n++] = (char)line.data[i];
    }
    ret[n] = 0;
}

/* The lines of the answer to `command`, without `prefix`; "" unless it ended with OK. False when the device has fallen silent. */
static bool ask(struct asker *a, const char *command, const char *prefix, char ret[AT_ANSWER_BYTES],
                enum tg_at_status *ret_status)
{
    const struct tg_at_command c = {.text = command, .prefix = prefix, .timeout_ms = ASK_TIMEOUT_MS};
    struct tg_at_event ev;
    ret[0] = 0;
    *ret_status = TG_AT_TIMEOUT;
    if (tg_at_chat_queue(&a->chat, &c) < 0 || !converse(a, TG_AT_EVENT_RESULT, &ev))
        return false;
    *ret_status = ev.result.status;
    for (uint32_t i = 0; ev.result.status == TG_AT_OK && i < ev.result.line_count; i++) {
        struct tg_bytes line = ev.result.lines[i];
        if (prefix && !tg_bytes_starts(line, prefix))
            continue;
        line = prefix ? tg_at_rest(line, strlen(prefix)) : line;
        while (line.len > 0 && line.data[0] == ' ')
            line = tg_at_rest(line, 1);
        keep(line, ret, AT_ANSWER_BYTES);
    }
    if (ev.result.status == TG_AT_TIMEOUT)
        return converse(a, TG_AT_EVENT_SYNCED, &ev);
    return true;
}

static bool names_ucx(const char *text)
{
    static const char *const names[] = {"NINA-", "ODIN-", "ANNA-B", "NORA-"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strstr(text, names[i]))
            return true;
    }
    return false;
}

static void identify(struct asker *a, struct at_identity *ret)
{
    char text[AT_ANSWER_BYTES], more[AT_ANSWER_BYTES];
    enum tg_at_status status;
    ret->kind = AT_KIND_GENERIC;
    if (!ask(a, "ATI", NULL, ret->information, &status) || !ask(a, "AT+CGMI", NULL, ret->maker, &status) ||
        !ask(a, "AT+CGMM", NULL, ret->model, &status) || !ask(a, "AT+CGMR", NULL, ret->firmware, &status) ||
        !ask(a, "AT+CGSN", NULL, ret->serial, &status) || !ask(a, "AT+CREG?", "+CREG:", text, &status))
        return;
    if (text[0]) {
        ret->kind = AT_KIND_MODEM;
        (void)ask(a, "AT+CPIN?", "+CPIN:", ret->sim, &status);
        return;
    }
    if (!ask(a, "AT+GMM", NULL, text, &status) || !ask(a, "ATI9", NULL, more, &status))
        return;
    if (names_ucx(text) || names_ucx(more) || names_ucx(ret->model) || names_ucx(ret->information)) {
        ret->kind = AT_KIND_UCX;
        if (!ret->model[0])
            memcpy(ret->model, names_ucx(text) ? text : more, sizeof ret->model);
    }
}

void at_ask_port(const struct tg_discover *request, const char *path, const int64_t *rates,
                 uint32_t rate_count, struct at_identity *ret)
{
    const struct tg_at_chat_config config = {.pause_ms = 0};
    struct asker *a = tg_calloc(1, sizeof *a);
    struct tg_at_event ev;
    memset(ret, 0, sizeof *ret);
    if (!a) {
        snprintf(ret->error, sizeof ret->error, "out of memory");
        return;
    }
    a->request = request;
    a->fd = tg_serial_open(path, rates[0], false, ret->error, sizeof ret->error);
    if (a->fd >= 0) {
        ret->kind = AT_KIND_SILENT;
        tg_at_chat_init(&a->chat, &config);
        tg_at_chat_hangup(&a->chat);
        if (find_rate(a, path, rates, rate_count, &ret->baud)) {
            tg_at_chat_sync(&a->chat, tg_clock_mono_ms());
            if (converse(a, TG_AT_EVENT_SYNCED, &ev))
                identify(a, ret);
        }
        tg_serial_close(a->fd);
    }
    tg_free(a);
}
