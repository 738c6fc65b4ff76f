/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_judge - asks another process whether a login is good: `plugin_opt_judge PATH` names its UNIX socket.
 *
 * For clouds whose logins are easier to check in Python (tests/peers/judge.py). For each login the plugin
 * connects, writes one line of JSON and waits up to two seconds for one line:
 *
 *     {"client":"…","username":"…","password":"…","certificate":"base64 of DER","chain":""}
 *     ok 1700000000        let in until then (0: without end)
 *     anything else        refused with CONNACK 5; the record says it as the reason
 *
 * A field that the client did not send is null. `chain` is "" when the certificate leads to one of the
 * listener's CAs, otherwise why it does not. The broker stands still meanwhile, so a judge must be quick, and
 * must not talk to the broker before it has answered.
 */
#ifndef TESTS_PEERS_HUB_JUDGE_H
#define TESTS_PEERS_HUB_JUDGE_H

#include <mosquitto_broker.h>
#include <stddef.h>
#include <stdint.h>

/* NULL, or why it is refused; the text stands until the next call. */
const char *hub_judge_ask(const char *path, const struct mosquitto_evt_basic_auth *login,
                          int64_t *ret_expires);

#endif
