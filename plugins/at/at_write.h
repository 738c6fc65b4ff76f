/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_write - a value put into a command template ("AT+UGPIOW=16,{value}"), so that it cannot become more
 * than a value: the cloud's texts are hostile. Refused are control characters (CR, LF, NUL, Ctrl-Z and ESC
 * end, send or cancel a command), a quote or backslash, and outside quotes a comma or semicolon too (a second
 * parameter, a second command). In data behind a prompt the text may hold quotes and commas, but no control
 * character; bytes given as hexadecimal digits may be any when their number is announced, else not those that end or cancel.
 */
#ifndef TG_PLUGINS_AT_WRITE_H
#define TG_PLUGINS_AT_WRITE_H

#include <tidegate/plugin.h>

#include "core/base/bytes.h"
#include "southbound/at_chat.h"

#define TG_AT_VALUE_PLACE          "{value}"
#define TG_AT_LENGTH_PLACE         "{length}" /* how many bytes the data have, without what ends them */
#define TG_AT_WRITE_DATA_MAX_BYTES 1024

enum tg_at_data_end { TG_AT_END_CTRL_Z = 0, TG_AT_END_CR, TG_AT_END_CRLF, TG_AT_END_NONE };

struct tg_at_write {
    const char *text;         /* the template of the command */
    const char *const *allow; /* the only texts that may be written; a numeric range is the host's to check */
    uint32_t allow_count;
    /* Data behind the command; then the value stands in `data`, not in `text`. */
    const char *prompt; /* what the device says when it waits for them; NULL = no data, unless `block` */
    const char *data;   /* their template, NULL = "{value}" */
    enum tg_at_data_end end;
    bool hex;   /* the value is hexadecimal digits: their bytes are sent */
    bool block; /* 01, length as big-endian u16, bytes, directly behind the command */
    int64_t delay_ms;
    int64_t
        type; /* enum tg_at_type of the point; without `allow`, int, real and bool take only what they are */
};

/* What is sent for one value. */
struct tg_at_written {
    char text[TG_AT_COMMAND_MAX_BYTES + 1];
    uint8_t data[TG_AT_WRITE_DATA_MAX_BYTES + 4];
    size_t data_len; /* with what ends or announces them */
};

/* NULL, or what is wrong with the templates and options of a write; *ret_option then names the one at fault. */
const char *tg_at_write_fault(const struct tg_at_write *w, const char **ret_option);

/* Booleans are written 1 and 0, numbers in full precision. 0, or TG_PLUGIN_EINVAL with what is allowed in `error`. */
int tg_at_write_format(const struct tg_at_write *w, const struct tg_value *value, struct tg_at_written *ret,
                       char *error, size_t error_size);

#endif
