/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/pem.h"

#include "core/base/allocator.h"
#include "core/net/tls_certificate.h"
#include "core/net/wolfssl.h"

#define LINE_BYTES 48 /* 64 characters */

static bool is_encrypted(struct tg_bytes pem)
{
    static const char traditional[] = "Proc-Type: 4,ENCRYPTED";
    struct tg_bytes text = pem, block;
    return tg_certificate_next_pem(&text, "ENCRYPTED PRIVATE KEY", &block) > 0 ||
           (pem.len > 0 && memmem(pem.data, pem.len, traditional, sizeof traditional - 1));
}

int tg_pem_to_der(struct tg_bytes block, bool is_key, DerBuffer **ret_der)
{
    DerBuffer *der = NULL;
    int type = is_key ? PRIVATEKEY_TYPE : CERT_TYPE;
    if (wc_PemToDer(block.data, (long)block.len, type, &der, NULL, NULL, NULL) != 0) {
        wc_FreeDer(&der);
        return TG_ECERT;
    }
    *ret_der = der;
    return TG_OK;
}

int tg_pem_private_key(struct tg_bytes pem, struct tg_secret *ret_der, struct tg_error *err)
{
    static const char *const kinds[] = {"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"};
    struct tg_bytes block = {0};
    DerBuffer *der = NULL;
    int rc = TG_OK;
    if (pem.len > TG_PEM_KEY_MAX_BYTES)
        return tg_error_set(err, TG_ETOOBIG, "larger than %d KiB", TG_PEM_KEY_MAX_BYTES >> 10);
    if (is_encrypted(pem))
        return tg_error_set(err, TG_ECERT,
                            "it is encrypted with a password, which is not supported "
                            "here; use a PKCS#12 file or decrypt it");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && block.len == 0; i++) {
        struct tg_bytes text = pem;
        (void)(tg_certificate_next_pem(&text, kinds[i], &block) > 0);
    }
    if (block.len == 0)
        return tg_error_set(err, TG_ECERT, "no private key in PEM form in it");
    if (tg_pem_to_der(block, true, &der) < 0)
        return tg_error_set(err, TG_ECERT, "not valid PEM");
    ret_der->data = tg_malloc((size_t)der->length + 1);
    if (ret_der->data) {
        memcpy(ret_der->data, der->buffer, der->length);
        ret_der->data[der->length] = '\0';
        ret_der->len = der->length;
    } else {
        rc = tg_error_set(err, TG_ENOMEM, "out of memory");
    }
    wc_FreeDer(&der); /* wipes private keys */
    return rc;
}

int tg_pem_write(struct tg_writer *out, const char *label, struct tg_bytes der)
{
    size_t begin = out->len;
    tg_write_fmt(out, "-----BEGIN %s-----\n", label);
    for (size_t at = 0; at < der.len; at += LINE_BYTES) {
        size_t n = der.len - at < LINE_BYTES ? der.len - at : LINE_BYTES;
        byte line[72];
        word32 line_len = sizeof line;
        if (Base64_Encode_NoNl(der.data + at, (word32)n, line, &line_len) != 0)
            out->failed = true;
        tg_write_bytes(out, tg_bytes(line, line_len));
        tg_write_u8(out, '\n');
    }
    tg_write_fmt(out, "-----END %s-----\n", label);
    if (!out->failed)
        return TG_OK;
    out->len = begin;
    return TG_ETOOBIG;
}
