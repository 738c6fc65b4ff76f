/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sunspec - finds SunSpec models on a Modbus unit and says where their points are.
 *
 * THE CHAIN  Holding registers at 40000, 50000 or 0 begin with "SunS" (5375 6E53); behind it stands model after model, each with its
 *   id and its length L (registers behind these two), until an id of FFFF. Where a device has which model is its own affair, so the
 *   chain is walked once a connection:
 *
 *     tg_sunspec_walk_begin(&w);
 *     while (tg_sunspec_walk_next(&w, &address, &count))   read count (2) holding registers at address; then one of
 *         tg_sunspec_walk_words(&w, words);                their content
 *         tg_sunspec_walk_refused(&w);                     the device answered with an exception
 *     w.found: w.map holds the models; else w.trouble says why not
 *
 *   A time-out is neither: the walk stays where it is and is gone on with later. A chain that does not end, runs over the last
 *   register or has more than TG_SUNSPEC_MAX_MODELS models ends the walk; what was found until then counts.
 *
 * POINTS  "sunspec:GROUP/POINT", GROUP being
 *     common     model 1
 *     inverter   101, 102, 103, or 111, 112, 113 with floats: the first that is there
 *     meter      201 to 204, or 211 to 214 with floats
 *     storage    124
 *     a number   that model; POINT is then one of its names as above, or +N, the register N of the model, counted from its id
 *                (0), read as the point's own `type` says
 *   and behind GROUP, where a device has several of them, #2, #3 …: "sunspec:meter#2/W".
 *   Names are SunSpec's (A, W, Hz, WH, TotWhImp …). An integer with a scale factor is value × 10^factor; the factor is read in the same
 *   request as the value, because some inverters change it.
 *
 * Layouts: SunSpec Information Model Reference (2021-12-09), models 1, 101–103, 111–113, 124, 201–204, 211–214.
 * Pure. What a device says is hostile: every address is checked.
 */
#ifndef TG_SOUTHBOUND_SUNSPEC_H
#define TG_SOUTHBOUND_SUNSPEC_H

#include "southbound/modbus_points.h"

#define TG_SUNSPEC_MAX_MODELS 64
#define TG_SUNSPEC_PREFIX     "sunspec:"

struct tg_sunspec_model {
    uint16_t id, address, length; /* address of its id; length without id and length */
};

struct tg_sunspec_map {
    struct tg_sunspec_model models[TG_SUNSPEC_MAX_MODELS];
    uint32_t count;
};

struct tg_sunspec_walk {
    uint32_t base;    /* which of the three places; behind the last: none has the marker */
    uint32_t address; /* next to read */
    bool in_chain, done, found;
    const char *trouble; /* static; NULL = none */
    struct tg_sunspec_map map;
};

void tg_sunspec_walk_begin(struct tg_sunspec_walk *w);
/* The next two registers to read; false at the end. */
bool tg_sunspec_walk_next(const struct tg_sunspec_walk *w, uint16_t *ret_address, uint16_t *ret_count);
void tg_sunspec_walk_words(struct tg_sunspec_walk *w, const uint16_t words[2]);
void tg_sunspec_walk_refused(struct tg_sunspec_walk *w);

/* An address as it stands in a configuration. */
struct tg_sunspec_ref {
    uint8_t group;    /* of the table; TG_SUNSPEC_BY_NUMBER: `model` */
    uint8_t instance; /* 1 … */
    uint16_t model;
    int16_t point; /* row of the table; -1: `offset` */
    uint16_t offset;
};

#define TG_SUNSPEC_BY_NUMBER 0xFF

/* Text behind "sunspec:"; TG_EINVAL with what is allowed. */
int tg_sunspec_parse(const char *text, struct tg_sunspec_ref *ret_ref, struct tg_error *err) TG_CHECKED;

/* Where it is on this device. *p has the type and length of a +N point already; else all is set here (table, address, type, length,
 * sentinels, count). ret_scale: the register of its scale factor, or -1. TG_ENOTFOUND with the reason: the device has no such
 * model, or a shorter one. */
int tg_sunspec_resolve(const struct tg_sunspec_ref *ref, const struct tg_sunspec_map *map,
                       struct tg_modbus_point *p, int32_t *ret_scale, struct tg_error *err) TG_CHECKED;

/* value × 10^factor; false: the factor is "not implemented" (8000) or beyond ±10. */
bool tg_sunspec_scale(struct tg_value *value, uint16_t factor);

#endif
