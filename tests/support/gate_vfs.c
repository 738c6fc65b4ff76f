/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/gate_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held, gone;
static uint32_t waiting, fail_syncs, failed;

static sqlite3_vfs *system_vfs;
/* Files with and without locks have tables of their own, with the same functions for what matters here. */
#define TABLES 4
static const sqlite3_io_methods *system_methods[TABLES];
static sqlite3_io_methods methods[TABLES];

static int on_sync(sqlite3_file *f, int flags)
{
    bool fails;
    pthread_mutex_lock(&lock);
    waiting++;
    pthread_cond_broadcast(&changed);
    while (held)
        pthread_cond_wait(&changed, &lock);
    waiting--;
    fails = gone || fail_syncs > 0;
    if (fail_syncs > 0 && fail_syncs != UINT32_MAX)
        fail_syncs--;
    failed += fails;
    pthread_mutex_unlock(&lock);
    return fails ? SQLITE_IOERR_FSYNC : system_methods[0]->xSync(f, flags);
}

static bool is_gone(void)
{
    bool answer;
    pthread_mutex_lock(&lock);
    answer = gone;
    pthread_mutex_unlock(&lock);
    return answer;
}

static int on_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 offset)
{
    return is_gone() ? SQLITE_IOERR_WRITE : system_methods[0]->xWrite(f, data, n, offset);
}

/* The file is the system's own; only its table of methods is ours. */
static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    (void)vfs;
    if (is_gone()) {
        f->pMethods = NULL;
        return SQLITE_CANTOPEN;
    }
    int rc = system_vfs->xOpen(system_vfs, name, f, flags, out_flags);
    if (rc != SQLITE_OK || !f->pMethods)
        return rc;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < TABLES; i++) {
        if (!system_methods[i]) {
            system_methods[i] = f->pMethods;
            methods[i] = *f->pMethods;
            methods[i].iVersion = 2; /* no memory mapping: all writes pass here */
            methods[i].xSync = on_sync;
            methods[i].xWrite = on_write;
        }
        if (system_methods[i] == f->pMethods) {
            f->pMethods = &methods[i];
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

void tg_gate_vfs_register(void)
{
    static sqlite3_vfs vfs;
    if (system_vfs)
        return;
    system_vfs = sqlite3_vfs_find(NULL);
    vfs = *system_vfs;
    vfs.zName = TG_GATE_VFS;
    vfs.pNext = NULL;
    vfs.xOpen = on_open;
    (void)sqlite3_vfs_register(&vfs, 0);
}

void tg_gate_hold(bool hold)
{
    pthread_mutex_lock(&lock);
    held = hold;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

bool tg_gate_is_held(void)
{
    pthread_mutex_lock(&lock);
    bool is = held && waiting > 0;
    pthread_mutex_unlock(&lock);
    return is;
}

void tg_gate_wait_held(void)
{
    pthread_mutex_lock(&lock);
    while (!held || waiting == 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void tg_gate_fail_syncs(uint32_t n)
{
    pthread_mutex_lock(&lock);
    fail_syncs = n;
    failed = 0;
    pthread_mutex_unlock(&lock);
}

uint32_t tg_gate_failed(void)
{
    uint32_t n;
    pthread_mutex_lock(&lock);
    n = failed;
    pthread_mutex_unlock(&lock);
    return n;
}

void tg_gate_gone(bool is)
{
    pthread_mutex_lock(&lock);
    gone = is;
    pthread_mutex_unlock(&lock);
}
