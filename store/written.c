/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/written.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "core/base/allocator.h"
#include "store/pass_file.h"

struct tg_written {
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
    char name[40];
    atomic_uint_fast64_t bytes;
};

/* The file of the VFS below follows, aligned. */
struct file {
    struct tg_pass_file pass;
    struct tg_written *owner;
    sqlite3_int64 align;
};

static int on_close(sqlite3_file *f)
{
    sqlite3_file *b = tg_pass_below(f);
    int rc = b->pMethods ? b->pMethods->xClose(b) : SQLITE_OK;
    f->pMethods = NULL;
    return rc;
}

static int on_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    int rc = tg_pass_below(f)->pMethods->xWrite(tg_pass_below(f), data, n, at);
    if (rc == SQLITE_OK)
        tg_written_add(((struct file *)(void *)f)->owner, (uint64_t)n);
    return rc;
}

/* SQLite makes its shared memory file as large as it needs it by a byte in each page of memory. Where the disk's
 * blocks are smaller than that (ext4 of less than 512 MB: 1 KiB) the rest of the page is a hole, and on a full
 * disk the first write through the mapping is answered with SIGBUS. So the holes are filled here, where it can still
 * be an error. A kernel before 5.14 does not know how, and a mapping that cannot be written needs none. */
static int on_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
    int rc = tg_pass_below(f)->pMethods->xShmMap(tg_pass_below(f), page, size, extend, ret);
    if (rc != SQLITE_OK || !*ret)
        return rc;
    if (madvise((void *)(uintptr_t)*ret, (size_t)size, MADV_POPULATE_WRITE) == 0 || errno != EFAULT)
        return SQLITE_OK;
    errno = ENOSPC; /* what a write to the file would say; SQLite asks for it */
    *ret = NULL;
    return SQLITE_IOERR_SHMSIZE;
}

/* Version 2: no memory mapping, which would write without being counted. */
static const sqlite3_io_methods methods = {
    TG_PASS_METHODS,
    .xClose = on_close,
    .xRead = tg_pass_read,
    .xWrite = on_write,
    .xTruncate = tg_pass_truncate,
    .xSync = tg_pass_sync,
    .xSectorSize = tg_pass_sector,
    .xDeviceCharacteristics = tg_pass_traits,
    .xShmMap = on_shm_map,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct tg_written *w = vfs->pAppData;
    struct file *file = (struct file *)(void *)f;
    sqlite3_file *b = (sqlite3_file *)(void *)(file + 1);
    b->pMethods = NULL;
    file->pass.below = b;
    file->owner = w;
    int rc = w->below->xOpen(w->below, name, b, flags, out_flags);
    f->pMethods = b->pMethods ? &methods : NULL;
    return rc;
}

/* The others know nothing of us: they get the VFS that they belong to. */
static int on_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    const struct tg_written *w = vfs->pAppData;
    return w->below->xDelete(w->below, name, sync_dir);
}

static int on_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    const struct tg_written *w = vfs->pAppData;
    return w->below->xAccess(w->below, name, flags, ret);
}

static int on_full_path(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    const struct tg_written *w = vfs->pAppData;
    return w->below->xFullPathname(w->below, name, n, out);
}

static int on_last_error(sqlite3_vfs *vfs, int n, char *text)
{
    const struct tg_written *w = vfs->pAppData;
    return w->below->xGetLastError ? w->below->xGetLastError(w->below, n, text) : 0;
}

struct tg_written *tg_written_new(const char *name)
{
    sqlite3_vfs *under = sqlite3_vfs_find(name);
    struct tg_written *w = under ? tg_calloc(1, sizeof *w) : NULL;
    if (!w)
        return NULL;
    w->below = under;
    w->vfs = *under;
    w->vfs.pNext = NULL;
    w->vfs.zName = w->name;
    w->vfs.pAppData = w;
    w->vfs.szOsFile = (int)sizeof(struct file) + under->szOsFile;
    w->vfs.xOpen = on_open;
    w->vfs.xDelete = on_delete;
    w->vfs.xAccess = on_access;
    w->vfs.xFullPathname = on_full_path;
    w->vfs.xGetLastError = on_last_error;
    snprintf(w->name, sizeof w->name, "tg-written-%p", (void *)w);
    if (sqlite3_vfs_register(&w->vfs, 0) != SQLITE_OK) {
        tg_free(w);
        return NULL;
    }
    return w;
}

void tg_written_free(struct tg_written *w)
{
    if (!w)
        return;
    (void)sqlite3_vfs_unregister(&w->vfs);
    tg_free(w);
}

const char *tg_written_vfs(const struct tg_written *w)
{
    return w->name;
}

void tg_written_add(struct tg_written *w, uint64_t bytes)
{
    if (w)
        (void)atomic_fetch_add_explicit(&w->bytes, bytes, memory_order_relaxed);
}

uint64_t tg_written_bytes(const struct tg_written *w)
{
    return w ? atomic_load_explicit(&w->bytes, memory_order_relaxed) : 0;
}
