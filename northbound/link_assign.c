/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Note "assigned" of a session: a JSON object {"host", "device_id", "certificate", "key", "payload"}, each a text and each
 * optional; certificate and key are paths of files below state_dir/identities.
 */
#include "northbound/link.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/log.h"

#define DOUBT_AFTER_FAILURES 10

static const struct tg_config_route *route_of(const struct tg_link *l)
{
    return TAILQ_FIRST(&l->sessions)->route;
}

static void point_at_assignment(struct tg_link *l)
{
    struct tg_session *s = TAILQ_FIRST(&l->sessions);
    if (l->assigned->host[0])
        l->target.host = s->target.host = l->assigned->host;
    if (l->assigned->device[0])
        l->target.device_id = s->target.device_id = l->assigned->device;
    if (l->assigned->certificate && l->assigned->key) {
        l->assigned->identity = (struct tg_config_identity){
            .kind = TG_IDENTITY_X509, .certificate = l->assigned->certificate, .key = l->assigned->key};
        l->identity_config = &l->assigned->identity;
    }
}

static void point_at_configuration(struct tg_link *l)
{
    struct tg_session *s = TAILQ_FIRST(&l->sessions);
    const struct tg_config_route *route = s->route;
    l->target.host = s->target.host = tg_settings_text(route->cloud->common, "host");
    l->target.device_id = s->target.device_id = route->cloud_device_id;
    l->identity_config = &route->identity;
}

static void forget(struct tg_link *l)
{
    l->is_assigned = false;
    l->assigned->host[0] = l->assigned->device[0] = '\0';
    tg_free(l->assigned->certificate);
    tg_free(l->assigned->key);
    l->assigned->certificate = l->assigned->key = NULL;
}

static void take_text(const json_t *j, const char *name, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(j, name));
    snprintf(to, size, "%s", text ? text : "");
}

static char *take_copy(const json_t *j, const char *name)
{
    const char *text = json_string_value(json_object_get(j, name));
    return text ? tg_strdup(text) : NULL;
}

static bool take_note(struct tg_link *l, struct tg_bytes note)
{
    json_t *j = note.len ? json_loadb((const char *)note.data, note.len, 0, NULL) : NULL;
    if (!json_is_object(j)) {
        json_decref(j);
        return false;
    }
    forget(l);
    take_text(j, "host", l->assigned->host, sizeof l->assigned->host);
    take_text(j, "device_id", l->assigned->device, sizeof l->assigned->device);
    l->assigned->certificate = take_copy(j, "certificate");
    l->assigned->key = take_copy(j, "key");
    l->is_assigned = true;
    json_decref(j);
    return true;
}

static bool has_errand(const struct tg_link *l)
{
    const struct tg_cloud_errand *errand = l->cloud->type->errand;
    return l->assigned && errand->wanted(&l->target);
}

void tg_link_recall_assignment(struct tg_link *l)
{
    char scope[TG_NOTE_NAME_BYTES];
    struct tg_session *s = TAILQ_FIRST(&l->sessions);
    if (!has_errand(l) || !l->set->notes)
        return;
    if (take_note(l, tg_notes_get(l->set->notes, tg_session_scope(s, scope), "assigned")))
        point_at_assignment(l);
}

bool tg_link_wants_errand(struct tg_link *l)
{
    const struct tg_cloud_errand *errand = l->cloud->type->errand;
    if (!has_errand(l) || (l->is_assigned && !l->doubt)) {
        if (l->is_assigned)
            point_at_assignment(l);
        return false;
    }
    /* One attempt to ask; should it fail, the old place is tried again before the next. */
    l->doubt = false;
    if (!l->errand_memory)
        l->errand_memory = tg_malloc(errand->session_bytes ? errand->session_bytes : 1);
    if (!l->errand_memory)
        return false;
    memset(l->errand_memory, 0, errand->session_bytes ? errand->session_bytes : 1);
    point_at_configuration(l);
    if (l->config->provisioning_identity.kind != TG_IDENTITY_NONE)
        l->identity_config = &l->config->provisioning_identity;
    return true;
}

void tg_link_doubt(struct tg_link *l, bool refused)
{
    if (!has_errand(l) || !l->is_assigned || l->errand)
        return;
    if (refused || l->failures_in_a_row % DOUBT_AFTER_FAILURES == 0)
        l->doubt = true;
}

/* --- files ---------------------------------------------------------------------------------------------- */

static int write_file(const char *path, struct tg_bytes text, mode_t mode)
{
    char temporary[512];
    int fd, rc = TG_OK;
    snprintf(temporary, sizeof temporary, "%.500s.new", path);
    (void)unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return TG_EIO;
    if (write(fd, text.data, text.len) != (ssize_t)text.len || fsync(fd) < 0)
        rc = TG_EIO;
    if (close(fd) < 0)
        rc = TG_EIO;
    if (rc == TG_OK && rename(temporary, path) < 0)
        rc = TG_EIO;
    if (rc < 0)
        (void)unlink(temporary);
    return rc;
}

static int keep_credential(struct tg_link *l, const struct tg_session *s, const struct tg_cloud_assigned *a)
{
    char folder[240], path[480];
    int rc;
    if (!l->set->state_dir)
        return TG_ESTATE;
    snprintf(folder, sizeof folder, "%.200s/identities", l->set->state_dir);
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return TG_EIO;
    snprintf(path, sizeof path, "%s/%.56s.%.128s.key", folder, l->config->name, s->device_id);
    rc = write_file(path, a->key_pem, 0600);
    l->assigned->key = tg_strdup(path);
    snprintf(path, sizeof path, "%s/%.56s.%.128s.crt", folder, l->config->name, s->device_id);
    if (rc == TG_OK)
        rc = write_file(path, a->certificate_pem, 0644);
    l->assigned->certificate = tg_strdup(path);
    if (rc == TG_OK && (!l->assigned->key || !l->assigned->certificate))
        rc = TG_ENOMEM;
    return rc;
}

/* --- what was found --------------------------------------------------------------------------------------- */

static void put_text(json_t *j, const char *name, const char *text)
{
    if (text && text[0])
        (void)json_object_set_new(
            j, name, json_string(text)); /* no memory: not kept, so asked again after a restart */
}

static void keep_note(struct tg_link *l, const struct tg_session *s, struct tg_bytes payload)
{
    char scope[TG_NOTE_NAME_BYTES];
    json_t *j = json_object(), *allocation = NULL;
    char *text;
    int rc = TG_ENOMEM;
    if (payload.len > 0)
        allocation = json_loadb((const char *)payload.data, payload.len, JSON_DECODE_ANY, NULL);
    put_text(j, "host", l->assigned->host);
    put_text(j, "device_id", l->assigned->device);
    put_text(j, "certificate", l->assigned->certificate);
    put_text(j, "key", l->assigned->key);
    if (allocation)
        (void)json_object_set_new(j, "payload", allocation);
    text = json_dumps(j, JSON_COMPACT);
    if (text && l->set->notes)
        rc = tg_notes_set(l->set->notes, tg_session_scope(s, scope), "assigned", tg_bytes_str(text));
    if (rc < 0 && l->set->notes)
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s where it was assigned cannot be kept (%s): it is asked for again after a "
               "restart",
               s->device_id, l->config->name, tg_code_text(rc));
    free(text);
    json_decref(j);
}

void tg_link_keep_assignment(struct tg_link *l, const struct tg_cloud_assigned *a)
{
    struct tg_session *s = TAILQ_FIRST(&l->sessions);
    forget(l);
    if (a->host)
        snprintf(l->assigned->host, sizeof l->assigned->host, "%s", a->host);
    if (a->device_id)
        snprintf(l->assigned->device, sizeof l->assigned->device, "%s", a->device_id);
    if (a->certificate_pem.len > 0 && a->key_pem.len > 0) {
        int rc = keep_credential(l, s, a);
        if (rc < 0) {
            tg_log(TG_LOG_ERROR, "session",
                   "device=%s cloud=%s its new certificate cannot be written below %s: %s; it asks again",
                   s->device_id, route_of(l)->cloud->name,
                   l->set->state_dir ? l->set->state_dir : "(no state_dir)", tg_code_text(rc));
            forget(l);
            return;
        }
    }
    l->is_assigned = true;
    l->doubt = false;
    point_at_assignment(l);
    keep_note(l, s, a->payload);
    tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s assigned: host %s, device id %s", s->device_id,
           l->config->name, l->target.host ? l->target.host : "(as configured)", l->target.device_id);
}

int tg_link_assign_init(struct tg_link *l)
{
    if (l->shared || !l->cloud->type->errand || !l->config->provisioning)
        return TG_OK;
    l->assigned = tg_calloc(1, sizeof *l->assigned);
    return l->assigned ? TG_OK : TG_ENOMEM;
}

void tg_link_assign_fini(struct tg_link *l)
{
    if (l->assigned) {
        tg_free(l->assigned->certificate);
        tg_free(l->assigned->key);
    }
    tg_free(l->assigned);
    tg_free(l->errand_memory);
}
