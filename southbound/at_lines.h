/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_lines - the bytes of an AT device cut into lines, prompts and announced payload. Pure.
 *
 * WHAT IT KNOWS
 *   A line ends with CR, LF, CRLF or CRCRLF; it is given on the first of these bytes, so a device that sends
 *   CR alone is not slower. Empty lines and lines of blanks are not given.
 *   A quoted string may hold line ends (`+NAME: "a<CR><LF>OK"`): they do not cut the line. A quote opens only
 *   where a string can begin (line start, after `: , = (`, blank or a quote), so `5" pipe` opens none. A
 * quote that is never closed holds its line back; the caller sees tg_at_lines_held() and, when the device has
 *   been quiet for a while, calls tg_at_lines_release(): the text is cut again, quotes ignored.
 *   Leading control bytes (NUL at power-up) and malformed UTF-8 (0xFF of a floating wire) are dropped; in
 *   the middle of a line every byte is kept, so that a damaged value does not look like a sound one.
 *   Announced payload is raw: n bytes behind a line's end, inside a quoted string, or as a block (01, u16). What follows must be the
 *   line's end, or the closing quote: else the announcement lied (item LIE).
 *   A prompt (`> `) has no line end: it is only looked for while tg_at_lines_expect() names it.
 *   Payload: after tg_at_lines_payload(n) the next n bytes behind the line's end are given as they are.
 *
 * BOUNDS
 *   The struct is all the memory there is. A line longer than TG_AT_LINE_MAX_BYTES is dropped to its end and
 *   given as one TG_AT_ITEM_OVERLONG; a held quote that fills the line is released by itself.
 *
 *     struct tg_at_item item;
 *     while (left.len > 0 || tg_at_lines_more(&l)) {
 *         size_t n = tg_at_lines_input(&l, left, &item);
 *         left = tg_at_rest(left, n);
 *         if (item.kind == TG_AT_ITEM_LINE) …
 *     }
 */
#ifndef TG_SOUTHBOUND_AT_LINES_H
#define TG_SOUTHBOUND_AT_LINES_H

#include "core/base/bytes.h"

#define TG_AT_LINE_MAX_BYTES 2048 /* an answer to AT+COPS=? with 20 operators is about 1 KiB */

enum tg_at_item_kind {
    TG_AT_ITEM_NONE = 0, /* all input consumed, nothing complete */
    TG_AT_ITEM_LINE,     /* bytes = the line without its end, never empty */
    TG_AT_ITEM_PROMPT,   /* the expected prompt; expectation is over */
    TG_AT_ITEM_PAYLOAD,  /* bytes = the next part of the payload */
    TG_AT_ITEM_OVERLONG, /* a line was dropped */
    TG_AT_ITEM_LIE /* what follows a payload shows that its announced length was wrong, or a block belongs to no line */
};

/* How a line tells how many raw bytes come. `prefix` NULL = it does not. */
struct tg_at_announce {
    const char *prefix; /* how that line begins: "+USORD:"; borrowed */
    uint32_t field;     /* which of the fields behind it, divided by commas, is the length; 0 = the first */
    bool
        quoted; /* the bytes begin behind the quote of the field that follows: +USORD: 0,5,"…"; else behind the line's end */
};
#define TG_AT_NOT_ANNOUNCED SIZE_MAX
/* The number that `line` announces, 0 … TG_AT_ANNOUNCED_MAX; TG_AT_NOT_ANNOUNCED when it announces none. */
#define TG_AT_ANNOUNCED_MAX 10000000u
size_t tg_at_announced(const struct tg_at_announce *a, struct tg_bytes line);

struct tg_at_item {
    enum tg_at_item_kind kind;
    struct tg_bytes bytes; /* valid until the next call; PAYLOAD: a view into the input */
};

struct tg_at_lines {
    uint8_t line[TG_AT_LINE_MAX_BYTES];
    size_t len;        /* bytes of the unfinished line */
    size_t replay_len; /* > 0: line[replay_pos, replay_len) is to be cut again, quotes ignored */
    size_t replay_pos;
    size_t payload_left;
    const char *prompt; /* borrowed; NULL = none expected */
    struct tg_at_announce announce;
    uint8_t block_head[2];
    uint8_t block_left; /* bytes of block_head still to come */
    uint8_t
        after_payload; /* what must follow the payload: '"', or CR for a line end; 0 = no payload has just ended */
    bool blocks;       /* 01 and a big-endian u16 begin a block of raw bytes */
    bool quoted;       /* a string is open */
    bool held;         /* … and a line end was seen inside it */
    bool ignore_quotes;      /* until the end of this line */
    bool dropping;           /* the line is too long */
    bool ended_by_cr;        /* the last byte was a CR that ended a line */
    bool sends_crlf;         /* seen: CR and LF together */
    bool sends_cr;           /* seen: a line that ended with CR alone */
    bool skip_lf;            /* an LF directly ahead belongs to the line before payload or data */
    bool after_prompt;       /* blanks ahead belong to the prompt */
    uint64_t garbage_bytes;  /* dropped at line starts */
    uint64_t overlong_lines; /* dropped */
    uint64_t lies;           /* payloads whose announced length was wrong */
};

/* The view without its first n bytes (n ≤ len); fine for the empty view of NULL. */
static inline struct tg_bytes tg_at_rest(struct tg_bytes b, size_t n)
{
    return n > 0 ? tg_bytes(b.data + n, b.len - n) : b;
}

void tg_at_lines_init(struct tg_at_lines *l);
/* Forgets the unfinished line, payload and prompt; counters and the learnt line end stay. */
void tg_at_lines_reset(struct tg_at_lines *l);

/* Consumes input up to and including the end of the next item; returns the number of bytes consumed. */
size_t tg_at_lines_input(struct tg_at_lines *l, struct tg_bytes in, struct tg_at_item *ret_item);
/* More items may come without more input (after a release). */
bool tg_at_lines_more(const struct tg_at_lines *l);

/* Expects a prompt at the start of a line; `prompt` is borrowed until it came or NULL is set. */
void tg_at_lines_expect(struct tg_at_lines *l, const char *prompt);
/* Call when a LINE was just given: n raw bytes follow its end. */
void tg_at_lines_payload(struct tg_at_lines *l, size_t n);
/* From now on a line that fits `a` (of the quoted kind) brings payload inside it: first the PAYLOAD is given, then the line without
 * it. NULL = no more. Copied; a->prefix is borrowed. */
void tg_at_lines_announce(struct tg_at_lines *l, const struct tg_at_announce *a);
/* Whether the byte 01 outside of strings begins a block: 01, its length as big-endian u16, raw bytes (u-connectXpress, second
 * generation). The text ahead of it is given as a LINE, then the PAYLOAD; without text ahead it belongs to nothing (LIE). */
void tg_at_lines_blocks(struct tg_at_lines *l, bool on);
/* Call when a LINE was just given and what follows is not AT text: consumes what is left of its end from
 * `in` (0 or 1 bytes). Call again with the next input when `in` was empty. */
size_t tg_at_lines_skip_end(struct tg_at_lines *l, struct tg_bytes in);

/* An unfinished line is in the buffer. */
bool tg_at_lines_partial(const struct tg_at_lines *l);
/* An open quote holds a line end back. */
bool tg_at_lines_held(const struct tg_at_lines *l);
/* Cuts what is held again, quotes ignored; the lines come from the next tg_at_lines_input(). */
void tg_at_lines_release(struct tg_at_lines *l);

#endif
