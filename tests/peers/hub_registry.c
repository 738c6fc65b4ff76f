/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const auth_names[] = {"sas", "x509-ca", "x509-thumbprint", "password"};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct hub_identity *)a)->id, ((const struct hub_identity *)b)->id);
}

static bool parse_line(const char *line, struct hub_identity *ret_identity)
{
    char auth[32], state[32];
    if (sscanf(line, "%271s %31s %271s %31s", ret_identity->id, auth, ret_identity->secret, state) != 4) {
        return false;
    }
    ret_identity->enabled = strcmp(state, "enabled") == 0;
    for (size_t i = 0; i < sizeof auth_names / sizeof auth_names[0]; i++) {
        if (strcmp(auth, auth_names[i]) == 0) {
            ret_identity->auth = (enum hub_auth)i;
            return ret_identity->enabled || strcmp(state, "disabled") == 0;
        }
    }
    return false;
}

bool hub_registry_load(struct hub_registry *registry, const char *path, char *why, size_t why_size)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(why, why_size, "registry %s: %m", path);
        return false;
    }
    struct hub_registry fresh = {NULL, 0};
    char line[1024];
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        if (line[strspn(line, " \t\r\n")] == '\0' || line[0] == '#') {
            continue;
        }
        struct hub_identity *grown = realloc(fresh.identities, (fresh.count + 1) * sizeof *grown);
        if (grown) {
            fresh.identities = grown;
        }
        if (!grown || !parse_line(line, &fresh.identities[fresh.count])) {
            snprintf(why, why_size, "registry %s:%d: cannot be read: id auth secret state", path, number);
            free(fresh.identities);
            fclose(file);
            return false;
        }
        fresh.count++;
    }
    fclose(file);
    if (fresh.count > 0) {
        qsort(fresh.identities, fresh.count, sizeof *fresh.identities, by_id);
    }
    free(registry->identities);
    *registry = fresh;
    return true;
}

void hub_registry_free(struct hub_registry *registry)
{
    free(registry->identities);
    *registry = (struct hub_registry){NULL, 0};
}

const struct hub_identity *hub_registry_find(const struct hub_registry *registry, const char *id)
{
    struct hub_identity key;
    if (registry->count == 0 || strlen(id) >= sizeof key.id) {
        return NULL;
    }
    strcpy(key.id, id);
    return bsearch(&key, registry->identities, registry->count, sizeof key, by_id);
}

bool hub_identity_lists(const struct hub_identity *identity, const char *item)
{
    size_t len = strlen(item);
    for (const char *p = identity->secret; *p;) {
        size_t n = strcspn(p, ",");
        if (n == len && strncasecmp(p, item, n) == 0) {
            return true;
        }
        p += n + (p[n] == ',');
    }
    return false;
}
