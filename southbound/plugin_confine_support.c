/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tidegate/plugin.h>

#include "core/base/settings.h"
#include "southbound/plugin_confine.h"

uint32_t tg_confine_support(uint32_t *ret_landlock_abi)
{
    uint32_t can = 0;
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    *ret_landlock_abi = abi > 0 ? (uint32_t)abi : 0;
#ifdef TG_HAVE_CAPNG
    can |= TG_CONFINED_CAPABILITIES;
#endif
#ifdef TG_HAVE_SECCOMP
    can |= TG_CONFINED_SECCOMP;
#endif
    return abi > 0 ? can | TG_CONFINED_LANDLOCK : can;
}

const char *tg_confined_text(char ret[TG_CONFINED_TEXT_BYTES], uint32_t confined, uint32_t landlock_abi)
{
    char files[64] = "files NOT confined (this kernel has no Landlock)";
    if (confined & TG_CONFINED_LANDLOCK)
        snprintf(files, sizeof files, "files confined (Landlock %u)", landlock_abi);
    snprintf(ret, TG_CONFINED_TEXT_BYTES, "%s, %s, %s",
             confined & TG_CONFINED_CAPABILITIES ? "capabilities dropped"
                                                 : "capabilities NOT dropped (no libcap-ng)",
             confined & TG_CONFINED_SECCOMP ? "system calls filtered"
                                            : "system calls NOT filtered (no libseccomp)",
             files);
    return ret;
}

uint32_t tg_confine_needs(uint32_t declared)
{
    return declared & TG_NEEDS_STATED ? declared : TG_NEEDS_NETWORK | TG_NEEDS_SERIAL;
}

uint32_t tg_confine_source_needs(const struct tg_plugin *plugin, const struct tg_settings *settings)
{
    uint32_t needs = tg_confine_needs(plugin->needs);
    for (const struct tg_option *o = plugin->source_options; o && o->name; o++)
        if (o->flags >> 8 && tg_settings_has(settings, o->name) &&
            (o->type != TG_OPTION_BOOL || tg_settings_int(settings, o->name)))
            needs |= o->flags >> 8;
    return needs | TG_NEEDS_STATED;
}
