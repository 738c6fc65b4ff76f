/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/signer.h"

#include "core/base/allocator.h"
#include "core/base/secret.h"
#include "core/net/pem.h"
#include "core/net/pkcs11.h"
#include "core/base/pkcs11_uri.h"
#include "core/net/tls_memory.h"
#include "core/net/wolfssl.h"

#define COORDINATE_BYTES  32 /* P-256 */
#define RSA_LEAST_BITS    2048
#define RSA_MOST_BITS     4096
#define PUBLIC_DER_BYTES  600 /* RSA 4096: 550 */
#define DER_ECDSA_BYTES   72
#define DIGEST_INFO_BYTES 64 /* SHA-256: 51 */

struct tg_signer {
    enum tg_sign_algorithm algorithm;
    union {
        ecc_key ec;
        RsaKey rsa;
    };
    bool has_key;                /* which of the two, says algorithm */
    struct tg_pkcs11_key *token; /* then neither */
};

static int no_memory(struct tg_error *err)
{
    return tg_error_set(err, TG_ENOMEM, "private key: out of memory");
}

/* 1 = loaded, 0 = it is no EC key. */
static int load_ec(struct tg_signer *s, const struct tg_secret *der, struct tg_error *err)
{
    word32 at = 0;
    int rc = wc_ecc_init(&s->ec);
    if (rc == 0)
        rc = wc_EccPrivateKeyDecode(der->data, &at, &s->ec, (word32)der->len);
    if (rc == MEMORY_E)
        return no_memory(err);
    if (rc != 0) {
        wc_ecc_free(&s->ec);
        return 0;
    }
    s->algorithm = TG_SIGN_ES256;
    s->has_key = true;
    if (wc_ecc_get_curve_id(s->ec.idx) != ECC_SECP256R1)
        return tg_error_set(err, TG_EINVAL,
                            "private key: an EC key on another curve than P-256 (prime256v1)");
    /* A file may hold another public key than the private one's: it is made anew. */
    rc = wc_ecc_make_pub(&s->ec, NULL);
    if (rc == MEMORY_E)
        return no_memory(err);
    return rc == 0 ? 1 : tg_error_set(err, TG_EINVAL, "private key: the EC key's number is out of range");
}

static int load_rsa(struct tg_signer *s, const struct tg_secret *der, struct tg_error *err)
{
    word32 at = 0;
    int rc = wc_InitRsaKey(&s->rsa, NULL);
    if (rc == 0)
        rc = wc_RsaPrivateKeyDecode(der->data, &at, &s->rsa, (word32)der->len);
    if (rc == MEMORY_E)
        return no_memory(err);
    if (rc != 0) {
        wc_FreeRsaKey(&s->rsa);
        return tg_error_set(err, TG_EINVAL, "private key: neither an EC P-256 nor an RSA key");
    }
    s->algorithm = TG_SIGN_RS256;
    s->has_key = true;
    int bits = wc_RsaEncryptSize(&s->rsa) * 8;
    if (bits < RSA_LEAST_BITS || bits > RSA_MOST_BITS)
        return tg_error_set(err, TG_EINVAL, "private key: RSA with %d bits; %d to %d are used", bits,
                            RSA_LEAST_BITS, RSA_MOST_BITS);
    return TG_OK;
}

int tg_signer_from_pem(struct tg_bytes pem, struct tg_signer **ret_signer, struct tg_error *err)
{
    unsigned shortages = tg_tls_memory_shortages();
    struct tg_secret der;
    int rc = tg_pem_private_key(pem, &der, err);
    if (rc < 0)
        return tg_error_wrap(err, "private key");
    struct tg_signer *s = tg_calloc(1, sizeof *s);
    rc = s ? load_ec(s, &der, err) : no_memory(err);
    if (rc == 0)
        rc = load_rsa(s, &der, err);
    tg_secret_free(&der);
    if (tg_tls_memory_shortages() != shortages)
        rc = no_memory(err);
    if (rc < 0) {
        tg_signer_free(s);
        return rc;
    }
    *ret_signer = s;
    return TG_OK;
}

static int open_token_key(const char *uri, struct tg_signer **ret_signer, struct tg_error *err)
{
    struct tg_signer *s = tg_calloc(1, sizeof *s);
    int rc = s ? tg_pkcs11_key_open(uri, &s->token, err) : no_memory(err);
    if (rc < 0) {
        tg_free(s);
        return rc;
    }
    s->algorithm = tg_pkcs11_key_is_ec(s->token) ? TG_SIGN_ES256 : TG_SIGN_RS256;
    *ret_signer = s;
    return TG_OK;
}

int tg_signer_open(const char *path, struct tg_signer **ret_signer, struct tg_error *err)
{
    struct tg_secret pem = {0};
    int rc;
    if (tg_pkcs11_uri_is(path))
        return open_token_key(path, ret_signer, err);
    rc = tg_secret_read(path, TG_SECRET_PRIVATE, &pem, err);
    if (rc < 0)
        return rc;
    rc = tg_signer_from_pem(tg_secret_view(&pem), ret_signer, err);
    tg_secret_free(&pem);
    if (rc < 0)
        tg_error_wrap(err, "%s", path);
    return rc;
}

void tg_signer_free(struct tg_signer *s)
{
    if (!s)
        return;
    if (s->has_key && s->algorithm == TG_SIGN_ES256)
        wc_ecc_free(&s->ec);
    else if (s->has_key)
        wc_FreeRsaKey(&s->rsa);
    tg_pkcs11_key_unref(s->token);
    tg_free_secret(s, sizeof *s);
}

enum tg_sign_algorithm tg_signer_algorithm(const struct tg_signer *s)
{
    return s->algorithm;
}

bool tg_signer_is_slow(const struct tg_signer *s)
{
    return s->token != NULL;
}

/* --- signing --------------------------------------------------------------------------------- */

/* r and s come without leading zeros; JWS wants both in full (RFC 7518 3.4). 0 or a wolfSSL error. */
static int sign_ec(struct tg_signer *s, const uint8_t *digest, WC_RNG *rng, uint8_t *sig, size_t *ret_len)
{
    byte der[DER_ECDSA_BYTES + 8], part[2][COORDINATE_BYTES + 1];
    word32 der_len = sizeof der, len[2] = {sizeof part[0], sizeof part[1]};
    int rc = wc_ecc_sign_hash(digest, WC_SHA256_DIGEST_SIZE, der, &der_len, rng, &s->ec);
    if (rc == 0)
        rc = wc_ecc_sig_to_rs(der, der_len, part[0], &len[0], part[1], &len[1]);
    if (rc != 0)
        return rc;
    memset(sig, 0, 2 * COORDINATE_BYTES);
    for (size_t i = 0; i < 2; i++) {
        if (len[i] > COORDINATE_BYTES)
            return BAD_FUNC_ARG;
        memcpy(sig + (i + 1) * COORDINATE_BYTES - len[i], part[i], len[i]);
    }
    *ret_len = 2 * COORDINATE_BYTES;
    return 0;
}

static int sign_rsa(struct tg_signer *s, const uint8_t *digest, WC_RNG *rng, uint8_t *sig, size_t *ret_len)
{
    byte info[DIGEST_INFO_BYTES];
    word32 info_len = wc_EncodeSignature(info, digest, WC_SHA256_DIGEST_SIZE, SHA256h);
    int rc = wc_RsaSetRNG(&s->rsa, rng); /* for blinding */
    if (rc == 0)
        rc = wc_RsaSSL_Sign(info, info_len, sig, TG_SIGNATURE_MAX_BYTES, &s->rsa, rng);
    (void)wc_RsaSetRNG(&s->rsa, NULL);
    if (rc < 0)
        return rc;
    *ret_len = (size_t)rc;
    return 0;
}

static int sign_in_token(const struct tg_signer *s, const uint8_t *digest, uint8_t *sig, size_t *ret_len,
                         struct tg_error *err)
{
    byte info[DIGEST_INFO_BYTES];
    if (s->algorithm == TG_SIGN_ES256)
        return tg_pkcs11_sign(s->token, TG_PKCS11_ECDSA, tg_bytes(digest, WC_SHA256_DIGEST_SIZE), sig,
                              ret_len, err);
    word32 info_len = wc_EncodeSignature(info, digest, WC_SHA256_DIGEST_SIZE, SHA256h);
    return tg_pkcs11_sign(s->token, TG_PKCS11_RSA_PKCS, tg_bytes(info, info_len), sig, ret_len, err);
}

int tg_signer_sign(const struct tg_signer *signer, struct tg_bytes message, uint8_t *sig, size_t *ret_len,
                   struct tg_error *err)
{
    struct tg_signer *s = (struct tg_signer *)(uintptr_t)signer; /* wolfCrypt's keys are not const */
    unsigned shortages = tg_tls_memory_shortages();
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    size_t len = 0;
    WC_RNG rng;
    int rc = wc_Sha256Hash(message.data, (word32)message.len, digest);
    if (rc == 0 && s->token)
        return sign_in_token(s, digest, sig, ret_len, err);
    if (rc == 0)
        rc = wc_InitRng(&rng);
    if (rc == 0) {
        rc = s->algorithm == TG_SIGN_ES256 ? sign_ec(s, digest, &rng, sig, &len)
                                           : sign_rsa(s, digest, &rng, sig, &len);
        wc_FreeRng(&rng);
    }
    if (rc == MEMORY_E || tg_tls_memory_shortages() != shortages)
        return no_memory(err);
    if (rc != 0)
        return tg_error_set(err, TG_EINVAL, "private key: it cannot sign (wolfSSL %d)", rc);
    *ret_len = len;
    return TG_OK;
}

int tg_signer_public_der(const struct tg_signer *signer, struct tg_writer *out, struct tg_error *err)
{
    struct tg_signer *s = (struct tg_signer *)(uintptr_t)signer;
    byte der[PUBLIC_DER_BYTES];
    if (s->token) {
        tg_write_bytes(out, tg_pkcs11_key_public_der(s->token));
        return out->failed ? tg_error_set(err, TG_ETOOBIG, "public key: it does not fit") : TG_OK;
    }
    int len = s->algorithm == TG_SIGN_ES256 ? wc_EccPublicKeyToDer(&s->ec, der, sizeof der, 1)
                                            : wc_RsaKeyToPublicDer(&s->rsa, der, sizeof der);
    if (len == MEMORY_E)
        return no_memory(err);
    if (len <= 0)
        return tg_error_set(err, TG_EINVAL, "private key: no public key can be made of it (wolfSSL %d)", len);
    tg_write_bytes(out, tg_bytes(der, (size_t)len));
    return out->failed ? tg_error_set(err, TG_ETOOBIG, "public key: it does not fit") : TG_OK;
}

int tg_signer_public_pem(const struct tg_signer *signer, struct tg_writer *out, struct tg_error *err)
{
    uint8_t der[PUBLIC_DER_BYTES];
    struct tg_writer w = tg_writer_init(der, sizeof der);
    int rc = tg_signer_public_der(signer, &w, err);
    if (rc == TG_OK && tg_pem_write(out, "PUBLIC KEY", tg_bytes(w.data, w.len)) < 0)
        rc = tg_error_set(err, TG_ETOOBIG, "public key: it does not fit");
    return rc;
}
