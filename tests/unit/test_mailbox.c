/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <semaphore.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/mailbox.h"

#define SENDERS    4
#define PER_SENDER 5000

struct letter {
    struct tg_mail mail;
    int sender, number;
};

static int wakes;

static void count_wake(void *user)
{
    ++*(int *)user;
}

static void messages_keep_their_order(void **state)
{
    struct tg_mailbox box;
    struct letter l[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct tg_mail *m;
    (void)state;
    wakes = 0;
    tg_mailbox_init(&box, 10, 100, count_wake, &wakes);
    assert_null(tg_mailbox_take_all(&box));
    for (int i = 0; i < 3; i++)
        assert_int_equal(tg_mailbox_put(&box, &l[i].mail), TG_OK);
    assert_int_equal(wakes, 1); /* once a burst */
    assert_int_equal(tg_mailbox_count(&box), 3);
    m = tg_mailbox_take_all(&box);
    for (int i = 0; i < 3; i++, m = m->next)
        assert_int_equal(((struct letter *)m)->number, i);
    assert_null(m);
    assert_int_equal(tg_mailbox_count(&box), 0);
    assert_int_equal(tg_mailbox_put(&box, &l[0].mail), TG_OK);
    assert_int_equal(wakes, 2);
    (void)tg_mailbox_take_all(&box);
    tg_mailbox_fini(&box);
}

static void number_and_cost_are_bounded(void **state)
{
    struct tg_mailbox box;
    struct letter l[4] = {{.mail.cost = 60}, {.mail.cost = 41}, {.mail.cost = 40}, {.mail.cost = 0}};
    (void)state;
    tg_mailbox_init(&box, 2, 100, NULL, NULL);
    assert_int_equal(tg_mailbox_put(&box, &l[0].mail), TG_OK);
    assert_int_equal(tg_mailbox_put(&box, &l[1].mail), TG_EFULL); /* the sender keeps it */
    assert_int_equal(tg_mailbox_put(&box, &l[2].mail), TG_OK);
    assert_int_equal(tg_mailbox_put(&box, &l[3].mail), TG_EFULL);
    (void)tg_mailbox_take_all(&box);
    l[1].mail.cost = SIZE_MAX;
    assert_int_equal(tg_mailbox_put(&box, &l[1].mail), TG_EFULL);
    assert_int_equal(tg_mailbox_put(&box, &l[3].mail), TG_OK);
    (void)tg_mailbox_take_all(&box);
    tg_mailbox_fini(&box);
}

static void a_closed_box_takes_nothing_and_keeps_what_is_inside(void **state)
{
    struct tg_mailbox box;
    struct letter l[2] = {{.number = 1}, {.number = 2}};
    (void)state;
    tg_mailbox_init(&box, 10, 100, NULL, NULL);
    assert_int_equal(tg_mailbox_put(&box, &l[0].mail), TG_OK);
    tg_mailbox_close(&box);
    assert_int_equal(tg_mailbox_put(&box, &l[1].mail), TG_ESTATE);
    assert_ptr_equal(tg_mailbox_take_all(&box), &l[0].mail);
    tg_mailbox_fini(&box);
}

/* --- threads --- */

struct traffic {
    struct tg_mailbox box;
    sem_t woken;
    int sender;
    int full[SENDERS];
};

struct sender {
    struct traffic *traffic;
    int number;
};

static void post(void *user)
{
    sem_post(&((struct traffic *)user)->woken);
}

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < PER_SENDER; i++) {
        struct letter *l = calloc(1, sizeof *l);
        l->sender = s->number;
        l->number = i;
        l->mail.cost = 1;
        while (tg_mailbox_put(&s->traffic->box, &l->mail) == TG_EFULL)
            sched_yield(); /* the receiver makes room */
    }
    return NULL;
}

/* The receiver sleeps until it is woken: a lost wake-up would leave it asleep with a full box, and the test
 * hanging. */
static void many_threads_send_to_one(void **state)
{
    static struct traffic t;
    pthread_t threads[SENDERS];
    struct sender senders[SENDERS];
    int next[SENDERS] = {0}, got = 0;
    (void)state;
    assert_int_equal(sem_init(&t.woken, 0, 0), 0);
    tg_mailbox_init(&t.box, 64, 64, post, &t);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&t, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    while (got < SENDERS * PER_SENDER) {
        struct tg_mail *m;
        assert_int_equal(sem_wait(&t.woken), 0);
        m = tg_mailbox_take_all(&t.box);
        while (m) {
            struct letter *l = (struct letter *)m;
            m = m->next;
            assert_int_equal(l->number, next[l->sender]++);
            got++;
            free(l);
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(next[i], PER_SENDER);
    }
    assert_null(tg_mailbox_take_all(&t.box));
    tg_mailbox_fini(&t.box);
    sem_destroy(&t.woken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_keep_their_order),
        cmocka_unit_test(number_and_cost_are_bounded),
        cmocka_unit_test(a_closed_box_takes_nothing_and_keeps_what_is_inside),
        cmocka_unit_test(many_threads_send_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
