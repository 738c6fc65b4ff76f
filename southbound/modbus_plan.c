/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/modbus_plan.h"

#include "southbound/modbus_points.h"

static uint64_t sort_key(const struct tg_modbus_item *i)
{
    return (uint64_t)i->unit << 40 | (uint64_t)i->table << 32 | (uint64_t)i->address << 16 | i->count;
}

/* Heap sort: in place, no allocation, no worst case. */
static void sift(struct tg_modbus_item *items, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && sort_key(&items[child]) < sort_key(&items[child + 1]))
            child++;
        if (sort_key(&items[root]) >= sort_key(&items[child]))
            return;
        struct tg_modbus_item t = items[root];
        items[root] = items[child];
        items[child] = t;
    }
}

void tg_modbus_plan_sort(struct tg_modbus_item *items, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(items, i, n);
    for (size_t end = n; end > 1;) {
        struct tg_modbus_item t = items[--end];
        items[end] = items[0];
        items[0] = t;
        sift(items, 0, end);
    }
}

static uint32_t end_of(const struct tg_modbus_item *i)
{
    return (uint32_t)i->address + i->count;
}

static bool may_bridge(const struct tg_modbus_limits *l, unsigned table, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < l->no_read_count; i++) {
        const struct tg_modbus_range *r = &l->no_read[i];
        if ((r->table < 0 || (unsigned)r->table == table) && r->from < to && r->to >= from)
            return false;
    }
    return true;
}

static bool joins(const struct tg_modbus_span *span, const struct tg_modbus_item *item,
                  const struct tg_modbus_limits *l)
{
    bool bits = item->table == TG_MODBUS_COIL || item->table == TG_MODBUS_DISCRETE;
    uint32_t end = (uint32_t)span->address + span->count, new_end = end_of(item) > end ? end_of(item) : end;
    if (item->unit != span->unit || item->table != span->table)
        return false;
    if (new_end - span->address > (bits ? l->max_bits : l->max_registers))
        return false;
    if (item->address <= end)
        return true;
    return item->address - end <= l->max_gap && may_bridge(l, item->table, end, item->address);
}

bool tg_modbus_plan_next(const struct tg_modbus_item *items, size_t n, const struct tg_modbus_limits *limits,
                         size_t *pos, struct tg_modbus_span *ret)
{
    size_t i = *pos;
    while (i < n && !items[i].wanted)
        i++;
    if (i == n) {
        *pos = n;
        return false;
    }
    struct tg_modbus_span s = {.unit = items[i].unit,
                               .table = items[i].table,
                               .address = items[i].address,
                               .count = items[i].count,
                               .first = i,
                               .items = 1};
    size_t last = i;
    for (i++; i < n; i++) {
        if (items[i].fence) /* also of an item that is not wanted now: the hole it marks is still there */
            break;
        if (!items[i].wanted)
            continue;
        if (!joins(&s, &items[i], limits))
            break;
        if (end_of(&items[i]) > (uint32_t)s.address + s.count)
            s.count = (uint16_t)(end_of(&items[i]) - s.address);
        s.items++;
        last = i;
    }
    s.end = last + 1;
    *pos = s.end;
    *ret = s;
    return true;
}

bool tg_modbus_plan_split(struct tg_modbus_item *items, size_t n, const struct tg_modbus_span *span)
{
    if (span->items < 2) {
        items[span->first].fence = true;
        if (span->first + 1 < n)
            items[span->first + 1].fence = true;
        return false;
    }
    uint32_t end = end_of(&items[span->first]);
    size_t seen = 0, widest_at = 0, middle_at = 0;
    uint32_t widest = 0;
    for (size_t i = span->first; i < span->end; i++) {
        if (!items[i].wanted)
            continue;
        if (seen > 0 && items[i].address > end && items[i].address - end > widest) {
            widest = items[i].address - end;
            widest_at = i;
        }
        if (seen == span->items / 2)
            middle_at = i;
        if (end_of(&items[i]) > end)
            end = end_of(&items[i]);
        seen++;
    }
    items[widest > 0 ? widest_at : middle_at].fence = true;
    return true;
}
