/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/mgmt_scanner.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "southbound/ble/ble_decode.h"

#define PATTERN_BYTES 34 /* AD type, offset, length, 31 bytes */
#define PATTERNS_MAX  16 /* as the kernel's HCI_MAX_ADV_MONITOR_NUM_PATTERNS */
#define BOOT_ID_BYTES 37

/* How advertisements of the formats begin: content of one AD structure, from its first byte on. */
static const struct {
    enum tg_ble_format format;
    uint8_t ad_type, len, bytes[4];
} patterns[] = {
    {TG_BLE_BTHOME, TG_BLE_AD_SERVICE_DATA_16, 2, {0xd2, 0xfc}},
    {TG_BLE_RUUVI, TG_BLE_AD_MANUFACTURER, 2, {0x99, 0x04}},
    {TG_BLE_MIBEACON, TG_BLE_AD_SERVICE_DATA_16, 2, {0x95, 0xfe}},
    {TG_BLE_ATC, TG_BLE_AD_SERVICE_DATA_16, 2, {0x1a, 0x18}},
    {TG_BLE_PVVX, TG_BLE_AD_SERVICE_DATA_16, 2, {0x1a, 0x18}},
    {TG_BLE_GOVEE, TG_BLE_AD_MANUFACTURER, 2, {0x88, 0xec}},
    {TG_BLE_GOVEE, TG_BLE_AD_MANUFACTURER, 2, {0x01, 0x00}},
    {TG_BLE_EDDYSTONE, TG_BLE_AD_SERVICE_DATA_16, 2, {0xaa, 0xfe}},
    {TG_BLE_IBEACON, TG_BLE_AD_MANUFACTURER, 4, {0x4c, 0x00, 0x02, 0x15}},
    {TG_BLE_FORMATS,
     TG_BLE_AD_FLAGS,
     1,
     {0x06}}, /* connectable devices, which have no format, as most say it */
};

static size_t patterns_of(uint32_t formats, uint8_t ret[1 + PATTERNS_MAX * PATTERN_BYTES])
{
    uint8_t *at = ret + 1;
    memset(ret, 0, 1 + PATTERNS_MAX * PATTERN_BYTES);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (patterns[i].format != TG_BLE_FORMATS && !(formats & TG_BLE_FORMAT_BIT(patterns[i].format)))
            continue;
        at[0] = patterns[i].ad_type;
        at[2] = patterns[i].len;
        memcpy(at + 3, patterns[i].bytes, patterns[i].len);
        at += PATTERN_BYTES;
        ret[0]++;
    }
    return (size_t)(at - ret);
}

static bool boot_id(char ret[BOOT_ID_BYTES])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    const bool ok = file && fscanf(file, "%36s", ret) == 1;
    if (file)
        fclose(file);
    return ok;
}

static int remove_monitor(struct ble_mgmt *m, const struct ble_adapter *a, uint16_t handle)
{
    const uint8_t parameters[] = {(uint8_t)handle, (uint8_t)(handle >> 8)};
    return ble_mgmt_call(m, BLE_MGMT_REMOVE_MONITOR, a->index, parameters, sizeof parameters, NULL, 0, NULL);
}

/* Removes the monitor that the note names, if it is of this boot of the machine. */
static void remove_stale(struct ble_mgmt_scanner *s, struct ble_mgmt *m, const struct ble_adapter *a)
{
    char now[BOOT_ID_BYTES], then[BOOT_ID_BYTES];
    unsigned handle = 0;
    FILE *file = s->note[0] ? fopen(s->note, "re") : NULL;
    if (!file)
        return;
    /* Handle 0 would remove the monitors of everybody. */
    if (fscanf(file, "%36s %u", then, &handle) == 2 && boot_id(now) && strcmp(now, then) == 0 && handle > 0 &&
        handle <= UINT16_MAX)
        (void)remove_monitor(m, a, (uint16_t)handle); /* it may be gone already */
    fclose(file);
    unlink(s->note);
}

static void take_note(const struct ble_mgmt_scanner *s)
{
    char id[BOOT_ID_BYTES];
    FILE *file;
    if (!s->note[0] || !boot_id(id) || !(file = fopen(s->note, "we")))
        return; /* then one that is left behind stays until the machine restarts: it costs the adapter's scanning */
    fprintf(file, "%s %u\n", id, s->handle);
    fclose(file);
}

/* Read Advertisement Monitor Features: supported u32 (bit 0: the controller matches patterns), … */
static bool told_everything(struct ble_mgmt *m, const struct ble_adapter *a)
{
    uint8_t features[64];
    size_t len;
    return ble_mgmt_call(m, BLE_MGMT_READ_MONITOR_FEATURES, a->index, NULL, 0, features, sizeof features,
                         &len) == 0 &&
           len >= 4 && !(ble_le32(features) & 1);
}

int ble_mgmt_scanner_start(struct ble_mgmt_scanner *s, struct ble_mgmt *m, const struct ble_adapter *a,
                           uint32_t formats, const char *note_folder)
{
    uint8_t parameters[1 + PATTERNS_MAX * PATTERN_BYTES], handle[2];
    char id[TG_BLE_ADDRESS_BYTES];
    size_t len;
    int rc;
    ble_mgmt_scanner_stop(s, m, a);
    tg_ble_address_id(&a->address, id);
    if (!note_folder ||
        snprintf(s->note, sizeof s->note, "%s/ble-%s.monitor", note_folder, id) >= (int)sizeof s->note)
        s->note[0] = 0;
    remove_stale(s, m, a);
    rc = ble_mgmt_call(m, BLE_MGMT_ADD_PATTERNS_MONITOR, a->index, parameters,
                       patterns_of(formats, parameters), handle, sizeof handle, &len);
    if (rc != 0)
        return rc;
    s->on = true;
    s->handle = len == sizeof handle ? ble_le16(handle) : 0;
    s->everything = told_everything(m, a);
    take_note(s);
    return 0;
}

void ble_mgmt_scanner_stop(struct ble_mgmt_scanner *s, struct ble_mgmt *m, const struct ble_adapter *a)
{
    /* Whatever the kernel answers, the monitor is not there any more. */
    if (s->on && s->handle && a->present && remove_monitor(m, a, s->handle) >= 0 && s->note[0])
        unlink(s->note);
    s->on = false;
}

void ble_mgmt_scanner_gone(struct ble_mgmt_scanner *s)
{
    if (s->on && s->note[0])
        unlink(s->note);
    s->on = false;
}
