/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The channels of a plugin that carries (tidegate/plugin.h, CARRYING), through the instance's mailboxes like everything else.
 */
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "southbound/plugin_host_private.h"
#include "southbound/plugin_wire.h"

static struct tg_host_source *checked(struct tg_host_source *s)
{
    return TG_OBJECT(s, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
}

/* --- from the plugin ----------------------------------------------------------------------------- */

void tg_service_carrier(struct tg_host_source *source, uint32_t channel, bool up, const char *text)
{
    tg_put_news(checked(source),
                &(struct tg_up_mail){.kind = TG_MAIL_CARRIER, .device = channel, .state = up}, text);
}

void tg_service_carried(struct tg_host_source *source, uint32_t channel, uint64_t message, int status)
{
    tg_put_news(checked(source),
                &(struct tg_up_mail){
                    .kind = TG_MAIL_CARRIED, .device = channel, .request = message, .status = status},
                NULL);
}

void tg_carry_deliver(struct tg_host_source *s, const struct tg_up_mail *m)
{
    const struct tg_source_callbacks *cb = s->handle.cb;
    const char *text = m->has_text ? (const char *)m->values : NULL;
    if (m->kind == TG_MAIL_CARRIER && cb->on_carrier)
        cb->on_carrier(s->handle.user, m->device, m->state != 0, text);
    if (m->kind == TG_MAIL_CARRIED && cb->on_carried)
        cb->on_carried(s->handle.user, m->device, m->request, m->status);
}

/* --- to the plugin, on the instance's thread ----------------------------------------------------- */

void tg_carry_give(struct tg_host_source *s, const struct tg_down_mail *m)
{
    if (!s->open) {
        if (m->kind != TG_DOWN_CARRY_CLOSE)
            tg_service_carrier(s, m->device, false, "the source is not open");
    } else if (m->kind == TG_DOWN_CARRY_OPEN) {
        s->plugin->carry_open(s->instance, m->device, m->name);
    } else if (m->kind == TG_DOWN_CARRY) {
        s->plugin->carry(s->instance, m->device, m->request, m->text, m->body_len);
    } else {
        s->plugin->carry_close(s->instance, m->device);
    }
}

void tg_down_free(struct tg_down_mail *m)
{
    if (m->kind == TG_DOWN_CARRY_OPEN)
        tg_free_secret(m, m->mail.cost);
    else
        tg_free(m);
}

/* --- from the loop ------------------------------------------------------------------------------- */

static bool carries(const struct tg_plugin *p)
{
    return p->carry_open && p->carry && p->carry_close;
}

/* `m` may be NULL: no memory. */
static int put(struct tg_host_source *s, struct tg_down_mail *m)
{
    int rc = m ? tg_mailbox_put(&s->down, &m->mail) : TG_ENOMEM;
    if (rc < 0 && m)
        tg_down_free(m);
    return rc;
}

static struct tg_down_mail *new_mail(enum tg_down_kind kind, uint32_t channel, const void *body, size_t len)
{
    struct tg_down_mail *m = tg_calloc(1, sizeof *m + len + 1);
    if (!m)
        return NULL;
    *m = (struct tg_down_mail){.mail.cost = sizeof *m + len + 1, .kind = kind, .device = channel};
    if (len)
        memcpy(m->text, body, len);
    m->body_len = (uint32_t)len;
    return m;
}

int tg_source_host_carry_open(struct tg_source_host *h, uint32_t channel, const char *address)
{
    struct tg_down_mail *m;
    if (!carries(h->source->plugin))
        return TG_EUNSUPPORTED;
    m = new_mail(TG_DOWN_CARRY_OPEN, channel, address, strlen(address));
    if (m)
        m->name = m->text;
    return put(h->source, m);
}

int tg_source_host_carry(struct tg_source_host *h, uint32_t channel, uint64_t message, struct tg_bytes body)
{
    struct tg_down_mail *m;
    if (!carries(h->source->plugin))
        return TG_EUNSUPPORTED;
    m = new_mail(TG_DOWN_CARRY, channel, body.data, body.len);
    if (m)
        m->request = message;
    return put(h->source, m);
}

int tg_source_host_carry_close(struct tg_source_host *h, uint32_t channel)
{
    if (!carries(h->source->plugin))
        return TG_EUNSUPPORTED;
    return put(h->source, new_mail(TG_DOWN_CARRY_CLOSE, channel, NULL, 0));
}

/* --- in a process of its own ---------------------------------------------------------------------- */

static int take_open(struct tg_source_host *h, const struct tg_wire_message *m)
{
    char *address = tg_strndup((const char *)m->text.data, m->text.len);
    int rc = address ? tg_source_host_carry_open(h, m->device, address) : TG_ENOMEM;
    if (address)
        tg_free_secret(address, m->text.len);
    if (m->text.len)
        explicit_bzero((void *)(uintptr_t)m->text.data, m->text.len); /* the socket's buffer is ours */
    return rc;
}

bool tg_carry_take(struct tg_source_host *h, const struct tg_wire_message *m)
{
    int rc;
    if (m->type == TG_WIRE_CARRY_OPEN && m->has_text)
        rc = take_open(h, m);
    else if (m->type == TG_WIRE_CARRY)
        rc = tg_source_host_carry(h, m->device, m->number, m->body);
    else if (m->type == TG_WIRE_CARRY_CLOSE)
        rc = tg_source_host_carry_close(h, m->device);
    else
        return false;
    if (rc < 0)
        tg_service_carrier(h->source, m->device, false,
                           "too much waits for the plugin, or it lends no connection");
    return true;
}
