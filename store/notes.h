/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * notes - the small things that must survive a restart and are not samples: the address that DPS assigned, the desired
 * properties of a device, the ids of the last commands, a counter of births. A SQLite database `notes.db` of its own
 * beside the outbox: what happens to one does not touch the other.
 *
 * All notes are in memory (at most TG_NOTES_LIMIT_BYTES together, names and bookkeeping included, and on top what is
 * replaced while it is being written; TG_EFULL beyond). A change is visible at once, and is written by libuv's thread
 * pool, one transaction (WAL, synchronous FULL) for all changes since the last. Setting what is there already writes
 * nothing.
 *
 * A database that is damaged is set aside as notes.db.bad-N (the newest three stay) and an empty one begun, into which
 * everything that is in memory goes; told once. One that cannot be written, or not even opened, is told once, tried
 * again with back-off (1 s … 1 min), and what is in memory goes on counting. One on a read-only file system is read.
 *
 *     tg_notes_set(notes, "cloud/hub/meter-1", "assigned", tg_bytes_str("hub-7.example"));
 *     tg_notes_when_durable(notes, on_kept, session);
 *
 * Loop thread. Only one process may use a state_dir: the outbox's lock sees to that, so open the outbox first.
 */
#ifndef TG_STORE_NOTES_H
#define TG_STORE_NOTES_H

#include "core/base/bytes.h"
#include "core/net/loop.h"

#define TG_NOTES_LIMIT_BYTES (16u << 20)
#define TG_NOTE_MAX_BYTES    65536
#define TG_NOTE_NAME_BYTES   192

struct tg_notes;

/* Reads everything (synchronously). `dir` is the gateway's state_dir. TG_OK too when the database cannot be used (see
 * above). TG_EVERSION: a newer program wrote it, it is untouched; TG_EINVAL: the path is too long; TG_ENOMEM. */
int tg_notes_open(struct tg_loop *loop, const char *dir, struct tg_notes **ret_notes,
                  struct tg_error *err) TG_CHECKED;
/* Writes what waits (at most `limit_ms`), then `closed` (may be NULL) runs on the loop, last of all callbacks. Where the disk
 * does not answer within the limit, `closed` runs then, and only tg_loop_fini() waits for the thread. Until `closed` the
 * notes may still be read. */
void tg_notes_close(struct tg_notes *notes, uint32_t limit_ms, void (*closed)(void *user), void *user);

/* `scope` and `key` are 1 to TG_NOTE_NAME_BYTES each ("cloud/hub/meter-1", "desired"). The view holds until the note is set
 * again. Empty = none. */
struct tg_bytes tg_notes_get(const struct tg_notes *notes, const char *scope, const char *key);
/* An empty value removes it. TG_ETOOBIG (names, or more than TG_NOTE_MAX_BYTES), TG_EFULL, TG_ENOMEM, TG_EINVAL (an empty
 * name), TG_ESTATE (closing): nothing has changed. */
int tg_notes_set(struct tg_notes *notes, const char *scope, const char *key,
                 struct tg_bytes value) TG_CHECKED;
/* Removes all of a scope, and of the scopes below it ("cloud/hub/meter-1/…"). Nothing once closing. */
void tg_notes_drop(struct tg_notes *notes, const char *scope);
/* `done` runs on the loop, never from inside this call, once everything set so far is on disk (0) or could not be written
 * (negative: it is in memory and tried again; while that lasts the answer comes at once). Calls come in order; closing
 * calls those that wait. `done` may call anything here. TG_ENOMEM, TG_ESTATE (closing). */
int tg_notes_when_durable(struct tg_notes *notes, void (*done)(void *user, int rc), void *user) TG_CHECKED;
/* Whether the database cannot be written now: what is in memory would be lost by a restart. */
bool tg_notes_unsaved(const struct tg_notes *notes);
/* Each scope and key in order. */
void tg_notes_each(const struct tg_notes *notes,
                   void (*each)(void *user, const char *scope, const char *key, struct tg_bytes value),
                   void *user);

#endif
