/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * health - tells systemd how we are (sd_notify): READY, STATUS, STOPPING, RELOADING, and the watchdog.
 *
 * The watchdog is fed from a timer on the loop at half of WATCHDOG_USEC, and only while the store's thread has also
 * shown signs of life: a loop that hangs or a disk that swallows every write ends in a restart, not in silence.
 * Outside systemd (no NOTIFY_SOCKET) nothing is sent. Loop thread.
 */
#ifndef TG_GATEWAY_HEALTH_H
#define TG_GATEWAY_HEALTH_H

#include "core/net/loop.h"
#include "store/store.h"

#define TG_STORE_STUCK_MS 60000 /* samples wait and none is committed for so long */

/* Whether the store's thread shows signs of life: it commits, has nothing to commit, or has said what is wrong with its disk. */
struct tg_store_pulse {
    int64_t moved_ms; /* the last sign; begins as now */
    uint64_t committed_id;
    bool stuck; /* it was said */
};
/* False: none for TG_STORE_STUCK_MS (and the window of `lazy`). That begins with a line in the log, and ends with one. */
bool tg_store_pulse_beats(struct tg_store_pulse *pulse, const struct tg_store_stats *stats, int64_t now_ms);

struct tg_health;

/* alive: false withholds the watchdog's food. status: one line for `systemctl status`. */
int tg_health_new(struct tg_loop *loop, bool (*alive)(void *user),
                  void (*status)(void *user, char *text, size_t size), void *user,
                  struct tg_health **ret_health) TG_CHECKED;
void tg_health_ready(struct tg_health *h);
void tg_health_reloading(struct tg_health *h);
void tg_health_stopping(struct tg_health *h);
void tg_health_close(struct tg_health *h);

#endif
