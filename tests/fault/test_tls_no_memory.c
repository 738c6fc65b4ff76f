/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every allocation of a TLS connection fails in turn, ours and wolfSSL's (whose allocators are ours): loading
 * the roots and a client certificate, connect, handshake, data, close. Each time there is an error with text
 * or a success, never a crash or a leak. Where a sanitizer watches, wolfSSL allocates for itself and only
 * ours fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/net/stream.h"
#include "core/net/tls_memory.h"
#include "support/net_client.h"
#include "support/net_peer.h"

static struct net_peer peer;
static struct tg_loop loop;
static char *certificate, *key;

static int group_set_up(void **state)
{
    struct tg_error err = {0};
    (void)state;
    net_peer_start(&peer, "tls_server.py");
    certificate = net_peer_file(&peer, "client.pem");
    key = net_peer_file(&peer, "client.key");
    return tg_tls_global_init(&err) < 0 || tg_loop_init(&loop, &err) < 0 ? -1 : 0;
}

static int group_tear_down(void **state)
{
    (void)state;
    tg_loop_fini(&loop);
    tg_tls_global_fini();
    net_peer_stop(&peer);
    free(certificate);
    free(key);
    return tg_alloc_stats().live == 0 ? 0 : -1;
}

/* wolfSSL keeps tables of curve points between handshakes: made here, so that the sweep need not make them
 * again for each allocation. */
static int64_t warm_up(void (*what)(void *user, bool may_fail), void *user)
{
    for (int i = 0; i < 3; i++)
        what(user, false);
    return tg_alloc_stats().live;
}

/* Does `what` with the nth allocation failing, for n = 1 … until none failed; once, then for good. */
static void sweep(void (*what)(void *user, bool may_fail), void *user)
{
    tg_tls_trim();
    int64_t bare = tg_alloc_stats().live, warm = warm_up(what, user);
    for (int forever = 0; forever <= 1; forever++) {
        bool clean = false;
        for (uint64_t nth = 1; !clean; nth++) {
            uint64_t calls = tg_alloc_stats().calls;
            tg_alloc_fail_at(nth, forever);
            what(user, true);
            clean = tg_alloc_stats().calls - calls < nth;
            tg_alloc_fail_at(0, 0);
            if (tg_alloc_stats().live == warm && tg_tls_memory_stats().reserve_blocks == 0)
                continue;
            tg_tls_trim(); /* the tables may have grown, or be in the reserve */
            assert_int_equal(tg_tls_memory_stats().reserve_blocks, 0);
            if (tg_alloc_stats().live != bare)
                fail_msg("allocation %llu%s: %lld blocks leaked", (unsigned long long)nth,
                         forever ? " and all after" : "", (long long)(tg_alloc_stats().live - bare));
            warm = warm_up(what, user);
        }
    }
}

static void no_success_unless(bool may_fail, int rc, const struct tg_error *err)
{
    if (rc == TG_OK)
        return;
    assert_true(may_fail);
    assert_true(err->code == rc && err->text[0] != '\0');
}

static void load_roots(void *user, bool may_fail)
{
    char ca[128];
    struct tg_tls_context *ctx = NULL;
    struct tg_error err = {0};
    (void)user;
    net_peer_path(&peer, "root.pem", ca);
    struct tg_tls_options o = {.ca_file = ca};
    no_success_unless(may_fail, tg_tls_context_new(&o, &ctx, &err), &err);
    tg_tls_context_free(ctx);
}

static void load_credential(void *user, bool may_fail)
{
    struct tg_tls_credential *c = NULL;
    struct tg_error err = {0};
    (void)user;
    no_success_unless(may_fail, tg_tls_credential_new(tg_bytes_str(certificate), tg_bytes_str(key), &c, &err),
                      &err);
    tg_tls_credential_free(c);
}

static void exchange(void *user, bool may_fail)
{
    static struct net_client c;
    const struct tg_stream_options *o = user;
    struct tg_error err = {0};
    memset(&c, 0, sizeof c);
    int rc = net_client_try_open(&c, &loop, o, &err);
    no_success_unless(may_fail, rc, &err);
    if (rc < 0)
        return;
    if (net_client_until(&c, NET_READY) && tg_stream_write(c.stream, tg_bytes("hello", 5)) == TG_OK)
        net_client_until_bytes(&c, 5);
    else if (!c.end)
        net_client_until(&c, NET_END);
    assert_true(c.bytes == 5 || (may_fail && c.end == 1));
    net_client_close(&c, 0);
    if (o->ticket)
        tg_tls_ticket_fini(o->ticket);
}

static void loading_roots_survives(void **state)
{
    (void)state;
    sweep(load_roots, NULL);
}

static void loading_a_credential_survives(void **state)
{
    (void)state;
    sweep(load_credential, NULL);
}

static void exchange_survives(const char *server, bool tls12_only)
{
    char ca[128];
    struct tg_error err = {0};
    struct tg_tls_ticket ticket = {0};
    struct tg_tls_credential *credential = NULL;
    struct tg_stream_options o = {.host = "127.0.0.1",
                                  .port = net_peer_port(&peer, server),
                                  .ticket = &ticket,
                                  .connect_timeout_ms = 5000};
    net_peer_path(&peer, "root.pem", ca);
    struct tg_tls_options to = {.ca_file = ca, .tls12_only = tls12_only};
    assert_int_equal(tg_tls_context_new(&to, &o.tls, &err), TG_OK);
    assert_int_equal(tg_tls_credential_new(tg_bytes_str(certificate), tg_bytes_str(key), &credential, &err),
                     TG_OK);
    o.credential = credential;
    sweep(exchange, &o);
    tg_tls_credential_free(credential);
    tg_tls_context_free(o.tls);
}

static void a_tls_1_2_exchange_survives(void **state)
{
    (void)state;
    exchange_survives("client12", true);
}

static void a_tls_1_3_exchange_survives(void **state)
{
    (void)state;
    exchange_survives("client13", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_roots_survives),
        cmocka_unit_test(loading_a_credential_survives),
        cmocka_unit_test(a_tls_1_2_exchange_survives),
        cmocka_unit_test(a_tls_1_3_exchange_survives),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
