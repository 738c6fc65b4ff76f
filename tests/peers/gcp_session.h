/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_session - what the test IoT Core remembers: connections, for whom each of them may speak, and the configs that
 * wait for devices.
 */
#ifndef TESTS_PEERS_GCP_SESSION_H
#define TESTS_PEERS_GCP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCP_ID_MAX 256

enum gcp_subject { GCP_CONFIG = 1, GCP_COMMANDS = 2, GCP_ERRORS = 4 };

/* A device that a connection speaks for: its own, then those that are attached. */
struct gcp_voice {
    struct gcp_voice *next;
    char id[GCP_ID_MAX];
    unsigned heard;   /* enum gcp_subject, subscribed */
    bool config_due;  /* the latest is to be sent at the next tick */
    int64_t expires;  /* of the token it was attached with; 0 = none */
    int64_t state_ms; /* when the last state came */
};

struct gcp_session {
    struct gcp_session *next;
    char *client_id;
    void *client; /* NULL while away */
    bool service, gateway;
    int64_t expires;
    char why_closed[128];
    struct gcp_voice *voices; /* the first is its own */
};

struct gcp_session *gcp_session_named(const char *client_id);
/* A new connection of that client: nothing is kept from an earlier one. NULL = out of memory. */
struct gcp_session *gcp_session_begin(const char *client_id, const char *device);
void gcp_session_end(struct gcp_session *s);
struct gcp_voice *gcp_voice_of(const struct gcp_session *s, const char *device);
struct gcp_voice *gcp_voice_add(struct gcp_session *s, const char *device);
void gcp_voice_remove(struct gcp_session *s, const char *device);
/* The connection that speaks for a device now, and its voice; NULL = nobody. */
struct gcp_session *gcp_session_for(const char *device, struct gcp_voice **ret_voice);
void gcp_sessions_each(void (*each)(struct gcp_session *s));

/* Latest configs; NULL and 0 when there is none. */
bool gcp_config_put(const char *device, const void *payload, size_t len);
const void *gcp_config_get(const char *device, size_t *ret_len);

void gcp_session_free_all(void);

#endif
