/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate plugin test`: its command line and its configuration; what runs is plugin_trial.h's.
 */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/gateway/command.h"
#include "core/gateway/plugin_trial.h"
#include "northbound/json_document.h"

#define DEFAULT_SAMPLES 10
#define DEFAULT_FOR_MS  30000

static const char *const more[] = {"--samples", "--for", NULL};

static int help(bool asked)
{
    fprintf(
        asked ? stdout : stderr,
        "usage: tidegate plugin test X.so|NAME -c FILE [--samples N] [--for DURATION]\n"
        "                            [--send DEVICE COMMAND [JSON]]… [--json]\n\n"
        "Runs one plugin by itself, with the sources of FILE that use it, and prints its samples, device "
        "states, "
        "facts\n"
        "and answers as it gives them (before scale, deadband and intervals); its log lines go to standard "
        "error.\n"
        "FILE may be a gateway's whole file or one with nothing but `sources:`; clouds and identities are "
        "not looked at.\n\n"
        "  --samples N      ends after so many samples; %d unless --for is given\n"
        "  --for DURATION   ends after that time at the latest; 30s\n"
        "  --send …         a command to a device as soon as its source is open: `set '{\"POINT\": VALUE}'` "
        "writes, "
        "others\n"
        "                   are the plugin's own; the run waits for the answer\n\n"
        "Exit: 0 samples came, no device is down and every command was taken; 1 otherwise, with the reasons; "
        "2 "
        "wrong\n"
        "usage or a file with errors. Ctrl-C ends in good order.\n",
        DEFAULT_SAMPLES);
    return asked ? TG_EXIT_OK : TG_EXIT_USAGE;
}

/* Takes `--send DEVICE COMMAND [JSON]` out of argv; the new argc, or -1 (said). */
static int take_sends(int argc, char **argv, struct tg_trial *t)
{
    int kept = 0;
    for (int i = 0; i < argc; i++) {
        struct tg_error err = {0};
        struct tg_trial_send *s = &t->sends[t->send_count];
        if (strcmp(argv[i], "--send") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        if (i + 2 >= argc || argv[i + 1][0] == '-' || argv[i + 2][0] == '-' ||
            t->send_count == TG_TRIAL_SENDS_MAX) {
            fprintf(stderr,
                    t->send_count == TG_TRIAL_SENDS_MAX
                        ? "tidegate plugin test: at most %d times --send\n"
                        : "tidegate plugin test: --send needs a device and a command (%d of them at most)\n",
                    TG_TRIAL_SENDS_MAX);
            return -1;
        }
        *s = (struct tg_trial_send){.device = argv[i + 1], .command = argv[i + 2], .json = "{}"};
        i += 2;
        if (i + 1 < argc && argv[i + 1][0] == '{')
            s->json = argv[++i];
        s->arguments = tg_json_parse(tg_bytes_str(s->json), "--send: the arguments", &err);
        if (!s->arguments) {
            fprintf(stderr, "tidegate plugin test: %s\n", err.text);
            return -1;
        }
        t->send_count++;
    }
    return kept;
}

struct request {
    const char *plugin; /* as given */
    char folder[PATH_MAX], name[NAME_MAX + 1];
    int64_t samples; /* INT64_MIN = not given */
};

static int read_request(const struct tg_args *a, struct tg_trial *t, struct request *r)
{
    struct tg_error err = {0};
    t->for_ms = -1;
    for (uint32_t i = 0; i < a->count; i++) {
        int rc = TG_OK;
        if (strcmp(a->args[i], "--samples") == 0)
            rc = tg_parse_int(a->args[++i], &r->samples, &err);
        else if (strcmp(a->args[i], "--for") == 0)
            rc = tg_parse_duration_ms(a->args[++i], &t->for_ms, &err);
        else if (!r->plugin)
            r->plugin = a->args[i];
        else
            return help(false);
        if (rc == TG_OK && ((r->samples != INT64_MIN && r->samples <= 0) || t->for_ms == 0))
            rc = tg_error_set(&err, TG_ERANGE, "%s: more than 0", a->args[i]);
        if (rc < 0) {
            fprintf(stderr, "tidegate plugin test: %s: %s\n", a->args[i - 1], err.text);
            return TG_EXIT_USAGE;
        }
    }
    if (!r->plugin || !a->config)
        return help(false);
    t->wanted = r->samples > 0 ? (uint64_t)r->samples : t->for_ms < 0 ? DEFAULT_SAMPLES : 0;
    t->for_ms = t->for_ms < 0 ? DEFAULT_FOR_MS : t->for_ms;
    t->must_have = r->samples > 0;
    return TG_EXIT_OK;
}

/* X.so is that file and no other, a name is searched for as the gateway would. */
static int plugins_of(const struct tg_args *a, struct request *r, struct tg_plugin_set **ret_set)
{
    size_t n = strlen(r->plugin);
    char copy[PATH_MAX];
    const char *dirs[] = {r->folder};
    bool is_file = strchr(r->plugin, '/') || (n > 3 && strcmp(r->plugin + n - 3, ".so") == 0);
    if (!is_file) {
        snprintf(r->name, sizeof r->name, "%s", r->plugin);
        return tg_command_plugins(a, ret_set) < 0 ? TG_EXIT_NO : TG_EXIT_OK;
    }
    if (n <= 3 || strcmp(r->plugin + n - 3, ".so") != 0 || n >= sizeof copy) {
        fprintf(stderr, "tidegate plugin test: %s: a plugin is a file NAME.so\n", r->plugin);
        return TG_EXIT_USAGE;
    }
    if (access(r->plugin, F_OK) != 0) {
        fprintf(stderr, "tidegate plugin test: %s: there is no such file\n", r->plugin);
        return TG_EXIT_NO;
    }
    snprintf(copy, sizeof copy, "%s", r->plugin);
    snprintf(r->name, sizeof r->name, "%s", basename(copy));
    r->name[strlen(r->name) - 3] = '\0';
    snprintf(copy, sizeof copy, "%s", r->plugin);
    snprintf(r->folder, sizeof r->folder, "%s", dirname(copy));
    return tg_plugin_set_new(dirs, 1, ret_set) < 0 ? TG_EXIT_NO : TG_EXIT_OK;
}

static bool has_devices_of_sends(const struct tg_trial *t, const struct tg_config *config)
{
    for (uint32_t i = 0; i < t->send_count; i++) {
        bool known = false;
        for (uint32_t s = 0; s < config->source_count; s++)
            for (uint32_t d = 0; d < config->sources[s].device_count; d++)
                known |= strcmp(config->sources[s].devices[d].id, t->sends[i].device) == 0;
        if (!known) {
            fprintf(stderr, "tidegate plugin test: --send: none of the sources has a device %s\n",
                    t->sends[i].device);
            return false;
        }
    }
    return true;
}

static int load_and_run(struct tg_trial *t, const struct tg_args *a, struct request *r)
{
    struct tg_plugin_set *set = NULL;
    struct tg_config *config = NULL;
    struct tg_error err = {0};
    int rc = plugins_of(a, r, &set);
    if (rc != TG_EXIT_OK)
        return rc;
    if (!tg_plugin_find(set, r->name, &err)) {
        fprintf(stderr, "tidegate plugin test: %s\n", err.text);
        rc = TG_EXIT_NO;
    } else if (tg_command_load_only_plugin(a->config, set, r->name, &config) < 0 ||
               !has_devices_of_sends(t, config)) {
        rc = TG_EXIT_USAGE;
    } else {
        tg_log_configure((enum tg_log_level)tg_settings_int(config->log, "level"),
                         a->json ? TG_LOG_JSON : (enum tg_log_format)tg_settings_int(config->log, "format"));
        rc = tg_plugin_trial_run(t, config);
    }
    tg_config_free(config);
    tg_plugin_set_free(set);
    return rc;
}

int tg_cmd_plugin_test(int argc, char **argv)
{
    struct tg_trial t = {0};
    struct request r = {.samples = INT64_MIN};
    struct tg_args a;
    int rc = TG_EXIT_USAGE;
    argc = take_sends(argc, argv, &t);
    if (argc > 0)
        rc = tg_args_parse(argc, argv, more, &a);
    if (rc == TG_EXIT_OK && a.help) {
        rc = help(true);
    } else if (rc == TG_EXIT_OK) {
        t.json = a.json;
        rc = read_request(&a, &t, &r);
        if (rc == TG_EXIT_OK)
            rc = load_and_run(&t, &a, &r);
    }
    for (uint32_t i = 0; i < t.send_count; i++)
        json_decref(t.sends[i].arguments);
    return rc;
}
