/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_tls.h"

#include <dlfcn.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <string.h>

#define SLOTS 16384 /* certificates remembered; a power of two, far above any test's fleet */

static struct {
    uint8_t digest[HUB_DIGEST_BYTES];
    int error; /* X509_V_…, 0 = good */
    bool used;
} seen[SLOTS];
static bool preloaded;

static size_t slot_of(const uint8_t *digest)
{
    size_t i = ((size_t)digest[0] << 8 | digest[1]) % SLOTS;
    for (size_t n = 0; n < SLOTS && seen[i].used && memcmp(seen[i].digest, digest, HUB_DIGEST_BYTES) != 0;
         n++) {
        i = (i + 1) % SLOTS;
    }
    return i;
}

static int judge_chain(X509_STORE_CTX *ctx, void *unused)
{
    (void)unused;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int good = X509_verify_cert(ctx);
    if (X509_digest(X509_STORE_CTX_get0_cert(ctx), EVP_sha256(), digest, &len)) {
        size_t i = slot_of(digest);
        memcpy(seen[i].digest, digest, HUB_DIGEST_BYTES);
        seen[i].error = good > 0 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
        seen[i].used = true;
    }
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

/* Stands in front of OpenSSL's function of the same name. */
void SSL_CTX_set_verify(SSL_CTX *ctx, int mode, SSL_verify_cb callback)
{
    void (*original)(SSL_CTX *, int, SSL_verify_cb);
    void *symbol = dlsym(RTLD_NEXT, "SSL_CTX_set_verify");
    memcpy(&original, &symbol, sizeof original);
    preloaded = true;
    if (mode & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) {
        original(ctx, mode, callback); /* a listener that insists was meant to */
        return;
    }
    original(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, judge_chain, NULL);
    /* With SSL_VERIFY_PEER a resumed session is refused unless the server has named its context. */
    (void)SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"hub", 3);
}

bool hub_tls_preloaded(void)
{
    return preloaded || dlsym(RTLD_DEFAULT, "SSL_CTX_set_verify") == (void *)(uintptr_t)SSL_CTX_set_verify;
}

const char *hub_tls_chain_problem(const uint8_t digest[HUB_DIGEST_BYTES])
{
    size_t i = slot_of(digest);
    if (!seen[i].used) {
        return "x509: no chain was seen";
    }
    return seen[i].error == X509_V_OK ? NULL : X509_verify_cert_error_string(seen[i].error);
}
