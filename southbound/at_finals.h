/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_finals - which lines end a command, and what they say. Pure; a table.
 *
 * Exact: OK, ERROR, ABORTED, NO CARRIER, NO DIALTONE, NO ANSWER, BUSY, COMMAND NOT SUPPORT, NA. With a text
 * behind: CONNECT, +CME ERROR:, +CMS ERROR:, +EXT ERROR:, MODEM ERROR:, ERROR: (u-blox, second generation).
 * With numeric results (ATV0, V.250 5.7.1) a line of one number: 0 OK, 1 CONNECT, 3 NO CARRIER, 4 ERROR …
 */
#ifndef TG_SOUTHBOUND_AT_FINALS_H
#define TG_SOUTHBOUND_AT_FINALS_H

#include "core/base/bytes.h"

enum tg_at_status {
    TG_AT_OK = 0,
    TG_AT_ERROR,
    TG_AT_CME_ERROR,
    TG_AT_CMS_ERROR,
    TG_AT_ABORTED,
    TG_AT_NO_CARRIER,
    TG_AT_NO_DIALTONE,
    TG_AT_BUSY,
    TG_AT_NO_ANSWER,
    TG_AT_TIMEOUT, /* no final result in time */
    TG_AT_HANGUP   /* the port went away, or the command was never sent */
};

struct tg_at_final {
    enum tg_at_status status;
    int32_t code;   /* of +CME ERROR: 10 and its like; -1 = none, or a text */
    bool connected; /* CONNECT: what follows is data */
    bool of_a_call; /* NO CARRIER, CONNECT and their like: when no call is being made they may be URCs */
    bool ambiguous; /* a number, NA: might as well be the answer that was asked for */
};

/* True when `line` is a final result. */
bool tg_at_final_parse(struct tg_bytes line, bool numeric_results, struct tg_at_final *ret_final);
/* The number in `text`, blanks around it allowed; -1 when it is none or larger than any code. */
int32_t tg_at_code(struct tg_bytes text);
/* "ok", "cme_error", "no_carrier", "timeout" …; static storage. */
const char *tg_at_status_name(enum tg_at_status status);

#endif
