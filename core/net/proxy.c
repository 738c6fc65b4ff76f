/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/proxy.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/net/wolfssl.h"

#define SCHEME "http://"

static int bad_url(const char *url, const char *what, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    return tg_error_set(err, TG_EINVAL, "proxy: %s %s; http://HOST:PORT is allowed",
                        tg_quote(quoted, url, strlen(url)), what);
}

/* Decimal digits up to the end or a last "/"; 0 when it is none. */
static uint16_t parse_port(const char *text)
{
    unsigned long port = 0;
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 5 || (text[n] != '\0' && strcmp(text + n, "/") != 0))
        return 0;
    port = strtoul(text, NULL, 10);
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

int tg_proxy_parse(const char *url, struct tg_proxy_address *ret_address, struct tg_error *err)
{
    struct tg_proxy_address a = {0};
    const char *host = url + strlen(SCHEME), *end;
    if (strncmp(url, "https://", 8) == 0)
        return bad_url(url, "is a proxy that is spoken to by TLS, which is not supported", err);
    if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
        return bad_url(url, "does not begin with http://", err);
    if (strchr(host, '@'))
        return tg_error_set(err, TG_EINVAL,
                            "proxy: a user and a password do not belong in the URL: proxy_user and "
                            "proxy_password_file have them");
    bool bracket = *host == '[';
    host += bracket;
    end = host + strcspn(host, bracket ? "]" : ":/");
    size_t n = (size_t)(end - host);
    if (n == 0 || n >= sizeof a.host)
        return bad_url(url, "names no host", err);
    if (strspn(host, bracket ? "0123456789abcdefABCDEF:."
                             : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") < n)
        return bad_url(url, "has a host that is neither a name nor an address", err);
    memcpy(a.host, host, n);
    end += bracket && *end == ']';
    if (*end != ':')
        return bad_url(url, "names no port", err);
    a.port = parse_port(end + 1);
    if (a.port == 0)
        return bad_url(url, "has no port from 1 to 65535 at its end", err);
    *ret_address = a;
    return TG_OK;
}

int tg_proxy_user_check(const char *user, struct tg_error *err)
{
    if (strlen(user) > TG_PROXY_USER_MAX)
        return tg_error_set(err, TG_EINVAL, "proxy_user has more than %d characters", TG_PROXY_USER_MAX);
    for (const char *p = user; *p; p++)
        if (*p == ':' || (unsigned char)*p < ' ' || *p == 0x7F)
            return tg_error_set(err, TG_EINVAL,
                                "proxy_user: a colon and control characters are not allowed (RFC 7617)");
    return TG_OK;
}

static int write_credentials(struct tg_writer *w, const char *user, struct tg_bytes password)
{
    uint8_t plain[TG_PROXY_USER_MAX + 1 + TG_PROXY_PASSWORD_MAX];
    uint8_t text[sizeof "Basic " + (sizeof plain + 2) / 3 * 4 + 1] = "Basic ";
    struct tg_writer p = tg_writer_init(plain, sizeof plain);
    word32 len = (word32)(sizeof text - strlen("Basic "));
    int rc = tg_proxy_user_check(user, NULL);
    tg_write_str(&p, user);
    tg_write_u8(&p, ':');
    tg_write_bytes(&p, password);
    if (p.failed || password.len > TG_PROXY_PASSWORD_MAX)
        rc = TG_ETOOBIG;
    if (rc == TG_OK && Base64_Encode_NoNl(plain, (word32)p.len, text + strlen("Basic "), &len) != 0)
        rc = TG_ETOOBIG;
    if (rc == TG_OK)
        tg_http_request_header(w, "Proxy-Authorization", tg_bytes(text, strlen("Basic ") + len));
    explicit_bzero(plain, sizeof plain);
    explicit_bzero(text, sizeof text);
    return rc;
}

int tg_proxy_request(struct tg_writer *w, const char *host, uint16_t port, const char *user,
                     struct tg_bytes password)
{
    char target[TG_PROXY_HOST_BYTES + 16];
    int rc = TG_OK;
    snprintf(target, sizeof target, strchr(host, ':') ? "[%.253s]:%u" : "%.253s:%u", host, port);
    tg_http_request_begin(w, "CONNECT", tg_bytes_str(target), host, port, 0);
    if (user)
        rc = write_credentials(w, user, password);
    return rc < 0 ? rc : tg_http_request_end(w, TG_HTTP_NO_BODY);
}

int tg_proxy_check_answer(const struct tg_http_response *r, const char *host, uint16_t port, bool with_user,
                          struct tg_error *err)
{
    char phrase[TG_QUOTE_BYTES];
    if (r->status >= 200 && r->status < 300)
        return TG_OK;
    tg_quote(phrase, (const char *)r->phrase.data, r->phrase.len);
    if (r->status == 407)
        return tg_error_set(err, TG_EAUTH,
                            with_user ? "refused the user name or the password (407 %s)"
                                      : "wants a user name and a password (407 %s): give proxy_user and "
                                        "proxy_password_file",
                            phrase);
    if (r->status == 401 || r->status == 403)
        return tg_error_set(err, TG_EAUTH, "does not allow connections to %.120s:%u (%u %s)", host, port,
                            r->status, phrase);
    if (r->status >= 500 || r->status == 429)
        return tg_error_set(err, TG_ECONNECT, "could not connect to %.120s:%u (%u %s)", host, port, r->status,
                            phrase);
    return tg_error_set(err, TG_EPROTO,
                        "did not open a way to %.120s:%u (%u %s): is it a proxy, and does it know CONNECT?",
                        host, port, r->status, phrase);
}
