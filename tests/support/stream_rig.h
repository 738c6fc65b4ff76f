/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The loop of a stream's unit tests: one for each test, without a handle or a block left at its end. For one file a program; include
 * it after cmocka.h.
 */
#ifndef TG_TEST_STREAM_RIG_H
#define TG_TEST_STREAM_RIG_H

#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/net/tcp_connect.h"
#include "support/net_client.h"
#include "support/net_peer.h"

static struct tg_loop loop;
static int64_t live_before;

static int set_up(void **state)
{
    struct tg_error err = {0};
    (void)state;
    live_before = tg_alloc_stats().live;
    return tg_loop_init(&loop, &err);
}

static int tear_down(void **state)
{
    (void)state;
    tg_loop_fini(&loop); /* asserts that no handle is left */
    tg_tcp_connect_set_resolver(NULL);
    assert_int_equal(tg_alloc_stats().live, live_before);
    return 0;
}

static struct tg_stream_options to_port(uint16_t port)
{
    struct tg_stream_options o = {.host = "127.0.0.1", .port = port};
    return o;
}

/* A peer that sends back what it gets, until the client has closed. */
static void echo(int fd, void *user)
{
    char buffer[16384];
    ssize_t n;
    (void)user;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        net_send_all(fd, buffer, (size_t)n);
    close(fd);
}

#endif
