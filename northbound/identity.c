/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/identity.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>

#include "core/base/allocator.h"

#define SAS_KEY_LEAST_BYTES 16

/* The file holds base64 (what the portal shows); the raw key replaces it in place. */
static int load_sas_key(const struct tg_config_identity *c, struct tg_identity *id, struct tg_error *err)
{
    struct tg_secret raw;
    word32 len;
    int rc = tg_secret_read(c->sas_key_file, TG_SECRET_PRIVATE, &id->sas_key, err);
    if (rc < 0)
        return rc;
    tg_secret_trim(&id->sas_key);
    len = (word32)id->sas_key.len;
    raw.data = tg_malloc((size_t)len + 1);
    if (!raw.data)
        return tg_error_set(err, TG_ENOMEM, "out of memory reading %s", c->sas_key_file);
    rc = Base64_Decode(id->sas_key.data, (word32)id->sas_key.len, raw.data, &len);
    raw.len = len;
    if (rc != 0 || len < SAS_KEY_LEAST_BYTES) {
        tg_free_secret(raw.data, id->sas_key.len);
        return tg_error_set(err, TG_EINVAL,
                            "%s does not hold a base64 key of at least %d bytes; put the device's primary "
                            "key there, nothing else",
                            c->sas_key_file, SAS_KEY_LEAST_BYTES);
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
    int rc;
    if (strncmp(c->key, "pkcs11:", 7) == 0)
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "a key in a PKCS#11 token is not supported by this version; name a key file");
    rc = tg_secret_read(c->certificate, TG_SECRET_PUBLIC, &certificate, err);
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
        rc = load_sas_key(config, &id, err);
        break;
    case TG_IDENTITY_X509:
        rc = load_x509(config, &id, err);
        break;
    case TG_IDENTITY_PASSWORD:
        rc = load_password(config, &id, err);
        break;
    default:
        rc = tg_error_set(err, TG_EUNSUPPORTED, "this kind of identity is not supported by this version");
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
    *id = (struct tg_identity){0};
}
