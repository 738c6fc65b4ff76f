/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/modbus_stage.h"

#include <stdlib.h>
#include <string.h>

static const char *const transports[] = {"tcp", "rtu", "rtu-over-tcp"};

struct fake_host *stage_source(const struct stage *s, const char *timeout)
{
    struct fake_host *h = fake_host_new("modbus");
    fake_source_set(h, "transport", transports[s->transport]);
    if (s->transport == STAGE_RTU)
        fake_source_set(h, "baud", "115200");
    else
        fake_source_set(h, "host", "127.0.0.1");
    fake_source_set(h, "port", s->port);
    fake_source_set(h, "timeout", timeout);
    return h;
}

void stage_begin(struct stage *s, enum stage_transport transport, const char *timeout)
{
    static const char *const flags[] = {"--tcp", "--rtu", "--rtu-over-tcp"};
    memset(s, 0, sizeof *s);
    s->transport = transport;
    peer_start(&s->peer, "modbus_liar.py", (const char *[]){flags[transport], NULL});
    if (transport == STAGE_RTU)
        snprintf(s->port, sizeof s->port, "%s", json_string_value(json_object_get(s->peer.ready, "path")));
    else
        snprintf(s->port, sizeof s->port, "%lld",
                 (long long)json_integer_value(json_object_get(s->peer.ready, "port")));
    s->host = stage_source(s, timeout);
}

uint32_t stage_device(struct fake_host *h, unsigned unit, unsigned points, unsigned first, unsigned step,
                      int64_t every_ms)
{
    char text[32], name[32];
    snprintf(name, sizeof name, "unit-%u", unit);
    uint32_t d = fake_device(h, name);
    snprintf(text, sizeof text, "%u", unit);
    fake_device_set(h, d, "unit", text);
    fake_device_set(h, d, "max_gap", "0");
    for (unsigned i = 0; i < points; i++) {
        snprintf(name, sizeof name, "p%u", i);
        snprintf(text, sizeof text, "holding:%u", first + i * step);
        uint32_t p = fake_point(h, d, name, every_ms);
        fake_point_set(h, d, p, "address", text);
    }
    return d;
}

void stage_end(struct stage *s)
{
    fake_host_free(s->host);
    peer_stop(&s->peer);
}

size_t stage_requests(struct stage *s, int unit, int function)
{
    json_t *answer = peer_say(&s->peer, "log"), *entry;
    size_t i, n = 0;
    json_array_foreach(json_object_get(answer, "log"), i, entry)
    {
        n += (unit < 0 || json_integer_value(json_array_get(entry, 0)) == unit) &&
             (function < 0 || json_integer_value(json_array_get(entry, 1)) == function);
    }
    json_decref(answer);
    return n;
}

void stage_lies_told(struct stage *s, unsigned unit)
{
    for (;;) {
        size_t mark = fake_mark(s->host);
        json_t *answer = peer_say(&s->peer, "left %u", unit);
        json_int_t left = json_integer_value(json_object_get(answer, "left"));
        json_decref(answer);
        if (left == 0)
            return;
        fake_wait_more(s->host, mark);
    }
}

size_t stage_check_values(struct fake_host *h, uint32_t device, unsigned unit, unsigned first, unsigned step)
{
    size_t good = 0, n = fake_mark(h);
    for (size_t i = 0; i < n; i++) {
        struct fake_event e = fake_get(h, i);
        if (e.kind != FAKE_VALUE || e.device != device || e.quality != TG_QUALITY_GOOD)
            continue;
        unsigned right = (1000 * unit + first + e.point * step) & 0xFFFF;
        if (e.value.type != TG_VALUE_UINT || e.value.as.uinteger != right) {
            fake_print(h);
            fprintf(stderr, "record %zu: point %u of unit %u is %llu instead of %u\n", i, e.point, unit,
                    (unsigned long long)e.value.as.uinteger, right);
            exit(1);
        }
        good++;
    }
    return good;
}
