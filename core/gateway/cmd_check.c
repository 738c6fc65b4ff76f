/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate check`: the configuration by its own rules (config/), then what the files that it names hold: keys, certificates
 * and roots are loaded as a session would. Only here: a gateway that runs takes a key when it needs it, and one that is
 * damaged is its own device's trouble. Keys in tokens are left alone, because their PIN would be presented.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/pkcs11_uri.h"
#include "core/base/plural.h"
#include "core/gateway/cmd_check_plan.h"
#include "core/gateway/command.h"
#include "northbound/identity.h"
#include "northbound/pubsub/pubsub_token.h"
#include "southbound/plugin_confine.h"

static const char *const no_more[] = {NULL};

static uint32_t say_wrong(struct tg_config_pos pos, const char *what, const char *text)
{
    fprintf(stderr, "%s:%d:%d: %s: %s\n", pos.file, pos.line, pos.column, what, text);
    return 1;
}

static struct tg_config_pos option_pos(const struct tg_config_cloud *c, const struct tg_settings *s,
                                       const char *name)
{
    struct tg_settings_position p = tg_settings_position(s, name);
    return p.line ? (struct tg_config_pos){c->pos.file, p.line, p.column} : c->pos;
}

static bool in_token(const struct tg_config_identity *i)
{
    return (i->key && tg_pkcs11_uri_is(i->key)) || (i->jwt_key && tg_pkcs11_uri_is(i->jwt_key));
}

/* The number of errors. A certificate that has ended is a warning: it is renewed without the file. */
static uint32_t check_identity(const struct tg_config_identity *i)
{
    struct tg_identity id;
    struct tg_identity_info info;
    struct tg_error err = {0};
    if (i->kind == TG_IDENTITY_NONE || in_token(i))
        return 0;
    if (tg_identity_load(i, &id, &err) < 0)
        return say_wrong(i->pos, "identity", err.text);
    tg_identity_describe(&id, &info);
    if (info.not_after_s && tg_identity_days_left(info.not_after_s, tg_clock_wall_ms() / 1000) < 0)
        (void)say_wrong(i->pos, "warning",
                        "the certificate has ended (by the clock here); the cloud will refuse it");
    tg_identity_free(&id);
    return 0;
}

static bool same_place(struct tg_config_pos a, struct tg_config_pos b)
{
    return a.line == b.line && a.column == b.column && strcmp(a.file, b.file) == 0;
}

static uint32_t check_devices(const struct tg_config_source *s)
{
    uint32_t wrong = 0;
    for (uint32_t d = 0; d < s->device_count; d++)
        for (uint32_t r = 0; r < s->devices[d].route_count; r++) {
            const struct tg_config_route *route = &s->devices[d].routes[r];
            const struct tg_config_identity *i = &route->identity;
            bool seen = i->kind == TG_IDENTITY_NONE || same_place(i->pos, route->cloud->identity.pos);
            for (uint32_t k = 0; k < r && !seen; k++)
                seen = same_place(i->pos, s->devices[d].routes[k].identity.pos);
            if (!seen)
                wrong += check_identity(i);
        }
    return wrong;
}

static uint32_t check_roots(const struct tg_config_cloud *c)
{
    struct tg_tls_options o = {.ca_file = tg_settings_text(c->common, "ca_file")};
    struct tg_tls_context *tls;
    struct tg_error err = {0};
    if (tg_tls_context_new(&o, &tls, &err) < 0)
        return say_wrong(option_pos(c, c->common, "ca_file"), "ca_file", err.text);
    tg_tls_context_free(tls);
    return 0;
}

static uint32_t check_service_account(const struct tg_config_cloud *c)
{
    const char *path = tg_settings_text(c->settings, "service_account_file");
    struct tg_secret json = {0};
    struct tg_pubsub_key key;
    struct tg_error err = {0};
    int rc = tg_secret_read(path, TG_SECRET_PRIVATE, &json, &err);
    if (rc == TG_OK)
        rc = tg_pubsub_key_parse(tg_secret_view(&json), path, &key, &err);
    tg_secret_free(&json);
    if (rc < 0)
        return say_wrong(option_pos(c, c->settings, "service_account_file"), "service_account_file",
                         err.text);
    tg_pubsub_key_free(&key);
    return 0;
}

static uint32_t check_contents(const struct tg_config *config)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < config->cloud_count; i++) {
        const struct tg_config_cloud *c = &config->clouds[i];
        if (tg_settings_has(c->common, "ca_file"))
            wrong += check_roots(c);
        if (strcmp(c->type, "gcp-pubsub") == 0 && tg_settings_has(c->settings, "service_account_file"))
            wrong += check_service_account(c);
        wrong += check_identity(&c->identity);
        wrong += check_identity(&c->provisioning_identity);
    }
    for (uint32_t i = 0; i < config->source_count; i++)
        wrong += check_devices(&config->sources[i]);
    return wrong;
}

static void say_out(void *user, const char *line)
{
    (void)user;
    printf("%s\n", line);
}

/* What takes a plugin's privileges away here; silent when no source asks for it. */
static void say_confinement(const struct tg_config *config)
{
    uint32_t abi, can = tg_confine_support(&abi);
    char words[TG_CONFINED_TEXT_BYTES];
    for (uint32_t i = 0; i < config->source_count; i++)
        if (strcmp(tg_settings_text(config->sources[i].common, "isolation"), "process") == 0) {
            printf("isolation: %s\n", tg_confined_text(words, can, abi));
            return;
        }
}

static void say_good(const struct tg_config *config, const char *file, uint32_t devices)
{
    printf("%s is good: %u %s, %u %s, %u %s\n", file, config->cloud_count,
           tg_plural(config->cloud_count, "cloud", "clouds"), config->source_count,
           tg_plural(config->source_count, "source", "sources"), devices,
           tg_plural(devices, "device", "devices"));
    say_confinement(config);
    tg_config_budget(config, say_out, NULL);
    tg_check_say_plan(config);
}

static void say_json(const struct tg_config *config, const char *file, uint32_t devices)
{
    json_t *j = json_pack("{s:s,s:I,s:I,s:I,s:o*}", "file", file, "clouds", (json_int_t)config->cloud_count,
                          "sources", (json_int_t)config->source_count, "devices", (json_int_t)devices, "plan",
                          tg_check_plan_json(config));
    json_dumpf(j, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(j);
}

int tg_cmd_check(int argc, char **argv)
{
    struct tg_args a;
    struct tg_plugin_set *plugins;
    struct tg_config *config;
    uint32_t devices = 0, wrong = 0;
    int rc = tg_args_parse(argc, argv, no_more, &a);
    if (rc)
        return rc;
    if (a.help) {
        printf("usage: tidegate check [--json] -c FILE\n\n"
               "Reads the file with all its plugins and says everything that is wrong as FILE:LINE:COL: "
               "what, what is allowed;\n"
               "then loads the keys, certificates and roots that it names (not those in tokens).\n"
               "What a good file will take in memory, on disk, on the wire a month and of flash follows; "
               "--json has the month.\n"
               "Connects to nothing and creates nothing. Exit 0: the file is good; 1: it is not.\n");
        return TG_EXIT_OK;
    }
    if (!a.config)
        a.config = TG_DEFAULT_CONFIG;
    if (tg_command_plugins(&a, &plugins) < 0)
        return TG_EXIT_NO;
    rc = tg_command_load(a.config, plugins, &config);
    if (rc == TG_OK) {
        for (uint32_t i = 0; i < config->source_count; i++)
            devices += config->sources[i].device_count;
        wrong = check_contents(config);
        if (!wrong) {
            if (a.json)
                say_json(config, a.config, devices);
            else
                say_good(config, a.config, devices);
        }
        tg_config_free(config);
    }
    tg_plugin_set_free(plugins);
    return rc < 0 || wrong ? TG_EXIT_NO : TG_EXIT_OK;
}
