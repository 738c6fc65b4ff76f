/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_identity_show - `tidegate identity show|token`: what a device's identity is, and what it presents with it.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/gateway/cmd_identity.h"
#include "northbound/azure_dps.h"
#include "northbound/pkcs12.h"

/* --- show ------------------------------------------------------------------------------------------------- */

/* The key in a PKCS#12 file is not loaded with the identity, which hands it to TLS. */
static int pkcs12_signer(const struct tg_config_identity *i, struct tg_signer **ret, struct tg_error *err)
{
    struct tg_secret file = {0}, password = {0};
    struct tg_pkcs12 p = {{0}, {0}};
    int rc = tg_secret_read(i->pkcs12, TG_SECRET_PRIVATE, &file, err);
    if (rc == TG_OK)
        rc = tg_secret_read(i->password_file, TG_SECRET_PRIVATE, &password, err);
    if (rc == TG_OK) {
        tg_secret_trim(&password);
        rc = tg_pkcs12_read(tg_secret_view(&file), tg_secret_view(&password), &p, err);
    }
    if (rc == TG_OK)
        rc = tg_signer_from_pem(tg_secret_view(&p.key_pem), ret, err);
    tg_pkcs12_free(&p);
    tg_secret_free(&file);
    tg_secret_free(&password);
    return rc;
}

/* Empty when there is none to show: a kind without a key pair, or one that only TLS can use (P-384). */
static void public_key(const struct tg_config_identity *i, char *pem, size_t size)
{
    struct tg_writer w = tg_writer_init(pem, size);
    struct tg_signer *s = NULL;
    int rc = TG_ENOTFOUND;
    if (i->kind == TG_IDENTITY_PKCS12)
        rc = pkcs12_signer(i, &s, NULL);
    else if (i->kind == TG_IDENTITY_X509 || i->kind == TG_IDENTITY_JWT_KEY)
        rc = tg_signer_open(i->kind == TG_IDENTITY_X509 ? i->key : i->jwt_key, &s, NULL);
    if (rc == TG_OK)
        rc = tg_signer_public_pem(s, &w, NULL);
    tg_signer_free(s);
    if (rc < 0 || tg_writer_cstr(&w) < 0)
        pem[0] = '\0';
}

/* Under which id a device of an enrolment group registers. */
static void registration_id(const struct tg_identity_target *t, char id[TG_AZURE_REGISTRATION_ID_BYTES])
{
    id[0] = '\0';
    if (t->route && t->route->cloud->provisioning && strcmp(t->route->cloud->type, "azure-iot-hub") == 0 &&
        tg_azure_registration_id(t->route->cloud->provisioning, t->name, id, NULL) < 0)
        id[0] = '\0';
}

static int show(const struct tg_identity_args *a, const struct tg_identity_target *t,
                const struct tg_identity *id)
{
    char pem[2048], registration[TG_AZURE_REGISTRATION_ID_BYTES];
    struct tg_tls_credential_info certificate;
    struct tg_identity_info info;
    tg_identity_describe(id, &info);
    public_key(&t->identity, pem, sizeof pem);
    registration_id(t, registration);
    if (id->credential)
        tg_tls_credential_info(id->credential, &certificate);
    if (a->common.json) {
        json_t *j = json_pack("{s:s,s:s,s:s,s:b}", "device", t->device->id, "cloud", t->route->cloud->name,
                              "kind", info.kind, "key_in_token", info.key_in_token);
        json_object_set_new(j, "cloud_device_id", json_string(t->name));
        if (id->credential)
            tg_identity_json_certificate(j, &certificate);
        if (registration[0])
            json_object_set_new(j, "registration_id", json_string(registration));
        if (pem[0])
            json_object_set_new(j, "public_key", json_string(pem));
        tg_identity_print_json(j);
        return TG_EXIT_OK;
    }
    printf("device       %s\ncloud        %s (%s)\n", t->device->id, t->route->cloud->name,
           t->route->cloud->type);
    if (strcmp(t->device->id, t->name) != 0)
        printf("there as     %s\n", t->name);
    printf("kind         %s%s\n", info.kind, info.key_in_token ? ", key in a PKCS#11 token" : "");
    if (registration[0])
        printf("registers as %s\n", registration);
    if (id->secret.username.len)
        printf("user name    %.*s\n", (int)id->secret.username.len, (const char *)id->secret.username.data);
    if (id->credential)
        tg_identity_print_certificate(&certificate);
    printf("%s", pem);
    return TG_EXIT_OK;
}

int tg_identity_show(const struct tg_identity_args *a)
{
    struct tg_identity_target t;
    struct tg_identity id;
    struct tg_error err = {0};
    if (a->key || a->certificate) {
        fprintf(stderr, "tidegate identity show: it shows what the configuration has; --key and "
                        "--certificate are not taken\n");
        return TG_EXIT_USAGE;
    }
    int rc = tg_identity_find(a, true, &t);
    if (rc)
        return rc;
    if (tg_identity_load(&t.identity, &id, &err) < 0) {
        rc = tg_identity_fail(a, "%s", err.text);
    } else {
        rc = show(a, &t, &id);
        tg_identity_free(&id);
    }
    tg_identity_target_free(&t);
    return rc;
}

/* --- token ------------------------------------------------------------------------------------------------ */

/* The cloud's own option for it, so that its limits hold here too. */
static int set_lifetime(const struct tg_identity_args *a, const struct tg_identity_target *t)
{
    static const char *const names[] = {"sas_lifetime", "token_lifetime"};
    struct tg_settings *s =
        (struct tg_settings *)(uintptr_t)t->route->cloud->settings; /* of our own copy of the file */
    struct tg_error err = {0};
    for (const struct tg_option *o = tg_settings_table(s); o && o->name; o++)
        for (size_t i = 0; i < 2; i++)
            if (strcmp(o->name, names[i]) == 0) {
                if (tg_settings_set(s, o->name, a->ttl, NULL, (struct tg_settings_position){0}, &err) ==
                    TG_OK)
                    return 0;
                fprintf(stderr, "tidegate identity token: --ttl: %s\n", err.text);
                return TG_EXIT_USAGE;
            }
    return 0;
}

/* As the session would log in: to the cloud, or to where it asks for its hub. */
static int log_in(const struct tg_identity_target *t, const struct tg_identity *id, struct tg_writer *scratch,
                  struct tg_cloud_login *ret, struct tg_error *err)
{
    const struct tg_config_cloud *cloud = t->route->cloud;
    struct tg_cloud_target target;
    const struct tg_cloud_type *type = tg_identity_cloud(t, &target, err);
    int64_t wall_s = tg_clock_wall_ms() / 1000;
    if (!type)
        return TG_EINVAL;
    if (type->errand && type->errand->wanted(&target))
        return type->errand->login(&target, &id->secret, wall_s, scratch, ret, err);
    if (!type->login)
        return tg_error_set(err, TG_EUNSUPPORTED, "cloud \"%s\" (%s) takes no token of a device", cloud->name,
                            cloud->type);
    void *link = tg_calloc(1, type->link_bytes ? type->link_bytes : 1);
    if (!link)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    int rc = type->login(&target, &id->secret, link, wall_s, scratch, ret, err);
    tg_free(link);
    return rc;
}

static int print_token(const struct tg_identity_args *a, const struct tg_identity_target *t,
                       const struct tg_identity *id)
{
    char memory[TG_CLOUD_SCRATCH_BYTES], date[TG_CLOCK_ISO8601_BYTES];
    struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
    struct tg_cloud_login login = {.expires_s = 0};
    struct tg_error err = {0};
    if (!tg_clock_plausible(tg_clock_wall_ms()))
        return tg_identity_fail(
            a, "the clock of this machine is wrong, and a token needs the time: set it first");
    if (log_in(t, id, &scratch, &login, &err) < 0)
        return tg_identity_fail(a, "%s", err.text);
    struct tg_bytes token = login.connect.password;
    tg_clock_iso8601(login.expires_s * 1000, date);
    if (a->common.json)
        tg_identity_print_json(
            json_pack("{s:s,s:s,s:s#,s:s#,s:s#}", "device", t->device->id, "expires", date, "client_id",
                      (const char *)login.connect.client_id.data, login.connect.client_id.len, "username",
                      (const char *)login.connect.username.data, login.connect.username.len, "token",
                      (const char *)token.data, token.len));
    else
        printf("%.*s\n", (int)token.len, (const char *)token.data);
    explicit_bzero(memory, sizeof memory);
    return TG_EXIT_OK;
}

int tg_identity_token(const struct tg_identity_args *a)
{
    struct tg_identity_target t;
    struct tg_identity id;
    struct tg_error err = {0};
    if (a->key || a->certificate) {
        fprintf(stderr, "tidegate identity token: it uses what the configuration has; --key and "
                        "--certificate are not taken\n");
        return TG_EXIT_USAGE;
    }
    int rc = tg_identity_find(a, true, &t);
    if (rc)
        return rc;
    enum tg_identity_kind kind = t.identity.kind;
    if (kind != TG_IDENTITY_SAS_KEY && kind != TG_IDENTITY_GROUP && kind != TG_IDENTITY_JWT_KEY)
        rc = tg_identity_fail(
            a, "%s proves itself without a token: it has neither a shared key nor a JWT key", a->device);
    else if (a->ttl)
        rc = set_lifetime(a, &t);
    if (rc == 0 && tg_identity_load(&t.identity, &id, &err) < 0)
        rc = tg_identity_fail(a, "%s", err.text);
    else if (rc == 0) {
        rc = print_token(a, &t, &id);
        tg_identity_free(&id);
    }
    tg_identity_target_free(&t);
    return rc;
}
