/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/x509_write.h"

#include "core/base/allocator.h"
#include "core/net/pem.h"
#include "core/net/tls_certificate.h"
#include "core/net/wolfssl.h"
#include "core/net/der.h"

#define OID(...) tg_bytes((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

int tg_x509_name(struct tg_writer *w, const char *common_name, struct tg_error *err)
{
    struct tg_bytes cn = tg_bytes_str(common_name);
    if (cn.len == 0 || cn.len > TG_X509_CN_MAX_BYTES || !tg_utf8_valid(cn))
        return tg_error_set(err, TG_EINVAL, "the common name has to be 1 to %d bytes of UTF-8",
                            TG_X509_CN_MAX_BYTES);
    size_t name = tg_der_begin(w), set = name, pair = name;
    tg_der_put(w, TG_DER_OID, OID(0x55, 0x04, 0x03)); /* id-at-commonName */
    tg_der_put(w, TG_DER_UTF8_STRING, cn);
    tg_der_end(w, TG_DER_SEQUENCE, pair);
    tg_der_end(w, TG_DER_SET, set);
    tg_der_end(w, TG_DER_SEQUENCE, name);
    return TG_OK;
}

static void algorithm_identifier(struct tg_writer *w, enum tg_sign_algorithm algorithm)
{
    size_t mark = tg_der_begin(w);
    if (algorithm == TG_SIGN_ES256) { /* ecdsa-with-SHA256; no parameters (RFC 5758 3.2) */
        tg_der_put(w, TG_DER_OID, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
    } else { /* sha256WithRSAEncryption; NULL parameters (RFC 4055 5) */
        tg_der_put(w, TG_DER_OID, OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b));
        tg_der_put(w, TG_DER_NULL, tg_bytes(NULL, 0));
    }
    tg_der_end(w, TG_DER_SEQUENCE, mark);
}

int tg_x509_sign(struct tg_writer *w, size_t mark, const struct tg_signer *signer, struct tg_error *err)
{
    uint8_t sig[TG_SIGNATURE_MAX_BYTES], der[80];
    size_t len;
    enum tg_sign_algorithm algorithm = tg_signer_algorithm(signer);
    int rc;
    if (w->failed)
        return tg_error_set(err, TG_ETOOBIG, "certificate: it does not fit");
    rc = tg_signer_sign(signer, tg_bytes(w->data + mark, w->len - mark), sig, &len, err);
    if (rc < 0)
        return rc;
    algorithm_identifier(w, algorithm);
    if (algorithm == TG_SIGN_ES256) { /* r and s as a sequence (RFC 3279 2.2.3) */
        struct tg_writer d = tg_writer_init(der, sizeof der);
        tg_der_unsigned(&d, tg_bytes(sig, len / 2));
        tg_der_unsigned(&d, tg_bytes(sig + len / 2, len / 2));
        tg_der_end(&d, TG_DER_SEQUENCE, 0);
        tg_der_bits(w, tg_bytes(d.data, d.len));
    } else {
        tg_der_bits(w, tg_bytes(sig, len));
    }
    tg_der_end(w, TG_DER_SEQUENCE, mark);
    return w->failed ? tg_error_set(err, TG_ETOOBIG, "certificate: it does not fit") : TG_OK;
}

static void extension(struct tg_writer *w, struct tg_bytes oid, bool critical, struct tg_bytes value)
{
    size_t mark = tg_der_begin(w);
    tg_der_put(w, TG_DER_OID, oid);
    if (critical)
        tg_der_put(w, TG_DER_BOOLEAN, OID(0xff));
    tg_der_put(w, TG_DER_OCTET_STRING, value);
    tg_der_end(w, TG_DER_SEQUENCE, mark);
}

static void extensions(struct tg_writer *w)
{
    size_t mark = tg_der_begin(w);
    extension(w, OID(0x55, 0x1d, 0x13), true, OID(0x30, 0x00));             /* basicConstraints: no CA */
    extension(w, OID(0x55, 0x1d, 0x0f), true, OID(0x03, 0x02, 0x07, 0x80)); /* keyUsage: digitalSignature */
    extension(w, OID(0x55, 0x1d, 0x25), false,                              /* extKeyUsage: clientAuth */
              OID(0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02));
    tg_der_end(w, TG_DER_SEQUENCE, mark);
    tg_der_end(w, TG_DER_CONTEXT_3, mark);
}

static int to_be_signed(struct tg_writer *w, const struct tg_x509_certificate *c, struct tg_error *err)
{
    uint8_t serial[TG_X509_SERIAL_BYTES];
    memcpy(serial, c->serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and always of one length */
    size_t version = tg_der_begin(w);
    tg_der_put(w, TG_DER_INTEGER, OID(2)); /* v3 */
    tg_der_end(w, TG_DER_CONTEXT_0, version);
    tg_der_unsigned(w, tg_bytes(serial, sizeof serial));
    algorithm_identifier(w, tg_signer_algorithm(c->issuer));
    int rc = TG_OK;
    if (c->issuer_name.len > 0)
        tg_write_bytes(w, c->issuer_name);
    else
        rc = tg_x509_name(w, c->common_name, err);
    size_t validity = tg_der_begin(w);
    tg_der_time(w, c->not_before_s);
    tg_der_time(w, c->not_after_s);
    tg_der_end(w, TG_DER_SEQUENCE, validity);
    if (rc == TG_OK)
        rc = tg_x509_name(w, c->common_name, err);
    if (rc == TG_OK)
        rc = tg_signer_public_der(c->subject, w, err);
    extensions(w);
    tg_der_end(w, TG_DER_SEQUENCE, 0);
    return rc;
}

int tg_x509_certificate_write(const struct tg_x509_certificate *c, struct tg_writer *out,
                              struct tg_error *err)
{
    uint8_t memory[TG_X509_MAX_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    int rc = to_be_signed(&w, c, err);
    if (rc == TG_OK)
        rc = tg_x509_sign(&w, 0, c->issuer, err);
    if (rc == TG_OK && tg_pem_write(out, "CERTIFICATE", tg_bytes(w.data, w.len)) < 0)
        rc = tg_error_set(err, TG_ETOOBIG, "certificate: it does not fit");
    return rc;
}

int tg_x509_subject_name(struct tg_bytes pem, uint8_t *ret_memory, size_t cap, struct tg_bytes *ret_name,
                         struct tg_error *err)
{
    struct tg_writer w = tg_writer_init(ret_memory, cap);
    struct tg_bytes block;
    DerBuffer *der = NULL;
    DecodedCert *decoded = tg_malloc(sizeof *decoded);
    int rc = TG_OK;
    if (!decoded)
        return tg_error_set(err, TG_ENOMEM, "certificate: out of memory");
    if (tg_certificate_next_pem(&pem, "CERTIFICATE", &block) <= 0 || tg_pem_to_der(block, false, &der) < 0) {
        tg_free(decoded);
        wc_FreeDer(&der); /* wc_PemToDer keeps what it had decoded when it failed */
        return tg_error_set(err, TG_ECERT, "no certificate in PEM form in it");
    }
    wc_InitDecodedCert(decoded, der->buffer, der->length, NULL);
    if (wc_ParseCert(decoded, CERT_TYPE, NO_VERIFY, NULL) != 0 || decoded->subjectRawLen <= 0)
        rc = tg_error_set(err, TG_ECERT, "certificate: it cannot be decoded");
    else
        tg_der_put(&w, TG_DER_SEQUENCE, tg_bytes(decoded->subjectRaw, (size_t)decoded->subjectRawLen));
    wc_FreeDecodedCert(decoded);
    tg_free(decoded);
    wc_FreeDer(&der);
    if (rc == TG_OK && w.failed)
        rc = tg_error_set(err, TG_ETOOBIG, "certificate: its subject is longer than %zu bytes", cap);
    if (rc == TG_OK)
        *ret_name = tg_bytes(w.data, w.len);
    return rc;
}
