/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_trouble - what went wrong with a device, counted by kind; the log hears of it without being filled.
 *
 * Each kind may write AT_TROUBLE_BURST lines at once and one more a minute; what is held back is counted and told with the next line
 * of its kind. Once an hour in which something went wrong one line sums up all kinds. A device that flaps for a year writes the same
 * few lines an hour as one that fails once.
 *
 * Also here: the bound on what a device may send (struct at_bucket), since a device that floods is one of the kinds.
 * Pure but for the printing; time is passed in. One thread.
 */
#ifndef TG_PLUGINS_AT_TROUBLE_H
#define TG_PLUGINS_AT_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AT_TROUBLE_BURST      3
#define AT_TROUBLE_AGAIN_MS   60000
#define AT_TROUBLE_SUMMARY_MS 3600000

enum at_trouble_kind {
    AT_TROUBLE_TIMEOUT,        /* no final result in time */
    AT_TROUBLE_ERROR,          /* ERROR, +CME ERROR … */
    AT_TROUBLE_EMPTY,          /* OK without a line */
    AT_TROUBLE_NO_MATCH,       /* no line that fits the point's pattern */
    AT_TROUBLE_TYPE,           /* a text that is not of the point's type, or not in its map */
    AT_TROUBLE_COST,           /* matching would have taken too long */
    AT_TROUBLE_ANSWER_SIZE,    /* lines dropped: too long, too many */
    AT_TROUBLE_PAYLOAD_LENGTH, /* an announced length that was not true */
    AT_TROUBLE_PAYLOAD_SIZE,   /* more than fits */
    AT_TROUBLE_FLOOD,          /* more bytes a second than a device may send */
    AT_TROUBLE_URC_FLOOD,      /* more unasked lines a second; they were dropped */
    AT_TROUBLE_RESTART,        /* the device restarted */
    AT_TROUBLE_INIT,           /* an initial command refused, or the initialisation too slow */
    AT_TROUBLE_UNPLUGGED,
    AT_TROUBLE_KINDS
};
/* "timeout", "error", "empty" …: as they stand in the answer of the command `stats`. */
extern const char *const at_trouble_names[AT_TROUBLE_KINDS];

struct at_trouble_line {
    uint64_t count, held_back;
    uint32_t tokens_used;
    int64_t since_ms; /* when tokens_used was last 0 or lowered */
};

struct at_troubles {
    struct at_trouble_line kinds[AT_TROUBLE_KINDS];
    uint64_t told_total; /* at the last summary */
    int64_t summary_ms;  /* when the next one is due */
};

void at_troubles_init(struct at_troubles *t, int64_t now_ms);
/* Counts. True when a line may be written; *ret_held_back is then how many were not since the last. */
bool at_trouble_count(struct at_troubles *t, enum at_trouble_kind kind, int64_t now_ms,
                      uint64_t *ret_held_back);
/* "timeout 12, error 3" into buf; false when no summary is due. */
bool at_trouble_summary(struct at_troubles *t, int64_t now_ms, char *buf, size_t size);

/* A token bucket. */
struct at_bucket {
    int64_t per_s, burst, level, at_ms;
};
void at_bucket_init(struct at_bucket *b, int64_t per_s, int64_t burst, int64_t now_ms);
/* What may be taken now. */
int64_t at_bucket_room(struct at_bucket *b, int64_t now_ms);
/* Takes n; more than there is leaves a debt. */
void at_bucket_take(struct at_bucket *b, int64_t n);

#endif
