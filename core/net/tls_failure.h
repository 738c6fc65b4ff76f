/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_failure - the words for a TLS connection that failed for another reason than the server's certificate:
 * an alert that the server sent, a peer that does not speak TLS, no common version or suite. Pure.
 */
#ifndef TG_NET_TLS_FAILURE_H
#define TG_NET_TLS_FAILURE_H

#include "core/net/stream.h"

struct tg_tls_failure {
    const char *host;
    int wolf_code;        /* wolfSSL_get_error(); 0 = none */
    int alert;            /* the fatal alert that the server sent last; -1 = none */
    bool handshaking;     /* before or after the handshake was done */
    bool offered_session; /* a saved session was offered: it also fixes the version */
    bool has_credential;  /* a client certificate was there to be sent */
};

/* Fills code and text; returns the code: TG_EAUTH (our certificate is not wanted), TG_ENOMEM, else TG_ETLS.
 */
int tg_tls_failure_explain(const struct tg_tls_failure *f, struct tg_error *err);

#endif
