/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_record - what the test hub saw, as JSON lines: the verdicts of demo and scenario tests are computed
 * from it.
 *
 *     {"ev":"publish","t":1700000000123,"device":"meter-1","topic":"…","qos":1,"retain":false,"len":17,"payload":"…"}
 *     {"ev":"told", … the same …}       delivered to the device with to/{device}/{topic}
 *     {"ev":"unheard","t":…,"device":"meter-1","reason":"the topic"}    it was away, or had not subscribed
 *     {"ev":"connect","t":…,"device":"meter-1","reason":"sas"}
 *     {"ev":"refused"|"closed"|"disconnect"|"denied"|"subscribe"|"unsubscribe"|"c2d","t":…,"device":"…","reason":"…"}
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
/* event: "publish", or "told" for what was delivered to the device on the service's behalf. */
void hub_record_message(FILE *record, const char *event, const char *device, const char *topic, int qos,
                        bool retain, const void *payload, size_t len);
void hub_record_flush(FILE *record);

/* A JSON string, and bytes as a JSON string of base64; also for other lines than the record's. */
void hub_record_string(FILE *record, const char *text, size_t len);
void hub_record_base64(FILE *record, const uint8_t *p, size_t len);

#endif
