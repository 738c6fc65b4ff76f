/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/net/tls_certificate.h"

static void names_cover_hosts(void **state)
{
    static const struct {
        const char *name, *host;
        bool covers;
    } table[] = {
        {"hub.test", "hub.test", true},
        {"Hub.TEST", "hUB.test", true},
        {"hub.test", "hub.test.", true},
        {"hub.test.", "hub.test", false},
        {"hub.test", "hub.tes", false},
        {"hub.test", "xhub.test", false},
        {"*.hub.test", "a.hub.test", true},
        {"*.hub.test", "A.HUB.TEST.", true},
        {"*.hub.test", "hub.test", false},
        {"*.hub.test", ".hub.test", false},
        {"*.hub.test", "a.b.hub.test", false},
        {"*.test", "hub.test", false},
        {"*", "test", false},
        {"*.", "a.", false},
        {"a*.hub.test", "ab.hub.test", false},
        {"*a.hub.test", "ba.hub.test", false},
        {"a.*.test", "a.hub.test", false},
        {"*.*.test", "a.hub.test", false},
        {"", "hub.test", false},
        {"hub.test", "", false},
        {"hub.test", ".", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (tg_certificate_name_covers(tg_bytes_str(table[i].name), table[i].host) != table[i].covers)
            fail_msg("\"%s\" for \"%s\": not %d", table[i].name, table[i].host, table[i].covers);
}

static void a_name_with_a_nul_covers_nothing(void **state)
{
    (void)state;
    assert_false(tg_certificate_name_covers(tg_bytes("hub.test\0.evil.test", 19), "hub.test"));
    assert_false(tg_certificate_name_covers(tg_bytes("hub\0test", 8), "hub.test"));
    assert_false(tg_certificate_name_covers(tg_bytes("*.hub\0test", 10), "a.hub.test"));
}

static void addresses_are_told_from_names(void **state)
{
    uint8_t bytes[16];
    size_t len = 0;
    (void)state;
    assert_true(tg_certificate_is_address("10.0.0.5", bytes, &len));
    assert_int_equal(len, 4);
    assert_memory_equal(bytes, "\x0a\x00\x00\x05", 4);
    assert_true(tg_certificate_is_address("fe80::1", bytes, &len));
    assert_int_equal(len, 16);
    assert_false(tg_certificate_is_address("hub.test", bytes, &len));
    assert_false(tg_certificate_is_address("10.0.0", bytes, &len));
    assert_false(tg_certificate_is_address("", bytes, &len));
}

static void times_are_read(void **state)
{
    static const struct {
        const char *der;
        size_t len;
        int rc;
        int64_t seconds;
    } table[] = {
        {"\x17\x0d"
         "700101000000Z",
         15, TG_OK, 0},
        {"\x17\x0d"
         "260102030405Z",
         15, TG_OK, 1767323045},
        {"\x17\x0d"
         "491231235959Z",
         15, TG_OK, 2524607999},
        {"\x17\x0d"
         "500101000000Z",
         15, TG_OK, -631152000},
        {"\x17\x0d"
         "000229120000Z",
         15, TG_OK, 951825600},
        {"\x18\x0f"
         "20500101000000Z",
         17, TG_OK, 2524608000},
        {"\x18\x0f"
         "99991231235959Z",
         17, TG_OK, 253402300799},
        {"\x17\x0d"
         "260102030405+",
         15, TG_ECERT, 0},
        {"\x17\x0d"
         "261302030405Z",
         15, TG_ECERT, 0},
        {"\x17\x0d"
         "260100030405Z",
         15, TG_ECERT, 0},
        {"\x17\x0d"
         "26010203040xZ",
         15, TG_ECERT, 0},
        {"\x17\x0b"
         "2601020304Z",
         13, TG_ECERT, 0},
        {"\x17\x0d"
         "260102030405",
         14, TG_ECERT, 0},
        {"\x18\x0d"
         "260102030405Z",
         15, TG_ECERT, 0},
        {"\x30\x0d"
         "260102030405Z",
         15, TG_ECERT, 0},
        {"\x17", 1, TG_ECERT, 0},
        {"", 0, TG_ECERT, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int64_t seconds = 0;
        if (tg_certificate_time(tg_bytes(table[i].der, table[i].len), &seconds) != table[i].rc ||
            seconds != table[i].seconds)
            fail_msg("row %zu: %lld", i, (long long)seconds);
    }
}

static void pem_blocks_are_walked(void **state)
{
    const char *text =
        "junk\n-----BEGIN X-----\nA\n-----END X-----\nmore -----BEGIN Y-----\nB\n-----END Y-----"
        "-----BEGIN X-----C-----END X----------BEGIN X-----";
    struct tg_bytes rest = tg_bytes_str(text), block = {0};
    (void)state;
    assert_int_equal(tg_certificate_next_pem(&rest, "X", &block), 1);
    assert_true(tg_bytes_eq_str(block, "-----BEGIN X-----\nA\n-----END X-----\n"));
    assert_int_equal(tg_certificate_next_pem(&rest, "X", &block), 1);
    assert_true(tg_bytes_eq_str(block, "-----BEGIN X-----C-----END X-----"));
    assert_int_equal(tg_certificate_next_pem(&rest, "X", &block), 0);
    rest = tg_bytes_str(text);
    assert_int_equal(tg_certificate_next_pem(&rest, "Y", &block), 1);
    rest = tg_bytes(NULL, 0);
    assert_int_equal(tg_certificate_next_pem(&rest, "Y", &block), 0);
}

static void garbage_is_no_certificate(void **state)
{
    struct tg_certificate c;
    static const uint8_t cut[] = {0x30, 0x82, 0x7f, 0xff, 0x30, 0x80};
    (void)state;
    assert_int_equal(tg_certificate_read(tg_bytes(cut, sizeof cut), "hub.test", &c), TG_ECERT);
    assert_int_equal(tg_certificate_read(tg_bytes("text", 4), NULL, &c), TG_ECERT);
    assert_int_equal(tg_certificate_read(tg_bytes(NULL, 0), NULL, &c), TG_ECERT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_cover_hosts),
        cmocka_unit_test(a_name_with_a_nul_covers_nothing),
        cmocka_unit_test(addresses_are_told_from_names),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(pem_blocks_are_walked),
        cmocka_unit_test(garbage_is_no_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
