/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/runs.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"

#define FIRST_PLACES 4u

void tg_runs_fini(struct tg_runs *r)
{
    tg_free(r->at);
    *r = (struct tg_runs){0};
}

int tg_runs_reserve(struct tg_runs *r, uint32_t runs)
{
    uint32_t cap = r->cap ? r->cap : FIRST_PLACES;
    struct tg_run *at;
    if (runs <= r->cap)
        return TG_OK;
    while (cap < runs)
        cap *= 2;
    at = tg_realloc(r->at, cap * sizeof *at);
    if (!at)
        return TG_ENOMEM;
    r->at = at;
    r->cap = cap;
    return TG_OK;
}

int tg_runs_copy(struct tg_runs *to, const struct tg_runs *from)
{
    int rc = tg_runs_reserve(to, from->count);
    if (rc < 0)
        return rc;
    if (from->count > 0)
        memcpy(to->at, from->at, from->count * sizeof *to->at);
    to->count = from->count;
    to->rows = from->rows;
    return TG_OK;
}

/* Index of the first run that ends at `seq` or later. */
static uint32_t find(const struct tg_runs *r, uint64_t seq)
{
    uint32_t low = 0, high = r->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (r->at[mid].last < seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct tg_run *tg_runs_from(const struct tg_runs *r, uint64_t seq)
{
    uint32_t i = find(r, seq);
    return i < r->count ? &r->at[i] : NULL;
}

bool tg_runs_has(const struct tg_runs *r, uint64_t seq)
{
    const struct tg_run *run = tg_runs_from(r, seq);
    return run && run->first <= seq;
}

uint64_t tg_runs_between(const struct tg_runs *r, uint64_t first, uint64_t last)
{
    uint64_t sum = 0;
    for (uint32_t i = find(r, first); i < r->count && r->at[i].first <= last; i++) {
        uint64_t from = r->at[i].first > first ? r->at[i].first : first;
        uint64_t to = r->at[i].last < last ? r->at[i].last : last;
        sum += to - from + 1;
    }
    return sum;
}

bool tg_runs_outside(const struct tg_runs *r, uint64_t first, uint64_t last, struct tg_run *ret_stretch)
{
    uint32_t i = find(r, first);
    for (; i < r->count && r->at[i].first <= first; i++)
        first = r->at[i].last + 1;
    if (first > last)
        return false;
    *ret_stretch =
        (struct tg_run){first, i < r->count && r->at[i].first <= last ? r->at[i].first - 1 : last, 0};
    return true;
}

/* Takes runs i … i + n - 1 out. */
static void erase(struct tg_runs *r, uint32_t i, uint32_t n)
{
    if (n > 0)
        memmove(&r->at[i], &r->at[i + n], (r->count - i - n) * sizeof *r->at);
    r->count -= n;
}

static void insert(struct tg_runs *r, uint32_t i, struct tg_run run)
{
    TG_ASSERT(r->count < r->cap);
    memmove(&r->at[i + 1], &r->at[i], (r->count - i) * sizeof *r->at);
    r->at[i] = run;
    r->count++;
}

void tg_runs_add(struct tg_runs *r, uint64_t first, uint64_t last, uint64_t last_id)
{
    /* The first that it touches: one that ends right before it does. */
    uint32_t i = find(r, first > 0 ? first - 1 : 0), end = i;
    struct tg_run run = {first, last, last_id};
    for (; end < r->count && r->at[end].first <= last + 1; end++) {
        const struct tg_run *old = &r->at[end];
        r->rows -= old->last - old->first + 1;
        if (old->first < run.first)
            run.first = old->first;
        if (old->last > run.last || (old->last == run.last && old->last_id > run.last_id)) {
            run.last = old->last;
            run.last_id = old->last_id;
        }
    }
    r->rows += run.last - run.first + 1;
    if (end > i) {
        r->at[i] = run;
        erase(r, i + 1, end - i - 1);
    } else {
        insert(r, i, run);
    }
}

void tg_runs_remove(struct tg_runs *r, uint64_t seq)
{
    uint32_t i = find(r, seq);
    struct tg_run *run = i < r->count ? &r->at[i] : NULL;
    if (!run || run->first > seq)
        return;
    r->rows--;
    if (run->first == run->last) {
        erase(r, i, 1);
    } else if (run->first == seq) {
        run->first++;
    } else if (run->last == seq) {
        run->last--;
        run->last_id = 0;
    } else {
        struct tg_run before = {run->first, seq - 1, 0};
        run->first = seq + 1;
        insert(r, i, before);
    }
}

uint64_t tg_runs_cut(struct tg_runs *r, uint64_t seq)
{
    uint32_t whole = find(r, seq + 1);
    uint64_t rows = r->rows;
    if (r->count == 0 || r->at[0].first > seq)
        return 0;
    for (uint32_t i = 0; i < whole; i++)
        r->rows -= r->at[i].last - r->at[i].first + 1;
    if (whole < r->count && r->at[whole].first <= seq) {
        r->rows -= seq - r->at[whole].first + 1;
        r->at[whole].first = seq + 1;
    }
    erase(r, 0, whole);
    return rows - r->rows;
}

void tg_runs_clear(struct tg_runs *r)
{
    r->count = 0;
    r->rows = 0;
}
