/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pass_file - a file of a SQLite VFS that stands over another VFS: what the upper one does not do itself goes to the file below. Such a
 * file begins with struct tg_pass_file; its xOpen sets `below`, and its table of methods names these functions where it has none of its own.
 * Version 2 of the methods: without memory mapping, which would go past the upper file.
 */
#ifndef TG_STORE_PASS_FILE_H
#define TG_STORE_PASS_FILE_H

#include <sqlite3.h>

struct tg_pass_file {
    sqlite3_file base;
    sqlite3_file *below;
};

static inline sqlite3_file *tg_pass_below(sqlite3_file *f)
{
    return ((struct tg_pass_file *)(void *)f)->below;
}

int tg_pass_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at);
int tg_pass_truncate(sqlite3_file *f, sqlite3_int64 size);
int tg_pass_sync(sqlite3_file *f, int flags);
int tg_pass_size(sqlite3_file *f, sqlite3_int64 *ret_size);
int tg_pass_lock(sqlite3_file *f, int level);
int tg_pass_unlock(sqlite3_file *f, int level);
int tg_pass_reserved(sqlite3_file *f, int *ret);
int tg_pass_control(sqlite3_file *f, int op, void *arg);
int tg_pass_sector(sqlite3_file *f);
int tg_pass_traits(sqlite3_file *f);
int tg_pass_shm_lock(sqlite3_file *f, int at, int n, int flags);
void tg_pass_shm_barrier(sqlite3_file *f);
int tg_pass_shm_unmap(sqlite3_file *f, int remove);

/* Of the table of methods: what nobody has done otherwise so far. */
#define TG_PASS_METHODS                                                                                      \
    .iVersion = 2, .xFileSize = tg_pass_size, .xLock = tg_pass_lock, .xUnlock = tg_pass_unlock,              \
    .xCheckReservedLock = tg_pass_reserved, .xFileControl = tg_pass_control, .xShmLock = tg_pass_shm_lock,   \
    .xShmBarrier = tg_pass_shm_barrier, .xShmUnmap = tg_pass_shm_unmap

#endif
