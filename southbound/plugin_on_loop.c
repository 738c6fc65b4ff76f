/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_on_loop - an instance that never blocks (TG_THREAD_LOOP): its rounds run on the loop, driven by a deadline, by
 * requests and by watched descriptors.
 */
#include "southbound/plugin_host_private.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"

/* Outlives the watch by one loop turn: libuv gives its memory back in the close callback. */
struct tg_loop_poll {
    uv_poll_t uv;
    struct tg_host_source *source;
    int fd;
};

static void run_round(void *user)
{
    struct tg_host_source *s = TG_OBJECT(user, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
    if (atomic_load(&s->stopping))
        return;
    tg_instance_round(s);
    /* What is due at once runs in the next turn: a timer of no time may run again in this one and hold everybody up. */
    if (s->poll_due_ms <= tg_clock_mono_ms()) {
        tg_deadline_set(&s->deadline, INT64_MAX);
        tg_wakeup_fire(&s->turn);
    } else {
        tg_deadline_set(&s->deadline, s->poll_due_ms);
    }
}

static void free_poll(uv_handle_t *handle)
{
    tg_free(handle->data);
}

static void on_fd(uv_poll_t *uv, int status, int events)
{
    struct tg_loop_poll *p = uv->data;
    struct tg_host_source *s = TG_OBJECT(p->source, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
    uint32_t ready = status < 0 ? TG_FD_HANGUP
                                : (events & UV_READABLE ? TG_FD_READ : 0) |
                                      (events & UV_WRITABLE ? TG_FD_WRITE : 0) |
                                      (events & UV_DISCONNECT ? TG_FD_HANGUP : 0);
    if (atomic_load(&s->stopping) || !s->open || !s->plugin->fd_ready)
        return;
    s->plugin->fd_ready(s->instance, p->fd, ready);
    s->poll_due_ms = 0; /* what arrived may have made something due */
    run_round(s);
}

static void end_watch(struct tg_watch *w)
{
    if (w->poll)
        uv_close((uv_handle_t *)&w->poll->uv, free_poll);
    w->poll = NULL;
    w->events = 0;
}

int tg_on_loop_watch(struct tg_host_source *s, struct tg_watch *w)
{
    int events = (w->events & TG_FD_READ ? UV_READABLE : 0) | (w->events & TG_FD_WRITE ? UV_WRITABLE : 0);
    if (!events) {
        end_watch(w);
        return TG_PLUGIN_OK;
    }
    if (!w->poll) {
        struct tg_loop_poll *p = tg_calloc(1, sizeof *p);
        if (!p || uv_poll_init(&s->handle.loop->uv, &p->uv, w->fd) < 0) {
            tg_free(p);
            w->events = 0;
            return TG_PLUGIN_EIO;
        }
        p->uv.data = p;
        p->source = s;
        p->fd = w->fd;
        w->poll = p;
    }
    return uv_poll_start(&w->poll->uv, events | UV_DISCONNECT, on_fd) < 0 ? TG_PLUGIN_EIO : TG_PLUGIN_OK;
}

int tg_on_loop_start(struct tg_host_source *s, struct tg_error *err)
{
    int rc = tg_wakeup_init(&s->turn, s->handle.loop, run_round, s);
    if (rc < 0) {
        tg_source_host_ended(s);
        return tg_error_set(err, rc, "source %s: cannot make a wake-up", s->config->name);
    }
    tg_deadline_init(&s->deadline, s->handle.loop, run_round, s);
    tg_wakeup_fire(&s->turn);
    return TG_OK;
}

static void on_turn_closed(uv_handle_t *handle)
{
    tg_source_host_ended(((struct tg_wakeup *)handle->data)->user);
}

static void on_deadline_closed(void *user)
{
    struct tg_host_source *s = TG_OBJECT(user, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
    s->turn.async.data = &s->turn;
    uv_close((uv_handle_t *)&s->turn.async, on_turn_closed);
}

void tg_on_loop_stop(struct tg_host_source *s)
{
    tg_instance_close(s);
    for (size_t i = 0; i < TG_SOURCE_MAX_FDS; i++)
        end_watch(&s->watches[i]);
    tg_deadline_close(&s->deadline, on_deadline_closed);
}
