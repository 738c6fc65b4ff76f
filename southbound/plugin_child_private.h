/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_child_private - the process of an isolated plugin, shared by plugin_child.c (its life, its sockets) and plugin_child_say.c (what
 * its host says, as messages to the gateway). One thread, besides the plugin's own.
 */
#ifndef TG_SOUTHBOUND_PLUGIN_CHILD_PRIVATE_H
#define TG_SOUTHBOUND_PLUGIN_CHILD_PRIVATE_H

#include <sys/types.h>
#include <time.h>

#include "southbound/plugin_child_model.h"
#include "southbound/plugin_host_private.h"

struct tg_child_port {
    dev_t device;
    ino_t node;
    struct timespec
        changed; /* numbers of nodes are given again: a pty's, a port's that is unplugged for a moment */
    bool there, is_device;
};

struct tg_child {
    struct tg_loop loop;
    struct tg_child_outline outline;
    struct tg_child_model model;
    struct tg_buffer raw; /* the configuration's frames */
    struct tg_buffer in, control_out, samples_out;
    struct tg_source_host *host;
    uv_poll_t control, samples;
    uv_timer_t beat;
    uv_prepare_t before_wait;
    int samples_events, control_events;
    bool samples_waited; /* one was refused: the mailbox holds it */
    bool closing;
    int exit_code;
    /* how long a function has been at work */
    unsigned progress;
    int64_t busy_ms, beat_at_ms;
    struct tg_child_port ports[TG_CHILD_PATHS_MAX];
    uint32_t confined;
    struct tg_source_note recalled[TG_NOTES_MAX]; /* before the host is there */
    uint32_t recalled_count;
};

#define TG_CHILD_SAMPLES_FULL_BYTES (64 * 1024) /* so much unsent: samples stay in the mailbox */

/* What the socket takes now; false: the gateway is gone. */
bool tg_child_write(int fd, struct tg_buffer *out);
/* Puts a message behind what is not sent yet; waits for the gateway when that is much. */
void tg_child_put(struct tg_child *c, const struct tg_wire_message *m);
struct tg_wire_message tg_child_texted(uint8_t type, const char *text);

/* plugin_child_say.c; `user` is the struct tg_child */
extern const struct tg_source_callbacks tg_child_callbacks;

#endif
