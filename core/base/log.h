/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * log - lines for people, as key=value text or JSON, on standard error.
 *
 * The layer that decides logs, once; sans-I/O cores never log. A line says what happened, where (device,
 * cloud, file:line:col), what was kept and what happens next ("retrying in 8 s"). Keys, tokens and
 * passwords have no print path: nothing of type secret is ever passed here.
 *
 *     tg_log(TG_LOG_WARN, "session", "device=%s cloud=%s connect failed: %s; retrying in %lld ms", …);
 *
 * Lines of the same `component` and format beyond 20 in 10 s are counted, not printed; the count is
 * printed when the flood ends. Thread-safe. Control characters and invalid UTF-8 in a message are escaped.
 */
#ifndef TG_BASE_LOG_H
#define TG_BASE_LOG_H

#include <tidegate/plugin.h> /* enum tg_log_level */

#include "core/base/error.h"

enum tg_log_format { TG_LOG_TEXT = 0, TG_LOG_JSON = 1 };

void tg_log_configure(enum tg_log_level level, enum tg_log_format format);
enum tg_log_level tg_log_level(void);
void tg_log(enum tg_log_level level, const char *component, const char *fmt, ...) TG_PRINTF(3, 4);
void tg_log_v(enum tg_log_level level, const char *component, const char *fmt, va_list ap) TG_PRINTF(3, 0);

#endif
