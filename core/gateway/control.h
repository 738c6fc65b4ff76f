/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * control - the Unix socket through which `tidegate status|tail|send|device` talk to the running gateway.
 *
 * PROTOCOL  One JSON object a line, both ways.
 *   {"verb":"status"}                                        → the status object
 *   {"verb":"send","device":D,"command":C,"arguments":{…}}   → {"status":"ok",…,"result":{…}}
 *   {"verb":"tail","device":D?}                              → {"device":D,"sample":{…}} … until the client leaves
 *   {"verb":"discovered"}                                    → {"devices":[…],"candidates":[…]} (gateway.h)
 *   {"verb":"forget","device":D}                             → {"status":"ok"}
 *   {"verb":"drop","device":D,"cloud":C?,"before_ms":T}      → {"samples":N} (store/outbox.h); "all":true in place of a device
 *   anything else                                            → {"error":"…"}
 *
 * BOUNDS    16 connections, the 17th is told so and closed; a request line of 64 KiB; 1 MiB waiting to be read by a client, or
 *           one answer of any size: a slow `tail` loses lines and is told how many in their place ({"lost":N}), a client that
 *           asks without reading is closed; a connection without a whole request after 10 s is closed. A client may close its
 *           sending side after a request and still gets the answer.
 * ACCESS    The socket has mode 0660; who may open it may command devices. A stale socket file of a dead gateway is
 *           replaced; that of a living one, and what is no socket, is not.
 * Loop thread.
 */
#ifndef TG_GATEWAY_CONTROL_H
#define TG_GATEWAY_CONTROL_H

#include "core/net/loop.h"

#define TG_CONTROL_MAX_CLIENTS 16
#define TG_CONTROL_LINE_BYTES  65536
#define TG_CONTROL_QUEUE_BYTES (1024 * 1024)
#define TG_CONTROL_REQUEST_MS  10000

struct tg_gateway;
struct tg_control;

int tg_control_new(struct tg_loop *loop, struct tg_gateway *gateway, const char *path,
                   struct tg_control **ret_control, struct tg_error *err) TG_CHECKED;
/* For connections that are made from now on; TG_CONTROL_REQUEST_MS before. */
void tg_control_limit_request(struct tg_control *c, int64_t ms);
/* Ends all connections and removes the socket file. The router must still be there. */
void tg_control_close(struct tg_control *c);

#endif
