/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/allocator.h"
#include "core/net/pem.h"
#include "core/net/pkcs11.h"
#include "core/net/tls_certificate.h"
#include "core/net/tls_context.h"
#include "core/net/tls_memory.h"

#define PEM_MAX_BYTES                                                                                        \
    (128 * 1024)            /* wolfSSL sends a chain of some 10 KB at most; this only bounds the copy */
#define TOKEN_RSA_BITS 2048 /* wc_RsaEncryptSize() of a key whose modulus it does not have */

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
    if (tg_pem_to_der(leaf, false, &der) < 0)
        return tg_error_set(err, TG_ECERT, "client certificate: not valid PEM");
    rc = tg_certificate_read(tg_bytes(der->buffer, der->length), NULL, &facts);
    if (rc == TG_OK && (wc_ShaHash(der->buffer, der->length, sha1) != 0 ||
                        wc_Sha256Hash(der->buffer, der->length, sha256) != 0))
        rc = TG_ENOMEM;
    wc_FreeDer(&der);
    if (rc != TG_OK)
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
static int export_point(ecc_key *key, struct tg_bytes *ret_point, uint8_t memory[ECC_BUFSIZE])
{
    word32 len = ECC_BUFSIZE;
    int rc = wc_ecc_export_x963(key, memory, &len);
    *ret_point = tg_bytes(memory, len);
    return rc;
}

/* wolfSSL_CTX_check_private_key() of this build does not compare EC keys: it only sees that the point is on
 * its curve. So the public key is made from the private one, or is the token's. 1 = the same, 0 = not, or a wolfSSL error. */
static int same_ec_key(const struct tg_tls_credential *c, const uint8_t *public_key, word32 public_len)
{
    uint8_t memory[2][ECC_BUFSIZE];
    struct tg_bytes ours, theirs;
    word32 at = 0;
    ecc_key own, public;
    int rc = wc_ecc_init(&own);
    if (rc != 0)
        return rc;
    rc = wc_ecc_init(&public);
    if (rc == 0) {
        if (c->token_key) {
            struct tg_bytes der = tg_pkcs11_key_public_der(c->token_key);
            rc = wc_EccPublicKeyDecode(der.data, &at, &own, (word32)der.len);
        } else {
            rc = wc_EccPrivateKeyDecode(c->key_der, &at, &own, (word32)c->key_len);
            if (rc == 0)
                rc = wc_ecc_make_pub(&own, NULL);
        }
        if (rc == 0)
            rc = export_point(&own, &ours, memory[0]);
        at = 0;
        if (rc == 0)
            rc = wc_EccPublicKeyDecode(public_key, &at, &public, public_len);
        if (rc == 0)
            rc = export_point(&public, &theirs, memory[1]);
        if (rc == 0)
            rc = tg_bytes_eq(ours, theirs);
        wc_ecc_free(&public);
    }
    wc_ecc_free(&own);
    return rc;
}

/* Modulus and exponent of an RSA public key; 0 or a wolfSSL error. */
static int rsa_numbers(struct tg_bytes der, uint8_t *memory, size_t cap, struct tg_bytes ret_numbers[2])
{
    RsaKey key;
    word32 at = 0, e_len = 8, n_len = (word32)cap - 8;
    int rc = wc_InitRsaKey(&key, NULL);
    if (rc != 0)
        return rc;
    rc = wc_RsaPublicKeyDecode(der.data, &at, &key, (word32)der.len);
    if (rc == 0)
        rc = wc_RsaFlattenPublicKey(&key, memory, &e_len, memory + 8, &n_len);
    wc_FreeRsaKey(&key);
    ret_numbers[0] = tg_bytes(memory, e_len);
    ret_numbers[1] = tg_bytes(memory + 8, n_len);
    return rc;
}

static int same_rsa_key(const struct tg_tls_credential *c, const uint8_t *public_key, word32 public_len)
{
    uint8_t memory[2][RSA_MAX_SIZE / 8 + 8];
    struct tg_bytes ours[2], theirs[2];
    int rc = rsa_numbers(tg_pkcs11_key_public_der(c->token_key), memory[0], sizeof memory[0], ours);
    if (rc == 0)
        rc = rsa_numbers(tg_bytes(public_key, public_len), memory[1], sizeof memory[1], theirs);
    return rc == 0 ? tg_bytes_eq(ours[0], theirs[0]) && tg_bytes_eq(ours[1], theirs[1]) : rc;
}

/* 1 = the key belongs to the leaf, 0 = not, or a wolfSSL error. */
static int same_key(const struct tg_tls_credential *c, const DecodedCert *leaf)
{
    if (c->token_key && tg_pkcs11_key_is_ec(c->token_key) != (leaf->keyOID == ECDSAk))
        return 0;
    if (leaf->keyOID == ECDSAk)
        return same_ec_key(c, leaf->publicKey, leaf->pubKeySize);
    if (c->token_key)
        return leaf->keyOID == RSAk ? same_rsa_key(c, leaf->publicKey, leaf->pubKeySize) : 0;
    return 1; /* other kinds of key are wolfSSL's matter */
}

static int check_public_keys(const struct tg_tls_credential *c, struct tg_error *err)
{
    DerBuffer *der = NULL;
    DecodedCert *leaf = tg_malloc(sizeof *leaf);
    if (!leaf || tg_pem_to_der(tg_bytes(c->chain_pem, c->chain_len), false, &der) < 0) {
        tg_free(leaf);
        return tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    }
    wc_InitDecodedCert(leaf, der->buffer, der->length, NULL);
    int rc = wc_ParseCert(leaf, CERT_TYPE, NO_VERIFY, NULL);
    if (rc == 0)
        rc = same_key(c, leaf);
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
    int rc = TG_OK, key = WOLFSSL_SUCCESS;
    WOLFSSL_CTX *wolf = wolfSSL_CTX_new(wolfTLS_client_method());
    if (!wolf)
        return tg_error_set(err, TG_ENOMEM, "client certificate: out of memory");
    int chain = wolfSSL_CTX_use_certificate_chain_buffer_format(wolf, c->chain_pem, (long)c->chain_len,
                                                                WOLFSSL_FILETYPE_PEM);
    if (!c->token_key)
        key = wolfSSL_CTX_use_PrivateKey_buffer(wolf, c->key_der, (long)c->key_len, WOLFSSL_FILETYPE_ASN1);
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
    else if (!c->token_key && wolfSSL_CTX_check_private_key(wolf) != WOLFSSL_SUCCESS)
        rc = tg_error_set(err, TG_ECERT, "client key does not belong to the certificate of \"%s\"",
                          c->info.common_name);
    else
        rc = check_public_keys(c, err);
    wolfSSL_CTX_free(wolf);
    return rc;
}

static int open_token_key(struct tg_tls_credential *c, const char *uri, struct tg_error *err)
{
    int rc = tg_pkcs11_key_open(uri, &c->token_key, err);
    if (rc < 0)
        return rc;
    c->info.key_in_token = true;
    if (!tg_pkcs11_key_is_ec(c->token_key) && tg_pkcs11_key_bits(c->token_key) != TOKEN_RSA_BITS)
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "client key: RSA with %u bits in a token; for TLS %d are supported, or EC P-256",
                            tg_pkcs11_key_bits(c->token_key), TOKEN_RSA_BITS);
    return TG_OK;
}

/* Of key_pem and key_uri one is given. */
static int new_credential(struct tg_bytes certificate_pem, struct tg_bytes key_pem, const char *key_uri,
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
        rc = key_uri ? open_token_key(c, key_uri, err) : decode_key(c, key_pem, err);
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

int tg_tls_credential_new(struct tg_bytes certificate_pem, struct tg_bytes key_pem,
                          struct tg_tls_credential **ret_credential, struct tg_error *err)
{
    return new_credential(certificate_pem, key_pem, NULL, ret_credential, err);
}

int tg_tls_credential_new_token(struct tg_bytes certificate_pem, const char *key_uri,
                                struct tg_tls_credential **ret_credential, struct tg_error *err)
{
    return new_credential(certificate_pem, tg_bytes(NULL, 0), key_uri, ret_credential, err);
}

void tg_tls_credential_free(struct tg_tls_credential *c)
{
    if (!c)
        return;
    tg_pkcs11_key_unref(c->token_key);
    tg_free_secret(c->key_der, c->key_len);
    tg_free(c->chain_pem);
    tg_free(c);
    tg_tls_leave_reserve();
}

void tg_tls_credential_info(const struct tg_tls_credential *c, struct tg_tls_credential_info *ret_info)
{
    *ret_info = c->info;
}
