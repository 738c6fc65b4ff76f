/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What `tidegate check` and each start say of a source, a device and a point once the tables are satisfied.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/modbus/modbus_plugin.h"
#include "plugins/modbus/modbus_sunspec.h"

static int told(const struct tg_error *err, char *error, size_t error_size)
{
    snprintf(error, error_size, "%s", err->text);
    return TG_PLUGIN_EINVAL;
}

/* --- source ----------------------------------------------------------------------------------- */

/* What only a serial port has: on a connection it would be without effect, and its author believes otherwise. A default that is written
 * down cannot be told from one that is not. */
static int check_line(const struct tg_host *host, const struct tg_settings *source, const char **ret_option,
                      struct tg_error *err)
{
    if (host->get_int(source, "transport") == TG_MODBUS_RTU)
        return TG_OK;
    if (host->get_int(source, "rs485"))
        *ret_option = "rs485";
    else if (strcmp(host->get_text(source, "baud"), "9600") != 0)
        *ret_option = "baud";
    else if (host->get_int(source, "parity"))
        *ret_option = "parity";
    else if (host->get_int(source, "stop_bits") != 1)
        *ret_option = "stop_bits";
    else
        return TG_OK;
    return tg_error_set(
        err, TG_EINVAL,
        "belongs to a serial port, and transport %s has none: remove it, or write transport: rtu",
        tg_modbus_transport_names[host->get_int(source, "transport")]);
}

int tg_modbus_check_source(const struct tg_host *host, const struct tg_settings *source,
                           const char **ret_option, char *error, size_t error_size)
{
    struct tg_modbus_link_config unused;
    struct tg_error err = {0};
    if (tg_modbus_link_config(host, source, &unused, ret_option, &err) < 0 ||
        check_line(host, source, ret_option, &err) < 0)
        return told(&err, error, error_size);
    return TG_PLUGIN_OK;
}

/* --- device ----------------------------------------------------------------------------------- */

static unsigned long take_address(const char *s, char **end)
{
    return strtoul(s, end, s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10);
}

static bool take_range(const char *text, unsigned long first, struct tg_modbus_range *ret)
{
    const char *colon = strchr(text, ':'), *rest = colon ? colon + 1 : text;
    struct tg_modbus_range r = {.table = -1};
    char table[16], *end;
    if (colon) {
        snprintf(table, sizeof table, "%.*s", (int)(colon - text), text);
        r.table = tg_modbus_name_index(tg_modbus_table_names, table);
        if (r.table < 0)
            return false;
    }
    if (*rest < '0' || *rest > '9')
        return false;
    unsigned long from = take_address(rest, &end), to = from;
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        to = take_address(end + 1, &end);
    if (*end || from > to || from < first || to - first > 65535)
        return false;
    r.from = (uint16_t)(from - first);
    r.to = (uint16_t)(to - first);
    *ret = r;
    return true;
}

static unsigned long first_address(const struct tg_host *host, const struct tg_settings *device)
{
    return tg_modbus_address_base(host, device) == 1 ? 1 : 0;
}

uint32_t tg_modbus_no_read(const struct tg_host *host, const struct tg_settings *device,
                           struct tg_modbus_range ret_ranges[TG_MODBUS_MAX_RANGES])
{
    const char *const *items = NULL;
    uint32_t n = host->has(device, "no_read") ? host->get_list(device, "no_read", &items) : 0, taken = 0;
    for (uint32_t i = 0; i < n && taken < TG_MODBUS_MAX_RANGES; i++)
        taken += take_range(items[i], first_address(host, device), &ret_ranges[taken]);
    return taken;
}

static int check_no_read(const struct tg_host *host, const struct tg_settings *device, struct tg_error *err)
{
    const unsigned long first = first_address(host, device);
    const char *const *items = NULL;
    struct tg_modbus_range unused;
    uint32_t n = host->has(device, "no_read") ? host->get_list(device, "no_read", &items) : 0;
    if (n > TG_MODBUS_MAX_RANGES)
        return tg_error_set(err, TG_EFULL, "no_read has more than %d entries", TG_MODBUS_MAX_RANGES);
    for (uint32_t i = 0; i < n; i++)
        if (!take_range(items[i], first, &unused))
            return tg_error_set(err, TG_EINVAL,
                                "no_read entry \"%.40s\" is no range: allowed are N, N-M and TABLE:N-M with "
                                "addresses from %lu to %lu",
                                items[i], first, 65535 + first);
    return TG_OK;
}

int tg_modbus_device_check(const struct tg_host *host, const struct tg_settings *device,
                           const char **ret_option, struct tg_error *err)
{
    int64_t unit = host->get_int(device, "unit");
    *ret_option = "unit";
    if (unit >= 248 && unit <= 254)
        return tg_error_set(err, TG_EINVAL, "unit %" PRId64 " is reserved: allowed are 0 to 247 and 255",
                            unit);
    *ret_option = "only_single";
    if (host->get_int(device, "only_multiple") && host->get_int(device, "only_single"))
        return tg_error_set(err, TG_EINVAL, "only_multiple and only_single exclude each other");
    *ret_option = "no_read";
    return check_no_read(host, device, err);
}

int tg_modbus_check_device(const struct tg_host *host, const char *id, const struct tg_settings *device,
                           const char **ret_option, char *error, size_t error_size)
{
    struct tg_error err = {0};
    (void)id;
    return tg_modbus_device_check(host, device, ret_option, &err) < 0 ? told(&err, error, error_size)
                                                                      : TG_PLUGIN_OK;
}

/* --- point ------------------------------------------------------------------------------------ */

/* What concerns one point and its device: limits that a point must fit into. */
int tg_modbus_check_against_device(const struct tg_host *host, const struct tg_settings *device,
                                   const struct tg_modbus_point *p, bool sunspec, bool writable,
                                   struct tg_error *err)
{
    int64_t max = host->get_int(device, "max_count");
    if (p->count > max)
        return tg_error_set(err, TG_EINVAL, "the value has %u registers, max_count is %" PRId64, p->count,
                            max);
    if (writable && (p->table == TG_MODBUS_DISCRETE || p->table == TG_MODBUS_INPUT))
        return tg_error_set(err, TG_EINVAL, "writable: %s cannot be written, only coil and holding can",
                            tg_modbus_table_names[p->table]);
    if (writable && sunspec)
        return tg_error_set(err, TG_EINVAL,
                            "writable: a SunSpec point can only be read; its register can be written as "
                            "a point holding:N");
    if (writable && (p->type == TG_MODBUS_INT16_SF || p->type == TG_MODBUS_UINT16_SF))
        return tg_error_set(err, TG_EINVAL, "writable: type %s cannot be written",
                            tg_modbus_type_names[p->type]);
    if (writable && p->count > TG_MODBUS_MAX_WRITE_REGISTERS)
        return tg_error_set(err, TG_EINVAL, "writable: %u registers are more than one write carries (%d)",
                            p->count, TG_MODBUS_MAX_WRITE_REGISTERS);
    return TG_OK;
}

int tg_modbus_check_point(const struct tg_host *host, const struct tg_settings *device,
                          const struct tg_point *point, const char **ret_option, char *error,
                          size_t error_size)
{
    struct tg_modbus_point p;
    struct tg_error err = {0};
    const char *option = NULL;
    int rc = tg_modbus_point_from_settings(host, device, point->settings, &p, &option, &err);
    if (rc == 0) {
        option = "address";
        rc = tg_modbus_check_against_device(host, device, &p, tg_modbus_is_sunspec(host, point->settings),
                                            point->writable, &err);
    }
    if (rc == 0)
        return TG_PLUGIN_OK;
    if (ret_option)
        *ret_option = option;
    return told(&err, error, error_size);
}

/* --- points among each other -------------------------------------------------------------------- */

static uint32_t end_of(const struct tg_modbus_item *i)
{
    return (uint32_t)i->address + i->count;
}

/* One value inside another is common: a word's bits, a text's parts. Two that are shifted against each other are a slip of the pen, and
 * both would be read without an error. */
void tg_modbus_tell_overlap(const struct tg_host *host, const struct tg_modbus_device *device)
{
    for (size_t i = 0; i < device->item_count; i++) {
        const struct tg_modbus_item *a = &device->items[i], *b = a + 1;
        for (; b < device->items + device->item_count && b->table == a->table && b->address < end_of(a);
             b++) {
            if (b->address == a->address || end_of(b) <= end_of(a))
                continue;
            host->log(host->source, TG_LOG_WARN,
                      "device %s: points %s (%s:%u to %u) and %s (%u to %u) have registers in common: is an "
                      "address "
                      "or a type wrong?",
                      device->config->id, device->config->points[a->tag].name,
                      tg_modbus_table_names[a->table], a->address, end_of(a) - 1,
                      device->config->points[b->tag].name, b->address, end_of(b) - 1);
            return;
        }
    }
}
