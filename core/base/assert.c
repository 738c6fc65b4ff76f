/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void tg_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "tidegate: assertion failed: %s at %s:%d (a defect in tidegate: please report it)\n",
            expr, file, line);
    abort();
}

void *tg_object_check(void *ptr, uint32_t want, const char *file, int line)
{
    uint32_t have = 0;
    if (!ptr)
        tg_assert_failed("object is not NULL", file, line);
    memcpy(&have, ptr, sizeof have);
    if (have != want)
        tg_assert_failed("object has its magic", file, line);
    return ptr;
}
