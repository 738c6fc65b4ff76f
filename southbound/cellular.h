/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cellular - what a 3GPP modem is asked, when, and what is known of it. Pure: answers, unasked lines and the time go in; commands,
 * values and a state come out.
 *
 * PHASES, and what ends them
 *   IDENT    who made it: CGMI, CGMM, CGMR, CGSN (answered without a SIM)                       → SIM
 *   SIM      +CPIN?: READY                                                                      → SET
 *            SIM PIN                                                                            → COUNT
 *            no SIM, SIM busy, SIM PUK, another lock: `trouble`, asked again after a while      → SIM
 *   COUNT    how many tries are left (CPINR, then the vendors' ways), and whose SIM it is       → ASK
 *   ASK      the caller decides: tg_cellular_pin_enter()                                        → ENTER
 *            tg_cellular_pin_refuse(): `trouble`, asked again after a while                     → SIM
 *   ENTER    +CPIN= was sent; OK                                                                → SIM (until READY)
 *            an error, or no answer                                                             → SIM, `verdict` says which
 *   SET      identity of the SIM, context, authentication, reporting, radio on                  → RUN
 *   RUN      registration, attach, operator, signal, clock, each in its interval; no SIM any more → SIM
 *   tg_cellular_begin() (port opened, modem restarted) begins at IDENT.
 *
 * The core never decides about a PIN and never holds one: a command of kind PIN or AUTH is completed by the caller.
 *
 * UPLINK   up: registered (home or roaming) for packet data, as the newest system says that the modem knows, and not detached. Told
 * up at once and down after TG_CELL_DOWN_MS, for modems search for a moment when they change cells.
 *
 * MEMORY AND THREADS  The struct is all there is; texts of a command are valid until the next call. One thread.
 */
#ifndef TG_SOUTHBOUND_CELLULAR_H
#define TG_SOUTHBOUND_CELLULAR_H

#include "southbound/at_chat.h"
#include "southbound/cellular_lines.h"

#define TG_CELL_DOWN_MS      2000
#define TG_CELL_SIM_AGAIN_MS 20000
#define TG_CELL_POLLS        9

enum tg_cell_auth { TG_CELL_AUTH_NONE, TG_CELL_AUTH_PAP, TG_CELL_AUTH_CHAP };

struct tg_cellular_config {
    const char *
        apn; /* NULL or "": the context stays as it is; borrowed, checked by the caller for what may stand in quotes */
    const char *pdp_type; /* "IP", "IPV6", "IPV4V6" */
    int32_t cid;
    enum tg_cell_auth auth;
    bool attach;             /* attach when registered and not attached */
    bool clock;              /* ask for the time */
    int64_t signal_every_ms; /* 0 = 30 s */
    int64_t status_every_ms; /* registration and attach; 0 = 30 s */
};

enum tg_cell_phase {
    TG_CELL_IDENT,
    TG_CELL_SIM,
    TG_CELL_COUNT,
    TG_CELL_ASK,
    TG_CELL_ENTER,
    TG_CELL_SET,
    TG_CELL_RUN
};
enum tg_cell_command_kind { TG_CELL_PLAIN, TG_CELL_PIN, TG_CELL_AUTHENTICATE };
enum tg_cell_verdict { TG_CELL_NO_VERDICT, TG_CELL_PIN_TAKEN, TG_CELL_PIN_REFUSED, TG_CELL_PIN_UNKNOWN };
enum tg_cell_uplink { TG_CELL_UPLINK_UNKNOWN, TG_CELL_UPLINK_UP, TG_CELL_UPLINK_DOWN };

/* What is new since it was last taken. */
#define TG_CELL_NEWS_IDENTITY     1u /* manufacturer, model, firmware, imei, imsi, iccid */
#define TG_CELL_NEWS_SIM          2u /* sim_text */
#define TG_CELL_NEWS_REGISTRATION 4u /* registrations, attached: asked or told */
#define TG_CELL_NEWS_OPERATOR     8u
#define TG_CELL_NEWS_SIGNAL       16u
#define TG_CELL_NEWS_CLOCK        32u /* clock, as of clock_at_ms */
#define TG_CELL_NEWS_VERDICT      64u /* verdict: about the PIN that was entered */

struct tg_cellular_command {
    const char
        *text; /* PIN: "AT+CPIN="; AUTHENTICATE: "AT+CGAUTH=1,1," – the caller appends the secret in quotes */
    enum tg_cell_command_kind kind;
    int64_t timeout_ms;
};

struct tg_cellular {
    struct tg_cellular_config config;
    enum tg_cell_phase phase;
    uint32_t step;      /* within the phase's list */
    int64_t due_ms;     /* of the next command in the phases before RUN */
    uint32_t pin_waits; /* how often +CPIN? was asked after the PIN was taken */
    bool busy;          /* a command is out */
    uint32_t running;   /* RUN: which poll is out; SET: the radio's state, as +CFUN? says */
    int64_t poll_due_ms[TG_CELL_POLLS];
    uint32_t asked; /* bits of polls */
    char text[128];
    bool context_is_set;

    char manufacturer[TG_CELL_TEXT_BYTES], model[TG_CELL_TEXT_BYTES], firmware[TG_CELL_TEXT_BYTES];
    char imei[TG_CELL_TEXT_BYTES], imsi[TG_CELL_TEXT_BYTES], iccid[TG_CELL_TEXT_BYTES];
    char sim_text[TG_CELL_TEXT_BYTES]; /* "READY", "SIM PIN", "not inserted" … */
    int32_t tries;                     /* of the PIN; TG_CELL_NONE = the modem does not tell */
    enum tg_cell_verdict verdict;
    bool known[TG_CELL_DOMAINS]; /* the modem has said something about this domain */
    struct tg_cell_registration registrations[TG_CELL_DOMAINS];
    int32_t attached; /* 0, 1, TG_CELL_NONE */
    struct tg_cell_operator operator;
    struct tg_cell_signal signal;
    struct tg_cell_clock clock;
    int64_t clock_at_ms;
    bool has_clock;

    enum tg_cell_uplink uplink;
    int64_t down_at_ms; /* when `down` is told; INT64_MAX = not */
    int64_t unregistered_since_ms;
    uint32_t news;
    char trouble[200]; /* what stands between the modem and the network, for people; "" = nothing */
};

/* `config` is copied, its texts are borrowed. */
void tg_cellular_init(struct tg_cellular *c, const struct tg_cellular_config *config);
/* The modem answers (again): everything is asked anew. */
void tg_cellular_begin(struct tg_cellular *c, int64_t now_ms);
/* The port is gone, or lent to somebody: nothing is asked, nothing known; the uplink is not said to be down. */
void tg_cellular_end(struct tg_cellular *c);

/* The command whose turn has come; false = none now. Then its result, whatever it is. */
bool tg_cellular_next(struct tg_cellular *c, int64_t now_ms, struct tg_cellular_command *ret);
void tg_cellular_result(struct tg_cellular *c, const struct tg_at_result *r, int64_t now_ms);
/* A line that came unasked. */
void tg_cellular_urc(struct tg_cellular *c, struct tg_bytes line, int64_t now_ms);
/* Whether a line answers the command that is out, where its prefix does not tell it from an unasked one. */
bool tg_cellular_is_response(const struct tg_cellular *c, struct tg_bytes line);
/* Does what time alone does: `down` after a while. */
void tg_cellular_tick(struct tg_cellular *c, int64_t now_ms);
/* When next() or tick() has something to do: INT64_MAX = after input only. */
int64_t tg_cellular_deadline(const struct tg_cellular *c);

/* In phase ASK. `why` is for people and static. */
void tg_cellular_pin_enter(struct tg_cellular *c, int64_t now_ms);
void tg_cellular_pin_refuse(struct tg_cellular *c, const char *why, int64_t now_ms);
/* A person asks for another look at the SIM. */
void tg_cellular_look_at_sim(struct tg_cellular *c, int64_t now_ms);

/* The registration that counts: of the newest system that the modem is on; NULL = nothing known. */
const struct tg_cell_registration *tg_cellular_registration(const struct tg_cellular *c);
bool tg_cellular_is_registered(const struct tg_cellular *c);
/* "registered, home network, lte, Tide Mobile": for people. */
void tg_cellular_describe(const struct tg_cellular *c, char *ret_text, size_t size);
/* The clock as Unix milliseconds at clock_at_ms; false: none, or its zone is not known. `is_utc`: the modem shows UTC, whatever zone it
 * tells. */
bool tg_cellular_time(const struct tg_cellular *c, bool is_utc, int64_t *ret_wall_ms);
uint32_t tg_cellular_take_news(struct tg_cellular *c);

#endif
