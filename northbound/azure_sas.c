/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/azure_sas.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include "northbound/percent.h"

#define SIGNATURE_BASE64_BYTES 48 /* 32 bytes make 44 characters; wolfCrypt counts a NUL */

/* HMAC-SHA256 over three parts; TG_OK, TG_ENOMEM or TG_EINVAL. */
static int mac(struct tg_bytes key, const struct tg_bytes parts[3], uint8_t ret[WC_SHA256_DIGEST_SIZE])
{
    Hmac hmac;
    int rc = wc_HmacInit(&hmac, NULL, INVALID_DEVID);
    if (rc != 0)
        return TG_ENOMEM;
    rc = wc_HmacSetKey(&hmac, WC_SHA256, key.data, (word32)key.len);
    for (size_t i = 0; rc == 0 && i < 3; i++)
        if (parts[i].len > 0)
            rc = wc_HmacUpdate(&hmac, parts[i].data, (word32)parts[i].len);
    if (rc == 0)
        rc = wc_HmacFinal(&hmac, ret);
    wc_HmacFree(&hmac);
    explicit_bzero(&hmac, sizeof hmac);
    return rc == 0 ? TG_OK : TG_EINVAL;
}

int tg_azure_derive_key(struct tg_bytes group_key, struct tg_bytes registration_id,
                        uint8_t ret_key[TG_AZURE_DERIVED_KEY_BYTES])
{
    return mac(group_key, (const struct tg_bytes[3]){registration_id}, ret_key);
}

int tg_azure_sas_token(struct tg_writer *out, struct tg_bytes resource, struct tg_bytes key,
                       const char *policy, int64_t expiry_s)
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE], base64[SIGNATURE_BASE64_BYTES], expiry[24];
    struct tg_writer e = tg_writer_init(expiry, sizeof expiry);
    word32 base64_len = sizeof base64;
    size_t r_begin, r_len;
    int rc;

    tg_write_i64_dec(&e, expiry_s);
    tg_write_str(out, "SharedAccessSignature sr=");
    r_begin = out->len;
    tg_percent_encode(out, resource, TG_PERCENT_SAS);
    r_len = out->len - r_begin;
    if (out->failed)
        return TG_ETOOBIG;
    /* The MAC covers R exactly as it is sent. */
    rc = mac(key,
             (const struct tg_bytes[3]){tg_bytes(out->data + r_begin, r_len), tg_bytes_str("\n"),
                                        tg_bytes(expiry, e.len)},
             digest);
    if (rc < 0)
        return rc;
    rc = Base64_Encode_NoNl(digest, sizeof digest, base64, &base64_len);
    if (rc != 0)
        return TG_EINVAL;
    tg_write_str(out, "&sig=");
    tg_percent_encode(out, tg_bytes(base64, base64_len), TG_PERCENT_SAS);
    if (policy) {
        tg_write_str(out, "&skn=");
        tg_percent_encode(out, tg_bytes_str(policy), TG_PERCENT_SAS);
    }
    tg_write_str(out, "&se=");
    tg_write_bytes(out, tg_bytes(expiry, e.len));
    return out->failed ? TG_ETOOBIG : TG_OK;
}
