/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * aws_shadow - the device shadow of one session of AWS IoT Core (AWS docs "Device Shadow MQTT topics" and "Device Shadow service
 * documents"; cloud.md D), classic or named: a state machine in the shape of cloud.h, driven by aws_iot.c. It moves
 * documents and does not know what they mean. S = $aws/things/{thing}/shadow[/name/{name}].
 *
 *   DESIRED   After every connect the whole document is asked for (S/get). state.desired goes to io->desired() as a whole; that
 *             there is no shadow yet (404) counts as empty. S/update/delta goes there as a patch; versions that are known already
 *             are dropped. The delta of an update that this session itself made is no new wish: it is given only when it
 *             says something that was not known. What another client removes from desired makes no delta; it is seen in
 *             S/update/accepted, and the document is asked for again.
 *   REPORTED  What differs between the shadow's copy of the reported properties and io->reported() is sent to S/update, with
 *             the version that it is based on; so a REPORT needs no queue, and nothing is sent when nothing differs. A shadow comes
 *             into being with the first property. 409 (the document was changed meanwhile) and a foreign change of the
 *             reported properties lead to S/get and then to the difference anew.
 *   BOUNDS    One request is outstanding at a time, known by its client token. Reported properties of more than 8 KiB are not
 *             sent; it is said once, and again when they have fitted meanwhile.
 *   AGAIN     429, 5xx and no answer: see aws_request.h. Other refusals: S/get ends the shadow until the next connection (policies that deny may close
 *             the connection on each attempt), S/update waits for the next REPORT.
 *
 * Memory beyond the struct: the shadow's state as texts, at most 8 KiB by default at AWS (32 KiB are taken), and while an
 * update is under way what it makes of the reported properties.
 */
#ifndef TG_NORTHBOUND_AWS_SHADOW_H
#define TG_NORTHBOUND_AWS_SHADOW_H

#include "northbound/json_document.h"
#include "northbound/aws_request.h"
#include "northbound/cloud.h"

#define TG_AWS_SHADOW_MAX_BYTES  8192
#define TG_AWS_SHADOW_TAKE_BYTES 32768 /* the quota can be raised to 30 KiB */
#define TG_AWS_SHADOW_FILTERS    5

enum tg_aws_shadow_state {
    TG_AWS_SHADOW_OFF = 0, /* begin() → GETTING */
    TG_AWS_SHADOW_GETTING, /* accepted, 404 → READY; 429, 5xx → WAITING; else → REFUSED; no answer → GETTING */
    TG_AWS_SHADOW_READY,    /* something to report → UPDATING; a foreign change → GETTING */
    TG_AWS_SHADOW_UPDATING, /* accepted → READY; 409, no answer → GETTING (a third 409: WAITING); 429, 5xx → WAITING; else → READY */
    TG_AWS_SHADOW_WAITING,  /* its time → GETTING or UPDATING */
    TG_AWS_SHADOW_REFUSED   /* OFFLINE → OFF */
};

/* Zero-initialised; part of the session's memory. */
struct tg_aws_shadow {
    enum tg_aws_shadow_state state;
    bool must_get;      /* what is known may not be what the shadow has */
    bool told;          /* that the reported properties cannot be sent, and not yet fitted again */
    bool asked_twice;   /* because the answer was older than a delta */
    uint32_t conflicts; /* in a row */
    struct tg_aws_request request;
    uint64_t version;                      /* of the document; 0 = there is none */
    uint64_t desired_version;              /* of the last wish that was given */
    struct tg_json_text desired, reported; /* as the shadow has them */
    struct tg_json_text sending;           /* reported, once the outstanding update is accepted */
};

/* True when the options switch it on; the name (NULL = classic) then is in *ret_name. */
bool tg_aws_shadow_wanted(const struct tg_cloud_target *t, const char **ret_name);
/* Appends "$aws/things/…/shadow[/name/…]". */
void tg_aws_shadow_prefix(const struct tg_cloud_target *t, struct tg_writer *w);
/* Its TG_AWS_SHADOW_FILTERS filters, texts in the scratch; 0 = not wanted, TG_ETOOBIG. */
int tg_aws_shadow_filters(const struct tg_cloud_target *t, struct tg_writer *scratch,
                          struct tg_bytes *ret_filters);

/* The subscriptions are granted. */
void tg_aws_shadow_begin(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk,
                         const struct tg_cloud_event *event);
/* A message whose topic begins with the prefix and '/'; `rest` is what follows. Negative with err: to be logged. */
int tg_aws_shadow_message(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, struct tg_bytes rest,
                          const struct tg_cloud_event *event, struct tg_error *err) TG_CHECKED;
void tg_aws_shadow_report(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, int64_t now_ms);
void tg_aws_shadow_wake(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, int64_t now_ms);
/* OFFLINE and END: back to OFF, nothing is allocated any more. */
void tg_aws_shadow_end(struct tg_aws_shadow *s);
#endif
