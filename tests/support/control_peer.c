/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/control_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct tg_gateway *tg_peer_gateway;

struct sockaddr_un tg_peer_address(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    assert_true(strlen(tg_peer_gateway->path) < sizeof a.sun_path);
    memcpy(a.sun_path, tg_peer_gateway->path, strlen(tg_peer_gateway->path) + 1);
    return a;
}

struct tg_peer *tg_peer_new(void)
{
    struct sockaddr_un a = tg_peer_address();
    struct tg_peer *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(p->fd >= 0);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&a, sizeof a), 0);
    return p;
}

void tg_peer_free(struct tg_peer *p)
{
    close(p->fd);
    free(p);
}

void tg_peer_say_bytes(struct tg_peer *p, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            tg_control_rig_turn(tg_peer_gateway);
            continue;
        }
        if (n < 0)
            return; /* it has been closed: the test looks at what it reads */
        data += n;
        len -= (size_t)n;
    }
}

void tg_peer_say(struct tg_peer *p, const char *line)
{
    tg_peer_say_bytes(p, line, strlen(line));
    tg_peer_say_bytes(p, "\n", 1);
}

bool tg_peer_read_some(struct tg_peer *p)
{
    ssize_t n;
    if (p->pos) {
        memmove(p->in, p->in + p->pos, p->len - p->pos);
        p->len -= p->pos;
        p->pos = 0;
    }
    n = recv(p->fd, p->in + p->len, sizeof p->in - p->len, 0);
    if (n > 0) {
        p->len += (size_t)n;
        return true;
    }
    if (n == 0 || errno != EAGAIN)
        p->ended = true;
    return false;
}

/* A line that is here already, else NULL. */
const char *tg_peer_take_line(struct tg_peer *p)
{
    char *from = p->in + p->pos, *end = memchr(from, '\n', p->len - p->pos);
    size_t n = end ? (size_t)(end - from) : 0;
    if (!end)
        return NULL;
    memcpy(p->line, from, n);
    p->line[n] = '\0';
    p->pos += n + 1;
    return p->line;
}

/* The next line, NULL when the gateway has closed. */
const char *tg_peer_hear(struct tg_peer *p)
{
    for (;;) {
        const char *line = tg_peer_take_line(p);
        if (line)
            return line;
        if (p->ended)
            return NULL;
        if (!tg_peer_read_some(p))
            tg_control_rig_turn(tg_peer_gateway);
    }
}

const char *tg_peer_ask(struct tg_peer *p, const char *line)
{
    tg_peer_say(p, line);
    return tg_peer_hear(p);
}

void tg_peer_assert_says(const char *line, const char *part)
{
    json_t *j;
    assert_non_null(line);
    j = json_loads(line, 0, NULL);
    if (!j || !strstr(line, part))
        fail_msg("%s does not say %s", line, part);
    json_decref(j);
}
