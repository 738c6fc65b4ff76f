/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/fake_source.h"

#include <stdio.h>
#include <stdlib.h>

static struct tg_fake_request *next(struct tg_source_host *h)
{
    if (h->count == TG_FAKE_MAX_REQUESTS)
        abort();
    return &h->requests[h->count++];
}

void tg_source_host_write(struct tg_source_host *h, uint64_t request, uint32_t device, uint32_t point,
                          const struct tg_value *value)
{
    struct tg_fake_request *q = next(h);
    *q = (struct tg_fake_request){
        .request = request, .device = device, .point = point, .is_write = true, .value = *value};
    if (value->type == TG_VALUE_TEXT) {
        memcpy(q->text, value->as.text, value->text_len);
        q->value.as.text = q->text;
    }
    if (h->at_once)
        h->at_once(q);
}

int tg_source_host_check_value(const struct tg_source_host *h, uint32_t device, uint32_t point,
                               const struct tg_value *value, char *error, size_t error_size)
{
    (void)device;
    (void)point;
    if (!h->refuses || value->type != TG_VALUE_TEXT)
        return TG_PLUGIN_OK;
    snprintf(error, error_size, "%s", h->refuses);
    return h->refuses_with;
}

void tg_source_host_command(struct tg_source_host *h, uint64_t request, uint32_t device, const char *name,
                            const char *json)
{
    struct tg_fake_request *q = next(h);
    *q = (struct tg_fake_request){.request = request, .device = device};
    snprintf(q->text, sizeof q->text, "%s %.900s", name, json);
    if (h->at_once)
        h->at_once(q);
}

void tg_source_host_set_interval(struct tg_source_host *h, uint32_t device, uint32_t point, int64_t every_ms)
{
    h->interval_count++;
    h->interval_device = device;
    h->interval_point = point;
    h->interval_ms = every_ms;
}
