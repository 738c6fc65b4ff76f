/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * settings - typed values of one options table (`struct tg_option`, plugins/sdk/tidegate/plugin.h).
 *
 * One mechanism for the whole configuration: the gateway's own sections, clouds, and what plugins
 * declare. The configuration reader fills them (text → value, defaults, ranges); everyone else reads.
 * A name that is not in the table is a programmer's mistake and aborts. Immutable once built; reading is
 * safe from any thread.
 */
#ifndef TG_BASE_SETTINGS_H
#define TG_BASE_SETTINGS_H

#include <tidegate/plugin.h>

#include "core/base/error.h"

#define TG_SETTINGS_MAX_ITEMS    256 /* of one TEXT_LIST */
#define TG_SETTINGS_NUMBER_BYTES 32

struct tg_settings_position {
    int line, column; /* 1-based; 0 = from a default */
};

/* Empty settings for a table (NULL = a table without options); every option absent. NULL when out of memory. */
struct tg_settings *tg_settings_new(const struct tg_option *table);
void tg_settings_free(struct tg_settings *s);

/* Parses `text` for option `name` and stores it, replacing what was there. TG_ENOTFOUND for an unknown
 * name (the error names the nearest known one), TG_EINVAL or TG_ERANGE with what is allowed.
 * PATH and SECRET_FILE are stored as `base_dir`/text when relative (base_dir NULL = as it is); of "pkcs11:…" only
 * a relative pin-source is, and "credential:NAME" of a SECRET_FILE is the file NAME in systemd's $CREDENTIALS_DIRECTORY. */
int tg_settings_set(struct tg_settings *s, const char *name, const char *text, const char *base_dir,
                    struct tg_settings_position pos, struct tg_error *err) TG_CHECKED;
/* Appends to a TEXT_LIST option. */
int tg_settings_append(struct tg_settings *s, const char *name, const char *text,
                       struct tg_settings_position pos, struct tg_error *err) TG_CHECKED;
/* Makes a TEXT_LIST present and empty: a list in the file replaces a profile's list, it does not grow it. */
void tg_settings_set_empty_list(struct tg_settings *s, const char *name, struct tg_settings_position pos);
/* Fills in defaults, then checks that required options are there (TG_ENOTFOUND, err names the option). */
int tg_settings_finish(struct tg_settings *s, struct tg_error *err) TG_CHECKED;

/* Absent numbers read as 0, absent texts as NULL, absent lists as empty. A type that does not fit aborts. */
bool tg_settings_has(const struct tg_settings *s, const char *name);
int64_t tg_settings_int(const struct tg_settings *s, const char *name);
double tg_settings_real(const struct tg_settings *s, const char *name);
const char *tg_settings_text(const struct tg_settings *s, const char *name);
uint32_t tg_settings_list(const struct tg_settings *s, const char *name, const char *const **ret_items);
struct tg_settings_position tg_settings_position(const struct tg_settings *s, const char *name);
const struct tg_option *tg_settings_table(const struct tg_settings *s);

/* Value parsers, also for command lines. Pure. TG_EINVAL with the reason and what is allowed. */
int tg_parse_duration_ms(const char *text, int64_t *ret_ms, struct tg_error *err) TG_CHECKED;
int tg_parse_size_bytes(const char *text, int64_t *ret_bytes, struct tg_error *err) TG_CHECKED;
int tg_parse_int(const char *text, int64_t *ret, struct tg_error *err) TG_CHECKED;
int tg_parse_real(const char *text, double *ret, struct tg_error *err) TG_CHECKED;
int tg_parse_bool(const char *text, bool *ret, struct tg_error *err) TG_CHECKED;
/* A number as it would stand in the file: DURATION and SIZE with the largest unit that divides it. */
void tg_format_option_number(uint32_t type, int64_t v, char ret_text[TG_SETTINGS_NUMBER_BYTES]);
/* The candidate nearest to `word` by edit distance, or NULL when none is near (distance > 1 + len/4). */
const char *tg_nearest_word(const char *word, const char *const *candidates, size_t count);

#endif
