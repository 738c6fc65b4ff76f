/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bench_format - bytes and time per sample of every format: a meter's sample of eight points, alone and twenty in a message.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "northbound/format.h"

#define BATCH  20
#define ROUNDS 20000

static const char *unit_of(void *user, struct tg_bytes point)
{
    (void)user;
    return point.data[0] == 'v' ? "V" : point.data[0] == 'c' ? "A" : point.data[0] == 'e' ? "kWh" : "W";
}

static struct tg_bytes make(uint8_t *memory, size_t size, int i)
{
    static const char *const names[] = {"voltage_l1", "voltage_l2", "current_l1", "current_l2",
                                        "power",      "energy",     "relay",      "state"};
    struct tg_writer w = tg_writer_init(memory, size);
    tg_sample_begin(&w, 1795179600123 + i * 1000, 8);
    for (int k = 0; k < 8; k++) {
        struct tg_named_value v = {.name = tg_bytes_str(names[k]), .quality = TG_QUALITY_GOOD};
        v.value = k < 5    ? tg_value_real(230.1 + i * 0.7 + k)
                  : k == 5 ? tg_value_uint(123456789u + (unsigned)i)
                  : k == 6 ? tg_value_bool(i % 2)
                           : tg_value_text("running", 7);
        tg_sample_value(&w, &v);
    }
    return tg_bytes(w.data, w.len);
}

int main(void)
{
    static const char *const names[] = {"json", "senml", "senml-cbor", "template"};
    static uint8_t memory[BATCH][512], out[262144], packed[262144];
    struct tg_format_sample samples[BATCH];
    const struct tg_format_context c = {.device = "meter-1",
                                        .gateway = "site-7",
                                        .template_text =
                                            "{ts},{device},{seq},{point:voltage_l1},{point:power}",
                                        .unit = unit_of};
    for (int i = 0; i < BATCH; i++)
        samples[i] = (struct tg_format_sample){4711 + (uint64_t)i, make(memory[i], sizeof memory[i], i)};
    printf("%-11s %9s %9s %9s %12s %14s\n", "format", "B alone", "B of 20", "deflated", "us/sample",
           "us deflating");
    for (size_t f = 0; f < sizeof names / sizeof names[0]; f++) {
        const struct tg_format *format = tg_format_find(names[f]);
        struct tg_writer w = tg_writer_init(out, sizeof out), p = tg_writer_init(packed, sizeof packed);
        if (format->write(&c, samples, 1, sizeof out, &w) != 1)
            return 1;
        size_t alone = w.len;
        int64_t began = tg_clock_mono_us();
        for (int i = 0; i < ROUNDS; i++) {
            w = tg_writer_init(out, sizeof out);
            if (format->write(&c, samples, BATCH, sizeof out, &w) != BATCH)
                return 1;
        }
        double us = (double)(tg_clock_mono_us() - began) / ROUNDS / BATCH;
        began = tg_clock_mono_us();
        for (int i = 0; i < ROUNDS / 20; i++) {
            p = tg_writer_init(packed, sizeof packed);
            if (tg_format_deflate(tg_bytes(w.data, w.len), &p) != TG_OK)
                return 1;
        }
        double deflate_us = (double)(tg_clock_mono_us() - began) / (ROUNDS / 20.0) / BATCH;
        printf("%-11s %9zu %9.1f %9.1f %12.2f %14.2f\n", names[f], alone, (double)w.len / BATCH,
               (double)p.len / BATCH, us, deflate_us);
    }
    return 0;
}
