/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_levers.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 128

static struct lever {
    struct lever *next;
    char *client, *what;
    char value[VALUE_MAX];
} * levers;

static struct lever **find(const char *client, const char *what)
{
    struct lever **at = &levers;
    while (*at && (strcmp((*at)->client, client) != 0 || strcmp((*at)->what, what) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static void drop(struct lever **at)
{
    struct lever *lever = *at;
    *at = lever->next;
    free(lever->client);
    free(lever->what);
    free(lever);
}

bool hub_lever_set(const char *client, const char *what, const char *value, size_t len)
{
    struct lever **at = find(client, what);
    if (len >= VALUE_MAX) {
        return false;
    }
    if (*at) {
        drop(at);
    }
    if (len == 0) {
        return true;
    }
    struct lever *lever = calloc(1, sizeof *lever);
    if (!lever) {
        return false;
    }
    lever->client = strdup(client);
    lever->what = strdup(what);
    memcpy(lever->value, value, len);
    lever->next = levers;
    levers = lever;
    if (!lever->client || !lever->what) {
        drop(&levers);
        return false;
    }
    return true;
}

const char *hub_lever(const char *client, const char *what)
{
    struct lever *own = *find(client, what);
    struct lever *lever = own ? own : *find("*", what);
    return lever ? lever->value : NULL;
}

long long hub_lever_number(const char *client, const char *what, long long otherwise)
{
    const char *value = hub_lever(client, what);
    return value ? strtoll(value, NULL, 10) : otherwise;
}

void hub_levers_free(void)
{
    while (levers) {
        drop(&levers);
    }
}
