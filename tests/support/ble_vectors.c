/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/ble_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugins/ble/ble_crypto.h"
#include "southbound/ble/hci_events.h"

#define CHECK(cond) BLE_CHECK(c->id, cond)

static const char *text_of(const json_t *v, const char *key)
{
    return json_string_value(json_object_get(v, key));
}

static void from_event(const json_t *v, struct ble_case *c)
{
    uint8_t packet[TG_HCI_EVENT_MAX];
    struct tg_hci_event event;
    struct tg_hci_report report, none;
    struct tg_ble_address address = {0};
    long n = tg_vectors_hex(text_of(v, "hci_event"), packet, sizeof packet);
    CHECK(n > 0 && tg_hci_event_begin(&event, packet, (size_t)n, 0) == TG_HCI_OK);
    CHECK(tg_hci_event_next(&event, &report) && !tg_hci_event_next(&event, &none));
    memcpy(c->data, report.advert.data, report.advert.len);
    c->advert = report.advert;
    CHECK(tg_ble_address_parse(text_of(v, "address"), &address));
    CHECK(tg_ble_address_eq(&address, &c->advert.address));
    CHECK(c->advert.rssi == json_integer_value(json_object_get(v, "rssi")));
}

static void from_content(const json_t *v, uint16_t number, struct ble_case *c)
{
    const char *service = text_of(v, "service_data"), *company = text_of(v, "manufacturer_data"),
               *whole = text_of(v, "manufacturer_data_with_company");
    const char *hex = service ? service : company ? company : whole;
    size_t head = whole ? 2 : 4;
    CHECK(hex);
    long n = tg_vectors_hex(hex, c->data + head, 253);
    CHECK(n > 0);
    c->data[0] = (uint8_t)((size_t)n + head - 1);
    c->data[1] = (uint8_t)(service ? TG_BLE_AD_SERVICE_DATA_16 : TG_BLE_AD_MANUFACTURER);
    if (!whole) {
        c->data[2] = (uint8_t)number;
        c->data[3] = (uint8_t)(number >> 8);
    }
    c->advert.len = head + (size_t)n;
    c->advert.rssi = TG_BLE_RSSI_UNKNOWN;
    if (text_of(v, "address"))
        CHECK(tg_ble_address_parse(text_of(v, "address"), &c->advert.address));
}

void ble_case_load(const json_t *vector, uint16_t number, struct ble_case *c)
{
    const char *key = text_of(vector, "key") ? text_of(vector, "key") : text_of(vector, "bindkey");
    memset(c, 0, sizeof *c);
    c->id = text_of(vector, "id");
    if (text_of(vector, "hci_event"))
        from_event(vector, c);
    else
        from_content(vector, number, c);
    c->advert.data = c->data;
    c->has_key = key != NULL;
    if (key)
        CHECK(tg_ble_key_parse(key, strlen(key), &tg_ble_wolfcrypt, &c->key));
}

const struct tg_ble_key *ble_case_key(const struct ble_case *c)
{
    return c->has_key ? &c->key : NULL;
}

const struct tg_ble_reading *ble_reading(const struct ble_case *c, const struct tg_ble_readings *r,
                                         const char *name)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->items[i].name, name) == 0)
            return &r->items[i];
    fail_msg("%s: no reading %s", c->id, name);
    return NULL;
}

void ble_same(const struct ble_case *c, const struct tg_ble_reading *item, const json_t *want)
{
    const struct tg_value *v = &item->value;
    bool good = false;
    if (json_is_null(want)) {
        good = v->type == TG_VALUE_NONE && item->quality == TG_QUALITY_SENSOR;
    } else if (item->quality != TG_QUALITY_GOOD) {
        good = false;
    } else if (json_is_string(want)) {
        good = v->type == TG_VALUE_TEXT && v->text_len == json_string_length(want) &&
               memcmp(v->as.text, json_string_value(want), v->text_len) == 0;
    } else if (json_is_boolean(want)) {
        good = v->type == TG_VALUE_BOOL && v->as.boolean == json_is_true(want);
    } else if (json_is_number(want)) {
        /* to the last bit: a decimal scale is divided, not multiplied by its inverse */
        double is = v->type == TG_VALUE_INT    ? (double)v->as.integer
                    : v->type == TG_VALUE_REAL ? v->as.real
                    : v->type == TG_VALUE_BOOL ? (double)v->as.boolean
                                               : -1e300;
        good = is >= json_number_value(want) && is <= json_number_value(want);
    }
    if (!good)
        fail_msg("%s: %s is %g (type %u, quality %u)", c->id, item->name, v->as.real, v->type, item->quality);
}

/* The end of the structure that the decoder reads: the last one of those whose loss takes the readings away. */
static size_t needed(const struct ble_case *c, uint32_t formats)
{
    static struct tg_ble_readings r;
    struct tg_ble_advert a = c->advert;
    while (a.len > 0 && tg_ble_decode(formats, &a, ble_case_key(c), NULL, &r) == TG_BLE_OK)
        a.len--;
    return a.len + 1;
}

static enum tg_ble_verdict decode_copy(const struct ble_case *c, uint32_t formats, const uint8_t *data,
                                       size_t len, struct tg_ble_readings *r)
{
    uint8_t *exact = malloc(len + !len); /* AddressSanitizer sees the first byte behind it */
    struct tg_ble_advert a = c->advert;
    assert_non_null(exact);
    memcpy(exact, data, len);
    a.data = exact;
    a.len = len;
    enum tg_ble_verdict verdict = tg_ble_decode(formats, &a, ble_case_key(c), NULL, r);
    free(exact);
    return verdict;
}

void ble_truncations(const struct ble_case *c, uint32_t formats, bool content)
{
    static struct tg_ble_readings r;
    struct tg_ble_ad_iter i = tg_ble_ad_begin(c->data, c->advert.len);
    struct tg_ble_ad ad;
    size_t whole = needed(c, formats), last = 0, k;
    bool ends_structure = false;
    while (tg_ble_ad_next(&i, &ad)) {
        ends_structure |= i.pos == whole;
        if (i.pos <= whole)
            last = (size_t)(ad.data - 2 - c->data);
    }
    CHECK(ends_structure); /* readings need their structure to the last byte */
    for (k = 0; k < whole; k++) {
        enum tg_ble_verdict verdict = decode_copy(c, formats, c->data, k, &r);
        CHECK(verdict != TG_BLE_OK && r.count == 0);
        CHECK(strcmp(tg_ble_verdict_name(verdict), "unknown") != 0);
    }
    for (k = c->data[last] - 1u; content && k >= 1; k--) {
        uint8_t data[TG_BLE_ADVERT_MAX];
        memcpy(data, c->data, last + 1 + k);
        data[last] = (uint8_t)k;
        CHECK(decode_copy(c, formats, data, last + 1 + k, &r) != TG_BLE_OK && r.count == 0);
    }
}

void ble_flips(const struct ble_case *c, uint32_t formats, size_t from)
{
    static struct tg_ble_readings r;
    struct tg_ble_ad_iter i = tg_ble_ad_begin(c->data, c->advert.len);
    struct tg_ble_ad ad;
    while (tg_ble_ad_next(&i, &ad)) {
        for (size_t bit = 8 * (2 + from); ad.type == TG_BLE_AD_SERVICE_DATA_16 && bit < 8u * ad.len; bit++) {
            struct ble_case flipped = *c;
            flipped.data[(size_t)(ad.data - c->data) + bit / 8] ^= (uint8_t)(1 << bit % 8);
            flipped.advert.data = flipped.data;
            if (tg_ble_decode(formats, &flipped.advert, ble_case_key(c), NULL, &r) == TG_BLE_OK)
                fail_msg("%s: bit %zu does not matter", c->id, bit);
        }
    }
}

static const char *vector_file;
static void (*vector_run)(const json_t *vector);

static void every_entry(void **state)
{
    (void)state;
    json_t *root = tg_vectors_load(vector_file), *v;
    size_t i, run = 0;
    json_array_foreach(json_object_get(root, "vectors"), i, v)
    {
        vector_run(v);
        run++;
    }
    assert_true(run > 0);
    assert_int_equal(run, json_array_size(json_object_get(root, "vectors")));
    print_message("%zu entries of %s\n", run, vector_file);
    json_decref(root);
}

int ble_vectors_main(const char *file, void (*run)(const json_t *vector))
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_entry)};
    vector_file = file;
    vector_run = run;
    return cmocka_run_group_tests_name(file, tests, NULL, NULL);
}
