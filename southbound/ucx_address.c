/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ucx_address.h"

#include <string.h>

#define SCHEME         "mqtt://"
#define SETTLE_MAX_MS  600000
#define SETTLE_MIN_MS  100
#define HOST_MAX_BYTES 255

enum key {
    CLIENT,
    USER,
    PASSWORD,
    PUBLISH,
    SUBSCRIBE,
    KEEPALIVE,
    CA,
    CERTIFICATE,
    KEY,
    CONFIRM,
    SETTLE,
    KEYS
};

struct parser {
    struct tg_bytes rest;
    struct tg_writer out; /* into the address's text */
    const char *values[KEYS];
    const char **what;
};

static int fault(struct parser *p, int code, const char *what)
{
    *p->what = what;
    return code;
}

static struct tg_bytes until(struct parser *p, char end)
{
    size_t n = 0;
    struct tg_bytes found;
    while (n < p->rest.len && p->rest.data[n] != (uint8_t)end)
        n++;
    found = tg_bytes(p->rest.data, n);
    n += n < p->rest.len;
    p->rest = tg_bytes(p->rest.data + n, p->rest.len - n);
    return found;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The decoded value behind what is there, with its NUL; NULL: damaged, or a NUL in it. The room cannot end: it never gets longer. */
static const char *decode(struct parser *p, struct tg_bytes value)
{
    const char *begin = (const char *)p->out.data + p->out.len;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c == '%') {
            int high = i + 2 < value.len ? hex(value.data[i + 1]) : -1;
            int low = high >= 0 ? hex(value.data[i + 2]) : -1;
            if (low < 0)
                return NULL;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (c == 0)
            return NULL;
        tg_write_u8(&p->out, c);
    }
    tg_write_u8(&p->out, '\0');
    return p->out.failed ? NULL : begin;
}

static bool number(const char *text, int64_t max, int64_t *ret)
{
    int64_t n = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        n = n * 10 + (*text - '0');
        if (n > max)
            return false;
    }
    *ret = n;
    return true;
}

static int parse_values(struct parser *p)
{
    static const char *const names[KEYS] = {"client", "user", "passwd",  "pt",      "st",    "keepAlive",
                                            "ca",     "cert", "privKey", "confirm", "settle"};
    while (p->rest.len > 0) {
        struct tg_bytes item = until(p, '&'), name;
        size_t n = 0, k = 0;
        while (n < item.len && item.data[n] != '=')
            n++;
        name = tg_bytes(item.data, n);
        if (n == item.len)
            return fault(p, TG_EINVAL, "a parameter has no value");
        while (k < KEYS && !tg_bytes_eq_str(name, names[k]))
            k++;
        if (k == KEYS)
            return fault(p, TG_EINVAL, "an unknown parameter");
        if (p->values[k])
            return fault(p, TG_EINVAL, "a parameter is given twice");
        p->values[k] = decode(p, tg_bytes(item.data + n + 1, item.len - n - 1));
        if (!p->values[k])
            return fault(p, TG_EINVAL, "a value is not percent-encoded text");
    }
    return TG_OK;
}

static int parse_host(struct parser *p, struct tg_ucx_mqtt *m)
{
    struct tg_bytes place = until(p, '/');
    size_t colon = place.len;
    const char *port;
    int64_t n = 0;
    while (colon > 0 && place.data[colon - 1] != ':')
        colon--;
    if (colon < 2 || colon - 1 > HOST_MAX_BYTES || p->rest.len == 0 || p->rest.data[0] != '?')
        return fault(p, TG_EINVAL, "it is not mqtt://HOST:PORT/?…");
    p->rest = tg_bytes(p->rest.data + 1, p->rest.len - 1);
    m->host = decode(p, tg_bytes(place.data, colon - 1));
    port = decode(p, tg_bytes(place.data + colon, place.len - colon));
    if (!m->host || !port || !number(port, UINT16_MAX, &n) || n == 0)
        return fault(p, TG_EINVAL, "the host or the port is not one");
    m->port = (uint16_t)n;
    return TG_OK;
}

static const char *given(const struct parser *p, enum key k)
{
    return p->values[k] && *p->values[k] ? p->values[k] : NULL;
}

static int fill(struct parser *p, struct tg_ucx_address *a)
{
    struct tg_ucx_mqtt *m = &a->mqtt;
    int64_t keepalive = 0;
    const char *confirm = given(p, CONFIRM), *settle = given(p, SETTLE);
    m->client = given(p, CLIENT);
    m->user = given(p, USER);
    m->password = given(p, PASSWORD);
    m->publish = given(p, PUBLISH);
    m->subscribe = given(p, SUBSCRIBE);
    m->ca = given(p, CA);
    m->certificate = given(p, CERTIFICATE);
    m->key = given(p, KEY);
    if (given(p, KEEPALIVE) && !number(given(p, KEEPALIVE), UINT16_MAX, &keepalive))
        return fault(p, TG_EINVAL, "keepAlive is not a number of seconds");
    m->keepalive_s = (uint32_t)keepalive;
    a->echo = confirm && strcmp(confirm, "echo") == 0;
    if (confirm && !a->echo && strcmp(confirm, "settle") != 0)
        return fault(p, TG_EINVAL, "confirm is neither settle nor echo");
    if (!a->echo &&
        (!settle || !number(settle, SETTLE_MAX_MS, &a->settle_ms) || a->settle_ms < SETTLE_MIN_MS))
        return fault(p, TG_EINVAL, "settle is not a time in milliseconds");
    if (!m->publish || (a->echo && !m->subscribe))
        return fault(p, TG_EINVAL, "the topic is missing");
    return TG_OK;
}

int tg_ucx_address_parse(struct tg_bytes address, struct tg_ucx_address *ret_address, const char **ret_what)
{
    struct parser p = {.rest = address, .what = ret_what};
    int rc;
    if (address.len >= sizeof ret_address->text)
        return fault(&p, TG_ETOOBIG, "it is too long");
    if (!tg_bytes_starts(address, SCHEME))
        return fault(&p, TG_EINVAL, "it does not begin with mqtt://");
    memset(ret_address, 0, sizeof *ret_address);
    p.out = tg_writer_init(ret_address->text, sizeof ret_address->text);
    p.rest = tg_bytes(address.data + sizeof SCHEME - 1, address.len - (sizeof SCHEME - 1));
    rc = parse_host(&p, &ret_address->mqtt);
    if (rc == TG_OK)
        rc = parse_values(&p);
    if (rc == TG_OK)
        rc = fill(&p, ret_address);
    if (rc < 0)
        explicit_bzero(ret_address, sizeof *ret_address);
    return rc;
}
