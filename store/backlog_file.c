/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/backlog_file.h"

static const char *const words[] = {"tidegate-backlog", "device", "cloud", "ahead", "row", "end"};
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define WORDS (sizeof words / sizeof words[0])

/* --- reading ------------------------------------------------------------------------------------- */

struct scan {
    const uint8_t *at, *end;
    const char *why; /* the first thing that was wrong */
};

static void wrong(struct scan *s, const char *why)
{
    if (!s->why)
        s->why = why;
    s->at = s->end;
}

static void expect(struct scan *s, char c, const char *why)
{
    if (s->at < s->end && *s->at == (uint8_t)c)
        s->at++;
    else
        wrong(s, why);
}

static struct tg_bytes take_text(struct scan *s, size_t max)
{
    const uint8_t *from;
    expect(s, '"', "a text is expected");
    from = s->at;
    while (s->at < s->end && *s->at != '"' && *s->at >= 0x20 && *s->at <= 0x7e && *s->at != '\\')
        s->at++;
    struct tg_bytes text = tg_bytes(from, (size_t)(s->at - from));
    if (text.len > max)
        wrong(s, "a text is too long");
    expect(s, '"', "a text does not end, or has a character that it cannot have");
    return text;
}

/* Digits without a leading zero, up to `max`. */
static uint64_t take_number(struct scan *s, uint64_t max)
{
    const uint8_t *from = s->at;
    uint64_t n = 0;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        unsigned digit = (unsigned)(*s->at - '0');
        if (n > (max - digit) / 10 || digit > max) {
            wrong(s, "a number is too large");
            return 0;
        }
        n = n * 10 + digit;
        s->at++;
    }
    if (s->at == from || (*from == '0' && s->at - from > 1))
        wrong(s, "a number is expected");
    return n;
}

static uint64_t next_number(struct scan *s, uint64_t max)
{
    expect(s, ',', "there are too few numbers");
    return take_number(s, max);
}

static int64_t next_time(struct scan *s)
{
    bool minus;
    expect(s, ',', "there is no time");
    minus = s->at < s->end && *s->at == '-';
    s->at += minus;
    int64_t ms = (int64_t)take_number(s, INT64_MAX);
    if (minus && ms == 0)
        wrong(s, "a number is expected");
    return minus ? -ms : ms;
}

static struct tg_gap next_gap(struct scan *s)
{
    struct tg_gap gap = {0};
    expect(s, ',', "there is no gap");
    expect(s, '[', "a gap is four numbers in brackets");
    gap.first_seq = take_number(s, INT64_MAX);
    gap.last_seq = next_number(s, INT64_MAX);
    gap.count = next_number(s, INT64_MAX);
    gap.reasons = (uint32_t)next_number(s, TG_GAP_ALL);
    expect(s, ']', "a gap is four numbers in brackets");
    if (gap.reasons ? gap.last_seq < gap.first_seq : gap.first_seq || gap.last_seq || gap.count)
        wrong(s, "a gap contradicts itself");
    return gap;
}

/* The value of a base64 digit; 64: it is none. */
static unsigned digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - (unsigned)'A';
    if (c >= 'a' && c <= 'z')
        return c - (unsigned)'a' + 26;
    if (c >= '0' && c <= '9')
        return c - (unsigned)'0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Padded, and with no bit set in what is cut off: the same body has one text only. */
static struct tg_bytes decode(struct scan *s, struct tg_bytes text, uint8_t *memory)
{
    size_t len = 0, digits = text.len;
    uint32_t bits = 0;
    while (digits > 0 && text.len - digits < 2 && text.data[digits - 1] == '=')
        digits--;
    if (text.len % 4 != 0 || text.len / 4 * 3 - (text.len - digits) > TG_SAMPLE_MAX_BYTES) {
        wrong(s, "a body is no base64, or too long");
        return tg_bytes(NULL, 0);
    }
    for (size_t i = 0; i < digits; i++) {
        unsigned digit = digit_of(text.data[i]);
        if (digit == 64)
            wrong(s, "a body is no base64");
        bits = (bits << 6 | (digit & 63)) & 0xffffff;
        if (i % 4 != 0)
            memory[len++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    if ((digits % 4 == 2 && (bits & 15)) || (digits % 4 == 3 && (bits & 3)))
        wrong(s, "a body is no base64");
    return tg_bytes(memory, len);
}

static void take_cloud(struct scan *s, struct tg_backlog_line *l)
{
    l->index = (uint32_t)next_number(s, UINT32_MAX);
    expect(s, ',', "there is no name");
    l->text = take_text(s, TG_BACKLOG_TEXT_MAX);
    l->seq = next_number(s, INT64_MAX);
    l->gap = next_gap(s);
    l->tell_seq = next_number(s, INT64_MAX);
    l->tell = next_gap(s);
    if ((l->tell_seq > 0) != tg_gap_is(&l->tell))
        wrong(s, "a gap record tells nothing");
}

static void take_row(struct scan *s, uint8_t *memory, struct tg_backlog_line *l)
{
    l->index = (uint32_t)next_number(s, UINT32_MAX);
    l->seq = next_number(s, INT64_MAX);
    l->time_ms = next_time(s);
    l->urgent = next_number(s, 1) == 1;
    expect(s, ',', "there is no body");
    l->body = decode(s, take_text(s, TG_BACKLOG_LINE_MAX), memory);
    if (l->seq == 0)
        wrong(s, "samples are numbered from 1");
}

static void take_members(struct scan *s, uint8_t *memory, struct tg_backlog_line *l)
{
    switch (l->kind) {
    case TG_BACKLOG_HEAD:
        l->version = (uint32_t)next_number(s, UINT32_MAX);
        if (l->version != TG_BACKLOG_VERSION) /* the rest of it may be anything */
            return;
        expect(s, ',', "there is no name");
        l->text = take_text(s, TG_BACKLOG_TEXT_MAX);
        l->time_ms = next_time(s);
        break;
    case TG_BACKLOG_DEVICE:
        expect(s, ',', "there is no name");
        l->text = take_text(s, TG_BACKLOG_TEXT_MAX);
        l->seq = next_number(s, INT64_MAX);
        break;
    case TG_BACKLOG_CLOUD:
        take_cloud(s, l);
        break;
    case TG_BACKLOG_AHEAD:
        l->index = (uint32_t)next_number(s, UINT32_MAX);
        l->first = next_number(s, INT64_MAX);
        l->last = next_number(s, INT64_MAX);
        if (l->first == 0 || l->last < l->first)
            wrong(s, "a run of numbers contradicts itself");
        break;
    case TG_BACKLOG_ROW:
        take_row(s, memory, l);
        break;
    case TG_BACKLOG_END:
        l->seq = next_number(s, INT64_MAX);
        expect(s, ',', "there is no check sum");
        l->text = take_text(s, TG_BACKLOG_DIGEST_SIZE);
        if (l->text.len != TG_BACKLOG_DIGEST_SIZE)
            wrong(s, "the check sum is too short");
        break;
    }
}

int tg_backlog_parse(struct tg_bytes line, uint8_t *memory, struct tg_backlog_line *ret_line,
                     const char **ret_why)
{
    struct scan s = {line.data, line.data + line.len, NULL};
    struct tg_backlog_line l = {0};
    struct tg_bytes word;
    size_t kind = 0;
    *ret_why = "";
    if (line.len > TG_BACKLOG_LINE_MAX)
        wrong(&s, "the line is too long");
    expect(&s, '[', "the line is no array");
    word = take_text(&s, TG_BACKLOG_TEXT_MAX);
    while (kind < WORDS && !tg_bytes_eq_str(word, words[kind]))
        kind++;
    if (kind == WORDS) {
        wrong(&s, "the line begins with an unknown word");
    } else {
        l.kind = (enum tg_backlog_kind)kind;
        take_members(&s, memory, &l);
    }
    if (l.kind == TG_BACKLOG_HEAD && !s.why && l.version > TG_BACKLOG_VERSION)
        return TG_EVERSION;
    if (l.kind == TG_BACKLOG_HEAD && l.version != TG_BACKLOG_VERSION)
        wrong(&s, "there is no such version");
    expect(&s, ']', "the line does not end where it should");
    if (s.at < s.end)
        wrong(&s, "something follows the array");
    if (s.why) {
        *ret_why = s.why;
        return TG_ECORRUPT;
    }
    *ret_line = l;
    return TG_OK;
}

/* --- writing ------------------------------------------------------------------------------------- */

static void write_text(struct tg_writer *w, struct tg_bytes text)
{
    tg_write_str(w, ",\"");
    for (size_t i = 0; i < text.len && i < TG_BACKLOG_TEXT_MAX; i++) {
        uint8_t c = text.data[i];
        tg_write_u8(w, c < 0x20 || c > 0x7e || c == '"' || c == '\\' ? '_' : c);
    }
    tg_write_u8(w, '"');
}

static void write_number(struct tg_writer *w, uint64_t n)
{
    tg_write_u8(w, ',');
    tg_write_u64_dec(w, n);
}

static void write_time(struct tg_writer *w, int64_t ms)
{
    tg_write_u8(w, ',');
    tg_write_i64_dec(w, ms);
}

static void write_gap(struct tg_writer *w, const struct tg_gap *gap)
{
    tg_write_str(w, ",[");
    tg_write_u64_dec(w, gap->first_seq);
    write_number(w, gap->last_seq);
    write_number(w, gap->count);
    write_number(w, gap->reasons);
    tg_write_u8(w, ']');
}

static void write_body(struct tg_writer *w, struct tg_bytes body)
{
    tg_write_str(w, ",\"");
    for (size_t i = 0; i < body.len; i += 3) {
        size_t n = body.len - i < 3 ? body.len - i : 3;
        uint32_t bits = (uint32_t)body.data[i] << 16 | (n > 1 ? (uint32_t)body.data[i + 1] << 8 : 0) |
                        (n > 2 ? body.data[i + 2] : 0u);
        for (size_t k = 0; k < 4; k++)
            tg_write_u8(w, k <= n ? (uint8_t)letters[bits >> (18 - 6 * k) & 63] : '=');
    }
    tg_write_u8(w, '"');
}

void tg_backlog_write(struct tg_writer *w, const struct tg_backlog_line *l)
{
    tg_write_str(w, "[\"");
    tg_write_str(w, words[l->kind]);
    tg_write_u8(w, '"');
    switch (l->kind) {
    case TG_BACKLOG_HEAD:
        write_number(w, TG_BACKLOG_VERSION);
        write_text(w, l->text);
        write_time(w, l->time_ms);
        break;
    case TG_BACKLOG_DEVICE:
        write_text(w, l->text);
        write_number(w, l->seq);
        break;
    case TG_BACKLOG_CLOUD:
        write_number(w, l->index);
        write_text(w, l->text);
        write_number(w, l->seq);
        write_gap(w, &l->gap);
        write_number(w, l->tell_seq);
        write_gap(w, &l->tell);
        break;
    case TG_BACKLOG_AHEAD:
        write_number(w, l->index);
        write_number(w, l->first);
        write_number(w, l->last);
        break;
    case TG_BACKLOG_ROW:
        write_number(w, l->index);
        write_number(w, l->seq);
        write_time(w, l->time_ms);
        write_number(w, l->urgent);
        write_body(w, l->body);
        break;
    case TG_BACKLOG_END:
        write_number(w, l->seq);
        write_text(w, l->text);
        break;
    }
    tg_write_str(w, "]\n");
}
