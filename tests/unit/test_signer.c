/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/allocator.h"
#include "northbound/jwt.h"
#include "support/key_files.h"

static void assert_refused(const char *path, int code, const char *says)
{
    struct tg_signer *s = (struct tg_signer *)(uintptr_t)1;
    struct tg_error err = {0};
    assert_int_equal(tg_signer_open(path, &s, &err), code);
    assert_int_equal((uintptr_t)s, 1);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void assert_signs(const char *name, enum tg_sign_algorithm algorithm, size_t bytes)
{
    struct tg_signer *s;
    struct tg_error err = {0};
    uint8_t sig[TG_SIGNATURE_MAX_BYTES];
    size_t len;
    char pem[2048];
    struct tg_writer w = tg_writer_init(pem, sizeof pem);
    if (tg_signer_open(key_files_at(name), &s, &err) < 0)
        fail_msg("%s: %s", name, err.text);
    assert_int_equal(tg_signer_algorithm(s), algorithm);
    assert_int_equal(tg_signer_public_pem(s, &w, &err), 0);
    assert_int_equal(tg_writer_cstr(&w), 0);
    key_files_put("ours.pub", tg_bytes_str(pem), 0600);
    key_files_run("openssl pkey -in %s -pubout -out theirs.pub && cmp ours.pub theirs.pub", name);
    assert_int_equal(tg_signer_sign(s, tg_bytes_str("tide"), sig, &len, &err), 0);
    assert_int_equal(len, bytes);
    if (algorithm == TG_SIGN_RS256) {
        key_files_put("sig", tg_bytes(sig, len), 0600);
        key_files_run("printf tide > m && openssl dgst -sha256 -verify theirs.pub -signature sig m");
    }
    tg_signer_free(s);
}

static void test_keys_of_every_form(void **state)
{
    (void)state;
    key_files_run("openssl ecparam -name prime256v1 -genkey -out sec1.pem"); /* EC PARAMETERS, then SEC1 */
    key_files_run("openssl ecparam -name prime256v1 -genkey -noout -out bare.pem");
    key_files_run("openssl pkcs8 -topk8 -nocrypt -in sec1.pem -out pkcs8.pem");
    key_files_run("{ echo 'a comment'; cat pkcs8.pem; } > commented.pem");
    assert_signs("sec1.pem", TG_SIGN_ES256, 64);
    assert_signs("bare.pem", TG_SIGN_ES256, 64);
    assert_signs("pkcs8.pem", TG_SIGN_ES256, 64);
    assert_signs("commented.pem", TG_SIGN_ES256, 64);
    key_files_run("openssl genrsa -traditional -out pkcs1.pem 2048");
    key_files_run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out rsa3072.pem");
    key_files_run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out rsa4096.pem");
    assert_signs("pkcs1.pem", TG_SIGN_RS256, 256);
    assert_signs("rsa3072.pem", TG_SIGN_RS256, 384);
    assert_signs("rsa4096.pem", TG_SIGN_RS256, 512);
}

static void test_refusals(void **state)
{
    (void)state;
    key_files_run("openssl ecparam -name secp384r1 -genkey -noout -out p384.pem");
    key_files_run("openssl genrsa -out rsa1024.pem 1024");
    key_files_run("openssl genpkey -algorithm ed25519 -out ed.pem");
    key_files_run("openssl ecparam -name prime256v1 -genkey -noout -out plain.pem");
    key_files_run("openssl pkcs8 -topk8 -in plain.pem -passout pass:x -out encrypted8.pem");
    key_files_run("openssl ec -in plain.pem -aes128 -passout pass:x -out encrypted.pem");
    key_files_run("openssl pkey -in plain.pem -pubout -out public.pem");
    key_files_run(
        "printf '%%s\\n' '-----BEGIN PRIVATE KEY-----' AAAA '-----END PRIVATE KEY-----' > junk.pem; : > "
        "empty.pem");
    key_files_run("head -c 100 plain.pem > cut.pem; head -c 140000 /dev/zero > big.pem");
    assert_refused(key_files_at("p384.pem"), TG_EINVAL, "P-256");
    assert_refused(key_files_at("rsa1024.pem"), TG_EINVAL, "RSA with 1024 bits");
    assert_refused(key_files_at("ed.pem"), TG_EINVAL, "neither an EC P-256 nor an RSA key");
    assert_refused(key_files_at("encrypted8.pem"), TG_ECERT, "encrypted with a password");
    assert_refused(key_files_at("encrypted.pem"), TG_ECERT, "encrypted with a password");
    assert_refused(key_files_at("public.pem"), TG_ECERT,
                   "public.pem: private key: no private key in PEM form");
    assert_refused(key_files_at("junk.pem"), TG_EINVAL, "junk.pem");
    assert_refused(key_files_at("empty.pem"), TG_ECERT, "no private key");
    assert_refused(key_files_at("cut.pem"), TG_ECERT, "no private key");
    assert_refused(key_files_at("big.pem"), TG_ETOOBIG, "big.pem");
    assert_refused(key_files_at("none.pem"), TG_ENOTFOUND, "does not exist");
    key_files_run("chmod 644 plain.pem");
    assert_refused(key_files_at("plain.pem"), TG_EPERM, "chmod 600");
}

static void test_base64url(void **state)
{
    static const char *const pairs[][2] = {{"", ""},        {"f", "Zg"},        {"fo", "Zm8"},
                                           {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xfb\xff\xfe", "-__-"},
                                           {"\xff", "_w"}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char out[64];
        struct tg_writer w = tg_writer_init(out, sizeof out);
        tg_base64url(&w, tg_bytes_str(pairs[i][0]));
        assert_int_equal(tg_writer_cstr(&w), 0);
        assert_string_equal(out, pairs[i][1]);
    }
    for (size_t n = 0; n < 200; n++) { /* no padding, wherever a piece ends */
        uint8_t zeros[200] = {0}, out[300];
        struct tg_writer w = tg_writer_init(out, sizeof out);
        tg_base64url(&w, tg_bytes(zeros, n));
        assert_int_equal(w.len, (n * 8 + 5) / 6);
    }
}

static void test_no_memory(void **state)
{
    struct tg_signer *s;
    struct tg_error err = {0};
    uint8_t sig[TG_SIGNATURE_MAX_BYTES];
    size_t len;
    (void)state;
    key_files_run("openssl ecparam -name prime256v1 -genkey -noout -out sweep.pem");
    for (int i = 0; i < 3; i++) { /* wolfSSL keeps tables of a curve from its first use on */
        assert_int_equal(tg_signer_open(key_files_at("sweep.pem"), &s, &err), 0);
        assert_int_equal(tg_signer_sign(s, tg_bytes_str("m"), sig, &len, &err), 0);
        tg_signer_free(s);
    }
    for (uint64_t nth = 1; nth < 2000; nth++) {
        int64_t live = tg_alloc_stats().live;
        tg_alloc_fail_at(nth, 0);
        int rc = tg_signer_open(key_files_at("sweep.pem"), &s, &err);
        int signed_rc = rc < 0 ? rc : tg_signer_sign(s, tg_bytes_str("m"), sig, &len, &err);
        bool passed = signed_rc == 0;
        tg_alloc_fail_at(0, 0);
        if (rc == 0)
            tg_signer_free(s);
        assert_true(passed || signed_rc == TG_ENOMEM);
        assert_int_equal(tg_alloc_stats().live, live);
        if (passed && nth > 10)
            return;
    }
    fail_msg("never passed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_every_form),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_base64url),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, key_files_setup, key_files_teardown);
}
