/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/jwt.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>

#include "northbound/format_json.h"

#define STEP_BYTES 48 /* a multiple of three: no padding before the end */

void tg_base64url(struct tg_writer *out, struct tg_bytes data)
{
    for (size_t at = 0; at < data.len; at += STEP_BYTES) {
        size_t n = data.len - at < STEP_BYTES ? data.len - at : STEP_BYTES;
        byte text[72];
        word32 len = sizeof text;
        if (Base64_Encode_NoNl(data.data + at, (word32)n, text, &len) != 0)
            out->failed = true;
        for (word32 i = 0; i < len && text[i] != '='; i++)
            tg_write_u8(out, text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    }
}

static void write_header(struct tg_writer *out, enum tg_sign_algorithm algorithm, const char *key_id)
{
    uint8_t memory[512];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    tg_write_str(&w, algorithm == TG_SIGN_ES256 ? "{\"alg\":\"ES256\",\"typ\":\"JWT\""
                                                : "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
    if (key_id) {
        tg_write_str(&w, ",\"kid\":");
        tg_format_json_string(&w, tg_bytes_str(key_id));
    }
    tg_write_u8(&w, '}');
    if (w.failed)
        out->failed = true;
    tg_base64url(out, tg_bytes(w.data, w.len));
}

int tg_jwt_write(struct tg_writer *out, const struct tg_signer *signer, const char *key_id,
                 struct tg_bytes claims_json, struct tg_error *err)
{
    uint8_t signature[TG_SIGNATURE_MAX_BYTES];
    size_t begin = out->len, signature_len = 0;
    int rc = TG_OK;
    write_header(out, tg_signer_algorithm(signer), key_id);
    tg_write_u8(out, '.');
    tg_base64url(out, claims_json);
    if (!out->failed)
        rc = tg_signer_sign(signer, tg_bytes(out->data + begin, out->len - begin), signature, &signature_len,
                            err);
    if (rc == TG_OK) {
        tg_write_u8(out, '.');
        tg_base64url(out, tg_bytes(signature, signature_len));
    }
    if (rc == TG_OK && out->failed)
        rc = tg_error_set(err, TG_ETOOBIG, "JWT: it does not fit into %zu bytes", out->cap - begin);
    if (rc < 0)
        out->len = begin;
    return rc;
}
