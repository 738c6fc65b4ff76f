/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_script - which exchange with the device is due. Pure.
 *
 * A poll is a point with its interval; polls that ask the same command of the same device share one exchange
 * (one command, one answer, one sample). An exchange is due when one of its polls is; it then serves all of
 * its polls that are due. A poll keeps its phase (due, due + every, …); turns that were missed because the
 * port was slow or closed are left out, never made up for in a burst. Among several due exchanges the one
 * that has waited longest goes first, so none starves.
 *
 *     i = tg_at_script_next(&s, now);           exchange to run, or TG_AT_SCRIPT_NONE
 *     … run it; for its polls with .taken: a value …
 *     tg_at_script_done(&s, i, now);
 */
#ifndef TG_SOUTHBOUND_AT_SCRIPT_H
#define TG_SOUTHBOUND_AT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TG_AT_SCRIPT_NONE UINT32_MAX

struct tg_at_poll {
    uint32_t exchange; /* set by the caller: polls of one command have the same, 0 … n-1 */
    int64_t every_ms;  /* > 0 */
    int64_t due_ms;
    bool taken; /* is served by the exchange that runs */
};

struct tg_at_script {
    struct tg_at_poll *polls; /* borrowed */
    uint32_t poll_count;
};

/* Everything is due at now_ms. */
void tg_at_script_init(struct tg_at_script *s, struct tg_at_poll *polls, uint32_t count, int64_t now_ms);
/* The exchange that is due longest; its due polls are marked `taken`. */
uint32_t tg_at_script_next(struct tg_at_script *s, int64_t now_ms);
/* The exchange has ended, well or not: its taken polls get their next turn. */
void tg_at_script_done(struct tg_at_script *s, uint32_t exchange, int64_t now_ms);
/* Makes all polls of an exchange due now (after a write, to read back). */
void tg_at_script_hurry(struct tg_at_script *s, uint32_t exchange, int64_t now_ms);
/* When the next poll is due; INT64_MAX without polls. */
int64_t tg_at_script_deadline(const struct tg_at_script *s);

#endif
