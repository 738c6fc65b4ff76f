/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gateway_metrics - the snapshot that metrics.c writes, taken in one go on the loop.
 */
#include <dirent.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/descriptors.h"
#include "core/gateway/gateway_private.h"
#include "core/gateway/metrics.h"
#include "northbound/identity.h"

static int64_t open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int64_t count = -3; /* ".", "..", and the one that looks */
    if (!dir)
        return TG_METRICS_NONE;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void take_outbox(struct tg_gateway *g, struct tg_metrics_outbox *o)
{
    struct tg_store_stats st;
    const uint64_t *dropped = st.outbox.dropped;
    tg_store_stats(g->store, &st);
    *o = (struct tg_metrics_outbox){
        .state = tg_store_state_name(st.state),
        .stuck = !tg_gateway_store_moves(g),
        .set_aside = st.set_aside,
        .rows = st.outbox.rows,
        .bytes = st.outbox.bytes_file + st.outbox.bytes_wal,
        .uncommitted = st.uncommitted_rows,
        .prefetched_bytes = st.prefetched_bytes,
        .accepted = st.committed,
        .rejected = st.rejected,
        .kept_back = st.kept_back,
        .commits = st.commits,
        .dropped_limit = dropped[TG_DROP_LIMIT],
        .dropped_age = dropped[TG_DROP_AGE],
        .dropped_disk_full = dropped[TG_DROP_DISK_FULL],
        .dropped_quarantine = dropped[TG_DROP_QUARANTINE],
        .dropped_quota = dropped[TG_DROP_QUOTA],
        .dropped_removed = dropped[TG_DROP_REMOVED],
        .dropped_memory = st.dropped_memory,
        .oldest_age_ms =
            st.outbox.oldest_time_ms ? tg_clock_wall_ms() - st.outbox.oldest_time_ms : TG_METRICS_NONE,
        .worst_commit_us = st.worst_commit_us,
        .written_bytes = st.outbox.written_bytes,
        .spared = st.spared,
        .lazy_window_ms = st.lazy_window_ms ? st.lazy_window_ms : TG_METRICS_NONE};
}

static void take_reach(struct tg_metrics_cloud *to, const struct tg_cloud_stats *c)
{
    const struct tg_reach *r = c->reach;
    int64_t now = tg_clock_mono_ms();
    to->connects += r->connects;
    to->connects_last_hour += tg_reach_connects_last_hour(r, now);
    for (int i = 0; i < TG_FAILURES; i++)
        to->failures[i] += r->failures[i];
    to->outages += r->outages;
    to->out_ms = tg_reach_out_ms(r, now);
    to->last_outage_ms = r->last_outage_ms;
    to->last_recovery_ms = r->last_recovery_ms < 0 ? TG_METRICS_NONE : r->last_recovery_ms;
    to->ping_every_ms = c->ping_every_ms ? c->ping_every_ms : TG_METRICS_NONE;
}

static void take_wire(struct tg_metrics_cloud *to, const struct tg_cloud_stats *c)
{
    const struct tg_wire_count *t = &c->wire->total;
    struct tg_wire_span hour = tg_wire_meter_hour(c->wire, tg_clock_mono_ms());
    to->sent_bytes += t->bytes_out;
    to->received_bytes += t->bytes_in;
    to->segments += t->segments;
    to->messages += t->messages;
    to->full_handshakes += t->full_handshakes;
    to->resumed_handshakes += t->resumed_handshakes;
    to->full_handshake_bytes += t->full_handshake_bytes;
    to->resumed_handshake_bytes += t->resumed_handshake_bytes;
    to->projected_month_bytes += tg_wire_project(hour.ip_bytes, hour.ms, TG_WIRE_MONTH_MS);
    to->day_bytes = c->wire->calendar.day_bytes;
    to->month_bytes = c->wire->calendar.month_bytes;
    to->delay_ms = c->delay ? c->delay->delay_ms : TG_METRICS_NONE;
    to->budget_bytes = c->delay ? (int64_t)c->month_budget_bytes : TG_METRICS_NONE;
}

/* While a reload replaces a cloud, the old and the new one are there under one name: their counts are one. */
static void take_cloud(void *user, const struct tg_cloud_stats *c)
{
    struct tg_metrics *m = user;
    struct tg_metrics_cloud *at = m->clouds;
    while (at < m->clouds + m->cloud_count && strcmp(at->name, c->name) != 0)
        at++;
    if (at == m->clouds + TG_SET_MAX_CLOUDS)
        return;
    if (at == m->clouds + m->cloud_count) {
        *at = (struct tg_metrics_cloud){.name = c->name};
        m->cloud_count++;
    }
    at->sessions += c->sessions;
    at->online += c->online;
    at->acked += c->acked;
    take_wire(at, c);
    at->latency_sum_ms += c->latency_sum_ms;
    at->latency_p50_ms = c->latency_p50_ms;
    at->latency_p99_ms = c->latency_p99_ms;
    if (c->latency_max_ms > at->latency_max_ms)
        at->latency_max_ms = c->latency_max_ms;
    take_reach(at, c);
}

static void take_connection(struct tg_metrics_session *to, const struct tg_session_stats *st)
{
    int64_t wall_ms = tg_clock_wall_ms();
    to->connects = st->connects;
    to->failures = st->failures;
    to->bytes_in = st->bytes_in;
    to->bytes_out = st->bytes_out;
    to->certificate_ends_s = st->not_after_s ? st->not_after_s : TG_METRICS_NONE;
    to->certificate_days_left = st->not_after_s && tg_clock_plausible(wall_ms)
                                    ? tg_identity_days_left(st->not_after_s, wall_ms / 1000)
                                    : TG_METRICS_NONE;
    to->token_ends_s = st->credential_expires_s ? st->credential_expires_s : TG_METRICS_NONE;
}

static void take_session(struct tg_metrics *m, const char *device, const struct tg_session *s)
{
    struct tg_metrics_session *to = &m->sessions[m->session_count++];
    struct tg_session_stats st;
    tg_session_stats(s, &st);
    *to = (struct tg_metrics_session){.device = device,
                                      .cloud = tg_session_cloud(s),
                                      .is_shared = st.shared,
                                      .state = tg_session_state_name(st.state),
                                      .online = st.state == TG_SESSION_ONLINE,
                                      .pending = st.pending,
                                      .gap_samples = st.gap.count,
                                      .in_flight = st.in_flight,
                                      .acked_seq = st.acked_seq,
                                      .acked_ahead = st.acked_ahead,
                                      .acked_samples = st.acked_samples,
                                      .published = st.published,
                                      .resent = st.resent,
                                      .commands = st.commands,
                                      .body_bytes = st.body_bytes,
                                      .messages_today = st.messages_today,
                                      .blocks_today = st.blocks_today};
    take_connection(to, &st);
}

/* The connection that all devices of a cloud share has its counts once, without a device. */
static void add_shared(struct tg_metrics *m)
{
    uint32_t sessions = m->session_count;
    for (uint32_t i = 0; i < sessions; i++) {
        struct tg_metrics_session *s = &m->sessions[i], *at = &m->sessions[sessions];
        if (!s->is_shared)
            continue;
        while (at < &m->sessions[m->session_count] && strcmp(at->cloud, s->cloud) != 0)
            at++;
        if (at < &m->sessions[m->session_count] || m->session_count - sessions == TG_SET_MAX_CLOUDS)
            continue;
        *at = *s;
        at->device = NULL;
        at->is_shared = false;
        m->session_count++;
    }
}

static void take_device(struct tg_metrics *m, const struct tg_running_device *rd, int64_t now)
{
    const struct tg_router_device *d = rd->device;
    m->devices[m->device_count++] = (struct tg_metrics_device){
        .id = d->config->id,
        .source = rd->source,
        .state = tg_device_state_name(d->state),
        .ok = d->state == TG_DEVICE_OK,
        .accepted = d->accepted,
        .filtered = d->filtered,
        .rejected = d->rejected,
        .last_seq = d->last_seq,
        .last_sample_ago_ms = d->last_sample_ms ? now - d->last_sample_ms : TG_METRICS_NONE};
    for (uint32_t i = 0; i < rd->session_count; i++)
        take_session(m, d->config->id, rd->sessions[i]);
}

static void take_source(struct tg_metrics *m, const struct tg_running_source *rs, int64_t now)
{
    struct tg_source_stats st = {0};
    if (rs->host)
        tg_source_host_stats(rs->host, &st);
    const bool isolated = st.process.isolated;
    m->sources[m->source_count++] =
        (struct tg_metrics_source){.name = rs->config->name,
                                   .plugin = rs->config->plugin_name,
                                   .open = rs->open,
                                   .emitted = st.emitted,
                                   .rejected = st.rejected,
                                   .restarts = isolated ? (int64_t)st.process.restarts : TG_METRICS_NONE,
                                   .resident_bytes = isolated ? st.process.resident_bytes : TG_METRICS_NONE};
    for (uint32_t d = 0; d < rs->config->device_count; d++)
        if (rs->devices[d])
            take_device(m, rs->devices[d], now);
}

static int make_room(const struct tg_gateway *g, struct tg_metrics *m)
{
    uint32_t sources = 0, devices = tg_router_device_count(g->router),
             sessions = tg_session_set_count(g->sessions);
    for (const struct tg_running_source *rs = g->sources; rs; rs = rs->next)
        sources++;
    m->clouds = tg_calloc(TG_SET_MAX_CLOUDS, sizeof *m->clouds);
    m->sources = tg_calloc(sources + 1, sizeof *m->sources);
    m->devices = tg_calloc(devices + 1, sizeof *m->devices);
    m->sessions = tg_calloc(sessions + TG_SET_MAX_CLOUDS, sizeof *m->sessions);
    return m->clouds && m->sources && m->devices && m->sessions ? TG_OK : TG_ENOMEM;
}

static void take(struct tg_gateway *g, struct tg_metrics *m)
{
    int64_t now = tg_clock_mono_ms();
    struct tg_store_stats st;
    tg_store_stats(g->store, &st);
    m->gateway = (struct tg_metrics_gateway){
        .version = TG_VERSION,
        .uptime_ms = now - g->started_ms,
        .resident_bytes = tg_gateway_resident_bytes(),
        .descriptors = open_descriptors(),
        .descriptors_missed = tg_descriptors_missed_count(),
        .memory_missed = tg_alloc_stats().failed,
        .reloads_refused = g->reloads_refused,
        .notes_unsaved = g->notes && tg_notes_unsaved(g->notes),
        .build_us = g->metrics_us,
        .http_requests = g->http ? tg_http_requests(g->http) : 0,
        .network_up =
            g->network.state == TG_NETWORK_UNKNOWN ? TG_METRICS_NONE : g->network.state == TG_NETWORK_UP,
        .network_changes = g->network.changes,
        .uplink_changes = g->site.changes,
        .uplink_up = g->site.uplink == TG_UPLINK_UNKNOWN ? TG_METRICS_NONE : g->site.uplink == TG_UPLINK_UP,
        .clock_state = tg_clock_source_name(tg_clock_source()),
        .clock_jumps = g->clock.jumps,
        .clock_waiting = st.waiting_rows,
        .clock_offered = tg_clock_source() == TG_CLOCK_OFFERED,
        .clock_difference_ms = g->site.has_difference ? g->site.difference_ms : TG_METRICS_NONE};
    take_outbox(g, &m->outbox);
    tg_session_set_each_cloud(g->sessions, take_cloud, m);
    for (const struct tg_running_source *rs = g->sources; rs; rs = rs->next)
        if (!rs->closing)
            take_source(m, rs, now);
    for (const struct tg_running_device *rd = g->strays; rd; rd = rd->next)
        take_device(m, rd, now);
    add_shared(m);
}

static int write_text(struct tg_metrics *m, char **ret_text, size_t *ret_len)
{
    size_t bound = tg_metrics_bound(m);
    char *text = tg_malloc(bound); /* pages that stay unwritten cost nothing */
    struct tg_writer w;
    int rc;
    if (!text)
        return TG_ENOMEM;
    w = tg_writer_init(text, bound);
    rc = tg_metrics_write(m, &w);
    if (rc < 0) {
        tg_free(text);
        return rc;
    }
    *ret_text = text;
    *ret_len = w.len;
    return TG_OK;
}

int tg_gateway_metrics_text(struct tg_gateway *g, char **ret_text, size_t *ret_len)
{
    int64_t begin_us = tg_clock_mono_us();
    struct tg_metrics m = {0};
    int rc = make_room(g, &m);
    if (rc == TG_OK) {
        take(g, &m);
        rc = write_text(&m, ret_text, ret_len);
    }
    tg_free(m.clouds);
    tg_free(m.sources);
    tg_free(m.devices);
    tg_free(m.sessions);
    g->metrics_us = tg_clock_mono_us() - begin_us;
    return rc;
}
