/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * value_json - a reading's value as a JSON value of Jansson's. Header only: who includes it links Jansson.
 */
#ifndef TG_BASE_VALUE_JSON_H
#define TG_BASE_VALUE_JSON_H

#include <jansson.h>
#include <tidegate/plugin.h>

/* The caller's; NULL: out of memory, a text that is no UTF-8, a real that is no number. What no JSON integer of Jansson's holds becomes
 * a real. No value is null. */
static inline json_t *tg_value_json(const struct tg_value *v)
{
    switch (v->type) {
    case TG_VALUE_BOOL:
        return json_boolean(v->as.boolean);
    case TG_VALUE_INT:
        return json_integer(v->as.integer);
    case TG_VALUE_UINT:
        return v->as.uinteger <= INT64_MAX ? json_integer((json_int_t)v->as.uinteger)
                                           : json_real((double)v->as.uinteger);
    case TG_VALUE_REAL:
        return json_real(v->as.real);
    case TG_VALUE_TEXT:
        return json_stringn(v->as.text, v->text_len);
    default:
        return json_null();
    }
}

#endif
