/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * levers - a plugin inside the test program that does what the test's levers say, in both thread models.
 *
 * Levers are set before the host is made, or are atomic. What the plugin saw is counted in atomics.
 */
#ifndef TG_TESTS_SUPPORT_PLUGINS_LEVERS_H
#define TG_TESTS_SUPPORT_PLUGINS_LEVERS_H

#include <stdatomic.h>
#include <tidegate/plugin.h>

#define TG_LEVERS_MAX_FDS 20

struct tg_levers {
    /* --- set by the test --- */
    atomic_int open_failures; /* so many open() fail; negative: all */
    atomic_bool block;        /* poll() does not return while this holds and the host does not stop it */
    atomic_bool hold_answers; /* commands are answered only when this is let go */
    uint64_t flood; /* samples to emit: point 0 counts, point 1 is a text, the buffer is spoiled after each */
    int32_t poll_returns;                     /* when there is nothing to do */
    int fds[TG_LEVERS_MAX_FDS], fd_count;     /* watched for reading from open() on */
    bool first_ends_others;                   /* fd_ready() ends all watches but its own */
    void (*in_open)(const struct tg_host *h); /* services tried from inside open() */

    /* --- seen by the plugin --- */
    atomic_int opens, closes, polls, blocked, writes, commands, fd_readies, hangups, watch_errors;
    atomic_uint_fast64_t emitted, refused;
};

extern struct tg_levers tg_levers;
/* Both do the same; the last has neither write() nor command(). */
extern const struct tg_plugin tg_levers_own, tg_levers_loop, tg_levers_deaf;

void tg_levers_reset(void);

#endif
