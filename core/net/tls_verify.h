/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_verify - our own rules for a server's certificates on top of wolfSSL's, and what people are told when
 * one is refused.
 *
 * wolfSSL checks signatures, dates, CA flags, constraints and the host name. Beyond that a leaf must have a
 * subject alternative name that covers the host (no common name in its place, an address only by an IP name),
 * and neither leaf nor intermediate may be signed with SHA-1. Each rule fails closed, also when memory is
 * out. One tg_tls_verify per handshake, on the loop thread.
 */
#ifndef TG_NET_TLS_VERIFY_H
#define TG_NET_TLS_VERIFY_H

#include "core/net/tls_certificate.h"
#include "core/net/tls_context.h"

enum tg_tls_refusal {
    TG_TLS_NOT_REFUSED = 0,
    TG_TLS_REFUSED_BY_WOLFSSL, /* its error code says why */
    TG_TLS_REFUSED_UNREADABLE,
    TG_TLS_REFUSED_NO_MEMORY,
    TG_TLS_REFUSED_WEAK_SIGNATURE,
    TG_TLS_REFUSED_NO_NAMES,
    TG_TLS_REFUSED_OTHER_HOST
};

struct tg_tls_verify {
    const char *host;    /* lent */
    const char *ca_file; /* lent */
    bool leaf_passed;
    int64_t leaf_not_after_s; /* valid once leaf_passed */
    /* The first certificate that was refused, and who the server says issued it. */
    enum tg_tls_refusal refusal;
    int wolf_code; /* for TG_TLS_REFUSED_BY_WOLFSSL: of this certificate, not the one the handshake ends with
                    */
    int depth;     /* 0 = leaf */
    int chain_len;
    struct tg_certificate refused;
    bool issuer_sent, issuer_is_ca, issuer_may_sign;
    char chain_end[TG_TLS_NAME_BYTES]; /* issuer named by the last certificate that was sent */
};

/* For wolfSSL_CTX_set_verify(); the connection's tg_tls_verify is set with wolfSSL_SetCertCbCtx(). */
int tg_tls_verify_callback(int preverified, WOLFSSL_X509_STORE_CTX *store);

/* Explains a refusal (v->refusal is set): code and text go to *err. */
int tg_tls_verify_explain(const struct tg_tls_verify *v, struct tg_error *err);

#endif
