/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate decode ble`: the arguments a person would type, the text and the JSON that come out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugins/ble/ble_decode_cmd.h"
#include "support/vectors.h"

#define MAX_ARGS 10
#define PLAIN    "0a16d2fc4002ca0903bf13"
#define CODED    "1216d2fc41a47266c95f730011223378237214"
#define SENDER   "54:48:E6:8F:80:A5"

static char output[65536], key_file[64];

static void out(void *user, const char *text)
{
    size_t n = strlen(output);
    (void)user;
    snprintf(output + n, sizeof output - n, "%s", text);
}

static int run(bool json, const char *const argv[MAX_ARGS])
{
    int argc = 0;
    while (argc < MAX_ARGS && argv[argc])
        argc++;
    output[0] = 0;
    return tg_ble_decode_cmd(argc, argv, json, out, NULL);
}

static void says(const char *text)
{
    if (!strstr(output, text))
        fail_msg("\"%s\" is not in: %s", text, output);
}

static void plain(void **state)
{
    (void)state;
    assert_int_equal(run(true, (const char *[MAX_ARGS]){PLAIN}), 0);
    assert_string_equal(
        output, "{\"verdict\":\"ok\",\"format\":\"bthome\",\"version\":2,\"encrypted\":false,\"readings\":["
                "{\"name\":\"temperature\",\"value\":25.06,\"unit\":\"Cel\",\"quality\":\"good\"},"
                "{\"name\":\"humidity\",\"value\":50.55,\"unit\":\"%RH\",\"quality\":\"good\"}],"
                "\"formats\":[\"bthome\"]}\n");
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"0a 16 d2fc", "--rssi", "-70", "4002CA09 03:bf:13"}),
                     0);
    says("bthome");
    says("  temperature          25.06 Cel\n");
    says("  rssi                 -70 dBm\n");
}

static void encrypted(void **state)
{
    (void)state;
    assert_int_equal(run(true, (const char *[MAX_ARGS]){CODED}), 1);
    says("\"verdict\":\"key needed\"");
    says("\"formats\":[\"bthome\"]");
    assert_int_equal(run(true, (const char *[MAX_ARGS]){"--key-file", key_file, "--address", SENDER, CODED}),
                     0);
    says("\"counter\":857870592");
    says("\"authentic\":true");
    says("25.06");
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"--key-file", key_file, "--address", SENDER, CODED}),
                     0);
    says(SENDER " bthome counter 857870592 encrypted \n");
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"--key-file", key_file, CODED}),
                     1); /* another sender */
    says("the key does not fit");
    assert_int_equal(run(true, (const char *[MAX_ARGS]){"--key-file", key_file, PLAIN}), 1);
    says("\"verdict\":\"plaintext\"");
}

static void formats(void **state)
{
    (void)state;
    assert_int_equal(run(true, (const char *[MAX_ARGS]){"--format", "ruuvi", PLAIN}), 1);
    says("\"verdict\":\"other format\"");
    says("\"formats\":[\"bthome\"]"); /* what it is instead */
    assert_int_equal(run(true, (const char *[MAX_ARGS]){"--format", "bthome", PLAIN}), 0);
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"0416d2fc40"}), 1);
    says("no values");
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"0916d2fc4002ca0903bf"}),
                     0); /* what is before the cut */
    says("the rest is left out: truncated");
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"0a16d2fc4002ca0903bf"}), 1); /* cut on its way */
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"0816d2fc4002ca09fe"}), 0);
    says("the rest is left out: unknown object");
}

/* Every event of the vectors: one report for each that is in it. */
static void events(void **state)
{
    json_t *root = tg_vectors_load("southbound/ble_hci_events.json"), *v;
    size_t i;
    (void)state;
    json_array_foreach(json_object_get(root, "vectors"), i, v)
    {
        const json_t *expect = json_object_get(v, "expect");
        json_error_t why;
        int code =
            run(true, (const char *[MAX_ARGS]){"--hci", json_string_value(json_object_get(v, "hci_event"))});
        json_t *got = json_loads(output, 0, &why);
        assert_non_null(got);
        size_t want =
            json_object_get(expect, "error") ? 1 : json_array_size(json_object_get(expect, "reports"));
        assert_int_equal(json_array_size(json_object_get(got, "reports")), want);
        if (json_object_get(expect, "error")) {
            assert_int_equal(code, 1);
            says("\"verdict\":\"truncated\"");
        }
        json_decref(got);
    }
    json_decref(root);
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"--hci", "040e020100"}), 1);
    says("no advertising report");
    assert_int_equal(run(false,
                         (const char *[MAX_ARGS]){
                             "--hci", "043e2b02010000aabb6138c1a41f0d09475648353037355f43423942030388ec020105"
                                      "09ff88ec0003215d6400aa"}),
                     0);
    says("A4:C1:38:61:BB:AA GVH5075_CB9B govee H5072/H5075");
    says("  temperature          20.5 Cel\n");
}

static void wrong_usage(void **state)
{
    static const char *const lines[][MAX_ARGS] = {{NULL},
                                                  {"--hci", NULL},
                                                  {"zz", NULL},
                                                  {"123", NULL},
                                                  {"--address", "a4:c1", PLAIN, NULL},
                                                  {"--format", "bthome1", PLAIN, NULL},
                                                  {"--rssi", "loud", PLAIN, NULL},
                                                  {"--key-file", "/nonexistent/key", PLAIN, NULL},
                                                  {"--key", "231d39c1d7cc1ab1aee224cd096db932", PLAIN, NULL},
                                                  {PLAIN, "--format", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(run(i % 2, lines[i]), 2);
        says("usage: tidegate decode ble");
    }
}

/* A key that others may read, and one that is none: said without showing it. */
static void bad_keys(void **state)
{
    FILE *f = fopen(key_file, "w");
    (void)state;
    assert_non_null(f);
    fputs("231d39c1d7cc1ab1aee224cd096db93\n", f);
    fclose(f);
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"--key-file", key_file, CODED}), 2);
    says("not 32 or 24 hexadecimal digits");
    assert_null(strstr(output, "231d39"));
    assert_int_equal(chmod(key_file, 0644), 0);
    assert_int_equal(run(false, (const char *[MAX_ARGS]){"--key-file", key_file, CODED}), 2);
    says("chmod");
}

static int write_key(void **state)
{
    (void)state;
    snprintf(key_file, sizeof key_file, "/tmp/ble-key-XXXXXX");
    int fd = mkstemp(key_file);
    if (fd < 0)
        return -1;
    const char *key = "231d39c1d7cc1ab1aee224cd096db932\n";
    bool written = write(fd, key, strlen(key)) == (ssize_t)strlen(key);
    close(fd);
    return written ? 0 : -1;
}

static int remove_key(void **state)
{
    (void)state;
    return unlink(key_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain),       cmocka_unit_test(encrypted),
                                       cmocka_unit_test(formats),     cmocka_unit_test(events),
                                       cmocka_unit_test(wrong_usage), cmocka_unit_test(bad_keys)};
    return cmocka_run_group_tests(tests, write_key, remove_key);
}
