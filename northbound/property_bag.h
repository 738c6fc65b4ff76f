/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * property_bag - the `k=v&k=v` list that Azure IoT Hub puts at the end of a topic (cloud.md A): system properties
 * begin with "$.", names and values are percent-encoded, `key` is null, `key=` is empty. Pure; the input comes from
 * the cloud and is bounded by the topic's length.
 */
#ifndef TG_NORTHBOUND_PROPERTY_BAG_H
#define TG_NORTHBOUND_PROPERTY_BAG_H

#include "core/base/bytes.h"

/* Appends one property, with '&' before it unless it is the first. */
void tg_property_bag_put(struct tg_writer *w, bool *first, struct tg_bytes name, struct tg_bytes value);

struct tg_property {
    struct tg_bytes name, value; /* decoded, in the scratch */
    bool is_null;                /* no '=' */
};

struct tg_property_reader {
    struct tg_bytes rest;
};

/* 1 = *ret_property is filled, 0 = end, TG_EPROTO (broken escape), TG_ETOOBIG (scratch). Empty items are passed over. */
int tg_property_bag_next(struct tg_property_reader *r, struct tg_writer *scratch,
                         struct tg_property *ret_property) TG_CHECKED;

#endif
