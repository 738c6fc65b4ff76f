/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_route_message - what claims to come from the kernel. Whatever the bytes are: it ends, each message takes bytes away, names end
 * within their room and are printable, and a family is none, 4 or 6.
 */
#include <stdlib.h>

#include "core/base/assert.h"
#include "core/net/route_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct tg_route_message *m)
{
    size_t len = strnlen(m->name, sizeof m->name);
    TG_ASSERT(len < sizeof m->name);
    for (size_t i = 0; i < len; i++)
        TG_ASSERT(m->name[i] > ' ' && m->name[i] < 0x7f);
    TG_ASSERT(m->address.family == 0 || m->address.family == 4 || m->address.family == 6);
    TG_ASSERT(m->source.family == 0 || m->source.family == 4 || m->source.family == 6);
    TG_ASSERT(m->error >= 0);
    (void)tg_ip_is_loopback(&m->address);
    (void)tg_ip_is_link_local(&m->source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1); /* of its exact size, so that a byte too far is seen */
    struct tg_bytes in;
    struct tg_route_message m;
    size_t before;
    TG_ASSERT(copy);
    memcpy(copy, data, size);
    in = tg_bytes(copy, size);
    do {
        before = in.len;
        if (tg_route_next(&in, &m) <= 0)
            break;
        TG_ASSERT(in.len < before);
        look(&m);
    } while (true);
    free(copy);
    return 0;
}
