/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random lives of the whole store, as the gateway sees it [C1, C4, C5, C6]: its thread commits while five devices offer samples, some of
 * them urgent, and three clouds, each with a drain and a quota of its own, take, acknowledge, forget their window, pause and come back; an
 * operator drops what waits, devices and clouds leave the configuration; fsyncs fail, the disk is gone for a while or full of
 * somebody else's data; the outbox is small, so that it evicts. A life ends by a clean stop, by kill -9, or by a power cut; the next one
 * begins on what is left. Each life is a process. The model (lives_model.h) knows what the world has seen.
 *
 * With durability full, normal and lazy. The negative control tampers with one count of one device and cloud after another, and with what
 * the model has seen: each must be noticed.
 *
 * TIDEGATE_LIVES histories of LIVES lives, from the seed TIDEGATE_LIVES_SEED on; one that fails names its seed.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lives_control.h"
#include "lives_life.h"
#include "support/proof.h"

#define LIVES      12 /* of a history, and one more that delivers everything */
#define DISK_BYTES (12 << 20)

/* --- what the world sees ------------------------------------------------------------------------------- */

static void note_committed(void *user, uint64_t id)
{
    struct life *l = user;
    assert_true(id > l->f.committed_id);
    l->f.committed_id = id;
    lives_committed(l->w, id);
}

static void note_state(void *user, enum tg_store_state state, const char *text)
{
    struct life *l = user;
    l->f.state = state;
    if (state != TG_STORE_OK)
        lives_not_stored(l->w);
    snprintf(l->f.text, sizeof l->f.text, "%s", text);
    if (strstr(text, "set aside"))
        fail_msg("%s", text);
}

/* --- the disk ------------------------------------------------------------------------------------------ */

static void fill_disk(struct life *l)
{
    static const char block[64 * 1024];
    FILE *f = fopen(l->filler, "ab");
    if (!f)
        return;
    while (fwrite(block, 1, sizeof block, f) == sizeof block)
        ;
    (void)fclose(f);
    l->w->tally.full_disks++;
}

static void trouble(struct life *l)
{
    uint32_t dice = lives_pick(l, 8);
    if (l->ending == LIVES_CUT || l->w->calm)
        return; /* of this disk only the power is cut */
    if (dice < 3) {
        tg_gate_fail_syncs(1 + lives_pick(l, 3));
        l->w->tally.failed_syncs++;
    } else if (dice < 5) {
        l->gone = !l->gone;
        tg_gate_gone(l->gone);
        l->w->tally.gone_disks += l->gone;
    } else if (l->may_fill && access(l->filler, F_OK) != 0) {
        fill_disk(l);
    } else {
        (void)unlink(l->filler);
    }
}

/* --- a life -------------------------------------------------------------------------------------------- */

/* What the feed says to be pending is what the log says. False: it could not be opened. */
static bool open_first(struct life *l, uint32_t d, uint32_t c)
{
    const struct lives_account *a = &l->w->account[d][c];
    uint64_t pending, in_log = a->exists ? a->pending : 0;
    if (!lives_open(l, d, c, &pending))
        return false;
    if (pending != in_log)
        fail_msg("%u %s: %llu are pending in the log, its feed says %llu", d, lives_clouds[c],
                 (unsigned long long)in_log, (unsigned long long)pending);
    return true;
}

/* False: the power has gone meanwhile. */
static bool begin(struct life *l, bool last)
{
    struct fixture *f = &l->f;
    struct tg_store_callbacks cb = {.on_committed = note_committed, .on_state = note_state};
    uint32_t without = lives_pick(l, 6);                     /* a cloud that leaves two devices, or none */
    uint32_t device_left = lives_pick(l, 3 * LIVES_DEVICES); /* a device that leaves, or none */
    uint64_t gone = 0;
    OK(tg_loop_init(&f->loop, &f->err));
    assert_int_equal(uv_timer_init(&f->loop.uv, &f->tick), 0);
    assert_int_equal(uv_timer_start(&f->tick, on_tick, 3, 3), 0);
    lives_begin(l->w);
    if (tg_store_open(&f->loop, &f->o, &cb, l, &f->store, f->aside, &f->err) != TG_OK) {
        assert_true(lives_dead(l));
        return false;
    }
    f->committed_id = stats_of(f).committed_id;
    tg_store_clock(f->store, l->w->clock_ms);
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        char name[24];
        lives_device_name(d, name);
        l->device[d] = UINT32_MAX;
        if (!last && d == device_left) {
            l->w->tally.devices_left++;
            continue;
        }
        if (tg_store_device(f->store, name, &l->device[d], &f->err) != TG_OK)
            return false;
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            bool left = !last && c == without && c > 0 && d % 2;
            if (!left && !open_first(l, d, c))
                return false;
        }
    }
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            if (!l->session[d][c].feed)
                lives_left(l->w, d, c);
        }
    }
    return tg_store_retire_undeclared(f->store, &gone, &f->err) == TG_OK;
}

static void step(struct life *l)
{
    uint32_t d = lives_pick(l, LIVES_DEVICES), c = lives_pick(l, LIVES_CLOUDS), dice = lives_pick(l, 1000);
    struct lives_session *s = &l->session[d][c];
    if (dice < 220)
        lives_offer(l);
    else if (dice < 600 && s->feed)
        dice % 2 ? lives_take(l, d, c) : lives_ack(l, d, c);
    else if (dice < 640)
        lives_flush(l);
    else if (dice < 720 && s->feed)
        lives_wake(l, d, c);
    else if (dice < 740 && s->feed)
        lives_forget_window(l, d, c);
    else if (dice < 760)
        trouble(l);
    else if (dice < 770 && s->feed)
        lives_replace(l, d, c);
    else if (dice < 780 && s->feed)
        lives_choose_drain(l, d, c);
    else if (dice < 784 && s->feed)
        lives_choose_quota(l, d, c);
    else if (dice < 787)
        lives_drop_by_hand(l);
    else if (dice == 787 && l->device[d] != UINT32_MAX)
        lives_remove_device(l, d);
    else
        uv_run(&l->f.loop.uv, dice < 920 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
}

static void end(struct life *l)
{
    struct fixture *f = &l->f;
    for (uint32_t d = 0; d < LIVES_DEVICES; d++)
        lives_close_sessions(l, d);
    if (f->store)
        close_store(f);
    uv_close((uv_handle_t *)&f->tick, NULL);
    tg_loop_fini(&f->loop);
    assert_int_equal(tg_alloc_stats().live, f->live);
}

/* Everything that is left, and what comes meanwhile, until nobody waits for anything: neither a session nor the log. */
static void deliver_all(struct life *l)
{
    int64_t end_ms = tg_clock_mono_ms() + PATIENCE_MS;
    for (uint64_t pending = 1; pending > 0; uv_run(&l->f.loop.uv, UV_RUN_NOWAIT)) {
        struct tg_store_stats stats = stats_of(&l->f);
        if (tg_clock_mono_ms() > end_ms)
            fail_msg("not everything was delivered within the test's patience");
        pending = stats.uncommitted_rows + stats.outbox.rows - stats.outbox.acked_rows;
        for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
            for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
                lives_wake(l, d, c);
                lives_take(l, d, c);
                lives_ack(l, d, c);
                pending += l->session[d][c].count + tg_feed_pending(l->session[d][c].feed);
            }
        }
    }
}

static void live(struct life *l, bool last)
{
    uint32_t steps = 100 + lives_pick(l, 1500);
    if (begin(l, last)) {
        if (last)
            deliver_all(l);
        for (uint32_t i = 0; !last && i < steps && !lives_dead(l); i++)
            step(l);
        if (l->ending == LIVES_KILLED) {
            (void)kill(getpid(), SIGKILL);
        } else if (l->ending == LIVES_STOPPED) { /* with a disk that takes what waits */
            tg_gate_gone(false);
            tg_gate_fail_syncs(0);
            (void)unlink(l->filler);
        }
    }
    end(l);
    if (l->ending == LIVES_CUT) {
        bool cut = tg_crash_happened();
        if (!cut)
            tg_crash_arm(1, false); /* between two operations: with whatever was not synced */
        tg_crash_apply(&l->w->random);
        (void)unlink(tg_test_path(l->f.o.outbox.dir, "outbox.beyond")); /* may be from after the cut */
        if (l->f.o.outbox.durability != TG_DURABILITY_FULL)
            tg_test_boot_again(l->f.o.outbox.dir);
    }
}

/* --- a history ----------------------------------------------------------------------------------------- */

static _Noreturn void run_life(struct lives *w, const char *dir, enum tg_durability durability,
                               enum lives_ending ending, bool last, bool may_fill)
{
    struct life *l = calloc(1, sizeof *l);
    (void)setenv("CMOCKA_TEST_ABORT", "1",
                 1); /* a check that fails ends this process, not the parent's test */
    l->w = w;
    l->ending = ending;
    l->may_fill = may_fill;
    l->dropped_before = w->dropped_memory;
    l->f.live = tg_alloc_stats().live;
    l->f.o = (struct tg_store_options){.outbox = tg_test_options(dir),
                                       .commit_interval_ms = 1 + lives_pick(l, 4),
                                       .commit_max_rows = 20 + lives_pick(l, 200),
                                       .uncommitted_limit_bytes = 128 * 1024,
                                       .prefetch_limit_bytes = 64 * 1024,
                                       .lazy_window_ms = 20 + lives_pick(l, 200),
                                       .keep_removed_ms = lives_pick(l, 100),
                                       .retry_ms = 5};
    l->f.o.outbox.durability = durability;
    l->f.o.outbox.limit_bytes = 1 << 20;
    l->f.o.outbox.vfs = ending == LIVES_CUT ? TG_CRASH_VFS : TG_GATE_VFS;
    snprintf(l->filler, sizeof l->filler, "%s/filler", dir);
    tg_gate_gone(false);
    tg_gate_fail_syncs(0);
    tg_crash_arm(ending == LIVES_CUT ? 20 + lives_pick(l, 900) : 0, false);
    live(l, last);
    free(l);
    _exit(0);
}

static void one_life(struct lives *w, const char *dir, enum tg_durability durability,
                     enum lives_ending ending, bool last, bool may_fill)
{
    int status = 0;
    struct tg_outbox_options o = tg_test_options(dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_life(w, dir, durability, ending, last, may_fill);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (ending == LIVES_KILLED ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL
                               : !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("a life ended wrongly (%x)", (unsigned)status);
    char filler[4200];
    snprintf(filler, sizeof filler, "%s/filler", dir);
    (void)unlink(filler);
    o.durability = durability;
    w->tally.kills += ending == LIVES_KILLED;
    w->tally.cuts += ending == LIVES_CUT;
    w->tally.stops += ending == LIVES_STOPPED;
    if (last)
        lives_judge_end(w, &o);
    else
        lives_judge(w, &o, ending == LIVES_CUT);
}

static void add(struct lives_tally *sum, const struct lives_tally *t)
{
    sum->offered += t->offered;
    sum->accepted += t->accepted;
    sum->delivered += t->delivered;
    sum->duplicates += t->duplicates;
    sum->dropped += t->dropped;
    sum->lost_as_allowed += t->lost_as_allowed;
    sum->lives += t->lives;
    sum->kills += t->kills;
    sum->cuts += t->cuts;
    sum->stops += t->stops;
    sum->full_disks += t->full_disks;
    sum->failed_syncs += t->failed_syncs;
    sum->gone_disks += t->gone_disks;
    sum->rewinds += t->rewinds;
    sum->retired += t->retired;
    sum->reloads += t->reloads;
    sum->records += t->records;
    sum->urgent += t->urgent;
    sum->ahead += t->ahead;
    sum->spared += t->spared;
    sum->dropped_by_hand += t->dropped_by_hand;
    sum->quotas += t->quotas;
    sum->hand_drops += t->hand_drops;
    sum->devices_left += t->devices_left;
    if (t->most_duplicates > sum->most_duplicates)
        sum->most_duplicates = t->most_duplicates;
}

/* A small disk of our own; false: it may not be mounted here. */
static bool mount_disk(const char *dir)
{
    static bool apart;
    char options[40];
    snprintf(options, sizeof options, "size=%d", DISK_BYTES);
    if (!apart && (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
        return false;
    apart = true;
    return mount("tmpfs", dir, "tmpfs", 0, options) == 0;
}

static void begin_history(struct lives *w, uint64_t seed, enum tg_durability durability)
{
    memset(w, 0, sizeof *w);
    w->random = seed;
    w->power_forgets = durability == TG_DURABILITY_NORMAL;
    w->lazy = durability == TG_DURABILITY_LAZY;
    w->clock_ms = LIVES_NOW_MS - tg_clock_mono_ms();
}

static void history(struct lives *w, uint64_t seed, enum tg_durability durability, struct lives_tally *sum)
{
    char *dir = tg_test_memory_dir();
    bool mounted = mount_disk(dir);
    begin_history(w, seed, durability);
    (void)fprintf(stderr, "seed %llu, durability %d%s\n", (unsigned long long)seed, (int)durability,
                  mounted ? "" : ", without full disks (nothing may be mounted here)");
    for (int i = 0; i < LIVES; i++) { /* the last ones see to it that each ending is there */
        uint32_t ending = i < LIVES - 3 ? tg_test_random(&w->random) : (uint32_t)i;
        one_life(w, dir, durability, (enum lives_ending)(ending % 3), false, mounted);
    }
    one_life(w, dir, durability, LIVES_STOPPED, true, false);
    add(sum, &w->tally);
    if (mounted)
        assert_int_equal(umount(dir), 0);
    tg_test_dir_remove(dir);
    free(dir);
}

static struct lives *new_world(void)
{
    struct lives *w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(w, MAP_FAILED);
    return w;
}

/* What cannot be noticed cannot be proved. */
static void test_control(void **state)
{
    struct lives *w = new_world();
    struct lives_control all = {0}, k;
    (void)state;
    for (int durability = TG_DURABILITY_FULL; durability <= TG_DURABILITY_LAZY; durability++) {
        char *dir;
        if (durability != TG_DURABILITY_FULL && tg_proof_count("TIDEGATE_LIVES", 1) == 1)
            continue; /* in short */
        dir = tg_test_memory_dir();
        struct tg_outbox_options o = tg_test_options(dir);
        o.durability = (enum tg_durability)durability;
        begin_history(w, 1, o.durability);
        w->calm = true;
        for (int i = 0; i < 4; i++)
            one_life(w, dir, o.durability, i % 2 ? LIVES_KILLED : LIVES_STOPPED, false, false);
        lives_control(w, &o, &k);
        all.tampered += k.tampered;
        all.noticed += k.noticed;
        if (k.widest > all.widest)
            all.widest = k.widest;
        tg_test_dir_remove(dir);
        free(dir);
    }
    print_message("control: %u of %u noticed, at most %llu unknown\n", all.noticed, all.tampered,
                  (unsigned long long)all.widest);
    assert_true(all.tampered > 15);
    tg_proof("C6", "control_wrong_count", all.tampered, all.tampered - all.noticed,
             "Negative control: in a copy of what such lives have left, one thing is made wrong for one "
             "device and cloud after "
             "the other: a sample vanishes from the account, one too many is counted, one that waits is "
             "deleted or passed, one was "
             "reported as accepted and is not stored. Each must be noticed",
             "\"noticed\":%u", all.noticed);
    munmap(w, sizeof *w);
}

static void lives_of(enum tg_durability durability, const char *name)
{
    struct lives *w = new_world();
    struct lives_tally t = {0};
    uint32_t histories = tg_proof_count("TIDEGATE_LIVES", 1), seed = tg_proof_count("TIDEGATE_LIVES_SEED", 1);
    for (uint32_t i = 0; i < histories; i++)
        history(w, (uint64_t)seed + i, durability, &t);
    print_message(
        "%s: %u lives (%u stops, %u kills, %u power cuts), %u full disks, %u failed syncs, %u "
        "disks gone, %u clouds that left, %u devices that left, %u quotas, %u drops by hand (%llu samples): "
        "%llu offered, %llu of them urgent, %llu accepted, %llu delivered, %llu of them ahead, %llu again, "
        "%llu dropped, "
        "%llu gap records seen, %llu never written, %llu lost as allowed\n",
        name, t.lives, t.stops, t.kills, t.cuts, t.full_disks, t.failed_syncs, t.gone_disks, t.retired,
        t.devices_left, t.quotas, t.hand_drops, (unsigned long long)t.dropped_by_hand,
        (unsigned long long)t.offered, (unsigned long long)t.urgent, (unsigned long long)t.accepted,
        (unsigned long long)t.delivered, (unsigned long long)t.ahead, (unsigned long long)t.duplicates,
        (unsigned long long)t.dropped, (unsigned long long)t.records, (unsigned long long)t.spared,
        (unsigned long long)t.lost_as_allowed);
    assert_true(t.accepted > 500 && t.delivered > 500 && t.kills > 0 && t.cuts > 0);
    assert_true(t.urgent > 0 && t.ahead > 0);
    /* A single history may be without them. */
    assert_true(t.lives < 100 ||
                (t.quotas > 0 && t.dropped_by_hand > 0 && t.devices_left > 0 && t.retired > 0));
    assert_true(durability != TG_DURABILITY_LAZY || t.lives < 100 || t.spared > 0);
    assert_true(durability == TG_DURABILITY_FULL || t.cuts < 20 ||
                t.lost_as_allowed > 0); /* it can see a loss */
    tg_proof(
        "C6", name, t.lives, 0,
        "Random lives of the whole store: five devices and three clouds with every drain and random quotas "
        "offer, some of it "
        "urgent, take, acknowledge, forget their window, come and leave, an operator drops what waits, while "
        "fsyncs fail, the "
        "disk is gone or full; each ends by a stop, a kill or a "
        "power cut. After each, for every device and cloud: accepted = delivered + dropped + pending, "
        "nothing is altered, out of order or repeated beyond what was in flight. Trials: lives",
        "\"accepted\":%llu,\"delivered\":%llu,\"ahead_of_a_backlog\":%llu,\"repeated\":%llu,"
        "\"dropped_and_counted\":%llu,\"by_hand\":%llu,\"never_written\":%llu,"
        "\"lost_as_allowed\":%llu,\"devices_removed\":%u,\"kills\":%u,\"power_cuts\":%u,\"full_disks\":%u,"
        "\"failed_syncs\":%u,\"unaccounted\":0",
        (unsigned long long)t.accepted, (unsigned long long)t.delivered, (unsigned long long)t.ahead,
        (unsigned long long)t.duplicates, (unsigned long long)t.dropped,
        (unsigned long long)t.dropped_by_hand, (unsigned long long)t.spared,
        (unsigned long long)t.lost_as_allowed, t.devices_left, t.kills, t.cuts, t.full_disks, t.failed_syncs);
    munmap(w, sizeof *w);
}

static void test_full(void **state)
{
    (void)state;
    lives_of(TG_DURABILITY_FULL, "store_lives_full");
}

static void test_normal(void **state)
{
    (void)state;
    lives_of(TG_DURABILITY_NORMAL, "store_lives_normal");
}

static void test_lazy(void **state)
{
    (void)state;
    lives_of(TG_DURABILITY_LAZY, "store_lives_lazy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full), cmocka_unit_test(test_normal),
                                       cmocka_unit_test(test_lazy), cmocka_unit_test(test_control)};
    tg_gate_vfs_register();
    tg_crash_vfs_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
