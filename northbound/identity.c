/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/identity.h"

#include <sys/stat.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>

#include "core/base/allocator.h"
#include "core/base/pkcs11_uri.h"
#include "northbound/pkcs12.h"

#define SAS_KEY_LEAST_BYTES 16
#define SECONDS_PER_DAY     86400

/* The file holds base64 (what the portal shows); the raw key replaces it in place. */
static int load_shared_key(const char *path, const char *whose, struct tg_identity *id, struct tg_error *err)
{
    struct tg_secret raw;
    word32 len;
    int rc = tg_secret_read(path, TG_SECRET_PRIVATE, &id->sas_key, err);
    if (rc < 0)
        return rc;
    tg_secret_trim(&id->sas_key);
    len = (word32)id->sas_key.len;
    raw.data = tg_malloc((size_t)len + 1);
    if (!raw.data)
        return tg_error_set(err, TG_ENOMEM, "out of memory reading %s", path);
    rc = Base64_Decode(id->sas_key.data, (word32)id->sas_key.len, raw.data, &len);
    raw.len = len;
    if (rc != 0 || len < SAS_KEY_LEAST_BYTES) {
        tg_free_secret(raw.data, id->sas_key.len);
        return tg_error_set(err, TG_EINVAL,
                            "%s does not hold a base64 key of at least %d bytes; put the %s primary "
                            "key there, nothing else",
                            path, SAS_KEY_LEAST_BYTES, whose);
    }
    raw.data[raw.len] = '\0';
    tg_secret_free(&id->sas_key);
    id->sas_key = raw;
    id->secret.sas_key = tg_secret_view(&id->sas_key);
    return TG_OK;
}

static int load_x509(const struct tg_config_identity *c, struct tg_identity *id, struct tg_error *err)
{
    struct tg_secret certificate = {0}, key = {0};
    int rc = tg_secret_read(c->certificate, TG_SECRET_PUBLIC, &certificate, err);
    if (rc == TG_OK && tg_pkcs11_uri_is(c->key)) {
        rc = tg_tls_credential_new_token(tg_secret_view(&certificate), c->key, &id->credential, err);
        if (rc < 0)
            tg_error_wrap(err, "%s", c->certificate);
        tg_secret_free(&certificate);
        return rc;
    }
    if (rc == TG_OK)
        rc = tg_secret_read(c->key, TG_SECRET_PRIVATE, &key, err);
    if (rc == TG_OK)
        rc = tg_tls_credential_new(tg_secret_view(&certificate), tg_secret_view(&key), &id->credential, err);
    if (rc < 0 && key.data)
        tg_error_wrap(err, "%s with %s", c->certificate, c->key);
    tg_secret_free(&certificate);
    tg_secret_free(&key);
    return rc;
}

static int load_pkcs12(const struct tg_config_identity *c, struct tg_identity *id, struct tg_error *err)
{
    struct tg_secret file = {0}, password = {0};
    struct tg_pkcs12 p = {{0}, {0}};
    int rc = tg_secret_read(c->pkcs12, TG_SECRET_PRIVATE, &file, err);
    if (rc == TG_OK)
        rc = tg_secret_read(c->password_file, TG_SECRET_PRIVATE, &password, err);
    if (rc == TG_OK) {
        tg_secret_trim(&password);
        rc = tg_pkcs12_read(tg_secret_view(&file), tg_secret_view(&password), &p, err);
        if (rc == TG_OK)
            rc = tg_tls_credential_new(tg_secret_view(&p.chain_pem), tg_secret_view(&p.key_pem),
                                       &id->credential, err);
        if (rc < 0)
            tg_error_wrap(err, "%s with %s", c->pkcs12, c->password_file);
    }
    tg_pkcs12_free(&p);
    tg_secret_free(&file);
    tg_secret_free(&password);
    return rc;
}

static int load_jwt_key(const struct tg_config_identity *c, struct tg_identity *id, struct tg_error *err)
{
    int rc = tg_signer_open(c->jwt_key, &id->signer, err);
    id->secret.signer = id->signer;
    return rc;
}

static int load_password(const struct tg_config_identity *c, struct tg_identity *id, struct tg_error *err)
{
    int rc = tg_secret_read(c->password_file, TG_SECRET_PRIVATE, &id->password, err);
    if (rc < 0)
        return rc;
    tg_secret_trim(&id->password);
    id->secret.username = tg_bytes_str(c->username);
    id->secret.password = tg_secret_view(&id->password);
    return TG_OK;
}

int tg_identity_load(const struct tg_config_identity *config, struct tg_identity *ret_identity,
                     struct tg_error *err)
{
    struct tg_identity id = {.secret.kind = config->kind};
    int rc = TG_OK;
    switch (config->kind) {
    case TG_IDENTITY_NONE:
        break;
    case TG_IDENTITY_SAS_KEY:
        rc = load_shared_key(config->sas_key_file, "device's", &id, err);
        break;
    case TG_IDENTITY_GROUP:
        rc = load_shared_key(config->group_key_file, "enrolment group's", &id, err);
        break;
    case TG_IDENTITY_X509:
        rc = load_x509(config, &id, err);
        break;
    case TG_IDENTITY_PKCS12:
        rc = load_pkcs12(config, &id, err);
        break;
    case TG_IDENTITY_JWT_KEY:
        rc = load_jwt_key(config, &id, err);
        break;
    case TG_IDENTITY_PASSWORD:
        rc = load_password(config, &id, err);
        break;
    }
    if (rc < 0) {
        tg_identity_free(&id);
        return rc;
    }
    *ret_identity = id;
    return TG_OK;
}

void tg_identity_free(struct tg_identity *id)
{
    tg_secret_free(&id->sas_key);
    tg_secret_free(&id->password);
    tg_tls_credential_free(id->credential);
    tg_signer_free(id->signer);
    *id = (struct tg_identity){0};
}

uint64_t tg_identity_file_stamp(const char *path)
{
    struct tg_pkcs11_uri uri;
    struct stat st;
    if (path && tg_pkcs11_uri_is(path))
        path = tg_pkcs11_uri_parse(tg_bytes_str(path), &uri, NULL) == TG_OK ? uri.pin_file : NULL;
    if (!path || stat(path, &st) < 0)
        return 0;
    return ((uint64_t)st.st_ino * 31 + (uint64_t)st.st_size) * 31 +
           (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

uint64_t tg_identity_stamp(const struct tg_config_identity *c)
{
    const char *const files[] = {c->sas_key_file,  c->certificate,    c->key,    c->pkcs12,
                                 c->password_file, c->group_key_file, c->jwt_key};
    uint64_t stamp = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        stamp = stamp * 1099511628211u ^ tg_identity_file_stamp(files[i]);
    return stamp;
}

void tg_identity_describe(const struct tg_identity *id, struct tg_identity_info *ret_info)
{
    static const char *const kinds[] = {"none",      "sas key", "certificate", "pkcs12",
                                        "group key", "jwt key", "password"};
    struct tg_tls_credential_info certificate;
    *ret_info = (struct tg_identity_info){.kind = kinds[id->secret.kind]};
    if (id->credential) {
        tg_tls_credential_info(id->credential, &certificate);
        ret_info->not_after_s = certificate.not_after_s;
        ret_info->key_in_token = certificate.key_in_token;
    }
    if (id->signer)
        ret_info->key_in_token = tg_signer_is_slow(id->signer);
}

int64_t tg_identity_days_left(int64_t not_after_s, int64_t now_s)
{
    int64_t left = not_after_s - now_s;
    return left >= 0 ? left / SECONDS_PER_DAY : -((-left + SECONDS_PER_DAY - 1) / SECONDS_PER_DAY);
}
