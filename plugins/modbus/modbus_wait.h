/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_wait - how a bus waits: for a descriptor, for a moment, for the end.
 *
 *   blocking   on a thread of its own (a serial line; `tidegate discover`; a host that knows no other way): poll(2) in slices of a fifth
 *              of a second, between which host->stopping() is asked
 *   on the loop   (connections): the fiber yields, and tg_modbus_waiter_due() says when it is to be resumed. One watch at a time, kept
 *              from one exchange to the next: a connection that is asked every second costs no epoll_ctl(2)
 *
 * Everything that waits takes a waiter and does not know which kind it is.
 */
#ifndef TG_PLUGINS_MODBUS_WAIT_H
#define TG_PLUGINS_MODBUS_WAIT_H

#include <tidegate/plugin.h>

#include "plugins/modbus/modbus_fiber.h"

#define TG_MODBUS_SLICE_MS 200

struct tg_modbus_waiter {
    const struct tg_host *host;
    struct tg_modbus_fiber *fiber; /* NULL: blocks */
    bool ending;                   /* the instance is being closed: nothing is waited for any more */
    /* on the loop */
    int64_t until_ms;
    bool waits_for_fd;
    uint32_t ready; /* TG_FD_… that came while it was waited for */
    bool watches;   /* `watched` is with the host, for `events` */
    int watched;
    uint32_t events;
};

/* The host is stopping, or the instance is being closed. */
bool tg_modbus_stopping(const struct tg_modbus_waiter *w);
/* Until one of `events` (of poll(2); 0: none, only time) or until_ms. >0: what poll(2) reports; 0: time is up; TG_ECANCELED, TG_EIO. */
int tg_modbus_wait(struct tg_modbus_waiter *w, int fd, short events, int64_t until_ms) TG_CHECKED;
/* A rest of so many milliseconds at most: it may end early when the host is stopping. */
void tg_modbus_rest(struct tg_modbus_waiter *w, int64_t ms);
/* Before the descriptor is closed. */
void tg_modbus_forget(struct tg_modbus_waiter *w, int fd);

/* --- on the loop, outside of the fiber --- */

/* What the host's fd_ready() says. What nobody waits for ends the watch: it is looked at when something is asked next. */
void tg_modbus_waiter_ready(struct tg_modbus_waiter *w, int fd, uint32_t events);
/* In how many milliseconds the fiber goes on: 0 = now. */
int64_t tg_modbus_waiter_due(const struct tg_modbus_waiter *w, int64_t now_ms);

#endif
