/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/mgmt.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>

#define HEAD_BYTES       6
#define PARAMETERS_BYTES 600
#define ANSWER_MS        2000
#define STOPPING_MS      300 /* the same when the instance stops: enough for what only tidies up */
#define SLICE_MS         100 /* how often a waiting call looks at stopping() */

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int ble_mgmt_open(struct ble_mgmt *m)
{
    const int bytes = BLE_MGMT_SOCKET_BYTES;
    struct sockaddr_hci a = {
        .hci_family = AF_BLUETOOTH, .hci_dev = HCI_DEV_NONE, .hci_channel = HCI_CHANNEL_CONTROL};
    int rc;
    m->fd = socket(AF_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, BTPROTO_HCI);
    if (m->fd < 0)
        return -errno;
    if (bind(m->fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        rc = -errno;
        ble_mgmt_close(m);
        return rc;
    }
    if (setsockopt(m->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        (void)setsockopt(m->fd, SOL_SOCKET, SO_RCVBUF, &bytes,
                         sizeof bytes); /* a smaller one: bursts may be lost */
    return 0;
}

void ble_mgmt_close(struct ble_mgmt *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
}

struct answer {
    uint16_t command, index;
    uint8_t *ret;
    size_t room, len;
    int status; /* -1: not there yet */
};

/* True: the packet was the answer. */
static bool take_answer(struct answer *a, const uint8_t *packet, size_t n)
{
    const uint16_t event = ble_le16(packet);
    if (event != BLE_MGMT_COMMAND_COMPLETE && event != BLE_MGMT_COMMAND_STATUS)
        return false;
    if (n < HEAD_BYTES + 3 || ble_le16(packet + HEAD_BYTES) != a->command || ble_le16(packet + 2) != a->index)
        return true; /* of a call that was given up */
    a->status = packet[HEAD_BYTES + 2];
    a->len = n - HEAD_BYTES - 3;
    if (a->len > a->room)
        a->len = a->room;
    if (a->len)
        memcpy(a->ret, packet + HEAD_BYTES + 3, a->len);
    return true;
}

/* One packet. 1: there was one, 0: none waits, or -errno. */
static int read_one(struct ble_mgmt *m, struct answer *answer)
{
    uint8_t packet[BLE_MGMT_PACKET_BYTES];
    struct answer nobody = {.status = -1};
    const ssize_t n = read(m->fd, packet, sizeof packet);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -EPIPE;
    if (n >= HEAD_BYTES && !take_answer(answer ? answer : &nobody, packet, (size_t)n))
        m->on_event(m->user, packet, (size_t)n);
    return 1;
}

static int await(struct ble_mgmt *m, struct answer *answer)
{
    const int64_t begin_ms = clock_ms();
    while (answer->status < 0) {
        struct pollfd ready = {m->fd, POLLIN, 0};
        int rc = read_one(m, answer);
        if (rc < 0)
            return rc;
        if (rc > 0)
            continue;
        if (clock_ms() - begin_ms >= ANSWER_MS)
            return -ETIMEDOUT;
        if (clock_ms() - begin_ms >= STOPPING_MS && m->stopping(m->user))
            return -ECANCELED;
        poll(&ready, 1, SLICE_MS);
    }
    return answer->status;
}

int ble_mgmt_call(struct ble_mgmt *m, uint16_t command, uint16_t index, const void *parameters, size_t len,
                  uint8_t *ret, size_t room, size_t *ret_len)
{
    uint8_t packet[HEAD_BYTES + PARAMETERS_BYTES] = {(uint8_t)command, (uint8_t)(command >> 8),
                                                     (uint8_t)index,   (uint8_t)(index >> 8),
                                                     (uint8_t)len,     (uint8_t)(len >> 8)};
    struct answer answer = {.command = command, .index = index, .ret = ret, .room = room, .status = -1};
    int rc;
    if (m->fd < 0)
        return -EBADF;
    if (len > PARAMETERS_BYTES || m->calling)
        return -EINVAL;
    if (len)
        memcpy(packet + HEAD_BYTES, parameters, len);
    if (write(m->fd, packet, HEAD_BYTES + len) < 0)
        return -errno;
    m->calling = true;
    rc = await(m, &answer);
    m->calling = false;
    if (rc == 0 && ret_len)
        *ret_len = answer.len;
    return rc;
}

int ble_mgmt_read(struct ble_mgmt *m)
{
    int rc = 1;
    for (unsigned i = 0; rc > 0 && m->fd >= 0 && i < BLE_MGMT_READS_AT_ONCE; i++)
        rc = read_one(m, NULL);
    return rc < 0 ? rc : 0;
}

const char *ble_mgmt_reason(int result)
{
    static const char *const reasons[] = {
        [0x01] = "the kernel does not know this command",
        [0x02] = "the adapter is not connected",
        [0x03] = "the adapter failed",
        [0x07] = "the kernel has no room for it",
        [0x0a] = "the adapter is busy",
        [0x0b] = "the adapter refuses it",
        [0x0c] = "the adapter does not support it",
        [0x0d] = "the kernel finds a parameter wrong",
        [0x0f] = "the adapter is not powered",
        [0x11] = "there is no such adapter any more",
        [BLE_MGMT_RFKILLED] = "the adapter is blocked by rfkill",
        [BLE_MGMT_DENIED] = "the gateway lacks CAP_NET_ADMIN",
    };
    if (result < 0)
        return strerror(-result);
    if ((size_t)result < sizeof reasons / sizeof *reasons && reasons[result])
        return reasons[result];
    return "the kernel refuses it";
}
