/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/http/http_private.h"

#define MAX_INTERIM    8
#define MAX_CHUNK_LINE 256 /* size and extensions; nobody sends extensions */

enum state {
    IN_HEAD,       /* an empty line ► what the framing says */
    IN_BODY,       /* `left` bytes ► DONE */
    IN_ENDLESS,    /* the end of the connection ► DONE */
    IN_CHUNK_SIZE, /* LF ► IN_CHUNK, or with size 0 IN_TRAILERS */
    IN_CHUNK,      /* `left` bytes ► IN_CHUNK_END */
    IN_CHUNK_END,  /* CR LF ► IN_CHUNK_SIZE */
    IN_TRAILERS,   /* an empty line ► DONE */
    DONE,
    FAILED
};

void tg_http_response_init(struct tg_http_response *r, uint8_t *head, size_t cap, enum tg_http_kind kind)
{
    *r = (struct tg_http_response){.head = head, .head_cap = cap, .kind = kind, .state = IN_HEAD};
}

static int fail(struct tg_http_response *r, int code, const char *reason)
{
    r->state = FAILED;
    r->error = code;
    r->reason = reason;
    r->keep_alive = false;
    return code;
}

/* --- header fields ------------------------------------------------------------------------------- */

/* The next line at *at, without its CR LF; false at the end. Lines were checked when they came. */
static bool next_line(const struct tg_http_response *r, size_t *at, struct tg_bytes *ret_line)
{
    const uint8_t *begin = r->head + *at, *lf;
    if (*at >= r->head_len)
        return false;
    lf = memchr(begin, '\n', r->head_len - *at);
    if (!lf)
        return false;
    *ret_line = tg_bytes(begin, (size_t)(lf - begin) - 1);
    *at += (size_t)(lf - begin) + 1;
    return ret_line->len > 0;
}

static struct tg_bytes trim(struct tg_bytes b)
{
    while (b.len > 0 && (b.data[0] == ' ' || b.data[0] == '\t'))
        b = tg_bytes(b.data + 1, b.len - 1);
    while (b.len > 0 && (b.data[b.len - 1] == ' ' || b.data[b.len - 1] == '\t'))
        b.len--;
    return b;
}

/* The next field of this name at or after *at. */
static bool next_field(const struct tg_http_response *r, const char *name, size_t *at,
                       struct tg_bytes *ret_value)
{
    struct tg_bytes line;
    size_t n = strlen(name);
    while (next_line(r, at, &line)) {
        if (line.len <= n || line.data[n] != ':' || !tg_http_same(tg_bytes(line.data, n), name))
            continue;
        *ret_value = trim(tg_bytes(line.data + n + 1, line.len - n - 1));
        return true;
    }
    return false;
}

bool tg_http_response_header(const struct tg_http_response *r, const char *name, struct tg_bytes *ret_value)
{
    size_t at = r->fields_at;
    return r->fields_at > 0 && next_field(r, name, &at, ret_value);
}

bool tg_http_response_has_token(const struct tg_http_response *r, const char *name, const char *token)
{
    size_t at = r->fields_at;
    struct tg_bytes list;
    if (r->fields_at == 0)
        return false;
    while (next_field(r, name, &at, &list)) {
        while (list.len > 0) {
            const uint8_t *comma = memchr(list.data, ',', list.len);
            size_t n = comma ? (size_t)(comma - list.data) : list.len;
            if (tg_http_same(trim(tg_bytes(list.data, n)), token))
                return true;
            list = comma ? tg_bytes(comma + 1, list.len - n - 1) : tg_bytes(NULL, 0);
        }
    }
    return false;
}

/* --- head ---------------------------------------------------------------------------------------- */

/* "HTTP/1.1 200 OK" (RFC 9112 section 4); the blank before an empty phrase is often left out. */
static int read_status_line(struct tg_http_response *r, struct tg_bytes line)
{
    const uint8_t *p = line.data;
    if (!tg_bytes_starts(line, "HTTP/"))
        return fail(r, TG_EPROTO, "the answer is not HTTP");
    if (line.len < 12 || p[5] != '1' || p[6] != '.' || (p[7] != '0' && p[7] != '1') || p[8] != ' ')
        return fail(r, TG_EPROTO, "the answer is not HTTP/1.0 or 1.1");
    for (int i = 9; i < 12; i++)
        if (p[i] < '0' || p[i] > '9')
            return fail(r, TG_EPROTO, "the status code is not a number");
    if (line.len > 12 && p[12] != ' ')
        return fail(r, TG_EPROTO, "the status code is not a number of three digits");
    r->minor_version = p[7] - '0';
    r->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
    if (r->status < 100 || r->status > 599)
        return fail(r, TG_EPROTO, "the status code is out of range");
    r->phrase = line.len > 13 ? tg_bytes(p + 13, line.len - 13) : tg_bytes(NULL, 0);
    return TG_OK;
}

/* Every field has its content, the same one (RFC 9112 section 6.3, 5). False = there is none, or an error. */
static bool read_length(struct tg_http_response *r)
{
    size_t at = r->fields_at;
    struct tg_bytes value;
    bool found = false;
    while (next_field(r, "content-length", &at, &value)) {
        uint64_t n = 0;
        if (value.len == 0)
            return fail(r, TG_EPROTO, "Content-Length is empty"), false;
        for (size_t i = 0; i < value.len; i++) {
            uint8_t digit = (uint8_t)(value.data[i] - '0');
            if (digit > 9 || n > (UINT64_MAX - digit) / 10)
                return fail(r, TG_EPROTO, "Content-Length is not a number, or too large for one"), false;
            n = n * 10 + digit;
        }
        if (found && n != r->content_length)
            return fail(r, TG_EPROTO, "Content-Length is there twice, with two values"), false;
        found = true;
        r->content_length = n;
    }
    return found;
}

/* Where the body ends: RFC 9112 section 6.3. */
static int read_framing(struct tg_http_response *r)
{
    struct tg_bytes coding;
    size_t at = r->fields_at;
    bool has_length = read_length(r), has_coding;
    if (r->state == FAILED)
        return r->error;
    has_coding = next_field(r, "transfer-encoding", &at, &coding);
    r->keep_alive = !tg_http_response_has_token(r, "connection", "close") &&
                    (r->minor_version == 1 || tg_http_response_has_token(r, "connection", "keep-alive"));
    if (has_coding && has_length)
        return fail(r, TG_EPROTO, "Content-Length and Transfer-Encoding contradict each other");
    if (has_coding && (r->minor_version == 0 || !tg_http_same(coding, "chunked") ||
                       next_field(r, "transfer-encoding", &at, &coding)))
        return fail(r, TG_EPROTO, "the transfer coding is not chunked");
    r->chunked = has_coding;
    if (r->kind == TG_HTTP_TUNNEL && (r->status == 101 || (r->status >= 200 && r->status < 300)))
        r->state = DONE;
    else if (r->kind == TG_HTTP_HEADLESS_BODY || r->status == 204 || r->status == 304)
        r->state = DONE;
    else if (r->chunked)
        r->state = IN_CHUNK_SIZE;
    else if (!has_length)
        r->state = IN_ENDLESS;
    else
        r->state = r->content_length > 0 ? IN_BODY : DONE;
    r->left = r->content_length;
    if (r->state == IN_ENDLESS) {
        r->until_close = true;
        r->keep_alive = false;
    }
    return TG_OK;
}

static int check_fields(struct tg_http_response *r)
{
    struct tg_bytes line;
    size_t at = r->fields_at;
    while (next_line(r, &at, &line)) {
        size_t n = 0;
        if (line.data[0] == ' ' || line.data[0] == '\t')
            return fail(r, TG_EPROTO, "a header field is folded over lines");
        while (n < line.len && tg_http_is_token_char(line.data[n]))
            n++;
        if (n == 0 || n == line.len || line.data[n] != ':')
            return fail(r, TG_EPROTO, "a header field has no proper name");
    }
    return TG_OK;
}

/* The first line has come: what is not HTTP is known before any more of it is waited for. */
static int read_first_line(struct tg_http_response *r)
{
    struct tg_bytes line;
    size_t at = 0;
    if (!next_line(r, &at, &line))
        return fail(r, TG_EPROTO, "the answer begins with an empty line");
    r->fields_at = at;
    return read_status_line(r, line);
}

/* The empty line has come. */
static int read_head(struct tg_http_response *r)
{
    int rc = check_fields(r);
    if (rc < 0)
        return rc;
    if (r->status < 200 && (r->status != 101 || r->kind != TG_HTTP_TUNNEL)) {
        if (r->status == 101)
            return fail(r, TG_EPROTO, "the server changes to a protocol that was not asked for");
        if (++r->interim > MAX_INTERIM)
            return fail(r, TG_EPROTO, "the server sends interim answers without end");
        r->head_len = r->fields_at = 0;
        return TG_HTTP_MORE;
    }
    rc = read_framing(r);
    return rc < 0 ? rc : TG_HTTP_HEAD;
}

/* Lines end with CR LF, and neither stands anywhere else. */
static int take_head(struct tg_http_response *r, struct tg_bytes *piece)
{
    size_t i;
    for (i = 0; i < piece->len; i++) {
        uint8_t c = piece->data[i];
        if (r->head_len == r->head_cap)
            return fail(r, TG_ETOOBIG, "the header fields are longer than is allowed");
        if ((c == '\n') != (r->head_len > 0 && r->last == '\r'))
            return fail(r, TG_EPROTO, "a line does not end with CR LF");
        if (c != '\n' && c != '\r' && !tg_http_is_field_char(c))
            return fail(r, TG_EPROTO,
                        r->fields_at ? "a control character in the header fields" : "the answer is not HTTP");
        r->head[r->head_len++] = c;
        r->last = c;
        if (c == '\n' && r->fields_at == 0) {
            if (read_first_line(r) < 0)
                return r->error;
        } else if (c == '\n' && r->head[r->head_len - 3] == '\n') {
            *piece = tg_bytes(piece->data + i + 1, piece->len - i - 1);
            return read_head(r);
        }
    }
    *piece = tg_bytes(piece->data + i, 0);
    return TG_HTTP_MORE;
}

/* --- body ---------------------------------------------------------------------------------------- */

static struct tg_bytes cut(struct tg_bytes *piece, uint64_t most)
{
    size_t n = piece->len < most ? piece->len : (size_t)most;
    struct tg_bytes front = tg_bytes(piece->data, n);
    *piece = tg_bytes(piece->data + n, piece->len - n);
    return front;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* chunk-size [ chunk-ext ] CRLF (RFC 9112 section 7.1); extensions are skipped. */
static int take_chunk_size(struct tg_http_response *r, struct tg_bytes *piece)
{
    while (piece->len > 0) {
        uint8_t c = cut(piece, 1).data[0];
        int digit = hex(c);
        if (++r->line_len > MAX_CHUNK_LINE)
            return fail(r, TG_ETOOBIG, "the line before a chunk is longer than is allowed");
        if ((c == '\n') != (r->line_len > 1 && r->last == '\r'))
            return fail(r, TG_EPROTO, "the line before a chunk does not end with CR LF");
        if (c == '\n') {
            r->line_len = 0;
            r->last = '\n';
            r->state = r->left > 0 ? IN_CHUNK : IN_TRAILERS;
            return TG_HTTP_MORE;
        }
        if (!r->digits && digit >= 0) {
            if (r->left > UINT64_MAX >> 4)
                return fail(r, TG_EPROTO, "a chunk's size is too large for a number");
            r->left = r->left << 4 | (uint64_t)digit;
        } else if (r->line_len == 1 || (!r->digits && c != '\r' && c != ';' && c != ' ' && c != '\t') ||
                   (c != '\r' && !tg_http_is_field_char(c))) {
            return fail(r, TG_EPROTO, "a chunk's size is not a number");
        } else {
            r->digits = true;
        }
        r->last = c;
    }
    return TG_HTTP_MORE;
}

static int take_chunk_end(struct tg_http_response *r, struct tg_bytes *piece)
{
    while (piece->len > 0) {
        uint8_t c = cut(piece, 1).data[0];
        if (c != (r->last == '\r' ? '\n' : '\r'))
            return fail(r, TG_EPROTO, "a chunk is longer than its size says");
        r->last = c;
        if (c == '\n') {
            r->state = IN_CHUNK_SIZE;
            r->left = 0;
            r->digits = false;
            return TG_HTTP_MORE;
        }
    }
    return TG_HTTP_MORE;
}

/* Fields after the last chunk are read over. */
static int take_trailers(struct tg_http_response *r, struct tg_bytes *piece)
{
    while (piece->len > 0) {
        uint8_t c = cut(piece, 1).data[0];
        if (++r->trailer_len > TG_HTTP_HEAD_BYTES)
            return fail(r, TG_ETOOBIG, "the trailer fields are longer than is allowed");
        if ((c == '\n') != (r->last == '\r') || (c != '\n' && c != '\r' && !tg_http_is_field_char(c)))
            return fail(r, TG_EPROTO, "a trailer line does not end with CR LF");
        r->last = c;
        if (c != '\n') {
            r->line_len++;
        } else if (r->line_len == 1) { /* only the CR */
            r->state = DONE;
            return TG_HTTP_END;
        } else {
            r->line_len = 0;
        }
    }
    return TG_HTTP_MORE;
}

static int take_body(struct tg_http_response *r, struct tg_bytes *piece, struct tg_bytes *ret_body)
{
    *ret_body = cut(piece, r->left);
    r->left -= ret_body->len;
    if (r->left == 0) {
        r->last = 0;
        r->state = r->chunked ? IN_CHUNK_END : DONE;
    }
    return TG_HTTP_BODY;
}

int tg_http_response_feed(struct tg_http_response *r, struct tg_bytes *piece, struct tg_bytes *ret_body)
{
    int rc = TG_HTTP_MORE;
    if (r->state == FAILED)
        return r->error;
    if (r->state == DONE)
        return TG_HTTP_END;
    while (rc == TG_HTTP_MORE && piece->len > 0) {
        switch (r->state) {
        case IN_HEAD:
            rc = take_head(r, piece);
            r->last = rc == TG_HTTP_HEAD ? 0 : r->last;
            break;
        case IN_CHUNK_SIZE:
            rc = take_chunk_size(r, piece);
            break;
        case IN_CHUNK_END:
            rc = take_chunk_end(r, piece);
            break;
        case IN_TRAILERS:
            rc = take_trailers(r, piece);
            break;
        case IN_ENDLESS:
            *ret_body = cut(piece, UINT64_MAX);
            rc = TG_HTTP_BODY;
            break;
        default:
            rc = take_body(r, piece, ret_body);
            break;
        }
    }
    return rc;
}

int tg_http_response_eof(struct tg_http_response *r)
{
    if (r->state == FAILED)
        return r->error;
    if (r->state == DONE || r->state == IN_ENDLESS) {
        r->state = DONE;
        return TG_HTTP_END;
    }
    return fail(r, TG_EEOF,
                tg_http_response_untouched(r) ? "the server closed the connection without an answer"
                : r->state == IN_HEAD         ? "the server closed the connection within the header fields"
                                              : "the server closed the connection within the body");
}

bool tg_http_response_untouched(const struct tg_http_response *r)
{
    return r->state == IN_HEAD && r->head_len == 0 && r->interim == 0;
}
