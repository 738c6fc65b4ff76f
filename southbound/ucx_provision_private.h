/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the two halves of ucx_provision share: ucx_provision.c (what comes back, and the driving) and ucx_provision_steps.c (what
 * each step sends, and what is told).
 */
#ifndef TG_SOUTHBOUND_UCX_PROVISION_PRIVATE_H
#define TG_SOUTHBOUND_UCX_PROVISION_PRIVATE_H

#include "southbound/ucx_provision.h"

void tg_ucx_tell_(struct tg_ucx_provision *p, enum tg_ucx_provision_event_kind kind, const char *text);
/* Text that can be shown, cut to size. */
void tg_ucx_printable_(struct tg_bytes text, char *ret_text, size_t size);
/* Ends the run; the first fault counts. */
void tg_ucx_fail_(struct tg_ucx_provision *p, enum tg_ucx_fault_kind kind, struct tg_bytes answer);
void tg_ucx_fail_text_(struct tg_ucx_provision *p, enum tg_ucx_fault_kind kind, const char *answer);
/* Begins a step, or the next one that the plan asks for. */
void tg_ucx_begin_(struct tg_ucx_provision *p, enum tg_ucx_step step, int64_t now_ms);
void tg_ucx_next_(struct tg_ucx_provision *p, int64_t now_ms);
/* The next command of the step's script goes to the link. */
void tg_ucx_send_next_(struct tg_ucx_provision *p);
void tg_ucx_send_data_(struct tg_ucx_provision *p, uint8_t channel, const char *text);

#endif
