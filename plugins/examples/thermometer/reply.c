/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include <stdbool.h>
#include <string.h>

unsigned reply_checksum(const char *bytes, size_t len)
{
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++)
        sum ^= (unsigned char)bytes[i];
    return sum;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Takes "*HH" off the end. */
static bool take_checksum(const char *line, size_t *len)
{
    size_t n = *len;
    if (n < 4 || n > REPLY_MAX_BYTES || line[n - 3] != '*' || hex(line[n - 2]) < 0 || hex(line[n - 1]) < 0)
        return false;
    *len = n - 3;
    return reply_checksum(line, n - 3) == (unsigned)(hex(line[n - 2]) * 16 + hex(line[n - 1]));
}

/* [sign] 1 to 3 digits, a point, one digit, then the unit and nothing more. */
static bool take_number(const char *text, size_t len, bool is_signed, char unit, double *ret)
{
    int tenths = 0, digits = 0;
    size_t i = 0;
    bool negative = is_signed && len > 0 && text[0] == '-';
    if (is_signed && (len == 0 || (text[0] != '+' && text[0] != '-')))
        return false;
    for (i = is_signed; i < len && text[i] >= '0' && text[i] <= '9'; i++, digits++) {
        if (digits == 3)
            return false;
        tenths = tenths * 10 + (text[i] - '0');
    }
    if (digits == 0 || len != i + 3 || text[i] != '.' || text[i + 1] < '0' || text[i + 1] > '9' ||
        text[i + 2] != unit)
        return false;
    tenths = tenths * 10 + (text[i + 1] - '0');
    *ret = (negative ? -tenths : tenths) / 10.0;
    return true;
}

enum reply reply_parse(const char *line, size_t len, char asked, double *ret_value)
{
    double value = 0;
    if (!take_checksum(line, &len) || len < 3 || line[1] != '=')
        return REPLY_DAMAGED;
    if (line[0] == 'E') {
        if (len != 3 || line[2] < '1' || line[2] > '3')
            return REPLY_DAMAGED;
        *ret_value = line[2] - '0';
        return REPLY_ERROR;
    }
    if (!strchr("THL", line[0]) ||
        !take_number(line + 2, len - 2, line[0] != 'H', line[0] == 'H' ? '%' : 'C', &value))
        return REPLY_DAMAGED;
    if (line[0] != asked)
        return REPLY_OTHER;
    *ret_value = value;
    return REPLY_VALUE;
}
