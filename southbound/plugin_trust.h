/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_trust - may the code in this file become part of the gateway?
 *
 * A plugin shares the gateway's memory, or at least its user: whoever can write the file, or put another one in its place, is the
 * gateway. So everything on the way to it is looked at, as ssh does with a home folder:
 *
 *     the file      is a regular file, no link; belongs to root or to the gateway's user; no write bit for group and others
 *     its folder    belongs to root or to the gateway's user; no write bit for group and others
 *     the folders   belong to root or to the gateway's user; a write bit for group or others only with the sticky bit (/tmp), which
 *     above it      leaves what others have put there to them
 *
 * The way ends at the root, or at the first folder in which the running program lies too: who could change that one could change the
 * program, so a plugin in it is as trusted as the program is (a build tree in somebody's home that root runs; an installed tree).
 * The answer holds as long as those who may write keep to it: between this look and dlopen() nobody else can change anything.
 *
 * Access control lists need no look of their own: their mask stands in the group's bits.
 */
#ifndef TG_SOUTHBOUND_PLUGIN_TRUST_H
#define TG_SOUTHBOUND_PLUGIN_TRUST_H

#include "core/base/error.h"

/* `dir` is absolute and without links (realpath), `path` a file in it, `program` what runs (/proc/self/exe) or NULL when that is not
 * known. TG_EPERM, or what the file system says, with what to do about it. */
int tg_plugin_trust(const char *dir, const char *path, const char *program, struct tg_error *err) TG_CHECKED;

#endif
