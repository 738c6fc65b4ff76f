/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tcp_connect - from "host:port" to a connected socket: name resolution in libuv's thread pool, then each
 * address in turn, all within one time limit.
 *
 * An address that is silent gets its share of what is left (time left / addresses left), so that a dead IPv6
 * route does not eat the time of a working IPv4 one. A numeric host is not looked up. Sockets are
 * non-blocking, close-on-exec, TCP_NODELAY, and moved to descriptors ≥ TG_TCP_LOWEST_FD (RLIMIT_NOFILE
 * permitting): libmodbus aborts on descriptors ≥ 1024, so the low ones are left to it.
 *
 * One object per attempt; loop thread. It frees itself after `done`, or after tg_tcp_connect_cancel(). A
 * lookup that is under way cannot be stopped: its result is dropped, and tg_loop_fini() waits for it.
 */
#ifndef TG_NET_TCP_CONNECT_H
#define TG_NET_TCP_CONNECT_H

#include "core/net/loop.h"

#define TG_TCP_LOWEST_FD     1024
#define TG_TCP_MAX_ADDRESSES 16
#define TG_TCP_USER_TIMEOUT_MS                                                                               \
    60000 /* sent data unacknowledged for so long ends the connection (TCP_USER_TIMEOUT) */

struct tg_tcp_connect;

/* On success fd is given and err NULL; else fd is -1 and err says which host, port, addresses: TG_EDNS,
 * TG_ECONNECT, TG_ETIMEOUT, TG_ENOMEM, TG_EIO. Never called from inside tg_tcp_connect_start(). */
typedef void (*tg_tcp_connect_fn)(void *user, int fd, const struct tg_error *err);

/* `host` is copied. TG_ENOMEM. */
int tg_tcp_connect_start(struct tg_loop *loop, const char *host, uint16_t port, uint32_t timeout_ms,
                         tg_tcp_connect_fn done, void *user, struct tg_tcp_connect **ret_connect) TG_CHECKED;
/* `done` will not be called. */
void tg_tcp_connect_cancel(struct tg_tcp_connect *c);

/* Another limit than TG_TCP_USER_TIMEOUT_MS for a connected socket. */
void tg_tcp_set_user_timeout(int fd, uint32_t timeout_ms);

/* Tests only: instead of the system's resolver, this answers (on the loop thread, for names only). */
typedef size_t (*tg_tcp_resolver_fn)(const char *host, struct sockaddr_storage *ret_addresses, size_t cap);
void tg_tcp_connect_set_resolver(tg_tcp_resolver_fn resolver);

#endif
