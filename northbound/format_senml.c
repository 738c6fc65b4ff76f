/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/format_senml.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "northbound/format_json.h"

#define OVERHEAD_MAX 16 /* finish(): `"bver":26,` and `]`, or five bytes of array head and three of bver */

/* --- names and units -------------------------------------------------------------------------- */

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void tg_senml_write_name(struct tg_writer *w, struct tg_bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool known = is_alphanumeric(c) || c == '-' || c == ':' || c == '.' || c == '/' || c == '_';
        tg_write_u8(w, known ? c : '_');
    }
}

static struct tg_bytes base_name(const struct tg_format_context *c, char *memory, size_t size)
{
    struct tg_writer w = tg_writer_init(memory, size);
    bool urn = strncmp(c->device, "urn:", 4) == 0;
    const char *first = c->gateway && !urn ? c->gateway : c->device;
    if (!is_alphanumeric((uint8_t)first[0])) /* what a name begins with */
        tg_write_u8(&w, 'x');
    tg_senml_write_name(&w, tg_bytes_str(first));
    if (first != c->device) {
        tg_write_u8(&w, '/');
        tg_senml_write_name(&w, tg_bytes_str(c->device));
    }
    tg_write_u8(&w, urn ? ':' : '/');
    return tg_bytes(w.data, w.len);
}

struct unit {
    const char *text, *symbol; /* symbol NULL: as `text` */
    bool secondary;
};

/* In order of strcmp. Registered symbols (RFC 8428 section 12.1, RFC 8798) and how they are written elsewhere. "C" and
 * "F" are not here: on a field bus they hardly ever mean coulomb and farad. */
static const struct unit units[] = {
    {"%", NULL, false},
    {"%EL", NULL, false},
    {"%RH", NULL, false},
    {"/", NULL, false},
    {"/100", NULL, true},
    {"/1000", NULL, true},
    {"1/min", NULL, false},
    {"1/s", NULL, false},
    {"A", NULL, false},
    {"Ah", NULL, true},
    {"B", NULL, false},
    {"B/s", NULL, true},
    {"Bq", NULL, false},
    {"Bspl", NULL, false},
    {"Cel", NULL, false},
    {"EL", NULL, false},
    {"GB", NULL, true},
    {"Gy", NULL, false},
    {"H", NULL, false},
    {"Hz", NULL, false},
    {"J", NULL, false},
    {"J/m", NULL, false},
    {"K", NULL, false},
    {"KiB", NULL, true},
    {"L", "l", false},
    {"MB/s", NULL, true},
    {"MHz", NULL, true},
    {"Mbit/s", NULL, true},
    {"N", NULL, false},
    {"NTU", NULL, false},
    {"Ohm", NULL, false},
    {"Pa", NULL, false},
    {"S", NULL, false},
    {"S/m", NULL, false},
    {"Sv", NULL, false},
    {"T", NULL, false},
    {"V", NULL, false},
    {"VA", NULL, false},
    {"VAR", "var", false},
    {"VAr", "var", false},
    {"VAs", NULL, false},
    {"W", NULL, false},
    {"W/m2", NULL, false},
    {"W/m\xC2\xB2", "W/m2", false},
    {"Wb", NULL, false},
    {"Wh", NULL, true},
    {"Wh/km", NULL, true},
    {"beat/min", NULL, false},
    {"beats", NULL, false},
    {"bit", NULL, false},
    {"bit/s", NULL, false},
    {"bpm", "beat/min", false},
    {"cd", NULL, false},
    {"cd/m2", NULL, false},
    {"cm", NULL, true},
    {"count", NULL, false},
    {"dB", NULL, false},
    {"dBW", NULL, false},
    {"dBm", NULL, true},
    {"deg", NULL, false},
    {"degC", "Cel", false},
    {"g", NULL, false},
    {"h", NULL, true},
    {"hPa", NULL, true},
    {"kVA", NULL, true},
    {"kVAR", "kvar", true},
    {"kVAh", NULL, true},
    {"kVAr", "kvar", true},
    {"kW", NULL, true},
    {"kWh", NULL, true},
    {"kat", NULL, false},
    {"kg", NULL, false},
    {"kg/m3", NULL, false},
    {"km", NULL, true},
    {"km/h", NULL, true},
    {"kvar", NULL, true},
    {"kvarh", NULL, true},
    {"l", NULL, false},
    {"l/s", NULL, false},
    {"lat", NULL, false},
    {"lm", NULL, false},
    {"lon", NULL, false},
    {"lux", "lx", false},
    {"lx", NULL, false},
    {"m", NULL, false},
    {"m/h", NULL, true},
    {"m/s", NULL, false},
    {"m/s2", NULL, false},
    {"m/s\xC2\xB2", "m/s2", false},
    {"m2", NULL, false},
    {"m3", NULL, false},
    {"m3/s", NULL, false},
    {"mA", NULL, true},
    {"mV", NULL, true},
    {"mbar", "hPa", true},
    {"min", NULL, true},
    {"mm", NULL, true},
    {"mm/h", NULL, true},
    {"mol", NULL, false},
    {"ms", NULL, true},
    {"m\xC2\xB2", "m2", false},
    {"m\xC2\xB3", "m3", false},
    {"m\xC2\xB3/s", "m3/s", false},
    {"ohm", "Ohm", false},
    {"pH", NULL, false},
    {"ppm", NULL, true},
    {"rad", NULL, false},
    {"rpm", "1/min", false},
    {"s", NULL, false},
    {"sr", NULL, false},
    {"ug/m3", NULL, true},
    {"ug/m\xC2\xB3", "ug/m3", true},
    {"var", NULL, false},
    {"varh", NULL, true},
    {"vars", NULL, false},
    {"\xC2\xB0", "deg", false},
    {"\xC2\xB0"
     "C",
     "Cel", false},
    {"\xC2\xB5g/m3", "ug/m3", true},
    {"\xC2\xB5g/m\xC2\xB3", "ug/m3", true},
    {"\xCE\xA9", "Ohm", false},
    {"\xCE\xBCg/m3", "ug/m3", true},
    {"\xCE\xBCg/m\xC2\xB3", "ug/m3", true},
    {"\xE2\x84\x83", "Cel", false},
    {"\xE2\x84\xA6", "Ohm", false},
};

static int by_text(const void *key, const void *element)
{
    return strcmp(key, ((const struct unit *)element)->text);
}

const char *tg_senml_unit(const char *text, bool *ret_secondary)
{
    const struct unit *u = bsearch(text, units, sizeof units / sizeof units[0], sizeof units[0], by_text);
    *ret_secondary = u && u->secondary;
    return !u ? NULL : u->symbol ? u->symbol : u->text;
}

/* --- what goes into a pack -------------------------------------------------------------------------- */

struct pack {
    const struct tg_senml_encoding *encoding;
    const struct tg_format_context *context;
    struct tg_bytes base_name;
    int64_t base_time_ms;
    uint32_t records;
    bool secondary;
};

/* What a value that SenML cannot carry is called: the others have their own name. */
static const char *quality_of(const struct tg_named_value *v)
{
    if (v->quality != TG_QUALITY_GOOD)
        return tg_quality_name(v->quality);
    if (v->value.type == TG_VALUE_NONE)
        return tg_quality_name(TG_QUALITY_SENSOR);
    if (v->value.type == TG_VALUE_REAL && !isfinite(v->value.as.real))
        return tg_quality_name(TG_QUALITY_RANGE);
    return NULL;
}

static void add_value(struct pack *p, const struct tg_named_value *v, struct tg_senml_record *r,
                      struct tg_writer *w)
{
    const struct tg_format_context *c = p->context;
    const char *quality = quality_of(v);
    bool secondary = false;
    char name[TG_NAME_MAX_BYTES + 1];
    r->name = v->name;
    r->suffix = quality ? "/quality" : "";
    r->value = quality ? tg_value_text(quality, strlen(quality)) : v->value;
    r->unit = NULL;
    if (!quality && c->unit && v->name.len < sizeof name && v->value.type != TG_VALUE_TEXT &&
        v->value.type != TG_VALUE_BOOL)
        r->unit = tg_senml_unit(c->unit(c->user, v->name), &secondary);
    p->secondary = p->secondary || secondary;
    r->base_name = p->records == 0 ? p->base_name : tg_bytes(NULL, 0);
    p->encoding->record(w, r);
    p->records++;
}

static int add_sample(struct pack *p, const struct tg_format_sample *s, struct tg_writer *w)
{
    struct tg_sample_reader reader;
    struct tg_named_value v;
    uint32_t before = p->records;
    int rc = tg_sample_reader_init(&reader, s->body);
    if (rc < 0)
        return rc;
    if (p->records == 0)
        p->base_time_ms = reader.time_ms;
    struct tg_senml_record r = {.base_time_ms = p->base_time_ms, .seq = s->seq};
    if (__builtin_sub_overflow(reader.time_ms, p->base_time_ms, &r.time_ms))
        return TG_ECORRUPT;
    while ((rc = tg_sample_reader_next(&reader, &v)) > 0) {
        char name[TG_NAME_MAX_BYTES];
        const char *field = tg_gap_field(v.name);
        if (field) { /* "gap_first_seq" … */
            snprintf(name, sizeof name, TG_GAP_POINT "_%s", field);
            v.name = tg_bytes_str(name);
        }
        if (p->context->point &&
            !tg_bytes_eq_str(field ? tg_bytes_str(TG_GAP_POINT) : v.name, p->context->point))
            continue;
        r.has_seq = p->records == before;
        r.estimated = r.has_seq && reader.time == TG_TIME_ESTIMATED;
        add_value(p, &v, &r, w);
    }
    if (rc < 0)
        return rc;
    if (p->records == before) /* nothing of the wanted point: a pack has a record at least */
        return TG_ECORRUPT;
    return w->failed ? TG_ETOOBIG : TG_OK;
}

int tg_senml_write(const struct tg_senml_encoding *e, const struct tg_format_context *c,
                   const struct tg_format_sample *samples, uint32_t count, size_t limit_bytes,
                   struct tg_writer *out)
{
    char base[2 * TG_NAME_MAX_BYTES + 256];
    struct pack p = {.encoding = e, .context = c, .base_name = base_name(c, base, sizeof base)};
    uint32_t n = 0;
    if (out->cap < OVERHEAD_MAX)
        return TG_ETOOBIG;
    out->cap -= OVERHEAD_MAX;
    e->begin(out);
    for (; n < count; n++) {
        struct pack before = p;
        size_t length = out->len;
        int rc = add_sample(&p, &samples[n], out);
        if (n == 0 && rc < 0) {
            out->cap += OVERHEAD_MAX;
            return rc;
        }
        if (rc < 0 || (n > 0 && out->len + e->overhead(p.records, p.secondary) > limit_bytes)) {
            p = before;
            out->len = length;
            out->failed = false;
            break;
        }
    }
    out->cap += OVERHEAD_MAX;
    e->finish(out, p.records, p.secondary);
    return (int)n;
}

/* --- JSON --------------------------------------------------------------------------------------------- */

/* Seconds as the shortest decimal. */
static void write_seconds(struct tg_writer *w, int64_t ms)
{
    uint64_t all = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    uint32_t rest = (uint32_t)(all % 1000);
    if (ms < 0)
        tg_write_u8(w, '-');
    tg_write_u64_dec(w, all / 1000);
    if (rest == 0)
        return;
    uint8_t digits[4] = {'.', (uint8_t)('0' + rest / 100), (uint8_t)('0' + rest / 10 % 10),
                         (uint8_t)('0' + rest % 10)};
    tg_write_bytes(w, tg_bytes(digits, rest % 10 ? 4 : rest % 100 ? 3 : 2));
}

static void begin_json(struct tg_writer *w)
{
    tg_write_u8(w, '[');
}

static void record_json(struct tg_writer *w, const struct tg_senml_record *r)
{
    if (r->base_name.len) {
        tg_write_str(w, "{\"bn\":\"");
        tg_write_bytes(w, r->base_name);
        tg_write_str(w, "\",\"bt\":");
        write_seconds(w, r->base_time_ms);
        tg_write_u8(w, ',');
    } else {
        tg_write_str(w, ",{");
    }
    if (r->has_seq) {
        tg_write_str(w, "\"seq\":");
        tg_write_u64_dec(w, r->seq);
        tg_write_u8(w, ',');
    }
    if (r->estimated)
        tg_write_str(w, "\"time\":\"estimated\",");
    tg_write_str(w, "\"n\":\"");
    tg_senml_write_name(w, r->name);
    tg_write_str(w, r->suffix);
    tg_write_str(w, "\",");
    if (r->unit) {
        tg_write_str(w, "\"u\":\"");
        tg_write_str(w, r->unit);
        tg_write_str(w, "\",");
    }
    if (r->time_ms) {
        tg_write_str(w, "\"t\":");
        write_seconds(w, r->time_ms);
        tg_write_u8(w, ',');
    }
    tg_write_str(w, r->value.type == TG_VALUE_TEXT   ? "\"vs\":"
                    : r->value.type == TG_VALUE_BOOL ? "\"vb\":"
                                                     : "\"v\":");
    tg_format_json_value(w, &r->value);
    tg_write_u8(w, '}');
}

static const char version_json[] = "\"bver\":26,";

static size_t overhead_json(uint32_t records, bool secondary)
{
    (void)records;
    return 1 + (secondary ? sizeof version_json - 1 : 0);
}

static void finish_json(struct tg_writer *w, uint32_t records, bool secondary)
{
    (void)records;
    tg_write_u8(w, ']');
    if (!secondary)
        return;
    tg_write_str(w, version_json); /* makes the room */
    memmove(w->data + 2 + sizeof version_json - 1, w->data + 2, w->len - 2 - (sizeof version_json - 1));
    memcpy(w->data + 2, version_json, sizeof version_json - 1);
}

static const struct tg_senml_encoding json = {begin_json, record_json, overhead_json, finish_json};

static int write_message(const struct tg_format_context *c, const struct tg_format_sample *samples,
                         uint32_t count, size_t limit_bytes, struct tg_writer *out)
{
    return tg_senml_write(&json, c, samples, count, limit_bytes, out);
}

const struct tg_format tg_format_senml = {
    "senml", {"application/senml+json", "utf-8", ""}, write_message, NULL};
