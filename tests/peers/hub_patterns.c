/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_patterns.h"

#include <mosquitto.h>
#include <stdio.h>
#include <string.h>

#define TOPIC_MAX 1536

/* pattern with %c and %d put in; false when there is no room. */
static bool expand(const char *pattern, size_t len, const char *name, char *dst, size_t size)
{
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        bool mark = pattern[i] == '%' && i + 1 < len && (pattern[i + 1] == 'c' || pattern[i + 1] == 'd');
        int n = mark ? snprintf(dst + used, size - used, "%s", pattern[i + 1] == 'c' ? name : last)
                     : snprintf(dst + used, size - used, "%c", pattern[i]);
        if (n < 0 || (size_t)n >= size - used) {
            return false;
        }
        used += (size_t)n;
        i += mark;
    }
    return true;
}

bool hub_pattern_allows(const char *patterns, const char *name, const char *topic)
{
    char pattern[TOPIC_MAX];
    for (const char *p = patterns; *p;) {
        size_t n = strcspn(p, ",");
        bool match = false;
        if ((n == 1 && *p == '#') ||
            (expand(p, n, name, pattern, sizeof pattern) &&
             (strcmp(pattern, topic) == 0 || /* a filter, named as it is */
              (mosquitto_topic_matches_sub(pattern, topic, &match) == MOSQ_ERR_SUCCESS && match)))) {
            return true;
        }
        p += n + (p[n] == ',');
    }
    return false;
}
