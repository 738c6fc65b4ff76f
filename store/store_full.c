/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A full disk, as the thread sees it: when it is over.
 */
#include "store/store_thread.h"

int64_t tg_store_thread_full_care_at(const struct tg_store_thread *t, int64_t now)
{
    return now + t->o.full_quiet_ms / 2;
}

bool tg_store_thread_full_is_over(struct tg_store_thread *t, int64_t now)
{
    if (t->news.state != TG_STORE_FULL || now < t->full_until_ms || !t->ob)
        return false;
    /* That nothing was evicted for a while says nothing: with a slow source it is longer from one eviction to the next. */
    return t->o.outbox.when_full == TG_WHEN_FULL_DROP_NEWEST || tg_outbox_has_room(t->ob);
}
