/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/http_address.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/base/settings.h"

int tg_http_address_parse(const char *text, struct tg_http_address *ret_address)
{
    struct tg_http_address a = {0};
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    char host[INET6_ADDRSTRLEN + 2]; /* and brackets */
    bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
    int64_t port;
    if (len == 0 || len >= sizeof host || tg_parse_int(colon + 1, &port, NULL) < 0 || port < 1 ||
        port > 65535)
        return TG_EINVAL;
    memcpy(host, text + bracketed, len - 2 * bracketed);
    host[len - 2 * bracketed] = '\0';
    a.port = (uint16_t)port;
    if (strcmp(host, "localhost") == 0)
        strcpy(host, "127.0.0.1");
    if (bracketed && inet_pton(AF_INET6, host, &a.v6.sin6_addr) == 1) {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons(a.port);
        a.len = sizeof a.v6;
        a.loopback = IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
    } else if (!bracketed && inet_pton(AF_INET, host, &a.v4.sin_addr) == 1) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(a.port);
        a.len = sizeof a.v4;
        a.loopback = ntohl(a.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    } else {
        return TG_EINVAL;
    }
    *ret_address = a;
    return TG_OK;
}
