/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/gateway/command.h"
#include "core/gateway/control_client.h"

#define ANSWER_MS 35000

static const char *const no_more[] = {NULL};

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void print_list(const json_t *answer)
{
    const json_t *devices = json_object_get(answer, "devices"),
                 *candidates = json_object_get(answer, "candidates");
    json_t *item;
    size_t i;
    printf("%-24s %-16s %-21s %-16s %s\n", "DISCOVERED", "SOURCE", "FIRST SEEN", "PROFILE", "");
    json_array_foreach(devices, i, item)
    {
        time_t seen = (time_t)(json_integer_value(json_object_get(item, "first_seen_ms")) / 1000);
        char when[32] = "?";
        struct tm tm;
        if (gmtime_r(&seen, &tm))
            strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
        printf("%-24s %-16s %-21s %-16s %s\n", text(item, "id"), text(item, "source"), when,
               text(item, "profile")[0] ? text(item, "profile") : "-",
               json_is_true(json_object_get(item, "running")) ? "running"
                                                              : "left out: see the log of the last reload");
    }
    if (json_array_size(candidates) > 0)
        printf("\n%-24s %-16s %s\n", "HEARD, NOT TAKEN", "SOURCE", "WHY");
    json_array_foreach(candidates, i, item)
    {
        printf("%-24s %-16s %s\n", text(item, "id"), text(item, "source"),
               strcmp(text(item, "why"), "full") == 0 ? "the source has as many as its max says"
                                                      : "no pattern of allow has it");
    }
}

/* The gateway's answer to one request, printed; the exit code. */
static int ask(const struct tg_args *a, json_t *request)
{
    struct tg_control_client c;
    char path[256], *line, *words = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_t *answer;
    int rc;
    json_decref(request);
    rc = !words || tg_command_socket(a, path, sizeof path) < 0 ? TG_EXIT_USAGE : TG_EXIT_OK;
    if (rc == TG_EXIT_OK && tg_control_connect(&c, path) < 0)
        rc = TG_EXIT_UNREACHABLE;
    if (rc != TG_EXIT_OK) {
        free(words);
        return rc;
    }
    if (tg_control_send(&c, words) < 0 || tg_control_line(&c, ANSWER_MS, &line) < 0) {
        fprintf(stderr, "tidegate device: the gateway closed the connection\n");
        rc = TG_EXIT_UNREACHABLE;
    } else {
        answer = json_loads(line, 0, NULL);
        if (text(answer, "error")[0]) {
            fprintf(stderr, "tidegate device: %s\n", text(answer, "error"));
            rc = TG_EXIT_NO;
        }
        if (a->json)
            printf("%s\n", line);
        else if (json_object_get(answer, "devices"))
            print_list(answer);
        json_decref(answer);
    }
    free(words);
    tg_control_disconnect(&c);
    return rc;
}

int tg_cmd_device(int argc, char **argv)
{
    struct tg_args a;
    int rc = tg_args_parse(argc, argv, no_more, &a);
    if (rc)
        return rc;
    if (!a.help && a.count == 1 && strcmp(a.args[0], "list") == 0)
        return ask(&a, json_pack("{s:s}", "verb", "discovered"));
    if (!a.help && a.count == 2 && strcmp(a.args[0], "forget") == 0)
        return ask(&a, json_pack("{s:s,s:s}", "verb", "forget", "device", a.args[1]));
    fprintf(
        a.help ? stdout : stderr,
        "usage: tidegate device list [--json] [-c FILE | --socket PATH]\n"
        "       tidegate device forget ID [-c FILE | --socket PATH]\n\n"
        "list: the devices that were discovered, and the last ids that were heard and have not come in.\n"
        "forget: its sessions end, and what the clouds said about it is given up. One that is heard again "
        "comes in again while\n"
        "`allow` of its source has it. Exit 0: it is forgotten; 1: no discovered device has this id.\n");
    return a.help ? TG_EXIT_OK : TG_EXIT_USAGE;
}
