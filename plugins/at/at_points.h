/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_points - from a line of an AT device to a value: a PCRE2 pattern picks a group, a type reads it.
 *
 * Lines are bytes, not UTF-8 (patterns cannot switch UTF mode on). They are hostile: matching is bounded in
 * steps, depth and memory, so that no pattern and line together hold the loop longer than about a
 * millisecond; what exceeds the bounds counts as no match and is told apart for the log.
 *
 * A pattern is compiled once and used by one thread at a time. Numbers are read as in the C locale whatever
 * the process's locale is. Nothing that was not wholly a number of its type becomes a value.
 */
#ifndef TG_PLUGINS_AT_POINTS_H
#define TG_PLUGINS_AT_POINTS_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <tidegate/plugin.h>

#include "core/base/bytes.h"

struct tg_at_pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    uint32_t groups; /* how many the pattern has */
};

/* 0; TG_PLUGIN_EINVAL with what is wrong and where (1-based offset) in `error`; TG_PLUGIN_ENOMEM. */
int tg_at_pattern_compile(struct tg_at_pattern *p, const char *text, char *error, size_t error_size);
/* Zeroed or compiled. */
void tg_at_pattern_fini(struct tg_at_pattern *p);

enum tg_at_match { TG_AT_NO_MATCH = 0, TG_AT_MATCH = 1, TG_AT_TOO_COSTLY = 2 };
enum tg_at_match tg_at_pattern_match(struct tg_at_pattern *p, struct tg_bytes line);
/* A group of the last match, a view into its line; 0 = all. False when the group took no part. */
bool tg_at_pattern_group(const struct tg_at_pattern *p, uint32_t group, struct tg_bytes line,
                         struct tg_bytes *ret_text);

enum tg_at_type { TG_AT_AUTO = 0, TG_AT_INT, TG_AT_REAL, TG_AT_TEXT, TG_AT_BOOL, TG_AT_HEX, TG_AT_RAW };

struct tg_at_reader {
    enum tg_at_type type;     /* AUTO: an integer or a real number, by its look */
    bool decimal_comma;       /* "21,5" */
    const char *const *nulls; /* texts that mean "no value"; borrowed */
    uint32_t null_count;
    const char *const
        *maps; /* "from=to": a text of the device stands for another; empty = as it is; borrowed */
    uint32_t map_count;
};

/* NULL, or what is wrong with an entry of a map. */
const char *tg_at_map_fault(const char *entry);

/* Reads `text` (blanks around it are ignored); null texts are looked for ahead of the map, a text that a map does not have is not of
 * the type. TG_AT_RAW takes every byte and gives them as hexadecimal digits, in `ret_hex` (2 * text.len bytes, at most
 * TG_TEXT_MAX_BYTES; NULL where the type is another). Sets quality and value of *ret; a TEXT value is a view into
 * `text`, the map or ret_hex. Quality SENSOR: a null text, or not of this type; RANGE: a number that does not fit, text too long.
 * True unless the text is not of this type, which deserves a line in the log. */
bool tg_at_read_value(const struct tg_at_reader *r, struct tg_bytes text, char *ret_hex,
                      struct tg_point_value *ret);

#endif
