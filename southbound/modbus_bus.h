/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_bus - who is asked next on one bus, and what becomes of a unit that does not answer.
 *
 * A bus serves one request at a time. next() says whose turn it is; the driver does the exchange and tells
 * how it went. Writes are not scheduled here: the driver does them first, between two turns, and reports
 * them the same way.
 *
 * UNITS
 *     OK        asked when due. A failure → SUSPECT; its turn is repeated once before anything is reported.
 *     SUSPECT   asked when due, never repeated. An answer → OK; `down_after` failures in a row → DOWN.
 *     DOWN      not asked for values: one probe after 1, 2, 4, … 60 s (±20 %). An answer → OK, all due.
 *   An exception is an answer: it proves the unit alive.
 *
 * FAIRNESS
 *   Reads go round-robin over the units that are due. After a probe every unit that was due then gets its
 *   turn before the next probe, so that a dead unit costs the others at most one timeout a cycle.
 *
 * SILENCE AND STEP (buses without transaction ids: RTU and RTU over TCP)
 *   An answer that comes late looks exactly like the answer to the next request. Therefore, after a timeout
 *   or a damaged frame: (1) silence until nothing was heard for the response timeout (turn LISTEN; the
 *   driver drops what it hears and calls heard()); (2) the unit is out of step: its next turn is SYNC, a
 *   read whose answer has another length than any answer still outstanding and whose value is not used.
 *   Units answer in order: once SYNC is answered nothing older can follow. A late answer of any age is
 *   thus refused by its length or its unit, never taken for a value. A unit that is DOWN, or has never been
 *   heard, does not cost the others that silence: its answer would carry its own id, and only its own SYNC
 *   could take it.
 *
 * Pure: time (monotonic ms) and randomness are passed in; the caller lends the units. One thread.
 */
#ifndef TG_SOUTHBOUND_MODBUS_BUS_H
#define TG_SOUTHBOUND_MODBUS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "southbound/poll_plan.h"

enum tg_modbus_unit_state { TG_MODBUS_UNIT_OK, TG_MODBUS_UNIT_SUSPECT, TG_MODBUS_UNIT_DOWN };

struct tg_modbus_unit {
    uint8_t id;    /* on the wire; several entries may share one */
    uint8_t state; /* enum tg_modbus_unit_state */
    bool out_of_step;
    bool heard;         /* it has answered since start */
    uint16_t failures;  /* in a row */
    uint16_t busy;      /* "busy" answers in a row */
    uint16_t probes;    /* since it went down */
    int64_t min_gap_ms; /* silence before it is asked */
    int64_t probe_ms;   /* DOWN: when the next probe is due */
    int64_t hold_ms;    /* not before, because it was busy */
    struct tg_poll_plan plan;
};

#define TG_MODBUS_MAX_OUTSTANDING 32

struct tg_modbus_bus {
    struct tg_modbus_unit *units;
    uint32_t count;
    bool has_ids;        /* the transport tells answers apart (TCP): no silence, no SYNC */
    uint16_t down_after; /* failures in a row until DOWN; at least 2 */
    int64_t gap_ms;      /* between two requests */
    int64_t unit_gap_ms; /* between requests to different units */
    int64_t asked_id;    /* of the last request; -1 = none yet */
    int64_t free_ms;     /* end of the last exchange */
    int64_t quiet_until_ms, quiet_ms;
    uint32_t cursor;     /* round-robin: who is looked at first */
    uint32_t reads_owed; /* turns before the next probe */
    uint32_t outstanding_count;
    struct {
        uint8_t unit, function;
        uint16_t bytes;
    } outstanding[TG_MODBUS_MAX_OUTSTANDING]; /* answers that may still come, oldest first */
};

enum tg_modbus_turn_kind {
    TG_MODBUS_TURN_WAIT,   /* nothing before at_ms (TG_POLL_NEVER: not at all) */
    TG_MODBUS_TURN_LISTEN, /* drop what is heard, until at_ms or later */
    TG_MODBUS_TURN_SYNC,   /* one small read of `unit` whose value is not used */
    TG_MODBUS_TURN_READ    /* what is due of `unit` */
};

struct tg_modbus_turn {
    enum tg_modbus_turn_kind kind;
    uint32_t unit; /* index */
    int64_t at_ms;
};

enum tg_modbus_failure {
    TG_MODBUS_SILENT,       /* no answer */
    TG_MODBUS_GARBLED,      /* a damaged frame, or one that does not belong to the request */
    TG_MODBUS_TARGET_SILENT /* a gateway answered that the unit does not (exception 10, 11) */
};

enum tg_modbus_consequence {
    TG_MODBUS_REPEAT,    /* say nothing yet: the turn comes again */
    TG_MODBUS_REPORT,    /* the points that were due have no value */
    TG_MODBUS_WENT_DOWN, /* all points of the unit have no value from now on */
    TG_MODBUS_STAYS_DOWN
};

void tg_modbus_bus_init(struct tg_modbus_bus *b, struct tg_modbus_unit *units, uint32_t count);
/* How long an answer is waited for. A probe of a unit that is down costs the others as little as can be: three times the slowest answer that
 * the bus has given (-1: none yet), at least 100 ms; every fourth one waits for the whole timeout, for a unit that has come back slower than
 * all others. */
int64_t tg_modbus_bus_patience_ms(const struct tg_modbus_bus *b, uint32_t unit, int64_t timeout_ms,
                                  int64_t slowest_ms);
/* Everything is due at now_ms. */
void tg_modbus_bus_start(struct tg_modbus_bus *b, int64_t now_ms);

struct tg_modbus_turn tg_modbus_bus_next(struct tg_modbus_bus *b, int64_t now_ms);
/* The earliest moment a request may be sent to this unit (writes, further requests of a turn). */
int64_t tg_modbus_bus_ready_ms(const struct tg_modbus_bus *b, uint32_t unit);

/* A request to this unit (index) ended, one way or another. */
void tg_modbus_bus_freed(struct tg_modbus_bus *b, uint32_t unit, int64_t now_ms);
/* The unit answered. `sync`: to a SYNC; `refused`: with an exception. True when it was not OK before. */
bool tg_modbus_bus_answered(struct tg_modbus_bus *b, uint32_t unit, bool sync, bool refused, int64_t now_ms);
/* It did not. function and answer_bytes describe the answer that may still come (0 = none can). */
enum tg_modbus_consequence tg_modbus_bus_failed(struct tg_modbus_bus *b, uint32_t unit,
                                                enum tg_modbus_failure failure, unsigned function,
                                                size_t answer_bytes, int64_t timeout_ms, int64_t now_ms,
                                                uint32_t random);
/* It answered "busy": true = its turn comes again shortly; false = that was too often, report it. */
bool tg_modbus_bus_busy(struct tg_modbus_bus *b, uint32_t unit, int64_t now_ms);
/* The groups in `mask` had their turn (read, or reported as failed). */
void tg_modbus_bus_served(struct tg_modbus_bus *b, uint32_t unit, uint32_t mask, int64_t now_ms);

/* Bytes were heard while listening, at now_ms. */
void tg_modbus_bus_heard(struct tg_modbus_bus *b, int64_t now_ms);
/* True when an answer of this unit, function and length may still be on its way. */
bool tg_modbus_bus_is_outstanding(const struct tg_modbus_bus *b, unsigned unit_id, unsigned function,
                                  size_t answer_bytes);

#endif
