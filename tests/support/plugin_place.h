/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_place - a temporary folder that plugins are put into and loaded from, for tests of the loader.
 *
 * $TG_FIXTURES names the folder of the fixtures. tg_place_setup and tg_place_teardown are cmocka's; the state is a struct tg_place. The
 * folder lies in another one that is the test's too (`above`), so that the way to it can be made wrong.
 */
#ifndef TG_TESTS_SUPPORT_PLUGIN_PLACE_H
#define TG_TESTS_SUPPORT_PLUGIN_PLACE_H

#include "southbound/plugin_loader.h"

struct tg_place {
    char above[256], dir[300];
    struct tg_plugin_set *set; /* searches a folder that does not exist, then dir */
};

int tg_place_setup(void **state);
int tg_place_teardown(void **state);
/* Copies the fixture's file under another name, mode 0755. */
void tg_place_put(const struct tg_place *p, const char *fixture, const char *as);
/* It is not loaded, with this code and this in the text. */
void tg_place_assert_refused(struct tg_place *p, const char *name, int code, const char *says);

#endif
