/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tls_verify.h"

#include <stdio.h>

#include "core/base/clock.h"

static struct tg_bytes certificate_at(const WOLFSSL_X509_STORE_CTX *store, int i)
{
    return tg_bytes(store->certs[i].buffer, store->certs[i].length);
}

/* What the rest of the chain says about the one that was refused. */
static void look_for_issuer(struct tg_tls_verify *v, const WOLFSSL_X509_STORE_CTX *store)
{
    struct tg_certificate other;
    for (int i = 0; i < store->totalCerts; i++) {
        if (tg_certificate_read(certificate_at(store, i), NULL, &other) < 0)
            continue;
        if (i == store->totalCerts - 1)
            memcpy(v->chain_end, other.issuer, sizeof v->chain_end);
        if (i == v->depth || v->issuer_sent ||
            memcmp(other.subject_hash, v->refused.issuer_hash, sizeof other.subject_hash) != 0)
            continue;
        v->issuer_sent = true;
        v->issuer_is_ca = other.is_ca;
        v->issuer_may_sign = other.may_sign;
    }
}

/* The compatibility layer translates some codes for callbacks; this is the way back. */
static int wolfssl_code(int store_error)
{
    switch (store_error) {
    case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
        return ASN_BEFORE_DATE_E;
    case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
        return ASN_AFTER_DATE_E;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        return ASN_NO_SIGNER_E;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return ASN_SELF_SIGNED_E;
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
        return ASN_PATHLEN_INV_E;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return ASN_SIG_CONFIRM_E;
    default:
        return store_error;
    }
}

static int refuse(struct tg_tls_verify *v, enum tg_tls_refusal why, const WOLFSSL_X509_STORE_CTX *store,
                  const struct tg_certificate *c)
{
    if (v->refusal != TG_TLS_NOT_REFUSED)
        return 0; /* the first one is the reason; later ones follow from it */
    v->refusal = why;
    v->wolf_code = wolfssl_code(store->error);
    v->depth = store->error_depth;
    v->chain_len = store->totalCerts;
    if (c) {
        v->refused = *c;
        look_for_issuer(v, store);
    }
    return 0;
}

/* The session would keep a copy of every certificate for as long as it lives, and nobody reads them. */
static void drop_session_certificates(WOLFSSL_X509_STORE_CTX *store)
{
#ifdef SESSION_CERTS
    int n = store->sesChain ? wolfSSL_get_chain_count(store->sesChain) : 0;
    for (int i = 0; i < n; i++)
        memset(wolfSSL_get_chain_cert(store->sesChain, i), 0,
               (size_t)wolfSSL_get_chain_length(store->sesChain, i));
    store->discardSessionCerts = 1;
#else
    (void)store; /* this wolfSSL keeps none */
#endif
}

int tg_tls_verify_callback(int preverified, WOLFSSL_X509_STORE_CTX *store)
{
    struct tg_tls_verify *v = store->userCtx;
    struct tg_certificate c;
    int depth = store->error_depth;
    if (!v || depth < 0 || depth >= store->totalCerts)
        return 0;
    int rc = tg_certificate_read(certificate_at(store, depth), depth == 0 ? v->host : NULL, &c);
    if (rc == TG_ENOMEM)
        return refuse(v, TG_TLS_REFUSED_NO_MEMORY, store, NULL);
    if (!preverified)
        return refuse(v, TG_TLS_REFUSED_BY_WOLFSSL, store, rc < 0 ? NULL : &c);
    if (rc < 0)
        return refuse(v, TG_TLS_REFUSED_UNREADABLE, store, NULL);
    /* A root that the server sends along is trusted, or not, by its key: its own signature proves nothing. */
    if (!c.strong_signature && !(depth > 0 && c.self_issued))
        return refuse(v, TG_TLS_REFUSED_WEAK_SIGNATURE, store, &c);
    if (depth > 0)
        return 1;
    if (!c.has_names)
        return refuse(v, TG_TLS_REFUSED_NO_NAMES, store, &c);
    if (!c.matches)
        return refuse(v, TG_TLS_REFUSED_OTHER_HOST, store, &c);
    if (v->refusal != TG_TLS_NOT_REFUSED)
        return 0;
    v->leaf_passed = true;
    v->leaf_not_after_s = c.not_after_s;
    drop_session_certificates(store);
    return 1;
}

/* --- texts ----------------------------------------------------------------------------------- */

#define WHO_BYTES 224

static void who_text(const struct tg_tls_verify *v, char out[WHO_BYTES])
{
    if (v->depth == 0)
        snprintf(out, WHO_BYTES, "certificate of %.120s", v->host);
    else
        snprintf(out, WHO_BYTES, "intermediate certificate \"%.60s\" that %.80s sent", v->refused.subject,
                 v->host);
}

static void explain_dates(const struct tg_tls_verify *v, const char *who, bool expired, struct tg_error *err)
{
    char bound[TG_CLOCK_ISO8601_BYTES], now[TG_CLOCK_ISO8601_BYTES];
    tg_clock_iso8601((expired ? v->refused.not_after_s : v->refused.not_before_s) * 1000, bound);
    tg_clock_iso8601(tg_clock_wall_ms(), now);
    if (expired)
        tg_error_set(err, TG_ECERT,
                     "%s expired on %.10s (the clock here says %.10s): its operator must renew it", who,
                     bound, now);
    else
        tg_error_set(err, TG_ECERT,
                     "%s is not valid before %.16sZ, and the clock here says %.16sZ: check the clock", who,
                     bound, now);
}

static void explain_unknown_issuer(const struct tg_tls_verify *v, const char *who, struct tg_error *err)
{
    const char *issuer = v->refused.issuer;
    if (v->issuer_sent && !v->issuer_is_ca)
        tg_error_set(err, TG_ECERT, "%s was issued by \"%.80s\", which is no CA certificate", who, issuer);
    else if (v->issuer_sent && !v->issuer_may_sign)
        tg_error_set(err, TG_ECERT,
                     "%s was issued by \"%.80s\", whose key usage does not allow signing certificates", who,
                     issuer);
    else if (v->issuer_sent && strcmp(issuer, v->chain_end) == 0)
        tg_error_set(err, TG_ECERT,
                     "%s was issued by \"%.80s\", which the server sends along but which is not a root in CA "
                     "file %.80s, or may not issue this (path length)",
                     who, issuer, v->ca_file);
    else if (v->issuer_sent)
        tg_error_set(err, TG_ECERT,
                     "%s: its chain through \"%.60s\" ends at \"%.60s\", which is not a root in "
                     "CA file %.80s or may not issue this (path length)",
                     who, issuer, v->chain_end, v->ca_file);
    else if (v->refused.self_issued)
        tg_error_set(err, TG_ECERT, "%s is self-signed and not in CA file %.100s", who, v->ca_file);
    else
        tg_error_set(err, TG_ECERT,
                     "%s was issued by \"%.60s\", which is neither in CA file %.80s nor sent by the "
                     "server: the CA is unknown, or the server's intermediate certificate is missing",
                     who, issuer, v->ca_file);
}

static int explain_wolfssl(const struct tg_tls_verify *v, const char *who, struct tg_error *err)
{
    switch (v->wolf_code) {
    case ASN_AFTER_DATE_E:
        explain_dates(v, who, true, err);
        return TG_ECERT;
    case ASN_BEFORE_DATE_E:
        explain_dates(v, who, false, err);
        return TG_ECERT;
    case ASN_NO_SIGNER_E:
        explain_unknown_issuer(v, who, err);
        return TG_ECERT;
    case ASN_SELF_SIGNED_E:
        return tg_error_set(err, TG_ECERT, "%s is self-signed and not in CA file %.100s", who, v->ca_file);
    case ASN_SIG_CONFIRM_E:
        return tg_error_set(err, TG_ECERT,
                            "%s: its signature is not by the key of \"%.80s\" that is trusted here "
                            "(CA file %.80s): forged, damaged, or another CA of the same name",
                            who, v->refused.issuer, v->ca_file);
    case ASN_NAME_INVALID_E:
        return tg_error_set(err, TG_ECERT,
                            "%s: the name constraints of its CA \"%.80s\" do not allow this name", who,
                            v->refused.issuer);
    case ASN_PATHLEN_INV_E:
    case ASN_PATHLEN_SIZE_E:
        return tg_error_set(err, TG_ECERT,
                            "%s: there are more CAs below \"%.80s\" than its path length allows", who,
                            v->refused.issuer);
    case EXTKEYUSE_AUTH_E:
    case KEYUSE_SIGNATURE_E:
    case KEYUSE_ENCIPHER_E:
        return tg_error_set(err, TG_ECERT, "%s is not meant for servers (key usage)", who);
    case RSA_KEY_SIZE_E:
    case ECC_KEY_SIZE_E:
        return tg_error_set(err, TG_ECERT, "%s has a key that is too short: RSA needs 2048 bits, EC 256",
                            who);
    case MEMORY_E:
    case MEMORY_ERROR:
        return tg_error_set(err, TG_ENOMEM, "%s could not be checked: out of memory", who);
    default:
        return tg_error_set(err, TG_ECERT, "%s was refused: %.100s (wolfSSL %d)", who,
                            wolfSSL_ERR_reason_error_string((unsigned long)(unsigned)-v->wolf_code),
                            v->wolf_code);
    }
}

int tg_tls_verify_explain(const struct tg_tls_verify *v, struct tg_error *err)
{
    char who[WHO_BYTES];
    who_text(v, who);
    switch (v->refusal) {
    case TG_TLS_REFUSED_NO_MEMORY:
        return tg_error_set(err, TG_ENOMEM, "%s could not be checked: out of memory", who);
    case TG_TLS_REFUSED_UNREADABLE:
        return tg_error_set(err, TG_ECERT, "%s cannot be decoded", who);
    case TG_TLS_REFUSED_WEAK_SIGNATURE:
        return tg_error_set(err, TG_ECERT,
                            "%s is signed with SHA-1 or weaker by \"%.80s\"; SHA-256 is required", who,
                            v->refused.issuer);
    case TG_TLS_REFUSED_NO_NAMES:
        return tg_error_set(err, TG_ECERT,
                            "%s has no subject alternative name; its common name \"%.80s\" does not "
                            "count: have it reissued with subjectAltName",
                            who, v->refused.subject);
    case TG_TLS_REFUSED_OTHER_HOST:
        return tg_error_set(err, TG_ECERT, "%s is for %s, not for this host", who, v->refused.names);
    case TG_TLS_NOT_REFUSED:
    case TG_TLS_REFUSED_BY_WOLFSSL:
        break;
    }
    if (v->wolf_code == DOMAIN_NAME_MISMATCH || v->wolf_code == IPADDR_MISMATCH) {
        if (!v->refused.has_names)
            return tg_error_set(err, TG_ECERT,
                                "%s has no subject alternative name and its common name is \"%.80s\"", who,
                                v->refused.subject);
        return tg_error_set(err, TG_ECERT, "%s is for %s, not for this host", who, v->refused.names);
    }
    return explain_wolfssl(v, who, err);
}
