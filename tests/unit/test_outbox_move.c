/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A backlog that goes on to another box: everything that somebody waits for arrives under its number, with what went ahead, what was
 * lost and what is not known yet; a file that is not whole, and a box with numbers of its own, change nothing.
 */
#include "store/move.h"

#include <unistd.h>

#include "store/backlog_file.h"
#include "support/crash_vfs.h"
#include "support/outbox_fixture.h"
#include "support/gap_help.h"

/* The other box. */
struct pair {
    struct fixture a, b;
    char *text;
    size_t len;
    struct tg_move_sum sum;
};

static int start(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i ? &p->b : &p->a;
        f->dir = tg_test_memory_dir();
        f->o = tg_test_options(f->dir);
        f->ob = tg_test_open(&f->o);
    }
    *state = p;
    return 0;
}

static int stop(void **state)
{
    struct pair *p = *state;
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i ? &p->b : &p->a;
        tg_outbox_close(f->ob, true);
        tg_test_dir_remove(f->dir);
        free(f->dir);
    }
    free(p->text);
    free(p);
    return 0;
}

static int export_as(struct pair *p, bool running, const char *only)
{
    struct tg_outbox_options o = {.dir = p->a.dir, .read_only = true};
    struct tg_move_out out = {.gateway = "box \"A\"", .device = only, .running = running};
    struct tg_outbox *ob;
    free(p->text);
    p->text = NULL;
    out.to = open_memstream(&p->text, &p->len);
    if (tg_outbox_open(&o, &ob, NULL, &p->a.err) != TG_OK)
        fail_msg("%s", p->a.err.text);
    int rc = tg_outbox_export(ob, &out, &p->sum, &p->a.err);
    tg_outbox_close(ob, false);
    fclose(out.to);
    return rc;
}

static void export(struct pair *p)
{
    assert_int_equal(export_as(p, false, NULL), TG_OK);
}

static ssize_t the_disk_becomes_full(void *user, const char *text, size_t len)
{
    struct pair *p = user;
    (void)text;
    (void)unlink(tg_test_path(p->a.dir, "outbox.ballast")); /* as its gateway does then */
    return (ssize_t)len;
}

/* The log cannot begin anew while somebody reads as of one moment: on a full disk that somebody gives way. */
static void test_who_reads_gives_way_on_a_full_disk(void **state)
{
    struct pair *p = *state;
    struct tg_outbox_options o = {.dir = p->a.dir, .read_only = true};
    struct tg_move_out out = {.gateway = "a", .running = true};
    const cookie_io_functions_t writes = {.write = the_disk_becomes_full};
    struct tg_outbox *ob;
    uint32_t one = device(&p->a, "meter-1");
    (void)cursor(&p->a, one, "hub");
    append_n(&p->a, one, 10000, 100);
    assert_true(tg_test_exists(p->a.dir, "outbox.ballast"));
    out.to = fopencookie(p, "w", writes);
    assert_int_equal(tg_outbox_open(&o, &ob, NULL, &p->a.err), TG_OK);
    assert_int_equal(tg_outbox_export(ob, &out, &p->sum, &p->a.err), TG_ENOSPACE);
    assert_non_null(strstr(p->a.err.text, "who reads on keeps the gateway from storing"));
    assert_true(p->sum.rows < 10000);
    tg_outbox_close(ob, false);
    (void)fclose(out.to);
    append_n(&p->a, one, 1, 100);
    tg_test_verify(p->a.ob);
}

static int import_text(struct pair *p, struct tg_outbox *ob, const char *text, size_t len, bool dry)
{
    struct tg_move_in in = {
        .from = fmemopen((void *)(uintptr_t)text, len, "r"), .name = "backlog", .dry = dry};
    p->b.err = (struct tg_error){0};
    int rc = tg_outbox_import(ob, &in, &p->sum, &p->b.err);
    fclose(in.from);
    return rc;
}

static int import(struct pair *p)
{
    return import_text(p, p->b.ob, p->text, p->len, false);
}

/* meter-1: hub has up to 40 and 61 to 70 ahead, lake nothing up to 20 but knows of a gap; meter-2: hub only; 100 samples each, 3 numbers
 * of meter-1 never stored. */
static void fill(struct fixture *f)
{
    uint32_t one = device(f, "meter-1"), two = device(f, "meter-2");
    uint32_t hub = cursor(f, one, "hub"), lake = cursor(f, one, "lake");
    (void)cursor(f, two, "hub");
    append_n(f, one, 50, 100);
    append_n(f, two, 100, 100);
    OK(tg_outbox_reject(f->ob, one, 53, TG_DROP_LIMIT, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    append_n(f, one, 47, 100);
    OK(tg_outbox_set_cursor(f->ob, hub, 40, 40, &f->err));
    OK(tg_outbox_ack_ahead(f->ob, hub, 61, 70, 0, &f->err));
    OK(tg_outbox_quarantine(f->ob, lake, 20, 20, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
}

static void check_b(struct fixture *f)
{
    struct seen seen;
    uint32_t one = device(f, "meter-1"), two = device(f, "meter-2");
    struct tg_outbox_cursor_state hub = state_of(f, cursor(f, one, "hub")),
                                  lake = state_of(f, cursor(f, one, "lake"));
    assert_int_equal(tg_outbox_last_seq(f->ob, one), 100);
    assert_int_equal(hub.acked_seq, 40);
    assert_int_equal(hub.ahead, 10);
    assert_int_equal(hub.pending, 60 - 3 - 10);
    assert_int_equal(lake.acked_seq, 20);
    assert_int_equal(lake.pending, 80 - 3);
    assert_int_equal(lake.gap.first_seq, 1);
    assert_int_equal(lake.gap.last_seq, 20);
    assert_int_equal(lake.gap.count, 20);
    assert_int_equal(lake.gap.reasons, TG_GAP_QUARANTINE);
    assert_int_equal(state_of(f, cursor(f, two, "hub")).pending, 100);
    read_rows(f, 1, one, UINT32_MAX, SIZE_MAX, &seen);
    assert_int_equal(seen.count, 77);
    assert_int_equal(seen.first_seq, 21);
    assert_int_equal(seen.last_seq, 100);
    read_rows(f, 1, two, UINT32_MAX, SIZE_MAX, &seen);
    assert_int_equal(seen.count, 100);
    tg_test_verify(f->ob);
}

static void test_everything_arrives(void **state)
{
    struct pair *p = *state;
    fill(&p->a);
    tg_outbox_close(p->a.ob, true);
    export(p);
    p->a.ob = tg_test_open(&p->a.o);
    assert_int_equal(p->sum.rows, 177);
    assert_int_equal(p->sum.leap, 0);
    /* Looking changes nothing; a box that never ran can be asked too. */
    assert_int_equal(import_text(p, p->b.ob, p->text, p->len, true), TG_OK);
    assert_int_equal(import_text(p, NULL, p->text, p->len, true), TG_OK);
    assert_string_equal(p->sum.gateway, "box _A_");
    assert_int_equal(stats_of(&p->b).devices, 0);
    assert_int_equal(import(p), TG_OK);
    check_b(&p->b);
    reopen(&p->b, true);
    check_b(&p->b);
    reopen(&p->b, false);
    check_b(&p->b);
    /* What comes next has a number above. */
    append_n(&p->b, device(&p->b, "meter-1"), 1, 100);
    assert_int_equal(tg_outbox_last_seq(p->b.ob, device(&p->b, "meter-1")), 101);
    /* And on to a third box, and the same file a second time. */
    assert_int_equal(import(p), TG_OK);
    assert_true(p->sum.done_before);
    tg_test_verify(p->b.ob);
}

static void test_what_is_urgent_told_or_without_time(void **state)
{
    struct pair *p = *state;
    struct fixture *a = &p->a, *b = &p->b, *f = b;
    uint8_t memory[200];
    uint32_t d = device(a, "box"), hub = cursor(a, d, "hub");
    struct tg_gap lost = {1, 3, 3, TG_GAP_LIMIT};
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_sample_time time = {TG_TIME_BOOT, 12345, 777}; /* of a boot that is over */
    struct tg_named_value v = {.name = tg_bytes_str("x"), .value = {.type = TG_VALUE_INT, .as.integer = 1}};
    append_n(a, d, 3, 100);
    OK(tg_outbox_set_cursor(a->ob, hub, 3, 3, &a->err));
    OK(tg_outbox_lose(a->ob, hub, &lost, 0, &a->err));
    w = tg_writer_init(memory, sizeof memory);
    gap_write(&w, 1780000000000, &lost, "hub");
    struct tg_outbox_row row = {
        .id = 4, .seq = 4, .device = d, .time_ms = 1780000000000, .body = tg_bytes(memory, w.len)};
    OK(tg_outbox_append_urgent(a->ob, &row, &a->err));
    OK(tg_outbox_tell(a->ob, hub, 4, &lost, &a->err));
    OK(tg_outbox_commit(a->ob, &a->err));
    w = tg_writer_init(memory, sizeof memory);
    tg_sample_begin_at(&w, &time, 1);
    tg_sample_value(&w, &v);
    row = (struct tg_outbox_row){
        .id = 5, .seq = 5, .device = d, .time_ms = 777, .body = tg_bytes(memory, w.len)};
    OK(tg_outbox_append(a->ob, &row, &a->err));
    OK(tg_outbox_commit(a->ob, &a->err));
    reopen(a, true);
    tg_outbox_close(a->ob, true);
    export(p);
    a->ob = tg_test_open(&a->o);
    assert_int_equal(p->sum.waiting_for_clock, 1);
    assert_int_equal(import(p), TG_OK);
    assert_int_equal(p->sum.waiting_for_clock, 1);
    for (int i = 0; i < 2; i++) {
        uint64_t waiting = 0;
        d = device(b, "box");
        hub = cursor(b, d, "hub");
        assert_int_equal(state_of(b, hub).tell_seq, 4);
        assert_int_equal(state_of(b, hub).gap.count, 3);
        assert_true(tg_outbox_urgent_high(b->ob) > 0);
        OK(tg_outbox_waiting(b->ob, &waiting, &b->err));
        assert_int_equal(waiting, 1);
        reopen(b, true);
    }
    (void)device(b, "box");
    hub = cursor(b, d, "hub");
    OK(tg_outbox_set_cursor(b->ob, hub, 4, tg_outbox_last_id(b->ob) - 1, &b->err));
    OK(tg_outbox_commit(b->ob, &b->err));
    assert_int_equal(state_of(b, hub).gap.reasons, 0); /* it was told */
}

static void test_numbers_that_may_have_been_given(void **state)
{
    struct pair *p = *state;
    uint32_t d;
    p->a.o.durability = TG_DURABILITY_LAZY;
    reopen(&p->a, true);
    d = device(&p->a, "box");
    (void)cursor(&p->a, d, "hub");
    append_n(&p->a, d, 10, 100);
    tg_outbox_close(p->a.ob, false); /* killed */
    export(p);
    p->a.ob = tg_test_open(&p->a.o);
    assert_int_equal(p->sum.leap, 1 << 18);
    assert_int_equal(import(p), TG_OK);
    d = device(&p->b, "box");
    assert_int_equal(tg_outbox_last_seq(p->b.ob, d), 10 + (1 << 18));
    struct tg_outbox_cursor_state hub = state_of(&p->b, cursor(&p->b, d, "hub"));
    assert_int_equal(hub.pending, 10);
    assert_int_equal(hub.gap.reasons, TG_GAP_CRASH);
    assert_int_equal(hub.gap.first_seq, 11);
    tg_test_verify(p->b.ob);
}

static void test_numbers_of_its_own(void **state)
{
    struct pair *p = *state;
    struct fixture *f = &p->b;
    uint32_t d;
    fill(&p->a);
    export(p);
    /* Below: what was delivered here before is no trouble, what waits is. */
    d = device(&p->b, "meter-1");
    uint32_t hub = cursor(&p->b, d, "hub"), other = cursor(&p->b, d, "other");
    append_n(&p->b, d, 5, 100);
    assert_int_equal(import(p), TG_EEXISTS);
    assert_non_null(strstr(p->b.err.text, "meter-1"));
    assert_non_null(strstr(p->b.err.text, "wait"));
    OK(tg_outbox_set_cursor(p->b.ob, hub, 5, 5, &p->b.err));
    OK(tg_outbox_set_cursor(p->b.ob, other, 5, 5, &p->b.err));
    OK(tg_outbox_commit(p->b.ob, &p->b.err));
    assert_int_equal(import(p), TG_OK);
    assert_int_equal(state_of(&p->b, hub).pending, 47);
    tg_test_verify(p->b.ob);
    /* Above. */
    free(p->text);
    p->text = NULL;
    append_n(&p->a, device(&p->a, "meter-1"), 1, 100);
    export(p);
    assert_int_equal(import(p), TG_EEXISTS);
    assert_non_null(strstr(p->b.err.text, "meter-1"));
    assert_int_equal(tg_outbox_last_seq(p->b.ob, d), 100);
    tg_test_verify(p->b.ob);
}

static void test_one_device(void **state)
{
    struct pair *p = *state;
    uint32_t d, c;
    fill(&p->a);
    assert_int_equal(export_as(p, false, "nobody"), TG_ENOTFOUND);
    assert_int_equal(export_as(p, false, "meter-2"), TG_OK);
    assert_int_equal(import(p), TG_OK);
    assert_false(tg_outbox_find(p->b.ob, "meter-1", NULL, &d, &c));
    assert_true(tg_outbox_find(p->b.ob, "meter-2", "hub", &d, &c));
    assert_int_equal(state_of(&p->b, c).pending, 100);
    tg_test_verify(p->b.ob);
}

/* Every cut and every flipped bit of a short file: refused, and nothing is there. */
static void test_a_file_that_is_not_whole(void **state)
{
    struct pair *p = *state;
    uint32_t d = device(&p->a, "box");
    (void)cursor(&p->a, d, "hub");
    append_n(&p->a, d, 3, 40);
    export(p);
    for (size_t cut = 1; cut < p->len; cut++)
        assert_int_not_equal(import_text(p, p->b.ob, p->text, cut, false), TG_OK);
    for (size_t at = 0; at < p->len * 8; at++) {
        p->text[at / 8] ^= (char)(1 << at % 8);
        int rc = import_text(p, p->b.ob, p->text, p->len, false);
        assert_true(rc == TG_ECORRUPT || rc == TG_EVERSION);
        assert_non_null(strstr(p->b.err.text, "nothing was imported"));
        p->text[at / 8] ^= (char)(1 << at % 8);
    }
    static const char foreign[] = "{\"device\":\"box\",\"sample\":{}}\n",
                      newer[] = "[\"tidegate-backlog\",2,{}]\n";
    assert_int_equal(import_text(p, p->b.ob, foreign, sizeof foreign - 1, false), TG_ECORRUPT);
    assert_non_null(strstr(p->b.err.text, "no backlog"));
    assert_int_equal(import_text(p, p->b.ob, newer, sizeof newer - 1, false), TG_EVERSION);
    assert_int_equal(stats_of(&p->b).devices, 0);
    assert_int_equal(import(p), TG_OK);
    assert_int_equal(stats_of(&p->b).rows, 3);
}

/* The power goes at each write of an import: then all of it is there, or nothing, and it can be run again. */
static void test_power_cut(void **state)
{
    struct pair *p = *state;
    uint64_t none = 0, whole = 0;
    fill(&p->a);
    export(p);
    for (uint64_t nth = 1;; nth++) {
        char *dir = tg_test_memory_dir();
        struct tg_outbox_options o = tg_test_options(dir);
        uint64_t random = nth;
        tg_outbox_close(p->b.ob, true);
        p->b.ob = tg_test_open(&o);
        tg_outbox_close(p->b.ob, true);
        o.vfs = TG_CRASH_VFS;
        tg_crash_arm(nth, false);
        struct tg_outbox *ob = NULL;
        if (tg_outbox_open(&o, &ob, NULL, NULL) == TG_OK)
            (void)import_text(p, ob, p->text, p->len, false);
        tg_outbox_close(ob, true);
        bool cut = tg_crash_happened();
        tg_crash_apply(&random);
        o.vfs = NULL;
        p->b.ob = tg_test_open(&o);
        uint64_t rows = stats_of(&p->b).rows;
        assert_true(rows == 0 || rows == 177);
        none += rows == 0;
        whole += rows == 177;
        assert_int_equal(import(p), TG_OK);
        assert_int_equal(p->sum.done_before, rows == 177);
        check_b(&p->b);
        tg_outbox_close(p->b.ob, true);
        p->b.ob = tg_test_open(&p->b.o);
        tg_test_dir_remove(dir);
        free(dir);
        if (!cut)
            break;
        assert_true(nth < 2000);
    }
    print_message("power cuts: %llu left nothing of an import, %llu all of it\n", (unsigned long long)none,
                  (unsigned long long)whole);
    assert_true(none > 1 && whole > 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_everything_arrives),
        T(test_who_reads_gives_way_on_a_full_disk),
        T(test_what_is_urgent_told_or_without_time),
        T(test_numbers_that_may_have_been_given),
        T(test_numbers_of_its_own),
        T(test_one_device),
        T(test_a_file_that_is_not_whole),
        T(test_power_cut),
    };
    tg_crash_vfs_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
