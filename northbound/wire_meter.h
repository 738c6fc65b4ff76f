/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * wire_meter - what the connections to one cloud cost: bytes both ways since the start, over the last hour, and by the
 * calendar, as a data plan counts them. Pure: times are passed in.
 *
 * BYTES      are TCP payload: TLS, MQTT, handshakes and pings included. IP BYTES add what a carrier counts too: the headers of each
 *            segment the kernel sent or received (TG_WIRE_HEADER_BYTES), empty acknowledgements and what was sent again included.
 * LAST HOUR  The difference to a mark: one is set every five minutes, thirteen are kept, so "the last hour" is 60 to 65 minutes, or
 *            the time since the start while that is shorter.
 * CALENDAR   Days and months of UTC. What is counted before the clock has a valid time belongs to the day it then is. A clock that is
 *            set to another month begins that month's count anew.
 */
#ifndef TG_NORTHBOUND_WIRE_METER_H
#define TG_NORTHBOUND_WIRE_METER_H

#include "core/base/bytes.h"

#define TG_WIRE_HEADER_BYTES 52 /* IPv4 20 + TCP 20 + time stamps 12; IPv6 has 20 more */
#define TG_WIRE_DAY_MS       (24 * 3600 * INT64_C(1000))
#define TG_WIRE_MONTH_MS     (30 * TG_WIRE_DAY_MS) /* of projections */
#define TG_WIRE_MARKS        13
#define TG_WIRE_MARK_MS      (5 * 60 * INT64_C(1000))
#define TG_WIRE_NOTE_BYTES   64

struct tg_wire_count {
    uint64_t bytes_in, bytes_out, segments; /* bytes: from and to the cloud */
    uint64_t messages, samples;             /* acknowledged */
    uint64_t full_handshakes, resumed_handshakes, full_handshake_bytes, resumed_handshake_bytes;
};

static inline uint64_t tg_wire_bytes(const struct tg_wire_count *c)
{
    return c->bytes_in + c->bytes_out;
}
static inline uint64_t tg_wire_ip_bytes(const struct tg_wire_count *c)
{
    return tg_wire_bytes(c) + c->segments * TG_WIRE_HEADER_BYTES;
}

struct tg_wire_span {
    int64_t ms; /* at least 1 */
    uint64_t bytes, ip_bytes, messages, samples;
};

struct tg_wire_calendar {
    int32_t day; /* since 1970; 0 = no valid time yet */
    uint64_t day_bytes, month_bytes;
};

struct tg_wire_meter {
    struct tg_wire_count total;
    struct tg_wire_calendar calendar; /* IP bytes */
    uint64_t dated_bytes;             /* IP bytes that the calendar has */
    int64_t begun_ms;
    struct tg_wire_mark {
        int64_t at_ms;
        uint64_t bytes, ip_bytes, messages, samples;
    } marks[TG_WIRE_MARKS]; /* ring; the newest is at next - 1 */
    uint32_t next, count;
};

void tg_wire_meter_init(struct tg_wire_meter *m, int64_t now_ms);
/* To be called now and then, at least once in TG_WIRE_MARK_MS. wall_ms: Unix time, 0 while it is not known. */
void tg_wire_meter_tick(struct tg_wire_meter *m, int64_t now_ms, int64_t wall_ms);
struct tg_wire_span tg_wire_meter_whole(const struct tg_wire_meter *m, int64_t now_ms);
struct tg_wire_span tg_wire_meter_hour(const struct tg_wire_meter *m, int64_t now_ms);
/* What so many bytes in a span come to in `ms`. */
uint64_t tg_wire_project(uint64_t bytes, int64_t span_ms, int64_t ms);

/* What is left of the month, in ms; at least 1. */
int64_t tg_wire_month_left_ms(int64_t wall_ms);
/* The calendar over a restart: a short text (TG_WIRE_NOTE_BYTES). Taking one that cannot be read changes nothing: TG_ECORRUPT. */
void tg_wire_calendar_note(const struct tg_wire_calendar *c, char ret_note[TG_WIRE_NOTE_BYTES]);
int tg_wire_calendar_take(struct tg_wire_calendar *c, struct tg_bytes note) TG_CHECKED;

#endif
