/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ucx_carry.h"

#include <string.h>

void tg_ucx_carry_init(struct tg_ucx_carry *c, bool echo, int64_t settle_ms)
{
    memset(c, 0, sizeof *c);
    c->echo = echo;
    c->settle_ms = settle_ms;
}

static struct tg_ucx_carry_message *at(struct tg_ucx_carry *c, uint32_t i)
{
    return &c->messages[(c->first + i) % TG_UCX_CARRY_MESSAGES];
}

static const struct tg_ucx_carry_message *seen(const struct tg_ucx_carry *c, uint32_t i)
{
    return &c->messages[(c->first + i) % TG_UCX_CARRY_MESSAGES];
}

int tg_ucx_carry_add(struct tg_ucx_carry *c, uint64_t id, struct tg_bytes body)
{
    struct tg_ucx_carry_message *m;
    if (body.len == 0)
        return TG_EINVAL;
    if (body.len > sizeof m->body)
        return TG_ETOOBIG;
    if (c->count == TG_UCX_CARRY_MESSAGES)
        return TG_EFULL;
    m = at(c, c->count++);
    m->state = TG_UCX_CARRY_WAITING;
    m->id = id;
    m->len = body.len;
    memcpy(m->body, body.data, body.len);
    return TG_OK;
}

struct tg_bytes tg_ucx_carry_next(const struct tg_ucx_carry *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (seen(c, i)->state == TG_UCX_CARRY_WAITING)
            return tg_bytes(seen(c, i)->body, seen(c, i)->len);
    return tg_bytes(NULL, 0);
}

void tg_ucx_carry_sent(struct tg_ucx_carry *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (at(c, i)->state == TG_UCX_CARRY_WAITING) {
            at(c, i)->state = TG_UCX_CARRY_SENT;
            return;
        }
}

bool tg_ucx_carry_draining(const struct tg_ucx_carry *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (seen(c, i)->state == TG_UCX_CARRY_SENT)
            return true;
    return false;
}

void tg_ucx_carry_drained(struct tg_ucx_carry *c, int64_t now_ms)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (at(c, i)->state == TG_UCX_CARRY_SENT) {
            at(c, i)->state = TG_UCX_CARRY_DRAINED;
            at(c, i)->settled_ms = c->echo ? INT64_MAX : now_ms + c->settle_ms;
        }
}

/* --- echoes --- */

static void forget(struct tg_ucx_carry *c, size_t n)
{
    memmove(c->heard, c->heard + n, c->heard_len - n);
    c->heard_len -= n;
}

/* Confirms one message whose body was heard. */
static bool confirm(struct tg_ucx_carry *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct tg_ucx_carry_message *m = at(c, i);
        const uint8_t *found;
        size_t before;
        if ((m->state != TG_UCX_CARRY_SENT && m->state != TG_UCX_CARRY_DRAINED) || m->len > c->heard_len)
            continue;
        found = memmem(c->heard, c->heard_len, m->body, m->len);
        if (!found)
            continue;
        before = (size_t)(found - c->heard);
        c->foreign_bytes += before;
        forget(c, before + m->len);
        m->state = TG_UCX_CARRY_DONE;
        return true;
    }
    return false;
}

void tg_ucx_carry_received(struct tg_ucx_carry *c, struct tg_bytes data)
{
    c->heard_bytes += data.len;
    if (!c->echo)
        return;
    while (data.len > 0) {
        size_t n = data.len < TG_EDM_DATA_MAX ? data.len : TG_EDM_DATA_MAX;
        if (n > sizeof c->heard - c->heard_len) {
            size_t over = n - (sizeof c->heard - c->heard_len);
            c->foreign_bytes += over;
            forget(c, over);
        }
        memcpy(c->heard + c->heard_len, data.data, n);
        c->heard_len += n;
        data = tg_bytes(data.data + n, data.len - n);
        while (confirm(c))
            ;
    }
}

/* --- outcomes --- */

bool tg_ucx_carry_done(struct tg_ucx_carry *c, int64_t now_ms, uint64_t *ret_id)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct tg_ucx_carry_message *m = at(c, i);
        if (m->state != TG_UCX_CARRY_DONE && !(m->state == TG_UCX_CARRY_DRAINED && now_ms >= m->settled_ms))
            continue;
        *ret_id = m->id;
        m->state = TG_UCX_CARRY_FREE;
        while (c->count > 0 && at(c, 0)->state == TG_UCX_CARRY_FREE) {
            c->first = (c->first + 1) % TG_UCX_CARRY_MESSAGES;
            c->count--;
        }
        return true;
    }
    return false;
}

int64_t tg_ucx_carry_deadline(const struct tg_ucx_carry *c)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct tg_ucx_carry_message *m = seen(c, i);
        if (m->state == TG_UCX_CARRY_DONE)
            return INT64_MIN;
        if (m->state == TG_UCX_CARRY_DRAINED && m->settled_ms < due)
            due = m->settled_ms;
    }
    return due;
}
