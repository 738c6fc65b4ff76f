/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_plan - from points to the fewest requests.
 *
 * Items (one a point) are sorted once by unit, table and address. A pass walks the wanted ones in that order
 * and merges greedily: the next item joins the request while the hole in front of it is at most max_gap, the
 * request stays within max_count, no address inside the hole is in no_read, and no fence stands between. An
 * item is never cut; items may overlap.
 *
 *     tg_modbus_plan_sort(items, n);
 *     for (pos = 0; tg_modbus_plan_next(items, n, &limits, &pos, &span);)
 *         read span.address, span.count;
 *         the device says "illegal address" and tg_modbus_plan_split(items, &span)?  pos = span.first; again
 *
 * Splitting puts a fence at the widest hole (without holes: in the middle), for good: the next passes do not
 * bridge it. Repeated, it isolates the guilty hole or item; an item that is refused on its own is fenced on
 * both sides so that it spoils no neighbour.
 *
 * Pure; the caller lends the arrays.
 */
#ifndef TG_SOUTHBOUND_MODBUS_PLAN_H
#define TG_SOUTHBOUND_MODBUS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tg_modbus_item {
    uint8_t unit, table; /* table: enum tg_modbus_table */
    bool wanted;         /* to be read in this pass */
    bool fence;          /* never merge with what is sorted before it */
    uint16_t address, count;
    uint32_t tag; /* the caller's */
};

struct tg_modbus_range {
    int table; /* enum tg_modbus_table, or -1 for every table */
    uint16_t from, to;
};

struct tg_modbus_limits {
    uint16_t max_registers, max_bits, max_gap;
    const struct tg_modbus_range *no_read;
    size_t no_read_count;
};

struct tg_modbus_span {
    uint8_t unit, table;
    uint16_t address, count;
    size_t first, end; /* the wanted items in [first, end) are inside */
    size_t items;      /* how many those are */
};

void tg_modbus_plan_sort(struct tg_modbus_item *items, size_t n);
/* The next request from *pos on; moves *pos behind it. False at the end. */
bool tg_modbus_plan_next(const struct tg_modbus_item *items, size_t n, const struct tg_modbus_limits *limits,
                         size_t *pos, struct tg_modbus_span *ret);
/* Divides a refused span. False when it holds one item only: that one is fenced in, and it is the item that
 * the device refuses. */
bool tg_modbus_plan_split(struct tg_modbus_item *items, size_t n, const struct tg_modbus_span *span);

#endif
