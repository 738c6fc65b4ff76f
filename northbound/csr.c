/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/csr.h"

#include "core/net/pem.h"
#include "core/net/der.h"
#include "northbound/x509_write.h"

int tg_csr_write(const struct tg_signer *signer, const char *common_name, struct tg_writer *out,
                 struct tg_error *err)
{
    static const uint8_t version = 0;
    uint8_t memory[TG_X509_MAX_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    tg_der_put(&w, TG_DER_INTEGER, tg_bytes(&version, 1));
    int rc = tg_x509_name(&w, common_name, err);
    if (rc == TG_OK)
        rc = tg_signer_public_der(signer, &w, err);
    if (rc < 0)
        return rc;
    tg_der_put(&w, TG_DER_CONTEXT_0, tg_bytes(NULL, 0)); /* no attributes, but the field is not optional */
    tg_der_end(&w, TG_DER_SEQUENCE, 0);
    rc = tg_x509_sign(&w, 0, signer, err);
    if (rc == TG_OK && tg_pem_write(out, "CERTIFICATE REQUEST", tg_bytes(w.data, w.len)) < 0)
        rc = tg_error_set(err, TG_ETOOBIG, "certificate request: it does not fit");
    return rc;
}
