/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gate_vfs - an SQLite VFS "tg-gate" over the system's own, whose disk can be slow, broken or gone while
 * another thread uses it. Everything here may be called from any thread.
 */
#ifndef TG_TESTS_GATE_VFS_H
#define TG_TESTS_GATE_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define TG_GATE_VFS "tg-gate"

void tg_gate_vfs_register(void);
/* While held, every fsync waits. */
void tg_gate_hold(bool held);
/* Waits until an fsync waits. */
void tg_gate_wait_held(void);
/* Whether one does. */
bool tg_gate_is_held(void);
/* The next n fsyncs fail; UINT32_MAX = all. */
void tg_gate_fail_syncs(uint32_t n);
uint32_t tg_gate_failed(void);
/* No write succeeds and no file can be opened. */
void tg_gate_gone(bool gone);

#endif
