/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/gatt_decode_cmd.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/value_json.h"
#include "southbound/ble/gatt_format.h"
#include "southbound/ble/gatt_known.h"

#define REAL_DIGITS 15
#define VALUE_BYTES 512 /* the longest a characteristic may be */

static const char usage[] = "usage: tidegate decode ble --characteristic UUID|NAME [--as FORMAT] HEX…\n"
                            "HEX is what was read or notified. FORMAT is needed for a characteristic that is "
                            "not known by itself, such as s16*0.01?8000;\n"
                            "docs/plugins/ble-gatt.md has the known ones and the formats.\n";

struct command {
    const struct tg_gatt_known *known;
    const char *format; /* NULL = the known one's */
    bool named;
    uint8_t bytes[VALUE_BYTES];
    size_t len;
};

static bool take_characteristic(struct command *c, const char *text, struct tg_error *err)
{
    struct tg_att_uuid uuid;
    c->named = true;
    c->known = tg_gatt_known_name(tg_bytes_str(text));
    if (c->known)
        return true;
    if (tg_att_uuid_parse(tg_bytes_str(text), &uuid) < 0) {
        tg_error_set(err, TG_EINVAL, "\"%.60s\" is neither a UUID nor a name that is known", text);
        return false;
    }
    c->known = tg_gatt_known_uuid(&uuid);
    return true;
}

static bool take_hex(struct command *c, const char *text, struct tg_error *err)
{
    size_t n = strlen(text);
    if (n % 2 || n / 2 > sizeof c->bytes - c->len || strspn(text, "0123456789abcdefABCDEF") != n) {
        tg_error_set(err, TG_EINVAL, "\"%.60s\" is not 1 to %d bytes in hexadecimal digits", text,
                     VALUE_BYTES);
        return false;
    }
    for (size_t i = 0; i < n; i += 2) {
        const char pair[3] = {text[i], text[i + 1], '\0'};
        c->bytes[c->len++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static bool parse(struct command *c, int argc, const char *const *argv, struct tg_error *err)
{
    for (int i = 0; i < argc; i++) {
        bool option = strcmp(argv[i], "--characteristic") == 0 || strcmp(argv[i], "--as") == 0;
        if (option && i + 1 == argc) {
            tg_error_set(err, TG_EINVAL, "%s needs a value", argv[i]);
            return false;
        }
        if (strcmp(argv[i], "--as") == 0)
            c->format = argv[++i];
        else if (option ? !take_characteristic(c, argv[++i], err) : !take_hex(c, argv[i], err))
            return false;
    }
    if (!c->format && c->known)
        c->format = c->known->format;
    if (!c->format)
        tg_error_set(err, TG_EINVAL, "this characteristic is not known by itself: say --as FORMAT");
    else if (c->len == 0)
        tg_error_set(err, TG_EINVAL, "no bytes given");
    return c->format && c->len > 0;
}

static void answer(const struct command *c, enum tg_gatt_reading reading, const struct tg_value *v, bool json,
                   void (*out)(void *user, const char *text), void *user)
{
    const char *name = c->known ? c->known->name : "value",
               *unit = c->known && c->known->unit ? c->known->unit : "";
    json_t *value = tg_value_json(v), *o = json_pack("{s:s,s:O,s:s,s:s}", "name", name, "value", value,
                                                     "unit", unit, "reading", tg_gatt_reading_name(reading));
    char *text =
        json_dumps(json ? o : value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
    char line[64 + 2 * VALUE_BYTES + 64];
    if (json)
        snprintf(line, sizeof line, "%s\n", text ? text : "{}");
    else
        snprintf(line, sizeof line, "%s %s%s%s\n", name,
                 reading == TG_GATT_READING_GOOD && text ? text : "no value: ",
                 reading == TG_GATT_READING_GOOD ? (*unit ? " " : "") : tg_gatt_reading_name(reading),
                 reading == TG_GATT_READING_GOOD ? unit : "");
    out(user, line);
    free(text);
    json_decref(value);
    json_decref(o);
}

int tg_gatt_decode_cmd(int argc, const char *const *argv, bool json,
                       void (*out)(void *user, const char *text), void *user)
{
    struct command c = {0};
    struct tg_error err = {0};
    struct tg_gatt_format format;
    struct tg_value value;
    char text[TG_GATT_TEXT_BYTES];
    enum tg_gatt_reading reading;
    if (!parse(&c, argc, argv, &err) || tg_gatt_format_parse(tg_bytes_str(c.format), &format, &err) < 0) {
        out(user, err.text);
        out(user, "\n");
        out(user, usage);
        return 2;
    }
    reading = tg_gatt_decode(&format, tg_bytes(c.bytes, c.len), text, &value);
    answer(&c, reading, &value, json, out, user);
    return reading == TG_GATT_READING_GOOD ? 0 : 1;
}
