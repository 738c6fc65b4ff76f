/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/aws_jobs.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "northbound/format_json.h"

#define NOTE          "job"
#define NAME_MAX      128
#define STATUS_MAX    64
#define RUNNING_MS    120000 /* commands end after 30 s */
#define ARGUMENTS_MAX 32768  /* a job document's own limit */

static bool is_wanted(const struct tg_cloud_target *t)
{
    return tg_settings_int(t->settings, "jobs") != 0;
}

static void write_prefix(const struct tg_cloud_target *t, struct tg_writer *w)
{
    tg_write_str(w, "$aws/things/");
    tg_write_str(w, t->device_id);
    tg_write_str(w, "/jobs/");
}

int tg_aws_jobs_filters(const struct tg_cloud_target *t, struct tg_writer *scratch,
                        struct tg_bytes *ret_filters)
{
    static const char *const topics[TG_AWS_JOBS_FILTERS] = {"notify-next", "start-next/accepted",
                                                            "start-next/rejected", "+/update/accepted",
                                                            "+/update/rejected"};
    if (!is_wanted(t))
        return 0;
    for (size_t i = 0; i < TG_AWS_JOBS_FILTERS; i++) {
        size_t begin = scratch->len;
        write_prefix(t, scratch);
        tg_write_str(scratch, topics[i]);
        ret_filters[i] = tg_bytes(scratch->data + begin, scratch->len - begin);
    }
    return scratch->failed ? TG_ETOOBIG : TG_AWS_JOBS_FILTERS;
}

static bool publish(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, const char *job,
                    const char *verb, struct tg_writer *body, int64_t now_ms)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer topic = tg_writer_init(memory, sizeof memory);
    write_prefix(talk->target, &topic);
    tg_write_str(&topic, job);
    tg_write_str(&topic, verb);
    if (!topic.failed && !body->failed &&
        talk->io->publish(talk->user, tg_bytes(topic.data, topic.len), tg_bytes(body->data, body->len), 1,
                          false, 0) == TG_OK) {
        tg_aws_request_sent(&j->request, now_ms);
        return true;
    }
    j->state = TG_AWS_JOBS_WAITING;
    tg_aws_request_later(&j->request, now_ms);
    return false;
}

static void write_token(struct tg_aws_jobs *j, struct tg_writer *w)
{
    tg_aws_request_next(&j->request);
    tg_write_str(w, "\"clientToken\":\"");
    tg_aws_request_token(&j->request, w);
    tg_write_str(w, "\"");
}

static void start_next(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    uint8_t memory[80];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    j->job[0] = '\0';
    j->notified = false;
    tg_json_text_free(&j->outcome);
    tg_write_str(&w, "{");
    write_token(j, &w);
    tg_write_str(&w, "}");
    if (publish(j, talk, "", "start-next", &w, now_ms))
        j->state = TG_AWS_JOBS_STARTING;
}

/* --- how it ended ---------------------------------------------------------------------------------------- */

static void send_outcome(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    uint8_t memory[TG_AWS_JOB_OUTCOME_BYTES + 160];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    tg_write_str(&w, "{");
    tg_write_bytes(&w, tg_json_text_view(&j->outcome));
    tg_write_str(&w, ",\"executionNumber\":");
    tg_write_u64_dec(&w, j->execution);
    tg_write_str(&w, ",");
    write_token(j, &w);
    tg_write_str(&w, "}");
    if (publish(j, talk, j->job, "/update", &w, now_ms))
        j->state = TG_AWS_JOBS_ENDING;
}

/* "EXECUTION ID": what tells one run of a job from another. */
static void job_key(const struct tg_aws_jobs *j, char ret_key[TG_AWS_JOB_KEY_BYTES])
{
    snprintf(ret_key, TG_AWS_JOB_KEY_BYTES, "%llu %s", (unsigned long long)j->execution, j->job);
}

/* Notes the job as started (outcome empty) or with its outcome. */
static void note(const struct tg_cloud_talk *talk, const char *key, struct tg_bytes outcome)
{
    uint8_t memory[TG_AWS_JOB_OUTCOME_BYTES + TG_AWS_JOB_KEY_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    tg_write_fmt(&w, "%s\n", key);
    tg_write_bytes(&w, outcome);
    if (!w.failed)
        talk->io->remember(talk->user, NOTE, tg_bytes(w.data, w.len));
}

/* True when the job is the one that is noted; its outcome, empty when there is none, then is in *ret_outcome. */
static bool is_noted(const struct tg_cloud_talk *talk, const char *key, struct tg_bytes *ret_outcome)
{
    struct tg_bytes kept = talk->io->recall(talk->user, NOTE);
    size_t n = strlen(key);
    if (!tg_bytes_starts(kept, key) || kept.len == n || kept.data[n] != '\n')
        return false;
    *ret_outcome = tg_bytes(kept.data + n + 1, kept.len - n - 1);
    return true;
}

/* At most `limit` of the text, cut between characters, without control characters; never empty. */
static void write_detail(struct tg_writer *w, struct tg_bytes text, size_t limit)
{
    char memory[TG_AWS_JOB_DETAIL_BYTES];
    size_t n = text.len < limit ? text.len : limit;
    while (n > 0 && n < text.len && (text.data[n] & 0xC0u) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        memory[i] = (char)(text.data[i] < 0x20 || text.data[i] == 0x7F ? ' ' : text.data[i]);
    tg_format_json_string(w, n > 0 ? tg_bytes(memory, n) : tg_bytes_str("-"));
}

static void write_outcome(struct tg_writer *w, const char *job_status, const char *status, const char *name,
                          struct tg_bytes text)
{
    tg_write_fmt(w, "\"status\":\"%s\",\"statusDetails\":{\"status\":", job_status);
    write_detail(w, tg_bytes_str(status), STATUS_MAX);
    tg_write_fmt(w, ",\"%s\":", name);
    write_detail(w, text, TG_AWS_JOB_DETAIL_BYTES);
    tg_write_str(w, "}");
}

/* False: out of memory. */
static bool keep_outcome(struct tg_aws_jobs *j, struct tg_bytes outcome)
{
    tg_json_text_free(&j->outcome);
    j->outcome.data = tg_malloc(outcome.len);
    if (!j->outcome.data)
        return false;
    memcpy(j->outcome.data, outcome.data, outcome.len);
    j->outcome.len = outcome.len;
    return true;
}

static void end_job(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, const char *job_status,
                    const char *status, const char *name, struct tg_bytes text, int64_t now_ms)
{
    uint8_t memory[TG_AWS_JOB_OUTCOME_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    char key[TG_AWS_JOB_KEY_BYTES];
    write_outcome(&w, job_status, status, name, text);
    if (!keep_outcome(j, tg_bytes(w.data, w.len))) { /* the job is in progress at AWS, so it is found again */
        j->state = TG_AWS_JOBS_RESTING;
        j->request.wake_ms = INT64_MAX;
        return;
    }
    job_key(j, key);
    note(talk, key, tg_json_text_view(&j->outcome));
    send_outcome(j, talk, now_ms);
}

static void end_unknown(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    end_job(j, talk, "FAILED", "unknown", "reason",
            tg_bytes_str("the gateway was restarted while the command ran, or it did not end; its outcome "
                         "is not known"),
            now_ms);
}

void tg_aws_jobs_answer(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk,
                        const struct tg_cloud_event *event)
{
    const char *status = event->status ? event->status : "error";
    const char *job_status = strcmp(status, "ok") == 0 ? "SUCCEEDED" : "FAILED";
    uint8_t memory[TG_AWS_JOB_OUTCOME_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_bytes known;
    char key[TG_AWS_JOB_KEY_BYTES];
    if (!j->running[0] || !tg_bytes_eq_str(event->reply, j->running))
        return;
    job_key(j, key);
    if (j->state == TG_AWS_JOBS_RUNNING && strcmp(key, j->running) == 0) {
        end_job(j, talk, job_status, status, "result", event->payload, event->now_ms);
    } else if (is_noted(talk, j->running, &known)) { /* for when it is asked for again */
        write_outcome(&w, job_status, status, "result", event->payload);
        note(talk, j->running, tg_bytes(w.data, w.len));
    }
    j->running[0] = '\0';
}

/* --- a job that came --------------------------------------------------------------------------------------- */

static void run(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, const char *name, json_t *arguments,
                int64_t now_ms, struct tg_error *err)
{
    static const char what[] = "the job's arguments";
    char id[TG_AWS_JOB_ID_BYTES + 32];
    struct tg_json_text body = {0};
    if (arguments && tg_json_keep(arguments, ARGUMENTS_MAX, what, &body, err) < 0) {
        end_job(j, talk, "REJECTED", "invalid", "reason", tg_bytes_str(err->text), now_ms);
        return;
    }
    snprintf(id, sizeof id, "job:%s:%llu", j->job, (unsigned long long)j->execution);
    j->state = TG_AWS_JOBS_RUNNING;
    j->request.wake_ms = now_ms + RUNNING_MS;
    job_key(j, j->running);
    note(talk, j->running, (struct tg_bytes){0});
    talk->io->command(talk->user, &(struct tg_cloud_command){.message_id = tg_bytes_str(id),
                                                             .name = tg_bytes_str(name),
                                                             .body = arguments ? tg_json_text_view(&body)
                                                                               : tg_bytes_str("{}"),
                                                             .reply = tg_bytes_str(j->running)});
    tg_json_text_free(&body);
}

/* True when it was run before: its outcome is sent, or waited for. */
static bool ran_before(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    char key[TG_AWS_JOB_KEY_BYTES];
    struct tg_bytes outcome;
    job_key(j, key);
    if (!is_noted(talk, key, &outcome))
        return false;
    if (outcome.len > 0 && outcome.len <= TG_AWS_JOB_OUTCOME_BYTES && keep_outcome(j, outcome)) {
        send_outcome(j, talk, now_ms);
    } else if (outcome.len == 0 && strcmp(key, j->running) == 0) {
        j->state = TG_AWS_JOBS_RUNNING;
        j->request.wake_ms = now_ms + RUNNING_MS;
    } else {
        end_unknown(j, talk, now_ms);
    }
    return true;
}

static int take_job(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, json_t *execution,
                    int64_t now_ms, struct tg_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    json_t *document = json_object_get(execution, "jobDocument");
    json_t *arguments = json_object_get(document, "arguments");
    const char *id = tg_json_member_text(execution, "jobId"),
               *name = tg_json_member_text(document, "command");
    char quoted[TG_QUOTE_BYTES];
    if (!id || !id[0] || strlen(id) >= sizeof j->job || strspn(id, allowed) != strlen(id)) {
        j->state = TG_AWS_JOBS_IDLE;
        return tg_error_set(err, TG_EPROTO, "a job is left out: its id %s is none",
                            tg_quote(quoted, id, id ? strlen(id) : 0));
    }
    snprintf(j->job, sizeof j->job, "%s", id);
    j->execution = tg_json_member_number(execution, "executionNumber");
    if (ran_before(j, talk, now_ms))
        return TG_OK;
    if (!name || !name[0] || strlen(name) > NAME_MAX || (arguments && !json_is_object(arguments))) {
        end_job(
            j, talk, "REJECTED", "invalid", "reason",
            tg_bytes_str("the job document is no command: it needs {\"command\": NAME, \"arguments\": {…}}"),
            now_ms);
        return tg_error_set(err, TG_EPROTO, "job %s is rejected: its document is no command", j->job);
    }
    run(j, talk, name, arguments, now_ms, err);
    return TG_OK;
}

/* --- what the service says ----------------------------------------------------------------------------------- */

static int started(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, const json_t *body,
                   int64_t now_ms, struct tg_error *err)
{
    json_t *execution = json_object_get(body, "execution");
    tg_aws_request_answered(&j->request);
    if (json_object_size(execution) > 0)
        return take_job(j, talk, execution, now_ms, err);
    j->state = TG_AWS_JOBS_IDLE;
    if (j->notified)
        start_next(j, talk, now_ms);
    return TG_OK;
}

static int refused(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, const json_t *body,
                   int64_t now_ms, struct tg_error *err)
{
    const char *code = tg_json_member_text(body, "code"), *text = tg_json_member_text(body, "message");
    bool ending = j->state == TG_AWS_JOBS_ENDING;
    char quoted[TG_QUOTE_BYTES];
    const char *then;
    code = code ? code : "";
    if (strcmp(code, "RequestThrottled") == 0 || strcmp(code, "InternalError") == 0) {
        j->state = TG_AWS_JOBS_WAITING;
        tg_aws_request_refused(&j->request, talk->target->device_id, now_ms);
        then = "it is asked again";
    } else if (ending &&
               (strcmp(code, "InvalidStateTransition") == 0 || strcmp(code, "TerminalStateReached") == 0 ||
                strcmp(code, "ResourceNotFound") == 0)) {
        tg_aws_request_answered(&j->request);
        talk->io->remember(talk->user, NOTE, (struct tg_bytes){0});
        start_next(j, talk, now_ms);
        then = "it was ended elsewhere; the next one is asked for";
    } else {
        tg_aws_request_answered(&j->request);
        j->state = TG_AWS_JOBS_RESTING;
        then = "no more jobs are taken until the next connection";
    }
    return tg_error_set(err, TG_EPROTO, "the jobs service refuses %s: %.40s, %s; %s",
                        ending ? "how a job ended" : "to start the next job", code,
                        tg_quote(quoted, text, text ? strlen(text) : 0), then);
}

static int job_message(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, struct tg_bytes rest,
                       const json_t *body, int64_t now_ms, struct tg_error *err)
{
    bool current = tg_aws_request_is_current(&j->request, tg_json_member_text(body, "clientToken"));
    size_t n = strlen(j->job);
    if (tg_bytes_eq_str(rest, "notify-next")) {
        if (json_object_size(json_object_get(body, "execution")) == 0)
            return TG_OK;
        if (j->state == TG_AWS_JOBS_IDLE)
            start_next(j, talk, now_ms);
        else
            j->notified = true;
        return TG_OK;
    }
    if (!current)
        return TG_OK;
    if (j->state == TG_AWS_JOBS_STARTING && tg_bytes_eq_str(rest, "start-next/accepted"))
        return started(j, talk, body, now_ms, err);
    if (j->state == TG_AWS_JOBS_STARTING && tg_bytes_eq_str(rest, "start-next/rejected"))
        return refused(j, talk, body, now_ms, err);
    if (j->state != TG_AWS_JOBS_ENDING || !tg_bytes_starts(rest, j->job))
        return TG_OK;
    rest = tg_bytes(rest.data + n, rest.len - n);
    if (tg_bytes_eq_str(rest, "/update/rejected"))
        return refused(j, talk, body, now_ms, err);
    if (tg_bytes_eq_str(rest, "/update/accepted")) {
        tg_aws_request_answered(&j->request);
        talk->io->remember(talk->user, NOTE, (struct tg_bytes){0});
        start_next(j, talk, now_ms);
    }
    return TG_OK;
}

int tg_aws_jobs_message(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, struct tg_bytes rest,
                        const struct tg_cloud_event *event, struct tg_error *err)
{
    json_t *body;
    int rc;
    if (j->state == TG_AWS_JOBS_OFF)
        return TG_OK; /* kept by the broker from before; the next job is asked for anyway */
    body = tg_json_parse(event->payload, "a message of the jobs service is left out", err);
    if (!body)
        return err->code;
    rc = job_message(j, talk, rest, body, event->now_ms, err);
    json_decref(body);
    return rc;
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

void tg_aws_jobs_begin(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk,
                       const struct tg_cloud_event *event)
{
    tg_aws_jobs_end(j);
    if (!is_wanted(talk->target))
        return;
    tg_aws_request_begin(&j->request, event->wall_ms);
    start_next(j, talk, event->now_ms);
}

void tg_aws_jobs_wake(struct tg_aws_jobs *j, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    if (j->state == TG_AWS_JOBS_OFF || now_ms < j->request.wake_ms)
        return;
    if (j->state == TG_AWS_JOBS_RUNNING) {
        j->running[0] = '\0';
        end_unknown(j, talk, now_ms);
        return;
    }
    if (j->state != TG_AWS_JOBS_WAITING)
        tg_aws_request_silent(&j->request);
    if (j->outcome.len > 0)
        send_outcome(j, talk, now_ms);
    else
        start_next(j, talk, now_ms);
}

void tg_aws_jobs_end(struct tg_aws_jobs *j)
{
    struct tg_aws_jobs off = {.request.wake_ms = INT64_MAX};
    memcpy(off.running, j->running, sizeof off.running);
    tg_json_text_free(&j->outcome);
    *j = off;
}
