/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "What are you?": requests to the byte, answers in every length, and what does not agree with itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/modbus_identity.h"

/* Vendor, product and revision of unit 5. */
static const uint8_t device[] = {5,   43, 14, 1,   1,   0,   0,   3, 0, 4,   'A', 'c',  'm',
                                 'e', 1,  4,  'P', 'M', '-', '5', 2, 4, '1', '.', 0x80, ' '};

static size_t rtu(const uint8_t *body, size_t len, uint8_t *ret)
{
    memcpy(ret, body, len);
    uint16_t crc = tg_modbus_crc(body, len);
    ret[len] = (uint8_t)crc;
    ret[len + 1] = (uint8_t)(crc >> 8);
    return len + 2;
}

static size_t tcp(const uint8_t *body, size_t len, uint8_t *ret)
{
    const uint8_t head[] = {0x12, 0x34, 0, 0, 0, (uint8_t)len};
    memcpy(ret, head, 6);
    memcpy(ret + 6, body, len);
    return len + 6;
}

static void requests(void **state)
{
    (void)state;
    static const uint8_t over_tcp[] = {0x12, 0x34, 0, 0, 0, 5, 7, 0x2B, 0x0E, 1, 0};
    uint8_t frame[16];
    assert_int_equal(tg_modbus_identity_request(TG_MODBUS_DEVICE_ID, 7, true, 0x1234, frame),
                     sizeof over_tcp);
    assert_memory_equal(frame, over_tcp, sizeof over_tcp);
    size_t n = tg_modbus_identity_request(TG_MODBUS_SERVER_ID, 7, false, 0, frame);
    assert_int_equal(n, 4);
    assert_int_equal(frame[1], 17);
    assert_int_equal(tg_modbus_crc(frame, n), 0);
}

static void answers(void **state)
{
    (void)state;
    uint8_t frame[300];
    for (int over_tcp = 0; over_tcp < 2; over_tcp++) {
        struct tg_modbus_identity id = {0};
        size_t n = over_tcp ? tcp(device, sizeof device, frame) : rtu(device, sizeof device, frame);
        for (size_t k = 0; k < n; k++)
            assert_true(tg_modbus_identity_need(over_tcp, frame, k) > k);
        assert_int_equal(tg_modbus_identity_need(over_tcp, frame, n), n);
        assert_int_equal(tg_modbus_identity_check(TG_MODBUS_DEVICE_ID, 5, over_tcp, 0x1234, frame, n, &id),
                         TG_MODBUS_ANSWER);
        assert_string_equal(id.vendor, "Acme");
        assert_string_equal(id.product, "PM-5");
        assert_string_equal(id.revision, "1.?");
    }
    static const uint8_t server[] = {5, 17, 7, 9, 0xFF, 'P', 'U', 'M', 'P', 0};
    struct tg_modbus_identity id = {0};
    size_t n = rtu(server, sizeof server, frame);
    assert_int_equal(tg_modbus_identity_need(false, frame, n), n);
    assert_int_equal(tg_modbus_identity_check(TG_MODBUS_SERVER_ID, 5, false, 0, frame, n, &id),
                     TG_MODBUS_ANSWER);
    assert_string_equal(id.server_id, "PUMP");
}

static void refused(void **state)
{
    (void)state;
    static const struct tg_modbus_identity nothing;
    static const uint8_t exception[] = {5, 0xAB, 1};
    struct tg_modbus_identity id = {0};
    uint8_t frame[300], body[sizeof device];
    size_t n = rtu(exception, sizeof exception, frame);
    assert_int_equal(tg_modbus_identity_check(TG_MODBUS_DEVICE_ID, 5, false, 0, frame, n, &id),
                     TG_MODBUS_EXCEPTION);
    assert_int_equal(id.exception, 1);
    id = nothing;
    n = rtu(device, sizeof device, frame);
    assert_int_equal(tg_modbus_identity_check(TG_MODBUS_DEVICE_ID, 6, false, 0, frame, n, &id),
                     TG_MODBUS_WRONG_UNIT);
    assert_int_equal(tg_modbus_identity_check(TG_MODBUS_SERVER_ID, 5, false, 0, frame, n, &id),
                     TG_MODBUS_WRONG_FUNCTION);
    frame[10] ^= 1;
    assert_int_equal(tg_modbus_identity_check(TG_MODBUS_DEVICE_ID, 5, false, 0, frame, n, &id),
                     TG_MODBUS_BAD_CRC);
    n = tcp(device, sizeof device, frame);
    assert_int_equal(tg_modbus_identity_check(TG_MODBUS_DEVICE_ID, 5, true, 0x1235, frame, n, &id),
                     TG_MODBUS_STALE_TID);
    static const struct {
        size_t at;
        uint8_t value;
    } lies[] = {{7, 2}, {7, 4}, {7, 255}, {9, 3}, {9, 5}, {9, 255}, {21, 255}, {2, 13}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) { /* counts that lie, in intact frames */
        memcpy(body, device, sizeof body);
        body[lies[i].at] = lies[i].value;
        n = tcp(body, sizeof body, frame);
        assert_int_equal(tg_modbus_identity_check(TG_MODBUS_DEVICE_ID, 5, true, 0x1234, frame, n, &id),
                         TG_MODBUS_LENGTH_MISMATCH);
        n = rtu(body, sizeof body, frame);
        size_t need = tg_modbus_identity_need(false, frame, n);
        if (need > 0 && need <= n)
            assert_int_not_equal(tg_modbus_identity_check(TG_MODBUS_DEVICE_ID, 5, false, 0, frame, need, &id),
                                 TG_MODBUS_ANSWER);
    }
    assert_memory_equal(&id, &nothing, sizeof id);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(answers),
                                       cmocka_unit_test(refused)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
