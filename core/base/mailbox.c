/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/mailbox.h"

#include "core/base/assert.h"

void tg_mailbox_init(struct tg_mailbox *m, size_t limit_count, size_t limit_cost, void (*wake)(void *user),
                     void *user)
{
    *m =
        (struct tg_mailbox){.limit_count = limit_count, .limit_cost = limit_cost, .wake = wake, .user = user};
    m->tail = &m->head;
    pthread_mutex_init(&m->lock, NULL);
}

int tg_mailbox_put(struct tg_mailbox *m, struct tg_mail *mail)
{
    bool was_empty;
    pthread_mutex_lock(&m->lock);
    if (m->closed || m->count >= m->limit_count || mail->cost > m->limit_cost - m->cost) {
        int rc = m->closed ? TG_ESTATE : TG_EFULL;
        pthread_mutex_unlock(&m->lock);
        return rc;
    }
    was_empty = m->count == 0;
    mail->next = NULL;
    *m->tail = mail;
    m->tail = &mail->next;
    m->count++;
    m->cost += mail->cost;
    pthread_mutex_unlock(&m->lock);
    if (was_empty && m->wake)
        m->wake(m->user);
    return TG_OK;
}

struct tg_mail *tg_mailbox_take_all(struct tg_mailbox *m)
{
    struct tg_mail *all;
    pthread_mutex_lock(&m->lock);
    all = m->head;
    m->head = NULL;
    m->tail = &m->head;
    m->count = m->cost = 0;
    pthread_mutex_unlock(&m->lock);
    return all;
}

size_t tg_mailbox_count(struct tg_mailbox *m)
{
    size_t n;
    pthread_mutex_lock(&m->lock);
    n = m->count;
    pthread_mutex_unlock(&m->lock);
    return n;
}

void tg_mailbox_close(struct tg_mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    m->closed = true;
    pthread_mutex_unlock(&m->lock);
}

void tg_mailbox_fini(struct tg_mailbox *m)
{
    TG_ASSERT(m->head == NULL);
    pthread_mutex_destroy(&m->lock);
}
