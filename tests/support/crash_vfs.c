/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/crash_vfs.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/pass_file.h"

#define SECTOR    512
#define MAX_FILES 16

/* A write (data) or a truncation (data NULL, offset = the new size) that no fsync has covered. */
struct change {
    struct change *next;
    int64_t offset;
    size_t len;
    uint8_t *data;
};

/* What the disk holds of one path. */
struct disk_file {
    char *path;
    uint8_t *data;
    size_t len;
    struct change *first, **last;
};

struct file {
    struct tg_pass_file pass;
    struct disk_file *disk; /* NULL: a temporary file */
};

static sqlite3_vfs *system_vfs;
static struct disk_file files[MAX_FILES];
static int file_count;
/* Armed and asked by other threads than the one at work. */
static atomic_uint_fast64_t operations, cut_at;
static atomic_bool lying, cut;

static void die(const char *what)
{
    perror(what);
    abort();
}

static struct disk_file *disk(sqlite3_file *f)
{
    return ((struct file *)(void *)f)->disk;
}

/* --- the disk ----------------------------------------------------------------------------------------------
 */

static void resize(struct disk_file *d, size_t len)
{
    if (len > d->len) {
        d->data = realloc(d->data, len);
        if (!d->data)
            die("realloc");
        memset(d->data + d->len, 0, len - d->len);
    }
    d->len = len;
}

static void remember(struct disk_file *d, int64_t offset, const void *data, size_t len)
{
    struct change *c = calloc(1, sizeof *c);
    if (!c)
        die("calloc");
    c->offset = offset;
    c->len = len;
    if (data) {
        c->data = malloc(len ? len : 1);
        if (!c->data)
            die("malloc");
        memcpy(c->data, data, len);
    }
    *d->last = c;
    d->last = &c->next;
}

static void apply_sectors(struct disk_file *d, const struct change *c, uint64_t keep_mask, bool all)
{
    if (!c->data) {
        resize(d, (size_t)c->offset);
        return;
    }
    for (size_t at = 0; at < c->len;) {
        size_t in_sector = (size_t)(c->offset + (int64_t)at) % SECTOR;
        size_t n = SECTOR - in_sector < c->len - at ? SECTOR - in_sector : c->len - at;
        if (all || (keep_mask >> (at / SECTOR % 64) & 1)) {
            size_t end = (size_t)c->offset + at + n;
            if (end > d->len)
                resize(d, end);
            memcpy(d->data + c->offset + at, c->data + at, n);
        }
        at += n;
    }
}

static void drop_first(struct disk_file *d)
{
    struct change *c = d->first;
    d->first = c->next;
    if (!d->first)
        d->last = &d->first;
    free(c->data);
    free(c);
}

static void flush(struct disk_file *d)
{
    while (d->first) {
        apply_sectors(d, d->first, 0, true);
        drop_first(d);
    }
}

static void load(struct disk_file *d)
{
    FILE *f = fopen(d->path, "rb");
    uint8_t block[65536];
    size_t n;
    d->len = 0;
    if (!f)
        return;
    while ((n = fread(block, 1, sizeof block, f)) > 0) {
        size_t at = d->len;
        resize(d, at + n);
        memcpy(d->data + at, block, n);
    }
    fclose(f);
}

static struct disk_file *disk_file(const char *path)
{
    for (int i = 0; i < file_count; i++) {
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    }
    if (file_count == MAX_FILES)
        die("too many files");
    struct disk_file *d = &files[file_count++];
    *d = (struct disk_file){.path = strdup(path)};
    d->last = &d->first;
    load(d);
    return d;
}

/* True once the power is gone. */
static bool step(void)
{
    operations++;
    if (cut_at && operations >= cut_at)
        cut = true;
    return cut;
}

/* --- the VFS
 * ------------------------------------------------------------------------------------------------- */

static int on_close(sqlite3_file *f)
{
    int rc = tg_pass_below(f)->pMethods ? tg_pass_below(f)->pMethods->xClose(tg_pass_below(f)) : SQLITE_OK;
    free(tg_pass_below(f));
    return rc;
}

static int on_read(sqlite3_file *f, void *data, int n, sqlite3_int64 offset)
{
    return cut ? SQLITE_IOERR_READ : tg_pass_below(f)->pMethods->xRead(tg_pass_below(f), data, n, offset);
}

static int on_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 offset)
{
    if (cut)
        return SQLITE_IOERR_WRITE;
    if (disk(f))
        remember(disk(f), offset, data, (size_t)n);
    if (step())
        return SQLITE_IOERR_WRITE;
    return tg_pass_below(f)->pMethods->xWrite(tg_pass_below(f), data, n, offset);
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (cut)
        return SQLITE_IOERR_TRUNCATE;
    if (disk(f))
        remember(disk(f), size, NULL, 0);
    if (step())
        return SQLITE_IOERR_TRUNCATE;
    return tg_pass_below(f)->pMethods->xTruncate(tg_pass_below(f), size);
}

static int on_sync(sqlite3_file *f, int flags)
{
    (void)flags;
    if (cut || step())
        return SQLITE_IOERR_FSYNC;
    if (disk(f) && !lying)
        flush(disk(f));
    return SQLITE_OK;
}

static int on_sector_size(sqlite3_file *f)
{
    (void)f;
    return SECTOR;
}

static int on_characteristics(sqlite3_file *f)
{
    /* What SQLite assumes of a disk: bytes outside of a write are not changed by it. */
    return tg_pass_below(f)->pMethods->xDeviceCharacteristics(tg_pass_below(f)) &
           SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int on_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return tg_pass_below(f)->pMethods->xShmMap(tg_pass_below(f), page, size, extend, out);
}

static const sqlite3_io_methods methods = {
    TG_PASS_METHODS,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct file *file = (struct file *)(void *)f;
    (void)vfs;
    f->pMethods = NULL;
    if (cut)
        return SQLITE_CANTOPEN;
    file->pass.below = calloc(1, (size_t)system_vfs->szOsFile);
    if (!file->pass.below)
        return SQLITE_NOMEM;
    file->disk = name ? disk_file(name) : NULL;
    int rc = system_vfs->xOpen(system_vfs, name, file->pass.below, flags, out_flags);
    if (rc == SQLITE_OK)
        f->pMethods = &methods;
    else
        free(file->pass.below);
    return rc;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    (void)vfs;
    if (cut)
        return SQLITE_IOERR_DELETE;
    struct disk_file *d = disk_file(name);
    while (d->first)
        drop_first(d);
    d->len = 0;
    return system_vfs->xDelete(system_vfs, name, sync_dir);
}

void tg_crash_vfs_register(void)
{
    static sqlite3_vfs vfs;
    if (system_vfs)
        return;
    system_vfs = sqlite3_vfs_find(NULL);
    vfs = *system_vfs;
    vfs.zName = TG_CRASH_VFS;
    vfs.szOsFile = (int)sizeof(struct file);
    vfs.pNext = NULL;
    vfs.xOpen = on_open;
    vfs.xDelete = on_delete;
    (void)sqlite3_vfs_register(&vfs, 0);
}

void tg_crash_arm(uint64_t nth, bool lie)
{
    operations = 0;
    cut_at = nth;
    lying = lie;
    cut = false;
}

bool tg_crash_happened(void)
{
    return cut;
}

uint64_t tg_crash_operations(void)
{
    return operations;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static void survive(struct disk_file *d, uint64_t *random)
{
    /* Per file a mood: mostly lost, mostly there, anything. */
    uint32_t mood = next_random(random) % 4;
    char shm[4096];
    while (d->first) {
        uint32_t dice = next_random(random) % 4;
        bool all = mood == 0 || (mood != 1 && dice == 0);
        uint64_t mask =
            mood == 1 && dice != 0 ? 0 : (uint64_t)next_random(random) << 32 | next_random(random);
        if (all || mask)
            apply_sectors(d, d->first, mask, all);
        drop_first(d);
    }
    if (access(d->path, F_OK) == 0) {
        FILE *f = fopen(d->path, "wb");
        if (!f || fwrite(d->data ? d->data : (uint8_t *)"", 1, d->len, f) != d->len || fclose(f) != 0)
            die(d->path);
    }
    snprintf(shm, sizeof shm, "%s-shm", d->path);
    (void)unlink(shm);
    free(d->data);
    free(d->path);
}

void tg_crash_apply(uint64_t *random)
{
    for (int i = 0; i < file_count; i++)
        survive(&files[i], random);
    file_count = 0;
    cut = false;
    cut_at = 0;
}
