/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/ble_options.h"

#include "plugins/ble/gatt_set.h"

static const char *const scans[] = {"passive", "active", NULL};
static const char *const methods[] = {"auto", "monitor", "raw", NULL};

const struct tg_option ble_source_options[] = {
    {.name = "adapter",
     .type = TG_OPTION_TEXT,
     .min = 4,
     .max = 17,
     .default_text = "hci0",
     .doc = "The adapter: hciN, or its address, under which it is found whatever its number is."},
    {.name = "scan",
     .type = TG_OPTION_ENUM,
     .choices = scans,
     .default_text = "passive",
     .doc = "passive listens only; active also asks devices for what they tell only then, which costs their "
            "batteries."},
    {.name = "method",
     .type = TG_OPTION_ENUM,
     .choices = methods,
     .default_text = "auto",
     .doc = "How it is listened: by the kernel's advertisement monitor, which gets on with other programs, "
            "or by driving the controller; "
            "auto: the monitor where it can be had."},
    {.name = "accept",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "Formats of advertisements that are read: bthome, ruuvi, mibeacon, atc, pvvx, govee, eddystone, "
            "ibeacon; default: all but "
            "the last two."},
    {.name = "watchdog",
     .type = TG_OPTION_DURATION,
     .max = 86400000,
     .default_text = "90s",
     .doc = "The adapter is switched off and on, then reset, when nothing was heard for so long; 0s: never."},
    {.name = "watchdog_check",
     .type = TG_OPTION_DURATION,
     .min = 100,
     .max = 3600000,
     .default_text = "30s",
     .doc = "How often that is looked at, and how long each remedy has to show its effect."},
    {.name = "power_wait",
     .type = TG_OPTION_DURATION,
     .min = 10,
     .max = 60000,
     .default_text = "2s",
     .doc = "How long the adapter stays off then."},
    {.name = "notes",
     .type = TG_OPTION_PATH,
     .default_text = "/run/tidegate",
     .doc = "A folder for a note of the advertisement monitor that was added, so that one that a killed "
            "gateway left is removed."},
    TG_GATT_SOURCE_OPTIONS,
    {0}};

const struct tg_option ble_device_options[] = {
    {.name = "address",
     .type = TG_OPTION_TEXT,
     .min = 12,
     .max = 17,
     .doc = "The sensor's address, a4:c1:38:00:00:01; default: the device's id."},
    {.name = "format",
     .type = TG_OPTION_ENUM,
     .choices = tg_ble_format_names,
     .doc = "The format of its advertisements; default: whatever the source accepts."},
    {.name = "bind_key_file",
     .type = TG_OPTION_SECRET_FILE,
     .doc = "A file with the key of its encrypted advertisements: 32 hexadecimal digits (MiBeacon versions 2 "
            "and 3: 24)."},
    {.name = "stale_after",
     .type = TG_OPTION_DURATION,
     .max = 7 * INT64_C(86400000),
     .doc = "It is down when nothing was heard of it for so long, 0s: never; default: three times its "
            "longest pause, at least a minute."},
    {.name = "max_rate",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 10000,
     .default_text = "20",
     .doc = "Advertisements a second that are read; what comes beyond it is counted and left out."},
    TG_GATT_DEVICE_OPTIONS,
    {0}};

const struct tg_option ble_point_options[] = {
    {.name = "reading",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = TG_BLE_READING_BYTES - 1,
     .doc = "The reading of the advertisement: temperature, humidity, battery, rssi …; default: the point's "
            "name."},
    TG_GATT_POINT_OPTIONS,
    {0}};

bool ble_formats_parse(const char *const *names, uint32_t count, uint32_t *ret_formats,
                       const char **ret_wrong)
{
    uint32_t formats = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum tg_ble_format format;
        if (!tg_ble_format_parse(names[i], &format)) {
            *ret_wrong = names[i];
            return false;
        }
        formats |= TG_BLE_FORMAT_BIT(format);
    }
    *ret_formats = formats;
    return true;
}

static const struct {
    enum tg_ble_format format;
    const char *profile;
} of_format[] = {{TG_BLE_BTHOME, "bthome"},       {TG_BLE_RUUVI, "ruuvitag"},
                 {TG_BLE_MIBEACON, "mibeacon"},   {TG_BLE_ATC, "atc"},
                 {TG_BLE_PVVX, "pvvx"},           {TG_BLE_GOVEE, "govee"},
                 {TG_BLE_EDDYSTONE, "eddystone"}, {TG_BLE_IBEACON, "ibeacon"}};

const char *ble_profile_of(enum tg_ble_format format)
{
    for (size_t i = 0; i < sizeof of_format / sizeof *of_format; i++) {
        if (of_format[i].format == format)
            return of_format[i].profile;
    }
    return NULL;
}
