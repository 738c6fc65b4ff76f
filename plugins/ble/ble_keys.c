/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/ble_keys.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/base/secret.h"
#include "plugins/ble/ble_crypto.h"

/* TG_OK, TG_ENOTFOUND, or another error. */
static int read_key(const char *path, struct tg_ble_key *ret_key, char *error, size_t error_size)
{
    struct tg_secret secret;
    struct tg_error err = {0};
    bool good;
    const int rc = tg_secret_read(path, TG_SECRET_PRIVATE, &secret, &err);
    if (rc < 0) {
        snprintf(error, error_size, "%s", err.text);
        return rc;
    }
    good = tg_ble_key_parse((const char *)secret.data, secret.len, &tg_ble_wolfcrypt, ret_key);
    tg_secret_free(&secret);
    if (!good)
        snprintf(error, error_size, "%s: a key is 32 hexadecimal digits (24 for MiBeacon versions 2 and 3)",
                 path);
    return good ? TG_OK : TG_EINVAL;
}

bool ble_key_read(const char *path, struct tg_ble_key *ret_key, char *error, size_t error_size)
{
    return read_key(path, ret_key, error, error_size) == TG_OK;
}

bool ble_key_of(const char *folder, const struct tg_ble_address *address, struct tg_ble_key *ret_key,
                char *error, size_t error_size)
{
    char path[PATH_MAX], id[TG_BLE_ADDRESS_BYTES];
    int rc;
    error[0] = '\0';
    if (!folder)
        return false;
    tg_ble_address_id(address, id);
    if (snprintf(path, sizeof path, "%s/%s.key", folder, id) >= (int)sizeof path)
        return false; /* then there is no such folder either */
    rc = read_key(path, ret_key, error, error_size);
    if (rc == TG_ENOTFOUND)
        error[0] = '\0';
    return rc == TG_OK;
}

int ble_check_device(const struct tg_host *host, const char *id, const struct tg_settings *device,
                     const char **ret_option, char *error, size_t error_size)
{
    const char *address = host->get_text(device, "address");
    const char *path = host->get_text(device, "bind_key_file");
    struct tg_ble_address parsed;
    struct tg_ble_key key;
    if (!tg_ble_address_parse(address ? address : id, &parsed)) {
        *ret_option = address ? "address" : NULL;
        snprintf(error, error_size, "\"%s\" is no Bluetooth address such as a4:c1:38:00:00:01%s",
                 address ? address : id, address ? "" : ", and the device has no `address`");
        return TG_PLUGIN_EINVAL;
    }
    if (!path)
        return TG_PLUGIN_OK;
    *ret_option = "bind_key_file";
    if (!ble_key_read(path, &key, error, error_size))
        return TG_PLUGIN_EINVAL;
    explicit_bzero(&key, sizeof key);
    return TG_PLUGIN_OK;
}
