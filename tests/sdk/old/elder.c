/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * elder - a plugin built against the first header of API 1 (beside it): counts, takes a step to count by and a writable count. What lies
 * behind its description in memory is not zero, so a host that reads beyond the size it is told finds garbage.
 */
#include <stdlib.h>
#include <string.h>

#include <tidegate/plugin.h>

struct elder {
    const struct tg_host *host;
    const struct tg_source *source;
    int64_t count;
};

static const struct tg_option elder_point_options[] = {
    {.name = "step", .type = TG_OPTION_INT, .min = 1, .max = 10, .default_text = "1", .doc = "What is added."}, {0}};

static int elder_open(const struct tg_host *host, const struct tg_source *source, void **ret, char *error, size_t size)
{
    struct elder *e = calloc(1, sizeof *e);
    (void)error;
    (void)size;
    if (!e)
        return TG_PLUGIN_ENOMEM;
    e->host = host;
    e->source = source;
    for (uint32_t d = 0; d < source->device_count; d++)
        host->device_state(host->source, d, TG_DEVICE_OK,
                           host->struct_size > sizeof *host ? "a newer host" : "a host of its time");
    *ret = e;
    return TG_PLUGIN_OK;
}

static int32_t elder_poll(void *self, int64_t now_ms)
{
    struct elder *e = self;
    (void)now_ms;
    for (uint32_t d = 0; d < e->source->device_count; d++) {
        struct tg_point_value v = {.point = 0};
        e->count += e->host->get_int(e->source->devices[d].points[0].settings, "step");
        v.value = tg_value_int(e->count);
        e->host->emit(e->host->source, d, 0, &v, 1);
    }
    return 20;
}

static void elder_write(void *self, uint64_t request, uint32_t device, uint32_t point, const struct tg_value *value)
{
    struct elder *e = self;
    (void)device;
    (void)point;
    if (value->type == TG_VALUE_INT)
        e->count = value->as.integer;
    e->host->answer(e->host->source, request, value->type == TG_VALUE_INT ? TG_PLUGIN_OK : TG_PLUGIN_EINVAL, NULL);
}

static const struct {
    struct tg_plugin description;
    unsigned char behind[256];
} elder = {{TG_PLUGIN_INIT(TG_THREAD_LOOP), .name = "elder", .version = "0.1", .summary = "of the first day",
            .point_options = elder_point_options, .open = elder_open, .poll = elder_poll, .close = free, .write = elder_write},
           {0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5,
            0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5}};
TG_PLUGIN_EXPORT(elder.description)
