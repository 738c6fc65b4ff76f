/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/ble_private.h"

uint32_t tg_ble_unsigned_le(const uint8_t *p, size_t n)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

int32_t tg_ble_signed_le(const uint8_t *p, size_t n)
{
    uint32_t v = tg_ble_unsigned_le(p, n);
    if (n < 4 && (p[n - 1] & 0x80))
        v |= UINT32_MAX << (8 * n);
    return (int32_t)v;
}

void tg_ble_address_reverse(const uint8_t from[6], uint8_t ret_to[6])
{
    for (size_t i = 0; i < 6; i++)
        ret_to[i] = from[5 - i];
}

bool tg_ble_address_claim(const struct tg_ble_advert *advert, const uint8_t claimed[6],
                          struct tg_ble_readings *r)
{
    static const uint8_t nobody[6];
    memcpy(r->address, claimed, 6);
    r->has_address = true;
    return memcmp(advert->address.bytes, nobody, 6) == 0 || memcmp(advert->address.bytes, claimed, 6) == 0;
}

/* The name is `base`, or it with a number put behind it. */
static bool is_repeat_of(const char *name, const char *base)
{
    size_t n = strlen(base);
    if (strcmp(name, base) == 0)
        return true;
    if (strlen(name) < n + 2 || memcmp(name, base, n) != 0 || name[n] != '_')
        return false;
    for (const char *c = name + n + 1; *c; c++)
        if (*c < '0' || *c > '9')
            return false;
    return true;
}

static struct tg_ble_reading *next(struct tg_ble_readings *r, const char *name, const char *unit,
                                   unsigned object)
{
    unsigned same = 1;
    if (r->count == TG_BLE_MAX_READINGS) {
        r->stopped = TG_BLE_STOP_FULL;
        return NULL;
    }
    for (uint32_t i = 0; i < r->count; i++)
        same += is_repeat_of(r->items[i].name, name);
    struct tg_ble_reading *item = &r->items[r->count++];
    struct tg_writer w = tg_writer_init(item->name, sizeof item->name - 1);
    memset(item, 0, sizeof *item);
    tg_write_str(&w, name);
    if (same > 1) {
        tg_write_u8(&w, '_');
        tg_write_u64_dec(&w, same);
    }
    item->unit = unit;
    item->object = (uint16_t)object;
    return item;
}

void tg_ble_add(struct tg_ble_readings *r, const char *name, const char *unit, unsigned object,
                struct tg_value value)
{
    struct tg_ble_reading *item = next(r, name, unit, object);
    if (item)
        item->value = value;
}

void tg_ble_add_ratio(struct tg_ble_readings *r, const char *name, const char *unit, unsigned object,
                      int64_t raw, int32_t divisor)
{
    tg_ble_add(r, name, unit, object,
               divisor == 1 ? tg_value_int(raw) : tg_value_real((double)raw / divisor));
}

void tg_ble_add_none(struct tg_ble_readings *r, const char *name, const char *unit, unsigned object)
{
    struct tg_ble_reading *item = next(r, name, unit, object);
    if (item)
        item->quality = TG_QUALITY_SENSOR;
}

void tg_ble_add_battery(struct tg_ble_readings *r, unsigned percent)
{
    if (percent > 100)
        tg_ble_add_none(r, "battery", "%", 0);
    else
        tg_ble_add_ratio(r, "battery", "%", 0, percent, 1);
}

/* Room for n bytes of text, or NULL with `stopped` set. */
static char *text_room(struct tg_ble_readings *r, size_t n)
{
    if (r->count == TG_BLE_MAX_READINGS || n > sizeof r->text - r->text_len) {
        r->stopped = TG_BLE_STOP_FULL;
        return NULL;
    }
    char *at = r->text + r->text_len;
    r->text_len += (uint32_t)n;
    return at;
}

void tg_ble_add_text(struct tg_ble_readings *r, const char *name, unsigned object, struct tg_bytes text)
{
    if (!tg_utf8_valid(text) || (text.len > 0 && memchr(text.data, 0, text.len))) {
        tg_ble_add_none(r, name, "", object);
        return;
    }
    char *at = text_room(r, text.len);
    if (!at)
        return;
    if (text.len > 0)
        memcpy(at, text.data, text.len);
    tg_ble_add(r, name, "", object, tg_value_text(at, text.len));
}

void tg_ble_add_hex(struct tg_ble_readings *r, const char *name, unsigned object, struct tg_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *at = text_room(r, 2 * bytes.len);
    if (!at)
        return;
    for (size_t i = 0; i < bytes.len; i++) {
        at[2 * i] = digits[bytes.data[i] >> 4];
        at[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    tg_ble_add(r, name, "", object, tg_value_text(at, 2 * bytes.len));
}

void tg_ble_set_model(struct tg_ble_readings *r, const char *model)
{
    struct tg_writer w = tg_writer_init(r->model, sizeof r->model - 1);
    memset(r->model, 0, sizeof r->model);
    tg_write_str(&w, model);
}
