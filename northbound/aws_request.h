/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * aws_request - the one request that a part of a session (shadow, jobs) has outstanding at AWS IoT: its client token, and when to
 * ask again. Pure: time is passed in; the spread between devices comes from their names.
 *
 *     tg_aws_request_begin(&r, wall_ms);                      a new connection: tokens of the last one are no longer ours
 *     tg_aws_request_next(&r); tg_aws_request_token(&r, &w);  … publish …
 *     tg_aws_request_sent(&r, now);                           or _later() when there was no room
 *     tg_aws_request_answered(&r);                            or _refused() for 429 and 5xx
 *
 * No answer: 20 s, doubling to 320 s with each that is missing in a row. Refused: 1 s, doubling to 64 s, less up to half of
 * it. No room: 1 s.
 */
#ifndef TG_NORTHBOUND_AWS_REQUEST_H
#define TG_NORTHBOUND_AWS_REQUEST_H

#include "core/base/bytes.h"

#define TG_AWS_TOKEN_BYTES 40 /* AWS takes 64 */

struct tg_aws_request {
    char prefix[24]; /* of this connection's tokens */
    uint32_t serial; /* of the outstanding request, or of the last one */
    uint32_t refusals, silences;
    int64_t wake_ms; /* INT64_MAX = nothing is waited for */
};

void tg_aws_request_begin(struct tg_aws_request *r, int64_t wall_ms);
void tg_aws_request_next(struct tg_aws_request *r);
/* Appends the token of the current request, without quotes. */
void tg_aws_request_token(const struct tg_aws_request *r, struct tg_writer *w);
void tg_aws_request_sent(struct tg_aws_request *r, int64_t now_ms);
void tg_aws_request_later(struct tg_aws_request *r, int64_t now_ms);
void tg_aws_request_answered(struct tg_aws_request *r);
void tg_aws_request_refused(struct tg_aws_request *r, const char *device_id, int64_t now_ms);
/* The time for an answer is over: counts, for the next _sent(). */
void tg_aws_request_silent(struct tg_aws_request *r);

/* `token` (may be NULL) belongs to the current request; to any of this connection. */
bool tg_aws_request_is_current(const struct tg_aws_request *r, const char *token);
bool tg_aws_request_is_ours(const struct tg_aws_request *r, const char *token);

#endif
