/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_landlock - which files the process of an isolated plugin may open. Documentation/userspace-api/landlock.rst of Linux.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tidegate/plugin.h>

#include "southbound/plugin_confine.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* version 3, Linux 6.2: newer than Debian 12's headers */
#endif

#define READ_FILE  LANDLOCK_ACCESS_FS_READ_FILE
#define READ       (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RUN        (READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define READ_WRITE (READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
/* What may be asked of a file that is no folder. */
#define OF_A_FILE                                                                                            \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |             \
     LANDLOCK_ACCESS_FS_TRUNCATE)
/* All of version 1. */
#define ALL_1 (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)

/* An option names a device that is there: a serial port, and its lock file (southbound/serial_port.h). */
#define PORT_NAMED (1u << 31)

struct rule {
    const char *path;
    uint64_t access;
    uint32_t needs; /* 0 = always */
};

static const struct rule rules[] = {
    {"/lib", RUN, 0},
    {"/lib64", RUN, 0},
    {"/usr/lib", RUN, 0},
    {"/usr/lib64", RUN, 0},
    {"/usr/local/lib", RUN, 0},
    {"/usr/share", READ, 0},
    {"/etc/ld.so.cache", READ_FILE, 0},
    {"/etc/localtime", READ_FILE, 0},
    {"/etc/timezone", READ_FILE, 0},
    {"/etc/locale.alias", READ_FILE, 0},
    {"/proc/self", READ, 0}, /* sanitizers and the C library look at their own maps */
    {"/proc/sys/vm/overcommit_memory", READ_FILE, 0},
    {"/sys/devices/system/cpu", READ, 0},
    {"/dev/null", READ_WRITE, 0},
    {"/dev/zero", READ_FILE, 0},
    {"/dev/random", READ_FILE, 0},
    {"/dev/urandom", READ_FILE, 0},
    {"/etc/hosts", READ_FILE, TG_NEEDS_NETWORK},
    {"/etc/resolv.conf", READ_FILE, TG_NEEDS_NETWORK},
    {"/run/systemd/resolve", READ, TG_NEEDS_NETWORK}, /* where the last one may point to */
    {"/run/resolvconf", READ, TG_NEEDS_NETWORK},
    {"/etc/nsswitch.conf", READ_FILE, TG_NEEDS_NETWORK},
    {"/etc/host.conf", READ_FILE, TG_NEEDS_NETWORK},
    {"/etc/gai.conf", READ_FILE, TG_NEEDS_NETWORK},
    {"/etc/services", READ_FILE, TG_NEEDS_NETWORK},
    {"/etc/protocols", READ_FILE, TG_NEEDS_NETWORK},
    {"/dev", READ_WRITE, TG_NEEDS_SERIAL},
    {"/sys", READ, TG_NEEDS_SERIAL},
    {"/sys/devices", READ, PORT_NAMED}, /* an adapter's latency_timer */
    {"/run/lock", READ_WRITE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
     TG_NEEDS_SERIAL | PORT_NAMED},
    {"/dev/rfkill", READ_FILE, TG_NEEDS_BLUETOOTH},
    {"/sys/class/bluetooth", READ, TG_NEEDS_BLUETOOTH},
    {"/bin", RUN, TG_NEEDS_PROGRAMS},
    {"/sbin", RUN, TG_NEEDS_PROGRAMS},
    {"/usr", RUN, TG_NEEDS_PROGRAMS},
    {"/etc/ppp", RUN, TG_NEEDS_PROGRAMS},
    {"/etc/passwd", READ_FILE, TG_NEEDS_PROGRAMS},
    {"/etc/group", READ_FILE, TG_NEEDS_PROGRAMS},
    {"/dev", READ_WRITE, TG_NEEDS_PROGRAMS},
    {"/proc", READ_WRITE, TG_NEEDS_PROGRAMS},
    {"/sys", READ, TG_NEEDS_PROGRAMS},
    {"/run", READ_WRITE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE, TG_NEEDS_PROGRAMS},
    {"/var/run", READ_WRITE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
     TG_NEEDS_PROGRAMS},
};

/* A path that is not there is no error: what cannot be opened need not be allowed. */
static int allow(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access};
    struct stat st;
    int rc = 0;
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return 0;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_A_FILE;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        rc = -errno;
    close(rule.parent_fd);
    return rc;
}

int tg_landlock_apply(const struct tg_confine *c, uint32_t abi)
{
    uint64_t handled = ALL_1 | (abi >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
    const struct landlock_ruleset_attr attr = {.handled_access_fs = handled};
    const uint32_t needs = c->needs | (c->port_named ? PORT_NAMED : 0);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0), rc = 0;
    if (ruleset < 0)
        return -errno;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && rc == 0; i++)
        if (rules[i].needs == 0 || rules[i].needs & needs)
            rc = allow(ruleset, rules[i].path, rules[i].access & handled);
    if (rc == 0)
        rc = allow(ruleset, c->plugin_folder, RUN & handled);
    for (uint32_t i = 0; i < c->path_count && rc == 0; i++)
        rc = allow(ruleset, c->paths[i], READ_WRITE & handled);
    if (rc == 0 &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0))
        rc = -errno;
    close(ruleset);
    return rc;
}
