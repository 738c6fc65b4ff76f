/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Frames: what is encoded is parsed back; an answer is believed only if all of it agrees with its request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/modbus_frame.h"

static size_t seal(uint8_t *frame, size_t len)
{
    uint16_t crc = tg_modbus_crc(frame, len);
    frame[len] = (uint8_t)crc;
    frame[len + 1] = (uint8_t)(crc >> 8);
    return len + 2;
}

static void requests_round_trip(void **state)
{
    (void)state;
    static const struct {
        uint8_t function;
        uint16_t max;
    } kinds[] = {{1, 2000}, {2, 2000}, {3, 125}, {4, 125}, {5, 1}, {6, 1}, {15, 1968}, {16, 123}, {22, 1}};
    static uint16_t in[2000], out[2000];
    uint8_t frame[TG_MODBUS_TCP_MAX_BYTES];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        bool bits = kinds[k].function == 5 || kinds[k].function == 15;
        for (unsigned count = 1; count <= kinds[k].max; count += 1 + count / 3) {
            struct tg_modbus_request q = {.unit = 17,
                                          .function = kinds[k].function,
                                          .address = 0x1234,
                                          .count = (uint16_t)count,
                                          .and_mask = 0xF2,
                                          .or_mask = 0x25,
                                          .words = in},
                                     p;
            for (unsigned i = 0; i < count; i++)
                in[i] = (uint16_t)(bits ? i % 3 == 0 : i * 7919u);
            int n = tg_modbus_rtu_encode(&q, frame, TG_MODBUS_RTU_MAX_BYTES);
            assert_true(n > 0);
            assert_int_equal(tg_modbus_rtu_parse_request(frame, (size_t)n, &p, out), TG_MODBUS_ANSWER);
            assert_true(p.unit == 17 && p.function == q.function && p.address == 0x1234 && p.count == count);
            if (q.function == 5 || q.function == 6 || q.function == 15 || q.function == 16)
                assert_memory_equal(in, out, 2 * count);
            n = tg_modbus_tcp_encode(&q, 0xBEEF, frame, sizeof frame);
            uint16_t tid = 0;
            assert_int_equal(tg_modbus_tcp_parse_request(frame, (size_t)n, &p, out, &tid), TG_MODBUS_ANSWER);
            assert_int_equal(tid, 0xBEEF);
            for (int cap = 0; cap < n; cap++)
                assert_int_equal(tg_modbus_tcp_encode(&q, 1, frame, (size_t)cap), TG_ETOOBIG);
        }
        struct tg_modbus_request q = {
            .function = kinds[k].function, .count = (uint16_t)(kinds[k].max + 1), .words = in};
        assert_int_equal(tg_modbus_rtu_encode(&q, frame, sizeof frame), TG_EINVAL);
        q.count = 0;
        assert_int_equal(tg_modbus_tcp_encode(&q, 1, frame, sizeof frame), TG_EINVAL);
    }
}

static enum tg_modbus_verdict judge(const struct tg_modbus_request *q, const uint8_t *body, size_t len)
{
    uint8_t frame[300];
    struct tg_modbus_answer a;
    memcpy(frame, body, len);
    len = seal(frame, len);
    return tg_modbus_rtu_check(q, frame, len, &a);
}

static void everything_must_agree(void **state)
{
    (void)state;
    struct tg_modbus_request q = {.unit = 1, .function = 3, .address = 0, .count = 1};
    assert_int_equal(judge(&q, (uint8_t[]){1, 3, 2, 0, 5}, 5), TG_MODBUS_ANSWER);
    assert_int_equal(judge(&q, (uint8_t[]){2, 3, 2, 0, 5}, 5), TG_MODBUS_WRONG_UNIT);
    assert_int_equal(judge(&q, (uint8_t[]){1, 4, 2, 0, 5}, 5), TG_MODBUS_WRONG_FUNCTION);
    assert_int_equal(judge(&q, (uint8_t[]){1, 0x84, 2}, 3), TG_MODBUS_WRONG_FUNCTION);
    assert_int_equal(judge(&q, (uint8_t[]){1, 3, 2, 0}, 4), TG_MODBUS_LENGTH_MISMATCH);
    assert_int_equal(judge(&q, (uint8_t[]){1, 3, 2, 0, 5, 0}, 6), TG_MODBUS_LENGTH_MISMATCH);
    assert_int_equal(judge(&q, (uint8_t[]){1, 3, 1, 0, 5}, 5), TG_MODBUS_LENGTH_MISMATCH);
    assert_int_equal(judge(&q, (uint8_t[]){1, 3, 4, 0, 5, 0, 6}, 7), TG_MODBUS_LENGTH_MISMATCH);
    assert_int_equal(judge(&q, (uint8_t[]){1, 0x83, 2}, 3), TG_MODBUS_EXCEPTION);
    assert_int_equal(judge(&q, (uint8_t[]){1, 0x83, 2, 0}, 4), TG_MODBUS_LENGTH_MISMATCH);
}

static void echoes_are_compared(void **state)
{
    (void)state;
    const uint16_t one = 0x0103, two[] = {1, 2};
    struct tg_modbus_request fc6 = {.unit = 1, .function = 6, .address = 7, .count = 1, .words = &one};
    assert_int_equal(judge(&fc6, (uint8_t[]){1, 6, 0, 7, 1, 3}, 6), TG_MODBUS_ANSWER);
    assert_int_equal(judge(&fc6, (uint8_t[]){1, 6, 0, 8, 1, 3}, 6), TG_MODBUS_WRONG_ECHO);
    assert_int_equal(judge(&fc6, (uint8_t[]){1, 6, 0, 7, 1, 4}, 6), TG_MODBUS_WRONG_ECHO);
    struct tg_modbus_request fc5 = {.unit = 1, .function = 5, .address = 7, .count = 1, .words = &one};
    assert_int_equal(judge(&fc5, (uint8_t[]){1, 5, 0, 7, 0xFF, 0}, 6), TG_MODBUS_ANSWER);
    assert_int_equal(judge(&fc5, (uint8_t[]){1, 5, 0, 7, 0, 0}, 6), TG_MODBUS_WRONG_ECHO);
    struct tg_modbus_request fc16 = {.unit = 1, .function = 16, .address = 7, .count = 2, .words = two};
    assert_int_equal(judge(&fc16, (uint8_t[]){1, 16, 0, 7, 0, 2}, 6), TG_MODBUS_ANSWER);
    assert_int_equal(judge(&fc16, (uint8_t[]){1, 16, 0, 7, 0, 1}, 6), TG_MODBUS_WRONG_ECHO);
    assert_int_equal(judge(&fc16, (uint8_t[]){1, 16, 0, 6, 0, 2}, 6), TG_MODBUS_WRONG_ECHO);
    struct tg_modbus_request fc22 = {
        .unit = 1, .function = 22, .address = 7, .count = 1, .and_mask = 1, .or_mask = 2};
    assert_int_equal(judge(&fc22, (uint8_t[]){1, 22, 0, 7, 0, 1, 0, 2}, 8), TG_MODBUS_ANSWER);
    assert_int_equal(judge(&fc22, (uint8_t[]){1, 22, 0, 7, 0, 1, 0, 3}, 8), TG_MODBUS_WRONG_ECHO);
}

static void tcp_headers(void **state)
{
    (void)state;
    struct tg_modbus_request q = {.unit = 1, .function = 3, .address = 0, .count = 1};
    const uint8_t good[] = {0, 9, 0, 0, 0, 5, 1, 3, 2, 0, 5};
    uint8_t f[sizeof good + 1];
    struct tg_modbus_answer a;
    assert_int_equal(tg_modbus_tcp_check(&q, 9, good, sizeof good, &a), TG_MODBUS_ANSWER);
    assert_int_equal(tg_modbus_tcp_check(&q, 8, good, sizeof good, &a), TG_MODBUS_STALE_TID);
    for (size_t i = 2; i < 4; i++) { /* either byte of the protocol id */
        memcpy(f, good, sizeof good);
        f[i] = 1;
        assert_int_equal(tg_modbus_tcp_check(&q, 9, f, sizeof good, &a), TG_MODBUS_BAD_PROTOCOL_ID);
    }
    static const uint16_t lengths[] = {0, 1, 4, 6, 255, 65535};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(f, good, sizeof good);
        f[4] = (uint8_t)(lengths[i] >> 8);
        f[5] = (uint8_t)lengths[i];
        enum tg_modbus_verdict v = tg_modbus_tcp_check(&q, 9, f, sizeof good, &a);
        assert_true(v == TG_MODBUS_LENGTH_MISMATCH || v == TG_MODBUS_INCOMPLETE);
        assert_int_equal(tg_modbus_tcp_need(f, sizeof good),
                         lengths[i] < 2 || lengths[i] > 254 ? 0 : 6 + lengths[i]);
    }
}

static void crc(void **state)
{
    (void)state;
    assert_int_equal(tg_modbus_crc((const uint8_t *)"123456789", 9),
                     0x4B37); /* the check value of CRC-16/MODBUS */
    assert_int_equal(tg_modbus_crc(NULL, 0), 0xFFFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_round_trip),
        cmocka_unit_test(everything_must_agree),
        cmocka_unit_test(echoes_are_compared),
        cmocka_unit_test(tcp_headers),
        cmocka_unit_test(crc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
