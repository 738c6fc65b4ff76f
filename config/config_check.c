/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_check - the rules that one table cannot state: names, duplicates, references, what clouds and
 * plugins say, and values that must agree with each other.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config/config_private.h"
#include "config/http_address.h"
#include "core/base/allocator.h"
#include "core/base/pkcs11_uri.h"
#include "core/base/sample.h"

#define CONTROL_SOCKET_MAX_BYTES 107 /* sun_path of 108 with its NUL */

struct tg_config_pos tg_config_option_pos(struct tg_config_pos fallback, const struct tg_settings *s,
                                          const char *name)
{
    struct tg_settings_position p = tg_settings_position(s, name);
    return p.line ? (struct tg_config_pos){fallback.file, p.line, p.column} : fallback;
}

/* --- names --- */

static void check_name(struct tg_config_load *l, struct tg_config_pos pos, const char *what, const char *name)
{
    char quoted[TG_QUOTE_BYTES];
    size_t n;
    if (!name)
        return;
    n = strlen(name);
    tg_quote(quoted, name, n);
    if (n == 0)
        tg_config_error(l, pos, "%s is empty", what);
    else if (n > TG_NAME_MAX_BYTES)
        tg_config_error(l, pos, "%s %s has %zu characters; at most %d are allowed", what, quoted, n,
                        TG_NAME_MAX_BYTES);
    else if (!tg_name_is_valid(name))
        tg_config_error(l, pos,
                        "%s %s: letters, digits and - _ . : @ are allowed, the first a letter, a digit or _",
                        what, quoted);
}

/* A name with its place, to find those given twice. */
struct entry {
    const char *scope, *name; /* scope: NULL or what both must share */
    const char *owner;        /* routes: the device's id */
    struct tg_config_pos pos;
    uint32_t order;
};

static int by_entry(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    int d = a->scope && b->scope ? strcmp(a->scope, b->scope) : 0;
    d = d ? d : strcmp(a->name, b->name);
    return d ? d : a->order < b->order ? -1 : 1;
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
    return (!a->scope || strcmp(a->scope, b->scope) == 0) && strcmp(a->name, b->name) == 0;
}

static void report_twice(struct tg_config_load *l, const struct entry *first, const struct entry *again,
                         const char *what, const char *explain)
{
    char quoted[TG_QUOTE_BYTES];
    if (again->owner && again->owner == first->owner) {
        tg_config_error(l, again->pos, "the device names the cloud %s twice",
                        tg_quote(quoted, again->scope, strlen(again->scope)));
        return;
    }
    if (again->owner && strcmp(again->owner, first->owner) == 0)
        return; /* two devices with one id: reported as such */
    tg_quote(quoted, again->name, strlen(again->name));
    if (first->pos.file == again->pos.file)
        tg_config_error(l, again->pos, "%s %s is given twice: the first is in line %d%s", what, quoted,
                        first->pos.line, explain);
    else
        tg_config_error(l, again->pos, "%s %s is given twice: the first is in %.80s, line %d%s", what, quoted,
                        first->pos.file, first->pos.line, explain);
}

/* Reports every entry but the first of each name. */
static void report_duplicates(struct tg_config_load *l, struct entry *e, uint32_t n, const char *what,
                              const char *explain)
{
    uint32_t first = 0;
    if (n > 1)
        qsort(e, n, sizeof *e, by_entry);
    for (uint32_t i = 1; i < n; i++) {
        if (same_entry(&e[first], &e[i]))
            report_twice(l, &e[first], &e[i], what, explain);
        else
            first = i;
    }
}

static void put(struct entry *e, uint32_t *n, struct entry add)
{
    if (!add.name)
        return;
    e[*n] = add;
    e[*n].order = *n;
    ++*n;
}

/* Room for the largest of all lists. */
static struct entry *new_entries(struct tg_config_load *l)
{
    const struct tg_config *c = &l->model->config;
    size_t devices = 0, routes = 0, points = 0,
           most = c->cloud_count > c->source_count ? c->cloud_count : c->source_count;
    struct entry *e;
    for (uint32_t i = 0; i < c->source_count; i++) {
        devices += c->sources[i].device_count;
        for (uint32_t d = 0; d < c->sources[i].device_count; d++) {
            const struct tg_config_device *device = &c->sources[i].devices[d];
            routes += device->route_count;
            points = device->point_count > points ? device->point_count : points;
        }
    }
    most = devices > most ? devices : most;
    most = routes > most ? routes : most;
    most = points > most ? points : most;
    e = tg_calloc(most, sizeof *e);
    if (!e)
        l->out_of_memory = true;
    return e;
}

static void check_cloud_and_source_names(struct tg_config_load *l, struct entry *e)
{
    const struct tg_config *c = &l->model->config;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->cloud_count; i++) {
        check_name(l, c->clouds[i].pos, "cloud name", c->clouds[i].name);
        put(e, &n, (struct entry){.name = c->clouds[i].name, .pos = c->clouds[i].pos});
    }
    report_duplicates(l, e, n, "cloud name", "");
    n = 0;
    for (uint32_t i = 0; i < c->source_count; i++) {
        check_name(l, c->sources[i].pos, "source name", c->sources[i].name);
        put(e, &n, (struct entry){.name = c->sources[i].name, .pos = c->sources[i].pos});
    }
    report_duplicates(l, e, n, "source name", "");
}

static void check_device_ids(struct tg_config_load *l, struct entry *e)
{
    const struct tg_config *c = &l->model->config;
    uint32_t ids = 0, routes = 0;
    for (uint32_t i = 0; i < c->source_count; i++)
        for (uint32_t d = 0; d < c->sources[i].device_count; d++) {
            const struct tg_config_device *device = &c->sources[i].devices[d];
            check_name(l, device->pos, "device id", device->id);
            put(e, &ids, (struct entry){.name = device->id, .pos = device->pos});
        }
    report_duplicates(l, e, ids, "device id", "; an id is unique in the whole gateway");
    for (uint32_t i = 0; i < c->source_count; i++)
        for (uint32_t d = 0; d < c->sources[i].device_count; d++) {
            const struct tg_config_device *device = &c->sources[i].devices[d];
            for (uint32_t r = 0; device->id && r < device->route_count; r++) {
                const struct tg_config_route *route = &device->routes[r];
                if (route->cloud && route->cloud->name)
                    put(e, &routes,
                        (struct entry){route->cloud->name, route->cloud_device_id, device->id, route->pos,
                                       0});
            }
        }
    report_duplicates(l, e, routes, "the id in this cloud", "; a cloud keeps one session for an id");
}

static void check_point_names(struct tg_config_load *l, const struct tg_config_device *d, struct entry *e)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->point_count; i++) {
        check_name(l, d->points[i].pos, "point name", d->points[i].name);
        put(e, &n, (struct entry){.name = d->points[i].name, .pos = d->points[i].pos});
    }
    report_duplicates(l, e, n, "point name", " of the same device");
}

/* --- gateway and outbox --- */

static void check_http(struct tg_config_load *l, struct tg_config_pos pos, const char *text)
{
    struct tg_http_address address;
    char quoted[TG_QUOTE_BYTES];
    tg_quote(quoted, text, strlen(text));
    if (strcmp(text, "off") == 0)
        return;
    if (tg_http_address_parse(text, &address) < 0)
        tg_config_error(l, pos, "http: %s is neither ADDRESS:PORT, such as 127.0.0.1:9180, nor off", quoted);
    else if (!address.loopback && !tg_settings_int(l->model->config.gateway, "http_remote"))
        tg_config_error(l, pos,
                        "http: other machines can reach %s, and the page has neither password nor TLS: write "
                        "127.0.0.1:%u, or say http_remote: true when that is meant",
                        quoted, address.port);
}

static void check_gateway(struct tg_config_load *l)
{
    const struct tg_config *c = &l->model->config;
    const char *socket = tg_settings_text(c->gateway, "control_socket"),
               *http = tg_settings_text(c->gateway, "http");
    struct tg_config_pos top = {l->files->label, 1, 1};
    check_name(l, tg_config_option_pos(top, c->gateway, "name"), "gateway name",
               tg_settings_text(c->gateway, "name"));
    if (socket && strlen(socket) > CONTROL_SOCKET_MAX_BYTES)
        tg_config_error(l, tg_config_option_pos(top, c->gateway, "control_socket"),
                        "control_socket: the path has %zu bytes; a Unix socket takes at most %d",
                        strlen(socket), CONTROL_SOCKET_MAX_BYTES);
    if (http)
        check_http(l, tg_config_option_pos(top, c->gateway, "http"), http);
    struct tg_config_pos window =
        tg_config_option_pos((struct tg_config_pos){l->files->label, 0, 0}, c->outbox, "lazy_window");
    if (window.line > 0 && strcmp(tg_settings_text(c->outbox, "durability"), "lazy") != 0)
        tg_config_error(l, window, "lazy_window: only `durability: lazy` keeps samples in memory");
    if (l->lookups->only_plugin && c->source_count == 0 && l->error_count == 0)
        tg_config_error(l, top, "no entry of sources has plugin: %.64s", l->lookups->only_plugin);
    else if (c->cloud_count == 0 && c->source_count == 0 && l->error_count == 0)
        tg_config_error(
            l, top, "there is nothing to do: the file needs at least one entry of clouds and one of sources");
}

/* --- clouds --- */

static bool is_loopback(const char *host)
{
    unsigned a, b, c, d;
    char rest;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0)
        return true;
    return sscanf(host, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) == 4 && a == 127 && b < 256 && c < 256 &&
           d < 256;
}

/* Where a type's own rule points to: the option that its text begins with ("topic: …", "batch.max_bytes: …"), else the
 * cloud. */
static struct tg_config_pos blamed(const struct tg_config_cloud *c, const char *text)
{
    const struct {
        const char *section;
        const struct tg_settings *settings;
    } all[] = {{"", c->settings}, {"", c->common}, {"batch.", c->batch}, {"provisioning.", c->provisioning}};
    if (strncmp(text, "provisioning.identity:", strlen("provisioning.identity:")) == 0 &&
        c->provisioning_identity.pos.line)
        return c->provisioning_identity.pos;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        size_t skip = strlen(all[i].section);
        if (!all[i].settings || strncmp(text, all[i].section, skip) != 0)
            continue;
        for (const struct tg_option *o = tg_settings_table(all[i].settings); o && o->name; o++) {
            size_t n = strlen(o->name);
            if (strncmp(text + skip, o->name, n) == 0 && text[skip + n] == ':')
                return tg_config_option_pos(c->pos, all[i].settings, o->name);
        }
    }
    return c->pos;
}

/* Two colons and more are an IPv6 address. */
static bool has_port(const char *host)
{
    const char *colon = strchr(host, ':');
    return colon && !strchr(colon + 1, ':');
}

static uint32_t devices_of(const struct tg_config *c, const struct tg_config_cloud *cloud)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->source_count; i++)
        for (uint32_t d = 0; d < c->sources[i].device_count; d++)
            for (uint32_t r = 0; r < c->sources[i].devices[d].route_count; r++)
                n += c->sources[i].devices[d].routes[r].cloud == cloud;
    return n;
}

/* NULL too where the table has no such option. */
static const char *option_text(const struct tg_settings *s, const char *name)
{
    for (const struct tg_option *o = s ? tg_settings_table(s) : NULL; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return tg_settings_text(s, name);
    return NULL;
}

/* Who is the same to a cloud is thrown out by it, one for the other. */
static void check_client_id(struct tg_config_load *l, const struct tg_config_cloud *c, uint32_t devices)
{
    const char *session = option_text(c->settings, "session"), *format = option_text(c->common, "format");
    const struct {
        const char *section, *option;
        const struct tg_settings *settings;
    } all[] = {{"", "client_id", c->settings},
               {"provisioning.", "client_id", c->provisioning},
               {"provisioning.", "registration_id", c->provisioning}};
    if (devices < 2 || (session && strcmp(session, "shared") == 0) ||
        (format && strcmp(format, "sparkplug-b") == 0))
        return;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const char *text = option_text(all[i].settings, all[i].option);
        char quoted[TG_QUOTE_BYTES];
        if (text && !strstr(text, "{device}"))
            tg_config_error(
                l, tg_config_option_pos(c->pos, all[i].settings, all[i].option),
                "%s%s: %s would be the same for all %u devices of this cloud: put {device} into it",
                all[i].section, all[i].option, tg_quote(quoted, text, strlen(text)), devices);
    }
}

/* A message of one sample does not become fuller by waiting. */
static void check_budget(struct tg_config_load *l, const struct tg_config_cloud *c)
{
    const char *format = option_text(c->common, "format");
    struct tg_config_pos pos = tg_config_option_pos(c->pos, c->batch, "month_budget");
    if (!tg_settings_has(c->batch, "month_budget"))
        return;
    if (format && strcmp(format, "sparkplug-b") == 0)
        tg_config_error(l, pos,
                        "batch.month_budget: Sparkplug B sends what comes at once, so there is no wait "
                        "to make longer");
    else if (tg_settings_int(c->batch, "max_samples") < 2)
        tg_config_error(l, pos,
                        "batch.month_budget: with max_samples: 1 a longer wait makes no message "
                        "fuller; write max_samples: 100, or as many as the cloud takes");
    else if (tg_settings_int(c->batch, "longest_delay") < tg_settings_int(c->batch, "max_delay"))
        tg_config_error(l, tg_config_option_pos(pos, c->batch, "longest_delay"),
                        "batch.longest_delay is shorter than max_delay");
}

static void check_cloud(struct tg_config_load *l, const struct tg_config_cloud *c,
                        const struct tg_config_cloud_type *type)
{
    const char *host = tg_settings_text(c->common, "host");
    struct tg_error err = {0};
    char quoted[TG_QUOTE_BYTES];
    check_budget(l, c);
    if (host &&
        (host[0] == '\0' ||
         strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") != strlen(host)))
        tg_config_error(l, tg_config_option_pos(c->pos, c->common, "host"),
                        "host: %s is neither a host name nor an address; the port has a key of its own",
                        tg_quote(quoted, host, strlen(host)));
    else if (host && has_port(host))
        tg_config_error(l, tg_config_option_pos(c->pos, c->common, "host"),
                        "host: %s has a port in it: write host: %.*s and port: %.20s",
                        tg_quote(quoted, host, strlen(host)), (int)strcspn(host, ":"), host,
                        strchr(host, ':') + 1);
    if (tg_settings_has(c->common, "tls") && tg_settings_int(c->common, "tls") == 0 && host &&
        !is_loopback(host))
        tg_config_error(l, tg_config_option_pos(c->pos, c->common, "tls"),
                        "tls: off would send credentials in the clear; it is taken only for a loopback host "
                        "(localhost, 127.0.0.1, ::1)");
    if (tg_settings_has(c->common, "min_backoff") && tg_settings_has(c->common, "max_backoff") &&
        tg_settings_int(c->common, "min_backoff") > tg_settings_int(c->common, "max_backoff"))
        tg_config_error(l,
                        tg_config_option_pos(tg_config_option_pos(c->pos, c->common, "max_backoff"),
                                             c->common, "min_backoff"),
                        "min_backoff is longer than max_backoff");
    if (tg_settings_has(c->common, "format") && (strcmp(tg_settings_text(c->common, "format"), "template") ==
                                                 0) != tg_settings_has(c->common, "template"))
        tg_config_error(
            l, tg_config_option_pos(tg_config_option_pos(c->pos, c->common, "format"), c->common, "template"),
            "`format: template` and `template: TEXT` need each other");
    if (type && strcmp(type->type, "mqtt") != 0 && tg_settings_has(c->common, "format") &&
        strcmp(tg_settings_text(c->common, "format"), "sparkplug-b") == 0)
        tg_config_error(l, tg_config_option_pos(c->pos, c->common, "format"),
                        "format: sparkplug-b is for clouds of type mqtt; this one is %s", type->type);
    if (type && l->lookups->check_cloud && l->lookups->check_cloud(l->lookups->user, c, &err) < 0)
        tg_config_error(l, blamed(c, err.text), "%s", err.text);
    if (type && type->check_cloud && type->check_cloud(c, &err) < 0)
        tg_config_error(l, blamed(c, err.text), "%s", err.text);
}

static void check_model(struct tg_config_load *l, const struct tg_config_cloud *c,
                        const struct tg_config_cloud_type *type)
{
    struct tg_error err = {0};
    if (type && type->check_model && !l->lookups->only_plugin &&
        type->check_model(&l->model->config, c, &err) < 0)
        tg_config_error(l, blamed(c, err.text), "%s", err.text);
}

static const char *kind_text(enum tg_identity_kind kind)
{
    static const char *const texts[] = {"none",
                                        "sas_key_file",
                                        "certificate and key",
                                        "pkcs12 and password_file",
                                        "derive_from_group",
                                        "jwt_key",
                                        "username and password_file"};
    return texts[kind];
}

static void check_identities(struct tg_config_load *l)
{
    for (const struct tg_config_identity_seen *i = l->identities; i; i = i->next) {
        const char *key = i->identity->key ? i->identity->key : i->identity->jwt_key;
        struct tg_pkcs11_uri uri;
        struct tg_error err = {0};
        if (key && tg_pkcs11_uri_is(key) && tg_pkcs11_uri_parse(tg_bytes_str(key), &uri, &err) < 0)
            tg_config_error(l, i->identity->pos, "%s: %s", i->identity->key ? "key" : "jwt_key", err.text);
    }
}

void tg_config_check_route(struct tg_config_load *l, const char *who, const struct tg_config_route *r)
{
    const struct tg_config_cloud_type *type = r->cloud ? l->cloud_types[r->cloud - l->clouds] : NULL;
    struct tg_config_pos pos = r->identity.pos.line ? r->identity.pos : r->pos;
    bool given = r->identity.pos.line != 0;
    struct tg_error err = {0};
    if (!type || !r->cloud_device_id)
        return;
    if (!(type->identities & 1u << r->identity.kind) &&
        /* a claim brings the device an identity of its own */
        !(r->identity.kind == TG_IDENTITY_NONE && !given &&
          r->cloud->provisioning_identity.kind != TG_IDENTITY_NONE)) {
        if (r->identity.kind != TG_IDENTITY_NONE)
            tg_config_error(l, pos, "identity: cloud \"%.64s\" (%.32s) takes %s; not %s",
                            r->cloud->name ? r->cloud->name : "", type->type, type->identities_text,
                            kind_text(r->identity.kind));
        else if (!given) /* else what is wrong with it is reported */
            tg_config_error(l, pos, "%s has no identity for cloud \"%.64s\": give %s", who,
                            r->cloud->name ? r->cloud->name : "", type->identities_text);
    }
    if (type->check_device && l->cloud_whole[r->cloud - l->clouds] &&
        type->check_device(r->cloud->settings, r->cloud_device_id, &err) < 0)
        tg_config_error(l, r->pos, "%s", err.text);
    else if (type->check_route && l->cloud_whole[r->cloud - l->clouds] &&
             type->check_route(r->cloud, r, &err) < 0)
        tg_config_error(l, r->pos, "%s", err.text);
}

static void check_device(struct tg_config_load *l, const struct tg_config_device *d, struct entry *e)
{
    char who[96];
    snprintf(who, sizeof who, "device \"%.64s\"", d->id ? d->id : "");
    for (uint32_t r = 0; r < d->route_count; r++)
        tg_config_check_route(l, who, &d->routes[r]);
    check_point_names(l, d, e);
    tg_config_check_points(l, d);
}

void tg_config_check_device(struct tg_config_load *l, const struct tg_config_device *d)
{
    struct entry *e = tg_calloc(d->point_count ? d->point_count : 1, sizeof *e);
    if (!e) {
        l->out_of_memory = true;
        return;
    }
    check_name(l, d->pos, "device id", d->id);
    check_device(l, d, e);
    tg_free(e);
}

static void check_source(struct tg_config_load *l, const struct tg_config_source *s, struct entry *e)
{
    if (s->discover)
        tg_config_check_discover(l, s);
    for (uint32_t d = 0; d < s->device_count && !l->out_of_memory; d++)
        check_device(l, &s->devices[d], e);
}

void tg_config_check(struct tg_config_load *l)
{
    const struct tg_config *c = &l->model->config;
    struct entry *e = new_entries(l);
    if (!e)
        return;
    check_gateway(l);
    if (c->cloud_count > TG_CONFIG_MAX_CLOUDS)
        tg_config_error(l, c->clouds[TG_CONFIG_MAX_CLOUDS].pos,
                        "%u clouds are too many: at most %d are allowed", c->cloud_count,
                        TG_CONFIG_MAX_CLOUDS);
    check_cloud_and_source_names(l, e);
    check_device_ids(l, e);
    for (uint32_t i = 0; i < c->cloud_count; i++) {
        check_cloud(l, &c->clouds[i], l->cloud_whole[i] ? l->cloud_types[i] : NULL);
        check_model(l, &c->clouds[i], l->cloud_whole[i] ? l->cloud_types[i] : NULL);
        if (l->cloud_whole[i])
            check_client_id(l, &c->clouds[i], devices_of(c, &c->clouds[i]));
    }
    check_identities(l);
    for (uint32_t i = 0; i < c->source_count; i++)
        check_source(l, &c->sources[i], e);
    if (l->check_files)
        tg_config_check_files(l);
    tg_free(e);
}
