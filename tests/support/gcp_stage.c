/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/gcp_stage.h"

#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/signature.h>

#include "support/host_model.h"

/* openssl ecparam -name prime256v1 -genkey -noout */
static const char other_key[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                "MHcCAQEEIBtmTbB51/w551qZXk8U+lbbKy6c/H+auBVNA9ntC0IgoAoGCCqGSM49\n"
                                "AwEHoUQDQgAEKqsSVqwp46px4u6r6oPzXJ+kWA3PCEivHTWfIiHUHvheS1ZU8u4o\n"
                                "3pFt2+wCq3x+4khaGtOtXUzg3t+HJZEJUw==\n"
                                "-----END EC PRIVATE KEY-----\n";

static struct tg_signer *signer_of(const char *pem)
{
    struct tg_signer *s = NULL;
    struct tg_error err = {0};
    if (tg_signer_from_pem(tg_bytes_str(pem), &s, &err) < 0)
        abort();
    return s;
}

struct tg_signer *gcp_stage_signer(const json_t *vectors, const char *kind)
{
    return signer_of(json_string_value(json_object_get(json_object_get(vectors, kind), "pem_pkcs8")));
}

struct tg_signer *gcp_stage_other_signer(void)
{
    return signer_of(other_key);
}

struct tg_settings *gcp_stage_settings(const char *const *pairs)
{
    const char *all[32] = {"project", "plant-one", "region", "us-central1", "registry", "meters"};
    size_t n = 6;
    for (; pairs && *pairs; pairs++)
        all[n++] = *pairs;
    return tg_test_settings(tg_gcp_iot_core.config.options, all);
}

/* --- the judge of tokens -------------------------------------------------------------------------- */

/* Base64url without padding, by way of the common alphabet. -1 = it is none. */
static int decode(const uint8_t *text, size_t len, uint8_t *ret, word32 cap)
{
    char padded[2048];
    word32 out = cap;
    if (len + 4 > sizeof padded || len % 4 == 1)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '+' || text[i] == '/' || text[i] == '=')
            return -1;
        padded[i] = (char)text[i];
        if (text[i] == '-')
            padded[i] = '+';
        else if (text[i] == '_')
            padded[i] = '/';
    }
    while (len % 4)
        padded[len++] = '=';
    return Base64_Decode((const byte *)padded, (word32)len, ret, &out) == 0 ? (int)out : -1;
}

static int public_der(const struct tg_signer *signer, uint8_t *der, int cap)
{
    char pem[1024];
    struct tg_writer w = tg_writer_init(pem, sizeof pem);
    if (tg_signer_public_pem(signer, &w, NULL) < 0)
        abort();
    return wc_PubKeyPemToDer((const unsigned char *)pem, (int)w.len, der, cap);
}

static bool es256(const uint8_t *der, word32 der_len, const uint8_t *input, word32 len, const uint8_t *sig,
                  int sig_len)
{
    uint8_t signature[128];
    word32 size = sizeof signature, at = 0;
    ecc_key key;
    bool good;
    if (sig_len != 64 || wc_ecc_init(&key) != 0)
        return false;
    good = wc_ecc_rs_raw_to_sig(sig, 32, sig + 32, 32, signature, &size) == 0 &&
           wc_EccPublicKeyDecode(der, &at, &key, der_len) == 0 &&
           wc_SignatureVerify(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_ECC, input, len, signature, size, &key,
                              sizeof key) == 0;
    wc_ecc_free(&key);
    return good;
}

static bool rs256(const uint8_t *der, word32 der_len, const uint8_t *input, word32 len, const uint8_t *sig,
                  int sig_len)
{
    word32 at = 0;
    RsaKey key;
    bool good;
    if (wc_InitRsaKey(&key, NULL) != 0)
        return false;
    good = wc_RsaPublicKeyDecode(der, &at, &key, der_len) == 0 &&
           wc_SignatureVerify(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_RSA_W_ENC, input, len, sig,
                              (word32)sig_len, &key, sizeof key) == 0;
    wc_FreeRsaKey(&key);
    return good;
}

json_t *gcp_stage_claims(struct tg_bytes token, const struct tg_signer *signer)
{
    bool is_ec = tg_signer_algorithm(signer) == TG_SIGN_ES256;
    const uint8_t *first = memchr(token.data, '.', token.len), *second;
    uint8_t der[1024], header[256], claims[1024], sig[600];
    int der_len = public_der(signer, der, sizeof der), header_len, claims_len, sig_len;
    size_t input;
    if (!first || !(second = memchr(first + 1, '.', token.len - (size_t)(first + 1 - token.data))))
        return NULL;
    input = (size_t)(second - token.data);
    header_len = decode(token.data, (size_t)(first - token.data), header, sizeof header);
    claims_len = decode(first + 1, (size_t)(second - first - 1), claims, sizeof claims);
    sig_len = decode(second + 1, token.len - input - 1, sig, sizeof sig);
    if (der_len < 0 || header_len < 0 || claims_len < 0 || sig_len < 0 ||
        !tg_bytes_eq_str(tg_bytes(header, (size_t)header_len), is_ec ? "{\"alg\":\"ES256\",\"typ\":\"JWT\"}"
                                                                     : "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"))
        return NULL;
    if (!(is_ec ? es256 : rs256)(der, (word32)der_len, token.data, (word32)input, sig, sig_len))
        return NULL;
    return json_loadb((const char *)claims, (size_t)claims_len, 0, NULL);
}
