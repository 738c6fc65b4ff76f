/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The key of a token (JWT) signs at its own speed: with a key in a PKCS#11 token or TPM the profile's login() of a private
 * link runs in libuv's thread pool. Meanwhile the link does not connect anew and its memory stays. The one login of a shared link
 * runs on the loop: what it reads belongs to whichever session is there.
 */
#include "northbound/link.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/random.h"

struct tg_link_login {
    uv_work_t work;
    struct tg_link *link;
    uint64_t generation;
    int64_t wall_s;
    struct tg_writer scratch;
    struct tg_cloud_login login;
    struct tg_error err;
    int rc;
    uint8_t memory[TG_CLOUD_SCRATCH_BYTES];
};

static uint16_t keepalive_s(const struct tg_link *l)
{
    int64_t seconds = tg_settings_int(l->config->common, "keepalive") / 1000;
    const struct tg_cloud_type *type = l->cloud->type;
    if (seconds > type->max_keepalive_s)
        return type->max_keepalive_s;
    return seconds < type->min_keepalive_s ? type->min_keepalive_s : (uint16_t)seconds;
}

static void make_login(struct tg_link_login *k)
{
    struct tg_link *l = k->link;
    const struct tg_cloud_type *type = l->cloud->type;
    enum tg_identity_kind kind = l->identity.secret.kind;
    bool signs = kind == TG_IDENTITY_SAS_KEY || kind == TG_IDENTITY_GROUP || kind == TG_IDENTITY_JWT_KEY;
    if (signs && !tg_clock_plausible(k->wall_s * 1000))
        k->rc = tg_error_set(&k->err, TG_ECLOCK, "the clock is before 2026, so no token can be made");
    else if (type->needs_time && !tg_clock_plausible(k->wall_s * 1000))
        k->rc = tg_error_set(&k->err, TG_ECLOCK, "the clock is before 2026, and its messages need the time");
    else if (l->errand)
        k->rc =
            type->errand->login(&l->target, &l->identity.secret, k->wall_s, &k->scratch, &k->login, &k->err);
    else
        k->rc = type->login(&l->target, &l->identity.secret, l->memory, k->wall_s, &k->scratch, &k->login,
                            &k->err);
}

void tg_link_plan_renewal(struct tg_link *l, int64_t expires_s, int64_t wall_s, int64_t now_ms)
{
    l->renew_at_ms = INT64_MAX;
    l->credential_expires_s = expires_s;
    if (expires_s && !l->errand) {
        int64_t life_ms = (expires_s - wall_s) * 1000; /* renew at 75 … 85 %, spread over the fleet */
        l->renew_at_ms = now_ms + life_ms * 75 / 100 + (int64_t)(tg_random_u32() % 1000) * life_ms / 10000;
        l->renew_plan_ms = l->renew_at_ms;
        l->credential_life_ms = life_ms;
        l->renew_limit_ms = now_ms + life_ms - 1000;
    }
}

static void send_connect(struct tg_link *l, struct tg_link_login *k)
{
    int64_t now = tg_clock_mono_ms();
    size_t connect_len;
    bool sent;
    if (k->rc == TG_OK) {
        k->login.connect.keepalive_s = keepalive_s(l);
        k->rc = tg_mqtt_client_connect(&l->mqtt, now, &k->login.connect, &l->set->out);
        if (k->rc < 0)
            tg_error_set(&k->err, k->rc, "CONNECT cannot be made: %s", l->mqtt.reason);
    }
    if (k->rc < 0) {
        tg_link_fail_error(l, &k->err);
        return;
    }
    tg_link_plan_renewal(l, k->login.expires_s, k->wall_s, now);
    tg_link_set_state(l, TG_SESSION_LOGIN);
    connect_len = l->set->out.len;
    sent = tg_link_flush(l);
    explicit_bzero(l->set->out.data, connect_len); /* it holds the password or the token */
    if (!sent)
        tg_link_fail(l, "the stream does not take the CONNECT packet");
    else
        tg_link_arm(l);
}

static void in_thread_pool(uv_work_t *work)
{
    make_login(work->data);
}

static void after_work(uv_work_t *work, int status)
{
    struct tg_link_login *k = work->data;
    struct tg_link *l = k->link;
    (void)status; /* never cancelled */
    l->login = NULL;
    if (l->closing)
        tg_link_close_finish(l);
    else if (l->generation == k->generation && l->stream)
        send_connect(l, k);
    tg_free_secret(k, sizeof *k);
}

static bool is_slow(const struct tg_link *l)
{
    const struct tg_signer *signer = l->identity.secret.signer;
    return !l->shared && signer && tg_signer_is_slow(signer);
}

void tg_link_log_in(struct tg_link *l)
{
    struct tg_link_login *k = tg_calloc(1, sizeof *k);
    TG_ASSERT(!l->login);
    if (!k) {
        tg_link_fail(l, "out of memory for the login");
        return;
    }
    k->work.data = k;
    k->link = l;
    k->generation = l->generation;
    k->wall_s = tg_clock_wall_ms() / 1000;
    k->scratch = tg_writer_init(k->memory, sizeof k->memory);
    if (is_slow(l) && uv_queue_work(&l->set->loop->uv, &k->work, in_thread_pool, after_work) == 0) {
        l->login = k;
        return;
    }
    make_login(k);
    send_connect(l, k);
    tg_free_secret(k, sizeof *k);
}
