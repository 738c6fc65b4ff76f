/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Certificate requests, read and verified by OpenSSL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "northbound/csr.h"

static X509_REQ *read_request(const struct tg_writer *w)
{
    BIO *bio = BIO_new_mem_buf(w->data, (int)w->len);
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(request);
    return request;
}

static void assert_request(const struct tg_writer *w, const char *name)
{
    X509_REQ *request = read_request(w);
    char cn[200] = "";
    X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, cn, sizeof cn);
    assert_string_equal(cn, name);
    assert_int_equal(X509_REQ_get_version(request), 0);
    assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(request)), 1);
    assert_int_equal(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
    X509_REQ_free(request);
}

static void test_new_key(void **state)
{
    static const char *const names[] = {"m", "meter-1", "Zähler 7",
                                        "0123456789012345678901234567890123456789012345678901234567890123"};
    (void)state;
    for (int i = 0; i < 64;
         i++) { /* signatures whose numbers begin with a zero or a set bit come up by themselves */
        char k[TG_CSR_KEY_PEM_BYTES], c[TG_CSR_PEM_BYTES];
        struct tg_writer key = tg_writer_init(k, sizeof k), csr = tg_writer_init(c, sizeof c);
        struct tg_error err = {0};
        const char *name = names[i % 4];
        assert_int_equal(tg_csr_new_key(name, &key, &csr, &err), TG_OK);
        assert_request(&csr, name);
        BIO *bio = BIO_new_mem_buf(key.data, (int)key.len);
        EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        X509_REQ *request = read_request(&csr);
        assert_non_null(pkey);
        assert_int_equal(X509_REQ_check_private_key(request, pkey), 1);
        X509_REQ_free(request);
        EVP_PKEY_free(pkey);
        BIO_free(bio);
    }
}

static void test_refused(void **state)
{
    char k[TG_CSR_KEY_PEM_BYTES], c[TG_CSR_PEM_BYTES], longer[TG_CSR_NAME_MAX_BYTES + 2];
    struct tg_writer key = tg_writer_init(k, sizeof k), csr = tg_writer_init(c, sizeof c);
    struct tg_error err = {0};
    (void)state;
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(tg_csr_new_key(longer, &key, &csr, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "65"));
    assert_int_equal(tg_csr_new_key("", &key, &csr, &err), TG_EINVAL);
    assert_int_equal(tg_csr_new_key("\xC3", &key, &csr, &err), TG_EINVAL);
    assert_int_equal(key.len + csr.len, 0);
    csr = tg_writer_init(c, 100);
    assert_int_equal(tg_csr_new_key("m", &key, &csr, &err), TG_ETOOBIG);
    csr = tg_writer_init(c, sizeof c);
    key = tg_writer_init(k, 100);
    assert_int_equal(tg_csr_new_key("m", &key, &csr, &err), TG_ETOOBIG);
}

/* What an RSA key in a token would sign: the info from here, the signature from there. */
static void test_rsa(void **state)
{
    (void)state;
    for (unsigned bits = 2048; bits <= 4096; bits += 1024) {
        uint8_t i[TG_CSR_PEM_BYTES], c[TG_CSR_PEM_BYTES], sig[TG_SIGNATURE_MAX_BYTES], *der = NULL;
        struct tg_writer info = tg_writer_init(i, sizeof i), csr = tg_writer_init(c, sizeof c);
        struct tg_error err = {0};
        EVP_PKEY *pkey = EVP_RSA_gen(bits);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        size_t sig_len = sizeof sig;
        int der_len = i2d_PUBKEY(pkey, &der);
        assert_true(der_len > 0);
        assert_int_equal(tg_csr_info("meter-1", tg_bytes(der, (size_t)der_len), &info, &err), TG_OK);
        assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
        assert_int_equal(EVP_DigestSign(ctx, sig, &sig_len, info.data, info.len), 1);
        assert_int_equal(
            tg_csr_finish(tg_bytes(info.data, info.len), TG_SIGN_RS256, tg_bytes(sig, sig_len), &csr, &err),
            TG_OK);
        assert_request(&csr, "meter-1");
        csr = tg_writer_init(c, sizeof c);
        assert_int_equal(
            tg_csr_finish(tg_bytes(info.data, info.len), TG_SIGN_ES256, tg_bytes(sig, sig_len), &csr, &err),
            TG_EINVAL);
        OPENSSL_free(der);
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(pkey);
    }
}

/* INTEGERs are as short as they can be and never negative [X.690 8.3]. */
static void test_signature_numbers(void **state)
{
    static const struct {
        uint8_t first, second;
        size_t lengths; /* of both INTEGERs */
    } cases[] = {{0x01, 0xFF, 64}, {0x80, 0x00, 65}, {0x00, 0x7F, 63}, {0x00, 0x80, 64}};
    (void)state;
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        uint8_t sig[64], c[TG_CSR_PEM_BYTES];
        struct tg_writer csr = tg_writer_init(c, sizeof c);
        struct tg_error err = {0};
        static const uint8_t info[] = {0x30, 0x00};
        memset(sig, 0x11, sizeof sig);
        sig[0] = cases[n].first;
        sig[1] = cases[n].second;
        assert_int_equal(
            tg_csr_finish(tg_bytes(info, sizeof info), TG_SIGN_ES256, tg_bytes(sig, 64), &csr, &err), TG_OK);
        /* "-----BEGIN …" then base64: its DER ends with the two INTEGERs. */
        BIO *bio = BIO_new_mem_buf(csr.data, (int)csr.len);
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        long len = 0;
        assert_int_equal(PEM_read_bio(bio, &name, &header, &der, &len), 1);
        const unsigned char *p = der + 2 + 2 + 12 + 3; /* SEQUENCE, info, algorithm, BIT STRING */
        ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, len - (p - der));
        assert_non_null(parsed);
        assert_ptr_equal(p, der + len);
        assert_int_equal(der[2 + 2 + 12 + 3 + 1], cases[n].lengths + 4);
        uint8_t r[32];
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(parsed), r, 32), 32);
        assert_memory_equal(r, sig, 32);
        ECDSA_SIG_free(parsed);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
        BIO_free(bio);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_new_key), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_rsa), cmocka_unit_test(test_signature_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
