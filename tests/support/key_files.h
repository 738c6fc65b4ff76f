/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * key_files - a temporary folder in which a test lets openssl and its kind make keys and certificates, and judge ours.
 */
#ifndef TG_TESTS_SUPPORT_KEY_FILES_H
#define TG_TESTS_SUPPORT_KEY_FILES_H

#include <sys/types.h>

#include "core/base/bytes.h"

/* Group set-up and tear-down: the folder, and the TLS library. */
int key_files_setup(void **state);
int key_files_teardown(void **state);

/* <folder>/<name>; the last 64 stay valid. */
const char *key_files_at(const char *name);
/* Runs a shell command in the folder with umask 077; the test fails with its output when it does. */
void key_files_run(const char *fmt, ...) TG_PRINTF(1, 2);
void key_files_put(const char *name, struct tg_bytes content, mode_t mode);
/* The whole file, at most cap bytes. */
struct tg_bytes key_files_get(const char *name, void *memory, size_t cap);

#endif
