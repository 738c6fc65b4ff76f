/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cellular - `script: cellular`: southbound/cellular.h asked over a source's port, and what is learnt told to the host: points with
 * `cellular:`, facts, the uplink, the time, the state of the devices. Holds no secret longer than a command takes. On the loop.
 *
 *   cellular.c         between conversation and core; state
 *   cellular_tell.c    points, facts, uplink, time
 *   cellular_secret.c  PIN, password, hashed identifiers
 *   cellular_pin.c     whether a PIN may be entered
 *   cellular_ppp.c     the data link with pppd
 */
#ifndef TG_PLUGINS_AT_CELLULAR_H
#define TG_PLUGINS_AT_CELLULAR_H

#include "plugins/at/at_instance.h"
#include "plugins/at/cellular_pin.h"
#include "southbound/cellular.h"

struct at_ppp;

struct at_cellular {
    struct at_source *source;
    struct tg_cellular core;
    const char *pin_file, *user, *password_file;
    bool show, tells_uplink, takes_time, time_is_utc;

    char salt[33];                            /* hex; "" = nothing is remembered, identifiers are kept back */
    char secret[TG_AT_COMMAND_MAX_BYTES + 1]; /* a command with a PIN or password, while it is out; wiped */
    char pin_key[16];                         /* of the note: which SIM */
    struct at_pin_note pin;
    bool pin_waits; /* for the note to be on disk, till pin_limit_ms */
    bool pin_tried; /* its outcome is not known yet */
    bool by_person; /* enter_pin */
    int64_t pin_limit_ms;

    enum tg_cell_uplink told;
    bool told_no_zone;
    char told_trouble[200];
    struct at_ppp *ppp; /* NULL = none */
};

/* --- cellular.c --- */
/* 0, or a negative tg_plugin_error with the reason. */
int at_cellular_build(struct at_source *s, char *error, size_t error_size);
/* NULL, or what is wrong with the options of the script, or with one that only the script has. `host` lends has/get_… only. */
const char *at_cellular_fault(const struct tg_host *host, const struct tg_settings *source,
                              const char **ret_option);
void at_cellular_free(struct at_source *s);
/* All of these do nothing without `script: cellular`. The device answers and has its initial commands (again); the port is gone. */
void at_cellular_begin(struct at_source *s, int64_t now_ms);
void at_cellular_end(struct at_source *s);
/* What time alone does; before at_cellular_next(). */
void at_cellular_tick(struct at_source *s, int64_t now_ms);
bool at_cellular_next(struct at_source *s, int64_t now_ms, struct tg_at_command *ret);
void at_cellular_result(struct at_source *s, const struct tg_at_result *r, int64_t now_ms);
void at_cellular_urc(struct at_source *s, struct tg_bytes line, int64_t now_ms);
int64_t at_cellular_deadline(const struct at_source *s);
/* What stands between the modem and the network, for the devices' state; NULL = nothing. */
const char *at_cellular_trouble(const struct at_source *s);
/* Is it known whether something stands there? Not before the SIM has been looked at; true without the script. */
bool at_cellular_known(const struct at_source *s);
/* The command enter_pin: NULL, or why not. */
const char *at_cellular_enter_pin(struct at_source *s, int64_t now_ms);

/* --- cellular_tell.c --- */
/* In phase RUN of the core the intervals that points ask for. */
void at_cellular_intervals(struct at_source *s, struct tg_cellular_config *config);
void at_cellular_tell(struct at_cellular *c, uint32_t news, int64_t now_ms);
void at_cellular_tell_uplink(struct at_cellular *c);

/* --- cellular_secret.c --- */
/* Recalls or makes the salt. */
void at_secret_init(struct at_cellular *c);
/* In phase ASK: decides about the PIN, step by step. */
void at_secret_decide_pin(struct at_cellular *c, int64_t now_ms);
/* Completes a command with its secret, in c->secret: NULL, or why that cannot be. */
const char *at_secret_complete(struct at_cellular *c, const struct tg_cellular_command *command);
void at_secret_wipe(struct at_cellular *c);
/* What came of the PIN: a verdict of the modem, or that the SIM is ready. */
void at_secret_verdict(struct at_cellular *c);
void at_secret_sim_ready(struct at_cellular *c);
/* The identifier as it may be told: plain with show_identifiers, else a keyed hash. False: neither. */
bool at_secret_identifier(const struct at_cellular *c, const char *kind, const char *digits,
                          char ret_text[40]);

#endif
