/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The guard of a device: repeats, replays, restarts, and plain frames where there is a key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>

#include "plugins/ble/ble_crypto.h"

#define KEY "231d39c1d7cc1ab1aee224cd096db932"

static const struct tg_ble_address sensor = {{0x54, 0x48, 0xE6, 0x8F, 0x80, 0xA5}, TG_BLE_ADDRESS_RANDOM};
static struct tg_ble_readings readings;
static struct tg_ble_guard guard;
static struct tg_ble_key key;

static int setup(void **state)
{
    (void)state;
    memset(&guard, 0, sizeof guard);
    return tg_ble_key_parse(KEY, strlen(KEY), &tg_ble_wolfcrypt, &key) ? 0 : -1;
}

/* BTHome content as it would be heard at a time. */
static enum tg_ble_verdict hear(const uint8_t *content, size_t len, const struct tg_ble_key *k,
                                int64_t time_ms)
{
    uint8_t data[64] = {(uint8_t)(len + 3), 0x16, 0xD2, 0xFC};
    struct tg_ble_advert a = {sensor, -60, data, len + 4, time_ms};
    memcpy(data + 4, content, len);
    return tg_ble_decode(TG_BLE_ANY_FORMAT, &a, k, &guard, &readings);
}

static enum tg_ble_verdict hear_plain(const char *content, size_t len, int64_t time_ms)
{
    return hear((const uint8_t *)content, len, NULL, time_ms);
}

/* A frame of the sensor with a counter, encrypted as the specification says. */
static enum tg_ble_verdict hear_counter(uint32_t counter, uint8_t battery, int64_t time_ms)
{
    uint8_t frame[1 + 2 + 4 + 4] = {0x41}, plain[2] = {1, battery}, nonce[13];
    Aes aes;
    for (int i = 0; i < 4; i++)
        frame[3 + i] = (uint8_t)(counter >> 8 * i);
    memcpy(nonce, sensor.bytes, 6);
    memcpy(nonce + 6, "\xD2\xFC\x41", 3);
    memcpy(nonce + 9, frame + 3, 4);
    assert_int_equal(wc_AesInit(&aes, NULL, INVALID_DEVID), 0);
    assert_int_equal(wc_AesCcmSetKey(&aes, key.bytes, 16), 0);
    assert_int_equal(wc_AesCcmEncrypt(&aes, frame + 1, plain, 2, nonce, 13, frame + 7, 4, NULL, 0), 0);
    wc_AesFree(&aes);
    return hear(frame, sizeof frame, &key, time_ms);
}

static void same_frame(void **state)
{
    (void)state;
    assert_int_equal(hear_plain("\x40\x01\x50", 3, 0), TG_BLE_OK);
    assert_int_equal(hear_plain("\x40\x01\x50", 3, 100), TG_BLE_DUPLICATE);
    assert_int_equal(readings.count, 0);
    assert_int_equal(hear_plain("\x40\x01\x50", 3, TG_BLE_REPEAT_MS - 1), TG_BLE_DUPLICATE);
    assert_int_equal(hear_plain("\x40\x01\x51", 3, 150), TG_BLE_OK);
    assert_int_equal(hear_plain("\x40\x01\x50", 3, 200), TG_BLE_DUPLICATE); /* sent in turn with another */
    assert_int_equal(hear_plain("\x40\x01\x50", 3, TG_BLE_REPEAT_MS), TG_BLE_OK);
}

static void same_counter(void **state)
{
    (void)state;
    assert_int_equal(hear_plain("\x40\x00\x07\x01\x50", 5, 0), TG_BLE_OK);
    assert_int_equal(hear_plain("\x40\x00\x07\x01\x50", 5, 60000), TG_BLE_DUPLICATE);
    assert_int_equal(hear_plain("\x40\x00\x08\x01\x50", 5, 60100),
                     TG_BLE_OK); /* measured again, the same value */
    assert_int_equal(hear_plain("\x40\x00\x08\x01\x51", 5, 60200),
                     TG_BLE_OK); /* begun again: content counts */
    assert_int_equal(hear_plain("\x40\x00\x07\x01\x50", 5, TG_BLE_SAME_MS - 1), TG_BLE_DUPLICATE);
    assert_int_equal(hear_plain("\x40\x00\x07\x01\x50", 5, TG_BLE_SAME_MS), TG_BLE_OK);
}

static void pressed_once(void **state)
{
    (void)state;
    assert_int_equal(hear_plain("\x44\x00\x07\x3A\x01", 5, 0), TG_BLE_OK);
    assert_int_equal(hear_plain("\x44\x00\x07\x3A\x01", 5, 10 * TG_BLE_SAME_MS), TG_BLE_DUPLICATE);
    assert_int_equal(hear_plain("\x44\x00\x08\x3A\x01", 5, 10 * TG_BLE_SAME_MS), TG_BLE_OK);
}

static void oldest_makes_room(void **state)
{
    char frame[] = "\x40\x00\x01\x01\x50";
    (void)state;
    for (int i = 0; i <= TG_BLE_GUARD_FRAMES; i++) {
        frame[2] = (char)i;
        assert_int_equal(hear_plain(frame, 5, i), TG_BLE_OK);
    }
    for (int i = TG_BLE_GUARD_FRAMES; i > 0; i--) {
        frame[2] = (char)i;
        assert_int_equal(hear_plain(frame, 5, 100), TG_BLE_DUPLICATE);
    }
    frame[2] = 0;
    assert_int_equal(hear_plain(frame, 5, 100), TG_BLE_OK);
}

static void replayed(void **state)
{
    (void)state;
    assert_int_equal(hear_counter(1000, 80, 0), TG_BLE_OK);
    assert_true(readings.encrypted && readings.authentic && readings.counter == 1000);
    assert_int_equal(hear_counter(1000, 80, 10), TG_BLE_DUPLICATE);
    assert_int_equal(hear_counter(1000, 80, 100 * TG_BLE_SAME_MS), TG_BLE_DUPLICATE); /* never new again */
    assert_int_equal(hear_counter(1001, 80, 20), TG_BLE_OK);
    assert_int_equal(hear_counter(999, 80, 30), TG_BLE_REPLAYED);
    assert_int_equal(readings.count, 0);
    assert_int_equal(hear_counter(1001, 79, 30), TG_BLE_REPLAYED); /* the counter of another frame */
    assert_int_equal(hear_counter(100, 79, 30), TG_BLE_REPLAYED);
    assert_int_equal(guard.counter, 1001);
    assert_int_equal(hear_counter(UINT32_MAX, 70, 40), TG_BLE_OK);
    assert_int_equal(hear_counter(UINT32_MAX - 1, 70, 50), TG_BLE_REPLAYED);
    assert_int_equal(hear_counter(0, 70, 60), TG_BLE_OK); /* wrapped, or a new battery */
}

static void new_battery(void **state)
{
    (void)state;
    assert_int_equal(hear_counter(5000, 10, 0), TG_BLE_OK);
    assert_int_equal(hear_counter(TG_BLE_RESTART_BELOW - 1, 100, 10), TG_BLE_OK);
    assert_int_equal(hear_counter(TG_BLE_RESTART_BELOW, 100, 20), TG_BLE_OK);
    assert_int_equal(hear_counter(TG_BLE_RESTART_BELOW - 1, 100, 30), TG_BLE_DUPLICATE);
}

static void anybody(void **state)
{
    (void)state;
    assert_int_equal(hear_counter(1, 80, 0), TG_BLE_OK);
    assert_int_equal(hear((const uint8_t *)"\x40\x01\x50", 3, &key, 10), TG_BLE_PLAINTEXT);
    assert_int_equal(readings.count, 0);
    assert_int_equal(hear((const uint8_t *)"\x40\x01\x50", 3, NULL, 10), TG_BLE_OK);
}

/* What is refused leaves no trace, so that nobody can make the guard refuse the sensor. */
static void refused_changes_nothing(void **state)
{
    uint8_t forged[11] = {0x41, 1, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
    struct tg_ble_guard before;
    (void)state;
    assert_int_equal(hear_counter(500, 80, 0), TG_BLE_OK);
    before = guard;
    assert_int_equal(hear(forged, sizeof forged, &key, 10), TG_BLE_WRONG_KEY);
    assert_int_equal(hear(forged, sizeof forged, NULL, 10), TG_BLE_NEEDS_KEY);
    assert_int_equal(hear_counter(400, 80, 10), TG_BLE_REPLAYED);
    assert_int_equal(hear((const uint8_t *)"\x40\x01\x50", 3, &key, 10), TG_BLE_PLAINTEXT);
    assert_memory_equal(&before, &guard, sizeof guard);
    assert_int_equal(hear_counter(501, 80, 20), TG_BLE_OK);
}

/* pvvx, encrypted: a counter of 8 bits. */
static enum tg_ble_verdict hear_pvvx(uint8_t counter, int64_t time_ms)
{
    uint8_t data[15] = {14, 0x16, 0x1A, 0x18, counter}, plain[6] = {0x29, 0x09, 0x4D, 0x10, counter % 100, 4};
    uint8_t nonce[11], aad = 0x11;
    struct tg_ble_advert a = {sensor, TG_BLE_RSSI_UNKNOWN, data, sizeof data, time_ms};
    Aes aes;
    for (int i = 0; i < 6; i++)
        nonce[i] = sensor.bytes[5 - i];
    memcpy(nonce + 6, data, 5);
    assert_int_equal(wc_AesInit(&aes, NULL, INVALID_DEVID), 0);
    assert_int_equal(wc_AesCcmSetKey(&aes, key.bytes, 16), 0);
    assert_int_equal(wc_AesCcmEncrypt(&aes, data + 5, plain, 6, nonce, 11, data + 11, 4, &aad, 1), 0);
    wc_AesFree(&aes);
    return tg_ble_decode(TG_BLE_FORMAT_BIT(TG_BLE_PVVX), &a, &key, &guard, &readings);
}

static void short_counter(void **state)
{
    (void)state;
    assert_int_equal(hear_pvvx(200, 0), TG_BLE_OK);
    assert_int_equal(hear_pvvx(190, 10), TG_BLE_REPLAYED);
    assert_int_equal(hear_pvvx(200, 10), TG_BLE_DUPLICATE);
    assert_int_equal(hear_pvvx(250, 20), TG_BLE_OK);
    assert_int_equal(hear_pvvx(3, 30), TG_BLE_OK); /* around the circle */
    assert_int_equal(hear_pvvx(120, 40), TG_BLE_OK);
    assert_int_equal(hear_pvvx(110, 50), TG_BLE_REPLAYED);
    assert_int_equal(hear_pvvx(110, 40 + TG_BLE_SHORT_MEMORY_MS),
                     TG_BLE_OK); /* it may have gone round since */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(same_frame, setup),   cmocka_unit_test_setup(same_counter, setup),
        cmocka_unit_test_setup(pressed_once, setup), cmocka_unit_test_setup(oldest_makes_room, setup),
        cmocka_unit_test_setup(replayed, setup),     cmocka_unit_test_setup(new_battery, setup),
        cmocka_unit_test_setup(anybody, setup),      cmocka_unit_test_setup(refused_changes_nothing, setup),
        cmocka_unit_test_setup(short_counter, setup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
