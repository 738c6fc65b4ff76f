/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_process_receive - what the child says, checked as hostile: a device or point that is not its own, a value that cannot be
 * stored, a frame that cannot be read end it.
 */
#include "southbound/plugin_process_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "southbound/plugin_confine.h"

#define IN_KEEP_BYTES   (128 * 1024)      /* a buffer that grew beyond is given back when it is empty */
#define AFTER_END_BYTES (8 * 1024 * 1024) /* what is read of a child that is gone: more than sockets hold */
#define READS_A_TURN    4
#define FACT_NAME_MAX   64
#define TIME_OLD_MS     60000 /* a moment older than that, or to come, is not believed */

bool tg_process_is_mute(const struct tg_process *p)
{
    return p->distrusted || atomic_load(&p->source->stopping);
}

static void broke(struct tg_process *p, const char *what)
{
    p->distrusted = true;
    tg_process_kill(p, "the plugin's process broke the protocol (%s); it was killed", what);
}

/* For people: what is no UTF-8 is shown as what it is, what is too long is cut. NULL when there is none. */
static const char *person_text(char *ret, size_t size, const struct tg_wire_message *m)
{
    char quoted[TG_QUOTE_BYTES];
    size_t n = m->text.len < size ? m->text.len : size - 1;
    if (!m->has_text)
        return NULL;
    if (!tg_utf8_valid(m->text)) {
        snprintf(ret, size, "%s", tg_quote(quoted, (const char *)m->text.data, m->text.len));
        return ret;
    }
    while (n > 0 && n < m->text.len && (m->text.data[n] & 0xC0) == 0x80)
        n--; /* not into a character */
    if (n)
        memcpy(ret, m->text.data, n);
    ret[n] = '\0';
    return ret;
}

static void on_opened(struct tg_process *p, const struct tg_wire_message *m)
{
    struct tg_host_source *s = p->source;
    char text[TG_PROCESS_TEXT_BYTES];
    bool open = m->status >= 0;
    int64_t retry = m->time_ms < 0 ? 0 : m->time_ms;
    s->open = open;
    atomic_store(&s->open_seen, open);
    if (open)
        p->opened_ms = tg_clock_mono_ms();
    s->handle.cb->on_open(s->handle.user, open,
                          open                                ? NULL
                          : person_text(text, sizeof text, m) ? text
                                                              : "the plugin gave no reason",
                          retry);
    for (uint32_t d = 0; open && d < s->model.device_count && !tg_process_is_mute(p); d++)
        if (p->downed[d]) {
            p->downed[d] = false;
            s->handle.cb->on_state(s->handle.user, d, TG_DEVICE_UNKNOWN, NULL);
        }
}

static void on_answer(struct tg_process *p, const struct tg_wire_message *m)
{
    struct tg_host_source *s = p->source;
    int status = m->status > 0 || m->status < TG_PLUGIN_EDENIED ? TG_PLUGIN_EIO : m->status;
    char *json =
        m->has_text && tg_utf8_valid(m->text) ? tg_strndup((const char *)m->text.data, m->text.len) : NULL;
    if (tg_process_forget(p, m->number)) /* else: answered twice, or too late */
        s->handle.cb->on_answer(s->handle.user, m->number, status, json);
    tg_free(json);
}

static bool on_fact(struct tg_process *p, const struct tg_wire_message *m)
{
    struct tg_host_source *s = p->source;
    const struct tg_point_value v = {.value = m->value};
    char name[FACT_NAME_MAX + 1];
    if (m->device >= s->model.device_count || m->name.len == 0 || m->name.len > FACT_NAME_MAX ||
        !tg_value_is_sound(&v) || !tg_utf8_valid(m->name))
        return false;
    memcpy(name, m->name.data, m->name.len);
    name[m->name.len] = '\0';
    if (s->handle.cb->on_fact)
        s->handle.cb->on_fact(s->handle.user, m->device, name, &m->value);
    return true;
}

/* Decided here again, by this side's rules. */
static bool on_found(struct tg_process *p, const struct tg_wire_message *m)
{
    char id[TG_NAME_MAX_BYTES + 1], profile[TG_PROCESS_TEXT_BYTES];
    if (m->name.len > TG_NAME_MAX_BYTES || (m->has_text && m->text.len >= sizeof profile))
        return false;
    snprintf(id, sizeof id, "%.*s", (int)m->name.len, (const char *)m->name.data);
    snprintf(profile, sizeof profile, "%.*s", m->has_text ? (int)m->text.len : 0,
             m->has_text ? (const char *)m->text.data : "");
    (void)tg_service_discovered(p->source, id, m->has_text ? profile : NULL);
    return true;
}

static void on_time(struct tg_process *p, const struct tg_wire_message *m)
{
    const struct tg_source_callbacks *cb = p->source->handle.cb;
    int64_t now = tg_clock_mono_ms();
    if (cb->on_time && m->at_ms <= now && m->at_ms >= now - TIME_OLD_MS)
        cb->on_time(p->source->handle.user, m->time_ms, m->at_ms, m->state);
}

/* Kept by this side's table too, so that the next process recalls it; the table sends it on (plugin_notes.c). */
static bool on_note(struct tg_process *p, const struct tg_wire_message *m)
{
    struct tg_host_source *s = p->source;
    char key[TG_NOTE_KEY_MAX_BYTES + 1], text[TG_NOTE_TEXT_MAX_BYTES + 1];
    uint64_t before = s->notes.set;
    if (m->name.len == 0 || m->name.len > TG_NOTE_KEY_MAX_BYTES || !m->has_text ||
        m->text.len > TG_NOTE_TEXT_MAX_BYTES || !tg_utf8_valid(m->name) || !tg_utf8_valid(m->text))
        return false;
    snprintf(key, sizeof key, "%.*s", (int)m->name.len, (const char *)m->name.data);
    snprintf(text, sizeof text, "%.*s", (int)m->text.len, m->text.len ? (const char *)m->text.data : "");
    if (tg_source_note_put(s, key, text) < 0 || s->notes.set == before)
        return true; /* no room: it is never told to be kept */
    if (s->handle.cb->on_note)
        s->handle.cb->on_note(s->handle.user, key, text, s->notes.set);
    return true;
}

static bool on_state(struct tg_process *p, const struct tg_wire_message *m)
{
    struct tg_host_source *s = p->source;
    char text[512];
    if (m->device >= s->model.device_count || m->state > TG_DEVICE_DOWN)
        return false;
    p->downed[m->device] = false;
    s->handle.cb->on_state(s->handle.user, m->device, (enum tg_device_state)m->state,
                           person_text(text, sizeof text, m));
    return true;
}

static bool on_log(struct tg_process *p, const struct tg_wire_message *m)
{
    char text[512];
    if (m->state > TG_LOG_DEBUG || !person_text(text, sizeof text, m))
        return false;
    tg_log((enum tg_log_level)m->state, "source", "source=%s %s", p->source->config->name, text);
    return true;
}

static void on_confined(struct tg_process *p, const struct tg_wire_message *m)
{
    char text[TG_CONFINED_TEXT_BYTES];
    p->confined = m->flags & TG_CONFINED_ALL;
    p->landlock_abi = m->state;
    tg_confined_text(text, p->confined, p->landlock_abi);
    tg_log(TG_LOG_INFO, "source", "source=%s runs in process %lld: %s", p->source->config->name,
           (long long)p->pid, text);
}

/* False: it says what cannot be. */
static bool on_message(struct tg_process *p, const struct tg_wire_message *m)
{
    struct tg_host_source *s = p->source;
    char text[TG_PROCESS_TEXT_BYTES];
    switch (m->type) {
    case TG_WIRE_CONFINED:
        on_confined(p, m);
        return true;
    case TG_WIRE_TROUBLE:
        snprintf(p->said, sizeof p->said, "%s",
                 person_text(text, sizeof text, m) ? text : "it gave no reason");
        return true;
    case TG_WIRE_OPENED:
        on_opened(p, m);
        return true;
    case TG_WIRE_STATE:
        return on_state(p, m);
    case TG_WIRE_ANSWER:
        on_answer(p, m);
        return true;
    case TG_WIRE_FACT:
        return on_fact(p, m);
    case TG_WIRE_FOUND:
        return on_found(p, m);
    case TG_WIRE_UPLINK:
        if (s->handle.cb->on_uplink)
            s->handle.cb->on_uplink(s->handle.user, m->state == 1, person_text(text, sizeof text, m));
        return m->state <= 1;
    case TG_WIRE_TIME:
        on_time(p, m);
        return true;
    case TG_WIRE_NOTE:
        return on_note(p, m);
    case TG_WIRE_CARRIER:
        if (s->handle.cb->on_carrier)
            s->handle.cb->on_carrier(s->handle.user, m->device, m->state == 1,
                                     person_text(text, sizeof text, m));
        return m->state <= 1;
    case TG_WIRE_CARRIED:
        if (s->handle.cb->on_carried)
            s->handle.cb->on_carried(s->handle.user, m->device, m->number, m->status);
        return true;
    case TG_WIRE_LOG:
        return on_log(p, m);
    case TG_WIRE_ALIVE:
        p->silent_ms = m->time_ms > 0 ? m->time_ms : 0;
        if (m->number > p->rejected_now) {
            p->rejected_now = m->number;
            atomic_store(&s->rejected, p->rejected_before + p->rejected_now);
        }
        return true;
    default:
        return false;
    }
}

/* Reads once. False when there is nothing (more) now. */
static bool fill(struct tg_process *p, struct tg_process_channel *c)
{
    size_t wants = tg_wire_wants(tg_buffer_view(&c->in)), room = TG_LOOP_WIRE_BYTES;
    ssize_t n;
    if (wants > c->in.len && wants - c->in.len > room)
        room = wants - c->in.len;
    if (tg_buffer_reserve(&c->in, room) < 0) {
        tg_process_kill(p, "there was no memory for what the plugin's process said; it was killed");
        return false;
    }
    do
        n = read(c->fd, c->in.data + c->in.len, room);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        c->ended = true;
        tg_process_watch(c, 0);
        return false;
    }
    c->in.len += (size_t)n;
    return true;
}

static void take_back(struct tg_process_channel *c, size_t used)
{
    tg_buffer_consume(&c->in, used);
    if (c->in.len == 0 && c->in.cap > IN_KEEP_BYTES)
        tg_buffer_fini(&c->in);
}

static void handle_control(struct tg_process *p)
{
    struct tg_process_channel *c = p->control;
    struct tg_wire_frame frame;
    struct tg_wire_message m;
    size_t used = 0;
    int rc;
    while (!tg_process_is_mute(p) &&
           (rc = tg_wire_next(tg_bytes(c->in.data + used, c->in.len - used), &frame)) != 0) {
        if (rc < 0 || tg_wire_read_message(&frame, &m) < 0) {
            broke(p, "a message that cannot be read");
            break;
        }
        used += frame.size;
        if (!on_message(p, &m)) {
            char what[64];
            snprintf(what, sizeof what, "a message of type %u that cannot be", (unsigned)m.type);
            broke(p, what);
        }
    }
    take_back(c, used);
}

void tg_process_read_control(struct tg_process *p, bool all)
{
    size_t left = AFTER_END_BYTES;
    for (int reads = 0;
         p->control && !p->control->ended && !tg_process_is_mute(p) && (all || reads < READS_A_TURN);
         reads++) {
        size_t before = p->control->in.len;
        if (!fill(p, p->control))
            break;
        left -= p->control->in.len - before < left ? p->control->in.len - before : left;
        handle_control(p);
        if (!left)
            break;
    }
}

static bool sample_is_ours(const struct tg_process *p)
{
    const struct tg_wire_sample *x = &p->sample;
    const struct tg_host_source *s = p->source;
    if (x->device >= s->model.device_count)
        return false;
    for (uint32_t i = 0; i < x->count; i++)
        if (x->values[i].point >= s->model.devices[x->device].point_count ||
            !tg_value_is_sound(&x->values[i]))
            return false;
    return true;
}

/* False when the consumer has no room: the frame stays. */
static bool handle_samples(struct tg_process *p)
{
    struct tg_host_source *s = p->source;
    struct tg_process_channel *c = p->samples;
    struct tg_wire_frame frame;
    size_t used = 0;
    bool room = true;
    int rc;
    while (!tg_process_is_mute(p) &&
           (rc = tg_wire_next(tg_bytes(c->in.data + used, c->in.len - used), &frame)) != 0) {
        if (rc < 0 || tg_wire_read_sample(&frame, &p->sample) < 0 || !sample_is_ours(p)) {
            broke(p, "a sample that cannot be");
            c->ended = true;
            break;
        }
        atomic_fetch_add_explicit(&s->emitted, 1, memory_order_relaxed);
        if (s->handle.cb->on_sample(s->handle.user, p->sample.device, p->sample.time_ms, p->sample.values,
                                    p->sample.count) == TG_EFULL) {
            atomic_fetch_sub_explicit(&s->emitted, 1, memory_order_relaxed);
            room = false;
            break;
        }
        used += frame.size;
    }
    if (p->samples == c) /* else: a callback has closed the source */
        take_back(c, used);
    return room;
}

bool tg_process_read_samples(struct tg_process *p, bool all)
{
    size_t left = AFTER_END_BYTES;
    if (p->source->draining)
        return false; /* a callback resumes: the loop above it goes on anyway */
    if (p->samples && p->samples->ended && p->samples->in.len == 0)
        return true;
    p->source->draining = true;
    for (int reads = 0;; reads++) {
        size_t before;
        if (!p->samples || !handle_samples(p)) {
            if (p->samples)
                tg_process_watch(p->samples, 0);
            p->source->draining = false;
            return p->samples == NULL;
        }
        before = p->samples->in.len;
        if (p->samples->ended || !left || (!all && reads >= READS_A_TURN) || !fill(p, p->samples))
            break;
        left -= p->samples->in.len - before < left ? p->samples->in.len - before : left;
    }
    p->source->draining = false;
    return true;
}

void tg_process_control_ready(struct tg_process_channel *c, int events)
{
    struct tg_process *p = c->process;
    if (events & UV_READABLE)
        tg_process_read_control(p, false);
    if (events & UV_WRITABLE && p->control == c && p->state == TG_PROCESS_RUNNING)
        tg_process_pump(p);
}

void tg_process_samples_ready(struct tg_process_channel *c, int events)
{
    (void)events;
    (void)tg_process_read_samples(c->process,
                                  false); /* without room it is watched again by tg_process_resume() */
}
