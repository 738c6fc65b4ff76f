/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_link - one bus: a serial port, a TCP connection, or RTU frames over a TCP connection.
 *
 * Does one exchange at a time: sends a request, waits for its answer with one deadline for the whole of it,
 * and says what came. It believes nothing that modbus_frame does not believe. It waits as its waiter does
 * (modbus_wait.h): in poll(2) on a thread of its own, or beside others on the loop.
 *
 * libmodbus opens and configures the serial port (speed, parity, RS-485 mode) and puts requests on it. It
 * does not receive: its receiving half waits in select(2) and aborts on descriptors from 1024 up, cannot be
 * interrupted, accepts late and foreign answers, and keeps its state in errno (docs/adr/0007-modbus.md).
 * Here everything waits in poll(2) or epoll(7), so the number of a descriptor does not matter.
 *
 * LIFECYCLE   new ─► open ─► exchange, listen … ─► close ─► open … ─► free
 *   After LOST the link is closed. On TCP it closes itself also when framing is lost and after two timeouts
 * in a row; open() again. A serial port is locked (flock and TIOCEXCL) while it is open.
 *
 * Not thread-safe: one thread, that of the source. A serial line needs a waiter that blocks.
 */
#ifndef TG_PLUGINS_MODBUS_LINK_H
#define TG_PLUGINS_MODBUS_LINK_H

#include <tidegate/plugin.h>

#include "core/base/error.h"
#include "plugins/modbus/modbus_wait.h"
#include "southbound/modbus_frame.h"
#include "southbound/modbus_identity.h"

enum tg_modbus_transport { TG_MODBUS_TCP, TG_MODBUS_RTU, TG_MODBUS_RTU_OVER_TCP };

struct tg_modbus_link_config { /* texts are borrowed and outlive the link */
    enum tg_modbus_transport transport;
    const char *host; /* name or address */
    uint16_t port;
    const char *path; /* of the serial port */
    int baud, stop_bits;
    char parity; /* 'N', 'E', 'O' */
    bool rs485;
    int64_t connect_timeout_ms, connect_delay_ms, turnaround_ms;
};

struct tg_modbus_link;

enum tg_modbus_outcome {
    TG_MODBUS_GOT_ANSWER,
    TG_MODBUS_GOT_EXCEPTION,
    TG_MODBUS_GOT_NOTHING, /* nothing in time */
    TG_MODBUS_GOT_GARBAGE, /* something that is not the answer */
    TG_MODBUS_LINK_LOST,   /* the port or connection is gone; the request may have been sent */
    TG_MODBUS_NOT_SENT,    /* the link is closed, or was lost before anything was sent */
    TG_MODBUS_STOPPED      /* tg_modbus_stopping() */
};

/* Why an exchange failed, or a frame was not taken: the names by which they are counted. */
enum tg_modbus_fault {
    TG_MODBUS_FAULT_NONE,
    TG_MODBUS_FAULT_TIMEOUT,
    TG_MODBUS_FAULT_INCOMPLETE,
    TG_MODBUS_FAULT_BAD_CRC,
    TG_MODBUS_FAULT_LENGTH_MISMATCH,
    TG_MODBUS_FAULT_BAD_PROTOCOL_ID,
    TG_MODBUS_FAULT_STALE_TID,
    TG_MODBUS_FAULT_WRONG_UNIT,
    TG_MODBUS_FAULT_WRONG_FUNCTION,
    TG_MODBUS_FAULT_WRONG_ECHO,
    TG_MODBUS_FAULT_UNSOLICITED, /* an intact frame that nobody asked for */
    TG_MODBUS_FAULT_NOISE,       /* bytes while the line had to be silent, or without an end */
    TG_MODBUS_FAULT_LINK_LOST,
    TG_MODBUS_FAULTS
};

/* "timeout", "bad_crc", … */
const char *tg_modbus_fault_name(enum tg_modbus_fault f);

/* Is this speed one that libmodbus sets? Others it turns into 9600 without a word. */
bool tg_modbus_baud_known(int baud);
extern const char *const tg_modbus_baud_names[]; /* NULL-terminated, ascending */

/* `waiter` and `config` outlive it. */
int tg_modbus_link_new(struct tg_modbus_waiter *waiter, const struct tg_modbus_link_config *config,
                       struct tg_modbus_link **ret_link) TG_CHECKED;
void tg_modbus_link_free(struct tg_modbus_link *l);

/* Waits up to connect_timeout_ms. TG_ECANCELED when the host is stopping; else the error names host or path.
 */
int tg_modbus_link_open(struct tg_modbus_link *l, struct tg_error *err) TG_CHECKED;
void tg_modbus_link_close(struct tg_modbus_link *l);
bool tg_modbus_link_is_open(const struct tg_modbus_link *l);
/* The transport has transaction ids. */
bool tg_modbus_link_has_ids(const struct tg_modbus_link *l);
/* The least silence between two requests: 3.5 characters in whole milliseconds on a serial port, 10 ms
 * through a serial server, 0 on TCP. */
int64_t tg_modbus_link_gap_ms(const struct tg_modbus_link *l);

/* One request and its answer. A broadcast (unit 0, not on TCP) is a GOT_ANSWER after the turnaround.
 * *ret is valid until the next call. */
enum tg_modbus_outcome tg_modbus_link_exchange(struct tg_modbus_link *l, const struct tg_modbus_request *r,
                                               int64_t timeout_ms, struct tg_modbus_answer *ret);
/* The same for "what are you?"; adds what the unit says to *ret. */
enum tg_modbus_outcome tg_modbus_link_identify(struct tg_modbus_link *l, enum tg_modbus_identity_kind kind,
                                               uint8_t unit, int64_t timeout_ms,
                                               struct tg_modbus_identity *ret);
/* What went wrong in the last exchange, for people: "no answer in 1000 ms", "damaged frame (bad_crc)". */
const char *tg_modbus_link_problem(const struct tg_modbus_link *l);

/* The same as a name to count by; NONE after an answer. */
enum tg_modbus_fault tg_modbus_link_fault(const struct tg_modbus_link *l);
/* How often each happened since new(), frames that were skipped on the way to an answer included; as many as
 * TG_MODBUS_FAULTS. */
const uint64_t *tg_modbus_link_faults(const struct tg_modbus_link *l);

/* How long the slowest answer took since new(), without its time on the wire; -1 while none has come. */
int64_t tg_modbus_link_slowest_ms(const struct tg_modbus_link *l);

/* Drops what comes in until until_ms (host->now_ms time) or the first byte. True when something was heard. A
 * lost link is closed. */
bool tg_modbus_link_listen(struct tg_modbus_link *l, int64_t until_ms);

#endif
