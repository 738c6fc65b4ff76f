/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/hci_scanner.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>

#include "plugins/ble/mgmt.h"

#define ANSWER_MS     2000
#define STOPPING_MS   300
#define SLICE_MS      100
#define RETAKE_MS     300
#define BORROWED_MS   2000
#define READS_AT_ONCE 512
#define DISALLOWED    0x0c

#define OP_LE_FEATURES    0x2003
#define OP_PARAMETERS     0x200b
#define OP_ENABLE         0x200c
#define OP_EXT_PARAMETERS 0x2041
#define OP_EXT_ENABLE     0x2042
#define EVENT_COMPLETE    0x0e
#define EVENT_STATUS      0x0f
#define EVENT_LE_META     0x3e
#define FEATURE_EXTENDED  0x10 /* byte 1 of the features: LE Extended Advertising */

static bool changes_scan(uint16_t opcode)
{
    return opcode == OP_PARAMETERS || opcode == OP_ENABLE || opcode == OP_EXT_PARAMETERS ||
           opcode == OP_EXT_ENABLE;
}

static void take_advert(struct ble_hci_scanner *s, const uint8_t *packet, size_t n)
{
    struct tg_hci_event event;
    struct tg_hci_report report;
    struct tg_ble_advert advert;
    const enum tg_hci_verdict verdict = tg_hci_event_begin(&event, packet, n, s->now_ms(s->user));
    s->malformed += verdict == TG_HCI_TRUNCATED;
    while (verdict == TG_HCI_OK && tg_hci_event_next(&event, &report)) {
        if (tg_hci_join(&s->fragments, &report, &advert))
            s->on_advert(s->user, &advert);
    }
}

/* An answer to a command: of ours, or of somebody else's who shares the controller. */
static void take_answer(struct ble_hci_scanner *s, uint16_t opcode, const uint8_t *returned, size_t n)
{
    if (opcode == s->awaited && s->awaited_status < 0 && n > 0) {
        s->awaited_status = returned[0];
        memset(s->awaited_return, 0, sizeof s->awaited_return);
        memcpy(s->awaited_return, returned + 1,
               n - 1 < sizeof s->awaited_return ? n - 1 : sizeof s->awaited_return);
    } else if (changes_scan(opcode) && !s->paused && s->retake_ms == INT64_MAX) {
        s->listening = false;
        s->retaken++;
        s->retake_ms = s->now_ms(s->user) + RETAKE_MS;
    }
}

/* One packet. 1: there was one, 0: none waits, or -errno. */
static int read_one(struct ble_hci_scanner *s)
{
    uint8_t p[HCI_MAX_EVENT_SIZE + 8];
    const ssize_t n = read(s->fd, p, sizeof p);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ENODEV;
    if (n < 3 || p[0] != HCI_EVENT_PKT)
        return 1;
    if (p[1] == EVENT_LE_META)
        take_advert(s, p, (size_t)n);
    else if (p[1] == EVENT_COMPLETE && n >= 6)
        take_answer(s, ble_le16(p + 4), p + 6, (size_t)n - 6);
    else if (p[1] == EVENT_STATUS && n >= 7)
        take_answer(s, ble_le16(p + 5), p + 3, 1);
    return 1;
}

/* Sends a command and waits for its status, or -errno. */
static int command(struct ble_hci_scanner *s, uint16_t opcode, const uint8_t *parameters, uint8_t len)
{
    uint8_t p[4 + 32] = {HCI_COMMAND_PKT, (uint8_t)opcode, (uint8_t)(opcode >> 8), len};
    int64_t begin_ms, waited_ms;
    if (len)
        memcpy(p + 4, parameters, len);
    if (write(s->fd, p, 4u + len) < 0)
        return -errno;
    s->awaited = opcode;
    s->awaited_status = -1;
    for (begin_ms = s->now_ms(s->user); s->awaited_status < 0;) {
        struct pollfd ready = {s->fd, POLLIN, 0};
        const int rc = read_one(s);
        if (rc < 0)
            return rc;
        waited_ms = s->now_ms(s->user) - begin_ms;
        if (rc == 0 && (waited_ms >= ANSWER_MS || (waited_ms >= STOPPING_MS && s->stopping(s->user))))
            return -ETIMEDOUT;
        if (rc == 0)
            poll(&ready, 1, SLICE_MS);
    }
    s->awaited = 0;
    return s->awaited_status;
}

static int enable(struct ble_hci_scanner *s, bool on)
{
    const uint8_t legacy[] = {on, 0}, extended[] = {on, 0, 0, 0, 0, 0}; /* duplicates are told */
    return s->extended ? command(s, OP_EXT_ENABLE, extended, sizeof extended)
                       : command(s, OP_ENABLE, legacy, sizeof legacy);
}

static int set_parameters(struct ble_hci_scanner *s)
{
    /* Public address, everybody, 1M PHY; interval and window 60 ms: it listens all the time. */
    const uint8_t legacy[] = {s->active, 0x60, 0, 0x60, 0, 0, 0},
                  extended[] = {0, 0, 1, s->active, 0x60, 0, 0x60, 0};
    return s->extended ? command(s, OP_EXT_PARAMETERS, extended, sizeof extended)
                       : command(s, OP_PARAMETERS, legacy, sizeof legacy);
}

/* Takes the controller's scan. 0, also when it is somebody else's; -errno. */
static int take(struct ble_hci_scanner *s)
{
    int rc = set_parameters(s);
    s->retake_ms = INT64_MAX;
    if (rc == 0)
        rc = enable(s, true);
    s->listening = rc == 0;
    s->borrowed = rc == DISALLOWED;
    if (s->borrowed)
        s->retake_ms = s->now_ms(s->user) + BORROWED_MS;
    return rc == DISALLOWED ? 0 : rc > 0 ? -EIO : rc;
}

static int filter_events(int fd)
{
    struct hci_filter f = {
        .type_mask = 1u << HCI_EVENT_PKT,
        .event_mask = {1u << EVENT_COMPLETE | 1u << EVENT_STATUS, 1u << (EVENT_LE_META - 32)}};
    return setsockopt(fd, SOL_HCI, HCI_FILTER, &f, sizeof f);
}

int ble_hci_scanner_open(struct ble_hci_scanner *s, uint16_t index, bool active)
{
    const int bytes = BLE_MGMT_SOCKET_BYTES;
    struct sockaddr_hci a = {.hci_family = AF_BLUETOOTH, .hci_dev = index, .hci_channel = HCI_CHANNEL_RAW};
    int rc;
    memset(&s->fragments, 0, sizeof s->fragments);
    s->active = active;
    s->listening = s->borrowed = s->paused = false;
    s->retake_ms = INT64_MAX;
    s->fd = socket(AF_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, BTPROTO_HCI);
    if (s->fd < 0)
        return -errno;
    if (bind(s->fd, (const struct sockaddr *)&a, sizeof a) < 0 || filter_events(s->fd) < 0) {
        rc = -errno;
        ble_hci_scanner_close(s);
        return rc;
    }
    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    rc = command(s, OP_LE_FEATURES, NULL, 0);
    s->extended = rc == 0 && s->awaited_return[1] & FEATURE_EXTENDED;
    rc = rc > 0 ? -EIO : rc;
    if (rc == 0)
        rc = take(s);
    if (rc < 0)
        ble_hci_scanner_close(s);
    return rc;
}

void ble_hci_scanner_close(struct ble_hci_scanner *s)
{
    if (s->fd < 0)
        return;
    if (s->listening)
        (void)enable(s, false); /* the adapter may be gone */
    close(s->fd);
    s->fd = -1;
    s->listening = s->borrowed = false;
}

int ble_hci_scanner_read(struct ble_hci_scanner *s)
{
    int rc = 1;
    for (unsigned i = 0; rc > 0 && i < READS_AT_ONCE; i++)
        rc = read_one(s);
    return rc < 0 ? rc : 0;
}

void ble_hci_scanner_pause(struct ble_hci_scanner *s, bool pause)
{
    if (s->fd < 0 || s->paused == pause)
        return;
    if (pause && s->listening)
        (void)enable(s, false); /* not done: the connection attempt ends the scan, and it is set anew later */
    s->paused = pause;
    s->listening = false;
    s->retake_ms = pause ? INT64_MAX : s->now_ms(s->user);
}

int64_t ble_hci_scanner_poll(struct ble_hci_scanner *s, int64_t now_ms)
{
    if (s->fd >= 0 && !s->paused && now_ms >= s->retake_ms && take(s) < 0)
        s->retake_ms = now_ms + BORROWED_MS;
    return s->fd >= 0 && !s->paused ? s->retake_ms : INT64_MAX;
}
