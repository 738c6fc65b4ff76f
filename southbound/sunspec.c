/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/sunspec.h"

#include <string.h>

#define MARKER_HIGH 0x5375
#define MARKER_LOW  0x6E53
#define END_MODEL   0xFFFF
#define LAST        0xFFFFu

static const uint16_t bases[] = {40000, 50000, 0};
#define BASE_COUNT (sizeof bases / sizeof bases[0])

/* --- the walk ----------------------------------------------------------------------------------------------- */

void tg_sunspec_walk_begin(struct tg_sunspec_walk *w)
{
    *w = (struct tg_sunspec_walk){.address = bases[0]};
}

bool tg_sunspec_walk_next(const struct tg_sunspec_walk *w, uint16_t *ret_address, uint16_t *ret_count)
{
    if (w->done)
        return false;
    *ret_address = (uint16_t)w->address;
    *ret_count = 2;
    return true;
}

static void end(struct tg_sunspec_walk *w, const char *trouble)
{
    w->done = true;
    w->found = w->map.count > 0;
    w->trouble = w->found ? trouble : trouble ? trouble : "the chain of models is empty";
}

static void next_base(struct tg_sunspec_walk *w)
{
    if (++w->base < BASE_COUNT)
        w->address = bases[w->base];
    else
        end(w, "none of the registers 40000, 50000 and 0 has the marker \"SunS\"");
}

static void take_model(struct tg_sunspec_walk *w, uint16_t id, uint16_t length)
{
    const uint32_t next = w->address + 2u + length;
    if (id == END_MODEL) {
        end(w, NULL);
        return;
    }
    if (next > LAST) {
        end(w, "a model reaches beyond register 65535");
        return;
    }
    if (w->map.count == TG_SUNSPEC_MAX_MODELS) {
        end(w, "the chain has more than 64 models");
        return;
    }
    w->map.models[w->map.count++] =
        (struct tg_sunspec_model){.id = id, .address = (uint16_t)w->address, .length = length};
    w->address = next;
    if (next + 1 > LAST)
        end(w, "the chain does not end before register 65535");
}

void tg_sunspec_walk_words(struct tg_sunspec_walk *w, const uint16_t words[2])
{
    if (w->in_chain) {
        take_model(w, words[0], words[1]);
    } else if (words[0] == MARKER_HIGH && words[1] == MARKER_LOW) {
        w->in_chain = true;
        w->address += 2;
    } else {
        next_base(w);
    }
}

void tg_sunspec_walk_refused(struct tg_sunspec_walk *w)
{
    if (w->in_chain)
        end(w, "the device refuses to show the rest of its chain of models");
    else
        next_base(w);
}

/* --- what the models hold --------------------------------------------------------------------------------------- */

enum { COMMON, INVERTER, METER, STORAGE, GROUP_COUNT };

static const struct {
    const char *name;
    uint16_t models[5], float_models[5]; /* ended by 0 */
} groups[GROUP_COUNT] = {{"common", {1}, {0}},
                         {"inverter", {101, 102, 103}, {111, 112, 113}},
                         {"meter", {201, 202, 203, 204}, {211, 212, 213, 214}},
                         {"storage", {124}, {0}}};

#define NO 0xFF

/* Offsets count from the model's id. `factor`: of the scale factor. `real`: in the models with floats. */
static const struct row {
    uint8_t group;
    const char *name;
    uint8_t type, offset, factor, real, length;
} rows[] = {
    {COMMON, "Mn", TG_MODBUS_STRING, 2, NO, NO, 32},
    {COMMON, "Md", TG_MODBUS_STRING, 18, NO, NO, 32},
    {COMMON, "Opt", TG_MODBUS_STRING, 34, NO, NO, 16},
    {COMMON, "Vr", TG_MODBUS_STRING, 42, NO, NO, 16},
    {COMMON, "SN", TG_MODBUS_STRING, 50, NO, NO, 32},
    {COMMON, "DA", TG_MODBUS_UINT16, 66, NO, NO, 0},
    {INVERTER, "A", TG_MODBUS_UINT16, 2, 6, 2, 0},
    {INVERTER, "AphA", TG_MODBUS_UINT16, 3, 6, 4, 0},
    {INVERTER, "AphB", TG_MODBUS_UINT16, 4, 6, 6, 0},
    {INVERTER, "AphC", TG_MODBUS_UINT16, 5, 6, 8, 0},
    {INVERTER, "PPVphAB", TG_MODBUS_UINT16, 7, 13, 10, 0},
    {INVERTER, "PPVphBC", TG_MODBUS_UINT16, 8, 13, 12, 0},
    {INVERTER, "PPVphCA", TG_MODBUS_UINT16, 9, 13, 14, 0},
    {INVERTER, "PhVphA", TG_MODBUS_UINT16, 10, 13, 16, 0},
    {INVERTER, "PhVphB", TG_MODBUS_UINT16, 11, 13, 18, 0},
    {INVERTER, "PhVphC", TG_MODBUS_UINT16, 12, 13, 20, 0},
    {INVERTER, "W", TG_MODBUS_INT16, 14, 15, 22, 0},
    {INVERTER, "Hz", TG_MODBUS_UINT16, 16, 17, 24, 0},
    {INVERTER, "VA", TG_MODBUS_INT16, 18, 19, 26, 0},
    {INVERTER, "VAr", TG_MODBUS_INT16, 20, 21, 28, 0},
    {INVERTER, "PF", TG_MODBUS_INT16, 22, 23, 30, 0},
    {INVERTER, "WH", TG_MODBUS_UINT32, 24, 26, 32, 0},
    {INVERTER, "DCA", TG_MODBUS_UINT16, 27, 28, 34, 0},
    {INVERTER, "DCV", TG_MODBUS_UINT16, 29, 30, 36, 0},
    {INVERTER, "DCW", TG_MODBUS_INT16, 31, 32, 38, 0},
    {INVERTER, "TmpCab", TG_MODBUS_INT16, 33, 37, 40, 0},
    {INVERTER, "TmpSnk", TG_MODBUS_INT16, 34, 37, 42, 0},
    {INVERTER, "TmpTrns", TG_MODBUS_INT16, 35, 37, 44, 0},
    {INVERTER, "TmpOt", TG_MODBUS_INT16, 36, 37, 46, 0},
    {INVERTER, "St", TG_MODBUS_UINT16, 38, NO, 48, 0},
    {INVERTER, "StVnd", TG_MODBUS_UINT16, 39, NO, 49, 0},
    {METER, "A", TG_MODBUS_INT16, 2, 6, 2, 0},
    {METER, "AphA", TG_MODBUS_INT16, 3, 6, 4, 0},
    {METER, "AphB", TG_MODBUS_INT16, 4, 6, 6, 0},
    {METER, "AphC", TG_MODBUS_INT16, 5, 6, 8, 0},
    {METER, "PhV", TG_MODBUS_INT16, 7, 15, 10, 0},
    {METER, "PhVphA", TG_MODBUS_INT16, 8, 15, 12, 0},
    {METER, "PhVphB", TG_MODBUS_INT16, 9, 15, 14, 0},
    {METER, "PhVphC", TG_MODBUS_INT16, 10, 15, 16, 0},
    {METER, "PPV", TG_MODBUS_INT16, 11, 15, 18, 0},
    {METER, "Hz", TG_MODBUS_INT16, 16, 17, 26, 0},
    {METER, "W", TG_MODBUS_INT16, 18, 22, 28, 0},
    {METER, "WphA", TG_MODBUS_INT16, 19, 22, 30, 0},
    {METER, "WphB", TG_MODBUS_INT16, 20, 22, 32, 0},
    {METER, "WphC", TG_MODBUS_INT16, 21, 22, 34, 0},
    {METER, "VA", TG_MODBUS_INT16, 23, 27, 36, 0},
    {METER, "VAR", TG_MODBUS_INT16, 28, 32, 44, 0},
    {METER, "PF", TG_MODBUS_INT16, 33, 37, 52, 0},
    {METER, "TotWhExp", TG_MODBUS_UINT32, 38, 54, 60, 0},
    {METER, "TotWhImp", TG_MODBUS_UINT32, 46, 54, 68, 0},
    {STORAGE, "WChaMax", TG_MODBUS_UINT16, 2, 18, NO, 0},
    {STORAGE, "ChaState", TG_MODBUS_UINT16, 8, 22, NO, 0},
    {STORAGE, "InBatV", TG_MODBUS_UINT16, 10, 24, NO, 0},
    {STORAGE, "ChaSt", TG_MODBUS_UINT16, 11, NO, NO, 0},
};

#define ROW_COUNT  (sizeof rows / sizeof rows[0])
#define LIST_BYTES 200 /* the longest list, of inverters, has 152 */

static bool among(const uint16_t *models, uint16_t id)
{
    for (; *models; models++)
        if (*models == id)
            return true;
    return false;
}

static bool in_group(unsigned group, uint16_t id)
{
    return among(groups[group].models, id) || among(groups[group].float_models, id);
}

/* --- addresses --------------------------------------------------------------------------------------------------- */

/* Decimal digits up to `max`; false: none, or more. */
static bool take_number(const char **at, unsigned max, unsigned *ret)
{
    const char *s = *at;
    unsigned n = 0;
    while (*s >= '0' && *s <= '9') {
        n = n * 10 + (unsigned)(*s++ - '0');
        if (n > max)
            return false;
    }
    if (s == *at)
        return false;
    *at = s;
    *ret = n;
    return true;
}

static bool parse_group(const char **at, struct tg_sunspec_ref *r)
{
    unsigned number;
    if (take_number(at, 0xFFFE, &number)) {
        r->group = TG_SUNSPEC_BY_NUMBER;
        r->model = (uint16_t)number;
        return number > 0;
    }
    for (unsigned g = 0; g < GROUP_COUNT; g++) {
        size_t n = strlen(groups[g].name);
        if (strncmp(*at, groups[g].name, n) == 0 && ((*at)[n] == '/' || (*at)[n] == '#')) {
            r->group = (uint8_t)g;
            *at += n;
            return true;
        }
    }
    return false;
}

static bool parse_point(const char *at, struct tg_sunspec_ref *r)
{
    unsigned number;
    r->point = -1;
    if (*at == '+') {
        at++;
        if (!take_number(&at, 0xFFFF, &number) || *at)
            return false;
        r->offset = (uint16_t)number;
        return true;
    }
    for (size_t i = 0; i < ROW_COUNT; i++) {
        bool here =
            r->group == TG_SUNSPEC_BY_NUMBER ? in_group(rows[i].group, r->model) : rows[i].group == r->group;
        if (here && strcmp(rows[i].name, at) == 0) {
            r->point = (int16_t)i;
            return true;
        }
    }
    return false;
}

/* "A, AphA, …": what the models of this group name; empty where they name nothing. */
static void list_points(const struct tg_sunspec_ref *r, char *ret_list, size_t size)
{
    size_t len = 0;
    ret_list[0] = '\0';
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const char *name = rows[i].name;
        const size_t n = strlen(name), gap = len > 0 ? 2 : 0;
        bool here =
            r->group == TG_SUNSPEC_BY_NUMBER ? in_group(rows[i].group, r->model) : rows[i].group == r->group;
        if (!here || len + gap + n >= size)
            continue;
        memcpy(ret_list + len, ", ", gap);
        memcpy(ret_list + len + gap, name, n + 1);
        len += gap + n;
    }
}

int tg_sunspec_parse(const char *text, struct tg_sunspec_ref *ret_ref, struct tg_error *err)
{
    struct tg_sunspec_ref r = {.instance = 1};
    const char *at = text;
    unsigned number;
    if (!parse_group(&at, &r))
        return tg_error_set(
            err, TG_EINVAL,
            "\"sunspec:%.40s\" names no model: allowed are common, inverter, meter, storage or "
            "a model's number, then a slash and a point, such as sunspec:inverter/W",
            text);
    if (*at == '#') {
        at++;
        if (!take_number(&at, TG_SUNSPEC_MAX_MODELS, &number) || number == 0)
            return tg_error_set(err, TG_EINVAL,
                                "\"sunspec:%.40s\": behind # stands which of several, 1 to %d", text,
                                TG_SUNSPEC_MAX_MODELS);
        r.instance = (uint8_t)number;
    }
    if (*at != '/' || !parse_point(at + 1, &r)) {
        char names[LIST_BYTES];
        list_points(&r, names, sizeof names);
        return tg_error_set(err, TG_EINVAL,
                            "\"sunspec:%.40s\" names no known point: allowed behind the slash are %s%s+N for "
                            "register N of the model (its id is +0)",
                            text, names, names[0] ? ", and " : "");
    }
    *ret_ref = r;
    return TG_OK;
}

/* --- where a point is --------------------------------------------------------------------------------------------- */

static const struct tg_sunspec_model *find_model(const struct tg_sunspec_ref *ref,
                                                 const struct tg_sunspec_map *map)
{
    unsigned seen = 0;
    for (uint32_t i = 0; i < map->count; i++) {
        uint16_t id = map->models[i].id;
        bool fits = ref->group == TG_SUNSPEC_BY_NUMBER ? id == ref->model : in_group(ref->group, id);
        if (fits && ++seen == ref->instance)
            return &map->models[i];
    }
    return NULL;
}

/* What stands for "not implemented" in a model, by type. Strings and floats have theirs by nature. */
static void set_null(struct tg_modbus_point *p)
{
    static const uint64_t acc32 = 0, int16 = 0x8000, uint16 = 0xFFFF;
    p->sentinel_count = 1;
    if (p->type == TG_MODBUS_INT16)
        p->sentinels[0] = int16;
    else if (p->type == TG_MODBUS_UINT16)
        p->sentinels[0] = uint16;
    else if (p->type == TG_MODBUS_UINT32)
        p->sentinels[0] = acc32;
    else
        p->sentinel_count = 0;
}

static int place(const struct row *row, const struct tg_sunspec_model *m, struct tg_modbus_point *p,
                 uint32_t *ret_offset, int32_t *ret_factor, struct tg_error *err)
{
    bool real = among(groups[row->group].float_models, m->id);
    if (real && row->real == NO)
        return tg_error_set(err, TG_ENOTFOUND, "SunSpec model %u has no %s", m->id, row->name);
    tg_modbus_point_init(p);
    p->bit = -1;
    p->type = row->type;
    p->length = row->length;
    if (real && row->type != TG_MODBUS_STRING && row->factor != NO)
        p->type = TG_MODBUS_FLOAT32;
    set_null(p);
    *ret_offset = real ? row->real : row->offset;
    *ret_factor = real || row->factor == NO ? -1 : row->factor;
    return TG_OK;
}

int tg_sunspec_resolve(const struct tg_sunspec_ref *ref, const struct tg_sunspec_map *map,
                       struct tg_modbus_point *p, int32_t *ret_scale, struct tg_error *err)
{
    const struct tg_sunspec_model *m = find_model(ref, map);
    struct tg_modbus_point fresh = *p;
    uint32_t offset = ref->offset;
    int32_t factor = -1;
    int rc;
    if (!m && ref->group == TG_SUNSPEC_BY_NUMBER)
        return tg_error_set(err, TG_ENOTFOUND, "the device has no SunSpec model %u (number %u of it)",
                            ref->model, ref->instance);
    if (!m)
        return tg_error_set(err, TG_ENOTFOUND, "the device has no SunSpec model for %s (number %u)",
                            groups[ref->group].name, ref->instance);
    if (ref->point >= 0) {
        rc = place(&rows[ref->point], m, &fresh, &offset, &factor, err);
        if (rc < 0)
            return rc;
    }
    fresh.table = TG_MODBUS_HOLDING;
    fresh.address = (uint16_t)(m->address + offset);
    rc = tg_modbus_point_finish(&fresh, NULL, err);
    if (rc < 0)
        return rc;
    if (offset + fresh.count > (uint32_t)m->length + 2 || factor > m->length + 1)
        return tg_error_set(
            err, TG_ENOTFOUND,
            "SunSpec model %u of this device has %u registers: the point would be behind its end", m->id,
            m->length);
    *p = fresh;
    *ret_scale = factor < 0 ? -1 : m->address + factor;
    return TG_OK;
}

bool tg_sunspec_scale(struct tg_value *value, uint16_t factor)
{
    static const double powers[] = {1, 10, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
    const int exponent = (int16_t)factor;
    double x;
    if (exponent < -10 || exponent > 10)
        return false;
    if (value->type == TG_VALUE_INT)
        x = (double)value->as.integer;
    else if (value->type == TG_VALUE_UINT)
        x = (double)value->as.uinteger;
    else
        return true;
    *value = tg_value_real(exponent < 0 ? x / powers[-exponent] : x * powers[exponent]);
    return true;
}
