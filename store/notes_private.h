/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * notes_private - what notes.c (the table, loop thread) and notes_file.c (the database, one work item of the thread pool
 * at a time) share.
 *
 * WHO TOUCHES WHAT   While a work item runs it reads `names`, `scope_len`, `writing` and `next_writing` of the notes in
 * its list, and owns the file; the loop leaves these alone until the work item has ended. A value never changes: a note
 * that is set again gets another one, and what is being written is freed after the writing.
 */
#ifndef TG_STORE_NOTES_PRIVATE_H
#define TG_STORE_NOTES_PRIVATE_H

#include <sqlite3.h>

#include "store/notes.h"
#include "store/written.h"

#define TG_NOTES_FILE_NAME "notes.db"

struct tg_note_value {
    size_t len;
    uint8_t data[];
};

struct tg_note {
    struct tg_note *next_changed, *next_writing;
    struct tg_note_value *value;   /* NULL: removed; the note goes when that is on disk */
    struct tg_note_value *writing; /* what the work item stores, NULL: it deletes; may be `value` */
    bool changed;                  /* in the list of those that the next work item writes */
    bool in_write;
    uint16_t scope_len;
    char names[]; /* scope, NUL, key, NUL */
};

static inline const char *tg_note_scope(const struct tg_note *n)
{
    return n->names;
}

static inline const char *tg_note_key(const struct tg_note *n)
{
    return n->names + n->scope_len + 1;
}

/* --- notes_table.c: loop thread ---------------------------------------------------------------- */
struct tg_notes_table {
    struct tg_note **notes; /* by scope, then key */
    size_t count, cap, used_bytes;
};
/* What counts towards TG_NOTES_LIMIT_BYTES: `names` = both lengths together. */
size_t tg_note_cost_names(size_t names);
size_t tg_note_cost_value(size_t len);
/* Where it is, or where it belongs. */
size_t tg_notes_table_find(const struct tg_notes_table *t, const char *scope, const char *key,
                           bool *ret_found);
/* Without a value yet. NULL when out of memory. */
struct tg_note *tg_notes_table_insert(struct tg_notes_table *t, size_t at, struct tg_bytes scope,
                                      struct tg_bytes key);
void tg_notes_table_forget(struct tg_notes_table *t, struct tg_note *n);
/* Nothing may be in writing. */
void tg_notes_table_empty(struct tg_notes_table *t);
/* Not counted in used_bytes yet; freeing takes it out. NULL when out of memory. */
struct tg_note_value *tg_note_value_new(struct tg_bytes b);
void tg_notes_table_free_value(struct tg_notes_table *t, struct tg_note_value *v);

/* --- notes_file.c ------------------------------------------------------------------------------- */
struct tg_notes_file {
    char *dir, *path;
    sqlite3 *db; /* NULL: closed */
    sqlite3_stmt *put, *del;
    struct tg_written *written; /* its VFS, for what it does on a full disk; NULL: SQLite's own */
    bool incomplete;            /* begun empty: the next write has to bring every note */
};

int tg_notes_file_init(struct tg_notes_file *f, const char *dir) TG_CHECKED;
void tg_notes_file_fini(struct tg_notes_file *f);
/* Opens or creates. TG_ECORRUPT: set it aside; TG_EVERSION: a newer program's, untouched; others: it cannot be used now. */
int tg_notes_file_open(struct tg_notes_file *f, struct tg_error *err) TG_CHECKED;
/* The same without the intention to write, for a file system that became read-only. */
int tg_notes_file_open_read_only(struct tg_notes_file *f, struct tg_error *err) TG_CHECKED;
/* Every note in order. `each` may end it with a negative code. */
int tg_notes_file_load(struct tg_notes_file *f,
                       int (*each)(void *user, struct tg_bytes scope, struct tg_bytes key,
                                   struct tg_bytes value),
                       void *user, struct tg_error *err) TG_CHECKED;
/* Stores or deletes the list in one transaction. After an error the file must be closed: what it holds is uncertain. */
int tg_notes_file_write(struct tg_notes_file *f, const struct tg_note *first,
                        struct tg_error *err) TG_CHECKED;
void tg_notes_file_close(struct tg_notes_file *f);
/* Renames the closed file to notes.db.bad-N. */
int tg_notes_file_set_aside(struct tg_notes_file *f, char ret_name[64], struct tg_error *err) TG_CHECKED;

#endif
