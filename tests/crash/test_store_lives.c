/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random lives of the whole store, as the gateway sees it [C1, C4, C5, C6]: its thread commits while five devices offer samples and
 * three clouds take, acknowledge, forget their window, pause and come back; fsyncs fail, the disk is gone for a while or full of
 * somebody else's data; the outbox is small, so that it evicts. A life ends by a clean stop, by kill -9, or by a power cut; the next one
 * begins on what is left, sometimes without one of the clouds. Each life is a process. The model (lives_model.h) knows what the world has seen.
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

#include "lives_model.h"
#include "support/crash_vfs.h"
#include "support/proof.h"
#include "support/store_fixture.h"

#define LIVES      12 /* of a history, and one more that delivers everything */
#define WINDOW     48 /* a session takes no more without an acknowledgement */
#define DISK_BYTES (12 << 20)
#define NOW_MS     INT64_C(1900000000000)

enum ending { STOPPED, KILLED, CUT };

struct session {
    struct tg_feed *feed;
    struct tg_row *taken[WINDOW];   /* ring, the oldest at `first` */
    uint32_t first, count, repeats; /* repeats: deliveries that are no surprise */
    bool awake;
};

struct life {
    struct fixture f;
    struct lives *w;
    struct session session[LIVES_DEVICES][LIVES_CLOUDS];
    uint32_t device[LIVES_DEVICES];
    enum ending ending;
    uint64_t dropped_before;
    bool gone, may_fill;
    char filler[4200];
};

static uint32_t pick(struct life *l, uint32_t n)
{
    return tg_test_random(&l->w->random) % n;
}

static bool dead(const struct life *l)
{
    return l->ending == CUT && tg_crash_happened();
}

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

static void on_some_rows(void *user)
{
    (void)user;
}

static void offer(struct life *l)
{
    uint32_t d = pick(l, LIVES_DEVICES), n = 1 + pick(l, 24);
    for (uint32_t i = 0; i < n && !dead(l); i++) {
        size_t size = pick(l, 50) == 0 ? 8000 : 40 + pick(l, 400);
        struct tg_outbox_row row = {.device = d,
                                    .time_ms = NOW_MS + (int64_t)(l->w->tally.offered % 86400000)};
        row.body = tg_test_body(pick(l, 1000), l->w->tally.offered, size);
        if (tg_store_append(l->f.store, l->device[d], row.time_ms, row.body, &row.seq, &row.id) == TG_OK)
            lives_offered(l->w, d, &row, l->f.state != TG_STORE_OK);
    }
    l->w->dropped_memory = l->dropped_before + stats_of(&l->f).dropped_memory;
}

static void take_some(struct life *l, uint32_t d, uint32_t c)
{
    struct session *s = &l->session[d][c];
    uint32_t n = tg_feed_available(s->feed), room = WINDOW - s->count;
    struct tg_row *rows[WINDOW];
    n = n < room ? n : room;
    n = n ? 1 + pick(l, n) : 0;
    if (!n || dead(l))
        return;
    (void)tg_feed_take(s->feed, n, rows);
    for (uint32_t i = 0; i < n; i++) {
        struct tg_outbox_row row = {.id = rows[i]->id,
                                    .seq = rows[i]->seq,
                                    .device = d,
                                    .time_ms = rows[i]->time_ms,
                                    .body = tg_bytes(rows[i]->body, rows[i]->body_len)};
        uint64_t before = l->w->tally.duplicates;
        lives_delivered(l->w, d, c, &row);
        if (l->w->tally.duplicates > before && s->repeats-- == 0)
            fail_msg("%u/%llu is given to %s again, and was not in its window", d,
                     (unsigned long long)row.seq, lives_clouds[c]);
        s->taken[(s->first + s->count++) % WINDOW] = rows[i];
    }
}

static void ack_some(struct life *l, uint32_t d, uint32_t c)
{
    struct session *s = &l->session[d][c];
    uint32_t n = s->count ? 1 + pick(l, s->count) : 0;
    const struct tg_row *last = NULL;
    if (!n || dead(l))
        return;
    last = s->taken[(s->first + n - 1) % WINDOW];
    lives_acked(l->w, d, c, last->seq);
    tg_feed_ack(s->feed, last->seq, last->id);
    for (; n > 0; n--, s->count--, s->first = (s->first + 1) % WINDOW)
        tg_row_unref(s->taken[s->first]);
}

static void forget_window(struct life *l, uint32_t d, uint32_t c)
{
    struct session *s = &l->session[d][c];
    s->repeats += s->count;
    for (; s->count > 0; s->count--, s->first = (s->first + 1) % WINDOW)
        tg_row_unref(s->taken[s->first]);
    tg_feed_pause(s->feed);
    tg_feed_rewind(s->feed);
    s->awake = false;
    l->w->tally.rewinds++;
}

static void wake(struct life *l, uint32_t d, uint32_t c)
{
    struct session *s = &l->session[d][c];
    if (!s->awake)
        tg_feed_resume(s->feed);
    s->awake = true;
    (void)l;
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
    uint32_t dice = pick(l, 8);
    if (l->ending == CUT)
        return; /* of this disk only the power is cut */
    if (dice < 3) {
        tg_gate_fail_syncs(1 + pick(l, 3));
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

/* What was given and is not acknowledged may come again. */
static bool open_session(struct life *l, uint32_t d, uint32_t c)
{
    struct session *s = &l->session[d][c];
    uint64_t acked;
    if (tg_feed_open(l->f.store, l->device[d], lives_clouds[c], on_some_rows, s, &s->feed, &l->f.err) !=
        TG_OK)
        return false;
    if (dead(l))
        return false; /* without the disk the store has begun with what it could guess */
    acked = tg_feed_acked_seq(s->feed);
    lives_resumed(l->w, d, c, acked);
    s->repeats = 0;
    for (uint32_t i = 0; i < l->w->count[d]; i++) {
        const struct lives_sample *x = &l->w->sample[d][i];
        s->repeats += x->seq > acked && x->delivered[c];
    }
    if (s->repeats > l->w->tally.most_duplicates)
        l->w->tally.most_duplicates = s->repeats;
    return true;
}

/* A reload replaces the session. */
static void replace_session(struct life *l, uint32_t d, uint32_t c)
{
    struct session *s = &l->session[d][c];
    if (l->f.state != TG_STORE_OK || l->ending == CUT)
        return;
    forget_window(l, d, c);
    tg_feed_close(s->feed);
    s->feed = NULL;
    (void)open_session(l, d, c); /* refused by a disk that takes nothing: without it until the next life */
    l->w->tally.reloads++;
}

/* False: the power has gone meanwhile. */
static bool begin(struct life *l, bool last)
{
    struct fixture *f = &l->f;
    struct tg_store_callbacks cb = {.on_committed = note_committed, .on_state = note_state};
    uint32_t without = pick(l, 6); /* a cloud that leaves, or none */
    if (l->w->power_forgets)
        without = LIVES_CLOUDS; /* a power cut may forget that it left */
    uint64_t gone = 0;
    OK(tg_loop_init(&f->loop, &f->err));
    assert_int_equal(uv_timer_init(&f->loop.uv, &f->tick), 0);
    assert_int_equal(uv_timer_start(&f->tick, on_tick, 3, 3), 0);
    lives_begin(l->w);
    if (tg_store_open(&f->loop, &f->o, &cb, l, &f->store, f->aside, &f->err) != TG_OK) {
        assert_true(dead(l));
        return false;
    }
    f->committed_id = stats_of(f).committed_id;
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        char name[24];
        lives_device_name(d, name);
        if (tg_store_device(f->store, name, &l->device[d], &f->err) != TG_OK)
            return false;
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            bool left = !last && c == without && c > 0 && d % 2;
            if (!left && !open_session(l, d, c))
                return false;
        }
    }
    if (tg_store_retire_undeclared(f->store, &gone, &f->err) != TG_OK)
        return false;
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            l->w->tally.retired += l->w->account[d][c].exists && !l->session[d][c].feed;
            l->w->account[d][c].exists = l->session[d][c].feed != NULL;
        }
    }
    return true;
}

/* What is acknowledged by now is stored at the latest with the next sample. */
static void flush(struct life *l)
{
    tg_store_flush(l->f.store);
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            struct lives_account *a = &l->w->account[d][c];
            if (a->sent_ack > a->durable_ack)
                continue; /* one at a time */
            a->sent_ack = a->acked;
            a->sent_at_id = l->f.committed_id + stats_of(&l->f).uncommitted_rows;
        }
    }
}

static void step(struct life *l)
{
    uint32_t d = pick(l, LIVES_DEVICES), c = pick(l, LIVES_CLOUDS), dice = pick(l, 100);
    struct session *s = &l->session[d][c];
    if (dice < 22)
        offer(l);
    else if (dice < 60 && s->feed)
        dice % 2 ? take_some(l, d, c) : ack_some(l, d, c);
    else if (dice < 64)
        flush(l);
    else if (dice < 72 && s->feed)
        wake(l, d, c);
    else if (dice < 74 && s->feed)
        forget_window(l, d, c);
    else if (dice < 76)
        trouble(l);
    else if (dice == 76 && s->feed)
        replace_session(l, d, c);
    else
        uv_run(&l->f.loop.uv, dice < 90 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
}

static void end(struct life *l)
{
    struct fixture *f = &l->f;
    for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
        for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
            struct session *s = &l->session[d][c];
            for (; s->count > 0; s->count--, s->first = (s->first + 1) % WINDOW)
                tg_row_unref(s->taken[s->first]);
            if (s->feed)
                tg_feed_close(s->feed);
        }
    }
    if (f->store)
        close_store(f);
    uv_close((uv_handle_t *)&f->tick, NULL);
    tg_loop_fini(&f->loop);
    assert_int_equal(tg_alloc_stats().live, f->live);
}

/* Everything that is left, and what comes meanwhile, until nobody waits for anything. */
static void deliver_all(struct life *l)
{
    int64_t end_ms = tg_clock_mono_ms() + PATIENCE_MS;
    for (uint64_t pending = 1; pending > 0; uv_run(&l->f.loop.uv, UV_RUN_NOWAIT)) {
        assert_true(tg_clock_mono_ms() < end_ms);
        pending = stats_of(&l->f).uncommitted_rows;
        for (uint32_t d = 0; d < LIVES_DEVICES; d++) {
            for (uint32_t c = 0; c < LIVES_CLOUDS; c++) {
                wake(l, d, c);
                take_some(l, d, c);
                ack_some(l, d, c);
                pending += tg_feed_pending(l->session[d][c].feed);
            }
        }
    }
}

static void live(struct life *l, bool last)
{
    uint32_t steps = 100 + pick(l, 1500);
    if (begin(l, last)) {
        if (last)
            deliver_all(l);
        for (uint32_t i = 0; !last && i < steps && !dead(l); i++)
            step(l);
        if (l->ending == KILLED) {
            (void)kill(getpid(), SIGKILL);
        } else if (l->ending == STOPPED) { /* with a disk that takes what waits */
            tg_gate_gone(false);
            tg_gate_fail_syncs(0);
            (void)unlink(l->filler);
        }
    }
    end(l);
    if (l->ending == CUT) {
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
                               enum ending ending, bool last, bool may_fill)
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
                                       .commit_interval_ms = 1 + pick(l, 4),
                                       .commit_max_rows = 20 + pick(l, 200),
                                       .uncommitted_limit_bytes = 128 * 1024,
                                       .prefetch_limit_bytes = 64 * 1024,
                                       .retry_ms = 5};
    l->f.o.outbox.durability = durability;
    l->f.o.outbox.limit_bytes = 1 << 20;
    l->f.o.outbox.vfs = ending == CUT ? TG_CRASH_VFS : TG_GATE_VFS;
    snprintf(l->filler, sizeof l->filler, "%s/filler", dir);
    tg_gate_gone(false);
    tg_gate_fail_syncs(0);
    tg_crash_arm(ending == CUT ? 20 + pick(l, 900) : 0, false);
    live(l, last);
    free(l);
    _exit(0);
}

static void one_life(struct lives *w, const char *dir, enum tg_durability durability, enum ending ending,
                     bool last, bool may_fill)
{
    int status = 0;
    struct tg_outbox_options o = tg_test_options(dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_life(w, dir, durability, ending, last, may_fill);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (ending == KILLED ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL
                         : !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("a life ended wrongly (%x)", (unsigned)status);
    char filler[4200];
    snprintf(filler, sizeof filler, "%s/filler", dir);
    (void)unlink(filler);
    o.durability = durability;
    w->tally.kills += ending == KILLED;
    w->tally.cuts += ending == CUT;
    w->tally.stops += ending == STOPPED;
    if (last)
        lives_judge_end(w, &o);
    else
        lives_judge(w, &o, ending == CUT);
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

static void history(struct lives *w, uint64_t seed, enum tg_durability durability, struct lives_tally *sum)
{
    char *dir = tg_test_memory_dir();
    bool mounted = mount_disk(dir);
    memset(w, 0, sizeof *w);
    w->random = seed;
    w->power_forgets = durability != TG_DURABILITY_FULL;
    (void)fprintf(stderr, "seed %llu, durability %d%s\n", (unsigned long long)seed, (int)durability,
                  mounted ? "" : ", without full disks (nothing may be mounted here)");
    for (int i = 0; i < LIVES; i++) { /* the last ones see to it that each ending is there */
        uint32_t ending = i < LIVES - 3 ? tg_test_random(&w->random) : (uint32_t)i;
        one_life(w, dir, durability, (enum ending)(ending % 3), false, mounted);
    }
    one_life(w, dir, durability, STOPPED, true, false);
    add(sum, &w->tally);
    if (mounted)
        assert_int_equal(umount(dir), 0);
    tg_test_dir_remove(dir);
    free(dir);
}

static void lives_of(enum tg_durability durability, const char *name)
{
    struct lives *w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct lives_tally t = {0};
    uint32_t histories = tg_proof_count("TIDEGATE_LIVES", 1), seed = tg_proof_count("TIDEGATE_LIVES_SEED", 1);
    assert_ptr_not_equal(w, MAP_FAILED);
    for (uint32_t i = 0; i < histories; i++)
        history(w, (uint64_t)seed + i, durability, &t);
    print_message(
        "%s: %u lives (%u stops, %u kills, %u power cuts), %u full disks, %u failed syncs, %u "
        "disks gone, %u clouds that left: "
        "%llu offered, %llu accepted, %llu delivered, %llu again, %llu dropped, %llu gap records seen\n",
        name, t.lives, t.stops, t.kills, t.cuts, t.full_disks, t.failed_syncs, t.gone_disks, t.retired,
        (unsigned long long)t.offered, (unsigned long long)t.accepted, (unsigned long long)t.delivered,
        (unsigned long long)t.duplicates, (unsigned long long)t.dropped, (unsigned long long)t.records);
    assert_true(t.accepted > 500 && t.delivered > 500 && t.kills > 0 && t.cuts > 0);
    assert_true(durability == TG_DURABILITY_FULL || t.cuts < 20 ||
                t.lost_as_allowed > 0); /* it can see a loss */
    tg_proof(
        "C6", name, t.lives, 0,
        "Random lives of the whole store: five devices and three clouds offer, take, acknowledge, forget "
        "their window, come and leave, while fsyncs fail, the disk is gone or full; each ends by a stop, a "
        "kill or a "
        "power cut. After each, for every device and cloud: accepted = delivered + dropped + pending, "
        "nothing is altered, out of order or repeated beyond what was in flight. Trials: lives",
        "\"accepted\":%llu,\"delivered\":%llu,\"repeated\":%llu,\"dropped_and_counted\":%llu,"
        "\"lost_as_allowed\":%llu,\"kills\":%u,\"power_cuts\":%u,\"full_disks\":%u,\"failed_syncs\":%u,"
        "\"unaccounted\":0",
        (unsigned long long)t.accepted, (unsigned long long)t.delivered, (unsigned long long)t.duplicates,
        (unsigned long long)t.dropped, (unsigned long long)t.lost_as_allowed, t.kills, t.cuts, t.full_disks,
        t.failed_syncs);
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full), cmocka_unit_test(test_normal)};
    tg_gate_vfs_register();
    tg_crash_vfs_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
