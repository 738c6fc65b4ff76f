/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * proxy - going through an HTTP proxy with CONNECT (RFC 9110 section 9.3.6) and, where it asks for it, basic
 * authentication (RFC 7617). The proxy resolves the target's name and then only carries bytes: TLS goes through it to the
 * target, whose certificate is checked as ever. Pure.
 */
#ifndef TG_NET_PROXY_H
#define TG_NET_PROXY_H

#include "core/http/http_client.h"

#define TG_PROXY_HOST_BYTES    254
#define TG_PROXY_USER_MAX      255
#define TG_PROXY_PASSWORD_MAX  1024
#define TG_PROXY_REQUEST_BYTES 4096 /* base64 of user and password, the target twice */

struct tg_proxy_address {
    char host[TG_PROXY_HOST_BYTES]; /* without brackets */
    uint16_t port;
};

/* "http://HOST:PORT", an IPv6 address in brackets, a "/" at the end allowed. TG_EINVAL with what is allowed: also for a user in
 * the URL, and for a proxy that wants TLS itself. */
int tg_proxy_parse(const char *url, struct tg_proxy_address *ret_address, struct tg_error *err) TG_CHECKED;
/* RFC 7617: no colon, no control characters. */
int tg_proxy_user_check(const char *user, struct tg_error *err) TG_CHECKED;
/* `user` NULL = no authentication. The request is a secret then: wipe it. TG_ETOOBIG, TG_EINVAL (a user with a colon …). */
int tg_proxy_request(struct tg_writer *w, const char *host, uint16_t port, const char *user,
                     struct tg_bytes password) TG_CHECKED;
/* After TG_HTTP_HEAD: TG_OK when what follows is the target's. Else why not, for people, without the proxy's name: TG_EAUTH,
 * TG_ECONNECT, TG_EPROTO. */
int tg_proxy_check_answer(const struct tg_http_response *r, const char *host, uint16_t port, bool with_user,
                          struct tg_error *err) TG_CHECKED;

#endif
