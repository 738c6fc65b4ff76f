/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modem_lines - LD_PRELOAD: a pty has no DTR, so what a program does to that line is written to $MODEM_LINES instead: "+" raised,
 * "-" dropped.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...);
int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, ...);
    const char *path = getenv("MODEM_LINES");
    va_list ap;
    void *arg;
    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "ioctl");
    if (path && arg && (request == TIOCMBIS || request == TIOCMBIC) && (*(int *)arg & TIOCM_DTR)) {
        int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log < 0 || write(log, request == TIOCMBIS ? "+" : "-", 1) != 1)
            abort();
        close(log);
        return 0;
    }
    return real(fd, request, arg);
}
