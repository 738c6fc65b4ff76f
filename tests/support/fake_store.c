/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/fake_store.h"

int tg_store_device(struct tg_store *store, const char *name, uint32_t *ret_device, struct tg_error *err)
{
    (void)store;
    (void)name;
    (void)err;
    *ret_device = 0;
    return TG_OK;
}

uint64_t tg_store_last_seq(const struct tg_store *store, uint32_t device)
{
    (void)device;
    return store->seq;
}

int tg_store_append_urgent(struct tg_store *store, uint32_t device, int64_t time_ms, struct tg_bytes body,
                           uint64_t *ret_seq, uint64_t *ret_id)
{
    int rc = tg_store_append(store, device, time_ms, body, ret_seq, ret_id);
    store->urgent += rc == TG_OK;
    return rc;
}

int tg_store_append(struct tg_store *store, uint32_t device, int64_t time_ms, struct tg_bytes body,
                    uint64_t *ret_seq, uint64_t *ret_id)
{
    (void)device;
    (void)time_ms;
    (void)body;
    if (store->append_rc < 0)
        return store->append_rc;
    *ret_seq = *ret_id = ++store->seq;
    return TG_OK;
}
