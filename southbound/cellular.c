/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/cellular_private.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

#define OPERATOR_EVERY_MS 300000
#define CLOCK_SOON_MS     60000 /* until the modem has a time */
#define CLOCK_EVERY_MS    3600000
#define SIM_EVERY_MS      120000
#define ATTACH_EVERY_MS   120000
#define SIM_BUSY_MS       1000
#define PIN_SETTLES       15 /* × SIM_BUSY_MS: how long READY may take after the PIN */

#define CME_NO_SIM         10
#define CME_WANTS_PIN      11
#define CME_WANTS_PUK      12
#define CME_SIM_FAILURE    13
#define CME_SIM_BUSY       14
#define CME_SIM_WRONG      15
#define CME_WRONG_PASSWORD 16

enum take {
    TAKE_NOTHING,
    TAKE_MANUFACTURER,
    TAKE_MODEL,
    TAKE_FIRMWARE,
    TAKE_IMEI,
    TAKE_IMSI,
    TAKE_ICCID,
    TAKE_TRIES,
    TAKE_CONTEXT,
    TAKE_FUNCTION,
    TAKE_REGISTRATION,
    TAKE_ATTACH,
    TAKE_OPERATOR,
    TAKE_CSQ,
    TAKE_CESQ,
    TAKE_CLOCK,
    TAKE_LOCK
};
enum only { ALWAYS, NO_TRIES_YET, NO_ICCID_YET, WITH_APN, WITH_AUTH, RADIO_IS_OFF, WITH_CLOCK };

struct step {
    const char *text, *prefix; /* prefix of its answer; NULL = a line without one */
    enum take take;
    enum only only;
    int64_t timeout_ms;
};

#define ICCID_STEPS                                                                                          \
    {"AT+CCID", NULL, TAKE_ICCID, NO_ICCID_YET, 5000}, {"AT+ICCID", NULL, TAKE_ICCID, NO_ICCID_YET, 5000},   \
    {                                                                                                        \
        "AT+QCCID", NULL, TAKE_ICCID, NO_ICCID_YET, 5000                                                     \
    }

static const struct step ident_steps[] = {
    {"AT+CGMI", NULL, TAKE_MANUFACTURER, ALWAYS, 5000},
    {"AT+CGMM", NULL, TAKE_MODEL, ALWAYS, 5000},
    {"AT+CGMR", NULL, TAKE_FIRMWARE, ALWAYS, 5000},
    {"AT+CGSN", NULL, TAKE_IMEI, ALWAYS, 5000},
};
/* 27.007's own way first; then u-blox, Quectel, SIMCom. */
static const struct step count_steps[] = {
    {"AT+CPINR", "+CPINR:", TAKE_TRIES, NO_TRIES_YET, 5000},
    {"AT+UPINCNT", "+UPINCNT:", TAKE_TRIES, NO_TRIES_YET, 5000},
    {"AT+QPINC=\"SC\"", "+QPINC:", TAKE_TRIES, NO_TRIES_YET, 5000},
    {"AT+SPIC", "+SPIC:", TAKE_TRIES, NO_TRIES_YET, 5000},
    ICCID_STEPS,
};
enum { SET_CONTEXT = 5, SET_AUTH = 6 };
static const struct step set_steps[] = {
    ICCID_STEPS,
    {"AT+CIMI", NULL, TAKE_IMSI, ALWAYS, 5000},
    {"AT+CGDCONT?", "+CGDCONT:", TAKE_CONTEXT, WITH_APN, 5000},
    [SET_CONTEXT] = {NULL, NULL, TAKE_NOTHING, WITH_APN, 10000},
    [SET_AUTH] = {NULL, NULL, TAKE_NOTHING, WITH_AUTH, 10000},
    {"AT+CREG=2", NULL, TAKE_NOTHING, ALWAYS, 5000},
    {"AT+CGREG=2", NULL, TAKE_NOTHING, ALWAYS, 5000},
    {"AT+CEREG=2", NULL, TAKE_NOTHING, ALWAYS, 5000},
    {"AT+CTZU=1", NULL, TAKE_NOTHING, WITH_CLOCK, 5000},
    {"AT+CTZR=1", NULL, TAKE_NOTHING, WITH_CLOCK, 5000},
    {"AT+COPS=3,0", NULL, TAKE_NOTHING, ALWAYS, 5000},
    {"AT+CFUN?", "+CFUN:", TAKE_FUNCTION, ALWAYS, 5000},
    {"AT+CFUN=1", NULL, TAKE_NOTHING, RADIO_IS_OFF, 15000},
};
static const struct step polls[] = {
    [POLL_EPS] = {"AT+CEREG?", "+CEREG:", TAKE_REGISTRATION, ALWAYS, 5000},
    [POLL_PS] = {"AT+CGREG?", "+CGREG:", TAKE_REGISTRATION, ALWAYS, 5000},
    [POLL_CS] = {"AT+CREG?", "+CREG:", TAKE_REGISTRATION, ALWAYS, 5000},
    [POLL_ATTACH] = {"AT+CGATT?", "+CGATT:", TAKE_ATTACH, ALWAYS, 10000},
    [POLL_OPERATOR] = {"AT+COPS?", "+COPS:", TAKE_OPERATOR, ALWAYS, 10000},
    [POLL_CSQ] = {"AT+CSQ", "+CSQ:", TAKE_CSQ, ALWAYS, 5000},
    [POLL_CESQ] = {"AT+CESQ", "+CESQ:", TAKE_CESQ, ALWAYS, 5000},
    [POLL_CLOCK] = {"AT+CCLK?", "+CCLK:", TAKE_CLOCK, WITH_CLOCK, 5000},
    [POLL_SIM] = {"AT+CPIN?", "+CPIN:", TAKE_LOCK, ALWAYS, 10000},
};
_Static_assert(COUNT(polls) == TG_CELL_POLLS, "one due time for each");
static const struct step look_at_sim = {"AT+CPIN?", "+CPIN:", TAKE_LOCK, ALWAYS, 10000};

static const struct {
    const struct step *steps;
    uint32_t count;
} lists[] = {
    [TG_CELL_IDENT] = {ident_steps, COUNT(ident_steps)},
    [TG_CELL_SIM] = {&look_at_sim, 1},
    [TG_CELL_COUNT] = {count_steps, COUNT(count_steps)},
    [TG_CELL_SET] = {set_steps, COUNT(set_steps)},
};

static void enter(struct tg_cellular *c, enum tg_cell_phase phase, int64_t due_ms)
{
    c->phase = phase;
    c->step = 0;
    c->due_ms = due_ms;
    if (phase != TG_CELL_RUN)
        return;
    for (uint32_t i = 0; i < TG_CELL_POLLS; i++)
        c->poll_due_ms[i] = i == POLL_SIM ? due_ms + SIM_EVERY_MS : due_ms;
    c->asked = 0;
    c->unregistered_since_ms = due_ms;
}

void tg_cellular_begin(struct tg_cellular *c, int64_t now_ms)
{
    tg_cellular_forget_(c);
    c->busy = false;
    c->imsi[0] = c->iccid[0] = c->sim_text[0] = '\0';
    c->pin_waits = 0;
    c->verdict = TG_CELL_NO_VERDICT;
    enter(c, TG_CELL_IDENT, now_ms);
}

/* --- commands ------------------------------------------------------------------------------------------ */

static bool wanted(const struct tg_cellular *c, const struct step *s)
{
    switch (s->only) {
    case NO_TRIES_YET:
        return c->tries == TG_CELL_NONE;
    case NO_ICCID_YET:
        return c->iccid[0] == '\0';
    case WITH_APN:
        return c->config.apn && c->config.apn[0] && (s->text || !c->context_is_set);
    case WITH_AUTH:
        return c->config.auth != TG_CELL_AUTH_NONE;
    case RADIO_IS_OFF:
        return c->running != 1;
    case WITH_CLOCK:
        return c->config.clock;
    default:
        return true;
    }
}

static void write_context(struct tg_cellular *c)
{
    struct tg_writer w = tg_writer_init(c->text, sizeof c->text - 1);
    tg_write_str(&w, "AT+CGDCONT=");
    tg_write_u64_dec(&w, (uint64_t)c->config.cid);
    tg_write_str(&w, ",\"");
    tg_write_str(&w, c->config.pdp_type);
    tg_write_str(&w, "\",\"");
    tg_write_str(&w, c->config.apn);
    tg_write_str(&w, "\"");
    c->text[w.failed ? 0 : w.len] = '\0';
}

static void write_auth(struct tg_cellular *c)
{
    struct tg_writer w = tg_writer_init(c->text, sizeof c->text - 1);
    tg_write_str(&w, "AT+CGAUTH=");
    tg_write_u64_dec(&w, (uint64_t)c->config.cid);
    tg_write_str(&w, c->config.auth == TG_CELL_AUTH_PAP ? ",1," : ",2,");
    c->text[w.failed ? 0 : w.len] = '\0';
}

static const struct step *current(const struct tg_cellular *c)
{
    if (c->phase == TG_CELL_RUN)
        return c->running < TG_CELL_POLLS ? &polls[c->running] : NULL;
    if (c->phase == TG_CELL_ASK || c->phase == TG_CELL_ENTER)
        return NULL;
    return c->step < lists[c->phase].count ? &lists[c->phase].steps[c->step] : NULL;
}

static bool may_attach(const struct tg_cellular *c, int64_t now_ms)
{
    return c->config.attach && c->attached == 0 && tg_cellular_is_registered(c) && now_ms >= c->due_ms;
}

static bool next_poll(struct tg_cellular *c, int64_t now_ms, struct tg_cellular_command *ret)
{
    uint32_t best = TG_CELL_POLLS;
    if (may_attach(c, now_ms)) {
        c->due_ms = now_ms + ATTACH_EVERY_MS;
        c->running = DO_ATTACH;
        *ret = (struct tg_cellular_command){.text = "AT+CGATT=1", .timeout_ms = 60000};
        return true;
    }
    for (uint32_t i = 0; i < TG_CELL_POLLS; i++) {
        if (c->poll_due_ms[i] > now_ms || !wanted(c, &polls[i]))
            continue;
        if (best == TG_CELL_POLLS || c->poll_due_ms[i] < c->poll_due_ms[best])
            best = i;
    }
    if (best == TG_CELL_POLLS)
        return false;
    c->running = best;
    *ret = (struct tg_cellular_command){.text = polls[best].text, .timeout_ms = polls[best].timeout_ms};
    return true;
}

/* Steps that are not wanted are left out; at the end of a list the next phase begins. */
static const struct step *next_step(struct tg_cellular *c, int64_t now_ms)
{
    for (;;) {
        const struct step *s = current(c);
        if (s && wanted(c, s))
            return s;
        if (s) {
            c->step++;
            continue;
        }
        switch (c->phase) {
        case TG_CELL_IDENT:
            c->news |= TG_CELL_NEWS_IDENTITY;
            enter(c, TG_CELL_SIM, now_ms);
            break;
        case TG_CELL_COUNT:
            enter(c, TG_CELL_ASK, now_ms);
            return NULL;
        case TG_CELL_SET:
            c->news |= TG_CELL_NEWS_IDENTITY;
            enter(c, TG_CELL_RUN, now_ms);
            return NULL;
        default:
            return NULL;
        }
    }
}

bool tg_cellular_next(struct tg_cellular *c, int64_t now_ms, struct tg_cellular_command *ret)
{
    const struct step *s;
    if (c->busy || (c->phase != TG_CELL_RUN && now_ms < c->due_ms))
        return false;
    if (c->phase == TG_CELL_ENTER) {
        *ret = (struct tg_cellular_command){"AT+CPIN=", TG_CELL_PIN, 20000};
        c->busy = true;
        return true;
    }
    s = c->phase == TG_CELL_RUN ? NULL : next_step(c, now_ms);
    if (c->phase == TG_CELL_RUN)
        return c->busy = next_poll(c, now_ms, ret);
    if (!s)
        return false;
    *ret = (struct tg_cellular_command){.text = s->text, .timeout_ms = s->timeout_ms};
    if (s == &set_steps[SET_CONTEXT])
        write_context(c);
    if (s == &set_steps[SET_AUTH]) {
        write_auth(c);
        ret->kind = TG_CELL_AUTHENTICATE;
    }
    if (!s->text)
        ret->text = c->text;
    c->busy = true;
    return true;
}

bool tg_cellular_is_response(const struct tg_cellular *c, struct tg_bytes line)
{
    const struct step *s = current(c);
    if (!s || !s->prefix || !tg_bytes_starts(line, s->prefix))
        return false;
    return s->take != TAKE_REGISTRATION || tg_cell_registration_is_answer(line);
}

/* --- answers --------------------------------------------------------------------------------------------- */

static void take_line(struct tg_cellular *c, const struct step *s, struct tg_bytes line, int64_t now_ms)
{
    struct tg_cell_registration r;
    char type[TG_CELL_TEXT_BYTES], apn[TG_CELL_TEXT_BYTES];
    int32_t n;
    switch (s->take) {
    case TAKE_MANUFACTURER:
        (void)tg_cell_text(line, c->manufacturer);
        break;
    case TAKE_MODEL:
        (void)tg_cell_text(line, c->model);
        break;
    case TAKE_FIRMWARE:
        (void)tg_cell_text(line, c->firmware);
        break;
    case TAKE_IMEI:
        (void)tg_cell_digits(line, c->imei);
        break;
    case TAKE_IMSI:
        (void)tg_cell_digits(line, c->imsi);
        break;
    case TAKE_ICCID:
        (void)tg_cell_digits(line, c->iccid);
        break;
    case TAKE_TRIES:
        (void)tg_cell_tries(line, &c->tries);
        break;
    case TAKE_CONTEXT:
        if (tg_cell_context(line, c->config.cid, type, apn))
            c->context_is_set = strcmp(type, c->config.pdp_type) == 0 && strcmp(apn, c->config.apn) == 0;
        break;
    case TAKE_FUNCTION:
        if (tg_cell_number(line, "+CFUN:", &n))
            c->running = (uint32_t)n;
        break;
    case TAKE_REGISTRATION:
        if (tg_cell_registration(line, true, &r))
            tg_cellular_heard_(c, &r, now_ms);
        break;
    case TAKE_ATTACH:
        if (tg_cell_number(line, "+CGATT:", &n) && n <= 1) {
            c->attached = n;
            c->news |= TG_CELL_NEWS_REGISTRATION;
        }
        break;
    case TAKE_OPERATOR:
        if (tg_cell_operator(line, &c->operator))
            c->news |= TG_CELL_NEWS_OPERATOR;
        break;
    case TAKE_CSQ:
        if (tg_cell_csq(line, &c->signal.rssi))
            c->news |= TG_CELL_NEWS_SIGNAL;
        break;
    case TAKE_CESQ: {
        int32_t rssi = c->signal.rssi;
        if (tg_cell_cesq(line, &c->signal))
            c->news |= TG_CELL_NEWS_SIGNAL;
        if (c->signal.rssi == TG_CELL_NONE)
            c->signal.rssi = rssi;
        break;
    }
    case TAKE_CLOCK:
        if (tg_cell_clock(line, &c->clock)) {
            c->has_clock = true;
            c->clock_at_ms = now_ms;
            c->news |= TG_CELL_NEWS_CLOCK;
        }
        break;
    default:
        break;
    }
}

static void sim_says(struct tg_cellular *c, const char *text)
{
    if (strcmp(c->sim_text, text) != 0)
        c->news |= TG_CELL_NEWS_SIM;
    tg_cellular_copy_(c->sim_text, sizeof c->sim_text, text);
}

/* Nothing goes on before somebody does something, or it mends itself: asked again after a while. */
static void sim_stands(struct tg_cellular *c, const char *text, const char *trouble, int64_t now_ms)
{
    sim_says(c, text);
    tg_cellular_forget_(c);
    tg_cellular_set_trouble_(c, trouble);
    enter(c, TG_CELL_SIM, now_ms + TG_CELL_SIM_AGAIN_MS);
}

static void sim_locked(struct tg_cellular *c, enum tg_cell_lock lock, const char *text, int64_t now_ms)
{
    switch (lock) {
    case TG_CELL_READY:
        sim_says(c, text);
        c->pin_waits = 0;
        c->tries = TG_CELL_NONE;
        if (c->phase == TG_CELL_RUN)
            break;
        tg_cellular_set_trouble_(c, "");
        c->context_is_set = false;
        c->running = 0; /* the radio's state until +CFUN? says it */
        enter(c, TG_CELL_SET, now_ms);
        break;
    case TG_CELL_WANTS_PIN:
        sim_says(c, text);
        if (c->verdict == TG_CELL_PIN_TAKEN && c->pin_waits < PIN_SETTLES) {
            c->pin_waits++;
            enter(c, TG_CELL_SIM, now_ms + SIM_BUSY_MS);
            break;
        }
        c->tries = TG_CELL_NONE;
        enter(c, TG_CELL_COUNT, now_ms);
        break;
    case TG_CELL_WANTS_PUK:
        sim_stands(c, text,
                   "the SIM is locked and wants its PUK: put it into a phone and enter the PUK from its "
                   "papers there; it "
                   "is never tried here, for ten wrong ones destroy the SIM",
                   now_ms);
        break;
    case TG_CELL_WANTS_OTHER:
        sim_stands(c, text,
                   "the SIM or the modem has a lock that cannot be opened here (a lock to an operator or a "
                   "device): ask "
                   "who sold it",
                   now_ms);
        break;
    }
}

static void sim_result(struct tg_cellular *c, const struct tg_at_result *r, int64_t now_ms)
{
    enum tg_cell_lock lock;
    char text[TG_CELL_TEXT_BYTES];
    for (uint32_t i = 0; r->status == TG_AT_OK && i < r->line_count; i++) {
        if (tg_cell_lock(r->lines[i], &lock, text)) {
            sim_locked(c, lock, text, now_ms);
            return;
        }
    }
    switch (r->status == TG_AT_CME_ERROR ? r->code : -1) {
    case CME_NO_SIM:
        sim_stands(c, "not inserted",
                   "no SIM is in the modem: put one in, or check its holder and its contacts", now_ms);
        break;
    case CME_WANTS_PIN:
        sim_locked(c, TG_CELL_WANTS_PIN, "SIM PIN", now_ms);
        break;
    case CME_WANTS_PUK:
        sim_locked(c, TG_CELL_WANTS_PUK, "SIM PUK", now_ms);
        break;
    case CME_SIM_FAILURE:
    case CME_SIM_WRONG:
        sim_stands(c, "failure", "the modem cannot read the SIM: clean its contacts, or try another one",
                   now_ms);
        break;
    default: /* busy, starting, or a modem without numbers for errors */
        if (c->phase == TG_CELL_RUN)
            break;
        if (r->code != CME_SIM_BUSY && ++c->pin_waits > 3) {
            c->pin_waits = 0;
            sim_stands(c, "unknown", "the modem does not say how its SIM is (AT+CPIN? fails)", now_ms);
        } else {
            enter(c, TG_CELL_SIM, now_ms + SIM_BUSY_MS);
        }
    }
}

static void pin_result(struct tg_cellular *c, const struct tg_at_result *r, int64_t now_ms)
{
    bool refused = r->status == TG_AT_ERROR || (r->status == TG_AT_CME_ERROR &&
                                                (r->code == CME_WRONG_PASSWORD || r->code == CME_WANTS_PUK));
    c->verdict = r->status == TG_AT_OK ? TG_CELL_PIN_TAKEN
                 : refused             ? TG_CELL_PIN_REFUSED
                                       : TG_CELL_PIN_UNKNOWN;
    c->news |= TG_CELL_NEWS_VERDICT;
    c->pin_waits = 0;
    enter(c, TG_CELL_SIM, now_ms + (r->status == TG_AT_OK ? 0 : SIM_BUSY_MS));
}

static bool is_refusal(const struct tg_at_result *r)
{
    return r->status == TG_AT_ERROR ||
           (r->status == TG_AT_CME_ERROR && (r->code == 3 || r->code == 4 || r->code == 100));
}

static int64_t poll_every(const struct tg_cellular *c, uint32_t poll)
{
    switch (poll) {
    case POLL_OPERATOR:
        return OPERATOR_EVERY_MS;
    case POLL_CSQ:
    case POLL_CESQ:
        return c->config.signal_every_ms;
    case POLL_CLOCK:
        return c->has_clock ? CLOCK_EVERY_MS : CLOCK_SOON_MS;
    case POLL_SIM:
        return SIM_EVERY_MS;
    default:
        return c->config.status_every_ms;
    }
}

static void poll_result(struct tg_cellular *c, const struct tg_at_result *r, int64_t now_ms)
{
    uint32_t i = c->running;
    if (i >= TG_CELL_POLLS)
        return; /* attaching: the next poll shows what came of it */
    c->asked |= 1u << i;
    c->poll_due_ms[i] = now_ms + poll_every(c, i);
    if (is_refusal(r) && i != POLL_SIM)
        c->poll_due_ms[i] = now_ms + OPERATOR_EVERY_MS; /* unsupported, or it was a moment */
    if (r->status == TG_AT_CME_ERROR &&
        (r->code == CME_NO_SIM || r->code == CME_WANTS_PIN || r->code == CME_WANTS_PUK)) {
        enter(c, TG_CELL_SIM, now_ms);
        return;
    }
}

void tg_cellular_result(struct tg_cellular *c, const struct tg_at_result *r, int64_t now_ms)
{
    const struct step *s = current(c);
    if (!c->busy)
        return; /* of a time before the last begin */
    c->busy = false;
    if (r->status == TG_AT_HANGUP)
        return;
    if (c->phase == TG_CELL_ENTER) {
        pin_result(c, r, now_ms);
        return;
    }
    if (s && s->take == TAKE_LOCK) {
        if (c->phase == TG_CELL_RUN)
            poll_result(c, r, now_ms);
        sim_result(c, r, now_ms);
    } else {
        for (uint32_t i = 0; s && r->status == TG_AT_OK && i < r->line_count; i++)
            take_line(c, s, r->lines[i], now_ms);
        if (c->phase == TG_CELL_RUN)
            poll_result(c, r, now_ms);
        else
            c->step++;
    }
    tg_cellular_tick(c, now_ms);
}

void tg_cellular_urc(struct tg_cellular *c, struct tg_bytes line, int64_t now_ms)
{
    struct tg_cell_registration r;
    enum tg_cell_lock lock;
    char text[TG_CELL_TEXT_BYTES];
    if (tg_cell_registration(line, tg_cell_registration_is_answer(line), &r)) {
        tg_cellular_heard_(c, &r, now_ms);
        tg_cellular_tick(c, now_ms);
    } else if (tg_bytes_starts(line, "+CTZV") || tg_bytes_starts(line, "+CTZE") ||
               tg_bytes_starts(line, "*PSUTTZ")) {
        c->poll_due_ms[POLL_CLOCK] = now_ms; /* the network has told the time: now the modem has it */
    } else if (tg_cell_lock(line, &lock, text)) {
        if (c->phase == TG_CELL_RUN && lock != TG_CELL_READY)
            c->poll_due_ms[POLL_SIM] = now_ms;
        else if (c->phase == TG_CELL_SIM && !c->busy && c->due_ms != INT64_MAX)
            c->due_ms = now_ms;
    }
}

int64_t tg_cellular_deadline(const struct tg_cellular *c)
{
    int64_t at = c->down_at_ms;
    if (c->phase == TG_CELL_RUN && c->unregistered_since_ms != INT64_MAX && tg_cellular_all_asked_(c)) {
        int64_t since = c->unregistered_since_ms, text = since + TG_CELL_DOWN_MS;
        if (c->trouble[0] != '\0')
            text = strncmp(c->trouble, "looking", 7) == 0 ? since + TG_CELL_SEARCHING_MS : INT64_MAX;
        at = text < at ? text : at;
    }
    if (c->busy || c->phase == TG_CELL_ASK)
        return at;
    if (c->phase != TG_CELL_RUN)
        return c->due_ms < at ? c->due_ms : at;
    for (uint32_t i = 0; i < TG_CELL_POLLS; i++)
        if (wanted(c, &polls[i]) && c->poll_due_ms[i] < at)
            at = c->poll_due_ms[i];
    if (c->config.attach && c->attached == 0 && tg_cellular_is_registered(c) && c->due_ms < at)
        at = c->due_ms;
    return at;
}

void tg_cellular_pin_enter(struct tg_cellular *c, int64_t now_ms)
{
    c->verdict = TG_CELL_NO_VERDICT;
    enter(c, TG_CELL_ENTER, now_ms);
}

void tg_cellular_pin_refuse(struct tg_cellular *c, const char *why, int64_t now_ms)
{
    c->verdict = TG_CELL_NO_VERDICT;
    sim_stands(c, "SIM PIN", why, now_ms);
    tg_cellular_judge_uplink_(c, now_ms);
}

void tg_cellular_look_at_sim(struct tg_cellular *c, int64_t now_ms)
{
    if (c->phase == TG_CELL_SIM && !c->busy && c->due_ms != INT64_MAX)
        c->due_ms = now_ms;
}
