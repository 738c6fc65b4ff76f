/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mailbox - a bounded queue of owned messages from many threads to one.
 *
 * Overflow policy: put() says TG_EFULL and the sender keeps its message. The receiver is woken through
 * `wake` (for the loop: uv_async_send), once per burst: only the put that finds the box empty wakes.
 * The sum of the messages' costs is bounded as well as their number.
 *
 *     put: any thread                     take, close: the receiving thread
 */
#ifndef TG_BASE_MAILBOX_H
#define TG_BASE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

/* Embedded as the first member of every message. */
struct tg_mail {
    struct tg_mail *next;
    size_t cost; /* bytes it stands for; set by the sender */
};

struct tg_mailbox {
    pthread_mutex_t lock;
    struct tg_mail *head, **tail;
    size_t count, cost, limit_count, limit_cost;
    bool closed;
    void (*wake)(void *user);
    void *user;
};

void tg_mailbox_init(struct tg_mailbox *m, size_t limit_count, size_t limit_cost, void (*wake)(void *user),
                     void *user);
/* Gives `mail` on success. TG_EFULL; TG_ESTATE once closed. */
int tg_mailbox_put(struct tg_mailbox *m, struct tg_mail *mail) TG_CHECKED;
/* Takes all messages at once, oldest first, linked by `next`; the caller owns them. NULL when empty. */
struct tg_mail *tg_mailbox_take_all(struct tg_mailbox *m);
/* Messages waiting. Any thread. */
size_t tg_mailbox_count(struct tg_mailbox *m);
/* Later puts fail; messages inside stay for take_all. */
void tg_mailbox_close(struct tg_mailbox *m);
/* The box must be empty and no thread may still put. */
void tg_mailbox_fini(struct tg_mailbox *m);

#endif
