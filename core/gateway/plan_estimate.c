/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/plan_estimate.h"

#include "core/base/allocator.h"
#include "northbound/cloud.h"
#include "northbound/mqtt/mqtt_client.h"
#include "northbound/wire_meter.h"

#define MONTH_MS ((double)TG_WIRE_MONTH_MS)

/* --- what things take on the wire: measured, docs/data-plan.md ------------------------------------------ */
#define TLS_RECORD_BYTES    25 /* 5 head, 16 tag, and 1 (TLS 1.3) or 8 (TLS 1.2) more */
#define PUBACK_BYTES        4
#define PING_BYTES          4 /* PINGREQ and PINGRESP, 2 each */
#define SEGMENT_DATA_BYTES  1400
#define EXCHANGE_SEGMENTS   3    /* a message, its answer, and the answer's acknowledgement */
#define FULL_SHAKE_BYTES    4000 /* the server's chain is most of it */
#define CLIENT_CHAIN_BYTES  1800 /* ours, with its proof */
#define RESUMED_SHAKE_BYTES 900  /* with the new ticket */
#define LOGIN_BYTES         500  /* CONNECT, SUBSCRIBE, their answers, DISCONNECT */
#define CONNECT_SEGMENTS    20   /* with the end of the one before */
#define HTTP_BYTES          1900 /* heads of a request with its token and of the answer */
#define SPARKPLUG_HEAD      20
#define SPARKPLUG_VALUE     26  /* alias, time, type, value, quality */
#define RENEWED_AT          0.8 /* of a token's life */

/* --- flash: docs/data-plan.md ------------------------------------------------------------------------------- */
#define ROW_BYTES    40   /* beside the body: keys, index, SQLite's record */
#define ROW_TIMES    3    /* log and page, and the page again when rows go */
#define COMMIT_BYTES 4300 /* a page of the log that each commit writes, however little is in it */
#define ACK_BYTES    4120 /* the page with how far each cloud is, in the same commit or one of its own */
#define ACK_WAIT_MS  200  /* acknowledgements alone wait so long for company (store/store_thread.c) */

#define DEFAULT_EVERY_MS    1000
#define SAMPLE_MEMORY_BYTES (512 * 1024)
#define BODY_BYTES          (264 * 1024)
#define MAX_PACES           64

/* --- what a device brings --------------------------------------------------------------------------------- */

/* Points that are read together are one sample. */
struct pace {
    double every_ms;
    uint32_t points;
};

struct device {
    const struct tg_config_device *config;
    const struct tg_plugin *plugin;
    struct pace paces[MAX_PACES];
    uint32_t pace_count;
    double per_ms;     /* samples */
    double at_once_ms; /* so often one has priority and ends the wait of its message; 0 = none has */
};

struct estimate {
    struct tg_plan *plan;
    uint8_t *stored, *body, *packed;
    struct tg_format_sample *samples;
};

static bool has_option(const struct tg_option *table, const char *name)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, name) == 0)
            return true;
    return false;
}

/* A plugin whose devices have an `every` gives all points of one as one sample. */
static double device_every(const struct device *d)
{
    const struct tg_config_device *c = d->config;
    double every = 0;
    if (!d->plugin || !has_option(d->plugin->device_options, "every"))
        return 0;
    for (uint32_t i = 0; i < c->point_count; i++)
        if (tg_settings_has(c->points[i].common, "every")) {
            double own = (double)tg_settings_int(c->points[i].common, "every");
            every = every == 0 || own < every ? own : every;
        }
    return every != 0 ? every : (double)tg_settings_int(c->settings, "every");
}

/* assumed: nobody says how often. */
static double point_every(const struct tg_config_point *p, double of_device, bool *ret_assumed)
{
    double least = (double)tg_settings_int(p->common, "min_interval"), every = of_device;
    *ret_assumed = false;
    if (every == 0 && tg_settings_has(p->common, "every"))
        every = (double)tg_settings_int(p->common, "every");
    if (every == 0) {
        *ret_assumed = least == 0;
        every = DEFAULT_EVERY_MS;
    }
    return every > least ? every : least;
}

static void add_point(struct device *d, double every_ms)
{
    uint32_t i = 0;
    while (i < d->pace_count && d->paces[i].every_ms != every_ms)
        i++;
    if (i == MAX_PACES)
        i--; /* so many different ones: the last two are taken for one */
    else if (i == d->pace_count)
        d->paces[d->pace_count++] = (struct pace){every_ms, 0};
    d->paces[i].points++;
}

/* A point with priority that is in every sample of its own. One with a deadband is an alarm, which is taken for rare. */
static bool is_at_once(const struct tg_config_point *p)
{
    return tg_settings_int(p->common, "priority") != 0 && !tg_settings_has(p->common, "deadband");
}

static void look_at_device(struct device *d, const struct tg_config_device *c, const struct tg_plugin *plugin,
                           uint32_t *assumed)
{
    double together;
    *d = (struct device){.config = c, .plugin = plugin};
    together = device_every(d);
    for (uint32_t i = 0; i < c->point_count - c->derived_count; i++) {
        bool guess;
        double every = point_every(&c->points[i], together, &guess);
        add_point(d, every);
        if (is_at_once(&c->points[i]) && (d->at_once_ms == 0 || every < d->at_once_ms))
            d->at_once_ms = every;
        *assumed += guess;
    }
    if (c->derived_count && d->pace_count) /* worked out when their inputs come */
        d->paces[0].points += c->derived_count;
    for (uint32_t i = 0; i < d->pace_count; i++)
        d->per_ms += 1.0 / d->paces[i].every_ms;
}

static double values_per_sample(const struct device *d)
{
    double values = 0;
    for (uint32_t i = 0; i < d->pace_count; i++)
        values += d->paces[i].points / d->paces[i].every_ms;
    return d->per_ms > 0 ? values / d->per_ms : 1;
}

/* --- a message of it ------------------------------------------------------------------------------------------ */

static const char *unit_of(void *user, struct tg_bytes point)
{
    const struct tg_config_device *d = user;
    for (uint32_t i = 0; i < d->point_count; i++)
        if (tg_bytes_eq_str(point, d->points[i].name))
            return d->points[i].unit ? d->points[i].unit : "";
    return "";
}

/* A sample with so many values of the device; the numbers wander as those of a meter. */
static struct tg_bytes write_sample(const struct tg_config_device *d, uint32_t values, uint32_t number,
                                    struct tg_writer *w)
{
    size_t begin = w->len;
    tg_sample_begin(w, INT64_C(1795179600123) + (int64_t)number * 1013, values);
    for (uint32_t i = 0; i < values; i++) {
        uint32_t noise = (number * 2654435761u + i * 40503u) >> 7;
        struct tg_named_value v = {.name = tg_bytes_str(d->points[i % d->point_count].name),
                                   .quality = TG_QUALITY_GOOD,
                                   .value = tg_value_real(20 + 37 * (i % 12) + (noise % 1000) / 10.0)};
        tg_sample_value(w, &v);
    }
    return tg_bytes(w->data + begin, w->len - begin);
}

/* How many samples a message can have that waits for so long. */
static uint32_t samples_within(const struct device *d, const struct tg_config_cloud *cloud, double delay_ms)
{
    double most = (double)tg_settings_int(cloud->batch, "max_samples"), n = 1 + d->per_ms * delay_ms;
    if (d->at_once_ms > 0 && d->per_ms * d->at_once_ms < n)
        n = d->per_ms * d->at_once_ms > 1 ? d->per_ms * d->at_once_ms : 1;
    return n < most ? (uint32_t)n : (uint32_t)most;
}

struct message {
    double samples, body_bytes, topic_bytes, parts; /* parts: a topic for each point */
};

static void write_message(struct estimate *e, const struct device *d, const struct tg_cloud_target *target,
                          const struct tg_config_cloud *cloud, const struct tg_format *format, uint32_t count,
                          struct message *m)
{
    struct tg_writer stored = tg_writer_init(e->stored, SAMPLE_MEMORY_BYTES),
                     body = tg_writer_init(e->body, BODY_BYTES),
                     packed = tg_writer_init(e->packed, BODY_BYTES);
    const struct tg_format_context c = {.device = target->device_id,
                                        .gateway = target->gateway,
                                        .template_text = tg_settings_text(cloud->common, "template"),
                                        .point = m->parts > 1 ? d->config->points[0].name : NULL,
                                        .unit = unit_of,
                                        .user = (void *)(uintptr_t)d->config};
    uint32_t values = (uint32_t)(values_per_sample(d) + 0.5), n = 0;
    int written;
    while (n < count && stored.cap - stored.len > TG_SAMPLE_MAX_BYTES) {
        struct tg_bytes one = write_sample(d->config, values > 0 ? values : 1, n, &stored);
        e->samples[n] = (struct tg_format_sample){123456 + n, one};
        n++;
    }
    written = format->write(&c, e->samples, n, (size_t)tg_settings_int(cloud->batch, "max_bytes"), &body);
    m->samples = written > 0 ? written : 1;
    m->body_bytes = (double)body.len;
    if (tg_settings_int(cloud->common, "compress") &&
        tg_format_deflate(tg_bytes(body.data, body.len), &packed) == TG_OK)
        m->body_bytes = (double)packed.len;
}

/* What a message of the device is, when it waits for delay_ms. */
static struct message message_of(struct estimate *e, const struct device *d,
                                 const struct tg_config_cloud *cloud, const struct tg_cloud_type *type,
                                 const struct tg_cloud_target *target, double delay_ms)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer topic = tg_writer_init(memory, sizeof memory);
    const struct tg_format *format = tg_format_find(tg_settings_text(cloud->common, "format"));
    struct tg_format_content content = format ? format->content : (struct tg_format_content){"", "", ""};
    bool apart = type->topic_per_point && type->topic_per_point(target);
    struct message m = {.samples = 1, .parts = apart ? values_per_sample(d) : 1};
    uint32_t count = apart ? 1 : samples_within(d, cloud, delay_ms);
    if (type->choose_batch)
        count = type->choose_batch(target);
    if (tg_settings_int(cloud->common, "compress"))
        content.encoding = "deflate";
    if (type->topic && type->topic(target, &content, apart ? d->config->points[0].name : "", &topic) == TG_OK)
        m.topic_bytes = (double)topic.len;
    if (type->encode || !format)
        m.body_bytes = SPARKPLUG_HEAD + SPARKPLUG_VALUE * values_per_sample(d);
    else
        write_message(e, d, target, cloud, format, count, &m);
    return m;
}

/* --- a route ---------------------------------------------------------------------------------------------------- */

/* TCP payload and segments of one message of `parts` and its answers. */
static double message_bytes(const struct tg_cloud_type *type, bool tls, const struct message *m,
                            double *ret_segments)
{
    double record = tls ? TLS_RECORD_BYTES : 0, packet = m->body_bytes + m->topic_bytes + 7, out;
    if (type->transport == TG_TRANSPORT_HTTPS) {
        /* Base64, and each sample is a message of its own in the request. */
        out = HTTP_BYTES + m->body_bytes * 4 / 3 + m->samples * 90 + 2 * record;
        *ret_segments = EXCHANGE_SEGMENTS + out / SEGMENT_DATA_BYTES;
        return out;
    }
    out = record + m->parts * packet;
    *ret_segments = EXCHANGE_SEGMENTS + (double)(int64_t)(out / SEGMENT_DATA_BYTES);
    return out + m->parts * (record + PUBACK_BYTES);
}

static void add_data(struct estimate *e, const struct device *d, const struct tg_config_cloud *cloud,
                     const struct tg_cloud_type *type, const struct tg_cloud_target *target,
                     struct tg_plan_cloud *to)
{
    double month = d->per_ms * MONTH_MS, segments, bytes, count;
    bool tls = tg_settings_int(cloud->common, "tls") != 0;
    struct message m =
        message_of(e, d, cloud, type, target, (double)tg_settings_int(cloud->batch, "max_delay"));
    bytes = message_bytes(type, tls, &m, &segments);
    count = month / m.samples;
    to->samples += month;
    to->messages += count * m.parts;
    to->data += count * bytes;
    to->segments += count * segments;
    to->body_bytes += count * m.parts * m.body_bytes; /* sums, until finish() */
    to->topic_bytes += count * m.parts * m.topic_bytes;
    if (!to->month_budget_bytes)
        return;
    m = message_of(e, d, cloud, type, target, (double)tg_settings_int(cloud->batch, "longest_delay"));
    bytes = message_bytes(type, tls, &m, &segments);
    to->longest_ip_bytes += month / m.samples * (bytes + segments * TG_WIRE_HEADER_BYTES);
}

/* The life of a token, in ms; 0 = there is none. */
static double token_life(const struct tg_config_cloud *cloud, const struct tg_config_identity *id)
{
    const struct tg_option *own = tg_settings_table(cloud->settings);
    if ((id->kind == TG_IDENTITY_SAS_KEY || id->kind == TG_IDENTITY_GROUP) && has_option(own, "sas_lifetime"))
        return (double)tg_settings_int(cloud->settings, "sas_lifetime");
    if (id->kind == TG_IDENTITY_JWT_KEY && has_option(own, "token_lifetime"))
        return (double)tg_settings_int(cloud->settings, "token_lifetime");
    return 0;
}

/* How often it pings in a month, while so many messages break the silence. */
static double pings_of(const struct tg_config_cloud *cloud, const struct tg_cloud_type *type, double messages)
{
    double keepalive = (double)tg_settings_int(cloud->common, "keepalive"),
           silence = messages > 0 ? MONTH_MS / messages : MONTH_MS, every;
    if (type->transport == TG_TRANSPORT_HTTPS)
        return 0;
    if (keepalive < type->min_keepalive_s * 1000.0)
        keepalive = type->min_keepalive_s * 1000.0;
    if (keepalive > type->max_keepalive_s * 1000.0)
        keepalive = type->max_keepalive_s * 1000.0;
    every = (double)tg_mqtt_ping_interval_ms((int64_t)keepalive);
    return silence > every ? (double)(int64_t)(silence / every) * (MONTH_MS / silence) : 0;
}

/* Connects and pings of one connection, which sends so many messages a month. */
static void add_connection(const struct tg_config_cloud *cloud, const struct tg_cloud_type *type,
                           const struct tg_config_identity *id, double messages, struct tg_plan_cloud *to)
{
    bool tls = tg_settings_int(cloud->common, "tls") != 0,
         chain = id->kind == TG_IDENTITY_X509 || id->kind == TG_IDENTITY_PKCS12;
    double life = token_life(cloud, id), pings = pings_of(cloud, type, messages);
    double full = LOGIN_BYTES + (tls ? FULL_SHAKE_BYTES + (chain ? CLIENT_CHAIN_BYTES : 0) : 0);
    double again = LOGIN_BYTES + (tls ? RESUMED_SHAKE_BYTES : 0);
    double days = 30, renewals = life > 0 ? MONTH_MS / (life * RENEWED_AT) : 0;
    to->sessions++;
    to->connect_count += days + renewals;
    to->connects += days * full + renewals * again;
    to->ping_count += pings;
    to->pings += pings * (PING_BYTES + (tls ? 2 * TLS_RECORD_BYTES : 0));
    to->segments += (days + renewals) * CONNECT_SEGMENTS + pings * EXCHANGE_SEGMENTS;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static void add_routes(struct estimate *e, const struct tg_config *config, const struct device *d,
                       const struct tg_config_route *routes, uint32_t count)
{
    for (uint32_t r = 0; r < count; r++) {
        const struct tg_config_cloud *cloud = routes[r].cloud;
        struct tg_plan_cloud *to = &e->plan->clouds[cloud - config->clouds];
        struct tg_error err = {0};
        const struct tg_cloud_type *type = tg_cloud_type_of(cloud, &err);
        const char *host = tg_settings_text(cloud->common, "host");
        const struct tg_cloud_target target = {.host = host ? host : "hub.example.net",
                                               .device_id = routes[r].cloud_device_id,
                                               .gateway = tg_settings_text(config->gateway, "name"),
                                               .settings = cloud->settings,
                                               .common = cloud->common,
                                               .provisioning = cloud->provisioning,
                                               .device = d->config};
        double before = to->messages;
        if (!type || d->pace_count == 0)
            continue;
        add_data(e, d, cloud, type, &target, to);
        if (!type->shared || !type->shared(&target))
            add_connection(cloud, type, &routes[r].identity, to->messages - before, to);
    }
}

static void finish_cloud(const struct tg_config_cloud *cloud, struct tg_plan_cloud *c)
{
    struct tg_error err = {0};
    const struct tg_cloud_type *type = tg_cloud_type_of(cloud, &err);
    if (type && c->sessions == 0 && c->messages > 0) /* one for all devices */
        add_connection(cloud, type, &cloud->identity, c->messages, c);
    if (c->messages > 0) {
        c->body_bytes /= c->messages;
        c->topic_bytes /= c->messages;
    }
    if (c->month_budget_bytes)
        c->longest_ip_bytes += c->pings + c->connects;
}

/* Rows and the pages that each commit writes anew; commits are as often as samples come, at most one an interval. Acknowledgements go with
 * the samples that follow within ACK_WAIT_MS, else by themselves. */
static void add_flash(const struct tg_config *config, double samples, double messages, double body_bytes,
                      struct tg_plan_flash *to)
{
    double interval = (double)tg_settings_int(config->outbox, "commit_interval") + 1,
           commits = MONTH_MS / interval, acks = MONTH_MS / (interval > ACK_WAIT_MS ? interval : ACK_WAIT_MS);
    bool lazy = strcmp(tg_settings_text(config->outbox, "durability"), "lazy") == 0;
    to->samples = samples;
    if (commits > samples)
        commits = samples;
    if (acks < commits)
        acks = commits;
    if (acks > messages || lazy) /* lazy: what is written is for an outage, when none come */
        acks = lazy ? 0 : messages;
    to->bytes = samples * ROW_TIMES * (body_bytes + ROW_BYTES) + commits * COMMIT_BYTES + acks * ACK_BYTES;
    to->outage_bytes = lazy ? to->bytes : 0;
    if (lazy)
        to->bytes = 0;
}

static void estimate_all(struct estimate *e, const struct tg_config *config)
{
    double samples = 0, stored = 0, messages = 0;
    for (uint32_t i = 0; i < config->source_count; i++)
        for (uint32_t k = 0; k < config->sources[i].device_count; k++) {
            const struct tg_config_device *c = &config->sources[i].devices[k];
            struct tg_writer w = tg_writer_init(e->stored, SAMPLE_MEMORY_BYTES);
            struct device d;
            look_at_device(&d, c, config->sources[i].plugin, &e->plan->assumed_points);
            add_routes(e, config, &d, c->routes, c->route_count);
            if (d.pace_count == 0)
                continue;
            samples += d.per_ms * MONTH_MS;
            stored += d.per_ms * MONTH_MS *
                      (double)write_sample(c, (uint32_t)(values_per_sample(&d) + 0.5), 0, &w).len;
        }
    for (uint32_t i = 0; i < config->cloud_count; i++) {
        finish_cloud(&config->clouds[i], &e->plan->clouds[i]);
        messages += e->plan->clouds[i].messages;
    }
    add_flash(config, samples, messages, samples > 0 ? stored / samples : 0, &e->plan->flash);
}

double tg_plan_ip_bytes(const struct tg_plan_cloud *c)
{
    return tg_plan_payload(c) + c->segments * TG_WIRE_HEADER_BYTES;
}

int tg_plan_estimate(const struct tg_config *config, struct tg_plan *ret_plan)
{
    struct estimate e = {.plan = ret_plan,
                         .stored = tg_malloc(SAMPLE_MEMORY_BYTES),
                         .body = tg_malloc(BODY_BYTES),
                         .packed = tg_malloc(BODY_BYTES),
                         .samples = tg_calloc(1000, sizeof *e.samples)};
    int rc = e.stored && e.body && e.packed && e.samples ? TG_OK : TG_ENOMEM;
    *ret_plan = (struct tg_plan){.cloud_count = config->cloud_count};
    for (uint32_t i = 0; i < config->cloud_count; i++) {
        ret_plan->clouds[i].name = config->clouds[i].name;
        if (tg_settings_has(config->clouds[i].batch, "month_budget"))
            ret_plan->clouds[i].month_budget_bytes =
                (uint64_t)tg_settings_int(config->clouds[i].batch, "month_budget");
    }
    if (rc == TG_OK)
        estimate_all(&e, config);
    tg_free(e.stored);
    tg_free(e.body);
    tg_free(e.packed);
    tg_free(e.samples);
    return rc;
}
