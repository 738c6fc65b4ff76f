/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/plugin_host_private.h"

#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/random.h"

/* Mails handed to the loop before other sources and sessions get their turn. */
#define DELIVER_PER_TURN 4096
#define ERROR_TEXT_BYTES 256

static struct tg_host_source *checked(struct tg_host_source *s)
{
    return TG_OBJECT(s, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
}

/* --- one round of the instance ------------------------------------------------------------------- */

static void try_open(struct tg_host_source *s, int64_t now_ms)
{
    char text[ERROR_TEXT_BYTES] = "";
    int rc = s->plugin->open(&s->services, &s->model, &s->instance, text, sizeof text);
    if (rc < 0) {
        int64_t wait = tg_backoff_next(&s->open_backoff, tg_random_u32());
        s->poll_due_ms = now_ms + wait;
        tg_put_news(s, &(struct tg_up_mail){.kind = TG_MAIL_OPEN, .status = rc, .time_ms = wait},
                    text[0] ? text : "the plugin gave no reason");
        return;
    }
    s->open = true;
    s->open_backoff.attempt = 0;
    s->poll_due_ms = now_ms;
    tg_put_news(s, &(struct tg_up_mail){.kind = TG_MAIL_OPEN}, NULL);
}

/* The instance reads its points when it opens: with another interval it opens again. */
static void change_interval(struct tg_host_source *s, const struct tg_down_mail *m)
{
    struct tg_point *p = s->points + (s->devices[m->device].points - s->points) + m->point;
    TG_ASSERT(m->device < s->model.device_count && m->point < s->devices[m->device].point_count);
    if (p->every_ms == m->every_ms)
        return;
    p->every_ms = m->every_ms;
    s->reopen = s->open;
}

static void give_request(struct tg_host_source *s, const struct tg_down_mail *m)
{
    if (m->kind == TG_DOWN_INTERVAL)
        change_interval(s, m);
    else if (tg_down_is_news(m))
        return; /* the poll that follows looks */
    else if (tg_down_is_carry(m))
        tg_carry_give(s, m);
    else if (!s->open)
        tg_put_answer(s, m->request, TG_PLUGIN_EIO, "{\"error\":\"the source is not open\"}");
    else if (m->kind == TG_DOWN_WRITE && s->plugin->write)
        s->plugin->write(s->instance, m->request, m->device, m->point, &m->value);
    else if (m->kind == TG_DOWN_COMMAND && s->plugin->command)
        s->plugin->command(s->instance, m->request, m->device, m->name, m->json);
    else
        tg_put_answer(s, m->request, TG_PLUGIN_EUNSUPPORTED,
                      "{\"error\":\"this plugin does not take that\"}");
}

void tg_instance_enter(struct tg_host_source *s)
{
    atomic_fetch_add_explicit(&s->progress, 1, memory_order_relaxed);
    atomic_store_explicit(&s->busy, true, memory_order_relaxed);
}

void tg_instance_leave(struct tg_host_source *s)
{
    atomic_store_explicit(&s->busy, false, memory_order_relaxed);
}

static void run_round(struct tg_host_source *s)
{
    struct tg_mail *mail = tg_mailbox_take_all(&s->down), *next;
    int64_t now = tg_clock_mono_ms();
    int32_t wait;
    if (!s->open && now >= s->poll_due_ms)
        try_open(s, now);
    for (; mail; mail = next) {
        next = mail->next;
        tg_instance_enter(s);
        give_request(s, (struct tg_down_mail *)mail);
        tg_down_free((struct tg_down_mail *)mail);
        if (s->open)
            s->poll_due_ms = now; /* the request may have made something due */
    }
    if (s->reopen) {
        s->reopen = false;
        tg_instance_close(s);
        try_open(s, now);
    }
    if (!s->open || now < s->poll_due_ms)
        return;
    tg_instance_enter(s);
    wait = s->plugin->poll(s->instance, now);
    s->poll_due_ms = wait < 0 ? INT64_MAX : tg_clock_mono_ms() + wait;
}

void tg_instance_round(struct tg_host_source *s)
{
    tg_instance_enter(s);
    run_round(s);
    tg_instance_leave(s);
}

void tg_instance_close(struct tg_host_source *s)
{
    if (s->open)
        s->plugin->close(s->instance);
    s->open = false;
    s->instance = NULL;
}

/* --- mail from the plugin, on the loop ------------------------------------------------------------ */

/* False when the sample could not be taken and must be offered again. */
static bool deliver(struct tg_host_source *s, struct tg_up_mail *m)
{
    const struct tg_source_callbacks *cb = s->handle.cb;
    const char *text = (const char *)m->values;
    switch (m->kind) {
    case TG_MAIL_SAMPLE:
        return cb->on_sample(s->handle.user, m->device, m->time_ms, m->values, m->count) != TG_EFULL;
    case TG_MAIL_STATE:
        cb->on_state(s->handle.user, m->device, (enum tg_device_state)m->state, m->has_text ? text : NULL);
        break;
    case TG_MAIL_ANSWER:
        cb->on_answer(s->handle.user, m->request, m->status, m->has_text ? text : NULL);
        break;
    case TG_MAIL_FACT:
        if (cb->on_fact)
            cb->on_fact(s->handle.user, m->device, (const char *)&m->values[1], &m->values[0].value);
        break;
    case TG_MAIL_DISCOVERED:
        if (cb->on_discovered)
            cb->on_discovered(s->handle.user, text, m->has_text ? text + strlen(text) + 1 : NULL);
        break;
    case TG_MAIL_UPLINK:
        if (cb->on_uplink)
            cb->on_uplink(s->handle.user, m->state != 0, m->has_text ? text : NULL);
        break;
    case TG_MAIL_TIME:
        if (cb->on_time)
            cb->on_time(s->handle.user, m->time_ms, (int64_t)m->request, m->state);
        break;
    case TG_MAIL_NOTE:
        if (cb->on_note)
            cb->on_note(s->handle.user, text, text + strlen(text) + 1, m->request);
        break;
    case TG_MAIL_CARRIER:
    case TG_MAIL_CARRIED:
        tg_carry_deliver(s, m);
        break;
    case TG_MAIL_LOG:
        cb->on_log(s->handle.user, (enum tg_log_level)m->state, text);
        break;
    case TG_MAIL_CANDIDATE:
        cb->on_candidate(s->handle.user, text);
        break;
    case TG_MAIL_OPEN:
        atomic_store(&s->open_seen, m->status >= 0);
        cb->on_open(s->handle.user, m->status >= 0, m->has_text ? text : NULL, m->time_ms);
        break;
    }
    return true;
}

/* Delivers from one box; false when a sample was not taken (tg_source_host_resume() goes on) or the turn is
 * used up. */
static bool drain_box(struct tg_host_source *s, struct tg_mailbox *box, struct tg_mail **held, int *left)
{
    while (!atomic_load(&s->stopping)) {
        struct tg_mail *m;
        if (!*held)
            *held = tg_mailbox_take_all(box);
        m = *held;
        if (!m)
            return true;
        if (*left == 0) {
            tg_wakeup_fire(&s->up_wake);
            return false;
        }
        if (!deliver(s, (struct tg_up_mail *)m))
            return false;
        --*left;
        *held = m->next;
        tg_blocks_spend(s, (struct tg_up_mail *)m);
    }
    return false;
}

static void drain(struct tg_host_source *s)
{
    int left = DELIVER_PER_TURN;
    if (s->draining)
        return; /* a callback resumes: the loop above it goes on anyway */
    s->draining = true;
    if (drain_box(s, &s->news, &s->held_news, &left))
        (void)drain_box(s, &s->up, &s->held, &left);
    tg_blocks_return(s);
    s->draining = false;
}

static void on_mail(void *user)
{
    drain(checked(user));
}

void tg_source_host_resume(struct tg_source_host *h)
{
    if (h->source->process)
        tg_process_resume(h->source);
    drain(h->source);
}

/* --- building ------------------------------------------------------------------------------------- */

static int build_model(struct tg_host_source *s)
{
    const struct tg_config_source *c = s->config;
    size_t points = 0, p = 0;
    for (uint32_t d = 0; d < c->device_count; d++)
        points += c->devices[d].point_count - c->devices[d].derived_count;
    s->devices = tg_calloc(c->device_count, sizeof *s->devices);
    s->points = tg_calloc(points, sizeof *s->points);
    if (!s->devices || !s->points)
        return TG_ENOMEM;
    for (uint32_t d = 0; d < c->device_count; d++) {
        const struct tg_config_device *from = &c->devices[d];
        const uint32_t count = from->point_count - from->derived_count;
        s->devices[d] = (struct tg_device){from->id, from->settings, s->points + p, count};
        for (uint32_t i = 0; i < count; i++, p++) {
            const struct tg_config_point *fp = &from->points[i];
            s->points[p] = (struct tg_point){.name = fp->name, .settings = fp->settings};
            if (tg_settings_has(fp->common, "every"))
                s->points[p].every_ms = tg_settings_int(fp->common, "every");
            s->points[p].writable =
                tg_settings_has(fp->common, "writable") && tg_settings_int(fp->common, "writable");
        }
    }
    s->model = (struct tg_source){c->name, c->settings, s->devices, c->device_count};
    return TG_OK;
}

static void free_source(struct tg_host_source *s)
{
    struct tg_mail *lists[] = {s->held, tg_mailbox_take_all(&s->up), s->held_news,
                               tg_mailbox_take_all(&s->news)};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (struct tg_mail *m = lists[i], *next; m; m = next) {
            next = m->next;
            tg_free(m);
        }
    for (struct tg_mail *m = tg_mailbox_take_all(&s->down), *next; m; m = next) {
        next = m->next;
        tg_down_free((struct tg_down_mail *)m);
    }
    tg_blocks_fini(s);
    tg_source_notes_fini(s);
    tg_mailbox_fini(&s->up);
    tg_mailbox_fini(&s->news);
    tg_mailbox_fini(&s->down);
    tg_discovery_fini(s);
    tg_free(s->devices);
    tg_free(s->points);
    TG_OBJECT_POISON(s);
    tg_free(s);
}

int tg_source_host_new(struct tg_loop *loop, const struct tg_config_source *config,
                       const struct tg_source_callbacks *cb, void *user, struct tg_source_host **ret_host,
                       struct tg_error *err)
{
    struct tg_host_source *s = tg_calloc(1, sizeof *s);
    const uint32_t model = tg_source_thread_model(config);
    bool own = model == TG_THREAD_OWN && !tg_process_wanted(config);
    int rc;
    if (!s)
        return tg_error_set(err, TG_ENOMEM, "source %s: out of memory", config->name);
    s->magic = TG_HOST_SOURCE_MAGIC;
    s->handle = (struct tg_source_host){loop, cb, user, s};
    s->config = config;
    s->plugin = config->plugin;
    s->open_backoff = (struct tg_backoff){.floor_ms = 1000, .base_ms = 1000, .cap_ms = 60000};
    tg_source_services(s, model);
    tg_discovery_init(s);
    tg_source_notes_recall(s);
    tg_mailbox_init(&s->up, TG_SOURCE_QUEUE_SAMPLES, TG_SOURCE_QUEUE_BYTES, tg_wakeup_fire, &s->up_wake);
    tg_mailbox_init(&s->news, TG_SOURCE_QUEUE_SAMPLES, TG_SOURCE_QUEUE_BYTES, tg_wakeup_fire, &s->up_wake);
    tg_mailbox_init(&s->down, TG_SOURCE_QUEUE_REQUESTS, TG_SOURCE_QUEUE_BYTES,
                    own ? tg_worker_wake : tg_wakeup_fire, own ? (void *)s : (void *)&s->turn);
    rc = build_model(s);
    if (rc < 0) {
        free_source(s);
        return tg_error_set(err, rc, "source %s: out of memory", config->name);
    }
    rc = tg_wakeup_init(&s->up_wake, loop, on_mail, s);
    if (rc < 0) {
        free_source(s);
        return tg_error_set(err, rc, "source %s: cannot make a wake-up", config->name);
    }
    rc = tg_process_wanted(config) ? tg_process_start(s, err)
         : own                     ? tg_worker_start(s, err)
                                   : tg_on_loop_start(s, err);
    if (rc < 0)
        return rc; /* it saw to the end of `s` */
    *ret_host = &s->handle;
    return TG_OK;
}

/* --- end ------------------------------------------------------------------------------------------ */

void tg_source_host_stats(const struct tg_source_host *h, struct tg_source_stats *ret_stats)
{
    struct tg_host_source *s = h->source;
    *ret_stats = (struct tg_source_stats){.emitted = atomic_load(&s->emitted),
                                          .rejected = atomic_load(&s->rejected),
                                          .open = atomic_load(&s->open_seen)};
    if (s->process)
        tg_process_stats(s->process, &ret_stats->process);
}

void tg_source_host_close(struct tg_source_host *h, void (*closed)(void *user), void *user)
{
    struct tg_host_source *s = h->source;
    s->closed = closed;
    s->closed_user = user;
    atomic_store(&s->stopping, true);
    tg_mailbox_close(&s->up);
    tg_mailbox_close(&s->news);
    tg_mailbox_close(&s->down);
    if (s->process)
        tg_process_stop(s);
    else if (s->services.thread_model == TG_THREAD_OWN)
        tg_worker_stop(s);
    else
        tg_on_loop_stop(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct tg_wakeup *w = handle->data;
    struct tg_host_source *s = checked(w->user);
    void (*closed)(void *user) = s->closed;
    void *user = s->closed_user;
    free_source(s);
    if (closed)
        closed(user);
}

void tg_source_host_ended(struct tg_host_source *s)
{
    s->up_wake.async.data = &s->up_wake;
    uv_close((uv_handle_t *)&s->up_wake.async, on_handle_closed);
}
