/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "northbound/csr.h"

#define P256_BYTES 32

/* r‖s of the message's SHA-256, as a signer gives it. */
static int sign(ecc_key *key, WC_RNG *rng, struct tg_bytes message, uint8_t ret_signature[2 * P256_BYTES])
{
    uint8_t hash[WC_SHA256_DIGEST_SIZE], der[80], r[P256_BYTES], s[P256_BYTES];
    word32 der_len = sizeof der, r_len = sizeof r, s_len = sizeof s;
    if (wc_Sha256Hash(message.data, (word32)message.len, hash) != 0 ||
        wc_ecc_sign_hash(hash, sizeof hash, der, &der_len, rng, key) != 0 ||
        wc_ecc_sig_to_rs(der, der_len, r, &r_len, s, &s_len) != 0)
        return TG_EIO;
    memset(ret_signature, 0, 2 * P256_BYTES); /* short numbers stand at the right */
    memcpy(ret_signature + P256_BYTES - r_len, r, r_len);
    memcpy(ret_signature + 2 * P256_BYTES - s_len, s, s_len);
    return TG_OK;
}

static int write_key(ecc_key *key, struct tg_writer *out)
{
    uint8_t der[256], pem[TG_CSR_KEY_PEM_BYTES];
    int der_len = wc_EccKeyToDer(key, der, sizeof der), pem_len = -1;
    if (der_len > 0)
        pem_len = wc_DerToPem(der, (word32)der_len, pem, sizeof pem, ECC_PRIVATEKEY_TYPE);
    if (pem_len > 0)
        tg_write_bytes(out, tg_bytes(pem, (size_t)pem_len));
    explicit_bzero(der, sizeof der);
    explicit_bzero(pem, sizeof pem);
    return pem_len > 0 && !out->failed ? TG_OK : TG_ETOOBIG;
}

int tg_csr_new_key(const char *common_name, struct tg_writer *key_pem, struct tg_writer *csr_pem,
                   struct tg_error *err)
{
    uint8_t public_der[256], info[512], signature[2 * P256_BYTES];
    struct tg_writer i = tg_writer_init(info, sizeof info);
    ecc_key key;
    WC_RNG rng;
    int rc = TG_EIO, len = -1;
    if (wc_InitRng(&rng) != 0)
        return tg_error_set(err, TG_EIO, "no random numbers for a new key");
    if (wc_ecc_init(&key) != 0) {
        wc_FreeRng(&rng);
        return tg_error_set(err, TG_ENOMEM, "out of memory for a new key");
    }
    if (wc_ecc_make_key_ex(&rng, P256_BYTES, &key, ECC_SECP256R1) == 0 && wc_ecc_set_rng(&key, &rng) == 0)
        len = wc_EccPublicKeyToDer(&key, public_der, sizeof public_der, 1);
    if (len <= 0)
        rc = tg_error_set(err, TG_EIO, "a new EC P-256 key cannot be made");
    else if ((rc = tg_csr_info(common_name, tg_bytes(public_der, (size_t)len), &i, err)) == TG_OK) {
        rc = sign(&key, &rng, tg_bytes(info, i.len), signature);
        if (rc == TG_OK)
            rc = tg_csr_finish(tg_bytes(info, i.len), TG_SIGN_ES256, tg_bytes(signature, sizeof signature),
                               csr_pem, err);
        if (rc == TG_OK)
            rc = write_key(&key, key_pem);
        if (rc < 0)
            tg_error_set(err, rc, "the certificate request for \"%s\" cannot be made: %s", common_name,
                         tg_code_text(rc));
    }
    wc_ecc_free(&key);
    wc_FreeRng(&rng);
    return rc;
}
