/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * twin_rig - one device's twin at an IoT hub, played by the test: what it asks for, what it is answered, what it makes of that.
 */
#ifndef TESTS_SUPPORT_TWIN_RIG_H
#define TESTS_SUPPORT_TWIN_RIG_H

#include "northbound/azure_hub.h"
#include "support/talk_rig.h"

#define TWIN_DESIRED "$iothub/twin/PATCH/properties/desired/?$version="
#define TWIN_BEGIN   1000000 /* ms */

extern struct twin_rig {
    struct talk_rig rig;
    struct tg_cloud_target target;
    struct tg_settings *settings;
} twin;

/* Of each test. */
int twin_begin(void **state);
int twin_end(void **state);
void twin_online(void);
void twin_wake_at(int64_t ms);
int twin_report(const char *twin_patch);
unsigned twin_get_asked(void);
unsigned twin_report_sent(const char *body);
int twin_answer(unsigned status, unsigned rid, const char *body);
/* Brings the twin to KNOWN with that body. */
void twin_know(const char *body);
void twin_patch(const char *version, const char *body, int rc);
void twin_desired_is(bool whole, uint64_t version, const char *json);

#endif
