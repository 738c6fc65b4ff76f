/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * notify - the service manager's protocol (sd_notify(3), "Notes": stable, and free to be implemented): a datagram of KEY=VALUE lines to
 * the socket that $NOTIFY_SOCKET names, and how often the watchdog wants to hear. Without a service manager nothing happens.
 *
 * libsystemd would bring seven libraries into the process, a second one for cryptography among them, and 1 MB of resident memory.
 */
#ifndef TG_GATEWAY_NOTIFY_H
#define TG_GATEWAY_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

/* True when the service manager has it. What does not reach it is not repeated: it is told again with the next beat, or times out. */
bool tg_notify(const char *fmt, ...) TG_PRINTF(1, 2);
/* The interval in which WATCHDOG=1 is expected from this process; 0 = it is not. */
uint64_t tg_notify_watchdog_us(void);

#endif
