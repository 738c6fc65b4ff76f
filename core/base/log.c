/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/plural.h"

#define LINE_MAX_BYTES  2048
#define FLOOD_LINES     20
#define FLOOD_WINDOW_MS 10000
#define FLOOD_SLOTS     64
#define FLOOD_PROBES    4
/* Kept free behind an escaped message: "…" 3, the quote and brace 2, two counts with their words 2 × 40. */
#define TAIL_BYTES 96

static atomic_int min_level = TG_LOG_INFO;
static atomic_int out_format = TG_LOG_TEXT;

/* One slot per (component, format) pair, in one of FLOOD_PROBES places from its hash on. A pair that finds
 * all of them taken puts out the one that was quiet longest; lines that this one had left out are counted in
 * `forgotten`. */
static struct {
    const char *fmt; /* compared, never read: a plugin's may be gone */
    uint32_t component;
    int64_t since_ms;
    unsigned lines, dropped;
} flood[FLOOD_SLOTS];
static unsigned forgotten;
static pthread_mutex_t flood_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void tg_log_configure(enum tg_log_level level, enum tg_log_format format)
{
    atomic_store(&min_level, (int)level);
    atomic_store(&out_format, (int)format);
}

enum tg_log_level tg_log_level(void)
{
    return (enum tg_log_level)atomic_load(&min_level);
}

static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 16777619u;
    return h;
}

/* Lines left out before one that is printed. */
struct missed {
    unsigned similar, other;
};

/* Returns 0 when the line is one too many. */
static int admit(const char *component, const char *fmt, struct missed *ret_missed)
{
    int64_t now = tg_clock_mono_ms();
    uint32_t name = hash(component);
    size_t first = ((size_t)((uintptr_t)fmt >> 3) ^ name) % FLOOD_SLOTS, i = first;
    int ok = 1;
    *ret_missed = (struct missed){0, 0};
    pthread_mutex_lock(&flood_lock);
    for (size_t probe = 0; probe < FLOOD_PROBES; probe++) {
        size_t at = (first + probe) % FLOOD_SLOTS;
        if (!flood[at].fmt || (flood[at].fmt == fmt && flood[at].component == name)) {
            i = at;
            break;
        }
        if (flood[at].since_ms < flood[i].since_ms)
            i = at;
    }
    if (flood[i].fmt != fmt || flood[i].component != name || now - flood[i].since_ms > FLOOD_WINDOW_MS) {
        if (flood[i].fmt == fmt && flood[i].component == name)
            ret_missed->similar = flood[i].dropped;
        else
            forgotten += flood[i].dropped;
        flood[i].fmt = fmt;
        flood[i].component = name;
        flood[i].since_ms = now;
        flood[i].lines = flood[i].dropped = 0;
    }
    if (++flood[i].lines > FLOOD_LINES) {
        flood[i].dropped++;
        ok = 0;
    } else {
        ret_missed->other = forgotten;
        forgotten = 0;
    }
    pthread_mutex_unlock(&flood_lock);
    return ok;
}

/* One character at a time: a single bad byte, or a text cut in the middle of a character, spoils nothing
 * else. Always leaves TAIL_BYTES free, so that a JSON line is whole however long its message becomes. */
static void put_escaped(struct tg_writer *w, const char *text, int json)
{
    struct tg_bytes b = tg_bytes_str(text);
    for (size_t i = 0; i < b.len;) {
        uint8_t c = b.data[i];
        size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (w->cap - w->len < TAIL_BYTES + 6) { /* 6: the longest a character becomes, \u001b */
            tg_write_str(w, "…");
            return;
        }
        if (n > b.len - i || !tg_utf8_valid(tg_bytes(b.data + i, n)) || c < 0x20 || c == 0x7F) {
            tg_write_fmt(w, json ? "\\u%04x" : "\\x%02x", c);
            i++;
        } else if (c == 0xC2 && b.data[i + 1] < 0xA0) { /* U+0080 … U+009F: control characters too */
            tg_write_fmt(w, json ? "\\u%04x" : "\\x%02x", b.data[i + 1]);
            i += 2;
        } else if (json && (c == '"' || c == '\\')) {
            tg_write_fmt(w, "\\%c", c);
            i++;
        } else {
            tg_write_bytes(w, tg_bytes(b.data + i, n));
            i += n;
        }
    }
}

static void put_missed(struct tg_writer *w, const char *which, uint32_t lines, int json)
{
    if (lines && json)
        tg_write_fmt(w, ",\"%s_left_out\":%u", which, lines);
    else if (lines)
        tg_write_fmt(w, " (%u %s %s left out)", lines, which, tg_plural(lines, "line", "lines"));
}

void tg_log_v(enum tg_log_level level, const char *component, const char *fmt, va_list ap)
{
    char message[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES], stamp[TG_CLOCK_ISO8601_BYTES];
    struct tg_writer w = tg_writer_init(line, sizeof line - 2);
    struct missed missed;
    int len;
    int json = atomic_load(&out_format) == TG_LOG_JSON;

    if ((int)level > atomic_load(&min_level) || (int)level < 0 || !admit(component, fmt, &missed))
        return;
    len = vsnprintf(message, sizeof message, fmt, ap);
    tg_clock_iso8601(tg_clock_wall_ms(), stamp);
    tg_write_fmt(&w, json ? "{\"ts\":\"%s\",\"level\":\"%s\",\"component\":\"" : "%s %-5s ", stamp,
                 level_names[level]);
    put_escaped(&w, component, json);
    tg_write_str(&w, json ? "\",\"message\":\"" : ": ");
    put_escaped(&w, message, json);
    if (len >= (int)sizeof message && w.cap - w.len >= TAIL_BYTES)
        tg_write_str(&w, "…");
    if (json)
        tg_write_str(&w, "\"");
    put_missed(&w, "similar", missed.similar, json);
    put_missed(&w, "other", missed.other, json);
    if (json)
        tg_write_str(&w, "}");
    line[w.len] = '\n'; /* two bytes were kept back for the line end */
    /* One write a line, so that lines of several threads never mix. Nobody is left to tell if it fails. */
    ssize_t written = write(STDERR_FILENO, line, w.len + 1);
    (void)written;
}

void tg_log(enum tg_log_level level, const char *component, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tg_log_v(level, component, fmt, ap);
    va_end(ap);
}
