/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_skeleton - the files that `tidegate plugin new` writes: those of plugins/sdk/skeleton, as they stand there. That folder is a
 * plugin by itself, called skeleton, which the tests build and run; to make another one of it, the word skeleton gives way to the
 * name, and skeleton_ to the name as a C identifier with its underscore, in texts and in file names.
 */
#ifndef TG_GATEWAY_PLUGIN_SKELETON_H
#define TG_GATEWAY_PLUGIN_SKELETON_H

struct tg_skeleton_file {
    const char *name; /* may name a folder of its own: sample/temperature */
    const char *text;
};

/* Ended by a name of NULL. */
extern const struct tg_skeleton_file tg_skeleton_files[];

#endif
