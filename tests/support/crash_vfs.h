/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * crash_vfs - an SQLite VFS "tg-crash" under which the power can be cut.
 *
 * Writes and truncations since a file's last fsync are remembered. At the cut every further operation fails,
 * as if the process were gone; tg_crash_apply() then makes each file what a disk could hold: its content at
 * the last fsync, plus any subset of what came after, in order, each write whole, missing, or torn at 512
 * bytes. The file -shm, which is memory, is lost. Not modelled: the loss of directory entries.
 *
 * One per process; one thread at a time may use its files, any thread may ask tg_crash_happened(). Files are the real ones
 * below the test's directory.
 */
#ifndef TG_TESTS_CRASH_VFS_H
#define TG_TESTS_CRASH_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define TG_CRASH_VFS "tg-crash"

void tg_crash_vfs_register(void);
/* The power goes at the nth write, fsync or truncation from now (0 = not); `lie`: fsync does nothing. */
void tg_crash_arm(uint64_t nth, bool lie);
bool tg_crash_happened(void);
/* Operations since tg_crash_arm(). */
uint64_t tg_crash_operations(void);
/* After all handles were closed: writes what survived, chosen by *random. Disarms. */
void tg_crash_apply(uint64_t *random);

#endif
