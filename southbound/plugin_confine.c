/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/plugin_confine.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tidegate/plugin.h>

#ifdef TG_HAVE_CAPNG
#include <cap-ng.h>
#endif
#ifdef TG_HAVE_SECCOMP
#include <seccomp.h>
#endif

#define DESCRIPTORS      256
#define DATA_SPARE_BYTES (64u * 1024 * 1024) /* stacks of threads, which are data to the kernel */

static void set_limit(int what, uint64_t value)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)what, &limit) < 0)
        return;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < value)
        value = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max = value;
    /* A service's own filter may forbid it; then its own limits are in force. */
    (void)setrlimit((__rlimit_resource_t)what, &limit);
}

static void set_limits(const struct tg_confine *c)
{
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_NOFILE, DESCRIPTORS);
    /* Catches what grows faster than the gateway looks. Sanitizers reserve more than any limit. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    set_limit(RLIMIT_DATA, 2 * c->memory_limit_bytes + DATA_SPARE_BYTES);
#else
    (void)c;
#endif
}

#ifdef TG_HAVE_CAPNG
static int drop_capabilities(uint32_t needs)
{
    bool raw, admin, bounds;
    if (capng_get_caps_process() < 0)
        return -1;
    raw = needs & TG_NEEDS_BLUETOOTH && capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW);
    admin = needs & (TG_NEEDS_BLUETOOTH | TG_NEEDS_PROGRAMS) &&
            capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN);
    bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
    if (capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE)
        return 0; /* there are none to drop, and a service's filter may forbid to try */
    capng_clear(CAPNG_SELECT_BOTH);
    if (raw)
        capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_NET_RAW);
    if (admin)
        capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_NET_ADMIN);
    if (bounds && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
        return -1;
    return capng_apply(CAPNG_SELECT_CAPS);
}
#endif

#ifdef TG_HAVE_SECCOMP
/* What no plugin needs. A name that this architecture has not is passed over. */
static const char *const forbidden[] = {
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "kcmp",
    "pidfd_getfd",
    "pidfd_send_signal",
    "pidfd_open",
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "init_module",
    "finit_module",
    "delete_module",
    "bpf",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "perf_event_open",
    "keyctl",
    "add_key",
    "request_key",
    "userfaultfd",
    "setns",
    "unshare",
    "acct",
    "quotactl",
    "quotactl_fd",
    "settimeofday",
    "clock_settime",
    "clock_settime64",
    "clock_adjtime",
    "clock_adjtime64",
    "adjtimex",
    "stime",
    "iopl",
    "ioperm",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "open_by_handle_at",
    "name_to_handle_at",
    "lookup_dcookie",
    "syslog",
    "vhangup",
    "nfsservctl",
    "uselib",
    "fanotify_init",
    "sethostname",
    "setdomainname",
    "personality",
    "modify_ldt",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "memfd_secret",
    "mbind",
    "migrate_pages",
    "move_pages",
};
static const char *const of_programs[] = {"execve", "execveat", "fork", "vfork"};

static int forbid(scmp_filter_ctx f, const char *name)
{
    int number = seccomp_syscall_resolve_name(name), rc;
    if (number == __NR_SCMP_ERROR)
        return 0;
    rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), number, 0);
    return rc == -EDOM || rc == -EFAULT ? 0 : rc; /* not on this architecture */
}

/* Sockets of the families that are declared; the others look as if the kernel had none. Local ones too, except for programs, which log
 * through them: Landlock does not guard connect(), and the gateway's control socket is one. */
static int filter_sockets(scmp_filter_ctx f, uint32_t needs)
{
    int rc = 0;
    for (int family = 0; family < AF_MAX && rc == 0; family++) {
        bool network = family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
        if ((family == AF_UNIX && needs & TG_NEEDS_PROGRAMS) || (network && needs & TG_NEEDS_NETWORK) ||
            (family == AF_BLUETOOTH && needs & TG_NEEDS_BLUETOOTH))
            continue;
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family, 0));
    }
    if (rc == 0)
        rc =
            seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GE, AF_MAX, 0));
    return rc;
}

/* Signals only within the process; one that starts programs may signal them, but neither the gateway nor everybody. */
static int filter_signals(scmp_filter_ctx f, uint32_t needs)
{
    const scmp_datum_t self = (scmp_datum_t)getpid(), parent = (scmp_datum_t)getppid();
    const uint32_t whole = UINT32_MAX; /* a pid is an int: the upper half of the register is anything */
    int rc;
    if (!(needs & TG_NEEDS_PROGRAMS)) {
        static const char *const calls[] = {"kill", "tgkill"};
        for (size_t i = 0; i < 2; i++) {
            /* signal 0 asks whether a process lives: lock files of ports need that; it is the last argument of both */
            const struct scmp_arg_cmp is_signal = {.arg = i == 0 ? 1 : 2, .op = SCMP_CMP_NE, .datum_a = 0};
            rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(calls[i]), 2,
                                  SCMP_A0(SCMP_CMP_NE, self, 0), is_signal);
            if (rc < 0)
                return rc;
        }
        return forbid(f, "tkill");
    }
    rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, whole, parent));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, whole, UINT32_MAX));
    if (rc == 0) /* its group */
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, whole, (uint32_t) - (int32_t)getppid()));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, whole, parent));
    return rc == 0 ? forbid(f, "tkill") : rc;
}

/* Threads are welcome, processes are not. clone3 hides its flags in memory: without it the C library takes clone. */
static int filter_processes(scmp_filter_ctx f)
{
    const scmp_datum_t thread = 0x00010000; /* CLONE_THREAD */
    int rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, thread, 0));
    for (size_t i = 0; i < sizeof of_programs / sizeof of_programs[0] && rc == 0; i++)
        rc = forbid(f, of_programs[i]);
    return rc;
}

static int filter_calls(uint32_t needs)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int rc = f ? 0 : -ENOMEM;
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0] && rc == 0; i++)
        rc = forbid(f, forbidden[i]);
    if (rc == 0)
        rc = filter_sockets(f, needs);
    if (rc == 0)
        rc = filter_signals(f, needs);
    if (rc == 0 && !(needs & TG_NEEDS_PROGRAMS))
        rc = filter_processes(f);
    /* Another process's limits; 0 is one's own. */
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0, 0));
    /* Characters pushed into a terminal's input are typed by its user. */
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, 0x5412)); /* TIOCSTI */
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    return rc;
}
#endif

uint32_t tg_confine_apply(const struct tg_confine *c, struct tg_error *err)
{
    uint32_t in_force = 0, abi;
    uint32_t can = tg_confine_support(&abi);
    int rc;
    set_limits(c);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        tg_error_set(err, TG_EPERM, "no_new_privs: %s", strerror(errno));
    rc = can & TG_CONFINED_LANDLOCK ? tg_landlock_apply(c, abi) : -EOPNOTSUPP;
    if (rc == 0)
        in_force |= TG_CONFINED_LANDLOCK;
    else if (can & TG_CONFINED_LANDLOCK)
        tg_error_set(err, TG_EPERM, "Landlock: %s", strerror(-rc));
#ifdef TG_HAVE_CAPNG
    if (drop_capabilities(c->needs) >= 0)
        in_force |= TG_CONFINED_CAPABILITIES;
    else
        tg_error_set(err, TG_EPERM, "capabilities could not be dropped");
#endif
#ifdef TG_HAVE_SECCOMP
    rc = filter_calls(c->needs);
    if (rc == 0)
        in_force |= TG_CONFINED_SECCOMP;
    else
        tg_error_set(err, TG_EPERM, "the filter of system calls was refused: %s", strerror(-rc));
#endif
    return in_force;
}
