/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/modbus_bus.h"

#include <string.h>

#define PROBE_BASE_MS 1000
#define PROBE_CAP_MS  60000
#define PROBE_MIN_MS  100
#define BUSY_BASE_MS  100
#define BUSY_MAX      4 /* 100, 200, 400 ms of patience, then it is reported */

void tg_modbus_bus_init(struct tg_modbus_bus *b, struct tg_modbus_unit *units, uint32_t count)
{
    memset(b, 0, sizeof *b);
    b->units = units;
    b->count = count;
    b->down_after = 3;
    b->asked_id = -1;
}

void tg_modbus_bus_start(struct tg_modbus_bus *b, int64_t now_ms)
{
    for (uint32_t i = 0; i < b->count; i++)
        tg_poll_plan_start(&b->units[i].plan, now_ms);
    b->free_ms = now_ms - b->gap_ms;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When the unit's next read is due; TG_POLL_NEVER for one that is down or has no points to read. */
static int64_t read_ms(const struct tg_modbus_unit *u)
{
    return u->state == TG_MODBUS_UNIT_DOWN ? TG_POLL_NEVER
                                           : later(tg_poll_plan_next_ms(&u->plan), u->hold_ms);
}

static int64_t probe_ms(const struct tg_modbus_unit *u)
{
    return u->state == TG_MODBUS_UNIT_DOWN && u->plan.count > 0 ? u->probe_ms : TG_POLL_NEVER;
}

int64_t tg_modbus_bus_ready_ms(const struct tg_modbus_bus *b, uint32_t unit)
{
    const struct tg_modbus_unit *u = &b->units[unit];
    int64_t gap = later(b->gap_ms, u->min_gap_ms);
    if (b->asked_id >= 0 && b->asked_id != u->id)
        gap = later(gap, b->unit_gap_ms);
    return later(b->free_ms + gap, b->quiet_until_ms);
}

int64_t tg_modbus_bus_patience_ms(const struct tg_modbus_bus *b, uint32_t unit, int64_t timeout_ms,
                                  int64_t slowest_ms)
{
    const struct tg_modbus_unit *u = &b->units[unit];
    int64_t brief_ms = 3 * slowest_ms < PROBE_MIN_MS ? PROBE_MIN_MS : 3 * slowest_ms;
    bool hurry = u->state == TG_MODBUS_UNIT_DOWN && slowest_ms >= 0 && u->probes % 4 != 3;
    return hurry && brief_ms < timeout_ms ? brief_ms : timeout_ms;
}

struct tg_modbus_turn tg_modbus_bus_next(struct tg_modbus_bus *b, int64_t now_ms)
{
    struct tg_modbus_turn t = {.kind = TG_MODBUS_TURN_WAIT, .at_ms = TG_POLL_NEVER};
    uint32_t read = UINT32_MAX, probe = UINT32_MAX, due = 0;
    if (b->quiet_until_ms > now_ms) {
        t.kind = TG_MODBUS_TURN_LISTEN;
        t.at_ms = b->quiet_until_ms;
        return t;
    }
    for (uint32_t k = 0; k < b->count; k++) {
        uint32_t i = (b->cursor + k) % b->count;
        int64_t r = read_ms(&b->units[i]), p = probe_ms(&b->units[i]);
        if (r <= now_ms) {
            due++;
            if (read == UINT32_MAX)
                read = i;
        }
        if (p <= now_ms && (probe == UINT32_MAX || p < b->units[probe].probe_ms))
            probe = i;
        if (r < t.at_ms)
            t.at_ms = r;
        if (p < t.at_ms)
            t.at_ms = p;
    }
    bool probing = probe != UINT32_MAX && (b->reads_owed == 0 || read == UINT32_MAX);
    uint32_t chosen = probing ? probe : read;
    if (chosen == UINT32_MAX)
        return t;
    int64_t ready = tg_modbus_bus_ready_ms(b, chosen);
    if (ready > now_ms) {
        t.at_ms = ready;
        return t;
    }
    t.unit = chosen;
    t.at_ms = now_ms;
    t.kind = probing || b->units[chosen].out_of_step ? TG_MODBUS_TURN_SYNC : TG_MODBUS_TURN_READ;
    if (probing) {
        b->reads_owed = due;
    } else {
        b->cursor = (chosen + 1) % b->count;
        if (b->reads_owed > 0)
            b->reads_owed--;
    }
    return t;
}

void tg_modbus_bus_freed(struct tg_modbus_bus *b, uint32_t unit, int64_t now_ms)
{
    b->asked_id = b->units[unit].id;
    b->free_ms = now_ms;
}

/* Nothing older than a synchronised answer of this unit can follow. */
static void in_step(struct tg_modbus_bus *b, unsigned id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->outstanding_count; i++)
        if (b->outstanding[i].unit != id)
            b->outstanding[kept++] = b->outstanding[i];
    b->outstanding_count = kept;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->units[i].id == id)
            b->units[i].out_of_step = false;
}

bool tg_modbus_bus_answered(struct tg_modbus_bus *b, uint32_t unit, bool sync, bool refused, int64_t now_ms)
{
    struct tg_modbus_unit *u = &b->units[unit];
    bool changed = u->state != TG_MODBUS_UNIT_OK;
    if (u->state == TG_MODBUS_UNIT_DOWN)
        tg_poll_plan_hasten(&u->plan, UINT32_MAX, now_ms);
    u->state = TG_MODBUS_UNIT_OK;
    u->heard = true;
    u->failures = u->probes = 0;
    if (sync && u->out_of_step) {
        /* A refusal has no length of its own: it may be a late one, with the real answer right behind. */
        if (refused)
            b->quiet_until_ms = now_ms + b->quiet_ms;
        in_step(b, u->id);
    }
    if (!refused)
        u->busy = 0;
    return changed;
}

static void remember(struct tg_modbus_bus *b, unsigned id, unsigned function, size_t bytes)
{
    if (tg_modbus_bus_is_outstanding(b, id, function, bytes))
        return;
    if (b->outstanding_count == TG_MODBUS_MAX_OUTSTANDING) {
        memmove(&b->outstanding[0], &b->outstanding[1], sizeof b->outstanding - sizeof b->outstanding[0]);
        b->outstanding_count--;
    }
    b->outstanding[b->outstanding_count].unit = (uint8_t)id;
    b->outstanding[b->outstanding_count].function = (uint8_t)function;
    b->outstanding[b->outstanding_count++].bytes = (uint16_t)bytes;
}

static int64_t probe_delay_ms(unsigned probes, uint32_t random)
{
    int64_t delay = PROBE_BASE_MS;
    while (probes-- > 0 && delay < PROBE_CAP_MS)
        delay *= 2;
    if (delay > PROBE_CAP_MS)
        delay = PROBE_CAP_MS;
    /* 0.8 to 1.2 of it */
    return delay * 4 / 5 + (int64_t)((uint64_t)delay * 2 / 5 * random >> 32);
}

enum tg_modbus_consequence tg_modbus_bus_failed(struct tg_modbus_bus *b, uint32_t unit,
                                                enum tg_modbus_failure failure, unsigned function,
                                                size_t answer_bytes, int64_t timeout_ms, int64_t now_ms,
                                                uint32_t random)
{
    struct tg_modbus_unit *u = &b->units[unit];
    if (!b->has_ids && failure != TG_MODBUS_TARGET_SILENT) {
        b->quiet_ms = timeout_ms;
        if (failure == TG_MODBUS_GARBLED || (u->heard && u->state != TG_MODBUS_UNIT_DOWN))
            b->quiet_until_ms = now_ms + timeout_ms;
        if (answer_bytes > 0)
            remember(b, u->id, function, answer_bytes);
        for (uint32_t i = 0; i < b->count; i++)
            if (b->units[i].id == u->id)
                b->units[i].out_of_step = true;
    }
    if (u->failures < UINT16_MAX)
        u->failures++;
    if (u->state == TG_MODBUS_UNIT_DOWN) {
        if (u->probes < UINT16_MAX)
            u->probes++;
        u->probe_ms = now_ms + probe_delay_ms(u->probes, random);
        return TG_MODBUS_STAYS_DOWN;
    }
    if (u->failures >= b->down_after) {
        u->state = TG_MODBUS_UNIT_DOWN;
        u->probes = 0;
        u->probe_ms = now_ms + probe_delay_ms(0, random);
        return TG_MODBUS_WENT_DOWN;
    }
    bool was_ok = u->state == TG_MODBUS_UNIT_OK;
    u->state = TG_MODBUS_UNIT_SUSPECT;
    return was_ok ? TG_MODBUS_REPEAT : TG_MODBUS_REPORT;
}

bool tg_modbus_bus_busy(struct tg_modbus_bus *b, uint32_t unit, int64_t now_ms)
{
    struct tg_modbus_unit *u = &b->units[unit];
    if (u->busy + 1 >= BUSY_MAX) {
        u->busy = 0;
        return false;
    }
    u->hold_ms = now_ms + ((int64_t)BUSY_BASE_MS << u->busy);
    u->busy++;
    return true;
}

void tg_modbus_bus_served(struct tg_modbus_bus *b, uint32_t unit, uint32_t mask, int64_t now_ms)
{
    tg_poll_plan_done(&b->units[unit].plan, mask, now_ms);
}

void tg_modbus_bus_heard(struct tg_modbus_bus *b, int64_t now_ms)
{
    b->quiet_until_ms = now_ms + b->quiet_ms;
}

bool tg_modbus_bus_is_outstanding(const struct tg_modbus_bus *b, unsigned unit_id, unsigned function,
                                  size_t answer_bytes)
{
    for (uint32_t i = 0; i < b->outstanding_count; i++)
        if (b->outstanding[i].unit == unit_id && b->outstanding[i].function == function &&
            b->outstanding[i].bytes == answer_bytes)
            return true;
    return false;
}
