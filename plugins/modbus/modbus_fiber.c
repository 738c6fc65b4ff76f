/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/modbus/modbus_fiber.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "core/base/assert.h"

#define GUARD_BYTES 4096 /* at least a page; larger pages round the mapping up by themselves */
#define STACKS_KEPT 64   /* of those that nobody uses; more go back to the system */

#if defined(__SANITIZE_ADDRESS__)
#define TG_FIBER_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TG_FIBER_ASAN
#endif
#endif
#if defined(TG_FIBER_ASAN)
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES (8 * TG_MODBUS_STACK_BYTES) /* red zones make frames several times as large */
#else
#define STACK_BYTES TG_MODBUS_STACK_BYTES
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define TG_FIBER_TSAN
#endif

/* At the top of its own stack, so that it shares the first page that is touched. */
struct tg_modbus_fiber_state {
    ucontext_t inside, outside;
    struct tg_modbus_fiber *fiber;
    bool over;
    struct tg_modbus_fiber_state *next; /* in the pool */
    uint8_t *base;
    void *fake_inside, *fake_outside; /* the sanitizer's idea of the two stacks */
    const void *outside_base;
    size_t outside_bytes;
    void *tsan_inside, *tsan_outside;
};

static struct {
    pthread_mutex_t lock;
    struct tg_modbus_fiber_state *free;
    unsigned kept, held;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void unmap(struct tg_modbus_fiber_state *s)
{
    munmap(s->base, GUARD_BYTES + STACK_BYTES);
}

void tg_modbus_fibers_hold(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.held++;
    pthread_mutex_unlock(&pool.lock);
}

void tg_modbus_fibers_release(void)
{
    struct tg_modbus_fiber_state *all = NULL;
    pthread_mutex_lock(&pool.lock);
    TG_ASSERT(pool.held > 0);
    if (--pool.held == 0) {
        all = pool.free;
        pool.free = NULL;
        pool.kept = 0;
    }
    pthread_mutex_unlock(&pool.lock);
    for (struct tg_modbus_fiber_state *next; all; all = next) {
        next = all->next;
        unmap(all);
    }
}

static struct tg_modbus_fiber_state *take_stack(void)
{
    struct tg_modbus_fiber_state *s;
    pthread_mutex_lock(&pool.lock);
    s = pool.free;
    if (s) {
        pool.free = s->next;
        pool.kept--;
    }
    pthread_mutex_unlock(&pool.lock);
    if (s)
        return s;
    uint8_t *base = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base, GUARD_BYTES, PROT_NONE) < 0) {
        munmap(base, GUARD_BYTES + STACK_BYTES);
        return NULL;
    }
    s = (struct tg_modbus_fiber_state *)(void *)(base + GUARD_BYTES + STACK_BYTES -
                                                 (sizeof *s + 63) / 64 * 64);
    s->base = base;
    return s;
}

static void give_stack_back(struct tg_modbus_fiber_state *s)
{
    bool keep;
    pthread_mutex_lock(&pool.lock);
    keep = pool.kept < STACKS_KEPT && pool.held > 0;
    if (keep) {
        s->next = pool.free;
        pool.free = s;
        pool.kept++;
    }
    pthread_mutex_unlock(&pool.lock);
    if (!keep)
        unmap(s);
}

/* --- what the sanitizers must know of a change of stacks ------------------------------------------------- */

static void going_in(struct tg_modbus_fiber_state *s)
{
#if defined(TG_FIBER_ASAN)
    __sanitizer_start_switch_fiber(&s->fake_outside, s->base + GUARD_BYTES, STACK_BYTES);
#endif
#if defined(TG_FIBER_TSAN)
    s->tsan_outside = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(s->tsan_inside, 0);
#endif
    (void)s;
}

static void came_in(struct tg_modbus_fiber_state *s)
{
#if defined(TG_FIBER_ASAN)
    __sanitizer_finish_switch_fiber(s->fake_inside, &s->outside_base, &s->outside_bytes);
#endif
    (void)s;
}

static void going_out(struct tg_modbus_fiber_state *s)
{
#if defined(TG_FIBER_ASAN)
    /* NULL: it does not come back, its fake stack may go. */
    __sanitizer_start_switch_fiber(s->over ? NULL : &s->fake_inside, s->outside_base, s->outside_bytes);
#endif
#if defined(TG_FIBER_TSAN)
    __tsan_switch_to_fiber(s->tsan_outside, 0);
#endif
    (void)s;
}

static void came_out(struct tg_modbus_fiber_state *s)
{
#if defined(TG_FIBER_ASAN)
    __sanitizer_finish_switch_fiber(s->fake_outside, NULL, NULL);
#endif
    (void)s;
}

/* --- changing stacks ------------------------------------------------------------------------------------------ */

/* makecontext() hands over ints only. */
static void enter(unsigned high, unsigned low)
{
    struct tg_modbus_fiber_state *s = (struct tg_modbus_fiber_state *)(uintptr_t)((uint64_t)high << 32 | low);
    came_in(s);
    s->fiber->run(s->fiber->user);
    s->over = true;
    going_out(s);
    setcontext(&s->outside);
    tg_assert_failed("setcontext() does not return", __FILE__, __LINE__);
}

static int make_context(struct tg_modbus_fiber_state *s)
{
    if (getcontext(&s->inside) < 0)
        return TG_ENOMEM;
    s->inside.uc_stack.ss_sp = s->base + GUARD_BYTES;
    s->inside.uc_stack.ss_size = (size_t)((uint8_t *)s - (s->base + GUARD_BYTES));
    s->inside.uc_link = NULL;
    makecontext(&s->inside, (void (*)(void))enter, 2, (unsigned)((uint64_t)(uintptr_t)s >> 32),
                (unsigned)(uintptr_t)s);
    return TG_OK;
}

static int begin(struct tg_modbus_fiber *f)
{
    struct tg_modbus_fiber_state *s = take_stack();
    if (!s)
        return TG_ENOMEM;
    *s = (struct tg_modbus_fiber_state){.fiber = f, .base = s->base};
    if (make_context(s) < 0) {
        give_stack_back(s);
        return TG_ENOMEM;
    }
#if defined(TG_FIBER_TSAN)
    s->tsan_inside = __tsan_create_fiber(0);
#endif
    f->state = s;
    return TG_OK;
}

int tg_modbus_fiber_resume(struct tg_modbus_fiber *f)
{
    if (!f->state) {
        int rc = begin(f);
        if (rc < 0)
            return rc;
    }
    struct tg_modbus_fiber_state *s = f->state;
    going_in(s);
    int rc = swapcontext(&s->outside, &s->inside);
    TG_ASSERT(rc == 0);
    came_out(s);
    if (!s->over)
        return TG_OK;
#if defined(TG_FIBER_TSAN)
    __tsan_destroy_fiber(s->tsan_inside);
#endif
    f->state = NULL;
    give_stack_back(s);
    return TG_OK;
}

void tg_modbus_fiber_yield(struct tg_modbus_fiber *f)
{
    struct tg_modbus_fiber_state *s = f->state;
    going_out(s);
    int rc = swapcontext(&s->inside, &s->outside);
    TG_ASSERT(rc == 0);
    came_in(s);
}
