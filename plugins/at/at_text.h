/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_text - what came from a device, made fit for logs, terminals and JSON.
 */
#ifndef TG_PLUGINS_AT_TEXT_H
#define TG_PLUGINS_AT_TEXT_H

#include <jansson.h>

#include "core/base/bytes.h"
#include "southbound/at_chat.h"

#define AT_SHOWN_BYTES 160
/* A line for people: bytes outside printable ASCII as \xHH, cut to fit. Returns buf. */
const char *at_shown(struct tg_bytes line, char buf[AT_SHOWN_BYTES]);
/* A command without its arguments, which may be a PIN or a password. Returns buf. */
const char *at_shown_command(const char *command, char buf[AT_SHOWN_BYTES]);
/* A line (at most TG_AT_LINE_MAX_BYTES) as a JSON text; when it is not UTF-8, its bytes above 0x7F as \xHH.
 */
json_t *at_json_line(struct tg_bytes line);
/* The outcome of a write or raw command for its caller: `lines`, `status`, and as they apply `code`, `final`, `truncated` and, unless it
 * went well, `error` for people. The line that ended it is cut in `error`, whole in `final`. NULL without memory. */
json_t *at_json_result(const struct tg_at_result *r);

#endif
