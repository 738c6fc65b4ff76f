/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tcp_segments.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

uint64_t tg_tcp_segments(int fd)
{
    struct tcp_info info = {0}; /* an older kernel fills less of it */
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return 0;
    return (uint64_t)info.tcpi_segs_out + info.tcpi_segs_in;
}
