/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_discovered - the service by which an instance tells of a device that is not in its list. It is decided on the
 * instance's thread by what the configuration says, so that the plugin has its answer at once; only new ones go to the loop.
 */
#include "southbound/plugin_host_private.h"

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/glob.h"

void tg_discovery_init(struct tg_host_source *s)
{
    struct tg_discovery *d = &s->discovery;
    const struct tg_config_source *c = s->config;
    pthread_mutex_init(&d->lock, NULL);
    if (!c->discover)
        return;
    d->seen.max = (uint32_t)tg_settings_int(c->discover->settings, "max");
    for (uint32_t i = 0; i < c->device_count; i++)
        d->seen.used += c->devices[i].discovered;
}

void tg_discovery_fini(struct tg_host_source *s)
{
    struct tg_discovery *d = &s->discovery;
    for (uint32_t i = 0; i < d->told_count; i++)
        tg_free(d->told[i]);
    tg_free(d->told);
    pthread_mutex_destroy(&d->lock);
}

static bool has_profile(const struct tg_plugin *plugin, const char *name)
{
    for (const struct tg_profile *p = plugin->profiles; p && p->name; p++)
        if (strcmp(p->name, name) == 0)
            return true;
    return false;
}

static bool is_known(const struct tg_host_source *s, const char *id)
{
    const struct tg_discovery *d = &s->discovery;
    for (uint32_t i = 0; i < s->model.device_count; i++)
        if (strcmp(s->model.devices[i].id, id) == 0)
            return true;
    for (uint32_t i = 0; i < d->told_count; i++)
        if (strcmp(d->told[i], id) == 0)
            return true;
    return false;
}

/* For a host that looks after candidates itself. */
static void tell_candidate(struct tg_host_source *s, const char *id)
{
    size_t len = strlen(id);
    struct tg_up_mail *m = s->handle.cb->on_candidate ? tg_malloc(sizeof *m + len + 1) : NULL;
    if (!m)
        return;
    *m = (struct tg_up_mail){.mail.cost = sizeof *m + len + 1, .kind = TG_MAIL_CANDIDATE};
    memcpy(m->values, id, len + 1);
    if (tg_mailbox_put(&s->news, &m->mail) < 0)
        tg_free(m);
}

/* Keeps it for the operator in the place of the one that was heard the longest ago. */
static void note_candidate(struct tg_host_source *s, const char *id, bool allowed)
{
    struct tg_source_discovery *seen = &s->discovery.seen;
    struct tg_source_candidate *place = NULL;
    for (uint32_t i = 0; i < seen->candidate_count; i++) {
        struct tg_source_candidate *c = &seen->candidates[i];
        if (strcmp(c->id, id) == 0) {
            c->heard_ms = tg_clock_mono_ms();
            return;
        }
        if (!place || c->heard_ms < place->heard_ms)
            place = c;
    }
    if (seen->candidate_count < TG_SOURCE_CANDIDATES)
        place = &seen->candidates[seen->candidate_count++];
    snprintf(place->id, sizeof place->id, "%s", id);
    place->allowed = allowed;
    place->heard_ms = tg_clock_mono_ms();
    if (allowed)
        seen->without_room++;
    else
        seen->denied++;
    tell_candidate(s, id);
}

/* Tells the loop, and remembers that it did. */
static int tell(struct tg_host_source *s, const char *id, const char *profile)
{
    struct tg_discovery *d = &s->discovery;
    size_t id_len = strlen(id), profile_len = profile ? strlen(profile) : 0;
    struct tg_up_mail *m = tg_malloc(sizeof *m + id_len + profile_len + 2);
    char **told = tg_realloc(d->told, (d->told_count + 1) * sizeof *told), *copy = tg_strdup(id), *text;
    int rc = TG_PLUGIN_ENOMEM;
    if (told)
        d->told = told;
    if (!m || !told || !copy)
        goto fail;
    *m = (struct tg_up_mail){.mail.cost = sizeof *m + id_len + profile_len + 2,
                             .kind = TG_MAIL_DISCOVERED,
                             .has_text = profile != NULL};
    text = (char *)m->values;
    memcpy(text, id, id_len + 1);
    memcpy(text + id_len + 1, profile ? profile : "", profile_len + 1);
    rc = TG_PLUGIN_EFULL;
    if (tg_mailbox_put(&s->news, &m->mail) < 0)
        goto fail;
    d->told[d->told_count++] = copy;
    d->seen.used++;
    return TG_PLUGIN_OK;
fail:
    tg_free(m);
    tg_free(copy);
    return rc;
}

int tg_service_discovered(struct tg_host_source *source, const char *id, const char *profile)
{
    struct tg_host_source *s = TG_OBJECT(source, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
    struct tg_discovery *d = &s->discovery;
    const struct tg_config_discover *section = s->config->discover;
    const char *const *patterns;
    uint32_t count;
    int rc;
    if (!section)
        return TG_PLUGIN_EUNSUPPORTED;
    if (!id || !tg_name_is_valid(id) || (profile && !has_profile(s->plugin, profile)))
        return TG_PLUGIN_EINVAL;
    count = tg_settings_list(section->settings, "allow", &patterns);
    pthread_mutex_lock(&d->lock);
    if (is_known(s, id)) {
        rc = TG_PLUGIN_OK;
    } else if (!tg_glob_match_any(patterns, count, id)) {
        note_candidate(s, id, false);
        rc = TG_PLUGIN_EDENIED;
    } else if (d->seen.used >= d->seen.max) {
        note_candidate(s, id, true);
        rc = TG_PLUGIN_EFULL;
    } else {
        rc = tell(s, id, profile);
    }
    pthread_mutex_unlock(&d->lock);
    return rc;
}

bool tg_source_host_discovery(struct tg_source_host *h, struct tg_source_discovery *ret_seen)
{
    struct tg_host_source *s = h->source;
    if (!s->config->discover)
        return false;
    pthread_mutex_lock(&s->discovery.lock);
    *ret_seen = s->discovery.seen;
    pthread_mutex_unlock(&s->discovery.lock);
    return true;
}
