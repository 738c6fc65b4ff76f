/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tcp_segments - what the kernel has counted of a connection. Apart from tcp_stream because linux/tcp.h, which knows of it, and
 * libc's header, which libuv includes, cannot be read in one file.
 */
#ifndef TG_NET_TCP_SEGMENTS_H
#define TG_NET_TCP_SEGMENTS_H

#include <stdint.h>

/* Segments sent and received so far; 0 when the kernel does not say. A system call. */
uint64_t tg_tcp_segments(int fd);

#endif
