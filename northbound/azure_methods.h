/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_methods - direct methods of one IoT Hub session (Azure docs "iot-hub-devguide-direct-methods"; cloud.md A).
 *
 *     $iothub/methods/POST/{name}/?$rid={r}    → io->command(name, body, reply = connection number and r)
 *     ANSWER                                   → $iothub/methods/res/{status}/?$rid={r} with the JSON result
 *
 * Any number may be under way: what is needed for the answer comes back with it. An answer to a call of an earlier connection is
 * dropped, because its caller has been told that the device is gone. An answer that finds no room is kept and tried again every
 * 200 ms: at most 16 answers and 128 KiB a session; beyond that the newest is dropped and its caller sees a timeout.
 *
 * The status of a command as the caller sees it:
 *     ok 200   invalid 400   busy 429   error 500   unsupported 501 (no such command)   device 502
 *     timeout, unknown 504 (it was sent; whether it was done is not known)
 */
#ifndef TG_NORTHBOUND_AZURE_METHODS_H
#define TG_NORTHBOUND_AZURE_METHODS_H

#include "northbound/cloud.h"

#define TG_AZURE_METHODS_FILTER            "$iothub/methods/POST/#"
#define TG_AZURE_METHODS_MAX_BODY_BYTES    ((size_t)128 * 1024)
#define TG_AZURE_METHODS_MAX_WAITING       16
#define TG_AZURE_METHODS_MAX_WAITING_BYTES ((size_t)128 * 1024)

/* Zero-initialised; part of the session's memory. */
struct tg_azure_methods {
    bool online;
    uint32_t connection, waiting_count;
    size_t waiting_bytes;
    int64_t wake_ms; /* of what waits */
    struct tg_azure_answer *first, *last;
};

/* Any event of the session. MESSAGE of other topics is none of its business (TG_OK). Negative with err: left out, to be logged;
 * the caller has been answered when that was possible. */
int tg_azure_methods_step(struct tg_azure_methods *m, const struct tg_cloud_talk *talk,
                          const struct tg_cloud_event *event, struct tg_error *err) TG_CHECKED;
/* When it wants WAKE; INT64_MAX = not. */
int64_t tg_azure_methods_wake_ms(const struct tg_azure_methods *m);

#endif
