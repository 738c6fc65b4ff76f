/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/aws_shadow.h"

#include "core/base/allocator.h"
#include "northbound/format_json.h"

#define ENVELOPE_BYTES  256 /* of an update: state, version and token around the properties */
#define QUICK_CONFLICTS 2   /* in a row, before it waits */
#define CODE_NOT_FOUND  404
#define CODE_CONFLICT   409
#define CODE_TOO_MANY   429
#define CODE_SERVER     500

bool tg_aws_shadow_wanted(const struct tg_cloud_target *t, const char **ret_name)
{
    const char *shadow = tg_settings_text(t->settings, "shadow");
    if (!shadow || strcmp(shadow, "off") == 0)
        return false;
    *ret_name = strcmp(shadow, "classic") == 0 ? NULL : shadow;
    return true;
}

void tg_aws_shadow_prefix(const struct tg_cloud_target *t, struct tg_writer *w)
{
    const char *name = NULL;
    (void)tg_aws_shadow_wanted(t, &name);
    tg_write_str(w, "$aws/things/");
    tg_write_str(w, t->device_id);
    tg_write_str(w, "/shadow");
    if (name) {
        tg_write_str(w, "/name/");
        tg_write_str(w, name);
    }
}

int tg_aws_shadow_filters(const struct tg_cloud_target *t, struct tg_writer *scratch,
                          struct tg_bytes *ret_filters)
{
    static const char *const topics[TG_AWS_SHADOW_FILTERS] = {
        "/get/accepted", "/get/rejected", "/update/delta", "/update/accepted", "/update/rejected"};
    const char *name;
    if (!tg_aws_shadow_wanted(t, &name))
        return 0;
    for (size_t i = 0; i < TG_AWS_SHADOW_FILTERS; i++) {
        size_t begin = scratch->len;
        tg_aws_shadow_prefix(t, scratch);
        tg_write_str(scratch, topics[i]);
        ret_filters[i] = tg_bytes(scratch->data + begin, scratch->len - begin);
    }
    return scratch->failed ? TG_ETOOBIG : TG_AWS_SHADOW_FILTERS;
}

static int publish(const struct tg_cloud_talk *talk, const char *verb, struct tg_bytes payload)
{
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer topic = tg_writer_init(memory, sizeof memory);
    tg_aws_shadow_prefix(talk->target, &topic);
    tg_write_str(&topic, verb);
    return topic.failed
               ? TG_ETOOBIG
               : talk->io->publish(talk->user, tg_bytes(topic.data, topic.len), payload, 1, false, 0);
}

static void get(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    uint8_t memory[80];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    s->must_get = true;
    tg_aws_request_next(&s->request);
    tg_write_str(&w, "{\"clientToken\":\"");
    tg_aws_request_token(&s->request, &w);
    tg_write_str(&w, "\"}");
    if (publish(talk, "/get", tg_bytes(w.data, w.len)) < 0) {
        s->state = TG_AWS_SHADOW_WAITING;
        tg_aws_request_later(&s->request, now_ms);
        return;
    }
    s->state = TG_AWS_SHADOW_GETTING;
    tg_aws_request_sent(&s->request, now_ms);
}

/* --- reported ------------------------------------------------------------------------------------------ */

/* The difference to what the shadow has, as an update; TG_EAGAIN when there is none. *ret_sending is given. */
static int write_update(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, struct tg_writer *w,
                        struct tg_json_text *ret_sending, struct tg_error *err)
{
    static const char what[] = "the reported properties";
    struct tg_bytes known = s->reported.len ? tg_json_text_view(&s->reported) : tg_bytes_str("{}");
    json_t *have = tg_json_parse(known, what, err), *diff = NULL;
    json_t *want = tg_json_parse(talk->io->reported(talk->user), what, err);
    int rc = have && want ? TG_OK : TG_EPROTO;
    if (rc == TG_OK && (diff = tg_json_diff(have, want)) == NULL)
        rc = tg_error_set(err, TG_ENOMEM, "%s: out of memory", what);
    if (rc == TG_OK && json_object_size(diff) == 0)
        rc = TG_EAGAIN;
    if (rc == TG_OK)
        rc = tg_json_keep(want, TG_AWS_SHADOW_MAX_BYTES, what, ret_sending, err);
    if (rc == TG_OK) {
        tg_aws_request_next(&s->request);
        tg_write_str(w, "{\"state\":{\"reported\":");
        tg_json_write(w, diff);
        tg_write_str(w, "},\"clientToken\":\"");
        tg_aws_request_token(&s->request, w);
        tg_write_str(w, "\"");
        if (s->version > 0) {
            tg_write_str(w, ",\"version\":");
            tg_write_u64_dec(w, s->version);
        }
        tg_write_str(w, "}");
        if (w->failed) { /* removals can make the difference larger than what it leads to */
            tg_json_text_free(ret_sending);
            rc = tg_error_set(err, TG_ETOOBIG, "%s: their change is more than %d bytes", what,
                              TG_AWS_SHADOW_MAX_BYTES);
        }
    }
    json_decref(have);
    json_decref(want);
    json_decref(diff);
    return rc;
}

/* In READY or WAITING, with nothing outstanding. What cannot be sent is told, once. */
static void report(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    uint8_t memory[TG_AWS_SHADOW_MAX_BYTES + ENVELOPE_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_json_text sending = {0};
    struct tg_error err = {0};
    int rc = write_update(s, talk, &w, &sending, &err);
    bool left_out = rc < 0 && rc != TG_EAGAIN;
    s->state = TG_AWS_SHADOW_READY;
    s->request.wake_ms = INT64_MAX;
    if (left_out && !s->told) {
        (void)tg_error_wrap(&err, "the shadow is not updated");
        talk->io->say(talk->user, TG_LOG_WARN, err.text);
    }
    s->told = left_out;
    if (rc < 0)
        return;
    if (publish(talk, "/update", tg_bytes(w.data, w.len)) < 0) {
        tg_json_text_free(&sending);
        s->state = TG_AWS_SHADOW_WAITING;
        tg_aws_request_later(&s->request, now_ms);
        return;
    }
    tg_json_text_free(&s->sending);
    s->sending = sending;
    s->state = TG_AWS_SHADOW_UPDATING;
    tg_aws_request_sent(&s->request, now_ms);
}

/* --- desired ------------------------------------------------------------------------------------------- */

/* Gives `state` (NULL = {}) to the session and keeps what the whole then is. `wish`: given also when nothing is new. */
static int give_desired(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, json_t *state, bool whole,
                        bool wish, uint64_t version, struct tg_error *err)
{
    static const char what[] = "the shadow's desired properties are left out";
    struct tg_bytes known = s->desired.len ? tg_json_text_view(&s->desired) : tg_bytes_str("{}");
    struct tg_json_text text = {0}, kept = {0};
    json_t *before = tg_json_parse(known, what, err), *after = NULL, *empty = NULL;
    int rc = before ? TG_OK : TG_ENOMEM;
    if (!json_is_object(state))
        state = empty = json_object();
    if (rc == TG_OK) {
        after = whole ? json_incref(state) : json_deep_copy(before);
        if (!after || !state || (!whole && tg_json_patch(after, state) < 0))
            rc = tg_error_set(err, TG_ENOMEM, "%s: out of memory", what);
    }
    if (rc == TG_OK)
        rc = tg_json_keep(after, TG_AWS_SHADOW_TAKE_BYTES, what, &kept, err);
    if (rc == TG_OK && (wish || !json_equal(before, after)))
        rc = tg_json_keep(state, TG_AWS_SHADOW_TAKE_BYTES, what, &text, err);
    if (rc == TG_OK) {
        tg_json_text_free(&s->desired);
        s->desired = kept;
        s->desired_version = version;
        if (text.data)
            talk->io->desired(talk->user, &(struct tg_cloud_desired){.whole = whole,
                                                                     .version = version,
                                                                     .json = tg_json_text_view(&text)});
    } else {
        tg_json_text_free(&kept);
    }
    tg_json_text_free(&text);
    json_decref(before);
    json_decref(after);
    json_decref(empty);
    return rc;
}

/* --- what the shadow service says ------------------------------------------------------------------------ */

static int refused(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, const json_t *body,
                   int64_t now_ms, struct tg_error *err)
{
    bool got = s->state == TG_AWS_SHADOW_GETTING;
    uint64_t code = tg_json_member_number(body, "code");
    const char *text = tg_json_member_text(body, "message");
    char quoted[TG_QUOTE_BYTES];
    bool again = code == CODE_TOO_MANY || code >= CODE_SERVER;
    if (again) {
        s->state = TG_AWS_SHADOW_WAITING;
        tg_aws_request_refused(&s->request, talk->target->device_id, now_ms);
    } else {
        s->state = got ? TG_AWS_SHADOW_REFUSED : TG_AWS_SHADOW_READY;
        tg_aws_request_answered(&s->request);
    }
    return tg_error_set(err, again ? TG_EBUSY : TG_EPROTO, "the shadow service refuses %s: code %llu, %s; %s",
                        got ? "to give the document" : "the reported properties", (unsigned long long)code,
                        tg_quote(quoted, text, text ? strlen(text) : 0),
                        again ? "it is asked again"
                        : got ? "the shadow is not used until the next connection"
                              : "they are sent again with the next change");
}

static int get_accepted(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, const json_t *body,
                        int64_t now_ms, struct tg_error *err)
{
    json_t *state = json_object_get(body, "state"), *reported = json_object_get(state, "reported");
    uint64_t version = tg_json_member_number(body, "version");
    struct tg_json_text known = {0};
    struct tg_error second = {0};
    int rc = TG_OK, rc2;
    tg_aws_request_answered(&s->request);
    if (body && version < s->desired_version && !s->asked_twice) { /* a delta has overtaken this answer */
        s->asked_twice = true;
        get(s, talk, now_ms);
        return TG_OK;
    }
    s->asked_twice = false;
    s->must_get = false;
    s->state = TG_AWS_SHADOW_READY;
    s->version = version;
    if (json_is_object(reported))
        rc =
            tg_json_keep(reported, TG_AWS_SHADOW_TAKE_BYTES, "the shadow's reported properties", &known, err);
    tg_json_text_free(&s->reported);
    s->reported = known;
    rc2 =
        give_desired(s, talk, json_object_get(state, "desired"), true, true, version, rc < 0 ? &second : err);
    report(s, talk, now_ms);
    return rc < 0 ? rc : rc2;
}

static int get_rejected(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, const json_t *body,
                        int64_t now_ms, struct tg_error *err)
{
    return tg_json_member_number(body, "code") == CODE_NOT_FOUND
               ? get_accepted(s, talk, NULL, now_ms, err) /* an empty one: the first report makes it */
               : refused(s, talk, body, now_ms, err);
}

/* An update that was accepted: this session's, or another client's. */
static void update_accepted(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, const json_t *body,
                            int64_t now_ms)
{
    const char *token = tg_json_member_text(body, "clientToken");
    json_t *state = json_object_get(body, "state"), *desired = json_object_get(state, "desired");
    uint64_t version = tg_json_member_number(body, "version");
    bool current = s->state == TG_AWS_SHADOW_UPDATING && tg_aws_request_is_current(&s->request, token);
    s->version = version > s->version ? version : s->version;
    if (current) {
        tg_json_text_free(&s->reported);
        s->reported = s->sending;
        s->sending = (struct tg_json_text){0};
        tg_aws_request_answered(&s->request);
        s->state = TG_AWS_SHADOW_READY;
        s->conflicts = 0;
    } else if (!tg_aws_request_is_ours(&s->request, token) &&
               (json_object_get(state, "reported") || json_is_null(desired) || tg_json_removes(desired))) {
        s->must_get = true;
    }
    if (s->state != TG_AWS_SHADOW_READY)
        return;
    if (s->must_get)
        get(s, talk, now_ms);
    else if (current)
        report(s, talk, now_ms);
}

static int update_rejected(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, const json_t *body,
                           int64_t now_ms, struct tg_error *err)
{
    if (s->state != TG_AWS_SHADOW_UPDATING ||
        !tg_aws_request_is_current(&s->request, tg_json_member_text(body, "clientToken")))
        return TG_OK;
    tg_json_text_free(&s->sending);
    if (tg_json_member_number(body, "code") != CODE_CONFLICT)
        return refused(s, talk, body, now_ms, err);
    tg_aws_request_answered(&s->request);
    if (++s->conflicts <= QUICK_CONFLICTS) {
        get(s, talk, now_ms);
    } else { /* somebody writes all the time */
        s->must_get = true;
        s->state = TG_AWS_SHADOW_WAITING;
        tg_aws_request_refused(&s->request, talk->target->device_id, now_ms);
    }
    return TG_OK;
}

static int delta(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, const json_t *body,
                 struct tg_error *err)
{
    uint64_t version = tg_json_member_number(body, "version");
    json_t *state = json_object_get(body, "state");
    bool ours = tg_aws_request_is_ours(&s->request, tg_json_member_text(body, "clientToken"));
    if (version == 0 || !json_is_object(state))
        return tg_error_set(err, TG_EPROTO, "a delta of the shadow has no version or no state");
    if (version <= s->desired_version)
        return TG_OK;
    s->version = version > s->version ? version : s->version;
    return give_desired(s, talk, state, false, !ours, version, err);
}

int tg_aws_shadow_message(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, struct tg_bytes rest,
                          const struct tg_cloud_event *event, struct tg_error *err)
{
    json_t *body;
    int rc = TG_OK;
    if (s->state == TG_AWS_SHADOW_OFF)
        return TG_OK; /* kept by the broker from before; the document is asked for anyway */
    body = tg_json_parse(event->payload, "a message of the shadow service is left out", err);
    if (!body)
        return err && err->code ? err->code : TG_EPROTO;
    if (tg_bytes_eq_str(rest, "get/accepted") || tg_bytes_eq_str(rest, "get/rejected")) {
        if (s->state == TG_AWS_SHADOW_GETTING &&
            tg_aws_request_is_current(&s->request, tg_json_member_text(body, "clientToken")))
            rc = tg_bytes_eq_str(rest, "get/accepted") ? get_accepted(s, talk, body, event->now_ms, err)
                                                       : get_rejected(s, talk, body, event->now_ms, err);
    } else if (tg_bytes_eq_str(rest, "update/delta")) {
        rc = delta(s, talk, body, err);
    } else if (tg_bytes_eq_str(rest, "update/accepted")) {
        update_accepted(s, talk, body, event->now_ms);
    } else if (tg_bytes_eq_str(rest, "update/rejected")) {
        rc = update_rejected(s, talk, body, event->now_ms, err);
    }
    json_decref(body);
    return rc;
}

/* --- the rest -------------------------------------------------------------------------------------------- */

void tg_aws_shadow_begin(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk,
                         const struct tg_cloud_event *event)
{
    const char *name;
    tg_aws_shadow_end(s);
    if (!tg_aws_shadow_wanted(talk->target, &name))
        return;
    tg_aws_request_begin(&s->request, event->wall_ms);
    get(s, talk, event->now_ms);
}

void tg_aws_shadow_report(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    if (s->state == TG_AWS_SHADOW_READY)
        report(s, talk, now_ms);
}

void tg_aws_shadow_wake(struct tg_aws_shadow *s, const struct tg_cloud_talk *talk, int64_t now_ms)
{
    if (s->state == TG_AWS_SHADOW_OFF || now_ms < s->request.wake_ms)
        return;
    if (s->state == TG_AWS_SHADOW_GETTING || s->state == TG_AWS_SHADOW_UPDATING) {
        tg_aws_request_silent(&s->request);
        get(s, talk, now_ms);
    } else if (s->state == TG_AWS_SHADOW_WAITING && s->must_get) {
        get(s, talk, now_ms);
    } else if (s->state == TG_AWS_SHADOW_WAITING) {
        report(s, talk, now_ms);
    }
}

void tg_aws_shadow_end(struct tg_aws_shadow *s)
{
    tg_json_text_free(&s->desired);
    tg_json_text_free(&s->reported);
    tg_json_text_free(&s->sending);
    *s = (struct tg_aws_shadow){.request.wake_ms = INT64_MAX};
}
