/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/ble_crypto.h"

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>

static bool ccm_decrypt(const uint8_t key[TG_BLE_KEY_BYTES], const uint8_t *nonce, size_t nonce_len,
                        const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, const uint8_t *tag,
                        size_t tag_len, uint8_t *out)
{
    Aes aes;
    if (wc_AesInit(&aes, NULL, INVALID_DEVID) != 0)
        return false;
    bool good = wc_AesCcmSetKey(&aes, key, TG_BLE_KEY_BYTES) == 0 &&
                wc_AesCcmDecrypt(&aes, out, in, (word32)len, nonce, (word32)nonce_len, tag, (word32)tag_len,
                                 aad, (word32)aad_len) == 0;
    wc_AesFree(&aes);
    explicit_bzero(&aes, sizeof aes);
    return good;
}

static bool encrypt_block(const uint8_t key[TG_BLE_KEY_BYTES], const uint8_t in[16], uint8_t out[16])
{
    Aes aes;
    if (wc_AesInit(&aes, NULL, INVALID_DEVID) != 0)
        return false;
    bool good = wc_AesSetKeyDirect(&aes, key, TG_BLE_KEY_BYTES, NULL, AES_ENCRYPTION) == 0;
    if (good)
        wc_AesEncryptDirect(&aes, out, in);
    wc_AesFree(&aes);
    explicit_bzero(&aes, sizeof aes);
    return good;
}

const struct tg_ble_crypto tg_ble_wolfcrypt = {.ccm_decrypt = ccm_decrypt, .encrypt_block = encrypt_block};
