/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * old_schema - an outbox as a program of schema version 1 leaves it: made by the steps that were released, not by today's.
 */
#ifndef TG_TESTS_OLD_SCHEMA_H
#define TG_TESTS_OLD_SCHEMA_H

#include <stdint.h>

/* In `dir`: device meter-1 with `rows` samples (tg_test_body() of size 100), of which the cloud hub has `acked` and the cloud lake
 * none; stopped cleanly. */
void tg_test_old_outbox(const char *dir, uint64_t rows, uint64_t acked);

#endif
