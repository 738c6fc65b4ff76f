/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * metrics - what the gateway counts, as Prometheus reads it: text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure: a snapshot in, a text out. docs/metrics.md is the
 * manual of every family; a test compares the two.
 *
 *     gateway_metrics.c: fills the snapshot ─► tg_metrics_write() ─► http.c
 *
 * FAMILIES are rows of tables (metrics.c): name, type, help, labels, and which field of the snapshot they show. A family of
 * devices or sessions has one line for each of them; of a state only the present one has a line, with the value 1.
 * MEMORY   The text has at most TG_METRICS_MAX_BYTES (1,000 devices in one cloud take 1.7 MB, and 2.5 ms of the loop). When it does
 * not fit, the families of devices and sessions are left out as a whole, and tidegate_metrics_complete is 0.
 */
#ifndef TG_GATEWAY_METRICS_H
#define TG_GATEWAY_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "northbound/reach.h"

#define TG_METRICS_MAX_BYTES    (16 * 1024 * 1024)
#define TG_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define TG_METRICS_NONE         INT64_MIN /* no line for this value */

struct tg_metrics_gateway {
    const char *version;
    int64_t uptime_ms, resident_bytes, descriptors, build_us;
    uint64_t descriptors_missed, memory_missed, reloads_refused;
    bool notes_unsaved;
    uint64_t http_requests, uplink_changes, network_changes, clock_jumps, clock_waiting;
    const char *clock_state;                               /* where the time is from */
    int64_t network_up;                                    /* 1 or 0; NONE: not known */
    int64_t uplink_up, clock_offered, clock_difference_ms; /* 1 or 0; NONE: not known */
    bool complete;                                         /* set by tg_metrics_write() */
};

struct tg_metrics_outbox {
    uint32_t set_aside;
    bool stuck;
    const char *state;
    uint64_t rows, bytes, uncommitted, prefetched_bytes, accepted, rejected, commits;
    uint64_t kept_back;
    uint64_t dropped_limit, dropped_age, dropped_disk_full, dropped_quarantine, dropped_quota,
        dropped_removed, dropped_memory;
    uint64_t written_bytes, spared;
    int64_t lazy_window_ms; /* or NONE */
    int64_t oldest_age_ms /* or NONE */, worst_commit_us;
};

struct tg_metrics_cloud {
    const char *name;
    uint32_t sessions, online;
    uint64_t acked, latency_sum_ms;
    int64_t latency_p50_ms, latency_p99_ms, latency_max_ms;
    uint64_t sent_bytes, received_bytes, segments, messages, projected_month_bytes, month_bytes, day_bytes;
    uint64_t full_handshakes, resumed_handshakes, full_handshake_bytes, resumed_handshake_bytes;
    int64_t delay_ms, budget_bytes; /* or NONE: no budget */
    uint64_t connects, connects_last_hour, failures[TG_FAILURES], outages;
    int64_t out_ms, last_outage_ms, last_recovery_ms /* or NONE */, ping_every_ms /* or NONE */;
};

struct tg_metrics_source {
    const char *name, *plugin;
    bool open;
    uint64_t emitted, rejected;
    int64_t restarts, resident_bytes; /* of its process; TG_METRICS_NONE: it has none of its own */
};

struct tg_metrics_device {
    const char *id, *source;
    const char *state;
    bool ok;
    uint64_t accepted, filtered, rejected, last_seq;
    int64_t last_sample_ago_ms; /* or NONE */
};

/* A device at a cloud, or (device NULL) the connection that all devices of a cloud share: then only the fields of the
 * connection count. A session that shares one has is_shared, and these fields do not count for it. */
struct tg_metrics_session {
    const char *device, *cloud;
    bool is_shared;
    const char *state;
    bool online;
    uint64_t acked_ahead;
    uint64_t gap_samples;
    uint64_t pending, in_flight, acked_seq, acked_samples, published, resent, commands, body_bytes;
    uint64_t messages_today, blocks_today;
    /* of the connection */
    uint64_t connects, failures, bytes_in, bytes_out;
    int64_t certificate_days_left, certificate_ends_s, token_ends_s; /* or NONE */
};

struct tg_metrics {
    struct tg_metrics_gateway gateway;
    struct tg_metrics_outbox outbox;
    struct tg_metrics_cloud *clouds;
    struct tg_metrics_source *sources;
    struct tg_metrics_device *devices;
    struct tg_metrics_session *sessions;
    uint32_t cloud_count, source_count, device_count, session_count;
};

/* How much the text takes at most; TG_METRICS_MAX_BYTES is never exceeded. */
size_t tg_metrics_bound(const struct tg_metrics *m);
/* Writes all families. TG_ETOOBIG: not even those of gateway, outbox, clouds and sources fit. */
int tg_metrics_write(struct tg_metrics *m, struct tg_writer *out) TG_CHECKED;

/* One family after the other, for the manual's test: false when i is past the last. */
struct tg_metrics_family {
    const char *name, *type, *help;
    const char *labels; /* "device, cloud"; "" = none */
};
bool tg_metrics_family(size_t i, struct tg_metrics_family *ret_family);

#endif
