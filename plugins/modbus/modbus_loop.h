/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_loop - an instance whose link is a connection, on the loop: each turn is a fiber that yields where a thread would wait.
 *
 * What the host asks of the instance (a write, a `read`) is an errand: it is judged at once and carried out between two requests,
 * before the next read, as on a thread. TG_MODBUS_ERRANDS_MAX wait at most, then they are refused.
 */
#ifndef TG_PLUGINS_MODBUS_LOOP_H
#define TG_PLUGINS_MODBUS_LOOP_H

#include "plugins/modbus/modbus_plugin.h"

#define TG_MODBUS_ERRANDS_MAX 256 /* as many as the host lets wait for a source with a thread */

/* Carries it out now, or queues a copy of it when the instance is on the loop. */
void tg_modbus_errand_give(struct tg_modbus_instance *m, const struct tg_modbus_errand *o);

/* From open(): from here on the instance is on the loop. */
void tg_modbus_loop_begin(struct tg_modbus_instance *m);
/* tg_plugin.poll and .fd_ready. */
int32_t tg_modbus_loop_poll(struct tg_modbus_instance *m);
void tg_modbus_fd_ready(void *instance, int fd, uint32_t events);
/* From close(): ends what is under way at once, refuses what waits. Nothing happens for an instance that is not on the loop. */
void tg_modbus_loop_end(struct tg_modbus_instance *m);

#endif
