/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a client may write to the control socket, through a real one: the first byte says in which pieces, the
 * rest is written, then the sending side is closed. The gateway answers each line with a line of JSON and
 * closes; nothing may hang.
 */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "support/control_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tg_gateway g;
static char answers[1 << 20];
static size_t answers_len;

static void answer(const struct tg_fake_request *q)
{
    tg_router_answer(g.router, q->request, TG_PLUGIN_OK, NULL);
}

static void end(void)
{
    tg_control_rig_end(&g);
}

static void begin(void)
{
    tg_log_configure(TG_LOG_ERROR, TG_LOG_TEXT);
    tg_control_rig_begin(&g);
    if (tg_control_rig_open(&g, NULL) < 0)
        abort();
    g.source.at_once = answer;
    atexit(end);
}

/* Reads what is there; false at the end. */
static bool listen_to(int fd)
{
    ssize_t n;
    while ((n = recv(fd, answers + answers_len, sizeof answers - answers_len, MSG_DONTWAIT)) > 0) {
        answers_len += (size_t)n;
        TG_ASSERT(answers_len < sizeof answers);
    }
    return n < 0 && errno == EAGAIN;
}

static void check_answers(void)
{
    char *line = answers, *stop = answers + answers_len, *newline;
    for (; line < stop && (newline = memchr(line, '\n', (size_t)(stop - line))) != NULL; line = newline + 1) {
        json_t *j = json_loadb(line, (size_t)(newline - line), 0, NULL);
        TG_ASSERT(json_is_object(j));
        json_decref(j);
    }
    TG_ASSERT(line == stop); /* no half lines */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t piece, lines = 0;
    bool open = true;
    int fd;
    if (size < 1 || size > 100000)
        return 0;
    for (size_t i = 1; i < size; i++)
        lines += data[i] == '\n';
    if (lines > 2000)
        return 0; /* who asks so much and reads late may be closed */
    if (!g.control)
        begin();
    g.source.count = 0;
    answers_len = 0;
    piece = data[0] ? (size_t)data[0] * 16 : size;
    memcpy(a.sun_path, g.path, strlen(g.path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0)
        abort();
    for (size_t at = 1; at < size && open; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (send(fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
            break; /* it was closed for a line that is too long */
        tg_control_rig_turn(&g);
        open = listen_to(fd);
        if (g.source.count > TG_FAKE_MAX_REQUESTS / 2)
            g.source.count = 0;
    }
    shutdown(fd, SHUT_WR);
    while (open) { /* a `tail` ends with its client's sending side, everybody else when there is nothing left
                      to say */
        tg_control_rig_turn(&g);
        open = listen_to(fd);
    }
    close(fd);
    check_answers();
    return 0;
}
