/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The login at IoT Core against vectors/cloud/jwt.json: names as they are, the RS256 token byte for byte, the ES256 token
 * by its claims and a signature of 64 bytes r‖s that another implementation takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/gcp_stage.h"
#include "support/vectors.h"

#define BACKDATED_S 60 /* the vectors' tokens were made at their iat, ours a minute after it */

static json_t *root;

static int setup(void **state)
{
    (void)state;
    root = tg_vectors_load("cloud/jwt.json");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(root);
    return 0;
}

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

/* The parts of projects/{}/locations/{}/registries/{}/devices/{}. */
static void split(const char *client_id, char parts[4][256])
{
    assert_int_equal(sscanf(client_id,
                            "projects/%255[^/]/locations/%255[^/]/registries/%255[^/]/devices/%255[^/]",
                            parts[0], parts[1], parts[2], parts[3]),
                     4);
}

/* Logs in as the vector's device at the time of the vector's token. */
static void log_in(const char *kind, uint8_t scratch[TG_CLOUD_SCRATCH_BYTES],
                   struct tg_cloud_login *ret_login)
{
    const json_t *v = json_object_get(root, kind), *connect = json_object_get(root, "gcp_iot_core_connect");
    json_t *claims = json_loads(text(v, "payload"), 0, NULL);
    int64_t iat = json_integer_value(json_object_get(claims, "iat")),
            exp = json_integer_value(json_object_get(claims, "exp"));
    struct tg_signer *signer = gcp_stage_signer(root, kind);
    const struct tg_cloud_secret secret = {.kind = TG_IDENTITY_JWT_KEY, .signer = signer};
    struct tg_writer w = tg_writer_init(scratch, TG_CLOUD_SCRATCH_BYTES);
    char parts[4][256], lifetime[32];
    const char *const pairs[] = {"project", parts[0],         "region", parts[1], "registry",
                                 parts[2],  "token_lifetime", lifetime, NULL};
    struct tg_cloud_target t = {.host = "h", .device_id = parts[3], .gateway = "g"};
    struct tg_settings *s;
    split(text(connect, "clientId"), parts);
    snprintf(lifetime, sizeof lifetime, "%llds", (long long)(exp - iat - BACKDATED_S));
    t.settings = s = gcp_stage_settings(pairs);
    assert_string_equal(text(claims, "aud"), parts[0]);
    assert_int_equal(tg_gcp_iot_core.login(&t, &secret, NULL, iat + BACKDATED_S, &w, ret_login, NULL), TG_OK);
    assert_int_equal(ret_login->expires_s, exp);
    assert_true(tg_bytes_eq_str(ret_login->connect.client_id, text(connect, "clientId")));
    assert_true(tg_bytes_eq_str(ret_login->connect.username, text(connect, "username")));
    tg_settings_free(s);
    tg_signer_free(signer);
    json_decref(claims);
}

static void test_rs256(void **state)
{
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_cloud_login login;
    (void)state;
    log_in("rs256", scratch, &login);
    assert_true(tg_bytes_eq_str(login.connect.password, text(json_object_get(root, "rs256"), "token")));
}

static void test_es256(void **state)
{
    const json_t *v = json_object_get(root, "es256");
    struct tg_signer *signer = gcp_stage_signer(root, "es256");
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_cloud_login login;
    const char *input = text(v, "signing_input");
    json_t *claims;
    (void)state;
    log_in("es256", scratch, &login);
    assert_true(tg_bytes_starts(login.connect.password, input)); /* header and claims are not random */
    assert_int_equal(login.connect.password.len, strlen(input) + 1 + 86); /* 64 bytes */
    claims = gcp_stage_claims(login.connect.password, signer);
    assert_non_null(claims);
    json_decref(claims);
    /* The judge knows good from bad: the vector's own token, and one whose signature is another's. */
    claims = gcp_stage_claims(tg_bytes_str(text(v, "token")), signer);
    assert_non_null(claims);
    json_decref(claims);
    tg_signer_free(signer);
    signer = gcp_stage_other_signer();
    assert_null(gcp_stage_claims(login.connect.password, signer));
    tg_signer_free(signer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rs256), cmocka_unit_test(test_es256)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
