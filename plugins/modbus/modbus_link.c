/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/modbus/modbus_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "plugins/modbus/modbus_ports.h"

#define BUFFER_BYTES (2 * TG_MODBUS_TCP_MAX_BYTES)
#define FRESH_MS                                                                                             \
    20 /* a connection that just carried an answer needs no look at whether it is still there                \
        */
#define TIMEOUTS_MAX 2 /* in a row on one TCP connection: then a fresh connection is tried */
#define SERVER_GAP_MS                                                                                        \
    10                  /* behind a serial server: time for a second answer to show before the next request */
#define SPURIOUS_MAX 64 /* frames of others that one exchange skips */
#define FLOOD_BYTES  4096 /* in front of one request: more than any answer that comes late */
#define BREATH_MS                                                                                            \
    10 /* between two reads of a line that is only listened to: noise does not keep the CPU busy */

struct tg_modbus_link {
    struct tg_modbus_waiter *waiter;
    const struct tg_modbus_link_config *config;
    modbus_t *context; /* serial port */
    int fd, lock;      /* -1 = closed */
    uint16_t tid;
    unsigned timeouts;   /* in a row */
    int64_t answered_ms; /* when the last answer came */
    int64_t slowest_ms;  /* the slowest unit so far, without the time on the wire */
    size_t len, taken;   /* bytes in buf; those of the last answer, dropped by the next call */
    uint8_t buf[BUFFER_BYTES];
    enum tg_modbus_fault fault; /* of the last exchange */
    uint64_t faults[TG_MODBUS_FAULTS];
    char problem[160];
};

const char *tg_modbus_fault_name(enum tg_modbus_fault f)
{
    static const char *const names[TG_MODBUS_FAULTS] = {
        "none",      "timeout",    "incomplete",     "bad_crc",    "length_mismatch", "bad_protocol_id",
        "stale_tid", "wrong_unit", "wrong_function", "wrong_echo", "unsolicited",     "noise",
        "link_lost"};
    return names[f];
}

static enum tg_modbus_fault fault_of(enum tg_modbus_verdict v)
{
    return (enum tg_modbus_fault)(TG_MODBUS_FAULT_INCOMPLETE + (int)v - TG_MODBUS_INCOMPLETE);
}

_Static_assert(TG_MODBUS_FAULT_WRONG_ECHO - TG_MODBUS_FAULT_INCOMPLETE ==
                   TG_MODBUS_WRONG_ECHO - TG_MODBUS_INCOMPLETE,
               "faults follow the verdicts");

enum tg_modbus_fault tg_modbus_link_fault(const struct tg_modbus_link *l)
{
    return l->fault;
}

int64_t tg_modbus_link_slowest_ms(const struct tg_modbus_link *l)
{
    return l->slowest_ms;
}

const uint64_t *tg_modbus_link_faults(const struct tg_modbus_link *l)
{
    return l->faults;
}

/* The exchange ends with this. */
static void fail(struct tg_modbus_link *l, enum tg_modbus_fault fault)
{
    l->fault = fault;
    l->faults[fault]++;
}

int tg_modbus_link_new(struct tg_modbus_waiter *waiter, const struct tg_modbus_link_config *config,
                       struct tg_modbus_link **ret_link)
{
    struct tg_modbus_link *l = tg_calloc(1, sizeof *l);
    if (!l)
        return TG_ENOMEM;
    l->waiter = waiter;
    l->config = config;
    l->fd = l->lock = -1;
    l->slowest_ms = -1;
    *ret_link = l;
    return TG_OK;
}

void tg_modbus_link_free(struct tg_modbus_link *l)
{
    if (!l)
        return;
    tg_modbus_link_close(l);
    tg_free(l);
}

static int64_t now(const struct tg_modbus_link *l)
{
    return l->waiter->host->now_ms(l->waiter->host->source);
}

bool tg_modbus_link_is_open(const struct tg_modbus_link *l)
{
    return l->fd >= 0;
}

bool tg_modbus_link_has_ids(const struct tg_modbus_link *l)
{
    return l->config->transport == TG_MODBUS_TCP;
}

const char *tg_modbus_link_problem(const struct tg_modbus_link *l)
{
    return l->problem;
}

static bool serial(const struct tg_modbus_link *l)
{
    return l->config->transport == TG_MODBUS_RTU;
}

/* Time on the wire, rounded up; 0 where there is no wire speed. */
static int64_t wire_ms(const struct tg_modbus_link *l, size_t bytes)
{
    int64_t bits = 9 + (l->config->parity == 'N' ? 0 : 1) + l->config->stop_bits;
    return serial(l) ? ((int64_t)bytes * bits * 1000 + l->config->baud - 1) / l->config->baud : 0;
}

int64_t tg_modbus_link_gap_ms(const struct tg_modbus_link *l)
{
    if (l->config->transport == TG_MODBUS_RTU_OVER_TCP)
        return SERVER_GAP_MS;
    if (!serial(l))
        return 0;
    /* 3.5 characters of 11 bits; 1.75 ms above 19200 baud [serial line 1.02, 2.5.1.1] */
    return l->config->baud > 19200 ? 2 : (38500 + l->config->baud - 1) / l->config->baud;
}

int tg_modbus_link_open(struct tg_modbus_link *l, struct tg_error *err)
{
    TG_ASSERT(l->fd < 0);
    l->len = l->taken = 0;
    l->timeouts = 0;
    if (serial(l)) {
        int rc = tg_modbus_serial_open(l->config, &l->context, &l->lock, err);
        if (rc < 0)
            return rc;
        l->fd = modbus_get_socket(l->context);
        (void)modbus_flush(l->context);
        return TG_OK;
    }
    int fd = tg_modbus_tcp_connect(l->waiter, l->config->host, l->config->port, l->config->connect_timeout_ms,
                                   err);
    if (fd < 0)
        return fd;
    l->fd = fd;
    if (l->config->connect_delay_ms > 0) {
        int rc = tg_modbus_wait(l->waiter, fd, 0, now(l) + l->config->connect_delay_ms);
        if (rc != 0) {
            tg_modbus_link_close(l);
            return rc == TG_ECANCELED ? rc
                                      : tg_error_set(err, TG_EIO, "%s port %u: closed by the device at once",
                                                     l->config->host, l->config->port);
        }
    }
    return TG_OK;
}

void tg_modbus_link_close(struct tg_modbus_link *l)
{
    if (l->fd < 0)
        return;
    if (serial(l)) {
        tg_modbus_serial_close(l->context, l->lock);
    } else {
        tg_modbus_forget(l->waiter, l->fd);
        close(l->fd);
    }
    l->context = NULL;
    l->fd = l->lock = -1;
    l->len = l->taken = 0;
}

static enum tg_modbus_outcome lost(struct tg_modbus_link *l, enum tg_modbus_outcome outcome, const char *what,
                                   int errnum)
{
    fail(l, TG_MODBUS_FAULT_LINK_LOST);
    snprintf(l->problem, sizeof l->problem, "%s%s%s", what, errnum ? ": " : "",
             errnum ? strerror(errnum) : "");
    tg_modbus_link_close(l);
    return outcome;
}

static void drop(struct tg_modbus_link *l, size_t n)
{
    memmove(l->buf, l->buf + n, l->len - n);
    l->len -= n;
}

/* Reads what is there. The number of bytes; 0 when nothing is there; -1 with errno (0 = end of stream). */
static int receive(struct tg_modbus_link *l)
{
    ssize_t n = read(l->fd, l->buf + l->len, sizeof l->buf - l->len);
    if (n > 0) {
        l->len += (size_t)n;
        return (int)n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n == 0 && serial(l)) {
        /* VMIN is 0: no data and a port that is gone look alike; only the latter cannot be asked. */
        int ready;
        return ioctl(l->fd, FIONREAD, &ready) == 0 ? 0 : -1;
    }
    if (n == 0)
        errno = 0;
    return -1;
}

static bool send_all(struct tg_modbus_link *l, const uint8_t *data, size_t len, int64_t until_ms)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(l->fd, data + done, len - done, MSG_NOSIGNAL);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (tg_modbus_wait(l->waiter, l->fd, POLLOUT, until_ms) <= 0) {
                errno = ETIMEDOUT;
                return false;
            }
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Puts a whole frame on the line. */
static bool put_frame(struct tg_modbus_link *l, const uint8_t *frame, size_t len, int64_t until_ms)
{
    if (!serial(l))
        return send_all(l, frame, len, until_ms);
    return modbus_send_raw_request(l->context, frame, (int)len - 2) ==
           (int)len; /* it appends the CRC itself */
}

static bool put_request(struct tg_modbus_link *l, const struct tg_modbus_request *r, int64_t until_ms)
{
    uint8_t frame[TG_MODBUS_TCP_MAX_BYTES];
    int n = l->config->transport == TG_MODBUS_TCP ? tg_modbus_tcp_encode(r, ++l->tid, frame, sizeof frame)
                                                  : tg_modbus_rtu_encode(r, frame, sizeof frame);
    if (n < 0) {
        errno = EINVAL;
        return false;
    }
    return put_frame(l, frame, (size_t)n, until_ms);
}

/* --- what came back --------------------------------------------------------------------------- */

/* One look at the buffer: INCOMPLETE = wait on; STALE_TID or WRONG_UNIT with *ret_skip > 0 = a whole frame
 * for somebody else, to be skipped; ANSWER or EXCEPTION take `taken` bytes; anything else = garbage. */
static enum tg_modbus_verdict look_rtu(struct tg_modbus_link *l, const struct tg_modbus_request *r,
                                       size_t *ret_skip, struct tg_modbus_answer *ret)
{
    if (l->len < 2)
        return TG_MODBUS_INCOMPLETE;
    bool foreign = l->buf[0] != r->unit;
    size_t need = tg_modbus_rtu_need(l->buf, l->len);
    if (need == 0)
        return foreign ? TG_MODBUS_WRONG_UNIT : TG_MODBUS_WRONG_FUNCTION;
    if (!foreign && l->len >= 3 && need != 5 && need != tg_modbus_rtu_answer_bytes(r))
        return TG_MODBUS_LENGTH_MISMATCH; /* at once: do not wait for bytes that a lying count promises */
    if (need > TG_MODBUS_RTU_MAX_BYTES)
        return TG_MODBUS_LENGTH_MISMATCH;
    if (l->len < need)
        return TG_MODBUS_INCOMPLETE;
    enum tg_modbus_verdict v = tg_modbus_rtu_check(r, l->buf, need, ret);
    if (v == TG_MODBUS_WRONG_UNIT)
        *ret_skip = need; /* intact, but another unit's: late, or another master's */
    if (v == TG_MODBUS_ANSWER || v == TG_MODBUS_EXCEPTION)
        l->taken = need;
    return v;
}

static enum tg_modbus_verdict look_tcp(struct tg_modbus_link *l, const struct tg_modbus_request *r,
                                       size_t *ret_skip, struct tg_modbus_answer *ret)
{
    size_t need = tg_modbus_tcp_need(l->buf, l->len);
    if (need == 0 || l->len < need) {
        enum tg_modbus_verdict v = tg_modbus_tcp_check(r, l->tid, l->buf, l->len, ret);
        return need > 0 && l->len < 7 ? TG_MODBUS_INCOMPLETE : v;
    }
    enum tg_modbus_verdict v = tg_modbus_tcp_check(r, l->tid, l->buf, need, ret);
    if (v == TG_MODBUS_STALE_TID)
        *ret_skip = need;
    if (v == TG_MODBUS_ANSWER || v == TG_MODBUS_EXCEPTION)
        l->taken = need;
    return v;
}

/* How long the bytes that are still missing take on the wire at least: sleeping that long saves a wake-up per
 * byte. Bounded by a slice. */
static void pause_for_bytes(const struct tg_modbus_link *l)
{
    size_t need = l->len >= 3 && serial(l) ? tg_modbus_rtu_need(l->buf, l->len) : 0;
    if (need <= l->len + 1)
        return;
    int64_t ms = wire_ms(l, need - l->len - 1);
    ms = ms > TG_MODBUS_SLICE_MS ? TG_MODBUS_SLICE_MS : ms;
    tg_modbus_rest(l->waiter, ms);
}

static enum tg_modbus_outcome garbage(struct tg_modbus_link *l, enum tg_modbus_verdict v)
{
    fail(l, fault_of(v));
    snprintf(l->problem, sizeof l->problem, "damaged or foreign answer (%s)", tg_modbus_verdict_name(v));
    l->len = 0;
    if (l->config->transport == TG_MODBUS_TCP)
        tg_modbus_link_close(l); /* nobody knows where the next frame begins */
    return TG_MODBUS_GOT_GARBAGE;
}

static enum tg_modbus_outcome nothing(struct tg_modbus_link *l, int64_t timeout_ms)
{
    if (l->len > 0) /* half a frame: on TCP too the rest cannot be told from the next one */
        return garbage(l, TG_MODBUS_INCOMPLETE);
    fail(l, TG_MODBUS_FAULT_TIMEOUT);
    snprintf(l->problem, sizeof l->problem, "no answer in %lld ms", (long long)timeout_ms);
    /* The connection may be dead without a word (power cut, NAT): a fresh one tells. Late answers need no
     * care here, they carry another transaction id. */
    if (!serial(l) && ++l->timeouts >= TIMEOUTS_MAX)
        tg_modbus_link_close(l);
    return TG_MODBUS_GOT_NOTHING;
}

/* Waits for bytes and takes them. ANSWER: look at them. */
static enum tg_modbus_outcome more_bytes(struct tg_modbus_link *l, int64_t timeout_ms, int64_t until_ms)
{
    int events = tg_modbus_wait(l->waiter, l->fd, POLLIN, until_ms);
    if (events == TG_ECANCELED)
        return TG_MODBUS_STOPPED;
    if (events == 0)
        return nothing(l, timeout_ms);
    int n = events < 0 ? -1 : receive(l);
    if (n < 0 || (n == 0 && (events & (POLLHUP | POLLERR))))
        return lost(l, TG_MODBUS_LINK_LOST,
                    n < 0 && errno == 0 ? "the device closed the connection" : "link lost",
                    n < 0 ? errno : EIO);
    return TG_MODBUS_GOT_ANSWER;
}

static void note_pace(struct tg_modbus_link *l, int64_t took_ms)
{
    took_ms = took_ms < 0 ? 0 : took_ms;
    if (took_ms > l->slowest_ms)
        l->slowest_ms = took_ms;
}

static enum tg_modbus_outcome await_answer(struct tg_modbus_link *l, const struct tg_modbus_request *r,
                                           int64_t timeout_ms, int64_t until_ms, struct tg_modbus_answer *ret)
{
    for (unsigned skipped = 0;;) {
        size_t skip = 0;
        enum tg_modbus_verdict v =
            tg_modbus_link_has_ids(l) ? look_tcp(l, r, &skip, ret) : look_rtu(l, r, &skip, ret);
        if (v == TG_MODBUS_ANSWER || v == TG_MODBUS_EXCEPTION) {
            l->timeouts = 0;
            l->answered_ms = now(l);
            note_pace(l,
                      l->answered_ms - (until_ms - timeout_ms)); /* until_ms has the time on the wire in it */
            return v == TG_MODBUS_ANSWER ? TG_MODBUS_GOT_ANSWER : TG_MODBUS_GOT_EXCEPTION;
        }
        if (skip > 0 && ++skipped <= SPURIOUS_MAX) {
            l->faults[fault_of(v)]++;
            drop(l, skip);
            continue;
        }
        if (v != TG_MODBUS_INCOMPLETE)
            return garbage(l, v);
        pause_for_bytes(l);
        enum tg_modbus_outcome o = more_bytes(l, timeout_ms, until_ms);
        if (o != TG_MODBUS_GOT_ANSWER)
            return o;
    }
}

/* What is there before the request is sent is no answer to it, whatever transaction id it has guessed. */
static void drop_early(struct tg_modbus_link *l)
{
    for (size_t need; (need = tg_modbus_tcp_need(l->buf, l->len)) > 0 && need <= l->len;) {
        l->faults[TG_MODBUS_FAULT_UNSOLICITED]++;
        drop(l, need);
    }
    if (l->len >= 2 && (l->buf[0] << 8 | l->buf[1]) == (uint16_t)(l->tid + 1))
        l->tid++; /* half of such a frame: this id is not used */
}

/* Makes the line ready for a request: nothing old in the buffer, and the peer still there. On a line without
 * transaction ids an intact frame of the unit that is asked now (it answers twice, or late) or a stream without
 * end is *ret_fault. Another unit's frame is counted only: its unit gives it away. Single bytes of noise, as
 * RS-485 drivers make them when they switch, are dropped. */
static bool clear_line(struct tg_modbus_link *l, unsigned unit, int64_t now_ms,
                       enum tg_modbus_fault *ret_fault)
{
    bool ids = tg_modbus_link_has_ids(l);
    int n = 0;
    drop(l, l->taken);
    l->taken = 0;
    if (ids)
        drop_early(l);
    if (ids && now_ms - l->answered_ms < FRESH_MS)
        return true;
    for (size_t total = 0, first = 1; first || n > 0; first = 0) {
        size_t need = ids ? 0 : tg_modbus_rtu_need(l->buf, l->len);
        total += (size_t)n;
        if (need > 0 && need <= l->len && tg_modbus_crc(l->buf, need) == 0) { /* CRC over data and CRC is 0 */
            if (l->buf[0] == unit)
                *ret_fault = TG_MODBUS_FAULT_UNSOLICITED;
            else
                l->faults[TG_MODBUS_FAULT_UNSOLICITED]++;
            drop(l, need);
        }
        if (total > FLOOD_BYTES && !ids) {
            *ret_fault = TG_MODBUS_FAULT_NOISE;
            break;
        }
        /* On TCP what is left stays, in frame: perhaps half of a late answer, which its transaction id gives
         * away. */
        if (l->len == sizeof l->buf && ids)
            return true;
        if (l->len == sizeof l->buf)
            l->len = 0;
        n = receive(l);
    }
    if (!ids)
        l->len = 0;
    return n >= 0;
}

/* Of the RTU frame, rounded up for coils. */
static size_t request_bytes(const struct tg_modbus_request *r)
{
    return r->function <= TG_MODBUS_READ_INPUT ? 8 : 11 + 2u * r->count;
}

/* What comes before every request. ANSWER: it may be sent. */
static enum tg_modbus_outcome begin_exchange(struct tg_modbus_link *l, unsigned unit)
{
    enum tg_modbus_fault stray = TG_MODBUS_FAULT_NONE;
    l->problem[0] = 0;
    l->fault = TG_MODBUS_FAULT_NONE;
    if (l->fd < 0)
        return lost(l, TG_MODBUS_NOT_SENT, "the link is closed", 0);
    if (!clear_line(l, unit, now(l), &stray))
        return lost(l, TG_MODBUS_NOT_SENT, errno ? "link lost" : "the device closed the connection", errno);
    if (stray == TG_MODBUS_FAULT_NONE)
        return TG_MODBUS_GOT_ANSWER;
    fail(l, stray);
    snprintf(l->problem, sizeof l->problem, "%s",
             stray == TG_MODBUS_FAULT_NOISE ? "the line is full of bytes that nobody asked for"
                                            : "an answer came that nobody had asked for");
    return TG_MODBUS_GOT_GARBAGE;
}

enum tg_modbus_outcome tg_modbus_link_exchange(struct tg_modbus_link *l, const struct tg_modbus_request *r,
                                               int64_t timeout_ms, struct tg_modbus_answer *ret)
{
    memset(ret, 0, sizeof *ret);
    enum tg_modbus_outcome o = begin_exchange(l, r->unit);
    if (o != TG_MODBUS_GOT_ANSWER)
        return o;
    int64_t begin = now(l);
    bool broadcast = r->unit == 0 && !tg_modbus_link_has_ids(l);
    int64_t until_ms = begin + timeout_ms + wire_ms(l, request_bytes(r) + tg_modbus_rtu_answer_bytes(r));
    if (!put_request(l, r, until_ms))
        return lost(l, TG_MODBUS_LINK_LOST, "sending failed", errno);
    if (broadcast) {
        int64_t end = begin + wire_ms(l, request_bytes(r)) + l->config->turnaround_ms;
        int rc;
        do {
            rc = tg_modbus_wait(l->waiter, l->fd, 0, end);
        } while (rc > 0 && !(rc & (POLLHUP | POLLERR | POLLNVAL)));
        if (rc == 0)
            return TG_MODBUS_GOT_ANSWER;
        return rc == TG_ECANCELED ? TG_MODBUS_STOPPED : lost(l, TG_MODBUS_LINK_LOST, "link lost", EIO);
    }
    return await_answer(l, r, timeout_ms, until_ms, ret);
}

enum tg_modbus_outcome tg_modbus_link_identify(struct tg_modbus_link *l, enum tg_modbus_identity_kind kind,
                                               uint8_t unit, int64_t timeout_ms,
                                               struct tg_modbus_identity *ret)
{
    uint8_t frame[16];
    bool ids = tg_modbus_link_has_ids(l);
    enum tg_modbus_outcome o = begin_exchange(l, unit);
    if (o != TG_MODBUS_GOT_ANSWER)
        return o;
    int64_t until_ms = now(l) + timeout_ms + wire_ms(l, 16 + TG_MODBUS_RTU_MAX_BYTES);
    size_t n = tg_modbus_identity_request(kind, unit, ids, ++l->tid, frame);
    if (!put_frame(l, frame, n, until_ms))
        return lost(l, TG_MODBUS_LINK_LOST, "sending failed", errno);
    for (unsigned skipped = 0; o == TG_MODBUS_GOT_ANSWER; o = more_bytes(l, timeout_ms, until_ms)) {
        size_t need = tg_modbus_identity_need(ids, l->buf, l->len);
        if (need > l->len)
            continue;
        enum tg_modbus_verdict v = need == 0
                                       ? TG_MODBUS_WRONG_FUNCTION
                                       : tg_modbus_identity_check(kind, unit, ids, l->tid, l->buf, need, ret);
        if (v == TG_MODBUS_ANSWER || v == TG_MODBUS_EXCEPTION) {
            l->taken = need;
            return v == TG_MODBUS_ANSWER ? TG_MODBUS_GOT_ANSWER : TG_MODBUS_GOT_EXCEPTION;
        }
        if (v != TG_MODBUS_STALE_TID || ++skipped > SPURIOUS_MAX)
            return garbage(l, v);
        drop(l, need);
    }
    return o;
}

bool tg_modbus_link_listen(struct tg_modbus_link *l, int64_t until_ms)
{
    if (l->fd < 0)
        return false;
    l->len = l->taken = 0;
    int events = tg_modbus_wait(l->waiter, l->fd, POLLIN, until_ms);
    if (events <= 0)
        return false;
    size_t heard = 0;
    int n;
    tg_modbus_rest(l->waiter, BREATH_MS);
    do {
        n = receive(l);
        l->len = 0;
        heard += n > 0 ? (size_t)n : 0;
    } while (n > 0 && heard < FLOOD_BYTES);
    if (n < 0 || (heard == 0 && (events & (POLLHUP | POLLERR))))
        (void)lost(l, TG_MODBUS_LINK_LOST, "link lost", n < 0 ? errno : EIO);
    l->faults[TG_MODBUS_FAULT_NOISE] += heard > 0;
    return heard > 0;
}
