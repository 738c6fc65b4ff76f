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
