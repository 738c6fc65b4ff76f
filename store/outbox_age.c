/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How old rows are: by a clock that jumps of the wall clock do not move (timeline.h) [C9].
 */
#include "store/outbox_private.h"

#include "core/base/clock.h"

#define LOOK_ROWS 64000 /* in one go; what is older still is found by the next one */

int64_t tg_outbox_wall_ms(const struct tg_outbox *ob)
{
    const struct tg_timeline *t = &ob->timeline;
    return t->clock_boot == tg_clock_boot() ? tg_clock_mono_ms() + t->clock_offset_ms : 0;
}

bool tg_outbox_stored_ms(const struct tg_outbox *ob, uint64_t id, int64_t time_ms, int64_t *ret_wall_ms)
{
    return tg_timeline_stored(&ob->timeline, id, time_ms, ret_wall_ms);
}

enum tg_outbox_age tg_outbox_age(const struct tg_outbox *ob, uint64_t id, int64_t time_ms, int64_t cutoff_ms)
{
    int64_t stored_ms;
    if (!tg_timeline_stored(&ob->timeline, id, time_ms, &stored_ms))
        return TG_OUTBOX_AGE_UNKNOWN;
    return stored_ms < cutoff_ms ? TG_OUTBOX_OLD : TG_OUTBOX_YOUNG;
}

int tg_outbox_too_old(struct tg_outbox *ob, int64_t max_age_ms, int64_t wall_ms, uint64_t *ret_last_id,
                      struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_SCAN];
    uint64_t last = 0;
    int rc, code = TG_OK;
    *ret_last_id = 0;
    if (max_age_ms <= 0 || !tg_clock_plausible(wall_ms))
        return TG_OK;
    (void)sqlite3_bind_int64(st, 1, 0);
    (void)sqlite3_bind_int64(st, 2, (int64_t)ob->committed_id);
    (void)sqlite3_bind_int64(st, 3, LOOK_ROWS);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
        enum tg_outbox_age age = tg_outbox_age(ob, id, sqlite3_column_int64(st, 3), wall_ms - max_age_ms);
        if (age == TG_OUTBOX_YOUNG)
            break;
        if (age == TG_OUTBOX_OLD)
            last = id;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = tg_outbox_fail(ob, rc, err, "looking for old samples");
    (void)sqlite3_reset(st);
    *ret_last_id = last;
    return code;
}
