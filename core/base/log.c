/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/clock.h"

#define LINE_MAX_BYTES  2048
#define FLOOD_LINES     20
#define FLOOD_WINDOW_MS 10000
#define FLOOD_SLOTS     64

static atomic_int min_level = TG_LOG_INFO;
static atomic_int out_format = TG_LOG_TEXT;

/* One slot per (component, format) pair, found by hash; a collision only limits a little earlier. */
static struct {
    const char *fmt;
    int64_t since_ms;
    unsigned lines, dropped;
} flood[FLOOD_SLOTS];
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

/* Returns 0 when the line is one too many; *ret_missed counts those left out before this one. */
static int admit(const char *fmt, unsigned *ret_missed)
{
    int64_t now = tg_clock_mono_ms();
    size_t i = (size_t)((uintptr_t)fmt >> 3) % FLOOD_SLOTS;
    int ok = 1;
    *ret_missed = 0;
    pthread_mutex_lock(&flood_lock);
    if (flood[i].fmt != fmt || now - flood[i].since_ms > FLOOD_WINDOW_MS) {
        if (flood[i].fmt == fmt)
            *ret_missed = flood[i].dropped;
        flood[i].fmt = fmt;
        flood[i].since_ms = now;
        flood[i].lines = flood[i].dropped = 0;
    }
    if (++flood[i].lines > FLOOD_LINES) {
        flood[i].dropped++;
        ok = 0;
    }
    pthread_mutex_unlock(&flood_lock);
    return ok;
}

static void put_escaped(struct tg_writer *w, const char *text, int json)
{
    struct tg_bytes b = tg_bytes_str(text);
    int utf8 = tg_utf8_valid(b);
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.data[i];
        if (json && (c == '"' || c == '\\'))
            tg_write_fmt(w, "\\%c", c);
        else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8))
            tg_write_fmt(w, json ? "\\u%04x" : "\\x%02x", c);
        else
            tg_write_u8(w, c);
    }
}

void tg_log_v(enum tg_log_level level, const char *component, const char *fmt, va_list ap)
{
    char message[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES], stamp[TG_CLOCK_ISO8601_BYTES];
    struct tg_writer w = tg_writer_init(line, sizeof line - 2);
    unsigned missed;
    int json = atomic_load(&out_format) == TG_LOG_JSON;

    if ((int)level > atomic_load(&min_level) || (int)level < 0 || !admit(fmt, &missed))
        return;
    vsnprintf(message, sizeof message, fmt, ap);
    tg_clock_iso8601(tg_clock_wall_ms(), stamp);
    if (json) {
        tg_write_fmt(&w, "{\"ts\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"message\":\"", stamp,
                     level_names[level], component);
        put_escaped(&w, message, 1);
        tg_write_str(&w, "\"");
        if (missed)
            tg_write_fmt(&w, ",\"similar_left_out\":%u", missed);
        tg_write_str(&w, "}");
    } else {
        tg_write_fmt(&w, "%s %-5s %s: ", stamp, level_names[level], component);
        put_escaped(&w, message, 0);
        if (missed)
            tg_write_fmt(&w, " (%u similar lines left out)", missed);
    }
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
