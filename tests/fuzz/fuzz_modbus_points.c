/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses and sentinels as text, then words into values of every type, order and packing. Beside not
 * crashing: a text that comes out is UTF-8, and a good value that is written back reads the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "southbound/modbus_points.h"

static void demand(int condition)
{
    if (!condition)
        abort();
}

static void write_back(const struct tg_modbus_point *p, const struct tg_value *v)
{
    char text[TG_MODBUS_TEXT_BYTES];
    struct tg_modbus_write w;
    struct tg_value again;
    struct tg_error err = {0};
    int rc = tg_modbus_point_encode(p, v, &w, &err);
    if (rc == TG_EUNSUPPORTED)
        return;
    demand(rc == 0);
    if (w.kind == TG_MODBUS_WRITE_MASK)
        w.words[0] = (uint16_t)((0xA5A5 & w.and_mask) | w.or_mask);
    if (w.kind == TG_MODBUS_WRITE_WORDS)
        demand(w.count == p->count);
    demand(tg_modbus_point_decode(p, w.words, text, &again) == TG_MODBUS_READING_GOOD);
    demand(again.type == v->type);
    if (v->type == TG_VALUE_TEXT)
        demand(tg_bytes_eq(tg_bytes(again.as.text, again.text_len), tg_bytes(v->as.text, v->text_len)));
    else if (v->type == TG_VALUE_BOOL)
        demand(again.as.boolean == v->as.boolean);
    else
        demand(again.as.uinteger == v->as.uinteger);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[80], text[TG_MODBUS_TEXT_BYTES];
    uint16_t words[125] = {0};
    struct tg_modbus_point p;
    struct tg_error err = {0};
    struct tg_value v;
    const uint8_t *end = memchr(data, '\n', size);
    if (!end || size - (size_t)(end - data) < 9)
        return 0;
    size_t n = (size_t)(end - data) < sizeof line ? (size_t)(end - data) : sizeof line - 1;
    memcpy(line, data, n);
    line[n] = 0;
    tg_modbus_point_init(&p);
    const uint8_t *c = end + 1;
    if (tg_modbus_point_sentinel(&p, line, &err) < 0 &&
        tg_modbus_point_address(&p, line, c[6] % 3 - 1, &err) < 0)
        return 0;
    p.type = c[0] % (TG_MODBUS_STRING + 1);
    p.order = c[1] % TG_MODBUS_ORDERS;
    p.packing = c[2] % 4;
    p.half = c[3] % 2;
    p.encoding = c[4] % 2;
    p.length = c[5];
    if (tg_modbus_point_finish(&p, NULL, &err) < 0)
        return 0;
    c += 8;
    for (size_t i = 0; i < 125 && (size_t)(data + size - c) >= 2; i++, c += 2)
        words[i] = (uint16_t)(c[0] << 8 | c[1]);
    enum tg_modbus_reading r = tg_modbus_point_decode(&p, words, text, &v);
    demand((r == TG_MODBUS_READING_GOOD) == (v.type != TG_VALUE_NONE));
    demand((tg_modbus_reading_quality(r) == TG_QUALITY_GOOD) == (r == TG_MODBUS_READING_GOOD));
    if (v.type == TG_VALUE_TEXT)
        demand(tg_utf8_valid(tg_bytes(v.as.text, v.text_len)));
    if (r == TG_MODBUS_READING_GOOD && p.sentinel_count == 0)
        write_back(&p, &v);
    return 0;
}
