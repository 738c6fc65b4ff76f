/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_websocket - what a server could send in a WebSocket: reading stays in bounds, ends, and comes to the same whatever the
 * pieces are. The first byte says how large the pieces are; the answer to the upgrade is judged as well.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/proxy.h"
#include "core/net/websocket.h"

#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            abort();                                                                                         \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    uint64_t data_sum, data_len, pings, controls;
    unsigned closes;
    int rc;
};

static struct outcome read_in_pieces(const uint8_t *in, size_t size, size_t step)
{
    struct tg_ws_reader r = {0};
    struct outcome o = {0};
    for (size_t at = 0; at < size && o.rc >= 0; at += step) {
        size_t left = size - at < step ? size - at : step;
        struct tg_bytes piece = tg_bytes(in + at, left), data;
        while ((o.rc = tg_ws_read(&r, &piece, &data)) > TG_WS_MORE) {
            if (o.rc == TG_WS_DATA) {
                CHECK(data.len > 0 && data.data >= in + at && data.data + data.len <= in + at + left);
                for (size_t i = 0; i < data.len; i++)
                    o.data_sum = o.data_sum * 31 + data.data[i];
                o.data_len += data.len;
            } else {
                CHECK(r.control_len <= TG_WS_CONTROL_BYTES);
                o.pings += o.rc == TG_WS_PING;
                o.closes += o.rc == TG_WS_CLOSE;
                for (size_t i = 0; i < r.control_len; i++)
                    o.controls = o.controls * 31 + r.control[i];
            }
        }
        CHECK(o.rc < 0 || piece.len == 0);
    }
    CHECK(o.closes <= 1 && (o.rc >= 0 || r.reason));
    return o;
}

static void judge_answer(const uint8_t *in, size_t size)
{
    static const uint8_t nonce[TG_WS_NONCE_BYTES] = "the sample nonce";
    uint8_t head[1024];
    struct tg_http_response r;
    struct tg_bytes piece = tg_bytes(in, size), body;
    struct tg_error err = {0};
    tg_http_response_init(&r, head, sizeof head, TG_HTTP_TUNNEL);
    if (tg_http_response_feed(&r, &piece, &body) != TG_HTTP_HEAD)
        return;
    CHECK(tg_ws_check_answer(&r, nonce, "/mqtt", &err) == TG_OK || err.text[0]);
    CHECK(tg_proxy_check_answer(&r, "hub.example", 443, size % 2, &err) == TG_OK || err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_proxy_address address;
    char url[128];
    if (size < 1)
        return 0;
    struct outcome whole = read_in_pieces(data + 1, size - 1, size);
    struct outcome pieces = read_in_pieces(data + 1, size - 1, 1 + data[0] % 20);
    CHECK(whole.rc == pieces.rc && whole.data_len == pieces.data_len && whole.data_sum == pieces.data_sum);
    CHECK(whole.pings == pieces.pings && whole.controls == pieces.controls && whole.closes == pieces.closes);
    judge_answer(data + 1, size - 1);
    size_t n = size - 1 < sizeof url - 1 ? size - 1 : sizeof url - 1;
    memcpy(url, data + 1, n);
    url[n] = '\0';
    if (tg_proxy_parse(url, &address, NULL) == TG_OK)
        CHECK(address.port > 0 && address.host[0] && memchr(address.host, 0, sizeof address.host));
    return 0;
}
