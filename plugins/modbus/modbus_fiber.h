/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_fiber - a stack of its own for a bus whose exchange waits while the gateway's loop goes on.
 *
 * An exchange waits deep inside (a reconnect within a write within a verification). On a thread of its own it waits in poll(2); a
 * thread for each of five hundred TCP devices would cost what the devices do not. A fiber runs the same code on the loop's thread: where it
 * would wait it yields, and is resumed when its descriptor is ready or its time is up (modbus_wait.h).
 *
 *     run(user) begins ◄── resume ── … yield ──► resume returns … resume ──► yield returns … run() returns ──► resume returns
 *
 * A fiber that has returned has no stack: that of the next turn comes from a pool, so that memory follows the number of exchanges under
 * way and not that of the devices. A stack is TG_MODBUS_STACK_BYTES of address space, of which the pages are resident that were
 * touched (8 to 12 KiB), above a page that may not be touched: what runs on it must be bounded in depth.
 *
 * A fiber belongs to the thread that resumes it. The pool is shared by all threads.
 */
#ifndef TG_PLUGINS_MODBUS_FIBER_H
#define TG_PLUGINS_MODBUS_FIBER_H

#include <stdbool.h>

#include "core/base/error.h"

#define TG_MODBUS_STACK_BYTES (64 * 1024)

struct tg_modbus_fiber_state;

struct tg_modbus_fiber {
    struct tg_modbus_fiber_state *state; /* NULL: it is not under way */
    void (*run)(void *user);
    void *user;
};

/* The pool lives from the first of these to the last release. */
void tg_modbus_fibers_hold(void);
void tg_modbus_fibers_release(void);

static inline bool tg_modbus_fiber_under_way(const struct tg_modbus_fiber *f)
{
    return f->state != NULL;
}

/* Begins it, or goes on behind its yield; returns when it yields or has returned. TG_ENOMEM: there is no stack for it, and it has not
 * begun. */
int tg_modbus_fiber_resume(struct tg_modbus_fiber *f) TG_CHECKED;
/* From within run() only. */
void tg_modbus_fiber_yield(struct tg_modbus_fiber *f);

#endif
