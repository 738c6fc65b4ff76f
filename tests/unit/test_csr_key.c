/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * New keys and the requests for them, read and verified by OpenSSL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "northbound/csr.h"

static void assert_fit(const struct tg_writer *key, const struct tg_writer *csr, const char *name)
{
    BIO *of_key = BIO_new_mem_buf(key->data, (int)key->len),
        *of_csr = BIO_new_mem_buf(csr->data, (int)csr->len);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(of_key, NULL, NULL, NULL);
    X509_REQ *request = PEM_read_bio_X509_REQ(of_csr, NULL, NULL, NULL);
    char cn[200] = "", curve[40] = "";
    assert_non_null(pkey);
    assert_non_null(request);
    X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, cn, sizeof cn);
    assert_string_equal(cn, name);
    assert_int_equal(X509_REQ_verify(request, pkey), 1);
    assert_int_equal(X509_REQ_check_private_key(request, pkey), 1);
    assert_int_equal(EVP_PKEY_get_group_name(pkey, curve, sizeof curve, NULL), 1);
    assert_string_equal(curve, "prime256v1");
    X509_REQ_free(request);
    EVP_PKEY_free(pkey);
    BIO_free(of_key);
    BIO_free(of_csr);
}

static void test_new_keys(void **state)
{
    static const char *const names[] = {"m", "meter-1", "Zähler 7"};
    char last[TG_CSR_KEY_PEM_BYTES] = "";
    (void)state;
    for (int i = 0; i < 30; i++) {
        char k[TG_CSR_KEY_PEM_BYTES] = "", c[TG_CSR_PEM_BYTES];
        struct tg_writer key = tg_writer_init(k, sizeof k), csr = tg_writer_init(c, sizeof c);
        struct tg_error err = {0};
        assert_int_equal(tg_csr_new_key(names[i % 3], &key, &csr, &err), TG_OK);
        assert_fit(&key, &csr, names[i % 3]);
        assert_memory_not_equal(k, last, sizeof k);
        memcpy(last, k, sizeof last);
    }
}

static void test_refused(void **state)
{
    char k[TG_CSR_KEY_PEM_BYTES], c[TG_CSR_PEM_BYTES];
    struct tg_writer key = tg_writer_init(k, sizeof k), csr = tg_writer_init(c, sizeof c);
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(tg_csr_new_key("", &key, &csr, &err), TG_EINVAL);
    assert_true(err.text[0] != '\0');
    key.len = csr.len = 0;
    csr.cap = 100;
    assert_int_equal(tg_csr_new_key("m", &key, &csr, &err), TG_ETOOBIG);
    csr = tg_writer_init(c, sizeof c);
    key = tg_writer_init(k, 100);
    assert_int_equal(tg_csr_new_key("m", &key, &csr, &err), TG_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_new_keys), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
