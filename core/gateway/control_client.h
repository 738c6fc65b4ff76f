/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * control_client - the other end of control.h: a blocking connection to the running gateway, for the commands.
 */
#ifndef TG_GATEWAY_CONTROL_CLIENT_H
#define TG_GATEWAY_CONTROL_CLIENT_H

#include "core/base/bytes.h"

struct tg_control_client {
    int fd;
    struct tg_buffer in;
    size_t taken; /* of `in`, by the line that was given out last */
};

/* Says on standard error why it cannot; then TG_ECONNECT. */
int tg_control_connect(struct tg_control_client *c, const char *path) TG_CHECKED;
int tg_control_send(struct tg_control_client *c, const char *line) TG_CHECKED;
/* The next line, NUL-terminated, valid until the next call; TG_EEOF when the gateway is gone, TG_ETIMEOUT after timeout_ms
 * (negative: waits for ever). */
int tg_control_line(struct tg_control_client *c, int timeout_ms, char **ret_line) TG_CHECKED;
void tg_control_disconnect(struct tg_control_client *c);

#endif
