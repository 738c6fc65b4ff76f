/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/pkcs12.h"

#include "core/base/allocator.h"
#include "core/net/der.h"
#include "core/net/pem.h"
#include "core/net/tls_certificate.h"
#include "core/net/tls_memory.h"
#include "core/net/wolfssl.h"

#include <wolfssl/wolfcrypt/pkcs12.h>

#define CHAIN_MOST         8 /* certificates beside the leaf that are looked at */
#define PASSWORD_MAX_BYTES 256
#define PEM_BYTES(der_len) ((der_len)*3 / 2 + 128)
#define OID(...)           tg_bytes((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* What wolfSSL took the file apart into. */
struct parts {
    byte *key, *leaf;
    word32 key_len, leaf_len;
    WC_DerCertList *others;
};

static void free_parts(struct parts *p)
{
    if (p->key)
        explicit_bzero(p->key, p->key_len);
    wolfSSL_Free(p->key);
    wolfSSL_Free(p->leaf);
    while (p->others) {
        WC_DerCertList *next = p->others->next;
        wolfSSL_Free(p->others->buffer);
        wolfSSL_Free(p->others);
        p->others = next;
    }
}

/* `opened`: the key came out, so the password is right and the file whole as far as that. */
static int parse_failed(int code, bool opened, struct tg_error *err)
{
    if (code == MEMORY_E)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    if (code == MAC_CMP_FAILED_E)
        return tg_error_set(err, TG_EAUTH, "the password does not open it");
    if (opened || code == ALGO_ID_E)
        return tg_error_set(
            err, TG_EUNSUPPORTED,
            "its certificates are encrypted with RC2 or another method that is not supported; write it "
            "anew with \"openssl pkcs12 -export\" without -legacy");
    return tg_error_set(err, TG_ECERT, "it is no PKCS#12 file, or damaged (wolfSSL %d)", code);
}

/* The content of the element at the front of *in, which is cut off; empty and false when it is not whole. Definite lengths. */
static bool next_element(struct tg_bytes *in, struct tg_bytes *ret_content)
{
    struct tg_reader r = tg_reader_init(in->data, in->len);
    (void)tg_read_u8(&r); /* the tag */
    size_t len = tg_read_u8(&r);
    if (len == 0x80 || len > 0x84)
        return false;
    for (size_t i = len & 0x80 ? len - 0x80 : 0, first = 1; i > 0; i--, first = 0)
        len = (first ? 0 : len << 8) | tg_read_u8(&r);
    *ret_content = tg_read_bytes(&r, len);
    *in = tg_bytes(in->data + r.pos, tg_reader_left(&r));
    return !r.failed;
}

/* PFX ::= SEQUENCE { version, authSafe, macData OPTIONAL }. wolfSSL 5.5.4 looks at the MAC before it takes the contents apart,
 * and taking damaged ones apart can crash it: so a file that only its owner can have written is asked for. */
static bool has_mac(struct tg_bytes file)
{
    struct tg_bytes pfx, element;
    return next_element(&file, &pfx) && next_element(&pfx, &element) && next_element(&pfx, &element) &&
           next_element(&pfx, &element) && element.len > 0;
}

static int parse(struct tg_bytes file, struct tg_bytes password, struct parts *ret, struct tg_error *err)
{
    char text[PASSWORD_MAX_BYTES + 1];
    if (password.len > PASSWORD_MAX_BYTES)
        return tg_error_set(err, TG_ETOOBIG, "the password is longer than %d bytes", PASSWORD_MAX_BYTES);
    if (!has_mac(file))
        return tg_error_set(err, TG_ECERT,
                            "it is no PKCS#12 file in DER with a MAC; \"openssl pkcs12 -export\" writes one");
    WC_PKCS12 *p = wc_PKCS12_new();
    if (!p)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    if (password.len > 0)
        memcpy(text, password.data, password.len);
    text[password.len] = '\0';
    int code = wc_d2i_PKCS12(file.data, (word32)file.len, p);
    if (code == 0)
        code = wc_PKCS12_parse(p, text, &ret->key, &ret->key_len, &ret->leaf, &ret->leaf_len, &ret->others);
    explicit_bzero(text, sizeof text);
    wc_PKCS12_free(p);
    /* Of a damaged file wolfSSL 5.5.4 may give a key with an error code for its length. */
    if (ret->key_len > file.len || ret->leaf_len > file.len) {
        ret->key_len = ret->key_len > file.len ? 0 : ret->key_len;
        return parse_failed(code ? code : ASN_PARSE_E, false, err);
    }
    if (code != 0)
        return parse_failed(code, ret->key_len > 0, err);
    if (!ret->key || ret->key_len == 0)
        return tg_error_set(err, TG_ECERT, "there is no private key in it");
    if (!ret->leaf || ret->leaf_len == 0)
        return tg_error_set(err, TG_ECERT, "there is no certificate for its private key in it");
    return TG_OK;
}

/* --- key ------------------------------------------------------------------------------------- */

/* The algorithm of a bare key, which wolfSSL has taken out of its PKCS#8 wrapping. */
static int write_algorithm(struct tg_writer *w, const struct parts *p, struct tg_error *err)
{
    word32 at = 0;
    int curve = ECC_CURVE_INVALID;
    RsaKey rsa;
    ecc_key ec;
    bool is_rsa = false;
    if (wc_ecc_init(&ec) == 0) {
        if (wc_EccPrivateKeyDecode(p->key, &at, &ec, p->key_len) == 0)
            curve = wc_ecc_get_curve_id(ec.idx);
        wc_ecc_free(&ec);
    }
    at = 0;
    if (curve == ECC_CURVE_INVALID && wc_InitRsaKey(&rsa, NULL) == 0) {
        is_rsa = wc_RsaPrivateKeyDecode(p->key, &at, &rsa, p->key_len) == 0;
        wc_FreeRsaKey(&rsa);
    }
    size_t mark = tg_der_begin(w);
    if (is_rsa) {
        tg_der_put(w, TG_DER_OID, OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01));
        tg_der_put(w, TG_DER_NULL, tg_bytes(NULL, 0));
    } else if (curve == ECC_SECP256R1 || curve == ECC_SECP384R1) {
        tg_der_put(w, TG_DER_OID, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01));
        tg_der_put(w, TG_DER_OID,
                   curve == ECC_SECP256R1 ? OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07)
                                          : OID(0x2b, 0x81, 0x04, 0x00, 0x22));
    } else {
        return tg_error_set(err, TG_EUNSUPPORTED, "its private key is neither RSA nor EC P-256 or P-384");
    }
    tg_der_end(w, TG_DER_SEQUENCE, mark);
    return TG_OK;
}

static int write_key(const struct parts *p, struct tg_secret *ret_pem, struct tg_error *err)
{
    size_t cap = (size_t)p->key_len + 64;
    struct tg_writer der = tg_writer_init(tg_malloc(cap), cap);
    struct tg_writer pem = tg_writer_init(tg_malloc(PEM_BYTES(cap)), PEM_BYTES(cap) - 1);
    int rc = tg_error_set(err, TG_ENOMEM, "out of memory");
    if (der.data && pem.data) {
        tg_der_put(&der, TG_DER_INTEGER, OID(0));
        rc = write_algorithm(&der, p, err);
        tg_der_put(&der, TG_DER_OCTET_STRING, tg_bytes(p->key, p->key_len));
        tg_der_end(&der, TG_DER_SEQUENCE, 0);
        if (rc == TG_OK && (der.failed || tg_pem_write(&pem, "PRIVATE KEY", tg_bytes(der.data, der.len)) < 0))
            rc = tg_error_set(err, TG_ETOOBIG, "its private key is too long");
    }
    tg_free_secret(der.data, cap);
    if (rc < 0) {
        tg_free_secret(pem.data, PEM_BYTES(cap));
        return rc;
    }
    pem.data[pem.len] = '\0';
    *ret_pem = (struct tg_secret){pem.data, pem.len};
    return TG_OK;
}

/* --- chain ----------------------------------------------------------------------------------- */

static int write_chain(const struct parts *p, struct tg_secret *ret_pem, struct tg_error *err)
{
    struct tg_certificate facts, other;
    bool used[CHAIN_MOST] = {0}, found = true;
    size_t cap = PEM_BYTES((size_t)p->leaf_len);
    for (const WC_DerCertList *c = p->others; c; c = c->next)
        cap += PEM_BYTES((size_t)c->bufferSz);
    int rc = tg_certificate_read(tg_bytes(p->leaf, p->leaf_len), NULL, &facts);
    if (rc < 0)
        return tg_error_set(err, rc, "its certificate cannot be decoded");
    struct tg_writer pem = tg_writer_init(tg_malloc(cap), cap - 1);
    if (!pem.data)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    rc = tg_pem_write(&pem, "CERTIFICATE", tg_bytes(p->leaf, p->leaf_len));
    while (rc == TG_OK && found && !facts.self_issued) {
        const WC_DerCertList *c = p->others;
        found = false;
        for (size_t i = 0; c && i < CHAIN_MOST && !found; c = c->next, i++) {
            struct tg_bytes der = tg_bytes(c->buffer, c->bufferSz);
            if (used[i] || tg_certificate_read(der, NULL, &other) < 0 || other.self_issued ||
                memcmp(other.subject_hash, facts.issuer_hash, sizeof other.subject_hash) != 0)
                continue;
            found = used[i] = true;
            facts = other;
            rc = tg_pem_write(&pem, "CERTIFICATE", der);
        }
    }
    if (rc < 0) {
        tg_free(pem.data);
        return tg_error_set(err, rc, "its certificates are too long");
    }
    pem.data[pem.len] = '\0';
    *ret_pem = (struct tg_secret){pem.data, pem.len};
    return TG_OK;
}

int tg_pkcs12_read(struct tg_bytes file, struct tg_bytes password, struct tg_pkcs12 *ret,
                   struct tg_error *err)
{
    unsigned shortages = tg_tls_memory_shortages();
    struct tg_pkcs12 p = {{0}, {0}};
    struct parts parts = {0};
    int rc = parse(file, password, &parts, err);
    if (rc == TG_OK)
        rc = write_key(&parts, &p.key_pem, err);
    if (rc == TG_OK)
        rc = write_chain(&parts, &p.chain_pem, err);
    free_parts(&parts);
    if (tg_tls_memory_shortages() != shortages)
        rc = tg_error_set(err, TG_ENOMEM, "out of memory");
    if (rc < 0) {
        tg_pkcs12_free(&p);
        return rc;
    }
    *ret = p;
    return TG_OK;
}

void tg_pkcs12_free(struct tg_pkcs12 *p)
{
    tg_secret_free(&p->chain_pem);
    tg_secret_free(&p->key_pem);
}
