/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * lives_model - what the world outside of a store has seen of it over many lives, and the judgement of what is on the disk after
 * each of them [C1, C4, C5, C6]. It lies in memory that processes share, so that it outlives those that are killed.
 *
 * The world sees: samples that were offered and got a number, those that were reported as accepted, what each cloud was given
 * and acknowledged. Nothing else: what the store keeps for itself is asked only between two lives, from the file.
 */
#ifndef TG_TESTS_LIVES_MODEL_H
#define TG_TESTS_LIVES_MODEL_H

#include "store/outbox.h"

#define LIVES_DEVICES 5
#define LIVES_CLOUDS  3
#define LIVES_SAMPLES 60000 /* of a device in one history */

struct lives_sample {
    uint64_t seq, id, hash; /* hash: of the body */
    int64_t time_ms;
    bool accepted;
    uint8_t delivered[LIVES_CLOUDS]; /* how often, up to 255 */
    bool acked[LIVES_CLOUDS]; /* the cloud's acknowledgement was handed to the store, and not lost since */
    bool
        uncertain; /* it waited while nothing could be stored: it may have been delivered from memory alone, or dropped from it */
    bool record;   /* the store's own: it tells a cloud of a gap */
    bool urgent;   /* it was offered to go ahead */
    bool stored;   /* scratch of the judge: it is in the log */
    bool seen;     /* a judge has found it in the log */
    bool spared;   /* every cloud had acknowledged it from memory, and no judge has ever seen it in the log */
};

struct lives_account {
    bool exists;
    bool leaving;      /* it is not configured any more: the judge looks whether it is gone yet */
    uint64_t base;     /* numbers above are this cloud's */
    uint32_t begun;    /* the life in which it came */
    uint64_t highest;  /* given to the cloud, ever, in order */
    uint64_t acked;    /* acknowledged up to here */
    uint64_t sent_ack; /* as much of it as was handed over before sample sent_at_id was offered … */
    uint64_t sent_at_id;
    uint64_t durable_ack; /* … and is stored, since that sample is */
    /* As judged last. unknown: so many of its numbers may be counted or not (the store's own records, what came while nothing could be
     * stored, what a lazy store had no need to write); either: may count as acknowledged or as dropped; passed: acknowledged or
     * dropped up to here. */
    uint64_t unknown, either, passed;
    uint64_t pending; /* as judged last: in the log, and neither */
};

struct lives_tally {
    uint64_t offered, accepted, delivered, duplicates, dropped, lost_as_allowed, unstored, records;
    uint64_t urgent, ahead, spared,
        dropped_by_hand; /* ahead: deliveries; by_hand: rows, once for each cloud */
    uint32_t lives, kills, cuts, stops, full_disks, failed_syncs, gone_disks, rewinds, retired, reloads,
        most_duplicates, quotas, hand_drops, devices_left;
};

struct lives {
    uint64_t random;
    bool power_forgets; /* durability normal: a power cut may take what was accepted */
    bool lazy;          /* accepted is: stored, or acknowledged by every cloud */
    bool calm;          /* the disk gives no trouble */
    int64_t clock_ms;   /* wall time less monotonic time, the same in all lives */
    struct lives_account account[LIVES_DEVICES][LIVES_CLOUDS];
    uint32_t count[LIVES_DEVICES], life_start[LIVES_DEVICES];
    struct lives_sample sample[LIVES_DEVICES][LIVES_SAMPLES]; /* by number */
    uint64_t dropped_memory;                                  /* as the store says, over all lives */
    struct lives_tally tally;
};

extern const char *const lives_clouds[LIVES_CLOUDS];
void lives_device_name(uint32_t d, char name[24]);

uint64_t lives_hash(struct tg_bytes body);
struct lives_sample *lives_find(struct lives *w, uint32_t d, uint64_t seq);
void lives_begin(struct lives *w);
/* A feed was opened that is acknowledged up to here; a new one begins there. */
void lives_resumed(struct lives *w, uint32_t d, uint32_t c, uint64_t acked_seq);
/* The cloud is not configured any more: its rows are given up, sooner or later. */
void lives_left(struct lives *w, uint32_t d, uint32_t c);
/* The store gave these numbers. A number that was given before is given again only when nobody ever heard of the first. */
void lives_offered(struct lives *w, uint32_t d, const struct tg_outbox_row *row, bool urgent, bool uncertain);
/* Nothing can be stored now: what is not accepted is uncertain. */
void lives_not_stored(struct lives *w);
/* Everything offered with an id up to this is accepted. */
void lives_committed(struct lives *w, uint64_t id);
/* The cloud is given a row: it is what was offered, whole, and if it comes for the first time and in order, after all that came
 * before. `ahead`: it goes ahead of the backlog; `liberal`: the session's drain lets every row do that, else only urgent ones may. */
void lives_delivered(struct lives *w, uint32_t d, uint32_t c, const struct tg_outbox_row *row, bool ahead,
                     bool liberal);
/* The cloud acknowledges everything that it was given up to this number … */
void lives_acked(struct lives *w, uint32_t d, uint32_t c, uint64_t seq);
/* … this one alone. */
void lives_acked_ahead(struct lives *w, uint32_t d, uint32_t c, uint64_t seq);

/* After a life, nobody has the file open: the accounts are right to the number. `cut`: the power was gone. */
void lives_judge(struct lives *w, const struct tg_outbox_options *o, bool cut);
/* After the last life, in which everything was delivered. */
void lives_judge_end(struct lives *w, const struct tg_outbox_options *o);

#endif
