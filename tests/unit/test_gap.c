/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Gaps: uniting, taking away what was told, and the record's body.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/gap.h"
#include "store/outbox.h"
#include "support/gap_help.h"

_Static_assert(1u << TG_DROP_LIMIT == TG_GAP_LIMIT && 1u << TG_DROP_AGE == TG_GAP_AGE &&
                   1u << TG_DROP_DISK_FULL == TG_GAP_DISK_FULL &&
                   1u << TG_DROP_QUARANTINE == TG_GAP_QUARANTINE && 1u << TG_DROP_QUOTA == TG_GAP_QUOTA &&
                   1u << TG_DROP_REMOVED == TG_GAP_REMOVED,
               "a drop reason's bit is its gap reason");

static void check(const struct tg_gap *gap, uint64_t first, uint64_t last, uint64_t count, uint32_t reasons)
{
    assert_int_equal(gap->first_seq, first);
    assert_int_equal(gap->last_seq, last);
    assert_int_equal(gap->count, count);
    assert_int_equal(gap->reasons, reasons);
}

static void test_ranges_unite(void **state)
{
    struct tg_gap gap = {0};
    (void)state;
    tg_gap_unite(&gap, &(struct tg_gap){0});
    assert_false(tg_gap_is(&gap));
    tg_gap_unite(&gap, &(struct tg_gap){11, 20, 10, TG_GAP_LIMIT});
    tg_gap_unite(&gap, &(struct tg_gap){1, 3, 2, TG_GAP_QUOTA});
    tg_gap_unite(&gap, &(struct tg_gap){30, 30, 1, TG_GAP_LIMIT});
    check(&gap, 1, 30, 13, TG_GAP_LIMIT | TG_GAP_QUOTA);
}

static void test_what_was_told_is_taken_away(void **state)
{
    (void)state;
    const struct tg_gap told = {11, 20, 10, TG_GAP_AGE};
    struct tg_gap all = told, more = {11, 40, 25, TG_GAP_AGE}, less = {1, 20, 15, TG_GAP_AGE},
                  both = {1, 40, 20, TG_GAP_AGE}, none = {1, 40, 20, TG_GAP_AGE};
    tg_gap_subtract(&all, &told);
    assert_false(tg_gap_is(&all));
    tg_gap_subtract(&more, &told);
    check(&more, 21, 40, 15, TG_GAP_AGE);
    tg_gap_subtract(&less, &told);
    check(&less, 1, 10, 5, TG_GAP_AGE);
    tg_gap_subtract(&both, &told);
    check(&both, 1, 40, 10, TG_GAP_AGE);
    tg_gap_subtract(&none, &(struct tg_gap){0});
    check(&none, 1, 40, 20, TG_GAP_AGE);
}

static void test_a_record_reads_back(void **state)
{
    (void)state;
    for (uint32_t reasons = 1; reasons <= TG_GAP_ALL; reasons++) {
        uint8_t memory[512];
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        struct tg_gap gap = {3, UINT64_MAX / 2, 1234567890123, reasons}, back;
        struct tg_bytes cloud, body;
        gap_write(&w, 1700000000000, &gap, "hub");
        assert_false(w.failed);
        body = tg_bytes(w.data, w.len);
        assert_true(tg_gap_is_record(body));
        assert_int_equal(tg_gap_read(body, &back, &cloud), 1);
        check(&back, gap.first_seq, gap.last_seq, gap.count, reasons);
        assert_true(tg_bytes_eq_str(cloud, "hub"));
        /* Cut anywhere it is none. */
        if (reasons == TG_GAP_ALL)
            for (size_t n = 0; n < body.len; n++)
                assert_int_not_equal(tg_gap_read(tg_bytes(body.data, n), &back, &cloud), 1);
    }
}

static void test_other_samples_are_none(void **state)
{
    static const char *const names[] = {"voltage", "$gap_first", "$gap_other"};
    static const int wanted[] = {0, TG_ECORRUPT, 0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        uint8_t memory[128];
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        struct tg_gap gap;
        struct tg_bytes cloud;
        tg_sample_begin(&w, 1, 1);
        tg_sample_value(&w, &(struct tg_named_value){.name = tg_bytes_str(names[i]),
                                                     .value = {.type = TG_VALUE_REAL, .as.real = 1.5}});
        assert_int_equal(tg_gap_read(tg_bytes(w.data, w.len), &gap, &cloud), wanted[i]);
        assert_int_equal(tg_gap_is_record(tg_bytes(w.data, w.len)), i == 1);
    }
    assert_false(tg_gap_is_record(tg_bytes("", 0)));
    for (int i = 0; i < 3; i++)
        assert_int_equal(tg_name_is_valid(names[i]), i == 0);
}

static void test_names(void **state)
{
    char text[TG_GAP_REASONS_BYTES];
    (void)state;
    tg_gap_reasons_text(TG_GAP_LIMIT | TG_GAP_QUOTA, text);
    assert_string_equal(text, "limit,quota");
    tg_gap_reasons_text(UINT32_MAX, text);
    assert_string_equal(text, "limit,age,disk-full,quarantine,quota,removed,crash,corrupt,memory");
    tg_gap_reasons_text(0, text);
    assert_string_equal(text, "");
    assert_null(tg_gap_reason_name(TG_GAP_REASONS));
    assert_string_equal(tg_gap_field(tg_bytes_str("$gap_reason")), "reasons");
    assert_null(tg_gap_field(tg_bytes_str("reason")));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_unite),
        cmocka_unit_test(test_what_was_told_is_taken_away),
        cmocka_unit_test(test_a_record_reads_back),
        cmocka_unit_test(test_other_samples_are_none),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
