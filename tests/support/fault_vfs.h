/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fault_vfs - an SQLite VFS "tg-fault" over the system's own that counts what is done and makes the nth fail.
 *
 * One per process, one thread. Register once; then set what shall fail.
 */
#ifndef TG_TESTS_FAULT_VFS_H
#define TG_TESTS_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define TG_FAULT_VFS "tg-fault"

enum tg_fault_op {
    TG_FAULT_OPEN = 1u,
    TG_FAULT_READ = 2u,
    TG_FAULT_WRITE = 4u,
    TG_FAULT_SYNC = 8u,
    TG_FAULT_TRUNCATE = 16u,
    TG_FAULT_SHM = 32u
};

struct tg_fault_plan {
    unsigned ops; /* which operations count and may fail */
    uint64_t at;  /* the nth of them fails, from 1; 0 = none */
    bool forever; /* and all after it */
    bool full;    /* writes fail with SQLITE_FULL instead of an I/O error */
    bool half;    /* a write that fails has written its first half */
};

struct tg_fault_counts {
    uint64_t planned; /* operations of the plan's kinds since it was set */
    uint64_t failed;
    uint64_t bytes_read, bytes_written, syncs;
};

void tg_fault_vfs_register(void);
/* NULL: nothing fails. Resets the counts. */
void tg_fault_set(const struct tg_fault_plan *plan);
struct tg_fault_counts tg_fault_counts(void);

#endif
