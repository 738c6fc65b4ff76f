/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_credential_of - credentials made of a peer's files.
 */
#ifndef TESTS_SUPPORT_TLS_CREDENTIAL_OF_H
#define TESTS_SUPPORT_TLS_CREDENTIAL_OF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/net/stream.h"
#include "support/net_peer.h"

/* {name}.pem and {key}.key of the peer's folder. NULL: refused, and the reason is printed. */
static inline struct tg_tls_credential *tls_credential_of(struct net_peer *peer, const char *name,
                                                          const char *key)
{
    char file[64];
    struct tg_tls_credential *c = NULL;
    struct tg_error err = {0};
    snprintf(file, sizeof file, "%s.pem", name);
    char *pem = net_peer_file(peer, file);
    snprintf(file, sizeof file, "%s.key", key);
    char *key_pem = net_peer_file(peer, file);
    int rc = tg_tls_credential_new(tg_bytes_str(pem), tg_bytes_str(key_pem), &c, &err);
    if (rc < 0)
        print_message("%s\n", err.text);
    free(pem);
    free(key_pem);
    return c;
}

#endif
