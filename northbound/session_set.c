/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/link.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "config/config_fingerprint.h"

#include <sys/stat.h>

#define TRIM_AFTER_MS 2000 /* without a handshake */

static void grant(struct tg_session_set *set);

static void on_refill(void *user)
{
    struct tg_session_set *set = TG_OBJECT(user, struct tg_session_set, TG_SESSION_SET_MAGIC);
    if (set->handshakes == 0 && tg_clock_mono_ms() >= set->trim_ms) {
        set->trim_ms = INT64_MAX;
        tg_tls_trim(); /* what the last handshakes computed with is not needed until the next one */
    }
    grant(set);
}

int tg_session_set_new(struct tg_loop *loop, struct tg_store *store, const char *gateway,
                       const struct tg_session_callbacks *cb, void *user, struct tg_session_set **ret_set,
                       struct tg_error *err)
{
    struct tg_session_set *set = tg_calloc(1, sizeof *set);
    uint8_t *out = tg_malloc(TG_STREAM_QUEUE_BYTES);
    char *name = tg_strdup(gateway); /* the configuration may be loaded anew */
    if (set) {
        set->body = tg_malloc(TG_SET_BODY_BYTES);
        set->packed = tg_malloc(TG_SET_BODY_BYTES);
    }
    if (!set || !out || !name || !set->body || !set->packed) {
        tg_free(out);
        tg_free(name);
        if (set) {
            tg_free(set->body);
            tg_free(set->packed);
        }
        tg_free(set);
        return tg_error_set(err, TG_ENOMEM, "out of memory for the sessions' buffers");
    }
    set->magic = TG_SESSION_SET_MAGIC;
    set->trim_ms = INT64_MAX;
    set->loop = loop;
    set->store = store;
    set->gateway = name;
    set->cb = *cb;
    set->user = user;
    set->sessions_tail = &set->sessions;
    tg_reach_init(&set->reach);
    set->out = tg_writer_init(out, TG_STREAM_QUEUE_BYTES);
    tg_deadline_init(&set->deadline, loop, on_refill, set);
    tg_plan_open(set);
    *ret_set = set;
    return TG_OK;
}

int tg_session_set_keep(struct tg_session_set *set, struct tg_notes *notes, const char *state_dir)
{
    char *dir = tg_strdup(state_dir);
    if (!dir)
        return TG_ENOMEM;
    tg_free(set->state_dir);
    set->state_dir = dir;
    set->notes = notes;
    return TG_OK;
}

static void on_deadline_closed(void *user)
{
    struct tg_session_set *set = TG_OBJECT(user, struct tg_session_set, TG_SESSION_SET_MAGIC);
    void (*closed)(void *user) = set->closed;
    void *closed_user = set->closed_user;
    tg_free(set->out.data);
    tg_free(set->gateway);
    tg_free(set->body);
    tg_free(set->packed);
    tg_free(set->state_dir);
    TG_OBJECT_POISON(set);
    tg_free(set);
    if (closed)
        closed(closed_user);
}

static void on_plan_closed(void *user)
{
    struct tg_session_set *set = TG_OBJECT(user, struct tg_session_set, TG_SESSION_SET_MAGIC);
    tg_deadline_close(&set->deadline, on_deadline_closed);
}

void tg_session_set_close(struct tg_session_set *set, void (*closed)(void *user), void *user)
{
    TG_ASSERT(set->session_count == 0);
    set->closed = closed;
    set->closed_user = user;
    tg_plan_close(set, on_plan_closed);
}

/* A number for the state of a file: one that was replaced or written again gives another. */
static uint64_t file_stamp(const char *path)
{
    struct stat st;
    if (!path || stat(path, &st) < 0)
        return 0;
    return ((uint64_t)st.st_ino * 31 + (uint64_t)st.st_size) * 31 +
           (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

static const char *ca_file(const struct tg_config_cloud *config)
{
    return tg_settings_has(config->common, "ca_file") ? tg_settings_text(config->common, "ca_file") : NULL;
}

static int set_up_cloud(struct tg_set_cloud *cloud, const struct tg_config_cloud *config,
                        struct tg_error *err)
{
    double per_second = (double)tg_settings_int(config->common, "max_connects_per_second");
    struct tg_tls_options o = {.ca_file = ca_file(config)};
    int rc;
    *cloud = (struct tg_set_cloud){.type = tg_cloud_type_of(config, err)};
    if (!cloud->type)
        return TG_ENOTFOUND;
    if (tg_settings_int(config->common, "tls") && cloud->type->transport != TG_TRANSPORT_CARRIER) {
        rc = tg_tls_context_new(&o, &cloud->tls, err);
        if (rc < 0) {
            tg_error_wrap(err, "cloud %s", config->name);
            return rc;
        }
    }
    cloud->name = tg_strdup(config->name);
    if (!cloud->name) {
        tg_tls_context_free(cloud->tls);
        return tg_error_set(err, TG_ENOMEM, "cloud %s: out of memory", config->name);
    }
    cloud->tokens = cloud->tokens_max = per_second;
    cloud->tokens_per_ms = per_second / 1000.0;
    cloud->refilled_ms = tg_clock_mono_ms();
    cloud->queue_tail = &cloud->queue_head;
    tg_reach_init(&cloud->reach);
    return TG_OK;
}

/* A reload brings a new model, but mostly the same clouds: they keep their roots, their pacing and their place. */
struct tg_set_cloud *tg_set_cloud_for(struct tg_session_set *set, const struct tg_config_cloud *config,
                                      struct tg_error *err)
{
    uint64_t fingerprint = tg_config_cloud_fingerprint(config), stamp = file_stamp(ca_file(config));
    struct tg_set_cloud *cloud;
    uint32_t at;
    for (uint32_t i = 0; i < set->cloud_count; i++) {
        cloud = &set->clouds[i];
        if (cloud->name && cloud->fingerprint == fingerprint && cloud->ca_stamp == stamp &&
            strcmp(cloud->name, config->name) == 0)
            return cloud;
    }
    for (at = 0; at < set->cloud_count && set->clouds[at].name; at++)
        ;
    if (at == TG_SET_MAX_CLOUDS) {
        tg_error_set(err, TG_EFULL, "cloud %s: more than %d clouds", config->name, TG_SET_MAX_CLOUDS);
        return NULL;
    }
    cloud = &set->clouds[at];
    if (set_up_cloud(cloud, config, err) < 0) {
        *cloud = (struct tg_set_cloud){0};
        return NULL;
    }
    cloud->fingerprint = fingerprint;
    cloud->ca_stamp = stamp;
    tg_plan_cloud(set, cloud, config);
    if (at == set->cloud_count)
        set->cloud_count++;
    return cloud;
}

/* --- slots ------------------------------------------------------------------------------------- */

static void refill(struct tg_set_cloud *c, int64_t now)
{
    c->tokens += (double)(now - c->refilled_ms) * c->tokens_per_ms;
    if (c->tokens > c->tokens_max)
        c->tokens = c->tokens_max;
    c->refilled_ms = now;
}

static struct tg_link *pop(struct tg_set_cloud *c)
{
    struct tg_link *l = c->queue_head;
    c->queue_head = l->queue_next;
    if (!c->queue_head)
        c->queue_tail = &c->queue_head;
    l->queue_next = NULL;
    return l;
}

/* How many slots one cloud may hold: each of the others always finds one free, so that a cloud that never answers costs
 * nobody else more than the turns. */
static uint32_t share_of_slots(const struct tg_session_set *set)
{
    uint32_t clouds = 0;
    for (uint32_t i = 0; i < set->cloud_count; i++)
        clouds += set->clouds[i].name != NULL;
    return clouds < TG_SET_MAX_HANDSHAKES ? TG_SET_MAX_HANDSHAKES + 1 - (clouds ? clouds : 1) : 1;
}

static bool may_connect(const struct tg_set_cloud *c, uint32_t share)
{
    return c->queue_head && c->handshakes < share;
}

/* When the next bucket has a token for a session that waits for nothing else; a slot that is given back has its own event. */
static int64_t next_token_ms(const struct tg_session_set *set, int64_t now, uint32_t share)
{
    int64_t next = INT64_MAX, at;
    if (set->handshakes >= TG_SET_MAX_HANDSHAKES)
        return next;
    for (uint32_t i = 0; i < set->cloud_count; i++) {
        const struct tg_set_cloud *c = &set->clouds[i];
        if (!may_connect(c, share) || c->tokens >= 1.0)
            continue;
        at = now + 1 + (int64_t)((1.0 - c->tokens) / c->tokens_per_ms);
        if (at < next)
            next = at;
    }
    return next;
}

/* Gives slots to waiting sessions, clouds in turn, until handshakes, tokens or sessions run out. */
static void grant(struct tg_session_set *set)
{
    int64_t now = tg_clock_mono_ms(), next;
    uint32_t idle = 0, share = share_of_slots(set);
    while (idle < set->cloud_count && set->handshakes < TG_SET_MAX_HANDSHAKES) {
        struct tg_set_cloud *c = &set->clouds[set->next_cloud++ % set->cloud_count];
        struct tg_link *l;
        if (c->name)
            refill(c, now);
        if (!may_connect(c, share) || c->tokens < 1.0) {
            idle++;
            continue;
        }
        idle = 0;
        c->tokens -= 1.0;
        l = pop(c);
        l->holds_slot = true;
        set->handshakes++;
        c->handshakes++;
        tg_link_slot_granted(l);
    }
    next = next_token_ms(set, now, share);
    if (set->handshakes == 0 && set->trim_ms < next)
        next = set->trim_ms;
    tg_deadline_set(&set->deadline, next);
}

void tg_set_want_slot(struct tg_link *l)
{
    struct tg_set_cloud *c = l->cloud;
    TG_ASSERT(!l->holds_slot && !l->queue_next && c->queue_tail != &l->queue_next);
    *c->queue_tail = l;
    c->queue_tail = &l->queue_next;
    /* Not granted from here: the caller is in the middle of its own change of state. */
    tg_deadline_set(&l->set->deadline, tg_clock_mono_ms());
}

void tg_set_cancel_slot(struct tg_link *l)
{
    struct tg_set_cloud *c = l->cloud;
    for (struct tg_link **at = &c->queue_head; *at; at = &(*at)->queue_next) {
        if (*at != l)
            continue;
        *at = l->queue_next;
        if (!*at)
            c->queue_tail = at;
        l->queue_next = NULL;
        return;
    }
}

void tg_set_release_slot(struct tg_link *l)
{
    if (!l->holds_slot)
        return;
    l->holds_slot = false;
    l->cloud->handshakes--;
    if (--l->set->handshakes == 0)
        l->set->trim_ms = tg_clock_mono_ms() + TRIM_AFTER_MS;
    tg_deadline_set(&l->set->deadline, tg_clock_mono_ms());
}

void tg_set_drop_unused(struct tg_set_cloud *c)
{
    if (c->links > 0)
        return;
    TG_ASSERT(!c->queue_head && c->handshakes == 0);
    tg_tls_context_free(c->tls);
    tg_free(c->name);
    *c = (struct tg_set_cloud){0};
}

void tg_set_leave_cloud(struct tg_link *l)
{
    if (--l->cloud->links == 0)
        tg_plan_cloud_goes(l->set, l->cloud);
    tg_set_drop_unused(l->cloud);
}

void tg_set_add(struct tg_session *s)
{
    struct tg_session_set *set = s->set;
    *set->sessions_tail = s;
    set->sessions_tail = &s->next;
    set->session_count++;
}

void tg_set_remove(struct tg_session *s)
{
    struct tg_session_set *set = s->set;
    for (struct tg_session **at = &set->sessions; *at; at = &(*at)->next) {
        if (*at != s)
            continue;
        *at = s->next;
        if (!*at)
            set->sessions_tail = at;
        set->session_count--;
        return;
    }
}

void tg_session_set_each(struct tg_session_set *set, void (*each)(void *user, struct tg_session *session),
                         void *user)
{
    for (struct tg_session *s = set->sessions, *next; s; s = next) {
        next = s->next;
        each(user, s);
    }
}

void tg_session_set_each_cloud(struct tg_session_set *set,
                               void (*each)(void *user, const struct tg_cloud_stats *cloud), void *user)
{
    for (uint32_t i = 0; i < set->cloud_count; i++) {
        struct tg_set_cloud *c = &set->clouds[i];
        struct tg_cloud_stats st;
        if (!c->name)
            continue;
        tg_plan_meter(set, c, tg_clock_mono_ms());
        st = (struct tg_cloud_stats){.name = c->name,
                                     .sessions = c->sessions,
                                     .acked = c->ack_latency.count,
                                     .latency_sum_ms = c->ack_latency.sum_ms,
                                     .latency_p50_ms = tg_histogram_quantile(&c->ack_latency, 0.5),
                                     .latency_p99_ms = tg_histogram_quantile(&c->ack_latency, 0.99),
                                     .latency_max_ms = c->ack_latency.max_ms,
                                     .reach = &c->reach,
                                     .wire = &c->wire,
                                     .delay = c->month_budget_bytes ? &c->delay : NULL,
                                     .month_budget_bytes = c->month_budget_bytes,
                                     .ping_every_ms = c->quiet.interval_ms};
        for (const struct tg_session *s = set->sessions; s; s = s->next)
            st.online += s->link->cloud == c && s->link->state == TG_SESSION_ONLINE && s->gate;
        each(user, &st);
    }
}

uint32_t tg_session_set_count(const struct tg_session_set *set)
{
    return set->session_count;
}
