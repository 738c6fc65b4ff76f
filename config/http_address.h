/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * http_address - ADDRESS:PORT of `gateway.http`: 127.0.0.1:9180, [::1]:9180, localhost:9180 (which is 127.0.0.1). Names
 * other than localhost are not taken: an address that is listened on is never looked up. Any thread.
 */
#ifndef TG_CONFIG_HTTP_ADDRESS_H
#define TG_CONFIG_HTTP_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "core/base/error.h"

struct tg_http_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
    uint16_t port;
    bool loopback; /* only this machine reaches it */
};

/* TG_EINVAL: not of that form, or the port is not 1 to 65535. */
int tg_http_address_parse(const char *text, struct tg_http_address *ret_address) TG_CHECKED;

#endif
