/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who has a serial port; see serial_port.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <tidegate/plugin.h>
#include <unistd.h>

#include "southbound/serial_port.h"

#define LOCK_DIR "/var/lock"

/* The folder's LCK..NAME for the device behind fd, which a path such as /dev/serial/by-id/… hides: "/dev/ttyUSB0" is
 * LCK..ttyUSB0, "/dev/pts/5" LCK..pts_5. The descriptor knows it even when the device is gone ("… (deleted)"). */
static bool lock_path(int fd, const char *lock_dir, char *ret, size_t cap)
{
    char link[40], device[128];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, device, sizeof device - 1);
    if (n <= 5)
        return false;
    device[n] = 0;
    device[strcspn(device, " ")] = 0;
    if (strncmp(device, "/dev/", 5) != 0)
        return false;
    for (char *c = device + 5; *c; c++)
        if (*c == '/')
            *c = '_';
    return (size_t)snprintf(ret, cap, "%s/LCK..%s", lock_dir, device + 5) < cap;
}

/* The process that a lock file names, as text or as four bytes; 0 = none. */
static pid_t owner_of(const char *path)
{
    char text[32] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), binary = 0;
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n == (ssize_t)sizeof binary) {
        memcpy(&binary, text, sizeof binary);
        if (binary > 0 && text[0] != ' ' && (text[0] < '0' || text[0] > '9'))
            return binary;
    }
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

static bool alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

/* Not being able to write the file is no error: the folder is root's on many systems, and flock holds anyway. */
static void write_lock(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return;
    if (dprintf(fd, "%10ld\n", (long)getpid()) < 0)
        (void)unlink(path);
    close(fd);
}

int tg_serial_claim_in(int fd, const char *path, const char *lock_dir, char *error, size_t error_size)
{
    char lock[PATH_MAX];
    if (!isatty(fd)) {
        snprintf(error, error_size, "%s is no serial port", path);
        return TG_PLUGIN_EIO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        snprintf(error, error_size,
                 "%s is in use by another program or source (ModemManager? a udev rule with "
                 "ENV{ID_MM_PORT_IGNORE}=\"1\" keeps it off)",
                 path);
        return TG_PLUGIN_EIO;
    }
    if (lock_path(fd, lock_dir, lock, sizeof lock)) {
        pid_t owner = owner_of(lock);
        if (owner > 0 && owner != getpid() && alive(owner)) {
            (void)flock(fd, LOCK_UN);
            snprintf(error, error_size, "%s is in use by another program: process %ld, by its lock file %s",
                     path, (long)owner, lock);
            return TG_PLUGIN_EIO;
        }
        if (owner > 0)
            (void)unlink(lock); /* its process is gone */
        write_lock(lock);
    }
    (void)ioctl(fd, TIOCEXCL); /* a courtesy to programs that do not lock; flock is what decides */
    return TG_PLUGIN_OK;
}

int tg_serial_claim(int fd, const char *path, char *error, size_t error_size)
{
    return tg_serial_claim_in(fd, path, LOCK_DIR, error, error_size);
}

void tg_serial_release_in(int fd, const char *lock_dir)
{
    char lock[PATH_MAX];
    (void)ioctl(fd, TIOCNXCL); /* else it would last as long as anyone has the port open */
    if (lock_path(fd, lock_dir, lock, sizeof lock) && owner_of(lock) == getpid())
        (void)unlink(lock);
    (void)flock(fd, LOCK_UN);
}

void tg_serial_release(int fd)
{
    tg_serial_release_in(fd, LOCK_DIR);
}

int tg_serial_latency_ms(const char *path, const char *sys_dir)
{
    char device[PATH_MAX], file[PATH_MAX + 64], text[16] = {0};
    if (!realpath(path, device))
        return -1;
    const char *name = strrchr(device, '/');
    snprintf(file, sizeof file, "%s%s/latency_timer", sys_dir, name ? name : device);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    long ms = n > 0 ? strtol(text, NULL, 10) : -1;
    return ms >= 0 && ms <= 255 ? (int)ms : -1;
}
