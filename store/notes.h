/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * notes - the small things that must survive a restart and are not samples: the address that DPS assigned, the desired
 * properties of a device, the ids of the last commands, a counter of births. A SQLite database `notes.db` of its own
 * beside the outbox: what happens to one does not touch the other.
 *
 * All notes are in memory (at most TG_NOTES_LIMIT_BYTES together; TG_EFULL beyond). A change is visible at once, and is written
 * by libuv's thread pool, one transaction (WAL, synchronous FULL) for all changes since the last. A database that is
 * damaged is set aside as notes.db.bad-N and an empty one begun (told once); one that cannot be written is told, tried
 * again with back-off, and what is in memory goes on counting.
 *
 * Loop thread.
 */
#ifndef TG_STORE_NOTES_H
#define TG_STORE_NOTES_H

#include "core/base/bytes.h"
#include "core/net/loop.h"

#define TG_NOTES_LIMIT_BYTES (16 * 1024 * 1024)
#define TG_NOTE_MAX_BYTES    65536
#define TG_NOTE_NAME_BYTES   192

struct tg_notes;

/* Reads everything (synchronously). `dir` is the gateway's state_dir. */
int tg_notes_open(struct tg_loop *loop, const char *dir, struct tg_notes **ret_notes,
                  struct tg_error *err) TG_CHECKED;
/* Writes what waits (at most `limit_ms`), then `closed` runs on the loop. */
void tg_notes_close(struct tg_notes *notes, uint32_t limit_ms, void (*closed)(void *user), void *user);

/* `scope` and `key` are at most TG_NOTE_NAME_BYTES each ("cloud/hub/meter-1", "desired"). The view holds until the note is set again. Empty = none. */
struct tg_bytes tg_notes_get(const struct tg_notes *notes, const char *scope, const char *key);
/* An empty value removes it. TG_ETOOBIG, TG_EFULL, TG_ENOMEM: nothing has changed. */
int tg_notes_set(struct tg_notes *notes, const char *scope, const char *key,
                 struct tg_bytes value) TG_CHECKED;
/* Removes all of a scope, and of the scopes below it ("cloud/hub/meter-1/…"). */
void tg_notes_drop(struct tg_notes *notes, const char *scope);
/* `done` runs on the loop once everything set so far is on disk (0) or could not be written (negative). Calls come in order;
 * closing calls those that wait. TG_ENOMEM. */
int tg_notes_when_durable(struct tg_notes *notes, void (*done)(void *user, int rc), void *user) TG_CHECKED;
/* Each scope and key in order. */
void tg_notes_each(const struct tg_notes *notes,
                   void (*each)(void *user, const char *scope, const char *key, struct tg_bytes value),
                   void *user);

#endif
