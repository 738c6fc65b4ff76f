/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One sensor among others: what becomes of its advertisements, floods and silences; addresses that nobody knows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/settings.h"
#include "plugins/ble/ble_device.h"
#include "plugins/ble/ble_options.h"
#include "plugins/ble/ble_strangers.h"

static struct {
    uint32_t samples, values, last_quality, state, states;
    double temperature;
    bool full;
    char text[200];
} seen;

static int emit(struct tg_host_source *s, uint32_t device, int64_t time_ms,
                const struct tg_point_value *values, uint32_t count)
{
    (void)s;
    (void)device;
    (void)time_ms;
    if (seen.full)
        return TG_PLUGIN_EFULL;
    seen.samples++;
    seen.values += count;
    seen.last_quality = values[0].quality;
    if (values[0].value.type == TG_VALUE_REAL)
        seen.temperature = values[0].value.as.real;
    return 0;
}

static void device_state(struct tg_host_source *s, uint32_t device, uint32_t state, const char *text)
{
    (void)s;
    (void)device;
    seen.states++;
    seen.state = state;
    snprintf(seen.text, sizeof seen.text, "%s", text ? text : "");
}

__attribute__((format(printf, 3, 4))) static void log_line(struct tg_host_source *s, uint32_t level,
                                                           const char *format, ...)
{
    (void)s;
    (void)level;
    (void)format;
}

static const struct tg_host host = {.struct_size = sizeof host,
                                    .emit = emit,
                                    .device_state = device_state,
                                    .log = log_line,
                                    .has = tg_settings_has,
                                    .get_int = tg_settings_int,
                                    .get_real = tg_settings_real,
                                    .get_text = tg_settings_text,
                                    .get_list = tg_settings_list};

/* A source of one device, with the points temperature, humidity and rssi. */
struct stage {
    struct tg_settings *device_settings, *point_settings;
    struct tg_point points[3];
    struct tg_device device[2];
    struct tg_source source;
    struct ble_devices devices;
    char error[200];
};

static int build(struct stage *t, const char *id, const char *option, const char *value)
{
    static const char *const names[] = {"temperature", "humidity", "rssi"};
    struct tg_error err = {0};
    memset(t, 0, sizeof *t);
    memset(&seen, 0, sizeof seen);
    t->device_settings = tg_settings_new(ble_device_options);
    t->point_settings = tg_settings_new(ble_point_options);
    if (option)
        assert_int_equal(
            tg_settings_set(t->device_settings, option, value, NULL, (struct tg_settings_position){0}, &err),
            0);
    assert_int_equal(tg_settings_finish(t->device_settings, &err), 0);
    assert_int_equal(tg_settings_finish(t->point_settings, &err), 0);
    for (int i = 0; i < 3; i++)
        t->points[i] = (struct tg_point){.name = names[i], .settings = t->point_settings};
    t->device[0] =
        (struct tg_device){.id = id, .settings = t->device_settings, .points = t->points, .point_count = 3};
    t->device[1] = t->device[0];
    t->source = (struct tg_source){.name = "air", .devices = t->device, .device_count = 1};
    return 0;
}

static int open_stage(struct stage *t)
{
    return ble_devices_init(&t->devices, &host, &t->source, BLE_SENSOR_FORMATS, t->error, sizeof t->error);
}

static void end(struct stage *t)
{
    ble_devices_fini(&t->devices);
    tg_settings_free(t->device_settings);
    tg_settings_free(t->point_settings);
}

/* BTHome: packet id, temperature 25.06, humidity 50.55. */
static void hear(struct stage *t, uint8_t packet, int64_t now_ms)
{
    const uint8_t data[] = {0x02, 0x01,   0x06, 0x0c, 0x16, 0xd2, 0xfc, 0x40,
                            0x00, packet, 0x02, 0xca, 0x09, 0x03, 0xbf, 0x13};
    struct tg_ble_advert advert = {.address = {{0xa4, 0xc1, 0x38, 0, 0, 1}, 1},
                                   .rssi = -60,
                                   .data = data,
                                   .len = sizeof data,
                                   .time_ms = now_ms};
    struct ble_device *device = ble_devices_find(&t->devices, &advert.address);
    assert_non_null(device);
    ble_device_advert(&t->devices, device, &advert);
}

static void repeats_are_one_sample(void **state)
{
    struct stage t;
    (void)state;
    build(&t, "a4c138000001", NULL, NULL);
    assert_int_equal(open_stage(&t), 0);
    hear(&t, 1, 1000);
    hear(&t, 1, 1020);
    hear(&t, 1, 1040);
    hear(&t, 2, 2000);
    assert_int_equal(seen.samples, 2);
    assert_int_equal(seen.values, 6);
    assert_true(seen.temperature == 25.06);
    assert_int_equal(seen.state, TG_DEVICE_OK);
    assert_int_equal(seen.states, 1);
    assert_int_equal(t.devices.items[0].verdicts[TG_BLE_DUPLICATE], 2);
    seen.full = true;
    hear(&t, 3, 3000);
    assert_int_equal(t.devices.items[0].refused, 1);
    end(&t);
}

static void a_flood_is_cut(void **state)
{
    struct stage t;
    uint64_t decoded = 0;
    (void)state;
    build(&t, "a4c138000001", "max_rate", "10");
    assert_int_equal(open_stage(&t), 0);
    for (int i = 0; i < 1000; i++) /* a second of 1,000 a second, after two seconds of saved tokens: 30 */
        hear(&t, (uint8_t)i, 10000 + i);
    for (int v = 0; v < TG_BLE_VERDICTS; v++)
        decoded += t.devices.items[0].verdicts[v];
    assert_in_range(decoded, 29, 31);
    assert_int_equal(t.devices.items[0].flooded + decoded, 1000);
    assert_true(t.devices.items[0].flooding);
    hear(&t, 7, 60000);
    assert_false(t.devices.items[0].flooding);
    end(&t);
}

static void silence_makes_it_down(void **state)
{
    struct stage t;
    (void)state;
    build(&t, "a4c138000001", NULL, NULL);
    assert_int_equal(open_stage(&t), 0);
    ble_devices_adapter(&t.devices, true, "", 1000);
    for (int i = 0; i < 3; i++)
        hear(&t, (uint8_t)i, 1000 + i * 30000);
    ble_devices_sweep(&t.devices, 61000 + 89000);
    assert_int_equal(seen.state, TG_DEVICE_OK);
    ble_devices_sweep(&t.devices, 61000 + 91000); /* three times 30 s */
    assert_int_equal(seen.state, TG_DEVICE_DOWN);
    assert_int_equal(seen.last_quality, TG_QUALITY_STALE);
    assert_string_equal(seen.text, "not heard for 91 s");
    ble_devices_sweep(&t.devices, 61000 + 191000);
    assert_int_equal(seen.samples, 4); /* said once */
    hear(&t, 9, 300000);
    assert_int_equal(seen.state, TG_DEVICE_OK);
    ble_devices_adapter(&t.devices, false, "the adapter is gone", 301000);
    ble_devices_adapter(&t.devices, false, "the adapter is gone", 302000);
    assert_int_equal(seen.state, TG_DEVICE_DOWN);
    assert_int_equal(seen.last_quality, TG_QUALITY_COMM);
    assert_int_equal(seen.samples, 6);
    ble_devices_adapter(&t.devices, true, "", 303000);
    assert_int_equal(seen.state, TG_DEVICE_UNKNOWN);
    ble_devices_sweep(&t.devices, 303000 + BLE_STALE_MAX_MS);
    assert_int_equal(seen.state, TG_DEVICE_DOWN);
    end(&t);
}

static void never_stale_when_told_so(void **state)
{
    struct stage t;
    (void)state;
    build(&t, "a4c138000001", "stale_after", "0s");
    assert_int_equal(open_stage(&t), 0);
    ble_devices_adapter(&t.devices, true, "", 1000);
    hear(&t, 1, 1000);
    ble_devices_sweep(&t.devices, 86400000);
    assert_int_equal(seen.state, TG_DEVICE_OK);
    end(&t);
}

static void an_encrypted_one_without_key_is_suspect(void **state)
{
    /* The head of BTHome's own example of an encrypted frame. */
    const uint8_t data[] = {0x12, 0x16, 0xd2, 0xfc, 0x41, 0xa4, 0x72, 0x66, 0xc9, 0x5f,
                            0x73, 0,    0x11, 0x22, 0x33, 0x78, 0x23, 0x72, 0x14};
    const struct tg_ble_advert advert = {
        .address = {{0xa4, 0xc1, 0x38, 0, 0, 1}, 1}, .data = data, .len = sizeof data, .time_ms = 5000};
    struct stage t;
    (void)state;
    build(&t, "a4:c1:38:00:00:01", NULL, NULL);
    assert_int_equal(open_stage(&t), 0);
    ble_device_advert(&t.devices, &t.devices.items[0], &advert);
    assert_int_equal(seen.state, TG_DEVICE_SUSPECT);
    assert_non_null(strstr(seen.text, "key"));
    assert_int_equal(t.devices.items[0].verdicts[TG_BLE_NEEDS_KEY], 1);
    end(&t);
}

static void wrong_settings_are_said(void **state)
{
    char path[] = "/tmp/ble-key-XXXXXX";
    struct stage t;
    int fd;
    (void)state;
    build(&t, "shed", NULL, NULL);
    assert_int_equal(open_stage(&t), TG_PLUGIN_EINVAL);
    assert_string_equal(t.error, "device shed: its id \"shed\" is no Bluetooth address such as "
                                 "a4:c1:38:00:00:01, and it has no `address`");
    end(&t);
    build(&t, "a4c138000001", NULL, NULL);
    t.source.device_count = 2;
    assert_int_equal(open_stage(&t), TG_PLUGIN_EINVAL);
    assert_non_null(strstr(t.error, "the same address"));
    end(&t);
    fd = mkstemp(path);
    assert_int_equal(write(fd, "not a key, and secret\n", 22), 22);
    close(fd);
    build(&t, "a4c138000001", "bind_key_file", path);
    assert_int_equal(open_stage(&t), TG_PLUGIN_EINVAL);
    assert_non_null(strstr(t.error, "32 or 24 hexadecimal digits"));
    assert_null(strstr(t.error, "secret\""));
    assert_null(strstr(t.error, "not a key"));
    end(&t);
    unlink(path);
}

static void strangers_have_a_fixed_table(void **state)
{
    static struct ble_strangers strangers;
    struct tg_ble_advert advert = {.time_ms = 1000};
    uint32_t looked = 0;
    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        memcpy(advert.address.bytes, &i, sizeof i);
        looked += ble_stranger_heard(&strangers, &advert);
    }
    assert_int_equal(looked, 10000);
    assert_in_range(strangers.displaced, 10000 - BLE_STRANGER_GROUPS * BLE_STRANGER_WAYS, 7000);
    assert_false(ble_stranger_heard(&strangers, &advert));
    advert.time_ms += BLE_STRANGER_AGAIN_MS;
    assert_true(ble_stranger_heard(&strangers, &advert));
    assert_false(ble_stranger_heard(&strangers, &advert));
}

static void only_lasting_addresses_are_ids(void **state)
{
    (void)state;
    assert_true(ble_address_lasts(&(struct tg_ble_address){{0x5a}, TG_BLE_ADDRESS_PUBLIC}));
    assert_true(ble_address_lasts(&(struct tg_ble_address){{0xc1}, TG_BLE_ADDRESS_RANDOM}));
    assert_false(ble_address_lasts(&(struct tg_ble_address){{0x5a}, TG_BLE_ADDRESS_RANDOM})); /* resolvable */
    assert_false(
        ble_address_lasts(&(struct tg_ble_address){{0x1a}, TG_BLE_ADDRESS_RANDOM})); /* not even that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_are_one_sample),
        cmocka_unit_test(a_flood_is_cut),
        cmocka_unit_test(silence_makes_it_down),
        cmocka_unit_test(never_stale_when_told_so),
        cmocka_unit_test(an_encrypted_one_without_key_is_suspect),
        cmocka_unit_test(wrong_settings_are_said),
        cmocka_unit_test(strangers_have_a_fixed_table),
        cmocka_unit_test(only_lasting_addresses_are_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
