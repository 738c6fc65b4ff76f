/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_link - one ATT bearer as a socket: L2CAP, fixed channel 4, or whatever `struct tg_gatt_socket_ops` makes instead (tests: a
 * SOCK_SEQPACKET socket pair). One read() is one PDU. Never blocks.
 *
 *     open ──(writable)──► connected? ──► read / write ──► close
 *
 * The kernel looks for a peer that is not there for ever: the deadline of an attempt is the caller's. The channel is one per link: while
 * another program (bluetoothd) has it, connecting gives EBUSY. After close() the kernel keeps the radio link for about four seconds.
 * Raising the security of a connected socket makes it unwritable until encryption is on.
 *
 * Texts are for people and say what happened, not what happens next. One thread.
 */
#ifndef TG_PLUGINS_BLE_GATT_LINK_H
#define TG_PLUGINS_BLE_GATT_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/bytes.h"
#include "southbound/ble/ble_advert.h"

enum tg_gatt_security { TG_GATT_SECURITY_LOW = 0, TG_GATT_SECURITY_MEDIUM = 1, TG_GATT_SECURITY_HIGH = 2 };

struct tg_gatt_socket_ops {
    /* A non-blocking packet socket that is connecting; it is writable when it is connected. A descriptor or −errno. */
    int (*open)(void *user, const struct tg_ble_address *own, const struct tg_ble_address *peer,
                enum tg_gatt_security security);
    /* Raises the security of a connected one. 0 or −errno. */
    int (*secure)(void *user, int fd, enum tg_gatt_security security);
    void *user;
};

/* L2CAP over the adapter. */
extern const struct tg_gatt_socket_ops tg_gatt_l2cap;

struct tg_gatt_link {
    const struct tg_gatt_socket_ops *ops;
    int fd;    /* −1: closed */
    int error; /* errno of the last failure */
    char text[160];
};

void tg_gatt_link_init(struct tg_gatt_link *l, const struct tg_gatt_socket_ops *ops);
/* TG_OK: on its way; TG_ECONNECT with text. */
int tg_gatt_link_open(struct tg_gatt_link *l, const struct tg_ble_address *own,
                      const struct tg_ble_address *peer, enum tg_gatt_security security) TG_CHECKED;
/* After it became writable: TG_OK, or TG_ECONNECT with text. */
int tg_gatt_link_connected(struct tg_gatt_link *l) TG_CHECKED;
/* Bytes of one PDU; 0: none there; TG_EEOF, TG_EIO with text. */
int tg_gatt_link_read(struct tg_gatt_link *l, uint8_t *ret_bytes, size_t cap) TG_CHECKED;
/* TG_OK: sent; TG_EAGAIN: when it is writable; TG_EIO with text. */
int tg_gatt_link_write(struct tg_gatt_link *l, struct tg_bytes pdu) TG_CHECKED;
/* TG_OK: under way; TG_EUNSUPPORTED with text. */
int tg_gatt_link_secure(struct tg_gatt_link *l, enum tg_gatt_security security) TG_CHECKED;
/* The watch must have ended. */
void tg_gatt_link_close(struct tg_gatt_link *l);

#endif
