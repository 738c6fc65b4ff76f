/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/glob.h"

#include <stddef.h>

bool tg_glob_match(const char *pattern, const char *text)
{
    /* Only the last star needs to be tried again: what an earlier one took can be as short as it was. */
    const char *star = NULL, *from = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool tg_glob_match_any(const char *const *patterns, uint32_t count, const char *text)
{
    for (uint32_t i = 0; i < count; i++)
        if (tg_glob_match(patterns[i], text))
            return true;
    return false;
}
