/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_rig - a whole gatt_set on one thread: a host that records, a clock that jumps to the next moment at which something is due, and a
 * GATT server behind a packet socket pair for each device. No Bluetooth, no waiting.
 *
 *     struct gatt_rig *r = gatt_rig_new("2");                          two connections
 *     uint32_t d = gatt_rig_device(r, "a4c138000001");
 *     uint32_t p = gatt_rig_point(r, d, "temperature", 10000, false);  gatt_rig_set(r, d, p, "characteristic", "181a/2a6e");
 *     gatt_rig_start(r);                                               tg_gatt_new, adapter up
 *     gatt_rig_run(r, 30000);                                          thirty seconds of the rig's time
 */
#ifndef TG_TESTS_SUPPORT_GATT_RIG_H
#define TG_TESTS_SUPPORT_GATT_RIG_H

#include <tidegate/plugin.h>

#include "plugins/ble/gatt_set.h"
#include "support/att_server.h"

#define RIG_DEVICES 8
#define RIG_POINTS  8
#define RIG_TEXT    300

struct rig_event {
    enum { RIG_VALUE, RIG_STATE, RIG_ANSWER, RIG_LOG, RIG_FACT } kind;
    int64_t at_ms;
    uint32_t device, point, quality, state, sample;
    struct tg_value value;
    uint64_t request;
    int status;
    char text[RIG_TEXT];
};

struct rig_device {
    struct att_server server;
    int fd;              /* the server's end, −1: not connected */
    int client_fd;       /* the set's end */
    bool absent;         /* lever: an attempt stays pending */
    int open_error;      /* lever: an attempt fails at once with this errno */
    bool secure_refused; /* lever: pairing cannot be had */
    uint32_t attempts, connections;
    uint64_t received;   /* PDUs */
    uint64_t command_at; /* lever: with this PDU the command `read` of 2a19 comes in, request 1 */
};

struct gatt_rig {
    struct tg_host host;
    struct tg_source source;
    struct tg_device devices[RIG_DEVICES];
    struct tg_point points[RIG_DEVICES][RIG_POINTS];
    struct rig_device peers[RIG_DEVICES];
    struct tg_gatt_set *set;
    int64_t now_ms;
    struct {
        int fd;
        uint32_t events;
    } watches[16];
    uint32_t connected_most; /* at the same time */
    struct rig_event *events;
    size_t count, cap;
    uint32_t samples;
};

struct gatt_rig *gatt_rig_new(const char *connections);
void gatt_rig_free(struct gatt_rig *r);
uint32_t gatt_rig_device(struct gatt_rig *r, const char *id);
uint32_t gatt_rig_point(struct gatt_rig *r, uint32_t device, const char *name, int64_t every_ms,
                        bool writable);
void gatt_rig_set(struct gatt_rig *r, uint32_t device, uint32_t point, const char *option, const char *text);
/* The same with its characteristic, and a format unless NULL. */
uint32_t gatt_rig_reads(struct gatt_rig *r, uint32_t device, const char *name, int64_t every_ms,
                        const char *characteristic, const char *format);

/* Gives the device's server: 181a with 2a6e (23.14, read and notify), 180f with 2a19 (87, read), and there too 6e400002-b5a3-f393-e0a9-e50e24dcca9e
 * (two bytes, read and write). Handles of the values: */
#define RIG_TEMPERATURE 3
#define RIG_BATTERY     7
#define RIG_SETPOINT    9
void gatt_rig_sensor(struct gatt_rig *r, uint32_t device);

/* tg_gatt_check_point of it. */
int gatt_rig_check(struct gatt_rig *r, uint32_t device, uint32_t point, char error[RIG_TEXT]);
/* tg_gatt_new; its status. */
int gatt_rig_open(struct gatt_rig *r, char error[RIG_TEXT]);
/* It must succeed; the adapter comes up. */
void gatt_rig_start(struct gatt_rig *r);
void gatt_rig_adapter(struct gatt_rig *r, bool up);
/* Lets time pass, and all that happens in it happen. */
void gatt_rig_run(struct gatt_rig *r, int64_t for_ms);
/* The link breaks. */
void gatt_rig_drop(struct gatt_rig *r, uint32_t device);
/* The server sends a PDU as it is, or what is subscribed to. */
void gatt_rig_send(struct gatt_rig *r, uint32_t device, const void *pdu, size_t len);
void gatt_rig_tell(struct gatt_rig *r, uint32_t device, uint16_t handle);

/* How many events of a kind (and device, point; −1: any) were recorded from `from` on; the last of them. */
size_t gatt_rig_count(const struct gatt_rig *r, size_t from, int kind, int device, int point);
const struct rig_event *gatt_rig_last(const struct gatt_rig *r, int kind, int device, int point);
/* A good value that is this number. */
bool gatt_rig_is(const struct rig_event *e, double number);
/* The answer to a request, or NULL. */
const struct rig_event *gatt_rig_answer(const struct gatt_rig *r, uint64_t request);
void gatt_rig_print(const struct gatt_rig *r);

#endif
