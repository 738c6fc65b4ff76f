/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_read - tree → model: mappings by option tables, identities, and the gateway, outbox and clouds
 * sections.
 */
#include <stdio.h>

#include "config/config_private.h"

#define PAIR_BYTES 512 /* a key and a value of a mapping that becomes a list */

#define QUOTE(buf, text) tg_quote((buf), (text), strlen(text))

/* --- one mapping --- */

static bool among(const char *const *keys, const char *key)
{
    for (; keys && *keys; keys++)
        if (strcmp(*keys, key) == 0)
            return true;
    return false;
}

static const char *later_text(const char *const *later, const char *key)
{
    for (; later && *later; later += 2)
        if (strcmp(*later, key) == 0)
            return later[1];
    return NULL;
}

static const struct tg_option *find_option(const struct tg_option *table, const char *key)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, key) == 0)
            return table;
    return NULL;
}

/* Words that make people write the secret itself. The value is never shown. */
static bool names_a_secret(const char *key)
{
    static const char *const words[] = {"password",
                                        "passphrase",
                                        "secret",
                                        "sas_key",
                                        "token",
                                        "connection_string",
                                        "shared_access_key",
                                        "primary_key",
                                        "secondary_key",
                                        "private_key",
                                        "symmetric_key",
                                        "group_key",
                                        "api_key",
                                        "access_key",
                                        "pin",
                                        "puk"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], key) == 0)
            return true;
    return false;
}

/* The option that names the file of such a secret, if it is one of `names`. */
static const char *file_of_secret(const char *key, const char *const *names, size_t n)
{
    static const char *const files[][2] = {
        {"password", "password_file"},      {"passphrase", "password_file"},
        {"sas_key", "sas_key_file"},        {"shared_access_key", "sas_key_file"},
        {"primary_key", "sas_key_file"},    {"secondary_key", "sas_key_file"},
        {"symmetric_key", "sas_key_file"},  {"connection_string", "sas_key_file"},
        {"group_key", "derive_from_group"}, {"private_key", "key"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        for (size_t k = 0; k < n && strcmp(files[i][0], key) == 0; k++)
            if (strcmp(files[i][1], names[k]) == 0)
                return names[k];
    return NULL;
}

static void unknown_key(struct tg_config_load *l, struct tg_config_pos pos, const char *key,
                        const struct tg_config_section *s)
{
    const char *names[TG_YAML_MAX_KEYS], *near;
    size_t n = 0, used = 0;
    char quoted[TG_QUOTE_BYTES], list[240] = "";
    for (size_t i = 3; i-- > 0;) /* the last table is the most special one: it stands first in the list */
        for (const struct tg_option *o = s->settings[i] ? tg_settings_table(s->settings[i]) : NULL;
             o && o->name && n < TG_YAML_MAX_KEYS; o++)
            names[n++] = o->name;
    for (const char *const *k = s->own_keys; k && *k && n < TG_YAML_MAX_KEYS; k++)
        names[n++] = *k;
    QUOTE(quoted, key);
    if (names_a_secret(key)) {
        const char *instead = file_of_secret(key, names, n);
        tg_config_error(l, pos,
                        "%s: a secret is never written into this file: put it into a file with mode 0600 and "
                        "name that%s%s%s",
                        key, instead ? " with " : "", instead ? instead : "", instead ? ": FILE" : "");
        return;
    }
    near = tg_nearest_word(key, names, n);
    if (near) {
        tg_config_error(l, pos, "unknown key %s in %s: did you mean \"%s\"?", quoted, s->what, near);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);
        if (used + len + 8 > sizeof list) {
            snprintf(list + used, sizeof list - used, ", …");
            break;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    if (n)
        tg_config_error(l, pos, "unknown key %s in %s; known are %s", quoted, s->what, list);
    else
        tg_config_error(l, pos, "unknown key %s: no key is known in %s", quoted, s->what);
}

/* A key pasted where its file should stand must not reach the terminal or the log through "… does not exist".
 */
static bool looks_like_a_secret(const char *text)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strspn(text, base64);
    return strstr(text, "-----BEGIN") || strstr(text, "SharedAccessKey=") || (n >= 40 && text[n] == '=');
}

/* Folders are paths, although a list has only texts. */
static const char *folder(struct tg_config_load *l, const char *text)
{
    size_t bytes = strlen(l->base_dir) + strlen(text) + 2;
    char *path = text[0] == '/' ? NULL : tg_config_alloc(l, 1, bytes);
    if (!path)
        return text;
    snprintf(path, bytes, "%s/%s", l->base_dir, text);
    return path;
}

static void read_list(struct tg_config_load *l, const char *file, const struct tg_yaml_node *value,
                      const char *key, struct tg_settings *s, struct tg_settings_position where)
{
    bool folders = tg_settings_table(s) == tg_config_gateway_options &&
                   (strcmp(key, "plugin_dirs") == 0 || strcmp(key, "profile_dirs") == 0);
    struct tg_error err = {0};
    tg_settings_set_empty_list(s, key, where);
    for (const struct tg_yaml_node *i = value->as.first; i; i = i->next) {
        const struct tg_yaml_node *item = tg_yaml_resolve(i);
        struct tg_config_pos pos = tg_config_pos_of(file, i);
        int rc;
        if (item->kind != TG_YAML_TEXT) {
            tg_config_error(l, pos, "%s: an item is one text, not %s", key, tg_yaml_kind_text(item));
            continue;
        }
        rc = tg_settings_append(s, key, folders ? folder(l, item->as.text) : item->as.text, where, &err);
        if (rc == TG_ENOMEM)
            l->out_of_memory = true;
        else if (rc < 0)
            tg_config_error(l, pos, "%s: %s", key, err.text);
        if (rc < 0)
            return;
    }
}

/* A mapping as the list of its pairs. */
static void read_pairs(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                       const char *key, struct tg_settings *s, struct tg_settings_position where)
{
    if (!map->as.first)
        tg_settings_set_empty_list(s, key, where);
    for (const struct tg_yaml_node *k = map->as.first; k; k = k->next->next) {
        const struct tg_yaml_node *value = tg_yaml_resolve(k->next);
        struct tg_config_pos pos = tg_config_pos_of(file, k);
        struct tg_error err = {0};
        char pair[PAIR_BYTES];
        int rc, n;
        if (value->kind != TG_YAML_TEXT) {
            tg_config_error(l, pos, "%s: %.64s: takes one text, not %s", key, k->as.text,
                            tg_yaml_kind_text(value));
            return;
        }
        n = snprintf(pair, sizeof pair, "%s=%s", k->as.text, value->as.text);
        if (n < 0 || (size_t)n >= sizeof pair) {
            tg_config_error(l, pos, "%s: %.64s: longer than %d bytes", key, k->as.text, PAIR_BYTES - 1);
            return;
        }
        rc = tg_settings_append(s, key, pair, where, &err);
        if (rc == TG_ENOMEM)
            l->out_of_memory = true;
        else if (rc < 0)
            tg_config_error(l, pos, "%s: %s", key, err.text);
        if (rc < 0)
            return;
    }
}

static void read_option(struct tg_config_load *l, const char *file, const struct tg_yaml_node *value,
                        const struct tg_option *o, struct tg_settings *s, bool no_position)
{
    const struct tg_yaml_node *target = tg_yaml_resolve(value);
    struct tg_config_pos pos = tg_config_pos_of(file, value);
    struct tg_settings_position where = {no_position ? 0 : pos.line, no_position ? 0 : pos.column};
    struct tg_error err = {0};
    int rc;
    if (target->kind == TG_YAML_NULL) {
        tg_config_error(l, pos, "%s: has no value: give one or remove the key", o->name);
        return;
    }
    if (o->type == TG_OPTION_TEXT_LIST && target->kind == TG_YAML_LIST) {
        read_list(l, file, target, o->name, s, where);
        return;
    }
    if ((o->flags & TG_OPTION_PAIRS) && target->kind == TG_YAML_MAP) {
        read_pairs(l, file, target, o->name, s, where);
        return;
    }
    if (target->kind != TG_YAML_TEXT || o->type == TG_OPTION_TEXT_LIST) {
        tg_config_error(l, pos, "%s: takes %s, not %s", o->name,
                        o->flags & TG_OPTION_PAIRS       ? "a mapping ({0: a, 1: b})"
                        : o->type == TG_OPTION_TEXT_LIST ? "a sequence ([a, b])"
                                                         : "one value",
                        tg_yaml_kind_text(target));
        return;
    }
    if (o->type == TG_OPTION_SECRET_FILE && looks_like_a_secret(target->as.text)) {
        tg_config_error(
            l, pos,
            "%s: this looks like the secret itself: put it into a file with mode 0600 and name the file here",
            o->name);
        return;
    }
    rc = tg_settings_set(s, o->name, target->as.text, l->base_dir, where, &err);
    if (rc == TG_ENOMEM)
        l->out_of_memory = true;
    else if (rc < 0)
        tg_config_error(l, pos, "%s: %s", o->name, err.text);
}

void tg_config_read_section(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                            const struct tg_config_section *section)
{
    for (const struct tg_yaml_node *k = map->as.first; k && !l->out_of_memory; k = k->next->next) {
        const char *key = k->as.text, *later = later_text(section->later, key);
        bool known = among(section->own_keys, key);
        for (size_t i = 0; i < 3 && !known; i++) {
            const struct tg_option *o =
                section->settings[i] ? find_option(tg_settings_table(section->settings[i]), key) : NULL;
            if (!o)
                continue;
            read_option(l, file, k->next, o, section->settings[i], section->no_positions);
            known = true;
        }
        if (known || (section->open && !names_a_secret(key)))
            continue;
        if (later)
            tg_config_error(l, tg_config_pos_of(file, k), "%s: %s", key, later);
        else
            unknown_key(l, tg_config_pos_of(file, k), key, section);
    }
}

struct tg_settings *tg_config_new_settings(struct tg_config_load *l, const struct tg_option *table)
{
    struct tg_settings *s = tg_settings_new(table);
    if (!s)
        l->out_of_memory = true;
    return s;
}

void tg_config_finish(struct tg_config_load *l, struct tg_config_pos pos, const char *what,
                      struct tg_settings *s, const struct tg_yaml_node *map, const char *hint)
{
    struct tg_error err = {0};
    bool missing = false;
    int rc;
    for (const struct tg_option *o = tg_settings_table(s); o->name; o++) {
        if (!(o->flags & TG_OPTION_REQUIRED) || o->default_text || tg_settings_has(s, o->name))
            continue;
        missing = true;
        if (!map || !tg_yaml_get(map, o->name)) /* else its value is wrong, and that is reported */
            tg_config_error(l, pos, "missing \"%s\" in %s: %s%s", o->name, what,
                            o->doc ? o->doc : "it has no default", hint ? hint : "");
    }
    rc = tg_settings_finish(s, &err);
    if (rc == TG_ENOMEM)
        l->out_of_memory = true;
    else if (rc < 0 && !missing)
        tg_config_error(l, pos, "%s: %s", what, err.text);
}

const char *tg_config_read_text(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                                const char *key)
{
    const struct tg_yaml_node *n = tg_yaml_get(map, key);
    if (!n)
        return NULL;
    if (n->kind == TG_YAML_TEXT)
        return tg_config_text(l, n->as.text);
    tg_config_error(l, tg_config_pos_of(file, n), "%s: takes one value, not %s", key, tg_yaml_kind_text(n));
    return NULL;
}

const struct tg_yaml_node *tg_config_read_node(struct tg_config_load *l, const char *file,
                                               const struct tg_yaml_node *map, const char *key,
                                               enum tg_yaml_kind kind)
{
    const struct tg_yaml_node *n = tg_yaml_get(map, key);
    if (!n || n->kind == kind)
        return n;
    tg_config_error(l, tg_config_pos_of(file, n), "%s: takes %s, not %s", key,
                    kind == TG_YAML_MAP ? "a mapping (key: value)"
                                        : "a sequence (lines that begin with \"- \")",
                    tg_yaml_kind_text(n));
    return NULL;
}

/* --- identity --- */

static const char identity_forms[] =
    "{sas_key_file: F}, {certificate: F, key: F}, {pkcs12: F, password_file: F}, "
    "{derive_from_group: F}, {jwt_key: F} or {username: U, password_file: F}";

static const struct {
    enum tg_identity_kind kind;
    const char *first, *second; /* the keys it has, and no others */
} identity_kinds[] = {
    {TG_IDENTITY_SAS_KEY, "sas_key_file", NULL},     {TG_IDENTITY_X509, "certificate", "key"},
    {TG_IDENTITY_PKCS12, "pkcs12", "password_file"}, {TG_IDENTITY_GROUP, "derive_from_group", NULL},
    {TG_IDENTITY_JWT_KEY, "jwt_key", NULL},          {TG_IDENTITY_PASSWORD, "username", "password_file"},
};

/* Which kind the keys make; NONE: reported. */
static enum tg_identity_kind identity_kind(struct tg_config_load *l, struct tg_config_pos pos,
                                           const struct tg_settings *s)
{
    size_t given = 0;
    for (const struct tg_option *o = tg_config_identity_options; o->name; o++)
        given += tg_settings_has(s, o->name);
    for (size_t i = 0; i < sizeof identity_kinds / sizeof identity_kinds[0]; i++) {
        const char *first = identity_kinds[i].first, *second = identity_kinds[i].second;
        bool has_first = tg_settings_has(s, first), has_second = second && tg_settings_has(s, second);
        if (given == (second ? 2u : 1u) && has_first && (!second || has_second))
            return identity_kinds[i].kind;
        if (given == 1 && second && (has_first || (has_second && strcmp(second, "key") == 0))) {
            tg_config_error(l, pos, "identity: \"%s\" needs \"%s\" beside it", has_first ? first : second,
                            has_first ? second : first);
            return TG_IDENTITY_NONE;
        }
    }
    if (given == 1 && tg_settings_has(s, "password_file"))
        tg_config_error(l, pos, "identity: \"password_file\" needs \"username\" or \"pkcs12\" beside it");
    else if (given == 0)
        tg_config_error(l, pos, "identity: is empty; it is one of %s", identity_forms);
    else
        tg_config_error(l, pos, "identity: these keys do not belong together; it is one of %s",
                        identity_forms);
    return TG_IDENTITY_NONE;
}

static const char *identity_text(struct tg_config_load *l, const struct tg_settings *s, const char *name)
{
    return tg_settings_has(s, name) ? tg_config_text(l, tg_settings_text(s, name)) : NULL;
}

void tg_config_read_identity(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                             struct tg_config_identity *ret_identity)
{
    const struct tg_yaml_node *n = tg_config_read_node(l, file, map, "identity", TG_YAML_MAP);
    struct tg_config_identity_seen *seen;
    struct tg_config_section section = {.what = "an identity"};
    struct tg_settings *s;
    uint32_t errors = l->error_count;
    if (!n)
        return;
    s = tg_config_new_settings(l, tg_config_identity_options);
    seen = tg_config_alloc(l, 1, sizeof *seen);
    if (!s || !seen)
        goto done;
    section.settings[0] = s;
    ret_identity->pos = tg_config_pos_of(file, n);
    tg_config_read_section(l, file, n, &section);
    /* With a wrong key in it, its kind would only be guessed. */
    if (l->error_count == errors)
        ret_identity->kind = identity_kind(l, ret_identity->pos, s);
    ret_identity->sas_key_file = identity_text(l, s, "sas_key_file");
    ret_identity->certificate = identity_text(l, s, "certificate");
    ret_identity->key = identity_text(l, s, "key");
    ret_identity->pkcs12 = identity_text(l, s, "pkcs12");
    ret_identity->password_file = identity_text(l, s, "password_file");
    ret_identity->group_key_file = identity_text(l, s, "derive_from_group");
    ret_identity->jwt_key = identity_text(l, s, "jwt_key");
    ret_identity->username = identity_text(l, s, "username");
    seen->identity = ret_identity;
    seen->next = l->identities;
    l->identities = seen;
done:
    tg_settings_free(s);
}

/* --- gateway, outbox, clouds --- */

void tg_config_read_gateway(struct tg_config_load *l, const char *file, const struct tg_yaml_node *root)
{
    static const char *const own[] = {"log", NULL};
    bool is_map = root && root->kind == TG_YAML_MAP;
    const struct tg_yaml_node *n = is_map ? tg_config_read_node(l, file, root, "gateway", TG_YAML_MAP) : NULL;
    const struct tg_yaml_node *log = n ? tg_config_read_node(l, file, n, "log", TG_YAML_MAP) : NULL;
    struct tg_settings *gateway = tg_config_new_settings(l, tg_config_gateway_options);
    struct tg_settings *log_settings = tg_config_new_settings(l, tg_config_log_options);
    struct tg_config_section section = {.what = "gateway", .settings = {gateway}, .own_keys = own};
    struct tg_config_section log_section = {.what = "log", .settings = {log_settings}};
    l->model->config.gateway = gateway;
    l->model->config.log = log_settings;
    if (!gateway || !log_settings)
        return;
    if (n)
        tg_config_read_section(l, file, n, &section);
    if (log)
        tg_config_read_section(l, file, log, &log_section);
    tg_config_finish(l, tg_config_pos_of(file, n ? n : root), "gateway", gateway, n, NULL);
    tg_config_finish(l, tg_config_pos_of(file, log ? log : root), "log", log_settings, log, NULL);
}

void tg_config_read_outbox(struct tg_config_load *l, const char *file, const struct tg_yaml_node *root)
{
    bool is_map = root && root->kind == TG_YAML_MAP;
    const struct tg_yaml_node *n = is_map ? tg_config_read_node(l, file, root, "outbox", TG_YAML_MAP) : NULL;
    struct tg_settings *s = tg_config_new_settings(l, tg_config_outbox_options);
    struct tg_config_section section = {.what = "outbox", .settings = {s}};
    l->model->config.outbox = s;
    if (!s)
        return;
    if (n)
        tg_config_read_section(l, file, n, &section);
    tg_config_finish(l, tg_config_pos_of(file, n ? n : root), "outbox", s, n, NULL);
}

static const struct tg_config_cloud_type *find_type(struct tg_config_load *l, const char *file,
                                                    const struct tg_yaml_node *map, const char *type)
{
    const struct tg_config_cloud_type *t;
    struct tg_error err = {0};
    if (!type)
        return NULL;
    t = l->lookups->cloud_type(l->lookups->user, type, &err);
    if (!t)
        tg_config_error(l, tg_config_pos_of(file, tg_yaml_get(map, "type")), "type: %s", err.text);
    return t;
}

static void read_provisioning(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                              const struct tg_config_cloud_type *type, struct tg_config_cloud *c)
{
    static const char *const own[] = {"identity", NULL};
    const struct tg_yaml_node *n = tg_config_read_node(l, file, map, "provisioning", TG_YAML_MAP);
    struct tg_config_section section = {.what = "provisioning", .own_keys = own, .open = !type};
    struct tg_settings *s;
    if (!n)
        return;
    if (type && !type->provisioning_options) {
        tg_config_error(l, tg_config_pos_of(file, n), "provisioning: clouds of type %s have none",
                        type->type);
        return;
    }
    c->provisioning = s = tg_config_new_settings(l, type ? type->provisioning_options : NULL);
    if (!s)
        return;
    section.settings[0] = s;
    tg_config_read_section(l, file, n, &section);
    tg_config_finish(l, tg_config_pos_of(file, n), "provisioning", s, n, NULL);
    tg_config_read_identity(l, file, n, &c->provisioning_identity);
}

void tg_config_read_cloud(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map)
{
    static const char *const own[] = {"name", "type", "batch", "identity", "provisioning", "outbox", NULL};
    uint32_t at = l->cloud_fill, errors = l->error_count;
    struct tg_config_cloud *c = &l->clouds[at];
    const struct tg_yaml_node *batch = tg_config_read_node(l, file, map, "batch", TG_YAML_MAP);
    const struct tg_config_cloud_type *type;
    struct tg_settings *common, *batch_settings, *settings;
    struct tg_config_section section = {.what = "a cloud", .own_keys = own};
    struct tg_config_section batch_section = {.what = "batch"};
    c->pos = tg_config_pos_of(file, map);
    c->name = tg_config_read_text(l, file, map, "name");
    c->type = tg_config_read_text(l, file, map, "type");
    if (!c->name && !tg_yaml_get(map, "name"))
        tg_config_error(l, c->pos, "missing \"name\" in the cloud");
    if (!c->type && !tg_yaml_get(map, "type"))
        tg_config_error(l, c->pos, "missing \"type\" in the cloud");
    type = find_type(l, file, map, c->type);
    c->common = common = tg_config_new_settings(l, tg_config_cloud_options);
    c->batch = batch_settings = tg_config_new_settings(l, tg_config_batch_options);
    c->settings = settings = tg_config_new_settings(l, type ? type->options : NULL);
    l->cloud_fill++;
    l->cloud_types[at] = type;
    if (l->out_of_memory)
        return;
    section.settings[0] = common;
    section.settings[1] = settings;
    section.open = !type;
    batch_section.settings[0] = batch_settings;
    tg_config_read_section(l, file, map, &section);
    if (batch)
        tg_config_read_section(l, file, batch, &batch_section);
    tg_config_read_identity(l, file, map, &c->identity);
    tg_config_read_quota(l, file, map, &c->quota);
    read_provisioning(l, file, map, type, c);
    tg_config_finish(l, c->pos, "the cloud", common, map, NULL);
    tg_config_finish(l, batch ? tg_config_pos_of(file, batch) : c->pos, "batch", batch_settings, batch, NULL);
    if (type)
        tg_config_finish(l, c->pos, "the cloud", settings, map, NULL);
    c->drain = tg_settings_int(tg_settings_has(common, "drain") ? common : l->model->config.outbox, "drain");
    if (type && type->host_required && !c->provisioning && !tg_yaml_get(map, "host"))
        tg_config_error(l, c->pos, "missing \"host\" in the cloud: The name or address to connect to.");
    l->cloud_whole[at] = l->error_count == errors;
}
