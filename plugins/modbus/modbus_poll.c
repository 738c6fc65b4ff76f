/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Turns of the bus: who is asked is modbus_bus's decision; here the requests are made and their outcome told.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "plugins/modbus/modbus_loop.h"
#include "southbound/real32.h"
#include "southbound/serial_port.h"

#define POLL_BUDGET_MS  20   /* then the host gets its turn: a waiting write goes before the next read */
#define LISTEN_MS       200  /* at a time */
#define SLOW_LATENCY_MS 4    /* of a USB adapter; FTDI's default is 16 */
#define NOISE_MS        5000 /* a line that is never silent for so long is reported */

/* --- what the host is told --------------------------------------------------------------------- */

void tg_modbus_describe(const struct tg_modbus_request *r, char *ret_text, size_t cap)
{
    static const char *const tables[] = {"", "coil", "discrete", "holding", "input"};
    const char *table = r->function <= TG_MODBUS_READ_INPUT ? tables[r->function]
                        : r->function == TG_MODBUS_WRITE_ONE_COIL || r->function == TG_MODBUS_WRITE_COILS
                            ? "coil"
                            : "holding";
    snprintf(ret_text, cap, "FC%u %s:%u+%u", r->function, table, r->address, r->count);
}

void tg_modbus_report_state(struct tg_modbus_instance *m, uint32_t device, uint32_t state, const char *fmt,
                            ...)
{
    char text[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    m->devices[device].reported = state;
    m->host->device_state(m->host->source, device, state, text);
}

/* emit() counts what it refuses; a polling source goes on. */
static void flush_values(struct tg_modbus_instance *m, uint32_t device)
{
    struct tg_modbus_device *d = &m->devices[device];
    for (uint32_t at = 0; at < d->value_count; at += TG_MODBUS_SAMPLE_VALUES) {
        uint32_t n = d->value_count - at;
        n = n > TG_MODBUS_SAMPLE_VALUES ? TG_MODBUS_SAMPLE_VALUES : n;
        (void)m->host->emit(m->host->source, device, 0, d->values + at, n);
    }
    d->value_count = 0;
}

static void add_quality(struct tg_modbus_device *d, uint32_t point, enum tg_quality quality)
{
    d->values[d->value_count++] = (struct tg_point_value){.point = point, .quality = quality};
}

/* Every point that is read has no value, for this reason. */
static void emit_all(struct tg_modbus_instance *m, uint32_t device, enum tg_quality quality)
{
    struct tg_modbus_device *d = &m->devices[device];
    d->value_count = 0;
    for (size_t i = 0; i < d->item_count + d->hidden_count; i++)
        if (tg_modbus_sunspec_shown(d,
                                    &(struct tg_point_value){.point = d->items[i].tag, .quality = quality}))
            add_quality(d, d->items[i].tag, quality);
    flush_values(m, device);
}

/* --- link -------------------------------------------------------------------------------------- */

static void report_outage(struct tg_modbus_instance *m, const char *why, int64_t wait_ms)
{
    for (uint32_t i = 0; i < m->source->device_count; i++) {
        tg_modbus_report_state(m, i, TG_DEVICE_DOWN, "%s; next attempt in %" PRId64 " ms", why, wait_ms);
        if (!m->outage)
            emit_all(m, i, TG_QUALITY_COMM);
    }
    if (!m->outage)
        m->host->log(m->host->source, TG_LOG_WARN, "%s; trying again, next in %" PRId64 " ms", why, wait_ms);
    m->outage = true;
}

/* Such an adapter adds its wait to every answer that does not fill its buffer. */
static void warn_of_latency(struct tg_modbus_instance *m)
{
    const char *path = m->link_config.path;
    int ms = path && !m->latency_told ? tg_serial_latency_ms(path, "/sys/bus/usb-serial/devices") : -1;
    if (ms < SLOW_LATENCY_MS)
        return;
    m->latency_told = true;
    m->host->log(m->host->source, TG_LOG_WARN,
                 "%s waits %d ms before it hands over an answer: write 1 into its latency_timer "
                 "(/sys/bus/usb-serial/devices/…/latency_timer) and every request is that much faster",
                 path, ms);
}

int64_t tg_modbus_ensure_link(struct tg_modbus_instance *m)
{
    struct tg_error err = {0};
    if (tg_modbus_link_is_open(m->link))
        return 0;
    int64_t now = tg_modbus_now(m);
    if (m->opened_ms > 0) { /* it was open until just now */
        tg_backoff_held(&m->backoff, now - m->opened_ms);
        m->opened_ms = 0;
    }
    if (m->retry_ms > now)
        return m->retry_ms - now;
    int rc = tg_modbus_link_open(m->link, &err);
    now = tg_modbus_now(m);
    if (rc == TG_ECANCELED)
        return 1;
    if (rc < 0) {
        int64_t wait = tg_backoff_next(&m->backoff, tg_random_u32());
        wait = wait < 1 ? 1 : wait;
        m->retry_ms = now + wait;
        report_outage(m, err.text, wait);
        return wait;
    }
    /* A peer that accepts and drops is not hammered: the next opening waits, unless an answer comes in this
     * one or it lasts. */
    m->retry_ms = now + (m->backoff.attempt > 0 ? tg_backoff_next(&m->backoff, tg_random_u32()) : 0);
    m->backoff.attempt += m->backoff.attempt == 0;
    m->opened_ms = now;
    warn_of_latency(m);
    if (m->outage)
        m->host->log(m->host->source, TG_LOG_INFO, "the link is open again");
    for (uint32_t i = 0; m->outage && i < m->source->device_count; i++)
        if (m->units[i].state == TG_MODBUS_UNIT_DOWN)
            m->units[i].probe_ms = now;
    m->outage = false;
    return 0;
}

/* --- outcomes ----------------------------------------------------------------------------------- */

void tg_modbus_note_answer(struct tg_modbus_instance *m, uint32_t device, bool sync, bool refused)
{
    (void)tg_modbus_bus_answered(&m->bus, device, sync, refused, tg_modbus_now(m));
    m->backoff.attempt = 0; /* a link that carries answers may be opened again at once */
    m->retry_ms = 0;
    if (m->devices[device].reported != TG_DEVICE_OK)
        tg_modbus_report_state(m, device, TG_DEVICE_OK, "unit %u answers", m->units[device].id);
}

static enum tg_modbus_failure failure_of(enum tg_modbus_outcome outcome)
{
    switch (outcome) {
    case TG_MODBUS_GOT_EXCEPTION:
        return TG_MODBUS_TARGET_SILENT;
    case TG_MODBUS_GOT_NOTHING:
        return TG_MODBUS_SILENT;
    default:
        return TG_MODBUS_GARBLED;
    }
}

bool tg_modbus_note_failure(struct tg_modbus_instance *m, uint32_t device, const struct tg_modbus_request *r,
                            enum tg_modbus_outcome outcome, unsigned exception, uint32_t groups)
{
    struct tg_modbus_device *d = &m->devices[device];
    const struct tg_modbus_unit *u = &m->units[device];
    char what[48], why[200];
    int64_t now = tg_modbus_now(m);
    bool sent = outcome != TG_MODBUS_NOT_SENT;
    enum tg_modbus_consequence c =
        tg_modbus_bus_failed(&m->bus, device, failure_of(outcome), r->function,
                             sent ? tg_modbus_rtu_answer_bytes(r) : 0, d->timeout_ms, now, tg_random_u32());
    m->job.active = false;
    if (outcome != TG_MODBUS_GOT_EXCEPTION)
        d->counts.faults[tg_modbus_link_fault(m->link)]++;
    tg_modbus_describe(r, what, sizeof what);
    if (outcome == TG_MODBUS_GOT_EXCEPTION)
        snprintf(why, sizeof why, "unit %u, %s: the gateway says %s", u->id, what,
                 tg_modbus_exception_name(exception));
    else
        snprintf(why, sizeof why, "unit %u, %s: %s", u->id, what, tg_modbus_link_problem(m->link));
    if (c == TG_MODBUS_WENT_DOWN || c == TG_MODBUS_STAYS_DOWN)
        tg_modbus_report_state(m, device, TG_DEVICE_DOWN, "%s; probed in %" PRId64 " ms", why,
                               u->probe_ms - now);
    else
        tg_modbus_report_state(m, device, TG_DEVICE_SUSPECT, "%s; asked again", why);
    if (c == TG_MODBUS_WENT_DOWN)
        emit_all(m, device, TG_QUALITY_DOWN);
    if (c == TG_MODBUS_REPORT || c == TG_MODBUS_WENT_DOWN)
        tg_modbus_bus_served(&m->bus, device, groups, now);
    return c == TG_MODBUS_REPEAT;
}

/* --- one request ---------------------------------------------------------------------------------- */

static const uint8_t read_functions[] = {[TG_MODBUS_COIL] = TG_MODBUS_READ_COILS,
                                         [TG_MODBUS_DISCRETE] = TG_MODBUS_READ_DISCRETE,
                                         [TG_MODBUS_HOLDING] = TG_MODBUS_READ_HOLDING,
                                         [TG_MODBUS_INPUT] = TG_MODBUS_READ_INPUT};

enum tg_modbus_outcome tg_modbus_exchange(struct tg_modbus_instance *m, uint32_t device,
                                          const struct tg_modbus_request *r, struct tg_modbus_answer *ret)
{
    struct tg_modbus_counts *c = &m->devices[device].counts;
    int64_t timeout_ms = tg_modbus_bus_patience_ms(&m->bus, device, m->devices[device].timeout_ms,
                                                   tg_modbus_link_slowest_ms(m->link));
    enum tg_modbus_outcome o = tg_modbus_link_exchange(m->link, r, timeout_ms, ret);
    if (o == TG_MODBUS_NOT_SENT && tg_modbus_ensure_link(m) == 0)
        /* An idle connection that the device had closed: nothing was sent, so nothing can happen twice. */
        o = tg_modbus_link_exchange(m->link, r, timeout_ms, ret);
    tg_modbus_bus_freed(&m->bus, device, tg_modbus_now(m));
    c->requests += o != TG_MODBUS_NOT_SENT;
    c->answers += o == TG_MODBUS_GOT_ANSWER;
    c->exceptions += o == TG_MODBUS_GOT_EXCEPTION;
    if (o == TG_MODBUS_GOT_EXCEPTION)
        c->busy += ret->exception == 5 || ret->exception == 6;
    return o;
}

/* A read whose answer no outstanding answer can be taken for: another length. The points as they are first,
 * then a few registers more, at the end less. */
static struct tg_modbus_request sync_request(const struct tg_modbus_instance *m, uint32_t device)
{
    const struct tg_modbus_device *d = &m->devices[device];
    struct tg_modbus_request r = {.unit = m->units[device].id};
    for (unsigned more = 0; more < 2 * TG_MODBUS_MAX_OUTSTANDING; more++) {
        for (size_t i = 0; i < d->item_count; i++) {
            const struct tg_modbus_item *item = &d->items[i];
            bool bits = item->table == TG_MODBUS_COIL || item->table == TG_MODBUS_DISCRETE;
            /* bits share a byte: eight more make another length */
            uint32_t count = item->count + (bits ? 8u : 1u) * more;
            if (count > (bits ? d->limits.max_bits : d->limits.max_registers) ||
                item->address + count > 65536)
                continue;
            r.function = read_functions[item->table];
            r.address = item->address;
            r.count = (uint16_t)count;
            if (!tg_modbus_bus_is_outstanding(&m->bus, r.unit, r.function, tg_modbus_rtu_answer_bytes(&r)))
                return r;
        }
    }
    if (d->item_count == 0) { /* SunSpec points whose places are not known yet */
        r.function = TG_MODBUS_READ_HOLDING;
        r.address = 40000;
        r.count = 1;
        return r;
    }
    /* Everything is outstanding: the first point once more. Its answer is not used, and bus->outstanding has
     * long been renewed by answers that old. */
    r.function = read_functions[d->items[0].table];
    r.address = d->items[0].address;
    r.count = d->items[0].count;
    return r;
}

/* What was collected in the turn is thrown away or told as failed. */
void tg_modbus_turn_failed(struct tg_modbus_instance *m, uint32_t device, const struct tg_modbus_request *r,
                           enum tg_modbus_outcome outcome, unsigned exception, uint32_t groups, size_t from)
{
    struct tg_modbus_device *d = &m->devices[device];
    if (outcome == TG_MODBUS_STOPPED || outcome == TG_MODBUS_NOT_SENT) {
        m->job.active =
            false; /* not the unit's fault: it stays due; an outage of the link was told already */
        return;
    }
    enum tg_quality quality = outcome == TG_MODBUS_GOT_NOTHING || outcome == TG_MODBUS_GOT_EXCEPTION
                                  ? TG_QUALITY_TIMEOUT
                                  : TG_QUALITY_COMM;
    bool was_down = m->units[device].state == TG_MODBUS_UNIT_DOWN;
    bool repeat = tg_modbus_note_failure(m, device, r, outcome, exception, groups);
    if (repeat || was_down || m->units[device].state == TG_MODBUS_UNIT_DOWN)
        return;
    for (size_t i = from; i < d->item_count; i++)
        if (groups >> d->groups[d->items[i].tag] & 1)
            add_quality(d, d->items[i].tag, quality);
    flush_values(m, device);
}

void tg_modbus_sync_turn(struct tg_modbus_instance *m, uint32_t device)
{
    struct tg_modbus_answer a;
    struct tg_modbus_request r = sync_request(m, device);
    m->devices[device].value_count = 0; /* of a turn that is repeated */
    enum tg_modbus_outcome o = tg_modbus_exchange(m, device, &r, &a);
    bool refused = o == TG_MODBUS_GOT_EXCEPTION;
    if (o == TG_MODBUS_GOT_ANSWER || (refused && !tg_modbus_gateway_exception(a.exception))) {
        tg_modbus_note_answer(m, device, true, refused);
        return;
    }
    tg_modbus_turn_failed(m, device, &r, o, a.exception,
                          tg_poll_plan_due(&m->units[device].plan, tg_modbus_now(m)), 0);
}

/* --- reading ---------------------------------------------------------------------------------------- */

/* A device that was changed, or that refused for a while only, gets its large requests again. */
static void forget_refusals(struct tg_modbus_device *d, int64_t now)
{
    if (d->learned_ms == 0 || now - d->learned_ms < d->forget_ms)
        return;
    for (size_t i = 0; i < d->item_count; i++)
        d->items[i].fence = false;
    d->learned_ms = 0;
    d->counts.forgotten++;
}

/* Points that the device does not have. */
static void tell_hidden(struct tg_modbus_instance *m)
{
    struct tg_modbus_device *d = &m->devices[m->job.device];
    for (size_t i = d->item_count; i < d->item_count + d->hidden_count; i++) {
        uint32_t tag = d->items[i].tag;
        if (m->job.groups >> d->groups[tag] & 1 && !d->sunspec->optional[tag])
            add_quality(d, tag, TG_QUALITY_CONFIG);
    }
}

/* The turn's groups are served; how late that is. */
static void job_done(struct tg_modbus_instance *m)
{
    struct tg_modbus_counts *c = &m->devices[m->job.device].counts;
    int64_t now = tg_modbus_now(m);
    c->late_ms = now - tg_poll_plan_since_ms(&m->units[m->job.device].plan, m->job.groups);
    if (c->late_ms > c->worst_late_ms)
        c->worst_late_ms = c->late_ms;
    m->job.active = false;
    tell_hidden(m);
    tg_modbus_bus_served(&m->bus, m->job.device, m->job.groups, now);
    flush_values(m, m->job.device);
}

static void start_job(struct tg_modbus_instance *m, uint32_t device)
{
    struct tg_modbus_device *d = &m->devices[device];
    int64_t now = tg_modbus_now(m);
    uint32_t due = tg_poll_plan_due(&m->units[device].plan, now);
    forget_refusals(d, now);
    tg_modbus_sunspec_begin_turn(m, device);
    for (size_t i = 0; i < d->item_count; i++)
        d->items[i].wanted = due >> d->groups[d->items[i].tag] & 1;
    d->value_count = 0;
    m->job = (struct tg_modbus_job){.active = true, .device = device, .groups = due};
}

static void decode_span(struct tg_modbus_instance *m, struct tg_modbus_device *d,
                        const struct tg_modbus_span *span)
{
    for (size_t i = span->first; i < span->end; i++) {
        const struct tg_modbus_item *item = &d->items[i];
        if (!item->wanted)
            continue;
        struct tg_point_value *v = &d->values[d->value_count++];
        const struct tg_modbus_point *p = &d->points[item->tag];
        enum tg_modbus_reading r =
            tg_modbus_point_decode(p, &m->words[p->address - span->address], d->texts[item->tag], &v->value);
        v->point = item->tag;
        v->quality = tg_modbus_reading_quality(r);
        if (r == TG_MODBUS_READING_GOOD && p->type == TG_MODBUS_FLOAT32)
            v->value.as.real = tg_real32_shortest((float)v->value.as.real);
        tg_modbus_sunspec_scale(d, item->tag, m->words, span->address, v);
        if (!tg_modbus_sunspec_shown(d, v))
            d->value_count--;
    }
}

static enum tg_quality exception_quality(unsigned code)
{
    return code >= 1 && code <= 3 ? TG_QUALITY_CONFIG : TG_QUALITY_DEVICE;
}

/* An exception other than a gateway's: ask again later, divide the request, or tell it for its points. */
static void span_refused(struct tg_modbus_instance *m, struct tg_modbus_device *d,
                         const struct tg_modbus_span *span, unsigned exception)
{
    struct tg_modbus_job *job = &m->job;
    if ((exception == 5 || exception == 6) && tg_modbus_bus_busy(&m->bus, job->device, tg_modbus_now(m))) {
        d->value_count = 0;
        job->active = false;
        return;
    }
    if (exception == 2 || exception == 3) {
        /* 3 too: devices say so when a read is longer than they like */
        if (d->learned_ms == 0)
            d->learned_ms = tg_modbus_now(m);
        if (tg_modbus_plan_split(d->items, d->item_count, span)) {
            job->pos = span->first;
            return;
        }
    }
    for (size_t i = span->first; i < span->end; i++) {
        uint32_t tag = d->items[i].tag;
        if (!d->items[i].wanted)
            continue;
        add_quality(d, tag, exception_quality(exception));
        if (!d->complained[tag])
            m->host->log(m->host->source, TG_LOG_WARN, "device %s, point %s: exception %u %s", d->config->id,
                         d->config->points[tag].name, exception, tg_modbus_exception_name(exception));
        d->complained[tag] = true;
    }
}

static void step_job(struct tg_modbus_instance *m)
{
    struct tg_modbus_job *job = &m->job;
    struct tg_modbus_device *d = &m->devices[job->device];
    struct tg_modbus_span span;
    struct tg_modbus_answer a;
    if (tg_modbus_sunspec_step(m))
        return;
    if (!tg_modbus_plan_next(d->items, d->item_count, &d->limits, &job->pos, &span)) {
        job_done(m);
        return;
    }
    struct tg_modbus_request r = {.unit = span.unit,
                                  .function = read_functions[span.table],
                                  .address = span.address,
                                  .count = span.count};
    uint32_t device = job->device, groups = job->groups;
    enum tg_modbus_outcome o = tg_modbus_exchange(m, device, &r, &a);
    if (o == TG_MODBUS_GOT_ANSWER) {
        tg_modbus_note_answer(m, device, false, false);
        tg_modbus_answer_words(&r, &a, m->words);
        decode_span(m, d, &span);
    } else if (o == TG_MODBUS_GOT_EXCEPTION && !tg_modbus_gateway_exception(a.exception)) {
        tg_modbus_note_answer(m, device, false, true);
        span_refused(m, d, &span, a.exception);
    } else {
        tg_modbus_turn_failed(m, device, &r, o, a.exception, groups, span.first);
    }
}

/* --- poll --------------------------------------------------------------------------------------------- */

/* One slice of silence. A line on which somebody talks without end is told once: nothing can be asked on it. */
static void listen_turn(struct tg_modbus_instance *m, int64_t until_ms, int64_t now)
{
    if (m->quiet_since_ms == 0)
        m->quiet_since_ms = now;
    if (tg_modbus_link_listen(m->link, until_ms < now + LISTEN_MS ? until_ms : now + LISTEN_MS))
        tg_modbus_bus_heard(&m->bus, tg_modbus_now(m));
    if (m->noisy || now - m->quiet_since_ms < NOISE_MS + m->bus.quiet_ms)
        return;
    m->noisy = true;
    m->host->log(m->host->source, TG_LOG_WARN,
                 "the line is never silent: somebody sends what nobody asked for (noise); nothing is asked "
                 "until it ends");
    for (uint32_t i = 0; i < m->source->device_count; i++) {
        tg_modbus_report_state(m, i, TG_DEVICE_DOWN,
                               "the line is never silent (noise); unit %u is asked when it is",
                               m->units[i].id);
        emit_all(m, i, TG_QUALITY_COMM);
    }
    if (m->link_config.transport != TG_MODBUS_RTU)
        tg_modbus_link_close(m->link); /* perhaps a fresh connection is silent */
}

/* Does what is possible now; the ms until something is, 0 = at once, TG_POLL_IDLE = never. */
static int64_t step(struct tg_modbus_instance *m)
{
    int64_t now = tg_modbus_now(m);
    if (m->job.active) {
        int64_t ready = tg_modbus_bus_ready_ms(&m->bus, m->job.device);
        if (ready > now)
            return ready - now;
        step_job(m);
        return 0;
    }
    struct tg_modbus_turn t = tg_modbus_bus_next(&m->bus, now);
    if (t.kind != TG_MODBUS_TURN_LISTEN) {
        m->quiet_since_ms = 0;
        m->noisy = false;
    }
    switch (t.kind) {
    case TG_MODBUS_TURN_WAIT:
        return t.at_ms == TG_POLL_NEVER ? TG_POLL_IDLE : t.at_ms - now;
    case TG_MODBUS_TURN_LISTEN:
        listen_turn(m, t.at_ms, now);
        return 0;
    case TG_MODBUS_TURN_SYNC:
        tg_modbus_sync_turn(m, t.unit);
        return 0;
    case TG_MODBUS_TURN_READ:
        start_job(m, t.unit);
        return 0;
    }
    return 0;
}

int64_t tg_modbus_work(struct tg_modbus_instance *m)
{
    int64_t begin = tg_modbus_now(m);
    while (!tg_modbus_stopping(&m->waiter) && !m->errands) {
        int64_t wait = tg_modbus_ensure_link(m);
        if (wait == 0)
            wait = step(m);
        if (wait != 0)
            return wait;
        if (tg_modbus_now(m) - begin >= POLL_BUDGET_MS)
            break;
    }
    return 0;
}

int32_t tg_modbus_poll(void *instance, int64_t now_ms)
{
    struct tg_modbus_instance *m = TG_OBJECT(instance, struct tg_modbus_instance, TG_MODBUS_INSTANCE_MAGIC);
    (void)now_ms; /* the same clock, a moment earlier */
    if (m->waiter.fiber)
        return tg_modbus_loop_poll(m);
    int64_t wait = tg_modbus_work(m);
    return wait > INT32_MAX ? INT32_MAX : (int32_t)wait;
}
