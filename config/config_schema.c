/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_schema - the tables as JSON Schema (draft 2020-12), for editors that complete and check while one
 * types.
 *
 * It says less than the loader (nothing about references, files and what plugins check) and never forbids
 * what the loader takes, with one exception: numbers and booleans in quotes.
 */
#include <inttypes.h>

#include "config/config_private.h"

/* Writes JSON; `comma` says whether the next member or item needs one. */
struct out {
    FILE *f;
    bool comma;
};

static void put_string(struct out *o, const char *text)
{
    fputc('"', o->f);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(o->f, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7F)
            fprintf(o->f, "\\u%04x", *c);
        else
            fputc(*c, o->f);
    }
    fputc('"', o->f);
}

static void separate(struct out *o)
{
    if (o->comma)
        fputs(",\n", o->f);
    o->comma = true;
}

static void key(struct out *o, const char *name)
{
    separate(o);
    put_string(o, name);
    fputc(':', o->f);
}

static void open_brace(struct out *o, char brace)
{
    fputc(brace, o->f);
    o->comma = false;
}

static void close_brace(struct out *o, char brace)
{
    fputc(brace, o->f);
    o->comma = true;
}

static void text_member(struct out *o, const char *name, const char *text)
{
    key(o, name);
    put_string(o, text);
}

static void raw_member(struct out *o, const char *name, const char *json)
{
    key(o, name);
    fputs(json, o->f);
}

static void number_member(struct out *o, const char *name, int64_t v)
{
    key(o, name);
    fprintf(o->f, "%" PRId64, v);
}

/* --- options --- */

#define TEXT_TYPES                                                                                           \
    "[\"string\",\"number\",\"boolean\"]" /* YAML's plain 4711 is a text where a text is wanted */
#define DURATION_FORMAT "^[0-9]+(\\.[0-9]+)? ?(ms|s|m|h|d)$"
#define SIZE_FORMAT     "^[0-9]+(\\.[0-9]+)? ?(B|KiB|MiB|GiB|kB|MB|GB)$"

static void limits(struct out *o, const struct tg_option *opt, const char *min, const char *max)
{
    if (opt->min == 0 && opt->max == 0)
        return;
    if (opt->min != INT64_MIN)
        number_member(o, min, opt->min);
    if (opt->max != INT64_MAX)
        number_member(o, max, opt->max);
}

static void option_type(struct out *o, const struct tg_option *opt)
{
    switch (opt->type) {
    case TG_OPTION_BOOL:
        text_member(o, "type", "boolean");
        break;
    case TG_OPTION_INT:
        text_member(o, "type", "integer");
        limits(o, opt, "minimum", "maximum");
        break;
    case TG_OPTION_REAL:
        text_member(o, "type", "number");
        break;
    case TG_OPTION_TEXT:
        raw_member(o, "type", TEXT_TYPES);
        limits(o, opt, "minLength", "maxLength");
        break;
    case TG_OPTION_ENUM:
        key(o, "enum");
        open_brace(o, '[');
        for (size_t i = 0; opt->choices && opt->choices[i]; i++) {
            const char *choice = opt->choices[i];
            separate(o);
            put_string(o, choice);
            if (choice[0] >= '1' && choice[0] <= '9' && strspn(choice, "0123456789") == strlen(choice))
                fprintf(o->f, ",%s", choice); /* `baud: 19200` is a number to an editor */
        }
        close_brace(o, ']');
        break;
    case TG_OPTION_DURATION:
        text_member(o, "type", "string");
        text_member(o, "pattern", DURATION_FORMAT);
        break;
    case TG_OPTION_SIZE:
        text_member(o, "type", "string");
        text_member(o, "pattern", SIZE_FORMAT);
        break;
    case TG_OPTION_PATH:
    case TG_OPTION_SECRET_FILE:
        text_member(o, "type", "string");
        number_member(o, "minLength", 1);
        break;
    case TG_OPTION_TEXT_LIST:
        if (opt->flags & TG_OPTION_PAIRS) {
            raw_member(o, "type", "[\"array\",\"object\"]");
            raw_member(o, "additionalProperties", "{\"type\":" TEXT_TYPES "}");
        } else {
            text_member(o, "type", "array");
        }
        raw_member(o, "items", "{\"type\":" TEXT_TYPES "}");
        number_member(o, "maxItems", TG_SETTINGS_MAX_ITEMS);
        break;
    default:
        break; /* a type of a newer plugin: anything goes */
    }
}

static void option(struct out *o, const struct tg_option *opt)
{
    key(o, opt->name);
    open_brace(o, '{');
    option_type(o, opt);
    if (opt->doc)
        text_member(o, "description", opt->doc);
    if (opt->default_text &&
        (opt->type == TG_OPTION_BOOL || opt->type == TG_OPTION_INT || opt->type == TG_OPTION_REAL))
        raw_member(o, "default", opt->default_text);
    else if (opt->default_text && opt->type != TG_OPTION_TEXT_LIST)
        text_member(o, "default", opt->default_text);
    close_brace(o, '}');
}

static void options(struct out *o, const struct tg_option *table)
{
    for (; table && table->name; table++)
        option(o, table);
}

static bool any_required(const struct tg_option *table)
{
    for (; table && table->name; table++)
        if ((table->flags & TG_OPTION_REQUIRED) && !table->default_text)
            return true;
    return false;
}

static void required_of(struct out *o, const struct tg_option *table)
{
    for (; table && table->name; table++) {
        if (!(table->flags & TG_OPTION_REQUIRED) || table->default_text)
            continue;
        separate(o);
        put_string(o, table->name);
    }
}

/* Begins an object that takes nothing but its properties; ends inside "properties". */
static void begin_object(struct out *o)
{
    open_brace(o, '{');
    text_member(o, "type", "object");
    raw_member(o, "additionalProperties", "false");
    key(o, "properties");
    open_brace(o, '{');
}

/* Ends the properties; `names` are required beside what the tables require. More members may follow. */
static void end_object_open(struct out *o, const char *const *names, const struct tg_option *a,
                            const struct tg_option *b)
{
    close_brace(o, '}');
    key(o, "required");
    open_brace(o, '[');
    for (; names && *names; names++) {
        separate(o);
        put_string(o, *names);
    }
    required_of(o, a);
    required_of(o, b);
    close_brace(o, ']');
}

static void end_object(struct out *o, const char *const *names, const struct tg_option *a,
                       const struct tg_option *b)
{
    end_object_open(o, names, a, b);
    close_brace(o, '}');
}

static void table_def(struct out *o, const char *name, const struct tg_option *table)
{
    key(o, name);
    begin_object(o);
    options(o, table);
    end_object(o, NULL, table, NULL);
}

/* --- parts of the file --- */

#define CLOUDS_OF_A_DEVICE "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/route\"}}"

static void discover_def(struct out *o)
{
    static const char *const required[] = {"clouds", NULL};
    key(o, "discover");
    begin_object(o);
    raw_member(o, "clouds", CLOUDS_OF_A_DEVICE);
    raw_member(o, "identity", "{\"$ref\":\"#/$defs/identity\"}");
    options(o, tg_config_discover_options);
    end_object(o, required, tg_config_discover_options, NULL);
}

static void common_defs(struct out *o)
{
    key(o, "gateway");
    begin_object(o);
    options(o, tg_config_gateway_options);
    raw_member(o, "log", "{\"$ref\":\"#/$defs/log\"}");
    end_object(o, NULL, tg_config_gateway_options, NULL);
    table_def(o, "log", tg_config_log_options);
    table_def(o, "outbox", tg_config_outbox_options);
    table_def(o, "quota", tg_config_quota_options);
    table_def(o, "batch", tg_config_batch_options);
    key(o, "identity");
    open_brace(o, '{');
    text_member(o, "type", "object");
    raw_member(o, "additionalProperties", "false");
    key(o, "properties");
    open_brace(o, '{');
    options(o, tg_config_identity_options);
    close_brace(o, '}');
    raw_member(o, "oneOf",
               "[{\"required\":[\"sas_key_file\"],\"maxProperties\":1},"
               "{\"required\":[\"certificate\",\"key\"],\"maxProperties\":2},"
               "{\"required\":[\"pkcs12\",\"password_file\"],\"maxProperties\":2},"
               "{\"required\":[\"derive_from_group\"],\"maxProperties\":1},"
               "{\"required\":[\"jwt_key\"],\"maxProperties\":1},"
               "{\"required\":[\"username\",\"password_file\"],\"maxProperties\":2}]");
    close_brace(o, '}');
    raw_member(o, "route",
               "{\"oneOf\":[{\"type\":" TEXT_TYPES "},{\"type\":\"object\",\"additionalProperties\":false,"
               "\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":" TEXT_TYPES
               "},\"id\":{\"type\":" TEXT_TYPES "},\"identity\":{\"$ref\":\"#/$defs/identity\"}}}]}");
}

static void cloud_def(struct out *o, const struct tg_config_cloud_type *type, size_t index)
{
    static const char *const with_host[] = {"name", "type", "host", NULL}, *const without[] = {"name", "type",
                                                                                               NULL};
    char name[32];
    snprintf(name, sizeof name, "cloud-%zu", index);
    key(o, name);
    begin_object(o);
    raw_member(o, "name", "{\"type\":" TEXT_TYPES "}");
    key(o, "type");
    open_brace(o, '{');
    text_member(o, "const", type->type);
    close_brace(o, '}');
    raw_member(o, "batch", "{\"$ref\":\"#/$defs/batch\"}");
    raw_member(o, "outbox", "{\"$ref\":\"#/$defs/quota\"}");
    raw_member(o, "identity", "{\"$ref\":\"#/$defs/identity\"}");
    options(o, tg_config_cloud_options);
    options(o, type->options);
    if (type->provisioning_options) {
        key(o, "provisioning");
        begin_object(o);
        raw_member(o, "identity", "{\"$ref\":\"#/$defs/identity\"}");
        options(o, type->provisioning_options);
        end_object(o, NULL, type->provisioning_options, NULL);
    }
    end_object(o, type->host_required && !type->provisioning_options ? with_host : without,
               tg_config_cloud_options, type->options);
}

/* `more` is a further member that is not the table's: its name and its JSON; NULL = none. */
static void settings_member(struct out *o, const struct tg_option *table, const char *const *more,
                            bool required)
{
    key(o, "settings");
    begin_object(o);
    options(o, table);
    if (more)
        raw_member(o, more[0], more[1]);
    end_object(o, NULL, required ? table : NULL, NULL);
}

static bool has_option(const struct tg_option *table, const char *name)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, name) == 0)
            return true;
    return false;
}

static void point_schema(struct out *o, const struct tg_plugin *p)
{
    static const char *const point_required[] = {"name", NULL};
    begin_object(o);
    raw_member(o, "name", "{\"type\":" TEXT_TYPES "}");
    raw_member(o, "unit", "{\"type\":" TEXT_TYPES "}");
    options(o, tg_config_point_options);
    for (const struct tg_option *opt = p->point_options; opt && opt->name; opt++)
        if (!has_option(tg_config_point_options, opt->name))
            option(o, opt);
    end_object_open(o, point_required, tg_config_point_options, NULL);
    if (any_required(p->point_options)) { /* a derived point is not read and has none of them */
        raw_member(o, "if",
                   "{\"not\":{\"anyOf\":[{\"required\":[\"sum\"]},{\"required\":[\"difference\"]},"
                   "{\"required\":[\"rate\"]}]}}");
        key(o, "then");
        open_brace(o, '{');
        key(o, "required");
        open_brace(o, '[');
        required_of(o, p->point_options);
        close_brace(o, ']');
        close_brace(o, '}');
    }
    close_brace(o, '}');
}

static void device_schema(struct out *o, const struct tg_plugin *p)
{
    static const char *const required[] = {"id", "clouds", NULL};
    static const char *const with_settings[] = {"id", "clouds", "settings", NULL};
    static const char *const profile[] = {"profile", "{\"type\":\"string\"}"};
    bool profiles = p->profiles && p->profiles->name; /* a profile may give what the table requires */
    begin_object(o);
    raw_member(o, "id", "{\"type\":" TEXT_TYPES "}");
    raw_member(o, "clouds", CLOUDS_OF_A_DEVICE);
    raw_member(o, "identity", "{\"$ref\":\"#/$defs/identity\"}");
    raw_member(o, "profile", "{\"type\":\"string\"}");
    raw_member(o, "outbox", "{\"$ref\":\"#/$defs/quota\"}");
    settings_member(o, p->device_options, has_option(p->device_options, "profile") ? NULL : profile,
                    !profiles);
    key(o, "points");
    open_brace(o, '{');
    text_member(o, "type", "array");
    key(o, "items");
    point_schema(o, p);
    close_brace(o, '}');
    end_object(o, !profiles && any_required(p->device_options) ? with_settings : required, NULL, NULL);
}

static void source_def(struct out *o, const struct tg_plugin *p, size_t index)
{
    static const char *const required[] = {"name", "plugin", NULL};
    static const char *const with_settings[] = {"name", "plugin", "settings", NULL};
    static const char *const discover[] = {"discover", "{\"$ref\":\"#/$defs/discover\"}"};
    char name[32];
    snprintf(name, sizeof name, "source-%zu", index);
    key(o, name);
    begin_object(o);
    raw_member(o, "name", "{\"type\":" TEXT_TYPES "}");
    key(o, "plugin");
    open_brace(o, '{');
    text_member(o, "const", p->name);
    if (p->summary)
        text_member(o, "description", p->summary);
    close_brace(o, '}');
    options(o, tg_config_source_options);
    raw_member(o, "outbox", "{\"$ref\":\"#/$defs/quota\"}");
    settings_member(o, p->source_options, discover, true);
    key(o, "devices");
    open_brace(o, '{');
    text_member(o, "type", "array");
    key(o, "items");
    device_schema(o, p);
    close_brace(o, '}');
    end_object(o, any_required(p->source_options) ? with_settings : required, NULL, NULL);
}

/* "if `property` is X then it is def-N", for every X: an editor then shows what belongs to X only. */
static void begin_choice(struct out *o, const char *name, const char *property)
{
    key(o, name);
    open_brace(o, '{');
    text_member(o, "type", "object");
    key(o, "required");
    open_brace(o, '[');
    put_string(o, "name");
    o->comma = true;
    separate(o);
    put_string(o, property);
    close_brace(o, ']');
    key(o, "properties");
    open_brace(o, '{');
    key(o, property);
    open_brace(o, '{');
    key(o, "enum");
    open_brace(o, '[');
}

static void middle_choice(struct out *o)
{
    close_brace(o, ']');
    close_brace(o, '}');
    close_brace(o, '}');
    key(o, "allOf");
    open_brace(o, '[');
}

static void choice(struct out *o, const char *property, const char *value, const char *def, size_t index)
{
    separate(o);
    fputs("{\"if\":{\"required\":[", o->f);
    put_string(o, property);
    fputs("],\"properties\":{", o->f);
    put_string(o, property);
    fputs(":{\"const\":", o->f);
    put_string(o, value);
    fprintf(o->f, "}}},\"then\":{\"$ref\":\"#/$defs/%s-%zu\"}}", def, index);
    o->comma = true;
}

int tg_config_schema(FILE *out, const struct tg_plugin *const *plugins, size_t plugin_count,
                     const struct tg_config_cloud_type *const *types, size_t type_count)
{
    struct out o = {out, false};
    open_brace(&o, '{');
    text_member(&o, "$schema", "https://json-schema.org/draft/2020-12/schema");
    text_member(&o, "title", "tidegate configuration");
    text_member(&o, "type", "object");
    raw_member(&o, "additionalProperties", "false");
    raw_member(&o, "properties",
               "{\"gateway\":{\"$ref\":\"#/$defs/gateway\"},\"outbox\":{\"$ref\":\"#/$defs/outbox\"},"
               "\"clouds\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/cloud\"}},"
               "\"sources\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/source\"}}}");
    key(&o, "$defs");
    open_brace(&o, '{');
    common_defs(&o);
    discover_def(&o);
    begin_choice(&o, "cloud", "type");
    for (size_t i = 0; i < type_count; i++) {
        separate(&o);
        put_string(&o, types[i]->type);
    }
    middle_choice(&o);
    for (size_t i = 0; i < type_count; i++)
        choice(&o, "type", types[i]->type, "cloud", i);
    close_brace(&o, ']');
    close_brace(&o, '}');
    begin_choice(&o, "source", "plugin");
    for (size_t i = 0; i < plugin_count; i++) {
        separate(&o);
        put_string(&o, plugins[i]->name);
    }
    middle_choice(&o);
    for (size_t i = 0; i < plugin_count; i++)
        choice(&o, "plugin", plugins[i]->name, "source", i);
    close_brace(&o, ']');
    close_brace(&o, '}');
    for (size_t i = 0; i < type_count; i++)
        cloud_def(&o, types[i], i);
    for (size_t i = 0; i < plugin_count; i++)
        source_def(&o, plugins[i], i);
    close_brace(&o, '}');
    close_brace(&o, '}');
    fputc('\n', out);
    return ferror(out) ? TG_EIO : TG_OK;
}
