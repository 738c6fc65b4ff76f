/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * control_rig - a control socket with a router behind it, without the rest of a gateway: the store and the
 * source are fakes.
 */
#ifndef TG_TESTS_SUPPORT_CONTROL_RIG_H
#define TG_TESTS_SUPPORT_CONTROL_RIG_H

#include "core/gateway/control.h"
#include "core/gateway/router.h"
#include "support/fake_source.h"
#include "support/fake_store.h"
#include "support/host_model.h"

/* What control.c asks of a gateway. */
struct tg_gateway {
    struct tg_loop loop;
    struct tg_router *router;
    struct tg_router_device *device;
    struct tg_control *control;
    struct tg_store store;
    struct tg_source_host source;
    struct tg_test_model model;
    const char *status; /* what the verbs status and discovered answer; NULL = out of memory */
    char forgotten[64]; /* whom the verb forget named; "stranger" is nobody */
    char dir[128], path[160];
    bool router_closed;
};

/* One device d0 with the points p0 (writable) and p1; the socket is opened with tg_control_rig_open(). Aborts
 * when it cannot. */
void tg_control_rig_begin(struct tg_gateway *g);
int tg_control_rig_open(struct tg_gateway *g, struct tg_error *err) TG_CHECKED;
void tg_control_rig_close(struct tg_gateway *g);
void tg_control_rig_end(struct tg_gateway *g);
/* One turn of the loop; does not wait. */
void tg_control_rig_turn(struct tg_gateway *g);

#endif
