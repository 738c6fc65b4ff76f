/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/metrics.h"

#include <stddef.h>

enum kind { U32, U64, I64, MS, US, BOOL, TEXT /* the value of the label `text_label`; the line's is 1 */ };

struct row {
    const char *name, *type, *help;
    const char *suffix; /* of this line's name; NULL = none */
    const char *extra;  /* a further label, NULL = none */
    const char *text_label;
    size_t offset;
    enum kind kind;
    bool of_connection;
};

struct scope {
    const struct row *rows;
    size_t row_count, size; /* size: of one item */
    const char *labels;
};

#define FIELD(type, name) offsetof(struct tg_metrics_##type, name)
#define COUNT(a)          (sizeof(a) / sizeof(a)[0])

static const struct row gateway_rows[] = {
    {"tidegate_build_info", "gauge", "The version, as a label; always 1.", .text_label = "version",
     .offset = FIELD(gateway, version), .kind = TEXT},
    {"tidegate_uptime_seconds", "gauge", "Since the gateway started.", .offset = FIELD(gateway, uptime_ms),
     .kind = MS},
    {"tidegate_resident_memory_bytes", "gauge", "Memory that the process has resident.",
     .offset = FIELD(gateway, resident_bytes), .kind = I64},
    {"tidegate_open_descriptors", "gauge", "File descriptors that are open.",
     .offset = FIELD(gateway, descriptors), .kind = I64},
    {"tidegate_descriptors_missed_total", "counter",
     "How often one was wanted and the limit of the process or the system left none.",
     .offset = FIELD(gateway, descriptors_missed), .kind = U64},
    {"tidegate_memory_missed_total", "counter", "How often there was no memory for what was wanted.",
     .offset = FIELD(gateway, memory_missed), .kind = U64},
    {"tidegate_reloads_refused_total", "counter",
     "Reloads that changed nothing, because the file had errors or there was no memory.",
     .offset = FIELD(gateway, reloads_refused), .kind = U64},
    {"tidegate_notes_unsaved", "gauge",
     "1 while assigned addresses, last commands and desired properties are in memory only.",
     .offset = FIELD(gateway, notes_unsaved), .kind = BOOL},
    {"tidegate_http_requests_total", "counter", "Requests that the local HTTP endpoint has answered.",
     .offset = FIELD(gateway, http_requests), .kind = U64},
    {"tidegate_network_up", "gauge",
     "Whether the kernel has a route to where sessions connect: 1 to at least one, 0 to none.",
     .offset = FIELD(gateway, network_up), .kind = I64},
    {"tidegate_network_changes_total", "counter", "How often that has changed.",
     .offset = FIELD(gateway, network_changes), .kind = U64},
    {"tidegate_uplink_up", "gauge", "What a modem says of the site's way to the network: 1 up, 0 down.",
     .offset = FIELD(gateway, uplink_up), .kind = I64},
    {"tidegate_uplink_changes_total", "counter", "How often that has changed.",
     .offset = FIELD(gateway, uplink_changes), .kind = U64},
    {"tidegate_clock_state", "gauge",
     "1 for where the time is from: system, offered (by a device), held (the system's is not valid any more) "
     "or "
     "none.",
     .text_label = "state", .offset = FIELD(gateway, clock_state), .kind = TEXT},
    {"tidegate_clock_jumps_total", "counter", "How often the wall clock was set while the gateway ran.",
     .offset = FIELD(gateway, clock_jumps), .kind = U64},
    {"tidegate_clock_waiting_samples", "gauge",
     "Samples that wait for a valid time, taken before the clock was set.",
     .offset = FIELD(gateway, clock_waiting), .kind = U64},
    {"tidegate_clock_offered", "gauge",
     "1 while the time is the one that a device offered, for the system has none.",
     .offset = FIELD(gateway, clock_offered), .kind = I64},
    {"tidegate_clock_difference_seconds", "gauge",
     "The system's time less the one that a device last offered.",
     .offset = FIELD(gateway, clock_difference_ms), .kind = MS},
    {"tidegate_metrics_build_seconds", "gauge",
     "What the previous text of this page took of the loop's time.", .offset = FIELD(gateway, build_us),
     .kind = US},
    {"tidegate_metrics_complete", "gauge",
     "0: the families of devices and sessions did not fit and are left out.",
     .offset = FIELD(gateway, complete), .kind = BOOL},
};

#define DROPPED                                                                                              \
    "tidegate_outbox_dropped_samples_total", "counter", "Samples evicted before a cloud had them, for ever."
static const struct row outbox_rows[] = {
    {"tidegate_outbox_state", "gauge", "1 for the present state: ok, full or degraded.",
     .text_label = "state", .offset = FIELD(outbox, state), .kind = TEXT},
    {"tidegate_outbox_set_aside_total", "counter", "Damaged databases that were set aside since the start.",
     .offset = FIELD(outbox, set_aside), .kind = U32},
    {"tidegate_outbox_stuck", "gauge", "1 while samples wait and none was committed for a minute.",
     .offset = FIELD(outbox, stuck), .kind = BOOL},
    {"tidegate_outbox_samples", "gauge", "Samples on disk.", .offset = FIELD(outbox, rows), .kind = U64},
    {"tidegate_outbox_bytes", "gauge", "Size on disk with the write-ahead log.",
     .offset = FIELD(outbox, bytes), .kind = U64},
    {"tidegate_outbox_oldest_age_seconds", "gauge", "Age of the oldest sample on disk.",
     .offset = FIELD(outbox, oldest_age_ms), .kind = MS},
    {"tidegate_outbox_uncommitted_samples", "gauge",
     "Samples in memory that are not stored: what a crash would lose.", .offset = FIELD(outbox, uncommitted),
     .kind = U64},
    {"tidegate_outbox_prefetched_bytes", "gauge", "Memory that holds samples read back from the log.",
     .offset = FIELD(outbox, prefetched_bytes), .kind = U64},
    {"tidegate_outbox_accepted_samples_total", "counter", "Samples committed.",
     .offset = FIELD(outbox, accepted), .kind = U64},
    {"tidegate_outbox_rejected_samples_total", "counter",
     "Samples refused because the queue to the disk was full.", .offset = FIELD(outbox, rejected),
     .kind = U64},
    {"tidegate_outbox_kept_back_samples_total", "counter",
     "Samples that were to go ahead of a backlog and went in order, because too many runs were ahead "
     "already.",
     .offset = FIELD(outbox, kept_back), .kind = U64},
    {"tidegate_outbox_commits_total", "counter", "Transactions.", .offset = FIELD(outbox, commits),
     .kind = U64},
    {"tidegate_outbox_worst_commit_seconds", "gauge", "The slowest transaction.",
     .offset = FIELD(outbox, worst_commit_us), .kind = US},
    {"tidegate_outbox_written_bytes_total", "counter",
     "Bytes given to the disk: write-ahead log, pages, marks; not what the file system adds.",
     .offset = FIELD(outbox, written_bytes), .kind = U64},
    {"tidegate_outbox_spared_samples_total", "counter",
     "Samples that every cloud had acknowledged before they were due to be written (durability lazy).",
     .offset = FIELD(outbox, spared), .kind = U64},
    {"tidegate_outbox_lazy_window_seconds", "gauge",
     "How long a sample may wait in memory before it is written (durability lazy).",
     .offset = FIELD(outbox, lazy_window_ms), .kind = MS},
    {DROPPED, .extra = "reason=\"limit\"", .offset = FIELD(outbox, dropped_limit), .kind = U64},
    {DROPPED, .extra = "reason=\"age\"", .offset = FIELD(outbox, dropped_age), .kind = U64},
    {DROPPED, .extra = "reason=\"disk_full\"", .offset = FIELD(outbox, dropped_disk_full), .kind = U64},
    {DROPPED, .extra = "reason=\"quarantine\"", .offset = FIELD(outbox, dropped_quarantine), .kind = U64},
    {DROPPED, .extra = "reason=\"quota\"", .offset = FIELD(outbox, dropped_quota), .kind = U64},
    {DROPPED, .extra = "reason=\"removed\"", .offset = FIELD(outbox, dropped_removed), .kind = U64},
    {DROPPED, .extra = "reason=\"memory\"", .offset = FIELD(outbox, dropped_memory), .kind = U64},
};

#define LATENCY                                                                                              \
    "tidegate_cloud_ack_latency_seconds", "summary",                                                         \
        "From a sample's moment to its acknowledgement, since the start."
#define FAILED                                                                                               \
    "tidegate_cloud_failures_total", "counter",                                                              \
        "Connections lost or not made, and pauses that the cloud asked for, by what failed."
#define WIRE                                                                                                 \
    "tidegate_cloud_wire_bytes_total", "counter",                                                            \
        "Bytes of TCP on the wire, with TLS, MQTT, handshakes and pings."
#define SHAKES "tidegate_cloud_tls_handshakes_total", "counter", "TLS handshakes that were done."
#define SHAKEN "tidegate_cloud_tls_handshake_bytes_total", "counter", "What they took, both directions."
static const struct row cloud_rows[] = {
    {"tidegate_cloud_sessions", "gauge", "Devices that have a session at the cloud.",
     .offset = FIELD(cloud, sessions), .kind = U32},
    {"tidegate_cloud_sessions_online", "gauge", "Of these, online.", .offset = FIELD(cloud, online),
     .kind = U32},
    {"tidegate_cloud_acked_samples_total", "counter", "Samples that the cloud has acknowledged.",
     .offset = FIELD(cloud, acked), .kind = U64},
    {LATENCY, .extra = "quantile=\"0.5\"", .offset = FIELD(cloud, latency_p50_ms), .kind = MS},
    {LATENCY, .extra = "quantile=\"0.99\"", .offset = FIELD(cloud, latency_p99_ms), .kind = MS},
    {LATENCY, .suffix = "_sum", .offset = FIELD(cloud, latency_sum_ms), .kind = MS},
    {LATENCY, .suffix = "_count", .offset = FIELD(cloud, acked), .kind = U64},
    {"tidegate_cloud_ack_latency_max_seconds", "gauge", "The longest of these.",
     .offset = FIELD(cloud, latency_max_ms), .kind = MS},
    {WIRE, .extra = "direction=\"sent\"", .offset = FIELD(cloud, sent_bytes), .kind = U64},
    {WIRE, .extra = "direction=\"received\"", .offset = FIELD(cloud, received_bytes), .kind = U64},
    {"tidegate_cloud_tcp_segments_total", "counter",
     "TCP segments sent and received, by the kernel's count; each costs some 52 bytes of headers.",
     .offset = FIELD(cloud, segments), .kind = U64},
    {"tidegate_cloud_acked_messages_total", "counter", "Messages that the cloud has acknowledged.",
     .offset = FIELD(cloud, messages), .kind = U64},
    {SHAKES, .extra = "kind=\"full\"", .offset = FIELD(cloud, full_handshakes), .kind = U64},
    {SHAKES, .extra = "kind=\"resumed\"", .offset = FIELD(cloud, resumed_handshakes), .kind = U64},
    {SHAKEN, .extra = "kind=\"full\"", .offset = FIELD(cloud, full_handshake_bytes), .kind = U64},
    {SHAKEN, .extra = "kind=\"resumed\"", .offset = FIELD(cloud, resumed_handshake_bytes), .kind = U64},
    {"tidegate_cloud_day_bytes", "gauge", "What the day (UTC) has cost so far, TCP/IP headers included.",
     .offset = FIELD(cloud, day_bytes), .kind = U64},
    {"tidegate_cloud_month_bytes", "gauge", "What the month (UTC) has cost so far, restarts included.",
     .offset = FIELD(cloud, month_bytes), .kind = U64},
    {"tidegate_cloud_projected_month_bytes", "gauge", "What 30 days cost at the rate of the last hour.",
     .offset = FIELD(cloud, projected_month_bytes), .kind = U64},
    {"tidegate_cloud_month_budget_bytes", "gauge", "batch.month_budget; absent without one.",
     .offset = FIELD(cloud, budget_bytes), .kind = I64},
    {"tidegate_cloud_batch_delay_seconds", "gauge",
     "How long messages wait for more samples, so that the budget is kept; absent without one.",
     .offset = FIELD(cloud, delay_ms), .kind = MS},
    {"tidegate_cloud_connects_total", "counter", "Logins that went through.",
     .offset = FIELD(cloud, connects), .kind = U64},
    {"tidegate_cloud_connects_last_hour", "gauge", "Of these, in the last 60 minutes.",
     .offset = FIELD(cloud, connects_last_hour), .kind = U64},
    {FAILED, .extra = "kind=\"dns\"", .offset = FIELD(cloud, failures[TG_FAILURE_DNS]), .kind = U64},
    {FAILED, .extra = "kind=\"tcp\"", .offset = FIELD(cloud, failures[TG_FAILURE_TCP]), .kind = U64},
    {FAILED, .extra = "kind=\"tls\"", .offset = FIELD(cloud, failures[TG_FAILURE_TLS]), .kind = U64},
    {FAILED, .extra = "kind=\"login\"", .offset = FIELD(cloud, failures[TG_FAILURE_LOGIN]), .kind = U64},
    {FAILED, .extra = "kind=\"throttled\"", .offset = FIELD(cloud, failures[TG_FAILURE_THROTTLED]),
     .kind = U64},
    {FAILED, .extra = "kind=\"closed\"", .offset = FIELD(cloud, failures[TG_FAILURE_CLOSED]), .kind = U64},
    {FAILED, .extra = "kind=\"silent\"", .offset = FIELD(cloud, failures[TG_FAILURE_SILENT]), .kind = U64},
    {FAILED, .extra = "kind=\"local\"", .offset = FIELD(cloud, failures[TG_FAILURE_LOCAL]), .kind = U64},
    {"tidegate_cloud_outages_total", "counter", "How often no connection to the cloud stood.",
     .offset = FIELD(cloud, outages), .kind = U64},
    {"tidegate_cloud_outage_seconds", "gauge", "How long none has stood by now; 0 while one does.",
     .offset = FIELD(cloud, out_ms), .kind = MS},
    {"tidegate_cloud_last_outage_seconds", "gauge", "How long the last outage took that is over.",
     .offset = FIELD(cloud, last_outage_ms), .kind = MS},
    {"tidegate_cloud_last_recovery_seconds", "gauge",
     "From the way out being back to the first login after it; absent before the first time.",
     .offset = FIELD(cloud, last_recovery_ms), .kind = MS},
    {"tidegate_cloud_ping_interval_seconds", "gauge",
     "The silence after which sessions ping, where the path bears less than the keepalive; else absent.",
     .offset = FIELD(cloud, ping_every_ms), .kind = MS},
};

static const struct row source_rows[] = {
    {"tidegate_source_open", "gauge", "1 while the source is open.", .offset = FIELD(source, open),
     .kind = BOOL},
    {"tidegate_source_emitted_samples_total", "counter", "Samples taken from the plugin.",
     .offset = FIELD(source, emitted), .kind = U64},
    {"tidegate_source_rejected_samples_total", "counter", "Samples refused because the queue was full.",
     .offset = FIELD(source, rejected), .kind = U64},
    {"tidegate_source_restarts_total", "counter",
     "Starts of its process after a crash, an end or a kill (isolation: process).",
     .offset = FIELD(source, restarts), .kind = I64},
    {"tidegate_source_resident_memory_bytes", "gauge", "Memory of its process in RAM (isolation: process).",
     .offset = FIELD(source, resident_bytes), .kind = I64},
};

static const struct row device_rows[] = {
    {"tidegate_device_state", "gauge", "1 for the present state: unknown, ok, suspect or down.",
     .text_label = "state", .offset = FIELD(device, state), .kind = TEXT},
    {"tidegate_device_ok", "gauge", "1 while the device answers.", .offset = FIELD(device, ok), .kind = BOOL},
    {"tidegate_device_accepted_samples_total", "counter", "Samples numbered and given to the outbox.",
     .offset = FIELD(device, accepted), .kind = U64},
    {"tidegate_device_filtered_samples_total", "counter", "Samples held back by deadband or interval.",
     .offset = FIELD(device, filtered), .kind = U64},
    {"tidegate_device_rejected_samples_total", "counter", "Samples larger than 64 KiB, left out.",
     .offset = FIELD(device, rejected), .kind = U64},
    {"tidegate_device_last_seq", "gauge", "The highest number given, for ever.",
     .offset = FIELD(device, last_seq), .kind = U64},
    {"tidegate_device_last_sample_age_seconds", "gauge", "Age of the newest sample; absent before the first.",
     .offset = FIELD(device, last_sample_ago_ms), .kind = MS},
};

static const struct row session_rows[] = {
    {"tidegate_session_state", "gauge", "1 for the present state; the names are those of `tidegate status`.",
     .text_label = "state", .offset = FIELD(session, state), .kind = TEXT},
    {"tidegate_session_online", "gauge", "1 while the device is online at the cloud.",
     .offset = FIELD(session, online), .kind = BOOL},
    {"tidegate_session_pending_samples", "gauge", "Samples that the cloud has not acknowledged.",
     .offset = FIELD(session, pending), .kind = U64},
    {"tidegate_session_gap_samples", "gauge",
     "Samples that the cloud will not get and has not acknowledged to know (it is told by a gap record).",
     .offset = FIELD(session, gap_samples), .kind = U64},
    {"tidegate_session_in_flight_messages", "gauge", "Messages on their way.",
     .offset = FIELD(session, in_flight), .kind = U64},
    {"tidegate_session_acked_seq", "gauge", "Everything up to this number is acknowledged.",
     .offset = FIELD(session, acked_seq), .kind = U64},
    {"tidegate_session_acked_ahead_samples", "gauge",
     "Samples above that number that are acknowledged: they went ahead of a backlog.",
     .offset = FIELD(session, acked_ahead), .kind = U64},
    {"tidegate_session_acked_samples_total", "counter", "Samples acknowledged.",
     .offset = FIELD(session, acked_samples), .kind = U64},
    {"tidegate_session_published_messages_total", "counter", "Messages sent for the first time.",
     .offset = FIELD(session, published), .kind = U64},
    {"tidegate_session_resent_messages_total", "counter", "Messages sent again after a broken connection.",
     .offset = FIELD(session, resent), .kind = U64},
    {"tidegate_session_commands_total", "counter", "Commands received.", .offset = FIELD(session, commands),
     .kind = U64},
    {"tidegate_session_body_bytes_total", "counter", "Bodies of the messages sent.",
     .offset = FIELD(session, body_bytes), .kind = U64},
    {"tidegate_session_messages_today", "gauge", "Messages sent since midnight UTC.",
     .offset = FIELD(session, messages_today), .kind = U64},
    {"tidegate_session_blocks_today", "gauge", "Blocks of 4 KiB that they count as.",
     .offset = FIELD(session, blocks_today), .kind = U64},
    {"tidegate_session_connects_total", "counter", "Connections made.", .offset = FIELD(session, connects),
     .kind = U64, .of_connection = true},
    {"tidegate_session_failures_total", "counter", "Connections lost or not made.",
     .offset = FIELD(session, failures), .kind = U64, .of_connection = true},
    {"tidegate_session_received_bytes_total", "counter", "Bytes on the wire from the cloud, TLS included.",
     .offset = FIELD(session, bytes_in), .kind = U64, .of_connection = true},
    {"tidegate_session_sent_bytes_total", "counter", "Bytes on the wire to the cloud, TLS included.",
     .offset = FIELD(session, bytes_out), .kind = U64, .of_connection = true},
    {"tidegate_session_certificate_days_left", "gauge",
     "Whole days until its certificate ends, negative once it has ended.",
     .offset = FIELD(session, certificate_days_left), .kind = I64, .of_connection = true},
    {"tidegate_session_certificate_expiry_timestamp_seconds", "gauge",
     "When its certificate ends, Unix time.", .offset = FIELD(session, certificate_ends_s), .kind = I64,
     .of_connection = true},
    {"tidegate_session_token_expiry_timestamp_seconds", "gauge",
     "When the token of the connection ends, Unix time.", .offset = FIELD(session, token_ends_s), .kind = I64,
     .of_connection = true},
};

enum { GATEWAY, OUTBOX, CLOUD, SOURCE, DEVICE, SESSION, SCOPES };

static const struct scope scopes[SCOPES] = {
    [GATEWAY] = {gateway_rows, COUNT(gateway_rows), sizeof(struct tg_metrics_gateway), ""},
    [OUTBOX] = {outbox_rows, COUNT(outbox_rows), sizeof(struct tg_metrics_outbox), ""},
    [CLOUD] = {cloud_rows, COUNT(cloud_rows), sizeof(struct tg_metrics_cloud), "cloud"},
    [SOURCE] = {source_rows, COUNT(source_rows), sizeof(struct tg_metrics_source), "source, plugin"},
    [DEVICE] = {device_rows, COUNT(device_rows), sizeof(struct tg_metrics_device), "device, source"},
    [SESSION] = {session_rows, COUNT(session_rows), sizeof(struct tg_metrics_session), "device, cloud"},
};

/* --- one line ------------------------------------------------------------------------------------------ */

struct line {
    struct tg_writer *out;
    bool open; /* a label was written */
};

/* Label values: backslash, quote and line feed are escaped. */
static void write_label(struct line *l, const char *name, const char *value)
{
    struct tg_writer *w = l->out;
    tg_write_u8(w, l->open ? ',' : '{');
    l->open = true;
    tg_write_str(w, name);
    tg_write_str(w, "=\"");
    for (;;) {
        size_t n = strcspn(value, "\\\"\n");
        tg_write_bytes(w, tg_bytes(value, n));
        value += n;
        if (!*value)
            break;
        tg_write_u8(w, '\\');
        tg_write_u8(w, *value == '\n' ? 'n' : (uint8_t)*value);
        value++;
    }
    tg_write_u8(w, '"');
}

static void write_labels(struct line *l, size_t scope, const void *item)
{
    const struct tg_metrics_cloud *c = item;
    const struct tg_metrics_source *s = item;
    const struct tg_metrics_device *d = item;
    const struct tg_metrics_session *x = item;
    switch (scope) {
    case CLOUD:
        write_label(l, "cloud", c->name);
        break;
    case SOURCE:
        write_label(l, "source", s->name);
        write_label(l, "plugin", s->plugin);
        break;
    case DEVICE:
        write_label(l, "device", d->id);
        write_label(l, "source", d->source);
        break;
    case SESSION:
        if (x->device)
            write_label(l, "device", x->device);
        write_label(l, "cloud", x->cloud);
        break;
    default:
        break;
    }
}

/* A decimal fraction with so many digits behind the point. */
static void write_fraction(struct tg_writer *w, int64_t value, int64_t unit)
{
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value, part = size % (uint64_t)unit;
    if (value < 0)
        tg_write_u8(w, '-');
    tg_write_u64_dec(w, size / (uint64_t)unit);
    tg_write_u8(w, '.');
    for (uint64_t digit = (uint64_t)unit / 10; digit > 0; digit /= 10)
        tg_write_u8(w, (uint8_t)('0' + part / digit % 10));
}

static int64_t signed_at(const struct row *r, const void *item)
{
    int64_t value;
    memcpy(&value, (const uint8_t *)item + r->offset, sizeof value);
    return value;
}

static void write_value(struct tg_writer *w, const struct row *r, const void *item)
{
    const uint8_t *at = (const uint8_t *)item + r->offset;
    uint32_t small;
    switch (r->kind) {
    case U32:
        memcpy(&small, at, sizeof small);
        tg_write_u64_dec(w, small);
        break;
    case U64:
        tg_write_u64_dec(w, (uint64_t)signed_at(r, item));
        break;
    case I64:
        tg_write_i64_dec(w, signed_at(r, item));
        break;
    case MS:
        write_fraction(w, signed_at(r, item), 1000);
        break;
    case US:
        write_fraction(w, signed_at(r, item), 1000000);
        break;
    case BOOL:
        tg_write_u8(w, *(const bool *)at ? '1' : '0');
        break;
    case TEXT:
        tg_write_u8(w, '1');
        break;
    }
}

static bool has_line(size_t scope, const struct row *r, const void *item)
{
    const struct tg_metrics_session *s = item;
    if (scope == SESSION && (r->of_connection ? s->is_shared : !s->device))
        return false;
    return (r->kind != I64 && r->kind != MS) || signed_at(r, item) != TG_METRICS_NONE;
}

static void write_line(struct tg_writer *w, size_t scope, const struct row *r, const void *item)
{
    struct line l = {w, false};
    const char *text;
    tg_write_str(w, r->name);
    if (r->suffix)
        tg_write_str(w, r->suffix);
    write_labels(&l, scope, item);
    if (r->kind == TEXT) {
        memcpy(&text, (const uint8_t *)item + r->offset, sizeof text);
        write_label(&l, r->text_label, text);
    } else if (r->extra) {
        tg_write_u8(w, l.open ? ',' : '{');
        tg_write_str(w, r->extra);
        l.open = true;
    }
    tg_write_str(w, l.open ? "} " : " ");
    write_value(w, r, item);
    tg_write_u8(w, '\n');
}

/* --- all of them ----------------------------------------------------------------------------------------- */

static const void *items_of(const struct tg_metrics *m, size_t scope, uint32_t *ret_count)
{
    *ret_count = 1;
    switch (scope) {
    case GATEWAY:
        return &m->gateway;
    case OUTBOX:
        return &m->outbox;
    case CLOUD:
        *ret_count = m->cloud_count;
        return m->clouds;
    case SOURCE:
        *ret_count = m->source_count;
        return m->sources;
    case DEVICE:
        *ret_count = m->device_count;
        return m->devices;
    default:
        *ret_count = m->session_count;
        return m->sessions;
    }
}

static size_t family_end(const struct scope *s, size_t row)
{
    size_t end = row + 1;
    while (end < s->row_count && strcmp(s->rows[end].name, s->rows[row].name) == 0)
        end++;
    return end;
}

/* All lines of a family stand together. */
static void write_scope(const struct tg_metrics *m, size_t scope, struct tg_writer *w)
{
    const struct scope *s = &scopes[scope];
    uint32_t count;
    const uint8_t *items = items_of(m, scope, &count);
    for (size_t begin = 0, end; begin < s->row_count && !w->failed; begin = end) {
        const struct row *family = &s->rows[begin];
        end = family_end(s, begin);
        if (count == 0)
            continue;
        tg_write_fmt(w, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                     family->type);
        for (uint32_t i = 0; i < count && !w->failed; i++)
            for (size_t r = begin; r < end; r++)
                if (has_line(scope, &s->rows[r], items + i * s->size))
                    write_line(w, scope, &s->rows[r], items + i * s->size);
    }
}

int tg_metrics_write(struct tg_metrics *m, struct tg_writer *out)
{
    struct tg_writer trial = *out;
    m->gateway.complete = true;
    for (size_t scope = 0; scope < SCOPES; scope++)
        write_scope(m, scope, &trial);
    if (trial.failed) {
        trial = *out;
        m->gateway.complete = false;
        for (size_t scope = 0; scope < DEVICE; scope++)
            write_scope(m, scope, &trial);
    }
    if (trial.failed)
        return TG_ETOOBIG;
    *out = trial;
    return TG_OK;
}

/* Of one line: name 64, labels' names and punctuation 64, value 24; label values, each byte escaped at the worst. */
#define LINE_BYTES 152

static size_t label_bytes(size_t scope, const void *item)
{
    const struct tg_metrics_cloud *c = item;
    const struct tg_metrics_source *s = item;
    const struct tg_metrics_device *d = item;
    const struct tg_metrics_session *x = item;
    switch (scope) {
    case CLOUD:
        return 2 * strlen(c->name);
    case SOURCE:
        return 2 * (strlen(s->name) + strlen(s->plugin));
    case DEVICE:
        return 2 * (strlen(d->id) + strlen(d->source));
    case SESSION:
        return 2 * ((x->device ? strlen(x->device) : 0) + strlen(x->cloud));
    default:
        return 64;
    }
}

size_t tg_metrics_bound(const struct tg_metrics *m)
{
    size_t sum = 0;
    for (size_t scope = 0; scope < SCOPES; scope++) {
        const struct scope *s = &scopes[scope];
        uint32_t count;
        const uint8_t *items = items_of(m, scope, &count);
        for (size_t r = 0; r < s->row_count; r++)
            sum += 2 * LINE_BYTES + strlen(s->rows[r].help);
        for (uint32_t i = 0; i < count && sum < TG_METRICS_MAX_BYTES; i++)
            sum += s->row_count * (LINE_BYTES + label_bytes(scope, items + i * s->size));
    }
    return sum < TG_METRICS_MAX_BYTES ? sum : TG_METRICS_MAX_BYTES;
}

bool tg_metrics_family(size_t i, struct tg_metrics_family *ret_family)
{
    for (size_t scope = 0; scope < SCOPES; scope++) {
        const struct scope *s = &scopes[scope];
        for (size_t r = 0; r < s->row_count; r = family_end(s, r)) {
            if (i-- > 0)
                continue;
            *ret_family =
                (struct tg_metrics_family){s->rows[r].name, s->rows[r].type, s->rows[r].help, s->labels};
            return true;
        }
    }
    return false;
}
