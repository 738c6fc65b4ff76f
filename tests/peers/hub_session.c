/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_session.h"

#include "tests/peers/hub_sas.h"

#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

static struct hub_session *sessions[BUCKETS];

static size_t bucket_of(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    }
    return hash % BUCKETS;
}

struct hub_session *hub_session_find(const char *name)
{
    struct hub_session *s = name ? sessions[bucket_of(name)] : NULL;
    while (s && strcmp(s->name, name) != 0) {
        s = s->next;
    }
    return s;
}

struct hub_session *hub_session_get(const char *name)
{
    struct hub_session *s = hub_session_find(name);
    if (s) {
        return s;
    }
    size_t bucket = bucket_of(name), len = strlen(name) + 1;
    s = calloc(1, sizeof *s + len);
    if (!s) {
        return NULL;
    }
    memcpy(s->name, name, len);
    s->next = sessions[bucket];
    sessions[bucket] = s;
    return s;
}

void hub_session_each(void (*visit)(struct hub_session *s, void *user), void *user)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct hub_session *s = sessions[i]; s; s = s->next) {
            visit(s, user);
        }
    }
}

void hub_session_free_all(void)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (sessions[i]) {
            struct hub_session *s = sessions[i];
            sessions[i] = s->next;
            hub_session_forget_filters(s);
            free(s);
        }
    }
}

static size_t held(const struct hub_session *s, const char *filter)
{
    size_t i = 0;
    while (i < s->filter_count && strcmp(s->filters[i].text, filter) != 0) {
        i++;
    }
    return i;
}

bool hub_session_subscribe(struct hub_session *s, const char *filter, int qos)
{
    size_t i = held(s, filter);
    if (i == s->filter_count) {
        char *text = i < HUB_FILTERS_MAX ? strdup(filter) : NULL;
        if (!text) {
            return false;
        }
        s->filters[s->filter_count++].text = text;
    }
    s->filters[i].qos = qos;
    return true;
}

void hub_session_unsubscribe(struct hub_session *s, const char *filter)
{
    size_t i = held(s, filter);
    if (i < s->filter_count) {
        free(s->filters[i].text);
        s->filters[i] = s->filters[--s->filter_count];
    }
}

void hub_session_forget_filters(struct hub_session *s)
{
    while (s->filter_count > 0) {
        free(s->filters[--s->filter_count].text);
    }
}

int hub_session_hears(const struct hub_session *s, const char *topic)
{
    int granted = -1;
    for (size_t i = 0; i < s->filter_count; i++) {
        bool match = false;
        if (s->filters[i].qos > granted &&
            mosquitto_topic_matches_sub(s->filters[i].text, topic, &match) == MOSQ_ERR_SUCCESS && match) {
            granted = s->filters[i].qos;
        }
    }
    return granted;
}

bool hub_level_encode(const char *name, char *dst, size_t size)
{
    size_t used = 0;
    for (; *name; name++) {
        bool plain = !strchr("%/+#", *name);
        if (used + (plain ? 1 : 3) >= size) {
            return false;
        }
        used += (size_t)snprintf(dst + used, size - used, plain ? "%c" : "%%%02X", *name);
    }
    dst[used] = '\0';
    return true;
}

bool hub_level_decode(const char *level, size_t len, char *dst, size_t size)
{
    return hub_percent_decode(level, len, dst, size);
}
