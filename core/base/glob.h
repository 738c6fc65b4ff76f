/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * glob - patterns for names: `*` stands for any characters, none too, `?` for one; all else for itself, letters by their
 * case. The whole text must match. Pure; at most pattern × text steps. Any thread.
 */
#ifndef TG_BASE_GLOB_H
#define TG_BASE_GLOB_H

#include <stdbool.h>
#include <stdint.h>

bool tg_glob_match(const char *pattern, const char *text);
bool tg_glob_match_any(const char *const *patterns, uint32_t count, const char *text);

#endif
