/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_twin - the device twin of one IoT Hub session (Azure docs "iot-hub-devguide-device-twins"; cloud.md A): a state
 * machine in the shape of cloud.h, driven by azure_hub.c. It moves documents and does not know what they mean.
 *
 *   DESIRED   After every connect the whole twin is asked for (GET). Patches that come while the answer is awaited are not
 *             applied, but their highest version is remembered: an answer that is older is followed by another GET. Later
 *             patches are applied in the order of their versions; what is known already is dropped, and a gap leads to a GET.
 *             A document beyond the limits (48 KiB of text, ten levels) is left out and logged, and its version counts as known, so
 *             that what follows is not taken for a gap. Members at the top whose names begin with '$' ($version, $metadata) are
 *             the hub's own: they are left out of everything that is written or compared.
 *   REPORTED  The answer to GET has the hub's copy of the reported properties: the difference between it and io->reported()
 *             is sent as a patch (nothing when there is none; members that only the hub has are removed with null). Then REPORT
 *             events are sent, one patch at a time. What comes meanwhile is merged into one waiting patch of at most 32 KiB;
 *             beyond that, or when no single patch can say it, the waiting patch is dropped and the twin asked for, whose answer
 *             brings the difference anew. Refused patches (4xx) are logged and left out, and so is, once, what is beyond the
 *             limits, until it fits again.
 *   AGAIN     GET and patches that are answered 429 or 5xx are repeated after 1 s, doubling to 60 s; those without an answer
 *             after 30 s, doubling to 8 min (the hub may be slow, or the link). Refused GETs (other 4xx) end the twin
 *             until the next connection, unless a patch shows that there is one.
 *
 * A patch that was sent is kept until it is answered: at most 64 KiB of memory a session while patches are under way, else none.
 */
#ifndef TG_NORTHBOUND_AZURE_TWIN_H
#define TG_NORTHBOUND_AZURE_TWIN_H

#include "northbound/json_document.h"
#include "northbound/cloud.h"

#define TG_AZURE_TWIN_MAX_BYTES ((size_t)32 * 1024) /* of reported properties, as text */
#define TG_AZURE_TWIN_TAKE_BYTES                                                                             \
    ((size_t)48 * 1024)                 /* of desired ones: the hub counts 32 KiB of names and values */
#define TG_AZURE_TWIN_MAX_DEPTH      10 /* levels below the document */
#define TG_AZURE_TWIN_RESULTS_FILTER "$iothub/twin/res/#"
#define TG_AZURE_TWIN_DESIRED_FILTER "$iothub/twin/PATCH/properties/desired/#"

enum tg_azure_twin_state {
    TG_AZURE_TWIN_OFF = 0, /* ONLINE → JOINING */
    TG_AZURE_TWIN_JOINING, /* the subscriptions are not answered: SUBSCRIBED or 5 s → ASKED */
    TG_AZURE_TWIN_ASKED, /* 200 → KNOWN; 429, 5xx → WAITING; other 4xx → REFUSED; no answer → ASKED */
    TG_AZURE_TWIN_WAITING, /* get_at_ms → ASKED */
    TG_AZURE_TWIN_KNOWN,   /* a gap, or reports that cannot be merged → ASKED */
    TG_AZURE_TWIN_REFUSED  /* a desired patch → ASKED; all: OFFLINE → OFF */
};

/* Zero-initialised; part of the session's memory. */
struct tg_azure_twin {
    enum tg_azure_twin_state state;
    uint32_t last_rid;                      /* request ids are never used twice in the life of a session */
    uint32_t get_rid, report_rid;           /* 0 = nothing is awaited */
    uint32_t get_refusals, report_refusals; /* in a row, for the back-off */
    uint32_t get_silences, report_silences; /* in a row, for the patience */
    int64_t get_at_ms, report_at_ms;        /* when to do something about them */
    uint64_t desired_version, newest_seen;  /* newest_seen: of patches that were not applied */
    uint64_t reported_version;              /* as the hub last said */
    struct tg_json_text sent, waiting;      /* reported properties */
    bool told; /* that they are beyond the limits, and they have not fitted since */
};

/* Any event of the session. MESSAGE of other topics is none of its business (TG_OK). Negative with err: left out, to be logged. */
int tg_azure_twin_step(struct tg_azure_twin *t, const struct tg_cloud_talk *talk,
                       const struct tg_cloud_event *event, struct tg_error *err) TG_CHECKED;
/* When it wants WAKE; INT64_MAX = not. */
int64_t tg_azure_twin_wake_ms(const struct tg_azure_twin *t);

#endif
