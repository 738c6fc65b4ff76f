/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_chat_private - what at_chat.c (commands, dispatch of lines) and at_chat_sync.c (resynchronising, time)
 * share. Not for others.
 */
#ifndef TG_SOUTHBOUND_AT_CHAT_PRIVATE_H
#define TG_SOUTHBOUND_AT_CHAT_PRIVATE_H

#include "southbound/at_chat.h"

#define TG_AT_SLOTS          (TG_AT_QUEUE_MAX + 1)
#define TG_AT_PROBES         3    /* the last with ESC; with `escape` one more, behind "+++" */
#define TG_AT_URC_SECOND_MS  1000 /* how long the second line of a URC is waited for */
#define TG_AT_HELD_MS        200  /* silence after which an open quote is taken for a stray one */
#define TG_AT_PARTIAL_MS     100  /* silence after which an unfinished line is noise */
#define TG_AT_PARTIAL_MAX_MS 1000 /* an endless line holds no command longer than this */

/* Ends the outstanding command: its RESULT waits as the event. */
void tg_at_chat_finish_(struct tg_at_chat *c, const struct tg_at_final *final, struct tg_bytes line);
/* A final result while resynchronising. */
void tg_at_chat_sync_final_(struct tg_at_chat *c, int64_t now_ms);
bool tg_at_chat_syncing_(const struct tg_at_chat *c);
/* The quiet time before a probe starts anew: a byte has come. */
void tg_at_chat_sync_heard_(struct tg_at_chat *c, int64_t now_ms);
void tg_at_chat_simple_event_(struct tg_at_chat *c, enum tg_at_event_kind kind);
/* Begins sending; `text` must fit. */
void tg_at_chat_send_(struct tg_at_chat *c, const char *text);
/* The first line of a two-line URC stays alone. */
void tg_at_chat_urc_alone_(struct tg_at_chat *c);
void tg_at_chat_start_next_(struct tg_at_chat *c, int64_t now_ms);

#endif
