/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"

/* systemd lets the service's user read a credential of root's by an access list, which stat() shows as the group's
 * read bit; the folder itself is closed to everybody else. */
static unsigned forbidden_bits(const char *path)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    size_t n = dir ? strlen(dir) : 0;
    return n > 1 && strncmp(path, dir, n) == 0 && path[n] == '/' && !strstr(path, "/../") ? 037 : 077;
}

static int check_mode(const char *path, const struct stat *st, enum tg_secret_kind kind, struct tg_error *err)
{
    unsigned mode = (unsigned)(st->st_mode & 07777);
    if (!S_ISREG(st->st_mode))
        return tg_error_set(err, TG_EPERM, "%s is not a regular file", path);
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return tg_error_set(err, TG_EPERM,
                            "%s belongs to user %u; it must belong to root or to the gateway's user (%u)",
                            path, (unsigned)st->st_uid, (unsigned)geteuid());
    if (kind == TG_SECRET_PRIVATE && (mode & forbidden_bits(path)))
        return tg_error_set(err, TG_EPERM,
                            "%s can be read or written by others (mode %04o); run: chmod 600 '%s'", path,
                            mode, path);
    if (mode & 022)
        return tg_error_set(err, TG_EPERM, "%s can be written by others (mode %04o); run: chmod go-w '%s'",
                            path, mode, path);
    return TG_OK;
}

static int open_checked(const char *path, enum tg_secret_kind kind, int *ret_fd, struct stat *st,
                        struct tg_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc;
    if (fd < 0 && errno == ENOENT)
        return tg_error_set(err, TG_ENOTFOUND, "%s does not exist", path);
    if (fd < 0 && errno == ELOOP)
        return tg_error_set(err, TG_EPERM, "%s is a symbolic link; name the file itself", path);
    if (fd < 0)
        return tg_error_set(err, tg_code_from_errno(errno), "%s cannot be opened: %s", path, strerror(errno));
    rc = fstat(fd, st) < 0 ? tg_error_set(err, TG_EIO, "%s: %s", path, strerror(errno))
                           : check_mode(path, st, kind, err);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return TG_OK;
}

int tg_secret_check(const char *path, enum tg_secret_kind kind, struct tg_error *err)
{
    struct stat st;
    int fd, rc = open_checked(path, kind, &fd, &st, err);
    if (rc == TG_OK)
        close(fd);
    return rc;
}

int tg_secret_read(const char *path, enum tg_secret_kind kind, struct tg_secret *ret_secret,
                   struct tg_error *err)
{
    struct tg_secret s = {0};
    struct stat st;
    size_t size;
    int fd, rc = open_checked(path, kind, &fd, &st, err);
    if (rc < 0)
        return rc;
    size = (size_t)st.st_size;
    if (size > TG_SECRET_MAX_BYTES) {
        rc = tg_error_set(err, TG_ETOOBIG, "%s has %zu bytes; at most %d are read", path, size,
                          TG_SECRET_MAX_BYTES);
        goto done;
    }
    s.data = tg_malloc(size + 1);
    if (!s.data) {
        rc = tg_error_set(err, TG_ENOMEM, "out of memory reading %s", path);
        goto done;
    }
    while (s.len < size) {
        ssize_t n = read(fd, s.data + s.len, size - s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = tg_error_set(err, TG_EIO, "%s cannot be read: %s", path, strerror(errno));
            tg_free_secret(s.data, size);
            goto done;
        }
        if (n == 0)
            break;
        s.len += (size_t)n;
    }
    s.data[s.len] = '\0';
    *ret_secret = s;
done:
    close(fd);
    return rc;
}

static int write_all(int fd, struct tg_bytes content)
{
    size_t done = 0;
    while (done < content.len) {
        ssize_t n = write(fd, content.data + done, content.len - done);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            done += (size_t)n;
    }
    return fsync(fd);
}

/* A key that a certificate is asked for must not be gone after a power cut: the folder is synced as well. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd); /* best effort: some file systems cannot, and the file is there */
    close(fd);
}

static int put_in_place(const char *from, const char *path, bool replace)
{
    if (replace)
        return rename(from, path);
    if (link(from, path) < 0) /* unlike rename() it never replaces */
        return -1;
    return unlink(from);
}

int tg_secret_write(const char *path, enum tg_secret_kind kind, struct tg_bytes content, bool replace,
                    struct tg_error *err)
{
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof beside, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof beside)
        return tg_error_set(err, TG_ETOOBIG, "%s: the path is too long", path);
    int fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return tg_error_set(err, tg_code_from_errno(errno), "%s cannot be written: %s", path,
                            strerror(errno));
    bool ok = (kind == TG_SECRET_PRIVATE || fchmod(fd, 0644) == 0) && write_all(fd, content) == 0;
    int problem = errno;
    close(fd);
    if (ok && put_in_place(beside, path, replace) == 0) {
        sync_folder(path);
        return TG_OK;
    }
    problem = ok ? errno : problem;
    unlink(beside);
    if (problem == EEXIST)
        return tg_error_set(err, TG_EEXISTS, "%s exists already", path);
    return tg_error_set(err, tg_code_from_errno(problem), "%s cannot be written: %s", path,
                        strerror(problem));
}

void tg_secret_trim(struct tg_secret *s)
{
    while (s->len > 0 && memchr(" \t\r\n", s->data[s->len - 1], 4))
        s->data[--s->len] = '\0';
}

void tg_secret_free(struct tg_secret *s)
{
    tg_free_secret(s->data, s->len);
    *s = (struct tg_secret){0};
}
