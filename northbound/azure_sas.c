/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/azure_sas.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include "northbound/percent.h"

#define SIGNATURE_BASE64_BYTES 48 /* 32 bytes make 44 characters; wolfCrypt counts a NUL */

int tg_azure_sas_token(struct tg_writer *out, struct tg_bytes resource, struct tg_bytes key,
                       const char *policy, int64_t expiry_s)
{
    uint8_t digest[WC_SHA256_DIGEST_SIZE], base64[SIGNATURE_BASE64_BYTES], expiry[24];
    struct tg_writer e = tg_writer_init(expiry, sizeof expiry);
    word32 base64_len = sizeof base64;
    size_t r_begin, r_len;
    Hmac hmac;
    int rc;

    tg_write_i64_dec(&e, expiry_s);
    tg_write_str(out, "SharedAccessSignature sr=");
    r_begin = out->len;
    tg_percent_encode(out, resource, TG_PERCENT_SAS);
    r_len = out->len - r_begin;
    if (out->failed)
        return TG_ETOOBIG;
    if (wc_HmacInit(&hmac, NULL, INVALID_DEVID) != 0)
        return TG_ENOMEM;
    /* The MAC covers R exactly as it is sent. */
    rc = wc_HmacSetKey(&hmac, WC_SHA256, key.data, (word32)key.len);
    if (rc == 0)
        rc = wc_HmacUpdate(&hmac, out->data + r_begin, (word32)r_len);
    if (rc == 0)
        rc = wc_HmacUpdate(&hmac, (const byte *)"\n", 1);
    if (rc == 0)
        rc = wc_HmacUpdate(&hmac, expiry, (word32)e.len);
    if (rc == 0)
        rc = wc_HmacFinal(&hmac, digest);
    wc_HmacFree(&hmac);
    if (rc == 0)
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
