/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ucx_instance - one source of the ucx plugin: a port with a u-connectXpress module in extended data mode, the module itself as a
 * device, and Bluetooth peers behind it, each a device with a connection (channel) of its own. Shared by ucx_plugin.c (port, link
 * events), ucx_build.c (settings to tables), ucx_peer.c (connections and lines) and ucx_job.c (commands).
 *
 *   CLOSED ──port opened──► FINDING ──READY──► INIT ──`init`, ATO2──► RUN
 *     ▲                                          ▲                    │ restarted: INIT, all connections are made anew
 *     └──────── unplugged, or no answer ─────────┴────────────────────┘
 *
 * The peer's life: IDLE (waits for its turn, or to be called) ─AT+UDCP─► CONNECTING ─connect event─► CONNECTED ─disconnect─► IDLE
 *
 * Carried connections (ucx_carry.c): a channel of the host (tidegate/plugin.h, CARRYING) is an MQTT connection of the module. They are
 * connected one at a time, because the module's connect event says to where, and not by which command:
 *
 *   WAITS ─its turn─► COMMANDS (AT+UDUV…, AT+UDCP) ─► CONNECTING ─connect event─► UP ─disconnect─► free, told down
 *                          carry_close(): CLOSING (AT+UDCPC) ─► free
 * What the module still has from a run of the gateway before this one is closed first (AT+UDLP?), so that no old token and no old
 * subscription stays.
 *
 * Bounds: UCX_CHANNELS_MAX channels, each with the memory of tg_ucx_carry; one command at a time, UCX_REQUESTS_MAX that wait; UCX_SENDS_MAX texts that wait for the line; a peer's line has at most
 * UCX_LINE_MAX bytes: a longer one is dropped to its end and counted.
 */
#ifndef TG_PLUGINS_UCX_INSTANCE_H
#define TG_PLUGINS_UCX_INSTANCE_H

#include <tidegate/plugin.h>

#include "core/base/backoff.h"
#include "plugins/at/at_points.h"
#include "plugins/at/at_write.h"
#include "southbound/at_script.h"
#include "southbound/ucx_carry.h"
#include "southbound/ucx_link.h"
#include "southbound/ucx_mqtt.h"

#define UCX_REQUESTS_MAX       32
#define UCX_SENDS_MAX          16
#define UCX_SEND_MAX_BYTES     512
#define UCX_LINE_END_MAX_BYTES 2
#define UCX_LINE_MAX           1024
#define UCX_ADDRESS_BYTES      13
#define UCX_REOPEN_MIN_MS      1000
#define UCX_REOPEN_MAX_MS      10000
#define UCX_CONNECT_MIN_MS     1000
#define UCX_CONNECT_MAX_MS     60000
#define UCX_STABLE_MS          30000
#define UCX_CONNECT_MS         20000
#define UCX_CHANNELS_MAX       16
#define UCX_OLD_MAX            16 /* connections of a run before, closed in one go */
#define UCX_DRAIN_LOOK_MS      20 /* how often the port is asked whether all has left it */

enum ucx_phase { UCX_CLOSED, UCX_FINDING, UCX_INIT, UCX_RUN };
enum ucx_peer_state { UCX_PEER_IDLE, UCX_PEER_CONNECTING, UCX_PEER_CONNECTED };
enum ucx_job_kind {
    UCX_JOB_NONE,
    UCX_JOB_INIT,
    UCX_JOB_EXTEND,
    UCX_JOB_CONNECT,
    UCX_JOB_POLL,
    UCX_JOB_REQUEST,
    UCX_JOB_LIST_OLD,
    UCX_JOB_CLOSE_OLD,
    UCX_JOB_CARRY_COMMAND,
    UCX_JOB_CARRY_CLOSE
};

enum ucx_channel_state {
    UCX_CHANNEL_FREE,
    UCX_CHANNEL_WAITS,
    UCX_CHANNEL_COMMANDS,
    UCX_CHANNEL_CONNECTING,
    UCX_CHANNEL_UP,
    UCX_CHANNEL_CLOSING /* nobody waits for it any more; AT+UDCPC is due when there is a handle */
};

struct ucx_channel {
    enum ucx_channel_state state;
    uint32_t number;                 /* the host's */
    int32_t handle;                  /* of the module's peer; -1 = not known */
    bool has_edm;                    /* `edm` counts */
    uint8_t edm;                     /* its channel in extended data mode */
    int64_t due_ms;                  /* COMMANDS, CONNECTING: until then */
    struct tg_ucx_command *commands; /* TG_UCX_COMMANDS_MAX of them, secret; NULL = sent */
    size_t command_count, command_next;
    struct tg_ucx_carry *carry;
};

struct ucx_point {
    const char *name;
    uint32_t device, index;
    bool has_match, has_write;
    struct tg_at_pattern match;
    struct tg_at_reader reader;
    uint32_t group;
    struct tg_at_write write;
    int64_t timeout_ms;
    uint32_t exchange; /* TG_AT_SCRIPT_NONE: what it matches comes by itself */
};

struct ucx_exchange {
    uint32_t device;
    const char *command;
    int64_t timeout_ms;
};

struct ucx_device {
    bool is_peer, module_connects;
    const char *url, *line_end;
    char address[UCX_ADDRESS_BYTES]; /* lower-case */
    uint32_t first_point, point_count;
    enum ucx_peer_state peer;
    int32_t handle;
    uint8_t channel;
    uint16_t frame_size;
    struct tg_backoff backoff;
    int64_t due_ms, connected_ms, silence_ms, heard_ms;
    bool stale;
    uint8_t line[UCX_LINE_MAX];
    size_t line_len;
    bool dropping;
    uint64_t overlong_lines;
    uint32_t state; /* enum tg_device_state */
};

struct ucx_request {
    uint64_t id;
    bool is_write;
    int64_t timeout_ms;
    char text[TG_AT_COMMAND_MAX_BYTES + 1];
};

struct ucx_send {
    uint64_t id;
    uint32_t device;
    size_t len, sent;
    uint8_t bytes[UCX_SEND_MAX_BYTES];
};

struct ucx_source {
    const struct tg_host *host;
    const struct tg_source *config;
    const char *port;
    int64_t baud, timeout_ms;
    bool rtscts;
    int fd;
    uint32_t watched;
    const char *const *init;
    uint32_t init_count, init_next;
    struct ucx_device *devices;
    struct ucx_point *points;
    uint32_t point_count;
    struct ucx_exchange *exchanges;
    uint32_t exchange_count;
    struct tg_at_poll *polls;
    uint32_t *poll_points;
    struct tg_point_value *values;
    struct tg_at_script script;
    struct tg_ucx_link link;
    enum ucx_phase phase;
    enum ucx_job_kind job;
    uint32_t job_exchange, job_device;
    struct ucx_request job_request;
    struct ucx_request requests[UCX_REQUESTS_MAX];
    uint32_t request_head, request_count;
    struct ucx_send sends[UCX_SENDS_MAX];
    uint32_t send_head, send_count;
    char job_text[TG_AT_COMMAND_MAX_BYTES + 1];
    bool ask_connections;
    struct ucx_channel channels[UCX_CHANNELS_MAX];
    uint32_t channel_turn;    /* whose body goes next */
    bool list_old;            /* the module may have connections of a run before this one */
    int32_t old[UCX_OLD_MAX]; /* their handles, to be closed */
    uint32_t old_count;
    int64_t drain_look_ms; /* INT64_MAX: nothing to look for */
    struct tg_backoff backoff;
    int64_t reopen_ms, ok_since_ms;
    char last_error[300];
};

/* --- ucx_options.c --- */
extern const struct tg_option ucx_source_options[], ucx_device_options[], ucx_point_options[];
/* check_source, check_device and check_point of the plugin. */
int ucx_check_source(const struct tg_host *host, const struct tg_settings *source, const char **ret_option,
                     char *error, size_t error_size);
int ucx_check_device(const struct tg_host *host, const char *id, const struct tg_settings *device,
                     const char **ret_option, char *error, size_t error_size);
int ucx_check_point(const struct tg_host *host, const struct tg_settings *device,
                    const struct tg_point *point, const char **ret_option, char *error, size_t error_size);
/* NULL, or what is wrong with `peer`; the address in lower case. */
const char *ucx_peer_fault(const char *url, char ret_address[UCX_ADDRESS_BYTES]);

/* --- ucx_build.c --- */
int ucx_source_build(struct ucx_source *s, char *error, size_t error_size);
void ucx_source_free(struct ucx_source *s);

/* --- ucx_peer.c --- */
void ucx_on_connect(struct ucx_source *s, const struct tg_edm_frame *f, int64_t now_ms);
void ucx_on_disconnect(struct ucx_source *s, uint8_t channel, int64_t now_ms);
void ucx_on_data(struct ucx_source *s, const struct tg_edm_frame *f, int64_t now_ms);
void ucx_on_urc(struct ucx_source *s, struct tg_bytes line, int64_t now_ms);
/* The connection is gone, or was not made. */
void ucx_peer_lost(struct ucx_source *s, uint32_t device, const char *why, int64_t now_ms);
/* All of them, when the module restarts or goes away. */
void ucx_peers_lost(struct ucx_source *s, const char *why, int64_t now_ms);
/* What is overdue: connecting, silence. */
void ucx_peers_tick(struct ucx_source *s, int64_t now_ms);
int64_t ucx_peers_deadline(const struct ucx_source *s);
/* Gives every point with this line's value; true when one matched. */
bool ucx_match_line(struct ucx_source *s, uint32_t device, struct tg_bytes line);
void ucx_emit_all(struct ucx_source *s, uint32_t device, uint32_t quality);
void ucx_set_state(struct ucx_source *s, uint32_t device, uint32_t state, const char *text);
/* Hands waiting texts to the line. True when it did. */
bool ucx_flush_sends(struct ucx_source *s);

/* --- ucx_job.c --- */
bool ucx_start_job(struct ucx_source *s, int64_t now_ms);
void ucx_job_done(struct ucx_source *s, const struct tg_at_result *r, int64_t now_ms);
void ucx_fail_requests(struct ucx_source *s, const char *why);
/* From a point's settings, which must have `write`; what it names is theirs. */
void ucx_options_write(const struct tg_host *host, const struct tg_settings *s, struct tg_at_write *ret);
int ucx_check_value(const struct tg_host *host, const struct tg_settings *device,
                    const struct tg_point *point, const struct tg_value *value, char *error,
                    size_t error_size);
void ucx_write(void *instance, uint64_t request, uint32_t device, uint32_t point,
               const struct tg_value *value);
void ucx_command(void *instance, uint64_t request, uint32_t device, const char *name, const char *json);
void ucx_answer_error(struct ucx_source *s, uint64_t id, int status, const char *why);

/* A command to the module, from `text` (copied). */
void ucx_start(struct ucx_source *s, enum ucx_job_kind kind, const char *text, int64_t timeout_ms);

/* --- ucx_carry.c --- */
void ucx_carry_open(void *instance, uint32_t channel, const char *address);
void ucx_carry_close(void *instance, uint32_t channel);
void ucx_carry(void *instance, uint32_t channel, uint64_t message, const void *body, uint32_t size);
/* The next command that channels need. True when one was started. */
bool ucx_carry_start_job(struct ucx_source *s, int64_t now_ms);
void ucx_carry_job_done(struct ucx_source *s, enum ucx_job_kind kind, const struct tg_at_result *r,
                        int64_t now_ms);
/* True when the event was about a carried connection. */
bool ucx_carry_on_connect(struct ucx_source *s, const struct tg_edm_frame *f);
bool ucx_carry_on_disconnect(struct ucx_source *s, uint8_t edm);
bool ucx_carry_on_data(struct ucx_source *s, const struct tg_edm_frame *f);
void ucx_carry_on_lost_handle(struct ucx_source *s, int32_t handle);
/* All channels are gone: the module restarts or is not there. */
void ucx_carry_lost(struct ucx_source *s, const char *why);
/* Hands a body to the line. True when it did. */
bool ucx_carry_flush(struct ucx_source *s);
/* Everything was written to the port: whether it has left it. */
void ucx_carry_look_drained(struct ucx_source *s, int64_t now_ms);
/* What is due: outcomes, connects that take too long. */
void ucx_carry_tick(struct ucx_source *s, int64_t now_ms);
int64_t ucx_carry_deadline(const struct ucx_source *s);

/* --- ucx_decode.c --- */
int ucx_decode(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
               void *user);

#endif
