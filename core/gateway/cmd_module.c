/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/settings.h"
#include "core/gateway/cmd_module.h"

#include <stdlib.h>
#include <string.h>

#include "southbound/serial_port.h"

static const char help[] =
    "usage: tidegate module provision DEVICE --port PORT [-c FILE] [--cloud C] [--ssid SSID "
    "[--wifi-password-file F]]\n"
    "                                 [OPTIONS]\n"
    "       tidegate module info --port PORT [--baud N] [--json]\n"
    "       tidegate module list-certificates --port PORT [--baud N] [--json]\n\n"
    "provision  makes a u-connectXpress module (NINA-W13, NINA-W15, ODIN-W2 …) connect by itself as DEVICE "
    "of the\n"
    "           configuration: factory settings, certificates and key with their MD5 verified, Wi-Fi, and "
    "MQTT to the\n"
    "           device's cloud (azure-iot-hub, also through its provisioning service; aws-iot-core; mqtt).\n"
    "info       maker, model, firmware, address and Wi-Fi state.\n"
    "list-certificates  what AT+USECMNG=3 lists.\n\n"
    "  --port PORT              the serial port; a name under /dev/serial/by-id survives replugging\n"
    "  --baud N                 115200\n"
    "  --flow none|rtscts       none\n"
    "  --ssid SSID              the network to join; left out, Wi-Fi stays as it is (with --no-reset)\n"
    "  --wifi-password-file F   its password, mode 0600; left out, the network is open\n"
    "  --store-wifi             the module joins it after later starts too\n"
    "  --ca-file F              the cloud's root for the module; default: the cloud's ca_file\n"
    "  --names CA,CERT,KEY      what they are called on the module (ca.pem,cert.pem,key.pem)\n"
    "  --publish TOPIC, --subscribe TOPIC  in place of the gateway's own topics\n"
    "  --command-limit N        the longest command that the module takes (512): less for NINA-W13/W15 "
    "before 3.0\n"
    "  --hello TEXT             publishes this once it is connected\n"
    "  --no-reset               keeps what the module has; certificates of the same names are replaced\n"
    "  --register-only          ends when the provisioning service has assigned a hub\n"
    "  --restart                restarts the module at the end\n"
    "  --show                   prints each command as it goes out, secrets as ***\n"
    "  --dry-run                prints them without a module\n\n"
    "Exit: 0 done, 1 not done (the step, and what the module has by then, is said), 2 wrong usage\n";

static const char *const valued[] = {
    "--cloud",   "--port",  "--baud",    "--flow",      "--ssid",  "--wifi-password-file",
    "--ca-file", "--names", "--publish", "--subscribe", "--hello", "--command-limit",
    NULL};

static bool take_flag(struct tg_module_args *a, const char *arg)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--no-reset", &a->no_reset},
                 {"--store-wifi", &a->store_wifi},
                 {"--register-only", &a->register_only},
                 {"--restart", &a->restart},
                 {"--show", &a->show},
                 {"--dry-run", &a->dry_run}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(arg, flags[i].name) == 0) {
            *flags[i].flag = true;
            return true;
        }
    return false;
}

static int wrong(const struct tg_module_args *a, const char *what)
{
    fprintf(stderr, "tidegate module %s: %s; tidegate module --help lists the options\n", a->identity.verb,
            what);
    return TG_EXIT_USAGE;
}

/* 0, or an exit code. */
static int parse_numbers(struct tg_module_args *a)
{
    char *end;
    a->baud = a->baud_text ? strtoll(a->baud_text, &end, 10) : 115200;
    if (a->baud_text && (*end || !tg_serial_baud_known(a->baud)))
        return wrong(a, "--baud takes a rate of serial ports such as 115200 or 921600");
    a->limit_bytes = a->limit_text ? (size_t)strtoul(a->limit_text, &end, 10) : TG_AT_COMMAND_MAX_BYTES;
    if (a->limit_text && (*end || a->limit_bytes < 64 || a->limit_bytes > TG_AT_COMMAND_MAX_BYTES))
        return wrong(a, "--command-limit takes a number from 64 to 512");
    if (a->flow && strcmp(a->flow, "none") != 0 && strcmp(a->flow, "rtscts") != 0)
        return wrong(a, "--flow takes none or rtscts");
    return 0;
}

static int parse(int argc, char **argv, struct tg_module_args *a)
{
    struct tg_identity_args *i = &a->identity;
    const char **const values[] = {
        &i->cloud,   &a->port,  &a->baud_text, &a->flow,      &a->ssid,  &a->wifi_password_file,
        &a->ca_file, &a->names, &a->publish,   &a->subscribe, &a->hello, &a->limit_text};
    char *rest[64];
    int n = 0, rc;
    for (int k = 0; k < argc; k++)
        if (!take_flag(a, argv[k]) && n < 63)
            rest[n++] = argv[k];
    rest[n] = NULL;
    rc = tg_args_parse(n, rest, valued, &i->common);
    for (uint32_t k = 0; rc == 0 && k < i->common.count; k++) {
        const char *arg = i->common.args[k];
        size_t v = 0;
        while (valued[v] && strcmp(arg, valued[v]) != 0)
            v++;
        if (valued[v])
            *values[v] = i->common.args[++k];
        else if (!i->verb)
            i->verb = arg;
        else if (!i->device)
            i->device = arg;
        else
            rc = wrong(a, "one argument too many");
    }
    return rc;
}

/* What needs something else. */
static int check(const struct tg_module_args *a, bool provision)
{
    if (!a->port && !a->dry_run)
        return wrong(a, "--port PORT is missing: the module's serial port");
    if (provision && !a->identity.device)
        return wrong(a, "which device? the name that it has in the configuration");
    if (a->wifi_password_file && !a->ssid)
        return wrong(a, "--wifi-password-file needs --ssid");
    if (a->store_wifi && !a->ssid)
        return wrong(a, "--store-wifi needs --ssid");
    if (provision && !a->ssid && !a->no_reset)
        return wrong(a, "--ssid is missing: after the factory reset the module knows no network (--no-reset "
                        "keeps what it "
                        "has)");
    return 0;
}

int tg_cmd_module(int argc, char **argv)
{
    static const struct {
        const char *verb;
        int (*run)(const struct tg_module_args *a);
    } verbs[] = {
        {"provision", tg_module_provision}, {"info", tg_module_info}, {"list-certificates", tg_module_list}};
    struct tg_module_args a = {.identity = {.command = "module"}};
    struct tg_error err = {0};
    int rc = parse(argc, argv, &a);
    size_t k = 0;
    if (rc)
        return rc;
    while (a.identity.verb && k < sizeof verbs / sizeof verbs[0] &&
           strcmp(a.identity.verb, verbs[k].verb) != 0)
        k++;
    if (!a.identity.common.help && a.identity.verb && k == sizeof verbs / sizeof verbs[0]) {
        static const char *const names[] = {"provision", "info", "list-certificates"};
        const char *near = tg_nearest_word(a.identity.verb, names, sizeof names / sizeof names[0]);
        fprintf(stderr, "tidegate module: unknown verb \"%s\"%s%s%s; tidegate module --help lists them\n",
                a.identity.verb, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
        return TG_EXIT_USAGE;
    }
    if (a.identity.common.help || !a.identity.verb || k == sizeof verbs / sizeof verbs[0]) {
        fputs(help, a.identity.common.help ? stdout : stderr);
        return a.identity.common.help ? TG_EXIT_OK : TG_EXIT_USAGE;
    }
    rc = check(&a, k == 0);
    if (rc == 0)
        rc = parse_numbers(&a);
    if (rc)
        return rc;
    if (tg_tls_global_init(&err) < 0)
        return tg_identity_fail(&a.identity, "%s", err.text);
    rc = verbs[k].run(&a);
    tg_tls_global_fini();
    return rc;
}
