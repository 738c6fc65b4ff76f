/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_check_files - files that the configuration names: secrets by mode and owner, the folders above them,
 * roots.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_private.h"
#include "core/base/pkcs11_uri.h"
#include "core/base/secret.h"

/* A folder that anybody may write to lets anybody put another file in a secret's place. */
static void check_folders(struct tg_config_load *l, struct tg_config_pos pos, const char *key,
                          const char *path)
{
    char folder[4096];
    size_t n = strlen(path);
    if (n >= sizeof folder)
        return; /* open() has refused it */
    memcpy(folder, path, n + 1);
    for (;;) {
        char *slash = strrchr(folder, '/');
        struct stat st;
        if (!slash)
            return;
        slash[slash == folder] = '\0'; /* keeps the root's own slash */
        if (stat(folder, &st) == 0 && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)) {
            tg_config_error(l, pos,
                            "%s: anybody can write to the folder %.200s (mode %04o); run: chmod o-w '%.200s'",
                            key, folder, (unsigned)(st.st_mode & 07777), folder);
            return;
        }
        if (folder[1] == '\0')
            return;
    }
}

static void check_file(struct tg_config_load *l, struct tg_config_pos pos, const char *key, const char *path,
                       enum tg_secret_kind kind)
{
    struct tg_pkcs11_uri uri;
    struct tg_error err = {0};
    if (!path)
        return;
    if (tg_pkcs11_uri_is(path)) { /* a URI that is wrong has been reported */
        if (tg_pkcs11_uri_parse(tg_bytes_str(path), &uri, NULL) < 0 || !uri.pin_file[0])
            return;
        path = uri.pin_file;
        key = "pin-source";
    }
    if (tg_secret_check(path, kind, &err) < 0)
        tg_config_error(l, pos, "%s: %s", key, err.text);
    else
        check_folders(l, pos, key, path);
}

/* Roots are public and often a symbolic link; they only must be there and not anybody's to change. */
static void check_roots(struct tg_config_load *l, struct tg_config_pos pos, const char *path)
{
    struct stat st;
    int fd;
    if (!path)
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        tg_config_error(l, pos, "ca_file: %s cannot be read: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        tg_config_error(l, pos, "ca_file: %s is not a regular file", path);
    else if (st.st_mode & S_IWOTH)
        tg_config_error(l, pos, "ca_file: %s can be written by anybody (mode %04o); run: chmod o-w '%s'",
                        path, (unsigned)(st.st_mode & 07777), path);
    if (fd >= 0)
        close(fd);
}

static void check_identity(struct tg_config_load *l, const struct tg_config_identity *i)
{
    check_file(l, i->pos, "sas_key_file", i->sas_key_file, TG_SECRET_PRIVATE);
    check_file(l, i->pos, "certificate", i->certificate, TG_SECRET_PUBLIC);
    check_file(l, i->pos, "key", i->key, TG_SECRET_PRIVATE);
    check_file(l, i->pos, "pkcs12", i->pkcs12, TG_SECRET_PRIVATE);
    check_file(l, i->pos, "password_file", i->password_file, TG_SECRET_PRIVATE);
    check_file(l, i->pos, "derive_from_group", i->group_key_file, TG_SECRET_PRIVATE);
    check_file(l, i->pos, "jwt_key", i->jwt_key, TG_SECRET_PRIVATE);
}

static void check_settings(struct tg_config_load *l, struct tg_config_pos fallback,
                           const struct tg_settings *s)
{
    for (const struct tg_option *o = tg_settings_table(s); o->name; o++) {
        struct tg_settings_position p;
        if (o->type != TG_OPTION_SECRET_FILE || !tg_settings_has(s, o->name))
            continue;
        p = tg_settings_position(s, o->name);
        check_file(l, p.line ? (struct tg_config_pos){fallback.file, p.line, p.column} : fallback, o->name,
                   tg_settings_text(s, o->name), TG_SECRET_PRIVATE);
    }
}

/* What is in the files is the plugin's to judge; that they can be read was. One that was discovered has no settings of the file. */
static void ask_plugin(struct tg_config_load *l, const struct tg_config_source *s,
                       const struct tg_config_device *d)
{
    const char *option = NULL;
    char text[256] = "";
    if (!d->whole || d->discovered || !s->plugin->check_device ||
        s->plugin->check_device(l->lookups->check_host, d->id, d->settings, &option, text, sizeof text) >= 0)
        return;
    text[sizeof text - 1] = '\0';
    tg_config_error(l, option ? tg_config_option_pos(d->pos, d->settings, option) : d->pos, "%s%s%s",
                    option ? option : "", option ? ": " : "", text);
}

void tg_config_check_files(struct tg_config_load *l)
{
    const struct tg_config *c = &l->model->config;
    for (const struct tg_config_identity_seen *i = l->identities; i; i = i->next)
        check_identity(l, i->identity);
    for (uint32_t i = 0; i < c->cloud_count; i++) {
        const struct tg_config_cloud *cloud = &c->clouds[i];
        struct tg_settings_position p = tg_settings_position(cloud->common, "ca_file");
        check_roots(l, (struct tg_config_pos){cloud->pos.file, p.line, p.column},
                    tg_settings_text(cloud->common, "ca_file"));
        check_settings(l, cloud->pos, cloud->common);
        check_settings(l, cloud->pos, cloud->settings);
        if (cloud->provisioning)
            check_settings(l, cloud->pos, cloud->provisioning);
    }
    for (uint32_t i = 0; i < c->source_count; i++) {
        const struct tg_config_source *s = &c->sources[i];
        check_settings(l, s->pos, s->settings);
        for (uint32_t d = 0; d < s->device_count; d++) {
            const uint32_t errors = l->error_count;
            check_settings(l, s->devices[d].pos, s->devices[d].settings);
            if (l->error_count == errors)
                ask_plugin(l, s, &s->devices[d]);
            for (uint32_t p = 0; p < s->devices[d].point_count; p++)
                check_settings(l, s->devices[d].points[p].pos, s->devices[d].points[p].settings);
        }
    }
}
