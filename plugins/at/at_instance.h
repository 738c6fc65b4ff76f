/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_instance - one AT source: a port, a conversation, and what is to be asked. Shared by at_plugin.c (life
 * of the port), at_build.c (from settings to tables) and at_exchange.c (jobs and their outcomes).
 *
 *   CLOSED ──port opened, rate found──► SYNCING ──device answers──► INIT ──commands done──► RUN
 *     ▲                                    ▲                                                 │ timeout: SYNCING, then RUN
 *     └─ unplugged, or no answer to the probes, or down ◄────────────────────────────────────┘ restart of the device: INIT
 *
 * With `script: cellular` and `ppp` on the same port the port is lent to the data link: CLOSED, and not opened before it comes back.
 *
 * One job is with the conversation at a time; writes and commands wait in a bounded ring and go before polls, four in a row when a
 * poll is due.
 */
#ifndef TG_PLUGINS_AT_INSTANCE_H
#define TG_PLUGINS_AT_INSTANCE_H

#include <tidegate/plugin.h>

#include "core/base/backoff.h"
#include "plugins/at/at_points.h"
#include "plugins/at/at_trouble.h"
#include "plugins/at/at_write.h"
#include "southbound/at_baud.h"
#include "southbound/at_chat.h"
#include "southbound/at_script.h"

#define AT_REQUESTS_MAX  32
#define AT_DOWN_AFTER    10 /* commands and probes in a row without an answer */
#define AT_REOPEN_MIN_MS 1000
#define AT_REOPEN_MAX_MS 10000
#define AT_STABLE_MS     30000

/* What a device may send: twice its rate, for ports whose rate is but a number send faster. */
#define AT_FLOOD_MIN_BYTES_PER_S 131072
#define AT_FLOOD_PAUSE_MS        100

enum at_phase { AT_CLOSED, AT_RATES, AT_SYNCING, AT_INIT, AT_RUN };
enum at_job_kind { AT_JOB_NONE, AT_JOB_INIT, AT_JOB_POLL, AT_JOB_WRITE, AT_JOB_RAW, AT_JOB_CELLULAR };

struct at_point {
    const char *name;
    uint32_t device, index; /* as in struct tg_source */
    bool has_match, has_urc, has_write, has_payload_match;
    bool whole_answer; /* `match` sees all lines at once */
    uint32_t payload;  /* enum tg_at_payload */
    struct tg_at_pattern match, urc, payload_match;
    struct tg_at_reader reader;
    uint32_t group;
    struct tg_at_write write;
    int64_t timeout_ms;
    uint32_t exchange;  /* TG_AT_SCRIPT_NONE without a command */
    int32_t cellular;   /* which value of the cellular script it is; -1 = none */
    uint64_t told_mark; /* cellular: what was told last, and when */
    int64_t told_ms;
};

struct at_exchange {
    uint32_t device;
    const char *command;
    int64_t timeout_ms;
    struct tg_at_announce announce;
    char prefix[72]; /* of the announcement */
};

struct at_init_command {
    const char *text;
    int64_t timeout_ms;
};

/* Final results of the device's own. */
struct at_final_pattern {
    struct tg_at_pattern pattern;
    bool ok;
};

struct at_request {
    uint64_t id;
    enum at_job_kind kind; /* WRITE or RAW */
    uint32_t device;
    uint32_t exchange; /* WRITE: read back afterwards */
    int64_t timeout_ms;
    const struct tg_at_write *write; /* WRITE */
    struct tg_at_written out;        /* RAW: its text alone */
};

struct at_cellular;

struct at_source {
    const struct tg_host *host;
    const struct tg_source *config;

    const char *port;
    int64_t baud, timeout_ms; /* baud: what the port is set to */
    bool rtscts, baud_auto, dtr_reset, dtr_dropped;
    int64_t rates[TG_AT_BAUD_MAX];
    uint32_t rate_count;
    int64_t rate_found; /* 0 = none yet */
    struct tg_at_baud search;
    int fd; /* -1 = closed */
    uint32_t watched;

    struct at_init_command *init; /* built-in and configured; the last has no text */
    int64_t init_limit_ms, init_began_ms;
    struct at_final_pattern *finals;
    uint32_t final_count;
    struct tg_at_urc *urcs;
    struct at_point *points; /* of all devices, device by device */
    uint32_t point_count;
    struct at_exchange *exchanges;
    uint32_t exchange_count;
    struct tg_at_poll *polls;
    uint32_t *poll_points;         /* polls[i] is points[poll_points[i]] */
    struct tg_point_value *values; /* room for one sample */
    char *hex_texts;               /* room for the text of every point of type bytes; NULL = there is none */

    struct tg_at_chat chat;
    struct tg_at_script script;
    enum at_phase phase;
    bool need_init;
    uint32_t init_next;
    enum at_job_kind job;
    uint32_t job_exchange;
    struct at_request job_request;
    struct at_request requests[AT_REQUESTS_MAX];
    uint32_t request_head, request_count, requests_in_a_row;

    struct tg_backoff backoff;
    int64_t reopen_ms, ok_since_ms;
    uint32_t silent; /* commands and probes in a row without an answer */
    uint32_t state;  /* enum tg_device_state, the same for all devices of the port */
    bool outage;     /* not answering: due polls are not sent */
    bool lent;       /* the data link has the port */
    bool muted;      /* the device floods: not read before unmute_ms */
    int64_t unmute_ms;
    struct at_bucket bytes, lines;
    struct at_troubles troubles;
    char last_error[256];
    struct at_cellular *cellular; /* NULL = another script */
};

/* --- at_build.c --- */
int at_source_build(struct at_source *s, char *error, size_t error_size);
void at_source_free(struct at_source *s);

/* --- at_exchange.c --- */
/* Gives the conversation its next command, if there is one and it is free. True when it did. */
bool at_start_job(struct at_source *s, int64_t now_ms);
void at_job_done(struct at_source *s, const struct tg_at_result *r, int64_t now_ms);
void at_on_urc(struct at_source *s, const struct tg_at_event *ev);
bool at_is_urc(void *source, struct tg_bytes line);
bool at_is_final(void *source, struct tg_bytes line, struct tg_at_final *ret_final);
/* Emits every readable point with this quality. */
void at_emit_all(struct at_source *s, uint32_t quality);
/* Ends the turns that are due without asking; quality TG_QUALITY_GOOD = without a sample. */
void at_skip_due(struct at_source *s, uint32_t quality, int64_t now_ms);
void at_fail_requests(struct at_source *s);
void at_write(void *instance, uint64_t request, uint32_t device, uint32_t point,
              const struct tg_value *value);
void at_command(void *instance, uint64_t request, uint32_t device, const char *name, const char *json);

/* --- at_stats.c --- */
/* Counts what went wrong and, unless there were many of the kind, logs it as a warning. */
void at_trouble(struct at_source *s, enum at_trouble_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The hourly line. */
void at_tell_troubles(struct at_source *s, int64_t now_ms);
/* The answer of the command `stats`; NULL when out of memory. */
struct json_t *at_stats(const struct at_source *s);

/* --- at_plugin.c --- */
/* The port goes to the data link; or comes back and is opened at at_ms. */
void at_port_lend(struct at_source *s, int64_t now_ms);
void at_port_return(struct at_source *s, int64_t at_ms);
void at_set_state(struct at_source *s, uint32_t state, const char *text);
/* A command or probe was answered, or `count` of them were not. */
void at_answered(struct at_source *s, int64_t now_ms);
void at_unanswered(struct at_source *s, uint32_t count, const char *what, int64_t timeout_ms);

#endif
