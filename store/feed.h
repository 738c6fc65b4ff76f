/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * feed - which rows each cloud is still to be given, and from where: the logic behind tg_feed_… of store.h.
 * Private to the store. No I/O, no clock, no thread: what happened comes in as calls, what to read from the
 * log comes out as a `struct tg_scan`. All on the loop thread.
 *
 * POSITIONS   A feed has offered every row of its device below `next_id` (and below `next_seq`). Ids rise
 * over all devices, so a position in the log is one number, and "is this row new to this feed" is one
 * comparison: that makes it harmless that a row may come twice (from memory and in a page) around the moment
 * of catching up.
 *
 *   PAUSED   nothing is wanted; holds no rows.
 *            resume() ► LAGGING or LIVE
 *   LIVE     was offered all rows up to handed_id; gets each new one from memory.
 *            a row without room ► LAGGING; pause() ► PAUSED; rewind() ► LAGGING
 *   LAGGING  reads the log. With room for half a ring it is *hungry*: it waits in a list for the next page.
 *            a page that reaches handed_id ► LIVE; pause() ► PAUSED
 *
 * TWO STREAMS   What a session takes is the *backlog*, in order, and, beside it, what goes *ahead* of it: the *lane*
 * (feed_lane.c), which a feed has only while it is needed. Into the lane go
 *   - of a LAGGING feed with drain fair or newest-first, the rows that come new;
 *   - whatever the drain, urgent rows: new ones, and those in the log, which pages of the table `urgent` bring.
 * A row in the lane is `given` until it is acknowledged, then `acked`. The backlog's reader passes over acked ones and
 * stops before a given one, so that what is taken of the backlog is always below every given row: an acknowledgement of the
 * backlog still means "everything up to here". When the reader has reached the place from which on every row went ahead,
 * and all it has read is acknowledged, what is left in the lane simply is the stream: the lane's ring takes the place of the
 * other (merge), the feed is LIVE. So a feed that is LIVE never has a given row.
 * Acknowledgements come in the order of taking; rows of the lane are taken in the order of their numbers (between rewinds),
 * hence they leave `given` at its front.
 * At most TG_RUNS_MAX runs are given and acked together; beyond, nothing goes ahead until half of them are gone.
 *
 * PAGES   One page is under way at a time, for the feed that has been hungry longest and all hungry feeds
 * near its position: feeds that were away together are served by the same pages. Per row only the feeds of
 * its device are looked at, per page only the hungry ones, per wake-up none.
 *
 * TIME   Rows that are stamped since boot get their wall time when they are put into a ring, where it is known (timeline.h). Where
 * not they stay in the ring as they are, and neither they nor what is behind them is available, until it is.
 *
 * HOLES   What is pending is counted: all numbers above acked_seq, but those that went ahead and the holes. Where the holes are is known
 * to the number, from the log when the feed begins and from what happens to it then: a count of them alone would be wrong as soon as
 * the cursor stands between two of them.
 *
 * BYTES   All rings together hold at most limit_bytes (each ring may hold one row more): half is for whoever
 * needs it, half is divided evenly between the feeds that are not paused, so that stuck sessions starve
 * nobody.
 */
#ifndef TG_STORE_FEED_H
#define TG_STORE_FEED_H

#include <sys/queue.h>

#include "store/row.h"
#include "store/runs.h"
#include "store/timeline.h"

enum tg_feed_mode { TG_FEED_PAUSED, TG_FEED_LIVE, TG_FEED_LAGGING };

struct tg_feeds;

struct tg_feed_ring {
    struct tg_row **at; /* cap is 0 or a power of two */
    uint32_t head, count, cap;
    uint32_t ready; /* of them, from the first on: their time is known, they may be sent */
    uint32_t urgent;
    size_t bytes;
};

#define TG_LANE_NOWHERE UINT64_MAX

struct tg_feed_lane {
    struct tg_feed_ring ring;
    struct tg_runs given;       /* in the ring, or taken and not acknowledged */
    struct tg_runs acked;       /* above the feed's acked_seq */
    uint64_t from_id, from_seq; /* every row handed since this one is given or acked; or TG_LANE_NOWHERE */
    uint64_t taken_seq;
    int64_t taken_ms;
    uint32_t
        full_at;  /* the ring had no room when it held so many rows, and is not half empty again; 0 = no */
    bool stuffed; /* too many runs, and half of them are not gone */
    bool turn;    /* drain fair: the next batch is the lane's */
};

struct tg_feed {
    uint32_t magic;
    enum tg_feed_mode mode;
    struct tg_feeds *set;
    uint32_t device, cursor;
    struct tg_feed_ring ring;
    struct tg_feed_lane *lane; /* NULL: nothing goes ahead, nothing went ahead */
    enum tg_drain drain;
    size_t need;                /* of the row that last had no room */
    uint64_t next_id, next_seq; /* the next row to be offered has at least these */
    uint64_t acked_seq, acked_id;
    uint64_t urgent_id;   /* urgent rows of the log below this (and below next_id) were looked at */
    uint64_t merged_seq;  /* up to here rows were taken from a lane that has become the stream */
    uint64_t taken_seq;   /* highest seq that the session took, of the backlog */
    struct tg_runs holes; /* numbers above acked_seq that will not come: never stored, or gone since */
    int64_t oldest_ms,
        taken_ms;       /* time of the oldest row that is not acknowledged; of the newest one taken */
    uint64_t probe_seq; /* once this is acknowledged, oldest_ms becomes … */
    int64_t probe_ms;   /* … this */
    uint64_t scan;      /* number of the page it takes part in; 0 = none */
    uint64_t walk;      /* number of the walk through memory in which it was stopped */
    bool stopped;       /* had no room for a row of this page, or must not pass it */
    uint32_t
        batch_rows; /* an urgent row joins what waits in memory when that is fewer rows; else it overtakes them */
    bool hold_ahead; /* the session wants no batch of the lane yet */
    bool hungry, notified, dirty;
    bool leaving; /* offers nothing, until tg_feeds_replace() */
    TAILQ_ENTRY(tg_feed) in_hungry, in_notified, in_dirty;
    struct tg_feed *next_of_device;

    /* --- feed_gap.c --- */
    char *cloud;
    struct tg_outbox_quota quota; /* as the thread has it */
    struct tg_gap gap;            /* what the cloud will not get, as of the last news */
    uint64_t tell_seq,
        tell_id; /* the record that tells it: its number once it is stored; its id once it is appended; 0 = none */
    int64_t tell_at_ms;   /* not before */
    struct tg_gap lost;   /* for the thread: what came to it here since the last acknowledgements */
    uint64_t quarantined; /* of that, rows that are stored */
    struct tg_runs risk;  /* rows that are in the ring or with the session and nowhere else any more */
    bool has_gap;
    TAILQ_ENTRY(tg_feed) in_gaps;
    void (*on_rows)(void *user);
    void *user;
};
TAILQ_HEAD(tg_feed_list, tg_feed);

struct tg_feed_device {
    uint64_t last_seq;   /* highest ever given */
    uint64_t handed_seq; /* highest that was handed to the feeds */
    uint64_t urgent_id;  /* no row that was handed, above this id, is urgent; 0 = none is */
    uint64_t floor_seq;  /* scratch of the store */
    struct tg_feed *feeds;
};

/* A page to read: rows with id ≥ from_id whose device d has want[d] ≤ id; of the urgent ones only when `urgent`. Belongs to
 * the set; it does not change until tg_feeds_page_end(). */
struct tg_scan {
    bool urgent;
    uint64_t from_id;
    uint32_t max_rows;
    size_t max_bytes;
    uint64_t *want; /* UINT64_MAX = none of this device */
    uint32_t devices, cap;
};

struct tg_feeds {
    struct tg_feed_device *devices;
    struct tg_feed **by_cursor;
    uint32_t device_count, device_cap, cursor_cap;
    uint32_t awake; /* feeds that are not paused */
    uint32_t lanes;
    uint64_t kept_back; /* rows that were to go ahead and did not, for the bound on runs */
    size_t bytes, limit_bytes;
    uint64_t handed_id; /* every row up to here was handed to the live feeds */
    struct tg_feed_list hungry, notified, dirty, gaps;
    struct tg_scan scan;
    uint64_t scan_number, walk_number;
    bool scanning;
    bool starved;   /* the last look found no hungry feed with room; something has to happen first */
    bool walked;    /* the same for a walk through memory */
    bool no_memory; /* an allocation failed: the owner clears it after a while */
    /* Called when there may be something to do (a page to ask for, acknowledgements to store). Must not call
     * back. */
    void (*wake)(void *user);
    void *wake_user;
    void *owner; /* the store */
    struct tg_timeline timeline;
};

void tg_feeds_init(struct tg_feeds *fs, size_t limit_bytes, uint64_t last_id, void (*wake)(void *user),
                   void *user);
/* All feeds must be closed. */
void tg_feeds_fini(struct tg_feeds *fs);

/* Devices and cursors are small dense numbers. */
int tg_feeds_device(struct tg_feeds *fs, uint32_t device, uint64_t last_seq) TG_CHECKED;
/* Urgent rows of the device may be in the log, up to this id. */
void tg_feeds_urgent(struct tg_feeds *fs, uint32_t device, uint64_t high_id);
struct tg_feed_start {
    uint32_t device, cursor;
    uint64_t acked_seq, acked_id;
    const struct tg_runs *holes; /* numbers above acked_seq that were never stored; NULL = none. Copied. */
    int64_t oldest_ms;           /* 0 = not known */
    const struct tg_runs *ahead; /* acknowledged above acked_seq; NULL = none. Copied. */
    struct tg_gap gap;
    uint64_t tell_seq;
    const char *cloud; /* NULL = "" */
};
int tg_feeds_open(struct tg_feeds *fs, const struct tg_feed_start *start, void (*on_rows)(void *user),
                  void *user, struct tg_feed **ret_feed) TG_CHECKED;
/* Leaves every list, gives its rows back, frees it. */
void tg_feeds_close(struct tg_feed *feed);

/* A sample got its numbers. */
void tg_feeds_appended(struct tg_feeds *fs, const struct tg_row *row);
/* The next row in id order may be offered: it is stored, or cannot be. */
void tg_feeds_hand(struct tg_feeds *fs, struct tg_row *row);
/* Calls on_rows of the feeds that got rows since the last call. */
void tg_feeds_notify(struct tg_feeds *fs);
/* True when the row is of no more use: every feed of its device has acknowledged it. */
bool tg_feeds_done_with(const struct tg_feeds *fs, const struct tg_row *row);

/* The log has let go of rows: everything up to here is acknowledged or evicted; what is left is not older than oldest_ms. */
void tg_feeds_moved(struct tg_feeds *fs, uint32_t cursor, uint64_t seq, uint64_t id, int64_t oldest_ms);
/* A row that no feed was offered yet was dropped from memory. */
void tg_feeds_dropped(struct tg_feeds *fs, const struct tg_row *row);
/* The log was set aside: rows of `device` up to (seq, id) can no longer be read. Those in memory stay. */
void tg_feeds_lost(struct tg_feeds *fs, uint32_t device, uint64_t seq, uint64_t id);

/* More is known of time: rows in rings that waited for it are given theirs. tg_feeds_notify() is to follow. */
void tg_feeds_resolve(struct tg_feeds *fs, const struct tg_timeline *timeline);

/* --- feed_scan.c ------------------------------------------------------------------------------- */

/* What to read next; false = nothing. Only rows up to `stored_id` are in the log. */
bool tg_feeds_scan(struct tg_feeds *fs, uint64_t stored_id, const struct tg_scan **ret_scan);
/* The rows of the page in id order, then its end: every wanted row up to through_id was in it. through_id =
 * 0: the page could not be read. */
void tg_feeds_page_row(struct tg_feeds *fs, const struct tg_outbox_row *row);
void tg_feeds_page_end(struct tg_feeds *fs, uint64_t through_id);
/* Serves hungry feeds from the rows that are not stored yet (and were handed all the same). */
void tg_feeds_walk(struct tg_feeds *fs, const struct tg_row_list *unstored, uint64_t stored_id);

/* A place further back was found for the feed: it offers nothing until what the session took is acknowledged or rewound, and
 * it is put there. */
void tg_feeds_leave(struct tg_feeds *fs, uint32_t cursor);
void tg_feeds_replace(struct tg_feed *feed, const struct tg_feed_start *start);

/* --- feed_gap.c -------------------------------------------------------------------------------- */

/* What the log says of a cursor's gap. */
void tg_feeds_gap(struct tg_feeds *fs, uint32_t cursor, const struct tg_gap *gap, uint64_t tell_seq);
/* The next feed whose cloud is to be told now; NULL = none, *ret_next_ms is when one may be (INT64_MAX = something has to happen
 * first). Rows up to `stored_id` are stored, and the news of it were taken. */
struct tg_feed *tg_feeds_gap_due(struct tg_feeds *fs, int64_t now_ms, uint64_t stored_id,
                                 int64_t *ret_next_ms);
/* The record of this id was appended at now_ms. */
void tg_feed_telling(struct tg_feed *feed, uint64_t id, int64_t now_ms);
/* It will never be stored: its row was let go. */
void tg_feeds_not_told(struct tg_feeds *fs, const struct tg_row *row);
/* Rows that will not arrive; the thread hears of it with the next acknowledgements. */
void tg_feed_lose(struct tg_feed *feed, uint64_t first_seq, uint64_t last_seq, enum tg_gap_reason reason);
/* Numbers that will not come, whatever the session has of them. More than TG_HOLES_MAX runs, or without memory, are not remembered:
 * then they count as pending until the feed has passed them. */
#define TG_HOLES_MAX 4096u
void tg_feed_hole(struct tg_feed *feed, uint64_t first_seq, uint64_t last_seq);
/* A row is with the session, or in a ring, and nowhere else any more. */
void tg_feed_risk(struct tg_feed *feed, uint64_t seq);
/* Where the feed reads on: what it had beyond and is nowhere else is lost; but for what went ahead, which the session still has. */
void tg_feed_risk_lost(struct tg_feed *feed, uint64_t from_seq);

/* --- store_gap.c: with the clock ----------------------------------------------------------------- */
/* Writes the body of the record that tells its gap; returns the time of storing. */
int64_t tg_feed_gap_record(const struct tg_feed *feed, struct tg_writer *w);

/* --- shared by feed.c, feed_scan.c and feed_lane.c ---------------------------------------------- */

#define TG_FEED_HUNGRY_ROOM (TG_FEED_MAX_ROWS / 2)

static inline struct tg_row *tg_ring_at(const struct tg_feed_ring *r, uint32_t i)
{
    return r->at[(r->head + i) & (r->cap - 1)];
}
/* One of those that are ready is urgent. */
bool tg_ring_is_urgent(const struct tg_feed_ring *r);
/* False: no memory. */
bool tg_ring_push(struct tg_feeds *fs, struct tg_feed_ring *r, struct tg_row *row);
/* After rows have come or gone. */
void tg_ring_count_ready(struct tg_feed_ring *r);
/* Rows that waited for their time get it, where it is known now. */
void tg_ring_resolve(struct tg_feeds *fs, struct tg_feed_ring *r);
struct tg_row *tg_ring_shift(struct tg_feeds *fs, struct tg_feed_ring *r);
void tg_ring_drop_all(struct tg_feed *feed, struct tg_feed_ring *r);
/* After rows have left: memory goes back, and whoever waited for bytes may look again. */
void tg_ring_shrunk(struct tg_feed *feed, struct tg_feed_ring *r);

/* There may be room for somebody who had none. */
void tg_feeds_look_again(struct tg_feeds *fs);
/* Everything up to (seq, id) is over for this feed. */
void tg_feed_advance(struct tg_feed *feed, uint64_t seq, uint64_t id);
/* There is something for the thread. */
void tg_feed_mark_dirty(struct tg_feed *feed);
/* Back to reading the log from (seq, id). */
void tg_feed_reposition(struct tg_feed *feed, uint64_t seq, uint64_t id);
bool tg_feed_push(struct tg_feed *feed, struct tg_row *row);
/* Bytes that a ring may still take. */
size_t tg_feed_allowance(const struct tg_feeds *fs, const struct tg_feed_ring *r);
/* Puts the feed where its position says: LIVE, hungry, or LAGGING without room. */
void tg_feed_settle(struct tg_feed *feed);
void tg_feed_notice(struct tg_feed *feed);
/* A page of the backlog may bring something. */
static inline bool tg_feed_wants_backlog(const struct tg_feed *f);

/* --- feed_lane.c ---------------------------------------------------------------------------------- */

/* A row was handed while the feed is LAGGING. `urgent_id`: of the device before this row. */
void tg_lane_hand(struct tg_feed *feed, struct tg_row *row, uint64_t urgent_id);
/* An urgent row for a LIVE feed with a batch or more of rows in its ring. False: it goes the usual way. */
bool tg_lane_overtake(struct tg_feed *feed, struct tg_row *row);
/* The feed would like a page of urgent rows, from this id on. */
bool tg_lane_wants_urgent(const struct tg_feed *feed);
static inline uint64_t tg_lane_urgent_from(const struct tg_feed *f)
{
    return f->urgent_id > f->next_id ? f->urgent_id : f->next_id;
}
/* A row of such a page. False: it has no room. */
bool tg_lane_page_row(struct tg_feed *feed, struct tg_row *row);
/* The backlog's reader meets this row. */
enum tg_lane_verdict { TG_LANE_YOURS, TG_LANE_PASSED, TG_LANE_STOP };
enum tg_lane_verdict tg_lane_meets(struct tg_feed *feed, uint64_t id, uint64_t seq);
/* Before the cursor moves to (seq, id): takes in what it reaches, which may move it further. */
void tg_lane_pass(struct tg_feed *feed, uint64_t *seq, uint64_t *id);
/* Moves the reader over what is acked; merges. True: the feed is LIVE now. */
bool tg_lane_settle(struct tg_feed *feed);
/* The session is gone: the ring is let go of; what was taken stays given. */
void tg_lane_pause(struct tg_feed *feed);
/* What was taken is to be offered again. */
void tg_lane_rewind(struct tg_feed *feed);
/* TG_ENOMEM. */
int tg_lane_open(struct tg_feed *feed, const struct tg_runs *acked) TG_CHECKED;
/* When nothing is in it and the feed is not LAGGING. */
void tg_lane_tidy(struct tg_feed *feed);
void tg_lane_close(struct tg_feed *feed);
/* The feed begins anew, with these acknowledged ahead (NULL = none). Nothing of the lane is taken. */
void tg_lane_replace(struct tg_feed *feed, const struct tg_runs *acked);
void tg_lane_take(struct tg_feed *feed, uint32_t n, struct tg_row **ret_rows);
static inline bool tg_lane_has_given(const struct tg_feed *f)
{
    return f->lane && f->lane->given.count > 0;
}
static inline const struct tg_runs *tg_lane_given(const struct tg_feed *f)
{
    static const struct tg_runs none;
    return f->lane ? &f->lane->given : &none;
}
/* Acknowledged rows of first … last. */
static inline uint64_t tg_lane_acked_between(const struct tg_feed *f, uint64_t first, uint64_t last)
{
    return f->lane && first <= last ? tg_runs_between(&f->lane->acked, first, last) : 0;
}
/* The reader has come to where everything went ahead. */
static inline bool tg_lane_reached(const struct tg_feed *f)
{
    return f->next_id >= f->lane->from_id || f->next_seq >= f->lane->from_seq;
}

static inline bool tg_feed_wants_backlog(const struct tg_feed *f)
{
    return f->ring.count <= TG_FEED_HUNGRY_ROOM && f->next_id <= f->set->handed_id &&
           !(f->lane && (tg_lane_reached(f) || tg_runs_has(&f->lane->given, f->next_seq)));
}

#endif
