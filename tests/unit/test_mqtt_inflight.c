/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "northbound/mqtt/mqtt_inflight.h"

#define SLOTS 8

static struct tg_mqtt_slot slots[TG_MQTT_MAX_WINDOW];
static struct tg_mqtt_inflight f;

static uint16_t add(uint64_t tag)
{
    uint16_t id = tg_mqtt_inflight_next_id(&f);
    tg_mqtt_inflight_add(&f, 0, tag);
    return id;
}

/* Acknowledges and returns the tag; UINT64_MAX for an unknown id. */
static uint64_t ack(uint16_t id)
{
    uint64_t tag = UINT64_MAX;
    bool known = tg_mqtt_inflight_ack(&f, 0, id, &tag);
    assert_int_equal(known, tag != UINT64_MAX);
    return tag;
}

static void ids_begin_at_1_and_wrap_past_0_MQTT_2_3_1_1(void **state)
{
    (void)state;
    tg_mqtt_inflight_init(&f, slots, SLOTS);
    for (uint32_t n = 1; n <= 65535; n++) {
        assert_int_equal(add(n), n);
        assert_int_equal(ack((uint16_t)n), n);
    }
    assert_int_equal(add(1), 1);
}

static void ids_in_use_are_stepped_over_at_the_wrap_MQTT_2_3_1_2(void **state)
{
    (void)state;
    tg_mqtt_inflight_init(&f, slots, SLOTS);
    for (uint16_t id = 1; id <= 3; id++)
        assert_int_equal(add(id), id); /* long-lived: 1, 3 */
    assert_int_equal(ack(2), 2);
    tg_mqtt_inflight_reserve(&f); /* a SUBSCRIBE holds 4 */
    for (uint32_t n = 5; n <= 65535; n++) {
        uint16_t id = add(1000000 + n);
        assert_int_equal(id, n);
        assert_int_equal(ack(id), 1000000 + n);
    }
    assert_int_equal(add(2000), 2);
    assert_int_equal(add(2001), 5);
    tg_mqtt_inflight_release(&f);
    assert_int_equal(add(2002), 6);
    assert_int_equal(ack(1), 1);
    assert_int_equal(ack(3), 3);
    assert_int_equal(ack(4), UINT64_MAX);
    assert_int_equal(ack(2), 2000);
    assert_int_equal(ack(5), 2001);
    assert_int_equal(ack(6), 2002);
    assert_int_equal(f.count, 0);
    assert_int_equal(f.span, 0);
}

static void subscribe_and_publish_share_the_ids(void **state)
{
    (void)state;
    tg_mqtt_inflight_init(&f, slots, SLOTS);
    assert_int_equal(add(1), 1);
    assert_int_equal(tg_mqtt_inflight_next_id(&f), 2);
    assert_int_equal(tg_mqtt_inflight_next_id(&f), 2); /* asking takes nothing */
    tg_mqtt_inflight_reserve(&f);
    assert_int_equal(f.reserved_id, 2);
    assert_int_equal(add(3), 3);
    assert_int_equal(ack(2), UINT64_MAX); /* a PUBACK is no SUBACK */
}

static void window_fills_and_empties(void **state)
{
    (void)state;
    tg_mqtt_inflight_init(&f, slots, SLOTS);
    for (uint16_t i = 0; i < SLOTS; i++) {
        assert_int_equal(tg_mqtt_inflight_room(&f), SLOTS - i);
        add(i);
    }
    assert_int_equal(tg_mqtt_inflight_room(&f), 0);
    assert_int_equal(ack(1), 0);
    assert_int_equal(tg_mqtt_inflight_room(&f), 1);
}

/* The oldest stays unacknowledged while the window's other places go round many times. */
static void a_hole_is_used_again_behind_a_long_lived_one(void **state)
{
    (void)state;
    tg_mqtt_inflight_init(&f, slots, SLOTS);
    assert_int_equal(add(7), 1);
    for (uint64_t round = 0; round < 100; round++) {
        uint16_t ids[SLOTS - 1];
        for (unsigned i = 0; i < SLOTS - 1; i++)
            ids[i] = add(100 * round + i);
        assert_int_equal(tg_mqtt_inflight_room(&f), 0);
        for (unsigned i = 0; i < SLOTS - 1; i++) /* first the even, then the odd ones */
            assert_int_equal(ack(ids[2 * i % (SLOTS - 1)]), 100 * round + 2 * i % (SLOTS - 1));
    }
    tg_mqtt_inflight_connection_lost(&f);
    assert_int_equal(tg_mqtt_inflight_resend_next(&f)->tag, 7);
    assert_int_equal(tg_mqtt_inflight_resend_next(&f)->packet_id, 1);
}

/* A publish that the server refused by other means frees its place; its late acknowledgement is nobody's. */
static void a_forgone_publish_frees_its_place(void **state)
{
    (void)state;
    tg_mqtt_inflight_init(&f, slots, 3);
    for (uint64_t tag = 101; tag <= 103; tag++)
        (void)add(tag);
    assert_int_equal(tg_mqtt_inflight_room(&f), 0);
    assert_true(tg_mqtt_inflight_forgo(&f, 7, 102));
    assert_false(tg_mqtt_inflight_forgo(&f, 7, 102));
    assert_false(tg_mqtt_inflight_forgo(&f, 7, 999));
    assert_int_equal(ack(2), UINT64_MAX);
    assert_int_equal(tg_mqtt_inflight_room(&f), 1);
    assert_int_equal(add(104), 4); /* not the id that may still be acknowledged */
    assert_int_equal(ack(1), 101);
    assert_int_equal(ack(3), 103);
    /* What waits to be sent again was not sent on this connection. */
    tg_mqtt_inflight_connection_lost(&f);
    assert_false(tg_mqtt_inflight_forgo(&f, 7, 104));
    assert_int_equal(f.count, 1);
}

static void front_waits_from_when_its_turn_came(void **state)
{
    int64_t since = 0;
    uint64_t tag;
    (void)state;
    tg_mqtt_inflight_init(&f, slots, SLOTS);
    assert_false(tg_mqtt_inflight_waiting(&f, &since));
    tg_mqtt_inflight_add(&f, 10, 1);
    tg_mqtt_inflight_add(&f, 20, 2);
    tg_mqtt_inflight_add(&f, 30, 3);
    assert_true(tg_mqtt_inflight_waiting(&f, &since));
    assert_int_equal(since, 10);
    assert_true(tg_mqtt_inflight_ack(&f, 40, 2, &tag)); /* out of order: no progress for the first */
    assert_true(tg_mqtt_inflight_waiting(&f, &since));
    assert_int_equal(since, 10);
    assert_true(tg_mqtt_inflight_ack(&f, 50, 1, &tag));
    assert_true(tg_mqtt_inflight_waiting(&f, &since));
    assert_int_equal(since, 50);
    tg_mqtt_inflight_connection_lost(&f);
    assert_false(tg_mqtt_inflight_waiting(&f, &since)); /* not sent again yet */
    tg_mqtt_inflight_resent(&f, 90);
    assert_true(tg_mqtt_inflight_waiting(&f, &since));
    assert_int_equal(since, 90);
    tg_mqtt_inflight_forget(&f);
    assert_false(tg_mqtt_inflight_waiting(&f, &since));
    assert_int_equal(tg_mqtt_inflight_room(&f), SLOTS);
}

/* Random dealings against a model that is a plain list. */
struct model {
    uint16_t id[64];
    uint64_t tag[64];
    unsigned count, resend_at;
};

static void model_remove(struct model *m, unsigned i)
{
    m->count--;
    memmove(&m->id[i], &m->id[i + 1], (m->count - i) * sizeof m->id[0]);
    memmove(&m->tag[i], &m->tag[i + 1], (m->count - i) * sizeof m->tag[0]);
    if (i < m->resend_at)
        m->resend_at--;
}

static void model_add(struct model *m, uint64_t tag)
{
    uint16_t id = tg_mqtt_inflight_next_id(&f);
    assert_int_not_equal(id, 0);
    assert_int_not_equal(id, f.reserved_id);
    for (unsigned i = 0; i < m->count; i++)
        assert_int_not_equal(id, m->id[i]);
    tg_mqtt_inflight_add(&f, 0, tag);
    m->id[m->count] = id;
    m->tag[m->count++] = tag;
    m->resend_at = m->count;
}

static void model_check(const struct model *m, unsigned window)
{
    const struct tg_mqtt_slot *next = tg_mqtt_inflight_resend_next(&f);
    assert_int_equal(f.count, m->count);
    assert_true(f.span >= f.count && f.span <= window);
    assert_int_equal(tg_mqtt_inflight_room(&f), m->resend_at == m->count ? window - m->count : 0);
    assert_int_equal(next != NULL, m->resend_at < m->count);
    if (next) {
        assert_int_equal(next->packet_id, m->id[m->resend_at]);
        assert_int_equal(next->tag, m->tag[m->resend_at]);
    }
}

static void random_step(struct model *m, unsigned window, uint32_t choice, uint32_t which, uint64_t tag)
{
    unsigned i = m->count ? which % m->count : 0;
    if (choice < 45 && m->resend_at == m->count && m->count < window) {
        model_add(m, tag);
    } else if (choice < 85 && m->count) {
        uint64_t got = UINT64_MAX;
        bool known = tg_mqtt_inflight_ack(&f, 0, m->id[choice % 3 ? 0 : i], &got);
        i = choice % 3 ? 0 : i;
        assert_int_equal(known, i < m->resend_at);
        if (known) {
            assert_int_equal(got, m->tag[i]);
            model_remove(m, i);
        }
    } else if (choice < 95 && m->resend_at < m->count) {
        if (which % 4) {
            tg_mqtt_inflight_resent(&f, 0);
            m->resend_at++;
        } else {
            tg_mqtt_inflight_resend_drop(&f, 0);
            model_remove(m, m->resend_at);
        }
    } else if (choice == 95) {
        tg_mqtt_inflight_connection_lost(&f);
        m->resend_at = 0;
    } else if (choice == 96 && !f.reserved_id) {
        tg_mqtt_inflight_reserve(&f);
    } else if (choice == 97) {
        tg_mqtt_inflight_release(&f);
    } else if (choice == 98 && which % 50 == 0) {
        tg_mqtt_inflight_forget(&f);
        m->count = m->resend_at = 0;
    }
}

static void random_dealings_agree_with_a_plain_list(void **state)
{
    static const uint16_t windows[] = {1, 2, 3, 7, 20, 63};
    uint32_t random = 1;
    (void)state;
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        struct model m = {0};
        tg_mqtt_inflight_init(&f, slots, windows[w]);
        for (unsigned n = 0; n < 300000; n++) { /* enough for the ids to wrap */
            random = random * 1664525u + 1013904223u;
            random_step(&m, windows[w], (random >> 24) * 100 / 256, random >> 8 & 0xffff, n);
            model_check(&m, windows[w]);
        }
    }
}

/* As above, while the slots are exchanged for fewer or more again and again. */
static void random_dealings_go_on_in_other_slots(void **state)
{
    enum { MOST = 40 };
    static struct tg_mqtt_slot places[2][MOST];
    struct model m = {0};
    uint16_t window = 1;
    uint32_t random = 7;
    (void)state;
    tg_mqtt_inflight_init(&f, places[0], window);
    for (unsigned n = 1; n < 500000; n++) {
        random = random * 1664525u + 1013904223u;
        if (random >> 28 == 0) {
            uint16_t least = (uint16_t)(m.count > 0 ? m.count : 1);
            window = (uint16_t)(least + (random >> 8) % (MOST + 1u - least));
            tg_mqtt_inflight_move(&f, f.slots == places[0] ? places[1] : places[0], window);
            memset(f.slots == places[0] ? places[1] : places[0], 0xA5,
                   sizeof places[0]); /* not looked at any more */
            model_check(&m, window);
        }
        random_step(&m, window, (random >> 24) * 100 / 256, random >> 8 & 0xffff, n);
        model_check(&m, window);
    }
}

static void largest_window_wraps_with_all_places_taken(void **state)
{
    (void)state;
    tg_mqtt_inflight_init(&f, slots, TG_MQTT_MAX_WINDOW);
    for (uint32_t n = 0; n < 70000; n++) {
        if (tg_mqtt_inflight_room(&f) == 0)
            assert_int_equal(ack(slots[f.first].packet_id), n - TG_MQTT_MAX_WINDOW);
        assert_int_equal(add(n), n % 65535 + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_begin_at_1_and_wrap_past_0_MQTT_2_3_1_1),
        cmocka_unit_test(ids_in_use_are_stepped_over_at_the_wrap_MQTT_2_3_1_2),
        cmocka_unit_test(subscribe_and_publish_share_the_ids),
        cmocka_unit_test(window_fills_and_empties),
        cmocka_unit_test(a_hole_is_used_again_behind_a_long_lived_one),
        cmocka_unit_test(a_forgone_publish_frees_its_place),
        cmocka_unit_test(front_waits_from_when_its_turn_came),
        cmocka_unit_test(random_dealings_agree_with_a_plain_list),
        cmocka_unit_test(random_dealings_go_on_in_other_slots),
        cmocka_unit_test(largest_window_wraps_with_all_places_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
