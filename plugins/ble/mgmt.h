/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mgmt - the kernel's Bluetooth management socket (BlueZ, doc/mgmt-api.txt): commands with their answers, and events.
 *
 * A call waits for its answer, up to two seconds, and gives what comes meanwhile to on_event. It ends after
 * 0.3 seconds when stopping() says so.
 * Used from one thread. Needs CAP_NET_ADMIN for all that changes something and for advertisements; without it the list of adapters, their
 * addresses and their coming and going are still told.
 */
#ifndef TG_PLUGINS_BLE_MGMT_H
#define TG_PLUGINS_BLE_MGMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLE_MGMT_NO_INDEX     0xffff
#define BLE_MGMT_PACKET_BYTES 2048
#define BLE_MGMT_SOCKET_BYTES                                                                                \
    (4 * 1024 * 1024)              /* two seconds of 2,000 adverts a second, about 1 KiB each in the kernel */
#define BLE_MGMT_READS_AT_ONCE 512 /* then timers have their turn */

/* Commands. */
#define BLE_MGMT_READ_INDEX_LIST       0x0003
#define BLE_MGMT_READ_INFO             0x0004
#define BLE_MGMT_SET_POWERED           0x0005
#define BLE_MGMT_SET_LE                0x000d
#define BLE_MGMT_READ_MONITOR_FEATURES 0x0051
#define BLE_MGMT_ADD_PATTERNS_MONITOR  0x0052
#define BLE_MGMT_REMOVE_MONITOR        0x0053
/* Events. */
#define BLE_MGMT_COMMAND_COMPLETE 0x0001
#define BLE_MGMT_COMMAND_STATUS   0x0002
#define BLE_MGMT_INDEX_ADDED      0x0004
#define BLE_MGMT_INDEX_REMOVED    0x0005
#define BLE_MGMT_NEW_SETTINGS     0x0006
#define BLE_MGMT_MONITOR_REMOVED  0x002c
/* Statuses. */
#define BLE_MGMT_UNKNOWN_COMMAND 0x01
#define BLE_MGMT_DENIED          0x14
#define BLE_MGMT_RFKILLED        0x12
/* Settings of an adapter. */
#define BLE_MGMT_POWERED 0x001u
#define BLE_MGMT_LE      0x200u

struct ble_mgmt {
    int fd; /* -1: closed */
    bool calling;
    /* packet: with its head of six bytes. */
    void (*on_event)(void *user, const uint8_t *packet, size_t len);
    bool (*stopping)(void *user);
    void *user;
};

/* 0 or -errno. The callbacks are filled in by the caller. */
int ble_mgmt_open(struct ble_mgmt *m);
void ble_mgmt_close(struct ble_mgmt *m);

/* The command's status (0: done), or -errno (-ETIMEDOUT: no answer; -ECANCELED: stopping). At most `room` bytes of what it returns are
 * written to ret; ret_len may be NULL. */
int ble_mgmt_call(struct ble_mgmt *m, uint16_t command, uint16_t index, const void *parameters, size_t len,
                  uint8_t *ret, size_t room, size_t *ret_len);

/* Reads what is there and gives it to on_event. 0 or -errno: the socket is of no use any more. */
int ble_mgmt_read(struct ble_mgmt *m);

/* "permission denied: the gateway needs CAP_NET_ADMIN", "blocked by rfkill", … for a negative or positive result of a call. */
const char *ble_mgmt_reason(int result);

static inline uint16_t ble_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t ble_le32(const uint8_t *p)
{
    return (uint32_t)ble_le16(p) | (uint32_t)ble_le16(p + 2) << 16;
}

#endif
