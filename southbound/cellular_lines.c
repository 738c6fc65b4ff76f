/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/cellular_lines.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* --- fields ---------------------------------------------------------------------------------------- */

struct fields {
    struct tg_bytes text[TG_CELL_FIELDS_MAX]; /* without blanks around and without quotes */
    bool quoted[TG_CELL_FIELDS_MAX];
    uint32_t count;
};

static struct tg_bytes trim(struct tg_bytes t)
{
    while (t.len > 0 && (t.data[0] == ' ' || t.data[0] == '\t'))
        t = tg_bytes(t.data + 1, t.len - 1);
    while (t.len > 0 && (t.data[t.len - 1] == ' ' || t.data[t.len - 1] == '\t'))
        t.len--;
    return t;
}

static struct tg_bytes unquote(struct tg_bytes t, bool *ret_quoted)
{
    t = trim(t);
    *ret_quoted = t.len >= 2 && t.data[0] == '"' && t.data[t.len - 1] == '"';
    return *ret_quoted ? tg_bytes(t.data + 1, t.len - 2) : t;
}

/* What follows `prefix`, cut at commas outside quotes. False: another line, or too many fields. */
static bool cut(struct tg_bytes line, const char *prefix, struct fields *f)
{
    size_t skip = strlen(prefix), begin, i;
    bool inside = false;
    f->count = 0;
    if (!tg_bytes_starts(line, prefix))
        return false;
    for (begin = i = skip; i <= line.len; i++) {
        if (i < line.len && line.data[i] == '"')
            inside = !inside;
        if (i < line.len && (line.data[i] != ',' || inside))
            continue;
        if (f->count == TG_CELL_FIELDS_MAX)
            return false;
        f->text[f->count] = unquote(tg_bytes(line.data + begin, i - begin), &f->quoted[f->count]);
        f->count++;
        begin = i + 1;
    }
    return !inside;
}

static int digit(uint8_t c, unsigned base)
{
    int v = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : -1;
    return v < (int)base ? v : -1;
}

static bool number(struct tg_bytes t, unsigned base, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (t.len == 0 || t.len > 16)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        int d = digit(t.data[i], base);
        if (d < 0)
            return false;
        v = v * base + (uint64_t)d;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

static bool field_number(const struct fields *f, uint32_t i, uint64_t max, int32_t *ret)
{
    uint64_t v;
    if (i >= f->count || !number(f->text[i], 10, max, &v))
        return false;
    *ret = (int32_t)v;
    return true;
}

static bool field_text(const struct fields *f, uint32_t i, char ret[TG_CELL_TEXT_BYTES])
{
    if (i >= f->count || f->text[i].len >= TG_CELL_TEXT_BYTES || !tg_utf8_valid(f->text[i]))
        return false;
    for (size_t k = 0; k < f->text[i].len; k++)
        if (f->text[i].data[k] < 0x20 || f->text[i].data[k] == 0x7F)
            return false;
    if (f->text[i].len > 0)
        memcpy(ret, f->text[i].data, f->text[i].len);
    ret[f->text[i].len] = '\0';
    return true;
}

/* --- registration ---------------------------------------------------------------------------------- */

static const char *const domain_prefixes[TG_CELL_DOMAINS] = {"+CREG:", "+CGREG:", "+CEREG:", "+C5GREG:"};

static bool cut_registration(struct tg_bytes line, struct fields *f, enum tg_cell_domain *ret_domain)
{
    for (int d = 0; d < TG_CELL_DOMAINS; d++) {
        if (!cut(line, domain_prefixes[d], f))
            continue;
        *ret_domain = (enum tg_cell_domain)d;
        return true;
    }
    return false;
}

/* "+CREG: 1" and "+CREG: 1,"00C3",…" are told; "+CREG: 0,1" and "+CREG: 2,1,"00C3",…" answer. A few modems do not quote the area: four
 * digits are no state. */
static bool is_answer(const struct fields *f)
{
    return f->count >= 2 && !f->quoted[1] && f->text[1].len >= 1 && f->text[1].len <= 2;
}

bool tg_cell_registration_is_answer(struct tg_bytes line)
{
    struct fields f;
    enum tg_cell_domain domain;
    return cut_registration(line, &f, &domain) && is_answer(&f);
}

bool tg_cell_registration(struct tg_bytes line, bool answer, struct tg_cell_registration *ret)
{
    struct fields f;
    struct tg_cell_registration r = {.act = TG_CELL_NONE};
    uint32_t at = answer ? 1 : 0;
    int32_t stat;
    uint64_t area, cell;
    if (!cut_registration(line, &f, &r.domain) || !field_number(&f, at, 10, &stat))
        return false;
    r.stat = (uint8_t)stat;
    if (f.count > at + 2 && number(f.text[at + 1], 16, 0xFFFFFF, &area) &&
        number(f.text[at + 2], 16, 0xFFFFFFFFFu, &cell)) {
        r.has_cell = true;
        r.area = (uint32_t)area;
        r.cell = cell;
    }
    (void)field_number(&f, at + 3, 13, &r.act);
    *ret = r;
    return true;
}

/* --- signal ------------------------------------------------------------------------------------------ */

/* base + n · step, in tenths; NONE when n is its marker or beyond its range. */
static int32_t level(int32_t n, int32_t max, int32_t base, int32_t step)
{
    return n < 0 || n > max ? TG_CELL_NONE : base + n * step;
}

bool tg_cell_csq(struct tg_bytes line, int32_t *ret_rssi)
{
    struct fields f;
    int32_t n;
    if (!cut(line, "+CSQ:", &f) || f.count < 2 || !field_number(&f, 0, 255, &n))
        return false;
    *ret_rssi = n >= 100 && n <= 191 ? level(n - 100, 91, -1160, 10) /* TD-SCDMA modems */
                                     : level(n, 31, -1130, 20);
    return true;
}

bool tg_cell_cesq(struct tg_bytes line, struct tg_cell_signal *ret)
{
    struct fields f;
    int32_t n[6];
    if (!cut(line, "+CESQ:", &f) || f.count < 6)
        return false;
    for (uint32_t i = 0; i < 6; i++)
        if (!field_number(&f, i, 255, &n[i]))
            return false;
    ret->rssi = level(n[0], 63, -1110, 10);
    ret->rscp = level(n[2], 96, -1210, 10);
    ret->ecno = level(n[3], 49, -245, 5);
    ret->rsrq = level(n[4], 34, -200, 5);
    ret->rsrp = level(n[5], 97, -1410, 10);
    return true;
}

/* --- operator ---------------------------------------------------------------------------------------- */

bool tg_cell_operator(struct tg_bytes line, struct tg_cell_operator *ret)
{
    struct fields f;
    struct tg_cell_operator o = {.act = TG_CELL_NONE};
    int32_t mode;
    if (!cut(line, "+COPS:", &f) || !field_number(&f, 0, 4, &mode))
        return false;
    if (f.count > 2 && !field_text(&f, 2, o.name))
        return false;
    (void)field_number(&f, 3, 13, &o.act);
    *ret = o;
    return true;
}

const char *tg_cell_rat(int32_t act)
{
    static const char *const names[] = {"gsm", "gsm",        "umts",   "edge", "hsdpa", "hsupa", "hspa",
                                        "lte", "ec-gsm-iot", "nb-iot", "lte",  "nr",    "nr",    "en-dc"};
    return act >= 0 && act < (int32_t)COUNT(names) ? names[act] : "";
}

/* --- time -------------------------------------------------------------------------------------------- */

static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    int64_t y = year - (month <= 2), era = y / 400, yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool two_digits(const uint8_t *p, int64_t min, int64_t max, int64_t *ret)
{
    int a = digit(p[0], 10), b = digit(p[1], 10);
    *ret = a * 10 + b;
    return a >= 0 && b >= 0 && *ret >= min && *ret <= max;
}

bool tg_cell_clock(struct tg_bytes line, struct tg_cell_clock *ret)
{
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct fields f;
    struct tg_cell_clock c = {0};
    const uint8_t *p;
    int64_t year, month, day, hour, minute, second, zone;
    size_t n;
    if (!cut(line, "+CCLK:", &f) || f.count != 1)
        return false;
    p = f.text[0].data;
    n = f.text[0].len;
    if (n < 17 || p[2] != '/' || p[5] != '/' || p[8] != ',' || p[11] != ':' || p[14] != ':' ||
        !two_digits(p, 0, 99, &year) || !two_digits(p + 3, 1, 12, &month) ||
        !two_digits(p + 6, 1, 31, &day) || !two_digits(p + 9, 0, 23, &hour) ||
        !two_digits(p + 12, 0, 59, &minute) || !two_digits(p + 15, 0, 60, &second))
        return false;
    if (day > month_days[month - 1] + (month == 2 && year % 4 == 0)) /* right from 2000 to 2099 */
        return false;
    if (n == 20 && (p[17] == '+' || p[17] == '-') && two_digits(p + 18, 0, 56, &zone)) {
        c.has_zone = true;
        c.zone_quarters = (int32_t)(p[17] == '-' ? -zone : zone);
    } else if (n != 17) {
        return false;
    }
    c.local_ms =
        ((days_from_civil(2000 + year, month, day) * 24 + hour) * 3600 + minute * 60 + second) * 1000;
    *ret = c;
    return true;
}

/* --- the SIM ----------------------------------------------------------------------------------------- */

bool tg_cell_lock(struct tg_bytes line, enum tg_cell_lock *ret_lock, char ret_text[TG_CELL_TEXT_BYTES])
{
    struct fields f;
    char text[TG_CELL_TEXT_BYTES];
    if (!cut(line, "+CPIN:", &f) || f.count != 1 || f.text[0].len == 0 || !field_text(&f, 0, text))
        return false;
    *ret_lock = strcmp(text, "READY") == 0     ? TG_CELL_READY
                : strcmp(text, "SIM PIN") == 0 ? TG_CELL_WANTS_PIN
                : strcmp(text, "SIM PUK") == 0 ? TG_CELL_WANTS_PUK
                                               : TG_CELL_WANTS_OTHER;
    memcpy(ret_text, text, sizeof text);
    return true;
}

bool tg_cell_tries(struct tg_bytes line, int32_t *ret_tries)
{
    static const struct {
        const char *prefix, *first; /* first: what its first field must be; NULL = it is the count */
    } kinds[] = {{"+CPINR:", "SIM PIN"}, {"+UPINCNT:", NULL}, {"+QPINC:", "SC"}, {"+SPIC:", NULL}};
    struct fields f;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (!cut(line, kinds[i].prefix, &f))
            continue;
        if (kinds[i].first && !tg_bytes_eq_str(f.text[0], kinds[i].first))
            return false;
        return field_number(&f, kinds[i].first ? 1 : 0, 99, ret_tries);
    }
    return false;
}

bool tg_cell_number(struct tg_bytes line, const char *prefix, int32_t *ret)
{
    struct fields f;
    return cut(line, prefix, &f) && field_number(&f, 0, 255, ret);
}

bool tg_cell_context(struct tg_bytes line, int32_t cid, char ret_type[TG_CELL_TEXT_BYTES],
                     char ret_apn[TG_CELL_TEXT_BYTES])
{
    struct fields f;
    int32_t n;
    return cut(line, "+CGDCONT:", &f) && field_number(&f, 0, 255, &n) && n == cid &&
           field_text(&f, 1, ret_type) && field_text(&f, 2, ret_apn);
}

bool tg_cell_digits(struct tg_bytes line, char ret[TG_CELL_TEXT_BYTES])
{
    const uint8_t *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
    struct tg_bytes t = colon ? tg_bytes(colon + 1, line.len - (size_t)(colon + 1 - line.data)) : line;
    bool quoted;
    t = unquote(t, &quoted);
    if (t.len > 0 && (t.data[t.len - 1] == 'F' || t.data[t.len - 1] == 'f'))
        t.len--;
    if (t.len < 10 || t.len > 22)
        return false;
    for (size_t i = 0; i < t.len; i++)
        if (digit(t.data[i], 10) < 0)
            return false;
    memcpy(ret, t.data, t.len);
    ret[t.len] = '\0';
    return true;
}

bool tg_cell_text(struct tg_bytes line, char ret[TG_CELL_TEXT_BYTES])
{
    static const char *const prefixes[] = {"+CGMI:", "+CGMM:", "+CGMR:", "Revision:"};
    bool quoted;
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (tg_bytes_starts(line, prefixes[i]))
            line = tg_bytes(line.data + strlen(prefixes[i]), line.len - strlen(prefixes[i]));
    line = unquote(line, &quoted);
    if (line.len == 0 || line.len >= TG_CELL_TEXT_BYTES)
        return false;
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] < 0x20 || line.data[i] >= 0x7F)
            return false;
    memcpy(ret, line.data, line.len);
    ret[line.len] = '\0';
    return true;
}
