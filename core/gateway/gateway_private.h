/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gateway_private - shared by gateway.c (life), gateway_build.c (sources, devices, sessions; reload) and gateway_status.c.
 */
#ifndef TG_GATEWAY_GATEWAY_PRIVATE_H
#define TG_GATEWAY_GATEWAY_PRIVATE_H

#include "core/gateway/control.h"
#include "core/gateway/gateway.h"
#include "core/gateway/health.h"

#define TG_GATEWAY_MAGIC 0x6a7e3a40u

/* A model that running parts still point into. */
struct tg_config_ref {
    struct tg_config *config;
    uint32_t users;
};

/* One running source with its devices and their sessions. */
struct tg_running_source {
    uint32_t magic;
    struct tg_gateway *gateway;
    struct tg_config_ref *model;
    const struct tg_config_source *config;
    uint64_t fingerprint;
    struct tg_source_host *host;
    struct tg_router_device **devices; /* by index in the source */
    struct tg_session **sessions;
    uint32_t session_count;
    uint32_t parts; /* sessions and host that are not closed yet */
    bool open, closing;
    char open_text[200];
    struct tg_running_source *next;
    void (*closed)(struct tg_gateway *g);
};

struct tg_gateway {
    uint32_t magic;
    struct tg_loop loop;
    struct tg_config_ref *model;
    struct tg_store *store;
    struct tg_notes *notes;
    struct tg_router *router;
    struct tg_session_set *sessions;
    struct tg_running_source *sources;
    struct tg_control *control;
    struct tg_health *health;
    uv_signal_t signals[3];
    struct tg_deadline deadline; /* drain limit */
    tg_gateway_reload_fn reload;
    void *reload_user;
    uint32_t signal_count;  /* that are initialised */
    bool reload_again;      /* SIGHUP came while sources of the last one were still closing */
    bool stopping, drained; /* told to stop; the sessions have had their time */
    int64_t started_ms, drain_limit_ms;
    int64_t store_moved_ms; /* when the store last committed something, or had nothing to commit */
    uint64_t seen_committed_id;
    int64_t first_accepted_ms; /* when the first sample of this run was committed; 0 = not yet */
    uint32_t closing_sources;
};

#define TG_RUNNING_SOURCE_MAGIC 0x50f7ce00u

/* gateway_build.c */
int tg_gateway_build(struct tg_gateway *g, struct tg_config_ref *model, struct tg_error *err) TG_CHECKED;
/* Ends all instances, so that nothing new comes, and leaves the sessions to deliver. */
void tg_gateway_quiet_sources(struct tg_gateway *g);
void tg_gateway_reload(struct tg_gateway *g);
void tg_gateway_stop_sources(struct tg_gateway *g, void (*closed)(struct tg_gateway *g));

#endif
