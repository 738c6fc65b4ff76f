/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * peer_process - a peer of tests/peers that speaks the language of control.py, driven from a C test.
 *
 *     struct peer_process p;
 *     peer_start(&p, "modbus_liar.py", (const char *[]){"--tcp", NULL});
 *     json_integer_value(json_object_get(p.ready, "port"));
 *     json_decref(peer_say(&p, "lie 1 silent 2"));
 *     peer_stop(&p);
 *
 * A peer that does not start, refuses a command or dies ends the test program.
 */
#ifndef TG_TESTS_SUPPORT_PEER_PROCESS_H
#define TG_TESTS_SUPPORT_PEER_PROCESS_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

struct peer_process {
    pid_t pid;
    FILE *to, *from;
    json_t *ready; /* the peer's first line */
};

/* `arguments` ends with NULL. */
void peer_start(struct peer_process *p, const char *script, const char *const *arguments);
/* Sends one command line and returns the answer, which the caller owns. */
json_t *peer_say(struct peer_process *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, the answer is dropped. */
void peer_do(struct peer_process *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void peer_stop(struct peer_process *p);

#endif
