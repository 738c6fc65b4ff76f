/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cellular_lines - what lines of a 3GPP modem say (TS 27.007, and vendors' counters of PIN tries). Pure: a line in, a value out;
 * false for what is malformed or out of range, and then nothing is set. Lines come from the wire and are hostile.
 */
#ifndef TG_SOUTHBOUND_CELLULAR_LINES_H
#define TG_SOUTHBOUND_CELLULAR_LINES_H

#include "core/base/bytes.h"

#define TG_CELL_NONE       INT32_MIN /* the modem does not know */
#define TG_CELL_FIELDS_MAX 24
#define TG_CELL_TEXT_BYTES 64

enum tg_cell_domain { TG_CELL_CS, TG_CELL_PS, TG_CELL_EPS, TG_CELL_NR, TG_CELL_DOMAINS };

/* +CREG, +CGREG, +CEREG, +C5GREG (7.2, 10.1.20, 10.1.22, 10.1.52). */
struct tg_cell_registration {
    enum tg_cell_domain domain;
    uint8_t
        stat; /* 0 not searching, 1 home, 2 searching, 3 denied, 4 unknown, 5 roaming, 6 … 10 variants of them */
    bool has_cell;
    uint32_t area; /* LAC or TAC */
    uint64_t cell; /* CI; 36 bits at most */
    int32_t act;   /* access technology; TG_CELL_NONE */
};
/* `answer`: the line answers "AT+CREG?", whose first number is the reporting mode; else it was told unasked. */
bool tg_cell_registration(struct tg_bytes line, bool answer, struct tg_cell_registration *ret);
/* Whether the line is the answer to the read form, by its fields. */
bool tg_cell_registration_is_answer(struct tg_bytes line);

/* In tenths of dBm and dB, TG_CELL_NONE for 99 and 255; a step's lower bound (8.5, 8.69). */
struct tg_cell_signal {
    int32_t rssi, rscp, ecno, rsrq, rsrp;
};
/* +CSQ: sets rssi alone. */
bool tg_cell_csq(struct tg_bytes line, int32_t *ret_rssi);
/* +CESQ: rssi is from rxlev. */
bool tg_cell_cesq(struct tg_bytes line, struct tg_cell_signal *ret);

/* +COPS?: name "" while there is none. */
struct tg_cell_operator {
    char name[TG_CELL_TEXT_BYTES];
    int32_t act;
};
bool tg_cell_operator(struct tg_bytes line, struct tg_cell_operator *ret);
/* "lte", "nb-iot", "gsm" …; "" for what is not known. Static storage. */
const char *tg_cell_rat(int32_t act);

/* +CCLK: "yy/MM/dd,hh:mm:ss±zz" (8.15): local time, and how many quarters of an hour it is ahead of UTC. */
struct tg_cell_clock {
    int64_t local_ms; /* the digits as Unix milliseconds, as if they were UTC */
    bool has_zone;
    int32_t zone_quarters; /* -56 … 56 */
};
bool tg_cell_clock(struct tg_bytes line, struct tg_cell_clock *ret);

enum tg_cell_lock { TG_CELL_READY, TG_CELL_WANTS_PIN, TG_CELL_WANTS_PUK, TG_CELL_WANTS_OTHER };
/* +CPIN: what the SIM wants; what as text for people. */
bool tg_cell_lock(struct tg_bytes line, enum tg_cell_lock *ret_lock, char ret_text[TG_CELL_TEXT_BYTES]);
/* +CPINR: SIM PIN,n · +UPINCNT: n,… · +QPINC: "SC",n,… · +SPIC: n,…: how often the PIN may still be tried. */
bool tg_cell_tries(struct tg_bytes line, int32_t *ret_tries);

/* +CGATT: 0 or 1; +CFUN: n. */
bool tg_cell_number(struct tg_bytes line, const char *prefix, int32_t *ret);
/* +CGDCONT: of this context. */
bool tg_cell_context(struct tg_bytes line, int32_t cid, char ret_type[TG_CELL_TEXT_BYTES],
                     char ret_apn[TG_CELL_TEXT_BYTES]);
/* The digits of an IMEI, IMSI or ICCID, with whatever prefix ("+CCID: ") and a filling F; 10 to 22 of them. */
bool tg_cell_digits(struct tg_bytes line, char ret[TG_CELL_TEXT_BYTES]);
/* A line of free text (model, firmware) without prefix, blanks and quotes; printable ASCII. */
bool tg_cell_text(struct tg_bytes line, char ret[TG_CELL_TEXT_BYTES]);

#endif
