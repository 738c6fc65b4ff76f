/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as an HTTP response: the first byte says what was asked and how the rest is cut into pieces. In pieces it must
 * come out as in one: same result, status, framing and body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/http/retry_after.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct tg_http_response r;
    uint8_t head[512];
    uint64_t body_len;
    uint32_t body_sum;
    size_t left;
    int rc, end;
};

static void run(struct outcome *o, const uint8_t *data, size_t size, size_t step, enum tg_http_kind kind)
{
    struct tg_bytes value, body;
    uint32_t seconds = 0;
    memset(o, 0, sizeof *o);
    tg_http_response_init(&o->r, o->head, sizeof o->head, kind);
    for (size_t at = 0; at < size && o->rc == TG_HTTP_MORE; at += step) {
        struct tg_bytes piece = tg_bytes(data + at, size - at < step ? size - at : step);
        const uint8_t *end = piece.data + piece.len;
        do {
            o->rc = tg_http_response_feed(&o->r, &piece, &body);
            TG_ASSERT(o->rc < 0 || piece.data + piece.len == end);
            for (size_t i = 0; o->rc == TG_HTTP_BODY && i < body.len; i++)
                o->body_sum = o->body_sum * 31 + body.data[i];
            if (o->rc == TG_HTTP_BODY)
                o->body_len += body.len;
        } while (o->rc == TG_HTTP_HEAD || o->rc == TG_HTTP_BODY);
        TG_ASSERT(o->rc != TG_HTTP_MORE || piece.len == 0);
        o->left = piece.len + (size_t)(data + size - end);
    }
    TG_ASSERT(o->rc >= 0 || o->r.reason);
    if (tg_http_response_header(&o->r, "retry-after", &value))
        TG_ASSERT(value.data >= o->head && value.data + value.len <= o->head + sizeof o->head);
    if (tg_http_retry_after(&o->r, INT64_C(1795266000), &seconds) > 0)
        TG_ASSERT(seconds <= TG_HTTP_LONGEST_WAIT_S);
    o->end = tg_http_response_eof(&o->r);
    TG_ASSERT(o->end == TG_HTTP_END || o->end < 0);
    TG_ASSERT(o->rc >= 0 || o->end == o->rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, cut;
    enum tg_http_kind kind;
    size_t step;
    if (size < 1 || size > 65536)
        return 0;
    kind = (enum tg_http_kind)(data[0] % 3);
    step = (size_t)(data[0] / 3) % 32 + 1;
    run(&whole, data + 1, size - 1, size, kind);
    run(&cut, data + 1, size - 1, step, kind);
    TG_ASSERT(whole.rc == cut.rc && whole.end == cut.end);
    TG_ASSERT(whole.r.status == cut.r.status && whole.r.keep_alive == cut.r.keep_alive);
    TG_ASSERT(whole.body_len == cut.body_len && whole.body_sum == cut.body_sum);
    TG_ASSERT(whole.rc != TG_HTTP_END || whole.left == cut.left);
    return 0;
}
