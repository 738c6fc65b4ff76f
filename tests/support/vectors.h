/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vectors - golden values that the decoders must reproduce, as JSON files.
 *
 * The directory is, in this order: the environment variable TIDEGATE_VECTORS; ../shared/vectors beside the
 * source tree when it exists; tests/vectors inside the source tree (TIDEGATE_SOURCE, set by tg_test). A
 * directory with files of the same form and other values runs unchanged: tests iterate, they name no id.
 *
 *     json_t *root = tg_vectors_load("southbound/modbus_values.json");
 *     json_array_foreach(json_object_get(root, "vectors"), i, vector) …
 *     json_decref(root);
 *
 * An integer that exceeds 64 signed bits (jansson refuses it) arrives as a string of its digits.
 * A file that is absent or no JSON is a broken test set-up: it prints why and ends the process with 1.
 */
#ifndef TG_TESTS_SUPPORT_VECTORS_H
#define TG_TESTS_SUPPORT_VECTORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* The parsed file; never NULL. The caller owns it (json_decref). */
json_t *tg_vectors_load(const char *relative_path);

/* The directory that is used; static storage. */
const char *tg_vectors_dir(void);

/* Decodes hexadecimal digits (blanks are skipped) into ret_bytes; the number of bytes, or -1 when the text
 * is no hexadecimal or longer than cap. */
long tg_vectors_hex(const char *hex, uint8_t *ret_bytes, size_t cap);

#endif
