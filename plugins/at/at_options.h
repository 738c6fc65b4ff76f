/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_options - what a source and a point of the AT plugin take, and the checks that tables cannot say.
 */
#ifndef TG_PLUGINS_AT_OPTIONS_H
#define TG_PLUGINS_AT_OPTIONS_H

#include <tidegate/plugin.h>

#include "plugins/at/at_write.h"

extern const struct tg_option tg_at_source_options[];
extern const struct tg_option tg_at_device_options[]; /* what makes a script: a profile can bring it */
extern const struct tg_option tg_at_point_options[];

/* enum of the point option `payload` */
enum tg_at_payload { TG_AT_PAYLOAD_NO, TG_AT_PAYLOAD_LINE, TG_AT_PAYLOAD_QUOTED, TG_AT_PAYLOAD_BLOCK };

/* The write of a point as its options say. */
void tg_at_options_write(const struct tg_host *host, const struct tg_settings *s, struct tg_at_write *ret);

/* `struct tg_plugin`.check_point. */
int tg_at_check_point(const struct tg_host *host, const struct tg_settings *device,
                      const struct tg_point *point, const char **ret_option, char *error, size_t error_size);
/* `struct tg_plugin`.check_source of the AT plugin (at_check.c). */
int at_check_source(const struct tg_host *host, const struct tg_settings *source, const char **ret_option,
                    char *error, size_t error_size);
/* `struct tg_plugin`.check_value. */
int tg_at_check_value(const struct tg_host *host, const struct tg_settings *device,
                      const struct tg_point *point, const struct tg_value *value, char *error,
                      size_t error_size);
/* NULL, or why `command` cannot be sent as a command line. */
const char *tg_at_command_fault(const char *command);

#endif
