/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A chain of models as a device may tell it, then an address as a file may have it: the walk ends, and no point lies outside its model
 * or beyond the last register. Input: the number of registers (one byte: pairs), the pairs, then the address.
 */
#include <stdlib.h>
#include <string.h>

#include "southbound/sunspec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tg_sunspec_walk walk(const uint8_t **data, size_t *size)
{
    struct tg_sunspec_walk w;
    uint16_t address, count;
    size_t pairs = *size ? (*data)[0] : 0;
    *data += *size > 0;
    *size -= *size > 0;
    tg_sunspec_walk_begin(&w);
    for (unsigned reads = 0; tg_sunspec_walk_next(&w, &address, &count); reads++) {
        if (reads > TG_SUNSPEC_MAX_MODELS + 8)
            abort();
        if (pairs == 0 || *size < 4) {
            tg_sunspec_walk_refused(&w);
            continue;
        }
        tg_sunspec_walk_words(&w, (const uint16_t[]){(uint16_t)((*data)[0] << 8 | (*data)[1]),
                                                     (uint16_t)((*data)[2] << 8 | (*data)[3])});
        *data += 4;
        *size -= 4;
        pairs--;
    }
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_sunspec_walk w = walk(&data, &size);
    struct tg_sunspec_ref ref;
    struct tg_modbus_point p;
    struct tg_error err = {0};
    int32_t scale = -1;
    char text[64];
    size_t n = size < sizeof text ? size : sizeof text - 1;
    memcpy(text, data, n);
    text[n] = '\0';
    if (tg_sunspec_parse(text, &ref, &err) < 0)
        return 0;
    tg_modbus_point_init(&p);
    p.type = TG_MODBUS_FLOAT64;
    if (tg_sunspec_resolve(&ref, &w.map, &p, &scale, &err) < 0)
        return 0;
    for (uint32_t i = 0; i < w.map.count; i++) {
        const struct tg_sunspec_model *m = &w.map.models[i];
        uint32_t end = m->address + 2u + m->length;
        if (p.address >= m->address && p.address + p.count <= end &&
            (scale < 0 || ((uint32_t)scale >= m->address && (uint32_t)scale < end)))
            return 0;
    }
    abort();
}
