/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * control - the Unix socket through which `tidegate status|tail|send` talk to the running gateway.
 *
 * PROTOCOL  One JSON object a line, both ways.
 *   {"verb":"status"}                                        → the status object
 *   {"verb":"send","device":D,"command":C,"arguments":{…}}   → {"status":"ok",…,"result":{…}}
 *   {"verb":"tail","device":D?}                              → {"device":D,"sample":{…}} … until the client leaves
 *   anything else                                            → {"error":"…"}
 *
 * BOUNDS    16 connections; a request line of 64 KiB; 1 MiB waiting to be read by a client (a slow `tail` loses lines and is
 *           told how many); a connection without a whole request after 10 s is closed.
 * ACCESS    The socket has mode 0660; who may open it may command devices. A stale socket file of a dead gateway is
 *           replaced, that of a living one is not.
 * Loop thread.
 */
#ifndef TG_GATEWAY_CONTROL_H
#define TG_GATEWAY_CONTROL_H

#include "core/net/loop.h"

#define TG_CONTROL_MAX_CLIENTS     16
#define TG_CONTROL_LINE_BYTES      65536
#define TG_CONTROL_QUEUE_BYTES     (1024 * 1024)
#define TG_CONTROL_REQUEST_MS      10000

struct tg_gateway;
struct tg_control;

int tg_control_new(struct tg_loop *loop, struct tg_gateway *gateway, const char *path, struct tg_control **ret_control,
                   struct tg_error *err) TG_CHECKED;
/* Ends all connections and removes the socket file. The router must still be there. */
void tg_control_close(struct tg_control *c);

#endif
