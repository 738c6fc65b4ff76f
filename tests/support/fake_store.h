/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fake_store - numbers samples and forgets them, for tests of the router and of what stands before it.
 */
#ifndef TG_TESTS_SUPPORT_FAKE_STORE_H
#define TG_TESTS_SUPPORT_FAKE_STORE_H

#include "store/store.h"

struct tg_store {
    uint64_t seq;
    uint64_t urgent; /* of these, samples with priority */
    int append_rc;   /* what append says instead, when not 0 */
};

#endif
