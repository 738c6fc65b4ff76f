/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_ports.h"

#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ttyS0 … ttyS31 exist on many machines without a chip: their type is then 0, unknown. */
static bool is_real(const char *sys, const char *device)
{
    char path[PATH_MAX];
    FILE *f;
    int type = 0;
    if (strncmp(device, "ttyS", 4) != 0)
        return true;
    if (snprintf(path, sizeof path, "%s/%s/type", sys, device) >= (int)sizeof path)
        return false;
    f = fopen(path, "re");
    if (!f)
        return false;
    if (fscanf(f, "%d", &type) != 1)
        type = 0;
    fclose(f);
    return type > 0;
}

static uint32_t add(const char *sys, const char *path, struct at_port *ports, uint32_t n)
{
    char target[PATH_MAX];
    const char *device;
    if (n == AT_PORTS_MAX || strlen(path) >= sizeof ports->path || !realpath(path, target))
        return n;
    device = base_name(target);
    if (strlen(device) >= sizeof ports->device || !is_real(sys, device))
        return n;
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(ports[i].device, device) == 0)
            return n;
    }
    memcpy(ports[n].path, path, strlen(path) + 1);
    memcpy(ports[n].device, device, strlen(device) + 1);
    return n + 1;
}

uint32_t at_ports_list(const char *dev, const char *sys, struct at_port ret_ports[AT_PORTS_MAX])
{
    static const char *const patterns[] = {"serial/by-id/*", "ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS*"};
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        char pattern[PATH_MAX];
        glob_t g;
        snprintf(pattern, sizeof pattern, "%s/%s", dev, patterns[i]);
        if (glob(pattern, 0, NULL, &g) != 0)
            continue;
        for (size_t k = 0; k < g.gl_pathc; k++)
            n = add(sys, g.gl_pathv[k], ret_ports, n);
        globfree(&g);
    }
    return n;
}
