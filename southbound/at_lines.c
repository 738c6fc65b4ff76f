/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/at_lines.h"

#include "core/base/assert.h"

void tg_at_lines_init(struct tg_at_lines *l)
{
    memset(l, 0, sizeof *l);
}

static void next_line(struct tg_at_lines *l)
{
    l->len = 0;
    l->quoted = l->held = l->ignore_quotes = l->dropping = false;
}

void tg_at_lines_reset(struct tg_at_lines *l)
{
    next_line(l);
    l->replay_len = l->replay_pos = 0;
    l->payload_left = 0;
    l->block_left = l->after_payload = 0;
    l->announce.prefix = NULL;
    l->prompt = NULL;
    l->ended_by_cr = l->skip_lf = l->after_prompt = false;
}

bool tg_at_lines_more(const struct tg_at_lines *l)
{
    return l->replay_len > 0;
}

bool tg_at_lines_partial(const struct tg_at_lines *l)
{
    return l->len > 0 || l->replay_len > 0 || l->dropping || l->payload_left > 0 || l->block_left > 0;
}

bool tg_at_lines_held(const struct tg_at_lines *l)
{
    return l->held;
}

void tg_at_lines_expect(struct tg_at_lines *l, const char *prompt)
{
    l->prompt = prompt;
}

/* The line just given ended with CR: an LF ahead belongs to it, unless this device sends CR alone. */
static bool lf_may_follow(const struct tg_at_lines *l)
{
    return l->ended_by_cr && (l->sends_crlf || !l->sends_cr);
}

void tg_at_lines_payload(struct tg_at_lines *l, size_t n)
{
    l->payload_left = n;
    l->after_payload = n > 0 ? '\r' : 0;
    l->skip_lf = n > 0 && lf_may_follow(l);
}

void tg_at_lines_announce(struct tg_at_lines *l, const struct tg_at_announce *a)
{
    l->announce = a && a->quoted ? *a : (struct tg_at_announce){0};
}

void tg_at_lines_blocks(struct tg_at_lines *l, bool on)
{
    l->blocks = on;
}

size_t tg_at_announced(const struct tg_at_announce *a, struct tg_bytes line)
{
    size_t i, n = 0, digits = 0;
    if (!a->prefix || !tg_bytes_starts(line, a->prefix))
        return TG_AT_NOT_ANNOUNCED;
    i = strlen(a->prefix);
    for (uint32_t field = 0; field < a->field; i++) {
        if (i == line.len)
            return TG_AT_NOT_ANNOUNCED;
        field += line.data[i] == ',';
    }
    while (i < line.len && line.data[i] == ' ')
        i++;
    for (; i < line.len && line.data[i] >= '0' && line.data[i] <= '9'; i++, digits++) {
        n = n * 10 + (size_t)(line.data[i] - '0');
        if (n > TG_AT_ANNOUNCED_MAX)
            return TG_AT_NOT_ANNOUNCED;
    }
    if (digits == 0 || (i < line.len && line.data[i] != ',' && line.data[i] != ' '))
        return TG_AT_NOT_ANNOUNCED;
    if (a->quoted && (line.len - i != 2 || line.data[i] != ',' || line.data[i + 1] != '"'))
        return TG_AT_NOT_ANNOUNCED;
    return n;
}

size_t tg_at_lines_skip_end(struct tg_at_lines *l, struct tg_bytes in)
{
    bool skip = l->skip_lf || lf_may_follow(l);
    if (in.len == 0) {
        l->skip_lf = skip;
        return 0;
    }
    l->skip_lf = l->ended_by_cr = false;
    return skip && in.data[0] == '\n' ? 1 : 0;
}

void tg_at_lines_release(struct tg_at_lines *l)
{
    if (!l->held)
        return;
    l->replay_len = l->len;
    l->replay_pos = 0;
    next_line(l);
}

/* Bytes at the start of a line that are no text: control bytes, and what is not well-formed UTF-8. */
static size_t garbage_ahead(struct tg_bytes line)
{
    size_t i = 0;
    while (i < line.len) {
        uint8_t c = line.data[i];
        size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (c >= 0x20 && c != 0x7F && i + n <= line.len && tg_utf8_valid(tg_bytes(line.data + i, n)))
            break;
        i++;
    }
    return i;
}

/* Makes a LINE item of `line` unless it is empty, blank or all garbage. */
static bool give_line(struct tg_at_lines *l, struct tg_bytes line, struct tg_at_item *item)
{
    size_t skip = garbage_ahead(line), blank = skip;
    l->garbage_bytes += skip;
    while (blank < line.len && line.data[blank] == ' ')
        blank++;
    if (blank == line.len)
        return false;
    item->kind = TG_AT_ITEM_LINE;
    item->bytes = tg_at_rest(line, skip);
    return true;
}

/* Gives the next line of the text that is cut again. Its last line may be unfinished: it goes to the front of
 * the buffer and continues with the input. */
static void replay(struct tg_at_lines *l, struct tg_at_item *item)
{
    while (l->replay_pos < l->replay_len) {
        size_t start = l->replay_pos, end = start;
        while (end < l->replay_len && l->line[end] != '\r' && l->line[end] != '\n')
            end++;
        if (end == l->replay_len) {
            memmove(l->line, l->line + start, end - start);
            l->len = end - start;
            l->ignore_quotes = true;
            break;
        }
        l->replay_pos = end + 1;
        l->ended_by_cr = l->line[end] == '\r';
        if (give_line(l, tg_bytes(l->line + start, end - start), item))
            return;
    }
    l->replay_len = l->replay_pos = 0;
}

static bool string_may_begin(const struct tg_at_lines *l)
{
    return l->len == 0 || memchr(":,=( \"", l->line[l->len - 1], 6) != NULL;
}

/* CR or LF. True when it completed an item. */
static bool line_end(struct tg_at_lines *l, uint8_t c, struct tg_at_item *item)
{
    bool given = false;
    if (l->ended_by_cr && l->len == 0 && c == '\n')
        l->sends_crlf = true;
    l->ended_by_cr = c == '\r';
    if (l->dropping) {
        l->overlong_lines++;
        item->kind = TG_AT_ITEM_OVERLONG;
        given = true;
    } else if (l->len > 0) {
        given = give_line(l, tg_bytes(l->line, l->len), item);
    }
    next_line(l); /* the bytes stay where the item points until the next byte overwrites them */
    return given;
}

static void append(struct tg_at_lines *l, uint8_t c)
{
    TG_ASSERT(l->len < sizeof l->line);
    l->line[l->len++] = c;
    l->after_prompt = false;
}

static bool prompt_complete(struct tg_at_lines *l, struct tg_at_item *item)
{
    if (!l->prompt || !tg_bytes_eq_str(tg_bytes(l->line, l->len), l->prompt))
        return false;
    next_line(l);
    l->prompt = NULL;
    l->after_prompt = true;
    item->kind = TG_AT_ITEM_PROMPT;
    item->bytes = tg_bytes(NULL, 0);
    return true;
}

/* A quote was just opened: the line may announce what is behind it. */
static void opened(struct tg_at_lines *l)
{
    size_t n =
        l->announce.prefix ? tg_at_announced(&l->announce, tg_bytes(l->line, l->len)) : TG_AT_NOT_ANNOUNCED;
    if (n == TG_AT_NOT_ANNOUNCED)
        return;
    l->payload_left = n;
    l->after_payload = '"';
}

/* 01 outside of a string: the text so far is a line of its own. */
static void block_begins(struct tg_at_lines *l, struct tg_at_item *item)
{
    if (!give_line(l, tg_bytes(l->line, l->len), item)) {
        l->lies++;
        item->kind = TG_AT_ITEM_LIE;
    }
    next_line(l);
    l->ended_by_cr = l->skip_lf = false;
    l->block_left = sizeof l->block_head;
}

/* True when the byte behind a payload shows that there is more of it, or less. */
static bool lied(struct tg_at_lines *l, uint8_t c, struct tg_at_item *item)
{
    uint8_t want = l->after_payload;
    l->after_payload = 0;
    if (want == 0 || c == want || (want == '\r' && c == '\n'))
        return false;
    l->lies++;
    item->kind = TG_AT_ITEM_LIE;
    return true;
}

/* One byte of text. True when it completed an item. */
static bool text_byte(struct tg_at_lines *l, uint8_t c, struct tg_at_item *item)
{
    bool is_end = c == '\r' || c == '\n';
    if (is_end && !l->quoted)
        return line_end(l, c, item);
    if (c == 1 && l->blocks && !l->quoted && !l->dropping) {
        block_begins(l, item);
        return true;
    }
    if (l->ended_by_cr && l->len == 0)
        l->sends_cr = true;
    l->ended_by_cr = false;
    if (l->dropping || (l->after_prompt && c == ' '))
        return false;
    if (l->len == sizeof l->line) { /* not held: tg_at_lines_input() releases before it gets here */
        next_line(l);
        l->dropping = true;
        return false;
    }
    if (is_end)
        l->held = true;
    if (c == '"' && !l->ignore_quotes) {
        if (l->quoted)
            l->quoted = false;
        else
            l->quoted = string_may_begin(l);
        if (!l->quoted)
            l->held = false; /* balanced: the line ends inside the string belong to it */
    }
    append(l, c);
    if (c == '"' && l->quoted)
        opened(l);
    return prompt_complete(l, item);
}

/* The next part of a payload; false when there is no input for it. */
static bool payload_part(struct tg_at_lines *l, struct tg_bytes in, size_t *used, struct tg_at_item *item)
{
    size_t n;
    if (*used < in.len)
        *used += tg_at_lines_skip_end(l, tg_at_rest(in, *used));
    n = in.len - *used < l->payload_left ? in.len - *used : l->payload_left;
    if (n == 0)
        return false;
    item->kind = TG_AT_ITEM_PAYLOAD;
    item->bytes = tg_bytes(in.data + *used, n);
    l->payload_left -= n;
    *used += n;
    return true;
}

static void block_head(struct tg_at_lines *l, uint8_t c)
{
    l->block_head[sizeof l->block_head - l->block_left] = c;
    if (--l->block_left > 0)
        return;
    l->payload_left = (size_t)l->block_head[0] << 8 | l->block_head[1];
    l->after_payload = '\r';
}

size_t tg_at_lines_input(struct tg_at_lines *l, struct tg_bytes in, struct tg_at_item *ret_item)
{
    size_t i = 0;
    ret_item->kind = TG_AT_ITEM_NONE;
    ret_item->bytes = tg_bytes(NULL, 0);
    while (ret_item->kind == TG_AT_ITEM_NONE) {
        if (l->payload_left > 0 && !tg_at_lines_more(l)) {
            if (!payload_part(l, in, &i, ret_item))
                break;
            continue;
        }
        if (l->held && l->len == sizeof l->line)
            tg_at_lines_release(l);
        if (tg_at_lines_more(l)) {
            replay(l, ret_item);
            continue;
        }
        if (i == in.len)
            break;
        if (l->block_left > 0)
            block_head(l, in.data[i++]);
        else if (!lied(l, in.data[i], ret_item))
            text_byte(l, in.data[i++], ret_item);
    }
    return i;
}
