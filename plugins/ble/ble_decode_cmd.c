/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/ble_decode_cmd.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/sample.h"
#include "core/base/secret.h"
#include "core/base/value_json.h"
#include "plugins/ble/ble_crypto.h"
#include "plugins/ble/gatt_decode_cmd.h"
#include "southbound/ble/ble_decode.h"
#include "southbound/ble/hci_events.h"

#define OUTPUT_BYTES 65536
#define REAL_DIGITS  15 /* as many as a decimal number keeps in a double */

static const char usage[] =
    "usage: tidegate decode ble [--address A] [--key-file F] [--format FORMAT] [--rssi DBM] HEX…\n"
    "       tidegate decode ble --hci [--key-file F] [--format FORMAT] HEX…\n" TG_GATT_DECODE_USAGE
    "HEX is an advertisement (length, type, content, …); with --hci an event of a controller that begins "
    "with 04 3E.\n"
    "--address is the sender's, like A4:C1:38:02:83:F4: encrypted formats need it\n"
    "--key-file has the key in 32 hexadecimal digits (24 for MiBeacon 2 and 3) and mode 0600\n"
    "formats: bthome ruuvi mibeacon atc pvvx govee eddystone ibeacon; without --format the first that fits\n";

struct command {
    struct tg_ble_address address;
    int8_t rssi;
    uint32_t formats;
    struct tg_ble_key key;
    bool has_key, hci;
    size_t len;
    uint8_t bytes[TG_BLE_ADVERT_MAX];
    struct tg_error err;
    struct tg_ble_readings readings;
    json_t *reports; /* one for each advertisement */
    bool decoded;    /* at least one had readings */
    struct tg_writer out;
    char text[OUTPUT_BYTES];
};

/* --- arguments ----------------------------------------------------------------------------------- */

static bool refuse(struct command *c, const char *what, const char *arg)
{
    if (!c->err.code)
        (void)tg_error_set(&c->err, TG_EINVAL, "%s: %.60s", what, arg);
    return false;
}

static bool take_hex(struct command *c, const char *text)
{
    unsigned high = 0;
    bool half = false;
    for (; *text; text++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF", *at = strchr(digits, *text);
        if (!at && strchr(" :-\t\r\n", *text) && !half)
            continue;
        if (!at || c->len == sizeof c->bytes)
            return refuse(c, at ? "more bytes than an advertisement may have, at" : "not hexadecimal", text);
        unsigned digit = (unsigned)(at - digits) & 15;
        if (half)
            c->bytes[c->len++] = (uint8_t)(high << 4 | digit);
        high = digit;
        half = !half;
    }
    return !half || refuse(c, "half a byte at the end of", text);
}

static bool take_key(struct command *c, const char *path)
{
    struct tg_secret secret;
    if (tg_secret_read(path, TG_SECRET_PRIVATE, &secret, &c->err) < 0)
        return false;
    c->has_key = tg_ble_key_parse((const char *)secret.data, secret.len, &tg_ble_wolfcrypt, &c->key);
    tg_secret_free(&secret);
    return c->has_key || refuse(c, "the key is not 32 or 24 hexadecimal digits, in", path);
}

static bool take_rssi(struct command *c, const char *value)
{
    char *end;
    long v = strtol(value, &end, 10);
    if (end == value || *end || v < -127 || v > 20)
        return refuse(c, "--rssi is not from -127 to 20", value);
    c->rssi = (int8_t)v;
    return true;
}

static bool take_option(struct command *c, const char *option, const char *value)
{
    enum tg_ble_format format;
    if (strcmp(option, "--address") == 0)
        return tg_ble_address_parse(value, &c->address) ||
               refuse(c, "no address like A4:C1:38:02:83:F4", value);
    if (strcmp(option, "--key-file") == 0)
        return take_key(c, value);
    if (strcmp(option, "--rssi") == 0)
        return take_rssi(c, value);
    if (strcmp(option, "--format") != 0)
        return refuse(c, "unknown option", option);
    if (!tg_ble_format_parse(value, &format))
        return refuse(c, "unknown format", value);
    c->formats = TG_BLE_FORMAT_BIT(format);
    return true;
}

static bool parse_arguments(struct command *c, int argc, const char *const *argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--hci") == 0) {
            c->hci = true;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            if (i + 1 == argc)
                return refuse(c, "a value is missing after", argv[i]);
            if (!take_option(c, argv[i], argv[i + 1]))
                return false;
            i++;
        } else if (!take_hex(c, argv[i])) {
            return false;
        }
    }
    return c->len > 0 || refuse(c, "no bytes given", c->hci ? "--hci HEX" : "HEX");
}

/* --- one advertisement as JSON -------------------------------------------------------------------- */

static json_t *json_readings(const struct tg_ble_readings *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->count; i++) {
        const struct tg_ble_reading *item = &r->items[i];
        json_t *one = json_object();
        json_object_set_new(one, "name", json_string(item->name));
        json_object_set_new(one, "value", tg_value_json(&item->value));
        if (item->unit[0])
            json_object_set_new(one, "unit", json_string(item->unit));
        json_object_set_new(one, "quality", json_string(tg_quality_name(item->quality)));
        json_array_append_new(list, one);
    }
    return list;
}

static void json_decoded(json_t *o, const struct tg_ble_readings *r)
{
    json_object_set_new(o, "format", json_string(tg_ble_format_names[r->format]));
    if (r->model[0])
        json_object_set_new(o, "model", json_string(r->model));
    if (r->version)
        json_object_set_new(o, "version", json_integer(r->version));
    if (r->product)
        json_object_set_new(o, "product", json_integer(r->product));
    json_object_set_new(o, "encrypted", json_boolean(r->encrypted));
    if (r->encrypted)
        json_object_set_new(o, "authentic", json_boolean(r->authentic));
    if (r->has_counter)
        json_object_set_new(o, "counter", json_integer(r->counter));
    if (r->stopped)
        json_object_set_new(o, "stopped", json_string(tg_ble_stop_name(r->stopped)));
    if (r->stopped == TG_BLE_STOP_OBJECT)
        json_object_set_new(o, "stopped_at", json_integer(r->stop_object));
}

/* What else the advertisement could be. */
static json_t *json_candidates(const struct tg_ble_advert *advert)
{
    struct tg_ble_candidate candidates[TG_BLE_FORMATS];
    size_t n = tg_ble_recognise(advert, candidates);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(tg_ble_format_names[candidates[i].format]));
    return list;
}

static void decode_advert(struct command *c, const struct tg_ble_advert *advert)
{
    static const uint8_t nobody[6];
    char name[TG_BLE_NAME_BYTES], address[TG_BLE_ADDRESS_BYTES];
    enum tg_ble_verdict verdict =
        tg_ble_decode(c->formats, advert, c->has_key ? &c->key : NULL, NULL, &c->readings);
    json_t *o = json_object();
    if (memcmp(advert->address.bytes, nobody, 6) != 0) {
        tg_ble_address_text(&advert->address, address);
        json_object_set_new(o, "address", json_string(address));
    }
    if (tg_ble_local_name(advert, name) > 0)
        json_object_set_new(o, "name", json_string(name));
    json_object_set_new(o, "verdict", json_string(tg_ble_verdict_name(verdict)));
    if (c->readings.format < TG_BLE_FORMATS)
        json_decoded(o, &c->readings);
    if (verdict == TG_BLE_OK)
        json_object_set_new(o, "readings", json_readings(&c->readings));
    else
        json_object_set_new(o, "error", json_string(tg_ble_verdict_text(verdict)));
    json_object_set_new(o, "formats", json_candidates(advert));
    json_array_append_new(c->reports, o);
    c->decoded |= verdict == TG_BLE_OK;
}

static void decode_event(struct command *c)
{
    struct tg_hci_fragments *fragments = calloc(1, sizeof *fragments);
    struct tg_hci_event event;
    struct tg_hci_report report;
    struct tg_ble_advert advert;
    enum tg_hci_verdict verdict = tg_hci_event_begin(&event, c->bytes, c->len, 0);
    if (verdict != TG_HCI_OK || !fragments) {
        json_array_append_new(c->reports,
                              json_pack("{s:s,s:s}", "verdict", tg_hci_verdict_name(verdict), "error",
                                        verdict == TG_HCI_OTHER
                                            ? "no advertising report of a controller"
                                            : "the event's lengths do not fit; nothing is taken from it"));
    } else {
        while (tg_hci_event_next(&event, &report))
            if (tg_hci_join(fragments, &report, &advert))
                decode_advert(c, &advert);
    }
    free(fragments);
}

/* --- the same as text ----------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void text_reading(struct command *c, const json_t *reading)
{
    const json_t *value = json_object_get(reading, "value");
    char *digits = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));
    bool none = json_is_null(value);
    tg_write_fmt(&c->out, "  %-20s %s%s%s\n", text_of(reading, "name"),
                 none                    ? "no value"
                 : json_is_string(value) ? json_string_value(value)
                 : digits                ? digits
                                         : "?",
                 none || !text_of(reading, "unit")[0] ? "" : " ", none ? "" : text_of(reading, "unit"));
    free(digits);
}

static void text_report(struct command *c, const json_t *o)
{
    const json_t *reading, *readings = json_object_get(o, "readings");
    size_t i;
    const char *const head[] = {text_of(o, "address"), text_of(o, "name"), text_of(o, "format"),
                                text_of(o, "model")};
    for (i = 0; i < sizeof head / sizeof *head; i++)
        if (head[i][0])
            tg_write_fmt(&c->out, "%s ", head[i]);
    if (json_object_get(o, "counter"))
        tg_write_fmt(&c->out, "counter %lld ", (long long)json_integer_value(json_object_get(o, "counter")));
    tg_write_fmt(&c->out, "%s%s\n", json_is_true(json_object_get(o, "encrypted")) ? "encrypted " : "",
                 readings ? "" : text_of(o, "error"));
    json_array_foreach((json_t *)(uintptr_t)readings, i, reading) text_reading(c, reading);
    if (json_object_get(o, "stopped"))
        tg_write_fmt(&c->out, "  (the rest is left out: %s)\n", text_of(o, "stopped"));
}

static int write_answer(struct command *c)
{
    const json_t *o;
    size_t i;
    json_array_foreach(c->reports, i, o) text_report(c, o);
    if (json_array_size(c->reports) == 0)
        tg_write_str(&c->out, "no whole advertisement in this event\n");
    return c->decoded ? 0 : 1;
}

/* One object; with --hci {"reports": [one object each]}. */
static char *dump_answer(const struct command *c)
{
    json_t *root =
        c->hci ? json_pack("{s:O}", "reports", c->reports) : json_incref(json_array_get(c->reports, 0));
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
    json_decref(root);
    return text;
}

int tg_ble_decode_cmd(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
                      void *user)
{
    struct command *c;
    char *dump = NULL;
    int rc = 2;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--characteristic") == 0)
            return tg_gatt_decode_cmd(argc, argv, json, out, user);
        if (strcmp(argv[i], "--help") == 0) {
            out(user, usage);
            return 0;
        }
    }
    c = calloc(1, sizeof *c);
    if (!c) {
        out(user, "out of memory\n");
        return 1;
    }
    c->rssi = TG_BLE_RSSI_UNKNOWN;
    c->formats = TG_BLE_ANY_FORMAT;
    c->out = tg_writer_init(c->text, sizeof c->text);
    c->reports = json_array();
    if (parse_arguments(c, argc, argv)) {
        struct tg_ble_advert advert = {c->address, c->rssi, c->bytes, c->len, 0};
        if (c->hci)
            decode_event(c);
        else
            decode_advert(c, &advert);
        rc = write_answer(c);
        if (json)
            dump = dump_answer(c);
    } else {
        tg_write_fmt(&c->out, "%s\n%s", c->err.text, usage);
    }
    if (dump) {
        out(user, dump);
        out(user, "\n");
    } else if (tg_writer_cstr(&c->out) == 0) {
        out(user, c->text);
    } else {
        rc = 1;
    }
    free(dump);
    json_decref(c->reports);
    explicit_bzero(&c->key, sizeof c->key);
    free(c);
    return rc;
}
