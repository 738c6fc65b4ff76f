/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_identity - what the parts of `tidegate identity` share (and `tidegate module`, which finds its device the same way): their
 * options, and the device that they are about. Errors are printed where they are found, with the verb before them.
 */
#ifndef TG_GATEWAY_CMD_IDENTITY_H
#define TG_GATEWAY_CMD_IDENTITY_H

#include "core/gateway/command.h"
#include "core/net/stream.h"
#include "northbound/identity.h"

struct tg_identity_args {
    struct tg_args common;
    const char *command; /* "module"; NULL = "identity" */
    const char *verb, *device;
    const char *cloud, *key, *certificate, *pkcs12, *password_file, *out, *proof, *rsa, *days, *ttl;
    bool force;
};

/* A device's entry for one cloud in the configuration; or, without one, what the command line names. */
struct tg_identity_target {
    struct tg_plugin_set *plugins;
    struct tg_config *config; /* NULL = from the command line alone */
    const struct tg_config_device *device;
    const struct tg_config_route *route;
    const char *name;                   /* the common name: the device's id in that cloud */
    struct tg_config_identity identity; /* with the command line's files in place of the configured ones */
};

/* Loads the configuration (unless the files are all given) and finds the one entry. 0, or an exit code: said already. */
int tg_identity_find(const struct tg_identity_args *a, bool with_files, struct tg_identity_target *ret);
void tg_identity_target_free(struct tg_identity_target *t);

/* The profile of the target's cloud, and who connects there; both borrowed from the target. NULL with err: no such profile. */
const struct tg_cloud_type *tg_identity_cloud(const struct tg_identity_target *t,
                                              struct tg_cloud_target *ret_target, struct tg_error *err);

/* Prints "tidegate identity VERB: …" and returns TG_EXIT_NO. */
int tg_identity_fail(const struct tg_identity_args *a, const char *fmt, ...) TG_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* it does not look into another file */
#define tg_identity_fail(a, ...) (tg_identity_fail((a), __VA_ARGS__), TG_EXIT_NO)
#endif

/* Name, thumbprints and days of a certificate, as lines or into a JSON object. */
struct json_t;
void tg_identity_print_certificate(const struct tg_tls_credential_info *c);
void tg_identity_json_certificate(struct json_t *object, const struct tg_tls_credential_info *c);
void tg_identity_print_json(struct json_t *given);

int tg_identity_create(const struct tg_identity_args *a);
int tg_identity_csr(const struct tg_identity_args *a);
int tg_identity_import(const struct tg_identity_args *a);
int tg_identity_show(const struct tg_identity_args *a);
int tg_identity_token(const struct tg_identity_args *a);

#endif
