/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes from a wire as Modbus answers and requests. The first bytes choose a request, the rest is what came
 * back. Beside not crashing: an answer is believed only with the request's unit and function, never with
 * bytes to spare, and a request that is parsed is encoded to the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "southbound/modbus_frame.h"

#define HEAD 8

static void demand(int condition)
{
    if (!condition)
        abort();
}

static void answers(const struct tg_modbus_request *r, uint16_t tid, const uint8_t *data, size_t len)
{
    static uint16_t words[TG_MODBUS_MAX_READ_BITS];
    struct tg_modbus_answer a;
    for (int tcp = 0; tcp < 2; tcp++) {
        size_t need = tcp ? tg_modbus_tcp_need(data, len) : tg_modbus_rtu_need(data, len);
        size_t take = need > 0 && need < len ? need : len;
        enum tg_modbus_verdict v =
            tcp ? tg_modbus_tcp_check(r, tid, data, take, &a) : tg_modbus_rtu_check(r, data, take, &a);
        demand(strcmp(tg_modbus_verdict_name(v), "unknown") != 0);
        if (v != TG_MODBUS_ANSWER)
            continue;
        const uint8_t *body = tcp ? data + 6 : data;
        demand(body[0] == r->unit && body[1] == r->function);
        demand(need == take);
        if (r->function <= TG_MODBUS_READ_INPUT)
            tg_modbus_answer_words(r, &a, words);
        demand(tcp || take == tg_modbus_rtu_answer_bytes(r));
    }
}

static void requests(const uint8_t *data, size_t len)
{
    static uint16_t words[TG_MODBUS_MAX_READ_BITS];
    uint8_t again[TG_MODBUS_TCP_MAX_BYTES];
    struct tg_modbus_request r;
    uint16_t tid;
    if (tg_modbus_rtu_parse_request(data, len, &r, words) == TG_MODBUS_ANSWER) {
        int n = tg_modbus_rtu_encode(&r, again, sizeof again);
        demand(n == (int)len);
        /* unused bits of the last coil byte may differ; everything else is the same */
        demand(r.function == TG_MODBUS_WRITE_COILS || memcmp(again, data, len) == 0);
    }
    if (tg_modbus_tcp_parse_request(data, len, &r, words, &tid) == TG_MODBUS_ANSWER) {
        int n = tg_modbus_tcp_encode(&r, tid, again, sizeof again);
        demand(n == (int)len);
        demand(r.function == TG_MODBUS_WRITE_COILS || memcmp(again, data, len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t functions[] = {1, 2, 3, 4, 5, 6, 15, 16, 22};
    static uint16_t words[TG_MODBUS_MAX_WRITE_BITS];
    uint8_t frame[TG_MODBUS_TCP_MAX_BYTES];
    if (size < HEAD)
        return 0;
    struct tg_modbus_request r = {.unit = data[0],
                                  .function = functions[data[1] % sizeof functions],
                                  .address = (uint16_t)(data[2] << 8 | data[3]),
                                  .count = (uint16_t)((data[4] << 8 | data[5]) % TG_MODBUS_MAX_WRITE_BITS),
                                  .and_mask = data[6],
                                  .or_mask = data[7],
                                  .words = words};
    if (tg_modbus_rtu_encode(&r, frame, sizeof frame) > 0)
        answers(&r, (uint16_t)(data[6] << 8 | data[7]), data + HEAD, size - HEAD);
    requests(data + HEAD, size - HEAD);
    return 0;
}
