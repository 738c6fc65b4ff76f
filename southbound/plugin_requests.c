/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_requests - what the gateway asks of an instance: copied, put into the source's mailbox, refused when that is full.
 */
#include "southbound/plugin_host_private.h"

#include <string.h>

#include "core/base/allocator.h"
#include "core/base/log.h"

/* `m` is NULL when there was no memory for it. */
static void put_request(struct tg_host_source *s, uint64_t request, struct tg_down_mail *m)
{
    const char *why =
        m ? "{\"error\":\"too many commands are waiting for this source\"}" : "{\"error\":\"out of memory\"}";
    if (m && tg_mailbox_put(&s->down, &m->mail) == TG_OK)
        return;
    tg_free(m);
    s->handle.cb->on_answer(s->handle.user, request, TG_PLUGIN_EFULL, why);
}

void tg_source_host_write(struct tg_source_host *h, uint64_t request, uint32_t device, uint32_t point,
                          const struct tg_value *value)
{
    size_t len = value->type == TG_VALUE_TEXT ? value->text_len : 0;
    struct tg_down_mail *m = tg_calloc(1, sizeof *m + len);
    if (m) {
        *m = (struct tg_down_mail){.mail.cost = sizeof *m + len,
                                   .request = request,
                                   .device = device,
                                   .point = point,
                                   .kind = TG_DOWN_WRITE,
                                   .value = *value};
        if (len) {
            memcpy(m->text, value->as.text, len);
            m->value.as.text = m->text;
        }
    }
    put_request(h->source, request, m);
}

void tg_source_host_set_interval(struct tg_source_host *h, uint32_t device, uint32_t point, int64_t every_ms)
{
    struct tg_down_mail *m = tg_calloc(1, sizeof *m);
    if (m) {
        *m = (struct tg_down_mail){.mail.cost = sizeof *m,
                                   .kind = TG_DOWN_INTERVAL,
                                   .device = device,
                                   .point = point,
                                   .every_ms = every_ms};
        if (tg_mailbox_put(&h->source->down, &m->mail) == TG_OK)
            return;
    }
    tg_free(m);
    tg_log(TG_LOG_WARN, "source",
           "source=%s a new interval was not taken: too many requests wait; it counts after the "
           "next start",
           h->source->config->name);
}

void tg_source_host_command(struct tg_source_host *h, uint64_t request, uint32_t device, const char *name,
                            const char *json)
{
    size_t n = strlen(name) + 1, j = strlen(json) + 1;
    struct tg_down_mail *m = tg_calloc(1, sizeof *m + n + j);
    if (m) {
        *m = (struct tg_down_mail){.mail.cost = sizeof *m + n + j, .request = request, .device = device};
        m->name = memcpy(m->text, name, n);
        m->json = memcpy(m->text + n, json, j);
    }
    put_request(h->source, request, m);
}
