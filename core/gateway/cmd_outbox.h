/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_outbox - what `tidegate outbox` has in other files.
 */
#ifndef TG_GATEWAY_CMD_OUTBOX_H
#define TG_GATEWAY_CMD_OUTBOX_H

#include "core/gateway/command.h"
#include "store/outbox.h"

/* What was said behind `outbox`; borrowed, NULL: it was not. */
struct tg_outbox_words {
    const char *dir, *device, *cloud, *before, *backlog;
    const char *word; /* behind the verb: the file of import, the device of drop */
    bool all, yes;
};

/* `outbox drop`. The exit code; what went wrong was said. */
int tg_cmd_outbox_drop(const struct tg_args *args, const struct tg_outbox_words *words) TG_CHECKED;

/* `outbox export --backlog FILE` and `outbox import FILE`; `gateway`: the name for the file. The exit code; what went wrong was said. */
int tg_cmd_outbox_export(const struct tg_args *args, const char *dir, const char *file, const char *device,
                         const char *gateway) TG_CHECKED;
int tg_cmd_outbox_import(const struct tg_args *args, const char *dir, const char *file, bool yes) TG_CHECKED;

#endif
