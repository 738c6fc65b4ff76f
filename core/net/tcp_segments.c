/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel's own description of a connection: libc's header knows less of it, and the two cannot be read in one file.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/net/tcp_stream.h"

uint64_t tg_tcp_stream_segments(const struct tg_tcp_stream *s)
{
    struct tcp_info info = {0}; /* an older kernel fills less of it */
    socklen_t len = sizeof info;
    uv_os_fd_t fd;
    if (!s->open || uv_fileno((const uv_handle_t *)&s->handle, &fd) < 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return 0;
    return (uint64_t)info.tcpi_segs_out + info.tcpi_segs_in;
}
