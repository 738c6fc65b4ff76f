/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_ucx_carry - the input up to its first line end is an address; what follows comes from a broker while messages are under way.
 * An address that is taken has texts within itself. However the stream is cut, each message is confirmed once at most, and only when
 * its body stands in it.
 */
#include "core/base/assert.h"
#include "southbound/ucx_address.h"
#include "southbound/ucx_carry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(const struct tg_ucx_address *a, const char *text)
{
    return !text || (text >= a->text && text + strlen(text) < a->text + sizeof a->text);
}

static void try_address(struct tg_bytes text)
{
    static struct tg_ucx_address a;
    const char *what = NULL;
    if (tg_ucx_address_parse(text, &a, &what) < 0) {
        TG_ASSERT(what);
        return;
    }
    TG_ASSERT(a.mqtt.host && a.mqtt.port && a.mqtt.publish);
    TG_ASSERT(is_inside(&a, a.mqtt.host) && is_inside(&a, a.mqtt.client) && is_inside(&a, a.mqtt.user));
    TG_ASSERT(is_inside(&a, a.mqtt.password) && is_inside(&a, a.mqtt.publish) && is_inside(&a, a.mqtt.key));
    TG_ASSERT(a.echo ? a.mqtt.subscribe != NULL : a.settle_ms > 0);
}

/* Which messages (a bit each) are confirmed when the stream comes in pieces of this size. */
static uint32_t hear(struct tg_bytes in, size_t piece)
{
    static struct tg_ucx_carry c;
    static const char *const bodies[] = {"ab", "{\"seq\":1}", "aab", "b"};
    uint32_t seen = 0;
    uint64_t id;
    tg_ucx_carry_init(&c, true, 0);
    for (uint64_t i = 0; i < 4; i++) {
        int rc = tg_ucx_carry_add(&c, i, tg_bytes_str(bodies[i]));
        TG_ASSERT(rc == TG_OK);
        tg_ucx_carry_sent(&c);
    }
    for (size_t at = 0; at < in.len; at += piece) {
        size_t n = in.len - at < piece ? in.len - at : piece;
        tg_ucx_carry_received(&c, tg_bytes(in.data + at, n));
        TG_ASSERT(c.heard_len <= TG_UCX_CARRY_HEARD);
    }
    while (tg_ucx_carry_done(&c, 0, &id)) {
        TG_ASSERT(id < 4 && !(seen & 1u << id));
        TG_ASSERT(memmem(in.data, in.len, bodies[id], strlen(bodies[id])));
        seen |= 1u << id;
    }
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = 0;
    struct tg_bytes rest;
    while (n < size && data[n] != '\n')
        n++;
    try_address(tg_bytes(data, n));
    rest = n < size ? tg_bytes(data + n + 1, size - n - 1) : tg_bytes(data, 0);
    if (rest.len == 0)
        return 0;
    (void)hear(rest, rest.len);
    (void)hear(rest, 1);
    (void)hear(rest, 7);
    return 0;
}
