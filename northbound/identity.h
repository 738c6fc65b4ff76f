/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * identity - what proves a device to a cloud, loaded from what the configuration names: a SAS key or a group's key, a
 * certificate with its key (PEM files, PKCS#12, or the key in a PKCS#11 token), a key that signs JWTs (file or token), a
 * user name with a password. It is loaded anew for each connection, so a changed file counts from the next one on.
 * Secrets are wiped when freed. Loop thread. docs/identities.md is for people.
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
    struct tg_signer *signer; /* of TG_IDENTITY_JWT_KEY; NULL = none */
};

/* TG_EPERM, TG_ENOTFOUND, TG_EINVAL (not base64, no usable key), TG_ECERT, TG_EAUTH (a PKCS#12 password, a token's PIN),
 * TG_EUNSUPPORTED: text names file and reason. */
int tg_identity_load(const struct tg_config_identity *config, struct tg_identity *ret_identity,
                     struct tg_error *err) TG_CHECKED;
void tg_identity_free(struct tg_identity *identity);

/* A number for the state of the files that it is loaded from, a token's PIN file among them: one that was replaced or
 * written again gives another. */
uint64_t tg_identity_stamp(const struct tg_config_identity *config);
/* The same of one file, or of a PKCS#11 URI's PIN file; 0: NULL, or it is not there. */
uint64_t tg_identity_file_stamp(const char *path);

/* What can be said about it without giving anything away. */
struct tg_identity_info {
    const char *kind;    /* "sas key", "certificate", "pkcs12", "group key", "jwt key", "password", "none" */
    int64_t not_after_s; /* when its certificate ends, Unix time; 0 = it has none */
    bool key_in_token;   /* the private key stays in a PKCS#11 token: a signature takes the token's time */
};
void tg_identity_describe(const struct tg_identity *identity, struct tg_identity_info *ret_info);
/* Whole days from now to the end of a certificate, negative once it has ended (-1 on the first day after). Pure. */
int64_t tg_identity_days_left(int64_t not_after_s, int64_t now_s);

#endif
