/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "core/base/settings.h"
#include "core/gateway/command.h"

/* In the order in which one needs them: the file, the gateway, its store and devices, who they are, what is out there. */
static const struct tg_command commands[] = {
    {"check", "-c FILE", "validates a configuration without side effects and prints what it implies",
     tg_cmd_check},
    {"run", "-c FILE", "runs the gateway in the foreground; SIGHUP reloads, SIGTERM drains and stops",
     tg_cmd_run},
    {"status", "[--watch] [--json]", "sources, devices, sessions and the outbox of the running gateway",
     tg_cmd_status},
    {"tail", "[DEVICE] [--json]", "live readings as they are accepted", tg_cmd_tail},
    {"send", "DEVICE COMMAND [JSON]", "a command to a device, the same way as from the cloud", tg_cmd_send},
    {"device", "list|forget ID", "devices that were discovered, and what was heard and has not come in",
     tg_cmd_device},
    {"outbox", "stats|verify|export|…", "looks into the store, also while the gateway is stopped",
     tg_cmd_outbox},
    {"identity", "create|show|csr|… DEVICE", "keys, certificates and tokens of devices", tg_cmd_identity},
    {"module", "provision|info|…", "makes a u-connectXpress module connect to a device's cloud by itself",
     tg_cmd_module},
    {"discover", "[KIND] [ARGS…]", "what is on the bus, in the air, on the ports, as YAML to paste",
     tg_cmd_discover},
    {"decode", "KIND ARGS…", "turns bytes into readings, without hardware", tg_cmd_decode},
    {"plugin", "list|describe|new|test NAME", "what is installed, its options and points; your own",
     tg_cmd_plugin},
    {"schema", "", "JSON Schema of the configuration file, for editors", tg_cmd_schema},
};

#define COUNT (sizeof commands / sizeof commands[0])

/* Columns that a UTF-8 text takes; none of those above has wide or combining characters. */
static size_t columns(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void usage(FILE *out)
{
    size_t widest = 0;
    for (size_t i = 0; i < COUNT; i++)
        widest = columns(commands[i].usage) > widest ? columns(commands[i].usage) : widest;
    fprintf(out, "tidegate " TG_VERSION
                 ": field data to the cloud, each device under its own identity, nothing lost.\n\n"
                 "usage: tidegate VERB [OPTIONS]\n\n");
    for (size_t i = 0; i < COUNT; i++)
        fprintf(out, "  %-8s %s%*s  %s\n", commands[i].name, commands[i].usage,
                (int)(widest - columns(commands[i].usage)), "", commands[i].summary);
    fprintf(out, "\nOptions: -c FILE  --socket PATH  --plugin-dir DIR  --json  --help  --version\n"
                 "tidegate VERB --help says more of each.\n"
                 "Exit: 0 ok, 1 the answer is no, 2 wrong usage, 3 cannot reach the running gateway\n");
}

/* An answer that did not get out is none: a full disk behind `> FILE`. */
static int said(const char *verb, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "tidegate %s: standard output could not be written: the answer is not whole\n", verb);
    return code == TG_EXIT_OK ? TG_EXIT_NO : code;
}

int main(int argc, char **argv)
{
    const char *names[COUNT], *near;
    if (argc < 2) {
        usage(stderr);
        return TG_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return TG_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tidegate " TG_VERSION "\n");
        return TG_EXIT_OK;
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return said(argv[1], commands[i].run(argc - 1, argv + 1));
        names[i] = commands[i].name;
    }
    near = tg_nearest_word(argv[1], names, COUNT);
    fprintf(stderr, "tidegate: unknown verb \"%s\"%s%s%s; tidegate --help lists them\n", argv[1],
            near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
    return TG_EXIT_USAGE;
}
