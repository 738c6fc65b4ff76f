/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/fault_vfs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct file {
    sqlite3_file base;
    sqlite3_file *real;
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

static sqlite3_file *real(sqlite3_file *f)
{
    return ((struct file *)(void *)f)->real;
}

static int on_close(sqlite3_file *f)
{
    int rc = real(f)->pMethods ? real(f)->pMethods->xClose(real(f)) : SQLITE_OK;
    free(real(f));
    return rc;
}

static int on_read(sqlite3_file *f, void *data, int n, sqlite3_int64 offset)
{
    if (fails(TG_FAULT_READ))
        return SQLITE_IOERR_READ;
    counts.bytes_read += (uint64_t)n;
    return real(f)->pMethods->xRead(real(f), data, n, offset);
}

static int on_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 offset)
{
    if (fails(TG_FAULT_WRITE)) {
        if (plan.half && n > 1)
            (void)real(f)->pMethods->xWrite(real(f), data, n / 2, offset);
        return plan.full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    counts.bytes_written += (uint64_t)n;
    return real(f)->pMethods->xWrite(real(f), data, n, offset);
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return fails(TG_FAULT_TRUNCATE) ? SQLITE_IOERR_TRUNCATE : real(f)->pMethods->xTruncate(real(f), size);
}

static int on_sync(sqlite3_file *f, int flags)
{
    counts.syncs++;
    return fails(TG_FAULT_SYNC) ? SQLITE_IOERR_FSYNC : real(f)->pMethods->xSync(real(f), flags);
}

static int on_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int on_lock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xLock(real(f), level);
}

static int on_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int on_check_lock(sqlite3_file *f, int *out)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int on_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int on_sector_size(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int on_characteristics(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int on_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    if (fails(TG_FAULT_SHM)) {
        *out = NULL;
        return SQLITE_IOERR_SHMMAP;
    }
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int on_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int on_shm_unmap(sqlite3_file *f, int remove)
{
    return real(f)->pMethods->xShmUnmap(real(f), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct file *file = (struct file *)(void *)f;
    (void)vfs;
    f->pMethods = NULL;
    if (fails(TG_FAULT_OPEN))
        return SQLITE_CANTOPEN;
    file->real = calloc(1, (size_t)system_vfs->szOsFile);
    if (!file->real)
        return SQLITE_NOMEM;
    int rc = system_vfs->xOpen(system_vfs, name, file->real, flags, out_flags);
    if (rc == SQLITE_OK)
        f->pMethods = &methods;
    else
        free(file->real);
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
