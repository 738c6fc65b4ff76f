/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_registry - the test hub's identity registry: a text file, a line per identity.
 *
 *     # id             auth             secret                           state
 *     meter-1          sas              BASE64KEY[,BASE64KEY]            enabled
 *     meter-2          x509-ca          -                                enabled
 *     meter-3          x509-thumbprint  SHA1HEX|SHA256HEX[,…]            disabled
 *     line-1/module-a  sas              BASE64KEY                        enabled
 *     policy:device    sas              BASE64KEY                        enabled
 *     group:meters     sas              BASE64KEY                        enabled
 *     client-7         password         SECRET[,SECRET]                  enabled
 *
 * A module is written device/module; a policy key (a token with skn=) stands under policy:NAME, an enrolment
 * group of the provisioning service under group:NAME. `password` is for clouds of the open rules (hub_login.h).
 */
#ifndef TESTS_PEERS_HUB_REGISTRY_H
#define TESTS_PEERS_HUB_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

enum hub_auth { HUB_AUTH_SAS, HUB_AUTH_X509_CA, HUB_AUTH_X509_THUMBPRINT, HUB_AUTH_PASSWORD };

struct hub_identity {
    char id[272]; /* device and module: 128 characters each */
    enum hub_auth auth;
    char secret[272];
    bool enabled;
};

struct hub_registry {
    struct hub_identity *identities;
    size_t count;
};

/* Replaces what *registry holds (zeroed at first). On failure it is untouched and `why` says which line. */
bool hub_registry_load(struct hub_registry *registry, const char *path, char *why, size_t why_size);
void hub_registry_free(struct hub_registry *registry);

/* NULL when there is none. */
const struct hub_identity *hub_registry_find(const struct hub_registry *registry, const char *id);

/* Whether `item` is one of the comma-separated entries of the identity's secret, without regard to case. */
bool hub_identity_lists(const struct hub_identity *identity, const char *item);

#endif
