/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_ports - opens the two kinds of descriptor that a link uses. Blocking, in slices of a fifth of a
 * second between which host->stopping() is asked. Thread of the source.
 */
#ifndef TG_PLUGINS_MODBUS_PORTS_H
#define TG_PLUGINS_MODBUS_PORTS_H

#include <modbus/modbus.h>

#include "plugins/modbus/modbus_link.h"

#define TG_MODBUS_SLICE_MS 200

/* poll(2) on one descriptor until until_ms in slices. >0: its revents; 0: time is up; TG_ECANCELED, TG_EIO.
 */
int tg_modbus_wait(const struct tg_host *host, int fd, short events, int64_t until_ms) TG_CHECKED;

/* A connected, non-blocking socket with TCP_NODELAY, or a negative error: TG_EDNS, TG_ETIMEOUT, TG_EIO,
 * TG_ECANCELED. Tries every address of the name within the timeout. */
int tg_modbus_tcp_connect(const struct tg_host *host, const char *name, uint16_t port, int64_t timeout_ms,
                          struct tg_error *err) TG_CHECKED;

/* Opens, locks and configures the serial port of `config`. *ret_lock is a descriptor that holds the lock. */
int tg_modbus_serial_open(const struct tg_modbus_link_config *config, modbus_t **ret_context, int *ret_lock,
                          struct tg_error *err) TG_CHECKED;
void tg_modbus_serial_close(modbus_t *context, int lock);

#endif
