/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tls_stream.h"

#include <limits.h>
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/descriptors.h"
#include "core/base/clock.h"
#include "core/net/tls_failure.h"
#include "core/net/tls_memory.h"
#include "core/net/tls_token.h"
#include "core/net/tls_verify.h"

#define TLS_STREAM_MAGIC 0x715e551cu

struct tg_tls_stream {
    uint32_t magic;
    WOLFSSL *ssl;
    struct tg_tls_stream_options o;
    struct tg_tls_verify *verify; /* until the handshake is done */
    struct tg_bytes in;           /* input of the call that is running */
    struct tg_tls_memory_scope scope;
    struct tg_pkcs11_key *token_key; /* until the handshake is done; NULL = none */
    int64_t leaf_not_after_s;
    int send_error;
    bool offered_session, resumed, done, slim;
    bool connected, ran_short; /* of the last step of the handshake */
    int wolf_code;
};

/* What a ticket holds: a session is offered again only to the same server, under the same roots and identity,
 * and not after the server's certificate has ended, because resumption does not look at certificates. */
struct saved_session {
    WOLFSSL_SESSION *session;
    uint64_t context_id;
    int64_t leaf_not_after_s;
    char credential_sha256[65];
    char host[];
};

/* --- saved sessions -------------------------------------------------------------------------- */

void tg_tls_ticket_fini(struct tg_tls_ticket *t)
{
    struct saved_session *saved = t->session;
    t->session = NULL;
    if (!saved)
        return;
    wolfSSL_SESSION_free(saved->session);
    tg_free(saved);
}

static const char *identity(const struct tg_tls_stream_options *o)
{
    return o->credential ? o->credential->info.sha256 : "";
}

static bool usable(const struct saved_session *saved, const struct tg_tls_stream_options *o)
{
    return saved->context_id == o->ctx->id && strcmp(saved->host, o->host) == 0 &&
           strcmp(saved->credential_sha256, identity(o)) == 0 &&
           saved->leaf_not_after_s > tg_clock_wall_ms() / 1000 &&
           wolfSSL_SESSION_is_resumable(saved->session);
}

static void offer_session(struct tg_tls_stream *t)
{
    struct saved_session *saved = t->o.ticket ? t->o.ticket->session : NULL;
    if (!saved)
        return;
    if (usable(saved, &t->o) && wolfSSL_set_session(t->ssl, saved->session) == WOLFSSL_SUCCESS) {
        t->leaf_not_after_s = saved->leaf_not_after_s;
        t->offered_session = true;
        return;
    }
    tg_tls_ticket_fini(t->o.ticket);
}

/* The saved session is the connection's own, counted: a TLS 1.3 ticket that arrives later lands in it too.
 * Without memory there is just no resumption. */
static void save_session(struct tg_tls_stream *t)
{
    if (!t->o.ticket)
        return;
    tg_tls_ticket_fini(t->o.ticket);
    size_t host_len = strlen(t->o.host);
    struct saved_session *saved = tg_calloc(1, sizeof *saved + host_len + 1);
    WOLFSSL_SESSION *session = saved ? wolfSSL_get1_session(t->ssl) : NULL;
    if (!session) {
        tg_free(saved);
        return;
    }
    saved->session = session;
    saved->context_id = t->o.ctx->id;
    saved->leaf_not_after_s = t->leaf_not_after_s;
    snprintf(saved->credential_sha256, sizeof saved->credential_sha256, "%s", identity(&t->o));
    memcpy(saved->host, t->o.host, host_len + 1);
    t->o.ticket->session = saved;
}

static int no_memory(const struct tg_tls_stream *t, struct tg_error *err)
{
    return tg_error_set(err, TG_ENOMEM, "TLS with %.120s: out of memory", t->o.host);
}

/* --- I/O callbacks --------------------------------------------------------------------------- */

int tg_tls_stream_recv(WOLFSSL *ssl, char *buffer, int size, void *arg)
{
    struct tg_tls_stream *t = TG_OBJECT(arg, struct tg_tls_stream, TLS_STREAM_MAGIC);
    (void)ssl;
    if (t->in.len == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    size_t n = t->in.len < (size_t)size ? t->in.len : (size_t)size;
    memcpy(buffer, t->in.data, n);
    t->in = tg_bytes(t->in.data + n, t->in.len - n);
    return (int)n;
}

int tg_tls_stream_send(WOLFSSL *ssl, char *buffer, int size, void *arg)
{
    struct tg_tls_stream *t = TG_OBJECT(arg, struct tg_tls_stream, TLS_STREAM_MAGIC);
    (void)ssl;
    int rc = t->o.send(t->o.user, tg_bytes(buffer, (size_t)size));
    if (rc < 0) {
        t->send_error = rc;
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    return size;
}

/* --- life ------------------------------------------------------------------------------------ */

static int set_credential(struct tg_tls_stream *t, struct tg_error *err)
{
    const struct tg_tls_credential *c = t->o.credential;
    if (!c)
        return TG_OK; /* a CertificateRequest is then answered with an empty Certificate */
    int chain = wolfSSL_use_certificate_chain_buffer_format(t->ssl, c->chain_pem, (long)c->chain_len,
                                                            WOLFSSL_FILETYPE_PEM);
    int key = c->token_key ? tg_tls_token_use(t->ssl, c->token_key)
                           : wolfSSL_use_PrivateKey_buffer(t->ssl, c->key_der, (long)c->key_len,
                                                           WOLFSSL_FILETYPE_ASN1);
    if (c->token_key)
        t->token_key = tg_pkcs11_key_ref(c->token_key);
    if (chain == WOLFSSL_SUCCESS && key == WOLFSSL_SUCCESS)
        return TG_OK;
    /* Both were loaded once by tg_tls_credential_new(): what is left is memory. */
    return tg_error_set(err, TG_ENOMEM,
                        "TLS with %.120s: the client certificate could not be set (wolfSSL %d, %d)",
                        t->o.host, chain, key);
}

/* Whether the server agreed is looked at when the handshake is done. */
static bool offer_protocol(struct tg_tls_stream *t)
{
    TG_CLEANUP_FREE char *list = tg_strdup(t->o.alpn); /* wolfSSL cuts it up */
    return list && wolfSSL_UseALPN(t->ssl, list, (unsigned)strlen(list), WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) ==
                       WOLFSSL_SUCCESS;
}

static bool agreed_on_protocol(const struct tg_tls_stream *t)
{
    char *name = NULL;
    word16 len = 0;
    return wolfSSL_ALPN_GetProtocol(t->ssl, &name, &len) == WOLFSSL_SUCCESS &&
           tg_bytes_eq_str(tg_bytes(name, len), t->o.alpn);
}

static int set_up(struct tg_tls_stream *t, struct tg_error *err)
{
    uint8_t address[16];
    size_t len = strlen(t->o.host);
    /* "hub.test." is the name hub.test: the root's dot is neither in certificates nor in SNI (RFC 6066 3). */
    if (len > 0 && t->o.host[len - 1] == '.')
        len--;
    TG_CLEANUP_FREE char *name = tg_strndup(t->o.host, len);
    if (!name)
        return no_memory(t, err);
    t->verify->host = t->o.host;
    t->verify->ca_file = t->o.ctx->ca_file;
    wolfSSL_set_using_nonblock(t->ssl, 1);
    wolfSSL_SetIOReadCtx(t->ssl, t);
    wolfSSL_SetIOWriteCtx(t->ssl, t);
    wolfSSL_SetCertCbCtx(t->ssl, t->verify);
    if (wolfSSL_check_domain_name(t->ssl, name) != WOLFSSL_SUCCESS)
        return no_memory(t, err);
    if (!tg_certificate_is_address(t->o.host, address, &(size_t){0}) &&
        wolfSSL_UseSNI(t->ssl, WOLFSSL_SNI_HOST_NAME, name, (unsigned short)len) != WOLFSSL_SUCCESS)
        return no_memory(t, err);
    /* Left alone wolfSSL offers a P-256 share in TLS 1.3, at twice the CPU and 10 MB of tables for points
     * that are never seen again. A server without X25519 asks for another one. */
    if (!t->o.ctx->tls12_only && wolfSSL_UseKeyShare(t->ssl, WOLFSSL_ECC_X25519) != WOLFSSL_SUCCESS)
        return no_memory(t, err);
    if (t->o.alpn && !offer_protocol(t))
        return no_memory(t, err);
    int rc = set_credential(t, err);
    if (rc == TG_OK)
        offer_session(t);
    return rc;
}

int tg_tls_stream_new(const struct tg_tls_stream_options *o, struct tg_tls_stream **ret_stream,
                      struct tg_error *err)
{
    int rc = TG_ENOMEM;
    struct tg_tls_stream *t = tg_calloc(1, sizeof *t);
    if (!t)
        return tg_error_set(err, TG_ENOMEM, "TLS with %.120s: out of memory", o->host);
    t->magic = TLS_STREAM_MAGIC;
    t->o = *o;
    t->verify = tg_calloc(1, sizeof *t->verify);
    unsigned shortages = tg_tls_memory_shortages();
    tg_tls_memory_scope_enter(&t->scope);
    if (t->verify)
        t->ssl = wolfSSL_new(o->ctx->wolf);
    if (t->verify && t->ssl)
        rc = set_up(t, err);
    tg_tls_memory_scope_leave();
    if (!t->ssl || tg_tls_memory_shortages() != shortages)
        rc = t->verify && tg_tls_memory_shortages() == shortages && !tg_descriptors_are_left()
                 ? tg_error_set(err, TG_ENOMEM,
                                "TLS with %.120s: no file descriptor is left for random numbers", o->host)
                 : no_memory(t, err);
    if (rc < 0) {
        tg_tls_stream_free(t);
        return rc;
    }
    *ret_stream = t;
    return TG_OK;
}

void tg_tls_stream_free(struct tg_tls_stream *t)
{
    if (!t)
        return;
    wolfSSL_free(t->ssl);
    tg_pkcs11_key_unref(t->token_key);
    tg_tls_memory_scope_fini(&t->scope); /* a saved session's block lives on */
    tg_free(t->verify);
    TG_OBJECT_POISON(t);
    tg_free(t);
    tg_tls_leave_reserve();
}

/* --- handshake ------------------------------------------------------------------------------- */

static int last_fatal_alert(WOLFSSL *ssl)
{
    WOLFSSL_ALERT_HISTORY h;
    if (wolfSSL_get_alert_history(ssl, &h) != WOLFSSL_SUCCESS || h.last_rx.level != alert_fatal)
        return -1;
    return h.last_rx.code;
}

static int explain(struct tg_tls_stream *t, int wolf_code, struct tg_error *err)
{
    if (t->send_error)
        return tg_error_set(err, t->send_error, "TLS with %.120s: cannot send: %s", t->o.host,
                            tg_code_text(t->send_error));
    if (t->verify && t->verify->refusal != TG_TLS_NOT_REFUSED)
        return tg_tls_verify_explain(t->verify, err);
    if (t->token_key && tg_pkcs11_key_failure(t->token_key, err))
        return tg_error_wrap(err, "TLS with %.120s", t->o.host);
    struct tg_tls_failure f = {.host = t->o.host,
                               .wolf_code = wolf_code,
                               .alert = last_fatal_alert(t->ssl),
                               .handshaking = !t->done,
                               .offered_session = t->offered_session,
                               .has_credential = t->o.credential != NULL};
    struct tg_error why = {0};
    int rc = tg_tls_failure_explain(&f, &why);
    bool more = f.handshaking && (f.alert == handshake_failure || f.alert == insufficient_security) &&
                tg_tls_context_offer_more(t->o.ctx);
    return tg_error_set(err, rc, "%s%s", why.text, more ? "; the next attempt offers AES-256 as well" : "");
}

bool tg_tls_stream_was_alerted(const struct tg_tls_stream *t)
{
    return last_fatal_alert(t->ssl) >= 0;
}

/* A handshake that the server broke off may have failed over the saved session: the next one starts afresh.
 * (After a timeout it is kept: a bad link is no reason to pay for a full handshake.) */
static void drop_session(struct tg_tls_stream *t)
{
    if (!t->done && t->o.ticket)
        tg_tls_ticket_fini(t->o.ticket);
}

void tg_tls_stream_broken_off(struct tg_tls_stream *t)
{
    if (!t->done)
        (void)tg_tls_context_offer_more(t->o.ctx);
}

int tg_tls_stream_explain_cut(struct tg_tls_stream *t, struct tg_error *err)
{
    drop_session(t);
    if (last_fatal_alert(t->ssl) >= 0)
        return explain(t, 0, err);
    if (!t->done)
        return tg_error_set(err, TG_ETLS,
                            "%.120s closed the connection in the TLS handshake (does it speak TLS on "
                            "this port?)",
                            t->o.host);
    return tg_error_set(err, TG_EIO, "%.120s cut the connection without a TLS good-bye", t->o.host);
}

/* wolfSSL says it is done: what it negotiated must be what was offered (CVE-2024-5814), and either the leaf
 * went through our rules or the session is one that did. */
static int check_result(struct tg_tls_stream *t, struct tg_error *err)
{
    uint16_t suite = (uint16_t)wolfSSL_get_current_cipher_suite(t->ssl);
    t->resumed = wolfSSL_session_reused(t->ssl) == 1 && !t->verify->leaf_passed;
    if (wolfSSL_version(t->ssl) != TLS1_2_VERSION && wolfSSL_version(t->ssl) != TLS1_3_VERSION)
        return tg_error_set(err, TG_ETLS, "%.120s negotiated %.12s, which was not offered", t->o.host,
                            wolfSSL_get_version(t->ssl));
    if (!tg_tls_suite_allowed(suite))
        return tg_error_set(err, TG_ETLS,
                            "%.120s negotiated the cipher suite %.48s (0x%04X), which was not offered",
                            t->o.host, wolfSSL_get_cipher(t->ssl), suite);
    if (t->o.alpn && !agreed_on_protocol(t))
        return tg_error_set(
            err, TG_ETLS,
            "%.120s did not agree to speak %.64s on this port (ALPN): is it the right host and port?",
            t->o.host, t->o.alpn);
    if (t->verify->leaf_passed)
        t->leaf_not_after_s = t->verify->leaf_not_after_s;
    else if (!t->resumed || t->leaf_not_after_s == 0)
        return tg_error_set(err, TG_ECERT, "%.120s showed no certificate", t->o.host);
    return TG_OK;
}

static void settle(struct tg_tls_stream *t)
{
    t->done = true;
    wolfSSL_UnloadCertsKeys(t->ssl); /* our key: not needed again, so not kept */
    wolfSSL_SetCertCbCtx(t->ssl, NULL);
    tg_free(t->verify);
    t->verify = NULL;
    tg_pkcs11_key_unref(t->token_key);
    t->token_key = NULL;
    save_session(t);
    tg_tls_memory_scope_release(&t->scope);
}

/* With the first data what the peer says right after the handshake is in: tickets. wolfSSL keeps the handshake's secrets (5.5 KB)
 * for them and for a request for our certificate, which is not allowed here; a later ticket and a key update do without, as
 * in every build without post-handshake authentication. */
static void slim_down(struct tg_tls_stream *t)
{
    t->slim = true;
    wolfSSL_FreeArrays(t->ssl);
    tg_tls_memory_scope_release(&t->scope);
    tg_tls_memory_scope_fini(&t->scope);
}

/* Input is borrowed for one call. */
static void give_back(struct tg_tls_stream *t, struct tg_bytes *in)
{
    *in = t->in;
    t->in = tg_bytes(NULL, 0);
}

bool tg_tls_stream_is_slow(const struct tg_tls_stream *t)
{
    return t->token_key != NULL;
}

void tg_tls_stream_shake(struct tg_tls_stream *t, struct tg_bytes *in)
{
    TG_ASSERT(!t->done);
    t->in = *in;
    unsigned shortages = tg_tls_memory_shortages();
    tg_tls_memory_scope_enter(&t->scope);
    int connected = wolfSSL_connect(t->ssl);
    t->connected = connected == WOLFSSL_SUCCESS;
    t->wolf_code = t->connected ? 0 : wolfSSL_get_error(t->ssl, connected);
    tg_tls_memory_scope_leave();
    t->ran_short = tg_tls_memory_shortages() != shortages;
    give_back(t, in);
}

int tg_tls_stream_conclude(struct tg_tls_stream *t, struct tg_error *err)
{
    int rc = 0;
    if (t->ran_short)
        rc = no_memory(t, err);
    else if (!t->connected && t->wolf_code == WOLFSSL_ERROR_WANT_READ)
        return 0;
    else if (t->connected)
        rc = check_result(t, err);
    else
        rc = explain(t, t->wolf_code, err);
    if (rc < 0) {
        drop_session(t);
        return rc;
    }
    settle(t);
    return 1;
}

int tg_tls_stream_handshake(struct tg_tls_stream *t, struct tg_bytes *in, struct tg_error *err)
{
    tg_tls_stream_shake(t, in);
    return tg_tls_stream_conclude(t, err);
}

/* --- data ------------------------------------------------------------------------------------ */

int tg_tls_stream_read(struct tg_tls_stream *t, struct tg_bytes *in, uint8_t *out, size_t cap,
                       struct tg_error *err)
{
    TG_ASSERT(t->done && cap <= INT_MAX);
    t->in = *in;
    unsigned shortages = tg_tls_memory_shortages();
    int n = wolfSSL_read(t->ssl, out, (int)cap);
    give_back(t, in);
    if (tg_tls_memory_shortages() != shortages)
        return no_memory(t, err);
    if (n > 0) {
        if (!t->slim)
            slim_down(t);
        return n;
    }
    int code = wolfSSL_get_error(t->ssl, n);
    if (code == WOLFSSL_ERROR_WANT_READ)
        return 0;
    if (code == WOLFSSL_ERROR_ZERO_RETURN)
        return tg_error_set(err, TG_EEOF, "%.120s closed the connection", t->o.host);
    return explain(t, code, err);
}

int tg_tls_stream_write(struct tg_tls_stream *t, struct tg_bytes data, struct tg_error *err)
{
    TG_ASSERT(t->done && data.len <= INT_MAX);
    if (data.len == 0)
        return TG_OK;
    unsigned shortages = tg_tls_memory_shortages();
    int n = wolfSSL_write(t->ssl, data.data, (int)data.len);
    if (tg_tls_memory_shortages() != shortages)
        return no_memory(t, err);
    if (n == (int)data.len)
        return TG_OK;
    return explain(t, wolfSSL_get_error(t->ssl, n), err);
}

void tg_tls_stream_close_notify(struct tg_tls_stream *t)
{
    if (t->done && !t->send_error)
        (void)wolfSSL_shutdown(t->ssl);
}

void tg_tls_stream_describe(const struct tg_tls_stream *t, struct tg_stream_stats *stats)
{
    stats->resumed = t->resumed;
    snprintf(stats->version, sizeof stats->version, "%s", wolfSSL_get_version(t->ssl));
    snprintf(stats->cipher, sizeof stats->cipher, "%s", wolfSSL_get_cipher(t->ssl));
}
