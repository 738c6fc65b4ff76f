/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every format has a profile, and it brings every reading that the format may give; points that no format has are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "plugins/ble/ble_options.h"
#include "support/fake_host.h"

static const struct tg_profile *profile(const struct tg_plugin *plugin, const char *name)
{
    for (const struct tg_profile *p = plugin->profiles; p->name; p++) {
        if (strcmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}

static bool has_point(const struct tg_profile *p, const char *name)
{
    char alone[80], with_more[80];
    snprintf(alone, sizeof alone, "{name: %s}", name);
    snprintf(with_more, sizeof with_more, "{name: %s,", name);
    return strstr(p->yaml, alone) || strstr(p->yaml, with_more);
}

static void each_format_has_its_profile(void **state)
{
    struct fake_host *h = fake_host_new("ble");
    (void)state;
    for (int f = 0; f < TG_BLE_FORMATS; f++) {
        const char *const *names = tg_ble_format_reading_names((enum tg_ble_format)f);
        const char *name = ble_profile_of((enum tg_ble_format)f);
        const struct tg_profile *p;
        char setting[60];
        assert_non_null(name);
        p = profile(fake_plugin(h), name);
        assert_non_null(p);
        snprintf(setting, sizeof setting, "settings: {format: %s}", tg_ble_format_names[f]);
        assert_non_null(strstr(p->yaml, setting));
        assert_true(has_point(p, "rssi"));
        for (; *names; names++) {
            if (!has_point(p, *names))
                fail_msg("profile %s has no point %s", name, *names);
        }
    }
    fake_host_free(h);
}

static void points_that_never_come_are_refused(void **state)
{
    struct fake_host *h = fake_host_new("ble");
    const uint32_t d = fake_device(h, "a4c138000001");
    const uint32_t good = fake_point(h, d, "warmth", 0), misspelt = fake_point(h, d, "temprature", 0),
                   other = fake_point(h, d, "co2", 0), writable = fake_point(h, d, "humidity", 0);
    const char *option = NULL;
    char error[FAKE_TEXT];
    (void)state;
    fake_device_set(h, d, "format", "ruuvi");
    fake_point_set(h, d, good, "reading", "temperature");
    fake_point_writable(h, d, writable);
    assert_int_equal(fake_check(h, d, good, &option, error), 0);
    assert_int_equal(fake_check(h, d, misspelt, &option, error), TG_PLUGIN_EINVAL);
    assert_non_null(strstr(error, "no ruuvi advertisement has the reading \"temprature\""));
    assert_int_equal(fake_check(h, d, other, &option, error), TG_PLUGIN_EINVAL);
    assert_int_equal(fake_check(h, d, writable, &option, error), TG_PLUGIN_EINVAL);
    assert_non_null(strstr(error, "cannot be written"));
    fake_host_free(h);
}

static void wrong_sources_do_not_open(void **state)
{
    static const struct {
        const char *option, *value, *says;
    } wrong[] = {{"adapter", "hcix", "neither hciN nor an address"},
                 {"adapter", "eth0", "neither hciN nor an address"},
                 {"scan", "active", "scan: active needs method: raw"},
                 {"accept", "bthome2", "\"bthome2\" is no format; there are bthome, ruuvi"}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fake_host *h = fake_host_new("ble");
        const char *option = NULL;
        char error[FAKE_TEXT];
        fake_source_set(h, "method", "monitor");
        if (strcmp(wrong[i].option, "accept") == 0)
            fake_source_append(h, wrong[i].option, wrong[i].value);
        else
            fake_source_set(h, wrong[i].option, wrong[i].value);
        assert_int_equal(fake_check_source(h, &option, error),
                         TG_PLUGIN_EINVAL); /* so `tidegate check` says it */
        assert_non_null(strstr(error, wrong[i].says));
        assert_non_null(option);
        assert_int_equal(fake_open(h, error), TG_PLUGIN_EINVAL);
        assert_non_null(strstr(error, wrong[i].says));
        fake_host_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_format_has_its_profile),
                                       cmocka_unit_test(points_that_never_come_are_refused),
                                       cmocka_unit_test(wrong_sources_do_not_open)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
