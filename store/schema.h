/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * schema - the versions of a database: who it belongs to, and how an older one becomes the newest.
 *
 * A database says by `application_id` whose it is and by `user_version` which schema it has. Every step is
 * one transaction that ends by raising user_version: a crash leaves the version before or after, never
 * between [C15]. A newer version is refused without a write. docs/disk-format.md describes the tables.
 */
#ifndef TG_STORE_SCHEMA_H
#define TG_STORE_SCHEMA_H

#include <sqlite3.h>

#include "core/base/error.h"

struct tg_schema_step {
    int version; /* the version after this step; rising from 1 by one */
    const char *sql;
    /* Temporary views and tables that make this version look like the newest; NULL for that one. */
    const char *view;
};

struct tg_schema {
    int application_id;
    const struct tg_schema_step *steps;
    int count; /* = the newest version */
};

extern const struct tg_schema tg_outbox_schema;

/* Looks only. *ret_version: 0 = an empty database. TG_ECORRUPT: somebody else's, or not a database at all.
 * TG_EVERSION: newer than `schema` knows. Others: the database could not be read. */
int tg_schema_inspect(sqlite3 *db, const struct tg_schema *schema, int *ret_version,
                      struct tg_error *err) TG_CHECKED;

/* Runs the steps that are missing, each in a transaction of its own. Nothing for the newest version. */
int tg_schema_migrate(sqlite3 *db, const struct tg_schema *schema, struct tg_error *err) TG_CHECKED;

/* For a connection that only reads: makes the database, which has this version, look like the newest one, without a write and at the same
 * cost whatever is in it. */
int tg_schema_view(sqlite3 *db, const struct tg_schema *schema, int version, struct tg_error *err) TG_CHECKED;

/* The TG_E… code for an SQLite result code (extended codes too). */
int tg_schema_code(sqlite3 *db, int rc);

#endif
