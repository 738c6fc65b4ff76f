/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate decode edm` (or ucx): frames of the extended data mode, given as hexadecimal digits.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "plugins/at/at_text.h"
#include "plugins/ucx/ucx_instance.h"

#define BYTES_MAX (size_t)65536

static const char usage[] =
    "usage: tidegate decode edm HEX… [--json]\n"
    "The bytes of a u-connectXpress module in extended data mode, as hexadecimal digits; blanks, colons and "
    "0x are passed\n"
    "over. Several frames may follow each other; what is no frame is said too, and makes the exit code 1.\n";

struct decode {
    void (*out)(void *user, const char *text);
    void *user;
    json_t *frames; /* NULL: text */
    bool bad;
};

static int digit(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* The number of bytes; -1: other characters, an odd digit, or too many. */
static long read_hex(int argc, const char *const *argv, uint8_t *bytes, size_t cap)
{
    size_t n = 0;
    for (int i = 0; i < argc; i++) {
        for (const char *p = argv[i]; *p;) {
            if (*p == ' ' || *p == ':' || *p == '\n') {
                p++;
            } else if (*p == '0' && (p[1] | 0x20) == 'x') {
                p += 2;
            } else if (n == cap || digit(*p) < 0 || digit(p[1]) < 0) {
                return -1;
            } else {
                bytes[n++] = (uint8_t)(digit(*p) << 4 | digit(p[1]));
                p += 2;
            }
        }
    }
    return (long)n;
}

static json_t *connect_json(const struct tg_edm_connect *c)
{
    static const char *const links[] = {"?", "bluetooth", "ipv4", "ipv6"};
    char remote[TG_EDM_ADDRESS_TEXT], local[TG_EDM_ADDRESS_TEXT];
    tg_edm_address_text(c, false, remote);
    tg_edm_address_text(c, true, local);
    if (c->link == TG_EDM_BLUETOOTH)
        return json_pack("{s:s,s:s,s:s,s:i}", "link", links[c->link], "profile", tg_edm_kind_name(c),
                         "address", remote, "frame_size", c->frame_size);
    return json_pack("{s:s,s:s,s:s,s:i,s:s,s:i}", "link", links[c->link], "protocol", tg_edm_kind_name(c),
                     "remote", remote, "remote_port", c->remote_port, "local", local, "local_port",
                     c->local_port);
}

static json_t *frame_json(const struct tg_edm_frame *f, bool known)
{
    json_t *o =
        json_pack("{s:s,s:i}", "event", known ? tg_edm_type_name(f->type) : "unknown", "type", f->type);
    bool has_channel = f->type == TG_EDM_CONNECT || f->type == TG_EDM_DISCONNECT ||
                       f->type == TG_EDM_DATA_EVENT || f->type == TG_EDM_DATA_COMMAND;
    if (known && has_channel)
        json_object_set_new(o, "channel", json_integer(f->channel));
    if (known && f->type == TG_EDM_CONNECT)
        json_object_update_new(o, connect_json(&f->connect));
    if (f->bytes.len > 0) {
        struct tg_bytes part = f->bytes;
        if (part.len > TG_AT_LINE_MAX_BYTES)
            part.len = TG_AT_LINE_MAX_BYTES;
        json_object_set_new(o, "text", at_json_line(part));
    }
    return o;
}

static void tell(struct decode *d, json_t *o)
{
    const char *key;
    json_t *value;
    char *text;
    if (d->frames) {
        json_array_append_new(d->frames, o);
        return;
    }
    json_object_foreach(o, key, value)
    {
        if (strcmp(key, "type") == 0)
            continue;
        text = json_dumps(value, JSON_ENCODE_ANY);
        if (strcmp(key, "event") != 0) {
            d->out(d->user, "  ");
            d->out(d->user, key);
            d->out(d->user, " ");
        }
        d->out(d->user, strcmp(key, "event") == 0 ? json_string_value(value) : text ? text : "?");
        free(text);
    }
    d->out(d->user, "\n");
    json_decref(o);
}

static void tell_bytes(struct decode *d, const char *what, size_t count)
{
    d->bad = true;
    tell(d, json_pack("{s:s,s:I}", "event", what, "bytes", (json_int_t)count));
}

static void run(struct decode *d, struct tg_edm_parser *p, struct tg_bytes in)
{
    struct tg_edm_item it;
    do {
        in = tg_at_rest(in, tg_edm_input(p, in, &it));
        if (it.kind == TG_EDM_ITEM_FRAME)
            tell(d, frame_json(&it.frame, true));
        else if (it.kind == TG_EDM_ITEM_UNKNOWN)
            tell(d, frame_json(&it.frame, false));
        else if (it.kind == TG_EDM_ITEM_MALFORMED)
            tell_bytes(d, "malformed", p->given);
        else if (it.kind == TG_EDM_ITEM_SKIPPED)
            tell_bytes(d, "skipped", it.skipped.len);
    } while (it.kind != TG_EDM_ITEM_NONE || in.len > 0);
    if (tg_edm_pending(p).len > 0)
        tell_bytes(d, "incomplete", tg_edm_pending(p).len);
}

int ucx_decode(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
               void *user)
{
    struct decode d = {.out = out, .user = user};
    bool help = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
    uint8_t *bytes = tg_malloc(BYTES_MAX);
    struct tg_edm_parser *p = tg_malloc(sizeof *p);
    long n = bytes && p ? read_hex(argc, argv, bytes, BYTES_MAX) : -1;
    int rc = help ? 0 : 2;
    if (!help && n > 0) {
        d.frames = json ? json_array() : NULL;
        tg_edm_init(p);
        run(&d, p, tg_bytes(bytes, (size_t)n));
        if (json) {
            json_t *o =
                json_pack("{s:o,s:I}", "frames", d.frames, "skipped_bytes", (json_int_t)p->skipped_bytes);
            char *text = json_dumps(o, JSON_INDENT(2));
            out(user, text ? text : "{}");
            out(user, "\n");
            free(text);
            json_decref(o);
        }
        rc = d.bad ? 1 : 0;
    } else {
        out(user, usage);
    }
    tg_free(p);
    tg_free(bytes);
    return rc;
}
