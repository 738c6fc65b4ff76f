/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A disk that is full, for real [C7]: the outbox on a tmpfs of a few megabytes, in a mount namespace of the
 * test's own. It keeps taking new samples, gives up the oldest, and counts them to the row; when there is
 * space again it uses it. Where mounting is not permitted a VFS says SQLITE_FULL instead, and the test says
 * so.
 */
#include "support/outbox_fixture.h"

#include "store/notes_private.h"
#include "store/outbox_private.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/fault_vfs.h"
#include "support/proof.h"
#include "support/skip.h"

#define NO_TMPFS "a disk of its own cannot be mounted here (no root)"
#define NO_EXT4  "an ext4 file system in a file cannot be mounted here (no root, or no loop device)"

#define BATCH  50
#define NOW_MS INT64_C(1900000000000)

static bool mounted;
static bool on_ext4; /* the next disk is an ext4 file system in a file */

static int mount_namespace(void **state)
{
    (void)state;
    mounted = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    tg_fault_vfs_register();
    return 0;
}

/* Needs a loop device; false without. The file has no name any more once it is mounted. */
static bool mount_image(const char *dir)
{
    char *image = NULL, *command = NULL;
    assert_true(asprintf(&image, "%s.img", dir) > 0);
    assert_true(
        asprintf(
            &command,
            "truncate -s 12M '%s' && PATH=$PATH:/usr/sbin mkfs.ext4 -q -F -m 0 -b 1024 '%s' && mount -o loop "
            "'%s' '%s'",
            image, image, image, dir) > 0);
    bool done = system(command) == 0;
    (void)unlink(image);
    free(command);
    free(image);
    return done;
}

static int set_up_disk(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->live = tg_alloc_stats().live;
    f->dir = tg_test_dir();
    f->o = tg_test_options(f->dir);
    if (on_ext4)
        on_ext4 = mounted && mount_image(f->dir);
    else if (mounted && mount("tmpfs", f->dir, "tmpfs", 0, "size=6m") != 0)
        mounted = false;
    if (!mounted) {
        print_message(
            "mounting a tmpfs is not permitted here: a VFS that says SQLITE_FULL takes its place\n");
        f->o.vfs = TG_FAULT_VFS;
    }
    f->ob = tg_test_open(&f->o);
    *state = f;
    return 0;
}

static int set_up_ext4(void **state)
{
    on_ext4 = true;
    return set_up_disk(state);
}

static int tear_down_disk(void **state)
{
    struct fixture *f = *state;
    tg_outbox_close(f->ob, true);
    assert_int_equal(tg_alloc_stats().live, f->live);
    if (mounted)
        assert_int_equal(umount(f->dir), 0);
    tg_test_dir_remove(f->dir);
    free(f->dir);
    free(f);
    return 0;
}

/* Without a mount: every 400th write from now on finds the disk full, once. */
static void pretend_full(void)
{
    if (!mounted)
        tg_fault_set(&(struct tg_fault_plan){.ops = TG_FAULT_WRITE, .at = 400, .full = true});
}

/* Somebody else's file, as large as the disk lets it be. */
static void hog(struct fixture *f, int64_t leave_bytes)
{
    int fd = open(tg_test_path(f->dir, "hog"), O_WRONLY | O_CREAT, 0600);
    static uint8_t block[4096];
    int64_t size = 0;
    assert_true(fd >= 0);
    while (mounted && write(fd, block, sizeof block) == (ssize_t)sizeof block)
        size += (int64_t)sizeof block;
    assert_int_equal(ftruncate(fd, size > leave_bytes ? size - leave_bytes : 0), 0);
    close(fd);
}

struct account {
    uint64_t id, seq, full;
    size_t body; /* of a row; 0 = 200 */
};

/* One batch, as the owner does it: when there is no room, make some and try again. */
static void store_batch(struct fixture *f, uint32_t d, struct account *a)
{
    size_t body = a->body ? a->body : 200;
    for (int attempt = 0;; attempt++) {
        uint64_t id = a->id, seq = a->seq;
        int rc = TG_OK;
        for (int i = 0; i < BATCH && rc == TG_OK; i++)
            rc = tg_test_append(f->ob, d, &id, &seq, body, &f->err);
        if (rc == TG_OK)
            rc = tg_outbox_commit(f->ob, &f->err);
        if (rc == TG_OK) {
            a->id = id;
            a->seq = seq;
            return;
        }
        tg_outbox_rollback(f->ob);
        if (rc != TG_ENOSPACE || attempt > 3)
            fail_msg("after %llu rows: %s", (unsigned long long)a->seq, f->err.text);
        a->full++;
        pretend_full();
        OK(tg_outbox_make_room(f->ob, BATCH * (body + 32), &f->err));
    }
}

static void check_account(struct fixture *f, uint32_t d, uint32_t c, const struct account *a)
{
    struct tg_outbox_cursor_state s = state_of(f, c);
    struct tg_outbox_stats stats = stats_of(f);
    struct seen seen;
    assert_int_equal(s.accepted, a->seq);
    assert_int_equal(s.acked, 0);
    assert_int_equal(stats.dropped[TG_DROP_DISK_FULL], s.dropped);
    read_rows(f, 0, d, UINT32_MAX, SIZE_MAX, &seen);
    assert_int_equal(seen.count, s.pending);
    assert_int_equal(seen.first_seq, s.dropped + 1);
    assert_int_equal(seen.last_seq, a->seq);
    tg_test_verify(f->ob);
}

/* Nothing is delivered, the disk is full: the newest stay, the count is exact, for as long as it takes. */
static void full_again_and_again(struct fixture *f, const char *disk)
{
    const uint32_t wanted = tg_proof_count("TIDEGATE_FULL_EVENTS", 25);
    struct account a = {0};
    uint32_t d = device(f, "a"), c = cursor(f, d, "hub");
    assert_true(!mounted || tg_test_exists(f->dir, "outbox.ballast"));
    hog(f, 1 << 20);
    pretend_full();
    while (a.full < wanted && a.seq < UINT64_C(16000) * wanted)
        store_batch(f, d, &a);
    print_message("%llu rows stored through %llu times of a full disk, %llu evicted, %llu wait\n",
                  (unsigned long long)a.seq, (unsigned long long)a.full,
                  (unsigned long long)state_of(f, c).dropped, (unsigned long long)state_of(f, c).pending);
    assert_true(a.full * 5 >= wanted * UINT64_C(4));
    assert_true(!mounted || state_of(f, c).dropped > 0);
    assert_true(!mounted || !tg_test_exists(f->dir, "outbox.ballast"));
    check_account(f, d, c, &a);
    /* A crash and a stop while the disk is full. */
    for (int i = 0; i < 2; i++) {
        reopen(f, i == 1);
        c = cursor(f, d, "hub");
        check_account(f, d, c, &a);
        for (int k = 0; k < 50; k++)
            store_batch(f, d, &a);
        check_account(f, d, c, &a);
    }
    tg_proof("C7", disk, a.full, 0,
             "Somebody else has filled the disk and nothing is delivered, while samples go on, through a "
             "crash and a stop: each is stored, the oldest are "
             "evicted and counted to the row, the newest are there without a hole",
             "\"stored\":%llu,\"evicted_and_counted\":%llu,\"waiting\":%llu", (unsigned long long)a.seq,
             (unsigned long long)state_of(f, c).dropped, (unsigned long long)state_of(f, c).pending);
}

static void test_full_again_and_again(void **state)
{
    full_again_and_again(*state, mounted ? "full_tmpfs" : "full_simulated");
}

static void test_full_again_and_again_ext4(void **state)
{
    if (!on_ext4) {
        TG_SKIP(NO_EXT4);
    }
    on_ext4 = false;
    full_again_and_again(*state, "full_ext4");
}

static bool has_its_blocks(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size > 0 && (int64_t)st.st_blocks * 512 >= (int64_t)st.st_size;
}

/* Where blocks are smaller than pages of memory: what is mapped has all its blocks, or it is an error that the ballast helps
 * against. A block that is missing would end the process, with SIGBUS, at the first use on a full disk. */
static void test_shared_memory_has_its_blocks(void **state)
{
    struct fixture *f = *state;
    struct account a = {0};
    struct tg_notes_file notes;
    uint32_t d = device(f, "a"), c = cursor(f, d, "hub");
    if (!on_ext4)
        TG_SKIP(NO_EXT4);
    on_ext4 = false;
    OK(tg_notes_file_init(&notes, f->dir));
    OK(tg_notes_file_open(&notes, &f->err));
    tg_notes_file_close(&notes); /* with what a new one writes */
    OK(tg_notes_file_open(&notes, &f->err));
    assert_true(has_its_blocks(tg_test_path(f->dir, TG_NOTES_FILE_NAME "-shm")));
    tg_notes_file_fini(&notes);
    for (int full = 0; full <= 1; full++) {
        for (int i = 0; i < 5; i++)
            store_batch(f, d, &a);
        tg_outbox_close(f->ob, false);
        f->ob = NULL;
        (void)unlink(tg_test_path(f->dir, TG_OUTBOX_FILE "-shm")); /* as a copy of the folder has none */
        if (full)
            hog(f, 16 << 10);
        f->ob = tg_test_open(&f->o);
        assert_true(has_its_blocks(tg_test_path(f->dir, TG_OUTBOX_FILE "-shm")));
        assert_true(tg_test_exists(f->dir, "outbox.ballast") == !full);
        check_account(f, d, c, &a);
    }
}

/* Space comes back: the ballast is laid down again and the file grows as before. */
static void test_space_comes_back(void **state)
{
    struct fixture *f = *state;
    struct account a = {0};
    uint32_t d = device(f, "a"), c = cursor(f, d, "hub");
    hog(f, 512 << 10);
    pretend_full();
    while (a.full < 3)
        store_batch(f, d, &a);
    uint64_t dropped = state_of(f, c).dropped, size = stats_of(f).bytes_file;
    OK(tg_outbox_enforce(f->ob, NOW_MS, &f->err));
    assert_true(!mounted || !tg_test_exists(f->dir, "outbox.ballast")); /* not yet */
    tg_fault_set(NULL);
    assert_int_equal(unlink(tg_test_path(f->dir, "hog")), 0);
    OK(tg_outbox_enforce(f->ob, NOW_MS, &f->err));
    assert_true(tg_test_exists(f->dir, "outbox.ballast"));
    for (int i = 0; i < 60; i++)
        store_batch(f, d, &a);
    assert_int_equal(state_of(f, c).dropped, dropped);
    assert_true(stats_of(f).bytes_file > size);
    check_account(f, d, c, &a);
}

/* What the file may still take by the bound that is laid on it, and what it has to take at the next checkpoint. */
static int64_t grows_by(const struct fixture *f)
{
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(f->ob->db, "PRAGMA max_page_count", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t most = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    return most * TG_OUTBOX_PAGE - tg_outbox_database_bytes(f->ob);
}

/* The owner looks after the limits at any moment, also while pages wait in the log: the bound it lays then leaves room for
 * them. */
static void test_looked_after_between_commits(void **state)
{
    struct fixture *f = *state;
    struct account a = {0};
    uint32_t d = device(f, "a"), c = cursor(f, d, "hub");
    if (!mounted)
        TG_SKIP(NO_TMPFS);
    assert_int_equal(mount(NULL, f->dir, NULL, MS_REMOUNT, "size=24m"), 0);
    reopen(f, true);
    hog(f, 4 << 20);
    while (a.full < 12) {
        store_batch(f, d, &a);
        OK(tg_outbox_enforce(f->ob, NOW_MS, &f->err));
        if (a.full > 0 && f->ob->disk_full)
            assert_true(grows_by(f) <= tg_outbox_disk_free(f->ob));
    }
    check_account(f, d, c, &a);
}

/* Somebody reads for long, so that the log cannot begin anew and its file gets larger than the ballast; afterwards the disk is
 * full, and the log alone has room. Were it filled, no ballast could make it copyable, and nothing would be stored any more. */
static void test_log_with_room_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct account a = {.body = 2000};
    uint32_t d = device(f, "a"), c = cursor(f, d, "hub");
    sqlite3 *reader = NULL;
    if (!mounted)
        TG_SKIP(NO_TMPFS);
    assert_int_equal(mount(NULL, f->dir, NULL, MS_REMOUNT, "size=24m"), 0);
    reopen(f, true);
    store_batch(f, d, &a);
    assert_int_equal(
        sqlite3_open_v2(tg_test_path(f->dir, TG_OUTBOX_FILE), &reader, SQLITE_OPEN_READWRITE, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM log", NULL, NULL, NULL), SQLITE_OK);
    while (tg_outbox_wal_bytes(f->ob) < 5 * f->ob->wal_limit)
        store_batch(f, d, &a);
    assert_int_equal(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    while (f->ob->wal_frames > f->ob->wal_soft_frames / 2) /* copied, and begun anew */
        store_batch(f, d, &a);
    hog(f, 0);
    while (a.full < 12)
        store_batch(f, d, &a);
    check_account(f, d, c, &a);
}

/* What was delivered makes room before anything that waits is given up. */
static void test_delivered_rows_go_first(void **state)
{
    struct fixture *f = *state;
    struct account a = {0};
    uint32_t d = device(f, "a"), c = cursor(f, d, "hub");
    hog(f, 1 << 20);
    for (int round = 0; round < 400; round++) {
        store_batch(f, d, &a);
        OK(tg_outbox_set_cursor(f->ob, c, a.seq, a.id, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    assert_int_equal(state_of(f, c).dropped, 0);
    assert_int_equal(state_of(f, c).acked, a.seq);
    tg_test_verify(f->ob);
}

/* drop-newest on a full disk: what is there stays, the new is refused and counted. */
static void test_full_disk_drop_newest(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "a"), c = cursor(f, d, "hub");
    uint64_t id = 0, seq = 0;
    if (!mounted)
        TG_SKIP(NO_TMPFS);
    f->o.when_full = TG_WHEN_FULL_DROP_NEWEST;
    reopen(f, true);
    hog(f, 1 << 20);
    int rc = TG_OK;
    while (rc == TG_OK) {
        for (int i = 0; i < BATCH && rc == TG_OK; i++)
            rc = tg_test_append(f->ob, d, &id, &seq, 200, &f->err);
        rc = tg_outbox_commit(f->ob, &f->err);
        if (rc == TG_ENOSPACE)
            rc = tg_outbox_make_room(f->ob, BATCH * 232, &f->err);
        id = tg_outbox_last_id(f->ob);
        seq = tg_outbox_last_seq(f->ob, d);
    }
    assert_int_equal(rc, TG_ENOSPACE);
    assert_int_equal(state_of(f, c).pending, seq);
    assert_int_equal(stats_of(f).dropped[TG_DROP_DISK_FULL], 0);
    OK(tg_outbox_reject(f->ob, d, seq + 50, TG_DROP_DISK_FULL, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(stats_of(f).dropped[TG_DROP_DISK_FULL], 50);
    tg_test_verify(f->ob);
}

/* A read-only disk is an error that names it; nothing is renamed or begun. */
static void test_read_only_disk(void **state)
{
    struct fixture *f = *state;
    if (!mounted)
        TG_SKIP(NO_TMPFS);
    append_n(f, device(f, "a"), 10, 60);
    tg_outbox_close(f->ob, true);
    assert_int_equal(mount(NULL, f->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    f->ob = NULL;
    assert_int_equal(tg_outbox_open(&f->o, &f->ob, NULL, &f->err), TG_EPERM);
    assert_null(f->ob);
    assert_true(strlen(f->err.text) > 10);
    assert_int_equal(mount(NULL, f->dir, NULL, MS_REMOUNT, "size=6m"), 0);
    f->ob = tg_test_open(&f->o);
    assert_int_equal(tg_outbox_last_id(f->ob), 10);
    assert_false(tg_test_exists(f->dir, TG_OUTBOX_FILE ".corrupt-1"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up_disk, tear_down_disk)
        T(test_full_again_and_again),
        T(test_space_comes_back),
        T(test_looked_after_between_commits),
        T(test_log_with_room_on_a_full_disk),
        T(test_delivered_rows_go_first),
        T(test_full_disk_drop_newest),
        T(test_read_only_disk),
        cmocka_unit_test_setup_teardown(test_full_again_and_again_ext4, set_up_ext4, tear_down_disk),
        cmocka_unit_test_setup_teardown(test_shared_memory_has_its_blocks, set_up_ext4, tear_down_disk),
    };
    return tg_skip_status(cmocka_run_group_tests(tests, mount_namespace, NULL));
}
