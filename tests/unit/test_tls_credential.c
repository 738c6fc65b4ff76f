/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a TLS connection is made with, before there is one: certificates and their keys, roots. The files are those of tests/peers/tls_server.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/net/tls_context.h"
#include "core/net/tls_memory.h"
#include "support/net_peer.h"
#include "support/tls_credential_of.h"

static struct net_peer peer;
static int64_t live_before;

static int group_set_up(void **state)
{
    struct tg_error err = {0};
    (void)state;
    net_peer_start(&peer, "tls_server.py");
    return tg_tls_global_init(&err);
}

static int group_tear_down(void **state)
{
    (void)state;
    tg_tls_global_fini();
    net_peer_stop(&peer);
    return tg_alloc_stats().live == 0 ? 0 : -1;
}

static int set_up(void **state)
{
    (void)state;
    tg_tls_trim();
    live_before = tg_alloc_stats().live;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tg_tls_trim(); /* wolfSSL's tables of curve points are no leak */
    assert_int_equal(tg_alloc_stats().live, live_before);
    return 0;
}

static void a_credential_describes_itself(void **state)
{
    char command[512], path[128], sha256[256] = "", want[80] = "";
    struct tg_tls_credential_info info;
    struct tg_tls_credential *c = tls_credential_of(&peer, "client", "client");
    (void)state;
    assert_non_null(c);
    tg_tls_credential_info(c, &info);
    assert_string_equal(info.common_name, "meter-1");
    assert_int_equal(strlen(info.sha1), 40);
    assert_int_equal(info.not_after_s - info.not_before_s, 31 * 86400);
    net_peer_path(&peer, "client.pem", path);
    snprintf(command, sizeof command, "openssl x509 -noout -fingerprint -sha256 -in '%s'", path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(sha256, sizeof sha256, f));
    pclose(f);
    size_t n = 0;
    for (const char *at = strchr(sha256, '=') + 1; *at && n < 64; at++)
        if (*at != ':')
            want[n++] = *at;
    assert_string_equal(info.sha256, want);
    tg_tls_credential_free(c);
    tg_tls_credential_free(NULL);
}

static void refused(struct tg_bytes certificate, struct tg_bytes key, const char *text)
{
    struct tg_tls_credential *c = NULL;
    struct tg_error err = {0};
    assert_int_equal(tg_tls_credential_new(certificate, key, &c, &err), TG_ECERT);
    assert_null(c);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static void keys_of_every_kind_are_matched_with_their_certificate(void **state)
{
    static const struct {
        const char *certificate, *key;
        bool match;
    } table[] = {
        {"client", "client", true},           {"client", "client-sec1", true},
        {"client", "client2", false},         {"client-rsa", "client-rsa", true},
        {"client-rsa", "client-pkcs1", true}, {"client-rsa", "client-rsab", false},
        {"client-p384", "client-p384", true}, {"client-p384", "client-p384b", false},
        {"client-p384", "client", false},     {"client-ed", "client-ed", true},
        {"client-ed", "client-edb", false},   {"client-ed", "client", false},
        {"client", "client-ed", false},       {"client", "client-rsa", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct tg_tls_credential *c = tls_credential_of(&peer, table[i].certificate, table[i].key);
        if ((c != NULL) != table[i].match)
            fail_msg("%s with the key %s: %s", table[i].certificate, table[i].key, c ? "taken" : "refused");
        tg_tls_credential_free(c);
    }
}

static void bad_credentials_are_refused_with_the_reason(void **state)
{
    char *certificate = net_peer_file(&peer, "client.pem"), *key = net_peer_file(&peer, "client.key");
    char *other_key = net_peer_file(&peer, "client2.key"), *rsa_key = net_peer_file(&peer, "client-rsa.key");
    (void)state;
    refused(tg_bytes_str(certificate), tg_bytes_str(other_key),
            "does not belong to the certificate of \"meter-1\"");
    refused(tg_bytes_str(certificate), tg_bytes_str(rsa_key), "meter-1");
    refused(tg_bytes_str(""), tg_bytes_str(key), "client certificate: no certificate in PEM form");
    refused(tg_bytes_str(key), tg_bytes_str(key), "client certificate: no certificate in PEM form");
    refused(tg_bytes_str(certificate), tg_bytes_str(certificate), "client key: no private key in PEM form");
    refused(tg_bytes_str(certificate), tg_bytes_str(""), "client key: no private key in PEM form");
    refused(tg_bytes_str("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), tg_bytes_str(key),
            "cannot be decoded");
    refused(tg_bytes_str("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), tg_bytes_str(key),
            "client certificate");
    refused(tg_bytes_str(certificate),
            tg_bytes_str("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "key");
    refused(
        tg_bytes_str(certificate),
        tg_bytes_str("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        "encrypted with a password");
    certificate[strlen(certificate) / 2] = certificate[strlen(certificate) / 2] == 'A' ? 'B' : 'A';
    struct tg_tls_credential *c = NULL;
    struct tg_error err = {0};
    /* A flipped bit may hit anything, the signature too, which only the server checks: no crash, no leak. */
    if (tg_tls_credential_new(tg_bytes_str(certificate), tg_bytes_str(key), &c, &err) == TG_OK)
        tg_tls_credential_free(c);
    free(certificate);
    free(key);
    free(other_key);
    free(rsa_key);
}

static void bad_ca_files_are_refused_with_the_reason(void **state)
{
    static const struct {
        const char *content, *text;
        int code;
    } files[] = {
        {"", "no certificate in PEM form", TG_ECERT},
        {"just text\n", "no certificate in PEM form", TG_ECERT},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "none of its 1 certificates",
         TG_ECERT},
        {NULL, "No such file", TG_ENOTFOUND},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        struct tg_tls_context *ctx = NULL;
        struct tg_error err = {0};
        net_peer_path(&peer, "bad-ca.pem", path);
        if (files[i].content) {
            FILE *f = fopen(path, "w");
            assert_non_null(f);
            fputs(files[i].content, f);
            fclose(f);
        } else {
            unlink(path);
        }
        struct tg_tls_options o = {.ca_file = path};
        assert_int_equal(tg_tls_context_new(&o, &ctx, &err), files[i].code);
        assert_non_null(strstr(err.text, path));
        assert_non_null(strstr(err.text, files[i].text));
    }
    struct tg_tls_context *ctx = NULL;
    struct tg_error err = {0};
    struct tg_tls_options o = {.ca_file = "/"};
    assert_int_equal(tg_tls_context_new(&o, &ctx, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "not a regular file"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_credential_describes_itself), T(keys_of_every_kind_are_matched_with_their_certificate),
        T(bad_credentials_are_refused_with_the_reason), T(bad_ca_files_are_refused_with_the_reason)};
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
