/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/adapter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INFO_BYTES 280

bool ble_adapter_init(struct ble_adapter *a, const char *wanted)
{
    memset(a, 0, sizeof *a);
    a->wanted_index = BLE_MGMT_NO_INDEX;
    if (strlen(wanted) >= sizeof a->wanted)
        return false;
    memcpy(a->wanted, wanted, strlen(wanted) + 1);
    if (strncmp(wanted, "hci", 3) == 0) {
        char *end;
        const unsigned long n = strtoul(wanted + 3, &end, 10);
        if (wanted[3] < '0' || wanted[3] > '9' || *end || n > 255)
            return false;
        a->wanted_index = (uint16_t)n;
        return true;
    }
    a->home.type = TG_BLE_ADDRESS_PUBLIC;
    a->has_home = tg_ble_address_parse(wanted, &a->home);
    return a->has_home;
}

/* Read Controller Information: address 6, version u8, manufacturer u16, supported u32, current u32, … */
static int read_info(struct ble_mgmt *m, uint16_t index, struct tg_ble_address *ret_address,
                     uint32_t *ret_supported, uint32_t *ret_settings)
{
    uint8_t info[INFO_BYTES];
    size_t len;
    const int rc = ble_mgmt_call(m, BLE_MGMT_READ_INFO, index, NULL, 0, info, sizeof info, &len);
    if (rc != 0)
        return rc;
    if (len < 17)
        return -EPROTO;
    for (int i = 0; i < 6; i++)
        ret_address->bytes[i] = info[5 - i];
    ret_address->type = TG_BLE_ADDRESS_PUBLIC;
    *ret_supported = ble_le32(info + 9);
    *ret_settings = ble_le32(info + 13);
    return 0;
}

int ble_adapter_find(struct ble_adapter *a, struct ble_mgmt *m)
{
    uint8_t list[2 + 2 * BLE_ADAPTERS_MAX];
    size_t len;
    bool at_home = false;
    const int rc =
        ble_mgmt_call(m, BLE_MGMT_READ_INDEX_LIST, BLE_MGMT_NO_INDEX, NULL, 0, list, sizeof list, &len);
    a->present = false;
    if (rc != 0)
        return rc;
    for (size_t at = 2; at + 1 < len && !at_home; at += 2) {
        struct tg_ble_address address;
        uint32_t supported, settings;
        const uint16_t index = ble_le16(list + at);
        if (read_info(m, index, &address, &supported, &settings) != 0)
            continue; /* it has just gone */
        at_home = a->has_home && tg_ble_address_eq(&address, &a->home);
        if (!at_home && index != a->wanted_index)
            continue;
        a->present = true;
        a->index = index;
        a->address = address;
        a->supported = supported;
        a->settings = settings;
    }
    if (a->present && !a->has_home) {
        a->has_home = true;
        a->home = a->address;
    }
    return 0;
}

static int set(struct ble_adapter *a, struct ble_mgmt *m, uint16_t command, uint8_t value, uint32_t bit)
{
    uint8_t settings[4];
    size_t len;
    int rc;
    if (((a->settings & bit) != 0) == (value != 0))
        return 0;
    rc = ble_mgmt_call(m, command, a->index, &value, 1, settings, sizeof settings, &len);
    if (rc == 0 && len == sizeof settings)
        a->settings = ble_le32(settings);
    return rc;
}

int ble_adapter_power(struct ble_adapter *a, struct ble_mgmt *m, bool on)
{
    int rc = 0;
    if (on)
        rc = set(a, m, BLE_MGMT_SET_LE, 1, BLE_MGMT_LE);
    return rc == 0 ? set(a, m, BLE_MGMT_SET_POWERED, on, BLE_MGMT_POWERED) : rc;
}

/* A number that a file of sysfs holds, or -1. */
static int sysfs_number(const char *folder, const char *name)
{
    char path[PATH_MAX];
    int value = -1;
    FILE *file;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path || !(file = fopen(path, "re")))
        return -1;
    if (fscanf(file, "%d", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

int ble_adapter_blocked(const struct ble_adapter *a)
{
    char folder[64];
    int blocked = 0;
    DIR *dir;
    snprintf(folder, sizeof folder, "/sys/class/bluetooth/hci%u", a->index);
    dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[128 + NAME_MAX];
        if (strncmp(e->d_name, "rfkill", 6) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (sysfs_number(path, "hard") > 0)
            blocked = 2;
        else if (sysfs_number(path, "soft") > 0 && blocked == 0)
            blocked = 1;
    }
    if (dir)
        closedir(dir);
    return blocked;
}

/* The folder of the USB device above the adapter, with its bus and device number. */
static bool find_usb(const struct ble_adapter *a, int *ret_bus, int *ret_device)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/sys/class/bluetooth/hci%u/device", a->index);
    if (!realpath(link, path))
        return false;
    while (strlen(path) > strlen("/sys/devices")) {
        *ret_bus = sysfs_number(path, "busnum");
        *ret_device = sysfs_number(path, "devnum");
        if (*ret_bus > 0 && *ret_device > 0)
            return true;
        *strrchr(path, '/') = 0;
    }
    return false;
}

int ble_adapter_reset_usb(const struct ble_adapter *a)
{
    char path[64];
    int bus, device, fd, rc = 0;
    if (!find_usb(a, &bus, &device))
        return -ENODEV;
    snprintf(path, sizeof path, "/dev/bus/usb/%03d/%03d", bus, device);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    /* UNTESTED: no USB adapter where the tests run; libusb's libusb_reset_device() is this call. */
    if (ioctl(fd, USBDEVFS_RESET, 0) < 0)
        rc = -errno;
    close(fd);
    return rc;
}
