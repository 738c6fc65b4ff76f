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
