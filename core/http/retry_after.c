/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/http/retry_after.h"

struct when {
    int year, month, day, hour, minute, second;
};

static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
static const char *const long_days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Takes one of the names from the front; its number from 1, 0 = none of them is there. */
static int take_name(struct tg_bytes *v, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        size_t len = strlen(names[i]);
        if (v->len >= len && memcmp(v->data, names[i], len) == 0) {
            *v = tg_bytes(v->data + len, v->len - len);
            return i + 1;
        }
    }
    return 0;
}

static int *field_of(struct when *t, char letter)
{
    switch (letter) {
    case 'y':
        return &t->year;
    case 'd':
        return &t->day;
    case 'h':
        return &t->hour;
    case 'm':
        return &t->minute;
    case 's':
        return &t->second;
    default:
        return NULL;
    }
}

/* w, l, n: the name of a day, in full, of a month; y d h m s: one digit of those; e: a space or a digit of the day; anything else
 * stands for itself. */
static bool read_as(struct tg_bytes v, const char *pattern, struct when *t)
{
    *t = (struct when){0};
    for (; *pattern; pattern++) {
        int *field = field_of(t, *pattern == 'e' ? 'd' : *pattern);
        bool named = *pattern == 'w' || *pattern == 'l' || *pattern == 'n';
        if (named) {
            int number = *pattern == 'w'   ? take_name(&v, days, 7)
                         : *pattern == 'l' ? take_name(&v, long_days, 7)
                                           : (t->month = take_name(&v, months, 12));
            if (number == 0)
                return false;
            continue;
        }
        if (v.len == 0)
            return false;
        if (field && v.data[0] >= '0' && v.data[0] <= '9')
            *field = *field * 10 + (v.data[0] - '0');
        else if (v.data[0] != (uint8_t)(*pattern == 'e' ? ' ' : *pattern) || (field && *pattern != 'e'))
            return false;
        v = tg_bytes(v.data + 1, v.len - 1);
    }
    return v.len == 0;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_real(const struct when *t)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int length = lengths[t->month - 1] + (t->month == 2 && is_leap(t->year));
    return t->day >= 1 && t->day <= length && t->hour < 24 && t->minute < 60 && t->second <= 60;
}

static int64_t seconds_of(const struct when *t)
{
    /* Days of the years that begin in March: the leap day is the last. */
    int64_t year = t->year - (t->month <= 2), month = (t->month + 9) % 12;
    int64_t whole_days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + t->day - 1;
    return (whole_days - 719468) * 86400 + t->hour * 3600 + t->minute * 60 + t->second;
}

bool tg_http_parse_date(struct tg_bytes value, int64_t *ret_s)
{
    struct when t;
    if (read_as(value, "l, dd-n-yy hh:mm:ss GMT", &t))
        t.year += 2000;
    else if (!read_as(value, "w, dd n yyyy hh:mm:ss GMT", &t) && !read_as(value, "w n ed hh:mm:ss yyyy", &t))
        return false;
    if (!is_real(&t))
        return false;
    *ret_s = seconds_of(&t);
    return true;
}

int tg_http_retry_after(const struct tg_http_response *r, int64_t now_s, uint32_t *ret_seconds)
{
    struct tg_bytes value, date;
    uint32_t seconds = 0;
    int64_t until_s, wait_s;
    if (!tg_http_response_header(r, "retry-after", &value))
        return 0;
    if (tg_http_parse_seconds(value, &seconds)) {
        wait_s = seconds;
    } else {
        if (!tg_http_parse_date(value, &until_s))
            return TG_EPROTO;
        if (tg_http_response_header(r, "date", &date))
            (void)tg_http_parse_date(date, &now_s);
        if (now_s <= 0)
            return TG_EPROTO;
        wait_s = until_s > now_s ? until_s - now_s : 0;
    }
    *ret_seconds = (uint32_t)(wait_s < TG_HTTP_LONGEST_WAIT_S ? wait_s : TG_HTTP_LONGEST_WAIT_S);
    return 1;
}
