/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/sparkplug_metrics.h"

#include "core/base/allocator.h"
#include "northbound/sparkplug_payload.h"

#define METRIC_BYTES                                                                                         \
    112 /* tags and lengths 20, alias 10, timestamp 10, datatype 2, flags 4, value 11, properties 50 */
#define FIRST_CAP 8

static const char *const gap_names[] = {"Gap/first_seq", "Gap/last_seq", "Gap/count", "Gap/reasons",
                                        "Gap/cloud"};
#define GAP_METRICS ((uint32_t)(sizeof gap_names / sizeof gap_names[0]))

/* The next value under its metric's name: those of a gap record are "Gap/first_seq" … */
static int next_value(struct tg_sample_reader *r, struct tg_named_value *ret_value)
{
    int rc = tg_sample_reader_next(r, ret_value);
    const char *field = rc > 0 ? tg_gap_field(ret_value->name) : NULL;
    for (size_t i = 0; field && i < GAP_METRICS; i++)
        if (strcmp(gap_names[i] + strlen("Gap/"), field) == 0)
            ret_value->name = tg_bytes_str(gap_names[i]);
    return rc;
}

void tg_sparkplug_metrics_fini(struct tg_sparkplug_metrics *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        tg_free(m->points[i].name);
        tg_free(m->points[i].text);
    }
    tg_free(m->points);
    *m = (struct tg_sparkplug_metrics){0};
}

/* Samples mostly have their values in the order of the table, so the next one is tried first. */
static struct tg_sparkplug_point *find(struct tg_sparkplug_metrics *m, struct tg_bytes name)
{
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t at = (m->hint + i) % m->count;
        if (tg_bytes_eq_str(name, m->points[at].name)) {
            m->hint = at + 1;
            return &m->points[at];
        }
    }
    return NULL;
}

const struct tg_sparkplug_point *tg_sparkplug_metrics_by_alias(const struct tg_sparkplug_metrics *m,
                                                               uint64_t alias)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (m->points[i].alias == alias)
            return &m->points[i];
    return NULL;
}

const struct tg_sparkplug_point *tg_sparkplug_metrics_by_name(const struct tg_sparkplug_metrics *m,
                                                              const char *name)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (strcmp(m->points[i].name, name) == 0)
            return &m->points[i];
    return NULL;
}

/* A device has as many metrics as it may and those of a gap record: a loss can always be told. */
static int add(struct tg_sparkplug_metrics *m, struct tg_bytes name, bool of_gap, uint64_t *next_alias,
               struct tg_sparkplug_point **ret_point)
{
    char *copy;
    if (!of_gap && m->count - m->gap_metrics >= TG_SPARKPLUG_MAX_METRICS)
        return TG_ERANGE;
    if (m->count == m->cap) {
        uint32_t cap = m->cap ? 2 * m->cap : FIRST_CAP;
        void *grown = tg_realloc(m->points, cap * sizeof *m->points);
        if (!grown)
            return TG_ENOMEM;
        m->points = grown;
        m->cap = cap;
    }
    copy = tg_strndup((const char *)name.data, name.len);
    if (!copy)
        return TG_ENOMEM;
    m->points[m->count] = (struct tg_sparkplug_point){.name = copy, .alias = (*next_alias)++};
    *ret_point = &m->points[m->count++];
    m->gap_metrics += of_gap;
    m->changed = true;
    return TG_OK;
}

static bool is_good(const struct tg_named_value *v)
{
    return v->quality == TG_QUALITY_GOOD && v->value.type != TG_VALUE_NONE;
}

static bool fits(const struct tg_sparkplug_point *p, const struct tg_value *v)
{
    struct tg_sparkplug_metric metric = {.datatype = p->datatype};
    char text[TG_TEXT_MAX_BYTES + 1];
    return tg_sparkplug_set(&metric, v, text);
}

static void set_type(struct tg_sparkplug_metrics *m, struct tg_sparkplug_point *p, uint32_t datatype)
{
    if (p->datatype != datatype)
        m->changed = true;
    p->datatype = datatype;
    p->guessed = false;
}

static void adapt(struct tg_sparkplug_metrics *m, struct tg_sparkplug_point *p,
                  const struct tg_named_value *v, enum tg_sparkplug_learn how)
{
    uint32_t natural = tg_sparkplug_datatype_of(&v->value);
    if (!is_good(v)) {
        p->ever_bad = true;
        if (p->datatype == TG_SPARKPLUG_UNKNOWN) {
            p->datatype = TG_SPARKPLUG_DOUBLE;
            p->guessed = true;
        }
    } else if (p->datatype == TG_SPARKPLUG_UNKNOWN || p->guessed) {
        set_type(m, p, natural);
    } else if (!fits(p, &v->value) && (how != TG_SPARKPLUG_NEWEST || natural == TG_SPARKPLUG_DOUBLE)) {
        set_type(m, p, natural);
    }
}

static int keep(struct tg_sparkplug_point *p, const struct tg_named_value *v, int64_t time_ms)
{
    char *text = NULL;
    if (v->value.type == TG_VALUE_TEXT) {
        text = tg_strndup(v->value.as.text, v->value.text_len);
        if (!text)
            return TG_ENOMEM;
    }
    tg_free(p->text);
    p->text = text;
    p->last = v->value;
    if (text)
        p->last.as.text = text;
    p->quality = v->quality;
    p->time_ms = time_ms;
    p->has_last = true;
    return TG_OK;
}

/* TG_EAGAIN when the sample would change the type of a metric that has one. */
static int would_change(struct tg_sparkplug_metrics *m, struct tg_bytes body)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    int rc = tg_sample_reader_init(&r, body);
    while (rc == TG_OK && (rc = next_value(&r, &v)) > 0) {
        const struct tg_sparkplug_point *p = find(m, v.name);
        rc = p && is_good(&v) && (p->guessed || !fits(p, &v.value)) ? TG_EAGAIN : TG_OK;
    }
    return rc;
}

int tg_sparkplug_metrics_learn(struct tg_sparkplug_metrics *m, struct tg_bytes body,
                               enum tg_sparkplug_learn how, uint64_t *next_alias)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    bool of_gap = tg_gap_is_record(body);
    int rc = how == TG_SPARKPLUG_NEXT ? would_change(m, body) : TG_OK;
    if (rc == TG_OK)
        rc = tg_sample_reader_init(&r, body);
    while (rc == TG_OK && (rc = next_value(&r, &v)) > 0) {
        struct tg_sparkplug_point *p = find(m, v.name);
        rc = p ? TG_OK : add(m, v.name, of_gap, next_alias, &p);
        if (rc < 0)
            break;
        adapt(m, p, &v, how);
        if (how == TG_SPARKPLUG_NEWEST || !p->has_last || p->time_ms < r.time_ms)
            rc = keep(p, &v, r.time_ms);
    }
    return rc;
}

bool tg_sparkplug_sample_is_good(struct tg_bytes body)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    bool good = false;
    if (tg_sample_reader_init(&r, body) < 0)
        return false;
    while (!good && tg_sample_reader_next(&r, &v) > 0)
        good = is_good(&v);
    return good;
}

/* --- writing --- */

static const char *unit_of(const struct tg_config_device *device, const char *name)
{
    for (uint32_t i = 0; device && i < device->point_count; i++)
        if (device->points[i].name && strcmp(device->points[i].name, name) == 0)
            return device->points[i].unit;
    return NULL;
}

static int32_t quality_of(uint8_t quality)
{
    return quality == TG_QUALITY_GOOD    ? TG_SPARKPLUG_QUALITY_GOOD
           : quality == TG_QUALITY_STALE ? TG_SPARKPLUG_QUALITY_STALE
                                         : TG_SPARKPLUG_QUALITY_BAD;
}

/* Value, or null; and the quality, once it has ever been another than good: a host keeps a property until it is told anew. */
static void put(struct tg_writer *w, struct tg_sparkplug_metric *metric, const struct tg_sparkplug_point *p,
                const struct tg_value *value, uint8_t quality)
{
    char text[TG_TEXT_MAX_BYTES + 1];
    metric->has_alias = metric->has_time = true;
    metric->alias = p->alias;
    /* In data the specification would rather not have it, for size; hosts built on Tahu's JavaScript need it. */
    metric->datatype = p->datatype;
    metric->null = quality != TG_QUALITY_GOOD || !tg_sparkplug_set(metric, value, text);
    if (metric->null)
        metric->field = TG_SPARKPLUG_NO_VALUE;
    metric->has_quality = p->ever_bad;
    metric->quality = quality_of(quality);
    tg_sparkplug_put(w, metric);
}

size_t tg_sparkplug_metrics_birth_bytes(const struct tg_sparkplug_metrics *m,
                                        const struct tg_config_device *device, bool texts)
{
    size_t n = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const char *unit = unit_of(device, m->points[i].name);
        n += METRIC_BYTES + strlen(m->points[i].name) + (unit ? strlen(unit) : 0);
        n += texts && m->points[i].text ? m->points[i].last.text_len : 0;
    }
    return n;
}

void tg_sparkplug_metrics_birth(const struct tg_sparkplug_metrics *m, const struct tg_config_device *device,
                                bool texts, int64_t wall_ms, struct tg_writer *w)
{
    static const struct tg_value none = {0};
    for (uint32_t i = 0; i < m->count; i++) {
        const struct tg_sparkplug_point *p = &m->points[i];
        struct tg_sparkplug_metric metric = {.name = p->name,
                                             .time_ms = (uint64_t)(p->has_last ? p->time_ms : wall_ms),
                                             .unit = unit_of(device, p->name)};
        if (p->datatype != TG_SPARKPLUG_UNKNOWN)
            put(w, &metric, p, texts || p->last.type != TG_VALUE_TEXT ? &p->last : &none, p->quality);
    }
}

int tg_sparkplug_metrics_data(struct tg_sparkplug_metrics *m, struct tg_bytes body, bool historical,
                              struct tg_writer *w)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    size_t before = w->len;
    int rc = tg_sample_reader_init(&r, body);
    while (rc == TG_OK && (rc = next_value(&r, &v)) > 0) {
        const struct tg_sparkplug_point *p = find(m, v.name);
        struct tg_sparkplug_metric metric = {.time_ms = (uint64_t)r.time_ms, .historical = historical};
        if (p)
            put(w, &metric, p, &v.value, v.quality);
        rc = p ? TG_OK : TG_ECORRUPT; /* it was learned, so it is there */
    }
    if (rc == TG_OK && w->failed)
        rc = TG_ETOOBIG;
    if (rc < 0) {
        w->len = before;
        w->failed = false;
    }
    return rc;
}
