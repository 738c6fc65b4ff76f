/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_scripts - what is built in for kinds of AT devices, as data: initial commands, unsolicited lines, and
 * profiles (ready-made points).
 */
#ifndef TG_PLUGINS_AT_SCRIPTS_H
#define TG_PLUGINS_AT_SCRIPTS_H

#include <tidegate/plugin.h>

#include "southbound/at_chat.h"

enum { TG_AT_SCRIPT_NO, TG_AT_SCRIPT_CELLULAR }; /* indices that code knows */

struct tg_at_builtin {
    const char *const *init; /* NULL-terminated */
    const struct tg_at_urc *urcs;
    size_t urc_count;
};

extern const char *const tg_at_script_names[];    /* NULL-terminated; index = tg_at_script_builtin's */
extern const char *const tg_at_cellular_values[]; /* of the point option `cellular`; NULL-terminated */
extern const struct tg_profile tg_at_profiles[];

const struct tg_at_builtin *tg_at_script_builtin(int64_t index);

#endif
