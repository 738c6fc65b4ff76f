/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_context - roots, protocol versions and cipher suites that all connections to one cloud share, and
 * client credentials. The public half is in stream.h; this is what the other TLS modules see. What is set and
 * why: docs/tls.md.
 */
#ifndef TG_NET_TLS_CONTEXT_H
#define TG_NET_TLS_CONTEXT_H

#include "core/net/stream.h"
#include "core/net/wolfssl.h"

#define TG_TLS_CA_FILE_MAX_BYTES (4 * 1024 * 1024)
#define TG_TLS_RESUME_S          86400 /* a saved session is not offered longer than this after its handshake */
#define TG_TLS_SYSTEM_ROOTS      "/etc/ssl/certs/ca-certificates.crt"

struct tg_tls_context {
    WOLFSSL_CTX *wolf;
    char *ca_file;
    bool tls12_only, offers_all;
    uint64_t id; /* unlike the address, never the same again: a saved session belongs to one context */
    uint32_t roots, roots_skipped;
};

struct tg_pkcs11_key;

struct tg_tls_credential {
    struct tg_pkcs11_key *token_key; /* NULL = key_der is it */
    uint8_t *chain_pem, *key_der;
    size_t chain_len, key_len;
    struct tg_tls_credential_info info;
};

/* After a shortage of memory, when what was worked on is freed: what wolfSSL still keeps in the reserve are its tables
 * of curve points, so they go. */
void tg_tls_leave_reserve(void);

/* A server found nothing that it has among the suites that were offered: true when there are more, which the connections after this one
 * offer as well. */
bool tg_tls_context_offer_more(struct tg_tls_context *ctx);

/* True for the suites that we offer, by their two bytes on the wire. */
bool tg_tls_suite_allowed(uint16_t suite);

#endif
