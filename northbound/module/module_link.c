/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/module/module_link.h"

#include <tidegate/plugin.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "northbound/module/module_cloud.h"

#define ROOM_LOOK_MS 50 /* the source's queue was full */

struct tg_module_link {
    struct tg_link *link;
    struct tg_module_link *next; /* of the set */
    char source[TG_NAME_MAX_BYTES + 1];
    uint32_t channel; /* of the connection that there is, or is being made */
    bool up;
    size_t max_message;
    int64_t patience_ms;                    /* of this attempt */
    int64_t connect_ms, outcome_ms;         /* how long each may take */
    int64_t connect_due_ms, room_due_ms;    /* INT64_MAX = nothing is waited for */
    int64_t sent_ms[TG_CARRY_MESSAGES_MAX]; /* by tag */
};

static struct tg_module_link *of(const struct tg_link *l)
{
    return l->protocol_memory;
}

/* --- life ------------------------------------------------------------------------------------------ */

static int open_protocol(struct tg_link *l)
{
    const struct tg_settings *own = l->config->settings, *common = l->config->common;
    struct tg_module_link *m = tg_calloc(1, sizeof *m);
    if (!m)
        return TG_ENOMEM;
    m->link = l;
    /* The model may go while the link stays. */
    snprintf(m->source, sizeof m->source, "%s", tg_settings_text(own, "source"));
    m->max_message = (size_t)tg_settings_int(own, "max_message");
    m->connect_ms = tg_settings_int(common, "connect_timeout") + tg_settings_int(common, "handshake_timeout");
    m->outcome_ms = tg_settings_int(common, "ack_timeout") +
                    (tg_module_wants_echo(own) ? 0 : tg_settings_int(own, "settle"));
    m->connect_due_ms = m->room_due_ms = INT64_MAX;
    if (l->max_bytes > m->max_message)
        l->max_bytes = m->max_message;
    m->next = l->set->modules;
    l->set->modules = m;
    l->protocol_memory = m;
    return TG_OK;
}

static void close_protocol(struct tg_link *l)
{
    struct tg_module_link *m = of(l), **at;
    if (!m)
        return;
    for (at = &l->set->modules; *at != m; at = &(*at)->next)
        ;
    *at = m->next;
    tg_free(m);
    l->protocol_memory = NULL;
}

static void goodbye(struct tg_link *l)
{
    (void)l; /* the module says it when the channel is closed */
}

static void lost(struct tg_link *l)
{
    struct tg_module_link *m = of(l);
    const struct tg_carrier *c = &l->set->carrier;
    if (l->carried && c->close(c->user, m->source, m->channel) == TG_ENOMEM)
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s out of memory: the module's connection is not closed, and stays until "
               "source %s is opened anew",
               l->target.device_id, l->config->name, m->source);
    l->carried = m->up = false;
    m->connect_due_ms = m->room_due_ms = INT64_MAX;
    tg_link_rewind(l);
}

/* --- connecting ------------------------------------------------------------------------------------- */

static const char *carrier_fault(int rc)
{
    switch (rc) {
    case TG_ENOTFOUND:
        return "its source is not running";
    case TG_EFULL:
        return "too much waits for its source";
    case TG_EUNSUPPORTED:
        return "its source's plugin lends no connection";
    default:
        return tg_code_text(rc);
    }
}

/* A module connects one at a time: each of those that it carries may be before this one. */
static int64_t patience_ms(const struct tg_link *l)
{
    int64_t ms = 0;
    for (const struct tg_module_link *m = l->set->modules; m; m = m->next)
        if (strcmp(m->source, of(l)->source) == 0)
            ms += of(l)->connect_ms;
    return ms;
}

static int connect_channel(struct tg_link *l, struct tg_error *err)
{
    struct tg_module_link *m = of(l);
    struct tg_session_set *set = l->set;
    char *address = tg_malloc(TG_MODULE_ADDRESS_BYTES);
    struct tg_writer w = tg_writer_init(address, TG_MODULE_ADDRESS_BYTES);
    int64_t wall_s = tg_clock_wall_ms() / 1000, now = tg_clock_mono_ms(), expires_s = 0;
    int rc;
    if (!address)
        return tg_error_set(err, TG_ENOMEM, "out of memory for the address of a module's connection");
    rc = tg_module_address(&l->target, &l->identity.secret, &l->format->content, wall_s, &w, &expires_s, err);
    if (rc == TG_OK && tg_writer_cstr(&w) < 0)
        rc = tg_error_set(err, TG_ETOOBIG, "names and topics are too long for a module");
    if (rc == TG_OK) {
        m->channel = ++set->channel;
        rc = set->carrier.open ? set->carrier.open(set->carrier.user, m->source, m->channel, address)
                               : TG_EUNSUPPORTED;
        if (rc < 0)
            rc = tg_error_set(err, rc, "source %s: %s", m->source, carrier_fault(rc));
    }
    tg_free_secret(address, TG_MODULE_ADDRESS_BYTES);
    if (rc < 0)
        return rc;
    l->carried = true;
    m->patience_ms = patience_ms(l);
    m->connect_due_ms = now + m->patience_ms;
    tg_link_plan_renewal(l, expires_s, wall_s, now);
    return TG_OK;
}

/* --- sending ---------------------------------------------------------------------------------------- */

/* Encodes as many rows of the session as fit. How many; negative when the first cannot go. */
static int fill(struct tg_link *l, struct tg_session *s, struct tg_bytes *ret_body)
{
    uint32_t available = tg_feed_available(s->feed);
    int n = tg_link_write_rows(l, s, available < l->max_samples ? available : l->max_samples, ret_body);
    return n > 0 && ret_body->len > of(l)->max_message ? TG_ETOOBIG : n;
}

static bool begin_batch(struct tg_link *l, struct tg_session *s, uint32_t count)
{
    struct tg_batch *b = tg_link_new_batch(l, count);
    if (!b)
        return false;
    tg_link_fill(s, b, count);
    b->parts = b->parts_sent = 1;
    return true;
}

static void count_message(struct tg_link *l, struct tg_session *s, size_t bytes, int64_t now_ms)
{
    s->stats.published++;
    s->stats.body_bytes += bytes;
    l->bytes_out += bytes;
    tg_day_meter_add(&s->day, now_ms, tg_clock_wall_ms(), 1, bytes);
}

/* One message. 1 = sent, or a row was left out; 0 = not now; negative: out of memory. */
static int send_one(struct tg_link *l, struct tg_session *s, int64_t now_ms)
{
    struct tg_module_link *m = of(l);
    const struct tg_carrier *c = &l->set->carrier;
    uint32_t ready = tg_feed_ready(s->feed);
    struct tg_bytes body;
    int n, rc;
    tg_link_choose(s, now_ms);
    n = fill(l, s, &body);
    if (n < 0 && n != TG_ENOMEM) {
        tg_link_quarantine(s, n);
        return tg_feed_ready(s->feed) < ready;
    }
    if (n < 0)
        return n;
    rc = c->carry(c->user, m->source, m->channel, l->next_tag, body);
    if (rc < 0) { /* the source's queue has room again soon, or the channel is about to be told down */
        m->room_due_ms = now_ms + ROOM_LOOK_MS;
        return rc == TG_ENOMEM ? rc : 0;
    }
    if (!begin_batch(l, s, (uint32_t)n))
        return TG_ENOMEM;
    m->sent_ms[l->next_tag % TG_CARRY_MESSAGES_MAX] = now_ms;
    l->next_tag++;
    count_message(l, s, body.len, now_ms);
    tg_link_unqueue(s);
    tg_link_queue(s, now_ms);
    return 1;
}

static bool pump(struct tg_link *l, int64_t now_ms)
{
    struct tg_module_link *m = of(l);
    int rc = 1;
    l->pumped_ms = now_ms;
    if (l->state != TG_SESSION_ONLINE && l->state != TG_SESSION_RENEWING)
        return l->carried;
    m->room_due_ms = INT64_MAX;
    tg_link_ripen(l, now_ms);
    while (rc > 0 && l->state == TG_SESSION_ONLINE && l->next_tag - l->first_tag < l->batch_cap) {
        struct tg_session *s = TAILQ_FIRST(&l->ready);
        if (!s)
            break;
        if (tg_feed_ready(s->feed) == 0)
            tg_link_unqueue(s);
        else
            rc = send_one(l, s, now_ms);
    }
    if (rc >= 0)
        return true;
    tg_link_fail(l, "out of memory for a message");
    return false;
}

/* --- time --------------------------------------------------------------------------------------------- */

static int64_t outcome_due(const struct tg_link *l)
{
    const struct tg_module_link *m = of(l);
    return l->first_tag == l->next_tag ? INT64_MAX
                                       : m->sent_ms[l->first_tag % TG_CARRY_MESSAGES_MAX] + m->outcome_ms;
}

static int64_t deadline(const struct tg_link *l)
{
    const struct tg_module_link *m = of(l);
    int64_t at = m->connect_due_ms < m->room_due_ms ? m->connect_due_ms : m->room_due_ms;
    return m->up && outcome_due(l) < at ? outcome_due(l) : at;
}

static bool tick(struct tg_link *l, int64_t now_ms)
{
    struct tg_module_link *m = of(l);
    char text[TG_SESSION_ERROR_BYTES];
    if (now_ms >= m->connect_due_ms) {
        snprintf(text, sizeof text, "source %s: its module has not connected in %lld s", m->source,
                 (long long)m->patience_ms / 1000);
        tg_link_fail(l, text);
        return false;
    }
    if (m->up && now_ms >= outcome_due(l)) {
        snprintf(text, sizeof text, "the outcome of a message has not come in %lld s; it is sent again",
                 (long long)m->outcome_ms / 1000);
        tg_link_fail(l, text);
        return false;
    }
    return true; /* room is looked for by the pump that follows */
}

/* --- what the carrier says ------------------------------------------------------------------------------ */

static struct tg_module_link *find(struct tg_session_set *set, uint32_t channel)
{
    struct tg_module_link *m = set->modules;
    while (m && (m->channel != channel || !m->link->carried || m->link->closing))
        m = m->next;
    return m;
}

void tg_session_set_lend(struct tg_session_set *set, const struct tg_carrier *carrier)
{
    set->carrier = *carrier;
}

void tg_session_set_carrier(struct tg_session_set *set, uint32_t channel, bool up, const char *text)
{
    struct tg_module_link *m = find(set, channel);
    int64_t now = tg_clock_mono_ms();
    if (!m || (up && m->up))
        return;
    if (!up) {
        tg_link_fail(m->link, text ? text : "the module's connection ended");
        return;
    }
    m->up = true;
    m->connect_due_ms = INT64_MAX;
    tg_link_is_online(m->link, now, false);
    if (m->link->carried)
        tg_link_go_on(m->link, now);
}

void tg_session_set_carried(struct tg_session_set *set, uint32_t channel, uint64_t message, int status)
{
    struct tg_module_link *m = find(set, channel);
    char text[160];
    if (!m || message < m->link->first_tag || message >= m->link->next_tag)
        return;
    if (status < 0) {
        snprintf(text, sizeof text, "the module did not take a message (%s)",
                 status == TG_PLUGIN_EFULL     ? "too many are under way"
                 : status == TG_PLUGIN_EINVAL  ? "it is too large for it"
                 : status == TG_PLUGIN_EDEVICE ? "it refused"
                                               : "its port failed");
        tg_link_fail(m->link, text);
        return;
    }
    tg_link_acked(m->link, message << TG_TAG_PART_BITS);
    tg_link_go_on(m->link, tg_clock_mono_ms());
}

bool tg_session_set_is_carried(const struct tg_session_set *set, const char *source)
{
    for (const struct tg_module_link *m = set->modules; m; m = m->next)
        if (m->up && strcmp(m->source, source) == 0)
            return true;
    return false;
}

void tg_session_set_carrier_gone(struct tg_session_set *set, const char *source, const char *text)
{
    for (struct tg_module_link *m = set->modules; m; m = m->next)
        if (m->link->carried && !m->link->closing && strcmp(m->source, source) == 0)
            tg_link_fail(m->link, text);
}

const struct tg_link_protocol tg_link_module = {
    .open = open_protocol,
    .close = close_protocol,
    .connect = connect_channel,
    .pump = pump,
    .deadline = deadline,
    .tick = tick,
    .goodbye = goodbye,
    .lost = lost,
};
