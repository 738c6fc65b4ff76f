/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_decode.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "plugins/at/at_points.h"
#include "plugins/at/at_scripts.h"
#include "plugins/at/at_text.h"
#include "southbound/at_chat.h"

#define TEXT_MAX_BYTES (256 * 1024)
#define URCS_MAX       64
#define NULLS_MAX      16

static const char usage[] =
    "usage: tidegate decode at [--command AT+CSQ] [--match PATTERN [--group N] [--type TYPE] [--null "
    "TEXT]…]\n"
    "                          [--urc PREFIX]… [--numeric] [--file FILE | TEXT…]\n"
    "Each TEXT is a line; \\r \\n \\t \\\\ and \\xHH are understood. Without --command every line that "
    "begins with AT\n"
    "is taken for the echo of a command. TYPE: auto int real text bool hex bytes. FILE - is standard "
    "input.\n";

struct decode {
    void (*out)(void *user, const char *text);
    void *user;
    const char *command, *pattern_text, *file;
    uint32_t group;
    struct tg_at_reader reader;
    const char *nulls[NULLS_MAX];
    struct tg_at_urc urcs[URCS_MAX];
    size_t urc_count;
    bool numeric, help;
    struct tg_at_pattern pattern;
    struct tg_at_chat chat;
    int64_t now_ms;
    char command_text[TG_AT_COMMAND_MAX_BYTES + 1];
    struct tg_buffer text;
    json_t *exchanges, *urcs_seen, *others, *readings;
    bool failed; /* a command without OK, or no reading where one was asked for */
};

/* --- arguments --- */

static int wrong_usage(struct decode *d, const char *what, const char *arg)
{
    char text[256];
    snprintf(text, sizeof text, "decode at: %s: %.120s\n", what, arg);
    d->out(d->user, text);
    d->out(d->user, usage);
    return 2;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef",
               *at = c ? strchr(digits, c | (c >= 'A' && c <= 'F' ? 0x20 : 0)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Appends `arg` with its escapes resolved, and a line end. */
static int add_text(struct decode *d, const char *arg)
{
    for (const char *p = arg; *p; p++) {
        uint8_t c = (uint8_t)*p;
        int high, low;
        if (c == '\\' && p[1]) {
            const char *from = "rnt\\", *at = strchr(from, p[1]);
            if (at) {
                c = (uint8_t) "\r\n\t\\"[at - from];
                p++;
            } else if (p[1] == 'x' && (high = hex_digit(p[2])) >= 0 && (low = hex_digit(p[3])) >= 0) {
                c = (uint8_t)(high << 4 | low);
                p += 3;
            }
        }
        if (tg_buffer_append(&d->text, tg_bytes(&c, 1)) < 0)
            return wrong_usage(d, "the text is too long", "");
    }
    return tg_buffer_append(&d->text, tg_bytes_str("\r\n")) < 0 ? wrong_usage(d, "the text is too long", "")
                                                                : 0;
}

static int add_file(struct decode *d, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    uint8_t buf[4096];
    size_t n;
    int rc = 0;
    if (!f)
        return wrong_usage(d, "the file cannot be read", path);
    while (rc == 0 && (n = fread(buf, 1, sizeof buf, f)) > 0)
        rc = tg_buffer_append(&d->text, tg_bytes(buf, n));
    if (f != stdin)
        fclose(f);
    return rc < 0 ? wrong_usage(d, "the file is too long", path) : 0;
}

static int set_type(struct decode *d, const char *text)
{
    static const char *const types[] = {"auto", "int", "real", "text", "bool", "hex", "bytes"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i], text) == 0) {
            d->reader.type = (enum tg_at_type)i;
            return 0;
        }
    }
    return wrong_usage(d, "no such type", text);
}

static int set_group(struct decode *d, const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 0 || n > 99)
        return wrong_usage(d, "--group is a number from 0 to 99", text);
    d->group = (uint32_t)n;
    return 0;
}

/* One option with its argument. */
static int set_option(struct decode *d, const char *name, const char *arg)
{
    if (strcmp(name, "--command") == 0)
        d->command = arg;
    else if (strcmp(name, "--match") == 0)
        d->pattern_text = arg;
    else if (strcmp(name, "--file") == 0)
        d->file = arg;
    else if (strcmp(name, "--group") == 0)
        return set_group(d, arg);
    else if (strcmp(name, "--type") == 0)
        return set_type(d, arg);
    else if (strcmp(name, "--null") == 0 && d->reader.null_count < NULLS_MAX)
        d->nulls[d->reader.null_count++] = arg;
    else if (strcmp(name, "--urc") == 0 && d->urc_count < URCS_MAX)
        d->urcs[d->urc_count++] = (struct tg_at_urc){.prefix = arg};
    else
        return wrong_usage(d, "unknown option, or given too often", name);
    return 0;
}

static int read_arguments(struct decode *d, int argc, const char *const *argv)
{
    bool options = true;
    for (int i = 0; i < argc; i++) {
        int rc;
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
            continue;
        }
        if (options && strcmp(argv[i], "--help") == 0) {
            d->help = true;
            return 0;
        }
        if (options && strcmp(argv[i], "--numeric") == 0) {
            d->numeric = true;
            continue;
        }
        if (!options || strncmp(argv[i], "--", 2) != 0)
            rc = add_text(d, argv[i]);
        else if (i + 1 == argc)
            rc = wrong_usage(d, "option without its value, or unknown", argv[i]);
        else
            rc = set_option(d, argv[i], argv[i + 1]), i++;
        if (rc != 0)
            return rc;
    }
    if (d->file)
        return d->text.len > 0 ? wrong_usage(d, "either --file or TEXT", d->file) : add_file(d, d->file);
    return d->text.len > 0 ? 0 : wrong_usage(d, "nothing to decode", "give TEXT or --file");
}

/* --- the conversation --- */

/* As a point's pattern does: it tells the answer from an unasked line that begins alike. */
static bool is_answer(void *user, struct tg_bytes line)
{
    struct decode *d = user;
    return tg_at_pattern_match(&d->pattern, line) == TG_AT_MATCH;
}

static bool start_command(struct decode *d, struct tg_bytes text)
{
    struct tg_at_command c = {.text = d->command_text,
                              .timeout_ms = 1000,
                              .is_response = d->pattern.code ? is_answer : NULL,
                              .user = d};
    if (text.len >= sizeof d->command_text || memchr(text.data, 0, text.len))
        return false;
    memcpy(d->command_text, text.data, text.len);
    d->command_text[text.len] = 0;
    if (tg_at_chat_queue(&d->chat, &c) < 0)
        return false;
    d->now_ms += 1000; /* behind the pause between commands */
    tg_at_chat_tick(&d->chat, d->now_ms);
    tg_at_chat_output_ack(&d->chat, tg_at_chat_output(&d->chat).len, d->now_ms);
    return true;
}

static json_t *reading(struct decode *d, struct tg_bytes line)
{
    struct tg_point_value v = {.quality = TG_QUALITY_SENSOR};
    struct tg_bytes text;
    char hex[TG_TEXT_MAX_BYTES];
    if (tg_at_pattern_match(&d->pattern, line) != TG_AT_MATCH ||
        !tg_at_pattern_group(&d->pattern, d->group, line, &text))
        return NULL;
    (void)tg_at_read_value(&d->reader, text, hex, &v);
    switch (v.value.type) {
    case TG_VALUE_BOOL:
        return json_boolean(v.value.as.boolean);
    case TG_VALUE_INT:
        return json_integer(v.value.as.integer);
    case TG_VALUE_REAL:
        return json_real(v.value.as.real);
    case TG_VALUE_TEXT:
        return json_stringn(v.value.as.text, v.value.text_len);
    default:
        return json_null(); /* the device's "no value", or not of the type */
    }
}

static void read_line(struct decode *d, struct tg_bytes line)
{
    json_t *value = d->pattern.code ? reading(d, line) : NULL;
    if (value)
        json_array_append_new(d->readings,
                              json_pack("{s:o,s:o}", "line", at_json_line(line), "value", value));
}

static void on_result(struct decode *d, const struct tg_at_result *r)
{
    json_t *lines = json_array(), *o;
    const char *status = r->status == TG_AT_HANGUP ? "incomplete" : tg_at_status_name(r->status);
    size_t n = strnlen(r->command->text, TG_AT_COMMAND_MAX_BYTES);
    for (uint32_t i = 0; i < r->line_count; i++) {
        json_array_append_new(lines, at_json_line(r->lines[i]));
        read_line(d, r->lines[i]);
    }
    o = json_pack("{s:o,s:s,s:o}", "command", at_json_line(tg_bytes(r->command->text, n)), "status", status,
                  "lines", lines);
    if (r->code >= 0)
        json_object_set_new(o, "code", json_integer(r->code));
    if (r->truncated > 0)
        json_object_set_new(o, "truncated", json_integer(r->truncated));
    json_array_append_new(d->exchanges, o);
    d->failed = d->failed || r->status != TG_AT_OK;
}

static void on_event(struct decode *d, const struct tg_at_event *ev)
{
    if (ev->kind == TG_AT_EVENT_RESULT) {
        on_result(d, &ev->result);
        return;
    }
    if (ev->kind == TG_AT_EVENT_OTHER && !d->command && tg_bytes_starts(ev->lines[0], "AT") &&
        start_command(d, ev->lines[0]))
        return;
    for (uint32_t i = 0; i < ev->line_count; i++) {
        json_array_append_new(ev->kind == TG_AT_EVENT_URC ? d->urcs_seen : d->others,
                              at_json_line(ev->lines[i]));
        read_line(d, ev->lines[i]);
    }
}

static void drain(struct decode *d)
{
    struct tg_at_event ev;
    while (tg_at_chat_event(&d->chat, &ev))
        on_event(d, &ev);
}

static void converse(struct decode *d)
{
    struct tg_bytes in = tg_buffer_view(&d->text);
    struct tg_at_chat_config config = {
        .urcs = d->urcs, .urc_count = d->urc_count, .numeric_results = d->numeric};
    tg_at_chat_init(&d->chat, &config);
    if (d->command && !start_command(d, tg_bytes_str(d->command)))
        d->failed = true;
    while (in.len > 0 && tg_at_chat_state(&d->chat) != TG_AT_DATA) {
        size_t n = tg_at_chat_input(&d->chat, in, d->now_ms);
        in = tg_at_rest(in, n);
        drain(d);
    }
    d->now_ms +=
        500; /* below the timeout: lets go of a line with an open quote, and of a lone two-line URC */
    do {
        tg_at_chat_tick(&d->chat, d->now_ms);
        drain(d);
    } while (tg_at_chat_deadline(&d->chat) == INT64_MIN);
    tg_at_chat_hangup(&d->chat);
    drain(d);
}

/* --- output --- */

static void say(struct decode *d, const char *label, const json_t *text)
{
    char line[4 * TG_AT_LINE_MAX_BYTES + 64];
    char *dumped = json_dumps(text, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    snprintf(line, sizeof line, "%-8s %s\n", label, dumped ? dumped : "");
    d->out(d->user, line);
    free(dumped);
}

static void say_all(struct decode *d)
{
    size_t i, k;
    json_t *x, *line;
    json_array_foreach(d->exchanges, i, x)
    {
        say(d, "command", json_object_get(x, "command"));
        say(d, "status", json_object_get(x, "status"));
        if (json_object_get(x, "code"))
            say(d, "code", json_object_get(x, "code"));
        json_array_foreach(json_object_get(x, "lines"), k, line) say(d, "line", line);
    }
    json_array_foreach(d->urcs_seen, i, x) say(d, "urc", x);
    json_array_foreach(d->others, i, x) say(d, "other", x);
    json_array_foreach(d->readings, i, x) say(d, "value", json_object_get(x, "value"));
}

static void print(struct decode *d, bool json)
{
    json_t *all;
    char *text;
    if (!json) {
        say_all(d);
        return;
    }
    all = json_pack("{s:O,s:O,s:O,s:O}", "exchanges", d->exchanges, "urcs", d->urcs_seen, "other", d->others,
                    "readings", d->readings);
    text = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text) {
        d->out(d->user, text);
        d->out(d->user, "\n");
    }
    free(text);
    json_decref(all);
}

static int decode(struct decode *d, int argc, const char *const *argv, bool json)
{
    const struct tg_at_builtin *known = tg_at_script_builtin(1);
    char error[256];
    int rc;
    d->group = 1;
    d->reader.nulls = d->nulls;
    rc = read_arguments(d, argc, argv);
    if (rc != 0)
        return rc;
    if (d->help) {
        d->out(d->user, usage);
        return 0;
    }
    if (d->pattern_text && tg_at_pattern_compile(&d->pattern, d->pattern_text, error, sizeof error) < 0)
        return wrong_usage(d, "--match", error);
    if (d->pattern_text && d->group > d->pattern.groups)
        return wrong_usage(d, "--group: the pattern has not so many groups", d->pattern_text);
    for (size_t i = 0; i < known->urc_count && d->urc_count < URCS_MAX; i++)
        d->urcs[d->urc_count++] = known->urcs[i];
    d->exchanges = json_array();
    d->urcs_seen = json_array();
    d->others = json_array();
    d->readings = json_array();
    converse(d);
    if (d->pattern_text && json_array_size(d->readings) == 0)
        d->failed = true;
    print(d, json);
    return d->failed ? 1 : 0;
}

int tg_at_decode(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
                 void *user)
{
    struct decode *d = tg_calloc(1, sizeof *d);
    int rc;
    if (!d) {
        out(user, "decode at: out of memory\n");
        return 1;
    }
    d->out = out;
    d->user = user;
    d->text = tg_buffer_init(TEXT_MAX_BYTES);
    rc = decode(d, argc, argv, json);
    json_decref(d->exchanges);
    json_decref(d->urcs_seen);
    json_decref(d->others);
    json_decref(d->readings);
    tg_at_pattern_fini(&d->pattern);
    tg_buffer_fini(&d->text);
    tg_free(d);
    return rc;
}
