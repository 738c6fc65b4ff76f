/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * host_rig - a plugin host running the levers plugin, and a consumer that counts, checks and takes as much as
 * the test lets it.
 */
#ifndef TG_TESTS_SUPPORT_HOST_RIG_H
#define TG_TESTS_SUPPORT_HOST_RIG_H

#include "southbound/plugin_host.h"
#include "support/host_model.h"
#include "support/plugins/levers.h"

#define TG_RIG_MAX_REQUESTS 600

struct tg_host_rig {
    const struct tg_plugin *plugin;
    struct tg_loop loop;
    struct tg_test_model model;
    struct tg_source_host *host;
    uv_idle_t idle;
    bool closed;
    /* the consumer */
    uint64_t room, taken, refused, refill;
    bool check_order;
    uint8_t bytes[64];
    /* callbacks */
    int answers[TG_RIG_MAX_REQUESTS], status[TG_RIG_MAX_REQUESTS], states, opens, open_failures;
    char json[2048], state_text[64], open_text[64];
    int64_t retry_ms;
    uint32_t found;
    char found_ids[16][32], found_profiles[16][32]; /* "(none)" */
};

/* ctest's limit ends what never comes. */
#define TG_RIG_RUN_UNTIL(r, condition)                                                                       \
    do {                                                                                                     \
        while (!(condition))                                                                                 \
            tg_rig_turn(r);                                                                                  \
    } while (0)

extern const struct tg_source_callbacks tg_rig_callbacks;

/* Levers may be set between begin and start. */
void tg_rig_begin(struct tg_host_rig *r, const struct tg_plugin *plugin);
void tg_rig_start(struct tg_host_rig *r);
/* Closes the host if there is one, then the loop. */
void tg_rig_end(struct tg_host_rig *r);
/* One turn of the loop; does not wait. */
void tg_rig_turn(struct tg_host_rig *r);
struct tg_source_stats tg_rig_stats(struct tg_host_rig *r);
void tg_rig_on_closed(void *user);
/* Each turn the consumer has room again: the loop never waits while this runs. */
void tg_rig_on_idle(uv_idle_t *idle);

/* A test for each thread model; *state is the plugin. */
#define TG_RIG_BOTH(test)                                                                                    \
    {#test " (own thread)", test, NULL, NULL, (void *)(uintptr_t)&tg_levers_own},                            \
    {                                                                                                        \
#test " (on the loop)", test, NULL, NULL, (void *)(uintptr_t)&tg_levers_loop                         \
    }

#endif
