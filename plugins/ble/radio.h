/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * radio - keeps one adapter listening: finds it, powers it, scans by the best way there is, watches over it, and finds it again.
 *
 *   NO_SOCKET ──► ABSENT ──found──► OFF ──powered──► LISTENING
 *                   ▲                ▲                   │ power lost: OFF, tried again after 5 s, doubling to 60 s
 *                   └── unplugged ───┴───────────────────┘ nothing heard: the ladder
 *
 * THE LADDER   Adapters hang: they seem to scan and hear nothing, or advertisements without data. When nothing with data was heard for
 *   `silence_ms`, one step is taken at each check (every `check_ms`) until something is heard:
 *     1. blocked by rfkill? That is said, and nothing else helps.
 *     2. power off, `power_wait_ms`, power on
 *     3. reset of its USB device (adapters on a UART have none); it may come back under another number
 *     4. it is reported as not working; the ladder begins again after twice the silence, doubling up to an hour
 *   Where it may be silent rightly (no broadcasting sensor is configured) the owner sets silence_ms to 0: no ladder.
 *
 * METHODS   auto: the monitor (mgmt_scanner.h); where the kernel or the rights do not allow it, or `active` is wanted, the raw scan
 *   (hci_scanner.h).
 *
 * Used from one thread, which it may block for some seconds while it changes the adapter (never longer than a second after stopping()).
 */
#ifndef TG_PLUGINS_BLE_RADIO_H
#define TG_PLUGINS_BLE_RADIO_H

#include "plugins/ble/hci_scanner.h"
#include "plugins/ble/mgmt_scanner.h"

#define BLE_RADIO_TEXT 240

enum ble_method { BLE_METHOD_AUTO, BLE_METHOD_MONITOR, BLE_METHOD_RAW };

struct ble_radio_config {
    const char *adapter; /* "hci0" or an address */
    enum ble_method method;
    bool active, read_only; /* read_only: never changes the adapter's power */
    uint32_t formats;       /* bits; for controllers that filter */
    int64_t silence_ms, check_ms, power_wait_ms;
    const char *note_folder; /* for mgmt_scanner; may be NULL */
};

struct ble_radio_callbacks {
    void (*on_advert)(void *user, const struct tg_ble_advert *advert);
    /* The adapter listens (`own`: its address), or does not any more, and why. The same state is not told twice with the same text. */
    void (*on_state)(void *user, bool up, const struct tg_ble_address *own, const char *text);
    void (*log)(void *user, bool warn, const char *text);
    /* Ends (fd, false) or begins (fd, true) the watch for reading. */
    void (*watch)(void *user, int fd, bool on);
    bool (*stopping)(void *user);
    int64_t (*now_ms)(void *user);
};

enum ble_radio_phase { BLE_RADIO_NO_SOCKET, BLE_RADIO_ABSENT, BLE_RADIO_OFF, BLE_RADIO_LISTENING };
enum ble_rung { BLE_RUNG_NONE, BLE_RUNG_POWER, BLE_RUNG_USB, BLE_RUNG_REPORTED };

struct ble_radio {
    struct ble_radio_config config;
    const struct ble_radio_callbacks *callbacks;
    void *user;
    struct ble_mgmt mgmt;
    struct ble_adapter adapter;
    struct ble_mgmt_scanner monitor;
    struct ble_hci_scanner raw;
    enum ble_radio_phase phase;
    bool look_again; /* an adapter came, went, or changed its power */
    bool monitor_lost;
    bool use_raw, told_method;
    int64_t retry_ms; /* NO_SOCKET, ABSENT, OFF: when to try again */
    int64_t retry_wait_ms;
    int64_t heard_ms, check_ms,
        power_on_ms; /* power_on_ms: the ladder has switched it off until then; 0 = no */
    enum ble_rung rung;
    int64_t silence_ms; /* at present; doubles */
    bool up;
    char text[BLE_RADIO_TEXT]; /* last told */
    uint64_t adverts, empty, malformed, power_cycles;
};

/* False: the adapter's name is none. Opens nothing yet. */
bool ble_radio_init(struct ble_radio *r, const struct ble_radio_config *config,
                    const struct ble_radio_callbacks *callbacks, void *user);
/* Does what is due; when it wants to be called again (monotonic ms, INT64_MAX: on events only). */
int64_t ble_radio_poll(struct ble_radio *r, int64_t now_ms);
/* False: the descriptor is not its own. */
bool ble_radio_fd_ready(struct ble_radio *r, int fd);
/* A connection attempt begins or has ended: a raw scan pauses meanwhile. */
void ble_radio_connecting(struct ble_radio *r, bool connecting);
void ble_radio_close(struct ble_radio *r);

#endif
