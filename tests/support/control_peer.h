/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * control_peer - a client of the control socket on the test's own thread: the loop turns while it waits.
 */
#ifndef TG_TESTS_SUPPORT_CONTROL_PEER_H
#define TG_TESTS_SUPPORT_CONTROL_PEER_H

#include <sys/un.h>

#include "support/control_rig.h"

struct tg_peer {
    int fd;
    size_t pos, len; /* of `in`: heard, received */
    char in[1 << 21];
    char line[1 << 21];
    bool ended;
};

/* Whose loop turns; set by the test. */
extern struct tg_gateway *tg_peer_gateway;

struct sockaddr_un tg_peer_address(void);
struct tg_peer *tg_peer_new(void);
void tg_peer_free(struct tg_peer *p);
void tg_peer_say_bytes(struct tg_peer *p, const char *data, size_t len);
void tg_peer_say(struct tg_peer *p, const char *line);
/* Takes what has come; false when nothing has. */
bool tg_peer_read_some(struct tg_peer *p);
/* A line that is here already, else NULL. */
const char *tg_peer_take_line(struct tg_peer *p);
/* The next line, NULL when the gateway has closed. */
const char *tg_peer_hear(struct tg_peer *p);
const char *tg_peer_ask(struct tg_peer *p, const char *line);
/* The line is JSON and has this part. */
void tg_peer_assert_says(const char *line, const char *part);

#endif
