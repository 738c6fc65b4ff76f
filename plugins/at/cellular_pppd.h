/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cellular_pppd - pppd as a child process: started, listened to, ended; and what its exit codes mean (pppd(8), EXIT STATUS). It is
 * waited for by asking (waitpid without blocking), for signals belong to the gateway.
 */
#ifndef TG_PLUGINS_AT_CELLULAR_PPPD_H
#define TG_PLUGINS_AT_CELLULAR_PPPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AT_PPPD_ARGUMENTS_MAX 64

struct at_pppd_options {
    const char *program, *port, *user; /* user NULL = none */
    int64_t baud;
    bool rtscts, default_route;
    const char *const *more; /* further options, one argument each */
    uint32_t more_count;
    const char *password; /* NULL = none; written to a pipe, not kept */
    size_t password_len;
};

/* 0 with the process and the end of the pipe that its output comes from (not blocking, the caller's), or a negative errno. */
int at_pppd_start(const struct at_pppd_options *o, pid_t *ret_pid, int *ret_output);
/* True when it has ended: *ret_status is as from waitpid(). */
bool at_pppd_ended(pid_t pid, int *ret_status);
/* What it ended with, for people; true: it ended as told or asked. */
bool at_pppd_describe(int status, char *ret_text, size_t size);
/* The instance ends before the process has: asks it to end, and sees to it later. `port`: nobody opens it meanwhile. */
void at_pppd_leave(pid_t pid, const char *port, int64_t now_ms);
/* Whether a process that was left still has this port; ends those that do not end by themselves. */
bool at_pppd_has(const char *port, int64_t now_ms);

#endif
