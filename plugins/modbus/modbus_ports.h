/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_ports - opens the two kinds of descriptor that a link uses. A connection is waited for as the waiter says, its name is resolved by
 * a thread of the C library. Thread of the source.
 */
#ifndef TG_PLUGINS_MODBUS_PORTS_H
#define TG_PLUGINS_MODBUS_PORTS_H

#include <modbus/modbus.h>

#include "plugins/modbus/modbus_link.h"

/* A connected, non-blocking socket with TCP_NODELAY, or a negative error: TG_EDNS, TG_ETIMEOUT, TG_EIO,
 * TG_ECANCELED. Tries every address of the name within the timeout. */
int tg_modbus_tcp_connect(struct tg_modbus_waiter *w, const char *name, uint16_t port, int64_t timeout_ms,
                          struct tg_error *err) TG_CHECKED;

/* Opens, locks and configures the serial port of `config`. *ret_lock is a descriptor that holds the lock. */
int tg_modbus_serial_open(const struct tg_modbus_link_config *config, modbus_t **ret_context, int *ret_lock,
                          struct tg_error *err) TG_CHECKED;
void tg_modbus_serial_close(modbus_t *context, int lock);

#endif
