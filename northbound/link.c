/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/link.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/base/random.h"
#include "northbound/transport.h"

#define STABLE_MS            60000 /* online for so long: the back-off begins anew */
#define RENEW_DRAIN_MS       10000 /* a renewal waits so long for its PUBACKs */
#define DISCONNECT_LINGER_MS 500
#define TELL_AGAIN_MS        600000
#define CHANGE_LOOK_MS       5000 /* a refused credential: how often its files are looked at */
#define SHORT_LIFE_MS        10000

static void on_deadline(void *user);

static struct tg_link *checked(void *user)
{
    return TG_OBJECT(user, struct tg_link, TG_LINK_MAGIC);
}

void tg_link_set_state(struct tg_link *l, enum tg_session_state state)
{
    struct tg_session *s;
    if (l->state == state)
        return;
    l->state = state;
    if (l->set->cb.on_state)
        TAILQ_FOREACH(s, &l->sessions, in_link)
    l->set->cb.on_state(l->set->user, s, state);
}

static void earliest(int64_t *at, int64_t candidate)
{
    if (candidate < *at)
        *at = candidate;
}

/* The next moment at which something is due in the present state. */
void tg_link_arm(struct tg_link *l)
{
    int64_t at = INT64_MAX;
    switch (l->state) {
    case TG_SESSION_WAITING:
        at = l->retry_at_ms;
        if (l->waits_for_change)
            earliest(&at, tg_clock_mono_ms() + CHANGE_LOOK_MS);
        break;
    case TG_SESSION_ONLINE:
        at = l->renew_at_ms;
        earliest(&at, tg_link_send_due(l));
        earliest(&at, tg_link_next_wake(l));
        break;
    case TG_SESSION_PROVISIONING:
        earliest(&at, tg_link_next_wake(l));
        break;
    case TG_SESSION_RENEWING:
        at = l->renew_limit_ms;
        break;
    default:
        break;
    }
    if (tg_link_has_connection(l))
        earliest(&at, l->protocol->deadline(l));
    earliest(&at, tg_link_expiry_due(l));
    tg_deadline_set(&l->deadline, at);
}

static void drop_connection(struct tg_link *l, uint32_t linger_ms)
{
    struct tg_session *s;
    if (l->state == TG_SESSION_QUEUED)
        tg_set_cancel_slot(l);
    tg_set_release_slot(l);
    tg_link_reach_offline(l);
    l->set->out.len = 0;
    l->set->out.failed = false;
    l->generation = ++l->set->generation;
    l->input_held = false;
    l->sub_busy = false;
    l->sub_session = NULL;
    l->barrier_tag = 0;
    l->protocol->lost(l);
    TAILQ_FOREACH(s, &l->sessions, in_link)
    tg_session_go_offline(s);
    tg_link_take_all_back(l);
    if (l->state == TG_SESSION_ONLINE || l->state == TG_SESSION_RENEWING)
        (void)tg_link_event(l, NULL, (struct tg_cloud_event){.type = TG_CLOUD_OFFLINE});
    tg_link_forget_deferred(l, NULL, false);
    l->wake_ms = INT64_MAX;
    tg_buffer_fini(&l->in);
    if (l->stream) {
        struct tg_stream_stats st;
        tg_stream_stats(l->stream, &st);
        l->bytes_in += st.bytes_in;
        l->bytes_out += st.bytes_out;
        l->segments += st.segments;
        tg_stream_close(l->stream, linger_ms, NULL, NULL);
        l->stream = NULL;
    }
    tg_link_meter(l);
    if (l->online_ms)
        tg_backoff_held(&l->backoff, tg_clock_mono_ms() - l->online_ms);
    l->online_ms = 0;
    l->errand = false;
}

void tg_link_fail_as(struct tg_link *l, enum tg_retry retry, const char *text)
{
    bool told = strcmp(text, l->last_error) == 0 && tg_clock_mono_ms() - l->told_ms < TELL_AGAIN_MS;
    bool was_online = l->state == TG_SESSION_ONLINE || l->state == TG_SESSION_RENEWING;
    const char *what = tg_link_what_failed(l->state);
    char next[80];
    uint64_t kept;
    int64_t wait;
    if (l->state == TG_SESSION_WAITING || l->closing)
        return; /* it had failed already, and what comes now is an echo */
    l->fail_class = tg_link_reach_failed(l, tg_clock_mono_ms());
    l->was_throttled = l->fail_class == TG_FAILURE_THROTTLED;
    snprintf(l->last_error, sizeof l->last_error, "%s", text);
    l->failures++;
    l->failures_in_a_row++;
    tg_link_doubt(l, retry == TG_RETRY_NEVER);
    drop_connection(l, retry == TG_RETRY_NOW ? DISCONNECT_LINGER_MS : 0);
    wait = tg_link_wait_time(l, retry);
    l->waits_for_change = retry == TG_RETRY_NEVER;
    l->waits_for_way = !l->waits_for_change && tg_link_has_no_way(l);
    if (l->waits_for_way)
        wait = tg_link_slow_end(l);
    snprintf(next, sizeof next, "retrying in %.1f s%s", (double)wait / 1000.0,
             l->waits_for_change ? " or when its credential or the configuration changes" : "");
    kept = tg_link_pending_rows(l);
    /* During a long outage the same reason is told now and then, not at every attempt: `status` has the present one. */
    tg_log(told && !was_online ? TG_LOG_DEBUG : TG_LOG_WARN, "session",
           "device=%s cloud=%s %s: %s; %llu %s kept, %s", l->target.device_id, l->config->name, what, text,
           (unsigned long long)kept, tg_plural(kept, "sample is", "samples are"),
           l->waits_for_way ? "no way leads there now: connecting when one does" : next);
    if (!told)
        l->told_ms = tg_clock_mono_ms();
    tg_link_wait(l, wait);
}

void tg_link_fail(struct tg_link *l, const char *text)
{
    tg_link_fail_as(l, TG_RETRY_BACKOFF, text);
}

/* Before the time is known neither a certificate nor a token can be judged. Not a failure of the cloud: no back-off, and
 * nothing is sent to it; a look at the clock now and then. */
static void wait_for_clock(struct tg_link *l, const char *text)
{
    snprintf(l->last_error, sizeof l->last_error, "%.319s", text);
    drop_connection(l, 0);
    if (!l->waits_for_clock)
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s cannot connect yet: %s; samples are kept in the outbox, it connects when "
               "the clock has been set",
               l->target.device_id, l->config->name, text);
    l->waits_for_clock = true;
    tg_link_wait(l, TG_LINK_CLOCK_LOOK_MS);
}

void tg_link_fail_error(struct tg_link *l, const struct tg_error *err)
{
    l->fail_code = err->code;
    if (err->code == TG_ECLOCK)
        wait_for_clock(l, err->text);
    else
        tg_link_fail(l, err->text);
}

/* --- connecting -------------------------------------------------------------------------------- */

static void on_ready(void *user)
{
    struct tg_link *l = checked(user);
    tg_link_meter_handshake(l);
    l->protocol->ready(l);
}

static void on_data(void *user, struct tg_bytes data)
{
    struct tg_link *l = checked(user);
    l->protocol->data(l, data);
}

/* MQTT 3.1.1 has no word for it when a broker throws a client out. Once may be an accident; again and again soon after the
 * login it is one of two things. */
static bool is_thrown_out(struct tg_link *l, const struct tg_error *err)
{
    bool by_peer = err->code == TG_EEOF || err->code == TG_EIO;
    if (l->state != TG_SESSION_ONLINE || !by_peer || tg_clock_mono_ms() - l->online_ms > SHORT_LIFE_MS) {
        if (l->state == TG_SESSION_ONLINE)
            l->short_lives = 0;
        return false;
    }
    return ++l->short_lives > TG_LINK_SHORT_LIVES;
}

/* Who refused the WebSocket, or the way through the proxy, may have had enough of us. */
static void look_for_pause(struct tg_link *l)
{
    struct tg_stream_stats st = {0};
    if (l->stream)
        tg_stream_stats(l->stream, &st);
    if (!st.throttled)
        return;
    l->failed_as = TG_FAILURE_THROTTLED;
    l->wait_at_least_ms = (int64_t)st.retry_after_s * 1000;
}

static void on_end(void *user, const struct tg_error *err)
{
    struct tg_link *l = checked(user);
    char text[TG_SESSION_ERROR_BYTES];
    if (l->protocol->ended && l->protocol->ended(l, err))
        return;
    look_for_pause(l);
    if (!is_thrown_out(l, err)) {
        tg_link_fail_error(l, err);
        return;
    }
    snprintf(text, sizeof text,
             "%.160s, soon after each login: another client uses this client id, or a topic is not allowed",
             err->text);
    tg_link_fail(l, text);
}

static void on_writable(void *user)
{
    struct tg_link *l = checked(user);
    if (l->protocol->pump(l, tg_clock_mono_ms()))
        tg_link_arm(l);
}

static uint16_t port_of(const struct tg_link *l)
{
    const struct tg_settings *c = l->config->common, *p = l->config->provisioning;
    if (l->errand && tg_settings_has(p, "port"))
        return (uint16_t)tg_settings_int(p, "port");
    if (l->errand && l->cloud->type->errand->default_port)
        return tg_transport_is_websocket(c) ? tg_transport_default_port(c, l->cloud->type)
                                            : l->cloud->type->errand->default_port;
    return tg_settings_has(c, "port") ? (uint16_t)tg_settings_int(c, "port")
                                      : tg_transport_default_port(c, l->cloud->type);
}

/* What waits for its TCP acknowledgement longer than it may wait for the broker's is lost; 1.5 × keepalive is the limit of all. */
static uint32_t user_timeout_ms(const struct tg_settings *c)
{
    int64_t ack = tg_settings_int(c, "ack_timeout"), keepalive = tg_settings_int(c, "keepalive");
    return (uint32_t)(ack < keepalive + keepalive / 2 ? ack : keepalive + keepalive / 2);
}

void tg_link_slot_granted(struct tg_link *l)
{
    static const struct tg_stream_callbacks callbacks = {on_ready, on_data, on_writable, on_end};
    const struct tg_settings *c = l->config->common;
    struct tg_stream_options o = {.tls = l->cloud->tls, .ticket = &l->ticket};
    struct tg_transport transport = {0};
    struct tg_identity fresh;
    struct tg_error err = {0};
    int rc;
    if (l->login) {
        tg_link_fail(l, "the key's token is still at work on the last login");
        return;
    }
    l->errand = tg_link_wants_errand(l);
    o.host = l->errand ? l->cloud->type->errand->host(&l->target) : l->target.host;
    o.port = port_of(l);
    o.connect_timeout_ms = (uint32_t)tg_settings_int(c, "connect_timeout");
    o.handshake_timeout_ms = (uint32_t)tg_settings_int(c, "handshake_timeout");
    o.user_timeout_ms = user_timeout_ms(c);
    if (l->errand)
        o.ticket = NULL; /* of another server */
    tg_link_set_state(l, TG_SESSION_CONNECTING);
    l->credential_stamp = tg_link_credential_stamp(l);
    rc = tg_identity_load(l->identity_config, &fresh, &err); /* anew each time: a changed file counts */
    if (rc < 0) {
        /* A token may be plugged in again; a wrong file waits for somebody. */
        tg_link_fail_as(l, rc == TG_ENOMEM || rc == TG_EIO ? TG_RETRY_BACKOFF : TG_RETRY_NEVER, err.text);
        return;
    }
    tg_identity_free(&l->identity);
    l->identity = fresh;
    tg_link_watch_expiry(l, tg_clock_mono_ms());
    o.credential = l->identity.credential;
    if (l->protocol->connect) {
        rc = l->protocol->connect(l, &err);
        if (rc < 0)
            tg_link_fail_error(l, &err);
        else
            tg_link_arm(l);
        return;
    }
    rc = tg_transport_prepare(&transport, c, l->cloud->type, &o, &err);
    tg_link_aims_at(l, o.proxy_host ? o.proxy_host : o.host);
    if (rc == TG_OK)
        rc = tg_stream_open(l->set->loop, &o, &callbacks, l, &l->stream, &err);
    tg_transport_fini(&transport);
    if (rc < 0)
        tg_link_fail(l, err.text);
    else
        tg_link_arm(l);
}

void tg_link_is_online(struct tg_link *l, int64_t now, bool session_present)
{
    struct tg_stream_stats st = {.version = "by module"};
    struct tg_session *s, *next;
    uint64_t generation = l->generation;
    tg_set_release_slot(l);
    if (!l->errand)
        tg_link_reach_online(l, now);
    l->failures_in_a_row = 0;
    if (l->stream)
        tg_stream_stats(l->stream, &st);
    tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s %s (%s%s%s)%s", l->target.device_id, l->config->name,
           l->errand ? "asks where it belongs" : "online",
           l->cloud->tls || !l->stream ? st.version : "no TLS", st.resumed ? ", resumed" : "",
           session_present ? ", session present" : "",
           l->next_tag > l->first_tag ? ", sending again what was in flight" : "");
    l->told_ms = 0;
    if (l->errand) {
        tg_link_set_state(l, TG_SESSION_PROVISIONING);
    } else {
        l->online_ms = now;
        l->connects++;
        l->resumed = st.resumed;
        l->last_error[0] = '\0';
        tg_link_set_state(l, TG_SESSION_ONLINE);
        if (!tg_link_event(l, NULL,
                           (struct tg_cloud_event){.type = TG_CLOUD_ONLINE, .code = session_present}))
            return;
        l->want_subscribe = l->shared && !session_present;
        l->sub_part = l->sub_refused = 0;
        if (l->shared) /* first of all: what sessions say next may be refused by a message to the link */
            tg_link_subscribe(l);
    }
    for (s = TAILQ_FIRST(&l->sessions); s && l->generation == generation; s = next) {
        next = TAILQ_NEXT(s, in_link);
        if (s->started && !tg_session_come_online(s, session_present))
            return;
    }
    tg_link_subscribe(l);
}

/* --- time ---------------------------------------------------------------------------------------- */

void tg_link_reconnect(struct tg_link *l, const char *why)
{
    l->protocol->goodbye(l);
    tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s %s", l->target.device_id, l->config->name, why);
    drop_connection(l, DISCONNECT_LINGER_MS);
    tg_link_ask_for_slot(l);
}

void tg_link_go_on(struct tg_link *l, int64_t now)
{
    if (!l->protocol->pump(l, now))
        return;
    if (l->state == TG_SESSION_RENEWING && l->first_tag == l->next_tag)
        tg_link_reconnect(l, "renewing the credential");
    else
        tg_link_arm(l);
}

static void begin_renewal(struct tg_link *l, int64_t now)
{
    int64_t limit = now + RENEW_DRAIN_MS;
    tg_link_set_state(l, TG_SESSION_RENEWING);
    if (l->renew_limit_ms > limit)
        l->renew_limit_ms = limit;
}

static void on_deadline(void *user)
{
    struct tg_link *l = checked(user);
    int64_t now = tg_clock_mono_ms();
    if (tg_link_expiry_due(l) <= now)
        tg_link_look_at_expiry(l, now);
    if (l->state == TG_SESSION_WAITING) {
        tg_link_waited(l, now);
        return;
    }
    if (tg_link_has_connection(l) && l->protocol->deadline(l) <= now && !l->protocol->tick(l, now))
        return;
    if ((l->state == TG_SESSION_ONLINE || l->state == TG_SESSION_PROVISIONING) && !tg_link_wake(l, now))
        return;
    if (l->state == TG_SESSION_ONLINE && now >= l->renew_at_ms)
        begin_renewal(l, now);
    else if (l->state == TG_SESSION_RENEWING && now >= l->renew_limit_ms)
        tg_link_reconnect(l, "renewing the credential");
    if (l->carried || (l->stream && tg_link_take_held(l, now)))
        tg_link_go_on(l, now);
}

/* --- life ---------------------------------------------------------------------------------------- */

static void look_at(struct tg_link *l, const struct tg_session *s)
{
    const struct tg_config_route *route = s->route;
    const char *device = l->target.device_id, *host = tg_settings_text(route->cloud->common, "host");
    l->config = route->cloud;
    l->identity_config = l->shared ? &route->cloud->identity : &route->identity;
    l->target = (struct tg_cloud_target){.host = host ? host : l->cloud->type->default_host,
                                         .gateway = l->set->gateway,
                                         .settings = route->cloud->settings,
                                         .common = route->cloud->common,
                                         .provisioning = route->cloud->provisioning,
                                         .device = s->target.device,
                                         .device_id = device};
    if (l->shared)
        l->target.device = NULL;
}

void tg_link_borrow_elsewhere(struct tg_link *l, const struct tg_session *leaving)
{
    struct tg_session *s;
    TAILQ_FOREACH(s, &l->sessions, in_link)
    if (s != leaving) {
        look_at(l, s);
        return;
    }
}

static void read_options(struct tg_link *l)
{
    const struct tg_settings *c = l->config->common, *b = l->config->batch;
    const struct tg_cloud_type *type = l->cloud->type;
    l->batch_cap = (uint32_t)tg_settings_int(c, "max_in_flight");
    if (type->max_in_flight && l->batch_cap > type->max_in_flight)
        l->batch_cap = type->max_in_flight;
    l->per_point = type->topic_per_point && type->topic_per_point(&l->target);
    l->max_samples = l->per_point ? 1 : (uint32_t)tg_settings_int(b, "max_samples");
    l->max_bytes = (size_t)tg_settings_int(b, "max_bytes");
    l->max_delay_ms = l->max_samples > 1 ? tg_settings_int(b, "max_delay") : 0;
    if (type->choose_batch) {
        l->max_samples = type->choose_batch(&l->target);
        l->max_delay_ms = 0;
    }
    l->qos = type->choose_qos ? type->choose_qos(&l->target) : type->qos;
    l->retain = type->retain && type->retain(&l->target);
    l->deflate = tg_settings_int(c, "compress") != 0;
    l->format = tg_format_find(tg_settings_text(c, "format"));
    if (type->max_publishes_per_second)
        l->publish_tokens = type->max_publishes_per_second;
    l->backoff = (struct tg_backoff){.floor_ms = 0,
                                     .base_ms = tg_settings_int(c, "min_backoff"),
                                     .cap_ms = tg_settings_int(c, "max_backoff"),
                                     .stable_ms = STABLE_MS};
}

static void free_link(struct tg_link *l)
{
    if (l->memory)
        (void)tg_link_event(l, NULL, (struct tg_cloud_event){.type = TG_CLOUD_END});
    tg_link_forget_deferred(l, NULL, true);
    if (l->cloud->shared == l)
        l->cloud->shared = NULL;
    tg_set_leave_cloud(l);
    tg_link_send_fini(l);
    tg_link_assign_fini(l);
    tg_free(l->wakes);
    if (l->protocol->close)
        l->protocol->close(l);
    tg_tls_ticket_fini(&l->ticket);
    tg_identity_free(&l->identity);
    tg_buffer_fini(&l->in);
    tg_free(l->memory);
    TG_OBJECT_POISON(l);
    tg_free(l);
}

int tg_link_new(struct tg_session_set *set, struct tg_set_cloud *cloud, const struct tg_config_route *route,
                bool shared, struct tg_link **ret_link, struct tg_error *err)
{
    struct tg_link *l = tg_calloc(1, sizeof *l);
    struct tg_mqtt_limits limits = {.max_packet_in_bytes = TG_LINK_MAX_IN_BYTES, .ping_timeout_ms = 10000};
    struct tg_session like = {.route = route};
    if (!l)
        return tg_error_set(err, TG_ENOMEM, "cloud %s: out of memory for a connection", route->cloud->name);
    l->magic = TG_LINK_MAGIC;
    l->set = set;
    l->shared = shared;
    l->protocol = tg_link_protocol_of(cloud->type);
    l->in = tg_buffer_init(TG_LINK_IN_LIMIT);
    l->generation = ++set->generation;
    l->renew_at_ms = l->wake_ms = INT64_MAX;
    l->failed_as = TG_FAILURES;
    TAILQ_INIT(&l->sessions);
    TAILQ_INIT(&l->ready);
    TAILQ_INIT(&l->delayed);
    STAILQ_INIT(&l->deferred);
    l->target.device_id = shared ? set->gateway : route->cloud_device_id;
    l->cloud = cloud;
    look_at(l, &like);
    read_options(l);
    l->memory = tg_calloc(1, cloud->type->link_bytes ? cloud->type->link_bytes : 1);
    if (!l->memory || tg_link_window_init(l) < 0 || tg_link_wake_room(l) < 0 || tg_link_assign_init(l) < 0 ||
        (l->protocol->open && l->protocol->open(l) < 0)) {
        tg_link_send_fini(l);
        tg_link_assign_fini(l);
        tg_free(l->wakes);
        tg_free(l->memory);
        tg_free(l);
        return tg_error_set(err, TG_ENOMEM, "device %s, cloud %s: out of memory for its session",
                            route->cloud_device_id, route->cloud->name);
    }
    limits.max_packet_out_bytes = cloud->type->max_message_bytes;
    limits.connack_timeout_ms = (uint32_t)tg_settings_int(route->cloud->common, "connect_timeout");
    limits.ack_timeout_ms = (uint32_t)tg_settings_int(route->cloud->common, "ack_timeout");
    tg_mqtt_client_init(&l->mqtt, &limits, l->slots, (uint16_t)l->slot_places);
    tg_deadline_init(&l->deadline, set->loop, on_deadline, l);
    cloud->links++;
    if (shared)
        cloud->shared = l;
    *ret_link = l;
    return TG_OK;
}

void tg_link_start(struct tg_link *l)
{
    if (l->started)
        return;
    l->started = true;
    tg_link_reach_wanted(l);
    if (!tg_link_event(l, NULL, (struct tg_cloud_event){.type = TG_CLOUD_START}))
        return;
    tg_link_ask_for_slot(l);
}

static void on_deadline_closed(void *user)
{
    struct tg_link *l = checked(user);
    l->timer_closed = true;
    tg_link_close_finish(l);
}

void tg_link_close_finish(struct tg_link *l)
{
    void (*closed)(void *) = l->closed;
    void *closed_user = l->closed_user;
    if (!l->timer_closed || l->login)
        return;
    free_link(l);
    if (closed)
        closed(closed_user);
}

void tg_link_close(struct tg_link *l, void (*closed)(void *user), void *user)
{
    bool online = l->state == TG_SESSION_ONLINE || l->state == TG_SESSION_RENEWING;
    struct tg_session *s;
    l->closed = closed;
    l->closed_user = user;
    l->closing = true;
    if (online && tg_link_event(l, NULL, (struct tg_cloud_event){.type = TG_CLOUD_CLOSING}))
        l->protocol->goodbye(l);
    drop_connection(l, online ? DISCONNECT_LINGER_MS : 0);
    tg_link_set_state(l, TG_SESSION_CLOSING);
    while ((s = TAILQ_FIRST(&l->sessions)) != NULL)
        tg_session_leave(s);
    tg_deadline_close(&l->deadline, on_deadline_closed);
}
