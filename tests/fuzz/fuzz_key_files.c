/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files that an integrator hands in: private keys in PEM, PKCS#12 (password "x"), a CA's certificate. The first byte says
 * which; wolfSSL is fuzzed along with what we make of its answers.
 */
#include <stdint.h>
#include <stdlib.h>

#include "northbound/pkcs12.h"
#include "northbound/signer.h"
#include "northbound/x509_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_signer *signer;
    struct tg_pkcs12 p12;
    struct tg_bytes name;
    uint8_t memory[512], sig[TG_SIGNATURE_MAX_BYTES];
    size_t len;
    if (size == 0)
        return 0;
    struct tg_bytes rest = tg_bytes(data + 1, size - 1);
    switch (data[0]) {
    case 'k':
        if (tg_signer_from_pem(rest, &signer, NULL) < 0)
            return 0;
        if (tg_signer_algorithm(signer) == TG_SIGN_ES256 &&
            tg_signer_sign(signer, tg_bytes_str("m"), sig, &len, NULL) == TG_OK && len != 64)
            abort();
        tg_signer_free(signer);
        return 0;
    case 'p':
        if (tg_pkcs12_read(rest, tg_bytes_str("x"), &p12, NULL) < 0)
            return 0;
        if (p12.chain_pem.len == 0 || p12.key_pem.len == 0)
            abort();
        tg_pkcs12_free(&p12);
        return 0;
    case 'c':
        if (tg_x509_subject_name(rest, memory, sizeof memory, &name, NULL) == TG_OK &&
            (name.len == 0 || name.data[0] != 0x30))
            abort();
        return 0;
    default:
        return 0;
    }
}
