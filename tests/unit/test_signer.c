/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/net/stream.h"
#include "northbound/jwt.h"

static char dir[128];

static const char *at(const char *name)
{
    static char paths[16][256];
    static unsigned next;
    char *p = paths[next++ % 16];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

static void run(const char *fmt, ...) TG_PRINTF(1, 2);
static void run(const char *fmt, ...)
{
    char command[1024], all[1400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    snprintf(all, sizeof all, "cd '%s' && umask 077 && { %s ; } > log 2>&1", dir, command);
    if (system(all) != 0)
        fail_msg("%s", command);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s/tidegate-signer-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(dir));
    return tg_tls_global_init(NULL);
}

static int teardown(void **state)
{
    (void)state;
    tg_tls_global_fini();
    run("rm -rf '%s'", dir);
    return 0;
}

static void assert_refused(const char *path, int code, const char *says)
{
    struct tg_signer *s = (struct tg_signer *)(uintptr_t)1;
    struct tg_error err = {0};
    assert_int_equal(tg_signer_open(path, &s, &err), code);
    assert_int_equal((uintptr_t)s, 1);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

/* Signs, and openssl verifies; `verify` is what comes after "openssl dgst -sha256". */
static void assert_signs(const char *name, enum tg_sign_algorithm algorithm, size_t bytes)
{
    struct tg_signer *s;
    struct tg_error err = {0};
    uint8_t sig[TG_SIGNATURE_MAX_BYTES];
    size_t len;
    char pem[2048];
    struct tg_writer w = tg_writer_init(pem, sizeof pem);
    FILE *f;
    if (tg_signer_open(at(name), &s, &err) < 0)
        fail_msg("%s: %s", name, err.text);
    assert_int_equal(tg_signer_algorithm(s), algorithm);
    assert_int_equal(tg_signer_public_pem(s, &w, &err), 0);
    assert_int_equal(tg_writer_cstr(&w), 0);
    f = fopen(at("ours.pub"), "wb");
    assert_true(f && fputs(pem, f) >= 0 && fclose(f) == 0);
    run("openssl pkey -in %s -pubout -out theirs.pub && cmp ours.pub theirs.pub", name);
    assert_int_equal(tg_signer_sign(s, tg_bytes_str("tide"), sig, &len, &err), 0);
    assert_int_equal(len, bytes);
    if (algorithm == TG_SIGN_RS256) {
        f = fopen(at("sig"), "wb");
        assert_true(f && fwrite(sig, 1, len, f) == len && fclose(f) == 0);
        run("printf tide > m && openssl dgst -sha256 -verify theirs.pub -signature sig m");
    }
    tg_signer_free(s);
}

static void test_keys_of_every_form(void **state)
{
    (void)state;
    run("openssl ecparam -name prime256v1 -genkey -out sec1.pem"); /* EC PARAMETERS, then SEC1 */
    run("openssl ecparam -name prime256v1 -genkey -noout -out bare.pem");
    run("openssl pkcs8 -topk8 -nocrypt -in sec1.pem -out pkcs8.pem");
    run("{ echo 'a comment'; cat pkcs8.pem; } > commented.pem");
    assert_signs("sec1.pem", TG_SIGN_ES256, 64);
    assert_signs("bare.pem", TG_SIGN_ES256, 64);
    assert_signs("pkcs8.pem", TG_SIGN_ES256, 64);
    assert_signs("commented.pem", TG_SIGN_ES256, 64);
    run("openssl genrsa -traditional -out pkcs1.pem 2048");
    run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out rsa3072.pem");
    run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out rsa4096.pem");
    assert_signs("pkcs1.pem", TG_SIGN_RS256, 256);
    assert_signs("rsa3072.pem", TG_SIGN_RS256, 384);
    assert_signs("rsa4096.pem", TG_SIGN_RS256, 512);
}

static void test_refusals(void **state)
{
    (void)state;
    run("openssl ecparam -name secp384r1 -genkey -noout -out p384.pem");
    run("openssl genrsa -out rsa1024.pem 1024");
    run("openssl genpkey -algorithm ed25519 -out ed.pem");
    run("openssl ecparam -name prime256v1 -genkey -noout -out plain.pem");
    run("openssl pkcs8 -topk8 -in plain.pem -passout pass:x -out encrypted8.pem");
    run("openssl ec -in plain.pem -aes128 -passout pass:x -out encrypted.pem");
    run("openssl pkey -in plain.pem -pubout -out public.pem");
    run("printf '%%s\\n' '-----BEGIN PRIVATE KEY-----' AAAA '-----END PRIVATE KEY-----' > junk.pem; : > empty.pem");
    run("head -c 100 plain.pem > cut.pem; head -c 140000 /dev/zero > big.pem");
    assert_refused(at("p384.pem"), TG_EINVAL, "P-256");
    assert_refused(at("rsa1024.pem"), TG_EINVAL, "RSA with 1024 bits");
    assert_refused(at("ed.pem"), TG_EINVAL, "neither an EC P-256 nor an RSA key");
    assert_refused(at("encrypted8.pem"), TG_ECERT, "encrypted with a password");
    assert_refused(at("encrypted.pem"), TG_ECERT, "encrypted with a password");
    assert_refused(at("public.pem"), TG_ECERT, "public.pem: private key: no private key in PEM form");
    assert_refused(at("junk.pem"), TG_EINVAL, "junk.pem");
    assert_refused(at("empty.pem"), TG_ECERT, "no private key");
    assert_refused(at("cut.pem"), TG_ECERT, "no private key");
    assert_refused(at("big.pem"), TG_ETOOBIG, "big.pem");
    assert_refused(at("none.pem"), TG_ENOTFOUND, "does not exist");
    run("chmod 644 plain.pem");
    assert_refused(at("plain.pem"), TG_EPERM, "chmod 600");
}

static void test_base64url(void **state)
{
    static const char *const pairs[][2] = {{"", ""},         {"f", "Zg"},      {"fo", "Zm8"},
                                           {"foo", "Zm9v"},  {"foob", "Zm9vYg"}, {"\xfb\xff\xfe", "-__-"},
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
    run("openssl ecparam -name prime256v1 -genkey -noout -out sweep.pem");
    for (int i = 0; i < 3; i++) { /* wolfSSL keeps tables of a curve from its first use on */
        assert_int_equal(tg_signer_open(at("sweep.pem"), &s, &err), 0);
        assert_int_equal(tg_signer_sign(s, tg_bytes_str("m"), sig, &len, &err), 0);
        tg_signer_free(s);
    }
    for (uint64_t nth = 1; nth < 2000; nth++) {
        int64_t live = tg_alloc_stats().live;
        tg_alloc_fail_at(nth, 0);
        int rc = tg_signer_open(at("sweep.pem"), &s, &err);
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
    return cmocka_run_group_tests(tests, setup, teardown);
}
