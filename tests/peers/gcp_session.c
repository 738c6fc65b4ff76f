/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/gcp_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config {
    struct config *next;
    char id[GCP_ID_MAX];
    size_t len;
    unsigned char payload[];
};

static struct gcp_session *sessions;
static struct config *configs;

struct gcp_session *gcp_session_named(const char *client_id)
{
    struct gcp_session *s = client_id ? sessions : NULL;
    while (s && strcmp(s->client_id, client_id) != 0) {
        s = s->next;
    }
    return s;
}

void gcp_session_end(struct gcp_session *s)
{
    while (s->voices) {
        struct gcp_voice *v = s->voices;
        s->voices = v->next;
        free(v);
    }
    s->client = NULL;
}

struct gcp_session *gcp_session_begin(const char *client_id, const char *device)
{
    struct gcp_session *s = gcp_session_named(client_id);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s || !(s->client_id = strdup(client_id))) {
            free(s);
            return NULL;
        }
        s->next = sessions;
        sessions = s;
    }
    gcp_session_end(s);
    s->why_closed[0] = '\0';
    return gcp_voice_add(s, device) ? s : NULL;
}

struct gcp_voice *gcp_voice_of(const struct gcp_session *s, const char *device)
{
    struct gcp_voice *v = s->voices;
    while (v && strcmp(v->id, device) != 0) {
        v = v->next;
    }
    return v;
}

struct gcp_voice *gcp_voice_add(struct gcp_session *s, const char *device)
{
    struct gcp_voice **end = &s->voices, *v = gcp_voice_of(s, device);
    if (v) {
        return v;
    }
    v = calloc(1, sizeof *v);
    if (v) {
        snprintf(v->id, sizeof v->id, "%s", device);
        while (*end) {
            end = &(*end)->next;
        }
        *end = v;
    }
    return v;
}

void gcp_voice_remove(struct gcp_session *s, const char *device)
{
    for (struct gcp_voice **at = &s->voices; *at; at = &(*at)->next) {
        if (strcmp((*at)->id, device) == 0) {
            struct gcp_voice *v = *at;
            *at = v->next;
            free(v);
            return;
        }
    }
}

struct gcp_session *gcp_session_for(const char *device, struct gcp_voice **ret_voice)
{
    for (struct gcp_session *s = sessions; s; s = s->next) {
        *ret_voice = s->client ? gcp_voice_of(s, device) : NULL;
        if (*ret_voice) {
            return s;
        }
    }
    return NULL;
}

void gcp_sessions_each(void (*each)(struct gcp_session *s))
{
    for (struct gcp_session *s = sessions; s; s = s->next) {
        each(s);
    }
}

bool gcp_config_put(const char *device, const void *payload, size_t len)
{
    struct config *fresh = calloc(1, sizeof *fresh + len), **at = &configs;
    if (!fresh) {
        return false;
    }
    snprintf(fresh->id, sizeof fresh->id, "%s", device);
    fresh->len = len;
    if (len) {
        memcpy(fresh->payload, payload, len);
    }
    while (*at && strcmp((*at)->id, device) != 0) {
        at = &(*at)->next;
    }
    if (*at) {
        struct config *old = *at;
        *at = old->next;
        free(old);
    }
    fresh->next = configs;
    configs = fresh;
    return true;
}

const void *gcp_config_get(const char *device, size_t *ret_len)
{
    const struct config *c = configs;
    while (c && strcmp(c->id, device) != 0) {
        c = c->next;
    }
    *ret_len = c ? c->len : 0;
    return c ? c->payload : NULL;
}

void gcp_session_free_all(void)
{
    while (sessions) {
        struct gcp_session *s = sessions;
        sessions = s->next;
        gcp_session_end(s);
        free(s->client_id);
        free(s);
    }
    while (configs) {
        struct config *c = configs;
        configs = c->next;
        free(c);
    }
}
