/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gap - what a cloud will not get: a range of a device's numbers, how many of them are lost, and why; and the *gap record*, the
 * sample that tells a cloud of it. Pure: no allocation.
 *
 * A gap record is a sample like any other (core/base/sample.h): it has a number, is stored, and is delivered at least once. Its
 * values have names that no point can have (tg_name_is_valid() knows no `$`):
 *
 *     $gap_first $gap_last   UINT   the first and the last number that may be missing
 *     $gap_count             UINT   how many of them are lost; of `crash` and `corrupt`: at most
 *     $gap_reason            TEXT   reasons, comma separated
 *     $gap_cloud             TEXT   the cloud that did not get them
 *
 * Ranges are united: between first and last there may be numbers that did arrive.
 */
#ifndef TG_BASE_GAP_H
#define TG_BASE_GAP_H

#include "core/base/sample.h"

/* Bits; the first six in the order of enum tg_drop_reason (store/outbox.h). */
enum tg_gap_reason {
    TG_GAP_LIMIT = 1 << 0,      /* outbox.limit */
    TG_GAP_AGE = 1 << 1,        /* a max_age */
    TG_GAP_DISK_FULL = 1 << 2,  /* the disk was full */
    TG_GAP_QUARANTINE = 1 << 3, /* no message of this cloud can carry it, or it cannot be read any more */
    TG_GAP_QUOTA = 1 << 4,      /* max_pending of the device or the cloud */
    TG_GAP_REMOVED = 1 << 5,    /* dropped by an operator, or while the device or cloud was not configured */
    TG_GAP_CRASH = 1 << 6,      /* numbers that were leaped over after a crash */
    TG_GAP_CORRUPT = 1 << 7,    /* the database was damaged and set aside, or gone */
    TG_GAP_MEMORY = 1 << 8      /* the disk took nothing and the memory was full */
};
#define TG_GAP_REASONS 9
#define TG_GAP_ALL     ((1u << TG_GAP_REASONS) - 1)

/* reasons = 0: no gap. */
struct tg_gap {
    uint64_t first_seq, last_seq, count;
    uint32_t reasons;
};

#define TG_GAP_POINT         "gap" /* stands for the point's name where a cloud has one topic a point */
#define TG_GAP_REASONS_BYTES 96    /* all of them and a NUL */

static inline bool tg_gap_is(const struct tg_gap *gap)
{
    return gap->reasons != 0;
}

/* Adds `more` (maybe none) to a gap. */
void tg_gap_unite(struct tg_gap *gap, const struct tg_gap *more);
/* `told` was told of it: what remains was added since. */
void tg_gap_subtract(struct tg_gap *gap, const struct tg_gap *told);

/* "limit", "age" …; NULL beyond TG_GAP_REASONS. */
const char *tg_gap_reason_name(unsigned bit);
/* "limit,quota" into ret_text; what is no reason is left out. */
void tg_gap_reasons_text(uint32_t reasons, char ret_text[TG_GAP_REASONS_BYTES]);

/* Writes the record's body. */
void tg_gap_write_at(struct tg_writer *w, const struct tg_sample_time *time, const struct tg_gap *gap,
                     const char *cloud);
/* 1 = a gap record, *ret_gap and *ret_cloud (a view into the body) are filled; 0 = an ordinary sample; TG_ECORRUPT. */
int tg_gap_read(struct tg_bytes body, struct tg_gap *ret_gap, struct tg_bytes *ret_cloud) TG_CHECKED;
/* Whether the body is one, by its first name: costs no more than reading that. */
bool tg_gap_is_record(struct tg_bytes body);
/* What a value of a gap record is called in formats that have a name for each value: "first_seq" for "$gap_first" …; NULL for
 * any other name. */
const char *tg_gap_field(struct tg_bytes name);

#endif
