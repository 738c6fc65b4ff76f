/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * loop - the one libuv loop: creation, wake-ups for mailboxes, timers in monotonic milliseconds, and an
 * orderly end. All state of the gateway belongs to the thread that runs it.
 *
 * Shutdown: everything that has handles closes them; tg_loop_fini() then drives the loop until they are
 * gone and asserts uv_loop_close() == 0. A handle left open is a defect and is named on standard error.
 * What ends by itself but not at once (a lingering stream, a name lookup in the thread pool) says so with
 * tg_loop_hold(); tg_loop_fini() waits for its tg_loop_release().
 */
#ifndef TG_NET_LOOP_H
#define TG_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/error.h"

/* Working space that streams share: used only while the loop is inside one stream's read, never kept. */
#define TG_LOOP_WIRE_BYTES  65536 /* what one read takes from a socket */
#define TG_LOOP_PLAIN_BYTES 16384 /* the plaintext of one TLS record */

struct tg_loop {
    uv_loop_t uv;
    bool initialised;
    uint32_t held;       /* tg_loop_hold() without its release yet */
    uint64_t turn_uv_ms; /* libuv's time of the turn that now_ms belongs to */
    int64_t now_ms;
    bool in_deadline; /* a deadline's callback is running */
    uint8_t *wire, *plain;
};

/* Also ignores SIGPIPE process-wide: libuv writes to sockets whose peer may be gone. TG_ENOMEM, TG_EIO. */
int tg_loop_init(struct tg_loop *loop, struct tg_error *err) TG_CHECKED;
/* Runs until tg_loop_stop(), or until no handle is left that could wake it. */
void tg_loop_run(struct tg_loop *loop);
/* From the loop thread; called before tg_loop_run() it makes that return after one turn. */
void tg_loop_stop(struct tg_loop *loop);
void tg_loop_fini(struct tg_loop *loop);
/* Monotonic now, refreshed once per loop turn by libuv's clock base plus tg_clock_mono (see clock.h): use
 * for deadlines of the sans-I/O cores. */
int64_t tg_loop_now_ms(struct tg_loop *loop);
/* Makes tg_loop_fini() wait. Loop thread. */
void tg_loop_hold(struct tg_loop *loop);
void tg_loop_release(struct tg_loop *loop);

/* A wake-up that any thread may fire; `cb` then runs once on the loop, however often it was fired. */
struct tg_wakeup {
    uv_async_t async;
    void (*cb)(void *user);
    void *user;
};
int tg_wakeup_init(struct tg_wakeup *w, struct tg_loop *loop, void (*cb)(void *user), void *user) TG_CHECKED;
void tg_wakeup_fire(void *wakeup); /* any thread; signature fits tg_mailbox's `wake` */
/* No thread may fire it any more (close its mailbox first). Memory must stay until the loop has turned
 * (tg_loop_fini does). */
void tg_wakeup_close(struct tg_wakeup *w);

/* A one-shot deadline in tg_loop_now_ms() time; setting it again moves it. INT64_MAX disarms; a time that has
 * passed fires in the next turn. `cb` never comes early. */
struct tg_deadline {
    uv_timer_t timer;
    struct tg_loop *loop;
    void (*cb)(void *user);
    void *user;
    int64_t at_ms;
};
void tg_deadline_init(struct tg_deadline *d, struct tg_loop *loop, void (*cb)(void *user), void *user);
void tg_deadline_set(struct tg_deadline *d, int64_t at_ms);
/* Closes the timer; `closed` (may be NULL) runs when its memory may go. */
void tg_deadline_close(struct tg_deadline *d, void (*closed)(void *user));

#endif
