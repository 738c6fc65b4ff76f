/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tls_failure.h"

#include "core/net/wolfssl.h"

/* RFC 8446 6.2; certificate alerts say what the server thinks of ours. */
static const struct {
    int code;
    bool about_certificate;
    const char *text;
} alerts[] = {
    {40, false,
     "handshake_failure: no cipher suite or signature in common, or a client certificate is missing"},
    {42, true, "bad_certificate"},
    {43, true, "unsupported_certificate"},
    {44, true, "certificate_revoked"},
    {45, true, "certificate_expired"},
    {46, true, "certificate_unknown"},
    {48, true, "unknown_ca"},
    {49, true, "access_denied"},
    {51, false, "decrypt_error"},
    {70, false, "protocol_version: it speaks neither TLS 1.2 nor 1.3"},
    {71, false, "insufficient_security: it wants other cipher suites than those allowed here"},
    {80, false, "internal_error"},
    {90, false, "user_canceled"},
    {112, false, "unrecognized_name: it has no certificate for this host name"},
    {116, true, "certificate_required"},
    {120, false, "no_application_protocol: it does not speak the protocol that was asked for (ALPN)"},
};

static int explain_alert(const struct tg_tls_failure *f, struct tg_error *err)
{
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
        if (alerts[i].code != f->alert)
            continue;
        if (alerts[i].about_certificate && f->has_credential)
            return tg_error_set(err, TG_EAUTH, "%.120s refused our client certificate: alert %s", f->host,
                                alerts[i].text);
        if (alerts[i].about_certificate)
            return tg_error_set(err, TG_EAUTH,
                                "%.120s wants a client certificate, and this identity has none: alert %s",
                                f->host, alerts[i].text);
        return tg_error_set(err, TG_ETLS, "%.120s ended the TLS %s: alert %s", f->host,
                            f->handshaking ? "handshake" : "connection", alerts[i].text);
    }
    return tg_error_set(err, TG_ETLS, "%.120s ended the TLS %s: alert %d", f->host,
                        f->handshaking ? "handshake" : "connection", f->alert);
}

int tg_tls_failure_explain(const struct tg_tls_failure *f, struct tg_error *err)
{
    bool alerted = f->alert >= 0 && (f->wolf_code == FATAL_ERROR || f->wolf_code == 0);
    bool no_version = f->wolf_code == VERSION_ERROR || (alerted && f->alert == protocol_version);
    if (no_version && f->offered_session)
        return tg_error_set(err, TG_ETLS,
                            "%.120s speaks another TLS version than before: the saved session is dropped, "
                            "the next attempt starts afresh",
                            f->host);
    if (alerted)
        return explain_alert(f, err);
    switch (f->wolf_code) {
    case MEMORY_E:
    case MEMORY_ERROR:
        return tg_error_set(err, TG_ENOMEM, "TLS with %.120s: out of memory", f->host);
    case VERSION_ERROR:
    case UNSUPPORTED_PROTO_VERSION:
        return tg_error_set(err, TG_ETLS,
                            "%.120s does not speak TLS on this port, or only a version before 1.2", f->host);
    case LENGTH_ERROR:
    case UNKNOWN_RECORD_TYPE:
    case PARSE_ERROR:
        if (f->handshaking)
            return tg_error_set(err, TG_ETLS, "%.120s does not speak TLS on this port", f->host);
        break;
    case HANDSHAKE_SIZE_ERROR:
        return tg_error_set(err, TG_ETLS, "%.120s sent a certificate chain longer than about 9 KB", f->host);
    case DECODE_E:
        return tg_error_set(err, TG_ETLS,
                            "%.120s sent a TLS handshake message that cannot be decoded (a certificate "
                            "chain of more than about 9 KB ends like this)",
                            f->host);
    case UNSUPPORTED_SUITE:
    case MATCH_SUITE_ERROR:
    case ECC_CURVE_ERROR:
    case KEY_SHARE_ERROR:
        return tg_error_set(err, TG_ETLS, "%.120s chose a cipher suite or curve that was not offered",
                            f->host);
    default:
        break;
    }
    return tg_error_set(err, TG_ETLS, "TLS %s with %.120s failed: %.120s (wolfSSL %d)",
                        f->handshaking ? "handshake" : "connection", f->host,
                        wolfSSL_ERR_reason_error_string((unsigned long)(unsigned)-f->wolf_code),
                        f->wolf_code);
}
