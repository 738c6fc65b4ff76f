/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any conversation with IoT Hub (first byte 'h'), with a hub of the basic tier ('b') or with the provisioning service ('d').
 * Then a line each:
 *     +0 +1                  online, without and with a kept session      s   subscribed      -   offline
 *     m TOPIC \t PAYLOAD     a message                                    w   the wake-up that was asked for
 *     = STATUS MORE \t BODY  the answer to the last request, with its request id
 *     r PATCH                what changed of the reported properties      R JSON   all of them
 *     a DIGIT JSON           the end of the last command                  f   no room to publish, or room again
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/assert.h"
#include "northbound/azure_dps.h"
#include "northbound/azure_hub.h"
#include "northbound/azure_twin.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stage {
    struct talk_rig rig;
    char rid[32];   /* of the last request */
    char *reported; /* lent to the rig */
    uint8_t reply[TG_CLOUD_REPLY_BYTES];
    size_t reply_len;
};

static void check_publish(struct stage *s, const struct talk_rig_publish *p)
{
    const char *rid = strstr(p->topic, "$rid=");
    struct tg_bytes topic = tg_bytes_str(p->topic);
    TG_ASSERT(p->topic[0] == '$' && rid && !strpbrk(p->topic, "+#") && tg_utf8_valid(topic));
    TG_ASSERT(topic.len <= TG_CLOUD_TOPIC_BYTES);
    if (tg_bytes_starts(topic, "$iothub/twin/PATCH/properties/reported/")) {
        json_t *j = json_loadb((const char *)p->payload, p->len, 0, NULL);
        TG_ASSERT(j && json_is_object(j) && p->len <= 2 * TG_AZURE_TWIN_MAX_BYTES);
        json_decref(j);
    }
    if (!tg_bytes_starts(topic, "$iothub/methods/"))
        snprintf(s->rid, sizeof s->rid, "%.*s", (int)strcspn(rid + 5, "&"), rid + 5);
}

/* What came of the last event keeps the contract. */
static void check(struct stage *s, int rc)
{
    struct talk_rig *r = &s->rig;
    TG_ASSERT(rc <= 0 && (rc == TG_OK || r->err.text[0]) && tg_utf8_valid(tg_bytes_str(r->err.text)));
    for (uint32_t i = 0; i < r->publish_count; i++)
        check_publish(s, &r->publishes[i]);
    for (uint32_t i = 0; i < r->desired_count; i++) {
        json_t *j = json_loads(r->desired[i].json, 0, NULL);
        TG_ASSERT(j && json_is_object(j) && strlen(r->desired[i].json) <= TG_AZURE_TWIN_TAKE_BYTES);
        json_decref(j);
    }
    for (uint32_t i = 0; i < r->command_count; i++) {
        TG_ASSERT(rc == TG_OK);
        s->reply_len = r->commands[i].reply_len;
        memcpy(s->reply, r->commands[i].reply, s->reply_len);
    }
    TG_ASSERT(!(r->gave_up && r->was_assigned));
    TG_ASSERT(!r->gave_up || (r->give_up_text[0] && tg_utf8_valid(tg_bytes_str(r->give_up_text))));
    TG_ASSERT(!r->was_assigned || (r->assigned_host[0] && r->assigned_device[0]));
}

static int hear(struct stage *s, char *line, bool is_answer)
{
    char *tab = strchr(line, '\t'), topic[2048];
    const char *payload = tab ? tab + 1 : "";
    if (tab)
        *tab = '\0';
    if (is_answer)
        snprintf(topic, sizeof topic, "%s/%.3s/?$rid=%s%s",
                 s->rig.errand ? "$dps/registrations/res" : "$iothub/twin/res", line, s->rid,
                 strlen(line) > 3 ? line + 3 : "");
    else
        snprintf(topic, sizeof topic, "%s", line);
    return talk_rig_message(&s->rig, topic, payload);
}

static int play(struct stage *s, char *line)
{
    static const char *const ends[] = {"ok",          "invalid", "unknown", "busy",
                                       "unsupported", "device",  "timeout", "error"};
    struct tg_cloud_event e = {0};
    char op = *line;
    int64_t wake = s->rig.wake_ms;
    if (op != '\0')
        line++;
    talk_rig_clear(&s->rig);
    switch (op) {
    case '+':
        e = (struct tg_cloud_event){.type = TG_CLOUD_ONLINE, .code = *line == '1'};
        break;
    case 's':
        e = (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = *line == '1'};
        break;
    case '-':
        e.type = TG_CLOUD_OFFLINE;
        break;
    case 'm':
    case '=':
        return hear(s, line, op == '=');
    case 'w':
        s->rig.now_ms = wake == INT64_MAX ? s->rig.now_ms + 1 : wake;
        e.type = TG_CLOUD_WAKE;
        break;
    case 'r':
        e = (struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = tg_bytes_str(line)};
        break;
    case 'R':
        free(s->reported);
        s->rig.reported = s->reported = strdup(line);
        return TG_OK;
    case 'a':
        e = (struct tg_cloud_event){.type = TG_CLOUD_ANSWER,
                                    .reply = tg_bytes(s->reply, s->reply_len),
                                    .status = ends[*line & 7],
                                    .payload = tg_bytes_str(*line ? line + 1 : line)};
        break;
    case 'f':
        s->rig.publish_rc = s->rig.publish_rc ? TG_OK : TG_EFULL;
        return TG_OK;
    default:
        return TG_OK;
    }
    return talk_rig_event(&s->rig, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const basic[] = {"tier", "basic", NULL}, *const scope[] = {"id_scope", "0ne1", NULL};
    struct tg_settings *settings, *dps;
    struct tg_cloud_target target = {.host = "h", .device_id = "m1", .gateway = "g"};
    struct stage s = {.rid = "1"};
    char *text, *next;
    if (size < 1 || size > 200000)
        return 0;
    target.settings = settings = tg_test_settings(tg_azure_hub.config.options, data[0] == 'b' ? basic : NULL);
    target.provisioning = dps = tg_test_settings(tg_azure_dps_options, scope);
    talk_rig_init(&s.rig, data[0] == 'd' ? NULL : &tg_azure_hub, data[0] == 'd' ? &tg_azure_dps : NULL,
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
    tg_settings_free(dps);
    return 0;
}
