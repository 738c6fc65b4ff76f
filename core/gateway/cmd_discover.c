/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/gateway/command.h"

/* What is found is flushed at once: a scan takes minutes, and its reader may be a pipe. */
static void found(void *user, const char *text)
{
    (void)user;
    fputs(text, stdout);
    fflush(stdout);
}

static void note(void *user, const char *text)
{
    fprintf(stderr, "tidegate discover %s: %s\n", (const char *)user, text);
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static bool stopping(void *user)
{
    (void)user;
    return interrupted != 0;
}

static int scan(const struct tg_plugin *p, int argc, const char *const *argv, bool json)
{
    const struct tg_discover request = {.struct_size = (uint32_t)sizeof request,
                                        .argc = argc,
                                        .argv = argv,
                                        .json = json,
                                        .out = found,
                                        .note = note,
                                        .stopping = stopping,
                                        .user = (void *)p->name};
    return p->discover(&request);
}

struct all {
    int rc; /* 0 as soon as one plugin has found something */
    uint32_t scanned;
    bool names_only;
};

static void scan_one(void *user, const char *name, const char *path, const struct tg_plugin *p,
                     const struct tg_error *err)
{
    struct all *all = user;
    (void)path;
    if (!p) {
        fprintf(stderr, "tidegate discover: %s\n", err->text);
        return;
    }
    if (!p->discover || interrupted)
        return;
    all->scanned++;
    if (all->names_only) {
        fprintf(stderr, "%s%s", all->scanned > 1 ? " " : "", name);
        return;
    }
    if (scan(p, 0, NULL, false) == TG_EXIT_OK)
        all->rc = TG_EXIT_OK;
}

static int scan_all(struct tg_plugin_set *set, bool json)
{
    struct all all = {TG_EXIT_NO, 0, false};
    if (json) {
        fprintf(stderr,
                "tidegate discover: --json needs a KIND, because each has a document of its own; one of: ");
        all.names_only = true;
    }
    tg_plugin_set_each(set, scan_one, &all);
    if (json) {
        fprintf(stderr, "\n");
        return TG_EXIT_USAGE;
    }
    if (all.scanned == 0)
        fprintf(stderr, "tidegate discover: none of the installed plugins can look for devices\n");
    return all.rc;
}

static int help(bool asked)
{
    fprintf(
        asked ? stdout : stderr,
        "usage: tidegate discover [KIND] [ARGS…] [--json]\n\n"
        "Looks what is on the bus (modbus), in the air (ble), on the ports (at), reading only, and prints it "
        "as\n"
        "YAML to paste into a configuration. Without KIND every installed plugin looks where it can without\n"
        "being told more; tidegate discover KIND --help shows what each kind takes. Ctrl-C ends a search "
        "and\n"
        "keeps what was found.\n\n"
        "Exit: 0 something was found, 1 nothing was, 2 wrong usage\n");
    return asked ? TG_EXIT_OK : TG_EXIT_USAGE;
}

int tg_cmd_discover(int argc, char **argv)
{
    const struct sigaction act = {.sa_handler = on_signal};
    const char *rest[TG_ARGS_REST_MAX];
    const bool has_kind = argc > 1 && argv[1][0] != '-';
    struct tg_plugin_set *set;
    struct tg_error err = {0};
    const struct tg_plugin *p;
    struct tg_args a;
    int n, rc;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return help(true);
    rc = has_kind ? tg_args_rest(argc, argv, &a, rest, &n)
                  : tg_args_parse(argc, argv, (const char *const[]){NULL}, &a);
    if (rc)
        return rc;
    if (!has_kind && a.count > 0)
        return help(false);
    if (tg_command_plugins(&a, &set) < 0)
        return TG_EXIT_NO;
    sigaction(SIGINT, &act, NULL); /* no SA_RESTART: a blocking read in a plugin returns */
    sigaction(SIGTERM, &act, NULL);
    if (!has_kind) {
        rc = scan_all(set, a.json);
    } else if (!(p = tg_plugin_find(set, argv[1], &err))) {
        fprintf(stderr, "tidegate discover: %s\n", err.text);
        rc = TG_EXIT_USAGE;
    } else if (!p->discover) {
        fprintf(stderr, "tidegate discover: plugin %s cannot look for devices\n", argv[1]);
        rc = TG_EXIT_USAGE;
    } else {
        rc = scan(p, n, rest, a.json);
    }
    tg_plugin_set_free(set);
    return rc;
}
