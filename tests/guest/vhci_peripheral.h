/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vhci_peripheral - a device that takes one connection: the ATT server behind the simulated controller.
 *
 * Peripheral i has the random static address C0:00:00:00:00:Fi and these services:
 *   181a Environmental Sensing: temperature 2a6e (read, notify), 25.00 Cel and 0.01 more with each notification
 *   180f Battery: 2a19 (read), 77 %
 *   6e400001-…: a characteristic of its own, 6e400002-… (read, write, write without response, notify what was written)
 */
#ifndef TG_TESTS_GUEST_VHCI_PERIPHERAL_H
#define TG_TESTS_GUEST_VHCI_PERIPHERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERIPHERALS_MAX    8
#define PERIPHERAL_MTU_MAX 185
#define PERIPHERAL_VALUE   64

struct peripheral {
    uint16_t mtu;
    uint16_t temperature; /* hundredths */
    uint16_t notify_temperature, notify_own;
    bool own_changed;
    uint8_t own[PERIPHERAL_VALUE];
    uint16_t own_length;
    int64_t next_notification_ms;
    uint32_t written; /* writes to the characteristic of its own, since the start */
};

void peripheral_init(struct peripheral *p);
/* A new connection: subscriptions are gone (nobody is bonded), values stay. */
void peripheral_connected(struct peripheral *p);
/* Answers one PDU; the answer's length, 0 = none. */
size_t peripheral_answer(struct peripheral *p, const uint8_t *pdu, size_t length,
                         uint8_t ret[PERIPHERAL_MTU_MAX]);
/* The notification that is due, or 0. */
size_t peripheral_notification(struct peripheral *p, int64_t now_ms, uint8_t ret[PERIPHERAL_MTU_MAX]);

#endif
