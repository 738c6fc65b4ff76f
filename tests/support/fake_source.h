/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fake_source - stands where a running source stands for the router: notes the requests and leaves the
 * answers to the test.
 */
#ifndef TG_TESTS_SUPPORT_FAKE_SOURCE_H
#define TG_TESTS_SUPPORT_FAKE_SOURCE_H

#include "southbound/plugin_host.h"

#define TG_FAKE_MAX_REQUESTS 1024

struct tg_fake_request {
    uint64_t request;
    uint32_t device, point;
    bool is_write;
    struct tg_value value;
    char text[1100]; /* of a text value; else "NAME JSON" of a command, cut */
};

struct tg_source_host {
    struct tg_fake_request requests[TG_FAKE_MAX_REQUESTS];
    uint32_t count, interval_count, interval_device, interval_point; /* of the last interval that was set */
    int64_t interval_ms;
    void (*at_once)(const struct tg_fake_request *q); /* may answer on this stack; NULL = nobody does */
    const char *refuses; /* what the plugin's check says of every text value; NULL = it takes all */
    int refuses_with;
};

#endif
