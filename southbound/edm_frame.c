/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/edm_frame.h"

#define HEAD         0xAAu
#define TAIL         0x55u
#define HEADER_BYTES 3u

void tg_edm_init(struct tg_edm_parser *p)
{
    memset(p, 0, sizeof *p);
}

struct tg_bytes tg_edm_pending(const struct tg_edm_parser *p)
{
    return tg_bytes(p->buf + p->given, p->len - p->given);
}

/* --- what a frame says --- */

static void copy_address(struct tg_reader *r, uint8_t *to, size_t n)
{
    struct tg_bytes b = tg_read_bytes(r, n);
    if (b.len == n)
        memcpy(to, b.data, n);
}

/* False: of another link. */
static bool read_connect(struct tg_reader *r, struct tg_edm_connect *c)
{
    uint8_t link = tg_read_u8(r);
    size_t n = link == TG_EDM_IPV4 ? 4 : 16;
    if (!r->failed && (link < TG_EDM_BLUETOOTH || link > TG_EDM_IPV6))
        return false;
    c->link = (enum tg_edm_link)link;
    c->kind = tg_read_u8(r);
    if (link == TG_EDM_BLUETOOTH) {
        copy_address(r, c->remote, 6);
        c->frame_size = tg_read_u16be(r);
        return true;
    }
    copy_address(r, c->remote, n);
    c->remote_port = tg_read_u16be(r);
    copy_address(r, c->local, n);
    c->local_port = tg_read_u16be(r);
    return true;
}

static enum tg_edm_item_kind decode(struct tg_bytes body, struct tg_edm_frame *f)
{
    struct tg_reader r = tg_reader_init(body.data, body.len);
    bool known = true, takes_rest = false;
    f->type = tg_read_u16be(&r);
    switch (f->type) {
    case TG_EDM_CONNECT:
        f->channel = tg_read_u8(&r);
        known = read_connect(&r, &f->connect);
        break;
    case TG_EDM_DISCONNECT:
        f->channel = tg_read_u8(&r);
        break;
    case TG_EDM_DATA_EVENT:
    case TG_EDM_DATA_COMMAND:
        f->channel = tg_read_u8(&r);
        takes_rest = true;
        break;
    case TG_EDM_AT_EVENT:
    case TG_EDM_AT_REQUEST:
    case TG_EDM_AT_RESPONSE:
        takes_rest = true;
        break;
    case TG_EDM_RESEND_CONNECTS:
    case TG_EDM_START:
        break;
    default:
        known = false;
    }
    if (takes_rest || !known)
        f->bytes = tg_read_bytes(&r, tg_reader_left(&r));
    if (r.failed || tg_reader_left(&r) > 0)
        return TG_EDM_ITEM_MALFORMED;
    return known ? TG_EDM_ITEM_FRAME : TG_EDM_ITEM_UNKNOWN;
}

/* --- finding frames --- */

/* Gives up the byte at the front, and all up to the next AA. */
static void skip(struct tg_edm_parser *p, struct tg_edm_item *ret)
{
    const uint8_t *next = p->len > 1 ? memchr(p->buf + 1, HEAD, p->len - 1) : NULL;
    p->given = next ? (size_t)(next - p->buf) : p->len;
    p->skipped_bytes += p->given;
    ret->kind = TG_EDM_ITEM_SKIPPED;
    ret->skipped = tg_bytes(p->buf, p->given);
}

static void look(struct tg_edm_parser *p, struct tg_edm_item *ret)
{
    size_t length;
    if (p->len == 0)
        return;
    if (p->buf[0] != HEAD) {
        skip(p, ret);
        return;
    }
    if (p->len < HEADER_BYTES)
        return;
    length = (size_t)p->buf[1] << 8 | p->buf[2];
    if (length < 2 || length > TG_EDM_LENGTH_MAX) {
        skip(p, ret);
        return;
    }
    if (p->len < HEADER_BYTES + length + 1)
        return;
    if (p->buf[HEADER_BYTES + length] != TAIL) {
        skip(p, ret);
        return;
    }
    p->given = HEADER_BYTES + length + 1;
    ret->kind = decode(tg_bytes(p->buf + HEADER_BYTES, length), &ret->frame);
    p->frames++;
    p->unknown_frames += ret->kind == TG_EDM_ITEM_UNKNOWN;
    p->malformed_frames += ret->kind == TG_EDM_ITEM_MALFORMED;
}

size_t tg_edm_input(struct tg_edm_parser *p, struct tg_bytes in, struct tg_edm_item *ret_item)
{
    size_t n;
    memset(ret_item, 0, sizeof *ret_item);
    p->len -= p->given;
    memmove(p->buf, p->buf + p->given, p->len);
    p->given = 0;
    n = in.len < sizeof p->buf - p->len ? in.len : sizeof p->buf - p->len;
    if (n > 0)
        memcpy(p->buf + p->len, in.data, n);
    p->len += n;
    look(p, ret_item);
    return n;
}

/* --- writing --- */

static int write_frame(struct tg_writer *w, uint16_t type, const uint8_t *channel, struct tg_bytes bytes)
{
    size_t length = 2u + (channel ? 1u : 0u) + bytes.len;
    if (bytes.len > TG_EDM_TEXT_MAX || length > TG_EDM_LENGTH_MAX || w->failed ||
        w->cap - w->len < length + HEADER_BYTES + 1)
        return TG_ETOOBIG;
    tg_write_u8(w, HEAD);
    tg_write_u16be(w, (uint16_t)length);
    tg_write_u16be(w, type);
    if (channel)
        tg_write_u8(w, *channel);
    tg_write_bytes(w, bytes);
    tg_write_u8(w, TAIL);
    return TG_OK;
}

int tg_edm_write_at_request(struct tg_writer *w, struct tg_bytes text)
{
    return write_frame(w, TG_EDM_AT_REQUEST, NULL, text);
}

int tg_edm_write_data(struct tg_writer *w, uint8_t channel, struct tg_bytes data)
{
    return write_frame(w, TG_EDM_DATA_COMMAND, &channel, data);
}

int tg_edm_write_resend_connects(struct tg_writer *w)
{
    return write_frame(w, TG_EDM_RESEND_CONNECTS, NULL, tg_bytes(NULL, 0));
}

/* --- for people --- */

const char *tg_edm_type_name(uint16_t type)
{
    switch (type) {
    case TG_EDM_CONNECT:
        return "connect";
    case TG_EDM_DISCONNECT:
        return "disconnect";
    case TG_EDM_DATA_EVENT:
        return "data_event";
    case TG_EDM_DATA_COMMAND:
        return "data_command";
    case TG_EDM_AT_EVENT:
        return "at_event";
    case TG_EDM_AT_REQUEST:
        return "at_request";
    case TG_EDM_AT_RESPONSE:
        return "at_response";
    case TG_EDM_RESEND_CONNECTS:
        return "resend_connect_events";
    case TG_EDM_START:
        return "startup";
    default:
        return "unknown";
    }
}

const char *tg_edm_kind_name(const struct tg_edm_connect *c)
{
    static const char *const protocols[] = {"tcp", "udp", "mqtt"};
    if (c->link != TG_EDM_BLUETOOTH)
        return c->kind < 3 ? protocols[c->kind] : "other";
    return c->kind == 0 ? "spp" : c->kind == 1 ? "dun" : c->kind == 14 ? "sps" : "other";
}

static void write_hex(struct tg_writer *w, uint32_t value, unsigned digits, bool all)
{
    for (unsigned i = digits; i-- > 0;) {
        uint32_t digit = value >> (4 * i) & 0xF;
        if (digit || i == 0 || all) {
            tg_write_u8(w, (uint8_t) "0123456789abcdef"[digit]);
            all = true;
        }
    }
}

void tg_edm_address_text(const struct tg_edm_connect *c, bool local, char ret_text[TG_EDM_ADDRESS_TEXT])
{
    struct tg_writer w = tg_writer_init(ret_text, TG_EDM_ADDRESS_TEXT - 1);
    const uint8_t *a = local ? c->local : c->remote;
    if (c->link == TG_EDM_BLUETOOTH) {
        for (size_t i = 0; i < 6; i++)
            write_hex(&w, a[i], 2, true);
    } else if (c->link == TG_EDM_IPV4) {
        for (size_t i = 0; i < 4; i++) {
            if (i > 0)
                tg_write_u8(&w, '.');
            tg_write_u64_dec(&w, a[i]);
        }
    } else {
        for (size_t i = 0; i < 16; i += 2) {
            if (i > 0)
                tg_write_u8(&w, ':');
            write_hex(&w, (uint32_t)a[i] << 8 | a[i + 1], 4, false);
        }
    }
    ret_text[w.len] = '\0';
}
