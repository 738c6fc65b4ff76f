/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From the database into memory: devices, cursors, marks and the rows after the newest mark; and what is
 * declared while running.
 */
#include "store/outbox_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/allocator.h"

#define DEVICES_MAX 1000000u
#define CLOUDS_MAX  1000u
#define CURSORS_MAX 4000000u

static int corrupt(struct tg_outbox *ob, struct tg_error *err, const char *what)
{
    return tg_error_set(err, TG_ECORRUPT, "%s: %s", ob->path, what);
}

static int no_memory(struct tg_outbox *ob, struct tg_error *err)
{
    return tg_error_set(err, TG_ENOMEM, "%s: out of memory while opening", ob->path);
}

/* Runs a query without parameters; `each` sees every row. */
static int query(struct tg_outbox *ob, const char *sql,
                 int (*each)(struct tg_outbox *, sqlite3_stmt *, struct tg_error *), struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int code = TG_OK, rc = sqlite3_prepare_v2(ob->db, sql, -1, &st, NULL);
    if (rc == SQLITE_ERROR)
        return corrupt(ob, err, sqlite3_errmsg(ob->db));
    if (rc != SQLITE_OK)
        return tg_outbox_fail(ob, rc, err, "reading the tables");
    while (code == TG_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        code = each(ob, st, err);
    if (code == TG_OK && rc != SQLITE_DONE)
        code = tg_outbox_fail(ob, rc, err, "reading the tables");
    (void)sqlite3_finalize(st);
    return code;
}

static uint64_t column_u64(sqlite3_stmt *st, int i)
{
    int64_t v = sqlite3_column_int64(st, i);
    return v < 0 ? 0 : (uint64_t)v;
}

int tg_outbox_grow(void *array_ptr, uint32_t count, uint32_t *cap, size_t size)
{
    void **array = array_ptr;
    if (count < *cap)
        return TG_OK;
    uint32_t want = *cap ? *cap * 2 : 16;
    void *fresh = tg_realloc(*array, want * size);
    if (!fresh)
        return TG_ENOMEM;
    *array = fresh;
    *cap = want;
    return TG_OK;
}

static int add_device(struct tg_outbox *ob, const char *name)
{
    if (tg_outbox_grow(&ob->devices, ob->device_count, &ob->device_cap, sizeof *ob->devices) != TG_OK)
        return TG_ENOMEM;
    struct tg_outbox_device_entry *d = &ob->devices[ob->device_count];
    *d = (struct tg_outbox_device_entry){.first_cursor = TG_OUTBOX_NONE, .idle = true};
    d->name = tg_strdup(name);
    if (!d->name)
        return TG_ENOMEM;
    ob->device_count++;
    return TG_OK;
}

static int add_cloud(struct tg_outbox *ob, const char *name)
{
    char **clouds = tg_realloc(ob->clouds, (ob->cloud_count + 1) * sizeof *clouds);
    if (!clouds)
        return TG_ENOMEM;
    ob->clouds = clouds;
    clouds[ob->cloud_count] = tg_strdup(name);
    if (!clouds[ob->cloud_count])
        return TG_ENOMEM;
    ob->cloud_count++;
    return TG_OK;
}

static int load_meta(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    (void)err;
    ob->t.mark_id = ob->t.last_id = column_u64(st, 0);
    ob->t.rows = column_u64(st, 1);
    ob->t.appended = column_u64(st, 2);
    ob->floor_seq = column_u64(st, 3);
    return TG_OK;
}

static int load_device(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    const char *name = (const char *)sqlite3_column_text(st, 1);
    if (sqlite3_column_int64(st, 0) != ob->device_count || !name || ob->device_count >= DEVICES_MAX)
        return corrupt(ob, err, "the device table has a gap");
    if (add_device(ob, name) != TG_OK)
        return no_memory(ob, err);
    struct tg_outbox_device_entry *d = &ob->devices[ob->device_count - 1];
    d->last_seq = column_u64(st, 2);
    d->last_id = column_u64(st, 3);
    for (int r = 0; r < TG_DROP_REASONS; r++)
        d->dropped[r] = column_u64(st, 4 + r);
    d->gap_first = column_u64(st, 4 + TG_DROP_REASONS);
    d->gap_last = column_u64(st, 5 + TG_DROP_REASONS);
    if (sqlite3_column_type(st, 2) == SQLITE_NULL)
        return corrupt(ob, err, "a device has no mark");
    return TG_OK;
}

static int load_cloud(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    const char *name = (const char *)sqlite3_column_text(st, 1);
    if (sqlite3_column_int64(st, 0) != ob->cloud_count || !name || ob->cloud_count >= CLOUDS_MAX)
        return corrupt(ob, err, "the cloud table has a gap");
    return add_cloud(ob, name) == TG_OK ? TG_OK : no_memory(ob, err);
}

static struct tg_gap column_gap(sqlite3_stmt *st, int i)
{
    return (struct tg_gap){column_u64(st, i), column_u64(st, i + 1), column_u64(st, i + 2),
                           (uint32_t)column_u64(st, i + 3) & TG_GAP_ALL};
}

static int load_cursor(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    int64_t device = sqlite3_column_int64(st, 1), cloud = sqlite3_column_int64(st, 2);
    if (sqlite3_column_int64(st, 0) != ob->cursor_count || device < 0 || device >= ob->device_count ||
        cloud < 0 || cloud >= ob->cloud_count || ob->cursor_count >= CURSORS_MAX)
        return corrupt(ob, err, "the cursor table has a gap");
    if (tg_outbox_grow(&ob->cursors, ob->cursor_count, &ob->cursor_cap, sizeof *ob->cursors) != TG_OK)
        return no_memory(ob, err);
    struct tg_outbox_device_entry *d = &ob->devices[device];
    ob->cursors[ob->cursor_count] = (struct tg_outbox_cursor_entry){
        .device = (uint32_t)device,
        .cloud = (uint32_t)cloud,
        .next = d->first_cursor,
        .active = sqlite3_column_int(st, 3) != 0,
        .base_seq = column_u64(st, 4),
        .acked_seq = column_u64(st, 5),
        .acked_id = column_u64(st, 6),
        .dropped = column_u64(st, 7),
        .skipped = column_u64(st, 8),
        .gap = column_gap(st, 9),
        .tell_seq = column_u64(st, 13),
        .tell = column_gap(st, 14),
    };
    d->first_cursor = ob->cursor_count++;
    return TG_OK;
}

static int load_tail_row(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    uint64_t id = column_u64(st, 0), seq = column_u64(st, 2);
    int64_t device = sqlite3_column_int64(st, 1);
    if (device < 0 || device >= ob->device_count)
        return corrupt(ob, err, "a row names a device that does not exist");
    struct tg_outbox_device_entry *d = &ob->devices[device];
    if (seq <= d->last_seq || id <= ob->t.last_id)
        return corrupt(ob, err, "rows are out of order");
    d->last_seq = seq;
    d->last_id = id;
    d->dirty = true;
    ob->t.last_id = id;
    ob->t.rows++;
    ob->t.rows_since_mark++;
    ob->t.appended++;
    return TG_OK;
}

static int load_hole(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    int64_t device = sqlite3_column_int64(st, 0);
    uint64_t first = column_u64(st, 1), last = column_u64(st, 2);
    if (device < 0 || device >= ob->device_count || first == 0 || last < first)
        return corrupt(ob, err, "the table of numbers that were not stored is damaged");
    struct tg_outbox_device_entry *d = &ob->devices[device];
    /* floor_id, while loading: where the hole before ended. A hole at a device's end is written with its
     * mark. */
    if (first <= d->floor_id || last > d->last_seq)
        return corrupt(ob, err, "the table of numbers that were not stored is out of order");
    d->floor_id = last;
    d->holes++;
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        if (last > c->acked_seq)
            c->holes_ahead += last - (first > c->acked_seq ? first - 1 : c->acked_seq);
    }
    return TG_OK;
}

static int load_urgent(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    (void)err;
    ob->t.urgent_high = column_u64(st, 0);
    return TG_OK;
}

static int load_oldest(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    (void)err;
    ob->t.oldest_id = column_u64(st, 0);
    return TG_OK;
}

int tg_outbox_load_snapshot(struct tg_outbox *ob, struct tg_error *err)
{
    char tail[128];
    int code;
    if ((code = query(ob, "SELECT mark_id, rows, appended, floor_seq FROM meta", load_meta, err)) != TG_OK ||
        (code = query(ob,
                      "SELECT d.id, d.name, m.last_seq, m.last_id, m.drop_limit, m.drop_age, m.drop_disk,"
                      " m.drop_quarantine, m.drop_quota, m.drop_removed, m.gap_first, m.gap_last"
                      " FROM device d LEFT JOIN mark m ON m.device = d.id ORDER BY d.id",
                      load_device, err)) != TG_OK ||
        (code = query(ob, "SELECT id, name FROM cloud ORDER BY id", load_cloud, err)) != TG_OK ||
        (code = query(ob,
                      "SELECT id, device, cloud, active, base_seq, acked_seq, acked_id, dropped, skipped,"
                      " gap_first, gap_last, gap_count, gap_reason,"
                      " tell_seq, tell_first, tell_last, tell_count, tell_reason"
                      " FROM cursor ORDER BY id",
                      load_cursor, err)) != TG_OK)
        return code;
    snprintf(tail, sizeof tail, "SELECT id, device, seq FROM log WHERE id > %llu ORDER BY id",
             (unsigned long long)ob->t.mark_id);
    if ((code = query(ob, tail, load_tail_row, err)) != TG_OK ||
        (code = query(ob, "SELECT device, first_seq, last_seq FROM hole ORDER BY device, first_seq",
                      load_hole, err)) != TG_OK ||
        (code = query(ob, "SELECT cursor, first_seq, last_seq, last_id FROM ahead ORDER BY cursor, first_seq",
                      tg_outbox_load_run, err)) != TG_OK ||
        (code = query(ob, "SELECT max(id) FROM urgent", load_urgent, err)) != TG_OK ||
        (code = query(ob, "SELECT id FROM log ORDER BY id LIMIT 1", load_oldest, err)) != TG_OK)
        return code;
    for (uint32_t i = 0; i < ob->cursor_count; i++) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        uint64_t last = ob->devices[c->device].last_seq;
        if (c->acked_seq > last || c->base_seq > c->acked_seq || c->holes_ahead > last - c->acked_seq ||
            c->ahead.rows > last - c->acked_seq - c->holes_ahead || c->skipped > c->acked_seq - c->base_seq ||
            c->dropped > c->acked_seq - c->base_seq - c->skipped + c->ahead.rows)
            return corrupt(ob, err, "a cursor contradicts its device");
    }
    for (uint32_t i = 0; i < ob->device_count; i++)
        ob->devices[i].idle = tg_outbox_idle(ob, &ob->devices[i]);
    ob->committed_id = ob->t.last_id;
    return tg_outbox_load_timeline(ob, err);
}

int tg_outbox_load(struct tg_outbox *ob, struct tg_error *err)
{
    /* One snapshot, also beside a running writer. */
    int code = tg_outbox_exec(ob, "BEGIN", err);
    if (code != TG_OK)
        return code;
    code = tg_outbox_load_snapshot(ob, err);
    (void)sqlite3_exec(ob->db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

void tg_outbox_unload(struct tg_outbox *ob)
{
    for (uint32_t i = 0; i < ob->device_count; i++)
        tg_free(ob->devices[i].name);
    for (uint32_t i = 0; i < ob->cloud_count; i++)
        tg_free(ob->clouds[i]);
    for (uint32_t i = 0; i < ob->cursor_count; i++)
        tg_runs_fini(&ob->cursors[i].ahead);
    tg_free(ob->devices);
    tg_free(ob->cursors);
    tg_free(ob->clouds);
    tg_free(ob->undo);
    tg_outbox_quota_fini(ob);
    ob->devices = NULL;
    ob->cursors = NULL;
    ob->clouds = NULL;
    ob->undo = NULL;
    ob->device_count = ob->device_cap = ob->cursor_count = ob->cursor_cap = ob->cloud_count = 0;
    ob->undo_count = ob->undo_cap = 0;
    ob->t = (struct tg_outbox_totals){0};
}

/* --- declarations ----------------------------------------------------------------------------------------
 */

static int begin_declaration(struct tg_outbox *ob, const char *name, struct tg_error *err)
{
    size_t len = strlen(name);
    if (len == 0 || len > 1024)
        return tg_error_set(err, TG_EINVAL, "a name has 1 to 1024 bytes, this one %zu", len);
    if (ob->declaring && ob->tx == TG_OUTBOX_TX_OPEN)
        return TG_OK;
    if (ob->tx != TG_OUTBOX_TX_NONE)
        return tg_error_set(err, TG_ESTATE, "devices and cursors are declared outside of transactions");
    /* `normal`: a device that is lost in a power cut would be numbered from the beginning again. */
    ob->rows_since_sync = TG_OUTBOX_SYNC_ROWS;
    return tg_outbox_begin(ob, err);
}

static int end_declaration(struct tg_outbox *ob, struct tg_error *err)
{
    return ob->declaring ? TG_OK : tg_outbox_end(ob, false, err);
}

/* Runs an INSERT with up to one text (?1) and numbers from ?2 on. */
static int insert(struct tg_outbox *ob, const char *sql, const char *text, const int64_t *numbers, int count,
                  struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int code = TG_OK, rc = sqlite3_prepare_v2(ob->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK && text)
        rc = sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
    for (int i = 0; i < count && rc == SQLITE_OK; i++)
        rc = sqlite3_bind_int64(st, i + 2, numbers[i]);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc != SQLITE_DONE)
        code = tg_outbox_fail(ob, rc, err, "declaring");
    (void)sqlite3_finalize(st);
    return code;
}

static int find_device(struct tg_outbox *ob, const char *name, uint32_t *ret_device, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_FIND_DEVICE];
    int code = TG_OK, rc = sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret_device = (uint32_t)sqlite3_column_int64(st, 0);
    else if (rc != SQLITE_DONE)
        code = tg_outbox_fail(ob, rc, err, "looking for a device");
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
    return code;
}

int tg_outbox_device(struct tg_outbox *ob, const char *name, uint32_t *ret_device, struct tg_error *err)
{
    uint32_t found = TG_OUTBOX_NONE;
    int code = find_device(ob, name, &found, err);
    if (code != TG_OK)
        return code;
    if (found < ob->device_count) {
        *ret_device = found;
        return TG_OK;
    }
    if (ob->device_count >= DEVICES_MAX)
        return tg_error_set(err, TG_EFULL, "%s knows %u devices, the most it takes", ob->path, DEVICES_MAX);
    if ((code = begin_declaration(ob, name, err)) != TG_OK)
        return code;
    int64_t numbers[] = {ob->device_count, (int64_t)ob->floor_seq};
    if ((code = insert(ob, "INSERT INTO device(id, name) VALUES(?2, ?1)", name, numbers, 1, err)) != TG_OK ||
        (code = insert(ob, "INSERT INTO mark(device, last_seq, last_id) VALUES(?2, ?3, 0)", NULL, numbers, 2,
                       err)) != TG_OK ||
        add_device(ob, name) != TG_OK) {
        tg_outbox_abort(ob);
        return code != TG_OK ? code : no_memory(ob, err);
    }
    ob->devices[ob->device_count - 1].last_seq = ob->floor_seq;
    if ((code = end_declaration(ob, err)) != TG_OK) {
        tg_free(ob->devices[--ob->device_count].name);
        return code;
    }
    *ret_device = ob->device_count - 1;
    return TG_OK;
}

static int find_cloud(struct tg_outbox *ob, const char *name, uint32_t *ret_cloud, struct tg_error *err)
{
    for (uint32_t i = 0; i < ob->cloud_count; i++) {
        if (strcmp(ob->clouds[i], name) == 0) {
            *ret_cloud = i;
            return TG_OK;
        }
    }
    if (ob->cloud_count >= CLOUDS_MAX)
        return tg_error_set(err, TG_EFULL, "%s knows %u clouds, the most it takes", ob->path, CLOUDS_MAX);
    int64_t number = ob->cloud_count;
    int code = begin_declaration(ob, name, err);
    if (code != TG_OK)
        return code;
    if ((code = insert(ob, "INSERT INTO cloud(id, name) VALUES(?2, ?1)", name, &number, 1, err)) != TG_OK ||
        add_cloud(ob, name) != TG_OK) {
        tg_outbox_abort(ob);
        return code != TG_OK ? code : no_memory(ob, err);
    }
    if ((code = end_declaration(ob, err)) != TG_OK) {
        tg_free(ob->clouds[--ob->cloud_count]);
        return code;
    }
    *ret_cloud = ob->cloud_count - 1;
    return TG_OK;
}

/* A cursor that was retired begins anew behind the newest row: what it had waited for may be gone. */
static int revive(struct tg_outbox *ob, uint32_t cursor, struct tg_error *err)
{
    int code;
    if (ob->tx != TG_OUTBOX_TX_NONE)
        return tg_error_set(err, TG_ESTATE, "devices and cursors are declared outside of transactions");
    if ((code = tg_outbox_begin(ob, err)) != TG_OK)
        return code;
    struct tg_outbox_cursor_entry *c = tg_outbox_touch_cursor(ob, cursor);
    if (!c) {
        tg_outbox_abort(ob);
        return no_memory(ob, err);
    }
    const struct tg_outbox_device_entry *d = &ob->devices[c->device];
    /* Its consumer has seen numbers up to where it left and will see those from here on. */
    struct tg_gap away = {c->acked_seq + 1, d->last_seq, tg_outbox_pending(ob, c), TG_GAP_REMOVED};
    int noted = away.count > 0 ? tg_outbox_note_gap(ob, cursor, &away, err) : TG_OK;
    if (noted != TG_OK) {
        tg_outbox_abort(ob);
        return noted;
    }
    c->active = true;
    c->base_seq = c->acked_seq = d->last_seq;
    c->acked_id = d->last_id;
    c->dropped = c->skipped = c->holes_ahead = 0;
    tg_runs_clear(&c->ahead);
    return tg_outbox_end(ob, false, err);
}

int tg_outbox_cursor(struct tg_outbox *ob, uint32_t device, const char *cloud, uint32_t *ret_cursor,
                     struct tg_error *err)
{
    uint32_t cloud_number = 0;
    int code;
    if (device >= ob->device_count)
        return tg_error_set(err, TG_EINVAL, "device number %u is not declared", device);
    if ((code = find_cloud(ob, cloud, &cloud_number, err)) != TG_OK)
        return code;
    for (uint32_t i = ob->devices[device].first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        if (ob->cursors[i].cloud != cloud_number)
            continue;
        if (!ob->cursors[i].active && (code = revive(ob, i, err)) != TG_OK)
            return code;
        ob->cursors[i].declared = true;
        *ret_cursor = i;
        return TG_OK;
    }
    if (ob->cursor_count >= CURSORS_MAX)
        return tg_error_set(err, TG_EFULL, "%s has %u cursors, the most it takes", ob->path, CURSORS_MAX);
    if ((code = begin_declaration(ob, cloud, err)) != TG_OK)
        return code;
    struct tg_outbox_device_entry *d = &ob->devices[device];
    struct tg_gap gap = {0};
    /* Begun above the numbers of a database that was lost, and nothing stored since: its consumer may know of any of them. */
    if (ob->floor_seq > 0 && d->last_seq == ob->floor_seq && d->last_id == 0)
        gap = (struct tg_gap){1, ob->floor_seq, ob->floor_seq, TG_GAP_CORRUPT};
    int64_t numbers[] = {ob->cursor_count,      device,
                         cloud_number,          (int64_t)d->last_seq,
                         (int64_t)d->last_id,   (int64_t)gap.first_seq,
                         (int64_t)gap.last_seq, (int64_t)gap.count,
                         (int64_t)gap.reasons};
    code = insert(ob,
                  "INSERT INTO cursor(id, device, cloud, active, base_seq, acked_seq, acked_id,"
                  " gap_first, gap_last, gap_count, gap_reason)"
                  " VALUES(?2, ?3, ?4, 1, ?5, ?5, ?6, ?7, ?8, ?9, ?10)",
                  NULL, numbers, 9, err);
    if (code == TG_OK &&
        tg_outbox_grow(&ob->cursors, ob->cursor_count, &ob->cursor_cap, sizeof *ob->cursors) != TG_OK)
        code = no_memory(ob, err);
    if (code != TG_OK) {
        tg_outbox_abort(ob);
        return code;
    }
    if ((code = end_declaration(ob, err)) != TG_OK)
        return code;
    ob->cursors[ob->cursor_count] = (struct tg_outbox_cursor_entry){
        .device = device,
        .cloud = cloud_number,
        .next = d->first_cursor,
        .active = true,
        .declared = true,
        .base_seq = d->last_seq,
        .acked_seq = d->last_seq,
        .acked_id = d->last_id,
        .gap = gap,
    };
    ob->gap_serial++;
    *ret_cursor = d->first_cursor = ob->cursor_count++;
    return TG_OK;
}

static bool has_cursor(const struct tg_outbox *ob, uint32_t device, const char *cloud)
{
    for (uint32_t i = ob->devices[device].first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next)
        if (strcmp(ob->clouds[ob->cursors[i].cloud], cloud) == 0)
            return true;
    return false;
}

/* What was added in memory since there were so many. */
static void take_back(struct tg_outbox *ob, uint32_t devices, uint32_t clouds, uint32_t cursors)
{
    while (ob->cursor_count > cursors) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[--ob->cursor_count];
        ob->devices[c->device].first_cursor = c->next;
    }
    while (ob->cloud_count > clouds)
        tg_free(ob->clouds[--ob->cloud_count]);
    while (ob->device_count > devices)
        tg_free(ob->devices[--ob->device_count].name);
}

int tg_outbox_declare(struct tg_outbox *ob, const struct tg_outbox_declaration *list, uint32_t count,
                      struct tg_error *err)
{
    uint32_t devices = ob->device_count, clouds = ob->cloud_count, cursors = ob->cursor_count;
    int code = TG_OK;
    if (ob->tx != TG_OUTBOX_TX_NONE)
        return tg_error_set(err, TG_ESTATE, "devices and cursors are declared outside of transactions");
    ob->declaring = true;
    for (uint32_t i = 0; i < count && code == TG_OK; i++) {
        uint32_t device = 0, cursor;
        code = tg_outbox_device(ob, list[i].device, &device, err);
        if (code == TG_OK && list[i].cloud && !has_cursor(ob, device, list[i].cloud))
            code = tg_outbox_cursor(ob, device, list[i].cloud, &cursor, err);
    }
    ob->declaring = false;
    if (code == TG_OK && ob->tx == TG_OUTBOX_TX_OPEN)
        code = tg_outbox_end(ob, false, err);
    else if (code != TG_OK && ob->tx != TG_OUTBOX_TX_NONE)
        tg_outbox_abort(ob);
    if (code != TG_OK)
        take_back(ob, devices, clouds, cursors);
    return code;
}
