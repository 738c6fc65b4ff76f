/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/session_private.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"

#define STABLE_MS            60000 /* online for so long: the back-off begins anew */
#define RENEW_DRAIN_MS       10000 /* a renewal waits so long for its PUBACKs */
#define DISCONNECT_LINGER_MS 500
#define TELL_AGAIN_MS        600000
#define CLOCK_LOOK_MS        1000

static void on_deadline(void *user);
static void wait_and_retry(struct tg_session *s, int64_t wait_ms);

static struct tg_session *checked(void *user)
{
    return TG_OBJECT(user, struct tg_session, TG_SESSION_MAGIC);
}

const char *tg_session_state_name(enum tg_session_state state)
{
    static const char *const names[] = {"waiting", "queued",   "connecting", "login",
                                        "online",  "renewing", "closing"};
    return state <= TG_SESSION_CLOSING ? names[state] : "?";
}

void tg_session_set_state(struct tg_session *s, enum tg_session_state state)
{
    if (s->state == state)
        return;
    s->state = state;
    if (s->set->cb.on_state)
        s->set->cb.on_state(s->set->user, s, state);
}

/* The next moment at which something is due in the present state. */
void tg_session_arm(struct tg_session *s)
{
    int64_t at = INT64_MAX, mqtt = tg_mqtt_client_deadline(&s->mqtt);
    switch (s->state) {
    case TG_SESSION_WAITING:
        at = s->retry_at_ms;
        break;
    case TG_SESSION_ONLINE:
        at = s->renew_at_ms;
        /* Later than the last pump: a batch waits for company. Else it waits for room, which has its own event. */
        if (tg_feed_available(s->feed) > 0 && s->batch_due_ms > s->pumped_ms && s->batch_due_ms < at)
            at = s->batch_due_ms;
        break;
    case TG_SESSION_RENEWING:
        at = s->renew_limit_ms;
        break;
    default:
        break;
    }
    if (s->stream && mqtt < at)
        at = mqtt;
    tg_deadline_set(&s->deadline, at);
}

static void drop_connection(struct tg_session *s, uint32_t linger_ms)
{
    if (s->state == TG_SESSION_QUEUED)
        tg_set_cancel_slot(s);
    tg_set_release_slot(s);
    s->set->out.len = 0;
    s->set->out.failed = false;
    s->generation = ++s->set->generation;
    s->input_held = false;
    tg_mqtt_client_transport_lost(&s->mqtt);
    tg_feed_pause(s->feed);
    tg_buffer_fini(&s->in);
    if (s->stream) {
        struct tg_stream_stats st;
        tg_stream_stats(s->stream, &st);
        s->stats.bytes_in += st.bytes_in;
        s->stats.bytes_out += st.bytes_out;
        tg_stream_close(s->stream, linger_ms, NULL, NULL);
        s->stream = NULL;
    }
    if (s->online_ms)
        tg_backoff_held(&s->backoff, tg_clock_mono_ms() - s->online_ms);
    s->online_ms = 0;
}

void tg_session_fail(struct tg_session *s, const char *text)
{
    bool told = strcmp(text, s->stats.last_error) == 0 && tg_clock_mono_ms() - s->told_ms < TELL_AGAIN_MS;
    bool was_online = s->state == TG_SESSION_ONLINE || s->state == TG_SESSION_RENEWING;
    int64_t wait;
    snprintf(s->stats.last_error, sizeof s->stats.last_error, "%s", text);
    s->stats.failures++;
    drop_connection(s, 0);
    wait = tg_backoff_next(&s->backoff, tg_random_u32());
    /* During a long outage the same reason is told now and then, not at every attempt: `status` has the present one. */
    tg_log(told && !was_online ? TG_LOG_DEBUG : TG_LOG_WARN, "session",
           "device=%s cloud=%s %s: %s; %llu samples are kept, retrying in %.1f s", s->device_id,
           s->route->cloud->name, was_online ? "connection lost" : "cannot connect", text,
           (unsigned long long)tg_feed_pending(s->feed), (double)wait / 1000.0);
    if (!told)
        s->told_ms = tg_clock_mono_ms();
    wait_and_retry(s, wait);
}

static void wait_and_retry(struct tg_session *s, int64_t wait_ms)
{
    s->retry_at_ms = tg_clock_mono_ms() + wait_ms;
    tg_session_set_state(s, TG_SESSION_WAITING);
    tg_session_arm(s);
}

/* Before the time is known neither a certificate nor a token can be judged. Not a failure of the cloud: no back-off, and
 * nothing is sent to it; a look at the clock now and then. */
static void wait_for_clock(struct tg_session *s, const char *text)
{
    snprintf(s->stats.last_error, sizeof s->stats.last_error, "%.199s", text);
    drop_connection(s, 0);
    if (!s->waits_for_clock)
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s cannot connect yet: %s; samples are kept in the outbox, it connects when "
               "the clock has been set",
               s->device_id, s->route->cloud->name, text);
    s->waits_for_clock = true;
    wait_and_retry(s, CLOCK_LOOK_MS);
}

static void end_with(struct tg_session *s, const struct tg_error *err)
{
    if (err->code == TG_ECLOCK)
        wait_for_clock(s, err->text);
    else
        tg_session_fail(s, err->text);
}

static void ask_for_slot(struct tg_session *s)
{
    s->waits_for_clock = false;
    tg_session_set_state(s, TG_SESSION_QUEUED);
    tg_session_arm(s);
    tg_set_want_slot(s);
}

/* --- connecting -------------------------------------------------------------------------------- */

static uint16_t keepalive_s(const struct tg_session *s)
{
    int64_t seconds = tg_settings_int(s->route->cloud->common, "keepalive") / 1000;
    uint16_t most = s->cloud->type->max_keepalive_s;
    return seconds > most ? most : (uint16_t)seconds;
}

static void send_connect(struct tg_session *s)
{
    uint8_t memory[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
    struct tg_cloud_login login;
    struct tg_error err = {0};
    int64_t wall_s = tg_clock_wall_ms() / 1000, now = tg_clock_mono_ms();
    size_t connect_len;
    bool sent;
    int rc;
    if (s->identity.secret.kind == TG_IDENTITY_SAS_KEY && !tg_clock_plausible(wall_s * 1000))
        rc = tg_error_set(&err, TG_ECLOCK, "the clock is before 2026, so no token can be made");
    else
        rc = s->cloud->type->login(&s->target, &s->identity.secret, NULL, wall_s, &scratch, &login, &err);
    if (rc == TG_OK) {
        login.connect.keepalive_s = keepalive_s(s);
        rc = tg_mqtt_client_connect(&s->mqtt, now, &login.connect, &s->set->out);
        if (rc < 0)
            tg_error_set(&err, rc, "CONNECT cannot be made: %s", s->mqtt.reason);
    }
    explicit_bzero(memory, sizeof memory);
    if (rc < 0) {
        end_with(s, &err);
        return;
    }
    s->renew_at_ms = INT64_MAX;
    if (login.expires_s) {
        int64_t life_ms = (login.expires_s - wall_s) * 1000; /* renew at 75 … 85 %, spread over the fleet */
        s->renew_at_ms = now + life_ms * 75 / 100 + (int64_t)(tg_random_u32() % 1000) * life_ms / 10000;
        s->renew_limit_ms = now + life_ms - 1000;
    }
    tg_session_set_state(s, TG_SESSION_LOGIN);
    connect_len = s->set->out.len;
    sent = tg_session_flush(s);
    explicit_bzero(s->set->out.data, connect_len); /* it holds the password or the token */
    if (!sent)
        tg_session_fail(s, "the stream does not take the CONNECT packet");
    else
        tg_session_arm(s);
}

static void on_ready(void *user)
{
    send_connect(checked(user));
}

static void on_end(void *user, const struct tg_error *err)
{
    end_with(checked(user), err);
}

static void on_writable(void *user)
{
    struct tg_session *s = checked(user);
    if (tg_session_pump(s, tg_clock_mono_ms()))
        tg_session_arm(s);
}

/* --- time ---------------------------------------------------------------------------------------- */

void tg_session_renew_now(struct tg_session *s)
{
    if (tg_mqtt_client_disconnect(&s->mqtt, tg_clock_mono_ms(), &s->set->out) == TG_OK)
        (void)tg_session_flush(s); /* the connection ends either way */
    tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s renewing the credential", s->device_id,
           s->route->cloud->name);
    drop_connection(s, DISCONNECT_LINGER_MS);
    ask_for_slot(s);
}

/* After something has happened on the connection: sends what may be sent, or connects anew once the window is empty. */
void tg_session_go_on(struct tg_session *s, int64_t now)
{
    if (!tg_session_pump(s, now))
        return;
    if (s->state == TG_SESSION_RENEWING && s->first_tag == s->next_tag)
        tg_session_renew_now(s);
    else
        tg_session_arm(s);
}

static void begin_renewal(struct tg_session *s, int64_t now)
{
    int64_t limit = now + RENEW_DRAIN_MS;
    tg_session_set_state(s, TG_SESSION_RENEWING);
    if (s->renew_limit_ms > limit)
        s->renew_limit_ms = limit;
}

static void on_deadline(void *user)
{
    struct tg_session *s = checked(user);
    int64_t now = tg_clock_mono_ms();
    if (s->state == TG_SESSION_WAITING) {
        if (now >= s->retry_at_ms && s->waits_for_clock && !tg_clock_plausible(tg_clock_wall_ms()))
            wait_and_retry(s, CLOCK_LOOK_MS);
        else if (now >= s->retry_at_ms)
            ask_for_slot(s);
        else
            tg_session_arm(s);
        return;
    }
    if (s->stream && tg_mqtt_client_deadline(&s->mqtt) <= now) {
        if (tg_mqtt_client_tick(&s->mqtt, now, &s->set->out) < 0) {
            tg_session_fail(s, s->mqtt.reason);
            return;
        }
    }
    if (s->state == TG_SESSION_ONLINE && now >= s->renew_at_ms)
        begin_renewal(s, now);
    else if (s->state == TG_SESSION_RENEWING && now >= s->renew_limit_ms)
        tg_session_renew_now(s);
    if (s->stream && tg_session_take_held(s, now))
        tg_session_go_on(s, now);
}

static void on_rows(void *user)
{
    struct tg_session *s = checked(user);
    int64_t now = tg_clock_mono_ms();
    if (s->state != TG_SESSION_ONLINE)
        return;
    if (!s->had_rows)
        s->batch_due_ms = now + s->max_delay_ms; /* the first row of a new batch has just come */
    if (tg_session_pump(s, now))
        tg_session_arm(s);
}

/* --- life ---------------------------------------------------------------------------------------- */

void tg_session_slot_granted(struct tg_session *s)
{
    static const struct tg_stream_callbacks callbacks = {on_ready, tg_session_on_data, on_writable, on_end};
    const struct tg_settings *c = s->route->cloud->common;
    struct tg_stream_options o = {.host = s->target.host,
                                  .tls = s->cloud->tls,
                                  .credential = s->identity.credential,
                                  .ticket = &s->ticket};
    struct tg_identity fresh;
    struct tg_error err = {0};
    int rc;
    o.port = (uint16_t)(tg_settings_has(c, "port") ? tg_settings_int(c, "port")
                                                   : s->cloud->type->config.default_port);
    o.connect_timeout_ms = (uint32_t)tg_settings_int(c, "connect_timeout");
    o.handshake_timeout_ms = (uint32_t)tg_settings_int(c, "handshake_timeout");
    tg_session_set_state(s, TG_SESSION_CONNECTING);
    rc = tg_identity_load(&s->route->identity, &fresh, &err); /* anew each time: a changed file counts */
    if (rc == TG_OK) {
        tg_identity_free(&s->identity);
        s->identity = fresh;
        o.credential = s->identity.credential;
        rc = tg_stream_open(s->set->loop, &o, &callbacks, s, &s->stream, &err);
    }
    if (rc < 0)
        tg_session_fail(s, err.text);
    else
        tg_session_arm(s);
}

static int read_options(struct tg_session *s, struct tg_error *err)
{
    const struct tg_settings *c = s->route->cloud->common, *b = s->route->cloud->batch;
    s->batch_cap = (uint32_t)tg_settings_int(c, "max_in_flight");
    s->max_samples = (uint32_t)tg_settings_int(b, "max_samples");
    s->max_bytes = (size_t)tg_settings_int(b, "max_bytes");
    if (s->max_bytes > TG_SET_BODY_BYTES - 2)
        s->max_bytes = TG_SET_BODY_BYTES - 2;
    s->max_delay_ms = s->max_samples > 1 ? tg_settings_int(b, "max_delay") : 0;
    s->backoff = (struct tg_backoff){.floor_ms = 0,
                                     .base_ms = tg_settings_int(c, "min_backoff"),
                                     .cap_ms = tg_settings_int(c, "max_backoff"),
                                     .stable_ms = STABLE_MS};
    s->target = (struct tg_cloud_target){.host = tg_settings_text(c, "host"),
                                         .device_id = s->route->cloud_device_id,
                                         .gateway = s->set->gateway,
                                         .settings = s->route->cloud->settings};
    if (tg_session_send_init(s) < 0)
        return tg_error_set(err, TG_ENOMEM, "device %s, cloud %s: out of memory for its session",
                            s->device_id, s->route->cloud->name);
    return TG_OK;
}

static void free_session(struct tg_session *s)
{
    if (s->cloud)
        tg_set_leave_cloud(s);
    tg_session_send_fini(s);
    tg_tls_ticket_fini(&s->ticket);
    tg_identity_free(&s->identity);
    tg_buffer_fini(&s->in);
    TG_OBJECT_POISON(s);
    tg_free(s);
}

int tg_session_new(struct tg_session_set *set, const char *device_id, uint32_t device,
                   const struct tg_config_route *route, struct tg_session **ret_session, struct tg_error *err)
{
    struct tg_session *s = tg_calloc(1, sizeof *s);
    struct tg_mqtt_limits limits = {.max_packet_in_bytes = TG_SESSION_MAX_IN_BYTES, .ping_timeout_ms = 10000};
    int rc;
    if (!s)
        return tg_error_set(err, TG_ENOMEM, "device %s: out of memory for its session", device_id);
    s->magic = TG_SESSION_MAGIC;
    s->set = set;
    s->device_id = device_id;
    s->route = route;
    s->in = tg_buffer_init(TG_SESSION_IN_LIMIT);
    s->generation = ++set->generation;
    s->renew_at_ms = INT64_MAX;
    s->cloud = tg_set_cloud_for(set, route->cloud, err);
    rc = s->cloud ? read_options(s, err) : (err ? err->code : TG_EINVAL);
    if (rc == TG_OK)
        rc = tg_feed_open(set->store, device, route->cloud->name, on_rows, s, &s->feed, err);
    if (rc < 0) {
        free_session(s);
        return rc;
    }
    limits.max_packet_out_bytes = s->cloud->type->max_message_bytes;
    limits.connack_timeout_ms = (uint32_t)tg_settings_int(route->cloud->common, "connect_timeout");
    limits.ack_timeout_ms = (uint32_t)tg_settings_int(route->cloud->common, "ack_timeout");
    tg_mqtt_client_init(&s->mqtt, &limits, s->slots, (uint16_t)s->batch_cap);
    tg_deadline_init(&s->deadline, set->loop, on_deadline, s);
    *set->sessions_tail = s;
    set->sessions_tail = &s->next;
    set->session_count++;
    *ret_session = s;
    return TG_OK;
}

void tg_session_start(struct tg_session *s)
{
    if (s->started)
        return;
    s->started = true;
    ask_for_slot(s);
}

bool tg_session_idle(const struct tg_session *s)
{
    return s->first_tag == s->next_tag;
}

static void on_deadline_closed(void *user)
{
    struct tg_session *s = checked(user);
    void (*closed)(void *user) = s->closed;
    void *closed_user = s->closed_user;
    free_session(s);
    if (closed)
        closed(closed_user);
}

void tg_session_close(struct tg_session *s, void (*closed)(void *user), void *user)
{
    bool online = s->state == TG_SESSION_ONLINE || s->state == TG_SESSION_RENEWING;
    s->closed = closed;
    s->closed_user = user;
    if (online && tg_mqtt_client_disconnect(&s->mqtt, tg_clock_mono_ms(), &s->set->out) == TG_OK)
        (void)tg_session_flush(s);
    drop_connection(s, online ? DISCONNECT_LINGER_MS : 0);
    tg_session_set_state(s, TG_SESSION_CLOSING);
    tg_feed_close(s->feed);
    tg_set_remove(s);
    tg_deadline_close(&s->deadline, on_deadline_closed);
}

void tg_session_stats(const struct tg_session *s, struct tg_session_stats *ret_stats)
{
    struct tg_stream_stats st;
    *ret_stats = s->stats;
    ret_stats->state = s->state;
    ret_stats->in_flight = (uint32_t)(s->next_tag - s->first_tag);
    ret_stats->pending = tg_feed_pending(s->feed);
    ret_stats->acked_seq = tg_feed_acked_seq(s->feed);
    ret_stats->online_since_ms = s->online_ms;
    ret_stats->retry_at_ms = s->state == TG_SESSION_WAITING ? s->retry_at_ms : 0;
    if (s->stream) {
        tg_stream_stats(s->stream, &st);
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
