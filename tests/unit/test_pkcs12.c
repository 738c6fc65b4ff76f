/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/allocator.h"
#include "core/net/tls_certificate.h"
#include "northbound/pkcs12.h"
#include "support/key_files.h"

static uint8_t memory[TG_SECRET_MAX_BYTES];

static int setup(void **state)
{
    if (key_files_setup(state) < 0)
        return -1;
    key_files_run(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -subj /CN=root -days 9");
    key_files_run("printf 'basicConstraints=critical,CA:TRUE\\n' > ca.ext");
    for (int i = 1; i <= 2; i++)
        key_files_run("openssl req -new -newkey rsa:2048 -nodes -keyout i%d.key -out i.csr -subj /CN=i%d && "
                      "openssl x509 -req -in i.csr -CA %s.pem -CAkey %s.key -CAcreateserial -extfile ca.ext "
                      "-out i%d.pem",
                      i, i, i == 1 ? "root" : "i1", i == 1 ? "root" : "i1", i);
    key_files_run(
        "openssl ecparam -name prime256v1 -genkey -noout -out ec.key && "
        "openssl ecparam -name secp384r1 -genkey -noout -out p384.key && openssl genrsa -out rsa.key 2048");
    for (int i = 0; i < 3; i++) {
        const char *name = i == 0 ? "ec" : i == 1 ? "p384" : "rsa";
        key_files_run("openssl req -new -key %s.key -out l.csr -subj /CN=%s && "
                      "openssl x509 -req -in l.csr -CA i2.pem -CAkey i2.key -CAcreateserial -out %s.pem",
                      name, name, name);
    }
    return 0;
}

static int read_file(const char *name, const char *password, struct tg_pkcs12 *ret, struct tg_error *err)
{
    struct tg_bytes file = key_files_get(name, memory, sizeof memory);
    return tg_pkcs12_read(file, tg_bytes_str(password), ret, err);
}

/* Common names of the chain, "ec i2 i1". */
static void assert_chain(const struct tg_pkcs12 *p, const char *names)
{
    char all[256] = "";
    struct tg_bytes text = tg_secret_view(&p->chain_pem), block;
    while (tg_certificate_next_pem(&text, "CERTIFICATE", &block) > 0) {
        key_files_put("one.pem", block, 0600);
        key_files_run("openssl x509 -in one.pem -noout -subject -nameopt multiline | sed -n 's/.*= //p' | tr "
                      "-d '\\n' > name");
        char name[64];
        struct tg_bytes n = key_files_get("name", name, sizeof name);
        assert_true(strlen(all) + n.len + 2 < sizeof all);
        if (all[0])
            strcat(all, " ");
        strncat(all, (const char *)n.data, n.len);
    }
    assert_string_equal(all, names);
}

static void assert_key(const struct tg_pkcs12 *p, const char *key)
{
    key_files_put("out.key", tg_secret_view(&p->key_pem), 0600);
    key_files_run("openssl pkey -in out.key -pubout > a && openssl pkey -in '%s' -pubout > b && cmp a b",
                  key);
}

static void test_files_of_openssl(void **state)
{
    static const char *const keys[] = {"ec", "p384", "rsa"};
    static const char *const forms[] = {"", "-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1",
                                        "-certpbe AES-128-CBC -keypbe AES-256-CBC",
                                        "-certpbe NONE -keypbe NONE", "-name 'a friendly name'"};
    (void)state;
    key_files_run("cat root.pem i1.pem i2.pem > up.pem; cat i2.pem root.pem i1.pem > mixed.pem");
    for (size_t k = 0; k < 3; k++)
        for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
            struct tg_pkcs12 p;
            struct tg_error err = {0};
            key_files_run("openssl pkcs12 -export -inkey %s.key -in %s.pem -certfile %s -passout pass:geheim "
                          "%s -out f.p12",
                          keys[k], keys[k], f % 2 ? "up.pem" : "mixed.pem", forms[f]);
            if (read_file("f.p12", "geheim", &p, &err) < 0)
                fail_msg("%s %s: %s", keys[k], forms[f], err.text);
            char want[32];
            snprintf(want, sizeof want, "%s i2 i1", keys[k]);
            assert_chain(&p, want);
            assert_key(&p, k == 0 ? "ec.key" : k == 1 ? "p384.key" : "rsa.key");
            tg_pkcs12_free(&p);
            assert_int_equal(read_file("f.p12", "falsch", &p, &err), TG_EAUTH);
        }
}

static void test_odd_ones(void **state)
{
    struct tg_pkcs12 p;
    struct tg_error err = {0};
    char long_password[300];
    (void)state;
    key_files_run("openssl pkcs12 -export -inkey root.key -in root.pem -passout pass: -out self.p12");
    if (read_file("self.p12", "", &p, &err) < 0)
        fail_msg("%s", err.text);
    assert_chain(&p, "root");
    tg_pkcs12_free(&p);
    key_files_run(
        "openssl pkcs12 -export -inkey ec.key -in ec.pem -certfile root.pem -passout pass:x -out hole.p12");
    assert_int_equal(read_file("hole.p12", "x", &p, &err), 0);
    assert_chain(&p, "ec");
    tg_pkcs12_free(&p);
    key_files_run("openssl pkcs12 -export -nokeys -in ec.pem -passout pass:x -out nokey.p12");
    assert_int_equal(read_file("nokey.p12", "x", &p, &err), TG_ECERT);
    assert_non_null(strstr(err.text, "no private key"));
    key_files_run("openssl pkcs12 -export -nocerts -inkey ec.key -passout pass:x -out nocert.p12");
    assert_int_equal(read_file("nocert.p12", "x", &p, &err), TG_ECERT);
    key_files_run(
        "openssl pkcs12 -legacy -export -inkey rsa.key -in rsa.pem -passout pass:x -out legacy.p12");
    assert_int_equal(read_file("legacy.p12", "x", &p, &err), TG_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "RC2"));
    key_files_run("openssl genpkey -algorithm ed25519 -out ed.key && openssl req -x509 -key ed.key -out "
                  "ed.pem -subj /CN=e && "
                  "openssl pkcs12 -export -inkey ed.key -in ed.pem -passout pass:x -out ed.p12");
    assert_true(read_file("ed.p12", "x", &p, &err) < 0);
    key_files_run("openssl pkcs12 -export -nomac -inkey ec.key -in ec.pem -passout pass:x -out nomac.p12");
    assert_int_equal(read_file("nomac.p12", "x", &p, &err), TG_ECERT);
    assert_non_null(strstr(err.text, "with a MAC"));
    memset(long_password, 'x', sizeof long_password);
    long_password[sizeof long_password - 1] = '\0';
    assert_int_equal(read_file("hole.p12", long_password, &p, &err), TG_ETOOBIG);
}

static void test_damaged(void **state)
{
    struct tg_pkcs12 p;
    struct tg_error err = {0};
    (void)state;
    key_files_run("openssl pkcs12 -export -inkey ec.key -in ec.pem -passout pass:x -out d.p12");
    struct tg_bytes file = key_files_get("d.p12", memory, sizeof memory);
    for (size_t n = 0; n < file.len; n += n < 64 ? 1 : 13)
        assert_true(tg_pkcs12_read(tg_bytes(file.data, n), tg_bytes_str("x"), &p, &err) < 0);
    for (size_t i = 0; i < file.len; i += 7) {
        memory[i] ^= 0x55;
        if (tg_pkcs12_read(file, tg_bytes_str("x"), &p, &err) == 0)
            tg_pkcs12_free(&p); /* a name or a bag attribute may say anything */
        memory[i] ^= 0x55;
    }
    assert_int_equal(tg_pkcs12_read(file, tg_bytes_str("x"), &p, &err), 0);
    tg_pkcs12_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_openssl),
        cmocka_unit_test(test_odd_ones),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, setup, key_files_teardown);
}
