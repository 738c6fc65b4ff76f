/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_stage - the Modbus plugin on a fake host, facing tests/peers/modbus_liar.py.
 *
 * Each point P of unit U is a uint16 register, so its only right value is (1000·U + address) mod 65536.
 */
#ifndef TG_TESTS_SUPPORT_MODBUS_STAGE_H
#define TG_TESTS_SUPPORT_MODBUS_STAGE_H

#include "support/fake_host.h"
#include "support/peer_process.h"

enum stage_transport { STAGE_TCP, STAGE_RTU, STAGE_RTU_OVER_TCP };

struct stage {
    struct peer_process peer;
    struct fake_host *host;
    enum stage_transport transport;
    char port[256];
};

/* Starts the liar and prepares a source with this timeout ("100ms"); no devices yet. */
void stage_begin(struct stage *s, enum stage_transport transport, const char *timeout);
/* The same for another source on the running liar. */
struct fake_host *stage_source(const struct stage *s, const char *timeout);
/* A device of unit `unit` with `points` registers at holding:first, first + step, … read every every_ms; each
 * needs a request of its own when step > 1 (max_gap is 0). */
uint32_t stage_device(struct fake_host *h, unsigned unit, unsigned points, unsigned first, unsigned step,
                      int64_t every_ms);
void stage_end(struct stage *s);

/* The number of requests in the liar's log for a unit (-1 = all) and function (-1 = all). */
size_t stage_requests(struct stage *s, int unit, int function);
/* Waits until the unit has told all its lies; something must be emitted in the meantime. */
void stage_lies_told(struct stage *s, unsigned unit);
/* Fails the test when any good value is not the right one. Returns how many good ones the device has. */
size_t stage_check_values(struct fake_host *h, uint32_t device, unsigned unit, unsigned first, unsigned step);

#endif
