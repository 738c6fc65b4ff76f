/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/percent.h"

static bool kept(uint8_t c, enum tg_percent_set set)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return true;
    if (c == '-' || c == '_' || c == '.' || c == '~')
        return true;
    return set == TG_PERCENT_PROPERTY && (c == '!' || c == '\'' || c == '(' || c == ')' || c == '*');
}

void tg_percent_encode(struct tg_writer *w, struct tg_bytes text, enum tg_percent_set set)
{
    static const char upper[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (kept(c, set)) {
            tg_write_u8(w, c);
        } else if (c == '*') {
            tg_write_str(w, "%2a");
        } else {
            uint8_t escape[3] = {'%', (uint8_t)upper[c >> 4], (uint8_t)upper[c & 15]};
            tg_write_bytes(w, tg_bytes(escape, 3));
        }
    }
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int tg_percent_decode(struct tg_writer *w, struct tg_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        int high, low;
        if (text.data[i] != '%') {
            tg_write_u8(w, text.data[i]);
            continue;
        }
        if (text.len - i < 3)
            return TG_EPROTO;
        high = hex(text.data[i + 1]);
        low = hex(text.data[i + 2]);
        if (high < 0 || low < 0)
            return TG_EPROTO;
        tg_write_u8(w, (uint8_t)(high << 4 | low));
        i += 2;
    }
    return w->failed ? TG_ETOOBIG : TG_OK;
}
