/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/pkcs11_uri.h"

#define URI_BYTES 4096

struct list {
    uint32_t count;
    char *items[];
};

/* One option's value, kept small: a big site has two tables of about ten options for each of 10,000 points.
 */
struct value {
    union {
        int64_t integer; /* BOOL, INT, ENUM (its text is the table's), DURATION, SIZE */
        double real;
        char *text;        /* TEXT, PATH, SECRET_FILE: owned */
        struct list *list; /* owned; NULL = empty */
    } as;
    uint32_t line;
    uint32_t column : 31;
    uint32_t present : 1;
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

static bool holds_text(uint32_t type)
{
    return type == TG_OPTION_TEXT || type == TG_OPTION_PATH || type == TG_OPTION_SECRET_FILE;
}

static void clear(const struct tg_option *o, struct value *v)
{
    if (v->present && holds_text(o->type)) {
        tg_free(v->as.text);
    } else if (v->present && o->type == TG_OPTION_TEXT_LIST && v->as.list) {
        for (uint32_t i = 0; i < v->as.list->count; i++)
            tg_free(v->as.list->items[i]);
        tg_free(v->as.list);
    }
    *v = (struct value){.present = 0};
}

void tg_settings_free(struct tg_settings *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        clear(&s->table[i], &s->values[i]);
    tg_free(s);
}

/* The option's index, or count when there is none. */
static size_t find(const struct tg_settings *s, const char *name)
{
    size_t i = 0;
    /* The first letter tells most of them apart without a call. */
    while (i < s->count && (s->table[i].name[0] != name[0] || strcmp(s->table[i].name, name) != 0))
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

/* What somebody means who writes true or yes where on and off are the choices; else NULL. */
static const char *switch_word(const char *const *choices, size_t count, const char *text)
{
    static const char *const words[][2] = {{"true", "on"},     {"yes", "on"}, {"enabled", "on"},
                                           {"false", "off"},   {"no", "off"}, {"none", "off"},
                                           {"disabled", "off"}};
    bool has_on = false;
    for (size_t i = 0; i < count; i++)
        has_on = has_on || strcmp(choices[i], "on") == 0;
    for (size_t i = 0; has_on && i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(words[i][0], text) == 0)
            return words[i][1];
    return NULL;
}

static int set_enum(struct value *v, const struct tg_option *o, const char *text, struct tg_error *err)
{
    size_t count = 0, used = 0;
    char list[200] = "", quoted[TG_QUOTE_BYTES];
    const char *near;
    for (; o->choices && o->choices[count]; count++) {
        if (strcmp(o->choices[count], text) == 0) {
            v->as.integer = (int64_t)count;
            return TG_OK;
        }
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", count ? ", " : "",
                                     o->choices[count]);
    }
    near = switch_word(o->choices, count, text);
    if (!near)
        near = tg_nearest_word(text, o->choices, count);
    tg_quote(quoted, text, strlen(text));
    if (near)
        return tg_error_set(err, TG_EINVAL, "%s is not one of %s: did you mean \"%s\"?", quoted, list, near);
    return tg_error_set(err, TG_EINVAL, "%s is not one of %s", quoted, list);
}

static int copy_text(struct value *v, const char *text, struct tg_error *err)
{
    char *copy = tg_strdup(text);
    if (!copy)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    v->as.text = copy;
    return TG_OK;
}

static int join_path(struct value *v, const char *dir, const char *name, struct tg_error *err)
{
    size_t dir_len = strlen(dir), len = strlen(name);
    char *path = tg_malloc(dir_len + 1 + len + 1);
    if (!path)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    memcpy(path, dir, dir_len);
    if (dir_len == 0 || dir[dir_len - 1] != '/')
        path[dir_len++] = '/';
    memcpy(path + dir_len, name, len + 1);
    v->as.text = path;
    return TG_OK;
}

static int set_path(struct value *v, uint32_t type, const char *text, const char *base_dir,
                    struct tg_error *err)
{
    static const char credential[] = "credential:";
    if (text[0] == '\0')
        return tg_error_set(err, TG_EINVAL, "the path is empty");
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return tg_error_set(err, TG_EINVAL, "the path has a control character");
    }
    if (type == TG_OPTION_SECRET_FILE && strncmp(text, credential, sizeof credential - 1) == 0) {
        const char *dir = getenv("CREDENTIALS_DIRECTORY"), *name = text + sizeof credential - 1;
        if (name[0] == '\0' || name[0] == '.' || strchr(name, '/'))
            return tg_error_set(err, TG_EINVAL, "the name of a systemd credential is missing or has a '/'");
        if (!dir || dir[0] != '/')
            return tg_error_set(err, TG_EINVAL,
                                "a systemd credential needs LoadCredential= in the service: "
                                "CREDENTIALS_DIRECTORY is not set");
        return join_path(v, dir, name, err);
    }
    if (text[0] == '/' || !base_dir)
        return copy_text(v, text, err);
    if (tg_pkcs11_uri_is(text)) { /* names an object on a token; only its PIN is in a file */
        char uri[URI_BYTES];
        struct tg_writer w = tg_writer_init(uri, sizeof uri);
        tg_pkcs11_uri_resolve(&w, text, base_dir);
        return tg_writer_cstr(&w) < 0
                   ? tg_error_set(err, TG_ETOOBIG, "the PKCS#11 URI is longer than %d bytes", URI_BYTES)
                   : copy_text(v, uri, err);
    }
    return join_path(v, base_dir, text, err);
}

static int parse(struct value *v, const struct tg_option *o, const char *text, const char *base_dir,
                 struct tg_error *err)
{
    bool boolean = false;
    int rc;
    switch (o->type) {
    case TG_OPTION_BOOL:
        rc = tg_parse_bool(text, &boolean, err);
        v->as.integer = boolean;
        return rc;
    case TG_OPTION_INT:
        rc = tg_parse_int(text, &v->as.integer, err);
        return rc < 0 ? rc : check_limits(o, v->as.integer, "", err);
    case TG_OPTION_REAL:
        return tg_parse_real(text, &v->as.real, err);
    case TG_OPTION_DURATION:
        rc = tg_parse_duration_ms(text, &v->as.integer, err);
        return rc < 0 ? rc : check_limits(o, v->as.integer, "", err);
    case TG_OPTION_SIZE:
        rc = tg_parse_size_bytes(text, &v->as.integer, err);
        return rc < 0 ? rc : check_limits(o, v->as.integer, "", err);
    case TG_OPTION_TEXT:
        rc = check_limits(o, (int64_t)strlen(text), "the text's length of ", err);
        return rc < 0 ? rc : copy_text(v, text, err);
    case TG_OPTION_ENUM:
        return set_enum(v, o, text, err);
    case TG_OPTION_PATH:
    case TG_OPTION_SECRET_FILE:
        return set_path(v, o->type, text, base_dir, err);
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
    struct value fresh = {
        .present = 1, .line = (uint32_t)pos.line, .column = (uint32_t)pos.column & INT32_MAX};
    size_t i = find(s, name);
    int rc;
    if (i == s->count)
        return unknown(s, name, err);
    rc = parse(&fresh, &s->table[i], text, base_dir, err);
    if (rc < 0)
        return rc; /* nothing is owned by `fresh` yet */
    clear(&s->table[i], &s->values[i]);
    s->values[i] = fresh;
    return TG_OK;
}

int tg_settings_append(struct tg_settings *s, const char *name, const char *text,
                       struct tg_settings_position pos, struct tg_error *err)
{
    size_t i = find(s, name);
    struct value *v;
    struct list *list;
    uint32_t count;
    if (i == s->count)
        return unknown(s, name, err);
    if (s->table[i].type != TG_OPTION_TEXT_LIST)
        return tg_error_set(err, TG_EINVAL, "one value is needed, not a sequence");
    v = &s->values[i];
    count = v->as.list ? v->as.list->count : 0;
    if (count >= TG_SETTINGS_MAX_ITEMS)
        return tg_error_set(err, TG_ETOOBIG, "more than %d entries", TG_SETTINGS_MAX_ITEMS);
    list = tg_realloc(v->as.list, sizeof *list + (count + 1) * sizeof list->items[0]);
    if (!list)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    list->count = count;
    v->as.list = list;
    if (!v->present)
        *v = (struct value){
            .as.list = list, .line = (uint32_t)pos.line, .column = (uint32_t)pos.column & INT32_MAX};
    v->present = 1;
    list->items[count] = tg_strdup(text);
    if (!list->items[count])
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    list->count++;
    return TG_OK;
}

void tg_settings_set_empty_list(struct tg_settings *s, const char *name, struct tg_settings_position pos)
{
    size_t i = find(s, name);
    TG_ASSERT(i < s->count && s->table[i].type == TG_OPTION_TEXT_LIST);
    clear(&s->table[i], &s->values[i]);
    s->values[i] =
        (struct value){.line = (uint32_t)pos.line, .column = (uint32_t)pos.column & INT32_MAX, .present = 1};
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
    s->values[o - s->table].present = 1;
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
        ->as.integer;
}

double tg_settings_real(const struct tg_settings *s, const char *name)
{
    return get(s, name, 1u << TG_OPTION_REAL)->as.real;
}

const char *tg_settings_text(const struct tg_settings *s, const char *name)
{
    const struct value *v =
        get(s, name,
            1u << TG_OPTION_TEXT | 1u << TG_OPTION_ENUM | 1u << TG_OPTION_PATH | 1u << TG_OPTION_SECRET_FILE);
    const struct tg_option *o = &s->table[v - s->values];
    if (!v->present)
        return NULL;
    return o->type == TG_OPTION_ENUM ? o->choices[v->as.integer] : v->as.text;
}

uint32_t tg_settings_list(const struct tg_settings *s, const char *name, const char *const **ret_items)
{
    const struct value *v = get(s, name, 1u << TG_OPTION_TEXT_LIST);
    *ret_items = v->as.list ? (const char *const *)v->as.list->items : NULL;
    return v->as.list ? v->as.list->count : 0;
}

struct tg_settings_position tg_settings_position(const struct tg_settings *s, const char *name)
{
    const struct value *v = get(s, name, 0);
    return (struct tg_settings_position){(int)v->line, (int)v->column};
}

const struct tg_option *tg_settings_table(const struct tg_settings *s)
{
    return s->table;
}
