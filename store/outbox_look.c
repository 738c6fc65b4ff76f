/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What can be known of a database that cannot be written.
 */
#include "store/outbox_private.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

int tg_outbox_look(const struct tg_outbox_options *o, struct tg_outbox **ret_outbox, struct tg_error *err)
{
    struct tg_outbox_options look = *o;
    char wal[PATH_MAX];
    struct stat st;
    look.read_only = true;
    /* Where a crash left a log, SQLite reads it by the shared memory file beside it. */
    snprintf(wal, sizeof wal, "%s/" TG_OUTBOX_FILE "-wal", o->dir);
    look.immutable = stat(wal, &st) != 0 || st.st_size == 0;
    return tg_outbox_open(&look, ret_outbox, NULL, err);
}

#define LOOK_AFTER_STEPS 4000 /* of SQLite's machine: some hundred rows */

static int is_in_the_way(void *user)
{
    return !tg_outbox_ballast_is_there(user);
}

void tg_outbox_give_way(struct tg_outbox *ob)
{
    if (!ob->o.immutable && tg_outbox_ballast_is_there(ob))
        sqlite3_progress_handler(ob->db, LOOK_AFTER_STEPS, is_in_the_way, ob);
}

bool tg_outbox_find(struct tg_outbox *ob, const char *device, const char *cloud, uint32_t *ret_device,
                    uint32_t *ret_cursor)
{
    uint32_t d = 0;
    while (d < ob->device_count && strcmp(ob->devices[d].name, device) != 0)
        d++;
    if (d == ob->device_count)
        return false;
    *ret_device = d;
    *ret_cursor = UINT32_MAX;
    for (uint32_t i = ob->devices[d].first_cursor; cloud && i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        if (ob->cursors[i].active && strcmp(ob->clouds[ob->cursors[i].cloud], cloud) == 0)
            *ret_cursor = i;
    }
    return true;
}
