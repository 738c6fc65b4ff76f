/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * outbox_help - what the outbox's tests share: a directory of their own, sample bodies, opening with less
 * words. Every function aborts the test (cmocka) when it fails, except where it returns a code.
 */
#ifndef TG_TESTS_OUTBOX_HELP_H
#define TG_TESTS_OUTBOX_HELP_H

#include "store/outbox.h"

/* A fresh directory below TMPDIR or /tmp; the name is the caller's (free). */
char *tg_test_dir(void);
/* The same in memory (/dev/shm) where there is some: for tests whose VFS does the forgetting. */
char *tg_test_memory_dir(void);
/* Deletes a directory and the files in it (one level). */
void tg_test_dir_remove(const char *dir);
/* What a kill leaves of an outbox that nobody writes at the moment: its files without lock and shared memory. */
void tg_test_copy_outbox(const char *from, const char *to);
/* <dir>/<name> in static memory, four at a time. */
const char *tg_test_path(const char *dir, const char *name);
bool tg_test_exists(const char *dir, const char *name);
int64_t tg_test_file_size(const char *path);
/* The whole file; *ret_len bytes (free). */
uint8_t *tg_test_slurp(const char *path, size_t *ret_len);
void tg_test_spill(const char *path, const void *data, size_t len);

struct tg_outbox_options tg_test_options(const char *dir);
struct tg_outbox *tg_test_open(const struct tg_outbox_options *o);

/* A valid sample body of about `size` bytes (≥ 24) that tells (device, seq); in static memory. */
struct tg_bytes tg_test_body(uint32_t device, uint64_t seq, size_t size);
/* Fails the test when the row's body is not what tg_test_body() made for its device and seq. */
void tg_test_check_body(const struct tg_outbox_row *row);

/* Appends the next sample of a device: id and seq one above the last ones (as the loop would number it). */
int tg_test_append(struct tg_outbox *ob, uint32_t device, uint64_t *last_id, uint64_t *last_seq, size_t size,
                   struct tg_error *err) TG_CHECKED;

/* Makes the next open believe that the machine was started anew since (what `normal` asks). */
void tg_test_boot_again(const char *dir);

/* A small repeatable generator. */
uint32_t tg_test_random(uint64_t *state);
/* Says "0 findings" or fails the test with the first one. */
void tg_test_verify(struct tg_outbox *ob);

#endif
