/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/gcp_jwt.h"

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#define TOKEN_MAX 4096
#define HALF      32 /* bytes of r, and of s */

/* Base64url without padding; the number of bytes, -1 = it is none. */
static int decode(const char *text, size_t len, unsigned char *ret)
{
    char padded[TOKEN_MAX + 4];
    size_t pad = (4 - len % 4) % 4;
    if (len == 0 || len > TOKEN_MAX || pad == 3) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        if (strchr("+/=\n\r ", text[i])) {
            return -1;
        }
        padded[i] = text[i];
        if (text[i] == '-') {
            padded[i] = '+';
        } else if (text[i] == '_') {
            padded[i] = '/';
        }
    }
    memset(padded + len, '=', pad);
    int n = EVP_DecodeBlock(ret, (const unsigned char *)padded, (int)(len + pad));
    return n < 0 ? -1 : n - (int)pad;
}

static json_t *object_of(const char *text, size_t len)
{
    unsigned char bytes[TOKEN_MAX + 4];
    int n = decode(text, len, bytes);
    json_t *j = n < 0 ? NULL : json_loadb((const char *)bytes, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    if (j && !json_is_object(j)) {
        json_decref(j);
        return NULL;
    }
    return j;
}

/* r‖s as the DER that OpenSSL wants; its length, or -1. */
static int der_of(const unsigned char *raw, unsigned char *ret_der)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, HALF, NULL), *s = BN_bin2bn(raw + HALF, HALF, NULL);
    int len = -1;
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s)) {
        len = i2d_ECDSA_SIG(sig, &ret_der);
    }
    ECDSA_SIG_free(sig);
    return len;
}

static bool signed_with(EVP_PKEY *key, const char *input, size_t input_len, const unsigned char *sig,
                        int sig_len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(context, sig, (size_t)sig_len, (const unsigned char *)input, input_len) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static const char *signature_problem(const char *alg, const char *public_pem, const char *token,
                                     size_t input_len)
{
    unsigned char sig[TOKEN_MAX + 4], der[128];
    const unsigned char *use = sig;
    const char *text = token + input_len + 1;
    int len = decode(text, strlen(text), sig);
    BIO *bio = BIO_new_mem_buf(public_pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    const char *why = NULL;
    bool ec = strcmp(alg, "ES256") == 0;
    BIO_free(bio);
    if (!key) {
        return "token: the registered key cannot be read";
    }
    if (EVP_PKEY_base_id(key) != (ec ? EVP_PKEY_EC : EVP_PKEY_RSA)) {
        why = "token: alg is not that of the registered key";
    } else if (ec && len != 2 * HALF) {
        why = "token: an ES256 signature has 64 bytes";
    } else if (ec) {
        len = der_of(sig, der);
        use = der;
    }
    if (!why && (len <= 0 || !signed_with(key, token, input_len, use, len))) {
        why = "token: signed with another key";
    }
    EVP_PKEY_free(key);
    return why;
}

static const char *claims_problem(const json_t *claims, const char *project, int64_t now_s, int64_t skew_s,
                                  int64_t *ret_expires_s)
{
    const json_t *iat = json_object_get(claims, "iat"), *exp = json_object_get(claims, "exp");
    const char *aud = json_string_value(json_object_get(claims, "aud"));
    if (!json_is_integer(iat) || !json_is_integer(exp) || !aud) {
        return "token: iat, exp or aud is missing";
    }
    if (strcmp(aud, project) != 0) {
        return "token: aud is another project";
    }
    if (json_integer_value(exp) - json_integer_value(iat) > GCP_TOKEN_LIFE_S) {
        return "token: lives longer than 24 hours";
    }
    if (json_integer_value(iat) > now_s + skew_s) {
        return "token: iat is in the future";
    }
    if (json_integer_value(exp) <= now_s - skew_s) {
        return "token: expired";
    }
    *ret_expires_s = json_integer_value(exp);
    return NULL;
}

const char *gcp_jwt_problem(const char *token, const char *public_pem, const char *project, int64_t now_s,
                            int64_t skew_s, int64_t *ret_expires_s)
{
    const char *first = token ? strchr(token, '.') : NULL, *second = first ? strchr(first + 1, '.') : NULL;
    const char *why = "token: header or claims are no JSON objects";
    json_t *header, *claims;
    if (!second || strchr(second + 1, '.')) {
        return "token: not of the form header.claims.signature";
    }
    header = object_of(token, (size_t)(first - token));
    claims = object_of(first + 1, (size_t)(second - first - 1));
    if (header && claims) {
        const char *alg = json_string_value(json_object_get(header, "alg"));
        const char *typ = json_string_value(json_object_get(header, "typ"));
        why = !alg || (strcmp(alg, "ES256") != 0 && strcmp(alg, "RS256") != 0)
                  ? "token: alg is neither ES256 nor RS256"
              : !typ || strcmp(typ, "JWT") != 0
                  ? "token: typ is not JWT"
                  : signature_problem(alg, public_pem, token, (size_t)(second - token));
        if (!why) {
            why = claims_problem(claims, project, now_s, skew_s, ret_expires_s);
        }
    }
    json_decref(header);
    json_decref(claims);
    return why;
}
