/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the process of an isolated plugin sends, as the gateway reads it; and that what was read is written the same again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "southbound/plugin_wire.h"

#define ROOM (256 * 1024)

static uint8_t first[ROOM], second[ROOM];
static struct tg_wire_sample sample;

/* Numbers may have come in a longer form: it is the second writing that must be as the first. */
static size_t write_again(uint8_t *out, const struct tg_wire_frame *frame)
{
    struct tg_writer w = tg_writer_init(out, ROOM);
    struct tg_wire_message m;
    if (frame->type == TG_WIRE_SAMPLE) {
        if (tg_wire_read_sample(frame, &sample) < 0)
            return 0;
        if (tg_wire_sample_bound(sample.values, sample.count) > ROOM)
            return 0;
        tg_wire_put_sample(&w, sample.device, sample.time_ms, sample.values, sample.count);
    } else {
        if (tg_wire_read_message(frame, &m) < 0)
            return 0;
        if (tg_wire_message_bound(&m) > ROOM)
            return 0;
        tg_wire_put_message(&w, &m);
    }
    if (w.failed)
        abort();
    return w.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_wire_frame frame, again;
    size_t at = 0;
    while (tg_wire_next(tg_bytes(data + at, size - at), &frame) == 1) {
        size_t n = write_again(first, &frame);
        at += frame.size;
        if (n == 0)
            continue;
        if (tg_wire_next(tg_bytes(first, n), &again) != 1 || again.size != n ||
            write_again(second, &again) != n || memcmp(first, second, n) != 0)
            abort();
    }
    return 0;
}
