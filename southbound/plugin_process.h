/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_process - runs an instance in a process of its own (`isolation: process`): the third way beside plugin_worker and
 * plugin_on_loop, behind the same tg_source_host.
 *
 *     waiting ──► running ──► draining ──► waiting …              waiting: until the next start
 *                    │  kill (hang, memory, protocol)             draining: it is gone; what it had sent is taken first
 *                    └──► the same way
 *     tg_process_stop(): the child sees the end of its stream, closes the instance and exits; killed after 5 s
 *
 * The child is the program `tidegate-plugin-host` (plugin_child.c): forked and executed with /dev/null, this program's standard
 * error and two sockets, a short list of environment variables, a session of its own. One socket carries everything but samples;
 * the other only samples, and is not read while the store has no room, so that the child's own queue fills and emit() there says
 * TG_PLUGIN_EFULL (plugin_wire.h).
 *
 * Supervision: the child says at intervals that it is alive, and whether a function of the plugin has not come back. `hang_timeout`
 * without either, more resident memory than `memory_limit`, or a frame that is wrong, and it is killed. The first start after an
 * end comes in 0.2 s, further ones in 1 s … 60 s until it has been up for a minute.
 *
 * Memory in the gateway: at most two frames (2 × 1 MiB, given back when they are handled), 256 KiB of output, the mailbox of
 * requests. Samples are not queued: they go to on_sample from the frame.
 */
#ifndef TG_SOUTHBOUND_PLUGIN_PROCESS_H
#define TG_SOUTHBOUND_PLUGIN_PROCESS_H

#define TG_PROCESS_PROGRAM "tidegate-plugin-host"
/* Exit code of a child one of whose files is another one now, which its confinement does not know: it wants a new start. */
#define TG_PROCESS_EXIT_AGAIN 75

#define TG_PROCESS_CONTROL_FD 3
#define TG_PROCESS_SAMPLES_FD 4

/* The child's program, an absolute path: once, before the first source. Without it isolated sources cannot be opened. */
void tg_process_use(const char *program);

#endif
