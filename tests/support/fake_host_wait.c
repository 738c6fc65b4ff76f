/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "support/fake_host_private.h"

void fake_print(const struct fake_host *h)
{
    for (size_t i = h->count > 40 ? h->count - 40 : 0; i < h->count; i++) {
        const struct fake_event *e = &h->events[i];
        fprintf(stderr,
                "  %zu: %s device %u point %u quality %u state %u request %llu status %d value %llu %s\n", i,
                (const char *const[]){"value", "state", "answer", "log"}[e->kind], e->device, e->point,
                e->quality, e->state, (unsigned long long)e->request, e->status,
                (unsigned long long)(e->value.type == TG_VALUE_TEXT ? 0 : e->value.as.uinteger), e->text);
    }
}

void fake_wait(struct fake_host *h, bool (*ready)(const struct fake_host *h, void *user), void *user)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FAKE_WAIT_S;
    pthread_mutex_lock(&h->lock);
    while (!ready(h, user)) {
        if (pthread_cond_timedwait(&h->changed, &h->lock, &until) == ETIMEDOUT) {
            fake_print(h);
            fake_give_up("wait", "what the test waits for did not come; the last records are above");
        }
    }
    pthread_mutex_unlock(&h->lock);
}

static bool has_more(const struct fake_host *h, void *user)
{
    return h->count > *(size_t *)user;
}

void fake_wait_more(struct fake_host *h, size_t count)
{
    fake_wait(h, has_more, &count);
}

size_t fake_count(const struct fake_host *h)
{
    return h->count;
}

const struct fake_event *fake_at(const struct fake_host *h, size_t i)
{
    return &h->events[i];
}

size_t fake_mark(struct fake_host *h)
{
    pthread_mutex_lock(&h->lock);
    size_t n = h->count;
    pthread_mutex_unlock(&h->lock);
    return n;
}

struct fake_event fake_get(struct fake_host *h, size_t i)
{
    pthread_mutex_lock(&h->lock);
    struct fake_event e = h->events[i];
    pthread_mutex_unlock(&h->lock);
    return e;
}

struct wanted {
    size_t from;
    struct fake_event e;
    const char *text;
};

static bool find(const struct fake_host *h, void *user)
{
    struct wanted *w = user;
    for (size_t i = w->from; i < h->count; i++) {
        const struct fake_event *e = &h->events[i];
        bool same = e->kind == w->e.kind;
        switch (w->e.kind) {
        case FAKE_VALUE:
            same = same && e->device == w->e.device && e->point == w->e.point && e->quality == w->e.quality;
            break;
        case FAKE_STATE:
            same = same && e->device == w->e.device && e->state == w->e.state;
            break;
        case FAKE_ANSWER:
            same = same && e->request == w->e.request;
            break;
        case FAKE_LOG:
            same = same && strstr(e->text, w->text) != NULL;
            break;
        }
        if (same) {
            w->e = *e;
            return true;
        }
    }
    w->from = h->count;
    return false;
}

static struct fake_event expect(struct fake_host *h, struct wanted w)
{
    fake_wait(h, find, &w);
    return w.e;
}

struct fake_event fake_expect_value(struct fake_host *h, size_t from, uint32_t device, uint32_t point,
                                    uint32_t quality)
{
    return expect(
        h, (struct wanted){.from = from,
                           .e = {.kind = FAKE_VALUE, .device = device, .point = point, .quality = quality}});
}

struct fake_event fake_expect_state(struct fake_host *h, size_t from, uint32_t device, uint32_t state)
{
    return expect(h,
                  (struct wanted){.from = from, .e = {.kind = FAKE_STATE, .device = device, .state = state}});
}

struct fake_event fake_expect_answer(struct fake_host *h, uint64_t request)
{
    return expect(h, (struct wanted){.e = {.kind = FAKE_ANSWER, .request = request}});
}

struct fake_event fake_expect_log(struct fake_host *h, const char *text)
{
    return expect(h, (struct wanted){.e = {.kind = FAKE_LOG}, .text = text});
}
