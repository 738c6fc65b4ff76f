/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * percent - percent-encoding (RFC 3986) with the three character sets that the hubs' own SDKs use, and decoding. Pure.
 */
#ifndef TG_NORTHBOUND_PERCENT_H
#define TG_NORTHBOUND_PERCENT_H

#include "core/base/bytes.h"

enum tg_percent_set {
    TG_PERCENT_SAS, /* keeps A-Za-z0-9 - _ . ~ ; '*' becomes %2a (lower case), as the hub's SDK writes it */
    TG_PERCENT_PROPERTY /* keeps ! ' ( ) * too: names and values in an MQTT topic */
};

void tg_percent_encode(struct tg_writer *w, struct tg_bytes text, enum tg_percent_set set);
/* Decoded bytes go to w; a broken escape (%, %4, %zz) is TG_EPROTO. '+' stays '+'. */
int tg_percent_decode(struct tg_writer *w, struct tg_bytes text) TG_CHECKED;

#endif
