/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * store_private - the store on the loop, shared by store.c, store_calls.c, store_bound.c and store_lazy.c and nobody else.
 *
 * ROWS   `rows` has every row that is not known to be stored, in id order:
 *
 *     head … given_tail | held … tail
 *     the thread's, to    with durability lazy: not (yet) to be stored
 *     be stored
 */
#ifndef TG_STORE_STORE_PRIVATE_H
#define TG_STORE_STORE_PRIVATE_H

#include "store/store_thread.h"

#define TG_STORE_MAGIC 0x5704e000u

/* A cursor whose feed was closed while rows are in memory: it may come back. */
struct tg_orphan {
    uint32_t cursor, device;
    uint64_t acked_seq;
};

struct tg_store {
    uint32_t magic;
    struct tg_loop *loop;
    struct tg_store_callbacks cb;
    void *user;
    struct tg_store_options o;
    struct tg_store_thread thread;
    struct tg_feeds feeds;
    struct tg_wakeup wakeup;
    struct tg_deadline retry, window;
    struct tg_row_list rows; /* appended, not yet known to be stored */
    struct tg_row *unhanded; /* the first of them that was not handed to the feeds */
    struct tg_row *held;     /* lazy: the first that was not given to the thread; NULL = none */
    struct tg_row *given_tail;
    uint64_t held_rows;
    size_t held_bytes;
    struct tg_orphan *orphans;
    uint32_t orphan_count, orphan_cap;
    bool orphans_unknown; /* there was no memory to note one: nothing counts as acknowledged */
    uint64_t last_id, committed_id;
    uint64_t told_id; /* lazy: rows up to here were told to be accepted */
    size_t bytes_since_sweep;
    struct tg_thread_news news;
    uint64_t appended, committed, rejected, dropped_memory, spared;
    void (*drop_done)(void *user, int rc, const char *text, uint64_t rows); /* a drop is under way */
    void *drop_user;
    uint64_t waiting_rows;
    uint32_t set_aside;
    bool page_failed, closing;
    bool leaving; /* some feed has to go back */
    void (*closed)(void *user);
    void *closed_user;
};

static inline bool tg_store_is_lazy(const struct tg_store *s)
{
    return s->o.outbox.durability == TG_DURABILITY_LAZY;
}

/* --- store.c ------------------------------------------------------------------------------------------- */

/* Without telling the feeds yet. */
void tg_store_hand_all(struct tg_store *s);

/* What the thread is to store of a feed; the lock is held. */
void tg_store_give_acks(struct tg_store *s, struct tg_feed *f);

/* --- store_calls.c ------------------------------------------------------------------------------------- */

/* Where a feed begins, with what only the loop knows of its device; good as long as `place` is. */
const struct tg_feed_start *tg_store_place(struct tg_store *s, struct tg_thread_place *place);

/* --- store_bound.c --------------------------------------------------------------------------------------- */

/* At the bound, while the database takes nothing: what is delivered goes first, then the oldest if that is the policy. */
bool tg_store_make_room(struct tg_store *s, size_t need);

/* --- store_lazy.c; nothing happens in a store that is not lazy ------------------------------------------- */

/* The newest row, just pushed, stays in memory. */
void tg_store_hold(struct tg_store *s, struct tg_row *row);
/* Lets go of what was acknowledged and gives the thread what has to be stored; `all`: whatever is left. Calls nobody. */
void tg_store_settle(struct tg_store *s, bool all);
void tg_store_tell_accepted(struct tg_store *s);
/* Gives the thread all that is held, acknowledged or not. */
void tg_store_give_held(struct tg_store *s);
/* False: so many numbers were given beyond those on disk that one more could be given twice after a crash. */
bool tg_store_may_number(struct tg_store *s);
void tg_store_on_window(void *user);
/* Whatever the durability: a feed is about to be closed; its cursor has a feed again, or is retired; all cursors without a feed are. */
void tg_store_orphan(struct tg_store *s, const struct tg_feed *f);
void tg_store_adopt(struct tg_store *s, uint32_t cursor);
void tg_store_no_orphans(struct tg_store *s);
/* Every cloud of its device has acknowledged it, also one whose feed is just being replaced or that may be configured again. */
bool tg_store_done_with(const struct tg_store *s, const struct tg_row *row);

#endif
