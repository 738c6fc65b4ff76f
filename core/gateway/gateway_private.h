/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gateway_private - shared by gateway.c (life), gateway_build.c (sources, devices, sessions; reload), gateway_status.c,
 * gateway_metrics.c and gateway_pages.c.
 */
#ifndef TG_GATEWAY_GATEWAY_PRIVATE_H
#define TG_GATEWAY_GATEWAY_PRIVATE_H

#include "core/base/clock.h"
#include "core/gateway/control.h"
#include "core/gateway/gateway.h"
#include "core/gateway/health.h"
#include "core/gateway/http.h"
#include "core/gateway/network.h"
#include "core/gateway/twin.h"

#define TG_GATEWAY_MAGIC 0x6a7e3a40u

/* A model that running parts still point into. */
struct tg_config_ref {
    struct tg_config *config;
    uint32_t users;
};

struct tg_running_source;

/* One running device with its sessions. It outlives its source's instance when a reload changes the source but not the
 * device: then it waits without a source (in `strays`), connected, until the new instance takes it. */
struct tg_running_device {
    uint32_t magic;
    struct tg_gateway *gateway;
    struct tg_config_ref *model;
    const struct tg_config_device *config;
    uint64_t fingerprint;
    char source[TG_NAME_MAX_BYTES + 1]; /* name of the source that it belongs to */
    struct tg_router_device *device;
    struct tg_session **sessions;
    uint32_t session_count, open_sessions; /* not closed yet */
    struct tg_running_device *next;        /* of the strays */
};

/* One running source: a plugin's instance and the devices that it reads. */
struct tg_running_source {
    uint32_t magic;
    struct tg_gateway *gateway;
    struct tg_config_ref *model;
    const struct tg_config_source *config;
    uint64_t fingerprint;
    struct tg_source_host *host;
    struct tg_running_device **devices; /* by index in the source */
    bool open, host_closing, closing;
    bool opened; /* the instance was open before */
    char open_text[200];
    enum tg_uplink uplink; /* what it says of the site's way to the network */
    char uplink_text[160];
    uint64_t number; /* of all sources that have ever run */
    struct tg_running_source *next;
};

/* What sources tell about the place the gateway is at: its way to the network, and the time. */
struct tg_site {
    enum tg_uplink uplink;
    char source[TG_NAME_MAX_BYTES + 1]; /* who said so last */
    char text[160];
    int64_t since_ms; /* monotonic */
    uint64_t changes;
    enum tg_clock_source clock;
    char clock_by[TG_NAME_MAX_BYTES + 1]; /* who offered the time; "" = nobody */
    uint32_t uncertainty_ms;
    int64_t difference_ms,
        difference_told_ms; /* of the last offered time to the system's, when both are there */
    bool has_difference;
    struct tg_deadline look; /* whether the system's clock has been set */
};

/* The wall clock, as it was seen last. */
struct tg_gateway_clock {
    bool valid, told_none;
    int64_t offset_ms; /* wall minus monotonic time, when valid */
    uint64_t jumps;
    int64_t last_jump_ms, last_jump_at_ms; /* at: monotonic */
    struct tg_deadline look;
};

struct tg_gateway {
    uint32_t magic;
    struct tg_loop loop;
    struct tg_config_ref *model;
    struct tg_store *store;
    struct tg_notes *notes;
    struct tg_router *router;
    struct tg_twins *twins;
    struct tg_session_set *sessions;
    struct tg_running_source *sources;
    struct tg_running_device *strays;
    struct tg_control *control;
    struct tg_health *health;
    struct tg_http *http; /* NULL = off */
    int64_t metrics_us;   /* what the last text of /metrics took */
    char store_text[512]; /* what the store said when its state changed */
    uv_signal_t signals[3];
    struct tg_deadline deadline; /* drain limit */
    struct tg_deadline adopt;    /* when discovered devices come in */
    bool adopting;               /* it is set */
    tg_gateway_reload_fn reload;
    void *reload_user;
    uint32_t signal_count;  /* that are initialised */
    uint64_t reloads_refused;
    bool reload_again;      /* SIGHUP came while sources of the last one were still closing */
    bool stopping, drained; /* told to stop; the sessions have had their time */
    bool storing;           /* stopping: the store and the notes are being closed */
    int64_t started_ms, drain_limit_ms;
    struct tg_store_pulse pulse;
    int64_t first_accepted_ms; /* when the first sample of this run was committed; 0 = not yet */
    struct tg_site site;
    struct tg_network network;
    struct tg_gateway_clock clock;
    uint64_t source_count; /* that have ever run */
    void (*drop_done)(void *user, int rc, const char *text,
                      uint64_t samples); /* `outbox drop` is under way */
    void *drop_user;
    uint32_t closing; /* instances and devices that are on their way out */
    void (*all_closed)(struct tg_gateway *g);
};

#define TG_RUNNING_SOURCE_MAGIC 0x50f7ce00u
#define TG_RUNNING_DEVICE_MAGIC 0x50f7de00u

/* gateway_device.c */
/* Builds the device with its sessions, or takes the stray of this source and description. */
int tg_running_device_get(struct tg_gateway *g, struct tg_config_ref *model, const char *source,
                          const struct tg_config_device *config, uint32_t index,
                          struct tg_running_device **ret_device, struct tg_error *err) TG_CHECKED;
/* Lets its sessions connect; nothing happens when they do. */
void tg_running_device_start(struct tg_running_device *rd);
/* Closes its sessions, then frees it. */
void tg_running_device_close(struct tg_running_device *rd);
void tg_running_device_stray(struct tg_running_device *rd);
void tg_running_device_close_strays(struct tg_gateway *g);
struct tg_config_ref *tg_model_hold(struct tg_config_ref *model);
void tg_model_release(struct tg_gateway *g, struct tg_config_ref *model);
/* Something that was closing has gone. */
void tg_gateway_part_closed(struct tg_gateway *g);

/* gateway_discover.c */
void tg_gateway_discover_init(struct tg_gateway *g);
/* The configuration with what was discovered; what is wrong is logged. */
int tg_gateway_load(struct tg_gateway *g, struct tg_config **ret_config) TG_CHECKED;
/* At the start, when the notes are open and nothing is built: puts the discovered devices into the model. */
int tg_gateway_recall_discovered(struct tg_gateway *g, struct tg_error *err) TG_CHECKED;
void tg_gateway_discovered(struct tg_gateway *g, const struct tg_config_source *source, const char *id,
                           const char *profile);
/* sources[].discovery of the status; NULL: the source has no such section. */
struct json_t *tg_gateway_discovery_json(struct tg_running_source *rs);

/* gateway_build.c */
int tg_gateway_build(struct tg_gateway *g, struct tg_config_ref *model, struct tg_error *err) TG_CHECKED;
/* Ends all instances, so that nothing new comes, and leaves the sessions to deliver; those that carry sessions stay until then. */
void tg_gateway_quiet_sources(struct tg_gateway *g);
void tg_gateway_reload(struct tg_gateway *g);
void tg_gateway_stop_sources(struct tg_gateway *g, void (*closed)(struct tg_gateway *g));

/* gateway_outbox.c: what the configuration says of the outbox, for each device and cloud */
/* The quotas of the device in its clouds, as the present model has them. */
int tg_gateway_set_quotas(struct tg_gateway *g, const struct tg_running_device *rd,
                          struct tg_error *err) TG_CHECKED;
/* After a reload: those of all devices, which may run on although their quotas have changed. */
void tg_gateway_apply_quotas(struct tg_gateway *g);
/* At the start: what is not configured any more gives up its samples. */
int tg_gateway_retire(struct tg_gateway *g, struct tg_error *err) TG_CHECKED;
/* After a reload: what is not configured any more has a while to come back. */
void tg_gateway_tell_what_left(struct tg_gateway *g);

/* gateway_site.c */
void tg_gateway_site_init(struct tg_gateway *g);
void tg_gateway_site_close(struct tg_gateway *g);
void tg_gateway_uplink(struct tg_running_source *rs, bool up, const char *text);
void tg_gateway_time(struct tg_running_source *rs, int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms);
/* The source's instance has ended: what it said does not count any more. */
void tg_gateway_site_forget(struct tg_running_source *rs);
/* gateway.uplink and gateway.clock of the status; uplink NULL: nobody has ever said anything. */
struct json_t *tg_gateway_uplink_json(const struct tg_gateway *g);
struct json_t *tg_gateway_clock_json(const struct tg_gateway *g);

/* gateway_clock.c */
void tg_gateway_clock_init(struct tg_gateway *g);
/* Once store and router are there, before any source is. */
void tg_gateway_clock_start(struct tg_gateway *g);
void tg_gateway_clock_close(struct tg_gateway *g);
/* Looks at once: there may be a time now, or another one. */
void tg_gateway_clock_look(struct tg_gateway *g);
/* Adds to gateway.clock of the status. */
void tg_gateway_clock_describe(const struct tg_gateway *g, struct json_t *j);

/* gateway_notes.c: what sources remember, in scope "source/NAME" */
void tg_gateway_recall_notes(struct tg_running_source *rs,
                             void (*take)(void *taker, const char *key, struct tg_bytes text), void *taker);
void tg_gateway_note(struct tg_running_source *rs, const char *key, const char *text, uint64_t number);

/* gateway_carry.c: joins the plugins that carry with the sessions that are carried. */
void tg_gateway_lend_carrier(struct tg_gateway *g);
void tg_gateway_on_carrier(void *user, uint32_t channel, bool up, const char *text);
void tg_gateway_on_carried(void *user, uint32_t channel, uint64_t message, int status);
/* The instance was opened or closed: what it carried is gone. */
void tg_gateway_carrier_gone(struct tg_running_source *rs, const char *text);

/* gateway.c */
/* False: samples wait for the disk and none was committed for long. */
bool tg_gateway_store_moves(struct tg_gateway *g);

/* gateway_status.c */
int64_t tg_gateway_resident_bytes(void);
const char *tg_device_state_name(enum tg_device_state state);
const char *tg_store_state_name(enum tg_store_state state);

/* gateway_metrics.c */
/* The text of /metrics: free it with tg_free(). TG_ENOMEM, TG_ETOOBIG. */
int tg_gateway_metrics_text(struct tg_gateway *g, char **ret_text, size_t *ret_len) TG_CHECKED;

/* gateway_pages.c */
/* Opens, moves or closes the HTTP endpoint as the configuration says; after start and reload. TG_ENOMEM. */
int tg_gateway_open_http(struct tg_gateway *g, struct tg_error *err) TG_CHECKED;

#endif
