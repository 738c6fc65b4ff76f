/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_loader - finds and loads source plugins (`NAME.so`).
 *
 * Folders are searched in order; the first that has the file is used, by absolute path, with RTLD_NOW and
 * RTLD_LOCAL. A plugin shares the gateway's memory: it is trusted code, so a file that others could have written
 * or exchanged is refused (plugin_trust.h). The description is copied by the smaller of both sizes and the rest
 * zeroed, so an older plugin loads, and so does one that is built with a longer struct of the same API; another
 * API version is refused with both numbers in the text, and so are option tables that this host cannot read.
 *
 * Loaded plugins stay loaded until tg_plugin_set_free(): no code is unmapped while an instance lives.
 * Threads: the loop thread (or the main thread of a command).
 */
#ifndef TG_SOUTHBOUND_PLUGIN_LOADER_H
#define TG_SOUTHBOUND_PLUGIN_LOADER_H

#include <tidegate/plugin.h>

#include "core/base/error.h"

#define TG_PLUGIN_SET_MAX 64

struct tg_plugin_set;

/* dirs are copied; a folder that does not exist is passed over. */
int tg_plugin_set_new(const char *const *dirs, size_t dir_count, struct tg_plugin_set **ret_set) TG_CHECKED;
void tg_plugin_set_free(struct tg_plugin_set *set);

/* Loads on first use. NULL and the reason; for an unknown name the error lists the folders and the nearest name. */
const struct tg_plugin *tg_plugin_find(struct tg_plugin_set *set, const char *name, struct tg_error *err);
/* The file a loaded plugin came from. */
const char *tg_plugin_path(const struct tg_plugin_set *set, const struct tg_plugin *plugin);

/* Calls `each` for every NAME.so in the folders, sorted by name, hidden ones once: plugin NULL and err when it cannot
 * be loaded. */
void tg_plugin_set_each(struct tg_plugin_set *set,
                        void (*each)(void *user, const char *name, const char *path,
                                     const struct tg_plugin *plugin, const struct tg_error *err),
                        void *user);

#endif
