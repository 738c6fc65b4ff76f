/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tls_token.h"

#include <wolfssl/wolfcrypt/cryptocb.h>

#include "core/base/assert.h"

#define DEVICE_ID       0x7467 /* any number but INVALID_DEVID */
#define RSA_PAD_LEAST   11     /* 00 01, eight FF, 00 (RFC 8017 9.2) */
#define ECDSA_PART_MOST 66

static struct tg_pkcs11_key *key_of(const byte *id, int id_len)
{
    struct tg_pkcs11_key *key = NULL;
    if (id_len == (int)sizeof key)
        memcpy(&key, id, sizeof key);
    return key;
}

static int sign_ecdsa(wc_CryptoInfo *info)
{
    struct tg_pkcs11_key *key = key_of(info->pk.eccsign.key->id, info->pk.eccsign.key->idLen);
    uint8_t sig[TG_PKCS11_SIGNATURE_MAX_BYTES];
    size_t len;
    if (!key || !tg_pkcs11_key_is_ec(key))
        return BAD_FUNC_ARG;
    if (tg_pkcs11_sign(key, TG_PKCS11_ECDSA, tg_bytes(info->pk.eccsign.in, info->pk.eccsign.inlen), sig, &len,
                       NULL) < 0)
        return WC_HW_E;
    if (len / 2 > ECDSA_PART_MOST)
        return BUFFER_E;
    return wc_ecc_rs_raw_to_sig(sig, (word32)(len / 2), sig + len / 2, (word32)(len / 2),
                                info->pk.eccsign.out, info->pk.eccsign.outlen);
}

/* wolfSSL has padded already. PKCS#1 v1.5 padding is taken off again, because every token signs a DigestInfo but not
 * every one a raw block; PSS needs the raw block. */
static int sign_rsa(wc_CryptoInfo *info)
{
    struct tg_pkcs11_key *key = key_of(info->pk.rsa.key->id, info->pk.rsa.key->idLen);
    const byte *in = info->pk.rsa.in;
    word32 in_len = info->pk.rsa.inLen, pad = 2;
    uint8_t sig[TG_PKCS11_SIGNATURE_MAX_BYTES];
    struct tg_bytes input = tg_bytes(in, in_len);
    enum tg_pkcs11_mechanism mechanism = TG_PKCS11_RSA_RAW;
    size_t len;
    if (!key || tg_pkcs11_key_is_ec(key) || in_len != tg_pkcs11_key_bits(key) / 8)
        return BAD_FUNC_ARG;
    while (pad < in_len && in[pad] == 0xff)
        pad++;
    if (in[0] == 0x00 && in[1] == 0x01 && pad + 1 >= RSA_PAD_LEAST && pad < in_len && in[pad] == 0x00) {
        input = tg_bytes(in + pad + 1, in_len - pad - 1);
        mechanism = TG_PKCS11_RSA_PKCS;
    }
    if (tg_pkcs11_sign(key, mechanism, input, sig, &len, NULL) < 0)
        return WC_HW_E;
    if (len > *info->pk.rsa.outLen)
        return BUFFER_E;
    memcpy(info->pk.rsa.out, sig, len);
    *info->pk.rsa.outLen = (word32)len;
    return 0;
}

/* wolfSSL looks at its own RSA signature before it sends it (a faulty one would give the key away), with a key that has no
 * numbers yet: it gets the public ones and does the rest itself. */
static int lend_public_numbers(RsaKey *rsa)
{
    struct tg_pkcs11_key *key = key_of(rsa->id, rsa->idLen);
    word32 at = 0;
    if (!key || tg_pkcs11_key_is_ec(key))
        return BAD_FUNC_ARG;
    struct tg_bytes der = tg_pkcs11_key_public_der(key);
    int rc = wc_RsaPublicKeyDecode(der.data, &at, rsa, (word32)der.len);
    return rc == 0 ? CRYPTOCB_UNAVAILABLE : rc;
}

static int on_operation(int device_id, wc_CryptoInfo *info, void *user)
{
    (void)user;
    if (device_id != DEVICE_ID || info->algo_type != WC_ALGO_TYPE_PK)
        return CRYPTOCB_UNAVAILABLE;
    switch (info->pk.type) {
    case WC_PK_TYPE_ECDSA_SIGN:
        return sign_ecdsa(info);
    case WC_PK_TYPE_RSA:
        if (info->pk.rsa.type == RSA_PRIVATE_ENCRYPT)
            return sign_rsa(info);
        return info->pk.rsa.type == RSA_PUBLIC_DECRYPT ? lend_public_numbers(info->pk.rsa.key)
                                                       : CRYPTOCB_UNAVAILABLE;
    case WC_PK_TYPE_EC_CHECK_PRIV_KEY: /* tg_tls_credential_new_token() has compared the public keys */
    case WC_PK_TYPE_RSA_CHECK_PRIV_KEY:
        return 0;
    default:
        return CRYPTOCB_UNAVAILABLE;
    }
}

int tg_tls_token_register(void)
{
    return wc_CryptoCb_RegisterDevice(DEVICE_ID, on_operation, NULL) == 0 ? TG_OK : TG_ENOMEM;
}

int tg_tls_token_use(WOLFSSL *ssl, struct tg_pkcs11_key *key)
{
    byte id[sizeof key];
    memcpy(id, &key, sizeof key);
    return wolfSSL_use_PrivateKey_id(ssl, id, sizeof id, DEVICE_ID, (long)tg_pkcs11_key_bits(key) / 8);
}
