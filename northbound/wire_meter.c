/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/wire_meter.h"

#include <inttypes.h>
#include <stdio.h>

void tg_wire_meter_init(struct tg_wire_meter *m, int64_t now_ms)
{
    *m = (struct tg_wire_meter){.begun_ms = now_ms};
}

/* The first day of the month that a day (since 1970) is in, or with `months` of a later one. Eras of 400 years begin on a first of
 * March, as in Hinnant's "chrono-Compatible Low-Level Date Algorithms". */
static int64_t first_of_month(int64_t day, int64_t months)
{
    int64_t z = day + 719468, era = z / 146097, in_era = z - era * 146097;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int64_t march = (5 * in_year + 2) / 153 + months; /* months since March */
    year += era * 400 + march / 12;
    march %= 12;
    era = year / 400;
    year -= era * 400;
    return era * 146097 + year * 365 + year / 4 - year / 100 + (153 * march + 2) / 5 - 719468;
}

static void turn(struct tg_wire_calendar *c, int32_t day)
{
    if (day == c->day)
        return;
    c->day_bytes = 0;
    if (first_of_month(day, 0) != first_of_month(c->day, 0))
        c->month_bytes = 0;
    c->day = day;
}

static void date(struct tg_wire_meter *m, int64_t wall_ms)
{
    uint64_t now = tg_wire_ip_bytes(&m->total), more = now - m->dated_bytes;
    if (wall_ms <= 0)
        return;
    turn(&m->calendar, (int32_t)(wall_ms / TG_WIRE_DAY_MS));
    m->calendar.day_bytes += more;
    m->calendar.month_bytes += more;
    m->dated_bytes = now;
}

static struct tg_wire_mark mark_of(const struct tg_wire_count *c, int64_t now_ms)
{
    return (struct tg_wire_mark){now_ms, tg_wire_bytes(c), tg_wire_ip_bytes(c), c->messages, c->samples};
}

void tg_wire_meter_tick(struct tg_wire_meter *m, int64_t now_ms, int64_t wall_ms)
{
    const struct tg_wire_mark *newest = &m->marks[(m->next + TG_WIRE_MARKS - 1) % TG_WIRE_MARKS];
    date(m, wall_ms);
    if (now_ms - (m->count ? newest->at_ms : m->begun_ms) < TG_WIRE_MARK_MS)
        return;
    m->marks[m->next] = mark_of(&m->total, now_ms);
    m->next = (m->next + 1) % TG_WIRE_MARKS;
    if (m->count < TG_WIRE_MARKS)
        m->count++;
}

static struct tg_wire_span since(const struct tg_wire_meter *m, const struct tg_wire_mark *from,
                                 int64_t now_ms)
{
    struct tg_wire_mark now = mark_of(&m->total, now_ms);
    return (struct tg_wire_span){now_ms > from->at_ms ? now_ms - from->at_ms : 1, now.bytes - from->bytes,
                                 now.ip_bytes - from->ip_bytes, now.messages - from->messages,
                                 now.samples - from->samples};
}

struct tg_wire_span tg_wire_meter_whole(const struct tg_wire_meter *m, int64_t now_ms)
{
    const struct tg_wire_mark begin = {.at_ms = m->begun_ms};
    return since(m, &begin, now_ms);
}

struct tg_wire_span tg_wire_meter_hour(const struct tg_wire_meter *m, int64_t now_ms)
{
    /* A full ring spans its 12 intervals; the oldest mark may be older when nobody has looked for a while. */
    if (m->count < TG_WIRE_MARKS)
        return tg_wire_meter_whole(m, now_ms);
    return since(m, &m->marks[m->next], now_ms);
}

uint64_t tg_wire_project(uint64_t bytes, int64_t span_ms, int64_t ms)
{
    return (uint64_t)((double)bytes * (double)ms / (double)(span_ms > 0 ? span_ms : 1));
}

int64_t tg_wire_month_left_ms(int64_t wall_ms)
{
    int64_t left = first_of_month(wall_ms / TG_WIRE_DAY_MS, 1) * TG_WIRE_DAY_MS - wall_ms;
    return left > 0 ? left : 1;
}

void tg_wire_calendar_note(const struct tg_wire_calendar *c, char ret_note[TG_WIRE_NOTE_BYTES])
{
    snprintf(ret_note, TG_WIRE_NOTE_BYTES, "1 %" PRId32 " %" PRIu64 " %" PRIu64, c->day, c->day_bytes,
             c->month_bytes);
}

int tg_wire_calendar_take(struct tg_wire_calendar *c, struct tg_bytes note)
{
    char text[TG_WIRE_NOTE_BYTES];
    struct tg_wire_calendar read;
    int end = 0;
    if (note.len == 0 || note.len >= sizeof text)
        return TG_ECORRUPT;
    memcpy(text, note.data, note.len);
    text[note.len] = '\0';
    if (sscanf(text, "1 %9" SCNd32 " %18" SCNu64 " %18" SCNu64 "%n", &read.day, &read.day_bytes,
               &read.month_bytes, &end) != 3 ||
        (size_t)end != note.len || read.day < 0)
        return TG_ECORRUPT;
    *c = read;
    return TG_OK;
}
