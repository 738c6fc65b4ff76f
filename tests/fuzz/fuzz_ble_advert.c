/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes from the air as advertisements: the first 22 are key and address, the rest is the data. It is decoded by each format, with and
 * without key, twice with the same guard. Beside not crashing: no readings without OK, all of them named, good or without value, texts
 * inside the storage, and the same frame is not new twice.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "plugins/ble/ble_crypto.h"

#define HEAD 22

static void demand(int condition)
{
    if (!condition)
        abort();
}

static void check_text(const struct tg_ble_readings *r, const struct tg_value *v)
{
    const char *at = v->as.text;
    demand(v->text_len == 0 || (at >= r->text && at + v->text_len <= r->text + sizeof r->text));
    demand(tg_utf8_valid(tg_bytes(at, v->text_len)));
}

static void check_readings(const struct tg_ble_readings *r)
{
    demand(r->count > 0 && r->count <= TG_BLE_MAX_READINGS && r->format < TG_BLE_FORMATS);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct tg_ble_reading *item = &r->items[i];
        demand(memchr(item->name, 0, sizeof item->name) != NULL && item->name[0] && item->unit);
        demand((item->quality == TG_QUALITY_GOOD) == (item->value.type != TG_VALUE_NONE));
        demand(item->quality == TG_QUALITY_GOOD || item->quality == TG_QUALITY_SENSOR);
        demand(item->value.type != TG_VALUE_REAL || isfinite(item->value.as.real));
        if (item->value.type == TG_VALUE_TEXT)
            check_text(r, &item->value);
        for (uint32_t k = 0; k < i; k++)
            demand(strcmp(item->name, r->items[k].name) != 0);
        demand(strncmp(item->name, "object_", 7) == 0 ||
               tg_ble_reading_known(TG_BLE_FORMAT_BIT(r->format), item->name));
    }
}

static void decode(uint32_t formats, const struct tg_ble_advert *a, const struct tg_ble_key *key)
{
    static struct tg_ble_readings r;
    struct tg_ble_guard guard;
    memset(&guard, 0, sizeof guard);
    for (int time = 0; time < 2; time++) {
        enum tg_ble_verdict verdict = tg_ble_decode(formats, a, key, &guard, &r);
        demand(strcmp(tg_ble_verdict_name(verdict), "unknown") != 0);
        demand(verdict == TG_BLE_OK || r.count == 0);
        demand(time == 0 ? verdict != TG_BLE_DUPLICATE && verdict != TG_BLE_REPLAYED : verdict != TG_BLE_OK);
        if (verdict == TG_BLE_OK)
            check_readings(&r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_ble_key key = {.crypto = &tg_ble_wolfcrypt, .len = TG_BLE_KEY_BYTES};
    struct tg_ble_candidate candidates[TG_BLE_FORMATS];
    char name[TG_BLE_NAME_BYTES];
    if (size < HEAD || size > HEAD + TG_BLE_ADVERT_MAX)
        return 0;
    struct tg_ble_advert a = {.rssi = (int8_t)data[0], .data = data + HEAD, .len = size - HEAD};
    memcpy(key.bytes, data, TG_BLE_KEY_BYTES);
    memcpy(a.address.bytes, data + TG_BLE_KEY_BYTES, 6);
    for (unsigned f = 0; f < TG_BLE_FORMATS; f++) {
        decode(TG_BLE_FORMAT_BIT(f), &a, NULL);
        key.len = TG_BLE_KEY_BYTES;
        decode(TG_BLE_FORMAT_BIT(f), &a, &key);
        key.len = TG_BLE_LEGACY_BYTES;
        decode(TG_BLE_FORMAT_BIT(f), &a, &key);
    }
    size_t n = tg_ble_recognise(&a, candidates);
    for (size_t i = 0; i < n; i++)
        demand(candidates[i].verdict != TG_BLE_NOT_MINE &&
               memchr(candidates[i].model, 0, TG_BLE_MODEL_BYTES));
    demand(tg_ble_local_name(&a, name) == strlen(name));
    return 0;
}
