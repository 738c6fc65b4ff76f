/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JWTs against those of other people's libraries (vectors/cloud/jwt.json): RS256 byte for byte; ES256, whose signatures
 * are random, by its signing input and by openssl's opinion of the signature.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "northbound/jwt.h"
#include "support/vectors.h"

static json_t *root;
static char dir[128];

static int setup(void **state)
{
    (void)state;
    root = tg_vectors_load("cloud/jwt.json");
    snprintf(dir, sizeof dir, "%s/tidegate-jwt-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[256];
    (void)state;
    json_decref(root);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static struct tg_signer *signer_of(const char *pem)
{
    struct tg_signer *s = NULL;
    struct tg_error err = {0};
    if (tg_signer_from_pem(tg_bytes_str(pem), &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static void put(const char *name, const void *data, size_t len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* The payload of every entry under `from`, signed again with its own header. */
static void assert_same_token(const json_t *entry, const char *pem)
{
    struct tg_signer *s = signer_of(pem);
    struct tg_error err = {0};
    char out[4096], key_id[128] = "";
    const char *header = text(entry, "header"), *kid = strstr(header, "\"kid\":\"");
    struct tg_writer w = tg_writer_init(out, sizeof out);
    if (kid)
        assert_int_equal(sscanf(kid, "\"kid\":\"%127[^\"]\"", key_id), 1);
    assert_int_equal(tg_jwt_write(&w, s, kid ? key_id : NULL, tg_bytes_str(text(entry, "payload")), &err), 0);
    assert_int_equal(tg_writer_cstr(&w), 0);
    assert_string_equal(out, text(entry, "token"));
    tg_signer_free(s);
}

static void test_rs256(void **state)
{
    const json_t *rs = json_object_get(root, "rs256");
    const char *name;
    json_t *entry;
    size_t compared = 0;
    (void)state;
    json_object_foreach(root, name, entry)
    {
        const char *header = text(entry, "header");
        if (!header || !text(entry, "token") || !strstr(header, "RS256") ||
            !strstr(header, "\"typ\":\"JWT\""))
            continue;
        assert_same_token(entry, text(rs, "pem_pkcs8"));
        compared++;
    }
    assert_true(compared > 0);
}

static void test_es256(void **state)
{
    static const char *const forms[] = {"pem_pkcs8", "pem_sec1"};
    const json_t *es = json_object_get(root, "es256");
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tg_signer *s = signer_of(text(es, forms[i]));
        char out[1024], public_pem[512];
        struct tg_error err = {0};
        struct tg_writer w = tg_writer_init(out, sizeof out),
                         p = tg_writer_init(public_pem, sizeof public_pem);
        const char *input = text(es, "signing_input");
        assert_int_equal(tg_signer_algorithm(s), TG_SIGN_ES256);
        assert_false(tg_signer_is_slow(s));
        assert_int_equal(tg_jwt_write(&w, s, NULL, tg_bytes_str(text(es, "payload")), &err), 0);
        assert_int_equal(tg_writer_cstr(&w), 0);
        assert_memory_equal(out, input, strlen(input));
        assert_int_equal(out[strlen(input)], '.');
        assert_int_equal(w.len - strlen(input) - 1, 86); /* 64 bytes */
        assert_int_equal(tg_signer_public_pem(s, &p, &err), 0);
        assert_int_equal(tg_writer_cstr(&p), 0);
        assert_string_equal(public_pem, text(es, "pem_public"));
        tg_signer_free(s);
    }
}

/* DER of r‖s, as openssl reads signatures. */
static size_t der_of(const uint8_t sig[64], uint8_t der[80])
{
    size_t at = 2;
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *n = sig + 32 * i;
        size_t len = 32;
        while (len > 1 && *n == 0) {
            n++;
            len--;
        }
        bool high = *n & 0x80;
        der[at++] = 0x02;
        der[at++] = (uint8_t)(len + high);
        if (high)
            der[at++] = 0;
        memcpy(der + at, n, len);
        at += len;
    }
    der[0] = 0x30;
    der[1] = (uint8_t)(at - 2);
    return at;
}

/* Often enough that leading zeros of r and s come up (one in 128). */
static void test_es256_verifies(void **state)
{
    const json_t *es = json_object_get(root, "es256");
    struct tg_signer *s = signer_of(text(es, "pem_pkcs8"));
    struct tg_error err = {0};
    char command[512];
    size_t short_numbers = 0;
    (void)state;
    put("public.pem", text(es, "pem_public"), strlen(text(es, "pem_public")));
    put("message", "tide", 4);
    snprintf(command, sizeof command,
             "openssl dgst -sha256 -verify '%s/public.pem' -signature '%s/sig' '%s/message' > /dev/null", dir,
             dir, dir);
    for (int i = 0; i < 4000 && short_numbers < 2; i++) {
        uint8_t sig[TG_SIGNATURE_MAX_BYTES], der[80];
        size_t len;
        assert_int_equal(tg_signer_sign(s, tg_bytes_str("tide"), sig, &len, &err), 0);
        assert_int_equal(len, 64);
        if (i > 0 && sig[0] != 0 && sig[32] != 0)
            continue;
        short_numbers += i > 0;
        put("sig", der, der_of(sig, der));
        assert_int_equal(system(command), 0);
    }
    assert_int_equal(short_numbers, 2);
    tg_signer_free(s);
}

static void test_rs256_public(void **state)
{
    const json_t *rs = json_object_get(root, "rs256");
    struct tg_signer *s = signer_of(text(rs, "pem_pkcs8"));
    char public_pem[1024];
    struct tg_error err = {0};
    struct tg_writer p = tg_writer_init(public_pem, sizeof public_pem);
    (void)state;
    assert_int_equal(tg_signer_algorithm(s), TG_SIGN_RS256);
    assert_int_equal(tg_signer_public_pem(s, &p, &err), 0);
    assert_int_equal(tg_writer_cstr(&p), 0);
    assert_string_equal(public_pem, text(rs, "pem_public"));
    for (size_t cap = 0; cap < strlen(public_pem); cap += 37) {
        p = tg_writer_init(public_pem, cap);
        assert_int_equal(tg_signer_public_pem(s, &p, &err), TG_ETOOBIG);
        assert_int_equal(p.len, 0);
    }
    tg_signer_free(s);
}

static void test_too_small(void **state)
{
    const json_t *rs = json_object_get(root, "rs256");
    struct tg_signer *s = signer_of(text(rs, "pem_pkcs8"));
    char out[2048], long_key_id[600];
    struct tg_error err = {0};
    (void)state;
    for (size_t cap = 0; cap < strlen(text(rs, "token")); cap += 13) {
        struct tg_writer w = tg_writer_init(out, cap);
        assert_int_equal(tg_jwt_write(&w, s, NULL, tg_bytes_str(text(rs, "payload")), &err), TG_ETOOBIG);
        assert_int_equal(w.len, 0);
    }
    memset(long_key_id, 'k', sizeof long_key_id);
    long_key_id[sizeof long_key_id - 1] = '\0';
    struct tg_writer w = tg_writer_init(out, sizeof out);
    assert_int_equal(tg_jwt_write(&w, s, long_key_id, tg_bytes_str("{}"), &err), TG_ETOOBIG);
    tg_signer_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rs256),          cmocka_unit_test(test_es256),
        cmocka_unit_test(test_es256_verifies), cmocka_unit_test(test_rs256_public),
        cmocka_unit_test(test_too_small),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
