/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_stored_row - a stored sample body, as a damaged disk could hand it back: reading stays in bounds,
 * ends, and what was read whole writes to a body that reads the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/gap.h"

#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            abort();                                                                                         \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[2 * TG_SAMPLE_MAX_BYTES];
    static struct tg_named_value values[TG_SAMPLE_MAX_VALUES];
    struct tg_sample_reader r;
    struct tg_named_value again;
    struct tg_gap gap;
    struct tg_bytes cloud;
    uint32_t n = 0;
    int rc = tg_gap_read(tg_bytes(data, size), &gap, &cloud);
    CHECK(rc <= 1 && (rc < 1 || (tg_gap_is_record(tg_bytes(data, size)) && cloud.len <= size)));
    if (size > TG_SAMPLE_MAX_BYTES || tg_sample_reader_init(&r, tg_bytes(data, size)) != TG_OK)
        return 0;
    while ((rc = tg_sample_reader_next(&r, &values[n])) == 1) {
        const uint8_t *text = (const uint8_t *)values[n].value.as.text;
        CHECK(values[n].name.len <= TG_NAME_MAX_BYTES);
        CHECK(values[n].name.len == 0 || (values[n].name.data >= data && values[n].name.data < data + size));
        CHECK(values[n].value.type != TG_VALUE_TEXT || values[n].value.text_len == 0 ||
              (text >= data && text + values[n].value.text_len <= data + size));
        if (++n == TG_SAMPLE_MAX_VALUES)
            break;
    }
    if (rc != 0 && n < r.count)
        return 0;
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    tg_sample_begin(&w, r.time_ms, n);
    for (uint32_t i = 0; i < n; i++)
        tg_sample_value(&w, &values[i]);
    CHECK(!w.failed);
    CHECK(tg_sample_reader_init(&r, tg_bytes(memory, w.len)) == TG_OK);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(tg_sample_reader_next(&r, &again) == 1);
        CHECK(tg_bytes_eq(again.name, values[i].name));
        CHECK(again.quality == values[i].quality && again.value.type == values[i].value.type);
        if (again.value.type == TG_VALUE_TEXT)
            CHECK(tg_bytes_eq(tg_bytes(again.value.as.text, again.value.text_len),
                              tg_bytes(values[i].value.as.text, values[i].value.text_len)));
        else if (again.value.type == TG_VALUE_BOOL)
            CHECK(again.value.as.boolean == values[i].value.as.boolean);
        else if (again.value.type != TG_VALUE_NONE)
            CHECK(again.value.as.uinteger == values[i].value.as.uinteger);
    }
    CHECK(tg_sample_reader_next(&r, &again) == 0);
    return 0;
}
