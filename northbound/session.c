/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "northbound/link.h"

static struct tg_session *checked(void *user)
{
    return TG_OBJECT(user, struct tg_session, TG_SESSION_MAGIC);
}

const char *tg_session_state_name(enum tg_session_state state)
{
    static const char *const names[] = {"waiting",  "queued",  "connecting",   "login",    "online",
                                        "renewing", "closing", "provisioning", "attaching"};
    return state <= TG_SESSION_ATTACHING ? names[state] : "?";
}

/* --- rows and gate ----------------------------------------------------------------------------------- */

void tg_session_rows(void *session)
{
    struct tg_session *s = checked(session);
    struct tg_link *l = s->link;
    int64_t now = tg_clock_mono_ms();
    if (l->state != TG_SESSION_ONLINE)
        return;
    tg_link_queue(s, now);
    if (l->stepping)
        return; /* the pump follows */
    if (l->protocol->pump(l, now))
        tg_link_arm(l);
}

void tg_session_gate(struct tg_session *s, bool open)
{
    if (s->gate == open)
        return;
    s->gate = open;
    if (open) {
        tg_free(s->gate_text);
        s->gate_text = NULL;
        s->backoff.attempt = 0;
        tg_feed_resume(s->feed);
        tg_link_queue(s, tg_clock_mono_ms());
    } else {
        tg_link_unqueue(s);
        tg_feed_pause(s->feed);
    }
}

/* --- ids of commands ----------------------------------------------------------------------------------- */

bool tg_session_note_command(struct tg_session *s, uint64_t id)
{
    if (!s->recent_commands)
        s->recent_commands = tg_calloc(TG_RECENT_COMMANDS, sizeof *s->recent_commands);
    if (!s->recent_commands)
        return false;
    s->recent_commands[s->recent_next++ % TG_RECENT_COMMANDS] = id;
    return true;
}

void tg_session_remember_commands(struct tg_session *s)
{
    char scope[TG_NOTE_NAME_BYTES];
    uint8_t value[8 * TG_RECENT_COMMANDS];
    struct tg_writer w = tg_writer_init(value, sizeof value);
    for (uint32_t i = 0; s->recent_commands && i < TG_RECENT_COMMANDS; i++) { /* oldest first */
        uint64_t id = s->recent_commands[(s->recent_next + i) % TG_RECENT_COMMANDS];
        if (id)
            tg_write_bytes(
                &w, tg_bytes(&id, sizeof id)); /* the database stays on this machine: its own byte order */
    }
    if (tg_notes_set(s->set->notes, tg_session_scope(s, scope), "commands", tg_bytes(w.data, w.len)) < 0)
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s the id of a command cannot be kept for after a restart", s->device_id,
               s->route->cloud->name);
}

void tg_session_recall_commands(struct tg_session *s)
{
    char scope[TG_NOTE_NAME_BYTES];
    struct tg_bytes kept = tg_notes_get(s->set->notes, tg_session_scope(s, scope), "commands");
    uint64_t id;
    for (size_t at = 0; at + sizeof id <= kept.len; at += sizeof id) {
        memcpy(&id, kept.data + at, sizeof id);
        if (!tg_session_note_command(s, id))
            tg_log(TG_LOG_WARN, "session", "device=%s cloud=%s no memory for the ids of its last commands",
                   s->device_id, s->route->cloud->name);
    }
}

/* --- life ------------------------------------------------------------------------------------------------ */

/* A child's own credential on a shared link: given for it, not inherited from the cloud. */
static int load_own_identity(struct tg_session *s, bool shared, struct tg_error *err)
{
    const struct tg_config_identity *own = &s->route->identity, *clouds = &s->route->cloud->identity;
    if (!shared || own->kind == TG_IDENTITY_NONE ||
        (own->pos.file == clouds->pos.file && own->pos.line == clouds->pos.line &&
         own->pos.column == clouds->pos.column))
        return TG_OK;
    return tg_identity_load(own, &s->identity, err);
}

static void free_session(struct tg_session *s)
{
    if (s->feed)
        tg_feed_close(s->feed);
    tg_identity_free(&s->identity);
    tg_free(s->recent_commands);
    tg_free(s->gate_text);
    tg_free(s->notice);
    tg_free(s->closing);
    tg_free(s->memory);
    tg_free(s->device_id);
    TG_OBJECT_POISON(s);
    tg_free(s);
}

static int find_link(struct tg_session *s, struct tg_error *err)
{
    struct tg_session_set *set = s->set;
    struct tg_set_cloud *cloud = tg_set_cloud_for(set, s->route->cloud, err);
    const struct tg_cloud_type *type;
    bool shared;
    int rc;
    if (!cloud)
        return err ? err->code : TG_EINVAL;
    type = cloud->type;
    shared = type->shared && type->shared(&s->target);
    s->memory = tg_calloc(1, type->session_bytes ? type->session_bytes : 1);
    rc = s->memory ? load_own_identity(s, shared, err)
                   : tg_error_set(err, TG_ENOMEM, "device %s, cloud %s: out of memory for its session",
                                  s->device_id, s->route->cloud->name);
    if (rc == TG_OK && shared) {
        s->closing = tg_calloc(1, sizeof *s->closing);
        if (!s->closing)
            rc = tg_error_set(err, TG_ENOMEM, "device %s, cloud %s: out of memory for its session",
                              s->device_id, s->route->cloud->name);
    }
    if (rc == TG_OK && shared && cloud->shared && tg_link_wake_room(cloud->shared) < 0)
        rc = tg_error_set(err, TG_ENOMEM, "device %s, cloud %s: out of memory for its session", s->device_id,
                          s->route->cloud->name);
    if (rc == TG_OK && shared && cloud->shared)
        s->link = cloud->shared;
    else if (rc == TG_OK)
        rc = tg_link_new(set, cloud, s->route, shared, &s->link, err);
    if (rc < 0)
        tg_set_drop_unused(cloud);
    return rc;
}

static void join(struct tg_session *s)
{
    struct tg_link *l = s->link;
    TAILQ_INSERT_TAIL(&l->sessions, s, in_link);
    l->session_count++;
    l->cloud->sessions++;
    if (!l->shared) {
        l->target.device = s->target.device;
        tg_link_recall_assignment(l);
    }
    if (s->set->notes)
        tg_session_recall_commands(s);
    tg_set_add(s);
}

void tg_session_leave(struct tg_session *s)
{
    struct tg_link *l = s->link;
    (void)tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_END});
    tg_session_wake_at(s, INT64_MAX);
    tg_session_restart_at(s, INT64_MAX);
    if (l->sub_session == s)
        l->sub_session = NULL;
    tg_link_unqueue(s);
    tg_link_orphan(l, s);
    tg_link_forget_deferred(l, s, true);
    tg_link_borrow_elsewhere(l, s);
    TAILQ_REMOVE(&l->sessions, s, in_link);
    l->session_count--;
    l->cloud->sessions--;
}

int tg_session_new(struct tg_session_set *set, const char *device_id, const struct tg_config_device *config,
                   uint32_t device, const struct tg_config_route *route, struct tg_session **ret_session,
                   struct tg_error *err)
{
    struct tg_session *s = tg_calloc(1, sizeof *s);
    int rc = TG_OK;
    if (!s)
        return tg_error_set(err, TG_ENOMEM, "device %s: out of memory for its session", device_id);
    s->magic = TG_SESSION_MAGIC;
    s->set = set;
    s->route = route;
    s->number = ++set->session_next & 0x7FFFFFFF;
    s->wake_ms = s->restart_ms = INT64_MAX;
    LIST_INIT(&s->pending);
    s->target = (struct tg_cloud_target){.host = tg_settings_text(route->cloud->common, "host"),
                                         .device_id = route->cloud_device_id,
                                         .gateway = set->gateway,
                                         .settings = route->cloud->settings,
                                         .common = route->cloud->common,
                                         .provisioning = route->cloud->provisioning,
                                         .device = config};
    s->backoff = (struct tg_backoff){.base_ms = tg_settings_int(route->cloud->common, "min_backoff"),
                                     .cap_ms = tg_settings_int(route->cloud->common, "max_backoff")};
    s->device_id = tg_strdup(device_id);
    if (!s->device_id)
        rc = tg_error_set(err, TG_ENOMEM, "device %s: out of memory for its session", device_id);
    if (rc == TG_OK)
        rc = tg_feed_open(set->store, device, route->cloud->name, tg_session_rows, s, &s->feed, err);
    if (rc == TG_OK)
        tg_feed_set_drain(s->feed, (enum tg_drain)route->cloud->drain);
    if (rc == TG_OK)
        rc = find_link(s, err);
    if (rc < 0) {
        free_session(s);
        return rc;
    }
    tg_feed_set_batch(s->feed, s->link->max_samples);
    join(s);
    *ret_session = s;
    return TG_OK;
}

void tg_session_start(struct tg_session *s)
{
    struct tg_link *l = s->link;
    if (s->started)
        return;
    s->started = true;
    (void)tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_START});
    tg_link_start(l);
    if (l->state == TG_SESSION_ONLINE && l->shared && tg_session_come_online(s, false)) {
        tg_link_subscribe(l);
        tg_link_go_on(l, tg_clock_mono_ms());
    }
}

bool tg_session_idle(const struct tg_session *s)
{
    return s->link->first_tag == s->link->next_tag;
}

static void on_closed(void *user)
{
    struct tg_session *s = checked(user);
    void (*closed)(void *user) = s->closed;
    void *closed_user = s->closed_user;
    free_session(s);
    if (closed)
        closed(closed_user);
}

static void free_pending(struct tg_session *s)
{
    struct tg_session_pending *p, *next;
    for (p = LIST_FIRST(&s->pending); p; p = next) {
        next = LIST_NEXT(p, entry);
        LIST_REMOVE(p, entry);
        if (p->waits)
            p->session = NULL; /* the notes still call for it */
        else
            tg_free(p);
    }
}

void tg_session_close(struct tg_session *s, void (*closed)(void *user), void *user)
{
    struct tg_link *l = s->link;
    bool was_online = s->online && l->stream;
    s->closed = closed;
    s->closed_user = user;
    if (was_online && !l->errand)
        (void)tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_CLOSING});
    free_pending(s);
    tg_set_remove(s);
    if (l->session_count == 1) {
        tg_link_close(l, on_closed, s);
        return;
    }
    tg_session_go_offline(s);
    if (s->set->cb.on_state)
        s->set->cb.on_state(s->set->user, s, TG_SESSION_CLOSING);
    tg_session_leave(s);
    tg_link_arm(l);
    tg_deadline_init(s->closing, s->set->loop, on_closed, s);
    tg_deadline_close(s->closing, on_closed);
}

/* --- what others see ------------------------------------------------------------------------------------ */

const char *tg_session_wait_name(enum tg_session_wait wait)
{
    static const char *const names[] = {"", "back-off", "clock", "way", "change"};
    return wait <= TG_SESSION_WAITS_CHANGE ? names[wait] : "?";
}

static void describe_identity(const struct tg_session *s, struct tg_session_stats *st)
{
    const struct tg_link *l = s->link;
    struct tg_identity unread = {.secret.kind = l->identity_config->kind};
    const struct tg_identity *id = &l->identity;
    struct tg_identity_info info;
    if (s->identity.secret.kind != TG_IDENTITY_NONE)
        id = &s->identity;
    else if (id->secret.kind != unread.secret.kind)
        id = &unread; /* no connection was tried yet */
    tg_identity_describe(id, &info);
    st->identity = info.kind;
    if (l->protocol->identity && tg_settings_has(l->config->settings, "service_account_file"))
        st->identity = l->protocol->identity;
    st->key_in_token = info.key_in_token;
    st->not_after_s = info.not_after_s;
    st->credential_expires_s = l->stream || l->carried ? l->credential_expires_s : 0;
}

static void describe_wait(const struct tg_session *s, struct tg_session_stats *st)
{
    const struct tg_link *l = s->link;
    if (l->state == TG_SESSION_WAITING) {
        st->wait = l->waits_for_clock    ? TG_SESSION_WAITS_CLOCK
                   : l->waits_for_change ? TG_SESSION_WAITS_CHANGE
                   : l->waits_for_way    ? TG_SESSION_WAITS_WAY
                                         : TG_SESSION_WAITS_BACKOFF;
        st->retry_at_ms = l->retry_at_ms;
    } else if (tg_feed_waits_for_clock(s->feed) && tg_feed_available(s->feed) == 0) {
        st->wait = TG_SESSION_WAITS_CLOCK;
    } else if (st->state == TG_SESSION_ATTACHING && s->restart_ms != INT64_MAX) {
        st->wait = TG_SESSION_WAITS_BACKOFF;
        st->retry_at_ms = s->restart_ms;
    }
}

void tg_session_stats(const struct tg_session *s, struct tg_session_stats *ret_stats)
{
    const struct tg_link *l = s->link;
    struct tg_day_count day;
    struct tg_stream_stats st;
    *ret_stats = (struct tg_session_stats){.published = s->stats.published,
                                           .resent = s->stats.resent,
                                           .acked_samples = s->stats.acked_samples,
                                           .acked_messages = s->stats.acked_messages,
                                           .commands = s->stats.commands,
                                           .body_bytes = s->stats.body_bytes,
                                           .left_out = s->stats.left_out};
    ret_stats->state = l->state == TG_SESSION_ONLINE && !s->gate ? TG_SESSION_ATTACHING : l->state;
    for (uint64_t tag = l->first_tag; tag < l->next_tag; tag++)
        ret_stats->in_flight += tg_link_batch(l, tag)->session == s;
    ret_stats->pending = tg_feed_pending(s->feed);
    ret_stats->gap = tg_feed_gap(s->feed);
    ret_stats->acked_seq = tg_feed_acked_seq(s->feed);
    ret_stats->acked_ahead = tg_feed_acked_ahead(s->feed);
    ret_stats->connects = l->connects;
    ret_stats->failures = l->failures;
    ret_stats->resumed = l->resumed;
    ret_stats->shared = l->shared;
    ret_stats->online_since_ms = l->online_ms;
    describe_wait(s, ret_stats);
    describe_identity(s, ret_stats);
    day = tg_day_meter_today(&s->day, tg_clock_mono_ms(), tg_clock_wall_ms());
    ret_stats->messages_today = day.messages;
    ret_stats->blocks_today = day.blocks;
    ret_stats->bytes_in = l->bytes_in;
    ret_stats->bytes_out = l->bytes_out;
    snprintf(ret_stats->last_error, sizeof ret_stats->last_error, "%s",
             s->gate_text ? s->gate_text : l->last_error);
    if (ret_stats->wait == TG_SESSION_WAITS_WAY)
        tg_link_way_text(l, ret_stats->last_error, sizeof ret_stats->last_error);
    ret_stats->notice_ms = s->notice_ms;
    snprintf(ret_stats->notice, sizeof ret_stats->notice, "%s", s->notice ? s->notice : "");
    snprintf(ret_stats->host, sizeof ret_stats->host, "%s", l->target.host ? l->target.host : "");
    if (l->stream) {
        tg_stream_stats(l->stream, &st);
        ret_stats->bytes_in += st.bytes_in;
        ret_stats->bytes_out += st.bytes_out;
    }
}

const char *tg_session_device(const struct tg_session *s)
{
    return s->device_id;
}

const char *tg_session_cloud(const struct tg_session *s)
{
    return s->route->cloud->name;
}
