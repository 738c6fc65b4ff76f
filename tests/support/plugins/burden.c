/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * burden - a plugin for scenarios. Every tenth sample of a device has as much as a sample may have, in characters that JSON writes
 * with six: with 60 points its message is larger than any cloud takes. The others have one small value. The command `late`
 * is answered after LATE_MS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/plugin.h>

#define EVERY_MS   50
#define LATE_MS    3000
#define POINTS_MAX 64

struct burden {
    const struct tg_host *host;
    const struct tg_source *source;
    int64_t count, late_ms;
    uint64_t request; /* that waits; 0 = none */
    char text[TG_TEXT_MAX_BYTES];
};

static int burden_open(const struct tg_host *host, const struct tg_source *source, void **ret, char *error,
                       size_t size)
{
    struct burden *b = calloc(1, sizeof *b);
    if (!b) {
        snprintf(error, size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    b->host = host;
    b->source = source;
    memset(b->text, 1, sizeof b->text);
    for (uint32_t i = 0; i < source->device_count; i++)
        host->device_state(host->source, i, TG_DEVICE_OK, NULL);
    *ret = b;
    return TG_PLUGIN_OK;
}

static void emit(struct burden *b, uint32_t device)
{
    struct tg_point_value v[POINTS_MAX];
    uint32_t count = b->source->devices[device].point_count;
    count = b->count % 10 ? 1 : count < POINTS_MAX ? count : POINTS_MAX;
    for (uint32_t i = 0; i < count; i++)
        v[i] = (struct tg_point_value){.point = i,
                                       .value = tg_value_text(b->text, count > 1 ? sizeof b->text : 1)};
    (void)b->host->emit(b->host->source, device, 0, v, count); /* refused ones are counted by the host */
}

static int32_t burden_poll(void *self, int64_t now_ms)
{
    struct burden *b = self;
    if (b->request && !b->late_ms)
        b->late_ms = now_ms + LATE_MS;
    if (b->request && now_ms >= b->late_ms) {
        b->host->answer(b->host->source, b->request, TG_PLUGIN_OK, "{\"late\":true}");
        b->request = 0;
        b->late_ms = 0;
    }
    b->count++;
    for (uint32_t i = 0; i < b->source->device_count; i++)
        emit(b, i);
    return EVERY_MS;
}

static void burden_command(void *self, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct burden *b = self;
    (void)device;
    (void)json;
    if (strcmp(name, "late") == 0 && !b->request)
        b->request = request;
    else
        b->host->answer(b->host->source, request, TG_PLUGIN_EUNSUPPORTED, NULL);
}

static void burden_close(void *self)
{
    free(self);
}

static const struct tg_plugin burden = {
    TG_PLUGIN_INIT(TG_THREAD_LOOP), .name = "burden",         .version = "1",
    .summary = "for scenarios",     .open = burden_open,      .poll = burden_poll,
    .close = burden_close,          .command = burden_command};
TG_PLUGIN_EXPORT(burden)
