/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A test that this machine does not allow (no root, no loop device) is skipped visibly: its reason is printed, and when nothing
 * failed the program ends with TG_SKIPPED, which ctest shows as skipped where SKIP_RETURN_CODE says so. cmocka's skip() alone would
 * look like success. For one file a program; include it after cmocka.h.
 */
#ifndef TG_TEST_SKIP_H
#define TG_TEST_SKIP_H

#define TG_SKIPPED 77

static int tg_skips;

#define TG_SKIP(reason)                                                                                      \
    do {                                                                                                     \
        print_message("SKIPPED: %s\n", reason);                                                              \
        tg_skips++;                                                                                          \
        skip();                                                                                              \
    } while (0)

/* What main returns; `failed` is cmocka's count. */
static inline int tg_skip_status(int failed)
{
    return failed != 0 ? 1 : tg_skips > 0 ? TG_SKIPPED : 0;
}

#endif
