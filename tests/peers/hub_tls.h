/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_tls - makes one mosquitto listener ask for a client certificate without insisting, as the hub does.
 *
 * The hub serves SAS and X.509 devices on one port: it sends CertificateRequest in every handshake, takes an
 * empty answer from SAS devices, takes a self-signed certificate (judged by thumbprint) and says no only in
 * CONNACK. mosquitto knows "require" or "do not ask". Hence hub_rules.so is also preloaded into the broker
 * (LD_LIBRARY_PATH to its folder, LD_PRELOAD=hub_rules.so: LD_PRELOAD itself allows no space in a path) and
 * stands in front of OpenSSL's SSL_CTX_set_verify(): it asks, lets the handshake pass, and remembers what the
 * chain was worth. mosquitto's `cafile` is the list of registered CAs.
 */
#ifndef TESTS_PEERS_HUB_TLS_H
#define TESTS_PEERS_HUB_TLS_H

#include <stdbool.h>
#include <stdint.h>

#define HUB_DIGEST_BYTES 32

/* Whether hub_rules.so stands in front of OpenSSL in this process. */
bool hub_tls_preloaded(void);

/* NULL when the certificate with this SHA-256 was presented with a chain up to a registered CA; otherwise the
 * reason. */
const char *hub_tls_chain_problem(const uint8_t digest[HUB_DIGEST_BYTES]);

#endif
