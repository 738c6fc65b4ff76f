/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * x509_write - X.509 certificates (RFC 5280) and the pieces that they share with requests, signed by a signer, so that
 * the key may stay in a token. Time and serial number come from the caller; no I/O beyond the signer's.
 */
#ifndef TG_NORTHBOUND_X509_WRITE_H
#define TG_NORTHBOUND_X509_WRITE_H

#include "northbound/signer.h"

#define TG_X509_SERIAL_BYTES 16
#define TG_X509_CN_MAX_BYTES 128 /* a device id; X.520 says 64 but clouds take what they give as ids */
#define TG_X509_MAX_BYTES    3072

struct tg_x509_certificate {
    const char *common_name;              /* of the subject: UTF-8, 1 … TG_X509_CN_MAX_BYTES bytes */
    struct tg_bytes issuer_name;          /* DER of the issuer's Name; empty = self-signed */
    const struct tg_signer *subject;      /* whose public key it holds */
    const struct tg_signer *issuer;       /* who signs; the subject itself when self-signed */
    int64_t not_before_s, not_after_s;    /* Unix time */
    uint8_t serial[TG_X509_SERIAL_BYTES]; /* random; the highest bit is cleared */
};

/* Appends the certificate as PEM: version 3, no CA, digital signature, client authentication. TG_EINVAL (the name),
 * TG_ETOOBIG, and what signing says. */
int tg_x509_certificate_write(const struct tg_x509_certificate *c, struct tg_writer *out,
                              struct tg_error *err) TG_CHECKED;

/* The DER of the subject's Name in a PEM certificate (the first of the text), as a view into ret_memory. TG_ECERT, TG_ENOMEM. */
int tg_x509_subject_name(struct tg_bytes certificate_pem, uint8_t *ret_memory, size_t cap,
                         struct tg_bytes *ret_name, struct tg_error *err) TG_CHECKED;

/* --- pieces ---------------------------------------------------------------------------------- */

/* A Name with a common name alone. TG_EINVAL. */
int tg_x509_name(struct tg_writer *w, const char *common_name, struct tg_error *err) TG_CHECKED;
/* Signs what was written since `mark` and makes the three-part sequence of it, algorithm and signature. */
int tg_x509_sign(struct tg_writer *w, size_t mark, const struct tg_signer *signer,
                 struct tg_error *err) TG_CHECKED;

#endif
