/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_levers - what the service makes the test hub do to a client, by `lever/{client}/{what}` with a value as
 * payload; client `*` means everybody, and a client's own setting goes before that. An empty value takes it
 * back.
 *
 *     refuse REASON   CONNACK 5 from now on
 *     quota N         from now on, and from each login: the Nth PUBLISH is not acknowledged but ends the
 *                     connection; 0: it is accepted and ended at once
 *     kick REASON     ended now
 *     slow MS         each PUBLISH of a device takes that long, for the hub as a whole, as a throttled hub's
 */
#ifndef TESTS_PEERS_HUB_LEVERS_H
#define TESTS_PEERS_HUB_LEVERS_H

#include <stdbool.h>
#include <stddef.h>

/* len bytes of value; 0 takes it back. False when there is no memory or the value is too long. */
bool hub_lever_set(const char *client, const char *what, const char *value, size_t len);

/* NULL when nothing is set for the client. */
const char *hub_lever(const char *client, const char *what);
long long hub_lever_number(const char *client, const char *what, long long otherwise);

void hub_levers_free(void);

#endif
