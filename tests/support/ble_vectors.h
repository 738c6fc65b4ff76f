/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_vectors - entries of southbound/ble_*.json as advertisements.
 *
 *     json_array_foreach(json_object_get(root, "vectors"), i, v) {
 *         struct ble_case c;
 *         ble_case_load(v, &c);
 *         verdict = tg_ble_decode(mask, &c.advert, ble_case_key(&c), NULL, &readings);
 *         …
 *     }
 */
#ifndef TG_TESTS_SUPPORT_BLE_VECTORS_H
#define TG_TESTS_SUPPORT_BLE_VECTORS_H

#include "southbound/ble/ble_decode.h"
#include "support/vectors.h"

#define BLE_CHECK(id, cond)                                                                                  \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            fail_msg("%s: %s is false (line %d)", id, #cond, __LINE__);                                      \
    } while (0)

struct ble_case {
    const char *id;
    struct tg_ble_advert advert; /* data points into `data` */
    uint8_t data[TG_BLE_ADVERT_MAX];
    struct tg_ble_key key;
    bool has_key;
};

/* From `hci_event` (one report, whose address and RSSI must be those of the entry), `service_data` of the UUID given,
 * `manufacturer_data` of the company given, or `manufacturer_data_with_company`. Fails the test when the entry is none. */
void ble_case_load(const json_t *vector, uint16_t number, struct ble_case *ret_case);
const struct tg_ble_key *ble_case_key(const struct ble_case *c);

/* The reading of the name; fails the test when there is none. */
const struct tg_ble_reading *ble_reading(const struct ble_case *c, const struct tg_ble_readings *r,
                                         const char *name);
/* It has exactly the value: a number (also a bool as 0 or 1), a text, a bool; null is "no value" of quality "sensor". */
void ble_same(const struct ble_case *c, const struct tg_ble_reading *item, const json_t *want);

/* The advertisement cut after every byte, and with its last structure shortened byte by byte (when `content` is true): no cut one
 * gives a reading, but those whose structure with the number is still whole. Each must be told, too, by a name for it. */
void ble_truncations(const struct ble_case *c, uint32_t formats, bool content);
/* Every bit of the service data from byte `from` on flipped, one by one: the readings are gone (authenticated formats). */
void ble_flips(const struct ble_case *c, uint32_t formats, size_t from);

/* Runs one test for each entry; the number of entries of the file must be the number of those run. */
int ble_vectors_main(const char *file, void (*run)(const json_t *vector));

#endif
