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
#include "northbound/identity.h"

static char dir[128];

/* <dir>/<name>, sixty-four at a time. */
static const char *at(const char *name)
{
    static char paths[64][256];
    static unsigned next;
    char *p = paths[next++ % 64];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

static void put(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(at(name), mode), 0);
}

static int setup(void **state)
{
    char command[1024];
    (void)state;
    snprintf(dir, sizeof dir, "%s/tidegate identity XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command,
             "/usr/bin/python3 -B '%s/tests/peers/pki.py' '%s' m1=x509-ca m2=x509-ca > /dev/null",
             getenv("TIDEGATE_SOURCE"), dir);
    assert_int_equal(system(command), 0);
    return tg_tls_global_init(NULL);
}

static int teardown(void **state)
{
    char command[256];
    (void)state;
    tg_tls_global_fini();
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void assert_refused(const struct tg_config_identity *c, int code, const char *says)
{
    struct tg_identity id;
    struct tg_error err = {0};
    int64_t live = tg_alloc_stats().live;
    memset(&id, 0xA5, sizeof id);
    assert_int_equal(tg_identity_load(c, &id, &err), code);
    assert_int_equal(((uint8_t *)&id)[0], 0xA5); /* untouched */
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    assert_int_equal(tg_alloc_stats().live, live);
}

static void test_sas_key(void **state)
{
    struct tg_config_identity c = {.kind = TG_IDENTITY_SAS_KEY, .sas_key_file = at("k.sas")};
    struct tg_identity id;
    struct tg_error err = {0};
    (void)state;
    put("k.sas", "MDEyMzQ1Njc4OWFiY2RlZg==\r\n", 0600);
    if (tg_identity_load(&c, &id, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(id.secret.kind, TG_IDENTITY_SAS_KEY);
    assert_int_equal(id.secret.sas_key.len, 16);
    assert_string_equal((const char *)id.secret.sas_key.data, "0123456789abcdef");
    assert_null(id.credential);
    tg_identity_free(&id);
    assert_null(id.secret.sas_key.data);
    tg_identity_free(&id);
}

static void test_sas_keys_that_are_none(void **state)
{
    static const char *const wrong[] = {
        "",
        "\n",
        "not base64 at all!",
        "c2hvcnQ=", /* 5 bytes */
        "HostName=h.azure-devices.net;DeviceId=d;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==",
        "MDEyMzQ1Njc4OWFiY2RlZg=",
        "\xff\xfe\x00"};
    struct tg_config_identity c = {.kind = TG_IDENTITY_SAS_KEY, .sas_key_file = at("w.sas")};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        put("w.sas", wrong[i], 0600);
        assert_refused(&c, TG_EINVAL, "base64 key of at least 16 bytes");
    }
    put("w.sas", "MDEyMzQ1Njc4OWFiY2RlZg==", 0644);
    assert_refused(&c, TG_EPERM, "chmod 600");
    unlink(at("w.sas"));
    assert_refused(&c, TG_ENOTFOUND, "does not exist");
}

static void test_x509(void **state)
{
    struct tg_config_identity c = {
        .kind = TG_IDENTITY_X509, .certificate = at("m1.pem"), .key = at("m1.key")};
    struct tg_tls_credential_info info;
    struct tg_identity id;
    struct tg_error err = {0};
    (void)state;
    if (tg_identity_load(&c, &id, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(id.credential);
    tg_tls_credential_info(id.credential, &info);
    assert_string_equal(info.common_name, "m1");
    assert_int_equal(id.secret.sas_key.len + id.secret.password.len, 0);
    tg_identity_free(&id);
    c.key = at("m2.key");
    assert_refused(&c, TG_ECERT, "m2.key");
    c.key = at("server.key");
    assert_refused(&c, TG_ECERT, "server.key");
    c.key = at("none.key");
    assert_refused(&c, TG_ENOTFOUND, "none.key does not exist");
    c.key = at("m1.key");
    assert_int_equal(chmod(at("m1.key"), 0640), 0);
    assert_refused(&c, TG_EPERM, "chmod 600");
    assert_int_equal(chmod(at("m1.key"), 0600), 0);
    assert_int_equal(chmod(at("m1.pem"), 0666), 0);
    assert_refused(&c, TG_EPERM, "chmod go-w");
    assert_int_equal(chmod(at("m1.pem"), 0644), 0);
    put("g.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0644);
    c.certificate = at("g.pem");
    assert_refused(&c, TG_ECERT, "g.pem");
}

static void test_password(void **state)
{
    struct tg_config_identity c = {.kind = TG_IDENTITY_PASSWORD, .username = "me", .password_file = at("p")};
    struct tg_identity id;
    (void)state;
    put("p", "pass word\n", 0600);
    assert_int_equal(tg_identity_load(&c, &id, NULL), 0);
    assert_true(tg_bytes_eq_str(id.secret.username, "me"));
    assert_true(tg_bytes_eq_str(id.secret.password, "pass word"));
    tg_identity_free(&id);
    put("p", "pass word\n", 0660);
    assert_refused(&c, TG_EPERM, "chmod 600");
}

static void test_none(void **state)
{
    struct tg_config_identity c = {.kind = TG_IDENTITY_NONE};
    struct tg_identity_info info;
    struct tg_identity id;
    (void)state;
    assert_int_equal(tg_identity_load(&c, &id, NULL), 0);
    assert_int_equal(id.secret.kind, TG_IDENTITY_NONE);
    tg_identity_describe(&id, &info);
    assert_string_equal(info.kind, "none");
    tg_identity_free(&id);
}

static void test_group(void **state)
{
    struct tg_config_identity c = {.kind = TG_IDENTITY_GROUP, .group_key_file = at("group")};
    struct tg_identity id;
    (void)state;
    put("group", "MDEyMzQ1Njc4OWFiY2RlZg==\n", 0600);
    assert_int_equal(tg_identity_load(&c, &id, NULL), 0);
    assert_int_equal(id.secret.kind, TG_IDENTITY_GROUP);
    assert_true(tg_bytes_eq_str(id.secret.sas_key, "0123456789abcdef"));
    tg_identity_free(&id);
    put("group", "no", 0600);
    assert_refused(&c, TG_EINVAL, "enrolment group's");
}

static void test_jwt_key(void **state)
{
    struct tg_config_identity c = {.kind = TG_IDENTITY_JWT_KEY, .jwt_key = at("m1.key")};
    struct tg_identity_info info;
    struct tg_identity id;
    (void)state;
    assert_int_equal(tg_identity_load(&c, &id, NULL), 0);
    assert_non_null(id.secret.signer);
    assert_int_equal(tg_signer_algorithm(id.secret.signer), TG_SIGN_ES256);
    tg_identity_describe(&id, &info);
    assert_string_equal(info.kind, "jwt key");
    assert_int_equal(info.not_after_s, 0);
    assert_false(info.key_in_token);
    tg_identity_free(&id);
    assert_null(id.secret.signer);
    c.jwt_key = at("m1.pem");
    assert_int_equal(chmod(at("m1.pem"), 0600), 0);
    assert_refused(&c, TG_ECERT, "m1.pem: private key: no private key");
}

static void test_pkcs12(void **state)
{
    struct tg_config_identity c = {
        .kind = TG_IDENTITY_PKCS12, .pkcs12 = at("m1.p12"), .password_file = at("m1.pw")};
    struct tg_tls_credential_info certificate;
    struct tg_identity_info info;
    struct tg_identity id;
    struct tg_error err = {0};
    char command[1024];
    (void)state;
    put("m1.pw", "pass word\n", 0600);
    snprintf(command, sizeof command,
             "umask 077; cd '%s'; openssl pkcs12 -export -inkey m1.key -in m1.pem -passout 'pass:pass word' "
             "-out m1.p12",
             dir);
    assert_int_equal(system(command), 0);
    if (tg_identity_load(&c, &id, &err) < 0)
        fail_msg("%s", err.text);
    tg_tls_credential_info(id.credential, &certificate);
    assert_string_equal(certificate.common_name, "m1");
    tg_identity_describe(&id, &info);
    assert_string_equal(info.kind, "pkcs12");
    assert_int_equal(info.not_after_s, certificate.not_after_s);
    tg_identity_free(&id);
    put("m1.pw", "password", 0600);
    assert_refused(&c, TG_EAUTH, "m1.pw: the password does not open it");
    put("m1.pw", "pass word", 0640);
    assert_refused(&c, TG_EPERM, "chmod 600");
    put("m1.pw", "pass word", 0600);
    c.pkcs12 = at("m1.pem");
    assert_int_equal(chmod(at("m1.pem"), 0600), 0);
    assert_refused(&c, TG_ECERT, "it is no PKCS#12 file");
}

static void test_days_left(void **state)
{
    static const int64_t day = 86400;
    (void)state;
    assert_int_equal(tg_identity_days_left(1000 + 30 * day, 1000), 30);
    assert_int_equal(tg_identity_days_left(999 + 30 * day, 1000), 29);
    assert_int_equal(tg_identity_days_left(1000, 1000), 0);
    assert_int_equal(tg_identity_days_left(999, 1000), -1);
    assert_int_equal(tg_identity_days_left(1000 - day, 1000), -1);
    assert_int_equal(tg_identity_days_left(999 - day, 1000), -2);
}

static void sweep(const struct tg_config_identity *c)
{
    struct tg_identity first;
    int64_t after_first;
    for (int i = 0; i < 3;
         i++) { /* wolfSSL keeps tables of a curve from its first use on, and nothing later */
        assert_int_equal(tg_identity_load(c, &first, NULL), TG_OK);
        tg_identity_free(&first);
        if (i == 0)
            after_first = tg_alloc_stats().live;
    }
    assert_int_equal(tg_alloc_stats().live, after_first);
    for (uint64_t nth = 1;; nth++) {
        struct tg_identity id;
        struct tg_error err = {0};
        int64_t live = tg_alloc_stats().live;
        int rc;
        tg_alloc_fail_at(nth, 0);
        rc = tg_identity_load(c, &id, &err);
        tg_alloc_fail_at(0, 0);
        if (rc == TG_OK) {
            tg_identity_free(&id);
            assert_int_equal(tg_alloc_stats().live, live);
            assert_true(nth > 1);
            return;
        }
        assert_int_equal(rc, TG_ENOMEM);
        assert_int_equal(tg_alloc_stats().live, live);
    }
}

static void test_out_of_memory(void **state)
{
    struct tg_config_identity sas = {.kind = TG_IDENTITY_SAS_KEY, .sas_key_file = at("o.sas")};
    struct tg_config_identity x509 = {
        .kind = TG_IDENTITY_X509, .certificate = at("m2.pem"), .key = at("m2.key")};
    struct tg_config_identity pkcs12 = {
        .kind = TG_IDENTITY_PKCS12, .pkcs12 = at("m1.p12"), .password_file = at("m1.pw")};
    struct tg_config_identity jwt = {.kind = TG_IDENTITY_JWT_KEY, .jwt_key = at("m2.key")};
    (void)state;
    put("o.sas", "MDEyMzQ1Njc4OWFiY2RlZg==", 0600);
    sweep(&sas);
    sweep(&x509);
    put("m1.pw", "pass word", 0600);
    sweep(&pkcs12);
    sweep(&jwt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sas_key),   cmocka_unit_test(test_sas_keys_that_are_none),
        cmocka_unit_test(test_x509),      cmocka_unit_test(test_password),
        cmocka_unit_test(test_none),      cmocka_unit_test(test_group),
        cmocka_unit_test(test_jwt_key),   cmocka_unit_test(test_pkcs12),
        cmocka_unit_test(test_days_left), cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
