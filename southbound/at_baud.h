/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_baud - at which rate a device answers: "AT" at one rate after the other. Pure.
 *
 * At each rate "AT" is sent up to TG_AT_BAUD_TRIES times, TG_AT_BAUD_WAIT_MS apart (a device that measures the rate of its host
 * needs several), and an OK or ERROR of its own line ends the search; at a wrong rate neither can come about. The rates are tried
 * in their order, the one of last time first.
 *
 *     tg_at_baud_begin(&b, rates, count, last, now);
 *     for (;;) switch (tg_at_baud_next(&b, now, &rate)) {
 *         case TG_AT_BAUD_SET:   set the port to `rate` and drop what it holds
 *         case TG_AT_BAUD_SEND:  write TG_AT_BAUD_PROBE
 *         case TG_AT_BAUD_WAIT:  until input or tg_at_baud_deadline(); tg_at_baud_input()
 *         case TG_AT_BAUD_FOUND: at `rate`        case TG_AT_BAUD_NONE: at none of them
 *     }
 * The struct is all there is (about 2 KiB). One thread.
 */
#ifndef TG_SOUTHBOUND_AT_BAUD_H
#define TG_SOUTHBOUND_AT_BAUD_H

#include "southbound/at_lines.h"

#define TG_AT_BAUD_MAX     16
#define TG_AT_BAUD_TRIES   10
#define TG_AT_BAUD_WAIT_MS 200
#define TG_AT_BAUD_PROBE   "AT\r"

enum tg_at_baud_step { TG_AT_BAUD_SET, TG_AT_BAUD_SEND, TG_AT_BAUD_WAIT, TG_AT_BAUD_FOUND, TG_AT_BAUD_NONE };

struct tg_at_baud {
    struct tg_at_lines lines;
    int64_t rates[TG_AT_BAUD_MAX];
    uint32_t count, index, tries;
    enum tg_at_baud_step step; /* what comes next */
    int64_t deadline_ms;
};

/* Copies at most TG_AT_BAUD_MAX rates. `first`: the rate to begin with, whether it is among them or not; 0 = none. */
void tg_at_baud_begin(struct tg_at_baud *b, const int64_t *rates, uint32_t count, int64_t first,
                      int64_t now_ms);
/* What to do next; after FOUND and NONE the same again. */
enum tg_at_baud_step tg_at_baud_next(struct tg_at_baud *b, int64_t now_ms, int64_t *ret_rate);
/* The port cannot be set to this rate: goes on with the next. */
void tg_at_baud_skip(struct tg_at_baud *b);
void tg_at_baud_input(struct tg_at_baud *b, struct tg_bytes in);
/* When next has something to do: INT64_MIN = at once, INT64_MAX = the search is over. */
int64_t tg_at_baud_deadline(const struct tg_at_baud *b);

#endif
