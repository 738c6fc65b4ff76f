/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/gap.h"

#include <stdio.h>

static const char *const reason_names[TG_GAP_REASONS] = {
    "limit", "age", "disk-full", "quarantine", "quota", "removed", "crash", "corrupt", "memory"};

enum field { FIELD_FIRST, FIELD_LAST, FIELD_COUNT, FIELD_REASON, FIELD_CLOUD, FIELDS };

/* As stored, and as formats call them. */
static const char *const stored_names[FIELDS] = {"$gap_first", "$gap_last", "$gap_count", "$gap_reason",
                                                 "$gap_cloud"};
static const char *const shown_names[FIELDS] = {"first_seq", "last_seq", "count", "reasons", "cloud"};

void tg_gap_unite(struct tg_gap *gap, const struct tg_gap *more)
{
    if (!tg_gap_is(more))
        return;
    if (!tg_gap_is(gap)) {
        *gap = *more;
        return;
    }
    if (more->first_seq < gap->first_seq)
        gap->first_seq = more->first_seq;
    if (more->last_seq > gap->last_seq)
        gap->last_seq = more->last_seq;
    gap->count += more->count;
    gap->reasons |= more->reasons;
}

void tg_gap_subtract(struct tg_gap *gap, const struct tg_gap *told)
{
    if (!tg_gap_is(told))
        return;
    if (gap->count <= told->count) {
        *gap = (struct tg_gap){0};
        return;
    }
    gap->count -= told->count;
    /* What came since lies on one side of it, mostly; on both, or in between, the whole range stays. */
    if (gap->first_seq >= told->first_seq && gap->last_seq > told->last_seq)
        gap->first_seq = told->last_seq + 1;
    else if (gap->last_seq <= told->last_seq && gap->first_seq < told->first_seq)
        gap->last_seq = told->first_seq - 1;
}

const char *tg_gap_reason_name(unsigned bit)
{
    return bit < TG_GAP_REASONS ? reason_names[bit] : NULL;
}

void tg_gap_reasons_text(uint32_t reasons, char ret_text[TG_GAP_REASONS_BYTES])
{
    size_t n = 0;
    ret_text[0] = '\0';
    for (unsigned i = 0; i < TG_GAP_REASONS; i++)
        if (reasons & 1u << i)
            n += (size_t)snprintf(ret_text + n, TG_GAP_REASONS_BYTES - n, "%s%s", n ? "," : "",
                                  reason_names[i]);
}

void tg_gap_write_at(struct tg_writer *w, const struct tg_sample_time *time, const struct tg_gap *gap,
                     const char *cloud)
{
    char reasons[TG_GAP_REASONS_BYTES];
    tg_gap_reasons_text(gap->reasons, reasons);
    const struct tg_value values[FIELDS] = {
        [FIELD_FIRST] = {.type = TG_VALUE_UINT, .as.uinteger = gap->first_seq},
        [FIELD_LAST] = {.type = TG_VALUE_UINT, .as.uinteger = gap->last_seq},
        [FIELD_COUNT] = {.type = TG_VALUE_UINT, .as.uinteger = gap->count},
        [FIELD_REASON] = tg_value_text(reasons, strlen(reasons)),
        [FIELD_CLOUD] = tg_value_text(cloud, strlen(cloud)),
    };
    tg_sample_begin_at(w, time, FIELDS);
    for (int i = 0; i < FIELDS; i++)
        tg_sample_value(w, &(struct tg_named_value){
                               .name = tg_bytes_str(stored_names[i]),
                               .quality = TG_QUALITY_GOOD,
                               .value = values[i],
                           });
}

static uint32_t read_reasons(struct tg_bytes text)
{
    uint32_t reasons = 0;
    for (size_t from = 0, n; from < text.len; from += n + 1) {
        const uint8_t *comma = memchr(text.data + from, ',', text.len - from);
        n = comma ? (size_t)(comma - text.data) - from : text.len - from;
        for (unsigned i = 0; i < TG_GAP_REASONS; i++)
            if (tg_bytes_eq_str(tg_bytes(text.data + from, n), reason_names[i]))
                reasons |= 1u << i;
    }
    return reasons;
}

static int field_of(struct tg_bytes name)
{
    for (int i = 0; i < FIELDS; i++)
        if (tg_bytes_eq_str(name, stored_names[i]))
            return i;
    return -1;
}

int tg_gap_read(struct tg_bytes body, struct tg_gap *ret_gap, struct tg_bytes *ret_cloud)
{
    struct tg_gap gap = {0};
    struct tg_bytes cloud = {0};
    struct tg_sample_reader r;
    struct tg_named_value v;
    unsigned seen = 0;
    int rc = tg_sample_reader_init(&r, body);
    if (rc < 0)
        return rc;
    while ((rc = tg_sample_reader_next(&r, &v)) > 0) {
        int field = field_of(v.name);
        if (field < 0 && seen == 0)
            return 0;
        if (field < 0 || v.value.type != (field < FIELD_REASON ? TG_VALUE_UINT : TG_VALUE_TEXT))
            return TG_ECORRUPT;
        struct tg_bytes text =
            field < FIELD_REASON ? tg_bytes(NULL, 0) : tg_bytes(v.value.as.text, v.value.text_len);
        seen |= 1u << field;
        if (field == FIELD_FIRST)
            gap.first_seq = v.value.as.uinteger;
        else if (field == FIELD_LAST)
            gap.last_seq = v.value.as.uinteger;
        else if (field == FIELD_COUNT)
            gap.count = v.value.as.uinteger;
        else if (field == FIELD_REASON)
            gap.reasons = read_reasons(text);
        else
            cloud = text;
    }
    if (rc < 0)
        return rc;
    if (seen != (1u << FIELDS) - 1)
        return TG_ECORRUPT;
    *ret_gap = gap;
    *ret_cloud = cloud;
    return 1;
}

bool tg_gap_is_record(struct tg_bytes body)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    return tg_sample_reader_init(&r, body) == TG_OK && tg_sample_reader_next(&r, &v) > 0 && v.name.len > 0 &&
           v.name.data[0] == '$' && field_of(v.name) >= 0;
}

const char *tg_gap_field(struct tg_bytes name)
{
    int field = name.len > 0 && name.data[0] == '$' ? field_of(name) : -1;
    return field < 0 ? NULL : shown_names[field];
}
