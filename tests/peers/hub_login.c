/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_login.h"

#include "tests/peers/hub_judge.h"
#include "tests/peers/hub_sas.h"
#include "tests/peers/hub_tls.h"
#include "tests/peers/hub_topics.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_BYTES 272

bool hub_login_refresh(struct hub_login *login, char *why, size_t why_size)
{
    struct stat now, *last = &login->registry_stat;
    if (stat(login->registry_path, &now) != 0) {
        snprintf(why, why_size, "registry %s: %m", login->registry_path);
        return false;
    }
    if (now.st_ino == last->st_ino && now.st_size == last->st_size &&
        now.st_mtim.tv_sec == last->st_mtim.tv_sec && now.st_mtim.tv_nsec == last->st_mtim.tv_nsec) {
        return true;
    }
    if (!hub_registry_load(&login->registry, login->registry_path, why, why_size)) {
        return false;
    }
    *last = now;
    return true;
}

static bool any_key_signed(const struct hub_sas *sas, const struct hub_identity *identity)
{
    char keys[sizeof identity->secret];
    char *rest = NULL;
    memcpy(keys, identity->secret, sizeof keys);
    for (char *key = strtok_r(keys, ",", &rest); key; key = strtok_r(NULL, ",", &rest)) {
        if (hub_sas_verify(sas, key)) {
            return true;
        }
    }
    return false;
}

static bool covered(const struct hub_login *login, const struct hub_sas *sas, const char *name)
{
    char host[256], resource[HUB_SAS_FIELD_MAX];
    for (const char *p = login->hosts; *p;) {
        size_t n = strcspn(p, ",");
        snprintf(host, sizeof host, "%.*s", (int)n, p);
        if (hub_resource(host, name, resource, sizeof resource) && hub_sas_covers(sas, resource)) {
            return true;
        }
        p += n + (p[n] == ',');
    }
    return false;
}

static bool expired(const struct hub_sas *sas)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return sas->expiry <= now.tv_sec;
}

static const char *check_token(const struct hub_login *login, const struct hub_identity *identity,
                               const char *name, const char *password, int64_t *ret_expires)
{
    struct hub_sas sas;
    const char *why = hub_sas_parse(password, &sas);
    if (why) {
        return why;
    }
    if (sas.policy[0]) { /* a policy's key signs for any identity; the resource is still this one's */
        char policy[sizeof sas.policy + 8];
        snprintf(policy, sizeof policy, "policy:%s", sas.policy);
        identity = hub_registry_find(&login->registry, policy);
        if (!identity || !identity->enabled || identity->auth != HUB_AUTH_SAS) {
            return "token: no such policy";
        }
    }
    if (!covered(login, &sas, name)) {
        return "token: sr does not cover this identity";
    }
    if (!any_key_signed(&sas, identity)) {
        return "token: signed with another key";
    }
    if (expired(&sas)) {
        return "token: expired";
    }
    *ret_expires = sas.expiry;
    return NULL;
}

/* --- certificates ----------------------------------------------------------------------------- */

static void hex_of(const uint8_t *bytes, size_t len, char *dst)
{
    for (size_t i = 0; i < len; i++) {
        snprintf(dst + 2 * i, 3, "%02x", bytes[i]);
    }
}

static const char *check_thumbprint(const struct hub_identity *identity, X509 *leaf)
{
    const EVP_MD *const digests[] = {EVP_sha1(), EVP_sha256()};
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        uint8_t digest[EVP_MAX_MD_SIZE];
        char hex[2 * EVP_MAX_MD_SIZE + 1];
        unsigned len = 0;
        if (X509_digest(leaf, digests[i], digest, &len)) {
            hex_of(digest, len, hex);
            if (hub_identity_lists(identity, hex)) {
                return NULL;
            }
        }
    }
    return "x509: the certificate's thumbprint is not registered";
}

/* name: what the common name must be, NULL = anything. */
static const char *check_ca_signed(X509 *leaf, const char *name)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char cn[NAME_MAX_BYTES];
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, cn, (int)sizeof cn);
    if (name && (n <= 0 || strlen(cn) != (size_t)n || strcmp(cn, name) != 0)) {
        return "x509: the common name is not the client id";
    }
    return X509_digest(leaf, EVP_sha256(), digest, &len) ? hub_tls_chain_problem(digest) : "x509: no digest";
}

static const char *check_certificate(const struct hub_identity *identity, const char *cn,
                                     struct mosquitto *client)
{
    X509 *leaf = mosquitto_client_certificate(client);
    if (!leaf) {
        return "x509: no certificate was presented";
    }
    const char *why = X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0 ||
                              X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0
                          ? "x509: outside its validity"
                      : identity->auth == HUB_AUTH_X509_THUMBPRINT ? check_thumbprint(identity, leaf)
                                                                   : check_ca_signed(leaf, cn);
    X509_free(leaf);
    return why;
}

/* --- the three kinds of cloud ------------------------------------------------------------------- */

static const char *check_device(const struct hub_login *login, const struct mosquitto_evt_basic_auth *e,
                                const char *name, int64_t *ret_expires, const char **ret_how)
{
    const struct hub_identity *identity = hub_registry_find(&login->registry, name);
    if (!hub_name_valid(name)) {
        return "client id: characters or length";
    }
    if (!identity || !identity->enabled) {
        return identity ? "identity: disabled" : "identity: unknown";
    }
    const char *why = hub_username_check(e->username, name, login->hosts);
    if (why) {
        return why;
    }
    bool token = e->password && e->password[0];
    if (token != (identity->auth == HUB_AUTH_SAS)) {
        return token ? "identity: registered for X.509, came with a token" : "identity: came without a token";
    }
    *ret_how = token ? "sas" : "x509";
    return token ? check_token(login, identity, name, e->password, ret_expires)
                 : check_certificate(identity, identity->id, e->client);
}

static bool enrolment_signed(const struct hub_identity *enrolment, const char *name,
                             const struct hub_sas *sas)
{
    if (enrolment->auth != HUB_AUTH_SAS) {
        return false;
    }
    if (strncmp(enrolment->id, "group:", 6) != 0) {
        return any_key_signed(sas, enrolment);
    }
    char key[HUB_SAS_KEY_MAX];
    return hub_sas_derive(enrolment->secret, name, key, sizeof key) && hub_sas_verify(sas, key);
}

static const char *check_registration_token(const struct hub_login *login, const char *name,
                                            const char *password, int64_t *ret_expires)
{
    struct hub_sas sas;
    char resource[HUB_SAS_FIELD_MAX];
    const char *why = hub_sas_parse(password, &sas);
    if (why) {
        return why;
    }
    if (strcmp(sas.policy, "registration") != 0) {
        return "token: skn is not registration";
    }
    snprintf(resource, sizeof resource, "%s/registrations/%s", login->id_scope, name);
    if (strcmp(sas.resource, resource) != 0) {
        return "token: sr is not this registration";
    }
    const struct hub_identity *own = hub_registry_find(&login->registry, name);
    bool good = own && enrolment_signed(own, name, &sas);
    for (size_t i = 0; !own && !good && i < login->registry.count; i++) {
        const struct hub_identity *group = &login->registry.identities[i];
        good = strncmp(group->id, "group:", 6) == 0 && enrolment_signed(group, name, &sas);
    }
    if (!good) {
        return "token: signed with another key";
    }
    if (expired(&sas)) {
        return "token: expired";
    }
    *ret_expires = sas.expiry;
    return NULL;
}

static const char *check_registration(const struct hub_login *login, const struct mosquitto_evt_basic_auth *e,
                                      const char *name, int64_t *ret_expires, const char **ret_how)
{
    const char *why = dps_username_check(e->username, name, login->id_scope);
    if (!dps_name_valid(name)) {
        return "registration id: characters or length";
    }
    if (why) {
        return why;
    }
    if (e->password && e->password[0]) {
        *ret_how = "sas";
        return check_registration_token(login, name, e->password, ret_expires);
    }
    *ret_how = "x509";
    const struct hub_identity *own = hub_registry_find(&login->registry, name);
    if (own) {
        return own->auth == HUB_AUTH_SAS ? "enrolment: came without a token"
                                         : check_certificate(own, name, e->client);
    }
    why = "enrolment: unknown";
    for (size_t i = 0; why && i < login->registry.count; i++) {
        const struct hub_identity *group = &login->registry.identities[i];
        if (strncmp(group->id, "group:", 6) == 0 && group->auth == HUB_AUTH_X509_CA) {
            why = check_certificate(group, name, e->client);
        }
    }
    return why;
}

static const char *check_open(const struct hub_login *login, const struct mosquitto_evt_basic_auth *e,
                              const char *name, int64_t *ret_expires, const char **ret_how)
{
    if (login->judge) {
        *ret_how = "judge";
        return hub_judge_ask(login->judge, e, ret_expires);
    }
    const struct hub_identity *identity = hub_registry_find(&login->registry, name);
    if (!identity || !identity->enabled) {
        return identity ? "identity: disabled" : "identity: unknown";
    }
    if (identity->auth == HUB_AUTH_PASSWORD) {
        *ret_how = "password";
        return e->password && hub_identity_lists(identity, e->password) ? NULL : "password: wrong";
    }
    *ret_how = "x509";
    return identity->auth == HUB_AUTH_SAS ? "identity: no SAS tokens here"
                                          : check_certificate(identity, NULL, e->client);
}

const char *hub_login_check(const struct hub_login *login, const struct mosquitto_evt_basic_auth *e,
                            int64_t *ret_expires, const char **ret_how)
{
    const char *name = mosquitto_client_id(e->client);
    if (login->rules == HUB_RULES_OPEN) {
        return check_open(login, e, name, ret_expires, ret_how);
    }
    if (!e->username) {
        return "username: missing";
    }
    return login->rules == HUB_RULES_DPS ? check_registration(login, e, name, ret_expires, ret_how)
                                         : check_device(login, e, name, ret_expires, ret_how);
}

const char *hub_login_ended(const struct hub_login *login, const char *name)
{
    if (login->rules == HUB_RULES_DPS || login->judge) {
        return NULL;
    }
    const struct hub_identity *identity = hub_registry_find(&login->registry, name);
    return identity && identity->enabled ? NULL : "identity: removed or disabled";
}
