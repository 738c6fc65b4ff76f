/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/fault_vfs.h"

#include <stdlib.h>
#include <string.h>

#include "store/pass_file.h"

struct file {
    struct tg_pass_file pass;
};

static sqlite3_vfs *system_vfs;
static struct tg_fault_plan plan;
static struct tg_fault_counts counts;

static bool fails(unsigned op)
{
    if (!(plan.ops & op))
        return false;
    counts.planned++;
    if (plan.at == 0 || counts.planned < plan.at || (counts.planned > plan.at && !plan.forever))
        return false;
    counts.failed++;
    return true;
}

static int on_close(sqlite3_file *f)
{
    int rc = tg_pass_below(f)->pMethods ? tg_pass_below(f)->pMethods->xClose(tg_pass_below(f)) : SQLITE_OK;
    free(tg_pass_below(f));
    return rc;
}

static int on_read(sqlite3_file *f, void *data, int n, sqlite3_int64 offset)
{
    if (fails(TG_FAULT_READ))
        return SQLITE_IOERR_READ;
    counts.bytes_read += (uint64_t)n;
    return tg_pass_below(f)->pMethods->xRead(tg_pass_below(f), data, n, offset);
}

static int on_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 offset)
{
    if (fails(TG_FAULT_WRITE)) {
        if (plan.half && n > 1)
            (void)tg_pass_below(f)->pMethods->xWrite(tg_pass_below(f), data, n / 2, offset);
        return plan.full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    counts.bytes_written += (uint64_t)n;
    return tg_pass_below(f)->pMethods->xWrite(tg_pass_below(f), data, n, offset);
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return fails(TG_FAULT_TRUNCATE) ? SQLITE_IOERR_TRUNCATE
                                    : tg_pass_below(f)->pMethods->xTruncate(tg_pass_below(f), size);
}

static int on_sync(sqlite3_file *f, int flags)
{
    counts.syncs++;
    return fails(TG_FAULT_SYNC) ? SQLITE_IOERR_FSYNC
                                : tg_pass_below(f)->pMethods->xSync(tg_pass_below(f), flags);
}

static int on_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    if (fails(TG_FAULT_SHM)) {
        *out = NULL;
        return SQLITE_IOERR_SHMMAP;
    }
    return tg_pass_below(f)->pMethods->xShmMap(tg_pass_below(f), page, size, extend, out);
}

static const sqlite3_io_methods methods = {
    TG_PASS_METHODS,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xSectorSize = tg_pass_sector,
    .xDeviceCharacteristics = tg_pass_traits,
    .xShmMap = on_shm_map,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct file *file = (struct file *)(void *)f;
    (void)vfs;
    f->pMethods = NULL;
    if (fails(TG_FAULT_OPEN))
        return SQLITE_CANTOPEN;
    file->pass.below = calloc(1, (size_t)system_vfs->szOsFile);
    if (!file->pass.below)
        return SQLITE_NOMEM;
    int rc = system_vfs->xOpen(system_vfs, name, file->pass.below, flags, out_flags);
    if (rc == SQLITE_OK)
        f->pMethods = &methods;
    else
        free(file->pass.below);
    return rc;
}

void tg_fault_vfs_register(void)
{
    static sqlite3_vfs vfs;
    if (system_vfs)
        return;
    system_vfs = sqlite3_vfs_find(NULL);
    vfs = *system_vfs;
    vfs.zName = TG_FAULT_VFS;
    vfs.szOsFile = (int)sizeof(struct file);
    vfs.pNext = NULL;
    vfs.xOpen = on_open;
    (void)sqlite3_vfs_register(&vfs, 0);
}

void tg_fault_set(const struct tg_fault_plan *p)
{
    plan = p ? *p : (struct tg_fault_plan){0};
    counts = (struct tg_fault_counts){0};
}

struct tg_fault_counts tg_fault_counts(void)
{
    return counts;
}
