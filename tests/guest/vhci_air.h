/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vhci_air - the sensors that the simulated controller hears: who advertises what, how often, with which sequence number.
 *
 * Sensor i has the random static address C1:00:00:ii:ii:ii (low bytes = i) and advertises in turn with the others, `rate` adverts
 * a second in all. Even ones speak BTHome (packet id, temperature, humidity, count), odd ones Ruuvi format 5; both carry the
 * sensor's own sequence number, from 1 on: BTHome in `count` (32 bits), Ruuvi in its sequence (16 bits). A sequence number is spent
 * only on an advertisement that a scan hears.
 */
#ifndef TG_TESTS_GUEST_VHCI_AIR_H
#define TG_TESTS_GUEST_VHCI_AIR_H

#include <stdbool.h>
#include <stdint.h>

#define AIR_SENSORS_MAX 20000
#define AIR_DATA_MAX    229 /* of one extended advertising report */

struct air_advert {
    uint8_t address[6]; /* as on the wire: the last byte of the written form first */
    uint8_t address_type;
    uint8_t type; /* legacy PDU: 0 connectable, 3 not, 4 scan response */
    int8_t rssi;
    uint8_t data[AIR_DATA_MAX];
    uint8_t length;
};

struct air {
    uint32_t sensors, rate, next;
    uint32_t repeat;   /* each packet is sent so many times */
    uint32_t repeated; /* of the present packet */
    bool empty;        /* adverts without data, as a controller that is losing its mind sends them */
    double owed;
    int64_t last_us;
    uint32_t sequence[AIR_SENSORS_MAX];
};

void air_init(struct air *a, uint32_t sensors, uint32_t rate);
/* How many adverts are due; nobody listens: they are lost. */
uint32_t air_due(struct air *a, int64_t now_us);
/* The next one. */
void air_take(struct air *a, struct air_advert *ret);

#endif
