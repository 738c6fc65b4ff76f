/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_process_send - what the child is told: its configuration, piece by piece as the socket takes it, then requests.
 */
#include "southbound/plugin_confine.h"
#include "southbound/plugin_process_private.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "southbound/plugin_confine.h"

#define OUT_ENOUGH_BYTES (256 * 1024) /* nothing more is put behind so much that is not sent yet */

static bool put(struct tg_process *p, const struct tg_wire_message *m)
{
    size_t bound = tg_wire_message_bound(m);
    struct tg_writer w;
    if (tg_buffer_reserve(&p->out, bound) < 0)
        return false;
    w = tg_writer_init(p->out.data + p->out.len, bound);
    tg_wire_put_message(&w, m);
    if (w.failed)
        return false;
    p->out.len += w.len;
    return true;
}

static void put_or_kill(struct tg_process *p, const struct tg_wire_message *m)
{
    if (!put(p, m))
        tg_process_kill(
            p,
            "there was no memory, or no frame large enough, to tell the plugin's process its configuration");
}

static struct tg_wire_message option(const struct tg_option *o, const char *text)
{
    return (struct tg_wire_message){.type = TG_WIRE_OPTION,
                                    .state = o->type,
                                    .flags = o->flags & TG_OPTION_READ_ONLY ? TG_WIRE_READ_ONLY : 0,
                                    .name = tg_bytes_str(o->name),
                                    .has_text = true,
                                    .text = tg_bytes_str(text)};
}

static void put_list(struct tg_process *p, const struct tg_settings *s, const struct tg_option *o)
{
    const char *const *items;
    uint32_t count = tg_settings_list(s, o->name, &items);
    struct tg_wire_message m = option(o, "");
    m.flags = count ? TG_WIRE_ITEM : TG_WIRE_EMPTY_LIST;
    if (!count)
        put_or_kill(p, &m);
    for (uint32_t i = 0; i < count; i++) {
        m.text = tg_bytes_str(items[i]);
        put_or_kill(p, &m);
    }
}

/* Values go as texts that the same table reads back to the same values. */
static void put_option(struct tg_process *p, const struct tg_settings *s, const struct tg_option *o)
{
    char number[64];
    const char *text = number;
    struct tg_wire_message m;
    switch (o->type) {
    case TG_OPTION_TEXT_LIST:
        put_list(p, s, o);
        return;
    case TG_OPTION_BOOL:
        text = tg_settings_int(s, o->name) ? "true" : "false";
        break;
    case TG_OPTION_REAL:
        snprintf(number, sizeof number, "%.17g", tg_settings_real(s, o->name));
        break;
    case TG_OPTION_INT:
    case TG_OPTION_DURATION:
    case TG_OPTION_SIZE:
        tg_format_option_number(o->type, tg_settings_int(s, o->name), number);
        break;
    default:
        text = tg_settings_text(s, o->name);
        break;
    }
    m = option(o, text);
    put_or_kill(p, &m);
}

static void put_settings(struct tg_process *p, const struct tg_settings *s)
{
    const struct tg_option *o = s ? tg_settings_table(s) : NULL;
    for (; o && o->name; o++)
        if (tg_settings_has(s, o->name))
            put_option(p, s, o);
}

/* The file that the plugin was loaded from. */
static const char *file_of(const struct tg_plugin *plugin)
{
    Dl_info info = {0};
    void *symbol;
    memcpy(&symbol, &plugin->open, sizeof symbol); /* ISO C has no cast from function to data pointer */
    return dladdr(symbol, &info) && info.dli_fname ? info.dli_fname : "";
}

static void put_source(struct tg_process *p)
{
    struct tg_host_source *s = p->source;
    const struct tg_config_discover *d = s->config->discover;
    int64_t beat = p->hang_timeout_ms / 4;
    const struct tg_wire_message m = {.type = TG_WIRE_SOURCE,
                                      .state = TG_WIRE_VERSION,
                                      .flags = tg_confine_source_needs(s->plugin, s->config->settings),
                                      .device = s->model.device_count,
                                      .number = (uint64_t)p->memory_limit_bytes,
                                      .time_ms = beat > 1000 ? 1000 : beat,
                                      .at_ms = tg_log_level(),
                                      .name = tg_bytes_str(s->config->name),
                                      .has_text = true,
                                      .text = tg_bytes_str(file_of(s->plugin))};
    put_or_kill(p, &m);
    put_settings(p, s->model.settings);
    if (d) {
        static const struct tg_option allow = {.name = "allow", .type = TG_OPTION_TEXT_LIST};
        const uint32_t used = s->discovery.seen.used, max = s->discovery.seen.max;
        const struct tg_wire_message more = {.type = TG_WIRE_DISCOVER, .number = max > used ? max - used : 0};
        put_or_kill(p, &more);
        put_list(p, d->settings, &allow);
    }
}

static void put_device(struct tg_process *p, uint32_t device)
{
    const struct tg_device *d = &p->source->devices[device];
    const struct tg_wire_message m = {.type = TG_WIRE_DEVICE,
                                      .name = tg_bytes_str(d->id),
                                      .flags = p->source->config->devices[device].discovered,
                                      .point = d->point_count};
    put_or_kill(p, &m);
    put_settings(p, d->settings);
}

static void put_point(struct tg_process *p, const struct tg_point *point)
{
    const struct tg_wire_message m = {.type = TG_WIRE_POINT,
                                      .name = tg_bytes_str(point->name),
                                      .time_ms = point->every_ms,
                                      .flags = point->writable};
    put_or_kill(p, &m);
    put_settings(p, point->settings);
}

static void put_notes(struct tg_process *p)
{
    struct tg_source_notes *n = &p->source->notes;
    n->set_before = n->set;
    for (size_t i = 0; n->notes && i < TG_NOTES_MAX; i++)
        if (n->notes[i].key[0])
            put_or_kill(p, &(struct tg_wire_message){.type = TG_WIRE_RECALL,
                                                     .name = tg_bytes_str(n->notes[i].key),
                                                     .has_text = true,
                                                     .text = tg_bytes_str(n->notes[i].text)});
}

/* Its stamps are to be right too. */
static void put_clock(struct tg_process *p)
{
    struct tg_wire_message m = {.type = TG_WIRE_CLOCK};
    if (tg_clock_offered(&m.time_ms, &m.at_ms, &m.state))
        put_or_kill(p, &m);
}

/* Puts the next piece of the configuration. */
static void put_model(struct tg_process *p)
{
    struct tg_process_model_at *at = &p->model;
    const struct tg_host_source *s = p->source;
    switch (at->step) {
    case TG_MODEL_SOURCE:
        put_source(p);
        at->step = s->model.device_count ? TG_MODEL_DEVICE : TG_MODEL_START;
        break;
    case TG_MODEL_DEVICE:
        put_device(p, at->device);
        at->step = TG_MODEL_POINT;
        at->point = 0;
        break;
    case TG_MODEL_POINT:
        if (at->point < s->devices[at->device].point_count)
            put_point(p, &s->devices[at->device].points[at->point++]);
        else
            at->step = ++at->device < s->model.device_count ? TG_MODEL_DEVICE : TG_MODEL_START;
        break;
    case TG_MODEL_START:
        put_notes(p);
        put_clock(p);
        put_or_kill(p, &(struct tg_wire_message){.type = TG_WIRE_START});
        at->step = TG_MODEL_DONE;
        break;
    case TG_MODEL_DONE:
        break;
    }
}

/* --- requests -------------------------------------------------------------------------------------------- */

static void answer(struct tg_process *p, uint64_t request, int status, const char *error)
{
    char json[TG_PROCESS_TEXT_BYTES + 128];
    struct tg_host_source *s = p->source;
    snprintf(json, sizeof json, "{\"error\":\"%s\"}", error);
    for (char *c = json + 10; *c && c[1] && c[2]; c++) /* our own words: no quotes but those of a path */
        if (*c == '"' || *c == '\\' || (unsigned char)*c < 0x20)
            *c = '\'';
    if (!atomic_load(&s->stopping))
        s->handle.cb->on_answer(s->handle.user, request, status, json);
}

static void take_interval(struct tg_process *p, const struct tg_down_mail *m)
{
    struct tg_host_source *s = p->source;
    TG_ASSERT(m->device < s->model.device_count && m->point < s->devices[m->device].point_count);
    s->points[(s->devices[m->device].points - s->points) + m->point].every_ms = m->every_ms;
}

/* The oldest makes room: whoever asked has long stopped waiting. */
static void remember(struct tg_process *p, uint64_t request)
{
    if (p->pending_count == TG_PROCESS_PENDING_MAX) {
        uint64_t oldest = p->pending[0];
        memmove(p->pending, p->pending + 1, --p->pending_count * sizeof p->pending[0]);
        answer(p, oldest, TG_PLUGIN_ETIMEOUT, "the plugin has not answered while 512 more were asked");
    }
    p->pending[p->pending_count++] = request;
}

bool tg_process_forget(struct tg_process *p, uint64_t request)
{
    for (uint32_t i = 0; i < p->pending_count; i++)
        if (p->pending[i] == request) {
            memmove(p->pending + i, p->pending + i + 1, (--p->pending_count - i) * sizeof p->pending[0]);
            return true;
        }
    return false;
}

/* The child counts its own notes from 1. */
static void put_news(struct tg_process *p, const struct tg_down_mail *down)
{
    const uint64_t before = p->source->notes.set_before;
    if (down->kind == TG_DOWN_CLOCK)
        put_clock(p);
    else if (down->request > before)
        put_or_kill(p, &(struct tg_wire_message){.type = TG_WIRE_KEPT, .number = down->request - before});
}

/* What the gateway wants carried: told down when there is no way to say it. */
static void send_carry(struct tg_process *p, const struct tg_down_mail *down)
{
    struct tg_host_source *s = p->source;
    struct tg_wire_message m = {.type = TG_WIRE_CARRY_CLOSE, .device = down->device, .number = down->request};
    if (down->kind == TG_DOWN_CARRY_OPEN) {
        m.type = TG_WIRE_CARRY_OPEN;
        m.has_text = true;
        m.text = tg_bytes_str(down->name);
    } else if (down->kind == TG_DOWN_CARRY) {
        m.type = TG_WIRE_CARRY;
        m.body = tg_bytes(down->text, down->body_len);
    }
    if (!put(p, &m) && s->handle.cb->on_carrier && !atomic_load(&s->stopping))
        s->handle.cb->on_carrier(s->handle.user, down->device, false,
                                 "out of memory for the plugin's process");
}

static void send_request(struct tg_process *p, const struct tg_down_mail *down)
{
    struct tg_wire_message m = {.type = TG_WIRE_WRITE,
                                .number = down->request,
                                .device = down->device,
                                .point = down->point,
                                .value = down->value};
    if (tg_down_is_news(down)) {
        put_news(p, down);
        return;
    }
    if (tg_down_is_carry(down)) {
        send_carry(p, down);
        return;
    }
    if (down->kind == TG_DOWN_INTERVAL) {
        take_interval(p, down);
        m = (struct tg_wire_message){.type = TG_WIRE_INTERVAL,
                                     .device = down->device,
                                     .point = down->point,
                                     .time_ms = down->every_ms};
    } else if (down->kind == TG_DOWN_COMMAND) {
        m.type = TG_WIRE_COMMAND;
        m.name = tg_bytes_str(down->name);
        m.has_text = true;
        m.text = tg_bytes_str(down->json);
    }
    if (!put(p, &m))
        answer(p, down->request, TG_PLUGIN_EFULL, "the request is too large for the plugin's process");
    else if (down->kind != TG_DOWN_INTERVAL)
        remember(p, down->request);
}

static void hold_requests(struct tg_process *p)
{
    struct tg_mail **tail = &p->held;
    while (*tail)
        tail = &(*tail)->next;
    *tail = tg_mailbox_take_all(&p->source->down);
}

void tg_process_watch(struct tg_process_channel *c, int events)
{
    if (c->events == events)
        return;
    c->events = events;
    if (events)
        uv_poll_start(&c->uv, events, tg_process_on_ready);
    else
        uv_poll_stop(&c->uv);
}

static void flush(struct tg_process *p)
{
    while (p->out.len && p->control && !p->control->ended) {
        ssize_t n = write(p->control->fd, p->out.data, p->out.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;                              /* EAGAIN: later; EPIPE: its exit tells why */
        explicit_bzero(p->out.data, (size_t)n); /* an address that was carried holds secrets */
        tg_buffer_consume(&p->out, (size_t)n);
    }
    if (p->out.len == 0)
        tg_buffer_fini(&p->out);
    if (p->control && !p->control->ended)
        tg_process_watch(p->control, UV_READABLE | (p->out.len ? UV_WRITABLE : 0));
}

void tg_process_pump(struct tg_process *p)
{
    if (tg_process_is_mute(p))
        return;
    for (;;) {
        while (p->model.step != TG_MODEL_DONE && p->out.len < OUT_ENOUGH_BYTES && !tg_process_is_mute(p))
            put_model(p);
        if (p->model.step == TG_MODEL_DONE && !p->held)
            hold_requests(p);
        while (p->held && p->model.step == TG_MODEL_DONE && p->out.len < OUT_ENOUGH_BYTES &&
               !tg_process_is_mute(p)) {
            struct tg_mail *m = p->held;
            p->held = m->next;
            send_request(p, (struct tg_down_mail *)m);
            tg_down_free((struct tg_down_mail *)m);
        }
        if (tg_process_is_mute(p))
            return;
        flush(p);
        if (p->out.len || (p->model.step == TG_MODEL_DONE && !p->held))
            return; /* what waits in the mailbox has fired the wake-up */
    }
}

void tg_process_refuse_requests(struct tg_process *p)
{
    hold_requests(p);
    while (p->held) {
        struct tg_mail *mail = p->held;
        struct tg_down_mail *m = (struct tg_down_mail *)mail;
        p->held = mail->next;
        if (m->kind == TG_DOWN_INTERVAL)
            take_interval(p, m);
        else if (!tg_down_is_news(m) && !tg_down_is_carry(m))
            answer(p, m->request, TG_PLUGIN_EIO, "the source is not open");
        else if (tg_down_is_carry(m) && m->kind != TG_DOWN_CARRY_CLOSE)
            tg_service_carrier(p->source, m->device, false, "the source is not open");
        tg_down_free(m);
    }
}

void tg_process_fail_requests(struct tg_process *p, const char *why)
{
    char text[TG_PROCESS_TEXT_BYTES + 64];
    snprintf(text, sizeof text, "%s; whether this was carried out is not known", why);
    while (p->pending_count) {
        uint64_t oldest = p->pending[0];
        memmove(p->pending, p->pending + 1, --p->pending_count * sizeof p->pending[0]);
        answer(p, oldest, TG_PLUGIN_EUNKNOWN, text);
    }
    tg_process_refuse_requests(p);
}
