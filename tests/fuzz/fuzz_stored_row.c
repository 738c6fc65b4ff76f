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

/* Given its wall time it reads the same, and is not larger than the store has made room for. */
static void check_restamp(const uint8_t *data, size_t size)
{
    static uint8_t memory[TG_SAMPLE_MAX_BYTES + 16];
    static const struct tg_sample_time wall = {.kind = TG_TIME_ESTIMATED, .ms = 1900000000000};
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_sample_reader r;
    CHECK(tg_sample_restamp(tg_bytes(data, size), &wall, &w) == TG_OK && !w.failed);
    CHECK(tg_sample_reader_init(&r, tg_bytes(memory, w.len)) == TG_OK);
    CHECK(r.time == TG_TIME_ESTIMATED && r.boot == 0 && r.time_ms == wall.ms);
}

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
    struct tg_sample_time time = {r.time, r.boot, r.time_ms};
    CHECK((time.kind == TG_TIME_BOOT) == (time.boot != 0));
    CHECK(tg_sample_is_unstamped(tg_bytes(data, size)) == (time.kind == TG_TIME_BOOT));
    tg_sample_begin_at(&w, &time, n);
    for (uint32_t i = 0; i < n; i++)
        tg_sample_value(&w, &values[i]);
    CHECK(!w.failed);
    CHECK(tg_sample_reader_init(&r, tg_bytes(memory, w.len)) == TG_OK);
    CHECK(r.time == time.kind && r.boot == time.boot && r.time_ms == time.ms);
    check_restamp(data, size);
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
