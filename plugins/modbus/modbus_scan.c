/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/modbus/modbus_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NOTE_EVERY     32     /* units */
#define SUNSPEC_HIGH   0x5375 /* "Su" */
#define SUNSPEC_LOW    0x6E53 /* "nS" */
#define SUNSPEC_COMMON 64     /* registers: maker 16, model 16, options 8, version 8, serial number 16 */

void tg_modbus_scan_note(const struct tg_discover *request, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    request->note(request->user, text);
}

/* --- the little of a host that a link needs: a clock, and whether to stop --- */

static const struct tg_discover *request_of(struct tg_host_source *source)
{
    return (const struct tg_discover *)(const void *)source;
}

static int64_t host_now_ms(struct tg_host_source *source)
{
    struct timespec t;
    (void)source;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool host_stopping(struct tg_host_source *source)
{
    const struct tg_discover *request = request_of(source);
    return request->stopping(request->user);
}

/* --- one unit --- */

/* A damaged or missing answer: the line is left until it was silent for a whole timeout, so that nothing late is
 * taken for the next unit's. */
static void settle(struct tg_modbus_scan *s, struct tg_modbus_link *l)
{
    if (tg_modbus_link_has_ids(l))
        return;
    int64_t begin = host_now_ms(NULL), until = begin + s->timeout_ms;
    while (until > host_now_ms(NULL) && !s->request->stopping(s->request->user)) {
        if (tg_modbus_link_listen(l, until) && host_now_ms(NULL) - begin < 10 * s->timeout_ms)
            until = host_now_ms(NULL) + s->timeout_ms;
    }
}

static void pause_gap(const struct tg_modbus_link *l)
{
    int64_t gap = tg_modbus_link_gap_ms(l);
    gap = gap < 10 ? 10 : gap; /* slow devices need as much between two units */
    const struct timespec t = {0, (long)gap * 1000000L};
    (void)nanosleep(&t, NULL);
}

static enum tg_modbus_outcome read_words(struct tg_modbus_scan *s, struct tg_modbus_link *l, unsigned unit,
                                         unsigned function, unsigned address, unsigned count,
                                         uint16_t *ret_words, unsigned *ret_exception)
{
    struct tg_error err = {0};
    struct tg_modbus_answer a = {0};
    const struct tg_modbus_request r = {.unit = (uint8_t)unit,
                                        .function = (uint8_t)function,
                                        .address = (uint16_t)address,
                                        .count = (uint16_t)count};
    if (!tg_modbus_link_is_open(l) && tg_modbus_link_open(l, &err) < 0)
        return TG_MODBUS_LINK_LOST;
    pause_gap(l);
    enum tg_modbus_outcome o = tg_modbus_link_exchange(l, &r, s->timeout_ms, &a);
    if (o == TG_MODBUS_GOT_ANSWER)
        tg_modbus_answer_words(&r, &a, ret_words);
    *ret_exception = a.exception;
    if (o == TG_MODBUS_GOT_GARBAGE)
        settle(s, l);
    return o;
}

static void take_text(char ret[TG_MODBUS_IDENTITY_TEXT], const uint16_t *words, unsigned count)
{
    size_t n = 0;
    for (unsigned i = 0; i < 2 * count && n + 1 < TG_MODBUS_IDENTITY_TEXT; i++) {
        unsigned c = i % 2 ? words[i / 2] & 0xFF : words[i / 2] >> 8;
        if (c == 0)
            break;
        ret[n++] = c >= 0x20 && c < 0x7F ? (char)c : '?';
    }
    while (n > 0 && ret[n - 1] == ' ')
        n--;
    ret[n] = 0;
}

static void look_for_sunspec(struct tg_modbus_scan *s, struct tg_modbus_link *l, struct tg_modbus_found *f)
{
    static const uint16_t places[] = {40000, 50000, 0};
    uint16_t w[SUNSPEC_COMMON + 2];
    unsigned exception;
    f->sunspec = -1;
    for (size_t i = 0; i < sizeof places / sizeof *places && f->sunspec < 0; i++)
        if (read_words(s, l, f->unit, TG_MODBUS_READ_HOLDING, places[i], 2, w, &exception) ==
                TG_MODBUS_GOT_ANSWER &&
            w[0] == SUNSPEC_HIGH && w[1] == SUNSPEC_LOW)
            f->sunspec = places[i];
    if (f->sunspec < 0 || read_words(s, l, f->unit, TG_MODBUS_READ_HOLDING, (unsigned)f->sunspec + 2,
                                     SUNSPEC_COMMON + 2, w, &exception) != TG_MODBUS_GOT_ANSWER)
        return;
    if (w[0] != 1) /* the common model comes first */
        return;
    take_text(f->identity.vendor, w + 2, 16);
    take_text(f->identity.product, w + 18, 16);
    take_text(f->identity.revision, w + 42, 8);
}

static void ask_more(struct tg_modbus_scan *s, struct tg_modbus_link *l, struct tg_modbus_found *f)
{
    static const enum tg_modbus_identity_kind kinds[] = {TG_MODBUS_DEVICE_ID, TG_MODBUS_SERVER_ID};
    struct tg_error err = {0};
    uint16_t word;
    unsigned exception;
    f->input =
        read_words(s, l, f->unit, TG_MODBUS_READ_INPUT, 0, 1, &word, &exception) == TG_MODBUS_GOT_ANSWER;
    look_for_sunspec(s, l, f);
    for (size_t i = 0; i < 2 && !f->identity.product[0] && !f->identity.server_id[0]; i++) {
        if (!tg_modbus_link_is_open(l) && tg_modbus_link_open(l, &err) < 0)
            return;
        pause_gap(l);
        enum tg_modbus_outcome o = tg_modbus_link_identify(l, kinds[i], f->unit, s->timeout_ms, &f->identity);
        if (o == TG_MODBUS_GOT_GARBAGE || o == TG_MODBUS_GOT_NOTHING)
            settle(s, l);
    }
}

/* --- all of them --- */

static int scan_unit(struct tg_modbus_scan *s, struct tg_modbus_link *l, unsigned unit, struct tg_error *err)
{
    uint16_t word = 0;
    unsigned exception = 0;
    enum tg_modbus_outcome o = read_words(s, l, unit, TG_MODBUS_READ_HOLDING, 0, 1, &word, &exception);
    s->asked++;
    if (o == TG_MODBUS_LINK_LOST ||
        o == TG_MODBUS_NOT_SENT) /* closed while idle, or by an unknown unit id: once more */
        o = read_words(s, l, unit, TG_MODBUS_READ_HOLDING, 0, 1, &word, &exception);
    if (o == TG_MODBUS_LINK_LOST || o == TG_MODBUS_NOT_SENT) {
        if (tg_modbus_link_is_open(l) || tg_modbus_link_open(l, err) >= 0)
            return TG_OK; /* it hangs up on this unit only */
        return err->code;
    }
    if (o == TG_MODBUS_GOT_GARBAGE) {
        s->damaged++;
        tg_modbus_scan_note(s->request,
                            "unit %u: %s; wrong speed or parity, or two devices with this unit id?", unit,
                            tg_modbus_link_problem(l));
    }
    bool gateway = o == TG_MODBUS_GOT_EXCEPTION && (exception == 10 || exception == 11);
    if ((o != TG_MODBUS_GOT_ANSWER && o != TG_MODBUS_GOT_EXCEPTION) || gateway)
        return TG_OK;
    struct tg_modbus_found *f = &s->found[s->count++];
    *f = (struct tg_modbus_found){.unit = (uint8_t)unit, .holding = o == TG_MODBUS_GOT_ANSWER, .sunspec = -1};
    tg_modbus_scan_note(s->request, "unit %u answers", unit);
    ask_more(s, l, f);
    return TG_OK;
}

int tg_modbus_scan_run(struct tg_modbus_scan *s, struct tg_error *err)
{
    struct tg_modbus_link *l;
    const struct tg_host host = {.struct_size = (uint32_t)sizeof host,
                                 .api_version = TG_PLUGIN_API_VERSION,
                                 .source = (struct tg_host_source *)(uintptr_t)s->request,
                                 .now_ms = host_now_ms,
                                 .stopping = host_stopping};
    struct tg_modbus_waiter waiter = {.host = &host};
    if (tg_modbus_link_new(&waiter, &s->config, &l) < 0)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    int rc = tg_modbus_link_open(l, err);
    s->count = s->asked = s->damaged = 0;
    for (unsigned unit = 0; rc >= 0 && unit < TG_MODBUS_SCAN_UNITS; unit++) {
        if (!s->wanted[unit])
            continue;
        if (s->request->stopping(s->request->user))
            break;
        rc = scan_unit(s, l, unit, err);
        if (s->asked % NOTE_EVERY == 0)
            tg_modbus_scan_note(s->request, "asked up to unit %u, found %u", unit, s->count);
    }
    tg_modbus_link_free(l);
    return rc < 0 && rc != TG_ECANCELED ? rc : TG_OK;
}
