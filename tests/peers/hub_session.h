/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_session - what the test hub remembers of each client id: its connection, its filters, its levers.
 *
 * A session outlives its connection, as its filters do in MQTT. All of it belongs to the broker's one thread.
 */
#ifndef TESTS_PEERS_HUB_SESSION_H
#define TESTS_PEERS_HUB_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_FILTERS_MAX 64

struct mosquitto;

struct hub_session {
    struct hub_session *next; /* in its bucket */
    struct mosquitto *client; /* NULL while away */
    bool service;             /* the cloud's side: may say and hear all */
    size_t filter_count;
    struct {
        char *text;
        int qos; /* what was granted */
    } filters[HUB_FILTERS_MAX];
    int64_t expires;  /* Unix seconds; 0 = never */
    int keepalive;    /* seconds, as asked for; 0 = none */
    int64_t heard_at; /* monotonic seconds */
    int64_t quota;    /* PUBLISH packets until it is thrown out; -1 = no end, 0 = at the next tick */
    char why_closed[128];
    char name[];
};

/* NULL when there is none (or no memory). */
struct hub_session *hub_session_find(const char *name);
struct hub_session *hub_session_get(const char *name);

/* Calls visit for each session. */
void hub_session_each(void (*visit)(struct hub_session *s, void *user), void *user);
void hub_session_free_all(void);

/* False when it holds HUB_FILTERS_MAX already. A filter that is held is granted anew. */
bool hub_session_subscribe(struct hub_session *s, const char *filter, int qos);
void hub_session_unsubscribe(struct hub_session *s, const char *filter);
void hub_session_forget_filters(struct hub_session *s);

/* The QoS that was granted to the filter that hears the topic (the highest of several), or -1. */
int hub_session_hears(const struct hub_session *s, const char *topic);

/* The client id as one level of a topic: % / + # are written %25 %2F %2B %23. False when there is no room. */
bool hub_level_encode(const char *name, char *dst, size_t size);
/* The first `len` characters of such a level as the client id; false when it cannot be read. */
bool hub_level_decode(const char *level, size_t len, char *dst, size_t size);

#endif
