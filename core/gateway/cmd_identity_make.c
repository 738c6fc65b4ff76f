/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_identity_make - `tidegate identity create|csr|import`: the verbs that write files.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/pkcs11_uri.h"
#include "core/gateway/cmd_identity.h"
#include "northbound/csr.h"
#include "northbound/key_make.h"
#include "northbound/pkcs12.h"
#include "northbound/x509_write.h"

#define DAY_S        86400
#define DEFAULT_DAYS 365
#define MOST_DAYS    36500
#define PROOF_DAYS   30
#define EARLIER_S    3600 /* a certificate begins before now: the hub's clock may be behind ours */
#define PEM_BYTES    8192

/* Where the private key is to be: NULL when the identity is of a kind that has none here. */
static const char *key_path(const struct tg_config_identity *i)
{
    return i->kind == TG_IDENTITY_X509 ? i->key : i->kind == TG_IDENTITY_JWT_KEY ? i->jwt_key : NULL;
}

static int wrong_kind(const struct tg_identity_args *a, const struct tg_identity_target *t)
{
    const struct tg_config_identity *i = &t->identity;
    if (i->kind == TG_IDENTITY_SAS_KEY || i->kind == TG_IDENTITY_GROUP)
        return tg_identity_fail(
            a,
            "%s proves itself with a shared key: the hub makes it; put it, base64, into %s with mode "
            "0600",
            a->device, i->sas_key_file ? i->sas_key_file : i->group_key_file);
    if (i->kind == TG_IDENTITY_PKCS12)
        return tg_identity_fail(
            a, "%s has its key in %s, which is made elsewhere: see tidegate identity import --pkcs12",
            a->device, i->pkcs12);
    return tg_identity_fail(a, "%s has no certificate and no JWT key in the configuration", a->device);
}

static int parse_number(const char *text, long least, long most, const char *what,
                        const struct tg_identity_args *a, long *ret)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n < least || n > most) {
        fprintf(stderr, "tidegate identity %s: %s takes a number from %ld to %ld, not \"%s\"\n", a->verb,
                what, least, most, text);
        return TG_EXIT_USAGE;
    }
    *ret = n;
    return 0;
}

/* 0, or an exit code. */
static int make_key(const struct tg_identity_args *a, const char *path)
{
    uint8_t memory[TG_KEY_PEM_MAX_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_error err = {0};
    long bits = 0;
    if (a->rsa && strcmp(a->rsa, "2048") != 0 && strcmp(a->rsa, "3072") != 0) {
        fprintf(stderr, "tidegate identity %s: --rsa takes 2048 or 3072, not \"%s\"\n", a->verb, a->rsa);
        return TG_EXIT_USAGE;
    }
    bits = a->rsa ? atol(a->rsa) : 0;
    int rc = tg_key_make((unsigned)bits, &w, &err);
    if (rc == TG_OK)
        rc = tg_secret_write(path, TG_SECRET_PRIVATE, tg_bytes(w.data, w.len), a->force, &err);
    explicit_bzero(memory, sizeof memory);
    return rc == TG_OK ? 0 : tg_identity_fail(a, "%s", err.text);
}

static int open_signer(const struct tg_identity_args *a, const char *path, struct tg_signer **ret)
{
    struct tg_error err = {0};
    return tg_signer_open(path, ret, &err) < 0 ? tg_identity_fail(a, "%s", err.text) : 0;
}

/* To --out, or to standard output. */
static int put_out(const struct tg_identity_args *a, struct tg_bytes pem)
{
    struct tg_error err = {0};
    if (!a->out) {
        fwrite(pem.data, 1, pem.len, stdout);
        return TG_EXIT_OK;
    }
    if (tg_secret_write(a->out, TG_SECRET_PUBLIC, pem, a->force, &err) < 0)
        return tg_identity_fail(a, "%s%s", err.text, err.code == TG_EEXISTS ? "; --force overwrites it" : "");
    fprintf(stderr, "written to %s\n", a->out);
    return TG_EXIT_OK;
}

/* --- create ----------------------------------------------------------------------------------------------- */

/* Nothing is written when one of the files is in the way. */
static int refuse_to_overwrite(const struct tg_identity_args *a, const char *key, const char *certificate)
{
    const char *const files[] = {key && !tg_pkcs11_uri_is(key) ? key : NULL, certificate};
    for (size_t i = 0; i < 2; i++)
        if (files[i] && !a->force && access(files[i], F_OK) == 0)
            return tg_identity_fail(
                a, "%s exists already; --force overwrites it (a lost key cannot be brought back)", files[i]);
    return 0;
}

static int write_self_signed(const struct tg_identity_args *a, const struct tg_identity_target *t,
                             const struct tg_signer *signer, long days)
{
    uint8_t memory[PEM_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_error err = {0};
    int64_t now_s = tg_clock_wall_ms() / 1000;
    struct tg_x509_certificate c = {.common_name = t->name,
                                    .subject = signer,
                                    .issuer = signer,
                                    .not_before_s = now_s - EARLIER_S,
                                    .not_after_s = now_s + days * DAY_S};
    if (!tg_clock_plausible(tg_clock_wall_ms()))
        return tg_identity_fail(
            a, "the clock of this machine is wrong, and a certificate needs a date: set it first");
    int rc = tg_key_random(c.serial, sizeof c.serial, &err);
    if (rc == TG_OK)
        rc = tg_x509_certificate_write(&c, &w, &err);
    if (rc == TG_OK)
        rc = tg_secret_write(t->identity.certificate, TG_SECRET_PUBLIC, tg_bytes(w.data, w.len), a->force,
                             &err);
    return rc == TG_OK ? 0 : tg_identity_fail(a, "%s", err.text);
}

static int report(const struct tg_identity_args *a, const struct tg_identity_target *t,
                  const struct tg_signer *signer)
{
    char pem[2048];
    struct tg_writer w = tg_writer_init(pem, sizeof pem);
    struct tg_error err = {0};
    struct tg_identity id;
    struct tg_tls_credential_info info;
    bool has_certificate = t->identity.kind == TG_IDENTITY_X509;
    if (tg_signer_public_pem(signer, &w, &err) < 0 || tg_writer_cstr(&w) < 0)
        return tg_identity_fail(a, "%s", err.text);
    if (has_certificate) { /* read back as the gateway will read it */
        if (tg_identity_load(&t->identity, &id, &err) < 0)
            return tg_identity_fail(a, "%s", err.text);
        tg_tls_credential_info(id.credential, &info);
        tg_identity_free(&id);
    }
    if (a->common.json) {
        json_t *j =
            json_pack("{s:s,s:s,s:s}", "device", t->name, "key", key_path(&t->identity), "public_key", pem);
        if (has_certificate) {
            json_object_set_new(j, "certificate_file", json_string(t->identity.certificate));
            tg_identity_json_certificate(j, &info);
        }
        tg_identity_print_json(j);
        return TG_EXIT_OK;
    }
    printf("key          %s%s\n", key_path(&t->identity), tg_signer_is_slow(signer) ? " (in the token)" : "");
    if (has_certificate) {
        printf("certificate  %s\n", t->identity.certificate);
        tg_identity_print_certificate(&info);
    }
    printf("%s", pem);
    return TG_EXIT_OK;
}

static int create(const struct tg_identity_args *a, const struct tg_identity_target *t)
{
    const char *key = key_path(&t->identity);
    const char *certificate = t->identity.kind == TG_IDENTITY_X509 ? t->identity.certificate : NULL;
    struct tg_signer *signer;
    long days = DEFAULT_DAYS;
    if (!key)
        return wrong_kind(a, t);
    int rc = a->days ? parse_number(a->days, 1, MOST_DAYS, "--days", a, &days) : 0;
    if (rc == 0)
        rc = refuse_to_overwrite(a, key, certificate);
    if (rc == 0 && !tg_pkcs11_uri_is(key))
        rc = make_key(a, key);
    if (rc == 0)
        rc = open_signer(a, key, &signer);
    if (rc)
        return rc;
    if (certificate)
        rc = write_self_signed(a, t, signer, days);
    if (rc == 0)
        rc = report(a, t, signer);
    tg_signer_free(signer);
    return rc;
}

int tg_identity_create(const struct tg_identity_args *a)
{
    struct tg_identity_target t;
    int rc = tg_identity_find(a, false, &t);
    if (rc)
        return rc;
    rc = create(a, &t);
    tg_identity_target_free(&t);
    return rc;
}

/* --- csr -------------------------------------------------------------------------------------------------- */

static int request(const struct tg_identity_args *a, const struct tg_identity_target *t)
{
    uint8_t memory[PEM_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    const char *key = key_path(&t->identity);
    struct tg_error err = {0};
    struct tg_signer *signer;
    int rc = 0;
    if (!key)
        return wrong_kind(a, t);
    if (!tg_pkcs11_uri_is(key) && access(key, F_OK) < 0 && errno == ENOENT) {
        rc = make_key(a, key);
        if (rc == 0)
            fprintf(stderr, "a new key is in %s\n", key);
    }
    if (rc == 0)
        rc = open_signer(a, key, &signer);
    if (rc)
        return rc;
    if (tg_csr_write(signer, t->name, &w, &err) < 0)
        rc = tg_identity_fail(a, "%s", err.text);
    tg_signer_free(signer);
    return rc ? rc : put_out(a, tg_bytes(w.data, w.len));
}

/* Fails when key and certificate do not belong together. */
static int check_pair(const char *key, struct tg_bytes certificate, struct tg_tls_credential_info *ret_info,
                      struct tg_error *err)
{
    struct tg_tls_credential *c;
    struct tg_secret pem = {0};
    int rc;
    if (tg_pkcs11_uri_is(key)) {
        rc = tg_tls_credential_new_token(certificate, key, &c, err);
    } else {
        rc = tg_secret_read(key, TG_SECRET_PRIVATE, &pem, err);
        if (rc == TG_OK)
            rc = tg_tls_credential_new(certificate, tg_secret_view(&pem), &c, err);
        tg_secret_free(&pem);
    }
    if (rc != TG_OK)
        return rc;
    tg_tls_credential_info(c, ret_info);
    tg_tls_credential_free(c);
    return TG_OK;
}

/* The proof's own key may be any; the CA's is at hand. */
static int prove(const struct tg_identity_args *a, const struct tg_signer *ca, struct tg_bytes ca_pem)
{
    uint8_t name[1024], memory[PEM_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_error err = {0};
    int64_t now_s = tg_clock_wall_ms() / 1000;
    struct tg_x509_certificate c = {.common_name = a->proof,
                                    .subject = ca,
                                    .issuer = ca,
                                    .not_before_s = now_s - EARLIER_S,
                                    .not_after_s = now_s + PROOF_DAYS * DAY_S};
    int rc = tg_x509_subject_name(ca_pem, name, sizeof name, &c.issuer_name, &err);
    if (rc == TG_OK)
        rc = tg_key_random(c.serial, sizeof c.serial, &err);
    if (rc == TG_OK)
        rc = tg_x509_certificate_write(&c, &w, &err);
    return rc == TG_OK ? put_out(a, tg_bytes(w.data, w.len)) : tg_identity_fail(a, "%s", err.text);
}

static int proof(const struct tg_identity_args *a)
{
    struct tg_tls_credential_info info;
    struct tg_secret ca_pem;
    struct tg_signer *ca;
    struct tg_error err = {0};
    if (!a->key || !a->certificate) {
        fprintf(stderr,
                "tidegate identity csr: --proof needs --key CA_KEY and --certificate CA_CERTIFICATE\n");
        return TG_EXIT_USAGE;
    }
    if (tg_secret_read(a->certificate, TG_SECRET_PUBLIC, &ca_pem, &err) < 0)
        return tg_identity_fail(a, "%s", err.text);
    int rc = check_pair(a->key, tg_secret_view(&ca_pem), &info, &err) != TG_OK
                 ? tg_identity_fail(a, "%s", err.text)
                 : open_signer(a, a->key, &ca);
    if (rc == 0) {
        rc = prove(a, ca, tg_secret_view(&ca_pem));
        tg_signer_free(ca);
    }
    tg_secret_free(&ca_pem);
    return rc;
}

int tg_identity_csr(const struct tg_identity_args *a)
{
    struct tg_identity_target t;
    if (a->proof)
        return proof(a);
    int rc = tg_identity_find(a, false, &t);
    if (rc)
        return rc;
    rc = request(a, &t);
    tg_identity_target_free(&t);
    return rc;
}

/* --- import ----------------------------------------------------------------------------------------------- */

static int install_certificate(const struct tg_identity_args *a, const struct tg_config_identity *i,
                               struct tg_bytes pem)
{
    struct tg_tls_credential_info info;
    struct tg_error err = {0};
    if (check_pair(i->key, pem, &info, &err) != TG_OK)
        return tg_identity_fail(a, "%s; nothing was changed", err.text);
    if (info.not_after_s < tg_clock_wall_ms() / 1000)
        return tg_identity_fail(a, "the certificate of \"%s\" has ended already; nothing was changed",
                                info.common_name);
    if (tg_secret_write(i->certificate, TG_SECRET_PUBLIC, pem, true, &err) < 0)
        return tg_identity_fail(a, "%s", err.text);
    printf("certificate  %s\n", i->certificate);
    tg_identity_print_certificate(&info);
    return TG_EXIT_OK;
}

static int import_certificate(const struct tg_identity_args *a, const struct tg_config_identity *i)
{
    struct tg_secret pem;
    struct tg_error err = {0};
    if (i->kind != TG_IDENTITY_X509)
        return tg_identity_fail(a, "%s has no {certificate: F, key: F} in the configuration", a->device);
    if (tg_secret_read(a->certificate, TG_SECRET_PUBLIC, &pem, &err) < 0)
        return tg_identity_fail(a, "%s", err.text);
    int rc = install_certificate(a, i, tg_secret_view(&pem));
    tg_secret_free(&pem);
    return rc;
}

/* Into the PKCS#12 file that the configuration names, or taken apart into its certificate and key files. */
static int install_pkcs12(const struct tg_identity_args *a, const struct tg_config_identity *i,
                          struct tg_bytes file, struct tg_bytes password, const struct tg_pkcs12 *p)
{
    struct tg_error err = {0};
    int rc;
    if (i->kind == TG_IDENTITY_PKCS12) {
        rc = refuse_to_overwrite(a, i->pkcs12, i->password_file);
        if (rc)
            return rc;
        rc = tg_secret_write(i->pkcs12, TG_SECRET_PRIVATE, file, a->force, &err);
        if (rc == TG_OK)
            rc = tg_secret_write(i->password_file, TG_SECRET_PRIVATE, password, a->force, &err);
        if (rc < 0)
            return tg_identity_fail(a, "%s", err.text);
        printf("pkcs12       %s\npassword     %s\n", i->pkcs12, i->password_file);
        return TG_EXIT_OK;
    }
    if (i->kind != TG_IDENTITY_X509 || tg_pkcs11_uri_is(i->key))
        return tg_identity_fail(
            a, "%s has neither a PKCS#12 file nor a certificate with a key file in the configuration",
            a->device);
    rc = refuse_to_overwrite(a, i->key, i->certificate);
    if (rc)
        return rc;
    if (tg_secret_write(i->key, TG_SECRET_PRIVATE, tg_secret_view(&p->key_pem), a->force, &err) < 0)
        return tg_identity_fail(a, "%s", err.text);
    printf("key          %s\n", i->key);
    return install_certificate(a, i, tg_secret_view(&p->chain_pem));
}

static int import_pkcs12(const struct tg_identity_args *a, const struct tg_config_identity *i)
{
    struct tg_secret file = {0}, password = {0};
    struct tg_pkcs12 p = {{0}, {0}};
    struct tg_error err = {0};
    if (!a->password_file) {
        fprintf(stderr, "tidegate identity import: --pkcs12 needs --password-file\n");
        return TG_EXIT_USAGE;
    }
    int rc = tg_secret_read(a->pkcs12, TG_SECRET_PRIVATE, &file, &err);
    if (rc == TG_OK)
        rc = tg_secret_read(a->password_file, TG_SECRET_PRIVATE, &password, &err);
    if (rc == TG_OK) {
        tg_secret_trim(&password);
        rc = tg_pkcs12_read(tg_secret_view(&file), tg_secret_view(&password), &p, &err);
        if (rc < 0)
            tg_error_wrap(&err, "%s", a->pkcs12);
    }
    rc = rc < 0 ? tg_identity_fail(a, "%s; nothing was changed", err.text)
                : install_pkcs12(a, i, tg_secret_view(&file), tg_secret_view(&password), &p);
    tg_pkcs12_free(&p);
    tg_secret_free(&file);
    tg_secret_free(&password);
    return rc;
}

int tg_identity_import(const struct tg_identity_args *a)
{
    struct tg_identity_args finding = *a;
    struct tg_identity_target t;
    if (!a->certificate == !a->pkcs12) {
        fprintf(stderr, "tidegate identity import: give --certificate FILE, or --pkcs12 FILE with "
                        "--password-file FILE\n");
        return TG_EXIT_USAGE;
    }
    finding.certificate = NULL; /* here it is what comes in, not where it goes */
    int rc = tg_identity_find(&finding, false, &t);
    if (rc)
        return rc;
    rc = a->pkcs12 ? import_pkcs12(a, &t.identity) : import_certificate(a, &t.identity);
    tg_identity_target_free(&t);
    return rc;
}
