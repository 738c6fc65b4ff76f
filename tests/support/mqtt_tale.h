/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_tale - a client core, a virtual clock and a scripted server, whose dealings become a text that a
 * test compares: the expected trace is the assertion and reads as a story.
 *
 *     time dir  packet or event
 *        0 C>   CONNECT dev1 clean=0 keepalive=60
 *       10 S>   CONNACK session=1 rc=0
 *       10 !    connected session=1
 *
 * C> is what the client wrote (parsed by a reader of its own, not by the code under test), S> what the
 * server sent, ! an event or a verdict of the client. What a test sends as server, it gives as bytes.
 */
#ifndef TG_TESTS_SUPPORT_MQTT_TALE_H
#define TG_TESTS_SUPPORT_MQTT_TALE_H

#include "northbound/mqtt/mqtt_client.h"

#define TG_TALE_SLOTS 4

struct tg_tale {
    struct tg_mqtt_client client;
    struct tg_mqtt_slot slots[TG_TALE_SLOTS];
    int64_t now_ms;
    uint8_t out[4096];
    struct tg_writer writer;
    char text[16384];
    size_t text_len;
};

void tg_tale_begin(struct tg_tale *t, const struct tg_mqtt_limits *limits);
/* Fails the test unless the text since the last call is `expected`. */
void tg_tale_expect(struct tg_tale *t, const char *expected);

/* Connects as dev1, and hears CONNACK at once. */
void tg_tale_connect(struct tg_tale *t, bool clean, uint16_t keepalive_s);
void tg_tale_connack(struct tg_tale *t, bool session_present, uint8_t return_code);
/* The server sends these bytes: all that the client makes of them is told. Returns the client's last code. */
int tg_tale_server(struct tg_tale *t, const void *bytes, size_t len);
void tg_tale_puback(struct tg_tale *t, uint16_t packet_id);
/* A PUBLISH from the server on topic "c". */
void tg_tale_message(struct tg_tale *t, uint8_t first_byte, uint16_t packet_id, const char *body);
/* A QoS 1 publish on topic "t", with the tag as its body. */
int tg_tale_publish(struct tg_tale *t, uint64_t tag);
/* Sends all again that is to be sent again. */
void tg_tale_resend_all(struct tg_tale *t);
int tg_tale_subscribe(struct tg_tale *t, const char *filter, uint8_t qos);
void tg_tale_ack(struct tg_tale *t, uint16_t packet_id);
void tg_tale_lose_link(struct tg_tale *t);
/* Time goes on to `ms`, with a tick at each deadline on the way. Returns the last tick's code. */
int tg_tale_until(struct tg_tale *t, int64_t ms);

#endif
