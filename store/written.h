/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * written - an SQLite VFS that counts what it is given to write: the pages of the database at checkpoints and the frames
 * of its write-ahead log, byte by byte as the file system gets them. What the file system adds (its journal, whole
 * blocks) is not in it; neither is the shared memory file, which need not reach a disk.
 *
 * It also sees to it that all of SQLite's shared memory file has its blocks when it is mapped: on a full disk that is
 * SQLITE_IOERR_SHMSIZE, where the first use of a block that is missing would end the process with SIGBUS.
 *
 *     tg_written_new(name of the VFS below) ──► tg_written_vfs() for sqlite3_open_v2() … tg_written_bytes() ──► close all
 *     connections ──► tg_written_free()
 *
 * Each has a VFS of its own, so that two databases in one process are told apart. tg_written_bytes() may be called from
 * any thread.
 */
#ifndef TG_STORE_WRITTEN_H
#define TG_STORE_WRITTEN_H

#include "core/base/bytes.h"

struct tg_written;

/* `below`: NULL = SQLite's own. NULL: out of memory, or there is no such VFS. */
struct tg_written *tg_written_new(const char *below);
void tg_written_free(struct tg_written *w);
const char *tg_written_vfs(const struct tg_written *w);
/* What was written past SQLite. */
void tg_written_add(struct tg_written *w, uint64_t bytes);
uint64_t tg_written_bytes(const struct tg_written *w);

#endif
