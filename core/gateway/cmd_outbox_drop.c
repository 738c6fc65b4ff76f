/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate outbox drop`: gives up what waits, in a stopped gateway's store directly, else through the running one.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/gateway/cmd_outbox.h"
#include "core/gateway/control_client.h"

#define ANSWER_MS 600000 /* it may have to look at every sample of a long backlog */

struct drop {
    const struct tg_args *args;
    const char *dir;
    struct tg_outbox_drop what;
    json_t *list; /* with --json */
};

/* "2026-11-20T13:00:00Z", or an age such as 2h: what is older. */
static int parse_before(const char *text, int64_t *ret_ms, struct tg_error *err)
{
    struct tm tm = {0};
    int64_t age_ms;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (end && (strcmp(end, "Z") == 0 || *end == '\0')) {
        *ret_ms = (int64_t)timegm(&tm) * 1000;
        return *ret_ms > 0 ? TG_OK : tg_error_set(err, TG_EINVAL, "--before: %s is before 1970", text);
    }
    if (tg_parse_duration_ms(text, &age_ms, NULL) < 0)
        return tg_error_set(
            err, TG_EINVAL,
            "--before takes a time in UTC, 2026-11-20T13:00:00Z, or an age such as 2h, not %s", text);
    *ret_ms = tg_clock_wall_ms() - age_ms;
    return *ret_ms > 0 ? TG_OK
                       : tg_error_set(err, TG_EINVAL, "--before: %s is longer than there is time", text);
}

static void each_cursor(void *user, const char *device, const char *cloud, uint64_t rows)
{
    struct drop *d = user;
    if (d->list)
        json_array_append_new(d->list, json_pack("{s:s,s:s,s:I}", "device", device, "cloud", cloud, "samples",
                                                 (json_int_t)rows));
    else
        printf("%-24s %-16s %" PRIu64 " %s\n", device, cloud, rows, tg_plural(rows, "sample", "samples"));
}

/* What it is, or would be. */
static void tell(const struct drop *d, bool done, uint64_t rows)
{
    char *text;
    json_t *j;
    if (!d->args->json) {
        printf("%" PRIu64 " %s %s%s\n", rows, tg_plural(rows, "sample", "samples"),
               done ? "dropped" : "would be dropped",
               done && rows ? "; their clouds are told by a gap record" : "");
        return;
    }
    j = json_pack("{s:b,s:I}", "dropped", done, "samples", (json_int_t)rows);
    if (json_array_size(d->list) > 0) /* a running gateway says no more than the sum */
        json_object_set(j, "of", d->list);
    text = json_dumps(j, JSON_COMPACT);
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(j);
}

static int look(struct drop *d, struct tg_error *err)
{
    const struct tg_outbox_options o = {.dir = d->dir, .read_only = true};
    struct tg_outbox *ob;
    uint64_t rows = 0;
    int rc = tg_outbox_open(&o, &ob, NULL, err);
    if (rc < 0)
        return rc;
    d->what.dry = true;
    d->what.each = each_cursor;
    d->what.user = d;
    rc = tg_outbox_drop(ob, &d->what, &rows, err);
    tg_outbox_close(ob, false);
    if (rc < 0)
        return rc;
    tell(d, false, rows);
    return tg_error_set(err, TG_ESTATE, "nothing was dropped: say --yes to do it");
}

static int ask_gateway(struct drop *d, struct tg_error *err)
{
    struct tg_control_client c;
    char path[256], *line, *words;
    json_t *request, *answer;
    const char *error;
    int rc;
    if (tg_command_socket(d->args, path, sizeof path) < 0 || tg_control_connect(&c, path) < 0)
        return tg_error_set(err, TG_ECONNECT,
                            "a running gateway holds the store, and cannot be reached; nothing was dropped");
    request =
        json_pack("{s:s,s:s*,s:b,s:s*,s:I}", "verb", "drop", "device", d->what.device, "all",
                  d->what.device == NULL, "cloud", d->what.cloud, "before_ms", (json_int_t)d->what.before_ms);
    words = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!words || tg_control_send(&c, words) < 0 || tg_control_line(&c, ANSWER_MS, &line) < 0) {
        rc = tg_error_set(err, TG_EEOF,
                          "the gateway closed the connection; whether it has dropped them, "
                          "`tidegate outbox stats` shows");
    } else {
        answer = json_loads(line, 0, NULL);
        error = json_string_value(json_object_get(answer, "error"));
        rc = error ? tg_error_set(err, TG_ESTATE, "%s", error) : TG_OK;
        if (!error)
            tell(d, true, (uint64_t)json_integer_value(json_object_get(answer, "samples")));
        json_decref(answer);
    }
    free(words);
    tg_control_disconnect(&c);
    return rc;
}

static int drop_now(struct drop *d, struct tg_error *err)
{
    const struct tg_outbox_options o = {.dir = d->dir, .durability = TG_DURABILITY_FULL};
    struct tg_outbox *ob;
    uint64_t rows = 0;
    struct tg_error none = {0};
    int rc = tg_outbox_open(&(struct tg_outbox_options){.dir = d->dir, .read_only = true}, &ob, NULL, err);
    if (rc < 0)
        return rc; /* there is none: do not make one */
    tg_outbox_close(ob, false);
    rc = tg_outbox_open(&o, &ob, NULL, &none);
    if (rc == TG_EBUSY)
        return ask_gateway(d, err);
    if (rc < 0)
        return tg_error_set(err, rc, "%s", none.text);
    d->what.each = each_cursor;
    d->what.user = d;
    rc = tg_outbox_drop(ob, &d->what, &rows, err);
    tg_outbox_close(ob, true);
    if (rc == TG_OK)
        tell(d, true, rows);
    return rc;
}

int tg_cmd_outbox_drop(const struct tg_args *args, const struct tg_outbox_words *words)
{
    struct drop d = {.args = args, .dir = words->dir, .what = {.device = words->word, .cloud = words->cloud}};
    struct tg_error err = {0};
    int rc = words->before ? parse_before(words->before, &d.what.before_ms, &err) : TG_OK;
    bool wrong;
    if (rc == TG_OK && words->all == (words->word != NULL))
        rc = tg_error_set(&err, TG_EINVAL, "drop takes the id of a device, or --all");
    wrong = rc < 0;
    if (!wrong) {
        d.list = args->json ? json_array() : NULL;
        rc = words->yes ? drop_now(&d, &err) : look(&d, &err);
        json_decref(d.list);
    }
    if (rc == TG_OK)
        return TG_EXIT_OK;
    fprintf(stderr, "tidegate outbox drop: %s\n", err.text);
    return wrong ? TG_EXIT_USAGE : rc == TG_ECONNECT || rc == TG_EEOF ? TG_EXIT_UNREACHABLE : TG_EXIT_NO;
}
