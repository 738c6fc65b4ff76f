/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn_public.h>

#include "northbound/csr.h"

int tg_csr_write(const struct tg_signer *signer, const char *common_name, struct tg_writer *out,
                 struct tg_error *err)
{
    uint8_t pem[1024], der[1024], info[TG_CSR_PEM_BYTES], sig[TG_SIGNATURE_MAX_BYTES];
    struct tg_writer public_pem = tg_writer_init(pem, sizeof pem), i = tg_writer_init(info, sizeof info);
    size_t sig_len;
    int rc = tg_signer_public_pem(signer, &public_pem, err), der_len;
    if (rc < 0)
        return rc;
    der_len = wc_PubKeyPemToDer(public_pem.data, (int)public_pem.len, der, (int)sizeof der);
    if (der_len <= 0)
        return tg_error_set(err, TG_EINVAL,
                            "the public key for the certificate request of \"%s\" cannot be read",
                            common_name);
    rc = tg_csr_info(common_name, tg_bytes(der, (size_t)der_len), &i, err);
    if (rc == TG_OK)
        rc = tg_signer_sign(signer, tg_bytes(info, i.len), sig, &sig_len, err);
    if (rc < 0)
        return rc;
    return tg_csr_finish(tg_bytes(info, i.len), tg_signer_algorithm(signer), tg_bytes(sig, sig_len), out,
                         err);
}
