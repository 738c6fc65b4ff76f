/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vhci_controller - the simulated controller's state, and what it says to the host (vhci_events.c); what it does is in vhci_controller.c.
 */
#ifndef TG_TESTS_GUEST_VHCI_CONTROLLER_H
#define TG_TESTS_GUEST_VHCI_CONTROLLER_H

#include "guest/vhci_air.h"
#include "guest/vhci_peripheral.h"

#define ACCEPT_MAX 16

struct controller {
    int fd; /* -1: unplugged */
    bool extended, scanning, active, silence, busy, unreachable;
    uint32_t hang; /* resets until it hears again */
    uint8_t address[6];
    uint8_t scan_policy;
    uint8_t accept[ACCEPT_MAX][7];
    size_t accepted;
    bool connecting; /* a connection attempt is pending */
    uint8_t wanted[7];
    bool linked[PERIPHERALS_MAX];
    struct peripheral peripherals[PERIPHERALS_MAX];
    uint32_t peripheral_count;
    int64_t next_connectable_ms;
    uint64_t adverts;
    uint32_t resets;
    struct air air;
};

/* One packet with its indicator. */
void vhci_send(struct controller *c, const uint8_t *packet, size_t length);
void vhci_event(struct controller *c, uint8_t code, const uint8_t *body, size_t length);
/* Command Complete with what it returns, the status first; with a status alone; Command Status: it is under way. */
void vhci_complete(struct controller *c, uint16_t opcode, const uint8_t *body, size_t length);
void vhci_complete_status(struct controller *c, uint16_t opcode, uint8_t status);
void vhci_command_status(struct controller *c, uint16_t opcode);
/* What the kernel asks an adapter when it starts it, and everything that needs no more than "done". */
void vhci_describe(struct controller *c, uint16_t opcode);

#endif
