/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any conversation with AWS IoT Core: shadow (first byte 's'), jobs ('j'), jobs and a named shadow ('n'), fleet provisioning ('f').
 * Then a line each:
 *     +             online and subscribed             -   offline                 w   the wake-up that was asked for
 *     m TOPIC \t PAYLOAD     a message; TOKEN in the payload stands for the last client token, ~ at the begin of the topic for
 *                            $aws/things/m1/
 *     r JSON        a change, after which this is all that is reported
 *     a DIGIT JSON  the end of the last command       f   no room to publish, or room again
 *     k EXECUTION ID \t OUTCOME      the note of an earlier run
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/assert.h"
#include "northbound/aws_fleet.h"
#include "northbound/aws_iot.h"
#include "northbound/aws_jobs.h"
#include "northbound/aws_shadow.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stage {
    struct talk_rig rig;
    char token[80]; /* of the last request */
    char *reported; /* lent to the rig */
    uint8_t reply[TG_CLOUD_REPLY_BYTES];
    size_t reply_len;
};

static void check_publish(struct stage *s, const struct talk_rig_publish *p)
{
    struct tg_bytes topic = tg_bytes_str(p->topic);
    json_t *j = json_loadb((const char *)p->payload, p->len, 0, NULL);
    const char *token = json_string_value(json_object_get(j, "clientToken"));
    const json_t *details = json_object_get(j, "statusDetails");
    const char *key;
    json_t *value;
    TG_ASSERT(json_is_object(j) && p->len <= TG_JSON_MAX_BYTES && p->qos == 1 && !p->retain);
    TG_ASSERT(topic.len <= 256 && !strpbrk(p->topic, "+#") && tg_bytes_starts(topic, "$aws/"));
    TG_ASSERT(!token || strlen(token) <= 64);
    snprintf(s->token, sizeof s->token, "%s", token ? token : "");
    json_object_foreach((json_t *)(uintptr_t)details, key, value)
    {
        size_t n = json_string_length(value);
        const char *text = json_string_value(value);
        TG_ASSERT(text && n > 0);
        for (size_t i = 0; i < n; i++)
            TG_ASSERT((uint8_t)text[i] >= 0x20 && text[i] != 0x7F);
    }
    json_decref(j);
}

static void check_desired(const struct talk_rig_desired *d)
{
    json_t *j = json_loads(d->json, 0, NULL);
    TG_ASSERT(json_is_object(j) && strlen(d->json) <= TG_AWS_SHADOW_TAKE_BYTES);
    json_decref(j);
}

/* What came of the last event keeps the contract. */
static void check(struct stage *s, int rc)
{
    struct talk_rig *r = &s->rig;
    TG_ASSERT(rc <= 0 && (rc == TG_OK || r->err.text[0]) && tg_utf8_valid(tg_bytes_str(r->err.text)));
    for (uint32_t i = 0; i < r->publish_count; i++)
        check_publish(s, &r->publishes[i]);
    for (uint32_t i = 0; i < r->desired_count; i++)
        check_desired(&r->desired[i]);
    TG_ASSERT(r->command_count <= 1);
    for (uint32_t i = 0; i < r->command_count; i++) {
        json_t *j = json_loads(r->commands[i].body, 0, NULL);
        TG_ASSERT(json_is_object(j) && r->commands[i].message_id[0] && r->commands[i].name[0]);
        json_decref(j);
        s->reply_len = r->commands[i].reply_len;
        memcpy(s->reply, r->commands[i].reply, s->reply_len);
    }
    TG_ASSERT(!(r->gave_up && r->was_assigned));
    TG_ASSERT(!r->gave_up || (r->give_up_text[0] && tg_utf8_valid(tg_bytes_str(r->give_up_text))));
    TG_ASSERT(!r->was_assigned ||
              (tg_aws_thing_valid(r->assigned_device) && r->assigned_certificate && r->assigned_key));
}

static int hear(struct stage *s, char *line)
{
    char *tab = strchr(line, '\t'), topic[512], *payload, *at;
    int rc;
    if (tab)
        *tab = '\0';
    payload = calloc(1, (tab ? strlen(tab + 1) : 0) + sizeof s->token);
    if (!payload)
        abort();
    if (tab)
        strcpy(payload, tab + 1);
    if ((at = strstr(payload, "TOKEN")) != NULL) {
        memmove(at + strlen(s->token), at + 5, strlen(at + 5) + 1);
        memcpy(at, s->token, strlen(s->token));
    }
    snprintf(topic, sizeof topic, "%s%s", *line == '~' ? "$aws/things/m1/" : "",
             *line == '~' ? line + 1 : line);
    rc = talk_rig_message(&s->rig, topic, payload);
    free(payload);
    return rc;
}

static int report(struct stage *s, const char *line)
{
    free(s->reported);
    s->rig.reported = s->reported = strdup(line);
    return talk_rig_event(&s->rig,
                          &(struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = tg_bytes_str("{}")});
}

static int play(struct stage *s, char *line)
{
    static const char *const ends[] = {"ok",          "invalid", "unknown", "busy",
                                       "unsupported", "device",  "timeout", "error"};
    struct tg_cloud_event e = {0};
    char op = *line, *tab;
    int64_t wake = s->rig.wake_ms;
    if (op != '\0')
        line++;
    talk_rig_clear(&s->rig);
    switch (op) {
    case '+':
        s->rig.wall_ms++;
        (void)talk_rig_simple(&s->rig, TG_CLOUD_ONLINE);
        e = (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = *line == '1'};
        break;
    case '-':
        e.type = TG_CLOUD_OFFLINE;
        break;
    case 'm':
        return hear(s, line);
    case 'w':
        s->rig.now_ms = wake == INT64_MAX ? s->rig.now_ms + 1 : wake;
        e.type = TG_CLOUD_WAKE;
        break;
    case 'r':
        return report(s, line);
    case 'a':
        e = (struct tg_cloud_event){.type = TG_CLOUD_ANSWER,
                                    .reply = tg_bytes(s->reply, s->reply_len),
                                    .status = ends[*line & 7],
                                    .payload = tg_bytes_str(*line ? line + 1 : line)};
        break;
    case 'f':
        s->rig.publish_rc = s->rig.publish_rc ? TG_OK : TG_EFULL;
        return TG_OK;
    case 'k':
        tab = strchr(line, '\t');
        if (tab)
            *tab = '\n';
        s->rig.talk.io->remember(&s->rig, "job", tg_bytes_str(line));
        return TG_OK;
    default:
        return TG_OK;
    }
    return talk_rig_event(&s->rig, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const classic[] = {"shadow", "classic", NULL}, *const jobs[] = {"jobs", "on", NULL},
                             *const both[] = {"shadow", "net", "jobs", "on", NULL},
                             *const template[] = {"template", "meters", NULL};
    struct tg_settings *settings, *fleet;
    struct tg_cloud_target target = {.host = "h", .device_id = "m1", .gateway = "g"};
    struct stage s = {.token = ""};
    char *text, *next;
    if (size < 1 || size > 200000)
        return 0;
    target.settings = settings = tg_test_settings(tg_aws_iot.config.options, data[0] == 'n'   ? both
                                                                             : data[0] == 'j' ? jobs
                                                                                              : classic);
    target.provisioning = fleet = tg_test_settings(tg_aws_fleet_options, template);
    talk_rig_init(&s.rig, data[0] == 'f' ? NULL : &tg_aws_iot, data[0] == 'f' ? &tg_aws_fleet : NULL,
                  &target);
    s.rig.now_ms = 1000;
    text = calloc(1, size);
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    for (char *line = text; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        check(&s, play(&s, line));
    }
    talk_rig_fini(&s.rig);
    free(s.reported);
    free(text);
    tg_settings_free(settings);
    tg_settings_free(fleet);
    return 0;
}
