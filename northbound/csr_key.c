/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/csr.h"
#include "northbound/key_make.h"

int tg_csr_new_key(const char *common_name, struct tg_writer *key_pem, struct tg_writer *csr_pem,
                   struct tg_error *err)
{
    struct tg_signer *signer = NULL;
    size_t begin = key_pem->len;
    int rc = tg_key_make(0, key_pem, err);
    if (rc == TG_OK)
        rc = tg_signer_from_pem(tg_bytes(key_pem->data + begin, key_pem->len - begin), &signer, err);
    if (rc == TG_OK)
        rc = tg_csr_write(signer, common_name, csr_pem, err);
    tg_signer_free(signer);
    return rc;
}
