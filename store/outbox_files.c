/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The files beside the database: the lock, the ballast, the high-water marks, and the damaged databases that
 * were set aside. The database file itself is never opened here: closing a descriptor of it would drop
 * SQLite's locks.
 */
#include "store/outbox_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOCK_FILE    "outbox.lock"
#define HIGH_FILE    "outbox.high"
#define SUSPECT_FILE "outbox.suspect"
#define BEYOND_FILE  "outbox.beyond"
#define BALLAST_FILE "outbox.ballast"
#define ASIDE_PREFIX TG_OUTBOX_FILE ".corrupt-"
#define ASIDE_KEEP   3

static const char *const companions[] = {"", "-wal", "-shm"};

static void path_of(const struct tg_outbox *ob, const char *name, char ret_path[PATH_MAX])
{
    snprintf(ret_path, PATH_MAX, "%s/%s", ob->dir, name);
}

/* So that the names in it are on the disk. */
static void sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

void tg_outbox_sync_dir(const struct tg_outbox *ob)
{
    sync_folder(ob->dir);
}

/* --- lock ------------------------------------------------------------------------------------------ */

/* Whose the file is, or the folder when that is closed. */
static void tell_owner(const char *dir, const char *path, char ret_text[96])
{
    struct stat st;
    bool file = lstat(path, &st) == 0;
    if (file || stat(dir, &st) == 0)
        snprintf(ret_text, 96, " (%s user %ld's, the gateway runs as user %ld: chown it)",
                 file ? "it is" : "its folder is", (long)st.st_uid, (long)geteuid());
}

int tg_outbox_lock(struct tg_outbox *ob, struct tg_error *err)
{
    char path[PATH_MAX], text[32] = "";
    path_of(ob, LOCK_FILE, path);
    ob->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ob->lock_fd < 0) {
        char whose[96] = "";
        int refused = errno;
        if (refused == EACCES)
            tell_owner(ob->dir, path, whose);
        return tg_error_set(err, refused == EROFS ? TG_EPERM : tg_code_from_errno(refused),
                            "%s cannot be opened: %s%s; the outbox was not touched", path, strerror(refused),
                            whose);
    }
    if (flock(ob->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(ob->lock_fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        close(ob->lock_fd);
        ob->lock_fd = -1;
        return tg_error_set(
            err, TG_EBUSY,
            "the outbox in %s is in use by process %s; a second writer is refused and changed nothing",
            ob->dir, text[0] ? text : "(unknown)");
    }
    snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* The number is only for the message above: a full disk may leave it out. */
    if (ftruncate(ob->lock_fd, 0) != 0 || pwrite(ob->lock_fd, text, strlen(text), 0) < 0)
        return TG_OK;
    return TG_OK;
}

bool tg_outbox_may_write(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" LOCK_FILE, dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void tg_outbox_unlock(struct tg_outbox *ob)
{
    if (ob->lock_fd >= 0)
        close(ob->lock_fd);
    if (ob->high_fd >= 0)
        close(ob->high_fd);
    ob->lock_fd = ob->high_fd = -1;
}

/* --- high-water marks ------------------------------------------------------------------------------- */

/* Two slots of 40 bytes in sectors of their own, written in turn: a torn write leaves the other one.
 *     "TGHIGH1\n", serial, seq, id, FNV-1a of the 32 bytes before; all little endian. */
#define HIGH_SLOT_BYTES  40
#define HIGH_SLOT_STRIDE 4096
#define HIGH_BLOCK       (UINT64_C(1) << 20)
static const char high_magic[8] = "TGHIGH1\n";

static uint64_t fnv1a(const uint8_t *p, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static void put_le64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

struct high {
    uint64_t *serial, *seq, *id;
    bool *found;
};

/* The newer of the two slots that are whole. */
static void high_read(int fd, const struct high *h)
{
    uint8_t slot[HIGH_SLOT_BYTES];
    for (int i = 0; i < 2; i++) {
        if (pread(fd, slot, sizeof slot, (off_t)i * HIGH_SLOT_STRIDE) != (ssize_t)sizeof slot ||
            memcmp(slot, high_magic, 8) != 0 || get_le64(slot + 32) != fnv1a(slot, 32) ||
            (*h->found && get_le64(slot + 8) < *h->serial))
            continue;
        *h->serial = get_le64(slot + 8);
        *h->seq = get_le64(slot + 16);
        *h->id = get_le64(slot + 24);
        *h->found = true;
    }
}

int tg_outbox_high_load(struct tg_outbox *ob, bool *ret_found, struct tg_error *err)
{
    char path[PATH_MAX];
    path_of(ob, HIGH_FILE, path);
    *ret_found = false;
    ob->high_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ob->high_fd < 0 && (errno == EACCES || errno == ELOOP || errno == EISDIR)) {
        /* Somebody else's: what it says cannot be read; a fresh one takes its place. */
        (void)remove(path);
        ob->high_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (ob->high_fd < 0)
        return tg_error_set(err, tg_code_from_errno(errno), "%s cannot be opened: %s", path, strerror(errno));
    high_read(ob->high_fd, &(struct high){&ob->high_serial, &ob->high_seq, &ob->high_id, ret_found});
    return TG_OK;
}

bool tg_outbox_numbers(const char *dir, uint64_t *ret_seq, uint64_t *ret_id)
{
    char path[PATH_MAX];
    uint64_t serial = 0;
    bool found = false;
    snprintf(path, sizeof path, "%s/" HIGH_FILE, dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    high_read(fd, &(struct high){&serial, ret_seq, ret_id, &found});
    close(fd);
    return found;
}

void tg_outbox_high_reserve(struct tg_outbox *ob, uint64_t seq, uint64_t id)
{
    uint8_t slot[HIGH_SLOT_BYTES];
    uint64_t want_seq = ob->high_seq, want_id = ob->high_id;
    if (seq + HIGH_BLOCK / 2 <= want_seq && id + HIGH_BLOCK / 2 <= want_id)
        return;
    if (seq + HIGH_BLOCK > want_seq)
        want_seq = seq + HIGH_BLOCK;
    if (id + HIGH_BLOCK > want_id)
        want_id = id + HIGH_BLOCK;
    memcpy(slot, high_magic, 8);
    put_le64(slot + 8, ob->high_serial + 1);
    put_le64(slot + 16, want_seq);
    put_le64(slot + 24, want_id);
    put_le64(slot + 32, fnv1a(slot, 32));
    /* A failure is not the sample's: the database holds the marks too, and the next reservation tries again.
     */
    if (pwrite(ob->high_fd, slot, sizeof slot, (off_t)((ob->high_serial + 1) % 2) * HIGH_SLOT_STRIDE) !=
            (ssize_t)sizeof slot ||
        fdatasync(ob->high_fd) != 0)
        return;
    tg_written_add(ob->written, HIGH_SLOT_STRIDE); /* the block that it is in */
    ob->high_serial++;
    ob->high_seq = want_seq;
    ob->high_id = want_id;
}

/* --- set aside ---------------------------------------------------------------------------------------- */

/* The numbers of the databases that lie aside: the highest, and the one to delete so that ASIDE_KEEP stay. */
static unsigned long newest_aside(const struct tg_outbox *ob)
{
    unsigned long newest = 0;
    struct dirent *e;
    DIR *dir = opendir(ob->dir);
    if (!dir)
        return 0;
    while ((e = readdir(dir)) != NULL) {
        char *end;
        if (strncmp(e->d_name, ASIDE_PREFIX, strlen(ASIDE_PREFIX)) != 0)
            continue;
        unsigned long n = strtoul(e->d_name + strlen(ASIDE_PREFIX), &end, 10);
        if (n > newest && n < UINT_MAX && (*end == '\0' || *end == '-'))
            newest = n;
    }
    closedir(dir);
    return newest;
}

static void delete_old_aside(const struct tg_outbox *ob, unsigned long newest)
{
    struct dirent *e;
    DIR *dir = opendir(ob->dir);
    if (!dir)
        return;
    while ((e = readdir(dir)) != NULL) {
        if (strncmp(e->d_name, ASIDE_PREFIX, strlen(ASIDE_PREFIX)) == 0 &&
            strtoul(e->d_name + strlen(ASIDE_PREFIX), NULL, 10) + ASIDE_KEEP <= newest)
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
}

static int rename_companion(const struct tg_outbox *ob, const char *suffix, unsigned long n, bool replace)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct stat st;
    snprintf(from, sizeof from, "%s%s", ob->path, suffix);
    snprintf(to, sizeof to, "%s/" ASIDE_PREFIX "%lu%s", ob->dir, n, suffix);
    if (!replace && lstat(to, &st) == 0)
        return -1;
    return rename(from, to);
}

int tg_outbox_set_aside(struct tg_outbox *ob, char ret_name[256], struct tg_error *err)
{
    unsigned long n = newest_aside(ob) + 1;
    /* The database first: without it a stale -wal is recognised (tg_outbox_finish_set_aside); a database
     * without its -wal would look whole and old. */
    if (rename_companion(ob, companions[0], n, true) != 0)
        return tg_error_set(err, errno == EROFS || errno == EACCES ? TG_EPERM : tg_code_from_errno(errno),
                            "the unusable %s cannot be renamed: %s; it stays as it is", ob->path,
                            strerror(errno));
    for (size_t i = 1; i < sizeof companions / sizeof companions[0]; i++)
        (void)rename_companion(ob, companions[i], n, true);
    tg_outbox_sync_dir(ob);
    delete_old_aside(ob, n);
    snprintf(ret_name, 256, ASIDE_PREFIX "%lu", n);
    return TG_OK;
}

void tg_outbox_finish_set_aside(struct tg_outbox *ob)
{
    struct stat st;
    unsigned long n = newest_aside(ob);
    if (n == 0 || lstat(ob->path, &st) == 0 || errno != ENOENT)
        return;
    for (size_t i = 1; i < sizeof companions / sizeof companions[0]; i++)
        (void)rename_companion(ob, companions[i], n, false);
}

bool tg_outbox_unusable(const struct tg_outbox *ob)
{
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        char path[PATH_MAX];
        struct stat st;
        snprintf(path, sizeof path, "%s%s", ob->path, companions[i]);
        if (lstat(path, &st) != 0)
            continue;
        if (!S_ISREG(st.st_mode) || (access(path, R_OK | W_OK) != 0 && errno == EACCES))
            return true;
    }
    return false;
}

/* --- suspicion ------------------------------------------------------------------------------------------ */

void tg_outbox_suspect(struct tg_outbox *ob)
{
    char path[PATH_MAX];
    if (ob->o.read_only)
        return;
    path_of(ob, SUSPECT_FILE, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        close(fd);
}

void tg_outbox_mark_beyond(const char *dir, bool beyond)
{
    char path[PATH_MAX];
    int fd;
    snprintf(path, sizeof path, "%s/%s", dir, BEYOND_FILE);
    if (!beyond) {
        (void)unlink(path);
        return;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
    sync_folder(dir);
}

bool tg_outbox_is_beyond(const struct tg_outbox *ob)
{
    char path[PATH_MAX];
    struct stat st;
    path_of(ob, BEYOND_FILE, path);
    return lstat(path, &st) == 0;
}

bool tg_outbox_is_suspect(const struct tg_outbox *ob)
{
    char path[PATH_MAX];
    struct stat st;
    path_of(ob, SUSPECT_FILE, path);
    return lstat(path, &st) == 0;
}

void tg_outbox_unsuspect(struct tg_outbox *ob)
{
    char path[PATH_MAX];
    path_of(ob, SUSPECT_FILE, path);
    (void)unlink(path);
}

/* --- space ------------------------------------------------------------------------------------------------
 */

int64_t tg_outbox_disk_free(const struct tg_outbox *ob)
{
    struct statvfs v;
    return statvfs(ob->dir, &v) == 0 ? (int64_t)v.f_bavail * (int64_t)v.f_frsize : 0;
}

int64_t tg_outbox_disk_size(const struct tg_outbox *ob)
{
    struct statvfs v;
    return statvfs(ob->dir, &v) == 0 ? (int64_t)v.f_blocks * (int64_t)v.f_frsize : 0;
}

static int64_t bytes_of(const struct tg_outbox *ob, const char *suffix)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", ob->path, suffix);
    return lstat(path, &st) == 0 ? st.st_size : 0;
}

int64_t tg_outbox_wal_bytes(const struct tg_outbox *ob)
{
    return bytes_of(ob, "-wal");
}

int64_t tg_outbox_database_bytes(const struct tg_outbox *ob)
{
    return bytes_of(ob, "");
}

/* Twice the write-ahead log: one for a checkpoint that makes the database grow, one for the log itself. */
bool tg_outbox_ballast_make(struct tg_outbox *ob)
{
    char path[PATH_MAX];
    struct stat st;
    off_t want = (off_t)(2 * ob->wal_limit);
    path_of(ob, BALLAST_FILE, path);
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= want)
        return true;
    /* Never takes the last space: that is what it is there to give back. */
    if (tg_outbox_disk_free(ob) < 2 * (int64_t)want)
        return false;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    int rc = posix_fallocate(fd, 0, want);
    close(fd);
    if (rc != 0)
        (void)unlink(path);
    return rc == 0;
}

bool tg_outbox_ballast_is_there(const struct tg_outbox *ob)
{
    char path[PATH_MAX];
    path_of(ob, BALLAST_FILE, path);
    return access(path, F_OK) == 0;
}

bool tg_outbox_ballast_drop(struct tg_outbox *ob)
{
    char path[PATH_MAX];
    path_of(ob, BALLAST_FILE, path);
    return unlink(path) == 0;
}
