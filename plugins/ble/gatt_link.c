/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/gatt_link.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bluetooth/bluetooth.h>
#include <bluetooth/l2cap.h>

#define ATT_CHANNEL 4 /* Core, volume 3, part A, 2.1 */

/* --- L2CAP ------------------------------------------------------------------------------------------ */

static struct sockaddr_l2 socket_address(const struct tg_ble_address *a)
{
    struct sockaddr_l2 s;
    memset(&s, 0, sizeof s);
    s.l2_family = AF_BLUETOOTH;
    s.l2_cid = htobs(ATT_CHANNEL);
    s.l2_bdaddr_type = a->type;
    for (size_t i = 0; i < 6; i++)
        s.l2_bdaddr.b[i] = a->bytes[5 - i];
    return s;
}

static int set_security(int fd, enum tg_gatt_security security)
{
    static const uint8_t levels[] = {BT_SECURITY_LOW, BT_SECURITY_MEDIUM, BT_SECURITY_HIGH};
    struct bt_security s = {.level = levels[security]};
    return setsockopt(fd, SOL_BLUETOOTH, BT_SECURITY, &s, sizeof s) < 0 ? -errno : 0;
}

static int l2cap_open(void *user, const struct tg_ble_address *own, const struct tg_ble_address *peer,
                      enum tg_gatt_security security)
{
    struct sockaddr_l2 from = socket_address(own), to = socket_address(peer);
    (void)user;
    int fd = socket(PF_BLUETOOTH, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, BTPROTO_L2CAP);
    if (fd < 0)
        return -errno;
    int rc = bind(fd, (const struct sockaddr *)&from, sizeof from) < 0 ? -errno : set_security(fd, security);
    if (rc == 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        rc = -errno;
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

static int l2cap_secure(void *user, int fd, enum tg_gatt_security security)
{
    (void)user;
    return set_security(fd, security);
}

const struct tg_gatt_socket_ops tg_gatt_l2cap = {.open = l2cap_open, .secure = l2cap_secure};

/* --- the link --------------------------------------------------------------------------------------- */

static const struct {
    int error;
    const char *text;
} texts[] = {
    {EBUSY,
     "another program, bluetoothd perhaps, holds the connection to it (bluetoothctl disconnect ends it)"},
    {ETIMEDOUT, "the radio link was lost: nothing was heard of it for too long"},
    {ECONNREFUSED, "the adapter takes no LE connections, or the device refused"},
    {ECONNRESET, "the device has ended the connection"},
    {ECONNABORTED, "the connection was ended on this side, by another program or the adapter"},
    {EHOSTDOWN, "the adapter is switched off"},
    {ENETDOWN, "the adapter is switched off"},
    {ENODEV, "the adapter is gone"},
    {EHOSTUNREACH, "there is no adapter for the connection"},
    {EMLINK, "the adapter has no more connections to give; fewer `connections` help"},
    {ENOMEM, "the adapter or the kernel has no room for one more connection; fewer `connections` help"},
    {EACCES, "the device or the adapter refused the security level; it needs pairing"},
    {EAFNOSUPPORT, "the kernel has no Bluetooth"},
};

static int fail(struct tg_gatt_link *l, int code, int error)
{
    l->error = error;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].error == error) {
            snprintf(l->text, sizeof l->text, "%s", texts[i].text);
            return code;
        }
    }
    snprintf(l->text, sizeof l->text, "the Bluetooth socket reports: %s", strerror(error));
    return code;
}

void tg_gatt_link_init(struct tg_gatt_link *l, const struct tg_gatt_socket_ops *ops)
{
    *l = (struct tg_gatt_link){.ops = ops, .fd = -1};
}

int tg_gatt_link_open(struct tg_gatt_link *l, const struct tg_ble_address *own,
                      const struct tg_ble_address *peer, enum tg_gatt_security security)
{
    int fd = l->ops->open(l->ops->user, own, peer, security);
    if (fd < 0)
        return fail(l, TG_ECONNECT, -fd);
    l->fd = fd;
    return TG_OK;
}

int tg_gatt_link_connected(struct tg_gatt_link *l)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    return error ? fail(l, TG_ECONNECT, error) : TG_OK;
}

int tg_gatt_link_read(struct tg_gatt_link *l, uint8_t *ret_bytes, size_t cap)
{
    ssize_t n = recv(l->fd, ret_bytes, cap, MSG_DONTWAIT);
    if (n > 0)
        return (int)n;
    if (n == 0)
        return fail(l, TG_EEOF, ECONNRESET);
    return errno == EAGAIN || errno == EINTR ? 0 : fail(l, TG_EIO, errno);
}

int tg_gatt_link_write(struct tg_gatt_link *l, struct tg_bytes pdu)
{
    ssize_t n = send(l->fd, pdu.data, pdu.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        return TG_OK; /* a packet goes whole */
    if (errno == EAGAIN || errno == EINTR)
        return TG_EAGAIN;
    return fail(l, TG_EIO, errno == EPIPE ? ECONNRESET : errno);
}

int tg_gatt_link_secure(struct tg_gatt_link *l, enum tg_gatt_security security)
{
    int rc = l->ops->secure(l->ops->user, l->fd, security);
    return rc < 0 ? fail(l, TG_EUNSUPPORTED, -rc) : TG_OK;
}

void tg_gatt_link_close(struct tg_gatt_link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
