/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests and certificates, judged by openssl.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/net/der.h"
#include "northbound/csr.h"
#include "northbound/x509_write.h"
#include "support/key_files.h"

static struct tg_signer *ec, *rsa;

static struct tg_signer *open_key(const char *name)
{
    struct tg_signer *s = NULL;
    struct tg_error err = {0};
    if (tg_signer_open(key_files_at(name), &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static int setup(void **state)
{
    if (key_files_setup(state) < 0)
        return -1;
    key_files_run(
        "openssl ecparam -name prime256v1 -genkey -noout -out ec.pem && openssl genrsa -out rsa.pem 2048");
    ec = open_key("ec.pem");
    rsa = open_key("rsa.pem");
    return 0;
}

static int teardown(void **state)
{
    tg_signer_free(ec);
    tg_signer_free(rsa);
    return key_files_teardown(state);
}

static void test_csr(void **state)
{
    const struct {
        const struct tg_signer *signer;
        const char *key;
    } keys[] = {{ec, "ec.pem"}, {rsa, "rsa.pem"}};
    static const char *const names[] = {"meter-1", "x", "Z\xc3\xa4hler"};
    char long_name[TG_X509_CN_MAX_BYTES + 2];
    (void)state;
    memset(long_name, 'n', sizeof long_name);
    long_name[TG_X509_CN_MAX_BYTES] = '\0';
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < 4; i++) {
            char pem[4096];
            struct tg_writer w = tg_writer_init(pem, sizeof pem);
            struct tg_error err = {0};
            if (tg_csr_write(keys[k].signer, i < 3 ? names[i] : long_name, &w, &err) < 0)
                fail_msg("%s", err.text);
            key_files_put("csr.pem", tg_bytes(w.data, w.len), 0600);
            key_files_run(
                "openssl req -in csr.pem -verify -noout && "
                "test \"$(openssl req -in csr.pem -noout -subject -nameopt utf8,space_eq)\" = 'subject=CN = "
                "%s' && "
                "openssl pkey -in %s -pubout > pub && openssl req -in csr.pem -noout -pubkey | cmp - pub",
                i < 3 ? names[i] : long_name, keys[k].key);
        }
}

static void test_names(void **state)
{
    char pem[4096], long_name[TG_X509_CN_MAX_BYTES + 2];
    struct tg_error err = {0};
    (void)state;
    memset(long_name, 'n', sizeof long_name);
    long_name[TG_X509_CN_MAX_BYTES + 1] = '\0';
    const char *const bad[] = {"", long_name, "\xff"};
    for (size_t i = 0; i < 3; i++) {
        struct tg_writer w = tg_writer_init(pem, sizeof pem);
        assert_int_equal(tg_csr_write(ec, bad[i], &w, &err), TG_EINVAL);
        assert_int_equal(w.len, 0);
    }
    for (size_t cap = 0; cap < 300; cap += 41) {
        struct tg_writer w = tg_writer_init(pem, cap);
        assert_int_equal(tg_csr_write(ec, "d", &w, &err), TG_ETOOBIG);
    }
}

static void write_certificate(const char *name, const struct tg_x509_certificate *c)
{
    char pem[6000];
    struct tg_writer w = tg_writer_init(pem, sizeof pem);
    struct tg_error err = {0};
    if (tg_x509_certificate_write(c, &w, &err) < 0)
        fail_msg("%s", err.text);
    key_files_put(name, tg_bytes(w.data, w.len), 0600);
}

static void test_self_signed(void **state)
{
    const struct tg_signer *signers[] = {ec, rsa};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct tg_x509_certificate c = {.common_name = "meter-1",
                                        .subject = signers[k],
                                        .issuer = signers[k],
                                        .not_before_s = 1700000000,
                                        .not_after_s = 4000000000};
        c.serial[15] = 1;
        write_certificate("self.pem", &c);
        key_files_run("openssl verify -CAfile self.pem -check_ss_sig -x509_strict self.pem || "
                      "openssl verify -CAfile self.pem -check_ss_sig self.pem");
        key_files_run("openssl x509 -in self.pem -noout -text | tee text | grep -q 'CA:FALSE' && grep -q "
                      "'Digital Signature' text && "
                      "grep -q 'TLS Web Client Authentication' text && grep -q 'Version: 3' text");
        key_files_run(
            "test \"$(openssl x509 -in self.pem -noout -startdate)\" = 'notBefore=Nov 14 22:13:20 2023 GMT' "
            "&& "
            "test \"$(openssl x509 -in self.pem -noout -enddate)\" = 'notAfter=Oct  2 07:06:40 2096 GMT'");
        key_files_run("test \"$(openssl x509 -in self.pem -noout -serial)\" = "
                      "'serial=40000000000000000000000000000001'");
    }
}

/* What a hub asks for to prove that the CA's key is ours. */
static void test_signed_by_a_ca(void **state)
{
    static const char *const subjects[] = {"/CN=plant ca", "/C=DE/O=Plant, Ltd/OU=a+OU=b/CN=plant ca"};
    (void)state;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < 2; i++) {
            char ca[4096];
            uint8_t memory[512];
            struct tg_error err = {0};
            struct tg_x509_certificate c = {.common_name = "75B86466DA34D2B04C0C4C9557A119687ADAE7D4732BDDB3",
                                            .subject = ec,
                                            .issuer = k ? rsa : ec,
                                            .not_before_s = 1700000000,
                                            .not_after_s = 2000000000};
            key_files_run("openssl req -x509 -new -key %s -subj '%s' -multivalue-rdn -days 30 -out ca.pem",
                          k ? "rsa.pem" : "ec.pem", subjects[i]);
            if (tg_x509_subject_name(key_files_get("ca.pem", ca, sizeof ca), memory, sizeof memory,
                                     &c.issuer_name, &err) < 0)
                fail_msg("%s", err.text);
            write_certificate("proof.pem", &c);
            key_files_run("openssl verify -CAfile ca.pem -x509_strict proof.pem || openssl verify -CAfile "
                          "ca.pem proof.pem");
        }
}

static void test_subject_of_none(void **state)
{
    uint8_t memory[8];
    struct tg_bytes name;
    struct tg_error err = {0};
    char ca[4096];
    (void)state;
    assert_int_equal(tg_x509_subject_name(tg_bytes_str("no"), memory, sizeof memory, &name, &err), TG_ECERT);
    assert_int_equal(tg_x509_subject_name(
                         tg_bytes_str("-----BEGIN CERTIFICATE-----\nMAAwAA==\n-----END CERTIFICATE-----\n"),
                         memory, sizeof memory, &name, &err),
                     TG_ECERT);
    assert_int_equal(
        tg_x509_subject_name(key_files_get("ca.pem", ca, sizeof ca), memory, sizeof memory, &name, &err),
        TG_ETOOBIG);
}

static void test_lengths(void **state)
{
    static const size_t sizes[] = {0, 1, 127, 128, 255, 256, 65535};
    static uint8_t content[65536], out[65600];
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct tg_writer w = tg_writer_init(out, sizeof out);
        size_t n = sizes[i], header = n < 128 ? 2 : n < 256 ? 3 : 4;
        tg_der_put(&w, TG_DER_OCTET_STRING, tg_bytes(content, n));
        assert_int_equal(w.len, n + header);
        assert_int_equal(out[0], TG_DER_OCTET_STRING);
        assert_int_equal(out[1], header == 2 ? n : 0x80 + header - 2);
        assert_int_equal(out[header - 1], n & 0xff);
        w = tg_writer_init(out, n + header - 1);
        tg_der_put(&w, TG_DER_OCTET_STRING, tg_bytes(content, n));
        assert_true(w.failed);
    }
    struct tg_writer w = tg_writer_init(out, sizeof out);
    tg_der_put(&w, TG_DER_OCTET_STRING, tg_bytes(content, 65536));
    assert_true(w.failed);
}

static void test_numbers_and_times(void **state)
{
    static const struct {
        int64_t time_s;
        const char *text;
    } times[] = {{0, "\x17\x0d"
                     "700101000000Z"},
                 {2524607999, "\x17\x0d"
                              "491231235959Z"},
                 {2524608000, "\x18\x0f"
                              "20500101000000Z"},
                 {253402300799, "\x18\x0f"
                                "99991231235959Z"}};
    static const struct {
        uint8_t number[4];
        size_t len;
        const char *der;
        size_t der_len;
    } numbers[] = {{{0}, 1, "\x02\x01\x00", 3},
                   {{0, 0, 1}, 3, "\x02\x01\x01", 3},
                   {{0x80}, 1, "\x02\x02\x00\x80", 4},
                   {{0, 0x7f, 0xff}, 3, "\x02\x02\x7f\xff", 4}};
    uint8_t out[64];
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct tg_writer w = tg_writer_init(out, sizeof out);
        tg_der_time(&w, times[i].time_s);
        assert_true(tg_bytes_eq_str(tg_bytes(w.data, w.len), times[i].text));
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct tg_writer w = tg_writer_init(out, sizeof out);
        tg_der_unsigned(&w, tg_bytes(numbers[i].number, numbers[i].len));
        assert_true(tg_bytes_eq(tg_bytes(w.data, w.len), tg_bytes(numbers[i].der, numbers[i].der_len)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csr),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_self_signed),
        cmocka_unit_test(test_signed_by_a_ca),
        cmocka_unit_test(test_subject_of_none),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_numbers_and_times),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
