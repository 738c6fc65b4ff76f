/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys in a SoftHSM token: found by URI, judged by openssl, used in TLS 1.2 and 1.3 against OpenSSL, and everything that
 * is wrong with a URI, a PIN, a token or a key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <stdio.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/net/loop.h"
#include "core/net/pkcs11.h"
#include "core/net/pkcs11_token.h"
#include "core/net/tcp_connect.h"
#include "northbound/csr.h"
#include "northbound/identity.h"
#include "northbound/jwt.h"
#include "support/key_files.h"
#include "support/net_client.h"
#include "support/net_peer.h"

#define MODULE     "/usr/lib/softhsm/libsofthsm2.so"
#define SPY        "/usr/lib/" MULTIARCH "/pkcs11/pkcs11-spy.so"
#define HANDSHAKES 10

/* The spy never gives 16 bytes of its own back. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:pkcs11-spy.so";
}

static struct net_peer peer;
static struct tg_tls_context *context;
static struct tg_loop loop;

/* A URI of the token, with the PIN in <folder>/pin. */
static const char *uri(const char *path)
{
    static char texts[8][1024];
    static unsigned next;
    char *text = texts[next++ % 8], *out = text;
    size_t left = sizeof texts[0];
    int n = snprintf(out, left, "pkcs11:%s?module-path=" MODULE "&pin-source=file:", path);
    for (const char *c = key_files_at("pin"); *c && n < 1000; c++) /* the folder's name has blanks */
        n += *c == ' ' ? snprintf(text + n, left - (size_t)n, "%%20")
                       : snprintf(text + n, left - (size_t)n, "%c", *c);
    return text;
}

static size_t always_loopback(const char *host, struct sockaddr_storage *ret_addresses, size_t cap)
{
    (void)host;
    (void)cap;
    return uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)ret_addresses) == 0;
}

static void key_pair(const char *token, const char *type, const char *id, const char *label)
{
    key_files_run("pkcs11-tool --module " MODULE
                  " --token-label '%s' --login --pin 1234 --keypairgen --key-type %s "
                  "--id %s --label '%s'",
                  token, type, id, label);
}

static int setup(void **state)
{
    char conf[512], ca[128];
    struct tg_error err = {0};
    if (key_files_setup(state) < 0)
        return -1;
    snprintf(conf, sizeof conf, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
             key_files_at("tokens"));
    key_files_put("softhsm2.conf", tg_bytes_str(conf), 0600);
    setenv("SOFTHSM2_CONF", key_files_at("softhsm2.conf"), 1);
    key_files_run("mkdir tokens");
    for (int i = 0; i < 4; i++)
        key_files_run("softhsm2-util --init-token --free --label '%s' --pin 1234 --so-pin 567890",
                      i == 0   ? "site-7"
                      : i == 1 ? "guarded"
                               : "a twin");
    key_files_put("pin", tg_bytes_str("1234\n"), 0600);
    key_pair("site-7", "EC:prime256v1", "01", "meter ec");
    key_pair("site-7", "rsa:2048", "02", "meter-rsa");
    key_pair("site-7", "EC:secp384r1", "03", "p384");
    key_pair("site-7", "EC:prime256v1", "04", "twice");
    key_pair("site-7", "EC:prime256v1", "05", "twice");
    key_pair("site-7", "rsa:3072", "06", "big");
    key_pair("guarded", "EC:prime256v1", "01", "k");
    net_peer_start(&peer, "tls_server.py");
    tg_tcp_connect_set_resolver(always_loopback);
    net_peer_path(&peer, "root.pem", ca);
    struct tg_tls_options o = {.ca_file = ca};
    if (tg_tls_context_new(&o, &context, &err) < 0)
        fail_msg("%s", err.text);
    return tg_loop_init(&loop, &err);
}

static int teardown(void **state)
{
    tg_tls_context_free(context);
    tg_loop_fini(&loop);
    tg_tcp_connect_set_resolver(NULL);
    net_peer_stop(&peer);
    return key_files_teardown(state);
}

static struct tg_signer *signer_of(const char *path)
{
    struct tg_signer *s = NULL;
    struct tg_error err = {0};
    if (tg_signer_open(path, &s, &err) < 0)
        fail_msg("%s: %s", path, err.text);
    return s;
}

static void assert_refused(const char *path, int code, const char *says)
{
    struct tg_signer *s;
    struct tg_error err = {0};
    int64_t live = 0;
    for (int i = 0; i < 2; i++) { /* what is found of a token the first time is kept */
        live = tg_alloc_stats().live;
        assert_int_equal(tg_signer_open(path, &s, &err), code);
        if (i == 0 && !strstr(err.text, says))
            fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    }
    assert_int_equal(tg_alloc_stats().live, live);
}

/* A certificate for the key in the token, by way of a request that the token signs. */
static void certify(const char *path, const char *name)
{
    struct tg_signer *s = signer_of(path);
    char memory[4096], root[128], key[128];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_error err = {0};
    if (tg_csr_write(s, name, &w, &err) < 0)
        fail_msg("%s", err.text);
    tg_signer_free(s);
    key_files_put("csr.pem", tg_bytes(w.data, w.len), 0600);
    net_peer_path(&peer, "root.pem", root);
    net_peer_path(&peer, "root.key", key);
    key_files_run(
        "openssl req -in csr.pem -verify -noout && printf 'extendedKeyUsage=clientAuth\\n' > ext && "
        "openssl x509 -req -in csr.pem -CA '%s' -CAkey '%s' -CAcreateserial -days 20 -extfile ext -out "
        "%s.pem && "
        "chmod 644 %s.pem",
        root, key, name, name);
}

static void test_signatures(void **state)
{
    static const char *const paths[] = {"token=site-7;object=meter%20ec", "token=site-7;id=%02;type=private",
                                        "token=site-7;object=big"};
    static const size_t sizes[] = {64, 256, 384};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct tg_signer *s = signer_of(uri(paths[i]));
        uint8_t sig[TG_SIGNATURE_MAX_BYTES];
        char pem[2048];
        size_t len;
        struct tg_error err = {0};
        struct tg_writer w = tg_writer_init(pem, sizeof pem);
        assert_true(tg_signer_is_slow(s));
        assert_int_equal(tg_signer_algorithm(s), i == 0 ? TG_SIGN_ES256 : TG_SIGN_RS256);
        assert_int_equal(tg_signer_public_pem(s, &w, &err), 0);
        key_files_put("pub.pem", tg_bytes(w.data, w.len), 0600);
        assert_int_equal(tg_signer_sign(s, tg_bytes_str("tide"), sig, &len, &err), 0);
        assert_int_equal(len, sizes[i]);
        if (i > 0) {
            key_files_put("sig", tg_bytes(sig, len), 0600);
            key_files_run("printf tide > m && openssl dgst -sha256 -verify pub.pem -signature sig m");
        }
        tg_signer_free(s);
    }
    certify(uri("token=site-7;id=%01"), "by-csr"); /* openssl verifies the EC signature */
}

static void test_jwt(void **state)
{
    struct tg_config_identity c = {.kind = TG_IDENTITY_JWT_KEY,
                                   .jwt_key = uri("token=site-7;object=meter%20ec")};
    struct tg_identity_info info;
    struct tg_identity id;
    struct tg_error err = {0};
    char token[1024];
    struct tg_writer w = tg_writer_init(token, sizeof token);
    (void)state;
    assert_int_equal(tg_identity_load(&c, &id, &err), 0);
    tg_identity_describe(&id, &info);
    assert_true(info.key_in_token);
    assert_int_equal(tg_jwt_write(&w, id.secret.signer, NULL, tg_bytes_str("{\"aud\":\"p\"}"), &err), 0);
    assert_int_equal(w.len, 36 + 1 + 15 + 1 + 86);
    tg_identity_free(&id);
}

/* --- TLS ------------------------------------------------------------------------------------- */

static bool exchange(const char *server, const struct tg_tls_credential *credential)
{
    struct tg_stream_options o = {
        .host = "hub.test", .port = net_peer_port(&peer, server), .tls = context, .credential = credential};
    struct net_client c = {0};
    bool ready = net_client_connect(&c, &loop, &o);
    if (ready) {
        assert_int_equal(tg_stream_write(c.stream, tg_bytes_str("hello")), 0);
        ready = net_client_until_bytes(&c, 5);
    }
    if (!ready)
        print_message("%s\n", c.err.text);
    net_client_close(&c, 0);
    return ready;
}

static void test_mutual_tls(void **state)
{
    static const char *const paths[] = {"token=site-7;object=meter%20ec", "token=site-7;object=meter-rsa"};
    static const char *const names[] = {"tls-ec", "tls-rsa"}, *const servers[] = {"client12", "client13"};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        certify(uri(paths[k]), names[k]);
        char certificate[32];
        snprintf(certificate, sizeof certificate, "%s.pem", names[k]);
        struct tg_config_identity c = {
            .kind = TG_IDENTITY_X509, .certificate = key_files_at(certificate), .key = uri(paths[k])};
        for (size_t i = 0; i < 2 * HANDSHAKES; i++) {
            struct tg_identity id;
            struct tg_identity_info info;
            struct tg_error err = {0};
            if (tg_identity_load(&c, &id, &err) < 0)
                fail_msg("%s", err.text);
            tg_identity_describe(&id, &info);
            assert_true(info.key_in_token);
            assert_true(info.not_after_s > 0);
            assert_true(exchange(servers[i % 2], id.credential));
            tg_identity_free(&id);
        }
    }
}

/* At every moment of a handshake, also while the token signs beside the loop: the owner may close, and what it lent goes. */
static void test_closed_in_the_handshake(void **state)
{
    static const char *const servers[] = {"client12", "client13"};
    struct tg_config_identity c = {.kind = TG_IDENTITY_X509,
                                   .certificate = key_files_at("tls-ec.pem"),
                                   .key = uri("token=site-7;object=meter%20ec")};
    (void)state;
    for (int turns = 0; turns < 40; turns++) {
        struct tg_identity id;
        struct tg_error err = {0};
        struct net_client client = {0};
        assert_int_equal(tg_identity_load(&c, &id, &err), TG_OK);
        struct tg_stream_options o = {.host = "hub.test",
                                      .port = net_peer_port(&peer, servers[turns % 2]),
                                      .tls = context,
                                      .credential = id.credential};
        net_client_open(&client, &loop, &o);
        for (int i = 0; i < turns / 2 && !client.ready; i++)
            (void)uv_run(&loop.uv, UV_RUN_ONCE);
        assert_int_equal(client.end, 0);
        tg_stream_close(client.stream, 0, NULL, NULL);
        tg_identity_free(&id);
        for (int i = 0; i < 3; i++)
            (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    struct tg_identity id;
    assert_int_equal(tg_identity_load(&c, &id, NULL), TG_OK);
    assert_true(exchange("client13", id.credential)); /* and all still works */
    tg_identity_free(&id);
}

static void test_key_of_another_certificate(void **state)
{
    static const char *const wrong[] = {"token=site-7;id=%04", "token=site-7;id=%02"};
    struct tg_config_identity c = {.kind = TG_IDENTITY_X509, .certificate = key_files_at("tls-ec.pem")};
    struct tg_identity id;
    struct tg_error err = {0};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        c.key = uri(wrong[i]);
        assert_int_equal(tg_identity_load(&c, &id, &err), TG_ECERT);
        assert_non_null(strstr(err.text, "does not belong to the certificate of \"tls-ec\""));
    }
    certify(uri("token=site-7;object=meter-rsa"), "r");
    c.certificate = key_files_at("r.pem");
    c.key = uri("token=site-7;object=meter%20ec");
    assert_int_equal(tg_identity_load(&c, &id, &err), TG_ECERT);
    certify(uri("token=site-7;object=big"), "b");
    c.certificate = key_files_at("b.pem");
    c.key = uri("token=site-7;object=big");
    assert_int_equal(tg_identity_load(&c, &id, &err), TG_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "RSA with 3072 bits"));
}

/* --- refusals -------------------------------------------------------------------------------- */

static void test_what_is_not_there(void **state)
{
    char text[512];
    (void)state;
    assert_refused(uri("token=site-8;object=k"), TG_EIO, "no PKCS#11 token \"site-8\" is there (there are ");
    assert_refused(uri("token=site-7;object=nobody"), TG_ENOTFOUND, "has no private key \"nobody\"");
    assert_refused(uri("token=site-7;id=%99%fe"), TG_ENOTFOUND, "has no private key %99%fe");
    assert_refused(uri("token=site-7;object=twice"), TG_EINVAL, "several private keys \"twice\": name id=");
    assert_refused(uri("token=a%20twin;object=k"), TG_EINVAL, "2 PKCS#11 tokens fit \"a twin\": add serial=");
    assert_refused(uri("token=site-7;object=p384"), TG_EUNSUPPORTED, "another curve than P-256");
    assert_refused("pkcs11:token=site-7;object=k?module-path=/nowhere/m.so", TG_EIO,
                   "/nowhere/m.so cannot be loaded");
    assert_refused("pkcs11:token=site-7;object=k?module-path=/lib/" MULTIARCH "/libm.so.6", TG_EINVAL,
                   "is no PKCS#11 module");
    assert_refused("pkcs11:object=k", TG_EINVAL, "names no token");
    snprintf(text, sizeof text, "pkcs11:token=guarded;object=k?module-path=" MODULE);
    assert_refused(text, TG_ENOTFOUND, "add pin-source=file:");
    snprintf(text, sizeof text,
             "pkcs11:token=guarded;object=k?module-path=" MODULE "&pin-source=file:/nowhere/pin");
    assert_refused(text, TG_ENOTFOUND, "PIN file: /nowhere/pin does not exist");
}

static unsigned logins(void)
{
    char count[16];
    key_files_run("grep -c C_Login spy.log > count || true");
    struct tg_bytes n = key_files_get("count", count, sizeof count);
    count[n.len] = '\0';
    return (unsigned)atoi(count);
}

/* The spy of opensc writes down each call to the module behind it. */
static void test_a_wrong_pin_is_presented_once(void **state)
{
    char text[1024];
    struct tg_signer *s;
    struct tg_error err = {0};
    (void)state;
    setenv("PKCS11SPY", MODULE, 1);
    setenv("PKCS11SPY_OUTPUT", key_files_at("spy.log"), 1);
    snprintf(text, sizeof text, "%s", uri("token=guarded;object=k"));
    char *module = strstr(text, MODULE), rest[512];
    snprintf(rest, sizeof rest, "%s", module + strlen(MODULE));
    snprintf(module, sizeof text - (size_t)(module - text), SPY "%s", rest);
    key_files_put("pin", tg_bytes_str("9999"), 0644);
    assert_refused(text, TG_EPERM, "chmod 600");
    assert_int_equal(logins(), 0);
    key_files_put("pin", tg_bytes_str("9999"), 0600);
    assert_refused(text, TG_EAUTH, "(CKR_PIN_INCORRECT); it is not tried again until the file holds another");
    assert_int_equal(logins(), 1);
    for (int i = 0; i < 3; i++)
        assert_refused(text, TG_EAUTH, "it is not tried again");
    key_files_put("pin", tg_bytes_str("9999\n"), 0600); /* written anew, but the same PIN */
    assert_refused(text, TG_EAUTH, "it is not tried again");
    assert_int_equal(logins(), 1);
    key_files_put("pin", tg_bytes_str("1234"), 0600);
    if (tg_signer_open(text, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(logins(), 2);
    tg_signer_free(s);
}

/* A token that was away: keys of before say so, and the next one works. */
static void test_a_lost_session(void **state)
{
    struct tg_signer *s = signer_of(uri("token=site-7;object=meter%20ec")), *again;
    uint8_t sig[TG_SIGNATURE_MAX_BYTES];
    size_t len;
    struct tg_error err = {0};
    CK_FUNCTION_LIST *f;
    CK_C_GetFunctionList get;
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;
    (void)state;
    void *module = dlopen(MODULE, RTLD_NOW);
    assert_non_null(module);
    void *symbol = dlsym(module, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get);
    assert_int_equal(get(&f), 0);
    assert_int_equal(f->C_GetSlotList(CK_TRUE, slots, &count), 0);
    for (CK_ULONG i = 0; i < count; i++)
        (void)f->C_CloseAllSessions(slots[i]);
    assert_int_equal(tg_signer_sign(s, tg_bytes_str("m"), sig, &len, &err), TG_EIO);
    assert_non_null(strstr(err.text, "does not sign: CKR_SESSION_HANDLE_INVALID"));
    assert_int_equal(tg_signer_sign(s, tg_bytes_str("m"), sig, &len, &err), TG_EIO);
    assert_non_null(strstr(err.text, "was away in between"));
    again = signer_of(uri("token=site-7;object=meter%20ec"));
    assert_int_equal(tg_signer_sign(again, tg_bytes_str("m"), sig, &len, &err), 0);
    assert_int_equal(tg_signer_sign(s, tg_bytes_str("m"), sig, &len, &err), TG_EIO);
    tg_signer_free(s);
    tg_signer_free(again);
    dlclose(module);
}

static void *sign_many(void *user)
{
    const char *path = user;
    for (int i = 0; i < 50; i++) {
        struct tg_pkcs11_key *key;
        struct tg_error err = {0};
        uint8_t digest[32] = {1}, sig[TG_PKCS11_SIGNATURE_MAX_BYTES];
        size_t len;
        if (tg_pkcs11_key_open(path, &key, &err) < 0 ||
            tg_pkcs11_sign(key, TG_PKCS11_ECDSA, tg_bytes(digest, sizeof digest), sig, &len, &err) < 0)
            return "failed";
        tg_pkcs11_key_unref(key);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    const char *path = uri("token=site-7;object=meter%20ec");
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, (void *)(uintptr_t)path), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_jwt),
        cmocka_unit_test(test_mutual_tls),
        cmocka_unit_test(test_closed_in_the_handshake),
        cmocka_unit_test(test_key_of_another_certificate),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_a_wrong_pin_is_presented_once),
        cmocka_unit_test(test_a_lost_session),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
