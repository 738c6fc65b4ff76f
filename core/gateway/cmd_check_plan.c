/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/cmd_check_plan.h"

#include <jansson.h>
#include <stdio.h>

#include "core/gateway/plan_estimate.h"

static void say_cloud(const struct tg_plan_cloud *c)
{
    double mb = tg_plan_ip_bytes(c) / 1e6;
    printf("plan: cloud %.64s: %.1f MB a month = data %.1f + pings %.1f + connects %.1f + TCP/IP heads %.1f; "
           "%.0f B a "
           "sample, %.1f samples a message of %.0f B + topic %.0f B\n",
           c->name, mb, c->data / 1e6, c->pings / 1e6, c->connects / 1e6, mb - tg_plan_payload(c) / 1e6,
           c->samples > 0 ? tg_plan_ip_bytes(c) / c->samples : 0,
           c->messages > 0 ? c->samples / c->messages : 0, c->body_bytes, c->topic_bytes);
    if (!c->month_budget_bytes || mb * 1e6 <= (double)c->month_budget_bytes)
        return;
    printf(
        "plan: cloud %.64s: more than month_budget %.0f MB; when messages wait for longest_delay it is %.1f "
        "MB%s\n",
        c->name, (double)c->month_budget_bytes / 1e6, c->longest_ip_bytes / 1e6,
        c->longest_ip_bytes <= (double)c->month_budget_bytes
            ? ", so the budget can be kept"
            : ": the budget cannot be kept, everything will be sent all the same");
}

void tg_check_say_plan(const struct tg_config *config)
{
    struct tg_plan p;
    double sum = 0;
    if (tg_plan_estimate(config, &p) < 0) {
        printf("plan: out of memory for the estimate\n");
        return;
    }
    for (uint32_t i = 0; i < p.cloud_count; i++) {
        say_cloud(&p.clouds[i]);
        sum += tg_plan_ip_bytes(&p.clouds[i]);
    }
    printf("plan: %.1f MB a month on the wire in all, if every point changes each time it is read%s\n",
           sum / 1e6,
           p.assumed_points ? "; points without `every` or min_interval are counted at one a second" : "");
    if (p.flash.outage_bytes > 0)
        printf("plan: next to nothing written to flash while the clouds are reached, %.1f MB a month while "
               "they "
               "are not (durability: lazy)\n",
               p.flash.outage_bytes / 1e6);
    else if (p.flash.samples > 0)
        printf("plan: %.1f MB a month written to flash, %.0f B a sample; a longer commit_interval writes "
               "less\n",
               p.flash.bytes / 1e6, p.flash.bytes / p.flash.samples);
}

static json_t *cloud_json(const struct tg_plan_cloud *c)
{
    json_t *j =
        json_pack("{s:s,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "name", c->name, "sessions",
                  (json_int_t)c->sessions, "samples", c->samples, "messages", c->messages, "data_bytes",
                  c->data, "ping_bytes", c->pings, "connect_bytes", c->connects, "pings", c->ping_count,
                  "connects", c->connect_count, "payload_bytes", tg_plan_payload(c), "ip_bytes",
                  tg_plan_ip_bytes(c), "body_bytes", c->body_bytes, "topic_bytes", c->topic_bytes);
    if (j && c->month_budget_bytes) {
        json_object_set_new(j, "month_budget_bytes", json_integer((json_int_t)c->month_budget_bytes));
        json_object_set_new(j, "longest_delay_ip_bytes", json_real(c->longest_ip_bytes));
    }
    return j;
}

json_t *tg_check_plan_json(const struct tg_config *config)
{
    struct tg_plan p;
    json_t *clouds;
    double payload = 0, ip = 0;
    if (tg_plan_estimate(config, &p) < 0)
        return NULL;
    clouds = json_array();
    for (uint32_t i = 0; i < p.cloud_count; i++) {
        json_array_append_new(clouds, cloud_json(&p.clouds[i]));
        payload += tg_plan_payload(&p.clouds[i]);
        ip += tg_plan_ip_bytes(&p.clouds[i]);
    }
    return json_pack("{s:o,s:f,s:f,s:I,s:{s:f,s:f,s:f}}", "clouds", clouds, "payload_bytes", payload,
                     "ip_bytes", ip, "assumed_points", (json_int_t)p.assumed_points, "flash", "samples",
                     p.flash.samples, "written_bytes", p.flash.bytes, "outage_written_bytes",
                     p.flash.outage_bytes);
}
