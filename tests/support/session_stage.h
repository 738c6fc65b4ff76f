/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * session_stage - a store, a set of sessions and clouds made by hand on one loop, for session tests. Included
 * by one .c file per program, as store_fixture.h is.
 */
#ifndef TG_TESTS_SESSION_STAGE_H
#define TG_TESTS_SESSION_STAGE_H

#include "support/store_fixture.h"

#include "northbound/cloud.h"
#include "northbound/session_set.h"
#include "support/mini_broker.h"

#define STAGE_MAX_SESSIONS 112
#define STAGE_MAX_COMMANDS 512

struct stage_cloud {
    struct tg_config_cloud config;
    struct tg_settings *common, *batch, *settings;
};

struct stage {
    struct fixture *f;
    struct tg_session_set *set;
    struct mini_broker broker;
    struct stage_cloud clouds[2];
    struct tg_config_route routes[STAGE_MAX_SESSIONS];
    struct tg_session *sessions[STAGE_MAX_SESSIONS];
    char names[STAGE_MAX_SESSIONS][16];
    uint32_t session_count, closed;
    bool set_closed;
    /* commands */
    bool refuse_command;
    uint64_t tokens[STAGE_MAX_COMMANDS];
    unsigned numbers[STAGE_MAX_COMMANDS]; /* the number that the command's body begins with */
    uint32_t command_count;
};

static struct stage st;

static inline bool stage_on_command(void *user, struct tg_session *session, uint64_t token,
                                    const struct tg_session_command *command)
{
    (void)user;
    (void)session;
    if (st.refuse_command)
        return false;
    assert_true(st.command_count < STAGE_MAX_COMMANDS);
    st.tokens[st.command_count] = token;
    st.numbers[st.command_count++] = (unsigned)strtoul((const char *)command->command.body.data, NULL, 10);
    return true;
}

static inline void stage_put(struct tg_settings *s, const char *name, const char *value)
{
    struct tg_error err = {0};
    if (tg_settings_set(s, name, value, NULL, (struct tg_settings_position){0}, &err) < 0)
        fail_msg("%s: %s", name, err.text);
}

/* A cloud of type mqtt without TLS; `more` is name, value, …, NULL for its common settings, those of batch
 * begin with "batch." */
static inline void stage_cloud_make(struct stage_cloud *c, const char *name, uint16_t port,
                                    const char *const *more)
{
    struct tg_error err = {0};
    const struct tg_cloud_type *type = tg_cloud_type_find("mqtt", &err);
    char text[8];
    c->common = tg_settings_new(tg_config_cloud_options);
    c->batch = tg_settings_new(tg_config_batch_options);
    c->settings = tg_settings_new(type->config.options);
    snprintf(text, sizeof text, "%u", port);
    stage_put(c->common, "host", "127.0.0.1");
    stage_put(c->common, "port", text);
    stage_put(c->common, "tls", "off");
    stage_put(c->common, "min_backoff", "10ms");
    stage_put(c->common, "max_backoff", "20ms");
    stage_put(c->common, "max_connects_per_second", "1000");
    stage_put(c->batch, "max_delay", "0s");
    for (; more && *more; more += 2) {
        bool of_batch = strncmp(*more, "batch.", 6) == 0;
        stage_put(of_batch ? c->batch : c->common, of_batch ? *more + 6 : *more, more[1]);
    }
    assert_int_equal(tg_settings_finish(c->common, &err), TG_OK);
    assert_int_equal(tg_settings_finish(c->batch, &err), TG_OK);
    assert_int_equal(tg_settings_finish(c->settings, &err), TG_OK);
    c->config = (struct tg_config_cloud){
        .name = name, .type = "mqtt", .common = c->common, .batch = c->batch, .settings = c->settings};
}

static inline void stage_cloud_free(struct stage_cloud *c)
{
    tg_settings_free(c->common);
    tg_settings_free(c->batch);
    tg_settings_free(c->settings);
    *c = (struct stage_cloud){0};
}

static inline int stage_try_session(uint32_t i, const struct tg_config_cloud *cloud, struct tg_error *err)
{
    uint32_t d = 0;
    int rc;
    snprintf(st.names[i], sizeof st.names[i], "device-%u", i);
    rc = tg_store_device(st.f->store, st.names[i], &d, err);
    st.routes[i] = (struct tg_config_route){.cloud = cloud, .cloud_device_id = st.names[i]};
    if (rc == TG_OK)
        rc = tg_session_new(st.set, st.names[i], NULL, d, &st.routes[i], &st.sessions[i], err);
    if (rc == TG_OK)
        st.session_count++;
    return rc;
}

static inline struct tg_session *stage_session(const struct tg_config_cloud *cloud)
{
    struct tg_error err = {0};
    uint32_t i = st.session_count;
    if (stage_try_session(i, cloud, &err) < 0)
        fail_msg("session: %s", err.text);
    return st.sessions[i];
}

static inline struct tg_session_stats stage_stats(uint32_t i)
{
    struct tg_session_stats s;
    tg_session_stats(st.sessions[i], &s);
    return s;
}

static inline void stage_on_closed(void *user)
{
    (void)user;
    st.closed++;
}

static inline void stage_on_set_closed(void *user)
{
    (void)user;
    st.set_closed = true;
}

/* A session with one broker, not started. */
static inline void stage_begin(void **state, const char *const *more)
{
    struct tg_session_callbacks cb = {.on_command = stage_on_command};
    struct fixture *f = *state;
    memset(&st, 0, sizeof st);
    st.f = f;
    f->o.commit_interval_ms = 1;
    OK(open_store(f));
    OK(tg_session_set_new(&f->loop, f->store, "gw", &cb, NULL, &st.set, &f->err));
    mini_broker_start(&st.broker, &f->loop);
    stage_cloud_make(&st.clouds[0], "hub", st.broker.port, more);
}

static inline void stage_end(void)
{
    for (uint32_t i = 0; i < st.session_count; i++)
        if (st.sessions[i])
            tg_session_close(st.sessions[i], stage_on_closed, NULL);
        else
            st.closed++;
    RUN_UNTIL(st.f, st.closed == st.session_count);
    tg_session_set_close(st.set, stage_on_set_closed, NULL);
    RUN_UNTIL(st.f, st.set_closed);
    mini_broker_stop(&st.broker);
    RUN_UNTIL(st.f, st.broker.closed);
    assert_int_equal(st.broker.client_errors, 0);
    close_store(st.f);
    stage_cloud_free(&st.clouds[0]);
    stage_cloud_free(&st.clouds[1]);
}

static inline bool stage_online(uint32_t i)
{
    return stage_stats(i).state == TG_SESSION_ONLINE;
}

#endif
