/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/loop.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"

int tg_loop_init(struct tg_loop *loop, struct tg_error *err)
{
    int rc;
    memset(loop, 0, sizeof *loop);
    signal(SIGPIPE, SIG_IGN);
    loop->wire = tg_malloc(TG_LOOP_WIRE_BYTES);
    loop->plain = tg_malloc(TG_LOOP_PLAIN_BYTES);
    if (!loop->wire || !loop->plain) {
        tg_error_set(err, TG_ENOMEM, "event loop: out of memory");
        rc = TG_ENOMEM;
        goto fail;
    }
    rc = uv_loop_init(&loop->uv);
    if (rc) {
        rc = tg_error_set(err, rc == UV_ENOMEM ? TG_ENOMEM : TG_EIO, "event loop: %s", uv_strerror(rc));
        goto fail;
    }
    loop->turn_uv_ms = uv_now(&loop->uv);
    loop->now_ms = tg_clock_mono_ms();
    loop->initialised = true;
    return TG_OK;
fail:
    tg_free(loop->wire);
    tg_free(loop->plain);
    loop->wire = loop->plain = NULL;
    return rc;
}

void tg_loop_run(struct tg_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void tg_loop_stop(struct tg_loop *loop)
{
    uv_stop(&loop->uv);
}

void tg_loop_hold(struct tg_loop *loop)
{
    loop->held++;
}

void tg_loop_release(struct tg_loop *loop)
{
    TG_ASSERT(loop->held > 0);
    loop->held--;
}

/* Counts the handles that are on their way out and those that nobody closed. */
struct census {
    unsigned closing, open;
    bool name_open;
};

static void count_handle(uv_handle_t *handle, void *arg)
{
    struct census *c = arg;
    if (uv_is_closing(handle)) {
        c->closing++;
        return;
    }
    c->open++;
    if (c->name_open)
        fprintf(stderr, "loop: a handle of type %s was left open\n", uv_handle_type_name(handle->type));
}

void tg_loop_fini(struct tg_loop *loop)
{
    struct census c = {0};
    if (!loop->initialised)
        return;
    while (loop->held > 0) {
        TG_ASSERT(uv_loop_alive(&loop->uv)); /* held by nothing that could end */
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
    for (;;) {
        c = (struct census){0};
        uv_walk(&loop->uv, count_handle, &c);
        if (c.closing == 0)
            break;
        uv_run(&loop->uv, UV_RUN_NOWAIT); /* close callbacks run at the end of each turn */
    }
    if (c.open > 0) {
        c.name_open = true;
        uv_walk(&loop->uv, count_handle, &c);
    } else {
        uv_run(&loop->uv, UV_RUN_DEFAULT); /* only requests without handles can be left: work in the pool */
    }
    int closed = uv_loop_close(&loop->uv);
    TG_ASSERT(closed == 0);
    tg_free(loop->wire);
    tg_free(loop->plain);
    memset(loop, 0, sizeof *loop);
}

int64_t tg_loop_now_ms(struct tg_loop *loop)
{
    /* uv_now() moves once per turn: that is the moment to read our own clock, which counts through suspend.
     */
    uint64_t turn = uv_now(&loop->uv);
    if (turn != loop->turn_uv_ms) {
        loop->turn_uv_ms = turn;
        loop->now_ms = tg_clock_mono_ms();
    }
    return loop->now_ms;
}

/* --- wake-up -------------------------------------------------------------------------------- */

static void on_async(uv_async_t *async)
{
    struct tg_wakeup *w = async->data;
    w->cb(w->user);
}

int tg_wakeup_init(struct tg_wakeup *w, struct tg_loop *loop, void (*cb)(void *user), void *user)
{
    int rc;
    w->cb = cb;
    w->user = user;
    rc = uv_async_init(&loop->uv, &w->async, on_async);
    w->async.data = w;
    return rc == 0 ? TG_OK : rc == UV_ENOMEM ? TG_ENOMEM : TG_EIO;
}

void tg_wakeup_fire(void *wakeup)
{
    struct tg_wakeup *w = wakeup;
    uv_async_send(&w->async);
}

void tg_wakeup_close(struct tg_wakeup *w)
{
    uv_close((uv_handle_t *)&w->async, NULL);
}

/* --- deadline ------------------------------------------------------------------------------- */

static void arm(struct tg_deadline *d);

static void on_timer(uv_timer_t *timer)
{
    struct tg_deadline *d = timer->data;
    if (tg_loop_now_ms(d->loop) < d->at_ms) { /* the two clocks round differently */
        arm(d);
        return;
    }
    struct tg_loop *loop = d->loop;
    d->at_ms = INT64_MAX;
    loop->in_deadline = true;
    d->cb(d->user);
    loop->in_deadline = false;
}

static void arm(struct tg_deadline *d)
{
    int64_t now = tg_loop_now_ms(d->loop);
    uint64_t wait = d->at_ms > now ? (uint64_t)d->at_ms - (uint64_t)now : 0;
    /* libuv runs a timer of 0 ms that is set by a timer in the same turn: one that sets itself would never
     * end it. */
    if (wait == 0 && d->loop->in_deadline)
        wait = 1;
    int rc = uv_timer_start(&d->timer, on_timer, wait, 0);
    TG_ASSERT(rc == 0); /* fails only on a closing handle */
}

void tg_deadline_init(struct tg_deadline *d, struct tg_loop *loop, void (*cb)(void *user), void *user)
{
    int rc = uv_timer_init(&loop->uv, &d->timer);
    TG_ASSERT(rc == 0); /* documented to be infallible */
    d->timer.data = d;
    d->loop = loop;
    d->cb = cb;
    d->user = user;
    d->at_ms = INT64_MAX;
}

void tg_deadline_set(struct tg_deadline *d, int64_t at_ms)
{
    if (uv_is_closing((uv_handle_t *)&d->timer))
        return;
    d->at_ms = at_ms;
    if (at_ms == INT64_MAX)
        uv_timer_stop(&d->timer);
    else
        arm(d);
}

static void on_deadline_closed(uv_handle_t *handle)
{
    struct tg_deadline *d = handle->data;
    d->cb(d->user); /* tg_deadline_close() put `closed` there */
}

void tg_deadline_close(struct tg_deadline *d, void (*closed)(void *user))
{
    d->cb = closed;
    uv_close((uv_handle_t *)&d->timer, closed ? on_deadline_closed : NULL);
}
