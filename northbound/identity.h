/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * identity - what proves a device to a cloud, loaded from the files that the configuration names: a SAS key, a
 * certificate with its key, a user name with a password. Secrets are wiped when freed. Loop thread.
 */
#ifndef TG_NORTHBOUND_IDENTITY_H
#define TG_NORTHBOUND_IDENTITY_H

#include "core/base/secret.h"
#include "core/net/stream.h"
#include "northbound/cloud.h"

struct tg_identity {
    struct tg_cloud_secret secret;        /* views into the members below */
    struct tg_tls_credential *credential; /* NULL = none */
    struct tg_secret sas_key, password;
};

/* TG_EPERM, TG_ENOTFOUND, TG_EINVAL (not base64), TG_ECERT, TG_EUNSUPPORTED: text names file and reason. */
int tg_identity_load(const struct tg_config_identity *config, struct tg_identity *ret_identity,
                     struct tg_error *err) TG_CHECKED;
void tg_identity_free(struct tg_identity *identity);

#endif
