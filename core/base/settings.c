/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"

/* One option's value. `text` is owned; numbers are kept beside the text they came from where both are read.
 */
struct value {
    bool present;
    struct tg_settings_position pos;
    int64_t integer;
    double real;
    char *text;
    char **items;
    uint32_t item_count;
};

struct tg_settings {
    const struct tg_option *table;
    size_t count;
    struct value values[];
};

static const struct tg_option no_options[] = {{.name = NULL}};

struct tg_settings *tg_settings_new(const struct tg_option *table)
{
    size_t count = 0;
    struct tg_settings *s;
    table = table ? table : no_options;
    while (table[count].name)
        count++;
    s = tg_calloc(1, sizeof *s + count * sizeof s->values[0]);
    if (!s)
        return NULL;
    s->table = table;
    s->count = count;
    return s;
}

static void clear(struct value *v)
{
    for (uint32_t i = 0; i < v->item_count; i++)
        tg_free(v->items[i]);
    tg_free(v->items);
    tg_free(v->text);
    *v = (struct value){.present = false};
}

void tg_settings_free(struct tg_settings *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        clear(&s->values[i]);
    tg_free(s);
}

/* The option's index, or count when there is none. */
static size_t find(const struct tg_settings *s, const char *name)
{
    size_t i = 0;
    while (i < s->count && strcmp(s->table[i].name, name) != 0)
        i++;
    return i;
}

static int unknown(const struct tg_settings *s, const char *name, struct tg_error *err)
{
    const char *names[64], *near;
    size_t n = 0;
    char quoted[TG_QUOTE_BYTES];
    for (size_t i = 0; i < s->count && n < sizeof names / sizeof names[0]; i++)
        names[n++] = s->table[i].name;
    near = tg_nearest_word(name, names, n);
    tg_quote(quoted, name, strlen(name));
    if (near)
        return tg_error_set(err, TG_ENOTFOUND, "unknown option %s: did you mean \"%s\"?", quoted, near);
    return tg_error_set(err, TG_ENOTFOUND, "unknown option %s", quoted);
}

/* --- values --- */

static int check_limits(const struct tg_option *o, int64_t v, const char *what, struct tg_error *err)
{
    char value[TG_SETTINGS_NUMBER_BYTES], min[TG_SETTINGS_NUMBER_BYTES], max[TG_SETTINGS_NUMBER_BYTES];
    if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
        return TG_OK;
    tg_format_option_number(o->type, v, value);
    tg_format_option_number(o->type, o->min, min);
    tg_format_option_number(o->type, o->max, max);
    if (o->max == INT64_MAX)
        return tg_error_set(err, TG_ERANGE, "%s%s is out of range: at least %s is allowed", what, value, min);
    if (o->min == INT64_MIN)
        return tg_error_set(err, TG_ERANGE, "%s%s is out of range: at most %s is allowed", what, value, max);
    return tg_error_set(err, TG_ERANGE, "%s%s is out of range: %s to %s is allowed", what, value, min, max);
}

static int set_enum(struct value *v, const struct tg_option *o, const char *text, struct tg_error *err)
{
    size_t count = 0, used = 0;
    char list[200] = "", quoted[TG_QUOTE_BYTES];
    const char *near;
    for (; o->choices && o->choices[count]; count++) {
        if (strcmp(o->choices[count], text) == 0) {
            v->integer = (int64_t)count;
            return TG_OK;
        }
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", count ? ", " : "",
                                     o->choices[count]);
    }
    near = tg_nearest_word(text, o->choices, count);
    tg_quote(quoted, text, strlen(text));
    if (near)
        return tg_error_set(err, TG_EINVAL, "%s is not one of %s: did you mean \"%s\"?", quoted, list, near);
    return tg_error_set(err, TG_EINVAL, "%s is not one of %s", quoted, list);
}

static int copy_text(struct value *v, const char *text, struct tg_error *err)
{
    v->text = tg_strdup(text);
    return v->text ? TG_OK : tg_error_set(err, TG_ENOMEM, "out of memory");
}

static int set_path(struct value *v, const char *text, const char *base_dir, struct tg_error *err)
{
    size_t dir_len, len = strlen(text);
    if (len == 0)
        return tg_error_set(err, TG_EINVAL, "the path is empty");
    /* A PKCS#11 URI names an object on a token, not a file. */
    if (text[0] == '/' || !base_dir || strncmp(text, "pkcs11:", 7) == 0)
        return copy_text(v, text, err);
    dir_len = strlen(base_dir);
    v->text = tg_malloc(dir_len + 1 + len + 1);
    if (!v->text)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    memcpy(v->text, base_dir, dir_len);
    if (dir_len == 0 || base_dir[dir_len - 1] != '/')
        v->text[dir_len++] = '/';
    memcpy(v->text + dir_len, text, len + 1);
    return TG_OK;
}

static int parse(struct value *v, const struct tg_option *o, const char *text, const char *base_dir,
                 struct tg_error *err)
{
    bool boolean = false;
    int rc;
    switch (o->type) {
    case TG_OPTION_BOOL:
        rc = tg_parse_bool(text, &boolean, err);
        v->integer = boolean;
        return rc;
    case TG_OPTION_INT:
        rc = tg_parse_int(text, &v->integer, err);
        return rc < 0 ? rc : check_limits(o, v->integer, "", err);
    case TG_OPTION_REAL:
        return tg_parse_real(text, &v->real, err);
    case TG_OPTION_DURATION:
        rc = tg_parse_duration_ms(text, &v->integer, err);
        return rc < 0 ? rc : check_limits(o, v->integer, "", err);
    case TG_OPTION_SIZE:
        rc = tg_parse_size_bytes(text, &v->integer, err);
        return rc < 0 ? rc : check_limits(o, v->integer, "", err);
    case TG_OPTION_TEXT:
        rc = check_limits(o, (int64_t)strlen(text), "the text's length of ", err);
        return rc < 0 ? rc : copy_text(v, text, err);
    case TG_OPTION_ENUM:
        rc = set_enum(v, o, text, err);
        return rc < 0 ? rc : copy_text(v, text, err);
    case TG_OPTION_PATH:
    case TG_OPTION_SECRET_FILE:
        return set_path(v, text, base_dir, err);
    case TG_OPTION_TEXT_LIST:
        return tg_error_set(err, TG_EINVAL, "a sequence of texts is needed: [a, b]");
    default:
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "its table gives it the type %u, which this version does not know", o->type);
    }
}

int tg_settings_set(struct tg_settings *s, const char *name, const char *text, const char *base_dir,
                    struct tg_settings_position pos, struct tg_error *err)
{
    struct value fresh = {.present = true, .pos = pos};
    size_t i = find(s, name);
    int rc;
    if (i == s->count)
        return unknown(s, name, err);
    rc = parse(&fresh, &s->table[i], text, base_dir, err);
    if (rc < 0) {
        clear(&fresh);
        return rc;
    }
    clear(&s->values[i]);
    s->values[i] = fresh;
    return TG_OK;
}

int tg_settings_append(struct tg_settings *s, const char *name, const char *text,
                       struct tg_settings_position pos, struct tg_error *err)
{
    size_t i = find(s, name);
    struct value *v;
    char **items;
    if (i == s->count)
        return unknown(s, name, err);
    v = &s->values[i];
    if (s->table[i].type != TG_OPTION_TEXT_LIST)
        return tg_error_set(err, TG_EINVAL, "one value is needed, not a sequence");
    if (v->item_count >= TG_SETTINGS_MAX_ITEMS)
        return tg_error_set(err, TG_ETOOBIG, "more than %d entries", TG_SETTINGS_MAX_ITEMS);
    items = tg_realloc(v->items, (v->item_count + 1) * sizeof items[0]);
    if (!items)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    v->items = items;
    items[v->item_count] = tg_strdup(text);
    if (!items[v->item_count])
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    v->item_count++;
    if (!v->present)
        v->pos = pos;
    v->present = true;
    return TG_OK;
}

void tg_settings_clear(struct tg_settings *s, const char *name)
{
    size_t i = find(s, name);
    TG_ASSERT(i < s->count);
    clear(&s->values[i]);
}

/* "[a, b]" as a default: texts without commas or quotes are enough for a table. */
static int default_list(struct tg_settings *s, const struct tg_option *o, struct tg_error *err)
{
    const struct tg_settings_position none = {0, 0};
    const char *at = o->default_text;
    while (*at) {
        size_t skip = strspn(at, "[], "), len = strcspn(at + skip, "[], ");
        TG_CLEANUP_FREE char *item = NULL;
        int rc;
        at += skip;
        if (len == 0)
            break;
        item = tg_strndup(at, len);
        rc = item ? tg_settings_append(s, o->name, item, none, err)
                  : tg_error_set(err, TG_ENOMEM, "out of memory");
        if (rc < 0)
            return rc;
        at += len;
    }
    s->values[o - s->table].present = true;
    return TG_OK;
}

int tg_settings_finish(struct tg_settings *s, struct tg_error *err)
{
    const struct tg_settings_position none = {0, 0};
    for (size_t i = 0; i < s->count; i++) {
        const struct tg_option *o = &s->table[i];
        int rc;
        if (s->values[i].present || !o->default_text)
            continue;
        rc = o->type == TG_OPTION_TEXT_LIST ? default_list(s, o, err)
                                            : tg_settings_set(s, o->name, o->default_text, NULL, none, err);
        if (rc < 0) {
            tg_error_wrap(err, "the default of option \"%s\" (a defect of its table)", o->name);
            return rc;
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        if (!s->values[i].present && (s->table[i].flags & TG_OPTION_REQUIRED))
            return tg_error_set(err, TG_ENOTFOUND, "option \"%s\" is required: %s", s->table[i].name,
                                s->table[i].doc ? s->table[i].doc : "it has no default");
    }
    return TG_OK;
}

/* --- reading --- */

static const struct value *get(const struct tg_settings *s, const char *name, unsigned types)
{
    size_t i = find(s, name);
    TG_ASSERT(i < s->count); /* else: the option is not in the table */
    TG_ASSERT(types == 0 || (s->table[i].type < 32 && (types >> s->table[i].type & 1u)));
    return &s->values[i];
}

bool tg_settings_has(const struct tg_settings *s, const char *name)
{
    return get(s, name, 0)->present;
}

int64_t tg_settings_int(const struct tg_settings *s, const char *name)
{
    return get(s, name,
               1u << TG_OPTION_BOOL | 1u << TG_OPTION_INT | 1u << TG_OPTION_ENUM | 1u << TG_OPTION_DURATION |
                   1u << TG_OPTION_SIZE)
        ->integer;
}

double tg_settings_real(const struct tg_settings *s, const char *name)
{
    return get(s, name, 1u << TG_OPTION_REAL)->real;
}

const char *tg_settings_text(const struct tg_settings *s, const char *name)
{
    return get(s, name,
               1u << TG_OPTION_TEXT | 1u << TG_OPTION_ENUM | 1u << TG_OPTION_PATH |
                   1u << TG_OPTION_SECRET_FILE)
        ->text;
}

uint32_t tg_settings_list(const struct tg_settings *s, const char *name, const char *const **ret_items)
{
    const struct value *v = get(s, name, 1u << TG_OPTION_TEXT_LIST);
    *ret_items = (const char *const *)v->items;
    return v->item_count;
}

struct tg_settings_position tg_settings_position(const struct tg_settings *s, const char *name)
{
    return get(s, name, 0)->pos;
}

const struct tg_option *tg_settings_table(const struct tg_settings *s)
{
    return s->table;
}
