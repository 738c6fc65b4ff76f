/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_chat - a conversation with an AT device: commands out, results and unsolicited lines in. Pure.
 *
 * WHAT IT IS
 *   One command is outstanding; others wait in a bounded queue. Bytes from the device go in, events come out,
 * and the caller writes what tg_at_chat_output() lends. Time is passed in; tg_at_chat_deadline() says when to
 *   call tg_at_chat_tick() next. It does not open ports, match patterns (the caller lends predicates) or
 *   know what a reading is.
 *
 * STATES, and what ends them
 *   IDLE      nothing outstanding; a queued command starts `pause_ms` after the last result, and not into the
 *             middle of a line that the device is sending                                    → WAIT
 *   WAIT      a command is out; a final result                                               → IDLE
 *             its timeout (result TIMEOUT)                                                   → QUIET
 *             CONNECT                                                                        → DATA
 *   ABORTING  tg_at_chat_abort() was called; any final result (result ABORTED)               → IDLE
 *             abort_ms without one (result ABORTED)                                          → QUIET
 *   QUIET     resynchronising: quiet_ms without a byte (at most quiet_max_ms)                → PROBE
 *   PROBE     "AT" was sent; a final result                                                  → SETTLE
 *             probe_ms without one: again, three times in all (the third with ESC ahead, which leaves a
 *             prompt; the first too when the device waits for data)                          → QUIET
 *             with `escape` a fourth, behind "+++" between guard times: the device may be in data mode
 *             then event LOST                                                                → LOST
 *   SETTLE    until every result that is owed has come, or settle_ms of silence; event SYNCED → IDLE
 *   LOST      nothing is sent; tg_at_chat_sync()                                             → QUIET
 *   DATA      what follows belongs to the caller; tg_at_chat_leave_data()                    → GUARD
 *   GUARD     silence, "+++", silence                                                        → QUIET
 *   CLOSED    after tg_at_chat_hangup(); tg_at_chat_sync()                                   → QUIET
 *
 *   A result that comes late is never given to another command: after a timeout all results are
 *   discarded until the device answers the probe and has said all it owed.
 *
 * WHERE A LINE GOES (first that fits)
 *   WAIT: echo of the command → dropped · second line of a two-line URC · final result · accepted by the
 * command's `is_response`, or (without one) begins with its `prefix` → a line of the response · known URC →
 * event · else a line of the response, for devices answer without prefix. IDLE: URC, else event OTHER.
 * QUIET…SETTLE: URCs pass unless they look like the answer of the command that timed out; all else is
 * discarded.
 *
 * MEMORY AND THREADS
 *   The struct is all there is (about 18 KiB). Texts and data of a queued command are borrowed until its
 * result. Views in an event are valid until the next call of input, tick, sync or hangup. One thread.
 *
 * DRIVING IT
 *     do {
 *         tg_at_chat_tick(&c, now);
 *         for (progress = false; tg_at_chat_event(&c, &ev); progress = true) handle(&ev);
 *         n = tg_at_chat_input(&c, left, now);      consumes nothing while an event waits
 *         left = tg_at_rest(left, n);
 *     } while (left.len > 0 || progress);
 *     n = write(fd, out.data, out.len);             out = tg_at_chat_output(&c)
 *     tg_at_chat_output_ack(&c, n, now);
 */
#ifndef TG_SOUTHBOUND_AT_CHAT_H
#define TG_SOUTHBOUND_AT_CHAT_H

#include "southbound/at_finals.h"
#include "southbound/at_lines.h"

#define TG_AT_COMMAND_MAX_BYTES  512
#define TG_AT_QUEUE_MAX          16
#define TG_AT_RESPONSE_MAX_BYTES 8192
#define TG_AT_RESPONSE_MAX_LINES 64
#define TG_AT_PAYLOAD_MAX_BYTES  4096

struct tg_at_command {
    const char *text;     /* "AT+CSQ", without line end */
    const char *prefix;   /* of its response, "+CSQ:"; NULL = none */
    const char *prompt;   /* "> ": when it comes, `data` is sent; NULL = none */
    struct tg_bytes data; /* with its terminator (Ctrl-Z) where the device wants one */
    bool
        data_at_once; /* `data` follows the text directly, without prompt and CR (a block of u-connectXpress) */
    int64_t data_delay_ms;          /* between prompt and data (u-connectXpress wants 50) */
    int64_t timeout_ms;             /* from when the text was written out to the final result */
    struct tg_at_announce announce; /* of raw bytes in the answer; taken from lines of the response only */
    bool (*is_response)(
        void *user,
        struct tg_bytes line); /* tells a response from a URC of the same prefix; NULL = prefix alone */
    void *user;
};

struct tg_at_urc {
    const char *prefix; /* "+CMTI:"; a word ("RING") must not go on with a letter or digit */
    bool two_line;      /* the line behind it belongs to it (+CMT) */
    bool reboot;        /* the device has started anew: settings are lost */
};

struct tg_at_chat_config {
    const struct tg_at_urc *urcs; /* borrowed */
    size_t urc_count;
    bool (*is_urc)(void *user, struct tg_bytes line); /* further URCs; may be NULL */
    /* Further final results, looked at ahead of the known ones; may be NULL. *ret_final is zeroed but for `code` = -1. */
    bool (*is_final)(void *user, struct tg_bytes line, struct tg_at_final *ret_final);
    void *user;
    bool numeric_results; /* ATV0 */
    bool blocks;          /* 01 and a u16 begin raw bytes, see at_lines.h */
    bool escape;          /* "+++" is the last probe's */
    /* 0 = default */
    int64_t pause_ms;     /* 25: between a result and the next command */
    int64_t quiet_ms;     /* 100 */
    int64_t quiet_max_ms; /* 1000 */
    int64_t probe_ms;     /* 1000 */
    int64_t settle_ms;    /* 500 */
    int64_t abort_ms;     /* 5000 */
    int64_t guard_ms;     /* 1100 */
};

struct tg_at_result {
    const struct tg_at_command *command;
    enum tg_at_status status;
    int32_t code;          /* of +CME/+CMS ERROR; -1 = none */
    struct tg_bytes final; /* the line that ended it; empty after timeout and hang-up */
    const struct tg_bytes *lines;
    uint32_t line_count;
    uint32_t truncated; /* lines dropped: too long, or the response's bound reached */
    struct tg_bytes payload;
    bool payload_truncated; /* more was announced than TG_AT_PAYLOAD_MAX_BYTES or than came */
    bool payload_lied;      /* what came behind it shows that its announced length was wrong */
    bool connected;         /* state is DATA */
};

enum tg_at_event_kind {
    TG_AT_EVENT_RESULT = 1, /* once for every queued command, in order */
    TG_AT_EVENT_URC,        /* lines[0], of a two-line URC lines[1] too (absent when it did not come) */
    TG_AT_EVENT_OTHER,      /* lines[0] fits nothing: a stray result, noise */
    TG_AT_EVENT_SYNCED,     /* commands flow (again) */
    TG_AT_EVENT_LOST        /* all probes without an answer */
};

struct tg_at_event {
    enum tg_at_event_kind kind;
    struct tg_bytes lines[2];
    uint32_t line_count;
    bool reboot;
    struct tg_at_result result;
};

enum tg_at_state {
    TG_AT_IDLE = 0,
    TG_AT_WAIT,
    TG_AT_ABORTING,
    TG_AT_QUIET,
    TG_AT_PROBE,
    TG_AT_SETTLE,
    TG_AT_LOST,
    TG_AT_DATA,
    TG_AT_GUARD,
    TG_AT_CLOSED
};

struct tg_at_counters {
    uint64_t commands, timeouts, resyncs, probes, urcs, others;
    uint64_t discarded;     /* lines of nobody while resynchronising */
    uint64_t early_prompts; /* before the command was written out: the data were kept back */
    uint64_t stray_bytes;   /* raw bytes that belong to no answer */
};

/* Visible so that it can be embedded; fields are read through the functions. */
struct tg_at_chat {
    struct tg_at_chat_config config;
    struct tg_at_lines lines;
    enum tg_at_state state;
    struct tg_at_counters counters;

    struct tg_at_command queue[TG_AT_QUEUE_MAX + 1]; /* + 1: a hang-up puts the outstanding one back */
    uint32_t queue_head, queue_count, failing;       /* failing: results HANGUP still to be given */

    struct tg_at_command current;
    int64_t deadline_ms;   /* of the state */
    int64_t data_at_ms;    /* when the data behind a prompt goes out; INT64_MAX = not */
    int64_t not_before_ms; /* pause */
    int64_t blocked_ms;    /* since when a command waits for the device to finish a line; INT64_MIN = not */
    int64_t last_rx_ms;
    int64_t sync_began_ms;
    uint32_t sync_tries;
    uint32_t owed; /* final results the device may still send for what it was sent */
    bool plus_sent;
    bool prompted;        /* the prompt came */
    bool at_prompt;       /* the command that timed out left the device waiting for data */
    bool payload_own;     /* raw bytes belong to the answer */
    bool escaping;        /* GUARD is a probe's, not tg_at_chat_leave_data()'s */
    char late_prefix[32]; /* how a late answer to the command that timed out would begin; "" = not known */

    uint8_t out_buf[TG_AT_COMMAND_MAX_BYTES + 4];
    struct tg_bytes out;

    uint8_t text[TG_AT_RESPONSE_MAX_BYTES];
    size_t text_len;
    struct tg_bytes response[TG_AT_RESPONSE_MAX_LINES];
    uint32_t response_count, truncated;
    uint8_t payload[TG_AT_PAYLOAD_MAX_BYTES];
    size_t payload_len;
    bool payload_truncated, payload_lied;

    uint8_t urc_line[TG_AT_LINE_MAX_BYTES]; /* first line of a two-line URC */
    size_t urc_len;                         /* 0 = none waits */
    bool urc_reboot;
    int64_t urc_deadline_ms;

    struct tg_at_event event;
    bool event_waits;
};

/* In state IDLE. `config` is copied, what it points to is borrowed. */
void tg_at_chat_init(struct tg_at_chat *c, const struct tg_at_chat_config *config);

/* TG_EFULL; TG_EINVAL: empty, too long, or a control byte in its text (they would end or abort the
 * command line); TG_ESTATE: after a hang-up. On success its result comes exactly once. */
int tg_at_chat_queue(struct tg_at_chat *c, const struct tg_at_command *command) TG_CHECKED;
/* Commands not yet answered, the outstanding one included. */
uint32_t tg_at_chat_pending(const struct tg_at_chat *c);

/* Bytes from the device. Returns how many were consumed: fewer than given while an event waits, and in state
 * DATA, where the rest is the caller's. */
size_t tg_at_chat_input(struct tg_at_chat *c, struct tg_bytes in, int64_t now_ms);
/* Starts what may start and ends what is overdue. */
void tg_at_chat_tick(struct tg_at_chat *c, int64_t now_ms);
/* When tick has something to do: INT64_MIN = at once, INT64_MAX = only after input. */
int64_t tg_at_chat_deadline(const struct tg_at_chat *c);
bool tg_at_chat_event(struct tg_at_chat *c, struct tg_at_event *ret_event);

/* What is to be written; empty = nothing. ack says how much was (n ≤ len): timeouts run from the last byte.
 */
struct tg_bytes tg_at_chat_output(const struct tg_at_chat *c);
void tg_at_chat_output_ack(struct tg_at_chat *c, size_t n, int64_t now_ms);

/* Ends the outstanding command early (AT+COPS=?): a CR, or ESC at a prompt. No effect when none is
 * outstanding. */
void tg_at_chat_abort(struct tg_at_chat *c, int64_t now_ms);
/* Resynchronises: at start, when the port was opened, and when answers do not fit their commands. An
 * outstanding command ends with TIMEOUT. */
void tg_at_chat_sync(struct tg_at_chat *c, int64_t now_ms);
/* The port is gone: every command ends with HANGUP (pull the events), nothing is accepted until sync. */
void tg_at_chat_hangup(struct tg_at_chat *c);
/* From DATA back to commands with "+++". */
void tg_at_chat_leave_data(struct tg_at_chat *c, int64_t now_ms);
static inline enum tg_at_state tg_at_chat_state(const struct tg_at_chat *c)
{
    return c->state;
}

#endif
