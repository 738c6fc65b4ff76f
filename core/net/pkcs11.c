/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/pkcs11.h"

#include <stdatomic.h>
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/net/der.h"
#include "core/net/pkcs11_token.h"

#define KEY_MAGIC       0x9c511e7u
#define SPKI_BYTES      600 /* RSA 4096: 550 */
#define POINT_BYTES     65  /* uncompressed, P-256 */
#define ATTRIBUTE_BYTES 640
#define RSA_LEAST_BITS  2048
#define RSA_MOST_BITS   4096

static const uint8_t p256_oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t p256_spki[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

struct tg_pkcs11_key {
    uint32_t magic;
    atomic_uint refs;
    struct tg_pkcs11_token *token;
    uint64_t generation; /* of the session that the handle belongs to */
    CK_OBJECT_HANDLE handle;
    bool is_ec;
    unsigned bits;
    uint8_t spki[SPKI_BYTES];
    size_t spki_len;
    struct tg_error failure; /* of the last signature; under the token's lock */
};

/* An attribute as it was read. */
struct attribute {
    uint8_t value[ATTRIBUTE_BYTES];
    size_t len;
};

static bool get(struct tg_pkcs11_token *t, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                struct attribute *ret)
{
    CK_ATTRIBUTE a = {type, ret->value, sizeof ret->value};
    CK_RV rv = t->f->C_GetAttributeValue(t->session, object, &a, 1);
    if (rv != CKR_OK || a.ulValueLen > sizeof ret->value) { /* or ~0: the object has none */
        ret->len = 0;
        return false;
    }
    ret->len = a.ulValueLen;
    return true;
}

/* How many objects fit (2 stands for more), and the first. */
static int find(struct tg_pkcs11_token *t, CK_OBJECT_CLASS class, struct tg_bytes label, struct tg_bytes id,
                CK_OBJECT_HANDLE *ret_object, CK_ULONG *ret_count, struct tg_error *err)
{
    CK_ATTRIBUTE template[3] = {{CKA_CLASS, &class, sizeof class}};
    CK_OBJECT_HANDLE objects[2] = {0};
    CK_ULONG n = 1;
    char rv_text[TG_PKCS11_RV_BYTES];
    if (label.len > 0)
        template[n++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)label.data, label.len};
    if (id.len > 0)
        template[n++] = (CK_ATTRIBUTE){CKA_ID, (void *)(uintptr_t)id.data, id.len};
    CK_RV rv = t->f->C_FindObjectsInit(t->session, template, n);
    *ret_count = 0;
    if (rv == CKR_OK) {
        rv = t->f->C_FindObjects(t->session, objects, 2, ret_count);
        (void)t->f->C_FindObjectsFinal(t->session);
    }
    if (rv != CKR_OK) {
        tg_pkcs11_token_failed(t, rv);
        return tg_error_set(err, TG_EIO, "PKCS#11 token \"%s\" does not look for keys: %s", t->label,
                            tg_pkcs11_rv_text(rv_text, rv));
    }
    *ret_object = objects[0];
    return TG_OK;
}

/* --- public half ----------------------------------------------------------------------------- */

/* A point comes as an OCTET STRING or, from some tokens, bare. */
static bool take_point(struct tg_pkcs11_key *key, const struct attribute *a)
{
    const uint8_t *point = a->value;
    if (a->len == POINT_BYTES + 2 && point[0] == TG_DER_OCTET_STRING && point[1] == POINT_BYTES)
        point += 2;
    else if (a->len != POINT_BYTES)
        return false;
    if (point[0] != 0x04)
        return false;
    memcpy(key->spki, p256_spki, sizeof p256_spki);
    memcpy(key->spki + sizeof p256_spki, point, POINT_BYTES);
    key->spki_len = sizeof p256_spki + POINT_BYTES;
    return true;
}

/* The point belongs to the public object, which has the same id, or the same label; some tokens give it with the private
 * one too, and newer ones as a whole SubjectPublicKeyInfo. */
static int read_point(struct tg_pkcs11_key *key, struct attribute *a, struct tg_error *err)
{
    struct tg_pkcs11_token *t = key->token;
    CK_OBJECT_HANDLE public;
    CK_ULONG count;
    if (get(t, key->handle, CKA_EC_POINT, a) && take_point(key, a))
        return TG_OK;
    if (get(t, key->handle, CKA_PUBLIC_KEY_INFO, a) && a->len == sizeof p256_spki + POINT_BYTES &&
        memcmp(a->value, p256_spki, sizeof p256_spki) == 0) {
        memcpy(key->spki, a->value, a->len);
        key->spki_len = a->len;
        return TG_OK;
    }
    const CK_ATTRIBUTE_TYPE names[] = {CKA_ID, CKA_LABEL};
    for (size_t i = 0; i < 2; i++) {
        if (!get(t, key->handle, names[i], a) || a->len == 0)
            continue;
        struct tg_bytes value = tg_bytes(a->value, a->len), none = {0};
        int rc = find(t, CKO_PUBLIC_KEY, i ? value : none, i ? none : value, &public, &count, err);
        if (rc < 0)
            return rc;
        if (count == 1 && get(t, public, CKA_EC_POINT, a) && take_point(key, a))
            return TG_OK;
    }
    return tg_error_set(
        err, TG_EUNSUPPORTED,
        "PKCS#11 token \"%s\" has no public key beside the private one: put it there under the same id",
        t->label);
}

static int read_ec(struct tg_pkcs11_key *key, struct attribute *a, struct tg_error *err)
{
    key->is_ec = true;
    key->bits = 256;
    if (!get(key->token, key->handle, CKA_EC_PARAMS, a) || a->len != sizeof p256_oid ||
        memcmp(a->value, p256_oid, sizeof p256_oid) != 0)
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "the key in PKCS#11 token \"%s\" is an EC key on another curve than P-256",
                            key->token->label);
    return read_point(key, a, err);
}

static int read_rsa(struct tg_pkcs11_key *key, struct attribute *a, struct tg_error *err)
{
    static const uint8_t algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    struct tg_writer w = tg_writer_init(key->spki, sizeof key->spki);
    struct attribute exponent;
    if (!get(key->token, key->handle, CKA_PUBLIC_EXPONENT, &exponent) || exponent.len == 0 ||
        !get(key->token, key->handle, CKA_MODULUS, a) || a->len == 0)
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "PKCS#11 token \"%s\" does not show the RSA key's modulus and exponent",
                            key->token->label);
    size_t skip = 0;
    while (skip < a->len && a->value[skip] == 0)
        skip++;
    key->bits = (unsigned)(a->len - skip) * 8;
    if (key->bits < RSA_LEAST_BITS || key->bits > RSA_MOST_BITS)
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "the RSA key in PKCS#11 token \"%s\" has %u bits; %d to %d are used",
                            key->token->label, key->bits, RSA_LEAST_BITS, RSA_MOST_BITS);
    tg_write_bytes(&w, tg_bytes(algorithm, sizeof algorithm));
    size_t bits = tg_der_begin(&w);
    tg_write_u8(&w, 0); /* unused bits */
    size_t numbers = tg_der_begin(&w);
    tg_der_unsigned(&w, tg_bytes(a->value, a->len));
    tg_der_unsigned(&w, tg_bytes(exponent.value, exponent.len));
    tg_der_end(&w, TG_DER_SEQUENCE, numbers);
    tg_der_end(&w, TG_DER_BIT_STRING, bits);
    tg_der_end(&w, TG_DER_SEQUENCE, 0);
    if (w.failed)
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "the RSA key in PKCS#11 token \"%s\" has an unusual exponent", key->token->label);
    key->spki_len = w.len;
    return TG_OK;
}

/* --- opening --------------------------------------------------------------------------------- */

static int find_key(struct tg_pkcs11_key *key, const struct tg_pkcs11_uri *uri, struct tg_error *err)
{
    struct tg_pkcs11_token *t = key->token;
    char name[TG_QUOTE_BYTES] = "";
    CK_ULONG count;
    int rc = find(t, CKO_PRIVATE_KEY, tg_bytes_str(uri->object), tg_bytes(uri->id, uri->id_len), &key->handle,
                  &count, err);
    if (rc < 0)
        return rc;
    if (uri->object[0])
        tg_quote(name, uri->object, strlen(uri->object));
    else
        for (size_t i = 0, n = 0; i < uri->id_len && n + 3 < 60; i++)
            n += (size_t)snprintf(name + n, sizeof name - n, "%%%02x", uri->id[i]);
    if (count == 0)
        return tg_error_set(err, TG_ENOTFOUND, "PKCS#11 token \"%s\" has no private key %s%s", t->label, name,
                            t->logged_in ? ""
                                         : "; most tokens show private keys only after a login: add "
                                           "pin-source=file:… to the URI");
    if (count > 1)
        return tg_error_set(err, TG_EINVAL,
                            "PKCS#11 token \"%s\" has several private keys %s: name %s in the URI as well",
                            t->label, name, uri->id_len ? "object=…" : "id=…");
    return TG_OK;
}

static int read_key(struct tg_pkcs11_key *key, struct tg_error *err)
{
    struct attribute a;
    CK_KEY_TYPE type = ~0UL;
    if (get(key->token, key->handle, CKA_ALWAYS_AUTHENTICATE, &a) && a.len == 1 && a.value[0] != CK_FALSE)
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "the key in PKCS#11 token \"%s\" wants its PIN for each signature "
                            "(CKA_ALWAYS_AUTHENTICATE); use one that does not",
                            key->token->label);
    if (get(key->token, key->handle, CKA_KEY_TYPE, &a) && a.len == sizeof type)
        memcpy(&type, a.value, sizeof type);
    if (type == CKK_EC)
        return read_ec(key, &a, err);
    if (type == CKK_RSA)
        return read_rsa(key, &a, err);
    return tg_error_set(err, TG_EUNSUPPORTED, "the key in PKCS#11 token \"%s\" is neither EC nor RSA",
                        key->token->label);
}

int tg_pkcs11_key_open(const char *text, struct tg_pkcs11_key **ret_key, struct tg_error *err)
{
    struct tg_pkcs11_uri uri;
    int rc = tg_pkcs11_uri_parse(tg_bytes_str(text), &uri, err);
    if (rc < 0)
        return rc;
    struct tg_pkcs11_key *key = tg_calloc(1, sizeof *key);
    if (!key)
        return tg_error_set(err, TG_ENOMEM, "PKCS#11: out of memory");
    key->magic = KEY_MAGIC;
    atomic_init(&key->refs, 1);
    rc = tg_pkcs11_token_acquire(&uri, &key->token, err);
    if (rc == TG_OK) {
        key->generation = key->token->generation;
        rc = find_key(key, &uri, err);
        if (rc == TG_OK)
            rc = read_key(key, err);
        pthread_mutex_unlock(&key->token->lock);
    }
    if (rc < 0) {
        tg_free(key);
        return rc;
    }
    *ret_key = key;
    return TG_OK;
}

struct tg_pkcs11_key *tg_pkcs11_key_ref(struct tg_pkcs11_key *key)
{
    (void)TG_OBJECT(key, struct tg_pkcs11_key, KEY_MAGIC);
    atomic_fetch_add(&key->refs, 1);
    return key;
}

void tg_pkcs11_key_unref(struct tg_pkcs11_key *key)
{
    if (!key || atomic_fetch_sub(&TG_OBJECT(key, struct tg_pkcs11_key, KEY_MAGIC)->refs, 1) > 1)
        return;
    TG_OBJECT_POISON(key);
    tg_free(key);
}

bool tg_pkcs11_key_is_ec(const struct tg_pkcs11_key *key)
{
    return key->is_ec;
}

unsigned tg_pkcs11_key_bits(const struct tg_pkcs11_key *key)
{
    return key->bits;
}

struct tg_bytes tg_pkcs11_key_public_der(const struct tg_pkcs11_key *key)
{
    return tg_bytes(key->spki, key->spki_len);
}

/* --- signing --------------------------------------------------------------------------------- */

static int sign_locked(struct tg_pkcs11_key *key, CK_MECHANISM_TYPE type, struct tg_bytes input, uint8_t *sig,
                       CK_ULONG *len, struct tg_error *err)
{
    struct tg_pkcs11_token *t = key->token;
    CK_MECHANISM mechanism = {type, NULL, 0};
    char rv_text[TG_PKCS11_RV_BYTES];
    if (!t->open || t->generation != key->generation)
        return tg_error_set(err, TG_EIO,
                            "PKCS#11 token \"%s\" was away in between; the next connection opens it anew",
                            t->label);
    CK_RV rv = t->f->C_SignInit(t->session, &mechanism, key->handle);
    if (rv == CKR_OK)
        rv = t->f->C_Sign(t->session, (CK_BYTE *)(uintptr_t)input.data, input.len, sig, len);
    if (rv == CKR_OK)
        return TG_OK;
    tg_pkcs11_token_failed(t, rv);
    return tg_error_set(err, TG_EIO, "PKCS#11 token \"%s\" does not sign: %s", t->label,
                        tg_pkcs11_rv_text(rv_text, rv));
}

int tg_pkcs11_sign(struct tg_pkcs11_key *key, enum tg_pkcs11_mechanism mechanism, struct tg_bytes input,
                   uint8_t *sig, size_t *ret_len, struct tg_error *err)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_ECDSA, 0x01 /* CKM_RSA_PKCS */, CKM_RSA_X_509};
    struct tg_error failure = {0};
    CK_ULONG len = TG_PKCS11_SIGNATURE_MAX_BYTES;
    (void)TG_OBJECT(key, struct tg_pkcs11_key, KEY_MAGIC);
    TG_ASSERT((mechanism == TG_PKCS11_ECDSA) == key->is_ec);
    pthread_mutex_lock(&key->token->lock);
    int rc = sign_locked(key, types[mechanism], input, sig, &len, &failure);
    if (rc == TG_OK && len != (key->is_ec ? 2 * key->bits / 8 : key->bits / 8))
        rc = tg_error_set(&failure, TG_EIO, "PKCS#11 token \"%s\" made a signature of %lu bytes",
                          key->token->label, len);
    key->failure = failure;
    pthread_mutex_unlock(&key->token->lock);
    if (rc < 0) {
        if (err)
            *err = failure;
        return rc;
    }
    *ret_len = len;
    return TG_OK;
}

bool tg_pkcs11_key_failure(struct tg_pkcs11_key *key, struct tg_error *ret_err)
{
    pthread_mutex_lock(&key->token->lock);
    bool failed = key->failure.code != TG_OK;
    if (failed)
        *ret_err = key->failure;
    pthread_mutex_unlock(&key->token->lock);
    return failed;
}
