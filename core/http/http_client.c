/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/http/http_private.h"

bool tg_http_is_token_char(uint8_t c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    uint8_t lower = c | 0x20;
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') ||
           (c != 0 && memchr(others, c, sizeof others - 1) != NULL);
}

bool tg_http_is_field_char(uint8_t c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7F);
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool tg_http_same(struct tg_bytes a, const char *b)
{
    if (a.len != strlen(b))
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower((uint8_t)b[i]))
            return false;
    return true;
}

/* Copies when every character may stand there. */
static void put(struct tg_writer *w, struct tg_bytes text, bool blanks)
{
    for (size_t i = 0; i < text.len; i++)
        if (!tg_http_is_field_char(text.data[i]) ||
            (!blanks && (text.data[i] == ' ' || text.data[i] == '\t' || text.data[i] >= 0x80)))
            w->failed = true;
    tg_write_bytes(w, text);
}

void tg_http_request_begin(struct tg_writer *w, const char *method, struct tg_bytes target, const char *host,
                           uint16_t port, uint16_t default_port)
{
    bool ipv6 = memchr(host, ':', strlen(host)) != NULL;
    put(w, tg_bytes_str(method), false);
    tg_write_u8(w, ' ');
    put(w, target, false);
    tg_write_str(w, " HTTP/1.1\r\nHost: ");
    tg_write_str(w, ipv6 ? "[" : "");
    put(w, tg_bytes_str(host), false);
    tg_write_str(w, ipv6 ? "]" : "");
    if (port != default_port) {
        tg_write_u8(w, ':');
        tg_write_u64_dec(w, port);
    }
    tg_write_str(w, "\r\n");
    if (target.len == 0 || host[0] == '\0')
        w->failed = true;
}

void tg_http_request_header(struct tg_writer *w, const char *name, struct tg_bytes value)
{
    for (const char *p = name; *p; p++)
        if (!tg_http_is_token_char((uint8_t)*p))
            w->failed = true;
    tg_write_str(w, name);
    tg_write_str(w, ": ");
    put(w, value, true);
    tg_write_str(w, "\r\n");
}

int tg_http_request_end(struct tg_writer *w, uint64_t content_length)
{
    if (content_length != TG_HTTP_NO_BODY) {
        tg_write_str(w, "Content-Length: ");
        tg_write_u64_dec(w, content_length);
        tg_write_str(w, "\r\n");
    }
    tg_write_str(w, "\r\n");
    return w->failed ? TG_ETOOBIG : TG_OK;
}

bool tg_http_parse_seconds(struct tg_bytes value, uint32_t *ret_seconds)
{
    uint32_t seconds = 0;
    if (value.len == 0 || value.len > 9)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        seconds = seconds * 10 + (uint32_t)(value.data[i] - '0');
    }
    *ret_seconds = seconds;
    return true;
}
