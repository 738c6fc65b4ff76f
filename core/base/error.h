/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * error - the error codes of the whole program, and an error with text for people.
 *
 * Functions return 0 or a negative TG_E… code. A peer's verdict (a CONNACK return code, a Modbus
 * exception) is data, never one of these codes. Where an error leaves the program (a log line, a
 * message on the terminal) it carries a text: `struct tg_error`, filled where the fact is known and
 * wrapped outward ("tidegate.yaml:7:12: …"). Codes are not stored in errno or thread-locals.
 *
 *     struct tg_error err = {0};
 *     if (load(path, &err) < 0)
 *         return tg_error_wrap(&err, "loading %s", path);
 */
#ifndef TG_BASE_ERROR_H
#define TG_BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#define TG_CHECKED           __attribute__((warn_unused_result))
#define TG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* What the caller may do about an error: try again at once, after a back-off, or never. */
enum tg_retry { TG_RETRY_NOW, TG_RETRY_BACKOFF, TG_RETRY_NEVER };

/* X(name, value, text, retry class). Values are stable: they appear in logs and in --json output. */
#define TG_ERROR_TABLE(X)                                                                                    \
    X(INVAL, 1, "invalid value", NEVER)                                                                      \
    X(NOMEM, 2, "out of memory", BACKOFF)                                                                    \
    X(FULL, 3, "queue or buffer is full", BACKOFF)                                                           \
    X(RANGE, 4, "value out of range", NEVER)                                                                 \
    X(TOOBIG, 5, "larger than its limit", NEVER)                                                             \
    X(PROTO, 6, "peer broke the protocol", BACKOFF)                                                          \
    X(EOF, 7, "connection closed by the peer", BACKOFF)                                                      \
    X(TIMEOUT, 8, "timed out", BACKOFF)                                                                      \
    X(AGAIN, 9, "not yet, call again", NOW)                                                                  \
    X(BUSY, 10, "busy", BACKOFF)                                                                             \
    X(STATE, 11, "not possible in this state", NEVER)                                                        \
    X(NOTFOUND, 12, "not found", NEVER)                                                                      \
    X(EXISTS, 13, "already exists", NEVER)                                                                   \
    X(IO, 14, "input/output error", BACKOFF)                                                                 \
    X(NOSPACE, 15, "no space left on the device", BACKOFF)                                                   \
    X(CORRUPT, 16, "stored data is corrupt", NEVER)                                                          \
    X(VERSION, 17, "version is not supported", NEVER)                                                        \
    X(PERM, 18, "permissions are wrong", NEVER)                                                              \
    X(CONNECT, 19, "cannot connect", BACKOFF)                                                                \
    X(DNS, 20, "name cannot be resolved", BACKOFF)                                                           \
    X(TLS, 21, "TLS failed", BACKOFF)                                                                        \
    X(CERT, 22, "certificate was refused", BACKOFF)                                                          \
    X(AUTH, 23, "credential was refused", BACKOFF)                                                           \
    X(CANCELED, 24, "canceled", NEVER)                                                                       \
    X(UNSUPPORTED, 25, "not supported", NEVER)                                                               \
    X(CLOCK, 26, "clock is not trusted", BACKOFF)                                                            \
    X(DEVICE, 27, "device refused", NEVER)                                                                   \
    X(UNKNOWN, 28, "outcome unknown", BACKOFF)

enum tg_code {
    TG_OK = 0,
#define X(name, value, text, retry) TG_E##name = -(value),
    TG_ERROR_TABLE(X)
#undef X
};

/* "TIMEOUT" for TG_ETIMEDOUT's code; "?" for a number that is not in the table. Static storage. */
const char *tg_code_name(int code);
/* "timed out"; static storage. */
const char *tg_code_text(int code);
enum tg_retry tg_code_retry(int code);
/* The code for a (positive) errno value: ENOSPC → TG_ENOSPACE, ENOMEM → TG_ENOMEM, else TG_EIO. */
int tg_code_from_errno(int errnum);

/* An error with its text. Zero-initialise; owned by the caller; truncates at its size, never fails. */
struct tg_error {
    int code;
    char text[360];
};

/* Sets code and text; returns code, so that `return tg_error_set(…)` reads well. err may be NULL. */
int tg_error_set(struct tg_error *err, int code, const char *fmt, ...) TG_PRINTF(3, 4);
/* Puts "context: " before the text; returns the code it holds. err may be NULL (returns TG_EINVAL). */
int tg_error_wrap(struct tg_error *err, const char *fmt, ...) TG_PRINTF(2, 3);

/* Foreign text for use inside a message: in double quotes, at most 60 bytes of it (then "…"), control characters
 * and, where it is not UTF-8, all bytes above 0x7E as \xNN. Returns ret_text. `text` may be NULL when len is 0. */
#define TG_QUOTE_BYTES 256
const char *tg_quote(char ret_text[TG_QUOTE_BYTES], const char *text, size_t len);

#ifdef __clang_analyzer__
/* clang's analyser looks at one file at a time; it is told here that what these return is never TG_OK. */
#define tg_error_set(err, code, ...)                                                                         \
    ({                                                                                                       \
        int tg_code = (code);                                                                                \
        tg_error_set((err), tg_code, __VA_ARGS__);                                                           \
        tg_code < 0 ? tg_code : (int)TG_EINVAL;                                                              \
    })
#define tg_error_wrap(err, ...) (tg_error_wrap((err), __VA_ARGS__), (int)TG_EINVAL)
#endif

#endif
