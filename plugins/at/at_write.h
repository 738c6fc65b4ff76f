/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_write - a value put into a command template ("AT+UGPIOW=16,{value}"), so that it cannot become more
 * than a value: the cloud's texts are hostile. Refused are control characters (CR, LF, NUL, Ctrl-Z and ESC
 * end, send or cancel a command), a quote or backslash, and outside quotes a comma or semicolon too (a second
 * parameter, a second command).
 */
#ifndef TG_PLUGINS_AT_WRITE_H
#define TG_PLUGINS_AT_WRITE_H

#include <tidegate/plugin.h>

#define TG_AT_VALUE_PLACE "{value}"

/* NULL, or what is wrong with a template. */
const char *tg_at_write_fault(const char *text);

struct tg_at_write {
    const char *text;         /* the template */
    const char *const *allow; /* the only texts that may be written; a numeric range is the host's to check */
    uint32_t allow_count;
    int64_t
        type; /* enum tg_at_type of the point; without `allow`, int, real and bool take only what they are */
};

/* From a point's settings, which must have `write`; what it names is theirs. */
void tg_at_write_from_settings(const struct tg_host *host, const struct tg_settings *point,
                               struct tg_at_write *ret);
/* `struct tg_plugin`.check_value of plugins whose points have these options. */
int tg_at_check_value(const struct tg_host *host, const struct tg_settings *device,
                      const struct tg_point *point, const struct tg_value *value, char *error,
                      size_t error_size);

/* The command line into ret_command[size]. Booleans are written 1 and 0, numbers in full precision. 0, or
 * TG_PLUGIN_EINVAL with what is allowed in `error`. */
int tg_at_write_format(const struct tg_at_write *w, const struct tg_value *value, char *ret_command,
                       size_t size, char *error, size_t error_size);

#endif
