/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_login - who may come in, by the rules of three kinds of cloud.
 *
 * HUB_RULES_HUB   IoT Hub: user name, SAS token or certificate of the registered identity.
 * HUB_RULES_DPS   the provisioning service: the same for the registration id, with `skn=registration`; the
 *                 registry has individual enrolments under the registration id, group enrolments under
 *                 group:NAME (sas: the group's key, from which a device derives its own; x509-ca: any
 *                 registration id that its certificate names). A disabled enrolment comes in: the service
 *                 says so.
 * HUB_RULES_OPEN  any other cloud: the judge decides (hub_judge.h); without one the registry does, by client
 *                 id: `password` compares it with the secret, x509-… looks at the certificate (of x509-ca
 *                 only the chain). The user name is free.
 */
#ifndef TESTS_PEERS_HUB_LOGIN_H
#define TESTS_PEERS_HUB_LOGIN_H

#include "tests/peers/hub_registry.h"

#include <mosquitto_broker.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum hub_rules { HUB_RULES_HUB, HUB_RULES_DPS, HUB_RULES_OPEN };

struct hub_login {
    enum hub_rules rules;
    const char *registry_path;
    struct hub_registry registry; /* as it was read last */
    struct stat registry_stat;
    const char *hosts;    /* comma-separated; HUB_RULES_HUB */
    const char *id_scope; /* HUB_RULES_DPS */
    const char *judge;    /* path of its socket, or NULL; HUB_RULES_OPEN */
};

/* Reads the registry when its file has changed. On failure the old one stays and `why` says what is wrong. */
bool hub_login_refresh(struct hub_login *login, char *why, size_t why_size);

/* NULL, or why the client is refused. *ret_how says which credential it was ("sas", "x509", …); *ret_expires
 * is when the login ends (Unix seconds, 0 = never). */
const char *hub_login_check(const struct hub_login *login, const struct mosquitto_evt_basic_auth *e,
                            int64_t *ret_expires, const char **ret_how);

/* NULL, or why a client that is in has to go: its identity was removed or disabled. */
const char *hub_login_ended(const struct hub_login *login, const char *name);

#endif
