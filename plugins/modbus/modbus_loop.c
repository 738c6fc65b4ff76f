/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/modbus/modbus_loop.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"

#define NO_STACK_WAIT_MS 1000

/* --- errands -------------------------------------------------------------------------------------------------- */

static void carry_out(struct tg_modbus_instance *m, const struct tg_modbus_errand *o)
{
    if (o->is_write)
        tg_modbus_errand_write(m, o);
    else
        tg_modbus_errand_read(m, o);
}

void tg_modbus_errand_give(struct tg_modbus_instance *m, const struct tg_modbus_errand *o)
{
    struct tg_modbus_errand *copy = NULL, **end = &m->errands;
    if (!m->waiter.fiber) {
        carry_out(m, o);
        return;
    }
    if (m->errand_count < TG_MODBUS_ERRANDS_MAX)
        copy = tg_malloc(sizeof *copy);
    if (!copy) {
        tg_modbus_answer_error(m, o->request, TG_PLUGIN_EFULL,
                               m->errand_count < TG_MODBUS_ERRANDS_MAX
                                   ? "out of memory"
                                   : "too many commands are waiting for this source");
        return;
    }
    *copy = *o;
    copy->next = NULL;
    while (*end)
        end = &(*end)->next;
    *end = copy;
    m->errand_count++;
}

static struct tg_modbus_errand *take_errand(struct tg_modbus_instance *m)
{
    struct tg_modbus_errand *o = m->errands;
    if (o) {
        m->errands = o->next;
        m->errand_count--;
    }
    return o;
}

/* --- turns ---------------------------------------------------------------------------------------------------- */

/* On the fiber. */
static void turn(void *user)
{
    struct tg_modbus_instance *m = TG_OBJECT(user, struct tg_modbus_instance, TG_MODBUS_INSTANCE_MAGIC);
    struct tg_modbus_errand *o;
    while (!tg_modbus_stopping(&m->waiter) && (o = take_errand(m)) != NULL) {
        carry_out(m, o);
        tg_free(o);
    }
    int64_t wait = tg_modbus_work(m);
    m->due_ms = wait < 0 ? TG_POLL_NEVER : tg_modbus_now(m) + wait;
}

void tg_modbus_loop_begin(struct tg_modbus_instance *m)
{
    tg_modbus_fibers_hold();
    m->fiber = (struct tg_modbus_fiber){.run = turn, .user = m};
    m->waiter.fiber = &m->fiber;
}

static int32_t clamp(int64_t wait)
{
    return wait < 0 ? 0 : wait > INT32_MAX ? INT32_MAX : (int32_t)wait;
}

int32_t tg_modbus_loop_poll(struct tg_modbus_instance *m)
{
    int64_t now = tg_modbus_now(m);
    bool under_way = tg_modbus_fiber_under_way(&m->fiber);
    if (under_way ? tg_modbus_waiter_due(&m->waiter, now) == 0 : m->errands || now >= m->due_ms) {
        if (tg_modbus_fiber_resume(&m->fiber) < 0)
            return NO_STACK_WAIT_MS; /* no memory: nothing is lost by asking later */
        now = tg_modbus_now(m);
    }
    if (tg_modbus_fiber_under_way(&m->fiber))
        return clamp(tg_modbus_waiter_due(&m->waiter, now));
    return m->errands ? 0 : m->due_ms == TG_POLL_NEVER ? TG_POLL_IDLE : clamp(m->due_ms - now);
}

void tg_modbus_fd_ready(void *instance, int fd, uint32_t events)
{
    struct tg_modbus_instance *m = TG_OBJECT(instance, struct tg_modbus_instance, TG_MODBUS_INSTANCE_MAGIC);
    tg_modbus_waiter_ready(&m->waiter, fd, events); /* the poll that follows goes on with the turn */
}

void tg_modbus_loop_end(struct tg_modbus_instance *m)
{
    struct tg_modbus_errand *o;
    if (!m->waiter.fiber)
        return;
    m->waiter.ending = true;
    if (tg_modbus_fiber_under_way(&m->fiber)) {
        int rc = tg_modbus_fiber_resume(&m->fiber);
        /* No wait begins any more, so it has come to its end. */
        TG_ASSERT(rc == TG_OK && !tg_modbus_fiber_under_way(&m->fiber));
    }
    while ((o = take_errand(m)) != NULL) {
        tg_modbus_answer_error(m, o->request, TG_PLUGIN_EIO,
                               "the source is being closed: nothing was sent; send the command again");
        tg_free(o);
    }
    tg_modbus_fibers_release();
}
