/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_confine - takes away from the process of an isolated plugin what the plugin has not declared (`needs`, tidegate/plugin.h).
 *
 *   capabilities   all dropped; BLUETOOTH keeps CAP_NET_RAW and CAP_NET_ADMIN, PROGRAMS keeps CAP_NET_ADMIN, if they are there
 *   system calls   no_new_privs and a filter: nobody gets ptrace, mount, modules, bpf, kexec, reboot, keys, io_uring, namespaces,
 *                  another process's memory, signals to the gateway …; without PROGRAMS neither fork nor execve; no socket of a
 *                  family that is not declared
 *   files          Landlock: libraries, the plugin's folder, a few files of /etc, /dev and /sys, and what PATH and SECRET_FILE
 *                  options name; nothing else can be opened
 *   limits         no core dumps, 256 descriptors, data twice the memory limit (the gateway kills at the limit itself)
 *
 * What this build or this kernel has not is left out, and told: never an error. Linux only; one thread, before the plugin is loaded.
 */
#ifndef TG_SOUTHBOUND_PLUGIN_CONFINE_H
#define TG_SOUTHBOUND_PLUGIN_CONFINE_H

#include <tidegate/plugin.h>

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/plugin.h>

#include "core/base/error.h"

struct tg_plugin;
struct tg_settings;

#define TG_CONFINED_CAPABILITIES 1u
#define TG_CONFINED_SECCOMP      2u
#define TG_CONFINED_LANDLOCK     4u
#define TG_CONFINED_ALL          7u
#define TG_CONFINED_TEXT_BYTES   200

/* TG_CONFINED_… that this build and this kernel can give; *ret_landlock_abi: the kernel's version, 0 = none. Any process. */
uint32_t tg_confine_support(uint32_t *ret_landlock_abi);
/* For people: "capabilities dropped, system calls filtered, files confined (Landlock 3)", or what is missing. Returns ret_text. */
const char *tg_confined_text(char ret_text[TG_CONFINED_TEXT_BYTES], uint32_t confined, uint32_t landlock_abi);
/* What a plugin is taken to need: one from before `needs` gets NETWORK and SERIAL. */
uint32_t tg_confine_needs(uint32_t declared);
/* The same of a source: with what its options bring (TG_OPTION_NEEDS). */
uint32_t tg_confine_source_needs(const struct tg_plugin *plugin, const struct tg_settings *settings);

struct tg_confine {
    uint32_t needs;            /* tg_confine_needs() */
    const char *plugin_folder; /* may be read */
    const char *const *paths;  /* of options; those that are not there are passed over */
    uint32_t path_count;
    bool port_named; /* one of them is a device */
    uint64_t memory_limit_bytes;
};

/* Returns TG_CONFINED_… in force. What failed although it should be there is named in `err` (else untouched). The child only. */
uint32_t tg_confine_apply(const struct tg_confine *c, struct tg_error *err);

/* plugin_landlock.c: 0, or a negative errno. */
int tg_landlock_apply(const struct tg_confine *c, uint32_t abi);

#endif
