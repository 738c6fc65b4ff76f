/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/bytes.h"

#undef tg_error_set /* what the analyser has in their place */
#undef tg_error_wrap

static const struct {
    const char *name;
    const char *text;
    enum tg_retry retry;
} table[] = {
#define X(name, value, text, retry) [value] = {#name, text, TG_RETRY_##retry},
    TG_ERROR_TABLE(X)
#undef X
};

#define TABLE_LEN (sizeof table / sizeof table[0])

static size_t index_of(int code)
{
    /* Computed on the unsigned side: -INT_MIN would overflow. */
    size_t i = (size_t)(0u - (unsigned)code);
    return code < 0 && i < TABLE_LEN && table[i].name ? i : 0;
}

const char *tg_code_name(int code)
{
    size_t i = index_of(code);
    return code == TG_OK ? "OK" : i ? table[i].name : "?";
}

const char *tg_code_text(int code)
{
    size_t i = index_of(code);
    return code == TG_OK ? "ok" : i ? table[i].text : "unknown error";
}

enum tg_retry tg_code_retry(int code)
{
    size_t i = index_of(code);
    return i ? table[i].retry : TG_RETRY_NEVER;
}

int tg_code_from_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return TG_OK;
    case ENOMEM:
        return TG_ENOMEM;
    case ENOSPC:
    case EDQUOT:
        return TG_ENOSPACE;
    case EACCES:
    case EPERM:
        return TG_EPERM;
    case ENOENT:
        return TG_ENOTFOUND;
    case EEXIST:
        return TG_EEXISTS;
    case ETIMEDOUT:
        return TG_ETIMEOUT;
    case EAGAIN:
        return TG_EAGAIN;
    case EBUSY:
        return TG_EBUSY;
    default:
        return TG_EIO;
    }
}

/* A text that did not fit must not end in the middle of a character: a log would escape it. */
static void end_whole(char *text, size_t len)
{
    size_t at = len;
    while (at > 0 && len - at < 4 && ((unsigned char)text[at - 1] & 0xC0u) == 0x80)
        at--;
    if (at > 0 && (unsigned char)text[at - 1] >= 0xC0 &&
        !tg_utf8_valid(tg_bytes(text + at - 1, len - at + 1)))
        text[at - 1] = '\0';
}

int tg_error_set(struct tg_error *err, int code, const char *fmt, ...)
{
    va_list ap;
    if (!err)
        return code;
    err->code = code;
    va_start(ap, fmt);
    if (vsnprintf(err->text, sizeof err->text, fmt, ap) >= (int)sizeof err->text)
        end_whole(err->text, sizeof err->text - 1);
    va_end(ap);
    return code;
}

int tg_error_wrap(struct tg_error *err, const char *fmt, ...)
{
    char prefix[sizeof err->text];
    size_t len;
    va_list ap;
    if (!err)
        return TG_EINVAL;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix - 2, fmt, ap);
    va_end(ap);
    len = strlen(prefix);
    memcpy(prefix + len, ": ", 3);
    len += 2;
    if (len >= sizeof err->text)
        len = sizeof err->text - 1;
    size_t keep = strnlen(err->text, sizeof err->text - 1 - len);
    memmove(err->text + len, err->text, keep);
    err->text[len + keep] = '\0';
    memcpy(err->text, prefix, len);
    end_whole(err->text, len + keep);
    return err->code;
}

#define QUOTED_MAX_BYTES 60 /* 60 × 4 (\xNN) + two quotes + "…" + NUL = 246 ≤ TG_QUOTE_BYTES */

const char *tg_quote(char ret_text[TG_QUOTE_BYTES], const char *text, size_t len)
{
    struct tg_writer w = tg_writer_init(ret_text, TG_QUOTE_BYTES - 1);
    size_t n = len < QUOTED_MAX_BYTES ? len : QUOTED_MAX_BYTES;
    bool utf8 = tg_utf8_valid(tg_bytes(text, len));
    if (utf8 && n < len) {
        while (n > 0 && ((unsigned char)text[n] & 0xC0u) == 0x80)
            n--; /* not in the middle of a character */
    }
    tg_write_u8(&w, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8))
            tg_write_fmt(&w, "\\x%02x", c);
        else
            tg_write_u8(&w, c);
    }
    tg_write_str(&w, n < len ? "…\"" : "\"");
    ret_text[w.len] = '\0';
    return ret_text;
}
