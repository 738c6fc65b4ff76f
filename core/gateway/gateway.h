/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gateway - builds the whole data path from a configuration, runs it, and takes it down in order.
 *
 *   start: loop, TLS, store, router, devices, sessions, sources, control socket, READY=1
 *   stop (SIGTERM, SIGINT): sources end ─► last commit ─► sessions get TG_DRAIN_MS to see their PUBACKs ─► DISCONNECT ─►
 *        store commits and checkpoints ─► every handle is closed, uv_loop_close() == 0. A second signal ends the wait for PUBACKs;
 *        SIGHUP is then ignored.
 *   SIGHUP: the file is loaded again; a wrong file changes nothing. Sources whose entry (or one of whose clouds) changed, and
 *        only those, are closed with their sessions and built anew; the backlog stays. One that cannot be built is left out, told in
 *        the log, and tried again by the next reload. SIGHUP while one is under way makes another one follow it.
 *   a plugin finds a device that its source's `discover` section lets in: it is remembered, then a reload takes it in; likewise when
 *        one is forgotten.
 *
 * One gateway in a process. All on the thread that calls tg_gateway_run().
 */
#ifndef TG_GATEWAY_GATEWAY_H
#define TG_GATEWAY_GATEWAY_H

#include "config/config.h"
#include "core/gateway/router.h"
#include "northbound/session_set.h"

#define TG_DRAIN_MS 3000
/* And its plugins this long to come back; with both it ends well before systemd loses patience. */
#define TG_SOURCES_END_MS 10000

struct tg_gateway;

/* Reads the file again, with the devices that were discovered: gives a new model, or says why not (already logged). At the
 * start it is called when there are such devices. */
typedef int (*tg_gateway_reload_fn)(void *user, const struct tg_config_discovered *devices, uint32_t count,
                                    struct tg_config **ret_config);

/* Runs until SIGTERM or SIGINT; `config` is given. 0 after an orderly end, else the reason in err. */
int tg_gateway_run(struct tg_config *config, tg_gateway_reload_fn reload, void *user,
                   struct tg_error *err) TG_CHECKED;

/* --- for control.c: looks and commands, loop thread ---------------------------------------------- */

/* The status as a JSON text (tg_free it), NULL when out of memory. */
char *tg_gateway_status_json(struct tg_gateway *g);
struct tg_router *tg_gateway_router(struct tg_gateway *g);
/* {"devices":[{"id","source","profile","first_seen_ms","running"}],"candidates":[{"source","id","why","heard_ago_ms"}]}:
 * what was discovered, and what was heard and has not come in. tg_free it; NULL when out of memory. */
char *tg_gateway_discovered_json(struct tg_gateway *g);
/* Forgets a discovered device: its sessions end. One that is heard again comes in again while it is allowed. TG_ENOTFOUND. */
int tg_gateway_forget(struct tg_gateway *g, const char *id, struct tg_error *err) TG_CHECKED;
/* `outbox drop`: as tg_store_drop(). After tg_gateway_forget_drop() with the same `user` the drop goes on, but `done` is not
 * called. */
int tg_gateway_drop(struct tg_gateway *g, const char *device, const char *cloud, int64_t before_ms,
                    void (*done)(void *user, int rc, const char *text, uint64_t samples), void *user,
                    struct tg_error *err) TG_CHECKED;
void tg_gateway_forget_drop(struct tg_gateway *g, const void *user);

#endif
