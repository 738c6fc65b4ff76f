/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/cellular_pppd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASSWORD_FD 3
#define LEFT_MAX    8
#define LEFT_MS     10000

/* --- starting ------------------------------------------------------------------------------------------- */

struct arguments {
    char *list[AT_PPPD_ARGUMENTS_MAX + 1];
    size_t count;
    char baud[16];
};

static void add(struct arguments *a, const char *text)
{
    if (a->count < AT_PPPD_ARGUMENTS_MAX)
        a->list[a->count++] = (char *)(uintptr_t)text; /* posix_spawn() does not write to it */
}

static void make_arguments(const struct at_pppd_options *o, struct arguments *a)
{
    static const char *const always[] = {"nodetach",          "local", "noipdefault",      "usepeerdns",
                                         "lcp-echo-interval", "30",    "lcp-echo-failure", "4",
                                         "maxfail",           "1"};
    snprintf(a->baud, sizeof a->baud, "%lld", (long long)o->baud);
    add(a, o->program);
    add(a, o->port);
    add(a, a->baud);
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        add(a, always[i]);
    add(a, o->rtscts ? "crtscts" : "nocrtscts");
    if (geteuid() == 0)
        add(a, "noauth"); /* the network does not log in here; only root may say so */
    if (access("/var/lock", F_OK) == 0)
        add(a, "lock"); /* where there is no such folder pppd would not start */
    if (o->default_route)
        add(a, "defaultroute");
    if (o->user) {
        add(a, "user");
        add(a, o->user);
    }
    if (o->password) {
        add(a, "plugin");
        add(a, "passwordfd.so");
        add(a, "passwordfd");
        add(a, "3");
    }
    for (uint32_t i = 0; i < o->more_count; i++)
        add(a, o->more[i]);
    a->list[a->count] = NULL;
}

static int spawn(const struct at_pppd_options *o, int output, int password, pid_t *ret_pid)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LC_ALL=C";
    char *environment[] = {path, lang, NULL};
    struct arguments a = {.count = 0};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    int rc;
    make_arguments(o, &a);
    sigemptyset(&none);
    sigfillset(&usual);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, output, 2);
    if (rc == 0 && password >= 0)
        rc = posix_spawn_file_actions_adddup2(&actions, password, PASSWORD_FD);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(&attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(&attributes, &usual);
    if (rc == 0)
        rc = posix_spawnattr_setflags(&attributes,
                                      POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (rc == 0)
        rc = posix_spawn(ret_pid, o->program, &actions, &attributes, a.list, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* A pipe of the password, of which the reading end is left. -1: no pipe. */
static int password_pipe(const struct at_pppd_options *o)
{
    int ends[2];
    bool written;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    written = write(ends[1], o->password, o->password_len) == (ssize_t)o->password_len; /* below PIPE_BUF */
    close(ends[1]);
    if (written)
        return ends[0];
    close(ends[0]);
    return -1;
}

int at_pppd_start(const struct at_pppd_options *o, pid_t *ret_pid, int *ret_output)
{
    int output[2], password = -1, rc;
    if (pipe2(output, O_CLOEXEC) < 0)
        return -errno;
    if (o->password && (password = password_pipe(o)) < 0) {
        rc = EIO;
    } else {
        rc = spawn(o, output[1], password, ret_pid);
    }
    if (password >= 0)
        close(password);
    close(output[1]);
    if (rc == 0 && fcntl(output[0], F_SETFL, O_NONBLOCK) < 0)
        rc = 0; /* reading stops at what select says: not fatal */
    if (rc != 0) {
        close(output[0]);
        return -rc;
    }
    *ret_output = output[0];
    return 0;
}

/* --- its end ------------------------------------------------------------------------------------------------ */

bool at_pppd_ended(pid_t pid, int *ret_status)
{
    int status = 0;
    pid_t rc = waitpid(pid, &status, WNOHANG);
    if (rc == 0)
        return false;
    *ret_status = rc == pid ? status : 0;
    return true;
}

bool at_pppd_describe(int status, char *ret_text, size_t size)
{
    static const char *const texts[] = {
        "ended",
        "a serious error: out of memory, or a system call failed",
        "it does not take its options: look at ppp_options",
        ("it needs root's rights: run the gateway as root, or let `ppp_options: [call, NAME]` name a file in "
         "/etc/ppp/peers"),
        "the kernel has no PPP: load the module ppp_async",
        "ended on a signal",
        "the port cannot be locked: another program has it, or /var/lock cannot be written",
        "the port cannot be opened",
        "the connect script failed",
        "its pty program cannot be run",
        "no PPP on the other side: it did not begin, or its negotiation failed",
        "the other side did not prove who it is",
        "idle for too long",
        "its time is up",
        "called back",
        "the other side does not answer any more (no answer to echo requests)",
        "the modem hung up",
        "a loop: what is sent comes back",
        "its init script failed",
        "we could not prove who we are: check ppp_user and ppp_password_file",
    };
    if (WIFSIGNALED(status)) {
        snprintf(ret_text, size, "pppd was killed by signal %d", WTERMSIG(status));
        return WTERMSIG(status) == SIGTERM;
    }
    if ((size_t)WEXITSTATUS(status) < sizeof texts / sizeof texts[0])
        snprintf(ret_text, size, "pppd: %s (exit code %d)", texts[WEXITSTATUS(status)], WEXITSTATUS(status));
    else
        snprintf(ret_text, size, "pppd ended with exit code %d%s", WEXITSTATUS(status),
                 WEXITSTATUS(status) == 127 ? ": it could not be started" : "");
    return WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 5;
}

/* Processes whose instance has ended; all instances run on the loop. */
static struct left {
    pid_t pid; /* 0 = free */
    char port[256];
    int64_t kill_ms;
} left[LEFT_MAX];

void at_pppd_leave(pid_t pid, const char *port, int64_t now_ms)
{
    (void)kill(pid, SIGTERM);
    for (size_t i = 0; i < LEFT_MAX; i++) {
        if (left[i].pid != 0)
            continue;
        left[i] = (struct left){.pid = pid, .kill_ms = now_ms + LEFT_MS};
        snprintf(left[i].port, sizeof left[i].port, "%s", port);
        return;
    }
    (void)kill(pid, SIGKILL); /* eight are leaving already: something is very wrong */
}

bool at_pppd_has(const char *port, int64_t now_ms)
{
    bool has = false;
    for (size_t i = 0; i < LEFT_MAX; i++) {
        int status;
        if (left[i].pid == 0)
            continue;
        if (at_pppd_ended(left[i].pid, &status)) {
            left[i].pid = 0;
            continue;
        }
        if (now_ms >= left[i].kill_ms)
            (void)kill(left[i].pid, SIGKILL);
        has = has || strcmp(left[i].port, port) == 0;
    }
    return has;
}
