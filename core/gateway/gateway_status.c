/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gateway_status - the status object of `tidegate status --json` (docs/status.md names every field).
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/gateway/gateway_plan.h"
#include "core/gateway/gateway_private.h"
#include "northbound/identity.h"
#include "southbound/plugin_confine.h"

const char *tg_device_state_name(enum tg_device_state state)
{
    static const char *const names[] = {"unknown", "ok", "suspect", "down"};
    return names[state];
}

const char *tg_store_state_name(enum tg_store_state state)
{
    static const char *const names[] = {"ok", "full", "degraded"};
    return names[state];
}

int64_t tg_gateway_resident_bytes(void)
{
    long long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    if (fscanf(f, "%lld %lld", &pages, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}

static json_t *outbox_status(struct tg_gateway *g)
{
    struct tg_store_stats st;
    json_t *dropped = json_object();
    tg_store_stats(g->store, &st);
    for (int i = 0; dropped && i < TG_DROP_REASONS; i++)
        json_object_set_new(dropped, tg_drop_reason_name(i), json_integer((json_int_t)st.outbox.dropped[i]));
    json_t *j = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "state",
                          tg_store_state_name(st.state), "rows", (json_int_t)st.outbox.rows, "file_bytes",
                          (json_int_t)st.outbox.bytes_file + (json_int_t)st.outbox.bytes_wal, "uncommitted",
                          (json_int_t)st.uncommitted_rows, "accepted", (json_int_t)st.committed, "rejected",
                          (json_int_t)st.rejected, "commits", (json_int_t)st.commits, "worst_commit_us",
                          (json_int_t)st.worst_commit_us, "prefetched_bytes", (json_int_t)st.prefetched_bytes,
                          "oldest_ms", (json_int_t)st.outbox.oldest_time_ms, "dropped", dropped);
    if (!j)
        return NULL;
    json_object_set_new(j, "kept_back", json_integer((json_int_t)st.kept_back));
    json_object_set_new(j, "written_bytes", json_integer((json_int_t)st.outbox.written_bytes));
    if (st.committed > 0)
        json_object_set_new(j, "written_bytes_per_sample",
                            json_real((double)st.outbox.written_bytes / (double)st.committed));
    if (st.lazy_window_ms > 0) {
        json_object_set_new(j, "lazy_window_ms", json_integer(st.lazy_window_ms));
        json_object_set_new(j, "spared", json_integer((json_int_t)st.spared));
    }
    /* What a crash would lose now, at most. */
    json_object_set_new(j, "at_risk", json_integer((json_int_t)st.uncommitted_rows));
    if (st.state != TG_STORE_OK)
        json_object_set_new(j, "text", json_string(g->store_text));
    return j;
}

/* What the cloud will not get and has not acknowledged to know; absent when there is nothing. */
static void add_gap(json_t *j, const struct tg_gap *gap)
{
    json_t *reasons = json_array();
    if (!tg_gap_is(gap)) {
        json_decref(reasons);
        return;
    }
    for (unsigned i = 0; i < TG_GAP_REASONS; i++)
        if (gap->reasons & 1u << i)
            json_array_append_new(reasons, json_string(tg_gap_reason_name(i)));
    json_object_set_new(j, "gap",
                        json_pack("{s:I,s:I,s:I,s:o}", "first_seq", (json_int_t)gap->first_seq, "last_seq",
                                  (json_int_t)gap->last_seq, "count", (json_int_t)gap->count, "reasons",
                                  reasons));
}

/* What proves the device to the cloud, and until when. */
static void add_identity(json_t *j, const struct tg_session_stats *st)
{
    int64_t wall_ms = tg_clock_wall_ms();
    json_object_set_new(j, "identity", json_string(st->identity));
    json_object_set_new(j, "key_in_token", json_boolean(st->key_in_token));
    if (st->not_after_s) {
        json_object_set_new(j, "certificate_ends_s", json_integer(st->not_after_s));
        if (tg_clock_plausible(wall_ms))
            json_object_set_new(j, "certificate_days_left",
                                json_integer(tg_identity_days_left(st->not_after_s, wall_ms / 1000)));
    }
    if (st->credential_expires_s)
        json_object_set_new(j, "token_ends_s", json_integer(st->credential_expires_s));
}

static json_t *session_status(const struct tg_session *s, int64_t now)
{
    struct tg_session_stats st;
    json_t *j;
    tg_session_stats(s, &st);
    j = json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:I,s:I,s:I}", "name",
                  tg_session_cloud(s), "state", tg_session_state_name(st.state), "host", st.host, "shared",
                  st.shared, "pending", (json_int_t)st.pending, "in_flight", (json_int_t)st.in_flight,
                  "acked_seq", (json_int_t)st.acked_seq, "acked_samples", (json_int_t)st.acked_samples,
                  "published", (json_int_t)st.published, "resent", (json_int_t)st.resent, "connects",
                  (json_int_t)st.connects, "failures", (json_int_t)st.failures, "commands",
                  (json_int_t)st.commands, "bytes_out", (json_int_t)st.bytes_out, "bytes_in",
                  (json_int_t)st.bytes_in, "resumed", st.resumed, "body_bytes", (json_int_t)st.body_bytes,
                  "left_out", (json_int_t)st.left_out, "messages_today", (json_int_t)st.messages_today,
                  "blocks_today", (json_int_t)st.blocks_today);
    if (j && st.acked_ahead)
        json_object_set_new(j, "acked_ahead", json_integer((json_int_t)st.acked_ahead));
    if (j)
        add_gap(j, &st.gap);
    if (j)
        add_identity(j, &st);
    if (j && st.wait != TG_SESSION_WAITS_NOT)
        json_object_set_new(j, "waits_for", json_string(tg_session_wait_name(st.wait)));
    if (j && st.retry_at_ms)
        json_object_set_new(j, "retry_in_ms", json_integer(st.retry_at_ms > now ? st.retry_at_ms - now : 0));
    if (j && st.last_error[0])
        json_object_set_new(j, "last_error", json_string(st.last_error));
    if (j && st.notice_ms) {
        json_object_set_new(j, "notice", json_string(st.notice));
        json_object_set_new(j, "notice_ago_ms", json_integer(now - st.notice_ms));
    }
    return j;
}

static json_t *http_status(const struct tg_gateway *g)
{
    const char *trouble = tg_http_trouble(g->http);
    json_t *j = json_pack("{s:s,s:b}", "address", tg_http_address(g->http), "listening", !trouble[0]);
    if (j && trouble[0])
        json_object_set_new(j, "text", json_string(trouble));
    return j;
}

static json_t *device_status(const struct tg_running_device *rd, bool discovered, int64_t now)
{
    const struct tg_router_device *d = rd->device;
    json_t *clouds = json_array(), *j;
    for (uint32_t i = 0; i < rd->session_count; i++)
        json_array_append_new(clouds, session_status(rd->sessions[i], now));
    j = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:o}", "id", d->config->id, "source", rd->source, "state",
                  tg_device_state_name(d->state), "accepted", (json_int_t)d->accepted, "filtered",
                  (json_int_t)d->filtered, "rejected", (json_int_t)d->rejected, "last_seq",
                  (json_int_t)d->last_seq, "clouds", clouds);
    if (j && discovered)
        json_object_set_new(j, "discovered", json_true());
    if (j && d->state_text[0])
        json_object_set_new(j, "text", json_string(d->state_text));
    if (j && d->last_sample_ms)
        json_object_set_new(j, "last_sample_ago_ms", json_integer(now - d->last_sample_ms));
    return j;
}

static json_t *process_status(const struct tg_process_stats *p)
{
    json_t *j =
        json_pack("{s:I,s:I,s:I,s:{s:b,s:b,s:b,s:I}}", "pid", (json_int_t)p->pid, "restarts",
                  (json_int_t)p->restarts, "resident_bytes", (json_int_t)p->resident_bytes, "confined",
                  "capabilities", (p->confined & TG_CONFINED_CAPABILITIES) != 0, "system_calls",
                  (p->confined & TG_CONFINED_SECCOMP) != 0, "files",
                  (p->confined & TG_CONFINED_LANDLOCK) != 0, "landlock_abi", (json_int_t)p->landlock_abi);
    if (j && p->last_end && p->last_end[0])
        json_object_set_new(j, "last_end", json_string(p->last_end));
    return j;
}

static json_t *source_status(struct tg_running_source *rs)
{
    struct tg_source_stats st = {0};
    json_t *j, *discovery = tg_gateway_discovery_json(rs);
    if (rs->host)
        tg_source_host_stats(rs->host, &st);
    j = json_pack("{s:s,s:s,s:b,s:I,s:I,s:I}", "name", rs->config->name, "plugin", rs->config->plugin_name,
                  "open", rs->open, "emitted", (json_int_t)st.emitted, "rejected", (json_int_t)st.rejected,
                  "devices", (json_int_t)rs->config->device_count);
    if (j && st.process.isolated)
        json_object_set_new(j, "process", process_status(&st.process));
    if (j)
        json_object_set_new(j, "isolation", json_string(st.process.isolated ? "process" : "in-process"));
    if (j && !rs->open && rs->open_text[0])
        json_object_set_new(j, "text", json_string(rs->open_text));
    if (j && discovery)
        json_object_set(j, "discovery", discovery);
    json_decref(discovery);
    return j;
}

static void cloud_status(void *user, const struct tg_cloud_stats *c)
{
    json_t *j = json_pack("{s:s,s:I,s:I,s:I,s:{s:I,s:I,s:I}}", "name", c->name, "sessions",
                          (json_int_t)c->sessions, "online", (json_int_t)c->online, "acked_samples",
                          (json_int_t)c->acked, "ack_latency_ms", "p50", (json_int_t)c->latency_p50_ms, "p99",
                          (json_int_t)c->latency_p99_ms, "max", (json_int_t)c->latency_max_ms);
    if (j)
        json_object_set_new(j, "reach", tg_reach_json(c->reach, c->ping_every_ms));
    if (j)
        json_object_set_new(j, "wire", tg_wire_json(c, tg_clock_mono_ms()));
    json_array_append_new(user, j);
}

/* Sources are linked newest first; people expect the order of the file. */
static void append_in_order(struct tg_running_source *rs, json_t *sources, json_t *devices, int64_t now)
{
    if (!rs)
        return;
    append_in_order(rs->next, sources, devices, now);
    if (rs->closing)
        return;
    json_array_append_new(sources, source_status(rs));
    for (uint32_t d = 0; d < rs->config->device_count; d++)
        if (rs->devices[d])
            json_array_append_new(devices,
                                  device_status(rs->devices[d], rs->config->devices[d].discovered, now));
}

static json_t *plan_status(struct tg_gateway *g, int64_t now)
{
    struct tg_store_stats st;
    tg_store_stats(g->store, &st);
    return tg_plan_json(g->sessions, st.outbox.written_bytes, st.committed, now - g->started_ms, now);
}

char *tg_gateway_status_json(struct tg_gateway *g)
{
    int64_t now = tg_clock_mono_ms();
    json_t *sources = json_array(), *devices = json_array(), *clouds = json_array(), *j;
    char *text, *ours;
    append_in_order(g->sources, sources, devices, now);
    for (const struct tg_running_device *rd = g->strays; rd; rd = rd->next)
        json_array_append_new(devices, device_status(rd, rd->config->discovered, now));
    tg_session_set_each_cloud(g->sessions, cloud_status, clouds);
    j = json_pack("{s:{s:s,s:s,s:I,s:I,s:I,s:I},s:o,s:o,s:o,s:o}", "gateway", "name",
                  tg_settings_text(g->model->config->gateway, "name"), "version", TG_VERSION, "pid",
                  (json_int_t)getpid(), "uptime_ms", (json_int_t)(now - g->started_ms), "resident_bytes",
                  (json_int_t)tg_gateway_resident_bytes(), "first_accepted_boot_ms",
                  (json_int_t)g->first_accepted_ms, "outbox", outbox_status(g), "clouds", clouds, "sources",
                  sources, "devices", devices);
    if (j && g->http)
        json_object_set_new(json_object_get(j, "gateway"), "http", http_status(g));
    if (j)
        json_object_set_new(json_object_get(j, "gateway"), "clock", tg_gateway_clock_json(g));
    if (j)
        json_object_set_new(j, "plan", plan_status(g, now));
    if (j)
        json_object_set_new(json_object_get(j, "gateway"), "network", tg_network_json(&g->network));
    if (j && g->site.since_ms)
        json_object_set_new(json_object_get(j, "gateway"), "uplink", tg_gateway_uplink_json(g));
    text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    ours = text ? tg_strdup(text) : NULL;
    free(text);
    return ours;
}
