/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * reach - how well a cloud is reached: connects and failures by what failed, outages and how they ended. One of these for each cloud.
 * Pure: times (monotonic) are passed in.
 *
 * An outage begins when a connection is lost or not made and no other one of the cloud stands, and ends with the next login. A
 * connection that is replaced as planned (a renewed token) begins none unless its successor fails.
 */
#ifndef TG_NORTHBOUND_REACH_H
#define TG_NORTHBOUND_REACH_H

#include <stdbool.h>
#include <stdint.h>

/* What failed. X(code, name) */
#define TG_FAILURE_TABLE(X)                                                                                  \
    X(DNS, dns)             /* the name could not be resolved */                                             \
    X(TCP, tcp)             /* refused, unreachable, no answer */                                            \
    X(TLS, tls)             /* handshake, certificates, a proxy or WebSocket between */                      \
    X(LOGIN, login)         /* refused or unanswered */                                                      \
    X(THROTTLED, throttled) /* the cloud is overloaded or the quota used up: CONNACK 3, HTTP 429 and 503 */  \
    X(CLOSED, closed)       /* a connection that stood was closed or reset */                                \
    X(SILENT, silent) /* a connection that stood did not answer any more, or its address here is gone */     \
    X(LOCAL, local)   /* here: a key that cannot be read, no memory */

enum tg_failure {
#define X(code, name) TG_FAILURE_##code,
    TG_FAILURE_TABLE(X)
#undef X
        TG_FAILURES
};
const char *tg_failure_name(enum tg_failure failure); /* "dns"; static storage */

#define TG_REACH_MINUTES 60

struct tg_reach {
    uint64_t connects, failures[TG_FAILURES], outages;
    uint32_t online;          /* connections that stand */
    int64_t out_since_ms;     /* 0 = reached, or never tried */
    int64_t last_outage_ms;   /* length of the last one that ended; 0 = there was none */
    int64_t link_back_ms;     /* within an outage: when the way out came back; 0 = it has not been away */
    int64_t last_recovery_ms; /* way out back → first login; -1 = never happened */
    int64_t minute;           /* of the newest bucket */
    uint16_t made[TG_REACH_MINUTES]; /* connects in each of the last minutes */
};

void tg_reach_init(struct tg_reach *r);
/* A first connection is wanted. */
void tg_reach_wanted(struct tg_reach *r, int64_t now_ms);
void tg_reach_online(struct tg_reach *r, int64_t now_ms);
/* One that stood does not any more; a failure, if it was one, follows. */
void tg_reach_offline(struct tg_reach *r);
void tg_reach_failed(struct tg_reach *r, int64_t now_ms, enum tg_failure failure);
/* The way to the network is back, or another one is there. */
void tg_reach_link_back(struct tg_reach *r, int64_t now_ms);
uint32_t tg_reach_connects_last_hour(const struct tg_reach *r, int64_t now_ms);
/* How long the present outage has lasted; 0 = there is none. */
int64_t tg_reach_out_ms(const struct tg_reach *r, int64_t now_ms);

#endif
