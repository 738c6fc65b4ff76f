/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/link.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/base/random.h"
#include "northbound/csr.h"

/* Who is talking, for the length of one step(). */
struct speaker {
    struct tg_link *link;
    struct tg_session *session;          /* NULL = the link itself */
    const struct tg_mqtt_event *message; /* NULL = the event is no message */
    bool held;                           /* a command keeps the message's acknowledgement */
    bool lost;                           /* a command could not be taken */
    bool gave_up, assigned;
    enum tg_retry retry;
    char text[200];
};

static const char *name_of(const struct speaker *who)
{
    return who->session ? who->session->device_id : who->link->target.device_id;
}

/* --- what step() may do ------------------------------------------------------------------------------ */

/* Of a control message of this session, or of the link. */
static uint64_t control_tag(const struct speaker *who, uint32_t mark)
{
    return TG_TAG_CONTROL | (uint64_t)(who->session ? who->session->number : 0) << 32 | mark;
}

static int io_publish(void *user, struct tg_bytes topic, struct tg_bytes payload, uint8_t qos, bool retain,
                      uint32_t mark)
{
    struct speaker *who = user;
    struct tg_link *l = who->link;
    int rc;
    if (!l->stream)
        return TG_ESTATE;
    if (payload.len > TG_STREAM_QUEUE_BYTES / 2)
        return TG_ETOOBIG;
    if (!tg_link_room(l, payload.len) || (qos && tg_link_window(l) == 0))
        return TG_EFULL;
    rc = tg_mqtt_client_publish(&l->mqtt, tg_clock_mono_ms(), topic, payload, qos, retain,
                                control_tag(who, mark), NULL, &l->set->out);
    if (rc < 0 && rc != TG_EFULL)
        tg_log(TG_LOG_ERROR, "session", "device=%s cloud=%s a message to %.*s cannot be written: %s",
               name_of(who), l->config->name, (int)(topic.len < 100 ? topic.len : 100),
               (const char *)topic.data, rc == TG_EINVAL ? l->mqtt.reason : tg_code_text(rc));
    return rc;
}

static void io_forgo(void *user, uint32_t mark)
{
    struct speaker *who = user;
    if (mark)
        tg_mqtt_client_forgo(&who->link->mqtt, tg_clock_mono_ms(), control_tag(who, mark));
}

static uint64_t hash_of(struct tg_bytes b)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < b.len; i++)
        h = (h ^ b.data[i]) * 1099511628211u;
    return h ? h : 1;
}

static bool seen_before(const struct tg_session *s, uint64_t id)
{
    for (uint32_t i = 0; s->recent_commands && i < TG_RECENT_COMMANDS; i++)
        if (s->recent_commands[i] == id)
            return true;
    return false;
}

static struct tg_session_pending *new_pending(struct tg_session *s, const struct tg_cloud_command *c,
                                              bool wait)
{
    size_t texts = wait ? c->name.len + c->body.len : 0;
    struct tg_session_pending *p = tg_calloc(1, sizeof *p + c->reply.len + texts);
    if (!p)
        return NULL;
    p->session = s;
    p->token = ++s->set->command_next;
    p->generation = s->link->generation;
    p->reply_len = (uint16_t)c->reply.len;
    if (c->reply.len)
        memcpy(p->data, c->reply.data, c->reply.len);
    p->waits = wait;
    if (wait) {
        p->name_len = (uint32_t)c->name.len;
        p->body_len = (uint32_t)c->body.len;
        if (c->name.len)
            memcpy(p->data + p->reply_len, c->name.data, c->name.len);
        if (c->body.len)
            memcpy(p->data + p->reply_len + p->name_len, c->body.data, c->body.len);
    }
    LIST_INSERT_HEAD(&s->pending, p, entry);
    return p;
}

static void drop_pending(struct tg_session_pending *p)
{
    LIST_REMOVE(p, entry);
    tg_free(p);
}

/* Its id is on disk, or cannot be put there: either way the command is run now, once. */
static void on_id_durable(void *user, int rc)
{
    struct tg_session_pending *p = user;
    struct tg_session *s = p->session;
    const struct tg_session_command command = {
        .device = s ? s->device_id : "",
        .command = {.name = tg_bytes(p->data + p->reply_len, p->name_len),
                    .body = tg_bytes(p->data + p->reply_len + p->name_len, p->body_len)}};
    uint64_t token = p->token;
    p->waits = false;
    if (!s) { /* it has left meanwhile */
        tg_free(p);
        return;
    }
    if (rc < 0)
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s the id of a command could not be stored (%s): if the gateway restarts "
               "before it is "
               "acknowledged, it may run twice",
               s->device_id, s->route->cloud->name, tg_code_text(rc));
    if (!s->set->cb.on_command(s->set->user, s, token, &command)) {
        drop_pending(p);
        tg_link_fail(s->link, "a command cannot be taken: out of memory");
    }
}

static void io_command(void *user, const struct tg_cloud_command *c)
{
    struct speaker *who = user;
    struct tg_session *s = who->session;
    struct tg_session_pending *p;
    struct tg_session_command command = {.command = *c};
    bool wait = c->message_id.len > 0 && s && s->set->notes;
    uint64_t id = hash_of(c->message_id);
    if (!s || c->reply.len > TG_CLOUD_REPLY_BYTES)
        return; /* a link has no device that could run it */
    if (c->message_id.len > 0 && seen_before(s, id)) {
        tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s a command came again and is not run twice",
               s->device_id, s->route->cloud->name);
        return;
    }
    p = new_pending(s, c, wait);
    if (!p || (c->message_id.len > 0 && !tg_session_note_command(s, id))) {
        if (p)
            drop_pending(p);
        who->lost = true;
        return;
    }
    if (c->hold && who->message && who->message->qos > 0) {
        p->packet_id = who->message->packet_id;
        who->held = true;
    }
    s->stats.commands++;
    if (wait) {
        tg_session_remember_commands(s);
        if (tg_notes_when_durable(s->set->notes, on_id_durable, p) == TG_OK)
            return;
        on_id_durable(p, TG_ENOMEM);
        return;
    }
    command.device = s->device_id;
    if (s->set->cb.on_command(s->set->user, s, p->token, &command))
        return;
    if (c->message_id.len > 0)
        s->recent_commands[--s->recent_next % TG_RECENT_COMMANDS] = 0;
    drop_pending(p);
    who->lost = true;
}

static void io_desired(void *user, const struct tg_cloud_desired *desired)
{
    struct speaker *who = user;
    struct tg_session_set *set = who->link->set;
    if (who->session && set->cb.on_desired)
        set->cb.on_desired(set->user, who->session, desired);
}

static struct tg_bytes io_reported(void *user)
{
    struct speaker *who = user;
    struct tg_session_set *set = who->link->set;
    if (who->session && set->cb.reported)
        return set->cb.reported(set->user, who->session);
    return tg_bytes_str("{}");
}

static void io_open_gate(void *user, bool open)
{
    struct speaker *who = user;
    if (who->session)
        tg_session_gate(who->session, open);
}

static void io_subscribe(void *user)
{
    struct speaker *who = user;
    if (who->session) {
        who->session->want_subscribe = true;
        who->session->sub_part = who->session->sub_refused = 0;
    } else {
        who->link->want_subscribe = true;
        who->link->sub_part = who->link->sub_refused = 0;
    }
}

static void io_wake_at(void *user, int64_t at_ms)
{
    struct speaker *who = user;
    int64_t ahead = at_ms == INT64_MAX ? 0 : at_ms - tg_clock_mono_ms();
    if (who->link->errand &&
        ahead > 0) /* a fleet that begins together is told the same retry-after: up to a tenth more */
        at_ms += (int64_t)((uint64_t)(ahead / 10) * tg_random_u32() >> 32);
    if (who->session)
        tg_session_wake_at(who->session, at_ms);
    else
        who->link->wake_ms = at_ms;
}

static void io_give_up(void *user, enum tg_retry retry, const char *text)
{
    struct speaker *who = user;
    who->gave_up = true;
    who->retry = retry;
    snprintf(who->text, sizeof who->text, "%.199s", text);
}

static void io_assigned(void *user, const struct tg_cloud_assigned *assigned)
{
    struct speaker *who = user;
    who->assigned = true;
    tg_link_keep_assignment(who->link, assigned);
}

static int io_new_key(void *user, const char *common_name, struct tg_writer *key_pem,
                      struct tg_writer *csr_pem, struct tg_error *err)
{
    (void)user;
    return tg_csr_new_key(common_name, key_pem, csr_pem, err);
}

const char *tg_session_scope(const struct tg_session *s, char ret_scope[TG_NOTE_NAME_BYTES])
{
    snprintf(ret_scope, TG_NOTE_NAME_BYTES, "cloud/%.56s/%.120s", s->route->cloud->name, s->device_id);
    return ret_scope;
}

static const char *scope_of(const struct speaker *who, char ret_scope[TG_NOTE_NAME_BYTES])
{
    if (who->session)
        return tg_session_scope(who->session, ret_scope);
    if (!who->link->shared)
        return tg_session_scope(TAILQ_FIRST(&who->link->sessions), ret_scope);
    snprintf(ret_scope, TG_NOTE_NAME_BYTES, "cloud/%.56s", who->link->config->name);
    return ret_scope;
}

static struct tg_bytes io_recall(void *user, const char *key)
{
    struct speaker *who = user;
    char scope[TG_NOTE_NAME_BYTES], full[80];
    snprintf(full, sizeof full, "talk.%s", key);
    return who->link->set->notes ? tg_notes_get(who->link->set->notes, scope_of(who, scope), full)
                                 : (struct tg_bytes){0};
}

static void io_remember(void *user, const char *key, struct tg_bytes value)
{
    struct speaker *who = user;
    char scope[TG_NOTE_NAME_BYTES], full[80];
    int rc;
    if (!who->link->set->notes)
        return;
    snprintf(full, sizeof full, "talk.%s", key);
    rc = tg_notes_set(who->link->set->notes, scope_of(who, scope), full, value);
    if (rc < 0)
        tg_log(TG_LOG_WARN, "session", "device=%s cloud=%s \"%s\" cannot be kept for after a restart: %s",
               name_of(who), who->link->config->name, key, tg_code_text(rc));
}

void tg_session_notice(struct tg_session *s, const char *text)
{
    tg_free(s->notice);
    s->notice = tg_strdup(text); /* without memory the log has it */
    s->notice_ms = tg_clock_mono_ms();
}

static void io_say(void *user, enum tg_log_level level, const char *text)
{
    struct speaker *who = user;
    tg_log(level, "session", "device=%s cloud=%s %s", name_of(who), who->link->config->name, text);
    if (who->session && level <= TG_LOG_WARN)
        tg_session_notice(who->session, text);
}

/* A session of a shared link that cannot go on: the others do. */
static void restart_later(struct tg_session *s, enum tg_retry retry, const char *text)
{
    int64_t wait = tg_backoff_next(&s->backoff, tg_random_u32());
    uint64_t kept = tg_feed_pending(s->feed);
    if (retry == TG_RETRY_NOW && s->backoff.attempt == 1)
        wait = 0;
    if (retry == TG_RETRY_NEVER && wait < s->backoff.cap_ms)
        wait = s->backoff.cap_ms;
    /* The same reason again and again is told once: `status` has it. */
    tg_log(s->gate_text && strcmp(s->gate_text, text) == 0 ? TG_LOG_DEBUG : TG_LOG_WARN, "session",
           "device=%s cloud=%s cannot deliver: %s; %llu %s kept, trying again in %.1f s", s->device_id,
           s->route->cloud->name, text, (unsigned long long)kept, tg_plural(kept, "sample is", "samples are"),
           (double)wait / 1000.0);
    tg_free(s->gate_text);
    s->gate_text = tg_strdup(text); /* without memory the log has it */
    tg_session_gate(s, false);
    s->want_subscribe = false;
    if (s->link->sub_session == s)
        s->link->sub_session = NULL; /* what is answered now is not the next turn's */
    tg_link_take_back(s->link, s);
    tg_session_restart_at(s, tg_clock_mono_ms() + wait);
}

static struct tg_cloud_talk talk_of(struct tg_link *l, struct tg_session *s, bool errand, void *user);

static void io_each_session(void *user, void (*each)(void *arg, const struct tg_cloud_talk *talk), void *arg)
{
    struct speaker *who = user;
    struct tg_session *s;
    TAILQ_FOREACH(s, &who->link->sessions, in_link)
    {
        struct speaker other = {.link = who->link, .session = s};
        struct tg_cloud_talk talk = talk_of(who->link, s, false, &other);
        each(arg, &talk);
        if (other.gave_up)
            restart_later(s, other.retry, other.text);
    }
}

static const struct tg_cloud_io io = {
    .publish = io_publish,
    .forgo = io_forgo,
    .command = io_command,
    .desired = io_desired,
    .reported = io_reported,
    .open_gate = io_open_gate,
    .subscribe = io_subscribe,
    .wake_at = io_wake_at,
    .give_up = io_give_up,
    .assigned = io_assigned,
    .new_key = io_new_key,
    .recall = io_recall,
    .remember = io_remember,
    .say = io_say,
    .each_session = io_each_session,
};

/* --- events ------------------------------------------------------------------------------------------ */

static struct tg_cloud_talk talk_of(struct tg_link *l, struct tg_session *s, bool errand, void *user)
{
    return (struct tg_cloud_talk){.target = s && !errand ? &s->target : &l->target,
                                  .secret = s && l->shared ? &s->identity.secret : &l->identity.secret,
                                  .session = errand ? l->errand_memory : (s ? s->memory : NULL),
                                  .link = l->memory,
                                  .io = &io,
                                  .user = user};
}

/* What step() asked for and could not be done while it was at work. False: the link is not what it was. */
static bool conclude(struct tg_link *l, struct tg_session *s, struct speaker *who)
{
    if (who->lost) {
        tg_link_fail(l, "a command cannot be taken: out of memory; the cloud sends it again");
        return false;
    }
    if (who->assigned) {
        tg_link_reconnect(l, "has been told where it belongs");
        return false;
    }
    if (who->gave_up && s && l->shared) {
        restart_later(s, who->retry, who->text);
    } else if (who->gave_up) {
        if (who->retry == TG_RETRY_NOW && l->stream)
            l->protocol->goodbye(l);
        tg_link_fail_as(l, who->retry, who->text);
        return false;
    }
    return true;
}

static void leave_out(const struct speaker *who, const char *why)
{
    tg_log(TG_LOG_WARN, "session", "device=%s cloud=%s a message from the cloud is left out: %s",
           name_of(who), who->link->config->name, why);
    if (who->session)
        tg_session_notice(who->session, why);
}

static bool give_event(struct tg_link *l, struct tg_session *s, struct tg_cloud_event *event,
                       struct speaker *who)
{
    const struct tg_cloud_type *type = l->cloud->type;
    struct tg_cloud_talk talk;
    struct tg_error err = {0};
    uint64_t generation = l->generation;
    bool errand = l->errand && !(event->type == TG_CLOUD_ANSWER && type->late_answers);
    int rc;
    if (!(errand ? type->errand->step : type->step) || (errand && !s))
        return true;
    event->now_ms = tg_clock_mono_ms();
    event->wall_ms = tg_clock_wall_ms();
    talk = talk_of(l, s, errand, who);
    l->stepping++;
    rc = (errand ? type->errand->step : type->step)(&talk, event, &err);
    l->stepping--;
    if (rc < 0 && event->type == TG_CLOUD_MESSAGE)
        leave_out(who, err.text);
    else if (rc < 0 && !who->gave_up)
        io_give_up(who, TG_RETRY_BACKOFF, err.text[0] ? err.text : tg_code_text(rc));
    if (l->generation != generation || !conclude(l, s, who))
        return false;
    if (!l->stepping && l->stream && l->set->out.len > 0 && !tg_link_flush(l)) {
        tg_link_fail(l, "the stream does not take data");
        return false;
    }
    return tg_link_drain_deferred(l);
}

int tg_link_encode(struct tg_link *l, struct tg_session *s, const struct tg_format_sample *samples,
                   uint32_t count, bool again, struct tg_writer *out, struct tg_error *err)
{
    struct speaker who = {.link = l, .session = s};
    struct tg_cloud_talk talk = talk_of(l, s, false, &who);
    int n;
    l->stepping++;
    n = l->cloud->type->encode(&talk, samples, count, again, tg_clock_wall_ms(), out, err);
    l->stepping--;
    return n;
}

void tg_link_sent(struct tg_link *l, struct tg_session *s)
{
    struct tg_cloud_talk talk = talk_of(l, s, false, NULL);
    l->cloud->type->sent(&talk);
}

bool tg_link_event(struct tg_link *l, struct tg_session *s, struct tg_cloud_event event)
{
    struct speaker who = {.link = l, .session = s};
    bool good = give_event(l, s, &event, &who);
    if (good && l->stream && !l->stepping)
        tg_link_subscribe(l);
    return good;
}

bool tg_link_message(struct tg_link *l, struct tg_session *s, const struct tg_mqtt_event *e, bool *ret_held)
{
    struct speaker who = {.link = l, .session = s, .message = e};
    struct tg_cloud_event event = {
        .type = TG_CLOUD_MESSAGE, .topic = e->topic, .payload = e->payload, .retain = e->retain};
    bool good = give_event(l, s, &event, &who);
    *ret_held = who.held;
    if (good)
        tg_link_subscribe(l);
    return good;
}

/* --- coming and going ------------------------------------------------------------------------------------ */

bool tg_session_come_online(struct tg_session *s, bool session_present)
{
    struct tg_link *l = s->link;
    const struct tg_cloud_type *type = l->cloud->type;
    uint64_t generation = l->generation;
    s->online = true;
    s->want_subscribe = l->errand || (!(l->shared && type->attaches) && (!session_present || !s->subscribed));
    s->sub_part = s->sub_refused = 0;
    if (!l->errand)
        tg_session_gate(s, !type->gated);
    if (l->errand && !tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_START}))
        return false;
    if (!tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_ONLINE, .code = session_present}))
        return false;
    if (!s->want_subscribe && s->subscribed && session_present &&
        !tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED}))
        return false;
    return l->generation == generation;
}

void tg_session_go_offline(struct tg_session *s)
{
    struct tg_link *l = s->link;
    if (!s->online)
        return;
    tg_session_gate(s, false);
    s->online = false;
    s->want_subscribe = false;
    tg_session_wake_at(s, INT64_MAX);
    tg_session_restart_at(s, INT64_MAX);
    (void)tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_OFFLINE});
    if (l->errand)
        (void)tg_link_event(l, s, (struct tg_cloud_event){.type = TG_CLOUD_END});
    tg_link_forget_deferred(l, s, false);
}
