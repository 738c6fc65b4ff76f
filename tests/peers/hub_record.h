/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_record - what the test hub saw, as JSON lines: the verdicts of demo and scenario tests are computed
 * from it.
 *
 *     {"ev":"publish","t":1700000000123,"device":"meter-1","topic":"…","qos":1,"retain":false,"len":17,"payload":"…"}
 *     {"ev":"connect","t":…,"device":"meter-1","reason":"sas"}
 *     {"ev":"refused"|"closed"|"disconnect"|"subscribe"|"c2d","t":…,"device":"…","reason":"…"}
 *
 * `t` is Unix milliseconds. A payload that is no printable UTF-8 stands under "payload_b64". Written through
 * a buffer; hub_record_flush() puts whole lines into the file. The DUP flag is missing: a mosquitto plugin
 * cannot see it.
 */
#ifndef TESTS_PEERS_HUB_RECORD_H
#define TESTS_PEERS_HUB_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

bool hub_record_open(FILE **ret_record, const char *path);
void hub_record_event(FILE *record, const char *event, const char *device, const char *reason);
void hub_record_publish(FILE *record, const char *device, const char *topic, int qos, bool retain,
                        const void *payload, size_t len);
void hub_record_flush(FILE *record);

#endif
