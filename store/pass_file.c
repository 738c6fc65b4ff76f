/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/pass_file.h"

int tg_pass_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
    return tg_pass_below(f)->pMethods->xRead(tg_pass_below(f), data, n, at);
}

int tg_pass_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return tg_pass_below(f)->pMethods->xTruncate(tg_pass_below(f), size);
}

int tg_pass_sync(sqlite3_file *f, int flags)
{
    return tg_pass_below(f)->pMethods->xSync(tg_pass_below(f), flags);
}

int tg_pass_size(sqlite3_file *f, sqlite3_int64 *ret_size)
{
    return tg_pass_below(f)->pMethods->xFileSize(tg_pass_below(f), ret_size);
}

int tg_pass_lock(sqlite3_file *f, int level)
{
    return tg_pass_below(f)->pMethods->xLock(tg_pass_below(f), level);
}

int tg_pass_unlock(sqlite3_file *f, int level)
{
    return tg_pass_below(f)->pMethods->xUnlock(tg_pass_below(f), level);
}

int tg_pass_reserved(sqlite3_file *f, int *ret)
{
    return tg_pass_below(f)->pMethods->xCheckReservedLock(tg_pass_below(f), ret);
}

int tg_pass_control(sqlite3_file *f, int op, void *arg)
{
    return tg_pass_below(f)->pMethods->xFileControl(tg_pass_below(f), op, arg);
}

int tg_pass_sector(sqlite3_file *f)
{
    return tg_pass_below(f)->pMethods->xSectorSize(tg_pass_below(f));
}

int tg_pass_traits(sqlite3_file *f)
{
    return tg_pass_below(f)->pMethods->xDeviceCharacteristics(tg_pass_below(f));
}

int tg_pass_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return tg_pass_below(f)->pMethods->xShmLock(tg_pass_below(f), at, n, flags);
}

void tg_pass_shm_barrier(sqlite3_file *f)
{
    tg_pass_below(f)->pMethods->xShmBarrier(tg_pass_below(f));
}

int tg_pass_shm_unmap(sqlite3_file *f, int remove)
{
    return tg_pass_below(f)->pMethods->xShmUnmap(tg_pass_below(f), remove);
}
