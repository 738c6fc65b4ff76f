/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * retry_after - for how long a server that has had enough wants to be left alone: Retry-After (RFC 9110 section 10.2.3), a number of
 * seconds or a date. Pure.
 *
 * A date is the server's word by the server's clock: it is held against the Date of the same answer, and against ours only where
 * there is none. HOSTILE INPUT: what is neither of the two forms is refused, and no wait is longer than TG_HTTP_LONGEST_WAIT_S.
 */
#ifndef TG_HTTP_RETRY_AFTER_H
#define TG_HTTP_RETRY_AFTER_H

#include "core/http/http_client.h"

#define TG_HTTP_LONGEST_WAIT_S 3600

/* An HTTP-date in one of its three forms (section 5.6.7), in seconds since 1970; the form with two digits for the year means 2000 to
 * 2099. False for anything else, also for a day that is not in the calendar. */
bool tg_http_parse_date(struct tg_bytes value, int64_t *ret_s);
/* After TG_HTTP_HEAD. 1 = *ret_seconds, of TG_HTTP_LONGEST_WAIT_S at most; a date that is past is 0. 0 = the answer does not say.
 * TG_EPROTO = it says something that is neither seconds nor a date, or a date that nothing can be held against. `now_s`: wall time in
 * seconds since 1970, 0 = not known. */
int tg_http_retry_after(const struct tg_http_response *r, int64_t now_s, uint32_t *ret_seconds) TG_CHECKED;

#endif
