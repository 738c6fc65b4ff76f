/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

#include "core/net/pem.h"
#include "northbound/csr.h"

#define P256_BYTES 32

static int write_key(struct tg_writer *out, struct tg_error *err)
{
    uint8_t der[256];
    ecc_key key;
    WC_RNG rng;
    int len = -1, rc = TG_OK;
    if (wc_InitRng(&rng) != 0)
        return tg_error_set(err, TG_EIO, "no random numbers for a new key");
    if (wc_ecc_init(&key) == 0) {
        if (wc_ecc_make_key_ex(&rng, P256_BYTES, &key, ECC_SECP256R1) == 0)
            len = wc_EccKeyToDer(&key, der, sizeof der);
        wc_ecc_free(&key);
    }
    wc_FreeRng(&rng);
    if (len <= 0)
        rc = tg_error_set(err, TG_EIO, "a new EC P-256 key cannot be made");
    else if (tg_pem_write(out, "EC PRIVATE KEY", tg_bytes(der, (size_t)len)) < 0)
        rc = tg_error_set(err, TG_ETOOBIG, "there is no room for a new key");
    explicit_bzero(der, sizeof der);
    return rc;
}

int tg_csr_new_key(const char *common_name, struct tg_writer *key_pem, struct tg_writer *csr_pem,
                   struct tg_error *err)
{
    struct tg_signer *signer = NULL;
    size_t begin = key_pem->len;
    int rc = write_key(key_pem, err);
    if (rc == TG_OK)
        rc = tg_signer_from_pem(tg_bytes(key_pem->data + begin, key_pem->len - begin), &signer, err);
    if (rc == TG_OK)
        rc = tg_csr_write(signer, common_name, csr_pem, err);
    tg_signer_free(signer);
    return rc;
}
