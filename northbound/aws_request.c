/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/aws_request.h"

#include <stdio.h>

#define ANSWER_MS      20000
#define ROOM_MS        1000
#define BACKOFF_MS     1000
#define MOST_DOUBLINGS 6 /* of the back-off: 64 s */
#define MOST_SILENCES  4 /* doublings: 320 s */

void tg_aws_request_begin(struct tg_aws_request *r, int64_t wall_ms)
{
    *r = (struct tg_aws_request){.wake_ms = INT64_MAX};
    snprintf(r->prefix, sizeof r->prefix, "tg%llx-", (unsigned long long)wall_ms);
}

void tg_aws_request_next(struct tg_aws_request *r)
{
    r->serial++;
}

void tg_aws_request_token(const struct tg_aws_request *r, struct tg_writer *w)
{
    tg_write_str(w, r->prefix);
    tg_write_u64_dec(w, r->serial);
}

void tg_aws_request_sent(struct tg_aws_request *r, int64_t now_ms)
{
    r->wake_ms = now_ms + ((int64_t)ANSWER_MS << r->silences);
}

void tg_aws_request_later(struct tg_aws_request *r, int64_t now_ms)
{
    r->wake_ms = now_ms + ROOM_MS;
}

void tg_aws_request_answered(struct tg_aws_request *r)
{
    r->wake_ms = INT64_MAX;
    r->refusals = r->silences = 0;
}

void tg_aws_request_refused(struct tg_aws_request *r, const char *device_id, int64_t now_ms)
{
    int64_t delay_ms = (int64_t)BACKOFF_MS << r->refusals;
    uint64_t h = 14695981039346656037u + r->serial; /* FNV-1a */
    for (const char *p = device_id; *p; p++)
        h = (h ^ (uint8_t)*p) * 1099511628211u;
    r->wake_ms = now_ms + delay_ms - (int64_t)((h >> 32) % ((uint64_t)delay_ms / 2));
    r->silences = 0;
    if (r->refusals < MOST_DOUBLINGS)
        r->refusals++;
}

void tg_aws_request_silent(struct tg_aws_request *r)
{
    r->wake_ms = INT64_MAX;
    if (r->silences < MOST_SILENCES)
        r->silences++;
}

bool tg_aws_request_is_current(const struct tg_aws_request *r, const char *token)
{
    char memory[TG_AWS_TOKEN_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    tg_aws_request_token(r, &w);
    return token && tg_bytes_eq_str(tg_bytes(w.data, w.len), token);
}

bool tg_aws_request_is_ours(const struct tg_aws_request *r, const char *token)
{
    return token && r->prefix[0] && strncmp(token, r->prefix, strlen(r->prefix)) == 0;
}
