/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/azure_twin.h"

#include <stdio.h>

#include "core/base/log.h"
#include "northbound/azure_topic.h"

#define GET_PREFIX      "$iothub/twin/GET/?$rid="
#define REPORT_PREFIX   "$iothub/twin/PATCH/properties/reported/?$rid="
#define RESULT_PREFIX   "$iothub/twin/res/"
#define DESIRED_PREFIX  "$iothub/twin/PATCH/properties/desired/?"
#define JOIN_MS         5000
#define ROOM_MS         1000 /* until the session may have room for a publish */
#define SILENCE_MS      30000
#define SILENCE_DOUBLES 4
#define BACKOFF_MS      1000
#define BACKOFF_MAX_MS  60000

static int64_t doubled(int64_t ms, uint32_t times, int64_t most)
{
    return times < 32 && ms << times < most ? ms << times : most;
}

static int64_t backoff_ms(uint32_t refusals)
{
    return doubled(BACKOFF_MS, refusals, BACKOFF_MAX_MS);
}

static int64_t patience_ms(uint32_t silences)
{
    return doubled(SILENCE_MS, silences, (int64_t)SILENCE_MS << SILENCE_DOUBLES);
}

static void drop_own(json_t *object)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, key, value)
    {
        if (key[0] == '$')
            json_object_del(object, key);
    }
}

/* The object within the hub's limits, without the hub's own members, which are taken out of it. */
static int write_properties(json_t *object, size_t limit_bytes, const char *what,
                            struct tg_json_text *ret_text, struct tg_error *err)
{
    drop_own(object);
    if (tg_json_depth(object) > 1 + TG_AZURE_TWIN_MAX_DEPTH)
        return tg_error_set(err, TG_ETOOBIG, "%s: nested more than %d levels deep", what,
                            TG_AZURE_TWIN_MAX_DEPTH);
    return tg_json_keep(object, limit_bytes, what, ret_text, err);
}

/* Publishes to {prefix}{a new request id}; 0 when there is no room. */
static uint32_t request(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, const char *prefix,
                        struct tg_bytes payload)
{
    char topic[sizeof REPORT_PREFIX + 10];
    uint32_t rid = t->last_rid == UINT32_MAX ? 1 : t->last_rid + 1;
    snprintf(topic, sizeof topic, "%s%u", prefix, rid);
    if (talk->io->publish(talk->user, tg_bytes_str(topic), payload, 0, false, 0) < 0)
        return 0;
    t->last_rid = rid;
    return rid;
}

/* --- GET --- */

static void ask(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, int64_t now)
{
    uint32_t rid = request(t, talk, GET_PREFIX, (struct tg_bytes){0});
    t->get_rid = rid;
    t->state = rid ? TG_AZURE_TWIN_ASKED : TG_AZURE_TWIN_WAITING;
    t->get_at_ms = now + (rid ? patience_ms(t->get_silences) : ROOM_MS);
}

static int64_t ask_later(struct tg_azure_twin *t, int64_t now)
{
    int64_t wait = backoff_ms(t->get_refusals++);
    t->get_rid = 0;
    t->state = TG_AZURE_TWIN_WAITING;
    t->get_at_ms = now + wait;
    return wait;
}

/* --- reported --- */

static void forget_reports(struct tg_azure_twin *t)
{
    tg_json_text_free(&t->sent);
    tg_json_text_free(&t->waiting);
    t->report_rid = 0;
    t->report_at_ms = 0;
}

/* Nothing can be said about the reported properties but by comparing them with the hub's. */
static void compare_again(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, int64_t now)
{
    forget_reports(t);
    ask(t, talk, now);
}

/* Puts `patch` behind what waits. False: it cannot be merged, nothing has changed. */
static bool add_waiting(struct tg_azure_twin *t, struct tg_bytes patch, struct tg_error *err)
{
    static const char what[] = "the reported properties";
    struct tg_json_text merged = {0};
    json_t *first = t->waiting.len ? tg_json_parse(tg_json_text_view(&t->waiting), what, err) : json_object();
    json_t *then = tg_json_parse(patch, what, err);
    bool good = first && then && write_properties(then, TG_AZURE_TWIN_MAX_BYTES, what, &merged, err) == TG_OK;
    if (good && t->waiting.len) {
        tg_json_text_free(&merged);
        good = tg_json_then(first, then) == TG_OK &&
               write_properties(first, TG_AZURE_TWIN_MAX_BYTES, what, &merged, err) == TG_OK;
    }
    json_decref(first);
    json_decref(then);
    if (!good)
        return false;
    tg_json_text_free(&t->waiting);
    t->waiting = merged;
    return true;
}

/* What was sent and not taken goes before what waits. */
static bool take_back(struct tg_azure_twin *t)
{
    struct tg_json_text later = t->waiting;
    bool good;
    t->waiting = t->sent;
    t->sent = (struct tg_json_text){0};
    t->report_rid = 0;
    good = later.len == 0 || add_waiting(t, tg_json_text_view(&later), NULL);
    tg_json_text_free(&later);
    return good;
}

static void send_reports(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, int64_t now)
{
    if (t->state != TG_AZURE_TWIN_KNOWN || t->report_rid || t->waiting.len == 0 || now < t->report_at_ms)
        return;
    t->report_rid = request(t, talk, REPORT_PREFIX, tg_json_text_view(&t->waiting));
    if (!t->report_rid) {
        t->report_at_ms = now + ROOM_MS;
        return;
    }
    t->sent = t->waiting;
    t->waiting = (struct tg_json_text){0};
    t->report_at_ms = now + patience_ms(t->report_silences);
}

/* Ours as an object, when it is within the limits: else NULL, and it is told. */
static json_t *reported(struct tg_azure_twin *t, const struct tg_cloud_talk *talk)
{
    static const char what[] = "the reported properties of this device are not sent";
    struct tg_bytes whole = talk->io->reported(talk->user);
    struct tg_json_text text = {0};
    struct tg_error err = {0};
    json_t *ours = tg_json_parse(whole.len ? whole : tg_bytes_str("{}"), what, &err);
    if (ours && write_properties(ours, TG_AZURE_TWIN_MAX_BYTES, what, &text, &err) < 0) {
        json_decref(ours);
        ours = NULL;
    }
    tg_json_text_free(&text);
    if (!ours && !t->told)
        talk->io->say(talk->user, TG_LOG_WARN, err.text);
    t->told = !ours;
    return ours;
}

/* Compares the hub's copy with ours; what differs waits to be sent. */
static void compare(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, json_t *hub)
{
    static const char what[] = "the change of this device's reported properties is not sent";
    json_t *ours = reported(t, talk), *patch = NULL, *empty = NULL;
    struct tg_error err = {0};
    int rc = TG_OK;
    tg_json_text_free(&t->waiting);   /* the whole has it too */
    if (json_object_size(ours) > 0) { /* nothing to say is no reason to remove what the hub has */
        if (!json_is_object(hub))
            hub = empty = json_object();
        if (hub)
            drop_own(hub);
        patch = hub ? tg_json_diff(hub, ours) : NULL;
        if (!patch)
            rc = tg_error_set(&err, TG_ENOMEM, "%s: out of memory", what);
        else if (json_object_size(patch) > 0) /* names to remove come on top */
            rc = write_properties(patch, 2 * TG_AZURE_TWIN_MAX_BYTES, what, &t->waiting, &err);
        if (rc < 0)
            talk->io->say(talk->user, TG_LOG_WARN, err.text);
    }
    json_decref(ours);
    json_decref(patch);
    json_decref(empty);
}

static int report_answer(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, uint32_t status,
                         struct tg_bytes query, struct tg_bytes body, int64_t now, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    int rc = TG_OK;
    t->report_silences = 0;
    if (status == 429 || status >= 500) {
        int64_t wait = backoff_ms(t->report_refusals);
        if (!take_back(t)) {
            compare_again(t, talk, now);
            return TG_OK;
        }
        t->report_at_ms = now + wait;
        return t->report_refusals++
                   ? TG_OK
                   : tg_error_set(err, TG_EBUSY,
                                  "the hub does not take reported properties now (%u); they are "
                                  "kept and sent again in %d s",
                                  status, (int)(wait / 1000));
    }
    if (status >= 300)
        rc = tg_error_set(err, TG_EPROTO,
                          "the hub refused the reported properties (%u): %s; they are left out until they "
                          "change or the next connection",
                          status, tg_quote(quoted, (const char *)body.data, body.len));
    else
        (void)tg_azure_query_u64(query, "$version", &t->reported_version);
    t->report_refusals = 0;
    t->report_rid = 0;
    t->report_at_ms = 0;
    tg_json_text_free(&t->sent);
    send_reports(t, talk, now);
    return rc;
}

static void report(struct tg_azure_twin *t, const struct tg_cloud_talk *talk,
                   const struct tg_cloud_event *event)
{
    json_t *ours;
    if (t->state != TG_AZURE_TWIN_KNOWN)
        return; /* the answer that is awaited leads to the whole */
    if (!t->told && add_waiting(t, event->payload, NULL)) {
        send_reports(t, talk, event->now_ms);
        return;
    }
    ours = reported(t, talk);
    if (ours) /* it cannot be merged, or what was left out fits again */
        compare_again(t, talk, event->now_ms);
    json_decref(ours);
}

/* --- desired --- */

static int give_desired(const struct tg_cloud_talk *talk, json_t *object, bool whole, uint64_t version,
                        struct tg_error *err)
{
    struct tg_json_text text = {0};
    char what[120];
    int rc;
    snprintf(what, sizeof what, "the desired properties of version %llu are left out, what is in use stays",
             (unsigned long long)version);
    rc = write_properties(object, TG_AZURE_TWIN_TAKE_BYTES, what, &text, err);
    if (rc < 0)
        return rc;
    talk->io->desired(talk->user, &(struct tg_cloud_desired){
                                      .whole = whole, .version = version, .json = tg_json_text_view(&text)});
    tg_json_text_free(&text);
    return TG_OK;
}

/* {"desired":{…,"$version":n},"reported":{…}} */
static int take_twin(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, struct tg_bytes body,
                     int64_t now, struct tg_error *err)
{
    static const char what[] = "the hub's answer with the device twin";
    json_t *root = tg_json_parse(body, what, err);
    json_t *desired = json_object_get(root, "desired");
    const json_t *version = json_object_get(desired, "$version");
    int rc;
    if (!json_is_object(desired) || !json_is_integer(version) || json_integer_value(version) < 0) {
        if (root)
            tg_error_set(err, TG_EPROTO, "%s has no desired properties with a $version", what);
        json_decref(root);
        (void)ask_later(t, now);
        return tg_error_wrap(err, "it is asked for again");
    }
    t->get_rid = 0;
    t->get_silences = t->get_refusals = 0;
    t->desired_version = (uint64_t)json_integer_value(version);
    t->state = TG_AZURE_TWIN_KNOWN;
    rc = give_desired(talk, desired, true, t->desired_version, err);
    if (rc == TG_ENOMEM) {
        json_decref(root);
        (void)ask_later(t, now);
        return tg_error_wrap(err, "it is asked for again");
    }
    if (t->newest_seen > t->desired_version) {
        t->newest_seen = 0; /* once: a twin that was made anew counts from 1 again */
        ask(t, talk, now);
    } else {
        compare(t, talk, json_object_get(root, "reported"));
        send_reports(t, talk, now);
    }
    json_decref(root);
    return rc;
}

static int get_answer(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, uint32_t status,
                      struct tg_bytes body, int64_t now, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    if (status == 200)
        return take_twin(t, talk, body, now, err);
    t->get_silences = 0;
    if (status == 429 || status >= 500) {
        bool first = t->get_refusals == 0;
        int64_t wait = ask_later(t, now);
        return first ? tg_error_set(
                           err, TG_EBUSY,
                           "the hub does not give the device twin now (%u); it is asked for again in %d s",
                           status, (int)(wait / 1000))
                     : TG_OK;
    }
    t->get_rid = 0;
    t->state = TG_AZURE_TWIN_REFUSED;
    return tg_error_set(
        err, TG_EPROTO,
        "the hub refuses the device twin (%u): %s; desired and reported properties rest until the "
        "next connection, telemetry goes on",
        status, tg_quote(quoted, (const char *)body.data, body.len));
}

static int desired_patch(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, struct tg_bytes query,
                         struct tg_bytes body, int64_t now, struct tg_error *err)
{
    uint64_t version = 0;
    json_t *patch;
    int rc;
    if (!tg_azure_query_u64(query, "$version", &version))
        return tg_error_set(err, TG_EPROTO, "a patch of desired properties has no $version in its topic");
    if (t->state == TG_AZURE_TWIN_KNOWN && version <= t->desired_version)
        return TG_OK;
    if (t->state != TG_AZURE_TWIN_KNOWN || version != t->desired_version + 1) {
        t->newest_seen = version > t->newest_seen ? version : t->newest_seen;
        if (t->state == TG_AZURE_TWIN_KNOWN || t->state == TG_AZURE_TWIN_REFUSED)
            ask(t, talk, now);
        return TG_OK;
    }
    t->desired_version = version;
    patch = tg_json_parse(body, "a patch of desired properties is left out", err);
    if (!patch)
        return err ? err->code : TG_EPROTO;
    rc = give_desired(talk, patch, false, version, err);
    json_decref(patch);
    if (rc == TG_ENOMEM) /* the whole has it too */
        ask(t, talk, now);
    return rc;
}

/* --- events --- */

static int message(struct tg_azure_twin *t, const struct tg_cloud_talk *talk,
                   const struct tg_cloud_event *event, struct tg_error *err)
{
    uint32_t status = 0;
    uint64_t rid = 0;
    struct tg_bytes query;
    if (tg_bytes_starts(event->topic, DESIRED_PREFIX)) {
        size_t n = sizeof DESIRED_PREFIX - 1;
        query = tg_bytes(event->topic.data + n, event->topic.len - n);
        return t->state == TG_AZURE_TWIN_OFF
                   ? TG_OK
                   : desired_patch(t, talk, query, event->payload, event->now_ms, err);
    }
    if (!tg_azure_topic_reply(event->topic, RESULT_PREFIX, &status, &query) ||
        !tg_azure_query_u64(query, "$rid", &rid) || rid == 0)
        return TG_OK;
    if (rid == t->get_rid)
        return get_answer(t, talk, status, event->payload, event->now_ms, err);
    if (rid == t->report_rid)
        return report_answer(t, talk, status, query, event->payload, event->now_ms, err);
    return TG_OK; /* to a request that was given up */
}

static void offline(struct tg_azure_twin *t)
{
    forget_reports(t);
    t->state = TG_AZURE_TWIN_OFF;
    t->get_rid = 0;
}

static void online(struct tg_azure_twin *t, int64_t now)
{
    offline(t);
    t->newest_seen = 0;
    t->get_refusals = t->get_silences = t->report_refusals = t->report_silences = 0;
    t->state = TG_AZURE_TWIN_JOINING;
    t->get_at_ms = now + JOIN_MS;
}

static bool waits_for_get(const struct tg_azure_twin *t)
{
    return t->state == TG_AZURE_TWIN_JOINING || t->state == TG_AZURE_TWIN_ASKED ||
           t->state == TG_AZURE_TWIN_WAITING;
}

static void wake(struct tg_azure_twin *t, const struct tg_cloud_talk *talk, int64_t now)
{
    if (waits_for_get(t) && now >= t->get_at_ms) {
        if (t->state == TG_AZURE_TWIN_ASKED)
            t->get_silences++;
        ask(t, talk, now);
    }
    if (t->report_rid && now >= t->report_at_ms) {
        t->report_silences++;
        if (!take_back(t)) {
            compare_again(t, talk, now);
            return;
        }
        t->report_at_ms = now;
    }
    send_reports(t, talk, now);
}

int tg_azure_twin_step(struct tg_azure_twin *t, const struct tg_cloud_talk *talk,
                       const struct tg_cloud_event *event, struct tg_error *err)
{
    switch (event->type) {
    case TG_CLOUD_ONLINE:
        online(t, event->now_ms);
        break;
    case TG_CLOUD_SUBSCRIBED:
        /* An answer that came before is lost: asked for too early. */
        if (t->state == TG_AZURE_TWIN_JOINING || t->state == TG_AZURE_TWIN_ASKED)
            ask(t, talk, event->now_ms);
        break;
    case TG_CLOUD_MESSAGE:
        return message(t, talk, event, err);
    case TG_CLOUD_REPORT:
        report(t, talk, event);
        break;
    case TG_CLOUD_WAKE:
        wake(t, talk, event->now_ms);
        break;
    case TG_CLOUD_OFFLINE:
    case TG_CLOUD_END:
        offline(t);
        break;
    default:
        break;
    }
    return TG_OK;
}

int64_t tg_azure_twin_wake_ms(const struct tg_azure_twin *t)
{
    int64_t at = waits_for_get(t) ? t->get_at_ms : INT64_MAX;
    bool reports = t->report_rid || (t->state == TG_AZURE_TWIN_KNOWN && t->waiting.len > 0);
    return reports && t->report_at_ms < at ? t->report_at_ms : at;
}
