/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hci_events - advertising reports of a controller, and long advertisements put together from their fragments. Pure.
 *
 * LE Meta event (0x3E), subevents LE Advertising Report (0x02) and LE Extended Advertising Report (0x0D): Core, volume 4, part E,
 * sections 7.7.65.2 and 7.7.65.13. One event may carry several reports, each complete before the next begins, as controllers
 * send them. An event whose reports do not fit into it is refused as a whole: nothing is read past its end, nothing is taken from it.
 *
 *     struct tg_hci_event event;  struct tg_hci_report report;  struct tg_ble_advert advert;
 *     if (tg_hci_event_begin(&event, packet, n, now_ms) == TG_HCI_OK)
 *         while (tg_hci_event_next(&event, &report))
 *             if (tg_hci_join(&fragments, &report, &advert))  use(&advert);
 *
 * Views point into the packet, or into the fragments until the next call with them.
 */
#ifndef TG_SOUTHBOUND_HCI_EVENTS_H
#define TG_SOUTHBOUND_HCI_EVENTS_H

#include "southbound/ble/ble_advert.h"

#define TG_HCI_EVENT_MAX 258 /* packet indicator, event, length, 255 parameters */
#define TG_HCI_NO_SID    0xFF
#define TG_HCI_NO_POWER  127

enum tg_hci_verdict {
    TG_HCI_OK,
    TG_HCI_OTHER,     /* "other event": no advertising report */
    TG_HCI_TRUNCATED, /* "truncated": it says that it is longer, or shorter, than it is */
    TG_HCI_VERDICTS
};

const char *tg_hci_verdict_name(enum tg_hci_verdict verdict);

enum tg_hci_data_status { TG_HCI_COMPLETE = 0, TG_HCI_MORE = 1, TG_HCI_CUT = 2 };

struct tg_hci_report {
    struct tg_ble_advert advert; /* with this report's part of the data */
    uint8_t subevent;
    bool legacy;         /* a legacy PDU, in either subevent */
    uint16_t event_type; /* as the subevent has it */
    uint8_t data_status; /* enum tg_hci_data_status */
    uint8_t
        address_type; /* as HCI numbers it: 0 public, 1 random, 2 and 3 the identity behind a resolved one, FF none */
    uint8_t primary_phy, secondary_phy;
    uint8_t sid;     /* TG_HCI_NO_SID */
    int8_t tx_power; /* dBm; TG_HCI_NO_POWER */
};

struct tg_hci_event {
    const uint8_t *data; /* the reports */
    size_t len, pos;
    int64_t time_ms;
    uint8_t subevent, left;
};

/* A packet with its packet indicator (0x04). OK: all its reports are whole. */
enum tg_hci_verdict tg_hci_event_begin(struct tg_hci_event *e, const uint8_t *packet, size_t len,
                                       int64_t time_ms);
/* The next report; false at the end. */
bool tg_hci_event_next(struct tg_hci_event *e, struct tg_hci_report *ret_report);

/* --- fragments -------------------------------------------------------------------------------- */

#define TG_HCI_FRAGMENT_SLOTS 8    /* long advertisements under way at the same time */
#define TG_HCI_FRAGMENT_MS    3000 /* a fragment that follows later belongs to another advertisement */

struct tg_hci_fragment {
    struct tg_ble_address address;
    uint8_t sid;
    bool used, spoiled; /* spoiled: too long; its end is awaited, so that it is not taken for a beginning */
    int64_t time_ms;    /* of the last fragment */
    size_t len;
    uint8_t data[TG_BLE_ADVERT_MAX];
};

/* About 14 KiB, all zero at first; no fini. When all slots are in use, the one that has waited longest makes room. */
struct tg_hci_fragments {
    struct tg_hci_fragment slots[TG_HCI_FRAGMENT_SLOTS];
    uint64_t
        dropped; /* advertisements that never became whole: displaced, too late, too long, or cut by the controller */
};

/* Adds a report. True when an advertisement is whole. What the controller has cut is dropped: half of it gives no values. */
bool tg_hci_join(struct tg_hci_fragments *f, const struct tg_hci_report *report,
                 struct tg_ble_advert *ret_advert);

#endif
