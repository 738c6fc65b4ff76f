/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_BYTES 512

bool tg_notify(const char *fmt, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    char text[TEXT_BYTES];
    va_list ap;
    ssize_t sent;
    int fd, n;
    if ((len < 2 || len >= sizeof to.sun_path) || (path[0] != '/' && path[0] != '@'))
        return false;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') /* in the abstract namespace */
        to.sun_path[0] = '\0';
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n <= 0 || (size_t)n >= sizeof text)
        return false;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    sent = sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
    return sent == n;
}

uint64_t tg_notify_watchdog_us(void)
{
    const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    char *end;
    unsigned long long us = interval ? strtoull(interval, &end, 10) : 0;
    if (!interval || *end || interval[0] == '-' || us == 0 || us == UINT64_MAX)
        return 0;
    if (pid && strtoull(pid, &end, 10) != (unsigned long long)getpid())
        return 0; /* meant for another process of the service */
    return us;
}
