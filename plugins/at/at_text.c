/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_text.h"

#include <stdio.h>
#include <string.h>

#include "southbound/at_lines.h"

const char *at_shown(struct tg_bytes line, char buf[AT_SHOWN_BYTES])
{
    size_t n = 0;
    for (size_t i = 0; i < line.len && n + 8 < AT_SHOWN_BYTES; i++) {
        if (line.data[i] >= 0x20 && line.data[i] < 0x7F)
            buf[n++] = (char)line.data[i];
        else
            n += (size_t)snprintf(buf + n, AT_SHOWN_BYTES - n, "\\x%02x", line.data[i]);
        if (n + 8 >= AT_SHOWN_BYTES && i + 1 < line.len) {
            memcpy(buf + n, "...", 3);
            n += 3;
        }
    }
    buf[n] = 0;
    return buf;
}

const char *at_shown_command(const char *command, char buf[AT_SHOWN_BYTES])
{
    size_t name = strcspn(command, "=");
    bool query = command[name] == 0 || strcmp(command + name, "=?") == 0;
    snprintf(buf, AT_SHOWN_BYTES, "%.*s%s", query ? 120 : (int)(name > 120 ? 120 : name), command,
             query ? "" : "=…");
    return buf;
}

json_t *at_json_line(struct tg_bytes line)
{
    char text[4 * TG_AT_LINE_MAX_BYTES + 1];
    size_t n = 0;
    if (tg_utf8_valid(line))
        return json_stringn((const char *)line.data, line.len);
    for (size_t i = 0; i < line.len; i++)
        n +=
            (size_t)snprintf(text + n, sizeof text - n, line.data[i] < 0x80 ? "%c" : "\\x%02x", line.data[i]);
    return json_stringn(text, n);
}

static void put_error(json_t *to, const struct tg_at_result *r)
{
    char text[AT_SHOWN_BYTES + 80], shown[AT_SHOWN_BYTES];
    if (r->status == TG_AT_TIMEOUT)
        snprintf(text, sizeof text, "no answer in %lld ms; whether the device did it is not known",
                 (long long)r->command->timeout_ms);
    else if (r->status == TG_AT_HANGUP)
        snprintf(text, sizeof text,
                 "the port was closed before the answer; whether the device did it is not known");
    else if (r->final.len > 0)
        snprintf(text, sizeof text, "the device answered %s", at_shown(r->final, shown));
    else
        snprintf(text, sizeof text, "the device answered %s", tg_at_status_name(r->status));
    json_object_set_new(to, "error", json_string(text));
}

json_t *at_json_result(const struct tg_at_result *r)
{
    json_t *lines = json_array(), *o = json_object();
    for (uint32_t i = 0; i < r->line_count; i++)
        json_array_append_new(lines, at_json_line(r->lines[i]));
    json_object_set_new(o, "lines", lines);
    json_object_set_new(o, "status", json_string(tg_at_status_name(r->status)));
    if (r->code >= 0)
        json_object_set_new(o, "code", json_integer(r->code));
    if (r->status != TG_AT_OK && r->final.len > 0)
        json_object_set_new(o, "final", at_json_line(r->final));
    if (r->truncated > 0)
        json_object_set_new(o, "truncated", json_integer(r->truncated));
    if (r->status != TG_AT_OK)
        put_error(o, r);
    return o;
}
