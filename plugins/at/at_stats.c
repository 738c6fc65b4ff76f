/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What went wrong with a device, as the log and the command `stats` tell it.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/plural.h"
#include "plugins/at/at_instance.h"

void at_trouble(struct at_source *s, enum at_trouble_kind kind, const char *fmt, ...)
{
    char text[640];
    uint64_t held_back = 0;
    va_list ap;
    if (!at_trouble_count(&s->troubles, kind, s->host->now_ms(s->host->source), &held_back))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (held_back > 0)
        s->host->log(s->host->source, TG_LOG_WARN,
                     "%s (and %" PRIu64 " more of this kind since the last line)", text, held_back);
    else
        s->host->log(s->host->source, TG_LOG_WARN, "%s", text);
}

void at_tell_troubles(struct at_source *s, int64_t now_ms)
{
    char text[400];
    if (at_trouble_summary(&s->troubles, now_ms, text, sizeof text))
        s->host->log(s->host->source, TG_LOG_INFO, "%s: %" PRIu64 " %s since the start; %s", s->port,
                     s->chat.counters.commands, tg_plural(s->chat.counters.commands, "command", "commands"),
                     text);
}

static void add(json_t *o, const char *name, uint64_t count)
{
    json_object_set_new(o, name, json_integer((json_int_t)count));
}

json_t *at_stats(const struct at_source *s)
{
    const struct tg_at_counters *c = &s->chat.counters;
    json_t *o = json_object(), *troubles = json_object(), *noise = json_object();
    add(o, "baud", (uint64_t)s->baud);
    add(o, "commands", c->commands);
    add(o, "urcs", c->urcs);
    add(o, "resyncs", c->resyncs);
    for (int i = 0; i < AT_TROUBLE_KINDS; i++)
        add(troubles, at_trouble_names[i], s->troubles.kinds[i].count);
    add(noise, "unexpected_lines", c->others);
    add(noise, "late_lines", c->discarded);
    add(noise, "overlong_lines", s->chat.lines.overlong_lines);
    add(noise, "garbage_bytes", s->chat.lines.garbage_bytes);
    add(noise, "stray_bytes", c->stray_bytes);
    add(noise, "early_prompts", c->early_prompts);
    json_object_set_new(o, "errors", troubles);
    json_object_set_new(o, "noise", noise);
    return o;
}
