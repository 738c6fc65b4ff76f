/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_advert: the walk over AD structures, names, addresses and keys as people write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/ble/ble_decode.h"

static void structures(void **state)
{
    static const uint8_t data[] = {2, 1, 6, 1, 9, 4, 0x16, 0xD2, 0xFC, 0x40, 0, 5, 9, 'x'};
    struct tg_ble_ad_iter i = tg_ble_ad_begin(data, sizeof data);
    struct tg_ble_ad ad;
    struct tg_bytes content;
    uint16_t company;
    (void)state;
    assert_true(tg_ble_ad_next(&i, &ad) && ad.type == 1 && ad.len == 1 && ad.data[0] == 6);
    assert_true(tg_ble_ad_next(&i, &ad) && ad.type == 9 && ad.len == 0);
    assert_true(tg_ble_ad_next(&i, &ad) && ad.type == 0x16 && ad.len == 3);
    assert_false(tg_ble_ad_next(&i, &ad)); /* a zero ends the row, whatever follows */
    assert_false(tg_ble_ad_next(&i, &ad));
    assert_false(i.malformed);
    i = tg_ble_ad_begin(data, sizeof data);
    assert_true(tg_ble_ad_next_service(&i, 0xFCD2, &content) && content.len == 1 && content.data[0] == 0x40);
    assert_false(tg_ble_ad_next_service(&i, 0xFCD2, &content));
    i = tg_ble_ad_begin(data, sizeof data);
    assert_false(tg_ble_ad_next_service(&i, 0xFE95, &content));
    i = tg_ble_ad_begin(data, sizeof data);
    assert_false(tg_ble_ad_next_manufacturer(&i, &company, &content));
    i = tg_ble_ad_begin(NULL, 0);
    assert_false(tg_ble_ad_next(&i, &ad));
}

static void beyond_the_end(void **state)
{
    static const uint8_t data[] = {2, 1, 6, 31, 0xFF, 0x99, 0x04};
    struct tg_ble_ad_iter i = tg_ble_ad_begin(data, sizeof data);
    struct tg_ble_ad ad;
    (void)state;
    assert_true(tg_ble_ad_next(&i, &ad));
    assert_false(tg_ble_ad_next(&i, &ad));
    assert_true(i.malformed);
    assert_false(tg_ble_ad_next(&i, &ad));
    i = tg_ble_ad_begin(data, 1); /* a length and nothing behind it */
    assert_false(tg_ble_ad_next(&i, &ad));
    assert_true(i.malformed);
}

static void name_is(const char *data, size_t len, const char *want)
{
    struct tg_ble_advert a = {.data = (const uint8_t *)data, .len = len};
    char name[TG_BLE_NAME_BYTES];
    assert_int_equal(tg_ble_local_name(&a, name), strlen(want));
    assert_string_equal(name, want);
}

static void names(void **state)
{
    (void)state;
    name_is("", 0, "");
    name_is("\x03\x08"
            "ab",
            4, "ab");
    name_is("\x03\x08"
            "ab\x04\x09"
            "abc",
            9, "abc"); /* the complete one counts, wherever it stands */
    name_is("\x04\x09"
            "abc\x03\x08"
            "xy",
            9, "abc");
    name_is("\x03\x08"
            "ab\x04\x09"
            "a\xFFz",
            9, "ab"); /* no UTF-8 */
    name_is("\x04\x09"
            "a\nb",
            5, ""); /* nothing that moves a terminal's cursor */
    name_is("\x05\x09"
            "a\xC3\xA4z",
            6, "a\xC3\xA4z");
    name_is("\x01\x09", 2, "");
    name_is("\x09\x09"
            "abc",
            5, "");
}

static void addresses(void **state)
{
    static const char *const good[] = {"A4:C1:38:02:83:F4", "a4-c1-38-02-83-f4", "a4c1380283F4"};
    static const char *const bad[] = {"",
                                      "a4",
                                      "a4c1380283f",
                                      "a4c1380283f44",
                                      "a4:c1:38:02:83",
                                      "a4:c1-38:02:83:f4",
                                      "g4:c1:38:02:83:f4",
                                      "a4:c1:38:02:83:f4 ",
                                      "a4c1:380283f4"};
    struct tg_ble_address a = {.type = 2}, b = {.type = 1};
    char text[TG_BLE_ADDRESS_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        memset(a.bytes, 0, sizeof a.bytes);
        assert_true(tg_ble_address_parse(good[i], &a));
        tg_ble_address_text(&a, text);
        assert_string_equal(text, "A4:C1:38:02:83:F4");
        tg_ble_address_id(&a, text);
        assert_string_equal(text, "a4c1380283f4");
        assert_int_equal(a.type, 2);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tg_ble_address_parse(bad[i], &a))
            fail_msg("%s is taken for an address", bad[i]);
    assert_false(tg_ble_address_eq(&a, &b));
    assert_true(tg_ble_address_parse(good[0], &b) && tg_ble_address_eq(&a, &b));
}

static bool key_is(const char *text, unsigned len)
{
    static const struct tg_ble_crypto none;
    struct tg_ble_key key = {.len = 99};
    bool good = tg_ble_key_parse(text, strlen(text), &none, &key);
    assert_int_equal(key.len, good ? len : 99);
    if (good)
        assert_true(key.bytes[0] == 0x23 && key.bytes[len - 1] == 0xd9 && key.crypto == &none);
    return good;
}

static void keys(void **state)
{
    (void)state;
    assert_true(key_is("231d39c1d7cc1ab1aee224cd096db9d9", 16));
    assert_true(key_is(" 231D39C1D7CC1AB1AEE224CD096DB9D9\r\n", 16));
    assert_true(key_is("231d39c1d7cc1ab1aee224d9\n", 12));
    assert_false(key_is("", 0));
    assert_false(key_is("231d39c1d7cc1ab1aee224cd096db9", 0));
    assert_false(key_is("231d39c1d7cc1ab1aee224cd096db9dx", 0));
    assert_false(key_is("231d39c1 d7cc1ab1aee224cd096db9d", 0));
    assert_false(key_is("231d39c1d7cc1ab1aee224cd096db9d900", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(structures), cmocka_unit_test(beyond_the_end),
                                       cmocka_unit_test(names), cmocka_unit_test(addresses),
                                       cmocka_unit_test(keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
