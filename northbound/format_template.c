/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/format_template.h"

#include "core/base/clock.h"
#include "northbound/format_json.h"

#define ALLOWED                                                                                              \
    "{device}, {gateway}, {point}, {seq}, {ts}, {ts_ms}, {time}, {value}, {values}, {quality}, {gap} and "   \
    "{point:NAME} are "                                                                                      \
    "allowed, and {{ and }} for braces"
#define POINT_PREFIX "point:"

enum item {
    ITEM_DEVICE,
    ITEM_GATEWAY,
    ITEM_POINT,
    ITEM_SEQ,
    ITEM_TS,
    ITEM_TS_MS,
    ITEM_TIME,
    ITEM_VALUE,
    ITEM_VALUES,
    ITEM_QUALITY,
    ITEM_GAP,
    ITEM_COUNT,
    ITEM_NAMED_POINT,
    ITEM_TEXT,
    ITEM_END,
    ITEM_BAD
};

static const char *const names[ITEM_COUNT] = {"device", "gateway", "point",  "seq",     "ts", "ts_ms",
                                              "time",   "value",   "values", "quality", "gap"};

/* The next piece of a template: ITEM_TEXT with the text, ITEM_NAMED_POINT with the point's name, a placeholder, the end, or
 * what is wrong at *ret_text. */
static enum item next_item(const char **p, struct tg_bytes *ret_text)
{
    const char *at = *p;
    size_t n = strcspn(at, "{}");
    if (*at == '\0')
        return ITEM_END;
    if (n > 0) {
        *ret_text = tg_bytes(at, n);
        *p = at + n;
        return ITEM_TEXT;
    }
    if (at[0] == at[1]) {
        *ret_text = tg_bytes(at, 1);
        *p = at + 2;
        return ITEM_TEXT;
    }
    const char *end = strpbrk(at + 1, "{}");
    *ret_text = tg_bytes(at, end ? (size_t)(end - at) + 1 : strlen(at));
    if (*at == '}' || !end || *end != '}')
        return ITEM_BAD;
    struct tg_bytes name = tg_bytes(at + 1, (size_t)(end - at) - 1);
    *p = end + 1;
    for (int i = 0; i < ITEM_COUNT; i++)
        if (tg_bytes_eq_str(name, names[i]))
            return (enum item)i;
    if (!tg_bytes_starts(name, POINT_PREFIX) || name.len == strlen(POINT_PREFIX))
        return ITEM_BAD;
    *ret_text = tg_bytes(name.data + strlen(POINT_PREFIX), name.len - strlen(POINT_PREFIX));
    return ITEM_NAMED_POINT;
}

int tg_format_template_check(const char *text, struct tg_error *err)
{
    struct tg_bytes piece;
    char quoted[TG_QUOTE_BYTES];
    const char *p = text;
    enum item item;
    do {
        item = next_item(&p, &piece);
        if (item == ITEM_BAD) {
            tg_quote(quoted, (const char *)piece.data, piece.len);
            if (piece.data[0] == '}')
                return tg_error_set(err, TG_EINVAL, "template: a single } at character %zu: " ALLOWED,
                                    (size_t)((const char *)piece.data - text) + 1);
            if (piece.data[piece.len - 1] != '}' || piece.len == 1)
                return tg_error_set(err, TG_EINVAL, "template: the { of %s is not closed: " ALLOWED, quoted);
            return tg_error_set(err, TG_EINVAL, "template: unknown placeholder %s: " ALLOWED, quoted);
        }
    } while (item != ITEM_END);
    return tg_utf8_valid(tg_bytes_str(text))
               ? TG_OK
               : tg_error_set(err, TG_EINVAL, "template: the text is not UTF-8");
}

static void write_value(struct tg_writer *w, const struct tg_value *v)
{
    if (v->type == TG_VALUE_TEXT)
        tg_format_json_text(w, tg_bytes(v->as.text, v->text_len));
    else
        tg_format_json_value(w, v);
}

/* The good value of a point; without a name, of the only one. */
static void write_point(struct tg_writer *w, struct tg_sample_reader r, struct tg_bytes name)
{
    struct tg_named_value v;
    if (name.len > 0 || r.count == 1)
        while (tg_sample_reader_next(&r, &v) > 0)
            if (name.len == 0 || tg_bytes_eq(v.name, name)) {
                if (v.quality == TG_QUALITY_GOOD) {
                    write_value(w, &v.value);
                    return;
                }
                break;
            }
    tg_write_str(w, "null");
}

static void write_gap(struct tg_writer *w, struct tg_bytes body)
{
    struct tg_gap gap;
    struct tg_bytes cloud;
    if (tg_gap_is_record(body) && tg_gap_read(body, &gap, &cloud) > 0)
        tg_format_json_gap(w, &gap, cloud);
    else
        tg_write_str(w, "null");
}

static void write_item(struct tg_writer *w, const struct tg_format_context *c, enum item item,
                       struct tg_bytes text, uint64_t seq, struct tg_sample_reader r, struct tg_bytes body)
{
    char stamp[TG_CLOCK_ISO8601_BYTES];
    switch (item) {
    case ITEM_TEXT:
        tg_write_bytes(w, text);
        break;
    case ITEM_NAMED_POINT:
        write_point(w, r, text);
        break;
    case ITEM_DEVICE:
        tg_format_json_text(w, tg_bytes_str(c->device));
        break;
    case ITEM_GATEWAY:
        tg_format_json_text(w, tg_bytes_str(c->gateway));
        break;
    case ITEM_POINT:
        tg_format_json_text(w, tg_bytes_str(c->point));
        break;
    case ITEM_SEQ:
        tg_write_u64_dec(w, seq);
        break;
    case ITEM_TS:
        tg_clock_iso8601(r.time_ms, stamp);
        tg_write_str(w, stamp);
        break;
    case ITEM_TS_MS:
        tg_write_i64_dec(w, r.time_ms);
        break;
    case ITEM_TIME:
        tg_write_str(w, r.time == TG_TIME_ESTIMATED ? "estimated" : "");
        break;
    case ITEM_VALUE:
        write_point(w, r, tg_bytes_str(c->point));
        break;
    case ITEM_VALUES:
        (void)!tg_format_json_values(w, r, c->point);
        break;
    case ITEM_QUALITY:
        (void)!tg_format_json_qualities(w, r, c->point);
        break;
    case ITEM_GAP:
        write_gap(w, body);
        break;
    default:
        break;
    }
}

static bool says_gaps(const struct tg_format_context *c)
{
    const char *p = c->template_text ? c->template_text : "{values}";
    struct tg_bytes text = {0};
    enum item item;
    while ((item = next_item(&p, &text)) != ITEM_END && item != ITEM_BAD)
        if (item == ITEM_GAP || (item == ITEM_VALUES && !c->point) ||
            (item == ITEM_NAMED_POINT && tg_gap_field(text)))
            return true;
    return false;
}

static int write_sample(struct tg_writer *w, const struct tg_format_context *c,
                        const struct tg_format_sample *s)
{
    struct tg_sample_reader r, whole;
    struct tg_named_value v;
    struct tg_bytes text = {0};
    const char *p = c->template_text ? c->template_text : "{values}";
    enum item item;
    int rc = tg_sample_reader_init(&r, s->body);
    if (rc < 0)
        return rc;
    whole = r; /* may its values be read to the end? */
    while ((rc = tg_sample_reader_next(&whole, &v)) > 0)
        ;
    if (rc < 0)
        return rc;
    while ((item = next_item(&p, &text)) != ITEM_END) {
        if (item == ITEM_BAD) /* refused by `tidegate check` */
            return TG_EINVAL;
        write_item(w, c, item, text, s->seq, r, s->body);
    }
    return w->failed ? TG_ETOOBIG : TG_OK;
}

static int write_message(const struct tg_format_context *c, const struct tg_format_sample *samples,
                         uint32_t count, size_t limit_bytes, struct tg_writer *out)
{
    uint32_t n = 0;
    for (; n < count; n++) {
        size_t before = out->len;
        if (n)
            tg_write_u8(out, '\n');
        int rc = write_sample(out, c, &samples[n]);
        if (n == 0 && rc < 0)
            return rc;
        if (rc < 0 || (n > 0 && out->len > limit_bytes)) {
            out->len = before;
            out->failed = false;
            break;
        }
    }
    return (int)n;
}

const struct tg_format tg_format_template = {
    "template", {"text/plain", "utf-8", ""}, write_message, says_gaps};
