/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hci_scanner - hears advertisements by driving the controller itself, over a raw HCI socket: for kernels and rights without a monitor, and
 * for active scanning (data that devices give only when asked).
 *
 * One controller has one scan, and it belongs to whoever set it last. A connection attempt, or another program's discovery, ends this one
 * without a word; but the answers to their commands are heard here, too. So the scan is set anew as soon as somebody has changed it.
 * While somebody else scans the controller refuses (status 0x0C): then what they hear is taken, and it is tried again every two seconds.
 *
 *   CLOSED ──open──► LISTENING ◄──► PAUSED (a connection is being made)
 *                        │ ▲ somebody changed it: again, after RETAKE_MS
 *                        ▼ │
 *                      BORROWED (refused: somebody else scans)
 *
 * Needs CAP_NET_RAW; the adapter has to be up. HCI commands: Core, volume 4, part E, sections 7.8.10, 7.8.11, 7.8.64, 7.8.65.
 */
#ifndef TG_PLUGINS_BLE_HCI_SCANNER_H
#define TG_PLUGINS_BLE_HCI_SCANNER_H

#include "southbound/ble/hci_events.h"

struct ble_hci_scanner {
    int fd; /* -1: closed */
    bool active, extended, listening, borrowed, paused;
    int64_t retake_ms;  /* when to set it anew; INT64_MAX: not */
    uint64_t retaken;   /* how often somebody had changed it */
    uint16_t awaited;   /* opcode of the command under way */
    int awaited_status; /* -1: not there yet */
    uint8_t awaited_return[8];
    uint64_t malformed;
    void (*on_advert)(void *user, const struct tg_ble_advert *advert);
    bool (*stopping)(void *user);
    int64_t (*now_ms)(void *user);
    void *user;
    struct tg_hci_fragments fragments;
};

/* Opens the socket of adapter hci<index> and scans. 0 (also when borrowed) or -errno; -EIO: the controller refuses, or does not answer. The
 * callbacks are filled in by the caller. */
int ble_hci_scanner_open(struct ble_hci_scanner *s, uint16_t index, bool active);
/* Stops the scan, if it is its own, and closes. */
void ble_hci_scanner_close(struct ble_hci_scanner *s);
/* Reads what is there. 0, or -errno: the adapter has gone. */
int ble_hci_scanner_read(struct ble_hci_scanner *s);
/* Stops and resumes. */
void ble_hci_scanner_pause(struct ble_hci_scanner *s, bool pause);
/* Does what is due; when it wants to be called again (monotonic ms, INT64_MAX: not by itself). */
int64_t ble_hci_scanner_poll(struct ble_hci_scanner *s, int64_t now_ms);

#endif
