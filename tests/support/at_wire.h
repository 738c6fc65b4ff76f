/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_wire - an AT conversation on a virtual wire and a virtual clock: what it sends and tells is recorded.
 *
 * Everything that can happen at one moment happens before a function returns. Time moves only in
 * tg_at_wire_advance() and tg_at_wire_wait_tx(), from deadline to deadline.
 */
#ifndef TG_TESTS_SUPPORT_AT_WIRE_H
#define TG_TESTS_SUPPORT_AT_WIRE_H

#include <jansson.h>

#include "southbound/at_chat.h"

struct tg_at_wire {
    struct tg_at_chat chat;
    int64_t now_ms;
    uint8_t tx[8192];
    size_t tx_len;
    json_t *results; /* {command, status, code?, final, lines, payload_hex?, truncated} */
    json_t *urcs;    /* a text, or an array of two */
    json_t *others;
    unsigned synced, lost, reboots;
    size_t data_bytes;  /* that came in state DATA */
    bool answer_probes; /* "AT" while resynchronising is answered OK at once */
    size_t chunk;       /* bytes per read; 0 = all at once */
    uint32_t random;    /* not 0: reads of 1 … chunk bytes, by this generator */
};

void tg_at_wire_init(struct tg_at_wire *w, const struct tg_at_chat_config *config);
void tg_at_wire_fini(struct tg_at_wire *w);
/* Lets happen what is due now. */
void tg_at_wire_settle(struct tg_at_wire *w);
void tg_at_wire_rx(struct tg_at_wire *w, const void *data, size_t len);
void tg_at_wire_rx_str(struct tg_at_wire *w, const char *text);
void tg_at_wire_advance(struct tg_at_wire *w, int64_t ms);
/* Lets time run until something was sent, at most limit_ms. */
bool tg_at_wire_wait_tx(struct tg_at_wire *w, int64_t limit_ms);
/* Takes `text` from the front of what was sent; false when it is not there. */
bool tg_at_wire_take(struct tg_at_wire *w, const void *text, size_t len);
/* Bytes as a JSON text, one code point each. */
json_t *tg_at_wire_text(struct tg_bytes bytes);
/* A JSON text's code points, which are up to 255, as bytes; the number of bytes. */
size_t tg_at_wire_bytes(const json_t *text, uint8_t *ret_bytes, size_t cap);

#endif
