/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/pkcs11_uri.h"

static struct tg_pkcs11_uri parse(const char *text)
{
    struct tg_pkcs11_uri uri;
    struct tg_error err = {0};
    if (tg_pkcs11_uri_parse(tg_bytes_str(text), &uri, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return uri;
}

static void test_all_parts(void **state)
{
    (void)state;
    struct tg_pkcs11_uri u = parse("pkcs11:token=Site%207;manufacturer=Acme;model=M%3b1;serial=00ff;object="
                                   "meter%2D1;id=%01%00%ff;type=private"
                                   "?module-path=/usr/lib/m.so&pin-source=file:/etc/pin%20file");
    assert_string_equal(u.token, "Site 7");
    assert_string_equal(u.manufacturer, "Acme");
    assert_string_equal(u.model, "M;1");
    assert_string_equal(u.serial, "00ff");
    assert_string_equal(u.object, "meter-1");
    assert_int_equal(u.id_len, 3);
    assert_memory_equal(u.id, "\x01\x00\xff", 3);
    assert_string_equal(u.module, "/usr/lib/m.so");
    assert_string_equal(u.pin_file, "/etc/pin file");
}

static void test_pin_sources(void **state)
{
    static const char *const pairs[][2] = {{"file:/a/b", "/a/b"},
                                           {"file:///a/b", "/a/b"},
                                           {"/a/b", "/a/b"},
                                           {"file:%2Fa", "/a"},
                                           {"keys/pin", "keys/pin"}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char text[128] = "pkcs11:token=t;object=o?pin-source=";
        strcat(text, pairs[i][0]);
        struct tg_pkcs11_uri u = parse(text);
        assert_string_equal(u.pin_file, pairs[i][1]);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "begins with"},
        {"pkcs11", "begins with"},
        {"PKCS11:token=t;object=o", "begins with"},
        {"pkcs11:", "names no token"},
        {"pkcs11:token=t", "names no key"},
        {"pkcs11:object=o", "names no token"},
        {"pkcs11:token=t;;object=o", "is no name=value"},
        {"pkcs11:token=t;object=o;", "ends with \";\""},
        {"pkcs11:token=t;object=o?pin-source=/p&", "ends with \"&\""},
        {"pkcs11:token;object=o", "\"token\" is no name=value"},
        {"pkcs11:=t;object=o", "is no name=value"},
        {"pkcs11:token=t;token=u;object=o", "\"token\" stands in it twice"},
        {"pkcs11:token=t;object=o?pin-source=/a&pin-source=/b", "twice"},
        {"pkcs11:token=;object=o", "token: empty, or no text"},
        {"pkcs11:token=%00;object=o", "token: empty, or no text"},
        {"pkcs11:token=%ff;object=o", "token: empty, or no text"},
        {"pkcs11:token=%;object=o", "without two hexadecimal digits"},
        {"pkcs11:token=%4;object=o", "without two hexadecimal digits"},
        {"pkcs11:token=%4g;object=o", "without two hexadecimal digits"},
        {"pkcs11:token=t;id=", "id: empty"},
        {"pkcs11:token=123456789012345678901234567890123;object=o", "token: longer than 32 bytes"},
        {"pkcs11:token=t;object=o;type=cert", "type=private, or nothing"},
        {"pkcs11:token=t;object=o;slot-id=3", "slots change their numbers"},
        {"pkcs11:token=t;object=o;x-vendor=1", "\"x-vendor\" is not understood"},
        {"pkcs11:token=t;object=o?pin-value=1234", "a PIN does not belong into the configuration"},
        {"pkcs11:token=t;object=o?pin-source=%7cecho%201", "a command is not run"},
        {"pkcs11:token=t;object=o?pin-source=file://host/p", "name a file"},
        {"pkcs11:token=t;object=o?pin-source=file:", "name a file"},
        {"pkcs11:token=t;object=o?module-path=m.so", "from the root on"},
        {"pkcs11:token=t;object=o?module-name=m", "name the file"},
        {"pkcs11:token=t;object=o?max-uses=1", "is not understood"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tg_pkcs11_uri u;
        struct tg_error err = {0};
        memset(&u, 0xa5, sizeof u);
        assert_true(tg_pkcs11_uri_parse(tg_bytes_str(cases[i].text), &u, &err) < 0);
        assert_int_equal(u.token[0], (char)0xa5); /* untouched */
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.text, cases[i].says);
        assert_null(strstr(err.text, "1234")); /* no PIN in a message */
    }
}

static void test_every_cut(void **state)
{
    static const char text[] =
        "pkcs11:token=Site%207;object=meter%2D1;id=%01%ff?pin-source=file:/p&module-path=/m";
    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        struct tg_pkcs11_uri u;
        char copy[sizeof text];
        memcpy(copy, text, n);
        (void)!tg_pkcs11_uri_parse(tg_bytes(copy, n), &u, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_parts),
        cmocka_unit_test(test_pin_sources),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
