/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/key_make.h"

#include "core/base/allocator.h"
#include "core/net/pem.h"
#include "core/net/wolfssl.h"

#define P256_BYTES      32
#define KEY_DER_BYTES   2048 /* RSA 3072: 1770 */
#define PUBLIC_EXPONENT 65537

static int make_ec(WC_RNG *rng, uint8_t *der)
{
    ecc_key key;
    int len = -1;
    if (wc_ecc_init(&key) != 0)
        return -1;
    if (wc_ecc_make_key_ex(rng, P256_BYTES, &key, ECC_SECP256R1) == 0)
        len = wc_EccKeyToDer(&key, der, KEY_DER_BYTES);
    wc_ecc_free(&key);
    return len;
}

static int make_rsa(WC_RNG *rng, unsigned bits, uint8_t *der)
{
    RsaKey key;
    int len = -1;
    if (wc_InitRsaKey(&key, NULL) != 0)
        return -1;
    if (wc_MakeRsaKey(&key, (int)bits, PUBLIC_EXPONENT, rng) == 0)
        len = wc_RsaKeyToDer(&key, der, KEY_DER_BYTES);
    wc_FreeRsaKey(&key);
    return len;
}

int tg_key_make(unsigned rsa_bits, struct tg_writer *out, struct tg_error *err)
{
    WC_RNG rng;
    int rc = TG_OK;
    if (rsa_bits != 0 && rsa_bits != 2048 && rsa_bits != 3072)
        return tg_error_set(err, TG_EINVAL, "RSA keys are made with 2048 or 3072 bits");
    uint8_t *der = tg_malloc(KEY_DER_BYTES);
    if (!der)
        return tg_error_set(err, TG_ENOMEM, "new key: out of memory");
    if (wc_InitRng(&rng) != 0) {
        tg_free(der);
        return tg_error_set(err, TG_EIO, "no random numbers for a new key");
    }
    int len = rsa_bits ? make_rsa(&rng, rsa_bits, der) : make_ec(&rng, der);
    wc_FreeRng(&rng);
    if (len <= 0)
        rc = tg_error_set(err, TG_EIO, "a new %s key cannot be made", rsa_bits ? "RSA" : "EC P-256");
    else if (tg_pem_write(out, rsa_bits ? "RSA PRIVATE KEY" : "EC PRIVATE KEY", tg_bytes(der, (size_t)len)) <
             0)
        rc = tg_error_set(err, TG_ETOOBIG, "there is no room for a new key");
    tg_free_secret(der, KEY_DER_BYTES);
    return rc;
}

int tg_key_random(uint8_t *out, size_t len, struct tg_error *err)
{
    WC_RNG rng;
    int rc = wc_InitRng(&rng);
    if (rc == 0) {
        rc = wc_RNG_GenerateBlock(&rng, out, (word32)len);
        wc_FreeRng(&rng);
    }
    return rc == 0 ? TG_OK : tg_error_set(err, TG_EIO, "no random numbers");
}
