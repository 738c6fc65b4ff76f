/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/csr.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>

/* ASN.1 tags (X.690) */
#define DER_INTEGER    0x02
#define DER_BITS       0x03
#define DER_UTF8       0x0C
#define DER_SEQUENCE   0x30
#define DER_SET        0x31
#define DER_ATTRIBUTES 0xA0 /* [0], constructed */

#define DER_MAX_BYTES 1280 /* RSA 4096: key 550, signature 512, the name and what surrounds them */
#define INT_MAX_BYTES 34   /* of 32 bytes: a zero before a set top bit, tag and length are apart */

static void put_header(struct tg_writer *w, uint8_t tag, size_t len)
{
    tg_write_u8(w, tag);
    if (len >= 256) {
        tg_write_u8(w, 0x82);
        tg_write_u8(w, (uint8_t)(len >> 8));
    } else if (len >= 128) {
        tg_write_u8(w, 0x81);
    }
    tg_write_u8(w, (uint8_t)len);
}

static void put(struct tg_writer *w, uint8_t tag, struct tg_bytes content)
{
    put_header(w, tag, content.len);
    tg_write_bytes(w, content);
}

static struct tg_bytes written(const struct tg_writer *w)
{
    return tg_bytes(w->data, w->len);
}

/* Name: one RDN with one attribute, 2.5.4.3. */
static void put_name(struct tg_writer *out, const char *common_name)
{
    static const uint8_t common_name_oid[] = {0x06, 0x03, 0x55, 0x04, 0x03};
    uint8_t a[TG_CSR_NAME_MAX_BYTES + 16], b[sizeof a];
    struct tg_writer attribute = tg_writer_init(a, sizeof a), rdn = tg_writer_init(b, sizeof b);
    tg_write_bytes(&attribute, tg_bytes(common_name_oid, sizeof common_name_oid));
    put(&attribute, DER_UTF8, tg_bytes_str(common_name));
    put(&rdn, DER_SEQUENCE, written(&attribute));
    attribute.len = 0;
    put(&attribute, DER_SET, written(&rdn));
    put(out, DER_SEQUENCE, written(&attribute));
}

int tg_csr_info(const char *common_name, struct tg_bytes public_der, struct tg_writer *out,
                struct tg_error *err)
{
    static const uint8_t version_1[] = {DER_INTEGER, 1, 0};
    uint8_t memory[DER_MAX_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    size_t n = strlen(common_name);
    if (n == 0 || n > TG_CSR_NAME_MAX_BYTES || !tg_utf8_valid(tg_bytes(common_name, n)))
        return tg_error_set(
            err, TG_EINVAL,
            "a certificate request takes a common name of 1 to %d bytes of UTF-8; this one has %zu",
            TG_CSR_NAME_MAX_BYTES, n);
    tg_write_bytes(&w, tg_bytes(version_1, sizeof version_1));
    put_name(&w, common_name);
    tg_write_bytes(&w, public_der);
    put(&w, DER_ATTRIBUTES, (struct tg_bytes){0});
    if (!w.failed)
        put(out, DER_SEQUENCE, written(&w));
    return w.failed || out->failed
               ? tg_error_set(err, TG_ETOOBIG, "the certificate request for \"%s\" is too large", common_name)
               : TG_OK;
}

/* An unsigned number of 32 bytes as INTEGER: as short as it can be, and not negative. */
static void put_number(struct tg_writer *w, const uint8_t *number)
{
    size_t from = 0;
    while (from < 31 && number[from] == 0)
        from++;
    put_header(w, DER_INTEGER, 32 - from + (number[from] >> 7));
    if (number[from] >> 7)
        tg_write_u8(w, 0);
    tg_write_bytes(w, tg_bytes(number + from, 32 - from));
}

static int put_signature(struct tg_writer *w, enum tg_sign_algorithm algorithm, struct tg_bytes signature,
                         struct tg_error *err)
{
    static const uint8_t ecdsa_sha256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02};
    static const uint8_t rsa_sha256[] = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7,
                                         0x0D, 0x01, 0x01, 0x0B, 0x05, 0x00};
    uint8_t n[2 * (INT_MAX_BYTES + 2)], b[TG_SIGNATURE_MAX_BYTES + 1];
    struct tg_writer numbers = tg_writer_init(n, sizeof n), bits = tg_writer_init(b, sizeof b);
    tg_write_u8(&bits, 0); /* no unused bits */
    if (algorithm == TG_SIGN_RS256) {
        put(w, DER_SEQUENCE, tg_bytes(rsa_sha256, sizeof rsa_sha256));
        tg_write_bytes(&bits, signature);
    } else {
        if (signature.len != 64)
            return tg_error_set(err, TG_EINVAL, "an ES256 signature has 64 bytes, this one %zu",
                                signature.len);
        put(w, DER_SEQUENCE, tg_bytes(ecdsa_sha256, sizeof ecdsa_sha256));
        put_number(&numbers, signature.data);
        put_number(&numbers, signature.data + 32);
        put(&bits, DER_SEQUENCE, written(&numbers)); /* ECDSA-Sig-Value, RFC 3279 */
    }
    put(w, DER_BITS, written(&bits));
    return bits.failed ? tg_error_set(err, TG_ETOOBIG, "the signature of a certificate request is too large")
                       : TG_OK;
}

int tg_csr_finish(struct tg_bytes info, enum tg_sign_algorithm algorithm, struct tg_bytes signature,
                  struct tg_writer *out, struct tg_error *err)
{
    uint8_t m[2 * DER_MAX_BYTES], d[2 * DER_MAX_BYTES], text[4 * DER_MAX_BYTES];
    struct tg_writer body = tg_writer_init(m, sizeof m), der = tg_writer_init(d, sizeof d);
    word32 len = sizeof text;
    int rc;
    tg_write_bytes(&body, info);
    rc = put_signature(&body, algorithm, signature, err);
    if (rc < 0)
        return rc;
    put(&der, DER_SEQUENCE, written(&body));
    /* Base64_Encode ends each line of 64 characters, and the last, with a newline. */
    if (body.failed || der.failed || Base64_Encode(der.data, (word32)der.len, text, &len) != 0)
        return tg_error_set(err, TG_ETOOBIG, "the certificate request is too large");
    tg_write_str(out, "-----BEGIN CERTIFICATE REQUEST-----\n");
    tg_write_bytes(out, tg_bytes(text, len));
    tg_write_str(out, "-----END CERTIFICATE REQUEST-----\n");
    return out->failed ? tg_error_set(err, TG_ETOOBIG, "there is no room for the certificate request")
                       : TG_OK;
}
