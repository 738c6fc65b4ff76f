/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/plugin_trust.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS_MAY_WRITE (S_IWGRP | S_IWOTH)

static int look(const char *path, struct stat *ret_st, struct tg_error *err)
{
    if (lstat(path, ret_st) < 0)
        return tg_error_set(err, tg_code_from_errno(errno), "%s: %s", path, strerror(errno));
    if (ret_st->st_uid != 0 && ret_st->st_uid != geteuid())
        return tg_error_set(err, TG_EPERM,
                            "%s belongs to user %u; a plugin, its folder and the folders above it must "
                            "belong to root or to the gateway's user (%u)",
                            path, (unsigned)ret_st->st_uid, (unsigned)geteuid());
    return TG_OK;
}

static int refuse_mode(const char *path, const struct stat *st, struct tg_error *err)
{
    return tg_error_set(err, TG_EPERM, "%s can be written by others (mode %04o); run: chmod go-w '%s'", path,
                        (unsigned)(st->st_mode & 07777), path);
}

static int check_file(const char *path, struct tg_error *err)
{
    struct stat st;
    int rc = look(path, &st, err);
    if (rc < 0)
        return rc;
    if (!S_ISREG(st.st_mode))
        return tg_error_set(
            err, TG_EPERM,
            "%s is not a regular file; a plugin is loaded only from a file itself, not through a link", path);
    return st.st_mode & OTHERS_MAY_WRITE ? refuse_mode(path, &st, err) : TG_OK;
}

/* Whether the program lies somewhere below the folder. */
static int holds(const char *folder, const char *program)
{
    size_t n = strlen(folder);
    return program && strncmp(program, folder, n) == 0 && program[n] == '/';
}

int tg_plugin_trust(const char *dir, const char *path, const char *program, struct tg_error *err)
{
    char folder[PATH_MAX];
    struct stat st;
    int rc = look(dir, &st, err);
    if (rc == TG_OK && st.st_mode & OTHERS_MAY_WRITE)
        rc = refuse_mode(dir, &st, err);
    if (rc == TG_OK)
        rc = check_file(path, err);
    if (strlen(dir) >= sizeof folder)
        rc = tg_error_set(err, TG_ETOOBIG, "%.200s…: the path is too long", dir);
    if (rc < 0)
        return rc;
    snprintf(folder, sizeof folder, "%s", dir);
    for (;;) {
        char *slash = strrchr(folder, '/');
        if (!slash || slash == folder)
            return TG_OK; /* the root belongs to whoever made the system */
        *slash = '\0';
        if (holds(folder, program))
            return TG_OK;
        rc = look(folder, &st, err);
        if (rc < 0)
            return rc;
        if (st.st_mode & OTHERS_MAY_WRITE && !(st.st_mode & S_ISVTX))
            return tg_error_set(err, TG_EPERM,
                                "others could put another folder in the place of %s, because they can write "
                                "to %s (mode %04o); run: chmod go-w '%s'",
                                dir, folder, (unsigned)(st.st_mode & 07777), folder);
    }
}
