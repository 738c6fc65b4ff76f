/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX_BYTES (64 * 1024 * 1024) /* the status of 10,000 devices has some 5 MiB */

int tg_control_connect(struct tg_control_client *c, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    *c = (struct tg_control_client){.fd = -1, .in = tg_buffer_init(ANSWER_MAX_BYTES)};
    if (strlen(path) >= sizeof a.sun_path) {
        fprintf(stderr, "tidegate: the socket path %s is too long\n", path);
        return TG_ECONNECT;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        fprintf(stderr, "tidegate: cannot reach the running gateway at %s: %s%s\n", path, strerror(errno),
                errno == ENOENT || errno == ECONNREFUSED
                    ? "; is it running? (its path is in the file: try -c FILE or --socket PATH)"
                    : "");
        tg_control_disconnect(c);
        return TG_ECONNECT;
    }
    return TG_OK;
}

int tg_control_send(struct tg_control_client *c, const char *line)
{
    size_t len = strlen(line), done = 0;
    while (done < len) {
        ssize_t n = send(c->fd, line + done, len - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return TG_EEOF;
        done += (size_t)n;
    }
    return send(c->fd, "\n", 1, MSG_NOSIGNAL) == 1 ? TG_OK : TG_EEOF;
}

int tg_control_line(struct tg_control_client *c, int timeout_ms, char **ret_line)
{
    size_t looked = 0;
    tg_buffer_consume(&c->in, c->taken);
    c->taken = 0;
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        uint8_t *end = c->in.len > looked ? memchr(c->in.data + looked, '\n', c->in.len - looked) : NULL;
        ssize_t n;
        int rc;
        if (end) {
            *end = '\0';
            c->taken = (size_t)(end - c->in.data) + 1;
            *ret_line = (char *)c->in.data;
            return TG_OK;
        }
        looked = c->in.len;
        if (tg_buffer_reserve(&c->in, 65536) < 0)
            return TG_ETOOBIG;
        rc = poll(&p, 1, timeout_ms);
        if (rc == 0)
            return TG_ETIMEOUT;
        n = rc < 0 ? -1 : read(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len);
        if (n < 0 && errno == EINTR)
            return TG_ECANCELED;
        if (n <= 0)
            return TG_EEOF;
        c->in.len += (size_t)n;
    }
}

void tg_control_disconnect(struct tg_control_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    tg_buffer_fini(&c->in);
}
