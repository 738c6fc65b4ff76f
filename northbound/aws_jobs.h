/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * aws_jobs - jobs of one session of AWS IoT Core (AWS docs "Jobs device MQTT and HTTPS APIs"; cloud.md D): a state machine in the
 * shape of cloud.h, driven by aws_iot.c. A job is one command: its document is
 *
 *     {"command": "set", "arguments": {"relay": true}}
 *
 *     begin ─► start-next ─► a job ─► command ─► ANSWER ─► update SUCCEEDED or FAILED ─► start-next ─► none: IDLE
 *                 ▲                                                                                    │
 *                 └──────────────────────────────── notify-next with a job ◄───────────────────────────┘
 *
 * One job is under way at a time. A document that is no command is answered REJECTED with the reason. statusDetails are
 * {"status", "result"}: the command's status and its JSON result, cut at 1024 characters, or {"status", "reason"}.
 *
 * ONCE   What is run is noted first (note "job": execution, id, how it ended; durable before the command runs, because the
 *        command has a message id). Should the same execution come again, after a restart or a broken connection, it is not
 *        run: the outcome that was noted is sent; when the command still runs, its end is waited for; and FAILED with
 *        "unknown" is sent when nobody knows (the gateway was restarted meanwhile). An answer that comes while there is no
 *        connection, or another one, is noted (late_answers). The note goes when AWS has taken the outcome.
 * AGAIN  RequestThrottled, InternalError and no answer: see aws_request.h. An outcome that is refused otherwise is given up; when
 *        the job still is not at its end then, jobs rest until the next connection, for it would come again at once.
 */
#ifndef TG_NORTHBOUND_AWS_JOBS_H
#define TG_NORTHBOUND_AWS_JOBS_H

#include "northbound/json_document.h"
#include "northbound/aws_request.h"
#include "northbound/cloud.h"

#define TG_AWS_JOBS_FILTERS     5
#define TG_AWS_JOB_ID_BYTES     65
#define TG_AWS_JOB_KEY_BYTES    (TG_AWS_JOB_ID_BYTES + 32)
#define TG_AWS_JOB_DETAIL_BYTES 1024
#define TG_AWS_JOB_OUTCOME_BYTES                                                                             \
    4096 /* of status and details as JSON: each byte of the detail becomes three at most */

enum tg_aws_jobs_state {
    TG_AWS_JOBS_OFF = 0, /* begin() → STARTING */
    TG_AWS_JOBS_IDLE,    /* notify-next → STARTING */
    TG_AWS_JOBS_STARTING, /* a job → RUNNING or ENDING; none → IDLE; throttled → WAITING; no answer → STARTING */
    TG_AWS_JOBS_RUNNING, /* ANSWER, or none after 2 min → ENDING */
    TG_AWS_JOBS_ENDING, /* accepted → STARTING; throttled → WAITING; no answer → ENDING; refused → STARTING, RESTING */
    TG_AWS_JOBS_WAITING, /* its time → STARTING, or ENDING when there is an outcome */
    TG_AWS_JOBS_RESTING  /* OFFLINE → OFF */
};

/* Zero-initialised; part of the session's memory. */
struct tg_aws_jobs {
    enum tg_aws_jobs_state state;
    bool notified; /* of a next job, while something was outstanding */
    struct tg_aws_request request;
    char running
        [TG_AWS_JOB_KEY_BYTES]; /* execution and id whose command has not ended; "" = none. Kept over connections */
    char job[TG_AWS_JOB_ID_BYTES]; /* "" = none */
    uint64_t execution;
    struct tg_json_text outcome; /* "status":"…","statusDetails":{…}; empty = none yet */
};
/* Its TG_AWS_JOBS_FILTERS filters, texts in the scratch; 0 = not wanted, TG_ETOOBIG. */
int tg_aws_jobs_filters(const struct tg_cloud_target *t, struct tg_writer *scratch,
                        struct tg_bytes *ret_filters);

/* The subscriptions are granted. */
void tg_aws_jobs_begin(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk,
                       const struct tg_cloud_event *event);
/* A message below $aws/things/{thing}/jobs/; `rest` is what follows. Negative with err: to be logged. */
int tg_aws_jobs_message(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, struct tg_bytes rest,
                        const struct tg_cloud_event *event, struct tg_error *err) TG_CHECKED;
void tg_aws_jobs_answer(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk,
                        const struct tg_cloud_event *event);
void tg_aws_jobs_wake(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, int64_t now_ms);
/* OFFLINE and END: back to OFF, nothing is allocated any more. What runs is remembered. */
void tg_aws_jobs_end(struct tg_aws_jobs *j);

#endif
