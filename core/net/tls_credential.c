/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/allocator.h"
#include "core/net/pem.h"
#include "core/net/tls_certificate.h"
#include "core/net/tls_context.h"
#include "core/net/tls_memory.h"

#define PEM_MAX_BYTES                                                                                        \
    (128 * 1024) /* wolfSSL sends a chain of some 10 KB at most; this only bounds the copy */

static void hexadecimal(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static int describe_leaf(struct tg_tls_credential *c, struct tg_bytes certificate_pem, struct tg_error *err)
{
    struct tg_bytes leaf;
    struct tg_certificate facts;
    DerBuffer *der = NULL;
    uint8_t sha1[WC_SHA_DIGEST_SIZE], sha256[WC_SHA256_DIGEST_SIZE];
    int rc;
    if (tg_certificate_next_pem(&certificate_pem, "CERTIFICATE", &leaf) <= 0)
        return tg_error_set(err, TG_ECERT, "client certificate: no certificate in PEM form in it");
    if (wc_PemToDer(leaf.data, (long)leaf.len, CERT_TYPE, &der, NULL, NULL, NULL) != 0) {
        wc_FreeDer(&der); /* it keeps what it had decoded when it failed */
        return tg_error_set(err, TG_ECERT, "client certificate: not valid PEM");
    }
    rc = tg_certificate_read(tg_bytes(der->buffer, der->length), NULL, &facts);
    if (rc == TG_OK && (wc_ShaHash(der->buffer, der->length, sha1) != 0 ||
                        wc_Sha256Hash(der->buffer, der->length, sha256) != 0))
        rc = TG_ENOMEM;
    wc_FreeDer(&der);
    if (rc < 0)
        return tg_error_set(err, rc, "client certificate: %s",
                            rc == TG_ENOMEM ? "out of memory" : "it cannot be decoded");
    hexadecimal(sha1, sizeof sha1, c->info.sha1);
    hexadecimal(sha256, sizeof sha256, c->info.sha256);
    if (facts.has_common_name)
        memcpy(c->info.common_name, facts.subject, sizeof c->info.common_name);
    c->info.not_before_s = facts.not_before_s;
    c->info.not_after_s = facts.not_after_s;
    return TG_OK;
}

static int decode_key(struct tg_tls_credential *c, struct tg_bytes pem, struct tg_error *err)
{
    struct tg_secret der;
    int rc = tg_pem_private_key(pem, &der, err);
    if (rc < 0)
        return tg_error_wrap(err, "client key");
    c->key_der = der.data;
    c->key_len = der.len;
    return TG_OK;
}

/* The point of an EC public key, uncompressed; 0 or a wolfSSL error. */
static int export_point(ecc_key *key, uint8_t point[ECC_BUFSIZE], word32 *ret_len)
{
    *ret_len = ECC_BUFSIZE;
    return wc_ecc_export_x963(key, point, ret_len);
}

/* wolfSSL_CTX_check_private_key() of this build does not compare EC keys: it only sees that the point is on
 * its curve. So the public key is made from the private one. 1 = the same, 0 = not, or a wolfSSL error. */
static int same_ec_key(const struct tg_tls_credential *c, const uint8_t *public_key, word32 public_len)
{
    uint8_t ours[ECC_BUFSIZE], theirs[ECC_BUFSIZE];
    word32 ours_len = 0, theirs_len = 0, at = 0;
    ecc_key private, public;
    int rc = wc_ecc_init(&private);
    if (rc != 0)
        return rc;
    rc = wc_ecc_init(&public);
    if (rc == 0) {
        rc = wc_EccPrivateKeyDecode(c->key_der, &at, &private, (word32)c->key_len);
        if (rc == 0)
            rc = wc_ecc_make_pub(&private, NULL);
        if (rc == 0)
            rc = export_point(&private, ours, &ours_len);
        at = 0;
        if (rc == 0)
            rc = wc_EccPublicKeyDecode(public_key, &at, &public, public_len);
        if (rc == 0)
            rc = export_point(&public, theirs, &theirs_len);
        if (rc == 0)
            rc = tg_bytes_eq(tg_bytes(ours, ours_len), tg_bytes(theirs, theirs_len));
        wc_ecc_free(&public);
    }
    wc_ecc_free(&private);
    return rc;
}

static int check_ec_pair(const struct tg_tls_credential *c, struct tg_error *err)
{
    DerBuffer *der = NULL;
    int rc = 1; /* other kinds of key are wolfSSL's matter */
    DecodedCert *leaf = tg_malloc(sizeof *leaf);
    if (!leaf || wc_PemToDer(c->chain_pem, (long)c->chain_len, CERT_TYPE, &der, NULL, NULL, NULL) != 0) {
        tg_free(leaf);
        wc_FreeDer(&der);
        return tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    }
    wc_InitDecodedCert(leaf, der->buffer, der->length, NULL);
    int parsed = wc_ParseCert(leaf, CERT_TYPE, NO_VERIFY, NULL);
    if (parsed != 0)
        rc = parsed;
    else if (leaf->keyOID == ECDSAk)
        rc = same_ec_key(c, leaf->publicKey, leaf->pubKeySize);
    wc_FreeDecodedCert(leaf);
    tg_free(leaf);
    wc_FreeDer(&der);
    if (rc == 1)
        return TG_OK;
    if (rc == MEMORY_E)
        return tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    return tg_error_set(err, TG_ECERT, "client key does not belong to the certificate of \"%s\"",
                        c->info.common_name);
}

/* Lets wolfSSL load both as a connection will, and compares the public keys. */
static int check_pair(const struct tg_tls_credential *c, struct tg_error *err)
{
    int rc = TG_OK;
    WOLFSSL_CTX *wolf = wolfSSL_CTX_new(wolfTLS_client_method());
    if (!wolf)
        return tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    int chain = wolfSSL_CTX_use_certificate_chain_buffer_format(wolf, c->chain_pem, (long)c->chain_len,
                                                                WOLFSSL_FILETYPE_PEM);
    int key = wolfSSL_CTX_use_PrivateKey_buffer(wolf, c->key_der, (long)c->key_len, WOLFSSL_FILETYPE_ASN1);
    if (chain == MEMORY_E || key == MEMORY_E)
        rc = tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    else if (chain != WOLFSSL_SUCCESS)
        rc = tg_error_set(err, TG_ECERT,
                          "client certificate of \"%s\": it or its chain cannot be used (wolfSSL %d)",
                          c->info.common_name, chain);
    else if (key != WOLFSSL_SUCCESS)
        rc = tg_error_set(err, TG_ECERT,
                          "client key for \"%s\": it is no usable RSA, EC or Ed25519 key (wolfSSL %d)",
                          c->info.common_name, key);
    else if (wolfSSL_CTX_check_private_key(wolf) != WOLFSSL_SUCCESS)
        rc = tg_error_set(err, TG_ECERT, "client key does not belong to the certificate of \"%s\"",
                          c->info.common_name);
    else
        rc = check_ec_pair(c, err);
    wolfSSL_CTX_free(wolf);
    return rc;
}

int tg_tls_credential_new(struct tg_bytes certificate_pem, struct tg_bytes key_pem,
                          struct tg_tls_credential **ret_credential, struct tg_error *err)
{
    unsigned shortages = tg_tls_memory_shortages();
    struct tg_tls_credential *c;
    int rc;
    if (certificate_pem.len > PEM_MAX_BYTES || key_pem.len > PEM_MAX_BYTES)
        return tg_error_set(err, TG_ETOOBIG, "client certificate or key: larger than %d KiB",
                            PEM_MAX_BYTES >> 10);
    c = tg_calloc(1, sizeof *c);
    if (!c)
        return tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    rc = describe_leaf(c, certificate_pem, err);
    if (rc == TG_OK)
        rc = decode_key(c, key_pem, err);
    if (rc == TG_OK) {
        c->chain_pem = (uint8_t *)tg_strndup((const char *)certificate_pem.data, certificate_pem.len);
        c->chain_len = certificate_pem.len;
        rc = c->chain_pem ? check_pair(c, err)
                          : tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    }
    if (tg_tls_memory_shortages() != shortages)
        rc = tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    if (rc < 0) {
        tg_tls_credential_free(c);
        return rc;
    }
    *ret_credential = c;
    return TG_OK;
}

void tg_tls_credential_free(struct tg_tls_credential *c)
{
    if (!c)
        return;
    tg_free_secret(c->key_der, c->key_len);
    tg_free(c->chain_pem);
    tg_free(c);
    tg_tls_leave_reserve();
}

void tg_tls_credential_info(const struct tg_tls_credential *c, struct tg_tls_credential_info *ret_info)
{
    *ret_info = c->info;
}
