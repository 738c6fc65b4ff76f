/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sqlite3.h>

#include "store/store.h"

void tg_store_global_init(void)
{
    /* It counts every block under a lock otherwise: 7 % of an insert. Refused once SQLite is in use, which does no harm. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
