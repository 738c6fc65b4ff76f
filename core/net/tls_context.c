/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/net/pem.h"
#include "core/net/tls_certificate.h"
#include "core/net/tls_memory.h"
#include "core/net/tls_stream.h"
#include "core/net/tls_token.h"
#include "core/net/tls_verify.h"

/* AEAD with an ephemeral key exchange only. */
enum kind { AES128, AES256, CHACHA };
static const struct {
    uint16_t id;
    const char *name;
    bool tls13;
    enum kind kind;
} suites[] = {
    {0x1301, "TLS13-AES128-GCM-SHA256", true, AES128},
    {0x1302, "TLS13-AES256-GCM-SHA384", true, AES256},
    {0x1303, "TLS13-CHACHA20-POLY1305-SHA256", true, CHACHA},
    {0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256", false, AES128},
    {0xC02F, "ECDHE-RSA-AES128-GCM-SHA256", false, AES128},
    {0xC02C, "ECDHE-ECDSA-AES256-GCM-SHA384", false, AES256},
    {0xC030, "ECDHE-RSA-AES256-GCM-SHA384", false, AES256},
    {0xCCA9, "ECDHE-ECDSA-CHACHA20-POLY1305", false, CHACHA},
    {0xCCA8, "ECDHE-RSA-CHACHA20-POLY1305", false, CHACHA},
};

/* A library that computes AES without the processor's instructions (Debian's on amd64) needs less than half the time for ChaCha20. Many
 * servers, however, take AES-256 as soon as it is offered, wherever it stands; so it is offered only to those that have nothing else. */
#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)
static const enum kind preference[] = {AES128, AES256, CHACHA};
#define COMMON_KINDS 3
#else
static const enum kind preference[] = {CHACHA, AES128, AES256};
#define COMMON_KINDS 2
#endif

/* No SHA-1 and no SHA-224: neither for the server's signature nor, by tls_verify, in its chain. */
static const char signature_algorithms[] =
    "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:RSA+SHA384:"
    "ECDSA+SHA512:RSA-PSS+SHA512:RSA+SHA512:ED25519";

static const word16 groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1,
                                WOLFSSL_ECC_SECP521R1};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

bool tg_tls_suite_allowed(uint16_t suite)
{
    for (size_t i = 0; i < COUNT(suites); i++)
        if (suites[i].id == suite)
            return true;
    return false;
}

/* Dates of roots are judged by load_root(), because a box without a clock must be able to load them; wolfSSL
 * would refuse. While one is loaded its thread's time is a moment at which that root is valid. */
static _Thread_local int64_t root_time_s;

static time_t wolfssl_time(time_t *ret_time)
{
    time_t now = root_time_s ? (time_t)root_time_s : (time_t)(tg_clock_wall_ms() / 1000);
    if (ret_time)
        *ret_time = now;
    return now;
}

/* --- process --------------------------------------------------------------------------------- */

int tg_tls_global_init(struct tg_error *err)
{
    signal(SIGPIPE, SIG_IGN);
    (void)tg_tls_memory_install(); /* false only means that sessions keep their memory */
    unsigned shortages = tg_tls_memory_shortages();
    if (wolfSSL_Init() != WOLFSSL_SUCCESS || tg_tls_memory_shortages() != shortages)
        return tg_error_set(err, TG_ETLS,
                            "TLS library: initialisation failed (no entropy, or out of memory)");
    wc_SetTimeCb(wolfssl_time);
    if (tg_tls_token_register() < 0)
        return tg_error_set(err, TG_ETLS, "TLS library: it takes no crypto callback");
    return TG_OK;
}

void tg_tls_global_fini(void)
{
    tg_pkcs11_fini();
    wolfSSL_Cleanup();
    tg_tls_memory_trim();
}

void tg_tls_trim(void)
{
    wc_ecc_fp_free();
    tg_tls_memory_trim();
}

void tg_tls_leave_reserve(void)
{
    if (tg_tls_memory_stats().reserve_blocks > 0)
        tg_tls_trim();
}

/* --- roots ----------------------------------------------------------------------------------- */

static int read_file(const char *path, struct tg_buffer *ret_content, struct tg_error *err)
{
    int rc = TG_OK, fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = tg_error_set(err, tg_code_from_errno(errno), "CA file %s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = tg_error_set(err, TG_EINVAL, "CA file %s: not a regular file", path);
        goto out;
    }
    *ret_content = tg_buffer_init(TG_TLS_CA_FILE_MAX_BYTES);
    rc = tg_buffer_reserve(ret_content, (size_t)st.st_size + 1);
    while (rc == TG_OK) {
        ssize_t n = read(fd, ret_content->data + ret_content->len, ret_content->cap - ret_content->len);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            rc = tg_error_set(err, TG_EIO, "CA file %s: %s", path, strerror(errno));
        if (n > 0) {
            ret_content->len += (size_t)n;
            rc = tg_buffer_reserve(ret_content, 1);
        }
    }
    if (rc == TG_ETOOBIG)
        tg_error_set(err, rc, "CA file %s: larger than %d MiB", path, TG_TLS_CA_FILE_MAX_BYTES >> 20);
    if (rc == TG_ENOMEM)
        tg_error_set(err, rc, "CA file %s: out of memory", path);
    if (rc < 0)
        tg_buffer_fini(ret_content);
out:
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Why a certificate of the CA file is not used; TG_OK when it is. An expired root is refused here because
 * wolfSSL looks only at the dates of what the server sends. */
static int load_root(struct tg_tls_context *ctx, struct tg_bytes pem, struct tg_error *err)
{
    struct tg_certificate facts;
    DerBuffer *der = NULL;
    int rc, loaded;
    if (tg_pem_to_der(pem, false, &der) < 0)
        return tg_error_set(err, TG_ECERT, "not valid PEM");
    rc = tg_certificate_read(tg_bytes(der->buffer, der->length), NULL, &facts);
    if (rc < 0) {
        tg_error_set(err, rc, "%s", rc == TG_ENOMEM ? "out of memory" : "cannot be decoded");
        goto out;
    }
    int64_t now = tg_clock_wall_ms();
    if (tg_clock_plausible(now) && facts.not_after_s < now / 1000) {
        char date[TG_CLOCK_ISO8601_BYTES];
        tg_clock_iso8601(facts.not_after_s * 1000, date);
        rc = tg_error_set(err, TG_ECERT, "\"%s\" expired on %.10s", facts.subject, date);
        goto out;
    }
    root_time_s = facts.not_after_s;
    loaded = wolfSSL_CTX_load_verify_buffer(ctx->wolf, der->buffer, (long)der->length, WOLFSSL_FILETYPE_ASN1);
    root_time_s = 0;
    /* CVE-2026-93302: each load also made the certificate a "trusted peer", matched by name and serial only:
     * a self-made clone of it would be accepted as a server certificate. */
    if (wolfSSL_CTX_Unload_trust_peers(ctx->wolf) != WOLFSSL_SUCCESS)
        rc = tg_error_set(err, TG_ETLS, "\"%s\": trusted peers cannot be unloaded", facts.subject);
    else if (loaded != WOLFSSL_SUCCESS)
        rc = tg_error_set(err, loaded == MEMORY_E ? TG_ENOMEM : TG_ECERT,
                          "\"%s\" is not usable as a CA (wolfSSL %d)", facts.subject, loaded);
out:
    wc_FreeDer(&der);
    return rc;
}

/* `chosen` = the operator named the file: what is wrong with it is then worth a warning. */
static int load_roots(struct tg_tls_context *ctx, bool chosen, struct tg_error *err)
{
    struct tg_buffer content = {0};
    struct tg_bytes text, pem;
    struct tg_error skipped = {0};
    int rc = read_file(ctx->ca_file, &content, err);
    if (rc < 0)
        return rc;
    text = tg_buffer_view(&content);
    while (tg_certificate_next_pem(&text, "CERTIFICATE", &pem) > 0) {
        struct tg_error why = {0};
        rc = load_root(ctx, pem, &why);
        if (rc == TG_OK) {
            ctx->roots++;
            continue;
        }
        if (rc == TG_ENOMEM || rc == TG_ETLS) {
            tg_error_set(err, rc, "CA file %s: %s", ctx->ca_file, why.text);
            goto out;
        }
        if (ctx->roots_skipped++ == 0)
            skipped = why;
    }
    rc = TG_OK;
    if (ctx->roots == 0 && ctx->roots_skipped == 0)
        rc = tg_error_set(err, TG_ECERT, "CA file %s: no certificate in PEM form in it", ctx->ca_file);
    else if (ctx->roots == 0)
        rc = tg_error_set(err, TG_ECERT, "CA file %s: none of its %u certificates can be used: %s",
                          ctx->ca_file, ctx->roots_skipped, skipped.text);
    else if (ctx->roots_skipped > 0)
        tg_log(chosen ? TG_LOG_WARN : TG_LOG_DEBUG, "tls",
               "CA file %s: %u of %u certificates %s not used; the first: %s", ctx->ca_file,
               ctx->roots_skipped, ctx->roots + ctx->roots_skipped,
               tg_plural(ctx->roots_skipped, "is", "are"), skipped.text);
out:
    tg_buffer_fini(&content);
    return rc;
}

/* --- context --------------------------------------------------------------------------------- */

static int offer(WOLFSSL_CTX *wolf, bool tls12_only, size_t kinds)
{
    char list[512];
    struct tg_writer w = tg_writer_init(list, sizeof list);
    for (size_t k = 0; k < kinds; k++)
        for (size_t i = 0; i < COUNT(suites); i++)
            if (suites[i].kind == preference[k] && !(tls12_only && suites[i].tls13))
                tg_write_fmt(&w, "%s%s", w.len > 0 ? ":" : "", suites[i].name);
    if (tg_writer_cstr(&w) < 0)
        return TG_ETOOBIG;
    return wolfSSL_CTX_set_cipher_list(wolf, list) == WOLFSSL_SUCCESS ? TG_OK : TG_ETLS;
}

bool tg_tls_context_offer_more(struct tg_tls_context *ctx)
{
    if (ctx->offers_all || COMMON_KINDS == COUNT(preference) ||
        offer(ctx->wolf, ctx->tls12_only, COUNT(preference)) < 0)
        return false;
    ctx->offers_all = true;
    return true;
}

static int set_policy(WOLFSSL_CTX *wolf, bool tls12_only)
{
    /* Debian's build verifies nothing until it is told to, and starts at SSL 3. */
    wolfSSL_CTX_set_verify(wolf, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           tg_tls_verify_callback);
    if (wolfSSL_CTX_SetMinVersion(wolf, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
        offer(wolf, tls12_only, COMMON_KINDS) < 0 ||
        wolfSSL_CTX_set1_sigalgs_list(wolf, signature_algorithms) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinRsaKey_Sz(wolf, 2048) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinEccKey_Sz(wolf, 256) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_UseSessionTicket(wolf) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_timeout(wolf, TG_TLS_RESUME_S) < 0 ||
        wolfSSL_CTX_set_group_messages(wolf) != WOLFSSL_SUCCESS)
        return TG_ETLS;
    for (size_t i = 0; i < COUNT(groups); i++)
        if (wolfSSL_CTX_UseSupportedCurve(wolf, groups[i]) != WOLFSSL_SUCCESS)
            return TG_ETLS;
    /* Sessions are kept by their owners (tg_tls_ticket); the library's own table is static memory for 33. */
    wolfSSL_CTX_set_session_cache_mode(wolf, WOLFSSL_SESS_CACHE_NO_INTERNAL_STORE |
                                                 WOLFSSL_SESS_CACHE_NO_INTERNAL_LOOKUP);
    wolfSSL_CTX_SetIORecv(wolf, tg_tls_stream_recv);
    wolfSSL_CTX_SetIOSend(wolf, tg_tls_stream_send);
    return TG_OK;
}

int tg_tls_context_new(const struct tg_tls_options *o, struct tg_tls_context **ret_ctx, struct tg_error *err)
{
    static atomic_uint_fast64_t next_id = 1;
    struct tg_tls_context *ctx = tg_calloc(1, sizeof *ctx);
    unsigned shortages = tg_tls_memory_shortages();
    int rc;
    if (!ctx)
        return tg_error_set(err, TG_ENOMEM, "TLS context: out of memory");
    ctx->id = atomic_fetch_add(&next_id, 1);
    ctx->tls12_only = o->tls12_only;
    ctx->ca_file = tg_strdup(o->ca_file ? o->ca_file : TG_TLS_SYSTEM_ROOTS);
    ctx->wolf = wolfSSL_CTX_new(o->tls12_only ? wolfTLSv1_2_client_method() : wolfTLS_client_method());
    if (!ctx->ca_file || !ctx->wolf) {
        rc = tg_error_set(err, TG_ENOMEM, "TLS context: out of memory");
        goto fail;
    }
    rc = set_policy(ctx->wolf, o->tls12_only);
    if (rc < 0) {
        tg_error_set(err, rc, "TLS context: this wolfSSL does not take the required settings");
        goto fail;
    }
    rc = load_roots(ctx, o->ca_file != NULL, err);
    if (tg_tls_memory_shortages() != shortages)
        rc = tg_error_set(err, TG_ENOMEM, "CA file %s: out of memory", ctx->ca_file);
    if (rc < 0)
        goto fail;
    *ret_ctx = ctx;
    return TG_OK;
fail:
    tg_tls_context_free(ctx);
    return rc;
}

void tg_tls_context_free(struct tg_tls_context *ctx)
{
    if (!ctx)
        return;
    wolfSSL_CTX_free(ctx->wolf);
    tg_free(ctx->ca_file);
    tg_free(ctx);
    tg_tls_leave_reserve();
}
