/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/health.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/descriptors.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/gateway/notify.h"

#define HEALTH_MAGIC    0x4ea17400u
#define STATUS_EVERY_MS 10000

struct tg_health {
    uint32_t magic;
    struct tg_deadline deadline;
    int64_t every_ms;
    bool watchdog, ready;
    bool (*alive)(void *user);
    void (*status)(void *user, char *text, size_t size);
    void *user;
};

static void on_beat(void *user)
{
    struct tg_health *h = TG_OBJECT(user, struct tg_health, HEALTH_MAGIC);
    char text[200];
    bool alive = h->alive(h->user);
    tg_descriptors_look();
    h->status(h->user, text, sizeof text);
    if (h->ready)
        (void)tg_notify("STATUS=%s%s", text, h->watchdog && alive ? "\nWATCHDOG=1" : "");
    tg_deadline_set(&h->deadline, tg_clock_mono_ms() + h->every_ms);
}

int tg_health_new(struct tg_loop *loop, bool (*alive)(void *user),
                  void (*status)(void *user, char *text, size_t size), void *user,
                  struct tg_health **ret_health)
{
    struct tg_health *h = tg_calloc(1, sizeof *h);
    uint64_t watchdog_us = tg_notify_watchdog_us();
    if (!h)
        return TG_ENOMEM;
    h->magic = HEALTH_MAGIC;
    h->alive = alive;
    h->status = status;
    h->user = user;
    h->every_ms = STATUS_EVERY_MS;
    if (watchdog_us > 0) {
        h->watchdog = true;
        if ((int64_t)(watchdog_us / 2000) < h->every_ms)
            h->every_ms = (int64_t)(watchdog_us / 2000);
    }
    tg_deadline_init(&h->deadline, loop, on_beat, h);
    *ret_health = h;
    return TG_OK;
}

void tg_health_ready(struct tg_health *h)
{
    h->ready = true;
    (void)tg_notify("READY=1");
    on_beat(h);
}

void tg_health_reloading(struct tg_health *h)
{
    (void)h;
    (void)tg_notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)tg_clock_mono_us());
}

void tg_health_stopping(struct tg_health *h)
{
    (void)h;
    (void)tg_notify("STOPPING=1");
}

static void on_closed(void *user)
{
    struct tg_health *h = TG_OBJECT(user, struct tg_health, HEALTH_MAGIC);
    TG_OBJECT_POISON(h);
    tg_free(h);
}

void tg_health_close(struct tg_health *h)
{
    tg_deadline_close(&h->deadline, on_closed);
}

bool tg_store_pulse_beats(struct tg_store_pulse *p, const struct tg_store_stats *st, int64_t now_ms)
{
    bool stuck;
    if (st->state != TG_STORE_OK || st->uncommitted_rows == 0 || st->committed_id != p->committed_id) {
        p->committed_id = st->committed_id;
        p->moved_ms = now_ms;
    }
    stuck = now_ms - p->moved_ms >= TG_STORE_STUCK_MS + (int64_t)st->lazy_window_ms;
    if (stuck && !p->stuck)
        tg_log(TG_LOG_ERROR, "outbox",
               "the disk swallows every write: %llu %s in memory and none was stored for %d s; "
               "what is stored stays, more are "
               "refused and counted when the memory is full; the watchdog, where there is one, starts the "
               "gateway anew",
               (unsigned long long)st->uncommitted_rows,
               tg_plural(st->uncommitted_rows, "sample waits", "samples wait"), TG_STORE_STUCK_MS / 1000);
    else if (!stuck && p->stuck)
        tg_log(TG_LOG_INFO, "outbox", "the disk takes samples again");
    p->stuck = stuck;
    return !stuck;
}
