/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Values as JSON. 64-bit integers keep all their digits, doubles the fewest that read back the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "plugins/modbus/modbus_plugin.h"

void tg_modbus_json_text(struct tg_writer *w, const char *text, size_t len)
{
    tg_write_u8(w, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            tg_write_fmt(w, "\\%c", c);
        else if (c < 0x20)
            tg_write_fmt(w, "\\u%04x", c);
        else
            tg_write_u8(w, c);
    }
    tg_write_u8(w, '"');
}

static void json_real(struct tg_writer *w, double v)
{
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        double again;
        snprintf(digits, sizeof digits, "%.*g", precision, v);
        again = strtod(digits, NULL);
        if (again == v)
            break;
    }
    tg_write_str(w, digits);
    if (!strpbrk(digits, ".e")) /* it stays a real for who reads it */
        tg_write_str(w, ".0");
}

void tg_modbus_json_value(struct tg_writer *w, const struct tg_value *v)
{
    switch (v->type) {
    case TG_VALUE_BOOL:
        tg_write_str(w, v->as.boolean ? "true" : "false");
        break;
    case TG_VALUE_INT:
        tg_write_i64_dec(w, v->as.integer);
        break;
    case TG_VALUE_UINT:
        tg_write_u64_dec(w, v->as.uinteger);
        break;
    case TG_VALUE_REAL:
        json_real(w, v->as.real);
        break;
    case TG_VALUE_TEXT:
        tg_modbus_json_text(w, v->as.text, v->text_len);
        break;
    default:
        tg_write_str(w, "null");
    }
}
